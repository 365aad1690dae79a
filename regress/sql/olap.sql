-- What ClickHouse is to have, and the functions around it where there is none.
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;

SELECT storesync.olap_url(), storesync.olap_allowed();
SELECT count(*) FROM storesync.health() WHERE component = 'olap';
SELECT pid, state, filling FROM storesync.stat_olap;
SELECT storesync.olap_fill();

-- The setting has no password, and plain http only for this machine.
ALTER SYSTEM SET storesync.clickhouse_url = 'https://user:secret@house.example';
ALTER SYSTEM SET storesync.clickhouse_url = 'http://house.example:8123';
ALTER SYSTEM SET storesync.clickhouse_url = 'http://127.0.0.1.example:8123';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://house.example/';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://house.example:0';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://house.example:65536';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://[fd00::7';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://';
ALTER SYSTEM SET storesync.clickhouse_url = 'ftp://house.example';
SET storesync.clickhouse_url = 'http://127.0.0.1:8123';
ALTER SYSTEM SET storesync.clickhouse_url = 'https://[fd00::7]:8443';
ALTER SYSTEM SET storesync.clickhouse_url = 'http://[::1]';
ALTER SYSTEM RESET storesync.clickhouse_url;

-- What counts as sold
SELECT s AS status, storesync.olap_sold(s, 3, 1) AS sold, storesync.olap_sold(s, 1, 2) AS never_below
FROM unnest(enum_range(NULL::storesync.order_status)) s;

-- Rows: days are the store's own, nothing is NULL
SELECT storesync.add_store('shopee', '1', 'one'), storesync.add_store('ruten', '2', '二'), storesync.add_sku('A'), storesync.add_sku('B', '貨');
UPDATE storesync.store SET timezone = 'America/New_York' WHERE store_id = 2;
SELECT outcome FROM storesync.receive('A', 10, storesync.new_key());
SELECT storesync.add_listing(1, 'A', '7', pack => 2), storesync.add_listing(2, 'A', '7');
SELECT (storesync.ingest_order(s, jsonb_build_object('order_sn', 'N', 'status', 'ready_to_ship',
	'create_time', '2026-03-01T01:30:00Z', 'buyer', 'Somebody', 'currency', 'TWD',
	'lines', '[{"line_id": "1", "item_id": "7", "qty": 2, "cancelled_qty": 1, "unit_price": 19.995}, {"line_id": "2", "item_id": "none", "qty": 1}]'::jsonb))).outcome
FROM generate_series(1, 2) s;
SELECT order_id, store_id, order_sn, status, currency, stock_effect, create_ms, day, hour, booked_ms > create_ms AS booked_later
FROM storesync.olap_sales_order ORDER BY 1;
SELECT * FROM storesync.olap_sales_order_line ORDER BY order_id, line_id;
SELECT sku_id, location_id, number, kind, on_hand_delta, reserved_delta, on_hand, reserved, order_id, event_ms > 0 AS event,
	recorded_ms = floor(extract(epoch FROM recorded_at) * 1000) AS recorded
FROM storesync.olap_ledger ORDER BY 1, 2, 3;
SELECT count(DISTINCT order_id) FROM storesync.olap_history;
SELECT * FROM storesync.olap_store ORDER BY 1;
SELECT * FROM storesync.olap_sku ORDER BY 1;
SELECT * FROM storesync.olap_location ORDER BY 1;
SELECT storesync.ensure_partitions() > 0 AS made;
INSERT INTO storesync.call_log (at, store_id, call, class, items) SELECT clock_timestamp(), 1, 'list_orders', 'ok', n FROM generate_series(1, 300) n;
SELECT count(*), count(DISTINCT row), min(row), bool_and(utc_day = to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')) FROM storesync.olap_call;

SELECT * FROM storesync.check_invariants();
