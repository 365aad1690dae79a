/*
 * shmem.h
 *		Shared memory of the workers: one slot per database that has a
 *		dispatcher, plain data only, no pointers.
 *
 * Locking: `lock` guards assigning and releasing slots (database, pid,
 * procno, generation). Everything else in a slot is atomic and may be read
 * and added to without the lock. A worker clears its slot at exit only while
 * the generation is still its own.
 *
 * Without shared_preload_libraries there is no shared memory: shmem_ready()
 * is false, waking is a no-op and counters read as zero.
 */
#ifndef STORESYNC_SHMEM_H
#define STORESYNC_SHMEM_H

#include "storesync.h"

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

typedef struct SsDatabase
{
	Oid			database;		/* InvalidOid: slot is free */
	pid_t		pid;			/* of its dispatcher, 0 while none runs */
	int			procno;
	uint32		generation;		/* rises with each dispatcher that takes the slot */
	pg_atomic_uint32 wake;		/* set by the first committer of a burst, cleared by the dispatcher */
	pg_atomic_uint32 prepared;	/* a prepared transaction wrote here: look once a second */
	pg_atomic_uint64 heartbeat; /* TimestampTz of the dispatcher's last round */
	pg_atomic_uint64 counters[SS_COUNTERS];
	pg_atomic_uint64 gauges[SS_GAUGES];
} SsDatabase;

extern void shmem_init(void);	/* from _PG_init, when preloaded: sizes, hooks */
extern bool shmem_ready(void);

/* Slot of a database, made when `create`; NULL when there is none, or no room left. */
extern SsDatabase *shmem_database(Oid database, bool create);

/* The calling dispatcher takes its database's slot; released by itself at process exit. */
extern SsDatabase *shmem_attach_dispatcher(void);

/* Wake this database's dispatcher now (also the launcher when no dispatcher runs). */
extern void shmem_wake(Oid database);
/* The launcher registers itself to be woken. */
extern void shmem_attach_launcher(void);

/* Arrange for shmem_wake(MyDatabaseId) when this transaction commits; sets the mark at PREPARE. */
extern void wake_at_commit(void);

#endif
