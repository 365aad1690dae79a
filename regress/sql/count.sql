-- Counts: as of their moment, never refused for being low, what was sent uncovered is explained.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.add_store('shopee', '1', 'One') AS one \gset
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY['TEA', 'CUP', 'POT', 'MUG', 'JAR']) c;
SELECT count(storesync.add_sku('PRE', allow_backorder => true));
SELECT count(storesync.add_location('shop')), count(storesync.add_location('back', sellable => false));
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) - interval '1 day' AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
CREATE FUNCTION pg_temp.put(sn text, status text, minutes int, lines text) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order((SELECT store_id FROM storesync.store), jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint + minutes * 60,
		'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, s.code AS sku, l.status, l.state, l.reserved AS res,
	l.shipped AS ship, l.restocked AS rest, l.short, l.effects AS eff, c.code AS place
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id)
	LEFT JOIN storesync.sku s USING (sku_id) LEFT JOIN storesync.location c USING (location_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id) ORDER BY 1, 2;

-- up, down, the same; replays
SELECT * FROM storesync.adjust('TEA', 10, pg_temp.k('a1'), reference => 'opening');
SELECT * FROM storesync.adjust('TEA', 7, pg_temp.k('a2'));
SELECT * FROM storesync.adjust('TEA', 7, pg_temp.k('a3'));
SELECT * FROM storesync.adjust('TEA', 3, pg_temp.k('a4'), 'back');
SELECT * FROM storesync.adjust('TEA', 10, pg_temp.k('a1'), reference => 'opening');
SELECT storesync.adjust('TEA', 10, pg_temp.k('a1'));
SELECT storesync.adjust('TEA', 9, pg_temp.k('a1'), reference => 'opening');
SELECT storesync.adjust('TEA', 10, pg_temp.k('a1'), reference => 'opening', counted_at => now());
SELECT storesync.receive('TEA', 10, pg_temp.k('a1'), reference => 'opening');
SELECT version, kind, on_hand_delta, on_hand, reference FROM storesync.ledger ORDER BY location_id, version;

-- as of its moment: what was booked since stays booked
SELECT clock_timestamp() AS noon \gset
SELECT outcome FROM storesync.receive('TEA', 5, pg_temp.k('r1'));
SELECT outcome FROM storesync.reserve('TEA', 2, pg_temp.k('v1'));
SELECT outcome FROM storesync.ship('TEA', 2, pg_temp.k('s1'));
SELECT * FROM storesync.adjust('TEA', 8, pg_temp.k('a5'), counted_at => :'noon');
SELECT event_at = :'noon' AS event_is_moment FROM storesync.ledger WHERE key OPERATOR(storesync.=) pg_temp.k('a5');
-- before the first row there was nothing; more has left since than was counted: nothing is left
SELECT * FROM storesync.adjust('TEA', 1, pg_temp.k('a6'), counted_at => now() - interval '1 day');
SELECT * FROM storesync.adjust('TEA', 0, pg_temp.k('a7'), counted_at => :'noon');
SELECT * FROM storesync.adjust('TEA', 12, pg_temp.k('a8'));
-- nobody knows the balance before the oldest row that is kept
BEGIN;
SET LOCAL session_replication_role = replica;
DELETE FROM storesync.ledger WHERE version < 4;
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), counted_at => now() - interval '1 day');
ROLLBACK;
SELECT * FROM storesync.check_invariants();

-- low: unpaid orders give up first, then the newest; direct reservations last
SELECT outcome FROM storesync.adjust('CUP', 20, pg_temp.k('c1'));
SELECT outcome FROM storesync.reserve('CUP', 3, pg_temp.k('c2'), reference => 'phone');
SELECT outcome FROM storesync.reserve('CUP', 2, pg_temp.k('c3'), reference => 'web', expires => '1 day');
SELECT pg_temp.put('P1', 'ready_to_ship', 1, '[{"line_id":"1","sku":"CUP","qty":4}]'),
	pg_temp.put('U1', 'unpaid', 2, '[{"line_id":"1","sku":"CUP","qty":2}]'),
	pg_temp.put('P2', 'in_cancel', 3, '[{"line_id":"1","sku":"CUP","qty":3}]'),
	pg_temp.put('U2', 'unpaid', 4, '[{"line_id":"1","sku":"CUP","qty":2},{"line_id":"2","sku":"CUP","qty":1}]'),
	pg_temp.put('P3', 'ready_to_ship', 5, '[{"line_id":"1","sku":"CUP","qty":3}]');
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT * FROM storesync.adjust('CUP', 18, pg_temp.k('c4'));
SELECT sn, id, status, state, res, short, eff FROM pg_temp.line WHERE sku = 'CUP';
SELECT * FROM storesync.adjust('CUP', 13, pg_temp.k('c5'));
SELECT sn, id, status, state, res, short, eff FROM pg_temp.line WHERE sku = 'CUP';
SELECT * FROM storesync.adjust('CUP', 4, pg_temp.k('c6'));
SELECT sn, id, status, state, res, short, eff FROM pg_temp.line WHERE sku = 'CUP';
SELECT reference, qty FROM storesync.reservation ORDER BY 1;
SELECT kind, version FROM storesync.outbox WHERE xid > :'last' ORDER BY xid, ctid;
SELECT * FROM storesync.check_invariants();
SELECT * FROM storesync.adjust('CUP', 1, pg_temp.k('c7'));
SELECT reference, qty FROM storesync.reservation ORDER BY 1;
SELECT storesync.ship('CUP', 3, pg_temp.k('x'), reference => 'phone');
SELECT version, kind, on_hand_delta, reserved_delta, on_hand, reserved, reference, reason FROM storesync.ledger
JOIN storesync.sku USING (sku_id) WHERE code = 'CUP' AND version > 8 ORDER BY version;
SELECT o.order_sn, h.outcome, h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id)
WHERE h.outcome = 'counted' ORDER BY h.recorded_at, o.order_sn, h.lines::text;
-- and are filled again when more is found, paid and oldest first
SELECT * FROM storesync.adjust('CUP', 11, pg_temp.k('c8'));
SELECT sn, id, status, state, res, short, eff FROM pg_temp.line WHERE sku = 'CUP';
SELECT * FROM pg_temp.balance WHERE sku = 'CUP';
SELECT * FROM storesync.check_invariants();

-- what another place has goes to lines that lost all of theirs
SELECT outcome FROM storesync.receive('POT', 2, pg_temp.k('p1'));
SELECT pg_temp.put('Q1', 'ready_to_ship', 1, '[{"line_id":"1","sku":"POT","qty":2}]');
SELECT outcome FROM storesync.receive('POT', 3, pg_temp.k('p2'), 'shop');
SELECT * FROM storesync.adjust('POT', 0, pg_temp.k('p3'));
SELECT sn, state, res, short, eff, place FROM pg_temp.line WHERE sku = 'POT';

-- sent without the books having it: explained by the count, once, and returned like any other
SELECT outcome FROM storesync.receive('MUG', 2, pg_temp.k('m1'));
SELECT pg_temp.put('M1', 'shipped', 1, '[{"line_id":"1","sku":"MUG","qty":5}]'),
	pg_temp.put('M2', 'completed', 2, '[{"line_id":"1","sku":"MUG","qty":1}]'),
	pg_temp.put('M3', 'ready_to_ship', 3, '[{"line_id":"1","sku":"MUG","qty":1}]');
SELECT sn, state, res, ship, short, eff FROM pg_temp.line WHERE sku = 'MUG';
SELECT * FROM storesync.adjust('MUG', 6, pg_temp.k('m2'));
SELECT sn, state, res, ship, short, eff FROM pg_temp.line WHERE sku = 'MUG';
SELECT version, kind, on_hand_delta, on_hand, reserved, reason FROM storesync.ledger JOIN storesync.sku USING (sku_id)
WHERE code = 'MUG' ORDER BY version;
SELECT * FROM storesync.adjust('MUG', 6, pg_temp.k('m3'));
SELECT pg_temp.put('M1', 'completed', 1, '[{"line_id":"1","sku":"MUG","qty":5}]');
SELECT outcome FROM storesync.receive_return(:one, 'M1', '1', 5, pg_temp.k('m4'));
SELECT sn, state, res, ship, rest, short, eff FROM pg_temp.line WHERE sku = 'MUG';
-- booked as sent after the count was made: its units were among those counted
SELECT outcome FROM storesync.adjust('JAR', 0, pg_temp.k('j1'));
SELECT pg_temp.put('J1', 'shipped', 1, '[{"line_id":"1","sku":"JAR","qty":2}]');
SELECT clock_timestamp() AS noon \gset
SELECT pg_temp.put('J2', 'shipped', 1, '[{"line_id":"1","sku":"JAR","qty":3}]');
SELECT * FROM storesync.adjust('JAR', 4, pg_temp.k('j2'), counted_at => :'noon');
SELECT sn, state, res, ship, short, eff FROM pg_temp.line WHERE sku = 'JAR';
-- a SKU on backorder may be counted lower than what is promised
SELECT outcome FROM storesync.reserve('PRE', 5, pg_temp.k('b1'));
SELECT * FROM storesync.adjust('PRE', 2, pg_temp.k('b2'));
SELECT outcome FROM storesync.ship('PRE', 5, pg_temp.k('b3'));
SELECT * FROM storesync.adjust('PRE', 0, pg_temp.k('b4'), counted_at => now() - interval '1 day');
SELECT * FROM storesync.adjust('PRE', 0, pg_temp.k('b5'));

-- A count where a store sells from ends what a decline holds, and the outbox hears of it in the same
-- transaction. Others' holds stay, and what is counted where the store does not sell from is not it.
SELECT storesync.set_store_locations(:one, ARRAY['main']);
SELECT storesync.add_listing(:one, 'TEA', '501') AS tea, storesync.add_listing(:one, 'CUP', '502') AS cup,
	storesync.add_listing(:one, 'TEA', '503') AS other \gset
UPDATE storesync.listing SET held = 'declined order A1' WHERE listing_id IN (:tea, :cup);
UPDATE storesync.listing SET held = 'looked into' WHERE listing_id = :other;
SELECT outcome FROM storesync.adjust('TEA', 5, pg_temp.k('d1'), 'back');
SELECT outcome FROM storesync.adjust('TEA', 5, pg_temp.k('d2'), 'shop');
SELECT count(*) AS held FROM storesync.listing WHERE held IS NOT NULL;
BEGIN;
SELECT outcome FROM storesync.adjust('TEA', 5, pg_temp.k('d3'));
SELECT item_id, held FROM storesync.listing ORDER BY 1;
SELECT kind, subject = :tea AS the_listing FROM storesync.outbox WHERE xid = pg_current_xact_id() ORDER BY kind;
COMMIT;
SELECT before, after FROM storesync.audit WHERE action = 'update' AND subject = 'listing ' || :tea ORDER BY audit_id DESC LIMIT 1;
UPDATE storesync.listing SET held = 'declined order A2' WHERE listing_id = :tea;
SELECT outcome FROM storesync.adjust('TEA', 5, pg_temp.k('d3'));
SELECT held FROM storesync.listing WHERE listing_id = :tea;

-- refused before anything is touched
SELECT storesync.adjust('TEA', -1, pg_temp.k('x'));
SELECT storesync.adjust('TEA', 1000000000001, pg_temp.k('x'));
SELECT storesync.adjust('NONE', 1, pg_temp.k('x'));
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), 'nowhere');
SELECT storesync.adjust('TEA', NULL, pg_temp.k('x'));
SELECT storesync.adjust('TEA', 1, NULL);
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), counted_at => now() + interval '1 minute');
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), counted_at => 'infinity');
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), counted_at => '-infinity');
\set VERBOSITY sqlstate
SELECT storesync.adjust('TEA', -1, pg_temp.k('x'));
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'), counted_at => now() + interval '1 minute');
BEGIN READ ONLY;
SELECT storesync.adjust('TEA', 1, pg_temp.k('x'));
ROLLBACK;
\set VERBOSITY terse
SELECT * FROM storesync.check_invariants();
