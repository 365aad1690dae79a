-- Roll-ups: what reports of long periods read instead of orders, ledger and pushes (docs/rollup.md).
--
-- Plain tables, dumped as data: a row outlives the orders that it was made from. Here is what comes from orders and
-- their changes; 82_stock_month.sql has what comes from the ledger, 82_pushed.sql what comes from pushes.

-- ---------------------------------------------------------------- tables

CREATE TABLE storesync.sales_day (
	store_id int NOT NULL,
	day date NOT NULL,
	orders bigint NOT NULL DEFAULT 0,
	units bigint NOT NULL DEFAULT 0,
	amount bigint NOT NULL DEFAULT 0,
	cancelled_orders bigint NOT NULL DEFAULT 0,
	cancelled_units bigint NOT NULL DEFAULT 0,
	returned_units bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (store_id, day)
) WITH (fillfactor = 80);
COMMENT ON TABLE storesync.sales_day IS
'Sales of a store by its own day (store.timezone) of the orders'' create_time. orders: with units that are neither unpaid nor cancelled; units: those, as the platform counts; amount: units times unit_price, in hundredths of the order''s currency. cancelled_orders: without any unit left; cancelled_units; returned_units: of the units sold, those that came back. Written by roll_up() (docs/rollup.md).';

CREATE TABLE storesync.sales_hour (
	store_id int NOT NULL,
	hour timestamptz NOT NULL,
	orders bigint NOT NULL DEFAULT 0,
	units bigint NOT NULL DEFAULT 0,
	amount bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (store_id, hour)
) WITH (fillfactor = 80);
COMMENT ON TABLE storesync.sales_hour IS
'Sales of a store by the hour of its own clock (store.timezone) at which orders were created; hour: its beginning. Columns as in sales_day. Written by roll_up().';

CREATE TABLE storesync.delay_day (
	platform text NOT NULL,
	day date NOT NULL,
	stage text NOT NULL CHECK (stage IN ('booked', 'pushed')),
	histogram storesync.histogram NOT NULL,
	PRIMARY KEY (platform, day, stage)
) WITH (fillfactor = 70);
COMMENT ON TABLE storesync.delay_day IS
'How long orders of a platform took, by the day at UTC+8 on which they were created, in milliseconds from their create_time. stage booked: until they were first booked; pushed: until a shop first acknowledged a write, sent after that, for a listing of one of their SKUs (pushed_delays()), a day old at most. Of orders with stock effect. Written by roll_up(). Example: SELECT day, storesync.delay_percentile(histogram, 0.95) FROM storesync.delay_day WHERE platform = ''shopee'' AND stage = ''booked'';';

CREATE TABLE storesync.visit_day (
	store_id int NOT NULL,
	day date NOT NULL,
	visits bigint NOT NULL CHECK (visits >= 0),
	source text NOT NULL DEFAULT 'ingest' CHECK (source <> ''),
	PRIMARY KEY (store_id, day)
);
COMMENT ON TABLE storesync.visit_day IS
'Visits of a shop by its own day (store.timezone): the last number given for each day. source: ingest for ingest_visits(), otherwise who counted.';

CREATE FUNCTION storesync.ingest_visits(store int, day date, visits bigint) RETURNS void
	AS 'MODULE_PATHNAME', 'ingest_visits' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.ingest_visits(int, date, bigint) IS
'Says how many visits a shop had on one of its own days (store.timezone). The last number for a day counts, so a call may be repeated and a day corrected. Errors: SS002 unknown store, SS103 a day more than one ahead of the clock, 22003 fewer than 0, 22004 null argument, 25006 on a standby. Example: SELECT storesync.ingest_visits(1, current_date - 1, 1834);';

-- ---------------------------------------------------------------- what orders count for
--
-- The same rules as in extension/sale.c, which tells of changes: check_invariants() compares the two.

CREATE FUNCTION storesync.sale_amount(unit_price numeric, units bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'sale_amount_sql' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sale_amount(numeric, bigint) IS
'Units times unit_price in hundredths: the price rounded to them, the product at most 10^13. Example: SELECT storesync.sale_amount(199.5, 2);';

CREATE VIEW storesync.line_sale AS
SELECT l.order_id, l.line_id, l.recorded_at, l.store_id, l.ordered_at, l.sku_id, x.live > 0 AS is_live,
	CASE WHEN l.status <> 'unpaid' THEN x.live ELSE 0 END AS units,
	CASE WHEN l.status = 'unpaid' THEN 0 WHEN x.live > 1000000000000 / l.pack THEN 1000000000000 ELSE x.live * l.pack END AS sold,
	CASE WHEN l.status = 'unpaid' THEN 0 ELSE coalesce(storesync.sale_amount(l.unit_price, x.live), 0) END AS amount,
	CASE WHEN l.status = 'cancelled' THEN l.qty ELSE least(l.cancelled_qty, l.qty) END AS cancelled_units,
	CASE WHEN l.state <> 'kept' THEN l.restocked / l.pack WHEN l.status = 'returned' THEN least(coalesce(l.returned_qty, x.live), x.live)
		ELSE 0 END AS returned_units
FROM storesync.sales_order_line l
CROSS JOIN LATERAL (
	SELECT CASE WHEN l.status = 'cancelled' THEN 0 ELSE greatest(l.qty - l.cancelled_qty, 0) END AS live) x;
COMMENT ON VIEW storesync.line_sale IS
'What a line of an order counts for in the roll-ups: units (sold units that are neither unpaid nor cancelled), sold (the same in units of its SKU), amount (units times unit_price in hundredths), cancelled_units, returned_units (that came back; of a line without stock effect, that its document says so of). is_live: it has units that are not cancelled.';

CREATE VIEW storesync.order_sale AS
SELECT l.order_id, l.recorded_at, l.store_id, min(l.ordered_at) AS create_time,
	(sum(l.units) > 0)::int::bigint AS orders, sum(l.units)::bigint AS units, sum(l.amount)::bigint AS amount,
	(NOT bool_or(l.is_live))::int::bigint AS cancelled_orders, sum(l.cancelled_units)::bigint AS cancelled_units,
	sum(l.returned_units)::bigint AS returned_units
FROM storesync.line_sale l
GROUP BY l.order_id, l.recorded_at, l.store_id;
COMMENT ON VIEW storesync.order_sale IS
'What an order counts for in the roll-ups, columns as in sales_day: orders is 1 or 0, and so is cancelled_orders. Example: SELECT * FROM storesync.order_sale WHERE order_id = 1;';

CREATE FUNCTION storesync.sale_changes(sale bytea)
	RETURNS TABLE(order_id bigint, store_id int, at timestamptz, sku_id bigint, orders bigint, units bigint, amount bigint,
		cancelled_orders bigint, cancelled_units bigint, returned_units bigint, delay_ms bigint)
	AS 'MODULE_PATHNAME', 'sale_changes' LANGUAGE C IMMUTABLE STRICT;
COMMENT ON FUNCTION storesync.sale_changes(bytea) IS
'What storesync.outbox.sale says: for each order by how much what it counts for has changed, columns as in order_sale (at: the quarter of an hour in which it was created; delay_ms: of one that was first booked, else NULL), and for each line that changed its SKU, units of it and amount (sku_id is NULL in rows of orders). Error XX001 for other bytes. Example: SELECT x.* FROM storesync.outbox o, storesync.sale_changes(o.sale) x;';

-- ---------------------------------------------------------------- folding

CREATE TABLE storesync.roll_up_cursor (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	incarnation int NOT NULL,
	snapshot pg_snapshot NOT NULL,
	built_through bigint,
	kept_from timestamptz NOT NULL,
	moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20);
COMMENT ON TABLE storesync.roll_up_cursor IS
'What the roll-ups contain: all changes of sales that `snapshot` shows, in that life of the data, of orders with ids up to built_through (NULL: of all). kept_from: when the roll-ups were last made from orders, those of days before it stayed as they were. One row, none before the first roll_up().';

-- Orders whose partition has been seen to may have gone. An order may be created a day after it is booked.
CREATE FUNCTION storesync.orders_kept_from() RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(max(greatest(r.through, r.under_way)) + '1 day'::interval, '-infinity')
	FROM storesync.retired r WHERE r.parent = 'sales_order_line'
$$;
COMMENT ON FUNCTION storesync.orders_kept_from() IS
'The moment from which on all orders created are there; of those before some may have gone by age (-infinity: none has). Example: SELECT storesync.orders_kept_from();';

-- The cursor's row comes first, and is locked from then on: of two sessions that found none the second would else
-- have deleted nothing of what the first makes, and have it made once more. The life to begin in is the last one, but
-- what was prepared in an earlier one, and may still commit, is told there (rollup.c).
CREATE FUNCTION storesync.roll_up_begin(incarnation int) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO storesync.roll_up_cursor (incarnation, snapshot, built_through, kept_from)
	VALUES (coalesce((SELECT max(i.incarnation) FROM storesync.incarnation i WHERE i.incarnation <= $1 AND NOT EXISTS (
			SELECT FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared < i.started_at)), $1),
		pg_current_snapshot(), 0, storesync.orders_kept_from())
	ON CONFLICT ON CONSTRAINT roll_up_cursor_pkey DO UPDATE SET incarnation = excluded.incarnation, snapshot = excluded.snapshot,
		built_through = excluded.built_through, kept_from = excluded.kept_from, moved_at = excluded.moved_at;
	DELETE FROM storesync.sales_day d USING storesync.store s, storesync.roll_up_cursor r
	WHERE s.store_id = d.store_id AND d.day > (r.kept_from AT TIME ZONE s.timezone)::date;
	DELETE FROM storesync.sales_hour h USING storesync.roll_up_cursor r WHERE h.hour > r.kept_from;
	UPDATE storesync.sku_block b SET sums = storesync.sku_sums_stock(b.sums) FROM storesync.roll_up_cursor r
	WHERE b.month::timestamp AT TIME ZONE 'Asia/Taipei' >= r.kept_from;
	DELETE FROM storesync.delay_day d USING storesync.roll_up_cursor r
	WHERE d.stage = 'booked' AND d.day::timestamp AT TIME ZONE 'Asia/Taipei' >= r.kept_from;
	INSERT INTO storesync.consumer AS c (name, incarnation, snapshot, patience)
	SELECT 'rollup', r.incarnation, r.snapshot, '7 days' FROM storesync.roll_up_cursor r
	ON CONFLICT ON CONSTRAINT consumer_pkey DO UPDATE SET incarnation = excluded.incarnation, snapshot = excluded.snapshot,
		moved_at = clock_timestamp(), patience = excluded.patience;
$$;
COMMENT ON FUNCTION storesync.roll_up_begin(int) IS
'Has roll_up_step() make the roll-ups from the orders that are there, portion by portion; rows of days of which orders may have gone stay. For roll_up_step() alone.';

CREATE FUNCTION storesync.roll_up_step(most int DEFAULT 20000) RETURNS boolean
	AS 'MODULE_PATHNAME', 'roll_up_step' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.roll_up_step(int) IS
'Takes about `most` changes (1 to 1000000), or orders where the roll-ups are made for the first time, into the roll-ups; true when there is more to be done. One session at a time; nobody who books orders waits. Called by roll_up() and by the dispatcher. Errors: 22023 for another number, 25001 in a transaction that has written before, 25006 on a standby. Example: SELECT storesync.roll_up_step();';

-- Days and hours of a store are those of its clock: with another one all are made anew.
CREATE FUNCTION storesync.roll_up_anew() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.consumer WHERE name = 'rollup';
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_anew() IS 'Trigger: the next roll_up_step() begins anew.';
CREATE TRIGGER roll_up_anew AFTER UPDATE OF timezone ON storesync.store
	FOR EACH ROW WHEN (OLD.timezone <> NEW.timezone) EXECUTE FUNCTION storesync.roll_up_anew();

-- ---------------------------------------------------------------- all of it

CREATE PROCEDURE storesync.roll_up()
	LANGUAGE plpgsql
AS $$
BEGIN
	WHILE storesync.roll_up_step() LOOP
		COMMIT;
	END LOOP;
	COMMIT;
	WHILE storesync.roll_up_stock_step() LOOP
		COMMIT;
	END LOOP;
	COMMIT;
	WHILE storesync.roll_up_pushed_step() LOOP
		COMMIT;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.roll_up() IS
'Takes all that has changed since the last time into the roll-ups (sales_day, sales_hour, sku_month, delay_day), in transactions of some tenths of a second; the first call makes them from all orders that are there. The dispatcher does the same by itself, what comes from the ledger and from pushes once a day; without workers call it every hour or so. After seven days without a call the next one begins anew. Errors: 2D000 inside a transaction block, 25001 under REPEATABLE READ, 25006 on a standby. Example: CALL storesync.roll_up();';

CREATE VIEW storesync.roll_up_status AS
SELECT r.moved_at, r.built_through, o.last_order, s.lag_rows, s.lag_since, s.lag, r.incarnation, r.snapshot, r.kept_from
FROM storesync.roll_up_cursor r
CROSS JOIN (SELECT max(x.order_id) AS last_order FROM storesync.sales_order x) o
LEFT JOIN storesync.stat_outbox s ON s.consumer = 'rollup';
COMMENT ON VIEW storesync.roll_up_status IS
'How far roll_up() has come: when it last moved; rows of the outbox that it has not looked at (counted up to 10,000), since when the oldest waits, for how long. built_through: the roll-ups are being made from orders and have come to this one of last_order; NULL when they are complete. kept_from: rows of days before it stayed as they were then. No row before the first call. Example: SELECT * FROM storesync.roll_up_status;';
