-- A period as CSV, one file a table, columns as docs/olap.md has them: orders and lines by the stores' own days,
-- ledger and calls by UTC days. Run it on the replica if there is one.
--
--   psql -d shop -v since=2026-11-01 -v until=2026-11-30 -v folder=/srv/export -f deploy/export.sql
\set ON_ERROR_STOP on
\set orders :folder '/sales_order.csv'
\set lines :folder '/sales_order_line.csv'
\set movements :folder '/ledger.csv'
\set calls :folder '/call_log.csv'
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
COPY (SELECT * FROM storesync.olap_sales_order WHERE day BETWEEN :'since' AND :'until' ORDER BY order_id)
	TO STDOUT (FORMAT csv, HEADER) \g :orders
COPY (SELECT * FROM storesync.olap_sales_order_line WHERE day BETWEEN :'since' AND :'until' ORDER BY order_id, line_id)
	TO STDOUT (FORMAT csv, HEADER) \g :lines
COPY (SELECT sku_id, location_id, number, kind, on_hand_delta, reserved_delta, on_hand, reserved, order_id, event_ms, recorded_ms
	FROM storesync.olap_ledger
	WHERE recorded_at >= :'since'::timestamp AT TIME ZONE 'UTC' AND recorded_at < (:'until'::date + 1)::timestamp AT TIME ZONE 'UTC'
	ORDER BY sku_id, location_id, number)
	TO STDOUT (FORMAT csv, HEADER) \g :movements
COPY (SELECT utc_day, row, store_id, call, class, items, http_status, total_us, at_ms
	FROM storesync.olap_call
	WHERE recorded_at >= :'since'::timestamp AT TIME ZONE 'UTC' AND recorded_at < (:'until'::date + 1)::timestamp AT TIME ZONE 'UTC'
	ORDER BY utc_day, row)
	TO STDOUT (FORMAT csv, HEADER) \g :calls
COMMIT;
