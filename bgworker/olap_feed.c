/*
 * olap_feed.c
 *		What has changed since the last look: history of orders, ledger and
 *		call log by the time at which a row was recorded.
 *
 * Rows become visible when their transactions commit, in another order than
 * they were recorded in. So each look begins at the horizon of the last one:
 * whatever that one did not see was recorded later. What was given out since
 * the horizon is remembered by the place of the row, which never changes in
 * these tables, and not given out again. Nothing there has an index by time:
 * the newest partitions are read from end to end, and so seldom that it takes
 * two hundredths of one processor (olap_main.c).
 *
 * When that is too much, after days without ClickHouse or behind a
 * transaction that stays open for hours, the looks begin anew, and a filling
 * (olap_fill.c) brings what lies between.
 */
#include "olap_work.h"

#include "catalog/pg_type.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/portal.h"

/* A look goes back no further; what lies before is a filling's. */
#define FEED_BACK_US	USECS_PER_HOUR
/* Rows that are remembered, about 10 MB. */
#define FEED_GIVEN_MAX	200000
/* Rows fetched at once. */
#define FEED_FETCH		200
/* The columns of a source that stay here: partition, place, time. */
#define FIXED_COLUMNS	3

/* The place of a row; no padding, it is compared as bytes. */
typedef struct RowKey
{
	uint32		partition;
	uint32		block;
	uint32		offset;
} RowKey;

typedef struct Given
{
	RowKey		key;
	TimestampTz at;
} Given;

/* What one look does. */
typedef struct Look
{
	OlapBatch  *batch;
	bool		full;
	int64		scan_us;		/* that looking itself took, without what was found */
	int64		ids[FEED_FETCH];	/* of orders, of one fetch */
	int			n_ids;
} Look;

static HTAB *given = NULL;		/* that ClickHouse has, since olap_place.through */
static Given *giving = NULL;	/* just read, in olap_round */
static int	n_giving = 0;
static int	giving_room = 0;
static TimestampTz gap_end = DT_NOEND;	/* end of what is left to the next filling; DT_NOEND: not known yet */
static TimestampTz seen_horizon = DT_NOBEGIN;	/* of the last look */
static TimestampTz last_clock = 0;	/* at the last look */
static TimestampTz next_through = 0;	/* 0: there is more of the same */
static Datum next_snapshot = (Datum) 0; /* in olap_round */
static Datum snapshot = (Datum) 0;	/* in TopMemoryContext */

static const char *const statements[] = {
	[SOURCE_HISTORY] = "SELECT * FROM storesync.olap_history WHERE recorded_at >= $1",
	[SOURCE_LEDGER] = "SELECT * FROM storesync.olap_ledger WHERE recorded_at >= $1",
	[SOURCE_CALL] = "SELECT * FROM storesync.olap_call WHERE recorded_at >= $1"
};

static void
forget_all(void)
{
	HASHCTL		control = {.keysize = sizeof(RowKey), .entrysize = sizeof(Given), .hcxt = TopMemoryContext};

	if (given != NULL)
		hash_destroy(given);
	given = hash_create("rows given to ClickHouse", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * begin_anew leaves what lies before a moment to a filling. Transactions that
 * are open may still bring something recorded before it, so the filling begins
 * when they have ended.
 */
static void
begin_anew(TimestampTz from)
{
	olap_place.again_from = Min(olap_place.again_from, olap_place.through);
	olap_place.through = from;
	gap_end = from;
	forget_all();
}

/* is_given tells whether a row was given out before; of one that was not it notes the place. */
static bool
is_given(HeapTuple row, TupleDesc desc)
{
	bool		is_null;
	ItemPointer place = (ItemPointer) DatumGetPointer(SPI_getbinval(row, desc, 2, &is_null));
	Given		entry = {0};
	const Given *known;

	entry.key.partition = DatumGetObjectId(SPI_getbinval(row, desc, 1, &is_null));
	entry.key.block = ItemPointerGetBlockNumber(place);
	entry.key.offset = ItemPointerGetOffsetNumber(place);
	entry.at = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &is_null));
	known = hash_search(given, &entry.key, HASH_FIND, NULL);
	/* after VACUUM FULL another row may lie there */
	if (known != NULL && known->at == entry.at)
		return true;
	if (n_giving == giving_room)
	{
		giving_room = Max(1024, 2 * giving_room);
		giving = giving == NULL ? MemoryContextAllocHuge(olap_round, giving_room * sizeof(Given))
			: repalloc_huge(giving, giving_room * sizeof(Given));
	}
	giving[n_giving++] = entry;
	return false;
}

/* take_row puts a row that is new into the batch, of an order its id into the list. */
static void
take_row(Look *look, OlapSource source, HeapTuple row, TupleDesc desc)
{
	bool		is_null;

	if (is_given(row, desc))
		return;
	if (source == SOURCE_HISTORY)
		look->ids[look->n_ids++] = DatumGetInt64(SPI_getbinval(row, desc, FIXED_COLUMNS + 1, &is_null));
	else
		olap_batch_row(look->batch, source == SOURCE_LEDGER ? OLAP_LEDGER : OLAP_CALL, row, desc, FIXED_COLUMNS);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* take_orders puts the orders of a fetch into the batch, each once. All of them: their rows count as given. */
static void
take_orders(Look *look)
{
	int			kept = 0;

	qsort(look->ids, look->n_ids, sizeof(int64), compare_ids);
	for (int i = 0; i < look->n_ids; i++)
		if (kept == 0 || look->ids[kept - 1] != look->ids[i])
			look->ids[kept++] = look->ids[i];
	for (int done = 0; done < kept;)
	{
		look->batch->bytes = 0;
		done += olap_read_orders(look->batch, kept - done, look->ids + done);
	}
	look->n_ids = 0;
}

/* read_source reads what is new of a source, as far as the batch has room. */
static void
read_source(Look *look, OlapSource source)
{
	static SPIPlanPtr plans[SOURCES];
	const Oid	types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(olap_place.through)};
	Portal		portal;
	uint64		n;

	if (plans[source] == NULL)
	{
		plans[source] = SPI_prepare(statements[source], 1, (Oid *) types);
		if (plans[source] == NULL || SPI_keepplan(plans[source]) != 0)
			elog(ERROR, "could not prepare a statement");
	}
	portal = SPI_cursor_open(NULL, plans[source], values, NULL, false);
	do
	{
		SPITupleTable *found;
		TimestampTz began = GetCurrentTimestamp();

		SPI_cursor_fetch(portal, true, FEED_FETCH);
		look->scan_us += GetCurrentTimestamp() - began;
		found = SPI_tuptable;
		n = SPI_processed;
		for (uint64 i = 0; i < n; i++)
			take_row(look, source, found->vals[i], found->tupdesc);
		SPI_freetuptable(found);
		if (look->n_ids > 0)
			take_orders(look);
		for (int i = 0; i < OLAP_TABLES; i++)
			look->full |= look->batch->rows[i].len >= OLAP_BATCH_BYTES;
	} while (n > 0 && !look->full);
	SPI_cursor_close(portal);
}

bool
olap_feed_read(OlapBatch *batch, int64 *scan_us)
{
	Look	   *look = MemoryContextAllocZero(olap_round, sizeof(Look));
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz horizon = olap_horizon();

	/* what is recorded after the clock was set back bears a time that was looked at before */
	if (now < last_clock)
		olap_place.through = Min(olap_place.through, now - USECS_PER_MINUTE);
	last_clock = now;
	if (given == NULL)
	{
		forget_all();
		gap_end = Max(horizon, olap_place.through);
	}
	if (olap_place.through < horizon - FEED_BACK_US)
		begin_anew(horizon);
	look->batch = batch;
	giving = NULL;
	n_giving = giving_room = 0;
	next_snapshot = olap_snapshot();
	for (int i = 0; i < SOURCES && !look->full; i++)
		read_source(look, i);
	next_through = look->full ? 0 : horizon;
	*scan_us = look->scan_us;
	return look->full;
}

/* prune forgets rows that no look meets any more. */
static void
prune(void)
{
	HASH_SEQ_STATUS status;
	Given	   *entry;

	hash_seq_init(&status, given);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->at < olap_place.through)
			(void) hash_search(given, &entry->key, HASH_REMOVE, NULL);
}

static void
keep_snapshot(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (snapshot != (Datum) 0)
		pfree(DatumGetPointer(snapshot));
	snapshot = datumCopy(next_snapshot, false, -1);
	MemoryContextSwitchTo(old);
}

void
olap_feed_seen(void)
{
	for (int i = 0; i < n_giving; i++)
	{
		Given	   *entry = hash_search(given, &giving[i].key, HASH_ENTER, NULL);

		entry->at = giving[i].at;
	}
	n_giving = 0;
	if (next_through != 0)
	{
		/* never back: what lies before is given out for good */
		if (next_through > olap_place.through)
		{
			olap_place.through = next_through;
			prune();
		}
		seen_horizon = next_through;
		keep_snapshot();
	}
	if (hash_get_num_entries(given) <= FEED_GIVEN_MAX)
		return;
	begin_anew(GetCurrentTimestamp() - USECS_PER_MINUTE);
}

Datum
olap_feed_snapshot(void)
{
	return snapshot;
}

bool
olap_feed_may_fill(void)
{
	return seen_horizon >= gap_end;
}
