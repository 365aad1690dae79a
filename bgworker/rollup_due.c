/*
 * rollup_due.c
 *		Calls roll_up_step() some seconds after orders were booked.
 *
 * Every change that comes before the next fold is folded with it, and what
 * many orders have in common, days, hours and SKUs, is written once. So the
 * longer it waits the less it costs; it waits FOLD_EVERY_US. Portions are
 * small, because calls wait while one is folded, and one that fails is tried
 * again later and never ends the dispatcher. Somebody who holds what a portion
 * needs, a session that folds in an open transaction or changes a store's
 * clock, is not waited for: calls would wait as well. While nothing changes nothing is
 * run, but once in a quarter of a day: who does not move his cursor for long
 * is not waited for (storesync.consumer.patience).
 *
 * What the ledger says of SKUs by month, and how long it took until shops
 * knew of a day's orders, are seen to once a day, by roll_up_stock_step() and
 * roll_up_pushed_step(), in portions as well.
 */
#include "rollup_due.h"

#include "catalog/pg_type.h"

#include "dispatcher.h"
#include "version.h"
#include "worker.h"

#define FOLD_EVERY_US	(10 * USECS_PER_SEC)
#define FOLD_IDLE_US	(6 * USECS_PER_HOUR)
/* Changes in one transaction: some ten milliseconds, most of which are blocks of SKUs, that many changes have in common. */
#define FOLD_MOST		4000
/* Rows of the ledger that a transaction may cost as much as, and how often they are taken; whether it is time is asked so often. */
#define STOCK_MOST		8000
#define STOCK_EVERY		"1 day"
#define STOCK_ASK_US	USECS_PER_HOUR
/* Orders in one transaction for which it is looked up when shops knew of them; as often. */
#define PUSHED_MOST		100
/* Between two portions, when there is more than one. */
#define FOLD_REST_US	(20 * USECS_PER_SEC / 1000)
/* Longest wait for a lock. */
#define LOCK_WAIT		"50ms"

static TimestampTz due = 0;		/* at the start, too */
static TimestampTz stock_due = 0;
static TimestampTz pushed_due = 0;
static bool more;				/* the last step has left something */
static bool too_early;			/* it found no partition to read: the database has just been made */

void
rollup_ask(TimestampTz now)
{
	due = Min(due, now + FOLD_EVERY_US);
}

TimestampTz
rollup_due(void)
{
	return Min(due, Min(stock_due, pushed_due));
}

/* step runs one that takes how much it may do, and notes whether there is more. */
static void
step(SPIPlanPtr *plan, const char *sql, int32 most)
{
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(most)};
	SsSession	session;

	more = too_early = false;
	if (!ss_sql_has(SS_SQL_1_1))
		return;
	ss_enter(&session, "storesync dispatcher", true);
	(void) set_config_option("lock_timeout", LOCK_WAIT, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	ss_execute(plan, sql, SPI_OK_SELECT, 1, types, values, NULL, 1);
	more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &too_early));
	ss_leave(&session);
}

static void
fold_sales(void *unused)
{
	static SPIPlanPtr plan = NULL;

	step(&plan, "SELECT storesync.roll_up_step($1)", FOLD_MOST);
}

static void
fold_stock(void *unused)
{
	static SPIPlanPtr plan = NULL;

	step(&plan, "SELECT storesync.roll_up_stock_step($1, '" STOCK_EVERY "')", STOCK_MOST);
}

static void
fold_pushed(void *unused)
{
	static SPIPlanPtr plan = NULL;

	step(&plan, "SELECT storesync.roll_up_pushed_step($1, '" STOCK_EVERY "')", PUSHED_MOST);
}

/* run does a portion, and returns when the next one is due: `later` when there is none left. */
static TimestampTz
run(void (*body) (void *), TimestampTz now, int64 later)
{
	dispatch_count(SS_STATEMENTS, 1);
	if (!worker_try("storesync: rolling up", body, NULL) || too_early)
		return now + FOLD_EVERY_US;
	return now + (more ? FOLD_REST_US : later);
}

void
rollup_run(TimestampTz now)
{
	if (due <= now)
		due = run(fold_sales, now, FOLD_IDLE_US);
	else if (stock_due <= now)
		stock_due = run(fold_stock, now, STOCK_ASK_US);
	else if (pushed_due <= now)
		pushed_due = run(fold_pushed, now, STOCK_ASK_US);
}
