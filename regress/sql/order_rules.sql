-- Rules of the ledger and of orders that the tests by theme would not miss, each by the mistake that it forbids.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP', 'POT', 'MUG', 'JAR']) c;
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
CREATE FUNCTION pg_temp.put(sn text, status text, minutes int, lines text, days int DEFAULT 0) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order((SELECT store_id FROM storesync.store), jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint - days * 86400,
		'update_time', extract(epoch FROM at)::bigint + minutes * 60, 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, l.status, l.state, l.reserved AS res, l.shipped AS ship,
	l.restocked AS rest, l.short, l.effects AS eff FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) ORDER BY 1;

-- two facts of one moment are two, however alike: nothing is told apart by time or by quantity
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT outcome, on_hand, version FROM storesync.receive('TEA', 5, pg_temp.k('one'));
SELECT outcome, on_hand, version FROM storesync.receive('TEA', 5, pg_temp.k('two'));
-- up and down again: each is a version and a row of the outbox
SELECT outcome, reserved, version FROM storesync.reserve('TEA', 1, pg_temp.k('up'));
SELECT outcome, reserved, version FROM storesync.release('TEA', 1, pg_temp.k('down'));
SELECT outcome, reserved, version FROM storesync.reserve('TEA', 1, pg_temp.k('up again'), reference => 'x');
SELECT kind, version FROM storesync.outbox WHERE xid > :'last' ORDER BY xid, ctid;

-- no direct call reaches what an order line holds, whatever reference it names
SELECT pg_temp.put('A', 'ready_to_ship', 1, '[{"line_id":"1","sku":"TEA","qty":4}]');
SELECT storesync.release('TEA', 1, pg_temp.k('a'), reference => r) FROM unnest(ARRAY['A', '1', 'A/1', 'A 1']) r;
SELECT storesync.release('TEA', 1, pg_temp.k('a'), reference => '1');
SELECT storesync.ship('TEA', 1, pg_temp.k('a'), reference => 'A');
SELECT storesync.release('TEA', 1, pg_temp.k('a'));
SELECT storesync.release('TEA', 2, pg_temp.k('a'), reference => 'x');
SELECT * FROM pg_temp.balance WHERE sku = 'TEA';

-- the horizon of keys does not bind orders: one of 100 days ago is booked, and booked once
SELECT storesync.receive('TEA', 1, storesync.derive_key(at - interval '100 days', 'x')) FROM clock;
SELECT pg_temp.put('B', 'ready_to_ship', 1, '[{"line_id":"1","sku":"TEA","qty":1}]', 100);
SELECT pg_temp.put('B', 'ready_to_ship', 1, '[{"line_id":"1","sku":"TEA","qty":1}]', 100);
SELECT pg_temp.put('B', 'shipped', 2, '[{"line_id":"1","sku":"TEA","qty":1}]', 100);
SELECT now() - storesync.key_time(key) > interval '99 days' AS old_key, kind FROM storesync.ledger JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'B' ORDER BY version;

-- sent without the books having it: what was missing then is not sent again from a delivery, only what is sent beyond it
SELECT outcome FROM storesync.receive('CUP', 2, pg_temp.k('c1'));
SELECT pg_temp.put('C', 'shipped', 1, '[{"line_id":"1","sku":"CUP","qty":5}]');
SELECT outcome FROM storesync.receive('CUP', 10, pg_temp.k('c2'));
SELECT pg_temp.put('C', 'shipped', 2, '[{"line_id":"1","sku":"CUP","qty":6}]');
SELECT * FROM pg_temp.line WHERE sn = 'C';
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';
-- cancelled on its way: what the books never sent is nobody's any more, what they sent is due back
SELECT pg_temp.put('C', 'cancelled', 3, '[{"line_id":"1","sku":"CUP","qty":6}]');
SELECT * FROM pg_temp.line WHERE sn = 'C';
SELECT units, cause FROM storesync.returns_due WHERE order_sn = 'C';
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';

-- more has left since it was counted than there was: nothing is left, never less
SELECT outcome FROM storesync.receive('POT', 5, pg_temp.k('p1'));
SELECT clock_timestamp() AS noon \gset
SELECT outcome FROM storesync.reserve('POT', 4, pg_temp.k('p2'));
SELECT outcome FROM storesync.ship('POT', 4, pg_temp.k('p3'));
SELECT * FROM storesync.adjust('POT', 2, pg_temp.k('p4'), counted_at => :'noon');
SELECT * FROM pg_temp.balance WHERE sku = 'POT';
-- a count that is late takes nothing from who reserved since what is there
SELECT outcome FROM storesync.receive('POT', 3, pg_temp.k('p5'));
SELECT pg_temp.put('D', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":2}]');
SELECT * FROM storesync.adjust('POT', 5, pg_temp.k('p6'), counted_at => :'noon');
SELECT * FROM pg_temp.line WHERE sn = 'D';

-- the worst word: parked before short before applied, and stale changes nothing
SELECT outcome FROM storesync.receive('MUG', 1, pg_temp.k('m1'));
SELECT pg_temp.put('E', 'ready_to_ship', 2, '[{"line_id":"1","sku":"MUG","qty":1},{"line_id":"2","sku":"MUG","qty":1},{"line_id":"3","sku":"NONE","qty":1}]'),
	pg_temp.put('E', 'ready_to_ship', 3, '[{"line_id":"1","sku":"MUG","qty":1},{"line_id":"2","sku":"MUG","qty":1}]'),
	pg_temp.put('E', 'in_cancel', 4, '[{"line_id":"1","sku":"MUG","qty":1}]'),
	pg_temp.put('E', 'in_cancel', 5, '[{"line_id":"1","sku":"MUG","qty":1}]'),
	pg_temp.put('E', 'shipped', 1, '[{"line_id":"1","sku":"MUG","qty":1},{"line_id":"3","sku":"NONE","qty":1}]');
SELECT * FROM pg_temp.line WHERE sn = 'E';

-- a listing that sells another SKU, or another pack, from now on: what is booked keeps, down to its return
SELECT outcome FROM storesync.receive('JAR', 10, pg_temp.k('j1'));
SELECT storesync.add_listing(:one, 'JAR', '100', pack => 2) AS listing \gset
SELECT pg_temp.put('F', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":2}]');
UPDATE storesync.listing SET pack = 3 WHERE listing_id = :listing;
SELECT pg_temp.put('F', 'ready_to_ship', 2, '[{"line_id":"1","item_id":"100","qty":1}]');
UPDATE storesync.listing SET sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'MUG') WHERE listing_id = :listing;
SELECT pg_temp.put('F', 'shipped', 3, '[{"line_id":"1","item_id":"100","qty":2}]');
SELECT pg_temp.put('F', 'returned', 4, '[{"line_id":"1","item_id":"100","qty":2}]');
SELECT * FROM pg_temp.line WHERE sn = 'F';
SELECT * FROM pg_temp.balance;

-- two documents of an order in one page: what the second moves depends on the first, which by itself moves nothing
SELECT pg_temp.put('G', 'shipped', 1, '[{"line_id":"1","sku":"JUG","qty":1}]');
SELECT count(storesync.add_sku('JUG'));
UPDATE storesync.store SET returns = 'platform' WHERE store_id = :one;
SELECT order_sn, outcome FROM clock, storesync.ingest_orders(:one, jsonb_build_array(
	jsonb_build_object('order_sn', 'G', 'status', 'ready_to_ship', 'create_time', at, 'update_time', at + interval '2 minutes',
		'lines', '[{"line_id":"1","sku":"JUG","qty":1,"returned_qty":2}]'::jsonb),
	jsonb_build_object('order_sn', 'G', 'status', 'completed', 'create_time', at, 'update_time', at + interval '3 minutes',
		'lines', '[{"line_id":"1","sku":"JUG","qty":1}]'::jsonb)));
SELECT * FROM pg_temp.line WHERE sn = 'G';

-- a line that left by a status of its own before the count, and had a document since: it had left all the same
SELECT count(storesync.add_sku('KEG'));
SELECT pg_temp.put('H', 'ready_to_ship', 1, '[{"line_id":"1","sku":"KEG","qty":3,"status":"shipped"},{"line_id":"2","sku":"KEG","qty":1}]');
SELECT clock_timestamp() AS noon \gset
SELECT pg_temp.put('H', 'in_cancel', 2, '[{"line_id":"1","sku":"KEG","qty":3,"cancelled_qty":1,"status":"shipped"},{"line_id":"2","sku":"KEG","qty":1,"status":"shipped"}]');
SELECT h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'H' ORDER BY h.recorded_at;
SELECT * FROM storesync.adjust('KEG', 5, pg_temp.k('keg'), counted_at => :'noon');
SELECT * FROM pg_temp.line WHERE sn = 'H';
SELECT kind, on_hand_delta, on_hand, reference FROM storesync.ledger JOIN storesync.sku USING (sku_id) WHERE code = 'KEG' ORDER BY version;
SELECT * FROM storesync.check_invariants();
