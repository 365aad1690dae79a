/*
 * shmem.h
 *		Shared memory of the workers: one slot per database that has, or had, a
 *		dispatcher or one of the workers that follow its outbox, and what the launcher makes of each name it was given.
 *		Plain data only, no pointers.
 *
 * Locking: one LWLock guards assigning and releasing slots (database, name,
 * pid, procno, generation, holder) and the launcher's published entries.
 * Everything else in a slot is atomic and may be read and added to without
 * the lock. A worker clears its slot at exit only while the generation is
 * still its own. Nothing that can raise an error runs under the lock.
 *
 * Without shared_preload_libraries there is no shared memory: shmem_ready()
 * is false, waking is a no-op and counters read as zero.
 */
#ifndef STORESYNC_SHMEM_H
#define STORESYNC_SHMEM_H

#include "storesync.h"

#include "access/xlogdefs.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

typedef enum SsCounter
{
	SS_CALLS_OK,				/* answers of class ok or partial */
	SS_CALLS_FAILED,			/* every other class but throttled */
	SS_CALLS_THROTTLED,
	SS_LISTINGS_ACKED,			/* listing writes acknowledged */
	SS_ORDERS_INGESTED,			/* documents handed to ingest_orders by intake */
	SS_ORDERS_DUPLICATE,		/* of these, answered unchanged or stale */
	SS_TASKS_DEAD,
	SS_CYCLES,					/* rounds of the dispatcher's loop that had work */
	SS_STATEMENTS,				/* transactions the dispatcher ran */
	SS_COUNTERS					/* how many there are */
} SsCounter;

typedef enum SsGauge
{
	SS_QUEUED,					/* dirty listings waiting for a call */
	SS_IN_FLIGHT,				/* calls under way */
	SS_BACKING_OFF,				/* listings waiting for a retry */
	SS_STORES,					/* stores loaded */
	SS_GAUGES
} SsGauge;

/* How far the cache worker of a database has come. */
typedef enum CacheState
{
	CACHE_NONE,					/* no worker, or it has just started */
	CACHE_OLD_SQL,				/* the SQL objects are of a release without a cache */
	CACHE_UNCONFIRMED,			/* this may be a copy: waits for confirm_instance() */
	CACHE_AWAY,					/* Redis cannot be reached, does not answer, or refuses */
	CACHE_FILLING,				/* everything is being written */
	CACHE_FOLLOWING,			/* changes are being written */
	CACHE_FULL					/* Redis has no memory left: what cannot be written was deleted */
} CacheState;

typedef enum CacheCounter
{
	CACHE_WRITTEN,				/* entries */
	CACHE_OLDER,				/* entries that Redis had newer */
	CACHE_DELETED,
	CACHE_FILLED,				/* times that everything was written */
	CACHE_COUNTERS
} CacheCounter;

/* The cache worker's part of a slot. */
typedef struct SsCache
{
	pg_atomic_uint32 state;		/* CacheState */
	pg_atomic_uint64 since;		/* TimestampTz: of the state */
	pg_atomic_uint64 heartbeat; /* TimestampTz: Redis had everything that was committed before */
	pg_atomic_uint64 counters[CACHE_COUNTERS];
} SsCache;

/* How far the OLAP worker of a database has come. */
typedef enum OlapState
{
	OLAP_NONE,					/* no worker, or it has just started */
	OLAP_OLD_SQL,				/* the SQL objects are of a release without it */
	OLAP_UNCONFIRMED,			/* this may be a copy: waits for confirm_instance() */
	OLAP_AWAY,					/* ClickHouse cannot be reached, does not answer, or refuses */
	OLAP_FILLING,				/* what there was before is being written, and changes */
	OLAP_FOLLOWING				/* changes are being written */
} OlapState;

typedef enum OlapCounter
{
	OLAP_ROWS,					/* that ClickHouse took */
	OLAP_BATCHES,				/* that it took, each of one table */
	OLAP_FAILED,				/* that it did not take */
	OLAP_COUNTERS
} OlapCounter;

/* The OLAP worker's part of a slot. */
typedef struct SsOlap
{
	pg_atomic_uint32 state;		/* OlapState */
	pg_atomic_uint64 since;		/* TimestampTz: of the state */
	pg_atomic_uint64 heartbeat; /* TimestampTz: ClickHouse had everything that was committed before */
	pg_atomic_uint64 counters[OLAP_COUNTERS];
} SsOlap;

/* Workers beside the dispatcher, which follow what it and all sessions commit. */
typedef enum SsFollowerKind
{
	SS_FOLLOWER_CACHE,
	SS_FOLLOWER_OLAP,
	SS_FOLLOWERS
} SsFollowerKind;

/* Who is the follower of a kind; as the dispatcher's fields, under the lock but for wake. */
typedef struct SsFollower
{
	pid_t		pid;			/* 0 while none runs */
	int			procno;
	uint32		generation;
	pg_atomic_uint32 wake;
} SsFollower;

typedef struct SsDatabase
{
	Oid			database;		/* InvalidOid: slot is free */
	char		name[NAMEDATALEN];	/* that its last dispatcher was started by */
	pid_t		pid;			/* of its dispatcher, 0 while none runs */
	pid_t		holder;			/* backend that keeps dispatchers away, 0 for none */
	int			procno;
	uint32		generation;		/* rises with each dispatcher that takes the slot */
	pg_atomic_uint32 wake;		/* set by the first committer of a burst, cleared by the dispatcher */
	pg_atomic_uint32 prepared;	/* a prepared transaction wrote here: look once a second; the
								 * dispatcher sets it at its start, clears it before it looks
								 * and sets it again while any is there */
	pg_atomic_uint64 heartbeat; /* TimestampTz of the dispatcher's last round */
	pg_atomic_uint64 flush;		/* WAL that the dispatcher wants flushed up to here, 0 for none */
	pg_atomic_uint64 counters[SS_COUNTERS];
	pg_atomic_uint64 gauges[SS_GAUGES];
	SsFollower	followers[SS_FOLLOWERS];
	SsCache		cache;
	SsOlap		olap;
} SsDatabase;

/* What the launcher makes of a name in storesync.databases. */
typedef enum SsLaunchState
{
	SS_LAUNCH_NONE,				/* entry is free */
	SS_LAUNCH_STARTING,			/* registered with the postmaster */
	SS_LAUNCH_RUNNING,
	SS_LAUNCH_STOPPING,			/* no longer wanted, told to end */
	SS_LAUNCH_BACKING_OFF,		/* ended by itself, waits until `due` */
	SS_LAUNCH_NO_WORKER,		/* max_worker_processes is used up, tried again at `due` */
	SS_LAUNCH_HELD				/* DROP DATABASE or the like keeps it down */
} SsLaunchState;

typedef struct SsLaunch
{
	char		name[NAMEDATALEN];
	SsLaunchState state;
	uint32		failures;		/* ends in a row without a minute's running between */
	TimestampTz due;			/* of the next start, DT_NOEND when none is planned */
} SsLaunch;

/* From _PG_init, when preloaded: asks for the memory. */
extern void shmem_init(void);
extern PGDLLEXPORT bool shmem_ready(void);

/* Slot of a database, made when `create`; NULL when there is none, or no room left. */
extern PGDLLEXPORT SsDatabase *shmem_database(Oid database, bool create);

/*
 * The calling dispatcher takes its database's slot, under the name it was
 * started by; released by itself at process exit. FATAL when another
 * dispatcher has it (55006), a statement holds it (55006), there is no room
 * (SS_ERR_NOT_PRELOADED).
 */
extern PGDLLEXPORT SsDatabase *shmem_attach_dispatcher(const char *name);

/* The same for the calling follower of a kind. */
extern PGDLLEXPORT SsDatabase *shmem_attach_follower(SsFollowerKind kind, const char *name);
extern PGDLLEXPORT bool shmem_take_follower_wake(SsDatabase *slot, SsFollowerKind kind);

/*
 * True when somebody committed work since the last call. The dispatcher calls
 * it before it looks at the tables, so that what commits later wakes it again.
 */
extern PGDLLEXPORT bool shmem_take_wake(SsDatabase *slot);

/* Wake this database's dispatcher (the launcher when the slot has none) and followers now. Never raises. */
extern PGDLLEXPORT void shmem_wake(Oid database);

/* Arrange for shmem_wake(MyDatabaseId) when this transaction commits; sets the mark at PREPARE. */
extern PGDLLEXPORT void wake_at_commit(void);

/*
 * Keep dispatchers and followers of a database away: stops those that run and waits for
 * their end, at most `timeout_ms`. Ends with shmem_release_hold or with the
 * process. False when they did not end in time (the hold stands), or when
 * another backend holds the database (it does not).
 */
extern bool shmem_hold(Oid database, const char *name, int timeout_ms);
extern void shmem_release_hold(Oid database, bool gone);	/* gone: the database was dropped */

/* For the launcher: be woken; look a dispatcher up by name; publish. */
extern PGDLLEXPORT void shmem_attach_launcher(void);
extern PGDLLEXPORT bool shmem_find_dispatcher(const char *name, pid_t *pid, bool *held, bool *waiting);
extern PGDLLEXPORT bool shmem_find_follower(SsFollowerKind kind, const char *name, pid_t *pid, bool *held);
extern PGDLLEXPORT void shmem_publish(const SsLaunch *launches, int n);

/*
 * Have the launcher flush WAL up to a place; it wakes the slot's dispatcher,
 * which meanwhile serves its sockets. False: there is no launcher.
 */
extern PGDLLEXPORT bool shmem_ask_flush(SsDatabase *slot, XLogRecPtr through);
/* For the launcher: how far somebody wants WAL flushed, 0 for nobody; wake those who do. */
extern PGDLLEXPORT XLogRecPtr shmem_flush_asked(void);
extern PGDLLEXPORT void shmem_flushed(XLogRecPtr through);

/*
 * Copies of everything, for the views: room for ss_max_databases each.
 * Counters are read without the lock. Returns the launcher's pid, 0 for none.
 */
extern pid_t shmem_read(SsDatabase *databases, int *n_databases, SsLaunch *launches, int *n_launches);

#endif
