-- The views of storesync_report, over a history so small that every figure can be worked out by hand.
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset null '(null)'
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SELECT storesync.ensure_partitions() > 0 AS made;
SELECT storesync.add_store('shopee', '1', '台北一店') AS one, storesync.add_store('shopee', '2', 'Berlin') AS two, storesync.add_store('ruten', '3', 'Shadow') AS three \gset
UPDATE storesync.store SET mode = CASE WHEN store_id = :three THEN 'shadow' ELSE 'live' END, timezone = CASE WHEN store_id = :two THEN 'Europe/Berlin' ELSE 'Asia/Taipei' END;
SELECT count(storesync.add_sku(c, n)) FROM (VALUES ('TEA', '烏龍茶'), ('CUP', '杯子'), ('SET', '茶具組'), ('NEW', 'new one'), ('OLD', 'never sold'), ('REST', 'sold long ago'), ('NONE', 'nothing of it')) x (c, n);
SELECT storesync.set_bundle('SET', '{"CUP": 2, "TEA": 1}');
SELECT storesync.add_listing(:one, 'TEA', '100') AS tea_one, storesync.add_listing(:one, 'TEA', '101', pack => 3) AS pack_one, storesync.add_listing(:two, 'TEA', '100') AS tea_two,
	storesync.add_listing(:one, 'SET', '200') AS set_one, storesync.add_listing(:three, 'TEA', '100') AS tea_three \gset
CREATE TEMP TABLE day AS SELECT (now() AT TIME ZONE 'Asia/Taipei')::date AS today, now() - '95 days'::interval AS long_ago;
CREATE FUNCTION pg_temp.k(name text) RETURNS storesync.idempotency_key LANGUAGE sql AS $$ SELECT storesync.derive_key(now(), name) $$;
-- noon in Taipei, so many days ago
CREATE FUNCTION pg_temp.noon(ago int) RETURNS timestamptz LANGUAGE sql AS $$ SELECT (today - ago + time '12:00') AT TIME ZONE 'Asia/Taipei' FROM day $$;
CREATE FUNCTION pg_temp.put(store int, sn text, status text, at timestamptz, lines text, currency text DEFAULT 'TWD') RETURNS text LANGUAGE sql AS $$
	SELECT r.outcome FROM storesync.ingest_order(store, jsonb_build_object('order_sn', sn, 'status', status, 'create_time', at, 'update_time', at, 'currency', currency, 'buyer', 'b-' || sn, 'lines', lines::jsonb)) r $$;
SELECT r.available FROM (VALUES ('TEA', 100), ('CUP', 50), ('NEW', 10), ('OLD', 7)) x (c, n), storesync.receive(x.c, x.n, pg_temp.k(x.c)) r ORDER BY x.c;
UPDATE storesync.sku SET created_at = now() - '100 days'::interval WHERE code <> 'NEW';
UPDATE storesync.sku SET created_at = pg_temp.noon(3) WHERE code = 'NEW';

-- ---------------------------------------------------------------- sales of SKUs

-- two listings of one SKU with different packs; a line that is cancelled in part; a late order; prices with fractions of a cent
SELECT pg_temp.put(:one, 'A', 'ready_to_ship', pg_temp.noon(3), '[{"line_id":"1","item_id":"100","qty":8,"unit_price":100},{"line_id":"2","item_id":"101","qty":2,"cancelled_qty":1,"unit_price":250.005}]');
SELECT pg_temp.put(:one, 'B', 'shipped', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":4,"unit_price":99.99}]');
-- what does not count: unpaid, cancelled, all units cancelled, parked
SELECT pg_temp.put(:one, 'C', 'unpaid', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":5,"unit_price":1}]');
SELECT pg_temp.put(:one, 'D', 'cancelled', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":5,"unit_price":1}]');
SELECT pg_temp.put(:one, 'E', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":5,"cancelled_qty":5,"unit_price":1},{"line_id":"2","item_id":"unknown","qty":5,"unit_price":1}]');
-- a bundle, without a price; a SKU that is younger than the days of the forecast
SELECT pg_temp.put(:one, 'F', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","item_id":"200","qty":3}]');
SELECT pg_temp.put(:one, 'G', 'ready_to_ship', pg_temp.noon(3), '[{"line_id":"1","sku":"NEW","qty":4}]'),
	pg_temp.put(:one, 'H', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","sku":"NEW","qty":2}]');
-- changed: one unit fewer, then a unit more
SELECT pg_temp.put(:two, 'I', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":3,"unit_price":10}]', 'EUR'),
	pg_temp.put(:two, 'I', 'ready_to_ship', pg_temp.noon(1) + '1 hour', '[{"line_id":"1","item_id":"100","qty":2,"unit_price":10}]', 'EUR');
SELECT code, name, store, today - s.day AS ago, orders, units, amount, sku_units FROM storesync_report.sales_sku_day s, day ORDER BY code, ago, store;
SELECT count(*) = (SELECT count(*) FROM storesync_report.sales_sku_day) AS same FROM day, storesync_report.sales_sku(today - 5, today) JOIN storesync_report.sales_sku_day USING (sku_id, code, name, store_id, store, day, orders, units, amount, sku_units);
SELECT code, store, units FROM day, storesync_report.sales_sku(today - 1, today - 1) ORDER BY code, store;
-- who lists what, and who sells it
SELECT code, store, listings, units_30d, amount_30d FROM storesync_report.cross_store ORDER BY code, store;

-- A day of 25 hours and one of 23 in Berlin, the last ones there were: their first and their last second are
-- theirs, whatever day it is in UTC, and so are those of the days beside them.
CREATE TEMP TABLE turn AS
SELECT hours, max(d) AS d FROM (
	SELECT d, (extract(epoch FROM ((d + 1)::timestamp AT TIME ZONE 'Europe/Berlin') - (d::timestamp AT TIME ZONE 'Europe/Berlin')) / 3600)::int AS hours
	FROM (SELECT today - n AS d FROM day, generate_series(40, 450) n) x) y
WHERE hours <> 24 GROUP BY hours;
SELECT hours, n, pg_temp.put(:two, format('T%s-%s', hours, n), 'completed', b, '[{"line_id":"1","item_id":"100","qty":1,"unit_price":1}]', 'EUR')
FROM turn, LATERAL (VALUES (1, d::timestamp AT TIME ZONE 'Europe/Berlin' - '1 s'::interval), (2, d::timestamp AT TIME ZONE 'Europe/Berlin'),
	(3, (d + 1)::timestamp AT TIME ZONE 'Europe/Berlin' - '1 s'::interval), (4, (d + 1)::timestamp AT TIME ZONE 'Europe/Berlin')) v (n, b) ORDER BY hours, n;
SELECT hours, s.day - d AS day, units FROM turn, storesync_report.sales_sku(d - 1, d + 1) s WHERE s.store_id = :two ORDER BY 1, 2;
SELECT hours, units FROM turn, storesync_report.sales_sku(d, d) s WHERE s.store_id = :two ORDER BY 1;

-- ---------------------------------------------------------------- forecast

-- By hand, with alpha 0.5, three days ago, two, one. NEW begins with its first day: 4, (0 + 4) / 2 = 2, (2 + 2) / 2 = 2.
-- TEA is older and sold nothing before: (11 + 0) / 2 = 5.5, (0 + 5.5) / 2 = 2.75, and 4 + 2 of the other store + 3 in sets
-- make (9 + 2.75) / 2 = 5.875. CUP sold as part of sets alone: (6 + 0) / 2 = 3.
SELECT code, available, daily_units, days_left, empty_on - today AS in_days FROM storesync_report.forecast(0.5), day ORDER BY code;
-- with 1 yesterday alone counts; what is no weight makes no forecast
SELECT code, daily_units, days_left, empty_on - today AS in_days FROM storesync_report.forecast(1), day ORDER BY code;
SELECT count(*) FROM unnest(ARRAY[0, 1.1, -1, NULL, 'NaN']::double precision[]) a, storesync_report.forecast(a);
SELECT count(*) AS same FROM storesync_report.forecast f JOIN storesync_report.forecast(0.3) g USING (sku_id, code, name, available, daily_units, days_left, empty_on);

-- ---------------------------------------------------------------- short, oversold, dead

SELECT pg_temp.put(:two, 'S1', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","item_id":"100","qty":500,"unit_price":10}]', 'EUR'),
	pg_temp.put(:one, 'S2', 'ready_to_ship', pg_temp.noon(1), '[{"line_id":"1","item_id":"101","qty":2,"unit_price":250}]'),
	pg_temp.put(:one, 'S3', 'shipped', pg_temp.noon(2), '[{"line_id":"1","sku":"NONE","qty":2}]'),
	pg_temp.put(:one, 'S4', 'unpaid', pg_temp.noon(2), '[{"line_id":"1","sku":"NONE","qty":1}]');
SELECT platform, store, order_sn, line_id, code, status, units, amount, currency, since = CASE order_sn WHEN 'S4' THEN pg_temp.noon(2) ELSE pg_temp.noon(1) END AS since, age > '1 hour' AS age
FROM storesync_report.short_order ORDER BY order_sn;
SELECT code, units, waiting, sent, orders, stores, since IN (pg_temp.noon(1), pg_temp.noon(2)) AS since FROM storesync_report.oversold ORDER BY code;

SELECT count(*) AS broken FROM storesync.check_invariants();
-- a month long gone, as it would have been made then
DO $$
DECLARE
	at timestamptz := date_trunc('month', now() - interval '95 days');
	made text := 'ledger' || to_char(at, '_YYYY_MM');
BEGIN
	IF to_regclass('storesync.' || made) IS NULL THEN
		EXECUTE format('CREATE TABLE storesync.%I (LIKE storesync.ledger INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', made);
		EXECUTE format('CREATE UNIQUE INDEX ON storesync.%I (sku_id, location_id, version)', made);
		EXECUTE format('ALTER TABLE storesync.ledger ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)', made, at, at + interval '1 month');
	END IF;
END
$$;
INSERT INTO storesync.stock_lock SELECT k.sku_id, c.location_id FROM storesync.sku k, storesync.location c WHERE k.code = 'REST' AND c.code = 'main';
INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, event_at, recorded_at, location_id, kind, key)
SELECT k.sku_id, x.*, long_ago, long_ago, c.location_id, y.kind::storesync.movement_kind, storesync.derive_key(long_ago, y.kind)
FROM day, storesync.sku k, storesync.location c, (VALUES (1, 9, 0, 9, 0), (2, 0, 2, 9, 2), (3, -2, -2, 7, 0)) x, LATERAL (SELECT (ARRAY['receive', 'reserve', 'ship'])[x.column1] AS kind) y
WHERE k.code = 'REST' AND c.code = 'main';
SELECT code, on_hand, last_sale = long_ago AS then, days FROM day, storesync_report.dead_stock ORDER BY code;

-- ---------------------------------------------------------------- wrong listings

-- TEA of one and of two show what was right an hour ago, and it has moved since; the last write of two was refused for good.
-- All orders were placed before that, at whatever hour this is run.
-- The set was never written, the pack shows what it should, and what a shadow store shows is not storesync's to write.
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
VALUES (:tea_one, 100, 1, storesync.current_incarnation(), now() - '1 hour'::interval, now() - '1 hour'::interval),
	(:pack_one, 0, 1, storesync.current_incarnation(), now(), now()),
	(:tea_two, 100, 1, storesync.current_incarnation(), now() - '1 hour'::interval, now() - '1 hour'::interval),
	(:tea_three, 100, 1, storesync.current_incarnation(), now() - '1 hour'::interval, now() - '1 hour'::interval);
INSERT INTO storesync.compensation (store_id, listing_id, call, class, version) SELECT store_id, listing_id, 'push_stock', 'permanent', version FROM storesync.listing_target WHERE listing_id = :tea_two;
SELECT platform, store, code, item_id, wanted, shown, state, since = (SELECT min(g.recorded_at) FROM storesync.ledger g JOIN storesync.sku k USING (sku_id) WHERE k.code = 'TEA') AS since, age >= '0' AS age
FROM storesync_report.wrong_listing ORDER BY store, item_id;
SELECT listing_id IN (:tea_one, :tea_two, :set_one) AS right_ones, t.wanted = w.wanted AND t.believed IS NOT DISTINCT FROM CASE WHEN w.listing_id = :set_one THEN NULL ELSE w.shown END AS same
FROM storesync_report.wrong_listing w JOIN storesync.listing_target t USING (listing_id) ORDER BY listing_id;

-- ---------------------------------------------------------------- calls and writes

INSERT INTO storesync.call_log (at, store_id, call, class, items, total_us)
SELECT now(), :one, 'push_stock', c, 1, 1000 FROM unnest(ARRAY['ok', 'ok', 'partial', 'throttled', 'quota', 'auth', 'later', 'permanent', 'in_doubt', 'ok']::storesync.outcome_class[]) c
UNION ALL SELECT now(), :two, 'fetch_orders', 'ok', 1, 1000;
SELECT c.platform, store, c.day = (now() AT TIME ZONE s.timezone)::date AS today, calls, failed, throttled, error_rate, throttle_rate
FROM storesync_report.call_day c JOIN storesync.store s USING (store_id) ORDER BY store;
INSERT INTO storesync.push (at, listing_id, store_id, qty, version, changed_at, sent_at, class)
SELECT now(), :tea_one, :one, 1, 1, now() - n * '1 ms'::interval, now(), 'ok'::storesync.outcome_class FROM generate_series(1, 200) n
UNION ALL SELECT now(), :tea_one, :one, 1, 1, now() - '1 day'::interval, now(), 'throttled';
SELECT store, p.day = (now() AT TIME ZONE 'Asia/Taipei')::date AS today, writes, failed, p50_ms, p95_ms, p99_ms FROM storesync_report.push_day p;
-- days follow one another in every zone, whatever their length
SELECT timezone, bool_and(begins = before OR before IS NULL) AS no_gap, bool_and(ends - begins BETWEEN '23 hours' AND '25 hours') AS lengths, count(*) >= 31 AS enough
FROM (SELECT d.*, lag(ends) OVER (PARTITION BY timezone ORDER BY d.day) AS before FROM storesync_report.log_day d) x GROUP BY timezone ORDER BY timezone;

-- ---------------------------------------------------------------- over roll-ups

INSERT INTO storesync.sales_day (store_id, day, orders, units, amount, cancelled_orders, cancelled_units, returned_units)
VALUES (:one, '2024-03-30', 10, 15, 150000, 2, 3, 1), (:one, '2024-03-31', 3, 3, 30000, 0, 0, 0), (:two, '2024-03-31', 5, 6, 6000, 0, 0, 0), (:three, '2024-03-31', 0, 0, 0, 1, 1, 0);
INSERT INTO storesync.sales_hour VALUES (:two, '2024-03-31 00:00+01', 2, 2, 2000), (:two, '2024-03-31 03:00+02', 3, 4, 4000);
SELECT storesync.ingest_visits(:one, '2024-03-30', 400), storesync.ingest_visits(:two, '2024-03-31', 0), storesync.ingest_visits(:two, '2024-04-01', 50);
SELECT platform, store, day, orders, units, amount, cancelled_orders, cancelled_units, returned_units FROM storesync_report.sales_day ORDER BY day, store_id;
SELECT store, hour, orders, units, amount FROM storesync_report.sales_hour ORDER BY hour;
SELECT * FROM storesync_report.sales_platform_day ORDER BY day, platform;
SELECT store, day, orders, cancelled_orders, units, cancelled_units, returned_units, cancellation_rate, return_rate FROM storesync_report.cancellation_day ORDER BY day, store_id;
-- nobody counted visits: NULL; none: NULL; visits without orders: 0
SELECT store, day, orders, visits, conversion, source FROM storesync_report.conversion_day ORDER BY day, store_id;

-- rows of sku_month as they are to be
CREATE TEMP TABLE wanted AS SELECT * FROM storesync.sku_month WITH NO DATA;
CREATE FUNCTION pg_temp.put_months() RETURNS void LANGUAGE sql AS $$
	DELETE FROM storesync.sku_block;
	INSERT INTO storesync.sku_block
	SELECT w.sku_id / 32, w.month, storesync.sku_sums(w.sku_id, w.sold, w.amount, w.returned, w.stock_seconds, w.empty_seconds, w.received, w.shipped,
		w.on_hand, w.available, w.through)
	FROM wanted w GROUP BY 1, 2
$$;

-- TEA: 100 on hand for half of January, then none: 62 sold in 15.5 days, so 4 a day and 62 more. In February it came late:
-- 10 days with 29 on hand; (0.7 * 62 + 29) / (0.7 * 15.5 + 10) = 3.4724 a day for 19 days. Of CUP there was always one; NEW is a month of sales without stock.
INSERT INTO wanted (sku_id, month, sold, amount, returned, received, shipped, stock_seconds, empty_seconds, on_hand, available, through)
SELECT k.sku_id, x.m::date, x.sold, 0, 0, x.received, x.shipped, x.stock * 86400, x.empty * 86400, x.on_hand, x.on_hand, x.through::timestamptz
FROM storesync.sku k JOIN (VALUES ('TEA', '2024-01-01', 62, 100, 100, 1550, 15.5, 0, '2024-02-01 00:00+08'), ('TEA', '2024-02-01', 29, 29, 29, 290, 19, 0, '2024-03-01 00:00+08'),
	('CUP', '2024-01-01', 0, 1, 0, 31, 0, 1, '2024-02-01 00:00+08'), ('CUP', '2024-02-01', 58, 0, 0, 29, 0, 1, '2024-03-01 00:00+08'),
	('NEW', '2024-02-01', 5, 0, 0, 0, 0, 0, NULL)) x (code, m, sold, received, shipped, stock, empty, on_hand, through) ON x.code = k.code;
SELECT pg_temp.put_months();
SELECT code, month, sold, average_stock, turnover, days_of_supply, shipped FROM storesync_report.turnover_month ORDER BY code, month;
SELECT * FROM storesync_report.turnover_group_month ORDER BY month;
SELECT code, sold, average_stock, turnover, days_of_supply FROM storesync_report.turnover('2024-01-15', '2024-02-03') ORDER BY code;
SELECT code, sold, average_stock, turnover, days_of_supply FROM storesync_report.turnover('2024-02-01', '2024-02-29') ORDER BY code;
SELECT count(*) AS most, max(sold) = (SELECT max(sold) FROM storesync_report.turnover('2024-02-01', '2024-02-29')) AS is_top FROM storesync_report.turnover('2024-02-01', '2024-02-29', 1);
-- what turnover() and sell_through() are made of: stock stands on where a row has it for no longer
BEGIN;
UPDATE wanted SET through = through - '10 seconds'::interval;
SELECT pg_temp.put_months();
SELECT k.code, t.sold, t.received, t.stock_seconds, o.stock_seconds - t.stock_seconds AS to_both_ends, g.stock_seconds - t.stock_seconds AS not_quite
FROM storesync_report.sku_totals('2024-01-01', '2024-02-01', NULL) t
JOIN storesync_report.sku_totals('2024-01-01', '2024-02-01', '2024-03-05 00:00+08') o USING (sku_id)
JOIN storesync_report.sku_totals('2024-01-01', '2024-02-01', '2024-02-29 23:59:53+08') g USING (sku_id)
JOIN storesync.sku k USING (sku_id) ORDER BY k.code;
ROLLBACK;
SELECT count(*) AS none FROM storesync_report.sku_totals(NULL, '2024-02-01', NULL);
SELECT count(*) AS none FROM storesync_report.sku_totals('2024-02-01', '2024-01-01', NULL);
CREATE ROLE regress_nobody;
GRANT USAGE ON SCHEMA storesync, storesync_report TO regress_nobody;
GRANT EXECUTE ON FUNCTION storesync_report.sku_totals(date, date, timestamptz) TO regress_nobody;
SET ROLE regress_nobody;
SELECT count(*) FROM storesync_report.sku_totals('2024-01-01', '2024-02-01', NULL);
RESET ROLE;
DROP OWNED BY regress_nobody;
DROP ROLE regress_nobody;
BEGIN;
UPDATE wanted SET stock_seconds = 9223372036854775807;
SELECT pg_temp.put_months();
SELECT count(*) FROM storesync_report.sku_totals('2024-01-01', '2024-02-01', NULL);
ROLLBACK;
SELECT code, month, hours, lost_units FROM storesync_report.stock_out ORDER BY code, month;
SELECT code, received, sold, rate FROM storesync_report.sell_through('2024-01-01', '2024-02-29') ORDER BY code;
SELECT count(*) AS none FROM storesync_report.sell_through;
-- a month that is not over: 10 units since it began, and nothing has moved until the ledger was looked through
DELETE FROM wanted;
INSERT INTO storesync.roll_up_stock (month, through, rows_behind, ended_at) SELECT date_trunc('month', now() AT TIME ZONE 'Asia/Taipei'), now(), 0, now();
INSERT INTO wanted (sku_id, month, sold, amount, returned, stock_seconds, empty_seconds, received, shipped, on_hand, available, through)
SELECT k.sku_id, m, CASE k.code WHEN 'TEA' THEN 20 ELSE 0 END, 0, 0, 0, 0, 40, 0, CASE k.code WHEN 'TEA' THEN 10 ELSE 0 END, CASE k.code WHEN 'TEA' THEN 10 ELSE 0 END, m::timestamp AT TIME ZONE 'Asia/Taipei'
FROM storesync.sku k, (SELECT date_trunc('month', now() AT TIME ZONE 'Asia/Taipei')::date AS m) x WHERE k.code IN ('TEA', 'CUP');
SELECT pg_temp.put_months();
SELECT code, sold, average_stock, turnover FROM storesync_report.turnover_month ORDER BY code;
SELECT t.code, t.sold, t.average_stock, t.turnover FROM day, storesync_report.turnover(today, today) t ORDER BY code;
SELECT s.code, s.hours > 0 AS hours, s.lost_units FROM storesync_report.stock_out s;
SELECT code, received, sold, rate FROM storesync_report.sell_through ORDER BY code;

INSERT INTO storesync.delay_day SELECT p, d, s, storesync.delay_histogram(x * f)
FROM (VALUES ('shopee', '2024-03-30'::date, 'booked', 1), ('shopee', '2024-03-31', 'booked', 0), ('shopee', '2024-03-31', 'pushed', 1000), ('ruten', '2024-03-31', 'booked', 1)) v (p, d, s, f), generate_series(1, 100) x
GROUP BY p, d, s;
-- exact below 128 ms, within 0.8 % above
SELECT platform, day, stage, orders, p50_ms, p95_ms, p99_ms FROM storesync_report.delay_day WHERE stage = 'booked' ORDER BY day, platform;
SELECT abs(p50_ms - 50000) < 500 AND abs(p95_ms - 95000) < 950 AND abs(p99_ms - 99000) < 990 AS near FROM storesync_report.delay_day WHERE stage = 'pushed';
-- half of the two days' orders took no time at all
SELECT platform, stage, orders, p50_ms FROM storesync_report.delay('2024-03-30', '2024-03-31') WHERE stage = 'booked' ORDER BY 1, 2;
SELECT count(*) AS none FROM storesync_report.delay('2024-04-01', '2024-03-01');

-- ---------------------------------------------------------------- from orders to reports

DELETE FROM storesync.sales_day;
DELETE FROM storesync.sales_hour;
DELETE FROM storesync.sku_block;
DELETE FROM storesync.roll_up_stock;
DELETE FROM storesync.delay_day;
DELETE FROM storesync.visit_day;
CALL storesync.roll_up();
SELECT store, today - d.day AS ago, orders, units, amount, cancelled_orders, cancelled_units, returned_units FROM storesync_report.sales_day d, day WHERE d.day > today - 20 ORDER BY store_id, ago;
-- then one of B's units comes back, H is cancelled, an order of five days ago comes late, I becomes one of three units
SELECT outcome FROM storesync.receive_return(:one, 'B', '1', 1, pg_temp.k('back'));
SELECT pg_temp.put(:one, 'H', 'cancelled', pg_temp.noon(1) + '1 hour', '[{"line_id":"1","sku":"NEW","qty":2}]'),
	pg_temp.put(:one, 'L', 'completed', pg_temp.noon(5), '[{"line_id":"1","item_id":"100","qty":1,"unit_price":77.77}]'),
	pg_temp.put(:two, 'I', 'ready_to_ship', pg_temp.noon(1) + '2 hours', '[{"line_id":"1","item_id":"100","qty":3,"unit_price":10}]', 'EUR');
CALL storesync.roll_up();
SELECT store, today - d.day AS ago, orders, units, amount, cancelled_orders, cancelled_units, returned_units FROM storesync_report.sales_day d, day WHERE d.day > today - 20 ORDER BY store_id, ago;
SELECT today - d.day AS ago, platform, orders, units, amount FROM storesync_report.sales_platform_day d, day WHERE d.day > today - 20 ORDER BY ago;
-- hours and SKUs add up to the same; what is parked is of no SKU
SELECT count(*) AS days, count(h.store_id) AS same FROM storesync_report.sales_day d
LEFT JOIN (SELECT h.store_id, (h.hour AT TIME ZONE s.timezone)::date AS day, sum(h.orders) AS orders, sum(h.units) AS units, sum(h.amount) AS amount
	FROM storesync_report.sales_hour h JOIN storesync.store s ON s.store_id = h.store_id GROUP BY 1, 2) h USING (store_id, day, orders, units, amount);
SELECT store, today - x.day AS ago, units - sku_units AS units, amount - sku_amount AS amount
FROM (SELECT d.store, d.day, d.units, d.amount, sum(x.units) AS sku_units, sum(x.amount) AS sku_amount
	FROM storesync_report.sales_day d LEFT JOIN storesync_report.sales_sku_day x USING (store_id, day) GROUP BY d.store, d.day, d.units, d.amount) x, day
WHERE (units, amount) <> (sku_units, sku_amount);
-- of the ledger all is taken in that was recorded until a second ago
CREATE TEMP TABLE moment AS SELECT clock_timestamp() AS at;
DO $$
BEGIN
	FOR n IN 1 .. 600 LOOP
		WHILE storesync.roll_up_stock_step() LOOP NULL; END LOOP;
		EXIT WHEN (SELECT r.through >= m.at AND r.ended_at IS NOT NULL FROM storesync.roll_up_stock r, moment m);
		PERFORM pg_sleep(0.1);
	END LOOP;
END
$$;
SELECT code, sum(t.sold) AS sold, sum(t.shipped) AS shipped, sum(m.received) AS received, bool_and(average_stock >= 0) AS stock
FROM storesync_report.turnover_month t JOIN storesync_report.stock_month m USING (sku_id, month) GROUP BY code ORDER BY code;
-- units on hand now have been there since they came, and what is empty now is so since it was sold
SELECT k.code, m.on_hand, t.on_hand = m.on_hand AND t.available = m.available AS as_it_stands
FROM storesync.sku_month m JOIN storesync.sku k USING (sku_id)
CROSS JOIN LATERAL (SELECT sum(x.on_hand) AS on_hand, sum(x.on_hand - x.reserved) AS available FROM storesync.stock x WHERE x.sku_id = m.sku_id) t
WHERE m.month = date_trunc('month', now() AT TIME ZONE 'Asia/Taipei') AND m.through IS NOT NULL ORDER BY k.code;
SELECT platform, stage, orders, p50_ms > 86400000 AS days FROM storesync_report.delay('2000-01-01', '2999-12-31') WHERE stage = 'booked';
SELECT * FROM storesync.check_invariants() WHERE subject NOT LIKE 'REST %';

-- ---------------------------------------------------------------- who may read

CREATE ROLE report_reporter;
CREATE ROLE report_operator;
CREATE ROLE report_application;
CREATE ROLE report_nobody;
SELECT FROM storesync.grant_role('report_reporter', 'reporter');
SELECT FROM storesync.grant_role('report_operator', 'operator');
SELECT FROM storesync.grant_role('report_application', 'application');
-- everything that there is, read once by that role: what was refused
CREATE FUNCTION pg_temp.refused(who name) RETURNS TABLE(kind text, refused bigint, of bigint) LANGUAGE plpgsql AS $$
DECLARE
	what text;
	n int;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', who);
	kind := 'view'; of := 0; refused := 0;
	FOR what IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace('storesync_report') AND c.relkind = 'v' LOOP
		of := of + 1;
		BEGIN
			EXECUTE format('SELECT count(*) FROM storesync_report.%I', what) INTO n;
		EXCEPTION WHEN insufficient_privilege THEN
			refused := refused + 1;
		END;
	END LOOP;
	RETURN NEXT;
	kind := 'function'; of := 0; refused := 0;
	FOR what IN SELECT format('storesync_report.%I(%s)', p.proname, (SELECT string_agg(CASE t WHEN 'date'::regtype THEN 'current_date' WHEN 'bigint'::regtype THEN '1' WHEN 'timestamptz'::regtype THEN 'now()' ELSE '0.3' END, ', ') FROM unnest(p.proargtypes) t))
		FROM pg_proc p WHERE p.pronamespace = to_regnamespace('storesync_report') LOOP
		of := of + 1;
		BEGIN
			EXECUTE format('SELECT count(*) FROM %s', what) INTO n;
		EXCEPTION WHEN insufficient_privilege THEN
			refused := refused + 1;
		END;
	END LOOP;
	RETURN NEXT;
	RESET ROLE;
END
$$;
SELECT kind, refused, of > 3 AS some FROM pg_temp.refused('report_reporter');
SELECT kind, refused, of > 3 AS some FROM pg_temp.refused('report_operator');
SELECT kind, of - refused AS read FROM pg_temp.refused('report_application');
SELECT kind, of - refused AS read FROM pg_temp.refused('report_nobody');
-- nor is there a buyer in any of them, or anything of a credential
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'storesync_report'::regnamespace AND (a.attname ~ 'buyer|secret|token|credential') ORDER BY 1, 2;
SELECT DISTINCT c.relname, d.refobjid::regclass AS reads FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
WHERE c.relnamespace = 'storesync_report'::regnamespace AND (d.refobjid::regclass::text ~ 'credential|token|instance'
	OR (d.refobjid = 'storesync.sales_order'::regclass AND d.refobjsubid = (SELECT a.attnum FROM pg_attribute a WHERE a.attrelid = 'storesync.sales_order'::regclass AND a.attname = 'buyer')));
DROP OWNED BY report_reporter, report_operator, report_application;
DROP ROLE report_reporter, report_operator, report_application, report_nobody;
