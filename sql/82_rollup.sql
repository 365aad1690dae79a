-- Roll-ups: what reports of long periods read instead of orders, ledger and pushes (docs/rollup.md).
--
-- Plain tables, dumped as data: a row outlives the orders that it was made from.

-- ---------------------------------------------------------------- histograms

CREATE TYPE storesync.histogram;
CREATE FUNCTION storesync.histogram_in(cstring) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'histogram_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_out(storesync.histogram) RETURNS cstring
	AS 'MODULE_PATHNAME', 'histogram_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_recv(internal) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'histogram_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION storesync.histogram_send(storesync.histogram) RETURNS bytea
	AS 'MODULE_PATHNAME', 'histogram_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE storesync.histogram (
	INPUT = storesync.histogram_in,
	OUTPUT = storesync.histogram_out,
	RECEIVE = storesync.histogram_recv,
	SEND = storesync.histogram_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE storesync.histogram IS
'How often each length of time in milliseconds occurred, within 0.8 %: some hundred bytes for any number of values. As text pairs of milliseconds and count: ''120:3 128:1''. Made by delay_histogram(), read by delay_percentile() and delay_count(), summed up by delay_sum().';

CREATE FUNCTION storesync.delay_count(histogram storesync.histogram) RETURNS bigint
	AS 'MODULE_PATHNAME', 'delay_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_count(storesync.histogram) IS
'How many values a histogram counts. Example: SELECT storesync.delay_count(''120:3 128:1'');';

CREATE FUNCTION storesync.delay_percentile(histogram storesync.histogram, fraction double precision) RETURNS bigint
	AS 'MODULE_PATHNAME', 'delay_percentile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_percentile(storesync.histogram, double precision) IS
'Milliseconds at or below which that fraction (0 to 1) of a histogram''s values lie, as percentile_disc() has it, within 0.8 %, and exactly below 128; NULL of an empty one. Error 22003 for a fraction out of range. Example: SELECT storesync.delay_percentile(''120:3 128:1'', 0.95);';

CREATE FUNCTION storesync.delay_sum_step(internal, storesync.histogram) RETURNS internal
	AS 'MODULE_PATHNAME', 'delay_sum_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_sum_step(internal, storesync.histogram) IS 'A step of delay_sum().';
CREATE FUNCTION storesync.delay_histogram_step(internal, bigint) RETURNS internal
	AS 'MODULE_PATHNAME', 'delay_histogram_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_histogram_step(internal, bigint) IS 'A step of delay_histogram().';
CREATE FUNCTION storesync.delay_final(internal) RETURNS storesync.histogram
	AS 'MODULE_PATHNAME', 'delay_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.delay_final(internal) IS 'The end of delay_sum() and delay_histogram().';

CREATE AGGREGATE storesync.delay_sum(storesync.histogram) (
	SFUNC = storesync.delay_sum_step, STYPE = internal, SSPACE = 20000, FINALFUNC = storesync.delay_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE storesync.delay_sum(storesync.histogram) IS
'One histogram of several; NULL of no rows. Error 22003 when a count passes 2^63. Example: SELECT storesync.delay_percentile(storesync.delay_sum(histogram), 0.99) FROM storesync.delay_day WHERE stage = ''booked'';';
CREATE AGGREGATE storesync.delay_histogram(bigint) (
	SFUNC = storesync.delay_histogram_step, STYPE = internal, SSPACE = 20000, FINALFUNC = storesync.delay_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE storesync.delay_histogram(bigint) IS
'The histogram of lengths of time in milliseconds: NULL is left out, a negative one counts as 0; NULL of no rows. Example: SELECT storesync.delay_histogram(x) FROM generate_series(1, 1000) x;';

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

-- Of 32 SKUs at a time: a row costs as much to write as all that is said of them (sku_sums.h).
CREATE TABLE storesync.sku_block (
	block bigint NOT NULL,
	month date NOT NULL CHECK (extract(day FROM month) = 1),
	sums bytea NOT NULL,
	PRIMARY KEY (block, month)
) WITH (fillfactor = 70);
COMMENT ON TABLE storesync.sku_block IS
'Sales and stock of SKUs by month of Asia/Taipei, packed: a row has those with the same sku_id / 32. View sku_month shows them SKU by SKU. Written by roll_up().';

CREATE FUNCTION storesync.sku_sums_rows(block bigint, sums bytea)
	RETURNS TABLE(sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint, empty_seconds bigint, received bigint,
		shipped bigint, on_hand bigint, available bigint, through timestamptz)
	AS 'MODULE_PATHNAME', 'sku_sums_rows' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 32;
COMMENT ON FUNCTION storesync.sku_sums_rows(bigint, bytea) IS
'What storesync.sku_block.sums says of each SKU of that block of which it says anything; columns as in sku_month. Error XX001 for other bytes. Example: SELECT x.* FROM storesync.sku_block b, storesync.sku_sums_rows(b.block, b.sums) x WHERE b.block = 1000 / 32 AND x.sku_id = 1000;';

CREATE FUNCTION storesync.sku_sums_step(state internal, sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint,
	empty_seconds bigint, received bigint, shipped bigint, on_hand bigint, available bigint, through timestamptz) RETURNS internal
	AS 'MODULE_PATHNAME', 'sku_sums_step' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_step(internal, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, timestamptz) IS
'Step of sku_sums().';
CREATE FUNCTION storesync.sku_sums_final(state internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_final(internal) IS 'Result of sku_sums().';
CREATE AGGREGATE storesync.sku_sums(sku_id bigint, sold bigint, amount bigint, returned bigint, stock_seconds bigint, empty_seconds bigint,
	received bigint, shipped bigint, on_hand bigint, available bigint, through timestamptz) (
	SFUNC = storesync.sku_sums_step,
	STYPE = internal,
	SSPACE = 3000,
	FINALFUNC = storesync.sku_sums_final,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE storesync.sku_sums(bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, timestamptz) IS
'The other way round: storesync.sku_block.sums of SKUs of one block, one row for each (of two for the same SKU one counts); through, whole seconds, is NULL of a SKU without stock. NULL of no rows. Errors: 22023 for a SKU of another block, 22004 for another null. Example: SELECT storesync.sku_sums(m.sku_id, m.sold, m.amount, m.returned, m.stock_seconds, m.empty_seconds, m.received, m.shipped, m.on_hand, m.available, m.through) FROM storesync.sku_month m GROUP BY m.block, m.month;';

CREATE FUNCTION storesync.sku_sums_merge(sums bytea, more bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_merge' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_merge(bytea, bytea) IS
'The one with the sales of the other added, and with its stock in place of its own where the other has stock. Errors: 22003 for a sum beyond bigint, XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_sales(sums bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_sales' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_sales(bytea) IS
'The sales of it, without stock. Error XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_stock(sums bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_stock' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_stock(bytea) IS
'The stock of it, without sales. Error XX001 for other bytes. For what writes storesync.sku_block alone.';
CREATE FUNCTION storesync.sku_sums_next(sums bytea, at timestamptz) RETURNS bytea
	AS 'MODULE_PATHNAME', 'sku_sums_next' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION storesync.sku_sums_next(bytea, timestamptz) IS
'What a month begins with whose month before ended like this: on_hand and available of SKUs that have stock, through that moment. Error XX001 for other bytes. For what writes storesync.sku_block alone.';

CREATE VIEW storesync.sku_month AS
SELECT x.sku_id, b.month, x.sold, x.amount, x.returned, x.stock_seconds, x.empty_seconds, x.received, x.shipped, x.on_hand, x.available,
	x.through, b.block
FROM storesync.sku_block b CROSS JOIN LATERAL storesync.sku_sums_rows(b.block, b.sums) x;
COMMENT ON VIEW storesync.sku_month IS
'Sales and stock of a SKU by month of Asia/Taipei. sold, amount: by the orders'' create_time, of lines of that SKU, in its units and in hundredths of their currency, unpaid and cancelled ones left out. From the ledger, by recorded_at: received, shipped, returned (units that came in, were sent, came back); and at sellable locations, in whole seconds up to `through`: stock_seconds, units on hand times seconds; empty_seconds, with nothing available; on_hand, available: then. through: NULL without a row of the ledger. At a later moment of the month, up to its end or to roll_up_stock.through, stock_seconds is on_hand larger for each second since, and so is empty_seconds by 1 with nothing available (storesync_report.stock_month tells both so). block: sku_id / 32, by which a SKU''s rows are found without looking at all others. Example: SELECT * FROM storesync.sku_month WHERE sku_id = 1000 AND block = 1000 / 32;';

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

-- ---------------------------------------------------------------- stock by month
--
-- Each row of the ledger is taken once, month after month, a stretch of time after the other, up to a moment
-- before which nothing more will be recorded.

CREATE TABLE storesync.roll_up_stock (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	month date NOT NULL,
	through timestamptz NOT NULL,
	rows_behind bigint NOT NULL DEFAULT 0,
	doing text NOT NULL DEFAULT 'take' CHECK (doing IN ('reset', 'take', 'turn')),
	last_sku bigint NOT NULL DEFAULT 0,
	upto timestamptz,
	rows_upto bigint,
	until timestamptz,
	ended_at timestamptz
);
COMMENT ON TABLE storesync.roll_up_stock IS
'How far the columns of sku_month that come from the ledger are: they have all rows recorded before `through`, which lies in `month` or ends it, those of SKUs up to last_sku all before `upto` where that is set; rows_behind and rows_upto: how many of these rows lie in the partition of either moment. Months before are final. doing: take takes rows of the ledger; turn, where a month has ended, makes the rows of the next and has come to last_sku; reset, where months are made once more, takes out what they said and has come to last_sku. The pass under way goes up to `until` (NULL: none is), the last one ended at ended_at. One row, none before the first pass.';

-- The ledger of a month that is made ready to go is not whole.
CREATE FUNCTION storesync.ledger_kept_from() RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(max(greatest(r.through, r.under_way)), '-infinity') FROM storesync.retired r WHERE r.parent = 'ledger'
$$;
COMMENT ON FUNCTION storesync.ledger_kept_from() IS
'The moment from which on all rows of the ledger are there; of those before some may have gone by age (-infinity: none has). Example: SELECT storesync.ledger_kept_from();';

-- Who moves stock takes the time after he has got its lock, and with it a transaction id.
CREATE FUNCTION storesync.recorded_through() RETURNS timestamptz
	LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT date_trunc('second', least(clock_timestamp() - '1 second'::interval,
		(SELECT min(a.xact_start) FROM pg_stat_activity a
			WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()),
		(SELECT min(p.prepared) - '1 hour'::interval FROM pg_prepared_xacts p WHERE p.database = current_database())))
$$;
COMMENT ON FUNCTION storesync.recorded_through() IS
'A moment, in whole seconds, before which no row of the ledger is still to be committed: where the oldest transaction that writes began (of a prepared one: an hour before it was prepared). Example: SELECT storesync.recorded_through();';

CREATE FUNCTION storesync.roll_up_stock_slice(month date, since timestamptz, until timestamptz, behind bigint, after bigint, most int,
	OUT reached timestamptz, OUT rows_behind bigint, OUT last_sku bigint)
	AS 'MODULE_PATHNAME', 'roll_up_stock_slice' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION storesync.roll_up_stock_slice(date, timestamptz, timestamptz, bigint, bigint, int) IS
'Takes rows of the ledger recorded from since on and before until, both whole seconds of that month of Asia/Taipei, into sku_month: of the next SKUs with ids above `after`, up to last_sku (0: all), those before `reached`, which is `until` or, where after is 0, so much sooner that memory is enough. All are NULL when the rows are still being gathered, which a session goes on with when it is called again: each call does what taking some `most` rows costs. rows_behind: how many rows of the partition in which `reached` lies are older. reached is NULL, and nothing done, when the partition in which since lies has not `behind` rows that are older. For roll_up_stock_step() alone.';

-- How many rows of the partition in which a moment lies are older.
CREATE FUNCTION storesync.ledger_rows_behind(at timestamptz) RETURNS bigint
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) FROM storesync.ledger g
	WHERE g.recorded_at >= (SELECT d.from_at FROM storesync.partition_days('ledger') d WHERE $1 >= d.from_at AND $1 < d.to_at)
		AND g.recorded_at < $1
$$;
COMMENT ON FUNCTION storesync.ledger_rows_behind(timestamptz) IS
'How many rows of the partition of the ledger in which that moment lies were recorded before it. For roll_up_stock_step() alone.';

-- The first month of the ledger of which all rows are there; NULL without a ledger.
CREATE FUNCTION storesync.roll_up_stock_first() RETURNS date
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT date_trunc('month', greatest(min(d.from_at), storesync.ledger_kept_from() + '1 month'::interval) AT TIME ZONE 'Asia/Taipei')::date
	FROM storesync.partition_days('ledger') d
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_first() IS
'The first month of Asia/Taipei of which the ledger has all rows; NULL without partitions. Example: SELECT storesync.roll_up_stock_first();';

CREATE FUNCTION storesync.roll_up_stock_begin(first date, after bigint, last bigint) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
	UPDATE storesync.sku_block b SET sums = storesync.sku_sums_sales(b.sums)
	WHERE b.block >= ($2 + 1) / 32 AND b.block <= $3 / 32 AND b.month >= $1;
	INSERT INTO storesync.sku_block AS b (block, month, sums)
	SELECT k.sku_id / 32, $1, storesync.sku_sums(k.sku_id, 0, 0, 0, 0, 0, 0, 0, k.on_hand, k.available, $1::timestamp AT TIME ZONE 'Asia/Taipei')
	FROM (
		SELECT x.sku_id, sum(x.on_hand * c.sellable::int)::bigint AS on_hand, sum((x.on_hand - x.reserved) * c.sellable::int)::bigint AS available
		FROM (
			SELECT o.sku_id, o.location_id, o.on_hand, o.reserved FROM storesync.ledger_opening o WHERE o.sku_id > $2 AND o.sku_id <= $3
			UNION ALL
			SELECT g.sku_id, g.location_id, g.on_hand_delta, g.reserved_delta
			FROM storesync.ledger g LEFT JOIN storesync.ledger_opening o ON o.sku_id = g.sku_id AND o.location_id = g.location_id
			WHERE g.recorded_at < $1::timestamp AT TIME ZONE 'Asia/Taipei' AND g.version > coalesce(o.version, 0) AND g.sku_id > $2 AND g.sku_id <= $3) x
		JOIN storesync.location c ON c.location_id = x.location_id
		GROUP BY x.sku_id) k
	GROUP BY 1 ORDER BY 1
	ON CONFLICT ON CONSTRAINT sku_block_pkey DO UPDATE SET sums = storesync.sku_sums_merge(b.sums, excluded.sums)
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_begin(date, bigint, bigint) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with ids above `after` up to `last`, both the last of a block (or 0), and writes how they stood at its beginning, by openings and the rows before it. For roll_up_stock_step() alone.';

CREATE FUNCTION storesync.roll_up_stock_back(month date, after bigint, last bigint) RETURNS void
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	UPDATE storesync.sku_block b SET sums = storesync.sku_sums_merge(storesync.sku_sums_sales(b.sums),
		coalesce(storesync.sku_sums_next(x.sums, $1::timestamp AT TIME ZONE 'Asia/Taipei'), ''))
	FROM storesync.sku_block n
	LEFT JOIN storesync.sku_block x ON x.block = n.block AND x.month = ($1 - '1 month'::interval)::date
	WHERE n.block >= ($2 + 1) / 32 AND n.block <= $3 / 32 AND n.month >= $1 AND b.block = n.block AND b.month = n.month
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_back(date, bigint, bigint) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with ids above `after` up to `last`, both the last of a block (or 0); their rows stand as the month before ended. For roll_up_stock_step() alone.';

-- Portions of a reset: false when another beginning is to be taken, because rows of the ledger go by age.
CREATE FUNCTION storesync.roll_up_stock_reset(month date, after bigint, most int, OUT goes_on boolean, OUT last_sku bigint)
	LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first date;
BEGIN
	-- what was there at the beginning is told by openings as well as by rows
	LOCK TABLE storesync.retired IN SHARE MODE;
	first := storesync.roll_up_stock_first();
	-- the last of its block
	last_sku := ($2 + $3) / 32 * 32 + 31;
	IF NOT EXISTS (SELECT FROM storesync.sku k WHERE k.sku_id > last_sku) THEN
		last_sku := NULL;
	END IF;
	goes_on := coalesce($1 >= first, false);
	IF $1 > first THEN
		PERFORM storesync.roll_up_stock_back($1, $2, coalesce(last_sku, 9223372036854775807));
	ELSIF goes_on THEN
		PERFORM storesync.roll_up_stock_begin($1, $2, coalesce(last_sku, 9223372036854775807));
	END IF;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_reset(date, bigint, int) IS
'Takes what the ledger says out of sku_month from a month on, of SKUs with about the next `most` ids above `after`, whole blocks; their rows stand as the month before ended. last_sku: the last of these ids, NULL when none is left. goes_on: false, and nothing done, when the month is not whole. For roll_up_stock_step() alone.';

-- A month has ended: the rows of the next begin as its rows stand, which are not written for that: they stand like
-- this until its end.
CREATE FUNCTION storesync.roll_up_stock_next(month date, after bigint, most int) RETURNS bigint
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	WITH span AS MATERIALIZED (
		SELECT ($1 + '1 month'::interval)::date AS next,
			(SELECT max(x.block) FROM (
				SELECT b.block FROM storesync.sku_block b
				WHERE b.block >= ($2 + 1) / 32 AND b.month = $1 ORDER BY b.block LIMIT $3) x) AS last),
	begins AS (
		INSERT INTO storesync.sku_block AS b (block, month, sums)
		SELECT x.block, s.next, n.sums
		FROM span s
		JOIN storesync.sku_block x ON x.block >= ($2 + 1) / 32 AND x.block <= s.last AND x.month = $1
		CROSS JOIN LATERAL storesync.sku_sums_next(x.sums, s.next::timestamp AT TIME ZONE 'Asia/Taipei') n (sums)
		WHERE n.sums <> ''
		ORDER BY x.block
		ON CONFLICT ON CONSTRAINT sku_block_pkey DO UPDATE SET sums = storesync.sku_sums_merge(b.sums, excluded.sums))
	SELECT s.last * 32 + 31 FROM span s
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_next(date, bigint, int) IS
'Makes the rows of sku_month of the month after that one, of the next `most` blocks of SKUs with ids above `after`, from how they stand at its end. The last id of these blocks; NULL when there was none left. For roll_up_stock_step() alone.';

-- Where the months begin that are made once more: rows that came in behind lie in the same partition, or are of the clock's time.
CREATE FUNCTION storesync.roll_up_stock_again(month date, through timestamptz) RETURNS date
	LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT greatest(storesync.roll_up_stock_first(), least($1, date_trunc('month', clock_timestamp() AT TIME ZONE 'Asia/Taipei')::date, (
		SELECT date_trunc('month', max(d.from_at) AT TIME ZONE 'Asia/Taipei')::date
		FROM storesync.partition_days('ledger') d WHERE d.from_at <= $2)))
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_again(date, timestamptz) IS
'The month from which on stock by month is to be made once more when rows were recorded behind `through`, which lies in that month. For roll_up_stock_step() alone.';

CREATE FUNCTION storesync.roll_up_stock_step(most int DEFAULT 1000000, every interval DEFAULT '0') RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
DECLARE
	pass storesync.roll_up_stock;
	late boolean;
	took record;
	month_ends timestamptz;
	-- a block of SKUs costs as much as some rows
	blocks int := greatest($1 / 10, 1);
BEGIN
	-- what was committed before `until` has to be seen
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'roll_up_stock_step() needs a snapshot of its own for each statement'
			USING ERRCODE = '25001', HINT = 'Call it in a transaction of isolation level READ COMMITTED.';
	END IF;
	IF $1 NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'number of rows must be between 1 and 1000000' USING ERRCODE = '22023';
	END IF;
	SELECT r.* INTO pass FROM storesync.roll_up_stock r FOR UPDATE;
	IF pass.only_row IS NULL THEN
		-- one session begins, after those who change which places sell
		LOCK TABLE storesync.roll_up_stock IN SHARE ROW EXCLUSIVE MODE;
		INSERT INTO storesync.roll_up_stock (month, through, doing)
		SELECT f.month, f.month::timestamp AT TIME ZONE 'Asia/Taipei', 'reset'
		FROM storesync.roll_up_stock_first() f (month) WHERE f.month IS NOT NULL
		ON CONFLICT ON CONSTRAINT roll_up_stock_pkey DO NOTHING;
		RETURN (SELECT true FROM storesync.roll_up_stock);
	END IF;
	-- somebody has set the clock back: what is recorded from now on lies behind
	late := greatest(pass.through, pass.upto) > clock_timestamp() AND pass.doing <> 'reset';
	IF NOT late AND pass.until IS NULL AND pass.ended_at > clock_timestamp() - $2 AND pass.ended_at <= clock_timestamp() THEN
		RETURN false;
	END IF;
	IF pass.until IS NULL OR late THEN
		-- who was active is otherwise as this transaction saw it first
		PERFORM pg_stat_clear_snapshot();
		pass.until := greatest(storesync.recorded_through(), CASE WHEN NOT late THEN pass.through END);
	END IF;

	month_ends := (pass.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei';
	IF late THEN
		NULL;
	ELSIF pass.doing = 'reset' THEN
		SELECT * INTO took FROM storesync.roll_up_stock_reset(pass.month, pass.last_sku, blocks * 32);
		late := NOT took.goes_on;
		pass.last_sku := coalesce(took.last_sku, 0);
		IF took.last_sku IS NULL THEN
			pass.doing := 'take';
			pass.rows_behind := storesync.ledger_rows_behind(pass.through);
		END IF;
	ELSIF pass.doing = 'turn' THEN
		pass.last_sku := coalesce(storesync.roll_up_stock_next(pass.month, pass.last_sku, blocks), 0);
		IF pass.last_sku = 0 THEN
			pass.doing := 'take';
			pass.month := (pass.month + '1 month'::interval)::date;
			month_ends := (pass.month + '1 month'::interval)::timestamp AT TIME ZONE 'Asia/Taipei';
		END IF;
	ELSIF pass.through < least(pass.until, month_ends) THEN
		SELECT * INTO took
		FROM storesync.roll_up_stock_slice(pass.month, pass.through, coalesce(pass.upto, least(pass.until, month_ends)), pass.rows_behind,
			pass.last_sku, $1);
		-- rows that came in behind, or into what has been written of a part of the SKUs
		late := took.rows_behind IS NOT NULL AND (took.reached IS NULL OR took.rows_behind <> pass.rows_upto);
		IF took.last_sku > 0 THEN
			pass.last_sku := took.last_sku;
			pass.upto := took.reached;
			pass.rows_upto := took.rows_behind;
		ELSIF took.last_sku = 0 THEN
			pass.through := took.reached;
			pass.rows_behind := took.rows_behind;
			pass.last_sku := 0;
			pass.upto := NULL;
			pass.rows_upto := NULL;
		END IF;
	END IF;
	IF late THEN
		pass.month := storesync.roll_up_stock_again(pass.month, pass.through);
		pass.through := pass.month::timestamp AT TIME ZONE 'Asia/Taipei';
		pass.until := greatest(pass.until, pass.through);
		pass.doing := 'reset';
		pass.last_sku := 0;
		pass.upto := NULL;
		pass.rows_upto := NULL;
	ELSIF pass.doing = 'take' AND pass.through = month_ends THEN
		pass.doing := 'turn';
	ELSIF pass.doing = 'take' AND pass.through >= pass.until THEN
		pass.until := NULL;
		pass.ended_at := clock_timestamp();
	END IF;
	UPDATE storesync.roll_up_stock r SET month = pass.month, through = pass.through, rows_behind = pass.rows_behind, doing = pass.doing,
		last_sku = pass.last_sku, upto = pass.upto, rows_upto = pass.rows_upto, until = pass.until, ended_at = pass.ended_at;
	RETURN pass.until IS NOT NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_step(int, interval) IS
'Takes rows of the ledger into sku_month: does what taking some `most` (1 to 1000000) rows costs, about 2 us of CPU each; true when the pass goes on, which the same session does best, since it has gathered rows in memory; NULL when there is no partition of the ledger yet. A pass that has ended is followed by another one when it ended longer than `every` ago. When the clock was set back, or rows were recorded behind what has been taken, the months from there on are made once more. Called by roll_up() and by the dispatcher, by it once a day. Errors: 22023 for another number, 25001 under REPEATABLE READ, 25006 on a standby. Example: SELECT storesync.roll_up_stock_step();';

-- Stock at a place that comes to sell, or no longer does, counts from the beginning as it does now.
CREATE FUNCTION storesync.roll_up_stock_anew() RETURNS trigger
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM storesync.roll_up_stock;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_stock_anew() IS 'Trigger: the next roll_up_stock_step() begins with the first month of the ledger.';
CREATE TRIGGER roll_up_stock_anew AFTER UPDATE OF sellable ON storesync.location
	FOR EACH ROW WHEN (OLD.sellable <> NEW.sellable) EXECUTE FUNCTION storesync.roll_up_stock_anew();

-- ---------------------------------------------------------------- until shops knew
--
-- A day's histogram is computed from orders and pushes as a whole, as long as an answer may come that counts.

CREATE TABLE storesync.roll_up_pushed (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	day date NOT NULL,
	through timestamptz NOT NULL,
	last_day date NOT NULL,
	last_platform text NOT NULL,
	last_order bigint,
	so_far storesync.histogram,
	ended_at timestamptz
);
COMMENT ON TABLE storesync.roll_up_pushed IS
'How far the rows of delay_day of stage pushed are: those of days before `day` are final; the newest pass began at `through` (recorded_through()), has come to last_day and last_platform and ended at ended_at (NULL: not yet). last_order: that day of that platform is being computed and has come to this order, with so_far (NULL: of none yet); NULL when it is done. One row, none before the first pass. Without it the next pass begins with the oldest day of which orders and pushes are kept.';

-- As in roll_up_begin(): an order may be created a day after it is booked.
CREATE FUNCTION storesync.pushed_orders(platform text, day date, after bigint, last bigint, most bigint DEFAULT NULL) RETURNS bigint[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
	SELECT ARRAY(
		SELECT DISTINCT l.order_id FROM storesync.sales_order_line l
		WHERE l.recorded_at >= ($2 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND l.recorded_at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
			AND l.ordered_at >= $2::timestamp AT TIME ZONE 'Asia/Taipei' AND l.ordered_at < ($2 + 1)::timestamp AT TIME ZONE 'Asia/Taipei'
			AND l.order_id > $3 AND l.order_id <= $4 AND l.effects > 0
			AND l.store_id = ANY (ARRAY(SELECT t.store_id FROM storesync.store t WHERE t.platform = $1))
		ORDER BY l.order_id LIMIT $5)
$$;
COMMENT ON FUNCTION storesync.pushed_orders(text, date, bigint, bigint, bigint) IS
'The first `most` (NULL: all) orders of a platform created on that day at UTC+8 that pushed_delays() looks at, with ids above `after` up to `last`, by id: those that moved stock and were booked before the end of the day after. For pushed_delays() and roll_up_pushed_step().';

CREATE FUNCTION storesync.pushed_delays_of(orders bigint[], day date) RETURNS storesync.histogram
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
AS $$
	WITH line AS MATERIALIZED (
		SELECT l.order_id, l.ordered_at, l.recorded_at, l.sku_id, l.parts
		FROM storesync.sales_order_line l
		WHERE l.order_id = ANY ($1) AND l.effects > 0
			AND l.recorded_at >= ($2 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND l.recorded_at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'),
	sold AS (
		SELECT l.order_id, l.ordered_at, l.recorded_at, l.sku_id FROM line l
		UNION
		SELECT l.order_id, l.ordered_at, l.recorded_at, x.sku_id
		FROM line l CROSS JOIN LATERAL jsonb_to_recordset(l.parts) AS x (sku_id bigint)
		WHERE l.parts IS NOT NULL)
	SELECT storesync.delay_histogram(floor(extract(epoch FROM x.at - x.ordered_at) * 1000)::bigint)
	FROM (
		SELECT o.ordered_at, min(p.at) AS at
		FROM sold o
		CROSS JOIN LATERAL (
			SELECT min(a.at) AS at
			FROM storesync.listing n
			CROSS JOIN LATERAL (
				SELECT u.at FROM storesync.push u
				WHERE u.listing_id = n.listing_id AND u.at >= o.recorded_at AND u.at < ($2 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
					AND u.sent_at >= o.recorded_at AND u.class IN ('ok', 'partial')
				ORDER BY u.at LIMIT 1) a
			WHERE n.sku_id = o.sku_id) p
		GROUP BY o.order_id, o.ordered_at) x
$$;
COMMENT ON FUNCTION storesync.pushed_delays_of(bigint[], date) IS
'pushed_delays() of some of the orders of that day. For pushed_delays() and roll_up_pushed_step().';

CREATE FUNCTION storesync.pushed_delays(platform text, day date) RETURNS storesync.histogram
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT storesync.pushed_delays_of(storesync.pushed_orders($1, $2, 0, 9223372036854775807), $2)
$$;
COMMENT ON FUNCTION storesync.pushed_delays(text, date) IS
'The histogram of milliseconds from create_time until a shop first acknowledged a write (class ok or partial) that was sent after the order was booked, for any listing of one of its SKUs or of their components, of the orders of a platform created on that day at UTC+8. Only lines that moved stock count, and what was booked and acknowledged until a day after the day''s end; an order to which nothing answered does not count. NULL for no order. By listings as they are now. What roll_up_pushed_step() writes into delay_day. Example: SELECT storesync.delay_percentile(storesync.pushed_delays(''shopee'', current_date - 1), 0.95);';

-- Ids of the orders whose lines may have been booked for that day.
CREATE FUNCTION storesync.pushed_span(day date, OUT first bigint, OUT last bigint)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
	SELECT min(x.first), max(x.last)
	FROM storesync.partition_days('sales_order_line') d
	CROSS JOIN LATERAL (
		SELECT min(l.order_id) AS first, max(l.order_id) AS last FROM storesync.sales_order_line l
		WHERE l.recorded_at >= d.from_at AND l.recorded_at < d.to_at) x
	WHERE d.to_at > ($1 - 1)::timestamp AT TIME ZONE 'Asia/Taipei' AND d.from_at < ($1 + 2)::timestamp AT TIME ZONE 'Asia/Taipei'
$$;
COMMENT ON FUNCTION storesync.pushed_span(date) IS
'The least and the greatest id of the orders in the partitions of lines that pushed_delays() reads for that day; NULL of none. For roll_up_pushed_step() alone.';

CREATE FUNCTION storesync.roll_up_pushed_step(most int DEFAULT 5000, every interval DEFAULT '0') RETURNS boolean
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pass storesync.roll_up_pushed;
	next record;
	span record;
	upto bigint;
	orders bigint[];
	-- a hundred orders of other days and platforms cost as much as one, and a day by itself as ten
	budget bigint := $1;
BEGIN
	-- as roll_up_stock_step()
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'roll_up_pushed_step() needs a snapshot of its own for each statement'
			USING ERRCODE = '25001', HINT = 'Call it in a transaction of isolation level READ COMMITTED.';
	END IF;
	SELECT r.* INTO pass FROM storesync.roll_up_pushed r FOR UPDATE;
	IF $1 NOT BETWEEN 1 AND 1000000 THEN
		RAISE EXCEPTION 'number of orders must be between 1 and 1000000' USING ERRCODE = '22023';
	END IF;
	IF pass.only_row IS NULL THEN
		SELECT true, (min(d.from_at) AT TIME ZONE 'Asia/Taipei')::date - 1 INTO pass.only_row, pass.day FROM storesync.partition_days('push') d;
		IF pass.day IS NULL THEN
			RETURN NULL;
		END IF;
	ELSIF pass.ended_at > clock_timestamp() - $2 THEN
		RETURN false;
	END IF;
	IF pass.through IS NULL OR pass.ended_at IS NOT NULL THEN
		PERFORM pg_stat_clear_snapshot();
		pass.through := storesync.recorded_through();
		-- of days before it orders or pushes may have gone
		pass.day := greatest(pass.day, (greatest(pass.through - storesync.log_retention(), storesync.orders_kept_from())
			AT TIME ZONE 'Asia/Taipei')::date + 1);
		pass.last_day := pass.day;
		pass.last_platform := '';
		pass.last_order := NULL;
		pass.ended_at := NULL;
	END IF;
	WHILE budget > 0 LOOP
		IF pass.last_order IS NULL THEN
			SELECT d.day, p.platform INTO next
			FROM (SELECT pass.last_day + n AS day FROM generate_series(0, (pass.through AT TIME ZONE 'Asia/Taipei')::date - pass.last_day) n) d
			CROSS JOIN (SELECT DISTINCT s.platform FROM storesync.store s) p
			WHERE (d.day, p.platform) > (pass.last_day, pass.last_platform)
			ORDER BY d.day, p.platform LIMIT 1;
			IF NOT FOUND THEN
				-- an answer is written some seconds after it came: an hour is enough for that
				pass.day := greatest(pass.day, ((pass.through - '1 hour'::interval) AT TIME ZONE 'Asia/Taipei')::date - 1);
				pass.ended_at := clock_timestamp();
				EXIT;
			END IF;
			pass.last_day := next.day;
			pass.last_platform := next.platform;
			pass.last_order := 0;
			pass.so_far := NULL;
		END IF;
		span := storesync.pushed_span(pass.last_day);
		pass.last_order := greatest(pass.last_order, span.first - 1);
		IF pass.last_order < span.last THEN
			upto := least(span.last, pass.last_order + budget * 100);
			orders := storesync.pushed_orders(pass.last_platform, pass.last_day, pass.last_order, upto, budget);
			IF cardinality(orders) = budget THEN
				upto := orders[budget];
			END IF;
			IF cardinality(orders) > 0 THEN
				SELECT storesync.delay_sum(x.h) INTO pass.so_far
				FROM (VALUES (pass.so_far), (storesync.pushed_delays_of(orders, pass.last_day))) x (h);
			END IF;
			budget := budget - greatest(cardinality(orders), (upto - pass.last_order) / 100, 1);
			pass.last_order := upto;
			CONTINUE;
		END IF;
		IF pass.so_far IS NULL THEN
			DELETE FROM storesync.delay_day d WHERE d.platform = pass.last_platform AND d.day = pass.last_day AND d.stage = 'pushed';
		ELSE
			INSERT INTO storesync.delay_day AS d (platform, day, stage, histogram)
			VALUES (pass.last_platform, pass.last_day, 'pushed', pass.so_far)
			ON CONFLICT ON CONSTRAINT delay_day_pkey DO UPDATE SET histogram = excluded.histogram
			WHERE d.histogram::text <> excluded.histogram::text;
		END IF;
		pass.last_order := NULL;
		pass.so_far := NULL;
		budget := budget - 10;
	END LOOP;
	INSERT INTO storesync.roll_up_pushed SELECT pass.*
	ON CONFLICT ON CONSTRAINT roll_up_pushed_pkey DO UPDATE SET day = excluded.day, through = excluded.through, last_day = excluded.last_day,
		last_platform = excluded.last_platform, last_order = excluded.last_order, so_far = excluded.so_far, ended_at = excluded.ended_at;
	RETURN pass.ended_at IS NULL;
END
$$;
COMMENT ON FUNCTION storesync.roll_up_pushed_step(int, interval) IS
'Writes pushed_delays() of days of a platform that are not final into delay_day: a day is when a pass began more than 25 hours after its end. Looks at the next `most` (1 to 1000000) orders of the day and platform, or a hundred times as many others; true when the pass goes on, NULL when there is no partition of pushes yet. A pass that has ended is followed by another one when it ended longer than `every` ago. Called by roll_up() and by the dispatcher, by it once a day. Errors: 22023 for another number, 25001 under REPEATABLE READ, 25006 on a standby. Example: SELECT storesync.roll_up_pushed_step();';

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
