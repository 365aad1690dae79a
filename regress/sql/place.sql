-- Places: those that a store sells from, and order lines over several of them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SELECT storesync.add_store('shopee', '1', 'one') AS store, storesync.add_store('shopee', '2', 'two') AS second \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup \gset
SELECT storesync.add_location('north') AS north, storesync.add_location('south') AS south,
	storesync.add_location('scrap', NULL, false) AS scrap \gset
CREATE FUNCTION pg_temp.arrive(sku text, qty bigint, place text DEFAULT 'main') RETURNS text LANGUAGE sql AS
$$ SELECT outcome FROM storesync.receive($1, $2, storesync.new_key(), $3) $$;

-- The places of a store.
SELECT storesync.set_store_locations(0, '{}');
SELECT storesync.set_store_locations(:store, NULL);
SELECT storesync.set_store_locations(:store, ARRAY['north', NULL]);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'nowhere']);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'north']);
SELECT count(*) FROM storesync.store_location;
SELECT storesync.set_store_locations(:store, ARRAY['south', 'north', 'scrap']);
SELECT storesync.set_store_locations(:store, ARRAY['north', 'scrap', 'south']);
SELECT p.code FROM storesync.store_location z JOIN storesync.location p USING (location_id) WHERE z.store_id = :store ORDER BY 1;
SELECT action, before, after FROM storesync.audit WHERE subject = concat('store ', :store) AND action <> 'add';
SELECT kind, subject - :store AS store FROM storesync.outbox ORDER BY id DESC LIMIT 1;
DELETE FROM storesync.location WHERE code = 'scrap';

-- Listings show what lies there and sells; available() knows no store.
SELECT storesync.add_listing(:store, 'TEA', '100') AS tied, storesync.add_listing(:second, 'TEA', '200') AS untied \gset
SELECT pg_temp.arrive('TEA', 8), pg_temp.arrive('TEA', 4, 'north'), pg_temp.arrive('TEA', 2, 'south'), pg_temp.arrive('TEA', 1, 'scrap');
SELECT item_id, available, wanted FROM storesync.listing_target ORDER BY 1;
SELECT storesync.available('TEA');
UPDATE storesync.location SET sellable = false WHERE code = 'south';
SELECT item_id, available, wanted FROM storesync.listing_target ORDER BY 1;
UPDATE storesync.location SET sellable = true WHERE code = 'south';
SELECT version AS before FROM storesync.listing_target WHERE listing_id = :tied \gset
SELECT storesync.set_store_locations(:store, '{}');
SELECT item_id, available, wanted, version > :before AS rose FROM storesync.listing_target WHERE listing_id = :tied;
SELECT * FROM storesync.check_invariants();
