-- The five questions of bench/report in plain SQL over orders, lines and ledger, on the replica. A heading names
-- each; its columns and what may differ are in ReportAsk.pm.

-- question 1: daily sales per store, 90 days
SELECT x.store_id, x.day, count(*) AS orders, sum(x.units)::bigint AS units, sum(x.amount)::bigint AS amount
FROM (
	SELECT l.store_id, (l.ordered_at AT TIME ZONE s.timezone)::date AS day, l.order_id, sum(l.qty - l.cancelled_qty) AS units,
		sum((l.qty - l.cancelled_qty) * round(l.unit_price * 100)) AS amount
	FROM storesync.sales_order_line l
	JOIN storesync.store s USING (store_id)
	WHERE l.recorded_at >= '2025-11-30 00:00+00' AND l.ordered_at >= '2025-11-30 00:00+00' AND l.ordered_at < '2026-03-02 00:00+00'
		AND l.status NOT IN ('unpaid', 'cancelled') AND l.qty > l.cancelled_qty
	GROUP BY l.store_id, 2, l.order_id) x
WHERE x.day BETWEEN '2025-12-01' AND '2026-02-28'
GROUP BY x.store_id, x.day
ORDER BY x.store_id, x.day;

-- question 2: delay percentiles per platform, 30 days
SELECT x.platform, count(*) AS orders, percentile_disc(0.5) WITHIN GROUP (ORDER BY x.ms), percentile_disc(0.95) WITHIN GROUP (ORDER BY x.ms),
	percentile_disc(0.99) WITHIN GROUP (ORDER BY x.ms)
FROM (
	SELECT s.platform, floor(extract(epoch FROM o.recorded_at - o.create_time) * 1000)::bigint AS ms
	FROM storesync.sales_order o
	JOIN storesync.store s USING (store_id)
	WHERE o.create_time >= '2026-01-30 00:00+08' AND o.create_time < '2026-03-01 00:00+08' AND o.stock_effect) x
GROUP BY x.platform
ORDER BY x.platform;

-- question 3: turnover of the 100 SKUs that sold most, a year
WITH top AS MATERIALIZED (
	SELECT l.sku_id, sum((l.qty - l.cancelled_qty) * l.pack)::bigint AS sold
	FROM storesync.sales_order_line l
	WHERE l.recorded_at >= '2025-03-01 00:00+08' AND l.ordered_at >= '2025-03-01 00:00+08' AND l.ordered_at < '2026-03-01 00:00+08'
		AND l.status NOT IN ('unpaid', 'cancelled') AND l.qty > l.cancelled_qty
	GROUP BY l.sku_id
	ORDER BY 2 DESC, 1
	LIMIT 100),
stock AS (
	SELECT g.sku_id, sum(g.on_hand_delta * extract(epoch FROM '2026-03-01 00:00+08' - greatest(g.recorded_at, '2025-03-01 00:00+08')))
		/ extract(epoch FROM timestamptz '2026-03-01 00:00+08' - '2025-03-01 00:00+08') AS average
	FROM storesync.ledger g
	JOIN storesync.location c USING (location_id)
	WHERE g.recorded_at < '2026-03-01 00:00+08' AND c.sellable AND g.sku_id IN (SELECT t.sku_id FROM top t)
	GROUP BY g.sku_id)
SELECT t.sku_id, t.sold, round(s.average, 2), round(t.sold / s.average, 4)
FROM top t
JOIN stock s USING (sku_id)
ORDER BY t.sold DESC, t.sku_id;

-- question 4: hourly sales per store, a day
SELECT x.store_id, x.hour AT TIME ZONE 'UTC', count(*) AS orders, sum(x.units)::bigint AS units, sum(x.amount)::bigint AS amount
FROM (
	SELECT l.store_id, date_trunc('hour', l.ordered_at) AS hour, l.order_id, sum(l.qty - l.cancelled_qty) AS units,
		sum((l.qty - l.cancelled_qty) * round(l.unit_price * 100)) AS amount
	FROM storesync.sales_order_line l
	WHERE l.recorded_at >= '2025-11-11 00:00+08' AND l.ordered_at >= '2025-11-11 00:00+08' AND l.ordered_at < '2025-11-12 00:00+08'
		AND l.status NOT IN ('unpaid', 'cancelled') AND l.qty > l.cancelled_qty
	GROUP BY l.store_id, 2, l.order_id) x
GROUP BY x.store_id, x.hour
ORDER BY x.store_id, x.hour;

-- question 5: conversion per store, 30 days
SELECT v.store_id, o.orders, v.visits, round(o.orders::numeric / v.visits, 6)
FROM (
	SELECT v.store_id, sum(v.visits)::bigint AS visits
	FROM storesync.visit_day v
	WHERE v.day BETWEEN '2026-01-30' AND '2026-02-28'
	GROUP BY v.store_id) v
JOIN (
	SELECT l.store_id, count(DISTINCT l.order_id) AS orders
	FROM storesync.sales_order_line l
	JOIN storesync.store s USING (store_id)
	WHERE l.recorded_at >= '2026-01-29 00:00+00' AND l.ordered_at >= '2026-01-29 00:00+00' AND l.ordered_at < '2026-03-02 00:00+00'
		AND (l.ordered_at AT TIME ZONE s.timezone)::date BETWEEN '2026-01-30' AND '2026-02-28'
		AND l.status NOT IN ('unpaid', 'cancelled') AND l.qty > l.cancelled_qty
	GROUP BY l.store_id) o USING (store_id)
ORDER BY v.store_id;
