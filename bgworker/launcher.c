/*
 * launcher.c
 *		The static worker that keeps one dispatcher running for each database
 *		named in storesync.databases.
 *
 * It is connected to no database, so it can stand in nobody's way and knows
 * databases by name alone; one that does not exist is found out by its
 * dispatcher. It never polls: it sleeps until a dispatcher ends (the
 * postmaster's notice, or the slot's release), the settings change, a commit
 * waits, a statement lets a database go, or a start is due. And it flushes
 * WAL for dispatchers, so that they need not wait for the disk.
 *
 * What it knows is in this process alone and is published in shared memory
 * for the views. After its own restart it finds running dispatchers again by
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

/* Pause before a dispatcher that ended by itself starts again: doubles from the first to the last. */
#define BACKOFF_FIRST_MS	1000
#define BACKOFF_LAST_MS		60000
/* Running this long makes the next end count as the first. */
#define STEADY_MS			60000
/* While a commit waits, the pause is this part of itself: a hot loop of ends stays a slow one. */
#define WAITING_COMMIT_PART 4
/* A full worker table is tried again this often. */
#define NO_WORKER_RETRY_MS	10000

typedef struct Dispatcher
{
	SsLaunch	launch;			/* what is published: name, state, failures, due */
	bool		wanted;			/* named in storesync.databases */
	BackgroundWorkerHandle *handle; /* NULL: not started by this process */
	TimestampTz started_at;
	TimestampTz ended_at;		/* with pause_ms, of the last end by itself */
	int			pause_ms;
} Dispatcher;

extern PGDLLEXPORT void storesync_launcher_main(Datum argument);

static Dispatcher *dispatchers = NULL;	/* room for ss_max_databases */
static int	n_dispatchers = 0;

static Dispatcher *
find_dispatcher(const char *name)
{
	for (int i = 0; i < n_dispatchers; i++)
	{
		if (strcmp(dispatchers[i].launch.name, name) == 0)
			return &dispatchers[i];
	}
	return NULL;
}

/* want notes that a database is to have a dispatcher; false when there is no room for it. */
static bool
want(const char *name, TimestampTz now)
{
	Dispatcher *dispatcher = find_dispatcher(name);

	if (dispatcher == NULL)
	{
		if (n_dispatchers >= ss_max_databases)
			return false;
		dispatcher = &dispatchers[n_dispatchers++];
		memset(dispatcher, 0, sizeof(*dispatcher));
		strlcpy(dispatcher->launch.name, name, NAMEDATALEN);
		dispatcher->launch.due = now;
	}
	dispatcher->wanted = true;
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
	for (int i = 0; i < n_dispatchers; i++)
	{
		dispatchers[i].wanted = false;
		if (dispatchers[i].launch.due != DT_NOEND)
			dispatchers[i].launch.due = now;
	}
	foreach(cell, names)
	{
		if (!want((const char *) lfirst(cell), now))
			ereport(LOG,
					(errcode(SS_ERR_TOO_MANY_STORES),
					 errmsg("no room for a dispatcher of database \"%s\"", (const char *) lfirst(cell)),
					 errhint("Raise \"storesync.max_databases\".")));
	}
}

static void
set_state(Dispatcher *dispatcher, SsLaunchState state, TimestampTz due)
{
	dispatcher->launch.state = state;
	dispatcher->launch.due = due;
}

/* start registers a dispatcher with the postmaster, which tells of its start and its end. */
static void
start(Dispatcher *dispatcher, TimestampTz now)
{
	BackgroundWorker worker = {0};

	snprintf(worker.bgw_name, BGW_MAXLEN, "storesync dispatcher %s", dispatcher->launch.name);
	strlcpy(worker.bgw_type, "storesync dispatcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "storesync_worker", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "storesync_dispatcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_extra, dispatcher->launch.name, BGW_EXTRALEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	if (RegisterDynamicBackgroundWorker(&worker, &dispatcher->handle))
	{
		dispatcher->started_at = now;
		set_state(dispatcher, SS_LAUNCH_STARTING, DT_NOEND);
		return;
	}
	dispatcher->handle = NULL;
	if (dispatcher->launch.state != SS_LAUNCH_NO_WORKER)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no free worker slot for the dispatcher of database \"%s\"", dispatcher->launch.name),
				 errhint("Raise \"max_worker_processes\".")));
	set_state(dispatcher, SS_LAUNCH_NO_WORKER, TimestampTzPlusMilliseconds(now, NO_WORKER_RETRY_MS));
}

/* stop tells a dispatcher to end; its end is seen as any other. */
static void
stop(Dispatcher *dispatcher, pid_t pid)
{
	if (dispatcher->launch.state == SS_LAUNCH_STOPPING)
		return;
	ereport(LOG, (errmsg("stopping the dispatcher of database \"%s\"", dispatcher->launch.name)));
	if (dispatcher->handle != NULL)
		TerminateBackgroundWorker(dispatcher->handle);
	else
		kill(pid, SIGTERM);
	set_state(dispatcher, SS_LAUNCH_STOPPING, DT_NOEND);
}

/* ended plans what follows an end: at once when we had asked for it, else after a pause that grows. */
static void
ended(Dispatcher *dispatcher, bool held, TimestampTz now)
{
	if (dispatcher->handle != NULL)
		pfree(dispatcher->handle);
	dispatcher->handle = NULL;
	for (int i = 0; i < n_dispatchers; i++)
	{
		/* there is a free worker slot now */
		if (dispatchers[i].launch.state == SS_LAUNCH_NO_WORKER)
			dispatchers[i].launch.due = now;
	}
	if (held || dispatcher->launch.state == SS_LAUNCH_STOPPING)
	{
		set_state(dispatcher, held ? SS_LAUNCH_HELD : SS_LAUNCH_NONE, now);
		return;
	}
	if (dispatcher->launch.failures == 0 ||
		TimestampDifferenceExceeds(dispatcher->started_at, now, STEADY_MS))
	{
		dispatcher->launch.failures = 0;
		dispatcher->pause_ms = BACKOFF_FIRST_MS;
	}
	else
		dispatcher->pause_ms = Min(dispatcher->pause_ms * 2, BACKOFF_LAST_MS);
	dispatcher->launch.failures++;
	dispatcher->ended_at = now;
	ereport(LOG,
			(errmsg("the dispatcher of database \"%s\" ended, starting it again in %d s",
					dispatcher->launch.name, dispatcher->pause_ms / 1000)));
	set_state(dispatcher, SS_LAUNCH_BACKING_OFF, TimestampTzPlusMilliseconds(now, dispatcher->pause_ms));
}

/* is_up tells whether a dispatcher runs or is about to, and adopts one that this process did not start. */
static bool
is_up(Dispatcher *dispatcher, pid_t slot_pid, TimestampTz now)
{
	pid_t		pid;

	if (dispatcher->handle == NULL)
	{
		if (slot_pid != 0 && dispatcher->launch.state != SS_LAUNCH_RUNNING &&
			dispatcher->launch.state != SS_LAUNCH_STOPPING)
		{
			dispatcher->started_at = now;
			set_state(dispatcher, SS_LAUNCH_RUNNING, DT_NOEND);
		}
		return slot_pid != 0;
	}
	switch (GetBackgroundWorkerPid(dispatcher->handle, &pid))
	{
		case BGWH_STARTED:
			if (dispatcher->launch.state == SS_LAUNCH_STARTING)
				set_state(dispatcher, SS_LAUNCH_RUNNING, DT_NOEND);
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

/* was_up tells whether the last look found a dispatcher. */
static bool
was_up(const Dispatcher *dispatcher)
{
	return dispatcher->launch.state == SS_LAUNCH_STARTING ||
		dispatcher->launch.state == SS_LAUNCH_RUNNING ||
		dispatcher->launch.state == SS_LAUNCH_STOPPING;
}

/* look compares one database's wanted and actual state and does what is due. */
static void
look(Dispatcher *dispatcher, TimestampTz now)
{
	pid_t		slot_pid;
	bool		held;
	bool		waiting;

	(void) shmem_find_dispatcher(dispatcher->launch.name, &slot_pid, &held, &waiting);
	if (is_up(dispatcher, slot_pid, now))
	{
		if (!dispatcher->wanted)
			stop(dispatcher, slot_pid);
		return;
	}
	if (was_up(dispatcher))
		ended(dispatcher, held, now);
	if (!dispatcher->wanted)
		return;
	if (held)
	{
		set_state(dispatcher, SS_LAUNCH_HELD, DT_NOEND);
		return;
	}
	if (dispatcher->launch.state == SS_LAUNCH_HELD)
		dispatcher->launch.due = now;
	if (dispatcher->launch.state == SS_LAUNCH_BACKING_OFF && waiting)
	{
		TimestampTz earlier = TimestampTzPlusMilliseconds(dispatcher->ended_at,
														  dispatcher->pause_ms / WAITING_COMMIT_PART);

		dispatcher->launch.due = Min(dispatcher->launch.due, earlier);
	}
	/* further ahead than any pause is only what a clock that was set back has put there */
	if (dispatcher->launch.due <= now ||
		(dispatcher->launch.due != DT_NOEND &&
		 dispatcher->launch.due > TimestampTzPlusMilliseconds(now, BACKOFF_LAST_MS)))
		start(dispatcher, now);
}

/* forget drops the entries of databases that are neither wanted nor running. */
static void
forget(void)
{
	int			kept = 0;

	for (int i = 0; i < n_dispatchers; i++)
	{
		if (dispatchers[i].wanted || was_up(&dispatchers[i]))
			dispatchers[kept++] = dispatchers[i];
	}
	n_dispatchers = kept;
}

/* look_at_all makes a round and returns the milliseconds until something is due, -1 for nothing. */
static long
look_at_all(SsLaunch *launches)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < n_dispatchers; i++)
		look(&dispatchers[i], now);
	forget();
	for (int i = 0; i < n_dispatchers; i++)
	{
		launches[i] = dispatchers[i].launch;
		due = Min(due, dispatchers[i].launch.due);
	}
	shmem_publish(launches, n_dispatchers);
	return due == DT_NOEND ? -1 : TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due);
}

/* flush_asked flushes WAL for dispatchers, which have sockets to serve meanwhile. */
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
	/* the postmaster tells of a dispatcher's start or end by SIGUSR1 */
	pqsignal(SIGUSR1, procsignal_sigusr1_handler);
	BackgroundWorkerUnblockSignals();
	if (!shmem_ready())
		ereport(FATAL,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("storesync is not in \"shared_preload_libraries\"")));
	dispatchers = MemoryContextAllocZero(TopMemoryContext, ss_max_databases * sizeof(Dispatcher));
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
