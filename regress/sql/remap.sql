-- A wrong mapping corrected: lines of every kind are taken back from one SKU and booked on another.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(code)) FROM unnest(ARRAY['RED', 'BLUE', 'CUP', 'POT', 'SET', 'PIN']) code;
SELECT storesync.set_bundle('SET', '{"CUP": 2, "POT": 1}');
SELECT count(storesync.add_location('north')), count(storesync.add_location('scrap', sellable => false));
SELECT storesync.add_listing(:one, 'RED', '100') AS l100, storesync.add_listing(:one, 'RED', '200') AS l200,
	storesync.add_listing(:one, 'SET', '300') AS l300, storesync.add_listing(:one, 'PIN', '400') AS l400 \gset
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
CREATE FUNCTION pg_temp.put(sn text, status text, minutes int, lines text) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order((SELECT store_id FROM storesync.store WHERE platform = 'shopee'), jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint + ascii(sn),
		'update_time', extract(epoch FROM at)::bigint + 1000 + minutes * 60, 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, k.code AS sku, l.pack, l.status, l.state, l.reserved AS res, l.shipped AS ship,
	l.restocked AS rest, l.lost, l.short, l.effects AS eff, c.code AS place, l.reason
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.sku k USING (sku_id)
	LEFT JOIN storesync.location c USING (location_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id)
	WHERE t.version > 0 ORDER BY 1, 2;
CREATE VIEW pg_temp.moves AS SELECT o.order_sn AS sn, k.code AS sku, c.code AS place, g.version AS v, g.kind, g.on_hand_delta AS hand, g.reserved_delta AS res, g.reason
	FROM storesync.ledger g JOIN storesync.sku k USING (sku_id) JOIN storesync.location c USING (location_id)
	LEFT JOIN storesync.sales_order o USING (order_id) ORDER BY g.recorded_at, k.code, c.code, g.version;
CREATE VIEW pg_temp.sold AS SELECT k.code AS sku, m.month = date_trunc('month', at AT TIME ZONE 'Asia/Taipei') AS this_month, m.sold, m.amount
	FROM clock, storesync.sku_month m JOIN storesync.sku k USING (sku_id) WHERE m.sold <> 0 OR m.amount <> 0 ORDER BY 1;

-- one line of each kind: reserved, unpaid, sent, sent and back, damaged and lost, cancelled before and after it left
SELECT count((storesync.receive(code, 30, pg_temp.k(code))).outcome) FROM unnest(ARRAY['RED', 'BLUE']) code;
SELECT pg_temp.put('A', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","sku":"BLUE","qty":2,"unit_price":10},{"line_id":"2","sku":"RED","qty":1,"unit_price":7}]');
SELECT pg_temp.put('B', 'unpaid', 1, '[{"line_id":"1","item_id":"100","qty":1,"unit_price":10}]');
SELECT pg_temp.put('C', 'shipped', 1, '[{"line_id":"1","item_id":"100","sku":"RED","qty":3,"unit_price":10}]');
SELECT pg_temp.put('D', 'shipped', 1, '[{"line_id":"1","item_id":"100","qty":5,"unit_price":10}]');
SELECT (storesync.receive_return(:one, 'D', '1', 2, pg_temp.k('d1'))).outcome,
	(storesync.receive_return(:one, 'D', '1', 1, pg_temp.k('d2'), 'damaged', 'scrap')).outcome,
	(storesync.receive_return(:one, 'D', '1', 1, pg_temp.k('d3'), 'lost')).outcome;
SELECT pg_temp.put('E', 'cancelled', 1, '[{"line_id":"1","item_id":"100","qty":1,"unit_price":10}]');
SELECT pg_temp.put('F', 'shipped', 1, '[{"line_id":"1","item_id":"100","qty":4,"unit_price":10}]'),
	pg_temp.put('F', 'cancelled', 2, '[{"line_id":"1","item_id":"100","qty":4,"unit_price":10}]');
-- not of this listing
SELECT pg_temp.put('G', 'shipped', 1, '[{"line_id":"1","item_id":"200","qty":1,"unit_price":10}]');
CALL storesync.roll_up();
SELECT * FROM pg_temp.sold WHERE sku IN ('RED', 'BLUE');
SELECT sn, id, sku, reason FROM pg_temp.line WHERE reason IS NOT NULL;

SELECT * FROM storesync.remap_preview(:l100, 'BLUE');
CALL storesync.remap_listing(:l100, 'BLUE');
SELECT * FROM pg_temp.line;
SELECT * FROM pg_temp.balance;
SELECT * FROM pg_temp.moves WHERE reason = 'remapped' AND sn IN ('A', 'D') OR (sn = 'D' AND kind = 'restock');
CALL storesync.roll_up();
SELECT * FROM pg_temp.sold WHERE sku IN ('RED', 'BLUE');
SELECT code FROM storesync.listing JOIN storesync.sku USING (sku_id) WHERE listing_id = :l100;
SELECT action, before, after FROM storesync.audit WHERE subject = 'listing ' || :l100 AND action <> 'add' ORDER BY audit_id;
SELECT o.order_sn, h.outcome, h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id) WHERE h.outcome = 'remapped' ORDER BY 1;
SELECT order_sn, sku, units, cause FROM storesync.returns_due ORDER BY 1;
SELECT * FROM storesync.check_invariants();
-- again: nothing
SELECT count(*) AS rows FROM storesync.ledger \gset
SELECT * FROM storesync.remap_preview(:l100, 'BLUE');
CALL storesync.remap_listing(:l100, 'BLUE');
SELECT count(*) = :rows AS same FROM storesync.ledger;
-- what comes later goes on from there
SELECT pg_temp.put('A', 'shipped', 3, '[{"line_id":"1","item_id":"100","sku":"BLUE","qty":2,"unit_price":10},{"line_id":"2","sku":"RED","qty":1,"unit_price":7}]');
SELECT pg_temp.put('C', 'shipped', 1, '[{"line_id":"1","item_id":"100","sku":"RED","qty":3,"unit_price":10}]');
SELECT (storesync.receive_return(:one, 'F', '1', 4, pg_temp.k('f1'))).on_hand;
SELECT pg_temp.put('H', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"100","qty":1,"unit_price":10}]');
SELECT sn, id, sku, res, ship, rest, eff FROM pg_temp.line WHERE sn IN ('A', 'C', 'F', 'H');
SELECT * FROM storesync.check_invariants();
-- there and back again: as it was
SELECT * FROM pg_temp.balance;
CALL storesync.remap_listing(:l100, 'RED');
SELECT * FROM pg_temp.balance;
CALL storesync.remap_listing(:l100, 'BLUE');
SELECT * FROM pg_temp.balance;
SELECT * FROM storesync.check_invariants();

-- The new SKU has too little: what was sent gets what there is, then who is paid, then the oldest.
SELECT (storesync.adjust('BLUE', 3, pg_temp.k('few'))).on_hand, (storesync.adjust('RED', 20, pg_temp.k('red'))).on_hand;
SELECT sn, sku, res, ship, short FROM pg_temp.line WHERE short > 0;
SELECT pg_temp.put('I', 'unpaid', 1, '[{"line_id":"1","item_id":"200","qty":2}]');
SELECT pg_temp.put('J', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"200","qty":2}]');
SELECT pg_temp.put('K', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"200","qty":2}]');
SELECT pg_temp.put('L', 'shipped', 1, '[{"line_id":"1","item_id":"200","qty":1}]');
-- one waits for what comes free
SELECT pg_temp.put('M', 'ready_to_ship', 1, '[{"line_id":"1","sku":"RED","qty":14}]');
SELECT sn, sku, state, res, ship, short FROM pg_temp.line WHERE sn >= 'G';
SELECT * FROM storesync.remap_preview(:l200, 'BLUE');
CALL storesync.remap_listing(:l200, 'BLUE');
SELECT sn, sku, state, res, ship, short, place FROM pg_temp.line WHERE sn >= 'G';
SELECT * FROM pg_temp.balance;
SELECT * FROM storesync.check_invariants();
SELECT (storesync.receive('BLUE', 5, pg_temp.k('more'))).available;
SELECT sn, sku, state, res, ship, short FROM pg_temp.line WHERE sn >= 'G';
SELECT * FROM storesync.check_invariants();

-- Sent without the books having it, by the old and by the new: short, and explained by a count of the new.
SELECT pg_temp.put('N', 'shipped', 1, '[{"line_id":"1","item_id":"400","qty":3}]');
CALL storesync.remap_listing(:l400, 'BLUE');
SELECT sn, sku, state, ship, short FROM pg_temp.line WHERE sn = 'N';
SELECT on_hand FROM pg_temp.balance WHERE sku = 'BLUE' AND place = 'main';
SELECT (storesync.adjust('BLUE', 9, pg_temp.k('nine'))).on_hand;
SELECT sn, sku, state, ship, short FROM pg_temp.line WHERE sn = 'N';
SELECT * FROM storesync.check_invariants();
-- that row says when it was: the count of one SKU says nothing of the other
CALL storesync.remap_listing(:l400, 'PIN');
SELECT * FROM pg_temp.balance WHERE sku IN ('BLUE', 'PIN');
SELECT sn, sku, state, ship, short FROM pg_temp.line WHERE sn = 'N';
SELECT * FROM storesync.check_invariants();

-- Counted since: on hand is right already, of the old, of the new, of both; what was booked after the count is not.
SELECT (storesync.receive('PIN', 40, pg_temp.k('pins'))).on_hand;
SELECT pg_temp.put('O', 'shipped', 1, '[{"line_id":"1","item_id":"400","qty":2}]');
SELECT (storesync.adjust('PIN', 40, pg_temp.k('pin40'))).on_hand;
SELECT pg_temp.put('P', 'shipped', 1, '[{"line_id":"1","item_id":"400","qty":1}]');
SELECT (storesync.adjust('BLUE', 20, pg_temp.k('blue20'))).on_hand;
SELECT pg_temp.put('Q', 'shipped', 1, '[{"line_id":"1","item_id":"400","qty":4}]');
SELECT (storesync.receive_return(:one, 'O', '1', 1, pg_temp.k('o1'))).on_hand;
SELECT sku, lines, shipped, returned, short, on_hand FROM storesync.remap_preview(:l400, 'BLUE', since => '-infinity');
SELECT max(recorded_at) AS last FROM storesync.ledger \gset
CALL storesync.remap_listing(:l400, 'BLUE', since => '-infinity');
SELECT * FROM pg_temp.balance WHERE sku IN ('BLUE', 'PIN');
SELECT sn, sku, place, kind, on_hand_delta AS hand FROM (SELECT o.order_sn AS sn, k.code AS sku, c.code AS place, g.* FROM storesync.ledger g JOIN storesync.sku k USING (sku_id)
	JOIN storesync.location c USING (location_id) JOIN storesync.sales_order o USING (order_id)) x WHERE recorded_at > :'last' AND sn IN ('O', 'P', 'Q')
	ORDER BY sn, sku, version;
SELECT sn, sku, state, ship, rest, short FROM pg_temp.line WHERE sn IN ('N', 'O', 'P', 'Q');
SELECT * FROM storesync.check_invariants();

-- A count that was made before and comes in after: it has seen the goods, and the books say now what it saw.
SELECT storesync.add_sku('TIN') > 0 AS tin, storesync.add_sku('TUB') > 0 AS tub;
SELECT count((storesync.receive(code, 10, pg_temp.k(code))).outcome) FROM unnest(ARRAY['TIN', 'TUB']) code;
SELECT storesync.add_listing(:one, 'TIN', '900') AS l900 \gset
SELECT pg_temp.put('d', 'shipped', 1, '[{"line_id":"1","item_id":"900","qty":3}]');
SELECT clock_timestamp() AS counted_at \gset
SELECT pg_temp.put('e', 'shipped', 1, '[{"line_id":"1","item_id":"900","qty":1}]');
CALL storesync.remap_listing(:l900, 'TUB');
SELECT * FROM pg_temp.balance WHERE sku IN ('TIN', 'TUB');
SELECT (storesync.adjust('TIN', 10, pg_temp.k('tin10'), counted_at => :'counted_at')).on_hand AS tins, (storesync.adjust('TUB', 7, pg_temp.k('tub7'), counted_at => :'counted_at')).on_hand AS tubs;
CALL storesync.remap_listing(:l900, 'TIN');
SELECT * FROM pg_temp.balance WHERE sku IN ('TIN', 'TUB');
SELECT * FROM storesync.check_invariants();

-- What came back as the old SKU has been promised since: it stays, and its place is named.
CALL storesync.remap_listing(:l400, 'CUP');
SELECT pg_temp.put('R', 'shipped', 1, '[{"line_id":"1","item_id":"400","qty":2}]');
SELECT (storesync.receive('CUP', 2, pg_temp.k('cups'))).on_hand, (storesync.adjust('CUP', 2, pg_temp.k('cup2'))).on_hand;
SELECT pg_temp.put('R', 'shipped', 2, '[{"line_id":"1","item_id":"400","qty":2}]');
SELECT (storesync.receive_return(:one, 'R', '1', 2, pg_temp.k('r1'))).on_hand;
SELECT (storesync.reserve('CUP', 3, pg_temp.k('cup3'))).available;
CALL storesync.remap_listing(:l400, 'POT');
SELECT * FROM pg_temp.balance WHERE sku IN ('CUP', 'POT');
SELECT after FROM storesync.audit WHERE action = 'remap' ORDER BY audit_id DESC LIMIT 1;
SELECT * FROM storesync.check_invariants();

-- Pack: the listing sells six at once.
SELECT (storesync.release('CUP', 3, pg_temp.k('cup0'))).available;
SELECT (storesync.adjust('CUP', 100, pg_temp.k('cup100'))).on_hand, (storesync.adjust('POT', 50, pg_temp.k('pot50'))).on_hand;
SELECT storesync.add_listing(:one, 'CUP', '500') AS l500 \gset
SELECT pg_temp.put('S', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"500","qty":2,"cancelled_qty":1,"unit_price":3}]');
SELECT pg_temp.put('T', 'shipped', 1, '[{"line_id":"1","item_id":"500","qty":3,"unit_price":3}]'), (storesync.receive_return(:one, 'T', '1', 2, pg_temp.k('t1'))).on_hand;
SELECT * FROM storesync.remap_preview(:l500, 'CUP', 6);
CALL storesync.remap_listing(:l500, 'CUP', 6);
SELECT sn, sku, pack, state, res, ship, rest, short, eff FROM pg_temp.line WHERE sn IN ('S', 'T');
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';
SELECT * FROM storesync.check_invariants();
-- and it was four: six begun ones are whole
SELECT (storesync.receive_return(:one, 'T', '1', 3, pg_temp.k('t2'))).on_hand;
CALL storesync.remap_listing(:l500, 'CUP', 4);
SELECT sn, sku, pack, state, res, ship, rest, short, eff FROM pg_temp.line WHERE sn IN ('S', 'T');
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';
SELECT * FROM storesync.check_invariants();

-- Bundles: a set that was a cup, and a cup that was a set.
CALL storesync.remap_listing(:l500, 'SET', 1);
SELECT sn, sku, pack, state, res, ship, rest, short, place FROM pg_temp.line WHERE sn IN ('S', 'T');
SELECT o.order_sn, k.code, c.code AS place, p.reserved, p.shipped, p.back FROM storesync.line_part p JOIN storesync.sales_order o USING (order_id)
	JOIN storesync.sku k USING (sku_id) LEFT JOIN storesync.location c USING (location_id) WHERE o.order_sn IN ('S', 'T') ORDER BY 1, 2;
SELECT * FROM pg_temp.balance WHERE sku IN ('CUP', 'POT', 'SET');
SELECT * FROM storesync.check_invariants();
SELECT * FROM storesync.remap_preview(:l500, 'RED', 2);
CALL storesync.remap_listing(:l500, 'RED', 2);
SELECT sn, sku, pack, state, res, ship, rest, short, place FROM pg_temp.line WHERE sn IN ('S', 'T');
SELECT * FROM pg_temp.balance WHERE sku IN ('CUP', 'POT', 'RED');
SELECT * FROM storesync.check_invariants();
-- a set that is short of one part
SELECT pg_temp.put('U', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"300","qty":60}]');
SELECT sn, sku, state, res, short FROM pg_temp.line WHERE sn = 'U';
CALL storesync.remap_listing(:l300, 'CUP');
SELECT sn, sku, state, res, short, place FROM pg_temp.line WHERE sn = 'U';
SELECT * FROM storesync.check_invariants();

-- Several places: sent from where it was sent, what that does not have from elsewhere.
SELECT (storesync.receive('PIN', 3, pg_temp.k('pinn'), 'north')).on_hand, (storesync.adjust('PIN', 2, pg_temp.k('pin2'))).on_hand;
SELECT (storesync.receive('RED', 4, pg_temp.k('redn'), 'north')).on_hand, (storesync.adjust('RED', 30, pg_temp.k('red30'))).on_hand;
SELECT storesync.add_listing(:one, 'PIN', '600') AS l600 \gset
SELECT pg_temp.put('V', 'shipped', 1, '[{"line_id":"1","item_id":"600","qty":5}]');
SELECT pg_temp.put('W', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"600","qty":2}]');
CALL storesync.remap_listing(:l600, 'RED');
SELECT o.order_sn, k.code, c.code AS place, p.reserved, p.shipped, p.back FROM storesync.line_part p JOIN storesync.sales_order o USING (order_id)
	JOIN storesync.sku k USING (sku_id) LEFT JOIN storesync.location c USING (location_id) WHERE o.order_sn IN ('V', 'W') ORDER BY 1, 2, 3;
SELECT * FROM pg_temp.balance WHERE sku IN ('PIN', 'RED');
SELECT * FROM storesync.check_invariants();

-- High-water marks hold though the new SKU has nothing: sent, then cancelled, or fewer ordered, or back.
CALL storesync.remap_listing(:l600, 'PIN');
SELECT (storesync.receive('PIN', 6, pg_temp.k('pin6'))).available;
SELECT pg_temp.put('X', 'shipped', 1, '[{"line_id":"1","item_id":"600","qty":2}]'), pg_temp.put('X', 'cancelled', 2, '[{"line_id":"1","item_id":"600","qty":2}]');
SELECT pg_temp.put('Y', 'shipped', 1, '[{"line_id":"1","item_id":"600","qty":2}]'), pg_temp.put('Y', 'shipped', 2, '[{"line_id":"1","item_id":"600","qty":2,"cancelled_qty":1}]');
SELECT (storesync.receive_return(:one, 'V', '1', 4, pg_temp.k('v1'))).on_hand;
SELECT storesync.add_sku('NEW') > 0 AS made;
CALL storesync.remap_listing(:l600, 'NEW');
SELECT sn, sku, status, state, res, ship, rest, short FROM pg_temp.line WHERE sn IN ('V', 'W', 'X', 'Y');
SELECT * FROM pg_temp.balance WHERE sku IN ('NEW', 'PIN');
SELECT order_sn, sku, units, cause FROM storesync.returns_due WHERE sku = 'NEW' ORDER BY 1;
SELECT * FROM storesync.check_invariants();

-- Kept lines, from before the cut-over, move no stock.
SELECT storesync.add_store('ruten', '2', 'Two') AS two \gset
UPDATE storesync.store SET stock_from = now() WHERE store_id = :two;
SELECT storesync.add_listing(:two, 'RED', '100') AS two100 \gset
SELECT r.outcome FROM clock, storesync.ingest_order(:two, jsonb_build_object('order_sn', 'Z', 'status', 'shipped', 'create_time', at, 'lines',
	'[{"line_id":"1","item_id":"100","qty":2,"unit_price":50}]'::jsonb)) r;
CALL storesync.remap_listing(:two100, 'BLUE');
SELECT sn, sku, state, ship, eff FROM pg_temp.line WHERE sn = 'Z';
SELECT * FROM storesync.check_invariants();

-- since: orders placed from then on, whatever they were booked by; without it those of the mapping before
SELECT storesync.add_listing(:one, 'CUP', '700') AS l700 \gset
SELECT pg_temp.put('a', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"700","qty":1}]');
UPDATE storesync.listing SET sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'POT') WHERE listing_id = :l700;
SELECT pg_temp.put('b', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"700","qty":1}]');
SELECT pg_temp.put('c', 'ready_to_ship', 1, '[{"line_id":"1","item_id":"700","qty":1}]');
SELECT at + make_interval(secs => ascii('c')) AS third FROM clock \gset
CALL storesync.remap_listing(:l700, 'RED', since => :'third');
SELECT sn, sku FROM pg_temp.line WHERE sn IN ('a', 'b', 'c');
-- by hand, or by an import: what was mapped before is in the audit
CALL storesync.remap_listing(:l700, 'RED');
SELECT sn, sku FROM pg_temp.line WHERE sn IN ('a', 'b', 'c');
CALL storesync.remap_listing(:l700, 'RED', since => '-infinity');
SELECT sn, sku FROM pg_temp.line WHERE sn IN ('a', 'b', 'c');
SELECT * FROM storesync.check_invariants();

-- In steps: each is a transaction, what is left is seen, the next goes on.
SELECT storesync.add_listing(:one, 'CUP', '800') AS l800 \gset
SELECT count(*), min(r.outcome) FROM clock, storesync.ingest_orders(:one, (SELECT jsonb_agg(jsonb_build_object('order_sn', 'many ' || i, 'status',
	CASE WHEN i % 3 = 0 THEN 'shipped' ELSE 'ready_to_ship' END, 'create_time', extract(epoch FROM at)::bigint + i,
	'lines', '[{"line_id":"1","item_id":"800","qty":1},{"line_id":"2","item_id":"800","qty":2}]'::jsonb)) FROM generate_series(1, 40) i, clock)) r;
SELECT (storesync.receive('RED', 200, pg_temp.k('red200'))).outcome;
SELECT * FROM storesync.remap_step(:l800, 'RED', most => 30);
SELECT sku, lines FROM storesync.remap_preview(:l800, 'RED');
SELECT state, lines >= 30 AS bounded FROM storesync.remap_step(:l800, 'RED', most => 30);
SELECT * FROM storesync.check_invariants();
CALL storesync.remap_listing(:l800, 'RED');
SELECT sku, state, count(*), sum(res) AS res, sum(ship) AS ship, sum(short) AS short FROM pg_temp.line WHERE sn LIKE 'many%' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM storesync.remap_step(:l800, 'RED');
CALL storesync.roll_up();
SELECT * FROM storesync.check_invariants();

-- Beside a twin that was right from the beginning: the same documents, in any order, before, between and after corrections.
SELECT count(storesync.add_sku(code)) FROM unnest(ARRAY['T-1', 'T-2', 'T-3', 'T-4']) code;
SELECT count((storesync.receive(code, 1000, pg_temp.k(code))).outcome) FROM unnest(ARRAY['T-1', 'T-2', 'T-3', 'T-4']) code;
SELECT storesync.add_listing(:one, 'T-1', '1001', pack => 3) AS l1001, storesync.add_listing(:one, 'T-4', '1002', pack => 2) AS l1002 \gset
CREATE FUNCTION pg_temp.rnd(what text, n int) RETURNS int LANGUAGE SQL AS $$ SELECT abs(hashtext(what)) % n $$;
CREATE FUNCTION pg_temp.turn(turn int) RETURNS bigint LANGUAGE SQL AS $$
	SELECT count(*) FROM clock, unnest(ARRAY['1001', '1002']) item, generate_series(1, 40 + turn * 10) o, LATERAL storesync.ingest_order(
		(SELECT store_id FROM storesync.store WHERE platform = 'shopee'), jsonb_build_object('order_sn', 'twin ' || o || ' ' || item,
		'status', (ARRAY['unpaid', 'ready_to_ship', 'ready_to_ship', 'in_cancel', 'cancelled', 'shipped', 'shipped', 'completed', 'returned'])[1 + pg_temp.rnd(concat('s', o, turn), 9)],
		'create_time', at + make_interval(secs => o), 'update_time', at + make_interval(mins => pg_temp.rnd(concat('t', o, turn), 50)),
		'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'item_id', item, 'qty', 1 + pg_temp.rnd(concat('q', o), 4), 'unit_price', 9,
			'cancelled_qty', pg_temp.rnd(concat('c', o, turn), 8) / 6, 'returned_qty', pg_temp.rnd(concat('r', o, turn), 3))))) $$;
CREATE VIEW pg_temp.twin AS SELECT k.code, t.on_hand, t.reserved, (SELECT sum(s.sold) FROM storesync.line_sale s WHERE s.sku_id = k.sku_id) AS sold
	FROM storesync.stock t JOIN storesync.sku k USING (sku_id) WHERE k.code LIKE 'T-%' ORDER BY 1;
SELECT pg_temp.turn(1);
CALL storesync.remap_listing(:l1001, 'T-2', 1);
SELECT pg_temp.turn(2);
CALL storesync.remap_listing(:l1001, 'T-1', 1);
SELECT pg_temp.turn(3);
CALL storesync.remap_listing(:l1001, 'T-3', 2);
SELECT pg_temp.turn(4);
SELECT a.on_hand = b.on_hand AS on_hand, a.reserved = b.reserved AS reserved, a.sold = b.sold AS sold, a.on_hand BETWEEN 1 AND 999 AND a.reserved > 0 AS moved
FROM pg_temp.twin a, pg_temp.twin b WHERE a.code = 'T-3' AND b.code = 'T-4';
SELECT * FROM pg_temp.twin WHERE code IN ('T-1', 'T-2');
SELECT count(*) AS other FROM storesync.sales_order o JOIN storesync.sales_order p ON p.order_sn = replace(o.order_sn, ' 1001', ' 1002')
JOIN storesync.sales_order_line l ON l.order_id = o.order_id JOIN storesync.sales_order_line m ON m.order_id = p.order_id
WHERE o.order_sn LIKE 'twin % 1001' AND (l.pack, l.state, l.status, l.qty, l.cancelled_qty, l.reserved, l.shipped, l.restocked, l.short)
	IS DISTINCT FROM (m.pack, m.state, m.status, m.qty, m.cancelled_qty, m.reserved, m.shipped, m.restocked, m.short);
CALL storesync.roll_up();
SELECT * FROM storesync.check_invariants();

-- refused
CALL storesync.remap_listing(0, 'RED');
CALL storesync.remap_listing(:l100, 'NONE');
CALL storesync.remap_listing(:l100, NULL);
CALL storesync.remap_listing(:l100, 'RED', 0);
SELECT * FROM storesync.remap_preview(:l100, 'NONE');
SELECT * FROM storesync.remap_step(:l100, 'RED', most => 0);
BEGIN;
CALL storesync.remap_listing(:l100, 'RED');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM storesync.remap_step(:l100, 'RED');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM storesync.remap_preview(:l100, 'BLUE');
SELECT * FROM storesync.remap_step(:l100, 'RED');
ROLLBACK;
