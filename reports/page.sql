-- page.sql: what the HTML page shows, one JSON object a line, with a name and rows. For reports/page; the same
-- variables as the reports for a terminal (docs/reports.md).

\set ON_ERROR_STOP on
\set parts ''
\set format text
\set part all
\ir common.sql
\pset format unaligned
\pset tuples_only on

SELECT jsonb_build_object('name', 'about', 'rows', jsonb_build_array(jsonb_build_object('since', :'since'::date, 'until', :'until'::date,
	'made', to_char(now(), 'YYYY-MM-DD HH24:MI'), 'store', :'store', 'platform', :'platform', 'stores', cardinality(:'stores'::int[]),
	'standby', pg_is_in_recovery(), 'behind', extract(epoch FROM storesync.replay_delay())::bigint,
	'rolled_up', EXISTS (SELECT FROM storesync.roll_up_status r WHERE r.built_through IS NULL),
	'unrolled', (SELECT extract(epoch FROM r.lag)::bigint FROM storesync.roll_up_status r))));

SELECT jsonb_build_object('name', 'store', 'rows', coalesce(jsonb_agg(x ORDER BY x.platform, x.store_id), '[]'))
FROM (
	SELECT s.store_id, s.platform, s.name AS store, :'currencies'::jsonb ->> s.store_id::text AS currency,
		d.orders, d.units, d.amount, d.cancelled, d.returned, d.last_orders, d.last_units, d.last_amount, d.last_cancelled,
		v.visited_orders, v.visits, v.last_visited_orders, v.last_visits
	FROM storesync.store s
	LEFT JOIN (
		SELECT d.store_id, sum(d.orders) AS orders, sum(d.units) AS units, sum(d.amount) AS amount, sum(d.cancelled_orders) AS cancelled,
			sum(d.returned_units) AS returned, sum(d.orders) FILTER (WHERE d.day = :'until') AS last_orders,
			sum(d.units) FILTER (WHERE d.day = :'until') AS last_units, sum(d.amount) FILTER (WHERE d.day = :'until') AS last_amount,
			sum(d.cancelled_orders) FILTER (WHERE d.day = :'until') AS last_cancelled
		FROM storesync_report.sales_day d WHERE d.day BETWEEN :'since' AND :'until' GROUP BY d.store_id) d ON d.store_id = s.store_id
	LEFT JOIN (
		SELECT c.store_id, sum(c.orders) AS visited_orders, sum(c.visits) AS visits,
			sum(c.orders) FILTER (WHERE c.day = :'until') AS last_visited_orders, sum(c.visits) FILTER (WHERE c.day = :'until') AS last_visits
		FROM storesync_report.conversion_day c
		WHERE c.day BETWEEN :'since' AND :'until' AND c.visits IS NOT NULL GROUP BY c.store_id) v ON v.store_id = s.store_id
	WHERE s.store_id = ANY (:'stores')) x;

SELECT jsonb_build_object('name', 'sales', 'rows', coalesce(jsonb_agg(x ORDER BY x.day, x.platform), '[]'))
FROM (
	SELECT d.day, d.platform, :'currencies'::jsonb ->> d.store_id::text AS currency, sum(d.orders) AS orders, sum(d.amount) AS amount
	FROM storesync_report.sales_day d
	WHERE d.day BETWEEN :'since' AND :'until' AND d.store_id = ANY (:'stores')
	GROUP BY d.day, d.platform, 3) x;

-- hours of each store's own clock: of the last day, and on the average of all days
SELECT jsonb_build_object('name', 'hour', 'rows', coalesce(jsonb_agg(x ORDER BY x.hour, x.platform), '[]'))
FROM (
	SELECT h.platform, extract(hour FROM h.at)::int AS hour, sum(h.orders) FILTER (WHERE h.at::date = :'until') AS orders,
		sum(h.orders) / (:'until'::date - :'since'::date + 1) AS mean
	FROM (
		SELECT h.platform, h.orders, h.hour AT TIME ZONE s.timezone AS at
		FROM storesync_report.sales_hour h JOIN storesync.store s ON s.store_id = h.store_id
		WHERE h.store_id = ANY (:'stores') AND h.hour >= :'since'::timestamp AT TIME ZONE s.timezone
			AND h.hour < (:'until'::date + 1)::timestamp AT TIME ZONE s.timezone) h
	GROUP BY h.platform, 2) x;

SELECT jsonb_build_object('name', 'sku', 'rows', coalesce(jsonb_agg(x ORDER BY x.units DESC, x.code), '[]'))
FROM (
	SELECT d.code, d.name, :'currencies'::jsonb ->> d.store_id::text AS currency, count(DISTINCT d.store_id) AS stores, sum(d.orders) AS orders,
		sum(d.sku_units) AS units, sum(d.amount) AS amount
	FROM storesync_report.sales_sku(:'since', :'until') d
	WHERE d.store_id = ANY (:'stores')
	GROUP BY d.sku_id, d.code, d.name, 3 ORDER BY sum(d.sku_units) DESC, d.code LIMIT least(:top, 10)) x;

SELECT jsonb_build_object('name', 'delay', 'rows', coalesce(jsonb_agg(x ORDER BY x.platform, x.stage), '[]'))
FROM (
	SELECT d.platform, d.stage, d.orders, d.p50_ms, d.p95_ms, d.p99_ms, l.p50_ms AS last_p50, l.p95_ms AS last_p95, l.p99_ms AS last_p99
	FROM storesync_report.delay(:'since', :'until') d
	LEFT JOIN storesync_report.delay_day l ON l.platform = d.platform AND l.stage = d.stage AND l.day = :'until'
	WHERE d.platform = ANY (:'platforms')) x;

SELECT jsonb_build_object('name', 'delay_day', 'rows', coalesce(jsonb_agg(x ORDER BY x.day), '[]'))
FROM (
	SELECT d.platform, d.day, d.stage, d.p50_ms, d.p95_ms, d.p99_ms
	FROM storesync_report.delay_day d
	WHERE d.day BETWEEN :'since' AND :'until' AND d.platform = ANY (:'platforms')) x;

SELECT jsonb_build_object('name', 'calls', 'rows', coalesce(jsonb_agg(x ORDER BY x.platform, x.store_id, x.day), '[]'))
FROM (
	SELECT c.store_id, c.platform, c.store, c.day, c.calls, c.failed, c.throttled
	FROM storesync_report.call_day c
	WHERE c.day BETWEEN :'since' AND :'until' AND c.store_id = ANY (:'stores')) x;

WITH wrong AS MATERIALIZED (SELECT * FROM storesync_report.wrong_listing w WHERE w.store_id = ANY (:'stores'))
SELECT jsonb_build_object('name', 'wrong', 'count', (SELECT count(*) FROM wrong), 'rows', coalesce(jsonb_agg(x ORDER BY x.seconds DESC, x.listing_id), '[]'))
FROM (
	SELECT w.listing_id, w.platform, w.store, w.code, w.name, w.wanted, w.shown, w.state, extract(epoch FROM w.age)::bigint AS seconds
	FROM wrong w ORDER BY w.age DESC, w.listing_id LIMIT least(:top, 10)) x;

WITH short AS MATERIALIZED (SELECT * FROM storesync_report.short_order o WHERE o.store_id = ANY (:'stores'))
SELECT jsonb_build_object('name', 'short', 'count', (SELECT count(*) FROM short), 'rows', coalesce(jsonb_agg(x ORDER BY x.seconds DESC, x.order_sn), '[]'))
FROM (
	SELECT o.platform, o.store, o.order_sn, o.code, o.name, o.units, o.amount, o.currency, extract(epoch FROM o.age)::bigint AS seconds
	FROM short o ORDER BY o.since, o.order_sn, o.line_id LIMIT least(:top, 10)) x;

WITH oversold AS MATERIALIZED (SELECT * FROM storesync_report.oversold)
SELECT jsonb_build_object('name', 'oversold', 'count', (SELECT count(*) FROM oversold), 'rows', coalesce(jsonb_agg(x ORDER BY x.units DESC, x.code), '[]'))
FROM (
	SELECT v.code, v.name, v.units, v.waiting, v.sent, v.orders, v.stores
	FROM oversold v ORDER BY v.units DESC, v.code LIMIT least(:top, 10)) x;

WITH out AS MATERIALIZED (
	SELECT o.code, o.name, sum(o.hours) AS hours, sum(o.lost_units) AS lost FROM storesync_report.stock_out o
	WHERE o.month BETWEEN date_trunc('month', :'since'::date) AND :'until'::date GROUP BY o.sku_id, o.code, o.name)
SELECT jsonb_build_object('name', 'out', 'count', (SELECT count(*) FROM out), 'rows', coalesce(jsonb_agg(x ORDER BY x.lost DESC NULLS LAST, x.hours DESC, x.code), '[]'))
FROM (SELECT * FROM out o ORDER BY o.lost DESC NULLS LAST, o.hours DESC, o.code LIMIT least(:top, 10)) x;

WITH forecast AS MATERIALIZED (SELECT * FROM storesync_report.forecast)
SELECT jsonb_build_object('name', 'forecast', 'count', (SELECT count(*) FROM forecast f WHERE f.days_left < 7),
	'rows', coalesce(jsonb_agg(x ORDER BY x.days_left, x.daily_units DESC, x.code), '[]'))
FROM (
	SELECT f.code, f.name, f.available, f.daily_units, f.days_left, f.empty_on
	FROM forecast f ORDER BY f.days_left, f.daily_units DESC, f.code LIMIT least(:top, 12)) x;

WITH dead AS MATERIALIZED (SELECT * FROM storesync_report.dead_stock)
SELECT jsonb_build_object('name', 'dead', 'count', (SELECT count(*) FROM dead), 'rows', coalesce(jsonb_agg(x ORDER BY x.on_hand DESC, x.code), '[]'))
FROM (
	SELECT d.code, d.name, d.on_hand, to_char(d.last_sale, 'YYYY-MM-DD') AS last_sale, d.days
	FROM dead d ORDER BY d.on_hand DESC, d.code LIMIT least(:top, 10)) x;

SELECT jsonb_build_object('name', 'turnover', 'rows', coalesce(jsonb_agg(x ORDER BY x.sold DESC, x.code), '[]'))
FROM (
	SELECT t.code, t.name, t.sold, t.average_stock, t.turnover, t.days_of_supply
	FROM storesync_report.turnover(:'since', :'until') t ORDER BY t.sold DESC, t.code LIMIT least(:top, 10)) x;

WITH cell AS MATERIALIZED (SELECT x.* FROM storesync_report.cross_store x WHERE x.store_id = ANY (:'stores')),
row AS (
	SELECT c.sku_id, row_number() OVER (ORDER BY sum(c.units_30d) DESC, min(c.code)) AS place
	FROM cell c GROUP BY c.sku_id ORDER BY place LIMIT :top)
SELECT jsonb_build_object('name', 'cross', 'rows', coalesce(jsonb_agg(x ORDER BY x.place, x.store_id), '[]'))
FROM (
	SELECT r.place, c.code, c.name, c.store_id, c.units_30d AS units
	FROM row r JOIN cell c ON c.sku_id = r.sku_id) x;
COMMIT;
