-- What is over: direct reservations, unpaid orders; once, bounded, and what follows.
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
		'order_sn', sn, 'status', status, 'create_time', extract(epoch FROM at)::bigint,
		'update_time', extract(epoch FROM at)::bigint + minutes * 60, 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, l.status, l.state, l.reserved AS res, l.shipped AS ship,
	l.short, l.effects AS eff FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, t.on_hand, t.reserved, t.version
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) ORDER BY 1;
SELECT storesync.next_expiry(), storesync.release_expired();
SELECT (storesync.receive('TEA', 10, storesync.new_key())).outcome, (storesync.receive('CUP', 10, storesync.new_key())).outcome;

-- direct reservations: what is left of them, those that are over, one row each
SELECT (storesync.reserve('TEA', 3, storesync.new_key(), reference => 'a', expires => '1 microsecond')).outcome,
	(storesync.reserve('TEA', 2, storesync.new_key(), reference => 'b', expires => '1 hour')).outcome,
	(storesync.reserve('TEA', 1, storesync.new_key(), reference => 'c')).outcome,
	(storesync.reserve('CUP', 4, storesync.new_key(), expires => '1 microsecond')).outcome;
SELECT (storesync.ship('TEA', 1, storesync.new_key(), reference => 'a')).outcome;
SELECT pg_temp.put(:one, 'S', 'ready_to_ship', 1, '[{"line_id":"1","sku":"TEA","qty":5}]');
SELECT storesync.next_expiry() < now() AS due;
SELECT xid AS last FROM storesync.outbox ORDER BY xid DESC LIMIT 1 \gset
SELECT storesync.release_expired();
SELECT storesync.release_expired();
SELECT reference, qty FROM storesync.reservation ORDER BY 1;
SELECT * FROM pg_temp.line; SELECT * FROM pg_temp.balance;
SELECT s.code, g.kind, g.reserved_delta, g.reference, g.reason, date_trunc('milliseconds', g.event_at) = storesync.key_time(g.key) AS derived
FROM storesync.ledger g JOIN storesync.sku s USING (sku_id) WHERE g.reason IN ('expired', 'filled') ORDER BY 1, g.version;
SELECT s.code, o.version FROM storesync.outbox o JOIN storesync.sku s ON s.sku_id = o.subject WHERE o.xid > :'last' ORDER BY 1;
SELECT storesync.ship('TEA', 1, storesync.new_key(), reference => 'a');
SELECT storesync.next_expiry() > now() AS later;
-- the last call's expiry holds for all of a reference
SELECT (storesync.reserve('CUP', 1, storesync.new_key(), reference => 'd', expires => '1 microsecond')).outcome,
	(storesync.reserve('CUP', 1, storesync.new_key(), reference => 'd')).outcome;
SELECT storesync.release_expired();
-- bounded
SELECT count((storesync.reserve('CUP', 1, storesync.new_key(), reference => n::text, expires => '1 microsecond')).outcome) FROM generate_series(1, 5) n;
SELECT storesync.release_expired(2), storesync.release_expired(2), storesync.release_expired(2), storesync.release_expired(2);
SELECT * FROM storesync.check_invariants();

-- unpaid orders: held for two days, then for an hour
UPDATE storesync.store SET unpaid_hold = '2 days' WHERE store_id = :one;
SELECT pg_temp.put(:one, 'U1', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":2},{"line_id":"2","sku":"CUP","qty":1,"status":"ready_to_ship"}]'),
	pg_temp.put(:one, 'U2', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":3}]'),
	pg_temp.put(:one, 'U3', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":9}]'),
	pg_temp.put(:two, 'U4', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":1}]');
SELECT pg_temp.put(:one, 'U2', 'ready_to_ship', 2, '[{"line_id":"1","sku":"CUP","qty":3}]');
SELECT o.order_sn, t.due_at - o.create_time AS held FROM storesync.order_timer t JOIN storesync.sales_order o USING (order_id) ORDER BY 1;
SELECT storesync.release_expired();
SELECT * FROM pg_temp.line WHERE sn LIKE 'U%';
UPDATE storesync.store SET unpaid_hold = '1 hour' WHERE store_id = :one;
SELECT o.order_sn, t.due_at - o.create_time AS held FROM storesync.order_timer t JOIN storesync.sales_order o USING (order_id) ORDER BY 1, 2;
SELECT storesync.release_expired();
SELECT * FROM pg_temp.line WHERE sn LIKE 'U%'; SELECT * FROM pg_temp.balance;
SELECT o.order_sn, t.due_at - o.create_time AS held FROM storesync.order_timer t JOIN storesync.sales_order o USING (order_id) ORDER BY 1, 2;
SELECT o.order_sn, h.outcome, h.lines FROM storesync.order_history h JOIN storesync.sales_order o USING (order_id)
WHERE o.order_sn LIKE 'U%' ORDER BY h.recorded_at, o.order_sn;
SELECT * FROM storesync.check_invariants();
-- a repeated document does not take it back, payment does, as far as there is something; so does a new order too late
SELECT pg_temp.put(:one, 'U1', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":2},{"line_id":"2","sku":"CUP","qty":1,"status":"ready_to_ship"}]');
SELECT pg_temp.put(:one, 'U3', 'unpaid', 3, '[{"line_id":"1","sku":"CUP","qty":7}]');
SELECT pg_temp.put(:one, 'U3', 'ready_to_ship', 4, '[{"line_id":"1","sku":"CUP","qty":7}]');
SELECT pg_temp.put(:one, 'U1', 'ready_to_ship', 4, '[{"line_id":"1","sku":"CUP","qty":2}]');
SELECT pg_temp.put(:one, 'U5', 'unpaid', 1, '[{"line_id":"1","sku":"CUP","qty":2}]');
SELECT pg_temp.put(:one, 'U5', 'cancelled', 2, '[{"line_id":"1","sku":"CUP","qty":2}]');
SELECT * FROM pg_temp.line WHERE sn LIKE 'U%'; SELECT * FROM pg_temp.balance;
-- a hold made longer before its timer was looked at: the order keeps its units and gets another
UPDATE storesync.store SET unpaid_hold = '1 hour' WHERE store_id = :two;
UPDATE storesync.store SET unpaid_hold = '3 days' WHERE store_id = :two;
SELECT storesync.release_expired();
SELECT o.order_sn, t.due_at - o.create_time AS held FROM storesync.order_timer t JOIN storesync.sales_order o USING (order_id) WHERE o.store_id = :two ORDER BY 1, 2;
UPDATE storesync.store SET unpaid_hold = NULL WHERE store_id = :two;
UPDATE storesync.order_timer SET due_at = now() - interval '1 minute';
SELECT storesync.release_expired();
SELECT count(*) FROM storesync.order_timer;
SELECT state FROM pg_temp.line WHERE sn = 'U4';

SELECT storesync.release_expired(0);
SELECT storesync.release_expired(10001);
BEGIN READ ONLY;
SELECT storesync.next_expiry() IS NOT NULL AS something;
SELECT storesync.release_expired();
ROLLBACK;
SELECT * FROM storesync.check_invariants();
