/*
 * task_fetch.c
 *		Orders that a task asked for: handed to the store's fetching as its
 *		errand (errand.h), one at a time; tasks that want orders by their numbers
 *		and are due together share one.
 *
 * A window may be the past of years. It is walked in pieces, how far it has
 * come is told after each, and a restart goes on there; when other fetches
 * wait, the window steps back behind them.
 */
#include "task_internal.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "errand.h"
#include "round.h"
#include "task_event.h"

/* Of a task's progress an event is written so often at most. */
#define TELL_US		USECS_PER_SEC

char **
task_texts(Datum array, int *n)
{
	Datum	   *elements;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, n);
	texts = palloc((*n + 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
		texts[i] = TextDatumGetCString(elements[i]);
	return texts;
}

/* ask_fetch hands what the payload says to the store's fetching, where that may be joined now. */
static TaskBegun
ask_fetch(Task *task)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(task->id)};
	HeapTuple	row;
	TupleDesc	desc;
	Datum		column[4];
	bool		nulls[4];
	int			n = 0;
	char	  **order_sns = NULL;

	ss_execute(&plan,
			   "SELECT greatest(storesync.task_time(t.payload -> 'from'), e.through), storesync.task_time(t.payload -> 'to'), "
			   "CASE WHEN t.payload ? 'order_sn' THEN ARRAY(SELECT jsonb_array_elements_text(t.payload -> 'order_sn')) END, "
			   "coalesce(e.orders, 0) FROM storesync.task_open t "
			   "LEFT JOIN LATERAL (SELECT storesync.task_time(x.progress -> 'through') AS through, "
			   "(x.progress ->> 'orders')::int AS orders FROM storesync.task_event x "
			   "WHERE x.task_id = t.task_id AND x.progress IS NOT NULL ORDER BY 1 DESC LIMIT 1) e ON true "
			   "WHERE t.task_id = $1 LIMIT 1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		return TASK_CLOSED;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	for (int i = 0; i < 4; i++)
		column[i] = SPI_getbinval(row, desc, i + 1, &nulls[i]);
	if (!nulls[2])
		order_sns = task_texts(column[2], &n);
	task->ticket = errand_ask(task->store, !nulls[2] ? ERRAND_ORDERS : !nulls[1] ? ERRAND_WINDOW : ERRAND_POLL,
							  nulls[0] ? 0 : DatumGetTimestampTz(column[0]), nulls[1] ? 0 : DatumGetTimestampTz(column[1]),
							  n, order_sns, DatumGetInt32(column[3]));
	return task->ticket != 0 ? TASK_BEGUN : TASK_NOT_NOW;
}

TaskBegun
task_begin_fetch(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	TaskBegun	begun;

	if (!task->store->fetches || !errand_open(task->store))
		return TASK_NOT_NOW;
	begun = ask_fetch(task);
	if (begun == TASK_CLOSED)
		task_forget(task);
	else if (begun == TASK_BEGUN)
		task_tell(task);
	return begun;
}

/* tell_progress writes how far the errand has come, where that is news. */
static void
tell_progress(Task *task, Errand *errand, TimestampTz now)
{
	char	   *through;

	if (!errand->progressed || errand->kind != ERRAND_WINDOW)
		return;
	errand->progressed = false;
	errand->told_at = now;
	through = pstrdup(DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(errand->from))));
	task_progress(task,
				  psprintf("{\"through\": " INT64_FORMAT ", \"orders\": %d}",
						   (int64) timestamptz_to_time_t(errand->from), errand->orders),
				  psprintf("through %s, %d orders met", through, errand->orders));
}

/* leave_errand makes room for the next fetch of the store, once all its tasks know; it begins at once when one waits. */
static void
leave_errand(DispatchStore *store)
{
	if (errand_leave(store))
		round_ask(true, false);
}

void
task_settle_fetch(Task *task, TimestampTz now)
{
	DispatchStore *store = task->store;
	Errand	   *errand = &store->intake.errand;

	if (errand->ticket != task->ticket)
		return;
	if (errand->state == ERRAND_DONE)
	{
		task_close_done(task, errand->kind == ERRAND_POLL ? NULL :
						psprintf("%d orders met, %d given up", errand->orders, errand->given_up));
		leave_errand(store);
	}
	else if (errand->state == ERRAND_FAILED)
	{
		tell_progress(task, errand, now);
		task_fail(task, now, errand->class, errand->reason, errand->attempt);
		leave_errand(store);
	}
	else if (errand->state == ERRAND_ASKED && errand->progressed)
	{
		bool		steps_back = task_others_wait(task);

		if (!steps_back && now < errand->told_at + TELL_US)
			return;
		tell_progress(task, errand, now);
		if (steps_back)
		{
			task_step_back(task);
			leave_errand(store);
		}
	}
}
