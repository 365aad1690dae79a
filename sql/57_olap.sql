-- What goes to ClickHouse and how far that has come (bgworker/olap*.c, docs/olap.md).

CREATE TABLE storesync.olap_state (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	incarnation int NOT NULL,
	life int NOT NULL CHECK (life BETWEEN 1 AND 32767),
	sent bigint NOT NULL DEFAULT 0,
	cut bigint,
	through timestamptz NOT NULL,
	fill text CHECK (fill IN ('order', 'history', 'ledger', 'call')),
	fill_from timestamptz,
	fill_partition name,
	fill_place bigint NOT NULL DEFAULT 0,
	again_from timestamptz,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	CHECK ((fill IS NULL) = (fill_from IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE storesync.olap_state IS
'How far ClickHouse has what is here, one row, written every ten seconds while it moves; not dumped: who has none writes everything. incarnation: the life of the data in which it was written; life: its number in ClickHouse, in the upper bits of each version there. sent: the highest version that ClickHouse took. cut: rows there of earlier lives with a version above it may be of a future that was lost, NULL when that is settled. through: everything recorded before is there, but what a filling has still to bring. fill: what is being written of the time before (orders by their ids, or since fill_from by their history; ledger; calls), with the partition and the block, or order_id, that it is at. again_from: from where another filling follows.';

-- The rule of what counts as sold is that of the roll-ups (storesync.line_sale, which is made after these views).
CREATE FUNCTION storesync.olap_sold(status storesync.order_status, qty bigint, cancelled_qty bigint) RETURNS bigint
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN status IN ('unpaid', 'cancelled') THEN 0 ELSE greatest(qty - cancelled_qty, 0) END;
COMMENT ON FUNCTION storesync.olap_sold(storesync.order_status, bigint, bigint) IS
'Units of an order line that count as sold: none of one that is unpaid or cancelled, else what is ordered and not cancelled. Example: SELECT storesync.olap_sold(''shipped'', 3, 1); -- 2';

-- The columns of these views are those of the tables in ClickHouse, by their names; the first three of
-- some say where a row lies and when it was recorded, and stay here. No column is ever NULL.

CREATE VIEW storesync.olap_sales_order AS
SELECT o.order_id, o.store_id, o.order_sn, o.status::text AS status, coalesce(o.currency, '') AS currency,
	o.stock_effect::int AS stock_effect,
	floor(extract(epoch FROM o.create_time) * 1000)::bigint AS create_ms,
	floor(extract(epoch FROM o.recorded_at) * 1000)::bigint AS booked_ms,
	to_char(greatest((o.create_time AT TIME ZONE s.timezone)::date, '1970-01-02'), 'YYYY-MM-DD') AS day,
	greatest(extract(epoch FROM date_trunc('hour', o.create_time, s.timezone)), 0)::bigint AS hour
FROM storesync.sales_order o JOIN storesync.store s ON s.store_id = o.store_id;
COMMENT ON VIEW storesync.olap_sales_order IS
'Orders as ClickHouse has them: times in milliseconds since 1970, day and beginning of the hour (Unix seconds) of create_time where the store is; booked_ms: when it was first booked.';

CREATE VIEW storesync.olap_sales_order_line AS
SELECT o.order_id, l.line_id, o.store_id, coalesce(l.sku_id, 0) AS sku_id, coalesce(l.listing_id, 0) AS listing_id,
	l.status::text AS status, l.state::text AS state, l.qty, l.cancelled_qty, coalesce(l.returned_qty, 0) AS returned_qty,
	l.restocked, l.short, l.pack,
	x.price::bigint AS price, x.sold, least(x.sold * x.price, 10000000000000)::bigint AS amount,
	to_char(greatest((o.create_time AT TIME ZONE s.timezone)::date, '1970-01-02'), 'YYYY-MM-DD') AS day,
	greatest(extract(epoch FROM date_trunc('hour', o.create_time, s.timezone)), 0)::bigint AS hour
FROM storesync.sales_order o
JOIN storesync.store s ON s.store_id = o.store_id
JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at
CROSS JOIN LATERAL (SELECT storesync.olap_sold(l.status, l.qty, l.cancelled_qty) AS sold,
	least(round(coalesce(l.unit_price, 0) * 100), 10000000000000) AS price) x;
COMMENT ON VIEW storesync.olap_sales_order_line IS
'Order lines as ClickHouse has them: price and amount in hundredths of the order''s currency; qty, cancelled_qty, returned_qty and sold in sold units, of which each takes pack units of the SKU; restocked and short in units of the SKU; sku_id and listing_id 0 where there is none; day and hour as its order''s.';

CREATE VIEW storesync.olap_history AS
SELECT h.tableoid AS partition, h.ctid AS place, h.recorded_at, h.order_id FROM storesync.order_history h;
COMMENT ON VIEW storesync.olap_history IS 'Which order changed when, and where that is written: orders are written to ClickHouse as they are now.';

CREATE VIEW storesync.olap_ledger AS
SELECT l.tableoid AS partition, l.ctid AS place, l.recorded_at, l.sku_id, l.location_id, l.version AS number,
	l.kind::text AS kind, l.on_hand_delta, l.reserved_delta, l.on_hand, l.reserved, coalesce(l.order_id, 0) AS order_id,
	floor(extract(epoch FROM l.event_at) * 1000)::bigint AS event_ms,
	floor(extract(epoch FROM l.recorded_at) * 1000)::bigint AS recorded_ms
FROM storesync.ledger l;
COMMENT ON VIEW storesync.olap_ledger IS 'Ledger rows as ClickHouse has them; number is the ledger''s version of the SKU at the location.';

-- A call has no name of its own: it is told by its day and its place there, which never changes.
CREATE VIEW storesync.olap_call AS
SELECT c.tableoid AS partition, c.ctid AS place, c.at AS recorded_at,
	to_char(c.at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS utc_day,
	((c.ctid::text::point)[0]::bigint << 16) | (c.ctid::text::point)[1]::bigint AS row,
	c.store_id, c.call, c.class::text AS class, c.items, coalesce(c.http_status, 0) AS http_status,
	coalesce(c.total_us, 0) AS total_us, floor(extract(epoch FROM c.at) * 1000)::bigint AS at_ms
FROM storesync.call_log c;
COMMENT ON VIEW storesync.olap_call IS 'Calls of platforms as ClickHouse has them: utc_day and row tell one from another.';

CREATE VIEW storesync.olap_store AS
SELECT s.store_id, s.platform, s.name, s.timezone FROM storesync.store s;
COMMENT ON VIEW storesync.olap_store IS 'Stores as ClickHouse has them.';

CREATE VIEW storesync.olap_sku AS
SELECT k.sku_id, k.code, coalesce(k.name, '') AS name, k.bundle::int AS bundle FROM storesync.sku k;
COMMENT ON VIEW storesync.olap_sku IS 'SKUs as ClickHouse has them.';

CREATE VIEW storesync.olap_location AS
SELECT p.location_id, p.code, p.sellable::int AS sellable FROM storesync.location p;
COMMENT ON VIEW storesync.olap_location IS 'Places of stock as ClickHouse has them.';

-- ---------------------------------------------------------------- the worker

CREATE FUNCTION storesync.olap_url() RETURNS text
	AS 'MODULE_PATHNAME', 'olap_url' LANGUAGE C STABLE;
COMMENT ON FUNCTION storesync.olap_url() IS
'The setting storesync.clickhouse_url, NULL when it is empty. Example: SELECT storesync.olap_url();';

CREATE FUNCTION storesync.olap_allowed() RETURNS boolean
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.instance_confirmed() OR (coalesce(storesync.is_loopback(storesync.olap_url()), false) AND NOT storesync.is_copy())
$$;
COMMENT ON FUNCTION storesync.olap_allowed() IS
'Whether this database may write to ClickHouse: as with platforms it was confirmed by confirm_instance(), or ClickHouse is on this machine and the database is no copy. Example: SELECT storesync.olap_allowed();';

CREATE FUNCTION storesync.olap_fill(since timestamptz DEFAULT '-infinity') RETURNS boolean
	LANGUAGE sql VOLATILE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH asked AS (UPDATE storesync.olap_state x SET again_from = least(x.again_from, $1) RETURNING 1)
	SELECT EXISTS (SELECT FROM asked)
$$;
COMMENT ON FUNCTION storesync.olap_fill(timestamptz) IS
'Has everything that was recorded since then written to ClickHouse once more, beside what changes, from some seconds later on: after its tables were made anew, or a store got another time zone. The default: all there is. Returns false when nothing was written there yet; then everything will be. Errors: 25006 on a standby. Example: SELECT storesync.olap_fill(now() - interval ''3 days'');';

CREATE FUNCTION storesync.olap_stats(OUT pid int, OUT state text, OUT since timestamptz, OUT heartbeat timestamptz,
	OUT rows bigint, OUT batches bigint, OUT failed bigint)
	AS 'MODULE_PATHNAME', 'olap_stats' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.olap_stats() IS 'The row of the view stat_olap, but what the table olap_state knows.';

CREATE VIEW storesync.stat_olap AS
SELECT s.pid, s.state, s.since, s.heartbeat, clock_timestamp() - s.heartbeat AS lag, s.rows, s.batches, s.failed,
	x.life, x.through, coalesce(x.fill, CASE WHEN x.again_from IS NOT NULL THEN 'waits' WHEN x.cut IS NOT NULL THEN 'settles' END) AS filling,
	x.fill_from, x.fill_partition, x.fill_place
FROM storesync.olap_stats() s LEFT JOIN storesync.olap_state x ON true;
COMMENT ON VIEW storesync.stat_olap IS
'This database''s OLAP worker: pid (NULL: none runs), state (starting, old sql, unconfirmed, away, filling, following) and since when; heartbeat: ClickHouse has what was committed before, but what a filling has still to bring; lag: since then; since the server''s start rows and batches that it took, and calls that failed; and how far it has come as storesync.olap_state has it: filling is NULL when nothing of the time before is missing.';

CREATE FUNCTION storesync.health_olap() RETURNS TABLE(component text, state text, reason text)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'olap', CASE WHEN x.reason IS NULL THEN 'ok' ELSE 'degraded' END, x.reason
	FROM storesync.olap_stats() c
	CROSS JOIN LATERAL (SELECT CASE
		WHEN pg_is_in_recovery() THEN NULL
		WHEN c.pid IS NULL THEN 'no OLAP worker is running: the server log says why'
		WHEN c.state = 'unconfirmed' THEN 'nothing is written before confirm_instance()'
		WHEN c.state = 'away' THEN format('ClickHouse is away, slow or refuses since %s, the server log says why: nobody waits for it but its readers', date_trunc('second', c.since))
		WHEN c.state = 'filling' THEN format('what there was before is being written, since %s', date_trunc('second', c.since))
		WHEN c.state <> 'following' THEN format('the OLAP worker is in state "%s"', c.state)
		WHEN c.heartbeat < clock_timestamp() - '10 minutes'::interval THEN format('ClickHouse is behind since %s', date_trunc('second', c.heartbeat)) END) AS x(reason)
	WHERE storesync.olap_url() IS NOT NULL
$$;
COMMENT ON FUNCTION storesync.health_olap() IS 'The part of health() about ClickHouse: a row where storesync.clickhouse_url is set.';
