-- Catalogue: additions, their errors, safe URLs, the audit, the guard of copies.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
\set SHOW_CONTEXT never
SELECT storesync.add_store('shopee', '220001', 'Main') AS store \gset
SELECT platform, shop_id, name, mode, paused, rate_limit FROM storesync.store;
SELECT storesync.add_store('shopee', '220001', 'Again');
SELECT storesync.add_store('nowhere', '1', 'x');
SELECT storesync.add_store(NULL, '1', 'x');
SELECT storesync.add_store('shopee', '', 'x');
SELECT storesync.add_store('shopee', '2', NULL);
SELECT storesync.add_store('shopee', E'2\n3', 'x');
SELECT storesync.add_store('shopee', '2', repeat('x', 201));
SELECT storesync.add_store('shopee', '2', 'x', NULL);
SELECT storesync.add_store('shopee', '2', 'x', '5/fortnight');

-- A platform on this machine is a simulator or proxy: its stores start live.
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:8080' WHERE platform = 'shopee';
SELECT storesync.add_store('shopee', '220002', 'Second', '10/s burst 3') AS second \gset
SELECT shop_id, mode, rate_limit FROM storesync.store ORDER BY store_id;

SELECT u AS url, storesync.is_loopback(u) FROM unnest(ARRAY['http://localhost', 'https://localhost:8443', 'http://127.0.0.1:1', 'http://127.255.255.254',
	'http://[::1]:9', 'http://127.0.0.1.example.com', 'http://127.0.0.256', 'http://128.0.0.1', 'http://localhost.example.com', 'http://127.0.0.1@example.com',
	'http://127.0.0.1/x', 'ftp://localhost', 'http://[::2]', E'http://localhost\nx']) u;
CREATE FUNCTION pg_temp.try_url(url text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE storesync.platform SET base_url = url WHERE platform = 'shopee';
	RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
BEGIN;
SELECT u AS url, pg_temp.try_url(u) FROM unnest(ARRAY['https://partner.test-stable.shopeemobile.com', 'https://proxy.example:8443', 'http://[::1]:9',
	'http://partner.shopeemobile.com', 'http://10.0.0.1', 'https://user:word@example.com', 'https://example.com/', 'https://example.com/path',
	'https://example.com?x=1', 'https://example.com#f', 'https://', 'example.com', 'https://example.com:0', 'https://example.com:65536',
	'https://exa mple.com', 'HTTPS://example.com', 'file:///etc/passwd', 'https://example.com/..', 'https://example.com//path',
	'https://example.com:0/path', 'http://127.0.0.1:1/vdr_fake/x', '', NULL]) u;
ROLLBACK;

SELECT storesync.add_sku('TEA'), storesync.add_sku('CUP', 'Cup', 3, true);
SELECT code, name, safety_stock, allow_backorder FROM storesync.sku ORDER BY sku_id;
SELECT code, sellable FROM storesync.location;
SELECT storesync.add_sku('TEA');
SELECT storesync.add_sku('');
SELECT storesync.add_sku(NULL);
SELECT storesync.add_sku(repeat('茶', 67));
SELECT storesync.add_sku('X', safety_stock => -1);
SELECT storesync.add_sku('X', safety_stock => 1000000000001);
SELECT storesync.add_sku(repeat('茶', 66)) IS NOT NULL AS taken;
SELECT storesync.add_location('back', 'Back room', false) IS NOT NULL AS taken;
SELECT storesync.add_location('back');

SELECT storesync.add_listing(:store, 'TEA', '100') AS listing \gset
SELECT storesync.add_listing(:second, 'TEA', '100', '0', 2) IS NOT NULL AS taken;
SELECT storesync.add_listing(:second, 'CUP', '100', '7') IS NOT NULL AS taken;
SELECT s.shop_id, l.item_id, l.model_id, l.pack, l.revision FROM storesync.listing l JOIN storesync.store s USING (store_id) ORDER BY listing_id;
-- NULL, '' and '0' are one model
SELECT storesync.add_listing(:second, 'CUP', '100', m) FROM (VALUES (NULL)) v(m);
SELECT storesync.add_listing(:second, 'CUP', '100', '');
SELECT storesync.add_listing(:second, 'CUP', '100', '0');
SELECT storesync.add_listing(99, 'TEA', '1');
SELECT storesync.add_listing(NULL, 'TEA', '1');
SELECT storesync.add_listing(:store, 'none', '1');
SELECT storesync.add_listing(:store, 'TEA', '');
SELECT storesync.add_listing(:store, 'TEA', '1', pack => 0);
SELECT storesync.add_listing(:store, 'TEA', '1', repeat('m', 201));
-- nothing of what failed is left
SELECT count(*) FROM storesync.listing;
UPDATE storesync.listing SET model_id = '0' WHERE listing_id = :listing;
SELECT model_id = '' AS normalised FROM storesync.listing WHERE listing_id = :listing;

-- What others refer to stays.
DELETE FROM storesync.platform WHERE platform = 'shopee';
DELETE FROM storesync.store WHERE store_id = :store;
DELETE FROM storesync.sku WHERE code = 'TEA';
UPDATE storesync.sku SET sku_id = 99 WHERE code = 'TEA';
UPDATE storesync.listing SET sku_id = 99 WHERE listing_id = :listing;
UPDATE storesync.listing SET store_id = 99 WHERE listing_id = :listing;
UPDATE storesync.listing SET sku_id = NULL WHERE listing_id = :listing;
BEGIN;
UPDATE storesync.listing SET sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'CUP') WHERE listing_id = :listing;
DELETE FROM storesync.listing WHERE pack = 2;
DELETE FROM storesync.sku WHERE code = 'TEA';
SELECT action, subject, before -> 'code' AS code FROM storesync.audit ORDER BY audit_id DESC LIMIT 2;
ROLLBACK;

-- Switches
SELECT storesync.pause(:store);
SELECT paused FROM storesync.store WHERE store_id = :store;
SELECT storesync.resume(:store);
SELECT storesync.pause(99);

-- The audit: every change once, in its words; what follows from another change is not one.
UPDATE storesync.listing SET buffer = 2, cap = 5 WHERE pack = 2;
UPDATE storesync.listing SET buffer = 2, cap = 5 WHERE pack = 2;
UPDATE storesync.sku SET safety_stock = 1 WHERE code = 'TEA';
UPDATE storesync.store SET mode = 'live', priority = 3 WHERE store_id = :store;
-- intervals that no arithmetic with them can overflow: the dispatcher and health() would fall over them
UPDATE storesync.store SET poll_interval = '170000000 years' WHERE store_id = :store;
UPDATE storesync.store SET poll_interval = '-1 day' WHERE store_id = :store;
UPDATE storesync.store SET poll_spread = 0 WHERE store_id = :store;
UPDATE storesync.store SET unpaid_hold = '367 days' WHERE store_id = :store;
UPDATE storesync.store SET unpaid_hold = '-1 second' WHERE store_id = :store;
UPDATE storesync.platform SET order_overlap = '170000000 years';
UPDATE storesync.platform SET look_again = '{1 hour, 31 days}';
UPDATE storesync.platform SET look_again = ARRAY[interval '-1 hour'];
UPDATE storesync.platform SET look_again = ARRAY[NULL::interval];
SELECT action, subject, before, after - 'created_at' AS after FROM storesync.audit ORDER BY audit_id;
SELECT bool_and(login = session_user AND application = current_setting('application_name')) AS by_whom FROM storesync.audit;
DELETE FROM storesync.audit;
UPDATE storesync.audit SET login = 'nobody';
TRUNCATE storesync.audit;
-- each change that moves what a listing shows is in the outbox
SELECT kind, subject FROM storesync.outbox ORDER BY xid, ctid;

-- A restored row takes the place of the one that CREATE EXTENSION made, in whatever order the tables
-- come, and tells nobody; where the application has secrets it is a duplicate like any other.
SELECT storesync.set_app_credential('shopee', 'partner_id', '1');
INSERT INTO storesync.platform (platform, base_url, max_quantity) VALUES ('shopee', 'https://a.example', 5);
INSERT INTO storesync.platform (platform, base_url, max_quantity) VALUES ('other', 'https://a.example', 5);
INSERT INTO storesync.platform VALUES ('other', 'https://b.example', '7/s', 6, false, '9 minutes');
SELECT * FROM storesync.platform WHERE platform = 'other';
SELECT count(*) FROM storesync.audit WHERE subject = 'platform other';

-- The guard: a loopback platform needs no word, unless the data came from another database.
SELECT storesync.sending_allowed('shopee'), storesync.sending_allowed('other'), storesync.sending_allowed('none'), storesync.sending_allowed(NULL);
UPDATE storesync.incarnation SET system_identifier = 1;
\c -
SELECT storesync.sending_allowed('shopee');
SELECT storesync.current_incarnation(), storesync.is_copy(), storesync.sending_allowed('shopee');
SELECT (storesync.database_identity()).instance_name;
SELECT storesync.confirm_instance('mine');
SELECT storesync.confirm_instance(NULL);
SELECT storesync.confirm_instance('regress');
SELECT storesync.is_copy(), storesync.instance_confirmed(), storesync.sending_allowed('shopee'), storesync.sending_allowed('other');
-- it is this pair that was confirmed, and nothing else
BEGIN;
UPDATE storesync.instance SET database_oid = 1;
SELECT storesync.instance_confirmed(), storesync.sending_allowed('shopee');
ROLLBACK;
BEGIN;
UPDATE storesync.instance SET name = 'other';
SELECT storesync.instance_confirmed();
ROLLBACK;

-- Where a platform does not end unpaid orders by itself, its stores do.
SELECT storesync.add_store('ruten', 'teashop', 'Tea') AS ruten \gset
SELECT platform, max_quantity, unpaid_hold, sign_path_only, sign_base64 FROM storesync.platform ORDER BY platform;
SELECT platform, unpaid_hold FROM storesync.store ORDER BY store_id;

-- What is kept of a listing or a store goes with it.
SELECT storesync.add_store('ruten', 'gone', 'Gone') AS gone \gset
SELECT storesync.add_sku('GONE') > 0 AS sku, storesync.set_credential(:gone, 'api_key', 'word') AS credential;
SELECT storesync.add_listing(:gone, 'GONE', '100') AS gone_listing \gset
SELECT (storesync.receive('GONE', 9, storesync.new_key())).outcome;
SELECT storesync.allot(:gone_listing, 2, storesync.new_key()) IS NOT NULL AS allotted, storesync.reserve_seen(:gone_listing, 3, now()) IS NOT NULL AS seen;
UPDATE storesync.listing SET price = 5, listed = false WHERE listing_id = :gone_listing;
SELECT storesync.set_price(:gone_listing, 4, storesync.new_key(), valid_until => now() + interval '1 day') > 0 AS campaign;
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
	VALUES (:gone_listing, 1, 0, storesync.current_incarnation(), now(), now());
INSERT INTO storesync.breaker_listing (listing_id, store_id) VALUES (:gone_listing, :gone);
INSERT INTO storesync.breaker (store_id, changes, listings) VALUES (:gone, 1, 1);
INSERT INTO storesync.listing_walk (run, store_id) VALUES (1, :gone);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, reserved, listed, ended, writable, seen_at)
	VALUES (1, :gone, '100', '', '', '', 0, true, false, true, now());
INSERT INTO storesync.order_cursor (store_id, fetched_through) VALUES (:gone, now());
INSERT INTO storesync.order_look (store_id, age, looked_through, listed) VALUES (:gone, '1 hour', now(), 0);
INSERT INTO storesync.peak_window (store_id, starts, ends, kinds, spread) VALUES (:gone, '2026-11-11 00:00', '2026-11-11 02:00', '{price}', '0');
CREATE FUNCTION pg_temp.kept(column_name text, id bigint) RETURNS TABLE(relation text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
	FOR relation IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND a.attname = column_name ORDER BY 1 LOOP
		EXECUTE format('SELECT count(*) FROM storesync.%I WHERE %I = $1', relation, column_name) INTO n USING id;
		IF n > 0 THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;
SELECT * FROM pg_temp.kept('listing_id', :gone_listing);
SELECT * FROM pg_temp.kept('store_id', :gone);
SELECT * FROM storesync.check_invariants();
DELETE FROM storesync.listing WHERE listing_id = :gone_listing;
SELECT * FROM pg_temp.kept('listing_id', :gone_listing);
DELETE FROM storesync.store WHERE store_id = :gone;
SELECT * FROM pg_temp.kept('store_id', :gone);
SELECT * FROM storesync.check_invariants();

-- as found
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
