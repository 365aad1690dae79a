/*
 * cache_stat.c
 *		What shared memory knows of this database's cache worker, as a row.
 */
#include "storesync.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "shmem.h"

#define FIXED_COLUMNS	4

PG_FUNCTION_INFO_V1(cache_stats);

static const char *const states[] = {
	[CACHE_NONE] = "starting", [CACHE_OLD_SQL] = "old sql", [CACHE_UNCONFIRMED] = "unconfirmed", [CACHE_AWAY] = "away",
	[CACHE_FILLING] = "filling", [CACHE_FOLLOWING] = "following", [CACHE_FULL] = "full"
};

/* cache_stats(OUT pid int, OUT state text, OUT since timestamptz, OUT heartbeat timestamptz, OUT counters...) */
Datum
cache_stats(PG_FUNCTION_ARGS)
{
	SsDatabase *slot = shmem_database(MyDatabaseId, false);
	Datum		values[FIXED_COLUMNS + CACHE_COUNTERS];
	bool		nulls[FIXED_COLUMNS + CACHE_COUNTERS];
	TupleDesc	desc;
	uint64		since;
	uint64		heartbeat;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(values, 0, sizeof(values));
	memset(nulls, true, sizeof(nulls));
	if (slot != NULL && slot->followers[SS_FOLLOWER_CACHE].pid != 0)
	{
		memset(nulls, false, sizeof(nulls));
		since = pg_atomic_read_u64(&slot->cache.since);
		heartbeat = pg_atomic_read_u64(&slot->cache.heartbeat);
		values[0] = Int32GetDatum(slot->followers[SS_FOLLOWER_CACHE].pid);
		values[1] = CStringGetTextDatum(states[Min(pg_atomic_read_u32(&slot->cache.state), CACHE_FULL)]);
		values[2] = TimestampTzGetDatum((TimestampTz) since);
		nulls[2] = since == 0;
		values[3] = TimestampTzGetDatum((TimestampTz) heartbeat);
		nulls[3] = heartbeat == 0;
		for (int i = 0; i < CACHE_COUNTERS; i++)
			values[FIXED_COLUMNS + i] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->cache.counters[i]));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
