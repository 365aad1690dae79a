-- What a backend remembers of rows (rows_memo.h) is never believed: renamed, moved, changed, gone, rolled back.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP']) c;
SELECT count(storesync.add_listing(:one, 'TEA', 'I1')) AS listings;
CREATE FUNCTION pg_temp.receive(code text, qty bigint DEFAULT 1) RETURNS text
	LANGUAGE SQL AS $$ SELECT outcome || ' ' || version FROM storesync.receive(code, qty, storesync.new_key()) $$;
CREATE FUNCTION pg_temp.sell(sn text, names jsonb) RETURNS text
	LANGUAGE SQL AS $$ SELECT outcome || ' ' || (detail->0->>'booked') FROM
		storesync.ingest_order((SELECT store_id FROM storesync.store), jsonb_build_object('order_sn', sn,
		'status', 'ready_to_ship', 'create_time', extract(epoch FROM now())::bigint,
		'lines', jsonb_build_array('{"line_id": "1", "qty": 1}'::jsonb || names))) $$;
SELECT pg_temp.receive('TEA', 5), pg_temp.receive('CUP', 5);

-- a SKU's code goes to another one, and back
SELECT pg_temp.sell('A1', '{"sku": "TEA"}');
BEGIN;
UPDATE storesync.sku SET code = 'OLD' WHERE code = 'TEA';
UPDATE storesync.sku SET code = 'TEA' WHERE code = 'CUP';
SELECT pg_temp.sell('A2', '{"sku": "TEA"}');
SELECT k.code, l.reserved FROM storesync.sales_order_line l JOIN storesync.sku k USING (sku_id) ORDER BY l.order_id;
ROLLBACK;
SELECT pg_temp.sell('A2', '{"sku": "TEA"}');
SELECT k.code, l.reserved FROM storesync.sales_order_line l JOIN storesync.sku k USING (sku_id) ORDER BY l.order_id;
SELECT pg_temp.sell('A3', '{"sku": "OLD"}');

-- what a row says is read each time
UPDATE storesync.sku SET allow_backorder = true WHERE code = 'TEA';
SELECT pg_temp.sell('B' || i, '{"sku": "TEA"}') FROM generate_series(1, 5) i;
UPDATE storesync.sku SET allow_backorder = false WHERE code = 'TEA';
SELECT pg_temp.sell('B6', '{"sku": "TEA"}');
SELECT pg_temp.receive('TEA', 20);
SELECT pg_temp.sell('C1', '{"item_id": "I1"}');
UPDATE storesync.listing SET pack = 3;
SELECT pg_temp.sell('C2', '{"item_id": "I1"}');

-- rows move: by updates that leave the page, by VACUUM FULL
UPDATE storesync.sku SET name = repeat('x', 1000);
UPDATE storesync.sku SET name = NULL;
VACUUM storesync.sku;
SELECT pg_temp.sell('D1', '{"sku": "TEA"}');
VACUUM FULL storesync.sku;
VACUUM FULL storesync.listing;
SELECT pg_temp.sell('D2', '{"sku": "TEA"}'), pg_temp.sell('D3', '{"item_id": "I1"}');

-- the last versions in the index may have been rolled back
BEGIN;
SELECT pg_temp.receive('CUP') FROM generate_series(1, 5);
ROLLBACK;
SELECT pg_temp.receive('CUP');
BEGIN;
SAVEPOINT s;
SELECT pg_temp.receive('CUP') FROM generate_series(1, 3);
ROLLBACK TO s;
SELECT pg_temp.receive('CUP');
COMMIT;
SELECT pg_temp.receive('CUP');
SELECT version, on_hand FROM storesync.stock JOIN storesync.sku USING (sku_id) WHERE code = 'CUP';

-- the first rows of tables that were empty when they were last looked into
SELECT count(storesync.add_sku('BOX')), storesync.add_sku('SET') > 0 AS made;
SELECT pg_temp.receive('BOX', 4), pg_temp.sell('E1', '{"sku": "BOX"}');
SELECT storesync.set_bundle('SET', '{"BOX": 2}');
SELECT pg_temp.sell('E2', '{"sku": "SET"}'), storesync.available('BOX');

-- many SKUs, more than are remembered at first
SELECT count(storesync.add_sku('K' || i)) FROM generate_series(1, 500) i;
SELECT count(*), max(v) FROM (SELECT pg_temp.receive('K' || i, i) AS v FROM generate_series(1, 500) i) x;
SELECT count(*), max(v) FROM (SELECT pg_temp.receive('K' || i, i) AS v FROM generate_series(1, 500) i) x;
SELECT count(*) FROM storesync.stock JOIN storesync.sku USING (sku_id)
WHERE code LIKE 'K%' AND version = 2 AND on_hand = 2 * substr(code, 2)::int;

SELECT * FROM storesync.check_invariants();
DROP EXTENSION storesync CASCADE;
