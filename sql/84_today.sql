-- Each store in a line, for the summary that is read every morning (reports/today.sql, docs/reports.md).

CREATE VIEW storesync.store_today AS
SELECT s.store_id, s.name AS store, s.platform, CASE WHEN s.paused THEN 'paused' ELSE s.mode END AS mode,
	c.fetched_through, clock_timestamp() - c.fetched_through AS fetch_age,
	coalesce(y.orders, 0) AS orders_yesterday, coalesce(y.amount, 0) AS amount_yesterday,
	coalesce(t.orders, 0) AS orders_today, coalesce(t.amount, 0) AS amount_today,
	round((100 * n.calls / 600 / nullif(storesync.rate_per_second(s.rate_limit), 0))::numeric, 1) AS budget_used,
	floor(extract(epoch FROM least(k.refresh_left, k.authorization_left)) / 86400)::int AS token_days
FROM storesync.store s
CROSS JOIN LATERAL (SELECT (statement_timestamp() AT TIME ZONE s.timezone)::date AS today) d
LEFT JOIN storesync.order_cursor c ON c.store_id = s.store_id
LEFT JOIN storesync.sales_day y ON y.store_id = s.store_id AND y.day = d.today - 1
LEFT JOIN storesync.sales_day t ON t.store_id = s.store_id AND t.day = d.today
LEFT JOIN storesync.token_status k ON k.store_id = s.store_id
LEFT JOIN (
	SELECT l.store_id, count(*) AS calls FROM storesync.call_log l
	WHERE l.at > statement_timestamp() - '10 minutes'::interval
	GROUP BY l.store_id) m ON m.store_id = s.store_id
CROSS JOIN LATERAL (SELECT coalesce(m.calls, 0) AS calls) n;
COMMENT ON VIEW storesync.store_today IS
'Each store in a line: mode (paused where it is), up to when its orders are fetched (fetched_through; fetch_age: how long ago that is; NULL: never), orders and amount (hundredths of the orders'' currency) of yesterday and today by its own clock, budget_used: calls of the last ten minutes in percent of what its limit grants for long (may be above 100 after a burst), token_days: whole days until its refresh token or authorisation ends, whichever is first (NULL where there are none). From storesync.sales_day, call_log, order_cursor, token_status. Example: SELECT store, mode, orders_today, token_days FROM storesync.store_today ORDER BY store_id;';
