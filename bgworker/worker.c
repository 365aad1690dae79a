/*
 * worker.c
 *		Start, settings, transactions and errors of a worker process.
 *
 * pgstat_report_stat runs after every transaction: a worker that never
 * reports leaves its tables without autovacuum.
 */
#include "worker.h"

#include "access/xact.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "rate.h"

PG_MODULE_MAGIC;

/* Somebody has set the time of day when it moves by this much against the clock that only goes forward. */
#define CLOCK_STEP_US	(5 * USECS_PER_SEC)

const char *
worker_connect(void)
{
	const char *database = MyBgworkerEntry->bgw_extra;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(database, NULL, 0);
	/* whatever the database's sessions have by default: each statement here is to see what was committed before it */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
	return database;
}

bool
worker_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

void
worker_check_clock(const char *what)
{
	static int64 ahead = 0;		/* of the time of day to the other clock, microseconds */
	int64		seen = GetCurrentTimestamp() - rate_now() / 1000;

	if (ahead != 0 && (seen - ahead > CLOCK_STEP_US || ahead - seen > CLOCK_STEP_US))
	{
		ereport(LOG,
				(errmsg("the time of day was set by %lld s, the %s starts again",
						(long long) ((seen - ahead) / USECS_PER_SEC), what)));
		proc_exit(1);
	}
	ahead = seen;
}

void
worker_begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, activity);
	StartTransactionCommand();
	if (SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0')
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
worker_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

bool
worker_try(const char *activity, void (*body) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		worker_begin(activity);
		body(arg);
		worker_commit();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		RESUME_INTERRUPTS();
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return done;
}
