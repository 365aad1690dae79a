/*
 * cache_feed.c
 *		What has changed since the last look: SKUs and listings by the outbox,
 *		orders by their history.
 *
 * The outbox is read as in feed.c, by the difference of two snapshots. The
 * cursor goes on when Redis has what was read, so what a failure lost is read
 * again. The row of storesync.consumer keeps partitions from going, for as
 * long as its `patience` lasts: whoever was away longer finds that out when
 * he moves it, and writes everything anew.
 *
 * Most changes of an order move stock, but not all, and an order has no row
 * in the outbox. Its history has a row for each change, by the time it was
 * booked, without an index on that: the newest partition is read from end to
 * end, and so often that it takes a two-hundredth of one processor. A row may
 * become visible after later ones. So each look goes back to the start of the
 * oldest transaction that wrote something and ran at the last one, a minute
 * at least, and leaves out what it has given out before.
 */
#include "cache_work.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "outbox.h"
#include "set.h"

#define STORE_EVERY_US	(10 * USECS_PER_SEC)
/* A cursor that does not move shows all the same that somebody is there. */
#define STORE_IDLE_US	(10 * USECS_PER_MINUTE)
#define PATIENCE		"6 hours"
#define ORDERS_MAX		2000

/* Where a look at orders begins: at the oldest transaction whose rows may be missing in this one. */
#define ORDERS_FROM \
	"SELECT least(clock_timestamp() - '1 minute'::interval, " \
	"(SELECT min(a.xact_start) FROM pg_stat_activity a WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL), " \
	"(SELECT min(p.prepared) - '1 hour'::interval FROM pg_prepared_xacts p WHERE p.database = current_database()))"

static Datum cursor = (Datum) 0;	/* pg_snapshot, in TopMemoryContext */
static Datum next_cursor = (Datum) 0;	/* of what was read and Redis has not yet */
static bool moved = false;
static TimestampTz stored_at = 0;

static TimestampTz orders_from = 0;
static TimestampTz next_orders_from = 0;	/* 0: there is more of the same */

/* A change of an order, as its history has it. */
typedef struct OrderChange
{
	int64		order_id;
	TimestampTz at;
} OrderChange;

static OrderChange *given = NULL;	/* since orders_from: first those that Redis has, then those just read; in TopMemoryContext */
static int	n_given = 0;
static int	n_giving = 0;
static int	given_room = 0;

/* keep replaces a snapshot that outlives the round. */
static void
keep(Datum *place, Datum snapshot)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (*place != (Datum) 0)
		pfree(DatumGetPointer(*place));
	*place = snapshot == (Datum) 0 ? snapshot : datumCopy(snapshot, false, -1);
	MemoryContextSwitchTo(old);
}

static Datum
first_value(void)
{
	bool		is_null;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
}

static Datum
take_snapshot(void)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan, "SELECT pg_current_snapshot()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	return datumCopy(first_value(), false, -1);
}

static TimestampTz
find_orders_from(void)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan, ORDERS_FROM, SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	return DatumGetTimestampTz(first_value());
}

void
cache_feed_start(void)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, PG_SNAPSHOTOID};
	Datum		snapshot = take_snapshot();
	Datum		values[] = {Int32GetDatum(incarnation_current()), snapshot};

	ss_execute(&plan,
			   "INSERT INTO storesync.consumer AS c (name, incarnation, snapshot, moved_at, patience) "
			   "VALUES ('cache', $1, $2, clock_timestamp(), '" PATIENCE "') "
			   "ON CONFLICT (name) DO UPDATE SET incarnation = excluded.incarnation, "
			   "snapshot = excluded.snapshot, moved_at = excluded.moved_at, patience = excluded.patience",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
	keep(&cursor, snapshot);
	keep(&next_cursor, (Datum) 0);
	moved = false;
	stored_at = GetCurrentTimestamp();
	orders_from = find_orders_from();
	next_orders_from = 0;
	n_given = n_giving = 0;
}

bool
cache_feed_read(CacheIds *skus, CacheIds *listings, bool *everything)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr bundle_plan = NULL;
	const Oid	types[] = {PG_SNAPSHOTOID, PG_SNAPSHOTOID, INT4OID, INT4OID};
	Datum		now = take_snapshot();
	Datum		values[] = {cursor, now, Int32GetDatum(incarnation_current()), Int32GetDatum(CACHE_FEED_MAX + 1)};
	int			n;

	ss_execute(&plan,
			   "SELECT x.kind::text, x.subject FROM ("
			   "SELECT o.kind, o.subject, o.xid, o.incarnation FROM storesync.outbox o "
			   "WHERE o.xid >= pg_snapshot_xmax($1) AND o.xid < pg_snapshot_xmax($2) "
			   "UNION ALL "
			   "SELECT o.kind, o.subject, o.xid, o.incarnation FROM storesync.outbox o "
			   "WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1)))) x "
			   "WHERE pg_visible_in_snapshot(x.xid, $2) AND x.incarnation = $3 "
			   "AND x.kind IN ('stock', 'listing', 'platform') "
			   "GROUP BY x.kind, x.subject LIMIT $4",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	keep(&next_cursor, now);
	n = (int) SPI_processed;
	MemoryContextSwitchTo(cache_round);
	moved |= n > 0;
	*everything = false;
	*skus = (CacheIds) {0, palloc((n + 1) * sizeof(int64))};
	*listings = (CacheIds) {0, palloc((n + 1) * sizeof(int64))};
	for (int i = 0; i < n; i++)
	{
		char	   *kind = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		bool		is_null;
		int64		subject = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));

		if (strcmp(kind, "stock") == 0)
			skus->ids[skus->n++] = subject;
		else if (strcmp(kind, "listing") == 0)
			listings->ids[listings->n++] = subject;
		else
			*everything = true;
	}
	if (n > CACHE_FEED_MAX)
		return false;
	if (skus->n == 0)
		return true;
	/* bundles are made of others, and their stock is theirs */
	ss_execute_ids(&bundle_plan,
				   "SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = ANY ($1) "
				   "UNION SELECT s FROM unnest($1) s",
				   SPI_OK_SELECT, skus->n, skus->ids);
	*skus = cache_ids();
	return true;
}

void
cache_feed_seen(void)
{
	if (next_cursor == (Datum) 0)
		return;
	keep(&cursor, next_cursor);
	keep(&next_cursor, (Datum) 0);
}

TimestampTz
cache_feed_store_due(void)
{
	return stored_at + (moved ? STORE_EVERY_US : STORE_IDLE_US);
}

bool
cache_feed_store(void)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, PG_SNAPSHOTOID};
	Datum		values[] = {Int32GetDatum(incarnation_current()), cursor};

	ss_execute(&plan,
			   "UPDATE storesync.consumer c SET snapshot = $2, moved_at = clock_timestamp() "
			   "WHERE c.name = 'cache' AND c.incarnation = $1 AND c.moved_at > clock_timestamp() - c.patience",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
	moved = false;
	stored_at = GetCurrentTimestamp();
	return SPI_processed == 1;
}

/* given_arrays makes the two columns of what was given out. */
static void
given_arrays(Datum *ids, Datum *times)
{
	Datum	   *id = palloc((n_given + 1) * sizeof(Datum));
	Datum	   *at = palloc((n_given + 1) * sizeof(Datum));

	for (int i = 0; i < n_given; i++)
	{
		id[i] = Int64GetDatum(given[i].order_id);
		at[i] = TimestampTzGetDatum(given[i].at);
	}
	*ids = PointerGetDatum(construct_array(id, n_given, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	*times = PointerGetDatum(construct_array(at, n_given, TIMESTAMPTZOID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* make_room has room for n more in the list. */
static void
make_room(int n)
{
	if (n_given + n <= given_room)
		return;
	given_room = 2 * (n_given + n);
	given = given == NULL ? MemoryContextAllocHuge(TopMemoryContext, given_room * sizeof(OrderChange))
		: repalloc_huge(given, given_room * sizeof(OrderChange));
}

CacheIds
cache_orders_read(bool *more)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT4OID};
	TimestampTz from = find_orders_from();
	Datum		values[] = {TimestampTzGetDatum(orders_from), (Datum) 0, (Datum) 0, Int32GetDatum(ORDERS_MAX)};
	CacheIds	found;

	given_arrays(&values[1], &values[2]);
	ss_execute(&plan,
			   "SELECT h.order_id, h.recorded_at FROM storesync.order_history h "
			   "WHERE h.recorded_at >= $1 AND NOT EXISTS (SELECT FROM unnest($2, $3) AS g (order_id, at) "
			   "WHERE g.order_id = h.order_id AND g.at = h.recorded_at) "
			   "GROUP BY 1, 2 LIMIT $4",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	*more = SPI_processed == ORDERS_MAX;
	next_orders_from = *more ? 0 : from;
	MemoryContextSwitchTo(cache_round);
	found = (CacheIds) {(int) SPI_processed, palloc((SPI_processed + 1) * sizeof(int64))};
	make_room(found.n);
	for (int i = 0; i < found.n; i++)
	{
		bool		is_null;

		found.ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null));
		given[n_given + i].order_id = found.ids[i];
		given[n_given + i].at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &is_null));
	}
	n_giving = found.n;
	return found;
}

void
cache_orders_seen(void)
{
	int			kept = 0;

	n_given += n_giving;
	n_giving = 0;
	if (next_orders_from == 0)
		return;
	/* never back: what lies before is given out for good */
	orders_from = Max(orders_from, next_orders_from);
	for (int i = 0; i < n_given; i++)
		if (given[i].at >= orders_from)
			given[kept++] = given[i];
	n_given = kept;
}
