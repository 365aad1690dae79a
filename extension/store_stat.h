/*
 * store_stat.h
 *		What the dispatchers tell of each store, in shared memory: why it
 *		waits, what is queued for it, how its calls went and how long they took.
 *
 * An entry belongs to (database, store) and lives until the server stops.
 * There is room for storesync.max_stores. One LWLock guards the table of
 * entries; all fields are atomic, written by the database's dispatcher alone
 * and read without the lock. Counters start at 0 with the server.
 */
#ifndef STORESYNC_STORE_STAT_H
#define STORESYNC_STORE_STAT_H

#include "storesync.h"

#include "port/atomics.h"

/* Why a store makes no calls. */
typedef enum StoreTrouble
{
	TROUBLE_NONE,
	TROUBLE_AUTH,				/* the platform refused the credential */
	TROUBLE_ACCESS,				/* no request can be built: a credential is missing */
	TROUBLE_QUOTA,				/* the day's calls are used up */
	TROUBLE_GUARD,				/* this instance may not send (storesync.instance_name) */
	TROUBLE_ROOM,				/* shared memory has no room for its call budget */
	TROUBLE_HOST,				/* its platform's host is away */
	TROUBLE_APPLICATION			/* the platform refused the credential of its application */
} StoreTrouble;

/* In the words of the log and of health(): "waits: ..."; "works again" for TROUBLE_NONE. */
extern PGDLLEXPORT const char *trouble_text(StoreTrouble trouble);

typedef enum StoreGauge
{
	STORE_LOWER,				/* listings ready to be lowered */
	STORE_RAISE,				/* ready to be raised */
	STORE_FETCHING,				/* raises that wait for orders */
	STORE_IN_FLIGHT,			/* calls under way */
	STORE_POLL_MS,				/* from one fetch of its orders to the next, milliseconds; 0: none is made */
	STORE_GAUGES
} StoreGauge;

typedef enum StoreCounter
{
	STORE_CALLS_OK,
	STORE_CALLS_FAILED,
	STORE_CALLS_THROTTLED,
	STORE_ACKED,				/* listings acknowledged */
	STORE_COUNTERS
} StoreCounter;

/* Durations that are counted. */
typedef enum StorePhase
{
	PHASE_LOOKUP,				/* of the name; none on a kept connection, like the next two */
	PHASE_CONNECT,
	PHASE_TLS,
	PHASE_ANSWER,				/* from the connection to the first byte of the answer */
	PHASE_CALL,					/* the whole call */
	PHASE_CONVERGED,			/* from the commit of a change to its acknowledgement */
	PHASES
} StorePhase;

/* Bucket i holds durations of at most 2^i ms, the last one the rest. */
#define STORE_BUCKETS	20

typedef struct StoreStatKey
{
	Oid			database;
	int32		store_id;
} StoreStatKey;

typedef struct StoreStat
{
	StoreStatKey key;			/* hash key, must be first */
	pg_atomic_uint32 trouble;	/* StoreTrouble */
	pg_atomic_uint64 since;		/* TimestampTz of its beginning */
	pg_atomic_uint64 until;		/* no call before */
	pg_atomic_uint64 gauges[STORE_GAUGES];
	pg_atomic_uint64 counters[STORE_COUNTERS];
	pg_atomic_uint64 buckets[PHASES][STORE_BUCKETS];
} StoreStat;

extern void store_stat_init(void);	/* from _PG_init, when preloaded */

/*
 * The entry of a store of this database, made when it is new, with gauges and
 * trouble cleared; an unshared one when there is no room. Raises nothing.
 */
extern PGDLLEXPORT StoreStat *store_stat_attach(int32 store_id);

extern PGDLLEXPORT void store_stat_count(StoreStat *stat, StoreCounter counter, int64 n);
extern PGDLLEXPORT void store_stat_time(StoreStat *stat, StorePhase phase, int64 us);
extern PGDLLEXPORT void store_stat_trouble(StoreStat *stat, StoreTrouble trouble, TimestampTz since, TimestampTz until);

#endif
