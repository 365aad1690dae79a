/*
 * task.c
 *		Open tasks in memory, ordered by when they are due, and what a round
 *		does with them.
 *
 * The tables hold the truth: a task is open until an event closes it, and its
 * last event says when it goes on. So whatever is in memory may be forgotten;
 * a start reads it again, and takes up again what had been taken up: each kind
 * may be done twice, or begins by looking whether it was done (ship.c).
 *
 * Per store, and there for writes and fetches apart so that neither can crowd
 * the other out, the TASK_ROOM nearest due are kept. More of them stay in the
 * table until half of these are gone, or one comes that is due earlier.
 *
 * A task is in one phase. Waiting to ready when it is due; ready to running
 * when its store may do it; from there closed and forgotten, or waiting again.
 */
#include "task.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "partition.h"
#include "peak.h"
#include "retry.h"
#include "stores.h"
#include "task_event.h"
#include "task_internal.h"

#define NO_STORE		"the store does not exist any more"
/* Tasks kept of a store, of each sort. */
#define TASK_ROOM		1000
/* Listings of tasks under way are looked at this often even when nothing was heard of them. */
#define LOOK_US			(10 * USECS_PER_SEC)
/* A store that has more tasks than fit is not read again earlier than this. */
#define RELOAD_US		USECS_PER_SEC

static HTAB *tasks = NULL;
static pairingheap *waiting = NULL;
static dlist_head ready = DLIST_STATIC_INIT(ready);
static dlist_head running = DLIST_STATIC_INIT(running);
static TimestampTz looked_at = 0;
static TimestampTz held_due = DT_NOEND;	/* when the next ready one is let go by a peak window */

/* ---------------------------------------------------------------- memory */

static int
by_due(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz left = pairingheap_const_container(Task, heap, a)->due;
	TimestampTz right = pairingheap_const_container(Task, heap, b)->due;

	return left < right ? 1 : left > right ? -1 : 0;
}

void
task_init(void)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Task), .hcxt = TopMemoryContext};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	tasks = hash_create("storesync tasks", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	waiting = pairingheap_allocate(by_due, NULL);
	MemoryContextSwitchTo(old);
}

static TaskShelf *
shelf_of(const Task *task)
{
	return &task->store->tasks[task->how->sort];
}

static void
unlink_phase(Task *task)
{
	if (task->phase == TASK_WAITING)
		pairingheap_remove(waiting, &task->heap);
	else
		dlist_delete(&task->node);
}

static void
put_waiting(Task *task, TimestampTz due)
{
	task->phase = TASK_WAITING;
	task->due = due;
	pairingheap_add(waiting, &task->heap);
}

static void
put_in(Task *task, TaskPhase phase)
{
	task->phase = phase;
	dlist_push_tail(phase == TASK_READY ? &ready : &running, &task->node);
}

void
task_forget(Task *task)
{
	unlink_phase(task);
	shelf_of(task)->n--;
	(void) hash_search(tasks, &task->id, HASH_REMOVE, NULL);
}

/* The columns of an open task, in the order of OPEN_COLUMNS. */
#define OPEN_COLUMNS \
	"t.task_id, t.store_id, t.kind, coalesce((t.payload ->> 'listing')::numeric::bigint, 0) AS listing, t.attempts, " \
	"coalesce(t.next_at, '-infinity') AS due "

/* remember takes one open task into memory, where there is room for it. */
static void
remember(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	bool		found;
	int64		id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	DispatchStore *store = stores_find(DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull)));
	char	   *kind = SPI_getvalue(row, desc, 3);
	TimestampTz due = DatumGetTimestampTz(SPI_getbinval(row, desc, 6, &isnull));
	const TaskKind *how = task_kind(kind);
	TaskShelf  *shelf;
	Task	   *task;

	if (hash_search(tasks, &id, HASH_FIND, NULL) != NULL)
		return;
	if (store == NULL)
	{
		task_event_dead(id, DatumGetInt32(SPI_getbinval(row, desc, 2, &isnull)), kind, OUTCOME_PERMANENT,
						DatumGetInt32(SPI_getbinval(row, desc, 5, &isnull)), NO_STORE, NULL);
		return;
	}
	shelf = &store->tasks[how->sort];
	if (shelf->n >= TASK_ROOM)
	{
		shelf->reload |= due < shelf->latest;
		shelf->more = true;
		return;
	}
	task = hash_search(tasks, &id, HASH_ENTER, &found);
	task->store = store;
	strlcpy(task->kind, kind, sizeof(task->kind));
	task->how = how;
	task->listing_id = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
	task->attempts = DatumGetInt32(SPI_getbinval(row, desc, 5, &isnull));
	task->told = false;
	task->look = false;
	task->ticket = 0;
	task->doing = NULL;
	shelf->n++;
	shelf->latest = Max(shelf->latest, due);
	put_waiting(task, due);
}

static void
remember_selected(void)
{
	for (uint64 i = 0; i < SPI_processed; i++)
		remember(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

/* forget_waiting makes room on a shelf for tasks that are due earlier. */
static void
forget_waiting(TaskShelf *shelf)
{
	HASH_SEQ_STATUS scan;
	Task	   *task;

	hash_seq_init(&scan, tasks);
	while ((task = hash_seq_search(&scan)) != NULL)
		if (shelf_of(task) == shelf && task->phase != TASK_RUNNING)
			task_forget(task);
	shelf->latest = DT_NOBEGIN;
	shelf->more = false;
	shelf->reload = false;
}

void
task_renew(void)
{
	static SPIPlanPtr plan = NULL;

	partition_ensure("task_event", GetCurrentTimestamp());
	ss_execute(&plan, "SELECT storesync.carry_tasks('-infinity')", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
}

void
task_load(int store_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT4OID, TEXTARRAYOID, INT8ARRAYOID};
	Datum		values[] = {
		Int32GetDatum(store_id), Int32GetDatum(TASK_ROOM + 1), task_kind_names(), task_kind_sorts()
	};

	for (int i = 0; i < stores_count(); i++)
		for (int sort = 0; sort < TASK_SORTS; sort++)
			if (store_id == 0 || stores_nth(i)->store_id == store_id)
				forget_waiting(&stores_nth(i)->tasks[sort]);
	ss_execute(&plan,
			   "SELECT x.task_id, x.store_id, x.kind, x.listing, x.attempts, x.due FROM ("
			   "SELECT " OPEN_COLUMNS ", row_number() OVER (PARTITION BY t.store_id, k.sort "
			   "ORDER BY t.next_at NULLS FIRST, t.task_id) AS place "
			   "FROM (SELECT DISTINCT ON (o.task_id) o.* FROM storesync.task_open o "
			   "WHERE $1 = 0 OR o.store_id = $1 ORDER BY o.task_id, o.at DESC) t "
			   "LEFT JOIN unnest($3, $4) AS k (kind, sort) ON k.kind = t.kind) x "
			   "WHERE x.place <= $2 ORDER BY x.due, x.task_id",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	remember_selected();
}

void
task_take(SsSet *ids)
{
	static SPIPlanPtr plan = NULL;

	if (ids->rows == 0)
		return;
	set_execute(&plan,
				"SELECT " OPEN_COLUMNS "FROM (SELECT DISTINCT ON (o.task_id) o.* FROM storesync.task_open o "
				"WHERE o.task_id = ANY ($1) AND $2 IS NOT NULL ORDER BY o.task_id, o.at DESC) t ORDER BY due, t.task_id",
				SPI_OK_SELECT, ids);
	remember_selected();
}

static bool
shelf_wants(const TaskShelf *shelf)
{
	return shelf->reload || (shelf->more && shelf->n <= TASK_ROOM / 2);
}

/* reload_shelves reads again the stores of which there is more in the table, when there is room or haste. */
static void
reload_shelves(TimestampTz now)
{
	for (int i = 0; i < stores_count(); i++)
	{
		DispatchStore *store = stores_nth(i);
		bool		wanted = false;

		for (int sort = 0; sort < TASK_SORTS; sort++)
			wanted |= shelf_wants(&store->tasks[sort]);
		if (!wanted || now < store->tasks_read_at + RELOAD_US)
			continue;
		store->tasks_read_at = now;
		task_load(store->store_id);
	}
}

TimestampTz
task_due(void)
{
	TimestampTz due = DT_NOEND;

	if (!pairingheap_is_empty(waiting))
		due = pairingheap_container(Task, heap, pairingheap_first(waiting))->due;
	if (!dlist_is_empty(&running))
		due = Min(due, looked_at + LOOK_US);
	due = Min(due, held_due);
	for (int i = 0; i < stores_count(); i++)
		for (int sort = 0; sort < TASK_SORTS; sort++)
			if (shelf_wants(&stores_nth(i)->tasks[sort]))
				due = Min(due, stores_nth(i)->tasks_read_at + RELOAD_US);
	return due;
}

/* ---------------------------------------------------------------- ends */

void
task_close_done(Task *task, const char *detail)
{
	task_event_add(task->id, "done", NULL, Max(task->attempts, 1), 0, detail, NULL);
	task_forget(task);
}

static void
close_dead(Task *task, OutcomeClass class, const char *reason, const char *attempt)
{
	task_event_dead(task->id, task->store->store_id, task->kind, class, task->attempts, reason, attempt);
	dispatch_count(SS_TASKS_DEAD, 1);
	task_forget(task);
}

void
task_close_dead(Task *task, OutcomeClass class, const char *reason)
{
	close_dead(task, class, reason, NULL);
}

void
task_fail(Task *task, TimestampTz now, OutcomeClass class, const char *reason, const char *attempt)
{
	TimestampTz due = now + retry_delay_us(task->attempts);

	if (class == OUTCOME_PERMANENT || task->attempts >= QUEUE_MAX_ATTEMPTS)
	{
		close_dead(task, class, reason, attempt);
		return;
	}
	task_event_add(task->id, "waiting", outcome_name(class), task->attempts, due, reason, attempt);
	task->told = false;
	unlink_phase(task);
	put_waiting(task, due);
}

void
task_tell(Task *task)
{
	if (task->told)
		return;
	task->told = true;
	task_event_add(task->id, "sent", NULL, ++task->attempts, 0, NULL, NULL);
}

void
task_progress(Task *task, const char *progress, const char *detail)
{
	/* what it failed at is behind it */
	task->attempts = 1;
	task_event_progress(task->id, task->attempts, progress, detail);
}

bool
task_others_wait(const Task *task)
{
	dlist_iter	iter;

	dlist_foreach(iter, &ready)
	{
		const Task *other = dlist_container(Task, node, iter.cur);

		if (other->store == task->store && other->how->sort == task->how->sort && other->store->fetches)
			return true;
	}
	return false;
}

void
task_step_back(Task *task)
{
	unlink_phase(task);
	put_in(task, TASK_READY);
}

/* ---------------------------------------------------------------- rounds */

/* take_up begins what the task's store may do now, and leaves the others ready. */
static void
take_up(Task *task, TimestampTz now, SsSet *again)
{
	TimestampTz held = peak_task_due(task->store, task->kind, task->id);

	if (held > now)
	{
		held_due = Min(held_due, held);
		return;
	}
	if (task->how->begin(task, now, again) != TASK_BEGUN)
		return;
	unlink_phase(task);
	put_in(task, TASK_RUNNING);
}

void
task_begin(TimestampTz now, SsSet *again)
{
	dlist_mutable_iter iter;

	reload_shelves(now);
	held_due = DT_NOEND;
	while (!pairingheap_is_empty(waiting))
	{
		Task	   *task = pairingheap_container(Task, heap, pairingheap_first(waiting));

		if (task->due > now)
			break;
		unlink_phase(task);
		put_in(task, TASK_READY);
	}
	dlist_foreach_modify(iter, &ready)
	{
		Task	   *task = dlist_container(Task, node, iter.cur);

		if (!task->store->present)
			task_close_dead(task, OUTCOME_PERMANENT, NO_STORE);
		else
			take_up(task, now, again);
	}
}

void
task_settle(TimestampTz now, const SsSet *again)
{
	bool		all = looked_at + LOOK_US <= now;
	dlist_mutable_iter iter;

	if (!dlist_is_empty(&running))
	{
		task_settle_pushes(&running, again, all);
		dlist_foreach_modify(iter, &running)
		{
			Task	   *task = dlist_container(Task, node, iter.cur);

			if (task->how->settle != NULL)
				task->how->settle(task, now);
		}
	}
	if (all)
		looked_at = now;
	task_event_write();
}
