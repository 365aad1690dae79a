-- Five questions to ClickHouse, with the same answers as the orders, the ledger and the visits here give. @FROM@ and @UNTIL@ are
-- the first and the last day, @FROM_MS@ and @UNTIL_MS@ the moments in milliseconds since 1970 at which a period
-- begins and ends, @DAY@ a day. A statement ends with ; at the end of a line.

-- sales_day: sales of each store by its own day
SELECT store_id, day, uniqExact(order_id) AS orders, sum(sold) AS units, sum(amount) AS amount
FROM sales_order_line FINAL
WHERE deleted = 0 AND sold > 0 AND day BETWEEN '@FROM@' AND '@UNTIL@'
GROUP BY store_id, day ORDER BY store_id, day;

-- sales_hour: sales of each store by the hours of a day of its own; hour in Unix seconds
SELECT store_id, hour, uniqExact(order_id) AS orders, sum(sold) AS units, sum(amount) AS amount
FROM sales_order_line FINAL
WHERE deleted = 0 AND sold > 0 AND day = '@DAY@'
GROUP BY store_id, hour ORDER BY store_id, hour;

-- delay: from an order's time on the platform until it was booked, in milliseconds, of orders with stock effect;
-- days at UTC+8
SELECT platform, count() AS orders, quantileExact(0.5)(delay) AS p50_ms, quantileExact(0.95)(delay) AS p95_ms, quantileExact(0.99)(delay) AS p99_ms
FROM (SELECT store_id, greatest(booked_ms - create_ms, 0) AS delay FROM sales_order FINAL
	WHERE deleted = 0 AND stock_effect = 1 AND create_ms >= @FROM_MS@ AND create_ms < @UNTIL_MS@)
ANY INNER JOIN (SELECT store_id, platform FROM store FINAL) USING store_id
GROUP BY platform ORDER BY platform;

-- turnover: of the 100 SKUs that sold most, units sold and units on hand at sellable locations times milliseconds:
-- turnover = units * (@UNTIL_MS@ - @FROM_MS@) / stock_ms
SELECT sku_id, units, stock_ms
FROM (SELECT sku_id, sum(sold * pack) AS units FROM sales_order_line FINAL
	WHERE deleted = 0 AND sold > 0 AND sku_id > 0 AND order_id IN (SELECT order_id FROM sales_order FINAL WHERE deleted = 0 AND create_ms >= @FROM_MS@ AND create_ms < @UNTIL_MS@)
	GROUP BY sku_id ORDER BY units DESC, sku_id LIMIT 100)
ANY LEFT JOIN (SELECT sku_id, sum(place_ms) AS stock_ms
	FROM (SELECT sku_id, location_id, argMin(on_hand - on_hand_delta, number) * (@UNTIL_MS@ - @FROM_MS@)
			+ sum(on_hand_delta * (@UNTIL_MS@ - greatest(recorded_ms, @FROM_MS@))) AS place_ms
		FROM ledger FINAL WHERE deleted = 0 AND recorded_ms < @UNTIL_MS@ GROUP BY sku_id, location_id)
	ANY INNER JOIN (SELECT location_id FROM location FINAL WHERE sellable = 1) USING location_id
	GROUP BY sku_id) USING sku_id
ORDER BY units DESC, sku_id;

-- conversion: orders and visits of each store, of days whose visits are known; conversion = orders / visits
SELECT store_id, sum(orders) AS orders, sum(visits) AS visits
FROM (SELECT store_id, day, visits FROM visit_day FINAL WHERE day BETWEEN '@FROM@' AND '@UNTIL@')
ANY LEFT JOIN (SELECT store_id, day, uniqExact(order_id) AS orders FROM sales_order_line FINAL
	WHERE deleted = 0 AND sold > 0 AND day BETWEEN '@FROM@' AND '@UNTIL@' GROUP BY store_id, day) USING store_id, day
GROUP BY store_id ORDER BY store_id;
