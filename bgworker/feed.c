/*
 * feed.c
 *		The outbox, read by transaction snapshots.
 *
 * A look takes a snapshot and reads the rows that it shows and the last
 * look's did not: no row is missed however late its transaction commits, and
 * none is seen twice. Rows of transactions that ran during the last look are
 * found by their ids, rows of later ones by the range above them, so a
 * transaction that stays open for hours costs one index probe a look and not
 * the hours' rows. Ids of another incarnation are never compared.
 *
 * The cursor lives in this process. The table only tells the partitions'
 * owner how far this consumer is durably done; it is not read at start,
 * because a start compares all listings anyway.
 */
#include "feed.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "outbox.h"

#define STORE_EVERY_US	(10 * USECS_PER_SEC)

static Datum cursor = (Datum) 0;	/* pg_snapshot, in TopMemoryContext */
static bool moved = false;
static TimestampTz stored_at = 0;

static Datum
take_snapshot(void)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;
	Datum		snapshot;

	ss_execute(&plan, "SELECT pg_current_snapshot()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	snapshot = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return datumCopy(snapshot, false, -1);
}

static void
set_cursor(Datum snapshot)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (cursor != (Datum) 0)
		pfree(DatumGetPointer(cursor));
	cursor = datumCopy(snapshot, false, -1);
	MemoryContextSwitchTo(old);
}

void
feed_start(void)
{
	set_cursor(take_snapshot());
	moved = true;
	stored_at = 0;
}

static void
add_row(Feed *feed, HeapTuple row, TupleDesc desc)
{
	char	   *kind = SPI_getvalue(row, desc, 1);
	bool		isnull;
	Datum		values[2];

	values[0] = SPI_getbinval(row, desc, 2, &isnull);
	values[1] = SPI_getbinval(row, desc, 3, &isnull);
	if (strcmp(kind, "stock") == 0)
		set_add(feed->skus, values, NULL);
	else if (strcmp(kind, "listing") == 0)
		set_add(feed->listings, values, NULL);
	else if (strcmp(kind, "store") == 0)
		set_add(feed->stores, values, NULL);
	else if (strcmp(kind, "task") == 0)
		set_add(feed->tasks, values, NULL);
	else if (strcmp(kind, "order") == 0)
		feed->orders = true;
	else
		feed->everything = true;
}

void
feed_read(Feed *feed, MemoryContext context)
{
	static SPIPlanPtr plan = NULL;
	static const Oid pair[] = {INT8OID, TIMESTAMPTZOID};
	Oid			types[] = {PG_SNAPSHOTOID, PG_SNAPSHOTOID, INT4OID, INT4OID};
	Datum		values[4];
	Datum		now = take_snapshot();

	feed->skus = set_create_in(context, 2, pair);
	feed->listings = set_create_in(context, 2, pair);
	feed->stores = set_create_in(context, 2, pair);
	feed->tasks = set_create_in(context, 2, pair);
	feed->everything = false;
	feed->orders = false;

	values[0] = cursor;
	values[1] = now;
	values[2] = Int32GetDatum(incarnation_current());
	values[3] = Int32GetDatum(FEED_MAX + 1);
	ss_execute(&plan,
			   "SELECT x.kind, x.subject, min(x.at) FROM ("
			   "SELECT o.kind, o.subject, o.at, o.xid, o.incarnation FROM storesync.outbox o "
			   "WHERE o.xid >= pg_snapshot_xmax($1) AND o.xid < pg_snapshot_xmax($2) "
			   "UNION ALL "
			   "SELECT o.kind, o.subject, o.at, o.xid, o.incarnation FROM storesync.outbox o "
			   "WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1)))) x "
			   "WHERE pg_visible_in_snapshot(x.xid, $2) AND x.incarnation = $3 "
			   "AND x.kind IN ('stock', 'listing', 'store', 'platform', 'order', 'task') "
			   "GROUP BY x.kind, x.subject LIMIT $4",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	feed->everything = SPI_processed > FEED_MAX;
	for (uint64 i = 0; i < SPI_processed && !feed->everything; i++)
		add_row(feed, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	moved |= SPI_processed > 0;
	set_cursor(now);
}

TimestampTz
feed_store_due(void)
{
	return moved ? stored_at + STORE_EVERY_US : DT_NOEND;
}

void
feed_store(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, PG_SNAPSHOTOID};
	Datum		values[2];

	values[0] = Int32GetDatum(incarnation_current());
	values[1] = cursor;
	ss_execute(&plan,
			   "INSERT INTO storesync.consumer AS c (name, incarnation, snapshot, moved_at) "
			   "VALUES ('dispatch', $1, $2, clock_timestamp()) "
			   "ON CONFLICT (name) DO UPDATE SET incarnation = excluded.incarnation, "
			   "snapshot = excluded.snapshot, moved_at = excluded.moved_at",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
	moved = false;
	stored_at = GetCurrentTimestamp();
}
