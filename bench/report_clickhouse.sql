-- The five questions of bench/report to ClickHouse 18.16, and before them its tables: day is the store's own,
-- taipei_day that of UTC+8, both worked out when the rows were exported; moments are microseconds since 1970.

-- table line
CREATE TABLE line (order_id Int64, store_id Int32, sku_id Int64, ordered_us Int64, day Date, taipei_day Date, status Enum8(
	'unpaid' = 1, 'ready_to_ship' = 2, 'shipped' = 3, 'completed' = 4, 'in_cancel' = 5, 'cancelled' = 6, 'returned' = 7),
	qty Int64, cancelled_qty Int64, pack Int32, price_cents Int64)
ENGINE = MergeTree PARTITION BY toYYYYMM(taipei_day) ORDER BY (taipei_day, store_id)

-- table orders
CREATE TABLE orders (order_id Int64, store_id Int32, platform Enum8('shopee' = 1, 'ruten' = 2, 'pchome' = 3), created_us Int64, booked_us Int64,
	taipei_day Date, stock_effect UInt8)
ENGINE = MergeTree PARTITION BY toYYYYMM(taipei_day) ORDER BY (taipei_day, store_id)

-- table ledger
CREATE TABLE ledger (sku_id Int64, recorded_us Int64, on_hand_delta Int64)
ENGINE = MergeTree ORDER BY sku_id

-- table visit
CREATE TABLE visit (store_id Int32, day Date, visits Int64)
ENGINE = MergeTree ORDER BY (day, store_id)

-- question 1: daily sales per store, 90 days
SELECT store_id, day, uniqExact(order_id), sum(qty - cancelled_qty), sum((qty - cancelled_qty) * price_cents)
FROM line
WHERE taipei_day BETWEEN '2025-11-30' AND '2026-03-01' AND day BETWEEN '2025-12-01' AND '2026-02-28'
	AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
GROUP BY store_id, day
ORDER BY store_id, day

-- question 2: delay percentiles per platform, 30 days
SELECT platform, count(), quantileExact(0.5)(ms), quantileExact(0.95)(ms), quantileExact(0.99)(ms)
FROM (
	SELECT platform, intDiv(booked_us - created_us, 1000) AS ms
	FROM orders
	WHERE taipei_day BETWEEN '2026-01-30' AND '2026-02-28' AND stock_effect)
GROUP BY platform
ORDER BY toString(platform)

-- question 3: turnover of the 100 SKUs that sold most, a year
SELECT sku_id, sold, round(average, 2), round(sold / average, 4)
FROM (
	SELECT sku_id, sum((qty - cancelled_qty) * pack) AS sold
	FROM line
	WHERE taipei_day BETWEEN '2025-03-01' AND '2026-02-28' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
	GROUP BY sku_id
	ORDER BY sold DESC, sku_id
	LIMIT 100)
ANY INNER JOIN (
	SELECT sku_id, sum(on_hand_delta * (1772294400000000 - greatest(recorded_us, 1740758400000000))) / (1772294400000000 - 1740758400000000) AS average
	FROM ledger
	WHERE recorded_us < 1772294400000000 AND sku_id IN (
		SELECT sku_id
		FROM line
		WHERE taipei_day BETWEEN '2025-03-01' AND '2026-02-28' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
		GROUP BY sku_id
		ORDER BY sum((qty - cancelled_qty) * pack) DESC, sku_id
		LIMIT 100)
	GROUP BY sku_id)
USING sku_id
ORDER BY sold DESC, sku_id

-- question 4: hourly sales per store, a day
SELECT store_id, toDateTime(intDiv(ordered_us, 3600000000) * 3600, 'UTC') AS hour, uniqExact(order_id), sum(qty - cancelled_qty),
	sum((qty - cancelled_qty) * price_cents)
FROM line
WHERE taipei_day = '2025-11-11' AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
GROUP BY store_id, hour
ORDER BY store_id, hour

-- question 5: conversion per store, 30 days
SELECT store_id, orders, visits, round(orders / visits, 6)
FROM (
	SELECT store_id, uniqExact(order_id) AS orders
	FROM line
	WHERE taipei_day BETWEEN '2026-01-29' AND '2026-03-01' AND day BETWEEN '2026-01-30' AND '2026-02-28'
		AND status NOT IN ('unpaid', 'cancelled') AND qty > cancelled_qty
	GROUP BY store_id)
ANY INNER JOIN (
	SELECT store_id, sum(visits) AS visits
	FROM visit
	WHERE day BETWEEN '2026-01-30' AND '2026-02-28'
	GROUP BY store_id)
USING store_id
ORDER BY store_id
