-- Tables of ClickHouse (18.16) that storesync writes to, in the database that is named as PostgreSQL's.
-- deploy/clickhouse/create makes them. One row is the newest of several with one key: read with FINAL and
-- `deleted = 0`, as deploy/clickhouse/questions.sql does. Parts are cut by what never changes in a row,
-- since rows replace each other within a part of the table alone.

CREATE TABLE IF NOT EXISTS sales_order (
	order_id Int64, store_id Int32, order_sn String, status String, currency String, stock_effect UInt8,
	create_ms Int64, booked_ms Int64, day Date, hour UInt32,
	deleted UInt8 DEFAULT 0, version UInt64
) ENGINE = ReplacingMergeTree(version) PARTITION BY intDiv(order_id, 1000000) ORDER BY order_id;

CREATE TABLE IF NOT EXISTS sales_order_line (
	order_id Int64, line_id String, store_id Int32, sku_id Int64, listing_id Int64, status String, state String,
	qty Int64, cancelled_qty Int64, returned_qty Int64, restocked Int64, short Int64, pack Int32,
	price Int64, sold Int64, amount Int64, day Date, hour UInt32,
	deleted UInt8 DEFAULT 0, version UInt64
) ENGINE = ReplacingMergeTree(version) PARTITION BY intDiv(order_id, 1000000) ORDER BY (order_id, line_id);

CREATE TABLE IF NOT EXISTS ledger (
	sku_id Int64, location_id Int32, number Int64, kind String,
	on_hand_delta Int64, reserved_delta Int64, on_hand Int64, reserved Int64, order_id Int64,
	event_ms Int64, recorded_ms Int64,
	deleted UInt8 DEFAULT 0, version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY (sku_id, location_id, number);

CREATE TABLE IF NOT EXISTS call_log (
	utc_day Date, row Int64, store_id Int32, call String, class String, items Int32, http_status Int32,
	total_us Int64, at_ms Int64,
	deleted UInt8 DEFAULT 0, version UInt64
) ENGINE = ReplacingMergeTree(version) PARTITION BY toYYYYMM(utc_day) ORDER BY (utc_day, row);

CREATE TABLE IF NOT EXISTS store (
	store_id Int32, platform String, name String, timezone String, version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY store_id;

CREATE TABLE IF NOT EXISTS sku (
	sku_id Int64, code String, name String, bundle UInt8, version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY sku_id;

CREATE TABLE IF NOT EXISTS location (
	location_id Int32, code String, sellable UInt8, version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY location_id;

CREATE TABLE IF NOT EXISTS visit_day (
	store_id Int32, day Date, visits Int64, version UInt64
) ENGINE = ReplacingMergeTree(version) ORDER BY (store_id, day);
