/*
 * ship_task.c
 *		The tasks ship_order and cancel_order: taken up, and closed.
 *
 * That a task has been taken up is committed before its first call leaves, as
 * of every task. What it came to by then is not remembered: who finds it taken
 * up after a crash takes it up again, and it begins by reading its order.
 */
#include "task_internal.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ship_internal.h"

/* Columns of the query in read_job, all of them texts or arrays of texts. */
enum
{
	C_ORDER_SN = 1, C_PACKAGE, C_CARRIER, C_TRACKING, C_REASON, C_LINES, C_KNOWN
};

static char **
read_lines(HeapTuple row, TupleDesc desc, int column, int *n)
{
	bool		isnull;

	return task_texts(SPI_getbinval(row, desc, column, &isnull), n);
}

/* read_job reads what the task wants, in a memory of its own; NULL: it is not open any more. *known: the order's lines. */
static ShipJob *
read_job(const Task *task, char ***known, int *n_known)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(task->id), Int32GetDatum(task->store->store_id)};
	MemoryContext context;
	MemoryContext old;
	ShipJob    *job;
	HeapTuple	row;
	TupleDesc	desc;

	ss_execute(&plan,
			   "SELECT t.payload ->> 'order_sn', t.payload ->> 'package', t.payload ->> 'carrier', "
			   "t.payload ->> 'tracking', t.payload ->> 'reason', "
			   "ARRAY(SELECT jsonb_array_elements_text(t.payload -> 'lines')), "
			   "ARRAY(SELECT l.line_id FROM storesync.sales_order o "
			   "JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "WHERE o.store_id = $2 AND o.order_sn = t.payload ->> 'order_sn' ORDER BY l.line_id) "
			   "FROM storesync.task_open t WHERE t.task_id = $1 LIMIT 1",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		return NULL;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	context = AllocSetContextCreate(TopMemoryContext, "storesync shipment", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	job = palloc0(sizeof(ShipJob));
	job->context = context;
	job->store = task->store;
	job->cancels = strcmp(task->kind, "cancel_order") == 0;
	job->order_sn = SPI_getvalue(row, desc, C_ORDER_SN);
	job->order = hash_bytes_extended((const unsigned char *) job->order_sn, (int) strlen(job->order_sn), 0) | 1;
	job->package = SPI_getvalue(row, desc, C_PACKAGE);
	job->carrier = SPI_getvalue(row, desc, C_CARRIER);
	job->tracking = SPI_getvalue(row, desc, C_TRACKING);
	job->reason = SPI_getvalue(row, desc, C_REASON);
	job->lines = read_lines(row, desc, C_LINES, &job->n_lines);
	*known = read_lines(row, desc, C_KNOWN, n_known);
	MemoryContextSwitchTo(old);
	return job;
}

/* add_lines makes the records that the order's lines are read by. */
static void
add_lines(ShipJob *job, char **lines, int n)
{
	job->records = MemoryContextAlloc(job->context, Max(n, 1) * sizeof(char *));
	job->n_records = n;
	for (int i = 0; i < n; i++)
		job->records[i] = MemoryContextStrdup(job->context, psprintf("%s-%s", job->order_sn, lines[i]));
}

/* find_records says by what the order is read: its number, or its lines where the platform knows only these. */
static void
find_records(ShipJob *job, char **known, int n_known)
{
	if (!job->store->platform->ship_by_line)
	{
		job->records = &job->order_sn;
		job->n_records = 1;
	}
	else if (job->package != NULL)
		add_lines(job, &job->package, 1);
	else if (job->n_lines > 0)
		add_lines(job, job->lines, job->n_lines);
	else
		add_lines(job, known, n_known);
}

/*
 * is_busy tells whether another task is about the same order: they go one
 * after the other. Two orders of one hash do, too, which harms nobody.
 */
static bool
is_busy(const DispatchStore *store, uint64 order)
{
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &store->ships.jobs))
		if (dlist_container(ShipJob, node, iter.cur)->order == order)
			return true;
	return false;
}

/* can_ship tells whether the platform has the task's call at all. */
static bool
can_ship(const Task *task)
{
	CallKind	kind = strcmp(task->kind, "cancel_order") == 0 ? CALL_CANCEL_LINES : CALL_SHIP;

	return task->store->platform != NULL && (task->store->platform->calls & CALL_BIT(kind)) != 0;
}

/* take_up begins a job, unless its order is busy or cannot be read. */
static TaskBegun
take_up(Task *task, ShipJob *job, TimestampTz now)
{
	int			most = job->store->platform->max_get_orders;

	/* remembered, so that a task which waits for another is not read in every round */
	task->ticket = job->order;
	if (is_busy(job->store, job->order))
		return TASK_NOT_NOW;
	task_tell(task);
	if (job->n_records == 0)
	{
		task_fail(task, now, OUTCOME_LATER, "the order is not known yet, and the task names none of its lines", NULL);
		return TASK_CLOSED;
	}
	if (job->n_records > most)
	{
		task_close_dead(task, OUTCOME_PERMANENT, psprintf("the order has more than %d lines: name some of them", most));
		return TASK_CLOSED;
	}
	dlist_push_tail(&job->store->ships.jobs, &job->node);
	job->store->ships.n++;
	job->due = now;
	task->doing = job;
	return TASK_BEGUN;
}

TaskBegun
ship_task_begin(Task *task, TimestampTz now, SsSet *again)
{
	DispatchStore *store = task->store;
	ShipJob    *job;
	char	  **known;
	int			n_known;
	TaskBegun	begun;

	if (!can_ship(task))
	{
		task_close_dead(task, OUTCOME_PERMANENT, "this platform has no call for it that is known: do it there");
		return TASK_CLOSED;
	}
	if (store->writes == WRITES_NONE || store->waits_until > now || store->ships.n >= SHIP_ROOM ||
		(task->ticket != 0 && is_busy(store, task->ticket)))
		return TASK_NOT_NOW;
	job = read_job(task, &known, &n_known);
	if (job == NULL)
	{
		task_forget(task);
		return TASK_CLOSED;
	}
	find_records(job, known, n_known);
	begun = take_up(task, job, now);
	if (begun != TASK_BEGUN)
		MemoryContextDelete(job->context);
	return begun;
}

void
ship_task_settle(Task *task, TimestampTz now)
{
	ShipJob    *job = task->doing;

	if (!task->store->present && !job->flying && job->phase != SHIP_ENDED)
		ship_end(job, OUTCOME_PERMANENT, "the store does not exist any more");
	/* who knows what happens to the order until writes are allowed again */
	if (job->store->writes == WRITES_NONE && !job->flying && job->phase < SHIP_CHECK)
		job->phase = SHIP_READ;
	if (job->phase != SHIP_ENDED)
		return;
	dlist_delete(&job->node);
	job->store->ships.n--;
	if (job->class == OUTCOME_OK)
		task_close_done(task, job->detail);
	else
		task_fail(task, now, job->class, job->detail, job->attempt);
	MemoryContextDelete(job->context);
}
