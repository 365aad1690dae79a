/*
 * stock_month.c
 *		roll_up_stock_slice(): takes the rows of the ledger that were recorded in
 *		a stretch of time into storesync.sku_block, each once.
 *
 * The rows of a stretch are gathered (stock_gather.c), sorted by SKU, and each
 * row of the month, a block of SKUs, is written once, from how they stood at
 * the beginning of the stretch. Both are done in portions: the caller notes up
 * to which SKU a stretch has been written, in the transaction that has written
 * it. What others wrote into the ledger behind a stretch, because somebody set
 * the clock back, is found by the number of rows that a partition has of the
 * time before: the caller keeps it.
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
#include "sku_month.h"
#include "stock.h"
#include "stock_gather.h"

PG_FUNCTION_INFO_V1(roll_up_stock_slice);

/* What a portion may cost for each row of `most`, and what writing SKUs of a block does, in rows looked at: some 0.1 us. */
#define ROW_COST		20
#define BLOCK_COST		150
/* Portions that a stretch is gathered for, as memory is bounded (to twice its rows), and the most rows that it may have. */
#define PORTIONS		10
#define STRETCH_MOST	1000000

/* The movements that are written in one portion, whole blocks. */
typedef struct Portion
{
	const StockMovement *moves;
	int			n;
} Portion;

static Datum
value(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? (Datum) 0 : datum;
}

static int64
block_of(const StockMovement *m)
{
	return sku_block_number(m->sku_id);
}

/* ---------------------------------------------------------------- adding up */

/* go_on lets a SKU stand as it stands up to a moment. */
static void
go_on(SkuSums *sums, int64 second)
{
	sums->stock_seconds += sums->on_hand * (second - sums->through);
	if (sums->available <= 0)
		sums->empty_seconds += second - sums->through;
	sums->through = second;
}

static void
move(SkuSums *sums, const StockMovement *m)
{
	if (!sums->has_stock)
	{
		sums->has_stock = true;
		sums->through = m->second;	/* the first one of all */
	}
	go_on(sums, m->second);
	if (m->sells)
	{
		sums->on_hand += m->on_hand_delta;
		sums->available += m->on_hand_delta - m->reserved_delta;
	}
	if (m->kind == MOVE_RECEIVE)
		sums->received += m->on_hand_delta;
	else if (m->kind == MOVE_SHIP)
		sums->shipped -= m->on_hand_delta;
	else if (m->kind == MOVE_RESTOCK)
		sums->returned += m->on_hand_delta;
}

/* read_blocks leaves the rows of the month in which SKUs that have moved are in SPI's table, by block. */
static void
read_blocks(const Portion *portion, Datum month)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8ARRAYOID, DATEOID};
	Datum		values[2] = {0, month};
	int64	   *blocks = MemoryContextAllocHuge(CurrentMemoryContext, portion->n * sizeof(int64));
	int			n = 0;

	for (int i = 0; i < portion->n; i++)
		if (n == 0 || block_of(&portion->moves[i]) != blocks[n - 1])
			blocks[n++] = block_of(&portion->moves[i]);
	values[0] = ss_int8_array(n, blocks);
	ss_execute(&plan,
			   "SELECT b.block, b.sums FROM storesync.sku_block b WHERE b.block = ANY ($1) AND b.month = $2 ORDER BY b.block",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	pfree(blocks);
}

/* read_block is how SKUs stood when the stretch began; those that have not moved are left as they are. */
static void
read_block(SkuBlock *block, int64 number, uint64 *row)
{
	memset(block, 0, sizeof(SkuBlock));
	while (*row < SPI_processed && DatumGetInt64(value(*row, 1)) < number)
		(*row)++;
	if (*row < SPI_processed && DatumGetInt64(value(*row, 1)) == number)
		sku_month_unpack(DatumGetByteaPP(value(*row, 2)), block);
	sku_block_keep_stock(block);
}

/* write_months adds a portion, up to a moment, to the rows of the month. */
static void
write_months(const Portion *portion, int64 until, Datum month)
{
	SsSet	   *rows = sku_month_rows();
	uint64		row = 0;
	int			i = 0;

	read_blocks(portion, month);
	while (i < portion->n)
	{
		int64		number = block_of(&portion->moves[i]);
		SkuBlock	stands;
		SkuBlock	moved = {0};

		read_block(&stands, number, &row);
		while (i < portion->n && block_of(&portion->moves[i]) == number)
		{
			int64		sku_id = portion->moves[i].sku_id;
			int			slot = sku_slot(sku_id);

			for (; i < portion->n && portion->moves[i].sku_id == sku_id; i++)
				move(&stands.of[slot], &portion->moves[i]);
			go_on(&stands.of[slot], until);
			moved.of[slot] = stands.of[slot];
		}
		sku_month_add(rows, number, DatumGetDateADT(month), &moved);
	}
	sku_month_write(rows);
}

/* cut_portion is of the SKUs after one of that id as many blocks as the budget is enough for, one at least. */
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
		bool		is_next = end > low && block_of(&all->moves[end]) != block_of(&all->moves[end - 1]);

		if (is_next && budget < BLOCK_COST)
			break;
		budget -= is_next ? BLOCK_COST + 1 : 1;
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
		.since = whole_seconds(PG_GETARG_TIMESTAMPTZ(1)), .until = whole_seconds(PG_GETARG_TIMESTAMPTZ(2)), .whole = after > 0,
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
