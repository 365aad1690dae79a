-- Lines that the stock does not cover: their order, a proposal each, and what settle_short() does about them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
SELECT storesync.add_store('shopee', '1', 'One') AS one, storesync.add_store('pchome', '2', 'Two') AS two, storesync.add_store('ruten', '3', 'Three') AS three \gset
SELECT count(storesync.add_sku(code)) FROM unnest(ARRAY['TEA', 'CUP', 'POT', 'SET', 'HAT', 'PIN']) code;
SELECT storesync.set_bundle('SET', '{"CUP": 2, "POT": 1}');
SELECT count(storesync.add_location('north')), count(storesync.add_location('outlet', sellable => false));
SELECT count(storesync.set_store_locations(s, ARRAY['main'])) FROM unnest(ARRAY[:one, :two, :three]) s;
SELECT count(storesync.add_listing(:one, 'TEA', '100', pack => 2)), count(storesync.add_listing(:one, 'SET', '200'));
CREATE TEMP TABLE clock AS SELECT date_trunc('hour', now()) AS at;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key
	LANGUAGE SQL AS $$ SELECT storesync.derive_key(at, name) FROM clock $$;
-- an order of some hours ago, with a status for each document
CREATE FUNCTION pg_temp.put(store int, sn text, status text, hours numeric, lines text, minutes int DEFAULT 0) RETURNS text
	LANGUAGE SQL AS $$ SELECT r.outcome FROM clock, storesync.ingest_order(store, jsonb_build_object(
		'order_sn', sn, 'status', status, 'create_time', at - make_interval(mins => (hours * 60)::int), 'currency', 'TWD',
		'update_time', at - make_interval(mins => (hours * 60)::int - minutes), 'lines', lines::jsonb)) r $$;
CREATE VIEW pg_temp.work AS SELECT w.rank, w.state, w.order_sn AS sn, w.line_id AS id, w.sku, w.units, w.why, w.proposal, w.location, w.advice
	FROM storesync.short_work() w ORDER BY w.rank;
CREATE VIEW pg_temp.line AS SELECT o.order_sn AS sn, l.line_id AS id, l.status, l.state, l.reserved AS res, l.short, l.effects AS eff, c.code AS place, l.parts IS NOT NULL AS parts
	FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) LEFT JOIN storesync.location c USING (location_id) ORDER BY 1, 2;
CREATE VIEW pg_temp.balance AS SELECT s.code AS sku, c.code AS place, t.on_hand, t.reserved
	FROM storesync.stock t JOIN storesync.sku s USING (sku_id) JOIN storesync.location c USING (location_id) ORDER BY 1, 2;

-- Nothing is short.
SELECT * FROM storesync.short_work();
SELECT storesync.platform_cancels(p), p FROM unnest(ARRAY['shopee', 'pchome', 'ruten', 'other']) p;

-- Rank: by what the platform does to the seller, then by whole days left, then by worth, then the oldest.
SELECT pg_temp.put(:one, 'A', 'ready_to_ship', 5, '[{"line_id":"1","item_id":"100","qty":1,"unit_price":100}]');
SELECT pg_temp.put(:one, 'B', 'ready_to_ship', 4, '[{"line_id":"1","item_id":"100","qty":2,"unit_price":100}]');
SELECT pg_temp.put(:one, 'C', 'ready_to_ship', 30, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":5}]');
SELECT pg_temp.put(:one, 'D', 'unpaid', 90, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":900}]');
SELECT pg_temp.put(:two, 'E', 'ready_to_ship', 80, '[{"line_id":"1","sku":"TEA","qty":1}]');
SELECT pg_temp.put(:two, 'F', 'ready_to_ship', 79, '[{"line_id":"1","sku":"TEA","qty":1}]');
SELECT pg_temp.put(:three, 'G', 'ready_to_ship', 99, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":70}]');
SELECT pg_temp.put(:one, 'H', 'in_cancel', 50, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":70}]');
-- paid when a document first said so, long after it was placed
SELECT pg_temp.put(:one, 'I', 'unpaid', 60, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":70}]'),
	pg_temp.put(:one, 'I', 'ready_to_ship', 60, '[{"line_id":"1","sku":"TEA","qty":1,"unit_price":70}]', 58 * 60);
-- sent without the books having it: that is for a count
SELECT pg_temp.put(:one, 'J', 'shipped', 5, '[{"line_id":"1","sku":"TEA","qty":1}]');
SELECT * FROM pg_temp.work;
SELECT order_sn, paid_at - at AS paid, ship_by - at AS due, penalty, value, currency FROM storesync.short_work(), clock ORDER BY rank;
SELECT order_sn, alternatives FROM storesync.short_work() WHERE order_sn IN ('A', 'C', 'D', 'G', 'H') ORDER BY rank;
-- limits
SELECT order_sn FROM storesync.short_work(2);
SELECT rank, order_sn FROM storesync.short_work(2, :two);
SELECT count(*) AS none FROM storesync.short_work(-1);
SELECT count(*) AS every FROM storesync.short_work(NULL, NULL);
-- settings
UPDATE storesync.platform SET short_weight = 9, ship_within = '7 days' WHERE platform = 'ruten';
SELECT order_sn, why FROM storesync.short_work(1);
UPDATE storesync.platform SET short_weight = 1, ship_within = '2 days' WHERE platform = 'ruten';
UPDATE storesync.platform SET short_weight = -1;
UPDATE storesync.platform SET ship_within = '0';

-- Units at a place that these stores do not sell from go to the first of the list, as far as they reach.
SELECT outcome FROM storesync.receive('TEA', 4, pg_temp.k('r1'), 'north');
SELECT outcome FROM storesync.receive('TEA', 50, pg_temp.k('r2'), 'outlet');
SELECT sn, units, proposal, location, advice FROM pg_temp.work;
SELECT order_sn, alternatives -> 'move' AS moves FROM storesync.short_work(2);

-- move: for this line, whoever is older
SELECT * FROM storesync.settle_short(:one, 'B', '1', 'move', pg_temp.k('m1'), 'north', note => 'van');
SELECT * FROM pg_temp.line WHERE sn IN ('A', 'B', 'C') ORDER BY sn;
SELECT * FROM pg_temp.balance WHERE sku = 'TEA';
SELECT kind, on_hand_delta, reserved_delta, reference, reason FROM storesync.ledger WHERE on_hand_delta < 0 OR reserved_delta > 0 ORDER BY recorded_at, location_id;
SELECT outcome, jsonb_array_length(lines) FROM storesync.order_history WHERE outcome = 'moved';
-- replayed, by nothing but the same request
SELECT * FROM storesync.settle_short(:one, 'B', '1', 'move', pg_temp.k('m1'), 'north', note => 'van');
SELECT storesync.settle_short(:one, 'B', '1', 'move', pg_temp.k('m1'), 'outlet', note => 'van');
SELECT storesync.settle_short(:one, 'C', '1', 'move', pg_temp.k('m1'), 'north', note => 'van');
-- it is seen until it leaves
SELECT rank, state, order_sn, units, location, note, proposal, alternatives FROM storesync.short_work() WHERE state <> 'open';
-- nothing there; not short any more; a place that does not sell is for who names it
SELECT * FROM storesync.settle_short(:one, 'A', '1', 'move', pg_temp.k('m2'), 'north');
SELECT outcome, replayed FROM storesync.settle_short(:one, 'A', '1', 'move', pg_temp.k('m2'), 'north');
SELECT * FROM storesync.settle_short(:one, 'A', '1', 'move', pg_temp.k('m3'));
SELECT * FROM storesync.settle_short(:one, 'B', '1', 'move', pg_temp.k('m4'), 'outlet');
SELECT * FROM storesync.settle_short(:one, 'J', '1', 'move', pg_temp.k('m4'), 'outlet');
SELECT * FROM storesync.settle_short(:one, 'I', '1', 'move', pg_temp.k('m4'), 'outlet');
-- as much as there is
SELECT outcome FROM storesync.transfer('TEA', 48, 'outlet', 'north', pg_temp.k('t1'));
SELECT outcome, units, short FROM storesync.settle_short(:one, 'A', '1', 'move', pg_temp.k('m5'), 'outlet');
SELECT * FROM pg_temp.line WHERE sn = 'A';
SELECT outcome, units, short FROM storesync.settle_short(:one, 'A', '1', 'move', pg_temp.k('m6'));
SELECT * FROM pg_temp.line WHERE sn = 'A';
SELECT * FROM storesync.check_invariants();

-- A bundle moves what it lacks.
SELECT outcome FROM storesync.receive('POT', 1, pg_temp.k('p1'));
SELECT outcome FROM storesync.receive('POT', 1, pg_temp.k('p2'), 'north');
SELECT outcome FROM storesync.receive('CUP', 3, pg_temp.k('c1'), 'north');
SELECT pg_temp.put(:one, 'S', 'ready_to_ship', 2, '[{"line_id":"1","item_id":"200","qty":2,"unit_price":300}]');
SELECT sn, sku, units, proposal, advice FROM pg_temp.work WHERE sn = 'S';
SELECT alternatives FROM storesync.short_work() WHERE order_sn = 'S';
SELECT * FROM storesync.settle_short(:one, 'S', '1', 'move', pg_temp.k('s1'));
SELECT * FROM pg_temp.line WHERE sn = 'S';
SELECT * FROM pg_temp.balance WHERE sku IN ('CUP', 'POT');
SELECT alternatives FROM storesync.short_work() WHERE order_sn = 'S';
-- stock comes by itself: nothing is left to settle
SELECT outcome FROM storesync.receive('CUP', 1, pg_temp.k('c2'), 'north');
SELECT proposal, location, alternatives -> 'move' AS moves FROM storesync.short_work() WHERE order_sn = 'S';
SELECT (storesync.receive('CUP', 2, pg_temp.k('c3'))).outcome, (storesync.receive('POT', 1, pg_temp.k('p3'))).outcome;
SELECT * FROM storesync.settle_short(:one, 'S', '1', 'move', pg_temp.k('s2'));
SELECT * FROM pg_temp.line WHERE sn = 'S';

-- wait: out of the way until then
SELECT outcome, replayed, units, short, task_id, detail FROM storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('w1'), until => now() + interval '2 days', note => 'the boat comes on Friday');
SELECT rank, state, sn, proposal FROM pg_temp.work;
SELECT until > now() AS ahead, note, since IS NOT NULL AS since FROM storesync.short_work() WHERE state = 'waiting';
UPDATE storesync.short_decision SET until = now() - interval '1 second', decided_at = now() - interval '1 hour' WHERE proposal = 'wait';
SELECT state, sn, proposal FROM pg_temp.work WHERE sn = 'C';
SELECT until, note FROM storesync.short_work() WHERE order_sn = 'C';

-- cancel: a task for exactly these lines
SELECT pg_temp.put(:one, 'L', 'ready_to_ship', 40, '[{"line_id":"1","sku":"HAT","qty":1},{"line_id":"2","sku":"TEA","qty":1},{"line_id":"3","sku":"HAT","qty":1}]');
SELECT outcome FROM storesync.transfer('TEA', 47, 'north', 'outlet', pg_temp.k('t2'));
SELECT id, units, proposal, advice FROM pg_temp.work WHERE sn = 'L';
SELECT outcome, replayed, units, short, task_id IS NOT NULL AS task, detail FROM storesync.settle_short(:one, 'L', NULL, 'cancel', pg_temp.k('x1'));
SELECT outcome, replayed, units, short, task_id IS NOT NULL AS task, detail FROM storesync.settle_short(:one, 'L', NULL, 'cancel', pg_temp.k('x1'));
SELECT kind, payload, state FROM storesync.task_open;
SELECT state, line_id, proposal, since IS NOT NULL AS since FROM storesync.short_work() WHERE order_sn = 'L' ORDER BY line_id;
SELECT note ~ '^queued' AS note, task_id IS NOT NULL AS task FROM storesync.short_work() WHERE order_sn = 'L' ORDER BY line_id;
-- never two of one order, nor anything else of its lines
SELECT outcome, detail FROM storesync.settle_short(:one, 'L', '2', 'cancel', pg_temp.k('x2'));
SELECT outcome FROM storesync.settle_short(:one, 'L', '3', 'wait', pg_temp.k('x2'), until => now() + interval '1 hour');
SELECT outcome FROM storesync.settle_short(:one, 'L', '2', 'move', pg_temp.k('x2'), 'outlet');
SELECT count(*) AS tasks FROM storesync.task_open;
-- who cancels by hand is seen as well
SELECT storesync.enqueue(:two, 'cancel_order', '{"order_sn":"E"}') IS NOT NULL AS task;
SELECT state, sn FROM pg_temp.work WHERE sn = 'E';
SELECT outcome FROM storesync.settle_short(:two, 'E', '1', 'cancel', pg_temp.k('x3'));

-- the platform refuses: the line is back, with its words
INSERT INTO storesync.task_event (task_id, state, class, attempts, detail)
	SELECT task_id, 'dead', 'permanent', 1, 'The order cannot be cancelled.' FROM storesync.task_open WHERE payload ->> 'order_sn' = 'L';
INSERT INTO storesync.compensation (store_id, task_id, call, class, reason, payload)
	SELECT :one, e.task_id, 'cancel_order', 'permanent', e.detail, '{"order_sn":"L"}' FROM storesync.task_event e;
SELECT state, sn, id, proposal, advice FROM pg_temp.work WHERE sn = 'L';
SELECT DISTINCT note FROM storesync.short_work() WHERE order_sn = 'L';
SELECT outcome, units FROM storesync.settle_short(:one, 'L', '2', 'cancel', pg_temp.k('x4'));
SELECT state, line_id FROM storesync.short_work() WHERE order_sn = 'L' ORDER BY line_id;
-- it took it
INSERT INTO storesync.task_event (task_id, state) SELECT task_id, 'done' FROM storesync.task_open WHERE payload ->> 'order_sn' = 'L';
UPDATE storesync.compensation SET settled_at = now(), settled_by = 'me';
SELECT state, line_id, note FROM storesync.short_work() WHERE order_sn = 'L' ORDER BY line_id;
SELECT pg_temp.put(:one, 'L', 'in_cancel', 40, '[{"line_id":"1","sku":"HAT","qty":1},{"line_id":"2","sku":"TEA","qty":1},{"line_id":"3","sku":"HAT","qty":1}]', 1);
SELECT state, line_id FROM storesync.short_work() WHERE order_sn = 'L' ORDER BY line_id;
SELECT pg_temp.put(:one, 'L', 'cancelled', 40, '[{"line_id":"1","sku":"HAT","qty":1},{"line_id":"2","sku":"TEA","qty":1},{"line_id":"3","sku":"HAT","qty":1}]', 2);
SELECT count(*) AS gone FROM storesync.short_work() WHERE order_sn = 'L';
SELECT * FROM storesync.settle_short(:one, 'L', NULL, 'cancel', pg_temp.k('x5'));
SELECT * FROM storesync.settle_short(:one, 'L', '2', 'cancel', pg_temp.k('x5'));

-- what no call can cancel; and a line that has some of its units
SELECT * FROM storesync.settle_short(:three, 'G', '1', 'cancel', pg_temp.k('y1'));
SELECT * FROM storesync.settle_short(:one, 'D', '1', 'cancel', pg_temp.k('y1'));
SELECT * FROM storesync.settle_short(:one, 'H', '1', 'cancel', pg_temp.k('y1'));
SELECT outcome FROM storesync.receive('PIN', 2, pg_temp.k('p5'));
SELECT pg_temp.put(:one, 'P', 'ready_to_ship', 40, '[{"line_id":"1","sku":"PIN","qty":3,"unit_price":10}]');
SELECT sn, units, proposal, advice FROM pg_temp.work WHERE sn = 'P';
SELECT alternatives -> 'cancel' AS cancel FROM storesync.short_work() WHERE order_sn = 'P';
SELECT * FROM storesync.settle_short(:one, 'P', '1', 'cancel', pg_temp.k('y2'));
SELECT outcome, units, short FROM storesync.settle_short(:one, 'P', '1', 'cancel', pg_temp.k('y2'), whole => true);
-- covered meanwhile: it is under way all the same
SELECT outcome FROM storesync.receive('PIN', 1, pg_temp.k('p6'));
SELECT state, sn, units FROM pg_temp.work WHERE sn = 'P';

-- what was decided stays known, and old rows of lines that wait for nothing go
SELECT subject = concat('order ', (SELECT order_id FROM storesync.sales_order WHERE order_sn = 'B')) AS subject, after - 'task' - 'until' - 'location' AS after
FROM storesync.audit WHERE action = 'settle short' ORDER BY audit_id;
UPDATE storesync.short_decision SET decided_at = now() - interval '31 days';
SELECT outcome FROM storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('w2'), until => now() + interval '1 hour');
SELECT o.order_sn, d.line_id, d.proposal, d.units, d.note FROM storesync.short_decision d JOIN storesync.sales_order o USING (order_id) ORDER BY 1, 2;

-- errors
SELECT storesync.settle_short(:one, 'C', '1', 'page', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', pg_temp.k('e'), 'north');
SELECT storesync.settle_short(:one, 'C', '1', 'move', pg_temp.k('e'), until => now() + interval '1 hour');
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'), until => now() + interval '1 hour', whole => true);
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'), until => now() - interval '1 hour');
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'), until => 'infinity');
SELECT storesync.settle_short(:one, 'C', NULL, 'move', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'move', pg_temp.k('e'), 'main');
SELECT storesync.settle_short(:one, 'C', '1', 'move', pg_temp.k('e'), 'nowhere');
SELECT storesync.settle_short(:one, 'C', '9', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'X', '1', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(-1, 'C', '1', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(NULL, 'C', '1', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(:one, NULL, '1', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', NULL, pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', NULL);
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', pg_temp.k('e'), note => '');
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', storesync.derive_key(now() - interval '200 days', 'e'));
\set VERBOSITY sqlstate
SELECT storesync.settle_short(:one, 'C', '1', 'page', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('e'), until => now() - interval '1 hour');
SELECT storesync.settle_short(:one, 'C', '1', 'move', pg_temp.k('e'), 'nowhere');
SELECT storesync.settle_short(:one, 'C', '9', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'X', '1', 'cancel', pg_temp.k('e'));
SELECT storesync.settle_short(:one, 'C', '1', 'wait', pg_temp.k('m1'), until => '2100-01-01');
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', pg_temp.k('m1'));
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', storesync.derive_key(now() - interval '200 days', 'e'));
BEGIN READ ONLY;
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', pg_temp.k('e'));
ROLLBACK;
\set VERBOSITY terse

-- Rights: an operator settles, an application and a reporter look.
CREATE ROLE regress_application;
CREATE ROLE regress_reporter;
CREATE ROLE regress_operator;
SELECT storesync.grant_role('regress_application', 'application'), storesync.grant_role('regress_reporter', 'reporter'), storesync.grant_role('regress_operator', 'operator');
SET ROLE regress_application;
SELECT count(*) > 0 AS looks FROM storesync.short_work(3);
SELECT * FROM storesync.short_rank;
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', storesync.new_key());
SET ROLE regress_reporter;
SELECT count(*) > 0 AS looks FROM storesync.short_work(3);
SELECT count(*) > 0 AS looks FROM storesync.short_rank;
SELECT storesync.settle_short(:one, 'C', '1', 'cancel', storesync.new_key());
SET ROLE regress_operator;
SELECT outcome FROM storesync.settle_short(:one, 'C', '1', 'wait', storesync.new_key(), until => now() + interval '1 hour');
UPDATE storesync.platform SET short_weight = 4, ship_within = '3 days' WHERE platform = 'shopee';
RESET ROLE;
DROP OWNED BY regress_application, regress_reporter, regress_operator;
DROP ROLE regress_application, regress_reporter, regress_operator;

SELECT * FROM storesync.check_invariants();
