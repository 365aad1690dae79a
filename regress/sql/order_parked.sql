-- Parked lines: booked when the catalogue comes to know them, in the same transaction, bounded.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT storesync.add_store('shopee', '2', 'Two') AS two \gset
SELECT count(storesync.add_sku('TEA')), count(storesync.add_sku('CUP'));
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.put(store int, sn text, status text, minutes int, lines text) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order(store, jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint, 'buyer', 'b',
		'update_time', extract(epoch FROM at)::bigint + minutes * 60, 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.store_id AS store, o.order_sn AS sn, l.line_id AS id, s.code AS sku, l.pack, l.status, l.state, l.qty,
	l.cancelled_qty AS canc, l.reserved AS res, l.shipped AS ship, l.restocked AS rest, l.short, l.effects AS eff, l.unit_price, l.reason
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.sku s USING (sku_id)
	ORDER BY 1, 2, 3;
SELECT (storesync.receive('TEA', 10, storesync.new_key())).outcome, (storesync.receive('CUP', 3, storesync.new_key())).outcome;

-- of every status, beside lines that are booked, short, partly cancelled, back; in two stores
SELECT pg_temp.put(:one, 'A', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":2,"unit_price":9.5},{"line_id":"2","sku":"CUP","qty":2,"cancelled_qty":1}]'),
	pg_temp.put(:one, 'B', 'shipped', 1, '[{"line_id":"1","item_id":"100","qty":1},{"line_id":"2","sku":"CUP","qty":3,"status":"ready_to_ship"}]'),
	pg_temp.put(:one, 'C', 'cancelled', 1, '[{"line_id":"1","item_id":"100","qty":1}]'),
	pg_temp.put(:one, 'D', 'unpaid', 1, '[{"line_id":"1","item_id":"100","model_id":"7","qty":1}]'),
	pg_temp.put(:one, 'E', 'returned', 1, '[{"line_id":"1","item_id":"100","qty":2},{"line_id":"2","sku":"CUP","qty":1,"returned_qty":1}]'),
	pg_temp.put(:two, 'A', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":1},{"line_id":"2","sku":"POT","qty":1}]');
SELECT * FROM pg_temp.line;
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
BEGIN;
SELECT storesync.add_listing(:one, 'TEA', '100', pack => 2) AS listing \gset
SELECT * FROM pg_temp.line;
COMMIT;
SELECT s.code, o.kind, o.version = (SELECT t.version FROM storesync.stock t WHERE t.sku_id = s.sku_id) AS last_version
FROM storesync.outbox o LEFT JOIN storesync.sku s ON s.sku_id = o.subject AND o.kind = 'stock' WHERE o.xid > :'last' ORDER BY 2, 1;
SELECT o.order_sn, h.outcome, h.status, h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id) WHERE o.store_id = :one ORDER BY o.order_sn, h.recorded_at;
SELECT order_sn, status, buyer, update_time - at AS after FROM storesync.sales_order, clock ORDER BY store_id, order_sn;
-- its own documents go on from there
SELECT pg_temp.put(:one, 'A', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":2,"unit_price":9.5},{"line_id":"2","sku":"CUP","qty":2,"cancelled_qty":1}]');
SELECT pg_temp.put(:one, 'A', 'shipped', 2, '[{"line_id":"1","item_id":"100","qty":2},{"line_id":"2","sku":"CUP","qty":2,"cancelled_qty":1}]');
SELECT id, state, res, ship FROM pg_temp.line WHERE sn = 'A' AND store = :one;
-- a mapping that changes; a policy that does not map
UPDATE storesync.listing SET buffer = 1 WHERE listing_id = :listing;
SELECT state FROM pg_temp.line WHERE sn = 'D';
UPDATE storesync.listing SET item_id = '100', model_id = '7' WHERE listing_id = :listing;
SELECT state, pack, res, short FROM pg_temp.line WHERE sn = 'D';
-- a SKU that lines name
SELECT count(storesync.add_sku('POT'));
SELECT id, sku, state, short FROM pg_temp.line WHERE store = :two;
SELECT storesync.take_up_parked();
SELECT * FROM storesync.check_invariants();

-- many: as many as are asked for, and the dispatcher is told of the rest
SELECT count(*) FROM storesync.ingest_orders(:two, (SELECT jsonb_agg(jsonb_build_object('order_sn', 'M' || n, 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM at)::bigint, 'lines', '[{"line_id":"1","item_id":"300","qty":1},{"line_id":"2","item_id":"300","qty":1}]'::jsonb))
	FROM clock, generate_series(1, 600) n));
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT count(storesync.add_listing(:two, 'TEA', '300'));
SELECT state, count(*) FROM pg_temp.line WHERE sn LIKE 'M%' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM storesync.outbox WHERE xid > :'last' AND kind = 'order';
SELECT storesync.take_up_parked(100);
SELECT storesync.take_up_parked();
SELECT storesync.take_up_parked();
SELECT state, count(*), sum(res) AS res, sum(short) AS short FROM pg_temp.line WHERE sn LIKE 'M%' GROUP BY 1 ORDER BY 1;
-- the last unit goes to the oldest paid order, whatever its number and its store: an unpaid one and a younger one wait
SELECT count(storesync.add_sku(c)), sum((storesync.receive(c, 2, storesync.new_key())).on_hand) FROM unnest(ARRAY['PAN', 'MUG', 'JAR']) c;
CREATE FUNCTION pg_temp.put_made(store int, sn text, status text, made int, lines text) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order(store, jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint + made * 60,
		'fetched_at', extract(epoch FROM at)::bigint + 6000, 'lines', lines::jsonb)) r $$;
SELECT pg_temp.put_made(:one, 'P1', 'ready_to_ship', 9, '[{"line_id":"1","item_id":"500","qty":2}]'),
	pg_temp.put_made(:one, 'P2', 'ready_to_ship', 8, '[{"line_id":"1","item_id":"500","qty":2}]'),
	pg_temp.put_made(:two, 'P3', 'ready_to_ship', 7, '[{"line_id":"1","item_id":"500","qty":2}]'),
	pg_temp.put_made(:one, 'P4', 'unpaid', 1, '[{"line_id":"1","item_id":"500","qty":2}]');
-- one line that is paid is enough
SELECT pg_temp.put_made(:two, 'P5', 'unpaid', 6, '[{"line_id":"1","item_id":"501","qty":1},{"line_id":"2","item_id":"501","qty":1,"status":"ready_to_ship"}]'),
	pg_temp.put_made(:one, 'P6', 'unpaid', 2, '[{"line_id":"1","item_id":"501","qty":2}]'),
	pg_temp.put_made(:one, 'P7', 'ready_to_ship', 7, '[{"line_id":"1","item_id":"501","qty":2}]');
SELECT count(storesync.add_listing(s, k, i)) FROM unnest(ARRAY[:one, :two]) s, (VALUES ('MUG', 'x500'), ('JAR', 'x501')) v (k, i);
UPDATE storesync.listing SET item_id = substr(item_id, 2) WHERE item_id LIKE 'x%';
SELECT sn, id, state, res, short FROM pg_temp.line WHERE sn LIKE 'P%' ORDER BY sn, id;
-- asked for one, the oldest paid one is taken up
SELECT pg_temp.put_made(:one, 'Q1', 'unpaid', 1, '[{"line_id":"1","item_id":"502","qty":1}]'),
	pg_temp.put_made(:one, 'Q2', 'ready_to_ship', 9, '[{"line_id":"1","item_id":"502","qty":1}]'),
	pg_temp.put_made(:two, 'Q3', 'ready_to_ship', 7, '[{"line_id":"1","item_id":"502","qty":1}]');
ALTER TABLE storesync.listing DISABLE TRIGGER listing_mapped;
SELECT count(storesync.add_listing(s, 'PAN', 'x502')) FROM unnest(ARRAY[:one, :two]) s;
UPDATE storesync.listing SET item_id = '502' WHERE item_id = 'x502';
ALTER TABLE storesync.listing ENABLE TRIGGER listing_mapped;
SELECT storesync.take_up_parked(1);
SELECT sn, state, res FROM pg_temp.line WHERE sn LIKE 'Q%' ORDER BY sn;
SELECT storesync.take_up_parked();
SELECT sn, state, res, short FROM pg_temp.line WHERE sn LIKE 'Q%' ORDER BY sn;
-- stores are mixed: the second oldest is the other store's
SELECT count(storesync.add_sku('TUB')), sum((storesync.receive('TUB', 2, storesync.new_key())).on_hand);
SELECT pg_temp.put_made(:one, 'R1', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"503","qty":1}]'),
	pg_temp.put_made(:one, 'R2', 'ready_to_ship', 7, '[{"line_id":"1","item_id":"503","qty":1}]'),
	pg_temp.put_made(:two, 'R3', 'ready_to_ship', 6, '[{"line_id":"1","item_id":"503","qty":1}]');
SELECT count(storesync.add_listing(s, 'TUB', 'x503')) FROM unnest(ARRAY[:one, :two]) s;
UPDATE storesync.listing SET item_id = '503' WHERE item_id = 'x503';
SELECT sn, state, res, short FROM pg_temp.line WHERE sn LIKE 'R%' ORDER BY sn;
-- past its store's hold an unpaid order that nobody knows the goods of wants nothing either; paid, it is parked, and taken up
UPDATE storesync.store SET unpaid_hold = '1 hour' WHERE store_id = :one;
SELECT pg_temp.put(:one, 'L', 'unpaid', 1, '[{"line_id":"1","item_id":"600","qty":1}]');
SELECT state, reason FROM pg_temp.line WHERE sn = 'L';
SELECT * FROM storesync.check_invariants();
SELECT count(storesync.add_listing(:one, 'PAN', '600'));
SELECT state FROM pg_temp.line WHERE sn = 'L';
SELECT pg_temp.put(:one, 'L', 'unpaid', 2, '[{"line_id":"1","item_id":"600","qty":1}]');
SELECT state, sku FROM pg_temp.line WHERE sn = 'L';
SELECT pg_temp.put(:one, 'L', 'ready_to_ship', 3, '[{"line_id":"1","item_id":"600","qty":1}]');
SELECT state, sku, short FROM pg_temp.line WHERE sn = 'L';
UPDATE storesync.store SET unpaid_hold = NULL WHERE store_id = :one;
-- orders of too long ago are left alone
SELECT pg_temp.put(:two, 'O', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"400","qty":1}]');
UPDATE storesync.sales_order SET create_time = create_time - interval '731 days' WHERE order_sn = 'O';
SELECT count(storesync.add_listing(:two, 'TEA', '400'));
SELECT storesync.take_up_parked();
SELECT state FROM pg_temp.line WHERE sn = 'O';
SELECT storesync.take_up_parked(0);
SELECT storesync.take_up_parked(10001);
SELECT storesync.take_up_parked(NULL);
SELECT * FROM storesync.check_invariants();
