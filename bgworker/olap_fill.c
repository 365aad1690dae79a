/*
 * olap_fill.c
 *		Writing what was there before, page by page: two years when ClickHouse
 *		is new, or what the looks (olap_feed.c) left out.
 *
 * It holds no more than a place in storesync.olap_state: the phase, the
 * partition and the block in it, or an order_id, and goes on there after a
 * restart. A page is a number of blocks of one partition, read by the places
 * of rows, so it needs no index and costs the same at any place. Rows of
 * history, ledger and call log never move. What comes meanwhile the looks
 * bring; which of the two writes an order last does not matter, since both
 * write what it is when they read.
 */
#include "olap_work.h"

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"

#include "set.h"

/* Blocks of a page; of history fewer, since a row there stands for an order with its lines. */
#define PAGE_BLOCKS		64
#define HISTORY_BLOCKS	8
#define PAGE_ORDERS		1000
#define FIXED_COLUMNS	3
#define BLOCK_LAST		((int64) MaxBlockNumber)

/* A source of a filling. */
typedef struct Walk
{
	const char *parent;
	OlapTable	table;
	int			blocks;
	const char *statement;
} Walk;

#define PAGE " WHERE recorded_at >= $1 AND recorded_at < $2 AND place >= $3 AND place < $4"

static const Walk walks[] = {
	[FILL_HISTORY] = {"order_history", OLAP_ORDER, HISTORY_BLOCKS, "SELECT DISTINCT order_id FROM storesync.olap_history" PAGE " ORDER BY 1"},
	[FILL_LEDGER] = {"ledger", OLAP_LEDGER, PAGE_BLOCKS, "SELECT * FROM storesync.olap_ledger" PAGE},
	[FILL_CALL] = {"call_log", OLAP_CALL, PAGE_BLOCKS, "SELECT * FROM storesync.olap_call" PAGE}
};

/* Where the next page begins, once ClickHouse has this one. */
static OlapFill next_fill = FILL_NONE;
static NameData next_partition;
static int64 next_place = 0;

void
olap_fill_begin(TimestampTz from)
{
	olap_place.fill = from == DT_NOBEGIN ? FILL_ORDER : FILL_HISTORY;
	olap_place.fill_from = from;
	memset(&olap_place.fill_partition, 0, sizeof(NameData));
	olap_place.fill_place = 0;
}

/* next_phase goes on to what follows this phase. */
static void
next_phase(void)
{
	switch (olap_place.fill)
	{
		case FILL_ORDER:
		case FILL_HISTORY:
			next_fill = FILL_LEDGER;
			break;
		case FILL_LEDGER:
			next_fill = FILL_CALL;
			break;
		default:
			next_fill = FILL_NONE;
	}
	memset(&next_partition, 0, sizeof(NameData));
	next_place = 0;
}

/* read_all_orders reads a page of all orders. */
static void
read_all_orders(OlapBatch *batch)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(olap_place.fill_place), Int32GetDatum(PAGE_ORDERS)};
	int64	   *ids;
	int			n;
	int			done;

	ss_execute(&plan, "SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id > $1 ORDER BY 1 LIMIT $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	MemoryContextSwitchTo(olap_round);
	ids = ss_read_ids(&n);
	if (n == 0)
	{
		next_phase();
		return;
	}
	done = olap_read_orders(batch, n, ids);
	next_place = ids[done - 1];
}

/* find_partition finds the one that the place is in, or the next one: its bounds and its size in blocks. False: there is none. */
static bool
find_partition(const Walk *walk, Datum *from, Datum *to, int64 *blocks)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TIMESTAMPTZOID, NAMEOID, INT8OID};
	Datum		values[] = {
		CStringGetTextDatum(walk->parent), TimestampTzGetDatum(olap_place.fill_from),
		NameGetDatum(&olap_place.fill_partition), Int64GetDatum(olap_place.fill_place)
	};
	HeapTuple	row;
	TupleDesc	desc;
	bool		is_null;

	/* names have the date at their end, so they are in the order of time */
	ss_execute(&plan,
			   "SELECT p.partition, greatest(p.from_at, $2), p.to_at, x.blocks FROM storesync.partition_days($1::name) p "
			   "CROSS JOIN LATERAL (SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks "
			   "FROM pg_class c WHERE c.relname = p.partition AND c.relnamespace = 'storesync'::regnamespace) x "
			   "WHERE p.to_at > $2 AND x.blocks > 0 AND (p.partition > $3 OR (p.partition = $3 AND x.blocks > $4)) "
			   "ORDER BY p.partition LIMIT 1",
			   SPI_OK_SELECT, 4, types, values, NULL, 1);
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	next_partition = *DatumGetName(SPI_getbinval(row, desc, 1, &is_null));
	*from = SPI_getbinval(row, desc, 2, &is_null);
	*to = SPI_getbinval(row, desc, 3, &is_null);
	*blocks = DatumGetInt64(SPI_getbinval(row, desc, 4, &is_null));
	return true;
}

static Datum
block_start(int64 block)
{
	ItemPointer place = palloc(sizeof(ItemPointerData));

	ItemPointerSet(place, (BlockNumber) Min(block, BLOCK_LAST), 0);
	return PointerGetDatum(place);
}

/* take_page puts what was found into the batch. Of orders all, however many they are. */
static void
take_page(OlapBatch *batch, const Walk *walk)
{
	SPITupleTable *found = SPI_tuptable;

	if (walk->table == OLAP_ORDER)
	{
		int			n;
		int64	   *ids;

		MemoryContextSwitchTo(olap_round);
		ids = ss_read_ids(&n);
		for (int done = 0; done < n;)
		{
			batch->bytes = 0;
			done += olap_read_orders(batch, n - done, ids + done);
		}
		return;
	}
	for (uint64 i = 0; i < SPI_processed; i++)
		olap_batch_row(batch, walk->table, found->vals[i], found->tupdesc, FIXED_COLUMNS);
	SPI_freetuptable(found);
}

void
olap_fill_read(OlapBatch *batch)
{
	static SPIPlanPtr plans[lengthof(walks)];
	const Oid	types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIDOID, TIDOID};
	const Walk *walk = &walks[olap_place.fill];
	Datum		values[4];
	int64		place;
	int64		blocks;

	next_fill = olap_place.fill;
	next_partition = olap_place.fill_partition;
	if (olap_place.fill == FILL_ORDER)
	{
		read_all_orders(batch);
		return;
	}
	if (!find_partition(walk, &values[0], &values[1], &blocks))
	{
		next_phase();
		return;
	}
	place = strcmp(NameStr(next_partition), NameStr(olap_place.fill_partition)) == 0 ? olap_place.fill_place : 0;
	next_place = Min(place + walk->blocks, blocks);
	values[2] = block_start(place);
	values[3] = block_start(next_place);
	ss_execute(&plans[olap_place.fill], walk->statement, SPI_OK_SELECT, 4, types, values, NULL, 0);
	take_page(batch, walk);
}

void
olap_fill_seen(void)
{
	olap_place.fill = next_fill;
	olap_place.fill_partition = next_partition;
	olap_place.fill_place = next_place;
}
