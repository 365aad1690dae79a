/*
 * stock_month.c
 *		roll_up_stock_slice(): takes the rows of the ledger that were recorded in
 *		a stretch of time into storesync.sku_month, each once.
 *
 * The rows of a stretch are gathered (stock_gather.c), sorted by SKU, and each
 * SKU's row of the month is written once, from how it stood at the beginning
 * of the stretch. Both are done in portions: the caller notes up to which SKU
 * a stretch has been written, in the transaction that has written it. What
 * others wrote into the ledger behind a stretch, because somebody set the
 * clock back, is found by the number of rows that a partition has of the time
 * before: the caller keeps it.
 *
 * Within a second the order of movements does not matter: seconds are counted,
 * and what is there at the end of each.
 *
 * Locking: none of its own; the caller holds the row of roll_up_stock.
 */
#include "storesync.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"

#include "set.h"
#include "stock.h"
#include "stock_gather.h"

PG_FUNCTION_INFO_V1(roll_up_stock_slice);

/* What a portion may cost for each row of `most`, and what writing a SKU does, in rows looked at: some 0.1 us. */
#define ROW_COST		20
#define SKU_COST		60
/* Portions that a stretch is gathered for, as memory is bounded (to twice its rows), and the most rows that it may have. */
#define PORTIONS		10
#define STRETCH_MOST	1000000

/* A row of sku_month. */
typedef struct Month
{
	int64		stock_seconds;
	int64		empty_seconds;
	int64		received;
	int64		shipped;
	int64		returned;
	int64		on_hand;
	int64		available;
	int64		through;		/* seconds */
} Month;

/* The movements that are written in one portion, whole SKUs. */
typedef struct Portion
{
	const StockMovement *moves;
	int			n;
} Portion;

static int64
seconds(TimestampTz at)
{
	return at / USECS_PER_SEC - (at % USECS_PER_SEC < 0 ? 1 : 0);
}

static Datum
value(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? (Datum) 0 : datum;
}

/* ---------------------------------------------------------------- adding up */

/* go_on lets a SKU stand as it stands up to a moment. */
static void
go_on(Month *month, int64 second)
{
	month->stock_seconds += month->on_hand * (second - month->through);
	if (month->available <= 0)
		month->empty_seconds += second - month->through;
	month->through = second;
}

static void
move(Month *month, const StockMovement *m)
{
	go_on(month, m->second);
	if (m->sells)
	{
		month->on_hand += m->on_hand_delta;
		month->available += m->on_hand_delta - m->reserved_delta;
	}
	if (m->kind == MOVE_RECEIVE)
		month->received += m->on_hand_delta;
	else if (m->kind == MOVE_SHIP)
		month->shipped -= m->on_hand_delta;
	else if (m->kind == MOVE_RESTOCK)
		month->returned += m->on_hand_delta;
}

/* read_months leaves the rows of the month of all SKUs that have moved in SPI's table, by SKU. */
static void
read_months(const Portion *portion, Datum month)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8ARRAYOID, DATEOID};
	Datum		values[2] = {0, month};
	int64	   *ids = MemoryContextAllocHuge(CurrentMemoryContext, portion->n * sizeof(int64));
	int			n = 0;

	for (int i = 0; i < portion->n; i++)
		if (i == 0 || portion->moves[i].sku_id != portion->moves[i - 1].sku_id)
			ids[n++] = portion->moves[i].sku_id;
	values[0] = ss_int8_array(n, ids);
	ss_execute(&plan,
			   "SELECT m.sku_id, m.stock_seconds, m.empty_seconds, m.received, m.shipped, m.returned, m.on_hand, m.available, m.through "
			   "FROM storesync.sku_month m WHERE m.sku_id = ANY ($1) AND m.month = $2 AND m.through IS NOT NULL ORDER BY m.sku_id",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	pfree(ids);
}

/* first_stand is how a SKU stood when the stretch began, or before its first movement of all. */
static void
first_stand(Month *month, const StockMovement *m, uint64 *row)
{
	memset(month, 0, sizeof(Month));
	month->through = m->second;
	while (*row < SPI_processed && DatumGetInt64(value(*row, 1)) < m->sku_id)
		(*row)++;
	if (*row >= SPI_processed || DatumGetInt64(value(*row, 1)) != m->sku_id)
		return;
	month->stock_seconds = DatumGetInt64(value(*row, 2));
	month->empty_seconds = DatumGetInt64(value(*row, 3));
	month->received = DatumGetInt64(value(*row, 4));
	month->shipped = DatumGetInt64(value(*row, 5));
	month->returned = DatumGetInt64(value(*row, 6));
	month->on_hand = DatumGetInt64(value(*row, 7));
	month->available = DatumGetInt64(value(*row, 8));
	month->through = seconds(DatumGetTimestampTz(value(*row, 9)));
}

static void
put_month(SsSet *set, int64 sku_id, const Month *month)
{
	set_add_row(set);
	set_put(set, 0, Int64GetDatum(sku_id));
	set_put(set, 1, Int64GetDatum(month->stock_seconds));
	set_put(set, 2, Int64GetDatum(month->empty_seconds));
	set_put(set, 3, Int64GetDatum(month->received));
	set_put(set, 4, Int64GetDatum(month->shipped));
	set_put(set, 5, Int64GetDatum(month->returned));
	set_put(set, 6, Int64GetDatum(month->on_hand));
	set_put(set, 7, Int64GetDatum(month->available));
	set_put(set, 8, TimestampTzGetDatum(month->through * USECS_PER_SEC));
}

/* write_months adds a portion, up to a moment, to the rows of the month. */
static void
write_months(const Portion *portion, int64 until, Datum month)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, DATEOID};
	SsSet	   *set = set_create(lengthof(types), types, Min(portion->n, 1024));
	Month		now;
	uint64		row = 0;

	read_months(portion, month);
	for (int i = 0; i < portion->n; i++)
	{
		const StockMovement *m = &portion->moves[i];

		if (i == 0 || m->sku_id != portion->moves[i - 1].sku_id)
			first_stand(&now, m, &row);
		move(&now, m);
		if (i + 1 < portion->n && portion->moves[i + 1].sku_id == m->sku_id)
			continue;
		go_on(&now, until);
		put_month(set, m->sku_id, &now);
		set_put(set, 9, month);
	}
	set_execute(&plan,
				"INSERT INTO storesync.sku_month AS m (sku_id, stock_seconds, empty_seconds, received, shipped, returned, "
				"  on_hand, available, through, month) "
				"SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
				"ON CONFLICT (sku_id, month) DO UPDATE SET stock_seconds = excluded.stock_seconds, empty_seconds = excluded.empty_seconds, "
				"  received = excluded.received, shipped = excluded.shipped, returned = excluded.returned, on_hand = excluded.on_hand, "
				"  available = excluded.available, through = excluded.through",
				SPI_OK_INSERT, set);
}

/* cut_portion is of the SKUs after one of that id as many as the budget is enough for, one at least. */
static Portion
cut_portion(const StockGathered *all, int64 after, int64 budget)
{
	int			low = 0;
	int			high = all->n;
	int			end;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (all->moves[middle].sku_id <= after)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < all->n; end++)
	{
		bool		is_next = end > low && all->moves[end].sku_id != all->moves[end - 1].sku_id;

		if (is_next && budget < SKU_COST)
			break;
		budget -= is_next ? SKU_COST + 1 : 1;
	}
	return (Portion) {.moves = all->moves + low, .n = end - low};
}

/*
 * write_portion writes the next SKUs of what has been gathered; returns the last of them, or 0 when there are
 * none left after it.
 */
static int64
write_portion(const StockGathered *all, int64 after, int64 budget, Datum month)
{
	Portion		portion = cut_portion(all, after, budget);

	if (portion.n == 0)
		return 0;
	write_months(&portion, all->until, month);
	if (portion.moves + portion.n == all->moves + all->n)
		return 0;
	return portion.moves[portion.n - 1].sku_id;
}

/*
 * roll_up_stock_slice(month date, since timestamptz, until timestamptz, behind bigint, after bigint, most int,
 * OUT reached timestamptz, OUT rows_behind bigint, OUT last_sku bigint): [since, until) lies in the month, both are
 * whole seconds.
 */
Datum
roll_up_stock_slice(PG_FUNCTION_ARGS)
{
	int64		after = PG_GETARG_INT64(4);
	int			most = PG_GETARG_INT32(5);
	int64		budget = (int64) most * ROW_COST;
	StockStretch stretch = {
		.since = seconds(PG_GETARG_TIMESTAMPTZ(1)), .until = seconds(PG_GETARG_TIMESTAMPTZ(2)), .whole = after > 0,
		.most = (int) Min((int64) most * PORTIONS, STRETCH_MOST)
	};
	const StockGathered *all;
	SsSession	session;
	Datum		values[3] = {0};
	bool		nulls[3] = {true, true, true};
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ss_enter(&session, "storesync.roll_up_stock_slice()", true);
	ss_plan_by_index();
	all = stock_gather(&stretch, &budget);
	if (all->complete && budget > 0)
	{
		values[1] = Int64GetDatum(stock_gathered_behind());
		nulls[1] = false;
		if (all->older == PG_GETARG_INT64(3))
		{
			values[0] = TimestampTzGetDatum(all->until * USECS_PER_SEC);
			values[2] = Int64GetDatum(write_portion(all, after, budget, PG_GETARG_DATUM(0)));
			nulls[0] = nulls[2] = false;
		}
		if (DatumGetInt64(values[2]) == 0)
			stock_gather_drop();
	}
	ss_leave(&session);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
