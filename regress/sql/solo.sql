-- Last units: one listing of the SKU shows them, the others 0.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;

UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2,
	storesync.add_store('shopee', '3', 'three') AS store3 \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup \gset
SELECT storesync.add_listing(:store1, 'TEA', '100') AS tea1, storesync.add_listing(:store2, 'TEA', '200') AS tea2,
	storesync.add_listing(:store3, 'TEA', '300') AS tea3, storesync.add_listing(:store1, 'CUP', '101') AS cup1 \gset
CREATE VIEW pg_temp.shown AS
SELECT string_agg(t.wanted::text, ' ' ORDER BY t.listing_id) AS wanted, min(t.left_units) AS left,
	count(t.sole_id) AS under_the_rule, min(s.name) AS shown_by
FROM storesync.listing_target t
LEFT JOIN storesync.listing l ON l.listing_id = t.sole_id LEFT JOIN storesync.store s ON s.store_id = l.store_id
WHERE t.sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'TEA');
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject text) LANGUAGE sql AS $$
	SELECT o.kind::text, string_agg(o.subject::text, ',' ORDER BY o.subject) FROM storesync.outbox o WHERE o.xid = pg_current_xact_id() GROUP BY 1 ORDER BY 1
$$;

-- Below three, less safety stock; the lowest listing_id among equals, then the highest priority.
SELECT outcome FROM storesync.receive('TEA', 3, storesync.new_key());
SELECT * FROM pg_temp.shown;
SELECT outcome FROM storesync.reserve('TEA', 1, storesync.new_key());
SELECT * FROM pg_temp.shown;
UPDATE storesync.store SET priority = 5 WHERE store_id = :store2;
SELECT * FROM pg_temp.shown;
UPDATE storesync.store SET priority = -1 WHERE store_id = :store1;
SELECT term, value FROM storesync.explain(:tea1) WHERE term IN ('left', 'last units below', 'shown alone by', 'wanted');
SELECT term, value FROM storesync.explain(:tea2) WHERE term IN ('left', 'last units below', 'shown alone by', 'wanted');
-- no share, no buffer; pack and cap still
UPDATE storesync.listing SET share = 0.5, buffer = 1 WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET cap = 1 WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
-- one that cannot show anything is passed over
UPDATE storesync.listing SET pack = 3 WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET pack = 2, cap = 0 WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET cap = NULL WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET pack = 1, share = 1, buffer = 0 WHERE listing_id = :tea2;

-- Only an enabled listing of a live store that is not paused, not held, not stopped.
-- Each change of that tells all listings of the SKU in the same transaction, and no other.
BEGIN;
SELECT sum(version) AS versions FROM storesync.listing_target WHERE listing_id IN (:tea1, :tea3) \gset
SELECT storesync.pause(:store2);
SELECT * FROM pg_temp.shown;
SELECT kind, subject = :tea::text AS tea FROM pg_temp.told();
SELECT sum(version) - :versions AS risen FROM storesync.listing_target WHERE listing_id IN (:tea1, :tea3);
ROLLBACK;
BEGIN;
UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = :store2;
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
ROLLBACK;
BEGIN;
UPDATE storesync.listing SET enabled = false WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
ROLLBACK;
BEGIN;
UPDATE storesync.listing SET held = 'declined' WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
SELECT storesync.release_hold(:tea2);
SELECT * FROM pg_temp.shown;
ROLLBACK;
BEGIN;
SELECT storesync.stop_selling(:store2);
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
ROLLBACK;
BEGIN;
UPDATE storesync.listing SET sku_id = :cup WHERE listing_id = :tea2;
SELECT * FROM pg_temp.shown;
SELECT kind, subject = concat(:tea, ',', :cup) AS both FROM pg_temp.told();
ROLLBACK;
-- nobody is live: each shows its own part, as far as it shows anything
BEGIN;
UPDATE storesync.store SET mode = 'shadow';
SELECT * FROM pg_temp.shown;
ROLLBACK;
-- a new listing of a better store takes them over
BEGIN;
UPDATE storesync.store SET priority = 9 WHERE store_id = :store1;
SELECT storesync.add_listing(:store1, 'TEA', '102') IS NOT NULL AS added;
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
ROLLBACK;
-- enough is there: a switch concerns nobody else
BEGIN;
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());
SELECT storesync.pause(:store2);
SELECT * FROM pg_temp.shown;
SELECT count(*) FROM storesync.outbox WHERE xid = pg_current_xact_id();
ROLLBACK;

-- Off, or another number.
BEGIN;
UPDATE storesync.sku SET solo_below = 0 WHERE code = 'TEA';
SELECT * FROM pg_temp.shown;
SELECT kind FROM pg_temp.told();
UPDATE storesync.sku SET solo_below = 100 WHERE code = 'TEA';
SELECT * FROM pg_temp.shown;
UPDATE storesync.sku SET solo_below = -1 WHERE code = 'TEA';
ROLLBACK;
-- Safety stock counts.
BEGIN;
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());
UPDATE storesync.sku SET safety_stock = 10 WHERE code = 'TEA';
SELECT * FROM pg_temp.shown;
ROLLBACK;
-- Enough for the rule, and yet each part comes to nothing: one shows it all. One whose part is something suffices.
BEGIN;
SELECT outcome FROM storesync.receive('TEA', 3, storesync.new_key());
UPDATE storesync.listing SET share = 0.1 WHERE item_id <> '101';
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET share = 0.4 WHERE listing_id = :tea3;
SELECT * FROM pg_temp.shown;
ROLLBACK;
-- A store with places of its own has its own last units.
BEGIN;
SELECT storesync.add_location('north') IS NOT NULL AS added;
SELECT storesync.set_store_locations(:store2, ARRAY['north']);
SELECT string_agg(t.wanted::text, ' ' ORDER BY t.listing_id) AS wanted FROM storesync.listing_target t WHERE t.sku_id = :tea;
SELECT outcome FROM storesync.receive('TEA', 1, storesync.new_key(), 'north');
SELECT string_agg(t.wanted::text, ' ' ORDER BY t.listing_id) AS wanted FROM storesync.listing_target t WHERE t.sku_id = :tea;
ROLLBACK;
SELECT * FROM storesync.check_invariants();
