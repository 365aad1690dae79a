-- The five questions of bench/report to DuckDB, and before them its tables: day is the store's own, taipei_day
-- that of UTC+8, both worked out when the rows were exported; moments are microseconds since 1970.

-- table line
CREATE TABLE line (order_id BIGINT, store_id INTEGER, sku_id BIGINT, ordered_us BIGINT, day DATE, taipei_day DATE, status ENUM(
	'unpaid', 'ready_to_ship', 'shipped', 'completed', 'in_cancel', 'cancelled', 'returned'),
	qty BIGINT, cancelled_qty BIGINT, pack INTEGER, price_cents BIGINT)

-- table orders
CREATE TABLE orders (order_id BIGINT, store_id INTEGER, platform ENUM('pchome', 'ruten', 'shopee'), created_us BIGINT, booked_us BIGINT,
	taipei_day DATE, stock_effect BOOLEAN)

-- table ledger
CREATE TABLE ledger (sku_id BIGINT, recorded_us BIGINT, on_hand_delta BIGINT)

-- table visit
CREATE TABLE visit (store_id INTEGER, day DATE, visits BIGINT)

-- question 1: daily sales per store, 90 days
SELECT store_id, day, count(DISTINCT order_id), sum(qty - cancelled_qty)::BIGINT, sum((qty - cancelled_qty) * price_cents)::BIGINT
FROM line
WHERE day BETWEEN '2025-12-01' AND '2026-02-28' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
GROUP BY store_id, day
ORDER BY store_id, day

-- question 2: delay percentiles per platform, 30 days
SELECT platform, count(*), quantile_disc(ms, 0.5), quantile_disc(ms, 0.95), quantile_disc(ms, 0.99)
FROM (
	SELECT platform, (booked_us - created_us) // 1000 AS ms
	FROM orders
	WHERE taipei_day BETWEEN '2026-01-30' AND '2026-02-28' AND stock_effect)
GROUP BY platform
ORDER BY platform::VARCHAR

-- question 3: turnover of the 100 SKUs that sold most, a year
WITH top AS (
	SELECT sku_id, sum((qty - cancelled_qty) * pack)::BIGINT AS sold
	FROM line
	WHERE taipei_day BETWEEN '2025-03-01' AND '2026-02-28' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
	GROUP BY sku_id
	ORDER BY sold DESC, sku_id
	LIMIT 100)
SELECT sku_id, sold, round(average, 2), round(sold / average, 4)
FROM top
JOIN (
	SELECT sku_id, sum(on_hand_delta * (1772294400000000 - greatest(recorded_us, 1740758400000000))) / (1772294400000000 - 1740758400000000) AS average
	FROM ledger
	WHERE recorded_us < 1772294400000000 AND sku_id IN (SELECT sku_id FROM top)
	GROUP BY sku_id) USING (sku_id)
ORDER BY sold DESC, sku_id

-- question 4: hourly sales per store, a day
SELECT store_id, make_timestamp(ordered_us // 3600000000 * 3600000000) AS hour, count(DISTINCT order_id), sum(qty - cancelled_qty)::BIGINT,
	sum((qty - cancelled_qty) * price_cents)::BIGINT
FROM line
WHERE taipei_day = '2025-11-11' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
GROUP BY store_id, hour
ORDER BY store_id, hour

-- question 5: conversion per store, 30 days
SELECT store_id, orders, visits, round(orders / visits, 6)
FROM (
	SELECT store_id, count(DISTINCT order_id) AS orders
	FROM line
	WHERE day BETWEEN '2026-01-30' AND '2026-02-28' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
	GROUP BY store_id)
JOIN (
	SELECT store_id, sum(visits)::BIGINT AS visits
	FROM visit
	WHERE day BETWEEN '2026-01-30' AND '2026-02-28'
	GROUP BY store_id) USING (store_id)
ORDER BY store_id
