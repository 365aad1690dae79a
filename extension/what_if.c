/*
 * what_if.c
 *		what_if_listings(): a period's orders, replayed with the settings as
 *		they are and with others (docs/what-if.md).
 *
 * Reads what the replay needs, sorted by SKU, replays SKU by SKU, twice each,
 * and answers a row for each listing and replay. Writes nothing, anywhere.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "rollup.h"
#include "what_if.h"

PG_FUNCTION_INFO_V1(what_if_listings);

#define ANSWER_COLUMNS 11

enum Argument
{
	ARG_SINCE, ARG_UNTIL, ARG_STORE, ARG_SKU, ARG_BUFFER, ARG_SHARE, ARG_SOLO_BELOW, ARG_SAFETY_STOCK, ARG_CAP,
	ARG_FETCH_DELAY, ARG_WRITE_DELAY
};

static int64
number(uint64 row, int column, int64 missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? missing : DatumGetInt64(value);
}

/* load_lines reads what was ordered in the period: of listings that still sell the SKU, with a stock effect, no bundles. */
static void
load_lines(Replay *all, Datum store, Datum sku)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID};
	Datum		values[] = {TimestampTzGetDatum(all->since), TimestampTzGetDatum(all->until), store, sku};

	rollup_select(&plan,
				  "SELECT l.sku_id, l.listing_id, l.order_id, l.pack::bigint, l.qty, "
				  "  CASE WHEN l.shipped = 0 AND l.cancelled_at IS NOT NULL THEN l.cancelled_qty ELSE 0 END, l.ordered_at, l.cancelled_at "
				  "FROM storesync.sales_order_line l "
				  "JOIN storesync.listing n ON n.listing_id = l.listing_id AND n.sku_id = l.sku_id "
				  "JOIN storesync.sku k ON k.sku_id = l.sku_id AND NOT k.bundle "
				  "WHERE l.recorded_at >= $1 - '1 day'::interval AND l.ordered_at >= $1 AND l.ordered_at < $2 "
				  "  AND l.state NOT IN ('parked', 'kept') AND ($4 = 0 OR l.sku_id = $4) "
				  "  AND ($3 = 0 OR EXISTS (SELECT FROM storesync.listing x WHERE x.sku_id = l.sku_id AND x.store_id = $3)) "
				  "ORDER BY l.sku_id, l.ordered_at, l.order_id, l.line_id",
				  4, types, values);
	all->n_lines = (int) SPI_processed;
	all->lines = MemoryContextAllocHuge(CurrentMemoryContext, Max(SPI_processed, 1) * sizeof(ReplayLine));
	for (int i = 0; i < all->n_lines; i++)
		all->lines[i] = (ReplayLine)
		{
			.sku_id = number(i, 1, 0), .listing_id = number(i, 2, 0), .order_id = number(i, 3, 0), .pack = (int) number(i, 4, 1),
			.qty = number(i, 5, 0), .cancelled_qty = number(i, 6, 0), .ordered_at = number(i, 7, 0),
			.cancelled_at = number(i, 8, DT_NOEND)
		};
	SPI_freetuptable(SPI_tuptable);
}

/* column_of makes an array of the SKU, or else the order, of each line; distinct: of each SKU once. */
static Datum
column_of(const Replay *all, bool orders, bool distinct)
{
	Datum	   *values = palloc(Max(all->n_lines, 1) * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < all->n_lines; i++)
		if (!distinct || i == 0 || all->lines[i].sku_id != all->lines[i - 1].sku_id)
			values[n++] = Int64GetDatum(orders ? all->lines[i].order_id : all->lines[i].sku_id);
	return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64), true, TYPALIGN_DOUBLE));
}

/* load_moves reads what else moved the stock of these SKUs where it is sold. */
static void
load_moves(Replay *all, Datum skus)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(all->since), TimestampTzGetDatum(all->until), skus,
	column_of(all, true, false), column_of(all, false, false)};

	rollup_select(&plan,
				  "SELECT g.sku_id, g.recorded_at, g.on_hand_delta - g.reserved_delta "
				  "FROM storesync.ledger g JOIN storesync.location y ON y.location_id = g.location_id AND y.sellable "
				  "WHERE g.recorded_at >= $1 AND g.recorded_at < $2 AND g.on_hand_delta <> g.reserved_delta "
				  "  AND EXISTS (SELECT FROM unnest($3) AS k (sku_id) WHERE k.sku_id = g.sku_id) "
				  "  AND NOT EXISTS (SELECT FROM unnest($4, $5) AS u (order_id, sku_id) "
				  "    WHERE u.order_id = g.order_id AND u.sku_id = g.sku_id) "
				  "ORDER BY g.sku_id, g.recorded_at, g.version",
				  5, types, values);
	all->n_moves = (int) SPI_processed;
	all->moves = MemoryContextAllocHuge(CurrentMemoryContext, Max(SPI_processed, 1) * sizeof(ReplayMove));
	for (int i = 0; i < all->n_moves; i++)
		all->moves[i] = (ReplayMove) {.sku_id = number(i, 1, 0), .at = number(i, 2, 0), .units = number(i, 3, 0)};
	SPI_freetuptable(SPI_tuptable);
}

/* load_listings reads all listings of these SKUs with their settings, and the delays measured on the period's days. */
static void
load_listings(Replay *all, Datum skus)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, INT8ARRAYOID};
	Datum		values[] = {TimestampTzGetDatum(all->since), TimestampTzGetDatum(all->until), skus};

	rollup_select(&plan,
				  "WITH delay AS MATERIALIZED (SELECT p.platform, "
				  "    storesync.delay_percentile(storesync.delay_sum(d.histogram) FILTER (WHERE d.stage = 'booked'), 0.5) AS booked, "
				  "    storesync.delay_percentile(storesync.delay_sum(d.histogram) FILTER (WHERE d.stage = 'pushed'), 0.5) AS pushed "
				  "  FROM storesync.platform p LEFT JOIN storesync.delay_day d ON d.platform = p.platform "
				  "    AND d.day >= ($1 AT TIME ZONE '+08')::date AND d.day <= (($2 - '1 microsecond'::interval) AT TIME ZONE '+08')::date "
				  "  GROUP BY p.platform), "
				  "shop AS MATERIALIZED (SELECT s.store_id, s.priority, p.max_quantity, p.returns_on_cancel IS NOT FALSE AS gives_back, "
				  "    s.mode = 'live' AND NOT s.paused "
				  "      AND NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = s.store_id) AS managed, "
				  "    (extract(epoch FROM s.poll_interval) * 1000000)::bigint AS poll_us, "
				  "    coalesce(d.booked * 1000, (extract(epoch FROM s.poll_interval) * 1000000)::bigint) AS fetch_us, "
				  "    CASE WHEN d.pushed IS NULL THEN 1000000 ELSE greatest(d.pushed - d.booked, 0) * 1000 END AS write_us "
				  "  FROM storesync.store s JOIN storesync.platform p ON p.platform = s.platform JOIN delay d ON d.platform = p.platform) "
				  "SELECT l.listing_id, l.sku_id, l.store_id::bigint, s.priority::bigint, l.pack::bigint, l.share, l.buffer, "
				  "  least(l.cap, s.max_quantity), (s.managed AND l.enabled)::int::bigint, s.gives_back::int::bigint, s.fetch_us, s.write_us, s.poll_us, "
				  "  k.safety_stock, k.solo_below, o.units "
				  "FROM unnest($3) AS u (sku_id) JOIN storesync.sku k ON k.sku_id = u.sku_id "
				  "CROSS JOIN LATERAL (SELECT coalesce(sum(x.units), 0)::bigint AS units "
				  "  FROM storesync.stock_lock t JOIN storesync.location y ON y.location_id = t.location_id AND y.sellable "
				  "  CROSS JOIN LATERAL (SELECT g.on_hand - g.reserved AS units FROM storesync.ledger g WHERE g.sku_id = t.sku_id "
				  "    AND g.location_id = t.location_id AND g.recorded_at < $1 ORDER BY g.version DESC LIMIT 1) x "
				  "  WHERE t.sku_id = k.sku_id OFFSET 0) o "
				  "JOIN storesync.listing l ON l.sku_id = k.sku_id JOIN shop s ON s.store_id = l.store_id "
				  "ORDER BY l.sku_id, l.listing_id",
				  3, types, values);
	all->n_listings = (int) SPI_processed;
	all->listings = MemoryContextAllocHuge(CurrentMemoryContext, Max(SPI_processed, 1) * sizeof(ReplayListing));
	for (int i = 0; i < all->n_listings; i++)
	{
		bool		isnull;
		Datum		share = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 6, &isnull);

		all->listings[i] = (ReplayListing)
		{
			.listing_id = number(i, 1, 0), .sku_id = number(i, 2, 0), .store_id = (int) number(i, 3, 0),
			.priority = (int) number(i, 4, 0), .pack = (int) number(i, 5, 1), .share = PointerGetDatum(DatumGetNumericCopy(share)),
			.buffer = number(i, 7, 0), .most = number(i, 8, 0), .managed = number(i, 9, 0) != 0, .gives_back = number(i, 10, 0) != 0,
			.fetch_us = number(i, 11, 0), .write_us = number(i, 12, 0), .poll_us = number(i, 13, 0),
			.safety_stock = number(i, 14, 0), .solo_below = number(i, 15, 0), .opening = number(i, 16, 0)
		};
	}
	SPI_freetuptable(SPI_tuptable);
}

/* ---------------------------------------------------------------- arguments */

static int64
microseconds(Interval *interval)
{
	/* far out of range already, and a product that fits */
	if (interval->month != 0 || interval->day < -10000 || interval->day > 10000)
		return -1;
	return interval->day * USECS_PER_DAY + interval->time;
}

/* not_negative returns a bigint argument, or what there is in its place when it is NULL, which may be larger. */
static int64
not_negative(FunctionCallInfo fcinfo, int n, int64 otherwise)
{
	int64		value;

	if (PG_ARGISNULL(n))
		return otherwise;
	value = PG_GETARG_INT64(n);
	if (value < 0 || value > SS_MAX_QTY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("quantities must lie between 0 and %lld", (long long) SS_MAX_QTY)));
	return value;
}

/* delay_argument does the same for a delay: after days away, what was measured is days. */
static int64
delay_argument(FunctionCallInfo fcinfo, int n, int64 otherwise)
{
	int64		us;

	if (PG_ARGISNULL(n))
		return otherwise;
	us = microseconds(PG_GETARG_INTERVAL_P(n));
	if (us < 0 || us > USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delays must lie between 0 and 1 day")));
	return us;
}

/* set_otherwise gives a listing the settings that were asked for; those of another store keep theirs. */
static void
set_otherwise(FunctionCallInfo fcinfo, ReplayListing *listing)
{
	listing->solo_below = not_negative(fcinfo, ARG_SOLO_BELOW, listing->solo_below);
	listing->safety_stock = not_negative(fcinfo, ARG_SAFETY_STOCK, listing->safety_stock);
	if (!PG_ARGISNULL(ARG_STORE) && listing->store_id != PG_GETARG_INT32(ARG_STORE))
		return;
	listing->buffer = not_negative(fcinfo, ARG_BUFFER, listing->buffer);
	listing->most = Min(not_negative(fcinfo, ARG_CAP, listing->most), listing->most);
	if (!PG_ARGISNULL(ARG_SHARE))
		listing->share = PG_GETARG_DATUM(ARG_SHARE);
	listing->fetch_us = delay_argument(fcinfo, ARG_FETCH_DELAY, listing->fetch_us);
	listing->write_us = delay_argument(fcinfo, ARG_WRITE_DELAY, listing->write_us);
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	ReplayListing any = {.store_id = PG_ARGISNULL(ARG_STORE) ? 0 : PG_GETARG_INT32(ARG_STORE)};
	TimestampTz since;
	TimestampTz until;

	if (PG_ARGISNULL(ARG_SINCE) || PG_ARGISNULL(ARG_UNTIL))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a replay has a start and an end")));
	since = PG_GETARG_TIMESTAMPTZ(ARG_SINCE);
	until = PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	if (TIMESTAMP_NOT_FINITE(since) || TIMESTAMP_NOT_FINITE(until) || until <= since || until - 31 * USECS_PER_DAY > since)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a replay ends after its start, and at most 31 days later")));
	set_otherwise(fcinfo, &any);
	if (!PG_ARGISNULL(ARG_SHARE))
	{
		Datum		share = PG_GETARG_DATUM(ARG_SHARE);

		if (DatumGetBool(DirectFunctionCall2(numeric_gt, share, NumericGetDatum(int64_to_numeric(1)))) ||
			DatumGetBool(DirectFunctionCall2(numeric_lt, share, NumericGetDatum(int64_to_numeric(0)))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("share must lie between 0 and 1")));
	}
}

/* known_sku returns the id of the SKU that was asked for, 0 for all. */
static int64
known_sku(FunctionCallInfo fcinfo)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID};
	Datum		code = PG_ARGISNULL(ARG_SKU) ? 0 : PG_GETARG_DATUM(ARG_SKU);
	int64		sku_id;

	if (PG_ARGISNULL(ARG_SKU))
		return 0;
	rollup_select(&plan, "SELECT k.sku_id FROM storesync.sku k WHERE k.code = $1", 1, types, &code);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_SKU),
				 errmsg("SKU \"%s\" does not exist", TextDatumGetCString(code))));
	sku_id = number(0, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return sku_id;
}

static int64
known_store(FunctionCallInfo fcinfo)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT4OID};
	Datum		store = PG_ARGISNULL(ARG_STORE) ? 0 : PG_GETARG_DATUM(ARG_STORE);

	if (PG_ARGISNULL(ARG_STORE))
		return 0;
	rollup_select(&plan, "SELECT s.store_id FROM storesync.store s WHERE s.store_id = $1", 1, types, &store);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", DatumGetInt32(store))));
	SPI_freetuptable(SPI_tuptable);
	return DatumGetInt32(store);
}

/* ---------------------------------------------------------------- replays */

static void
answer(ReturnSetInfo *result, const char *scenario, const Replay *replay)
{
	for (int i = 0; i < replay->n_listings; i++)
	{
		const ReplayListing *listing = &replay->listings[i];
		bool		nulls[ANSWER_COLUMNS] = {false};
		Datum		values[ANSWER_COLUMNS] = {
			CStringGetTextDatum(scenario), Int32GetDatum(listing->store_id), Int64GetDatum(listing->sku_id),
			Int64GetDatum(listing->listing_id), Int64GetDatum(listing->demanded), Int64GetDatum(listing->sold),
			Int64GetDatum(listing->oversold), Int64GetDatum(listing->lost), Int64GetDatum(listing->out_of_stock),
			Int64GetDatum(listing->writes), Int64GetDatum(listing->shown)
		};

		nulls[ANSWER_COLUMNS - 1] = !listing->managed;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* replay_both replays a SKU as it is set and as it was asked for. */
static void
replay_both(FunctionCallInfo fcinfo, Replay *one)
{
	ReplayListing *as_set = one->listings;
	Size		size = one->n_listings * sizeof(ReplayListing);

	for (int otherwise = 0; otherwise < 2; otherwise++)
	{
		one->listings = memcpy(palloc(size), as_set, size);
		for (int i = 0; otherwise && i < one->n_listings; i++)
			set_otherwise(fcinfo, &one->listings[i]);
		what_if_replay(one);
		answer((ReturnSetInfo *) fcinfo->resultinfo, otherwise ? "what if" : "as set", one);
	}
}

/* replay_all takes SKU by SKU what was loaded: listings, lines and moves are all sorted by it. */
static void
replay_all(FunctionCallInfo fcinfo, const Replay *all)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "storesync replay", ALLOCSET_DEFAULT_SIZES);
	Replay		one = {.since = all->since, .until = all->until, .listings = all->listings, .lines = all->lines, .moves = all->moves};
	ReplayListing *end = all->listings + all->n_listings;

	while (one.listings < end)
	{
		int64		sku_id = one.listings->sku_id;
		ReplayListing *listings = one.listings;
		MemoryContext old = MemoryContextSwitchTo(context);

		for (one.n_listings = 0; listings + one.n_listings < end && listings[one.n_listings].sku_id == sku_id;)
			one.n_listings++;
		for (one.n_lines = 0; one.lines + one.n_lines < all->lines + all->n_lines && one.lines[one.n_lines].sku_id == sku_id;)
			one.n_lines++;
		for (one.n_moves = 0; one.moves + one.n_moves < all->moves + all->n_moves && one.moves[one.n_moves].sku_id == sku_id;)
			one.n_moves++;
		replay_both(fcinfo, &one);
		one.listings = listings + one.n_listings;
		one.lines += one.n_lines;
		one.moves += one.n_moves;
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
}

/* what_if_listings(…) -> rows of both replays by listing. */
Datum
what_if_listings(PG_FUNCTION_ARGS)
{
	SsSession	session;
	Replay		all = {0};
	Datum		skus;

	check_arguments(fcinfo);
	InitMaterializedSRF(fcinfo, 0);
	ss_enter(&session, "what_if_listings()", false);
	all.since = PG_GETARG_TIMESTAMPTZ(ARG_SINCE);
	all.until = PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	load_lines(&all, Int64GetDatum(known_store(fcinfo)), Int64GetDatum(known_sku(fcinfo)));
	skus = column_of(&all, false, true);
	load_moves(&all, skus);
	load_listings(&all, skus);
	replay_all(fcinfo, &all);
	ss_leave(&session);
	return (Datum) 0;
}
