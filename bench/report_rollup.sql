-- The five questions of bench/report, as storesync_report answers them from the roll-ups, on the replica.

-- question 1: daily sales per store, 90 days
SELECT store_id, day, orders, units, amount
FROM storesync_report.sales_day
WHERE day BETWEEN '2025-12-01' AND '2026-02-28' AND orders > 0
ORDER BY store_id, day;

-- question 2: delay percentiles per platform, 30 days
SELECT platform, orders, p50_ms, p95_ms, p99_ms
FROM storesync_report.delay('2026-01-30', '2026-02-28')
WHERE stage = 'booked'
ORDER BY platform;

-- question 3: turnover of the 100 SKUs that sold most, a year
SELECT sku_id, sold, average_stock, turnover
FROM storesync_report.turnover('2025-03-01', '2026-02-28', 100)
ORDER BY sold DESC, sku_id
LIMIT 100;

-- question 4: hourly sales per store, a day
SELECT store_id, hour AT TIME ZONE 'UTC', orders, units, amount
FROM storesync_report.sales_hour
WHERE hour >= '2025-11-11 00:00+08' AND hour < '2025-11-12 00:00+08' AND orders > 0
ORDER BY store_id, hour;

-- question 5: conversion per store, 30 days
SELECT store_id, sum(orders), sum(visits), round(sum(orders) / sum(visits), 6)
FROM storesync_report.conversion_day
WHERE day BETWEEN '2026-01-30' AND '2026-02-28' AND visits IS NOT NULL
GROUP BY store_id
ORDER BY store_id;
