-- Roll-ups: histograms, visits, and folded rows that equal what the orders say.
\set VERBOSITY terse
\pset null '(null)'

-- ------------------------------------------------------------ histograms
SELECT storesync.delay_histogram(x) FROM (VALUES (3), (3), (127), (128), (129), (130), (-7), (NULL)) v (x);
SELECT storesync.delay_count('3:2 127:1 128:2'), '130:1 3:2 131:1'::storesync.histogram, ''::storesync.histogram;
SELECT storesync.delay_percentile('3:2 127:1 128:2', f) FROM unnest(ARRAY[0, 0.4, 0.41, 0.6, 0.61, 1]) f;
SELECT storesync.delay_percentile('', 0.5), storesync.delay_sum(NULL), storesync.delay_histogram(NULL);
SELECT storesync.delay_percentile('3:1', 1.1);
SELECT storesync.delay_percentile('3:1', 'NaN');
SELECT '3'::storesync.histogram;
SELECT '3:1,4:1'::storesync.histogram;
SELECT '3:99999999999999999999'::storesync.histogram;
SELECT storesync.delay_sum(h) FROM (VALUES ('3:9223372036854775807'::storesync.histogram), ('3:1')) v (h);
-- within one percent of the exact percentile, for lengths from a millisecond to months
SELECT f, abs(storesync.delay_percentile(storesync.delay_histogram(x), f) - percentile_disc(f) WITHIN GROUP (ORDER BY x)) * 100
	<= percentile_disc(f) WITHIN GROUP (ORDER BY x) AS near
FROM unnest(ARRAY[0.5, 0.95, 0.99]::double precision[]) f, LATERAL (SELECT (1.0023 ^ n)::bigint AS x FROM generate_series(1, 10000) n) v
GROUP BY f ORDER BY f;
SELECT storesync.delay_sum(h) FROM (SELECT storesync.delay_histogram(x % 7) AS h FROM generate_series(1, 70) x GROUP BY x % 3) v;

-- ------------------------------------------------------------ visits
SELECT storesync.add_store('shopee', '8200', 'north') AS north \gset
SELECT storesync.ingest_visits(:north, '2026-01-31', 100);
SELECT storesync.ingest_visits(:north, '2026-01-31', 120);
SELECT storesync.ingest_visits(:north, '2026-01-31', 120);
SELECT storesync.ingest_visits(:north, '2026-02-01', 0);
SELECT v.day, v.visits, v.source FROM storesync.visit_day v WHERE v.store_id = :north ORDER BY v.day;
SELECT storesync.ingest_visits(-1, '2026-01-31', 1);
SELECT storesync.ingest_visits(:north, '2026-01-31', -1);
SELECT storesync.ingest_visits(:north, 'infinity', 1);
SELECT storesync.ingest_visits(:north, '2026-01-31', NULL);
\set VERBOSITY sqlstate
SELECT storesync.ingest_visits(:north, current_date + 3, 1);
\set VERBOSITY terse

-- ------------------------------------------------------------ sales
-- What a document counts for, by the store's own clock: midnight in New York is noon in Taipei.
SELECT storesync.add_store('shopee', '8201', 'west') AS west \gset
UPDATE storesync.store SET timezone = 'America/New_York' WHERE store_id = :west;
SELECT storesync.add_sku('roll-a') AS sku_a \gset
SELECT storesync.add_sku('roll-b') AS sku_b \gset
SELECT storesync.add_listing(:north, 'roll-a', 'I1', 'six', 6) > 0 AS listed;
SELECT (storesync.receive('roll-a', 5000, storesync.new_key())).outcome, (storesync.receive('roll-b', 5000, storesync.new_key())).outcome;
-- a document: order, status, hours before the noon (UTC) of ten days ago, lines; and who answers how
SELECT date_trunc('day', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - '10 days'::interval + '12 hours' AS noon \gset
CREATE FUNCTION pg_temp.doc(sn text, status text, created timestamptz, version int, lines jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('order_sn', sn, 'status', status, 'create_time', extract(epoch FROM created)::bigint,
		'update_time', extract(epoch FROM created)::bigint + version, 'currency', 'TWD', 'lines', lines)
$$;
CREATE FUNCTION pg_temp.book(store int, docs jsonb[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(r.outcome, ' ' ORDER BY r.ord) FROM storesync.ingest_orders(store, to_jsonb(docs)) WITH ORDINALITY r (order_sn, outcome, detail, ord)
$$;
-- the days and hours of this test, as distances from that noon
CREATE VIEW pg_temp.days AS SELECT s.name AS store, d.day - (:'noon' AT TIME ZONE s.timezone)::date AS day, d.orders, d.units, d.amount,
	d.cancelled_orders AS c_orders, d.cancelled_units AS c_units, d.returned_units AS returned
FROM storesync.sales_day d JOIN storesync.store s USING (store_id) WHERE s.shop_id LIKE '82%' ORDER BY 1, 2;
CREATE VIEW pg_temp.hours AS SELECT s.name AS store, h.hour - :'noon' AS hour, h.orders, h.units, h.amount
FROM storesync.sales_hour h JOIN storesync.store s USING (store_id) WHERE s.shop_id LIKE '82%' ORDER BY 1, 2;
CREATE VIEW pg_temp.months AS SELECT k.code, sum(m.sold) AS sold, sum(m.amount) AS amount
FROM storesync.sku_month m JOIN storesync.sku k USING (sku_id) WHERE k.code LIKE 'roll%' GROUP BY 1 ORDER BY 1;

-- sku_month is changed in a copy, and put back as it is there
CREATE FUNCTION pg_temp.put_months() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM storesync.sku_block;
	INSERT INTO storesync.sku_block
	SELECT w.block, w.month, storesync.sku_sums(w.sku_id, w.sold, w.amount, w.returned, w.stock_seconds, w.empty_seconds, w.received, w.shipped,
		w.on_hand, w.available, w.through)
	FROM wanted w GROUP BY 1, 2;
END
$$;

-- orders that were booked before the first roll-up
SELECT pg_temp.book(:north, ARRAY[
	pg_temp.doc('N1', 'ready_to_ship', :'noon', 0, '[{"line_id": "1", "item_id": "I1", "model_id": "six", "qty": 2, "unit_price": 199.5},
		{"line_id": "2", "sku": "roll-b", "qty": 3, "unit_price": 10, "cancelled_qty": 1}]'),
	pg_temp.doc('N2', 'unpaid', :'noon', 0, '[{"line_id": "1", "sku": "roll-a", "qty": 7, "unit_price": 1}]'),
	pg_temp.doc('N3', 'cancelled', :'noon'::timestamptz - '20 hours'::interval, 0, '[{"line_id": "1", "sku": "roll-a", "qty": 4, "unit_price": 1}]')]);
SELECT pg_temp.book(:west, ARRAY[
	pg_temp.doc('W1', 'shipped', :'noon'::timestamptz - '8 hours 1 second'::interval, 0, '[{"line_id": "1", "sku": "roll-a", "qty": 1, "unit_price": 0.005}]'),
	pg_temp.doc('W2', 'shipped', :'noon'::timestamptz - '6 hours'::interval, 0, '[{"line_id": "1", "sku": "nobody-knows", "qty": 5, "unit_price": 20}]')]);
CALL storesync.roll_up();
SELECT * FROM pg_temp.days;
SELECT * FROM pg_temp.hours;
SELECT * FROM pg_temp.months;
SELECT r.built_through, r.lag_rows FROM storesync.roll_up_status r;
SELECT * FROM storesync.invariant_rollup();

-- later: paid, one line more; cancelled; shipped, of which goods come back; the unknown SKU is made known
SELECT pg_temp.book(:north, ARRAY[
	pg_temp.doc('N2', 'ready_to_ship', :'noon', 1, '[{"line_id": "1", "sku": "roll-a", "qty": 7, "unit_price": 1}, {"line_id": "2", "sku": "roll-b", "qty": 1}]'),
	pg_temp.doc('N1', 'shipped', :'noon', 1, '[{"line_id": "1", "item_id": "I1", "model_id": "six", "qty": 2, "unit_price": 199.5},
		{"line_id": "2", "sku": "roll-b", "qty": 3, "unit_price": 10, "cancelled_qty": 1}]')]);
SELECT (storesync.receive_return(:north, 'N1', '1', 6, storesync.new_key())).outcome;
SELECT pg_temp.book(:west, ARRAY[pg_temp.doc('W3', 'ready_to_ship', :'noon'::timestamptz, 0, '[{"line_id": "1", "sku": "roll-b", "qty": 2, "unit_price": 3}]'),
	pg_temp.doc('W3', 'cancelled', :'noon'::timestamptz, 1, '[{"line_id": "1", "sku": "roll-b", "qty": 2, "unit_price": 3}]')]);
SELECT storesync.add_sku('nobody-knows') > 0 AS known;
-- what waits to be folded is known to the invariant
SELECT * FROM storesync.invariant_rollup();
SELECT o.kind, (SELECT count(*) FROM storesync.sale_changes(o.sale) x WHERE x.sku_id IS NULL) AS orders
FROM storesync.outbox o JOIN storesync.roll_up_cursor c ON NOT pg_visible_in_snapshot(o.xid, c.snapshot) AND o.sale IS NOT NULL ORDER BY o.xid;
CALL storesync.roll_up();
SELECT * FROM pg_temp.days;
SELECT * FROM pg_temp.hours;
SELECT * FROM pg_temp.months;
SELECT sum(m.sold) AS sold, sum(m.amount) AS amount FROM storesync.sku_month m JOIN storesync.sku k USING (sku_id) WHERE k.code = 'nobody-knows';
SELECT * FROM storesync.invariant_rollup();

-- folding is finished once, whatever the portions; a transaction that wrote before must not fold
CALL storesync.roll_up();
SELECT storesync.roll_up_step(1);
BEGIN;
SELECT pg_temp.book(:west, ARRAY[pg_temp.doc('W4', 'ready_to_ship', :'noon', 0, '[{"line_id": "1", "sku": "roll-b", "qty": 2, "unit_price": 3}]')]);
SELECT storesync.roll_up_step();
ROLLBACK;
SELECT storesync.roll_up_step(0);
CALL storesync.roll_up();
SELECT * FROM storesync.invariant_rollup();

-- a wrong row of each kind is found
BEGIN;
UPDATE storesync.sales_day SET units = units + 1 WHERE store_id = :west AND orders = 1;
UPDATE storesync.sales_hour SET orders = 0 WHERE store_id = :west AND orders = 1;
CREATE TEMP TABLE wanted AS SELECT * FROM storesync.sku_month;
UPDATE wanted SET amount = 0 WHERE sku_id = :sku_b;
SELECT pg_temp.put_months();
UPDATE storesync.delay_day SET histogram = '' WHERE platform = 'shopee' AND stage = 'booked';
SELECT regexp_replace(i.subject, '\d+.*', '') AS subject, count(*) > 0 AS found FROM storesync.invariant_rollup() i GROUP BY 1 ORDER BY 1;
ROLLBACK;

-- ------------------------------------------------------------ anything, in any order
-- Random documents of 60 orders, with units cancelled, returned, gone up and down, and returns by hand, folded now and then in
-- small portions: the roll-ups always say what the orders say.
SELECT setseed(0.7);
CREATE FUNCTION pg_temp.random_doc() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
	SELECT jsonb_build_object('order_sn', 'R' || r.n, 'status', (ARRAY['unpaid', 'ready_to_ship', 'ready_to_ship', 'shipped',
			'completed', 'in_cancel', 'cancelled', 'returned'])[1 + (random() * 7)::int], 'currency', 'TWD',
		'create_time', extract(epoch FROM date_trunc('day', now()) - '400 hours'::interval)::bigint + (random() * 300)::int * 3600,
		'update_time', extract(epoch FROM now())::bigint + (random() * 1000)::int - 1000, 'lines', (
			SELECT jsonb_agg(jsonb_build_object('line_id', n, 'sku', (ARRAY['roll-a', 'roll-b', 'roll-unknown'])[1 + (r.n + n) % 3],
				'qty', 1 + (random() * 5)::int, 'cancelled_qty', (random() * 2.4)::int, 'returned_qty', (random() * 1.4)::int,
				'unit_price', round((random() * 100)::numeric, 1 + n % 3)))
			FROM generate_series(1, 1 + (random() * 2)::int) n))
	FROM (SELECT (random() * 60)::int AS n) r
$$;
CREATE FUNCTION pg_temp.some(store int, n int) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT count(*) FROM storesync.ingest_orders(store, (SELECT jsonb_agg(pg_temp.random_doc()) FROM generate_series(1, n)))
$$;
CREATE FUNCTION pg_temp.return_some(store int) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT count((storesync.receive_return(store, o.order_sn, l.line_id, 1, storesync.new_key())).outcome)
	FROM storesync.sales_order o JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at
	WHERE o.store_id = store AND o.order_sn LIKE 'R%' AND l.shipped > l.restocked + coalesce(l.lost, 0) AND random() < 0.05
$$;
CREATE TEMP TABLE finding (round int, subject text, detail text);
SET client_min_messages = warning;
DO $$
BEGIN
	FOR round IN 1..12 LOOP
		PERFORM pg_temp.some(s.store_id, 1 + (random() * 20)::int) FROM storesync.store s WHERE s.shop_id LIKE '82%';
		PERFORM pg_temp.return_some(s.store_id) FROM storesync.store s WHERE s.shop_id LIKE '82%';
		INSERT INTO finding SELECT round, i.subject, i.detail FROM storesync.invariant_rollup() i;
		COMMIT;
		IF round = 6 THEN
			UPDATE storesync.store SET returns = 'platform' WHERE shop_id = '8201';
			PERFORM storesync.add_sku('roll-unknown');
			COMMIT;
		END IF;
		IF round % 3 = 0 THEN
			PERFORM storesync.roll_up_step(1 + (random() * 3)::int);
			COMMIT;
			INSERT INTO finding SELECT round, i.subject, i.detail FROM storesync.invariant_rollup() i;
		END IF;
	END LOOP;
END
$$;
RESET client_min_messages;
CALL storesync.roll_up();
INSERT INTO finding SELECT 99, i.subject, i.detail FROM storesync.invariant_rollup() i;
SELECT * FROM finding;
SELECT count(*) > 20 AS hours, sum(h.orders) > 20 AS orders FROM storesync.sales_hour h;

-- The same rows come of making them anew, in portions, with orders that come meanwhile.
CREATE TEMP TABLE before AS SELECT * FROM storesync.sales_day;
CREATE TEMP TABLE before_month AS SELECT m.sku_id, m.month, m.sold, m.amount FROM storesync.sku_month m;
CREATE TEMP TABLE before_delay AS SELECT d.platform, d.day, d.histogram::text AS histogram FROM storesync.delay_day d WHERE d.stage = 'booked';
SELECT storesync.consumer_drop('rollup');
SELECT storesync.roll_up_step(5);
SELECT storesync.roll_up_step(5);
SELECT r.built_through IS NOT NULL AS building FROM storesync.roll_up_status r;
SELECT pg_temp.book(:west, ARRAY[pg_temp.doc('W9', 'ready_to_ship', :'noon'::timestamptz, 0, '[{"line_id": "1", "sku": "roll-b", "qty": 2, "unit_price": 3}]'),
	pg_temp.doc('W1', 'cancelled', :'noon'::timestamptz - '8 hours 1 second'::interval, 5, '[{"line_id": "1", "sku": "roll-a", "qty": 1, "unit_price": 0.005}]')]);
SELECT storesync.roll_up_step(5);
SELECT pg_temp.book(:west, ARRAY[pg_temp.doc('W9', 'cancelled', :'noon'::timestamptz, 2, '[{"line_id": "1", "sku": "roll-b", "qty": 2, "unit_price": 3}]')]);
CALL storesync.roll_up();
SELECT * FROM storesync.invariant_rollup();
-- but for what came meanwhile
SELECT s.name, d.day - (:'noon' AT TIME ZONE s.timezone)::date AS day, d.orders - b.orders AS orders, d.units - b.units AS units, d.amount - b.amount AS amount,
	d.cancelled_orders - b.cancelled_orders AS c_orders, d.cancelled_units - b.cancelled_units AS c_units, d.returned_units - b.returned_units AS returned
FROM (SELECT * FROM storesync.sales_day WHERE (orders, units, cancelled_orders, cancelled_units, returned_units) <> (0, 0, 0, 0, 0)) d
FULL JOIN (SELECT * FROM before WHERE (orders, units, cancelled_orders, cancelled_units, returned_units) <> (0, 0, 0, 0, 0)) b USING (store_id, day)
LEFT JOIN storesync.store s USING (store_id)
WHERE d.* IS DISTINCT FROM b.*;
SELECT count(*) FROM (SELECT m.sku_id, m.month, m.sold, m.amount FROM storesync.sku_month m WHERE m.sku_id <> :sku_a EXCEPT SELECT * FROM before_month) x;
SELECT count(*) FROM (SELECT * FROM before_delay EXCEPT SELECT d.platform, d.day, d.histogram::text FROM storesync.delay_day d) x;

-- A store whose clock is another one has other days.
UPDATE storesync.store SET timezone = 'Asia/Kolkata' WHERE store_id = :west;
SELECT * FROM storesync.invariant_rollup();
CALL storesync.roll_up();
SELECT * FROM storesync.invariant_rollup();
SELECT count(*) > 0 AS half_hours FROM storesync.sales_hour h WHERE h.store_id = :west AND extract(minute FROM h.hour) = 30;
SELECT o.orders = h.orders AS as_many FROM (SELECT sum(d.orders) AS orders FROM storesync.sales_day d) o, (SELECT sum(orders) AS orders FROM storesync.sales_hour) h;

-- ------------------------------------------------------------ after a time
-- Of a month whose orders may have gone nothing is compared, and nothing made anew.
BEGIN;
INSERT INTO storesync.retired (parent, through) VALUES ('sales_order_line', date_trunc('day', now()) + '1 day'::interval);
UPDATE storesync.sales_day SET units = 0;
DELETE FROM storesync.sales_order_line l;
DELETE FROM storesync.sales_order o;
SELECT * FROM storesync.invariant_rollup();
CREATE TEMP TABLE kept AS SELECT * FROM storesync.sales_day;
SELECT storesync.consumer_drop('rollup');
SELECT FROM storesync.roll_up_begin(storesync.current_incarnation());
SELECT count(*) > 0 AS kept, count(k.*) = count(*) AS unchanged FROM storesync.sales_day d LEFT JOIN kept k ON k = d;
ROLLBACK;

-- ------------------------------------------------------------ stock by month
-- Random movements of three SKUs at three places, moved back to whole hours of the last months: what the fold says is what looking
-- at each hour says. The invariant counts in a third way.
SELECT setseed(0.3);
SET client_min_messages = warning;
SELECT storesync.add_location('side') > 0 AS side, storesync.add_location('back', sellable => false) > 0 AS back;
-- in three rows of sku_block at least: portions end between them
SELECT count(storesync.add_sku(code)) FROM (
	SELECT CASE n % 40 WHEN 0 THEN 'stock-' || 1 + n / 40 ELSE 'between-' || n END AS code FROM generate_series(0, 120) n) x;
CREATE FUNCTION pg_temp.move(sku text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	place text := (ARRAY['main', 'side', 'back'])[1 + floor(random() * 3)];
	q bigint := 1 + floor(random() * 5);
BEGIN
	RETURN CASE floor(random() * 5)
		WHEN 0 THEN (storesync.receive(sku, q, storesync.new_key(), place)).outcome
		WHEN 1 THEN (storesync.adjust(sku, q, storesync.new_key(), place)).outcome
		WHEN 2 THEN (storesync.transfer(sku, q, 'main', 'side', storesync.new_key())).outcome
		WHEN 3 THEN CASE WHEN (storesync.reserve(sku, q, storesync.new_key(), place, 'R')).outcome = 'applied'
			THEN (storesync.ship(sku, q, storesync.new_key(), place, 'R')).outcome END
		ELSE (storesync.reserve(sku, q, storesync.new_key(), place)).outcome END;
END
$$;
SELECT count(pg_temp.move('stock-' || 1 + n % 3)) > 0 AS moved FROM generate_series(1, 240) n;
SELECT (storesync.restock('stock-1', 1, storesync.new_key(), h.code, 'R')).outcome
FROM (SELECT c.code FROM storesync.holder h JOIN storesync.location c USING (location_id) JOIN storesync.sku k USING (sku_id)
	WHERE k.code = 'stock-1' AND h.reference = 'R' AND h.shipped > 0 LIMIT 1) h;
SELECT date_trunc('month', now() AT TIME ZONE 'Asia/Taipei') AS month \gset
DO $$
DECLARE
	month timestamptz;
BEGIN
	FOR n IN 1..4 LOOP
		month := (date_trunc('month', now() AT TIME ZONE 'UTC') - n * '1 month'::interval) AT TIME ZONE 'UTC';
		EXECUTE format('CREATE TABLE IF NOT EXISTS storesync.ledger_%s (LIKE storesync.ledger INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
			to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'));
		EXECUTE format('CREATE UNIQUE INDEX ON storesync.ledger_%s (sku_id, location_id, version)', to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'));
		EXECUTE format('ALTER TABLE storesync.ledger ATTACH PARTITION storesync.ledger_%s FOR VALUES FROM (%L) TO (%L)',
			to_char(month AT TIME ZONE 'UTC', 'YYYY_MM'), month, (month AT TIME ZONE 'UTC' + '1 month'::interval) AT TIME ZONE 'UTC');
	END LOOP;
END
$$;
ALTER TABLE storesync.ledger DISABLE TRIGGER append_only;
UPDATE storesync.ledger g SET recorded_at = x.at
FROM (SELECT g.sku_id, g.location_id, g.version, (:'month'::timestamp - '3 months'::interval) AT TIME ZONE 'Asia/Taipei'
		+ row_number() OVER (PARTITION BY g.sku_id ORDER BY g.recorded_at, g.version, g.location_id) * (k.sku_id % 3 + 9) * '1 hour'::interval AS at
	FROM storesync.ledger g JOIN storesync.sku k USING (sku_id) WHERE k.code LIKE 'stock-%') x
WHERE g.sku_id = x.sku_id AND g.location_id = x.location_id AND g.version = x.version;
ALTER TABLE storesync.ledger ENABLE TRIGGER append_only;
SELECT (storesync.receive('stock-4', 3, storesync.new_key())).outcome;
-- what looking at each hour of the months that are over says, and differs
CREATE VIEW pg_temp.by_hour AS
SELECT k.code, date_trunc('month', h.at)::date AS month, sum(x.on_hand) * 3600 AS stock_seconds, count(*) FILTER (WHERE x.available <= 0) * 3600 AS empty_seconds
FROM storesync.sku k
CROSS JOIN generate_series(:'month'::timestamp - '3 months'::interval, :'month'::timestamp - '1 hour'::interval, '1 hour') h (at)
CROSS JOIN LATERAL (
	SELECT coalesce(sum(g.on_hand_delta) FILTER (WHERE c.sellable), 0) AS on_hand,
		coalesce(sum(g.on_hand_delta - g.reserved_delta) FILTER (WHERE c.sellable), 0) AS available, count(*) AS n
	FROM storesync.ledger g JOIN storesync.location c USING (location_id)
	WHERE g.sku_id = k.sku_id AND g.recorded_at <= h.at AT TIME ZONE 'Asia/Taipei') x
WHERE k.code LIKE 'stock-%' AND x.n > 0
GROUP BY 1, 2;
CREATE VIEW pg_temp.differs AS
SELECT code, month, h.stock_seconds AS should_be, m.stock_seconds, h.empty_seconds AS empty_should_be, m.empty_seconds
FROM pg_temp.by_hour h
FULL JOIN (SELECT k.code, m.* FROM storesync_report.stock_month m JOIN storesync.sku k USING (sku_id)
	WHERE k.code LIKE 'stock-%' AND m.month < :'month'::date) m USING (code, month)
WHERE (h.stock_seconds, h.empty_seconds) IS DISTINCT FROM (m.stock_seconds, m.empty_seconds);
RESET client_min_messages;
-- from the first month on, which a pass has been through already
DELETE FROM storesync.roll_up_stock;
CALL storesync.roll_up();
SELECT count(*) AS months, sum(stock_seconds) > 0 AS stock, sum(empty_seconds) > 0 AS empty FROM pg_temp.by_hour;
SELECT * FROM pg_temp.differs;
SELECT * FROM storesync.invariant_rollup_stock();
SELECT sum(m.returned) AS returned, sum(m.shipped) > 1 AS shipped, sum(m.received) > 1 AS received
FROM storesync.sku_month m JOIN storesync.sku k USING (sku_id) WHERE k.code = 'stock-1';
SELECT s.month = :'month'::date AS this_month, s.ended_at IS NOT NULL AS ended FROM storesync.roll_up_stock s;
-- from the first month on, a row or a SKU at a time: it holds after each
DO $$
DECLARE
	steps int := 0;
	wrong text;
BEGIN
	DELETE FROM storesync.roll_up_stock;
	WHILE storesync.roll_up_stock_step(1) LOOP
		steps := steps + 1;
		CONTINUE WHEN steps % 5 <> 0;
		SELECT string_agg(i.subject || ': ' || i.detail, E'\n') INTO wrong FROM storesync.invariant_rollup_stock() i;
		EXIT WHEN wrong IS NOT NULL;
	END LOOP;
	RAISE NOTICE 'more than a hundred steps: %, wrong: %', steps > 100, wrong;
END
$$;
SELECT * FROM pg_temp.differs;
SELECT * FROM storesync.invariant_rollup_stock();
-- a pass that has just ended is enough for a day
SELECT storesync.roll_up_stock_step(1, '1 day');
SELECT storesync.roll_up_stock_step(0);
SELECT storesync.roll_up_stock_step(1000001);
-- movements that were recorded behind what has been taken: the clock was set back for an hour, and is right again
SELECT count(pg_temp.move('stock-' || 1 + n % 4)) > 0 AS moved FROM generate_series(1, 40) n;
ALTER TABLE storesync.ledger DISABLE TRIGGER append_only;
UPDATE storesync.ledger g SET recorded_at = g.recorded_at - '1 hour'::interval FROM storesync.roll_up_stock r, storesync.sku k
WHERE g.recorded_at >= r.through AND k.sku_id = g.sku_id AND k.code IN ('stock-1', 'stock-2', 'stock-3');
ALTER TABLE storesync.ledger ENABLE TRIGGER append_only;
SELECT count(*) > 0 AS found FROM storesync.invariant_rollup_stock();
-- a pass goes up to the last second but one, and no further than the beginning of what somebody else writes meanwhile
DO $$
BEGIN
	WHILE storesync.recorded_through() <= (SELECT r.through FROM storesync.roll_up_stock r) LOOP
		PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
	END LOOP;
END
$$;
CALL storesync.roll_up();
SELECT * FROM storesync.invariant_rollup_stock();
-- and while it is behind
UPDATE storesync.roll_up_stock SET through = through + '1 day'::interval;
SELECT * FROM storesync.invariant_rollup_stock();
SELECT storesync.roll_up_stock_step(every => '1 day');
CALL storesync.roll_up();
SELECT r.through < clock_timestamp() AS behind_the_clock, r.until FROM storesync.roll_up_stock r;
SELECT * FROM storesync.invariant_rollup_stock();
-- somebody has set the clock back by a day: the month is made once more, up to now
UPDATE storesync.roll_up_stock SET through = through + '1 day'::interval;
CREATE TEMP TABLE wanted AS SELECT * FROM storesync.sku_month;
UPDATE wanted SET through = through + '1 day'::interval, stock_seconds = stock_seconds + 1 WHERE month = :'month';
SELECT pg_temp.put_months();
DROP TABLE wanted;
SELECT * FROM storesync.invariant_rollup_stock();
SELECT storesync.roll_up_stock_step(1, '1 day');
CALL storesync.roll_up();
SELECT r.through < clock_timestamp() AS behind_the_clock, r.ended_at IS NOT NULL AS ended FROM storesync.roll_up_stock r;
SELECT count(*) FROM storesync.sku_month m WHERE m.month = :'month' AND m.through > clock_timestamp();
SELECT * FROM storesync.invariant_rollup_stock();
-- a place that comes to sell counts from the beginning
UPDATE storesync.location SET sellable = true WHERE code = 'back';
UPDATE storesync.location SET sellable = false WHERE code = 'side';
SELECT * FROM storesync.invariant_rollup_stock();
CALL storesync.roll_up();
SELECT * FROM pg_temp.differs;
SELECT * FROM storesync.check_invariants();
-- what is wrong is found
BEGIN;
CREATE TEMP TABLE wanted AS SELECT * FROM storesync.sku_month;
UPDATE wanted m SET stock_seconds = m.stock_seconds + 1 FROM storesync.sku k
WHERE k.sku_id = m.sku_id AND k.code = 'stock-1' AND m.month = :'month'::date - '2 months'::interval;
UPDATE wanted m SET received = m.received + 1 FROM storesync.sku k
WHERE k.sku_id = m.sku_id AND k.code = 'stock-2' AND m.month = :'month'::date - '2 months'::interval;
DELETE FROM wanted m USING storesync.sku k WHERE k.sku_id = m.sku_id AND k.code = 'stock-3' AND m.month = :'month'::date - '3 months'::interval;
SELECT pg_temp.put_months();
SELECT count(DISTINCT i.subject) FROM storesync.invariant_rollup_stock() i;
ROLLBACK;
-- what a row of sku_block says, and what is none
SELECT count(*) AS rows, count(*) FILTER (WHERE b.sums = (
	SELECT storesync.sku_sums(m.sku_id, m.sold, m.amount, m.returned, m.stock_seconds, m.empty_seconds, m.received, m.shipped, m.on_hand, m.available, m.through)
	FROM storesync.sku_month m WHERE m.block = b.block AND m.month = b.month)) = count(*) AS same FROM storesync.sku_block b \gset packed_
SELECT :packed_rows > 3 AS rows, :'packed_same' AS same;
CREATE FUNCTION pg_temp.sums(sku_id bigint, sold bigint, on_hand bigint, through timestamptz) RETURNS bytea LANGUAGE sql AS $$
	SELECT storesync.sku_sums($1, $2, $2, 0, 0, 0, 0, 0, $3, $3, $4)
$$;
SELECT sku_id, sold, on_hand, through FROM storesync.sku_sums_rows(2, pg_temp.sums(95, 7, -1, '1999-12-31 23:59:59.5+00'));
SELECT sku_id, sold, on_hand, through IS NULL AS no_stock FROM storesync.sku_sums_rows(2, storesync.sku_sums_merge(pg_temp.sums(64, 7, 5, '2026-01-01+08'), pg_temp.sums(64, -3, 0, NULL)));
SELECT sku_id, sold, on_hand, through = '2026-02-01+08' AS later FROM storesync.sku_sums_rows(2, storesync.sku_sums_merge(pg_temp.sums(64, 7, 5, '2026-01-01+08'), pg_temp.sums(64, 0, 4, '2026-02-01+08')));
SELECT sku_id, sold, on_hand FROM storesync.sku_sums_rows(2, storesync.sku_sums_next(pg_temp.sums(64, 7, 5, '2026-01-01+08'), '2026-02-01+08'));
SELECT storesync.sku_sums_next(pg_temp.sums(64, 7, 0, NULL), '2026-02-01+08') = '' AS nothing, storesync.sku_sums_sales('') = '' AS as_little, pg_temp.sums(64, 0, 0, NULL) = '' AS nothing_to_say;
SELECT storesync.sku_sums_merge(pg_temp.sums(64, 9223372036854775807, 0, NULL), pg_temp.sums(64, 1, 0, NULL));
SELECT count(*) FROM storesync.sku_sums_rows(0, '\x0120ff');
SELECT storesync.sku_sums(x, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL) FROM (VALUES (31), (32)) v (x);
SELECT storesync.sku_sums(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL);
SELECT storesync.sku_sums(1, NULL, 0, 0, 0, 0, 0, 0, 0, 0, NULL);
-- a snapshot from before does not show all that was recorded up to a moment ago
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT storesync.roll_up_stock_step();
ROLLBACK;

-- ------------------------------------------------------------ until shops knew
-- Hand-made times about noon of a day at UTC+8, which is today or, from 16:00 UTC on, tomorrow there.
SELECT storesync.ensure_partitions() >= 0 AS ensured;
CALL storesync.roll_up();
BEGIN;
SELECT (clock_timestamp() AT TIME ZONE 'Asia/Taipei')::date AS day \gset
SELECT (:'day'::date + '12 hours'::interval) AT TIME ZONE 'Asia/Taipei' AS noon \gset
SELECT storesync.add_store('ruten', '8203', 'east') AS east \gset
SELECT count(storesync.add_sku('push-' || n)) FROM unnest(ARRAY['a', 'b', 'c', 'part', 'set']) n;
SELECT storesync.set_bundle('push-set', '{"push-part": 2}');
SELECT count((storesync.receive('push-' || n, 100, storesync.new_key())).outcome) FROM unnest(ARRAY['a', 'b', 'c', 'part']) n;
SELECT storesync.add_listing(:north, 'push-a', 'PA') AS north_a, storesync.add_listing(:east, 'push-a', 'PA') AS east_a,
	storesync.add_listing(:north, 'push-b', 'PB') AS north_b, storesync.add_listing(:north, 'push-c', 'PC') AS north_c,
	storesync.add_listing(:east, 'push-part', 'PP') AS east_part \gset
SELECT pg_temp.book(x.store, ARRAY[pg_temp.doc(x.sn, x.status, :'noon', 0, jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', x.sku, 'qty', 1)))])
FROM (VALUES (:north, 'P-a', 'ready_to_ship', 'push-a'), (:east, 'P-east', 'ready_to_ship', 'push-a'), (:north, 'P-late', 'ready_to_ship', 'push-b'),
	(:north, 'P-last', 'ready_to_ship', 'push-c'), (:north, 'P-set', 'ready_to_ship', 'push-set'), (:north, 'P-gone', 'cancelled', 'push-a'),
	(:north, 'P-eve', 'ready_to_ship', 'push-a'), (:north, 'P-slow', 'ready_to_ship', 'push-a')) x (store, sn, status, sku);
UPDATE storesync.sales_order o SET recorded_at = :'noon'::timestamptz + x.booked, create_time = :'noon'::timestamptz + x.created
FROM (VALUES ('P-a', '0 s'::interval, '10 s'::interval), ('P-east', '5 s', '33 s'), ('P-late', '0 s', '0 s'), ('P-last', '-12 h', '0 s'),
	('P-set', '0 s', '1 s'), ('P-gone', '0 s', '0 s'), ('P-eve', '-12 h -1 s', '0 s'), ('P-slow', '0 s', '36 h')) x (sn, created, booked)
WHERE o.order_sn = x.sn;
UPDATE storesync.sales_order_line l SET recorded_at = o.recorded_at, ordered_at = o.create_time
FROM storesync.sales_order o WHERE o.order_id = l.order_id AND o.order_sn LIKE 'P-%';
DELETE FROM storesync.push;
INSERT INTO storesync.push (listing_id, store_id, qty, version, changed_at, sent_at, at, class)
SELECT x.listing, n.store_id, 1, 1, :'noon', :'noon'::timestamptz + x.sent, :'noon'::timestamptz + x.answered, x.class::storesync.outcome_class
FROM (VALUES
	(:north_a, '9 s'::interval, '12 s'::interval, 'ok'),			-- sent before P-a was booked
	(:north_a, '11 s', '13 s', 'later'),
	(:north_a, '20 s', '60 s', 'ok'),
	(:east_a, '30 s', '31.5 s', 'partial'),							-- the first one that tells of P-a
	(:east_a, '33 s', '34 s', 'ok'),								-- and of P-east
	(:north_b, '35 h', '36 h', 'ok'),								-- not before the end of the next day
	(:north_c, '1 s', '36 h -0.001 s', 'ok'),						-- before it
	(:east_part, '2 s', '3 s', 'ok'),								-- a component of P-set
	(:north_a, '36 h', '36 h 1 s', 'ok')) x (listing, sent, answered, class)
JOIN storesync.listing n ON n.listing_id = x.listing;
-- P-set 3 s, P-a 31.5 s, P-last two days less a millisecond; P-eve is of the day before; of P-late, P-gone and P-slow nothing counts
CREATE TEMP TABLE should AS
SELECT m.platform, :'day'::date + m.day AS day, storesync.delay_histogram(m.ms) AS histogram
FROM (VALUES ('shopee', 0, 3000), ('shopee', 0, 31500), ('shopee', 0, 172799999), ('shopee', -1, 43232500), ('ruten', 0, 29000)) m (platform, day, ms) GROUP BY 1, 2;
CREATE TEMP VIEW pushed AS
SELECT d.platform, d.day - :'day'::date AS day, d.histogram::text = h.histogram::text AS as_expected, storesync.delay_count(d.histogram)
FROM storesync.delay_day d LEFT JOIN should h USING (platform, day) WHERE d.stage = 'pushed' ORDER BY 1, 2;
-- a pass of one day of a platform at a time; days before `day` are final, whatever they say, the others become what they are
SELECT r.ended_at IS NOT NULL AS ended FROM storesync.roll_up_pushed r;
UPDATE storesync.roll_up_pushed SET day = :'day'::date - 5;
INSERT INTO storesync.delay_day VALUES ('ruten', :'day'::date - 6, 'pushed', ''), ('ruten', :'day'::date - 5, 'pushed', '7:1'), ('ruten', :'day', 'pushed', '7:1');
SELECT storesync.roll_up_pushed_step(1, '1 day');
SELECT storesync.roll_up_pushed_step(1);
SELECT last_day - day AS days, last_platform, last_order IS NOT NULL AS part, ended_at IS NULL AS goes_on FROM storesync.roll_up_pushed;
CREATE FUNCTION pg_temp.pass(most int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	steps int := 1;
BEGIN
	WHILE storesync.roll_up_pushed_step(most) LOOP
		steps := steps + 1;
	END LOOP;
	RETURN steps > 1;
END
$$;
-- an order at a time
SELECT pg_temp.pass(1) AS many_steps;
SELECT * FROM pg_temp.pushed;
SELECT r.day = ((r.through - '1 hour'::interval) AT TIME ZONE 'Asia/Taipei')::date - 1 AS yesterday_is_open, r.ended_at IS NOT NULL AS ended
FROM storesync.roll_up_pushed r;
SELECT * FROM storesync.invariant_rollup_pushed();
-- rows that are the same are not written again
CREATE TEMP TABLE written AS SELECT d.ctid AS tid FROM storesync.delay_day d WHERE d.stage = 'pushed';
SELECT pg_temp.pass(1000) IS NOT NULL AS passed;
SELECT count(*) AS written_again FROM storesync.delay_day d LEFT JOIN written w ON w.tid = d.ctid WHERE d.stage = 'pushed' AND w.tid IS NULL;
-- a push that comes later changes an open day
INSERT INTO storesync.push (listing_id, store_id, qty, version, changed_at, sent_at, at, class)
SELECT :north_b, :north, 1, 1, :'noon', :'noon'::timestamptz + '1 s', :'noon'::timestamptz + '2 s', 'ok';
SELECT pg_temp.pass(1000) IS NOT NULL AS passed;
SELECT d.as_expected, d.delay_count FROM pg_temp.pushed d WHERE d.platform = 'shopee' AND d.day = 0;
-- what cannot be is found
UPDATE storesync.delay_day SET histogram = CASE platform WHEN 'ruten' THEN '1:1' ELSE '500000:99' END::storesync.histogram
WHERE stage = 'pushed' AND day >= :'day'::date - 1;
SELECT regexp_replace(i.subject, ', day .*', '') AS subject, count(*) FROM storesync.invariant_rollup_pushed() i GROUP BY 1 ORDER BY 1;
\set VERBOSITY sqlstate
SELECT storesync.roll_up_pushed_step(0);
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT storesync.roll_up_pushed_step();
ROLLBACK;
\set VERBOSITY terse
