/*
 * dispatcher.c
 *		The worker process of one database: orders in, quantities out.
 *
 * It sleeps in one WaitEventSet whose members never change (latch, death of
 * the postmaster, the descriptor that holds curl's sockets) until the nearest
 * due time, and runs no statement without a reason. What there is to do is
 * done in rounds (round.c). The calls that a round has built start when its
 * commit is durable: no transaction, no snapshot and no lock is held while a
 * platform answers. Commits do not wait for the disk: the launcher flushes
 * while sockets are served, and one flush is shared by all rounds that came
 * meanwhile.
 *
 * Nothing here is remembered for good. At start all listings are compared;
 * after any error the process ends and another one starts from the tables.
 */
#include "dispatcher.h"

#include "access/xlog.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "breaker.h"
#include "drift.h"
#include "due.h"
#include "intake.h"
#include "partition.h"
#include "rate.h"
#include "retry.h"
#include "rollup_due.h"
#include "rotation.h"
#include "round.h"
#include "search_runs.h"
#include "task.h"
#include "token.h"
#include "version.h"
#include "work.h"
#include "worker.h"

/* The heartbeat is at most this old, also when there is nothing to do. */
#define HEARTBEAT_US	(10 * USECS_PER_SEC)
/* Partitions are made for the days to come, and looked after once a day; when somebody else is at it, soon again. */
#define PARTITIONS_AHEAD_US (7 * USECS_PER_DAY)
#define PARTITIONS_AGAIN_US USECS_PER_MINUTE
/* Pause of a store whose call the HTTP engine refused. */
#define NO_ROOM_US		(100 * USECS_PER_SEC / 1000)
/* Calls wait this long for the launcher to flush what they depend on. */
#define FLUSH_WAIT_US	(100 * USECS_PER_SEC / 1000)

extern PGDLLEXPORT void storesync_dispatcher_main(Datum argument);

Dispatch	dispatch = {
	.ready = DLIST_STATIC_INIT(dispatch.ready),
	.ended = DLIST_STATIC_INIT(dispatch.ended)
};

static TimestampTz partitions_due = 0;
static TimestampTz rotation_due = 0;
static XLogRecPtr flush_asked = InvalidXLogRecPtr;	/* the launcher has been asked to flush so far */
static XLogRecPtr flush_oldest = InvalidXLogRecPtr;	/* what the call that waits longest waits for */
static TimestampTz flush_wait_from = 0; /* it was not durable yet */

void
dispatch_count(SsCounter counter, int64 n)
{
	if (n > 0)
		pg_atomic_fetch_add_u64(&dispatch.slot->counters[counter], n);
}

void
dispatch_ready(DispatchCall *call)
{
	dlist_push_tail(&dispatch.ready, &call->node);
	dispatch.n_ready++;
	call->probe = call->store->probing;
	call->store->probing = false;
	call->store->in_flight++;
	dispatch.in_flight++;
}

void
dispatch_committed(void)
{
	dlist_iter	iter;
	XLogRecPtr	committed = XactLastCommitEnd;

	dlist_reverse_foreach(iter, &dispatch.ready)
	{
		DispatchCall *call = dlist_container(DispatchCall, node, iter.cur);

		if (call->committed != InvalidXLogRecPtr)
			return;
		call->committed = committed;
	}
}

void
dispatch_ended(DispatchCall *call)
{
	if (dispatch.n_ended++ == 0)
		dispatch.ended_since = GetCurrentTimestamp();
	dlist_push_tail(&dispatch.ended, &call->node);
}

/* make_partitions makes those of the days to come, in a transaction of its own. */
static void
make_partitions(TimestampTz now)
{
	SsSession	session;
	bool		made;

	worker_begin("storesync: making partitions");
	ss_enter(&session, "storesync dispatcher", true);
	made = partition_ensure_ahead(now + PARTITIONS_AHEAD_US);
	ss_leave(&session);
	worker_commit();
	partitions_due = now + (made ? USECS_PER_DAY : PARTITIONS_AGAIN_US);
	dispatch_count(SS_STATEMENTS, 1);
}

/* ---------------------------------------------------------------- calls */

/*
 * durable_through says up to where commits are durable. Those that calls wait
 * for are flushed by the launcher, unless somebody else has done so: while
 * this process flushes it serves no socket. With no call on its way nobody
 * waits for it, and the detour is saved. A launcher that does not answer is
 * waited for as long as the oldest call may wait: asking it for more, as each
 * round does, gives it no more time.
 */
static XLogRecPtr
durable_through(bool idle)
{
	XLogRecPtr	oldest = dlist_container(DispatchCall, node, dlist_head_node(&dispatch.ready))->committed;
	XLogRecPtr	last = dlist_container(DispatchCall, node, dlist_tail_node(&dispatch.ready))->committed;
	XLogRecPtr	durable = SsGetFlushRecPtr();
	TimestampTz now;
	bool		alone = idle && dispatch.in_flight == dispatch.n_ready && flush_asked < last;

	if (durable >= last)
		return durable;
	now = GetCurrentTimestamp();
	if (oldest != flush_oldest)
		flush_wait_from = now;
	flush_oldest = oldest;
	if (!alone && now >= flush_wait_from && now < flush_wait_from + FLUSH_WAIT_US)
	{
		if (flush_asked >= last)
			return durable;
		flush_asked = last;
		if (shmem_ask_flush(dispatch.slot, last))
			return durable;
	}
	XLogFlush(last);
	return last;
}

/* start_calls starts the calls whose round is durable; `idle` says that nothing else is to be done. */
static void
start_calls(bool idle)
{
	XLogRecPtr	durable;

	if (dlist_is_empty(&dispatch.ready))
		return;
	durable = durable_through(idle);
	while (!dlist_is_empty(&dispatch.ready))
	{
		DispatchCall *call = dlist_container(DispatchCall, node, dlist_head_node(&dispatch.ready));

		if (call->committed > durable)
			return;
		dlist_delete(&call->node);
		dispatch.n_ready--;
		if (call_start(call, dispatch.engine))
		{
			rate_leaves(call->store->store_id, &call->grant);
			continue;
		}
		call->store->in_flight--;
		dispatch.in_flight--;
		if (call->probe)
			host_unprobed(call->host, &call->store->own);
		call->store->token_due = GetCurrentTimestamp() + NO_ROOM_US;
		work_of(call)->give_back(call);
	}
}

/*
 * tell_host: an answer of a gateway (5xx) comes from nobody who could have
 * done anything. When the host is back its stores' fetches need not wait.
 */
static void
tell_host(DispatchCall *call)
{
	DispatchHost *host = call->host;
	bool		reached = call->complete && call->http_status < 500;

	if (host_told(host, &call->store->own, reached, call->probe, call->answered_at, call->answer.message))
		for (int i = 0; i < stores_count(); i++)
			if (stores_nth(i)->host == host)
				intake_hasten(stores_nth(i));
	call->host_away = !reached && (host->breaker.open || call->store->own.open);
}

/* take_answers drives the engine and hands on what came; what has to be stored at once is, in transactions of its own. */
static void
take_answers(void)
{
	DispatchCall *call;
	void		(*answered) (DispatchCall *call);

	http_drive(dispatch.engine);
	while ((call = call_finished(dispatch.engine)) != NULL)
	{
		call->store->in_flight--;
		dispatch.in_flight--;
		tell_host(call);
		answered = work_of(call)->answered;
		if (answered != NULL)
			answered(call);
		else
			dispatch_ended(call);
	}
}

/* ---------------------------------------------------------------- the process */

static void
show_state(TimestampTz now)
{
	int			waiting = queue_waiting();
	int			flying = queue_flying();

	pg_atomic_write_u64(&dispatch.slot->heartbeat, (uint64) now);
	pg_atomic_write_u64(&dispatch.slot->gauges[SS_QUEUED], queue_count() - waiting - flying);
	pg_atomic_write_u64(&dispatch.slot->gauges[SS_BACKING_OFF], waiting);
	pg_atomic_write_u64(&dispatch.slot->gauges[SS_IN_FLIGHT], dispatch.in_flight);
	pg_atomic_write_u64(&dispatch.slot->gauges[SS_STORES], stores_count());
	for (int i = 0; i < stores_count(); i++)
		store_show(stores_nth(i));
}

/* upkeep_due is when the next of what upkeep() does is due. */
static TimestampTz
upkeep_due(void)
{
	if (!stores_in_charge())
		return DT_NOEND;
	return Min(Min(search_due(), rotation_due), Min(due_at(), rollup_due()));
}

/* upkeep does what nobody asked for and time brings: a portion of each kind that is due. */
static void
upkeep(void)
{
	if (search_due() <= GetCurrentTimestamp())
		search_run_step(GetCurrentTimestamp());
	if (rotation_due <= GetCurrentTimestamp())
		rotation_due = rotation_run(GetCurrentTimestamp());
	if (due_at() <= GetCurrentTimestamp())
		due_run(GetCurrentTimestamp());
	if (rollup_due() <= GetCurrentTimestamp())
		rollup_run(GetCurrentTimestamp());
}

/* wait_ms is the time until the nearest due thing, curl's own timers among them. */
static long
wait_ms(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due = Min(Min(round_due(), upkeep_due()), Min(Min(partitions_due, token_save_due()), now + HEARTBEAT_US));
	long		ms;
	long		http_ms = http_timeout_ms(dispatch.engine);

	if (!dlist_is_empty(&dispatch.ready))
		due = Min(due, flush_wait_from + FLUSH_WAIT_US);
	ms = due <= now ? 0 : (long) ((due - now + 999) / 1000);
	return http_ms >= 0 && http_ms < ms ? http_ms : ms;
}

/* sql_release returns the release of this database's SQL objects, 0 for none. */
static int
sql_release(const char *activity)
{
	int			release;

	worker_begin(activity);
	release = ss_sql_version();
	worker_commit();
	return release;
}

/*
 * starting_release returns the release that this process starts with, 0 where
 * there is no extension. That it is not the library's is said once a start.
 */
static int
starting_release(const char *database)
{
	int			release = sql_release("storesync: starting");

	if (release == 0)
		ereport(LOG, (errmsg("extension \"storesync\" is not installed in database \"%s\"", database)));
	else if (release != SS_LIBRARY)
		ereport(LOG,
				(errmsg("the SQL objects of storesync in database \"%s\" are of release %s, the library is of release %s",
						database, ss_release_text(release), ss_release_text(SS_LIBRARY)),
				 release < SS_LIBRARY ?
				 errhint("What is new in the library rests until \"ALTER EXTENSION storesync UPDATE\" is run there.") :
				 errhint("Install the library of that release, and restart the server.")));
	return release;
}

/* check_release ends the process when the SQL objects were upgraded, or dropped: the next one starts with what there is. */
static void
check_release(int started_with)
{
	int			release;

	/* some other work may have looked meanwhile */
	if (!ss_sql_maybe_changed() && ss_sql_known() == started_with)
		return;
	release = sql_release("storesync: looking at the release");
	if (release == started_with)
		return;
	if (release != 0)
		ereport(LOG,
				(errmsg("the SQL objects of storesync are of release %s now, the dispatcher starts again",
						ss_release_text(release))));
	proc_exit(1);
}

static bool
acquire_descriptor(void)
{
	return AcquireExternalFD();
}

static void
release_descriptor(void)
{
	ReleaseExternalFD();
}

static WaitEventSet *
set_up(const char *database)
{
	HttpDescriptors descriptors = {acquire_descriptor, release_descriptor};
	WaitEventSet *set;

	dispatch.slot = shmem_attach_dispatcher(database);
	pg_atomic_write_u32(&dispatch.slot->prepared, 1);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("application_name", "storesync dispatcher", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
	round_init();
	queue_init();
	read_back_init();
	breaker_init();
	drift_init();
	task_init();
	retry_seed((uint64) GetCurrentTimestamp() ^ ((uint64) MyProcPid << 32));

	dispatch.room = ss_max_in_flight;
	dispatch.engine = http_create(dispatch.room, psprintf("storesync/%s", ss_release_text(SS_LIBRARY)), descriptors);
	if (dispatch.engine == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not set up the HTTP engine")));
	set = SsCreateWaitEventSet(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, http_fd(dispatch.engine), NULL, NULL);
	return set;
}

/* wait_name is what pg_stat_activity says of the dispatcher while it waits: for platforms to answer, or for work. */
static uint32
wait_name(void)
{
	static uint32 answers = 0;
	static uint32 work = 0;

	if (work == 0)
	{
		answers = SsWaitEvent("StoresyncAnswers");
		work = SsWaitEvent("StoresyncWork");
	}
	return dispatch.in_flight > 0 ? answers : work;
}

void
storesync_dispatcher_main(Datum argument)
{
	const char *database = worker_connect();
	WaitEventSet *set;
	WaitEvent	event;
	bool		idle;
	int			release = starting_release(database);

	if (release == 0)
		proc_exit(0);
	set = set_up(database);
	for (;;)
	{
		/*
		 * A wait for a lock, in a round or while orders are booked, takes the
		 * latch of those who wake us; what they said is looked at before each
		 * wait and after it.
		 */
		round_ask(shmem_take_wake(dispatch.slot), worker_interrupts());
		idle = WaitEventSetWait(set, wait_ms(), &event, 1, wait_name()) == 0;
		ResetLatch(MyLatch);
		round_ask(shmem_take_wake(dispatch.slot), worker_interrupts());
		worker_check_clock("dispatcher");
		check_release(release);
		take_answers();
		if (token_save_due() <= GetCurrentTimestamp())
			token_save_again(GetCurrentTimestamp());
		if (partitions_due <= GetCurrentTimestamp())
			make_partitions(GetCurrentTimestamp());
		if (round_due() <= GetCurrentTimestamp())
		{
			round_run(GetCurrentTimestamp());
			search_ask(GetCurrentTimestamp());
		}
		if (upkeep_due() <= GetCurrentTimestamp())
			upkeep();
		start_calls(idle && round_due() > GetCurrentTimestamp());
		show_state(GetCurrentTimestamp());
	}
}
