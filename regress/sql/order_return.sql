-- Goods back by hand: saleable, damaged, lost; against what documents say.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku('TEA')), count(storesync.add_sku('CUP'));
SELECT count(storesync.add_location('shop')), count(storesync.add_location('scrap', sellable => false));
SELECT count(storesync.add_listing(:one, 'TEA', '100', pack => 2));
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
CREATE FUNCTION pg_temp.put(sn text, status text, minutes int, lines text) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order((SELECT store_id FROM storesync.store), jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint,
		'update_time', extract(epoch FROM at)::bigint + minutes * 60, 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, l.status, l.state, l.reserved AS res, l.shipped AS ship,
	l.restocked AS rest, l.lost, l.short, l.effects AS eff, c.code AS place
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.location c USING (location_id);
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.due AS SELECT order_sn, line_id, sku, units, cause FROM storesync.returns_due ORDER BY 1, 2;

SELECT outcome FROM storesync.receive('TEA', 10, pg_temp.k('r1'));
SELECT pg_temp.put('A', 'shipped', 1, '[{"line_id":"1","item_id":"100","qty":4}]');
SELECT pg_temp.put('A', 'cancelled', 2, '[{"line_id":"1","item_id":"100","qty":4}]');
SELECT * FROM pg_temp.due;
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
-- saleable, damaged, lost: the line remembers, what is due shrinks
SELECT * FROM storesync.receive_return(:one, 'A', '1', 3, pg_temp.k('b1'), reference => 'RMA 1');
SELECT * FROM pg_temp.due;
SELECT * FROM storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('b2'), 'damaged', 'scrap');
SELECT * FROM pg_temp.due;
SELECT * FROM storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('b3'), 'lost');
SELECT * FROM pg_temp.due;
SELECT * FROM pg_temp.line; SELECT * FROM pg_temp.balance;
SELECT version, kind, on_hand_delta, reference, reason, key OPERATOR(storesync.=) pg_temp.k('b1') AS callers_key FROM storesync.ledger WHERE order_id IS NOT NULL ORDER BY location_id, version;
SELECT kind, version FROM storesync.outbox WHERE xid > :'last' ORDER BY xid, ctid;
SELECT status, outcome, lines FROM storesync.order_history ORDER BY recorded_at;
-- replays; other requests under a used key
SELECT * FROM storesync.receive_return(:one, 'A', '1', 3, pg_temp.k('b1'), reference => 'RMA 1');
SELECT * FROM storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('b3'), 'lost');
SELECT storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('b3'), 'saleable');
SELECT storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('b3'), 'lost', 'shop');
SELECT storesync.receive_return(:one, 'A', '1', 3, pg_temp.k('b1'));
-- never more than was shipped and is still out, nor damaged goods for sale
SELECT storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'A', '1', 2, pg_temp.k('x'), 'lost');
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), 'damaged');
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), 'damaged', 'shop');
SELECT outcome FROM storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('b4'), 'saleable', 'shop');
SELECT * FROM pg_temp.line; SELECT * FROM pg_temp.due;
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'));

-- what the platform says later of the same units books nothing; of others it does
SELECT outcome FROM storesync.receive('TEA', 10, pg_temp.k('r2'));
SELECT pg_temp.put('B', 'completed', 1, '[{"line_id":"1","item_id":"100","qty":3,"returned_qty":2}]');
SELECT * FROM pg_temp.due;
SELECT outcome FROM storesync.receive_return(:one, 'B', '1', 1, pg_temp.k('c1'));
SELECT outcome FROM storesync.receive_return(:one, 'B', '1', 1, pg_temp.k('c2'), 'lost');
SELECT * FROM pg_temp.due;
SELECT pg_temp.put('B', 'returned', 2, '[{"line_id":"1","item_id":"100","qty":3,"returned_qty":1}]');
SELECT state, ship, rest, lost, eff FROM pg_temp.line WHERE sn = 'B';
SELECT pg_temp.put('B', 'returned', 3, '[{"line_id":"1","item_id":"100","qty":3,"returned_qty":2}]');
SELECT state, ship, rest, lost, eff FROM pg_temp.line WHERE sn = 'B';
SELECT pg_temp.put('B', 'returned', 4, '[{"line_id":"1","item_id":"100","qty":3}]');
SELECT pg_temp.put('B', 'returned', 4, '[{"line_id":"1","item_id":"100","qty":3}]');
SELECT state, ship, rest, lost, eff FROM pg_temp.line WHERE sn = 'B';

-- units back go to short lines; lost ones and damaged ones do not
SELECT pg_temp.put('C', 'shipped', 1, '[{"line_id":"1","item_id":"100","qty":3},{"line_id":"2","item_id":"100","qty":9,"status":"ready_to_ship"}]');
SELECT id, state, res, ship, short, place FROM pg_temp.line WHERE sn = 'C' ORDER BY id;
SELECT outcome, reserved FROM storesync.receive_return(:one, 'C', '1', 2, pg_temp.k('d1'));
SELECT outcome FROM storesync.receive_return(:one, 'C', '1', 2, pg_temp.k('d2'), 'damaged', 'scrap');
SELECT outcome FROM storesync.receive_return(:one, 'C', '1', 2, pg_temp.k('d3'), 'lost');
SELECT id, state, res, ship, rest, lost, short, eff FROM pg_temp.line WHERE sn = 'C' ORDER BY id;
SELECT * FROM pg_temp.balance;

-- nothing was shipped, nothing is there
SELECT pg_temp.put('D', 'ready_to_ship', 1, '[{"line_id":"1","sku":"CUP","qty":1},{"line_id":"2","sku":"NONE","qty":1}]');
SELECT storesync.receive_return(:one, 'D', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'D', '2', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'D', '3', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'E', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(-1, 'A', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), location => 'nowhere');
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), 'broken');
SELECT storesync.receive_return(:one, 'A', '1', 0, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'A', '1', NULL, pg_temp.k('x'));
SELECT storesync.receive_return(NULL, 'A', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, NULL, '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'A', '1', 1, NULL);
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), NULL);
\set VERBOSITY sqlstate
SELECT storesync.receive_return(:one, 'D', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'D', '3', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'E', '1', 1, pg_temp.k('x'));
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'), 'broken');
BEGIN READ ONLY;
SELECT storesync.receive_return(:one, 'A', '1', 1, pg_temp.k('x'));
ROLLBACK;
\set VERBOSITY terse
SELECT * FROM storesync.check_invariants();

-- What comes back is what was sent, whatever document, listing or bundle says by now.
SELECT count(storesync.add_sku(x)) FROM unnest(ARRAY['TRAY', 'LID', 'GIFT']) x;
SELECT r.sku, storesync.receive(r.sku, r.qty, pg_temp.k(r.sku)) FROM (VALUES ('CUP', 20), ('TRAY', 20), ('LID', 26)) r (sku, qty);
CREATE VIEW pg_temp.came AS SELECT o.order_sn AS sn, s.code AS sku, c.code AS place, sum(g.on_hand_delta) AS units
	FROM storesync.ledger g JOIN storesync.sales_order o USING (order_id) JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id)
	WHERE g.kind = 'restock' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
CREATE FUNCTION pg_temp.back(sn text, units int, place text DEFAULT 'main') RETURNS text LANGUAGE SQL AS $$ SELECT r.outcome FROM storesync.receive_return((SELECT store_id FROM storesync.store),
	sn, '1', units, pg_temp.k(concat_ws(' ', 'back', sn, units, place)), CASE place WHEN 'scrap' THEN 'damaged' ELSE 'saleable' END, place) r $$;
-- another code, a listing instead, a listing that is none
SELECT pg_temp.put('F', 'shipped', 1, '[{"line_id":"1","sku":"CUP","qty":4}]');
SELECT pg_temp.put('F', 'shipped', 2, '[{"line_id":"1","sku":"TRAY","qty":4}]'), pg_temp.back('F', 1);
SELECT pg_temp.put('F', 'completed', 3, '[{"line_id":"1","item_id":"100","qty":4}]'), pg_temp.back('F', 1, 'shop');
SELECT pg_temp.put('F', 'cancelled', 4, '[{"line_id":"1","item_id":"404","qty":4}]'), pg_temp.back('F', 1, 'scrap');
-- a listing mapped anew; parked when it was sent, then mapped, then mapped anew
SELECT pg_temp.put('G', 'shipped', 1, '[{"line_id":"1","item_id":"200","qty":2}]'), pg_temp.put('H', 'shipped', 1, '[{"line_id":"1","item_id":"201","qty":2}]');
SELECT count(storesync.add_listing(:one, 'LID', '200', pack => 2)), count(storesync.add_listing(:one, 'TRAY', '201'));
UPDATE storesync.listing SET sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'CUP'), pack = 1 WHERE item_id IN ('200', '201');
SELECT pg_temp.back('G', 1), pg_temp.put('G', 'completed', 2, '[{"line_id":"1","item_id":"200","qty":2}]'), pg_temp.back('G', 3, 'scrap');
SELECT pg_temp.back('H', 1), pg_temp.put('H', 'completed', 2, '[{"line_id":"1","item_id":"201","qty":2}]'), pg_temp.back('H', 1, 'shop');
-- a bundle made otherwise, then none, then with stock of its own
SELECT storesync.set_bundle('GIFT', '{"CUP": 1, "LID": 2}');
SELECT pg_temp.put('I', 'shipped', 1, '[{"line_id":"1","sku":"GIFT","qty":4}]'), pg_temp.put('K', 'shipped', 1, '[{"line_id":"1","sku":"GIFT","qty":9}]'),
	pg_temp.put('J', 'ready_to_ship', 1, '[{"line_id":"1","sku":"GIFT","qty":9}]');
SELECT storesync.set_bundle('GIFT', '{"TRAY": 1}'), pg_temp.back('I', 1);
SELECT storesync.set_bundle('GIFT', NULL), pg_temp.back('I', 1, 'shop');
SELECT pg_temp.put('L', 'ready_to_ship', 1, '[{"line_id":"1","sku":"GIFT","qty":1}]');
SELECT o.order_sn, l.state, l.reserved, l.shipped, l.short, l.parts IS NOT NULL AS parts FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
WHERE o.order_sn IN ('J', 'K', 'L') ORDER BY 1;
-- units of what was the bundle are for lines that were booked as plain ones, those of its components for the others; a count explains none of these
SELECT outcome, reserved FROM storesync.receive('GIFT', 3, pg_temp.k('s4'));
SELECT outcome, on_hand, reserved FROM storesync.adjust('GIFT', 5, pg_temp.k('s5'));
SELECT pg_temp.put('L', 'ready_to_ship', 2, '[{"line_id":"1","sku":"GIFT","qty":9}]');
SELECT outcome, reserved FROM storesync.receive('TRAY', 1, pg_temp.k('s6'));
SELECT outcome, reserved FROM storesync.receive('CUP', 9, pg_temp.k('s7'));
SELECT outcome, reserved FROM storesync.receive('LID', 9, pg_temp.k('s8'));
SELECT pg_temp.back('I', 2, 'scrap'), pg_temp.back('K', 1);
SELECT o.order_sn, l.state, l.reserved, l.shipped, l.restocked AS rest, l.short, l.parts IS NOT NULL AS parts FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
WHERE o.order_sn IN ('I', 'J', 'K', 'L') ORDER BY 1;
SELECT * FROM pg_temp.came WHERE sn >= 'F';
SELECT * FROM storesync.check_invariants();
-- a hand in the tables can say that what was sent is a bundle by now: that is no internal error either
SELECT storesync.add_sku('BOX') AS box, storesync.set_bundle('BOX', '{"TRAY": 1}') \gset
BEGIN;
UPDATE storesync.sales_order_line l SET sku_id = :box FROM storesync.sales_order o WHERE o.order_id = l.order_id AND o.order_sn = 'K';
SELECT pg_temp.back('K', 1, 'shop');
UPDATE storesync.sales_order_line l SET sku_id = :box FROM storesync.sales_order o WHERE o.order_id = l.order_id AND o.order_sn = 'F';
\set VERBOSITY sqlstate
SELECT storesync.receive_return(:one, 'F', '1', 1, pg_temp.k('s9'));
ROLLBACK;
\set VERBOSITY terse
