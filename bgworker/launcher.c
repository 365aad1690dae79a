/*
 * launcher.c
 *		The static worker that keeps one dispatcher running for each database
 *		named in storesync.databases and, where storesync.redis_url is set, one
 *		cache worker, and one OLAP worker where storesync.clickhouse_url is.
 *
 * It is connected to no database, so it can stand in nobody's way and knows
 * databases by name alone; one that does not exist is found out by its
 * dispatcher. It never polls: it sleeps until a worker ends (the
 * postmaster's notice, or the slot's release), the settings change, a commit
 * waits, a statement lets a database go, or a start is due. And it flushes
 * WAL for dispatchers, so that they need not wait for the disk.
 *
 * What it knows is in this process alone and is published in shared memory
 * for the views. After its own restart it finds running workers again by
 * their slots, and a dispatcher that finds its slot taken ends by itself, so
 * that there are never two for one database.
 */
#include "worker.h"

#include <signal.h>

#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "utils/memutils.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "shmem.h"

/* Pause before a worker that ended by itself starts again: doubles from the first to the last. */
#define BACKOFF_FIRST_MS	1000
#define BACKOFF_LAST_MS		60000
/* Running this long makes the next end count as the first. */
#define STEADY_MS			60000
/* While a commit waits, the pause is this part of itself: a hot loop of ends stays a slow one. */
#define WAITING_COMMIT_PART 4
/* A full worker table is tried again this often. */
#define NO_WORKER_RETRY_MS	10000

/* What the launcher starts, one of each kind a database. */
typedef struct WorkerKind
{
	const char *noun;			/* in messages, and after "storesync" in the process list */
	const char *library;
	const char *function;
	SsFollowerKind follower;	/* SS_FOLLOWERS: the dispatcher */
} WorkerKind;

static const WorkerKind dispatcher_kind = {"dispatcher", "storesync_worker", "storesync_dispatcher_main", SS_FOLLOWERS};
static const WorkerKind cache_kind = {"cache worker", "storesync_cache", "storesync_cache_main", SS_FOLLOWER_CACHE};
static const WorkerKind olap_kind = {"OLAP worker", "storesync_worker", "storesync_olap_main", SS_FOLLOWER_OLAP};

typedef struct Worker
{
	const WorkerKind *kind;
	SsLaunch	launch;			/* what is published: name, state, failures, due */
	bool		wanted;			/* named in storesync.databases */
	BackgroundWorkerHandle *handle; /* NULL: not started by this process */
	TimestampTz started_at;
	TimestampTz ended_at;		/* with pause_ms, of the last end by itself */
	int			pause_ms;
} Worker;

extern PGDLLEXPORT void storesync_launcher_main(Datum argument);

static Worker *workers = NULL;	/* of every kind: room for ss_max_databases of each */
static int	n_workers = 0;

static Worker *
find_worker(const char *name, const WorkerKind *kind)
{
	for (int i = 0; i < n_workers; i++)
	{
		if (workers[i].kind == kind && strcmp(workers[i].launch.name, name) == 0)
			return &workers[i];
	}
	return NULL;
}

/* count_of tells how many databases have, or are to have, a worker of a kind. */
static int
count_of(const WorkerKind *kind)
{
	int			n = 0;

	for (int i = 0; i < n_workers; i++)
		n += workers[i].kind == kind;
	return n;
}

/* want notes that a database is to have a worker of a kind; false when there is no room for it. */
static bool
want(const char *name, const WorkerKind *kind, TimestampTz now)
{
	Worker *worker = find_worker(name, kind);

	if (worker == NULL)
	{
		if (count_of(kind) >= ss_max_databases)
			return false;
		worker = &workers[n_workers++];
		memset(worker, 0, sizeof(*worker));
		worker->kind = kind;
		strlcpy(worker->launch.name, name, NAMEDATALEN);
		worker->launch.due = now;
	}
	worker->wanted = true;
	return true;
}

/*
 * read_databases makes the wanted set that of storesync.databases. A list
 * that cannot be read changes nothing. What waits for a start starts now: the
 * operator may just have mended what kept it down.
 */
static void
read_databases(TimestampTz now)
{
	char	   *list = pstrdup(ss_databases);
	List	   *names = NIL;
	ListCell   *cell;

	if (!SplitIdentifierString(list, ',', &names))
	{
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid list syntax in parameter \"%s\"", "storesync.databases"),
				 errdetail("The databases served stay as they were.")));
		return;
	}
	for (int i = 0; i < n_workers; i++)
	{
		workers[i].wanted = false;
		if (workers[i].launch.due != DT_NOEND)
			workers[i].launch.due = now;
	}
	foreach(cell, names)
	{
		if (want((const char *) lfirst(cell), &dispatcher_kind, now))
		{
			if (ss_redis_url[0] != '\0')
				(void) want((const char *) lfirst(cell), &cache_kind, now);
			if (ss_clickhouse_url[0] != '\0')
				(void) want((const char *) lfirst(cell), &olap_kind, now);
		}
		else
			ereport(LOG,
					(errcode(SS_ERR_TOO_MANY_STORES),
					 errmsg("no room for a dispatcher of database \"%s\"", (const char *) lfirst(cell)),
					 errhint("Raise \"storesync.max_databases\".")));
	}
}

static void
set_state(Worker *worker, SsLaunchState state, TimestampTz due)
{
	worker->launch.state = state;
	worker->launch.due = due;
}

/* start registers a worker with the postmaster, which tells of its start and its end. */
static void
start(Worker *worker, TimestampTz now)
{
	BackgroundWorker registration = {0};

	snprintf(registration.bgw_name, BGW_MAXLEN, "storesync %s %s", worker->kind->noun, worker->launch.name);
	snprintf(registration.bgw_type, BGW_MAXLEN, "storesync %s", worker->kind->noun);
	strlcpy(registration.bgw_library_name, worker->kind->library, BGW_MAXLEN);
	strlcpy(registration.bgw_function_name, worker->kind->function, BGW_MAXLEN);
	strlcpy(registration.bgw_extra, worker->launch.name, BGW_EXTRALEN);
	registration.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	registration.bgw_start_time = BgWorkerStart_RecoveryFinished;
	registration.bgw_restart_time = BGW_NEVER_RESTART;
	registration.bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(&registration, &worker->handle))
	{
		worker->started_at = now;
		set_state(worker, SS_LAUNCH_STARTING, DT_NOEND);
		return;
	}
	worker->handle = NULL;
	if (worker->launch.state != SS_LAUNCH_NO_WORKER)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no free worker slot for the %s of database \"%s\"", worker->kind->noun, worker->launch.name),
				 errhint("Raise \"max_worker_processes\".")));
	set_state(worker, SS_LAUNCH_NO_WORKER, TimestampTzPlusMilliseconds(now, NO_WORKER_RETRY_MS));
}

/* stop tells a worker to end; its end is seen as any other. */
static void
stop(Worker *worker, pid_t pid)
{
	if (worker->launch.state == SS_LAUNCH_STOPPING)
		return;
	ereport(LOG, (errmsg("stopping the %s of database \"%s\"", worker->kind->noun, worker->launch.name)));
	if (worker->handle != NULL)
		TerminateBackgroundWorker(worker->handle);
	else
		kill(pid, SIGTERM);
	set_state(worker, SS_LAUNCH_STOPPING, DT_NOEND);
}

/* ended plans what follows an end: at once when we had asked for it, else after a pause that grows. */
static void
ended(Worker *worker, bool held, TimestampTz now)
{
	if (worker->handle != NULL)
		pfree(worker->handle);
	worker->handle = NULL;
	for (int i = 0; i < n_workers; i++)
	{
		/* there is a free worker slot now */
		if (workers[i].launch.state == SS_LAUNCH_NO_WORKER)
			workers[i].launch.due = now;
	}
	if (held || worker->launch.state == SS_LAUNCH_STOPPING)
	{
		set_state(worker, held ? SS_LAUNCH_HELD : SS_LAUNCH_NONE, now);
		return;
	}
	if (worker->launch.failures == 0 ||
		TimestampDifferenceExceeds(worker->started_at, now, STEADY_MS))
	{
		worker->launch.failures = 0;
		worker->pause_ms = BACKOFF_FIRST_MS;
	}
	else
		worker->pause_ms = Min(worker->pause_ms * 2, BACKOFF_LAST_MS);
	worker->launch.failures++;
	worker->ended_at = now;
	ereport(LOG,
			(errmsg("the %s of database \"%s\" ended, starting it again in %d s",
					worker->kind->noun, worker->launch.name, worker->pause_ms / 1000)));
	set_state(worker, SS_LAUNCH_BACKING_OFF, TimestampTzPlusMilliseconds(now, worker->pause_ms));
}

/* is_up tells whether a worker runs or is about to, and adopts one that this process did not start. */
static bool
is_up(Worker *worker, pid_t slot_pid, TimestampTz now)
{
	pid_t		pid;

	if (worker->handle == NULL)
	{
		if (slot_pid != 0 && worker->launch.state != SS_LAUNCH_RUNNING &&
			worker->launch.state != SS_LAUNCH_STOPPING)
		{
			worker->started_at = now;
			set_state(worker, SS_LAUNCH_RUNNING, DT_NOEND);
		}
		return slot_pid != 0;
	}
	switch (GetBackgroundWorkerPid(worker->handle, &pid))
	{
		case BGWH_STARTED:
			if (worker->launch.state == SS_LAUNCH_STARTING)
				set_state(worker, SS_LAUNCH_RUNNING, DT_NOEND);
			return true;
		case BGWH_NOT_YET_STARTED:
			return true;
		case BGWH_STOPPED:
			return false;
		case BGWH_POSTMASTER_DIED:
			proc_exit(1);
	}
	return false;
}

/* was_up tells whether the last look found a worker. */
static bool
was_up(const Worker *worker)
{
	return worker->launch.state == SS_LAUNCH_STARTING ||
		worker->launch.state == SS_LAUNCH_RUNNING ||
		worker->launch.state == SS_LAUNCH_STOPPING;
}

/* look compares one database's wanted and actual state and does what is due. */
static void
look(Worker *worker, TimestampTz now)
{
	pid_t		slot_pid;
	bool		held;
	bool		waiting = false;

	if (worker->kind->follower != SS_FOLLOWERS)
		(void) shmem_find_follower(worker->kind->follower, worker->launch.name, &slot_pid, &held);
	else
		(void) shmem_find_dispatcher(worker->launch.name, &slot_pid, &held, &waiting);
	if (is_up(worker, slot_pid, now))
	{
		if (!worker->wanted)
			stop(worker, slot_pid);
		return;
	}
	if (was_up(worker))
		ended(worker, held, now);
	if (!worker->wanted)
		return;
	if (held)
	{
		set_state(worker, SS_LAUNCH_HELD, DT_NOEND);
		return;
	}
	if (worker->launch.state == SS_LAUNCH_HELD)
		worker->launch.due = now;
	if (worker->launch.state == SS_LAUNCH_BACKING_OFF && waiting)
	{
		TimestampTz earlier = TimestampTzPlusMilliseconds(worker->ended_at,
														  worker->pause_ms / WAITING_COMMIT_PART);

		worker->launch.due = Min(worker->launch.due, earlier);
	}
	/* further ahead than any pause is only what a clock that was set back has put there */
	if (worker->launch.due <= now ||
		(worker->launch.due != DT_NOEND &&
		 worker->launch.due > TimestampTzPlusMilliseconds(now, BACKOFF_LAST_MS)))
		start(worker, now);
}

/* forget drops the entries of databases that are neither wanted nor running. */
static void
forget(void)
{
	int			kept = 0;

	for (int i = 0; i < n_workers; i++)
	{
		if (workers[i].wanted || was_up(&workers[i]))
			workers[kept++] = workers[i];
	}
	n_workers = kept;
}

/* look_at_all makes a round and returns the milliseconds until something is due, -1 for nothing. */
static long
look_at_all(SsLaunch *launches)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due = DT_NOEND;
	int			n_published = 0;

	for (int i = 0; i < n_workers; i++)
		look(&workers[i], now);
	forget();
	for (int i = 0; i < n_workers; i++)
	{
		if (workers[i].kind == &dispatcher_kind)
			launches[n_published++] = workers[i].launch;
		due = Min(due, workers[i].launch.due);
	}
	shmem_publish(launches, n_published);
	return due == DT_NOEND ? -1 : TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due);
}

/* flush_asked flushes WAL for workers, which have sockets to serve meanwhile. */
static void
flush_asked(void)
{
	XLogRecPtr	through;

	while ((through = shmem_flush_asked()) != InvalidXLogRecPtr)
	{
		XLogFlush(through);
		shmem_flushed(through);
	}
}

static void
set_up(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	/* the postmaster tells of a worker's start or end by SIGUSR1 */
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();
	if (!shmem_ready())
		ereport(FATAL,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("storesync is not in \"shared_preload_libraries\"")));
	workers = MemoryContextAllocZero(TopMemoryContext, (1 + SS_FOLLOWERS) * ss_max_databases * sizeof(Worker));
	shmem_attach_launcher();
}

/*
 * storesync_launcher_main never returns. It ends with status 1 when told to,
 * since the postmaster would take 0 for "never start it again".
 */
void
storesync_launcher_main(Datum argument)
{
	MemoryContext round;
	SsLaunch   *launches;
	uint32		wait_event;

	set_up();
	wait_event = SsWaitEvent("StoresyncLauncher");
	round = AllocSetContextCreate(TopMemoryContext, "storesync launcher round", ALLOCSET_DEFAULT_SIZES);
	launches = MemoryContextAlloc(TopMemoryContext, ss_max_databases * sizeof(SsLaunch));
	MemoryContextSwitchTo(round);
	read_databases(GetCurrentTimestamp());
	while (!ShutdownRequestPending)
	{
		long		timeout_ms;

		/* worker handles outlive the round: TopMemoryContext */
		MemoryContextSwitchTo(TopMemoryContext);
		timeout_ms = look_at_all(launches);
		MemoryContextSwitchTo(round);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout_ms < 0 ? 0 : WL_TIMEOUT),
						 timeout_ms, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		flush_asked();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			read_databases(GetCurrentTimestamp());
		}
		MemoryContextReset(round);
	}
	proc_exit(1);
}
