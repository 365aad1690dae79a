-- undo(): a wrong import is set back from the audit, but for what somebody has changed since.
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
DROP ROLE IF EXISTS regress_undo_operator, regress_undo_other, regress_undo_reporter;
CREATE ROLE regress_undo_operator;
CREATE ROLE regress_undo_other;
CREATE ROLE regress_undo_reporter;
SELECT FROM storesync.grant_role('regress_undo_operator', 'operator');
SELECT FROM storesync.grant_role('regress_undo_other', 'operator');
SELECT FROM storesync.grant_role('regress_undo_reporter', 'reporter');
RESET client_min_messages;

SET TimeZone = 'UTC';
SELECT storesync.add_store('shopee', '1', 'one') AS store \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup, storesync.add_sku('SET') AS set \gset
SELECT storesync.add_location('north') AS north \gset
SELECT count(storesync.add_listing(:store, 'TEA', item)) AS listings FROM (VALUES ('1'), ('2'), ('3'), ('4'), ('5')) v (item);
SELECT array_agg(listing_id ORDER BY listing_id) AS l FROM storesync.listing \gset
SELECT (:'l'::bigint[])[1] AS one, (:'l'::bigint[])[2] AS two, (:'l'::bigint[])[3] AS three, (:'l'::bigint[])[4] AS four, (:'l'::bigint[])[5] AS five \gset
UPDATE storesync.listing SET price = 100, buffer = 2;

-- What a call says, with the ids of this run by their names.
CREATE TEMP TABLE named (subject text, name text);
INSERT INTO named SELECT concat('listing ', (:'l'::bigint[])[n]), concat('listing ', n) FROM generate_series(1, 5) n;
INSERT INTO named VALUES (concat('sku ', :'cup'), 'sku cup'), (concat('sku ', :'set'), 'sku set'), (concat('store ', :'store'), 'store one');
GRANT SELECT ON named TO PUBLIC;
CREATE FUNCTION pg_temp.said(storesync.audit) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', $1.action, coalesce((SELECT n.name FROM named n WHERE n.subject = $1.subject), split_part($1.subject, ' ', 1)),
		$1.before - 'created_at', $1.after - 'created_at')
$$;

-- The import: 100,000 rows would do as well. Prices, shares, a mapping, the mode, a bundle, places, all in one transaction.
SELECT max(audit_id) AS last FROM storesync.audit \gset
BEGIN;
SELECT pg_current_xact_id() AS import \gset
UPDATE storesync.listing SET price = 1, share = 0.5;
SELECT count(storesync.set_price(listing_id, 1.2, storesync.new_key())) AS priced FROM storesync.listing;
UPDATE storesync.listing SET sku_id = :cup WHERE listing_id IN (:two, :three);
UPDATE storesync.listing SET buffer = 5 WHERE listing_id = :one;
UPDATE storesync.listing SET buffer = 2 WHERE listing_id = :one;
UPDATE storesync.store SET mode = 'off', rate_limit = '7/s', night = '{01:00,05:00}', breaker_window = '90 minutes';
UPDATE storesync.platform SET look_again = '{7 hours}', quota_reset = '07:00+08', unpaid_hold = '1 mon 2 days' WHERE platform = 'shopee';
UPDATE storesync.location SET sellable = false WHERE code = 'north';
UPDATE storesync.sku SET safety_stock = 3 WHERE code = 'CUP';
SELECT storesync.set_bundle('SET', '{"TEA": 2}');
SELECT storesync.set_store_locations(:store, '{main}');
COMMIT;
SELECT count(*) AS rows, bool_and(a.transaction = :'import' AND a.incarnation = storesync.current_incarnation()) AS by_transaction
FROM storesync.audit a WHERE a.audit_id > :last;

-- Meanwhile somebody has mended some of it. Whoever has changed the pack has meant the mapping.
SET ROLE regress_undo_other;
UPDATE storesync.listing SET price = 90 WHERE listing_id = :one;
UPDATE storesync.listing SET pack = 3 WHERE listing_id = :three;
UPDATE storesync.listing SET share = 1 WHERE listing_id = :four;
RESET ROLE;
DELETE FROM storesync.listing WHERE listing_id = :five;

-- The first call changes nothing.
SET ROLE regress_undo_operator;
SET intervalstyle = 'iso_8601';
SELECT coalesce(n.name, regexp_replace(u.subject, ' \d+', '')) AS subject, u.field, u.imported, u.present, u.back, u.verdict,
	regexp_replace(u.detail, '^by .* at .*', 'by somebody') AS detail
FROM storesync.undo(:'import') u LEFT JOIN named n USING (subject);
RESET intervalstyle;
SELECT count(*) AS undone FROM storesync.audit a WHERE a.action = 'undo';

-- The second sets back, and says what it found.
SELECT max(audit_id) AS last FROM storesync.audit \gset
BEGIN;
SELECT pg_current_xact_id() AS undo \gset
SELECT verdict, count(*) FROM storesync.undo(:'import', confirm => true) GROUP BY 1 ORDER BY 1;
COMMIT;
RESET ROLE;
SELECT pg_temp.said(a) FROM storesync.audit a WHERE a.audit_id > :last AND a.transaction = :'undo' ORDER BY 1;
SELECT after ->> 'incarnation' = storesync.current_incarnation()::text AS incarnation, after -> 'fields' AS fields, subject = concat('transaction ', :'import') AS transaction
FROM storesync.audit WHERE action = 'undo';
SELECT n.name, k.code, l.pack, l.price, l.share, l.buffer FROM storesync.listing l
JOIN storesync.sku k USING (sku_id) JOIN named n ON n.subject = concat('listing ', l.listing_id) ORDER BY 1;
SELECT mode, rate_limit, night, breaker_window FROM storesync.store;
SELECT look_again, quota_reset, unpaid_hold FROM storesync.platform WHERE platform = 'shopee';
SELECT count(*) AS components FROM storesync.component WHERE qty > 0;
SELECT count(*) AS places FROM storesync.store_location;
-- Shops follow: what was set back is in the outbox, and prices are to be written.
SELECT string_agg(DISTINCT o.kind::text, ',') AS outbox FROM storesync.outbox o WHERE o.xid = :'undo';
SELECT count(*) AS to_write FROM storesync.offer WHERE facet = 'price' AND open;

-- Again there is nothing left, and it is said why. An undo can be undone.
SET ROLE regress_undo_operator;
SELECT verdict, count(*) FROM storesync.undo(:'import') GROUP BY 1 ORDER BY 1;
SELECT set_config('a.import', :'import', false) IS NULL AS kept;
DO $$
DECLARE
	state text;
	said text;
	because text;
BEGIN
	PERFORM * FROM storesync.undo(current_setting('a.import')::xid8, true);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT, because = PG_EXCEPTION_DETAIL;
	RAISE NOTICE '% % (%)', state, regexp_replace(said, '\d+', 'N'), because;
END
$$;
SELECT verdict, count(*) FROM storesync.undo(:'undo', true) GROUP BY 1 ORDER BY 1;
SELECT mode, rate_limit FROM storesync.store;
SELECT n.name, k.code, l.pack, l.price, l.share FROM storesync.listing l
JOIN storesync.sku k USING (sku_id) JOIN named n ON n.subject = concat('listing ', l.listing_id) ORDER BY 1;
SELECT verdict, count(*) FROM storesync.undo(:'import', true) GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- What a transaction added rests afterwards; what is not set back says how it is done.
BEGIN;
SELECT pg_current_xact_id() AS made \gset
SELECT storesync.add_store('ruten', '2', 'two') AS second, storesync.add_sku('POT') AS pot \gset
SELECT storesync.add_listing(:second, 'POT', '1') AS added, storesync.add_listing(:store, 'POT', '9') AS asleep, storesync.add_location('south') AS south \gset
UPDATE storesync.listing SET price = 5 WHERE listing_id IN (:added, :asleep);
UPDATE storesync.listing SET enabled = false WHERE listing_id = :asleep;
SELECT storesync.set_credential(:store, 'access_token', 'Marker-8');
SELECT outcome FROM storesync.receive('TEA', 5, storesync.new_key());
SELECT outcome FROM storesync.allot(:one, 2, storesync.new_key());
SELECT storesync.stop_selling(sku => 'CUP') AS stopped;
DELETE FROM storesync.listing WHERE listing_id = :four;
COMMIT;
SET ROLE regress_undo_operator;
SELECT split_part(u.subject, ' ', 1) AS of, u.field, u.present, u.back, u.verdict, u.detail
FROM storesync.undo(:'made', true) u WHERE u.field <> 'delete'
ORDER BY 1, 2, 3;
SELECT field, verdict, detail FROM storesync.undo(:'made') WHERE field = 'delete';
SELECT l.enabled, l.price, s.mode FROM storesync.listing l JOIN storesync.store s USING (store_id) WHERE l.listing_id IN (:added, :asleep) ORDER BY l.listing_id;
SELECT storesync.start_selling(sku => 'CUP') AS started;
-- counts and receipts alone are in no audit
BEGIN;
SELECT pg_current_xact_id() AS counted \gset
SELECT outcome FROM storesync.adjust('TEA', 3, storesync.new_key());
COMMIT;
SELECT field, verdict, detail FROM storesync.undo(:'counted');
SELECT set_config('a.import', :'counted', false) IS NULL AS kept;
DO $$
BEGIN
	PERFORM * FROM storesync.undo(current_setting('a.import')::xid8, true);
EXCEPTION WHEN SQLSTATE 'SS207' THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '\d+', 'N');
END
$$;
SELECT * FROM storesync.undo('3');
SELECT * FROM storesync.undo('3', true, 7);
RESET ROLE;

-- What the caller may not change stays; who may not call it does not.
BEGIN;
SELECT pg_current_xact_id() AS owners \gset
UPDATE storesync.store SET name = 'eins' WHERE store_id = :store;
UPDATE storesync.listing SET item_id = 'a' WHERE listing_id = :one;
COMMIT;
SET ROLE regress_undo_operator;
SELECT field, verdict, detail FROM storesync.undo(:'owners', true);
SET ROLE regress_undo_reporter;
SELECT * FROM storesync.undo(:'owners');
RESET ROLE;
SELECT name FROM storesync.store WHERE store_id = :store;

-- Rows of release 1.0 say no transaction, and belong to none.
INSERT INTO storesync.audit (action, subject, before, after, transaction, incarnation)
VALUES ('update', concat('listing ', :one), '{"price": 1}', '{"price": 2}', NULL, NULL);
SELECT * FROM storesync.undo(NULL);

SELECT * FROM storesync.check_invariants();
DROP OWNED BY regress_undo_operator, regress_undo_other, regress_undo_reporter;
DROP ROLE regress_undo_operator, regress_undo_other, regress_undo_reporter;
