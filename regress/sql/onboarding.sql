-- The first day of a shop: which SKU is it, what would be written, may it go live. regress/t/075_catalog.pl has
-- the reading of a shop's catalogue.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
DROP ROLE IF EXISTS regress_onboarding;
CREATE ROLE regress_onboarding;
RESET client_min_messages;
SET timezone = 'UTC';

SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT mode, stock_from FROM storesync.store ORDER BY store_id;
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['A-1', '44', 'X/Y', 'PLAIN', 'HAVE', 'P 1', 'P1', 'OTHER', 'LAST']) c;

-- Codes that are the same but for how they are written.
SELECT c, storesync.code_key(c) FROM unnest(ARRAY['/44', ' 44 ', 'a-1', '-A-1-', 'Ａ－１', 'x/y', '/', '']) c;

-- What a reading found; one under way beside it is not seen.
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) VALUES (1, :store1, now(), true), (2, :store1, NULL, false);
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT 1, :store1, v.item_id, v.model_id, v.code, v.name, v.qty, 100, v.reserved, v.listed, v.ended, v.writable, now() - interval '1 min'
FROM (VALUES
	('10', '', 'A-1', 'the same code', 5, 0, true, false, true),
	('11', '1', '/44', 'a slash before it', 5, 0, true, false, true),
	('12', '', 'x/y', 'other capitals', 5, 3, false, false, true),
	('13', '', 'PLAIN', 'two have this one', 5, 0, true, false, true),
	('14', '', 'plain', 'two have this one', 5, 0, true, false, true),
	('15', '', 'P-1', 'no such code', 5, 0, true, false, true),
	('16', '', 'p1', 'like two SKUs', 5, 0, true, false, true),
	('17', '', '', 'no code', 5, 0, true, false, true),
	('18', '', 'OTHER', 'ended', 0, 0, false, true, false),
	('19', '', 'OTHER', 'not to be written', 5, 0, true, false, false),
	('20', '', 'have', 'a listing already', 5, 0, true, false, true),
	('21', '', 'HAVE', 'the SKU has a listing already', 5, 0, true, false, true),
	('22', '', 'OTHER', 'the only one that can be sold', 5, 0, true, false, true),
	('23', '', 'LAST', 'few are left', 5, 0, true, false, true)) AS v (item_id, model_id, code, name, qty, reserved, listed, ended, writable);
INSERT INTO storesync.listing_seen VALUES (2, :store1, '99', '', 'A-1', 'under way', 1, 1, 0, true, false, true, now());
SELECT storesync.add_listing(:store1, 'HAVE', '20') AS have \gset
SELECT count(*) FROM storesync.listing_found;
SELECT item_id, verdict, sku, listing_id IS NOT NULL AS is_listing, detail FROM storesync.match_listings(:store1);
SELECT count(*) FROM storesync.match_listings(:store2);
SELECT count(*) FROM storesync.listing;

-- An operator may say which SKU it is, and nothing else.
SELECT storesync.grant_role('regress_onboarding', 'operator');
SET ROLE regress_onboarding;
UPDATE storesync.listing_found SET quantity = 1;
UPDATE storesync.listing_found SET sku = 'PLAIN' WHERE item_id = '14';
UPDATE storesync.listing_found SET sku = 'PLAIN', pack = 6 WHERE item_id = '15';
UPDATE storesync.listing_found SET sku = 'NOBODY' WHERE item_id = '17';
UPDATE storesync.listing_found SET sku = 'A-1' WHERE item_id = '20';
UPDATE storesync.listing_found SET pack = 0 WHERE item_id = '20';
SELECT item_id, verdict, sku, pack, detail FROM storesync.match_listings(:store1) WHERE item_id IN ('13', '14', '15', '17', '20');

-- One transaction, all that is matched and is no listing yet.
SELECT storesync.accept_matches(:store1);
SELECT storesync.accept_matches(:store1);
SELECT storesync.accept_matches(0);
RESET ROLE;
SELECT l.item_id, l.model_id, k.code, l.pack, l.price, l.listed, w.acked_qty, w.acked_version, w.read_qty
FROM storesync.listing l JOIN storesync.sku k USING (sku_id) LEFT JOIN storesync.listing_shown w USING (listing_id)
WHERE l.store_id = :store1 ORDER BY l.item_id;
SELECT action, count(*) FROM storesync.audit WHERE subject LIKE 'listing %' GROUP BY 1;
SELECT item_id, reserved, remaining, state FROM storesync.listing_locked;

-- Not before everything was read and counted.
SELECT reason, count(*) FROM storesync.go_live_missing(:store1) GROUP BY 1 ORDER BY 1;
SELECT remedy FROM storesync.go_live_missing(:store1) WHERE reason = 'never read back' OR sku = 'A-1' ORDER BY 1;
SELECT storesync.go_live(:store1);
SELECT mode, stock_from FROM storesync.store WHERE store_id = :store1;
UPDATE storesync.listing SET enabled = false WHERE listing_id = :have;
SELECT count(storesync.adjust(code, CASE code WHEN 'LAST' THEN 2 ELSE 8 END, storesync.new_key())) FROM storesync.sku;
SELECT count(*) FROM storesync.go_live_missing(:store1);

-- The last units are shown by one live store: the preview knows that this store would be it, and leaves no trace.
SELECT t.wanted FROM storesync.listing_target t JOIN storesync.listing USING (listing_id) WHERE listing.item_id = '23';
SELECT count(*) AS audited FROM storesync.audit \gset
SELECT sku, item_id, model_id, shown, wanted, change FROM storesync.preview(:store1);
SELECT item_id, shown, wanted FROM storesync.preview(:store1, lower_only => true);
SELECT mode FROM storesync.store WHERE store_id = :store1;
SELECT count(*) - :audited AS audited FROM storesync.audit;
SELECT storesync.preview(0);

-- Exactly these pass the breaker; a cut-over that was set stays.
BEGIN;
SELECT storesync.go_live(:store1, lower_only => true);
SELECT mode FROM storesync.store WHERE store_id = :store1;
SELECT l.item_id, b.passed, b.qty FROM storesync.breaker_listing b JOIN storesync.listing l USING (listing_id) ORDER BY 1;
ROLLBACK;
SET ROLE regress_onboarding;
SELECT storesync.go_live(:store1);
RESET ROLE;
SELECT mode, stock_from > now() - interval '1 min' AS stock_from FROM storesync.store WHERE store_id = :store1;
SELECT l.item_id, b.passed, b.qty, b.qty = t.wanted AS wanted, b.version = t.version AS version FROM storesync.breaker_listing b
JOIN storesync.listing l USING (listing_id) JOIN storesync.listing_target t USING (listing_id) ORDER BY 1;
UPDATE storesync.store SET stock_from = '2020-01-01' WHERE store_id = :store2;
SELECT storesync.go_live(:store2);
SELECT mode, stock_from FROM storesync.store WHERE store_id = :store2;
SELECT storesync.go_live(0);

-- A reading takes the place of the one before; what is left of that goes bit by bit.
SELECT storesync.note_walk(2, false, '100', 1);
SELECT run, current, listed, cursor, unread, ended_at IS NOT NULL AS ended FROM storesync.listing_walk ORDER BY run;
SELECT storesync.show_walk(2, 1);
SELECT item_id FROM storesync.listing_found;
INSERT INTO storesync.listing_walk (run, store_id) VALUES (3, :store1);
SELECT storesync.note_walk(3, true, '', 0);
SELECT run, current FROM storesync.listing_walk ORDER BY run;
SELECT DISTINCT run FROM storesync.listing_seen;
SELECT * FROM storesync.check_invariants();
DROP OWNED BY regress_onboarding;
DROP ROLE regress_onboarding;
