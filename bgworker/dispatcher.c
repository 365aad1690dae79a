/*
 * dispatcher.c
 *		The worker process of one database: orders in, quantities out.
 *
 * It sleeps in one WaitEventSet whose members never change (latch, death of
 * the postmaster, the descriptor that holds curl's sockets) until the nearest
 * due time, and runs no statement without a reason. What there is to do is
 * done in rounds: one short transaction that records the calls that ended,
 * reads what committed, compares the listings that it concerns and builds the
 * next calls. Calls start after the commit: no transaction, no snapshot and
 * no lock is held while a platform answers.
 *
 * Nothing here is remembered for good. At start all listings are compared;
 * after any error the process ends and another one starts from the tables.
 */
#include "dispatcher.h"

#include "access/xact.h"
#include "commands/extension.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "feed.h"
#include "intake.h"
#include "partition.h"
#include "push.h"
#include "rate.h"
#include "retry.h"
#include "target.h"
#include "worker.h"

/* The heartbeat is at most this old, also when there is nothing to do. */
#define HEARTBEAT_US	(10 * USECS_PER_SEC)
/* While a prepared transaction may have written here, the outbox is read this often. */
#define PREPARED_US		USECS_PER_SEC
/* Without a Retry-After, a throttled store is left alone for this time. */
#define THROTTLE_US		USECS_PER_SEC
/* Partitions are made for the days to come, and looked after once a day; when somebody else is at it, soon again. */
#define PARTITIONS_AHEAD_US (7 * USECS_PER_DAY)
#define PARTITIONS_AGAIN_US USECS_PER_MINUTE
/* Pause of a store whose call the HTTP engine refused. */
#define NO_ROOM_US		(100 * USECS_PER_SEC / 1000)

extern PGDLLEXPORT void storesync_dispatcher_main(Datum argument);

static SsDatabase *slot = NULL;
static HttpEngine *engine = NULL;
static int	engine_room = 0;
static MemoryContext round_context = NULL;

static dlist_head ready = DLIST_STATIC_INIT(ready); /* built, started after the commit */
static dlist_head ended = DLIST_STATIC_INIT(ended); /* answered, recorded by the next round */
static int	in_flight = 0;		/* built or under way */

/* What the next round has to do besides. */
static bool starting = true;
static bool look = false;		/* somebody committed */
static bool reload = false;		/* read the stores again and compare everything */
static TimestampTz prepared_due = 0;	/* when to look for the sake of prepared transactions */
static TimestampTz partitions_due = 0;
static int	first_store = 0;	/* round robin */

void
dispatch_count(SsCounter counter, int64 n)
{
	if (n > 0)
		pg_atomic_fetch_add_u64(&slot->counters[counter], n);
}

void
dispatch_count_answer(const DispatchCall *call)
{
	switch (call->answer.class)
	{
		case OUTCOME_OK:
		case OUTCOME_PARTIAL:
			dispatch_count(SS_CALLS_OK, 1);
			break;
		case OUTCOME_THROTTLED:
			dispatch_count(SS_CALLS_THROTTLED, 1);
			break;
		default:
			dispatch_count(SS_CALLS_FAILED, 1);
			break;
	}
}

void
dispatch_ready(DispatchCall *call)
{
	dlist_push_tail(&ready, &call->node);
	call->store->in_flight++;
	in_flight++;
}

void
dispatch_ended(DispatchCall *call)
{
	dlist_push_tail(&ended, &call->node);
}

bool
dispatch_hold_store(const DispatchCall *call)
{
	DispatchStore *store = call->store;
	int64		hold = call->answer.retry_after > 0 ?
	Min(call->answer.retry_after, SECS_PER_DAY) * USECS_PER_SEC : THROTTLE_US;

	switch (call->answer.class)
	{
		case OUTCOME_THROTTLED:
			rate_hold_store(store->store_id, hold);
			store->token_due = call->answered_at + hold;
			return true;
		case OUTCOME_QUOTA:
			store_trouble(store, TROUBLE_QUOTA, retry_quota_reset(call->answered_at), call->answer.message);
			return true;
		case OUTCOME_AUTH:
			store_trouble(store, TROUBLE_AUTH, call->answered_at + STORE_AUTH_WAIT_US, call->answer.message);
			return true;
		default:
			return false;
	}
}

/* ---------------------------------------------------------------- when */

static bool
has_room(const DispatchStore *store)
{
	return store->in_flight < STORE_MAX_IN_FLIGHT && in_flight < Min(engine_room, ss_max_in_flight);
}

static bool
wants_push(const DispatchStore *store)
{
	return store->writes != WRITES_NONE && !queue_lanes_empty(&store->lanes);
}

/* store_due says when the store's next call can be made as far as is known now. */
static TimestampTz
store_due(const DispatchStore *store)
{
	TimestampTz due;

	if (!has_room(store))
		return DT_NOEND;
	due = wants_push(store) ? 0 : intake_due(store);
	return Max(due, Max(store->waits_until, store->token_due));
}

static TimestampTz
stores_due(void)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < stores_count(); i++)
		due = Min(due, store_due(stores_nth(i)));
	return due;
}

/* round_due says when the next round has work; 0 is now. */
static TimestampTz
round_due(void)
{
	TimestampTz due = Min(stores_due(), Min(queue_next_due(), feed_store_due()));

	if (starting || look || reload || !dlist_is_empty(&ended) ||
		(target_overflow && queue_count() < QUEUE_MAX / 2))
		return 0;
	if (pg_atomic_read_u32(&slot->prepared) != 0)
		due = Min(due, prepared_due);
	return due;
}

/* ---------------------------------------------------------------- a round */

/*
 * watch_prepared keeps the mark while prepared transactions are there. It is
 * cleared before they are looked for, and they before the outbox is read: one
 * that commits in between is seen by one or the other.
 */
static void
watch_prepared(TimestampTz now)
{
	static SPIPlanPtr plan = NULL;

	if (pg_atomic_read_u32(&slot->prepared) == 0 || now < prepared_due)
		return;
	pg_atomic_write_u32(&slot->prepared, 0);
	ss_execute(&plan, "SELECT FROM pg_prepared_xacts WHERE database = current_database()",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	if (SPI_processed > 0)
		pg_atomic_write_u32(&slot->prepared, 1);
	prepared_due = now + PREPARED_US;
	look = true;
}

/* settle_ended records the calls that ended and gathers the listings to be compared again. */
static void
settle_ended(Columns *again)
{
	Record		record;

	record_init(&record, round_context);
	while (!dlist_is_empty(&ended))
	{
		DispatchCall *call = dlist_container(DispatchCall, node, dlist_pop_head_node(&ended));

		if (call->call.kind == CALL_PUSH_STOCK)
			push_settle(call, &record, again);
		else
			intake_settle(call, &record);
	}
	dispatch_count(SS_TASKS_DEAD, record_write(&record));
}

/* read_changes brings stores and queue in line with what has committed. */
static void
read_changes(Columns *again)
{
	Feed		feed;

	if (starting)
	{
		feed_start();
		reload = true;
	}
	else if (look)
	{
		feed_read(&feed, round_context);
		reload |= feed.everything;
		for (int i = 0; i < feed.listings.n; i++)
		{
			Datum		values[2] = {feed.listings.values[0][i], feed.listings.values[1][i]};

			columns_add(again, values, NULL);
		}
		if (feed.stores.n > 0 && !reload)
		{
			stores_load();
			for (int i = 0; i < feed.stores.n; i++)
				target_compare_all((int) DatumGetInt64(feed.stores.values[0][i]));
		}
	}
	if (reload)
		stores_load();
	if (reload || (target_overflow && queue_count() < QUEUE_MAX / 2))
		target_compare_all(0);
	else if (look)
		target_compare(&feed.skus, again);
	else
		target_compare(NULL, again);
	starting = false;
	look = false;
	reload = false;
}

/*
 * next_is_fetch: orders come first, but while quantities wait they take at
 * most every other call, so that neither starves the other.
 */
static bool
next_is_fetch(const DispatchStore *store, TimestampTz now)
{
	if (intake_due(store) > now)
		return false;
	return !wants_push(store) || !store->fetched_last;
}

/* build_for takes a token for the store and builds or picks its next call. False when it got none. */
static bool
build_for(DispatchStore *store, TimestampTz now, PushPick *picks, int *n_picks)
{
	int64		wait;

	if (store_due(store) > now)
		return false;
	wait = rate_take_store(store->store_id, 1);
	if (wait > 0)
	{
		store->token_due = GetCurrentTimestamp() + Max(wait, 1000);
		return false;
	}
	store->fetched_last = next_is_fetch(store, now);
	if (store->fetched_last)
		intake_build(store);
	else
	{
		push_pick(store, &picks[(*n_picks)++]);
		store->in_flight++;
		in_flight++;
	}
	return true;
}

/* build_calls goes round the stores, a call each, as long as any may make one. */
static void
build_calls(TimestampTz now)
{
	int			n = stores_count();
	int			n_picks = 0;
	bool		any = n > 0;
	PushPick   *picks = MemoryContextAlloc(round_context, (engine_room + 1) * sizeof(PushPick));

	while (any)
	{
		any = false;
		for (int i = 0; i < n; i++)
			any |= build_for(stores_nth((first_store + i) % n), now, picks, &n_picks);
	}
	first_store = n > 0 ? (first_store + 1) % n : 0;
	for (int i = 0; i < n_picks; i++)
		picks[i].store->in_flight--;
	in_flight -= n_picks;
	push_build(picks, n_picks);
}

/* run_round is one transaction. The snapshot that feed_read takes must see nothing of it but what it wrote before. */
static void
run_round(TimestampTz now)
{
	static const Oid pair[] = {INT8OID, TIMESTAMPTZOID};
	SsSession	session;
	Columns		again;

	MemoryContextReset(round_context);
	columns_init(&again, round_context, lengthof(pair), pair);
	worker_begin("storesync: dispatching");
	ss_enter(&session, "storesync dispatcher", true);
	watch_prepared(now);
	settle_ended(&again);
	read_changes(&again);
	queue_release_due(now);
	build_calls(now);
	if (feed_store_due() <= now)
		feed_store();
	ss_leave(&session);
	worker_commit();
	dispatch_count(SS_CYCLES, 1);
	dispatch_count(SS_STATEMENTS, 1);
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

static void
start_calls(void)
{
	while (!dlist_is_empty(&ready))
	{
		DispatchCall *call = dlist_container(DispatchCall, node, dlist_pop_head_node(&ready));

		if (call_start(call, engine))
			continue;
		call->store->in_flight--;
		in_flight--;
		call->store->token_due = GetCurrentTimestamp() + NO_ROOM_US;
		if (call->call.kind == CALL_PUSH_STOCK)
			push_return(call);
		else
			intake_return(call);
	}
}

/* take_answers drives the engine and books the orders that came, each answer in its own transaction. */
static void
take_answers(void)
{
	DispatchCall *call;

	http_drive(engine);
	while ((call = call_finished(engine)) != NULL)
	{
		call->store->in_flight--;
		in_flight--;
		dlist_push_tail(&ended, &call->node);
		if (call->call.kind == CALL_GET_ORDERS &&
			(call->answer.class == OUTCOME_OK || call->answer.class == OUTCOME_PARTIAL))
			intake_ingest(call);
	}
}

/* ---------------------------------------------------------------- the process */

static void
show_state(TimestampTz now)
{
	int			waiting = queue_waiting();
	int			flying = queue_flying();

	pg_atomic_write_u64(&slot->heartbeat, (uint64) now);
	pg_atomic_write_u64(&slot->gauges[SS_QUEUED], queue_count() - waiting - flying);
	pg_atomic_write_u64(&slot->gauges[SS_BACKING_OFF], waiting);
	pg_atomic_write_u64(&slot->gauges[SS_IN_FLIGHT], in_flight);
	pg_atomic_write_u64(&slot->gauges[SS_STORES], stores_count());
}

/* wait_ms is the time until the nearest due thing, curl's own timers among them. */
static long
wait_ms(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz due = Min(Min(round_due(), partitions_due), now + HEARTBEAT_US);
	long		ms = due <= now ? 0 : (long) ((due - now + 999) / 1000);
	long		http_ms = http_timeout_ms(engine);

	return http_ms >= 0 && http_ms < ms ? http_ms : ms;
}

static bool
extension_exists(void)
{
	bool		exists;

	worker_begin("storesync: starting");
	exists = OidIsValid(get_extension_oid("storesync", true));
	worker_commit();
	return exists;
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

	slot = shmem_attach_dispatcher(database);
	pg_atomic_write_u32(&slot->prepared, 1);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
	round_context = AllocSetContextCreate(TopMemoryContext, "storesync round", ALLOCSET_DEFAULT_SIZES);
	queue_init();
	retry_seed((uint64) GetCurrentTimestamp() ^ ((uint64) MyProcPid << 32));

	engine_room = ss_max_in_flight;
	engine = http_create(engine_room, "storesync/1.0", descriptors);
	if (engine == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not set up the HTTP engine")));
	set = SsCreateWaitEventSet(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, http_fd(engine), NULL, NULL);
	return set;
}

void
storesync_dispatcher_main(Datum argument)
{
	const char *database = worker_connect();
	WaitEventSet *set;
	WaitEvent	event;

	if (!extension_exists())
	{
		ereport(LOG, (errmsg("extension \"storesync\" is not installed in database \"%s\"", database)));
		proc_exit(0);
	}
	set = set_up(database);
	for (;;)
	{
		(void) WaitEventSetWait(set, wait_ms(), &event, 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		reload |= worker_interrupts();
		look |= shmem_take_wake(slot);
		take_answers();
		if (partitions_due <= GetCurrentTimestamp())
			make_partitions(GetCurrentTimestamp());
		if (round_due() <= GetCurrentTimestamp())
			run_round(GetCurrentTimestamp());
		start_calls();
		show_state(GetCurrentTimestamp());
	}
}
