/*
 * stock_gather.c
 *		Gathers the movements of a stretch of time from the ledger's partitions,
 *		some blocks a call, for stock_month.c.
 *
 * Rows are looked at one after the other, where they lie: no index knows their
 * time, and one that did would be paid for by each booking. What has been
 * gathered is kept in this process until the stretch has been written, so that
 * no transaction has to last for a whole partition; whoever loses it begins
 * the stretch anew. It may be kept, because nothing of the stretch is still
 * to be committed (recorded_through()) and rows of the ledger never change. It
 * is let go of when a transaction is rolled back, whose own rows may be among
 * it, and when a partition was written to another file.
 *
 * Locking: none of its own; the caller holds the row of roll_up_stock. Memory:
 * 40 bytes for each movement of a stretch, twice as many while it is cut short.
 */
#include "stock_gather.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows.h"
#include "sku_month.h"
#include "stock.h"

/* Blocks read between two looks at the budget, at most, and rows that one may have. */
#define CHUNK_BLOCKS	32
#define BLOCK_ROWS		64

/* A partition of the ledger that lies in the stretch. */
typedef struct Part
{
	Oid			relation;
	Oid			file;
	int64		from;			/* seconds */
	int64		to;
} Part;

typedef struct Gathering
{
	StockGathered base;
	MemoryContext context;
	StockStretch stretch;
	int			capacity;
	int			limit;			/* as many, and the stretch is cut short */
	int			nparts;
	Part	   *parts;
	int			part;			/* the one being read, and its next block */
	BlockNumber block;
	int			nplaces;		/* locations that sell */
	int32	   *sellable;
	int			nkinds;
	Oid			kind_oids[MOVE_TRANSFER + 1];
} Gathering;

static Gathering *kept = NULL;

void
stock_gather_drop(void)
{
	if (kept != NULL)
		MemoryContextDelete(kept->context);
	kept = NULL;
}

static void
at_transaction_end(XactEvent event, void *unused)
{
	if (event == XACT_EVENT_ABORT)
		stock_gather_drop();
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *unused)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		stock_gather_drop();
}

static Datum
value(uint64 row, int column)
{
	bool		isnull;
	Datum		datum = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? (Datum) 0 : datum;
}

/* ---------------------------------------------------------------- what is to be read */

static void
find_parts(Gathering *g)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		TimestampTzGetDatum(g->stretch.since * USECS_PER_SEC), TimestampTzGetDatum(g->stretch.until * USECS_PER_SEC)
	};

	ss_execute(&plan,
			   "SELECT c.oid, c.relfilenode, d.from_at, d.to_at "
			   "FROM storesync.partition_days('ledger') d JOIN pg_class c ON c.oid = format('storesync.%I', d.partition)::regclass "
			   "WHERE d.to_at > $1 AND d.from_at < $2 ORDER BY d.from_at",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	g->nparts = (int) SPI_processed;
	g->parts = MemoryContextAllocZero(g->context, Max(1, g->nparts) * sizeof(Part));
	for (int i = 0; i < g->nparts; i++)
	{
		g->parts[i].relation = DatumGetObjectId(value(i, 1));
		g->parts[i].file = DatumGetObjectId(value(i, 2));
		g->parts[i].from = whole_seconds(DatumGetTimestampTz(value(i, 3)));
		g->parts[i].to = whole_seconds(DatumGetTimestampTz(value(i, 4)));
	}
}

static void
find_places(Gathering *g)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr kind_plan = NULL;

	ss_execute(&plan, "SELECT c.location_id FROM storesync.location c WHERE c.sellable ORDER BY c.location_id",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	g->nplaces = (int) SPI_processed;
	g->sellable = MemoryContextAlloc(g->context, Max(1, g->nplaces) * sizeof(int32));
	for (int i = 0; i < g->nplaces; i++)
		g->sellable[i] = DatumGetInt32(value(i, 1));

	ss_execute(&kind_plan,
			   "SELECT e.oid FROM pg_enum e WHERE e.enumtypid = 'storesync.movement_kind'::regtype ORDER BY e.enumsortorder",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	g->nkinds = Min((int) SPI_processed, (int) lengthof(g->kind_oids));
	for (int i = 0; i < g->nkinds; i++)
		g->kind_oids[i] = DatumGetObjectId(value(i, 1));
}

static Gathering *
begin(const StockStretch *stretch)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "storesync movements", ALLOCSET_DEFAULT_SIZES);
	Gathering	   *g = MemoryContextAllocZero(context, sizeof(Gathering));

	g->context = context;
	g->stretch = *stretch;
	g->base.until = stretch->until;
	find_parts(g);
	find_places(g);
	return g;
}

/* goes_on says whether what is kept is of the same stretch, and everything is as it was when that began. */
static bool
goes_on(const Gathering *g)
{
	return kept != NULL && kept->stretch.since == g->stretch.since &&
		(kept->stretch.until == g->stretch.until || (kept->base.complete && kept->base.until == g->stretch.until)) &&
		kept->nplaces == g->nplaces && memcmp(kept->sellable, g->sellable, g->nplaces * sizeof(int32)) == 0 &&
		kept->nparts >= g->nparts && memcmp(kept->parts, g->parts, g->nparts * sizeof(Part)) == 0;
}

/* keep lets go of what was kept for another stretch. */
static void
keep(Gathering *g)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		registered = true;
	}
	stock_gather_drop();
	g->limit = g->stretch.whole ? INT_MAX : 2 * Max(1, g->stretch.most);
	g->capacity = Min(g->limit, 1024);
	g->base.moves = MemoryContextAlloc(g->context, g->capacity * sizeof(StockMovement));
	MemoryContextSetParent(g->context, TopMemoryContext);
	kept = g;
}

/* ---------------------------------------------------------------- reading */

static bool
is_sellable(const Gathering *g, int32 location)
{
	for (int i = 0; i < g->nplaces; i++)
		if (g->sellable[i] == location)
			return true;
	return false;
}

static char
kind_of(const Gathering *g, Oid kind)
{
	for (int i = 0; i < g->nkinds; i++)
		if (g->kind_oids[i] == kind)
			return (char) i;
	return MOVE_ADJUST;
}

static int
by_time(const StockMovement *a, const StockMovement *b)
{
	return (a->second > b->second) - (a->second < b->second);
}

static int
by_sku(const StockMovement *a, const StockMovement *b)
{
	return a->sku_id != b->sku_id ? (a->sku_id > b->sku_id) - (a->sku_id < b->sku_id) : by_time(a, b);
}

/* Comparisons are compiled in: called by address they were half of what a pass takes. */
#define ST_SORT sort_by_time
#define ST_ELEMENT_TYPE StockMovement
#define ST_COMPARE(a, b) by_time(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT sort_by_sku
#define ST_ELEMENT_TYPE StockMovement
#define ST_COMPARE(a, b) by_sku(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* cut_short ends the stretch with the second before that of the most'th movement, but not before its first one. */
static void
cut_short(Gathering *g)
{
	StockGathered *base = &g->base;
	int			left = g->stretch.most;

	sort_by_time(base->moves, base->n);
	while (left < base->n && base->moves[left].second == base->moves[0].second)
		left++;
	if (left >= base->n)
		return;
	base->until = base->moves[left].second;
	while (base->moves[left - 1].second == base->until)
		left--;
	base->n = left;
}

static void
make_room(Gathering *g)
{
	if (g->base.n >= g->limit)
	{
		cut_short(g);
		g->limit = 2 * Max(g->base.n, g->stretch.most);
	}
	if (g->base.n < g->capacity)
		return;
	g->capacity *= 2;
	g->base.moves = repalloc_huge(g->base.moves, g->capacity * sizeof(StockMovement));
}

/* The columns that are read, and where they are in a partition. */
static const char columns[] = "recorded_at, sku_id, location_id, on_hand_delta, reserved_delta, kind";

enum
{
	AT, SKU, PLACE, ON_HAND, RESERVED, KIND, NCOLUMNS
};

/* take takes a row, if it lies in the stretch. */
static void
take(Gathering *g, TupleTableSlot *slot, const AttrNumber *attnums, int64 *budget)
{
	Datum		column[NCOLUMNS];
	bool		isnull;
	int64		second = whole_seconds(DatumGetTimestampTz(slot_getattr(slot, attnums[AT], &isnull)));

	(*budget)--;
	g->base.older += second < g->stretch.since;
	if (second < g->stretch.since || second >= g->base.until)
		return;
	(*budget)--;
	make_room(g);
	if (second >= g->base.until)
		return;
	for (int i = SKU; i < NCOLUMNS; i++)
		column[i] = slot_getattr(slot, attnums[i], &isnull);
	g->base.moves[g->base.n++] = (StockMovement) {
		.sku_id = DatumGetInt64(column[SKU]), .second = second, .on_hand_delta = DatumGetInt64(column[ON_HAND]),
		.reserved_delta = DatumGetInt64(column[RESERVED]), .sells = is_sellable(g, DatumGetInt32(column[PLACE])),
		.kind = kind_of(g, DatumGetObjectId(column[KIND]))
	};
}

/* read_part reads on in the partition that is being read, and goes on to the next when it has come to its end. */
static void
read_part(Gathering *g, int64 *budget)
{
	AttrNumber	attnums[NCOLUMNS];
	Relation	relation = table_open(g->parts[g->part].relation, AccessShareLock);
	BlockNumber blocks = RelationGetNumberOfBlocks(relation);
	TupleTableSlot *slot = table_slot_create(relation, NULL);

	if (rows_columns(relation, columns, attnums) != NCOLUMNS)
		elog(ERROR, "columns of the ledger are missing");
	while (g->block < blocks && *budget > 0)
	{
		BlockNumber chunk = (BlockNumber) Min(CHUNK_BLOCKS, 1 + *budget / BLOCK_ROWS);
		BlockNumber last = Min(blocks - g->block, chunk) + g->block - 1;
		ItemPointerData from;
		ItemPointerData to;
		TableScanDesc scan;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&from, g->block, 0);
		ItemPointerSet(&to, last, MaxOffsetNumber);
		scan = table_beginscan_tidrange(relation, GetActiveSnapshot(), &from, &to);
		while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, slot))
			take(g, slot, attnums, budget);
		table_endscan(scan);
		(*budget)--;
		g->block = last + 1;
	}
	if (g->block >= blocks)
	{
		g->part++;
		g->block = 0;
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
}

const StockGathered *
stock_gather(const StockStretch *stretch, int64 *budget)
{
	Gathering	   *g = begin(stretch);

	if (goes_on(g))
	{
		MemoryContextDelete(g->context);
		g = kept;
	}
	else
		keep(g);
	while (!g->base.complete && *budget > 0)
	{
		if (g->part < g->nparts && g->parts[g->part].from < g->base.until)
		{
			read_part(g, budget);
			continue;
		}
		if (!g->stretch.whole && g->base.n > g->stretch.most)
			cut_short(g);
		sort_by_sku(g->base.moves, g->base.n);
		g->base.complete = true;
	}
	return &g->base;
}

int64
stock_gathered_behind(void)
{
	for (int i = 0; i < kept->nparts; i++)
	{
		const Part *part = &kept->parts[i];
		int64		n = part->from <= kept->stretch.since ? kept->base.older : 0;

		if (kept->base.until < part->from || kept->base.until >= part->to)
			continue;
		for (int j = 0; j < kept->base.n; j++)
			n += kept->base.moves[j].second >= part->from;
		return n;
	}
	return 0;
}
