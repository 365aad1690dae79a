/*
 * due.c
 *		Calls release_expired() when the next reservation or hold is over, and
 *		take_up_parked() when a listing or a parked order has been committed.
 *
 * The next moment is read by the round that reads changes, so while nothing
 * changes nothing is run. Each call is a short transaction of its own that
 * holds locks of orders and stock and nothing else; one that fails is tried
 * again a little later and never ends the dispatcher.
 */
#include "due.h"

#include "catalog/pg_type.h"

#include "dispatcher.h"
#include "worker.h"

/* Reservations, orders or lines in one transaction. */
#define DUE_MAX			1000
/* After a failure, or when somebody holds what is due. */
#define DUE_AGAIN_US	USECS_PER_SEC

static TimestampTz next_expiry = DT_NOEND;
static TimestampTz not_before = 0;
static bool parked = true;		/* at the start, too */
static int32 released;			/* by the last call of release_expired() */

void
due_look(void)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;
	Datum		at;

	ss_execute(&plan, "SELECT storesync.next_expiry()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	at = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	next_expiry = isnull ? DT_NOEND : DatumGetTimestampTz(at);
}

void
due_ask(void)
{
	parked = true;
}

TimestampTz
due_at(void)
{
	TimestampTz due = parked ? 0 : next_expiry;

	return due == DT_NOEND ? due : Max(due, not_before);
}

/* run_once does a part of both; what is left is due at once. */
static void
run_once(void *arg)
{
	static SPIPlanPtr release_plan = NULL;
	static SPIPlanPtr parked_plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(DUE_MAX)};
	TimestampTz now = *(TimestampTz *) arg;
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	if (parked)
		ss_execute(&parked_plan, "SELECT storesync.take_up_parked($1)", SPI_OK_SELECT, 1, types, values, NULL, 1);
	else if (next_expiry <= now)
	{
		bool		isnull;

		ss_execute(&release_plan, "SELECT storesync.release_expired($1)", SPI_OK_SELECT, 1, types, values, NULL, 1);
		released = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	due_look();
	ss_leave(&session);
}

void
due_run(TimestampTz now)
{
	bool		releases = !parked && next_expiry <= now;

	if (worker_try("storesync: releasing what is over", run_once, &now))
	{
		parked = false;
		not_before = releases && released == 0 && next_expiry <= now ? now + DUE_AGAIN_US : 0;
	}
	else
		not_before = now + DUE_AGAIN_US;
	dispatch_count(SS_STATEMENTS, 1);
}
