/*
 * store_stat.c
 *		Statistics of stores in shared memory, and the functions that read
 *		them; store_stat.h has the rules. Without preloading there are none.
 */
#include "storesync.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#include "compat.h"
#include "store_stat.h"

#define TRANCHE			"storesync_store_stat"
/* Columns of store_stats(): store, cause, its text, since, until, then gauges and counters. */
#define FIXED_COLUMNS	5
#define STAT_COLUMNS	(FIXED_COLUMNS + (int) STORE_GAUGES + (int) STORE_COUNTERS)

static HTAB *entries = NULL;
static LWLock *lock = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

PG_FUNCTION_INFO_V1(store_stats);
PG_FUNCTION_INFO_V1(store_latency);

const char *
trouble_text(StoreTrouble trouble)
{
	switch (trouble)
	{
		case TROUBLE_NONE:
			return "works again";
		case TROUBLE_AUTH:
			return "waits: the platform refuses its credential";
		case TROUBLE_ACCESS:
			return "waits: its requests cannot be built";
		case TROUBLE_QUOTA:
			return "waits: the day's calls are used up";
		case TROUBLE_GUARD:
			return "waits: this instance is not confirmed for its platform";
		case TROUBLE_ROOM:
			return "waits: shared memory has no room for its call budget (storesync.max_stores)";
		case TROUBLE_HOST:
			return "waits: its platform cannot be reached";
		case TROUBLE_APPLICATION:
			return "waits: the platform refuses its application's credential";
	}
	return "";
}

static const char *
phase_name(StorePhase phase)
{
	static const char *const names[PHASES] = {"lookup", "connect", "tls", "answer", "call", "converged"};

	return names[phase];
}

static void
request_memory(void)
{
	SS_PREVIOUS_REQUEST(previous_request);
	RequestAddinShmemSpace(hash_estimate_size(ss_max_stores, sizeof(StoreStat)));
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
create_table(void)
{
	HASHCTL		info = {0};

	if (previous_startup != NULL)
		previous_startup();
	info.keysize = sizeof(StoreStatKey);
	info.entrysize = sizeof(StoreStat);
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	lock = &(GetNamedLWLockTranche(TRANCHE))->lock;
	entries = ShmemInitHash("storesync store statistics", ss_max_stores, ss_max_stores,
							&info, HASH_ELEM | HASH_BLOBS);
	LWLockRelease(AddinShmemInitLock);
}

void
store_stat_init(void)
{
	SS_REQUEST_SHMEM(previous_request, request_memory);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = create_table;
}

static void
init_entry(StoreStat *stat)
{
	for (int i = 0; i < STORE_COUNTERS; i++)
		pg_atomic_init_u64(&stat->counters[i], 0);
	for (int i = 0; i < PHASES; i++)
		for (int j = 0; j < STORE_BUCKETS; j++)
			pg_atomic_init_u64(&stat->buckets[i][j], 0);
	pg_atomic_init_u32(&stat->trouble, TROUBLE_NONE);
	pg_atomic_init_u64(&stat->since, 0);
	pg_atomic_init_u64(&stat->until, 0);
	for (int i = 0; i < STORE_GAUGES; i++)
		pg_atomic_init_u64(&stat->gauges[i], 0);
}

StoreStat *
store_stat_attach(int32 store_id)
{
	static StoreStat nowhere;
	StoreStatKey key = {MyDatabaseId, store_id};
	StoreStat  *stat = NULL;
	bool		found = false;

	if (entries != NULL)
	{
		LWLockAcquire(lock, LW_EXCLUSIVE);
		stat = hash_search(entries, &key, HASH_ENTER_NULL, &found);
		if (stat != NULL && !found)
			init_entry(stat);
		LWLockRelease(lock);
	}
	if (stat == NULL)
	{
		init_entry(&nowhere);
		return &nowhere;
	}
	store_stat_trouble(stat, TROUBLE_NONE, 0, 0);
	for (int i = 0; i < STORE_GAUGES; i++)
		pg_atomic_write_u64(&stat->gauges[i], 0);
	return stat;
}

void
store_stat_count(StoreStat *stat, StoreCounter counter, int64 n)
{
	pg_atomic_fetch_add_u64(&stat->counters[counter], n);
}

void
store_stat_time(StoreStat *stat, StorePhase phase, int64 us)
{
	int			bucket = 0;

	while (bucket < STORE_BUCKETS - 1 && us > (INT64CONST(1000) << bucket))
		bucket++;
	pg_atomic_fetch_add_u64(&stat->buckets[phase][bucket], 1);
}

void
store_stat_trouble(StoreStat *stat, StoreTrouble trouble, TimestampTz since, TimestampTz until)
{
	pg_atomic_write_u32(&stat->trouble, trouble);
	pg_atomic_write_u64(&stat->since, (uint64) since);
	pg_atomic_write_u64(&stat->until, (uint64) until);
}

/* ---------------------------------------------------------------- looking */

/* By StoreTrouble. */
static const char *const causes[] = {"", "credential", "request", "quota", "instance", "room", "host", "credential"};

static void
put_stat(ReturnSetInfo *result, StoreStat *stat)
{
	Datum		values[STAT_COLUMNS];
	bool		nulls[STAT_COLUMNS] = {false};
	StoreTrouble trouble = pg_atomic_read_u32(&stat->trouble);

	values[0] = Int32GetDatum(stat->key.store_id);
	values[1] = CStringGetTextDatum(causes[trouble]);
	values[2] = CStringGetTextDatum(trouble_text(trouble));
	values[3] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&stat->since));
	values[4] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&stat->until));
	for (int i = 1; i < FIXED_COLUMNS; i++)
		nulls[i] = trouble == TROUBLE_NONE;
	for (int i = 0; i < STORE_GAUGES; i++)
		values[FIXED_COLUMNS + i] = Int64GetDatum((int64) pg_atomic_read_u64(&stat->gauges[i]));
	for (int i = 0; i < STORE_COUNTERS; i++)
		values[FIXED_COLUMNS + STORE_GAUGES + i] = Int64GetDatum((int64) pg_atomic_read_u64(&stat->counters[i]));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_latency(ReturnSetInfo *result, StoreStat *stat)
{
	for (int phase = 0; phase < PHASES; phase++)
	{
		int64		sum = 0;

		for (int i = 0; i < STORE_BUCKETS; i++)
		{
			int64		n = (int64) pg_atomic_read_u64(&stat->buckets[phase][i]);
			Datum		values[4];
			bool		nulls[4] = {false};

			if (n == 0)
				continue;
			sum += n;
			values[0] = Int32GetDatum(stat->key.store_id);
			values[1] = CStringGetTextDatum(phase_name(phase));
			values[2] = Int64GetDatum(INT64CONST(1) << i);
			nulls[2] = i == STORE_BUCKETS - 1;
			values[3] = Int64GetDatum(sum);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
}

/* put_all hands every entry of this database to `put`, outside the lock: entries are never taken away. */
static void
put_all(ReturnSetInfo *result, void (*put) (ReturnSetInfo *result, StoreStat *stat))
{
	StoreStat **found;
	StoreStat  *stat;
	HASH_SEQ_STATUS scan;
	int			n = 0;

	if (entries == NULL)
		return;
	found = palloc(ss_max_stores * sizeof(StoreStat *));
	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&scan, entries);
	while ((stat = hash_seq_search(&scan)) != NULL)
		if (stat->key.database == MyDatabaseId && n < ss_max_stores)
			found[n++] = stat;
	LWLockRelease(lock);
	for (int i = 0; i < n; i++)
		put(result, found[i]);
}

/*
 * store_stats() RETURNS SETOF record: the order of the columns is that of the enums
 */
Datum
store_stats(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_all((ReturnSetInfo *) fcinfo->resultinfo, put_stat);
	return (Datum) 0;
}

/*
 * store_latency() RETURNS SETOF record: (store, phase, bound in ms, calls within it), buckets that are not empty
 */
Datum
store_latency(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	put_all((ReturnSetInfo *) fcinfo->resultinfo, put_latency);
	return (Datum) 0;
}
