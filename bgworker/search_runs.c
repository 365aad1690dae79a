/*
 * search_runs.c
 *		Has runs of orders packed for searches (sql/81_search.sql), a step every
 *		few seconds while orders come.
 *
 * A step packs 4096 order ids in some tens of milliseconds, which is more than
 * come in five seconds of the busiest day, and little enough to lie between
 * two calls. Searches find what is not packed yet as well, so nothing depends
 * on when it is done; while nothing changes, nothing is run.
 */
#include "search_runs.h"

#include "dispatcher.h"
#include "version.h"
#include "worker.h"

#define STEP_US		(5 * USECS_PER_SEC)

static TimestampTz due = DT_NOEND;

void
search_ask(TimestampTz now)
{
	if (due == DT_NOEND)
		due = now + STEP_US;
}

TimestampTz
search_due(void)
{
	return due;
}

static void
step(void *arg)
{
	static SPIPlanPtr plan = NULL;
	bool	   *is_more = arg;
	bool		isnull;
	SsSession	session;

	if (!ss_sql_has(SS_SQL_1_1))
		return;
	ss_enter(&session, "storesync dispatcher", true);
	ss_execute(&plan, "SELECT storesync.search_step()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	*is_more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	ss_leave(&session);
}

void
search_run_step(TimestampTz now)
{
	bool		is_more = false;

	if (!worker_try("storesync: packing orders for searches", step, &is_more))
		is_more = true;
	due = is_more ? now + STEP_US : DT_NOEND;
	dispatch_count(SS_STATEMENTS, 1);
}
