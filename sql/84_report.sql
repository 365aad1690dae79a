-- Reports: views for people and programs that look at the business (docs/report.md). They run on a hot
-- standby: nothing here writes, locks a row or calls what would.
--
-- Periods come from roll-ups (sql/82_*.sql). Where detail is read, the time of a row bounds it in the
-- view itself, so that partitions outside are never opened. A view that goes by days asks for one day after
-- the other: a condition on `day` is applied before that day's rows are read.

-- ---------------------------------------------------------------- sales

CREATE VIEW storesync_report.sales_day AS
SELECT s.platform, d.store_id, s.name AS store, d.day, d.orders, d.units, d.amount, d.cancelled_orders, d.cancelled_units, d.returned_units
FROM storesync.sales_day d
JOIN storesync.store s ON s.store_id = d.store_id;
COMMENT ON VIEW storesync_report.sales_day IS
'Sales of each store by its own day (store.timezone) of the orders'' create_time. orders: with units that are neither unpaid nor cancelled; units: those, as the platform counts; amount: units times unit price, in hundredths of the orders'' currency. cancelled_orders: without any unit left; cancelled_units; returned_units: of the units sold, those that came back. From storesync.sales_day. A day without orders has no row. Example: SELECT day, sum(amount) / 100.0 FROM storesync_report.sales_day WHERE day >= current_date - 90 GROUP BY day ORDER BY day;';

CREATE VIEW storesync_report.sales_hour AS
SELECT s.platform, h.store_id, s.name AS store, h.hour, h.orders, h.units, h.amount
FROM storesync.sales_hour h
JOIN storesync.store s ON s.store_id = h.store_id;
COMMENT ON VIEW storesync_report.sales_hour IS
'Sales of each store by the hour of its clock in which orders were created; hour: the moment at which it began. Columns as in sales_day. From storesync.sales_hour. Example: SELECT store, hour, orders FROM storesync_report.sales_hour WHERE hour >= date_trunc(''day'', now()) ORDER BY hour;';

CREATE VIEW storesync_report.sales_platform_day AS
SELECT s.platform, d.day, sum(d.orders)::bigint AS orders, sum(d.units)::bigint AS units, sum(d.amount)::bigint AS amount,
	sum(d.cancelled_orders)::bigint AS cancelled_orders, sum(d.cancelled_units)::bigint AS cancelled_units,
	sum(d.returned_units)::bigint AS returned_units
FROM storesync.sales_day d
JOIN storesync.store s ON s.store_id = d.store_id
GROUP BY s.platform, d.day;
COMMENT ON VIEW storesync_report.sales_platform_day IS
'Sales of each platform by day: the sums of its stores'' rows in sales_day. A day is each store''s own. From storesync.sales_day. Example: SELECT * FROM storesync_report.sales_platform_day WHERE day = current_date - 1;';

CREATE VIEW storesync_report.sales_sku_day AS
SELECT x.sku_id, k.code, k.name, x.store_id, s.name AS store, x.day, x.orders, x.units, x.amount, x.sku_units
FROM (
	SELECT l.sku_id, l.store_id, (l.ordered_at AT TIME ZONE z.timezone)::date AS day, count(DISTINCT l.order_id) AS orders,
		sum(l.units)::bigint AS units, sum(l.amount)::bigint AS amount, sum(l.sold)::bigint AS sku_units
	FROM storesync.line_sale l
	JOIN storesync.store z ON z.store_id = l.store_id
	WHERE l.units > 0 AND l.sku_id IS NOT NULL
	GROUP BY l.sku_id, l.store_id, (l.ordered_at AT TIME ZONE z.timezone)::date) x
JOIN storesync.sku k ON k.sku_id = x.sku_id
JOIN storesync.store s ON s.store_id = x.store_id;
COMMENT ON VIEW storesync_report.sales_sku_day IS
'Sales by SKU, store and the store''s own day on which orders were placed, as in sales_day but for lines that have no SKU (parked): units as the platform counts, sku_units in units of the SKU (a bundle counts as itself). From storesync.sales_order_line, as far back as orders are kept. Whatever day is asked for, all of it is read: for a period use sales_sku(). Example: SELECT day, sum(units) FROM storesync_report.sales_sku_day WHERE code = ''T-SHIRT-M'' GROUP BY day ORDER BY day;';

-- What arguments are worth is not known when the plan of a function is made: few rows are expected, and what is good
-- for few (loops, sorting) is switched off.
CREATE FUNCTION storesync_report.sales_sku(since date, until date)
	RETURNS TABLE(sku_id bigint, code text, name text, store_id int, store text, day date, orders bigint, units bigint, amount bigint, sku_units bigint)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off SET enable_sort = off
AS $$
	SELECT x.sku_id, k.code, k.name, x.store_id, s.name, x.day, x.orders, x.units::bigint, x.amount::bigint, x.sku_units::bigint
	FROM (
		SELECT y.sku_id, y.store_id, y.day, count(*) AS orders, sum(y.units) AS units, sum(y.amount) AS amount, sum(y.sku_units) AS sku_units
		FROM (
			SELECT l.sku_id, l.store_id, (l.ordered_at AT TIME ZONE z.timezone)::date AS day, sum(l.units) AS units,
				sum(l.amount) AS amount, sum(l.sold) AS sku_units
			FROM storesync.line_sale l
			JOIN (SELECT s.store_id, s.timezone, $1::timestamp AT TIME ZONE s.timezone AS begins, ($2 + 1)::timestamp AT TIME ZONE s.timezone AS ends
				FROM storesync.store s OFFSET 0) z ON z.store_id = l.store_id AND l.ordered_at >= z.begins AND l.ordered_at < z.ends
			-- booked a day before its time at the earliest, and no clock is more than 14 hours ahead
			WHERE l.recorded_at >= $1::timestamp AT TIME ZONE 'UTC' - '38 hours'::interval AND l.units > 0 AND l.sku_id IS NOT NULL
			GROUP BY l.sku_id, l.store_id, (l.ordered_at AT TIME ZONE z.timezone)::date, l.order_id) y
		GROUP BY y.sku_id, y.store_id, y.day) x
	JOIN storesync.sku k ON k.sku_id = x.sku_id
	JOIN storesync.store s ON s.store_id = x.store_id
$$;
COMMENT ON FUNCTION storesync_report.sales_sku(date, date) IS
'sales_sku_day of the days from since to until, both included: opens the partitions of that time and later ones alone, in which late orders are. Example: SELECT code, sum(units) FROM storesync_report.sales_sku(current_date - 29, current_date) GROUP BY code ORDER BY 2 DESC LIMIT 20;';

CREATE VIEW storesync_report.cancellation_day AS
SELECT s.platform, d.store_id, s.name AS store, d.day, d.orders, d.cancelled_orders, d.units, d.cancelled_units, d.returned_units,
	round(d.cancelled_orders::numeric / nullif(d.orders + d.cancelled_orders, 0), 4) AS cancellation_rate,
	round(d.returned_units::numeric / nullif(d.units, 0), 4) AS return_rate
FROM storesync.sales_day d
JOIN storesync.store s ON s.store_id = d.store_id;
COMMENT ON VIEW storesync_report.cancellation_day IS
'Cancellations and returns of each store, by its own day on which the orders were placed, whenever they were cancelled or came back: cancellation_rate = cancelled_orders / (orders + cancelled_orders), return_rate = returned_units / units, both 0 to 1, NULL where there was nothing. From storesync.sales_day. Recent days are not final. Example: SELECT * FROM storesync_report.cancellation_day WHERE day >= current_date - 30 ORDER BY return_rate DESC NULLS LAST;';

CREATE VIEW storesync_report.conversion_day AS
SELECT s.platform, x.store_id, s.name AS store, x.day, coalesce(d.orders, 0) AS orders, v.visits,
	round(coalesce(d.orders, 0)::numeric / nullif(v.visits, 0), 6) AS conversion, v.source
FROM (SELECT d.store_id, d.day FROM storesync.sales_day d UNION SELECT v.store_id, v.day FROM storesync.visit_day v) x
JOIN storesync.store s ON s.store_id = x.store_id
LEFT JOIN storesync.sales_day d ON d.store_id = x.store_id AND d.day = x.day
LEFT JOIN storesync.visit_day v ON v.store_id = x.store_id AND v.day = x.day;
COMMENT ON VIEW storesync_report.conversion_day IS
'Conversion of each store by its own day: orders (as in sales_day) over visits. visits: as ingest_visits() or another source said them, NULL where nobody did; conversion NULL then, and where there were none. From storesync.sales_day and visit_day. Over several days divide the sums, not the rates. Example: SELECT store, sum(orders)::numeric / nullif(sum(visits), 0) FROM storesync_report.conversion_day WHERE day >= current_date - 30 AND visits IS NOT NULL GROUP BY store;';

CREATE VIEW storesync_report.cross_store AS
SELECT x.sku_id, k.code, k.name, x.store_id, s.name AS store, x.listings, x.units_30d, x.amount_30d
FROM (
	SELECT u.sku_id, u.store_id, count(u.listing_id) AS listings, coalesce(sum(u.units), 0)::bigint AS units_30d,
		coalesce(sum(u.amount), 0)::bigint AS amount_30d
	FROM (SELECT l.sku_id, l.store_id, l.listing_id, NULL::bigint AS units, NULL::bigint AS amount
		FROM storesync.listing l
		UNION ALL
		SELECT l.sku_id, l.store_id, NULL, l.sold, l.amount
		FROM storesync.line_sale l
		WHERE l.recorded_at >= now() - '31 days'::interval AND l.ordered_at >= now() - '30 days'::interval
			AND l.units > 0 AND l.sku_id IS NOT NULL) u
	GROUP BY u.sku_id, u.store_id) x
JOIN storesync.sku k ON k.sku_id = x.sku_id
JOIN storesync.store s ON s.store_id = x.store_id;
COMMENT ON VIEW storesync_report.cross_store IS
'Who sells what where: for each SKU and store that lists it, or sold it in the last 30 days, the number of its listings, and of orders of these days that are neither unpaid nor cancelled the units of the SKU and their amount in hundredths of the orders'' currency. From storesync.listing and sales_order_line (the partitions of these days). Example: SELECT code, count(*) FILTER (WHERE units_30d > 0) AS sells, count(*) AS lists FROM storesync_report.cross_store GROUP BY code ORDER BY sells;';

-- ---------------------------------------------------------------- delay

CREATE VIEW storesync_report.delay_day AS
SELECT d.platform, d.day, d.stage, storesync.delay_count(d.histogram) AS orders, storesync.delay_percentile(d.histogram, 0.5) AS p50_ms,
	storesync.delay_percentile(d.histogram, 0.95) AS p95_ms, storesync.delay_percentile(d.histogram, 0.99) AS p99_ms
FROM storesync.delay_day d;
COMMENT ON VIEW storesync_report.delay_day IS
'How late orders of each platform came through, by the day at UTC+8 on which they were placed: the median, 95th and 99th percentile of milliseconds from the platform''s create time until they were booked here (stage booked), and until a shop first acknowledged a write, sent after that, for a listing of one of their SKUs (stage pushed, a day old at most), within 0.8 %; orders: how many are counted. From storesync.delay_day. Percentiles of several days: delay(). Example: SELECT * FROM storesync_report.delay_day WHERE day >= current_date - 7 AND stage = ''booked'';';

CREATE FUNCTION storesync_report.delay(since date, until date)
	RETURNS TABLE(platform text, stage text, orders bigint, p50_ms bigint, p95_ms bigint, p99_ms bigint)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 6 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT x.platform, x.stage, storesync.delay_count(x.h), storesync.delay_percentile(x.h, 0.5), storesync.delay_percentile(x.h, 0.95),
		storesync.delay_percentile(x.h, 0.99)
	FROM (SELECT d.platform, d.stage, storesync.delay_sum(d.histogram) AS h
		FROM storesync.delay_day d WHERE d.day BETWEEN $1 AND $2 GROUP BY d.platform, d.stage) x
	ORDER BY x.platform, x.stage
$$;
COMMENT ON FUNCTION storesync_report.delay(date, date) IS
'delay_day over the days from since to until, both included: a row for each platform and stage, with the percentiles of all their orders together. Example: SELECT * FROM storesync_report.delay(current_date - 29, current_date);';

-- ---------------------------------------------------------------- calls

-- OFFSET 0: the moments are worked out once a day, not once a row.
CREATE VIEW storesync_report.log_day AS
SELECT d.timezone, d.day, d.day::timestamp AT TIME ZONE d.timezone AS begins, (d.day + 1)::timestamp AT TIME ZONE d.timezone AS ends
FROM (SELECT z.timezone, (now() AT TIME ZONE z.timezone)::date - n AS day
	FROM (SELECT DISTINCT s.timezone FROM storesync.store s) z
	CROSS JOIN generate_series(0, (extract(epoch FROM storesync.log_retention()) / 86400)::int + 1) n) d
OFFSET 0;
COMMENT ON VIEW storesync_report.log_day IS
'Days of which call_log and push have rows, today and those of the last storesync.log_retention, by each time zone that stores have: when each begins and ends. For views that go by such days. Example: SELECT * FROM storesync_report.log_day WHERE day = current_date;';

CREATE VIEW storesync_report.call_day AS
SELECT s.platform, s.store_id, s.name AS store, d.day, c.calls, c.failed, c.throttled,
	round(c.failed::numeric / c.calls, 4) AS error_rate, round(c.throttled::numeric / c.calls, 4) AS throttle_rate
FROM storesync_report.log_day d
CROSS JOIN LATERAL (
	SELECT g.store_id, count(*) AS calls, count(*) FILTER (WHERE g.class IN ('throttled', 'quota')) AS throttled,
		count(*) FILTER (WHERE g.class NOT IN ('ok', 'partial', 'throttled', 'quota')) AS failed
	FROM storesync.call_log g
	WHERE g.at >= d.begins AND g.at < d.ends
	GROUP BY g.store_id) c
JOIN storesync.store s ON s.store_id = c.store_id AND s.timezone = d.timezone;
COMMENT ON VIEW storesync_report.call_day IS
'Calls of each store to its platform by the store''s own day, of the last storesync.log_retention: calls = those that went well (outcome classes ok, partial) + throttled (throttled, quota) + failed (auth, later, permanent, in_doubt); error_rate = failed / calls, throttle_rate = throttled / calls, both 0 to 1. From storesync.call_log. A day without calls has no row. Example: SELECT * FROM storesync_report.call_day WHERE day >= current_date - 7 ORDER BY error_rate DESC;';

CREATE VIEW storesync_report.push_day AS
SELECT s.platform, s.store_id, s.name AS store, d.day, c.writes, c.failed, c.p50_ms, c.p95_ms, c.p99_ms
FROM storesync_report.log_day d
CROSS JOIN LATERAL (
	SELECT g.store_id, count(*) AS writes, count(*) FILTER (WHERE g.class NOT IN ('ok', 'partial')) AS failed,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY x.ms) FILTER (WHERE g.class IN ('ok', 'partial')) AS p50_ms,
		percentile_disc(0.95) WITHIN GROUP (ORDER BY x.ms) FILTER (WHERE g.class IN ('ok', 'partial')) AS p95_ms,
		percentile_disc(0.99) WITHIN GROUP (ORDER BY x.ms) FILTER (WHERE g.class IN ('ok', 'partial')) AS p99_ms
	FROM storesync.push g
	CROSS JOIN LATERAL (SELECT greatest((extract(epoch FROM g.at - g.changed_at) * 1000)::bigint, 0) AS ms) x
	WHERE g.at >= d.begins AND g.at < d.ends
	GROUP BY g.store_id) c
JOIN storesync.store s ON s.store_id = c.store_id AND s.timezone = d.timezone;
COMMENT ON VIEW storesync_report.push_day IS
'How long listings were wrong before their shop took the new quantity, by the store''s own day of the answer, of the last storesync.log_retention: writes, those not taken (failed), and of those taken the median, 95th and 99th percentile of milliseconds from the change in the books to the platform''s answer, each the least value that so many reach. From storesync.push. Example: SELECT * FROM storesync_report.push_day WHERE day = current_date;';

-- ---------------------------------------------------------------- what is wrong now

-- listing_terms() reads the tables without a plan of its own, a store at a time; only what is wrong is looked at closer.
CREATE VIEW storesync_report.wrong_listing AS
SELECT s.platform, s.store_id, s.name AS store, l.listing_id, k.code, k.name, t.wanted, coalesce(t.believed, w.acked_qty) AS shown,
	coalesce(m.moved_at, w.written_at, l.created_at) AS since,
	greatest(statement_timestamp() - coalesce(m.moved_at, w.written_at, l.created_at), '0'::interval) AS age,
	CASE WHEN NOT t.due THEN 'given up'
		WHEN w.listing_id IS NULL THEN 'never written'
		WHEN s.paused THEN 'store paused'
		WHEN EXISTS (SELECT FROM storesync.breaker_listing b WHERE b.listing_id = l.listing_id AND NOT b.passed) THEN 'held by breaker'
		WHEN EXISTS (SELECT FROM storesync.drift d WHERE d.listing_id = l.listing_id AND d.state IN ('proposed', 'rejected')) THEN 'proposed'
		WHEN w.put_off_at > w.written_at THEN 'put off'
		WHEN w.doubt_qty IS NOT NULL THEN 'in doubt'
		WHEN w.sending_qty IS NOT NULL THEN 'sending'
		ELSE 'to be written' END AS state,
	l.item_id, l.model_id
FROM storesync.store s
CROSS JOIN LATERAL storesync.listing_terms(ARRAY(
	SELECT x.listing_id FROM storesync.listing x WHERE x.store_id = s.store_id AND x.enabled)) t
JOIN storesync.listing l ON l.listing_id = t.listing_id
JOIN storesync.sku k ON k.sku_id = l.sku_id
LEFT JOIN storesync.listing_shown w ON w.listing_id = l.listing_id
LEFT JOIN LATERAL (
	SELECT min(g.recorded_at) AS moved_at
	FROM (SELECT l.sku_id WHERE NOT k.bundle
		UNION ALL
		SELECT c.sku_id FROM storesync.component c WHERE k.bundle AND c.bundle_id = l.sku_id) d
	JOIN storesync.stock_lock p ON p.sku_id = d.sku_id
	CROSS JOIN LATERAL (
		SELECT x.recorded_at FROM storesync.ledger x
		WHERE x.sku_id = p.sku_id AND x.location_id = p.location_id AND x.recorded_at > w.sent_at
		ORDER BY x.version LIMIT 1) g) m ON true
WHERE s.mode IN ('live', 'lower_only') AND t.dirty;
COMMENT ON VIEW storesync_report.wrong_listing IS
'Listings that storesync writes (enabled, in a store that is live or lower_only) and that do not show what they should: wanted and shown in sold units (shown: what the platform is believed to show; where that is not known, what it last acknowledged; NULL: nothing ever). since: the earliest moment from which it can be wrong, that is the first movement of its stock after its last acknowledged write was sent, else the answer to that write, else when the listing was added; age: time since then. state: given up (storesync.compensation has its story), never written, store paused, held by breaker, proposed (a person has to confirm), put off (by the platform), in doubt, sending, to be written. From storesync.listing_terms(), listing_shown, ledger. Some rows are normal: a write takes seconds. Example: SELECT store, count(*), max(age) FROM storesync_report.wrong_listing WHERE age > ''5 min'' GROUP BY store;';

CREATE VIEW storesync_report.short_order AS
SELECT s.platform, s.store_id, s.name AS store, o.order_sn, l.line_id, l.sku_id, k.code, k.name, l.status, l.short AS units,
	round(l.unit_price * 100 * l.short / l.pack)::bigint AS amount, o.currency, l.ordered_at AS since,
	statement_timestamp() - l.ordered_at AS age
FROM storesync.sales_order_line l
JOIN storesync.sales_order o ON o.order_id = l.order_id
JOIN storesync.store s ON s.store_id = l.store_id
JOIN storesync.sku k ON k.sku_id = l.sku_id
WHERE l.short > 0 AND l.shipped = 0 AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel');
COMMENT ON VIEW storesync_report.short_order IS
'Order lines that wait for stock which is not there: units of the SKU that are missing, amount = unit price times them in hundredths of the order''s currency (NULL without a price), since the order was placed. From storesync.sales_order_line. What to do about each: storesync.short_work(). Example: SELECT store, sum(units), max(age) FROM storesync_report.short_order GROUP BY store;';

CREATE VIEW storesync_report.oversold AS
SELECT k.sku_id, k.code, k.name, x.units, x.waiting, x.units - x.waiting AS sent, x.orders, x.stores, x.since,
	statement_timestamp() - x.since AS age
FROM (
	SELECT l.sku_id, sum(l.short)::bigint AS units, count(DISTINCT l.order_id) AS orders, count(DISTINCT l.store_id) AS stores,
		coalesce(sum(l.short) FILTER (WHERE l.shipped = 0 AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel')), 0)::bigint AS waiting,
		min(l.ordered_at) AS since
	FROM storesync.sales_order_line l
	WHERE l.short > 0
	GROUP BY l.sku_id) x
JOIN storesync.sku k ON k.sku_id = x.sku_id;
COMMENT ON VIEW storesync_report.oversold IS
'SKUs of which more was sold than there is: units = waiting (ordered, and nothing to send) + sent (the platform says that they left, the books never had them; a count explains them); orders and stores concerned, since the oldest of these orders was placed. From storesync.sales_order_line. SKUs that allow backorder are reserved below zero instead and never here. Example: SELECT * FROM storesync_report.oversold ORDER BY units DESC;';

-- ---------------------------------------------------------------- stock that moves, and stock that does not

-- A row that is older than the newest pass over the ledger tells of a SKU that has not moved since.
CREATE VIEW storesync_report.stock_month AS
SELECT m.sku_id, m.month, m.sold, m.received, m.shipped,
	greatest(extract(epoch FROM least(statement_timestamp(), b.ends) - b.begins), 0)::bigint AS seconds,
	extract(epoch FROM t.known_through - b.begins)::bigint AS known_seconds,
	m.stock_seconds + m.on_hand * extract(epoch FROM t.known_through - m.through)::bigint AS stock_seconds,
	m.empty_seconds + CASE WHEN m.available <= 0 THEN extract(epoch FROM t.known_through - m.through)::bigint
		WHEN t.known_through IS NOT NULL THEN 0 END AS empty_seconds, m.block
FROM storesync.sku_month m
CROSS JOIN LATERAL (
	SELECT m.month::timestamp AT TIME ZONE 'Asia/Taipei' AS begins, (m.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei' AS ends) b
CROSS JOIN LATERAL (
	SELECT CASE WHEN m.through < b.ends THEN least(greatest((SELECT r.through FROM storesync.roll_up_stock r), m.through), b.ends)
		ELSE m.through END AS known_through) t;
COMMENT ON VIEW storesync_report.stock_month IS
'storesync.sku_month for other views: seconds of the month of Asia/Taipei so far, and of these known_seconds, up to which the ledger was taken into it, with stock_seconds (units on hand at sellable locations times seconds) and empty_seconds (with nothing available) in them; NULL where a SKU has no stock, as a bundle. block: as in sku_month. Example: SELECT stock_seconds / known_seconds FROM storesync_report.stock_month WHERE sku_id = 1000 AND block = 1000 / 32;';

CREATE VIEW storesync_report.turnover_month AS
SELECT m.sku_id, k.code, k.name, m.month, m.sold, round(a.average, 2) AS average_stock, round(m.sold / nullif(a.average, 0), 4) AS turnover,
	round(a.average * m.seconds / 86400 / nullif(m.sold, 0), 2) AS days_of_supply, m.shipped
FROM storesync_report.stock_month m
JOIN storesync.sku k ON k.sku_id = m.sku_id
CROSS JOIN LATERAL (SELECT m.stock_seconds::numeric / nullif(m.known_seconds, 0) AS average) a;
COMMENT ON VIEW storesync_report.turnover_month IS
'Inventory turnover of each SKU by month of Asia/Taipei, in units: sold (of orders placed in it, neither unpaid nor cancelled), average_stock = units on hand at sellable locations times seconds, over these seconds, as far as the ledger was rolled up, turnover = sold / average_stock, days_of_supply = average_stock / units sold a day; NULL where nothing is to divide by, or no stock, as of a bundle. shipped: units that left, those of bundles too. From storesync.sku_month. Example: SELECT * FROM storesync_report.turnover_month WHERE month = date_trunc(''month'', current_date) ORDER BY turnover DESC NULLS LAST LIMIT 20;';

CREATE FUNCTION storesync_report.sku_totals(first_month date, last_month date, known_through timestamptz)
	RETURNS TABLE(sku_id bigint, sold bigint, received bigint, stock_seconds bigint)
	AS 'MODULE_PATHNAME', 'sku_totals' LANGUAGE C STABLE PARALLEL SAFE ROWS 10000 COST 10000;
COMMENT ON FUNCTION storesync_report.sku_totals(date, date, timestamptz) IS
'Of each SKU that storesync.sku_month has between these months of Asia/Taipei, both whole: the units sold and received, and units on hand times seconds, up to each month''s end or known_through (NULL: no further than its row has them); NULL without a row of the ledger. No rows for a month that is NULL. Errors: 22003 for a sum beyond bigint, 42501. Example: SELECT * FROM storesync_report.sku_totals(''2026-01-01'', ''2026-12-01'', NULL) ORDER BY sold DESC LIMIT 10;';

CREATE FUNCTION storesync_report.turnover(since date, until date, top bigint DEFAULT NULL)
	RETURNS TABLE(sku_id bigint, code text, name text, sold bigint, average_stock numeric, turnover numeric, days_of_supply numeric)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off SET enable_nestloop = off
	SET work_mem = '64MB'
AS $$
	WITH span AS MATERIALIZED (
		SELECT x.first, x.last, least(r.through, x.ends) AS known_through, extract(epoch FROM least(r.through, x.ends) - x.begins)::bigint AS known_seconds,
			extract(epoch FROM least(statement_timestamp(), x.ends) - x.begins) / 86400 AS days
		FROM (SELECT date_trunc('month', $1::timestamp)::date AS first, date_trunc('month', $2::timestamp)::date AS last,
			date_trunc('month', $1::timestamp) AT TIME ZONE 'Asia/Taipei' AS begins,
			(date_trunc('month', $2::timestamp) + '1 month'::interval) AT TIME ZONE 'Asia/Taipei' AS ends) x
		LEFT JOIN storesync.roll_up_stock r ON true),
	-- divided is what is asked for alone: a quotient costs more than all sums of its SKU
	total AS MATERIALIZED (
		SELECT m.sku_id, m.sold, m.stock_seconds
		FROM storesync_report.sku_totals((SELECT p.first FROM span p), (SELECT p.last FROM span p), (SELECT p.known_through FROM span p)) m
		ORDER BY m.sold DESC, m.sku_id
		LIMIT $3)
	SELECT x.sku_id, k.code, k.name, x.sold, round(x.average, 2), round(x.sold / nullif(x.average, 0), 4),
		round(x.average * x.days / nullif(x.sold, 0), 2)
	FROM (SELECT t.sku_id, t.sold, p.days, t.stock_seconds::numeric / nullif(p.known_seconds, 0) AS average
		FROM total t CROSS JOIN span p) x
	JOIN storesync.sku k ON k.sku_id = x.sku_id
$$;
COMMENT ON FUNCTION storesync_report.turnover(date, date, bigint) IS
'turnover_month over the months from that of since to that of until, both whole, or so far: of each SKU, or of the top ones that sold most, the units sold, the average stock of that time, turnover = sold / average_stock and days_of_supply. A month that a SKU has no row of counts as one without stock and sales. Error 2201W for a negative top. Example: SELECT * FROM storesync_report.turnover(''2026-01-01'', ''2026-12-31'', 100) ORDER BY sold DESC;';

CREATE VIEW storesync_report.turnover_group_month AS
SELECT x.month, x.sold::bigint AS sold, round(x.average, 2) AS average_stock, round(x.sold / nullif(x.average, 0), 4) AS turnover,
	round(x.average * x.seconds / 86400 / nullif(x.sold, 0), 2) AS days_of_supply
FROM (SELECT m.month, sum(m.sold) AS sold, sum(m.stock_seconds) / nullif(max(m.known_seconds), 0) AS average, max(m.seconds) AS seconds
	FROM storesync_report.stock_month m GROUP BY m.month) x;
COMMENT ON VIEW storesync_report.turnover_group_month IS
'turnover_month of the whole store group: units of all SKUs together. From storesync.sku_month. Example: SELECT * FROM storesync_report.turnover_group_month ORDER BY month;';

CREATE FUNCTION storesync_report.sell_through(since date, until date)
	RETURNS TABLE(sku_id bigint, code text, name text, received bigint, sold bigint, rate numeric)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	SELECT m.sku_id, k.code, k.name, m.received, m.sold, round(m.sold::numeric / nullif(m.received, 0), 4)
	FROM storesync_report.sku_totals(date_trunc('month', $1::timestamp)::date, date_trunc('month', $2::timestamp)::date, NULL) m
	JOIN storesync.sku k ON k.sku_id = m.sku_id
	WHERE m.received > 0 OR m.sold > 0
$$;
COMMENT ON FUNCTION storesync_report.sell_through(date, date) IS
'Of each SKU, over the months of Asia/Taipei from that of since to that of until, both whole: units received, units sold (of orders placed then, neither unpaid nor cancelled), and rate = sold / received; NULL where none came in, above 1 where older stock was sold. From storesync.sku_month. Example: SELECT * FROM storesync_report.sell_through(''2026-09-01'', ''2026-11-30'') WHERE rate < 0.3;';

CREATE VIEW storesync_report.sell_through AS
SELECT t.sku_id, t.code, t.name, t.received, t.sold, t.rate
FROM storesync_report.sell_through(((now() AT TIME ZONE 'Asia/Taipei')::date - '2 months'::interval)::date,
	(now() AT TIME ZONE 'Asia/Taipei')::date) t;
COMMENT ON VIEW storesync_report.sell_through IS
'sell_through() of this month and the two before. Example: SELECT * FROM storesync_report.sell_through ORDER BY rate NULLS LAST;';

CREATE VIEW storesync_report.dead_stock AS
SELECT k.sku_id, k.code, k.name, h.on_hand, x.last_sale,
	floor(extract(epoch FROM statement_timestamp() - coalesce(x.last_sale, k.created_at)) / 86400)::int AS days
FROM storesync.sku k
LEFT JOIN LATERAL (
	-- LIMIT: by the index, place by place, whatever number of rows there are in these days
	SELECT true AS sells
	FROM storesync.stock_lock p
	CROSS JOIN LATERAL (
		SELECT FROM storesync.ledger g
		WHERE g.sku_id = p.sku_id AND g.location_id = p.location_id AND g.kind IN ('reserve', 'ship')
			AND g.recorded_at >= now() - '90 days'::interval
		LIMIT 1) g
	WHERE p.sku_id = k.sku_id
	LIMIT 1) y ON true
CROSS JOIN LATERAL (SELECT sum(t.on_hand)::bigint AS on_hand FROM storesync.stock t WHERE t.sku_id = k.sku_id) h
CROSS JOIN LATERAL (
	SELECT max(g.recorded_at) AS last_sale
	FROM storesync.stock_lock p
	CROSS JOIN LATERAL (
		SELECT x.recorded_at FROM storesync.ledger x
		WHERE x.sku_id = p.sku_id AND x.location_id = p.location_id AND x.kind IN ('reserve', 'ship')
		ORDER BY x.version DESC LIMIT 1) g
	WHERE p.sku_id = k.sku_id) x
WHERE k.created_at < now() - '90 days'::interval AND y.sells IS NULL AND h.on_hand > 0;
COMMENT ON VIEW storesync_report.dead_stock IS
'SKUs with units on hand, at any location, of which none has been reserved or shipped for 90 days, by an order, as part of a bundle or by a direct call: on_hand, last_sale (when that was; NULL: never, as far back as the ledger goes), days since then, or since the SKU was added. From storesync.ledger and stock. A reservation that was given up later counts. Example: SELECT * FROM storesync_report.dead_stock WHERE days > 180 ORDER BY on_hand DESC;';

CREATE VIEW storesync_report.stock_out AS
SELECT m.sku_id, k.code, k.name, m.month, round(m.empty_seconds / 3600.0, 2) AS hours, round(m.empty_seconds * r.per_second, 1) AS lost_units
FROM storesync_report.stock_month m
JOIN storesync.sku k ON k.sku_id = m.sku_id
CROSS JOIN LATERAL (
	SELECT sum(w.weight * x.sold) / nullif(sum(w.weight * (x.known_seconds - x.empty_seconds)), 0) AS per_second
	FROM storesync_report.stock_month x
	CROSS JOIN LATERAL (SELECT 0.7 ^ ((extract(year FROM m.month) - extract(year FROM x.month)) * 12
		+ extract(month FROM m.month) - extract(month FROM x.month)) AS weight) w
	WHERE x.block = m.block AND x.sku_id = m.sku_id AND x.month <= m.month AND x.month >= m.month - '12 months'::interval AND x.empty_seconds IS NOT NULL) r
WHERE m.empty_seconds > 0;
COMMENT ON VIEW storesync_report.stock_out IS
'SKUs that had nothing available, by month of Asia/Taipei: hours of it, and lost_units, an estimate of what was not sold for it: these hours times the smoothed rate of sale while there was stock, of that month and the 12 before, each month weighing 0.7 of the one after it; NULL where there never was stock. From storesync.sku_month. Example: SELECT * FROM storesync_report.stock_out WHERE month = date_trunc(''month'', current_date) ORDER BY lost_units DESC NULLS LAST;';

-- ---------------------------------------------------------------- forecast

-- Smoothing needs no recursion: unrolled, the day k days before the last weighs alpha * (1 - alpha)^k, and the
-- first one, with which it begins, what is left of 1. Days so old that all of them together weigh less than a
-- thousandth are not looked at.
CREATE FUNCTION storesync_report.forecast(alpha double precision)
	RETURNS TABLE(sku_id bigint, code text, name text, available bigint, daily_units numeric, days_left numeric, empty_on date)
	LANGUAGE sql STABLE PARALLEL SAFE ROWS 10000 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	WITH span AS MATERIALIZED (
		SELECT x.today, x.today - d.days AS since, (x.today - d.days)::timestamp AT TIME ZONE 'Asia/Taipei' AS begins,
			x.today::timestamp AT TIME ZONE 'Asia/Taipei' AS ends
		FROM (SELECT (now() AT TIME ZONE 'Asia/Taipei')::date AS today) x
		CROSS JOIN (SELECT CASE WHEN $1 = 1 THEN 1 ELSE least(ceil(ln(0.001) / ln(1 - $1)), 366)::int END AS days WHERE $1 > 0 AND $1 <= 1) d),
	line AS (
		SELECT l.sku_id, l.parts, (l.ordered_at AT TIME ZONE 'Asia/Taipei')::date AS day,
			greatest(l.qty - l.cancelled_qty, 0)::double precision * l.pack AS units
		FROM storesync.sales_order_line l
		WHERE l.recorded_at >= (SELECT p.begins - '1 day'::interval FROM span p)
			AND l.ordered_at >= (SELECT p.begins FROM span p) AND l.ordered_at < (SELECT p.ends FROM span p)
			AND l.status NOT IN ('unpaid', 'cancelled') AND l.sku_id IS NOT NULL),
	demand AS (
		SELECT u.sku_id, u.day, sum(u.units) AS units
		FROM (SELECT l.sku_id, l.day, l.units FROM line l WHERE l.parts IS NULL
			UNION ALL
			SELECT x.sku_id, l.day, l.units * x.per
			FROM line l
			CROSS JOIN LATERAL (
				SELECT DISTINCT y.sku_id, y.per FROM jsonb_to_recordset(l.parts) AS y (sku_id bigint, per bigint)) x
			WHERE l.parts IS NOT NULL) u
		GROUP BY u.sku_id, u.day),
	history AS (
		SELECT d.sku_id, sum(d.units * $1 * power(1 - $1, p.today - 1 - d.day)) AS weighed, min(d.day) AS first_day,
			(array_agg(d.units ORDER BY d.day))[1] AS first_units
		FROM demand d CROSS JOIN span p
		GROUP BY d.sku_id)
	SELECT k.sku_id, k.code, k.name, s.available, round(m.daily::numeric, 3), round((greatest(s.available, 0) / m.daily)::numeric, 1),
		CASE WHEN greatest(s.available, 0) / m.daily < 3650 THEN p.today + floor(greatest(s.available, 0) / m.daily)::int END
	FROM history h
	CROSS JOIN span p
	JOIN storesync.sku k ON k.sku_id = h.sku_id AND NOT k.bundle
	CROSS JOIN LATERAL (
		-- the first day of a SKU is a beginning, no observation among others
		SELECT h.weighed + CASE WHEN h.first_day = greatest(p.since, least((k.created_at AT TIME ZONE 'Asia/Taipei')::date, h.first_day))
			THEN h.first_units * (1 - $1) * power(1 - $1, p.today - 1 - h.first_day) ELSE 0 END AS daily) m
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(t.on_hand - t.reserved), 0)::bigint AS available
		FROM storesync.stock t JOIN storesync.location c ON c.location_id = t.location_id AND c.sellable
		WHERE t.sku_id = k.sku_id) s
	WHERE m.daily > 0
$$;
COMMENT ON FUNCTION storesync_report.forecast(double precision) IS
'When SKUs that sell will be empty, forecast by simple exponential smoothing of the units ordered a day, up to yesterday: daily_units = alpha * last day + (1 - alpha) * what it was before, begun with the first day; days of Asia/Taipei, orders neither unpaid nor cancelled, units of bundles at their parts. alpha: above 0, at most 1; small ones forget slowly; no rows for any other. available: units at sellable locations that nobody has reserved, now; days_left = available / daily_units; empty_on: today and as many whole days, NULL beyond ten years. An estimate: no season, no campaign, no delivery on its way, and days without stock count as days without demand. From storesync.sales_order_line (the partitions of these days) and stock. Example: SELECT * FROM storesync_report.forecast(0.1) WHERE days_left < 14 ORDER BY days_left;';

CREATE VIEW storesync_report.forecast AS
SELECT f.sku_id, f.code, f.name, f.available, f.daily_units, f.days_left, f.empty_on FROM storesync_report.forecast(0.3) f;
COMMENT ON VIEW storesync_report.forecast IS
'forecast(0.3): when SKUs will be empty, by simple exponential smoothing of the last 20 days. An estimate. Example: SELECT * FROM storesync_report.forecast WHERE empty_on <= current_date + 7 ORDER BY empty_on;';
