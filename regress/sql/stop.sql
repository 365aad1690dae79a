-- stop_selling() and start_selling(): who is held by whom.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;

UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
SELECT storesync.add_store('shopee', '1', 'one') AS store1, storesync.add_store('shopee', '2', 'two') AS store2 \gset
SELECT storesync.add_sku('TEA') AS tea, storesync.add_sku('CUP') AS cup, storesync.add_sku('SET') AS set \gset
SELECT storesync.set_bundle('SET', '{"TEA": 1, "CUP": 1}');
SELECT storesync.add_listing(:store1, 'TEA', '100') AS tea1, storesync.add_listing(:store2, 'TEA', '200') AS tea2,
	storesync.add_listing(:store1, 'CUP', '101') AS cup1, storesync.add_listing(:store2, 'SET', '201') AS set2 \gset
SELECT outcome FROM storesync.receive('TEA', 10, storesync.new_key());
SELECT outcome FROM storesync.receive('CUP', 20, storesync.new_key());
CREATE VIEW pg_temp.shown AS
SELECT string_agg(format('%s %s: %s%s', t.store_id, k.code, t.wanted, ' ' || t.stopped), ', ' ORDER BY t.store_id, k.code, t.listing_id) AS shown
FROM storesync.listing_target t JOIN storesync.sku k ON k.sku_id = t.sku_id;
CREATE FUNCTION pg_temp.told() RETURNS TABLE(kind text, subject text) LANGUAGE sql AS $$
	SELECT o.kind::text, string_agg(o.subject::text, ',' ORDER BY o.subject) FROM storesync.outbox o WHERE o.xid = pg_current_xact_id() GROUP BY 1 ORDER BY 1
$$;
SELECT * FROM pg_temp.shown;

-- A SKU, in every shop and in bundles. The rows of the outbox are in the same transaction.
SELECT version FROM storesync.listing_target WHERE listing_id = :tea1 \gset
BEGIN;
SELECT storesync.stop_selling(sku => 'TEA', reason => 'recalled');
SELECT * FROM pg_temp.shown;
SELECT kind, subject = concat_ws(',', :tea1, :tea2, :set2) AS listings FROM pg_temp.told();
SELECT version - :version AS risen FROM storesync.listing_target WHERE listing_id = :tea1;
COMMIT;
-- again: nothing
BEGIN;
SELECT storesync.stop_selling(sku => 'TEA', reason => 'recalled');
SELECT * FROM pg_temp.told();
COMMIT;
-- what comes in, and a listing that is added, is not sold
SELECT outcome FROM storesync.receive('TEA', 5, storesync.new_key());
SELECT storesync.add_listing(:store1, 'TEA', '102') AS tea3 \gset
SELECT * FROM pg_temp.shown;
SELECT state, stopped FROM storesync.listing_status WHERE listing_id = :tea1;
SELECT value FROM storesync.explain(:tea1) WHERE term = 'stopped';
-- orders are booked as before
SELECT outcome FROM storesync.ingest_order(:store1, jsonb_build_object('order_sn', 'A', 'status', 'ready_to_ship', 'create_time', now(),
	'lines', '[{"line_id": "1", "item_id": "100", "qty": 1}]'::jsonb));
-- another stop over it, a store's; each ends by itself
SELECT storesync.stop_selling(:store1, reason => 'audit');
SELECT * FROM pg_temp.shown;
SELECT storesync.start_selling(sku => 'TEA');
SELECT * FROM pg_temp.shown;
SELECT storesync.start_selling(:store2), storesync.start_selling(:store1, 'CUP');
SELECT storesync.start_selling(:store1);
SELECT * FROM pg_temp.shown;

-- A platform's hold is another's: neither ends the other.
UPDATE storesync.listing SET held = 'declined' WHERE listing_id = :tea1;
SELECT storesync.stop_selling(:store1, 'TEA');
SELECT storesync.release_hold(:tea1);
SELECT * FROM pg_temp.shown;
UPDATE storesync.listing SET held = 'declined' WHERE listing_id = :tea1;
SELECT storesync.start_selling();
SELECT * FROM pg_temp.shown;
SELECT storesync.release_hold(:tea1);

-- Everything: one row has all compared. start_selling() of a part does not end it; start_selling() does.
BEGIN;
SELECT storesync.stop_selling(reason => 'the worst night');
SELECT * FROM pg_temp.shown;
SELECT * FROM pg_temp.told();
SELECT storesync.start_selling(:store1), storesync.start_selling(:store1, 'TEA'), storesync.start_selling(sku => 'CUP');
SELECT storesync.start_selling();
SELECT * FROM pg_temp.shown;
COMMIT;

SELECT storesync.stop_selling(99);
SELECT storesync.stop_selling(:store1, 'NONE');
SELECT storesync.stop_selling(:store1, reason => '');
SELECT storesync.start_selling(99);
SELECT storesync.stop_selling(:store1, 'CUP', 'x');
BEGIN;
DELETE FROM storesync.listing;
DELETE FROM storesync.store WHERE store_id = :store2;
DELETE FROM storesync.sales_order;
DELETE FROM storesync.store WHERE store_id = :store1;
ROLLBACK;
SELECT action, subject, before, after FROM (
	SELECT audit_id, action, subject, (SELECT jsonb_agg(x - 'since' - 'login') FROM jsonb_array_elements(before) x) AS before, after
	FROM storesync.audit WHERE action LIKE '%selling') a ORDER BY audit_id;
SELECT * FROM storesync.check_invariants();
