/*
 * worker.h
 *		What every worker process shares: how it starts, reloads its settings,
 *		and runs SQL in short transactions that the statistics know of.
 *
 * Main loop of a worker:
 *
 *		worker_connect();
 *		for (;;)
 *		{
 *			... wait on the latch ...
 *			ResetLatch(MyLatch);
 *			worker_interrupts();
 *			worker_begin("..."); ... ; worker_commit();
 *		}
 *
 * An ERROR that leaves the main function ends the process with a report and
 * an abort of its transaction, nothing more: the launcher starts another.
 */
#ifndef STORESYNC_WORKER_H
#define STORESYNC_WORKER_H

#include "storesync.h"

/*
 * Signals set up (SIGTERM ends the process at the next CHECK_FOR_INTERRUPTS,
 * SIGHUP reloads), connected as the bootstrap superuser to the database that
 * the launcher named. Returns that name, valid for ever.
 */
extern const char *worker_connect(void);

/* Serve what signals asked for; true when the settings were read anew. */
extern bool worker_interrupts(void);

/*
 * End the process when the time of day was set: whatever waits in it waits for
 * a moment of it, and might for hours. The next one starts from the tables.
 * What adjusts a clock slowly never moves it as far between two looks. `what`:
 * the worker, for the log.
 */
extern void worker_check_clock(const char *what);

/*
 * One transaction with an active snapshot, shown in pg_stat_activity as
 * `activity` (constant text, no secret). worker_commit also reports the
 * statistics, so that autovacuum learns of the rows written. It does not wait
 * for the disk: whoever lets something leave on the strength of a commit looks
 * whether XactLastCommitEnd is flushed. Only where standbys have to confirm
 * commits does it wait for them.
 */
extern void worker_begin(const char *activity);
extern void worker_commit(void);

/*
 * Run body(arg) in such a transaction. When it raises, the error goes to the
 * server log, the transaction is rolled back and false comes back: for work
 * whose failure concerns itself alone. What `body` allocates in the current
 * context it must not leave behind half made.
 */
extern bool worker_try(const char *activity, void (*body) (void *arg), void *arg);

#endif
