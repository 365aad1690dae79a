/*
 * round.c
 *		What the dispatcher does when it is awake, in one short transaction:
 *		record the calls that ended, read what committed, compare the
 *		listings that it concerns, build the next calls.
 *
 * Calls are only built here; they start when the commit is durable. Nothing waits.
 */
#include "round.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

#include "breaker.h"
#include "dispatcher.h"
#include "due.h"
#include "feed.h"
#include "price.h"
#include "push.h"
#include "rate.h"
#include "rollup_due.h"
#include "share.h"
#include "target.h"
#include "task.h"
#include "task_event.h"
#include "token.h"
#include "verify.h"
#include "work.h"
#include "worker.h"

/* Stores whose tokens come this close together ask together, so that it is their turn that counts. */
#define TOKEN_SLACK_US	(2 * USECS_PER_SEC / 1000)
/* While a prepared transaction may have written here, the outbox is read this often. */
#define PREPARED_US		USECS_PER_SEC

/*
 * What a round takes up at most of answers, of new calls and of what has
 * changed, so that calls leave while the rest is still to be looked at, and
 * do not all come back at one time for ever.
 */
#define ROUND_CALLS		64
#define ROUND_SKUS		128
#define ROUND_LISTINGS	1024

/* While many calls are under way a round waits for so many answers, but not longer than this. */
#define ENDED_ENOUGH	16
#define ENDED_PATIENCE_US	(USECS_PER_SEC / 1000)

/* Where changes come faster than they are compared all is compared at once, as where one read finds more. */
#define CHANGED_MAX		FEED_MAX

/* How often in a round a token is tried on other listings when those picked need no call. */
#define PICK_PASSES		8

static MemoryContext round_context = NULL;

/* Changes that were read and are not compared yet: rows of (id, when). A start compares everything. */
static SsSet *changed_skus = NULL;
static SsSet *changed_listings = NULL;

/* What the next round has to do besides. */
static bool starting = true;
static bool look = false;		/* somebody committed */
static bool reload = false;		/* read the stores again and compare everything */
static bool renewed = false;	/* tasks of another life were taken up */
static TimestampTz prepared_due = 0;	/* when to look for the sake of prepared transactions */
static int	first_store = 0;	/* round robin: the one behind the last that got a token */

void
round_init(void)
{
	static const Oid pair[] = {INT8OID, TIMESTAMPTZOID};

	round_context = AllocSetContextCreate(TopMemoryContext, "storesync round", ALLOCSET_DEFAULT_SIZES);
	changed_skus = set_create_in(TopMemoryContext, lengthof(pair), pair);
	changed_listings = set_create_in(TopMemoryContext, lengthof(pair), pair);
}

void
round_ask(bool committed, bool everything)
{
	look |= committed;
	reload |= everything;
}

/* ---------------------------------------------------------------- when */

static bool
has_room(const DispatchStore *store)
{
	int			room = Min(dispatch.room, ss_max_in_flight);
	int			bound = dispatch.in_flight < room / 2 ? STORE_MAX_IN_FLIGHT : STORE_FEW_IN_FLIGHT;

	return store->in_flight < bound && dispatch.in_flight < room;
}

/* store_due says when the store's next call can be made as far as is known now. */
static TimestampTz
store_due(const DispatchStore *store)
{
	TimestampTz due = DT_NOEND;

	if (!has_room(store))
		return DT_NOEND;
	if (token_blocks(store))
		due = work_due(store, LANE_TOKEN);
	else if (store->writes != WRITES_NONE &&
			 (queue_has_decreases(&store->lanes) || queue_has_raises(&store->lanes)))
		due = 0;
	else
		for (Lane lane = LANE_TOKEN; lane < LANE_NONE; lane++)
			due = Min(due, work_due(store, lane));
	return Max(Max(due, host_due(store->host, &store->own)), Max(store->waits_until, store->token_due));
}

/* stores_due says when the next call of any store can be made; one that can be made now ends the search. */
static TimestampTz
stores_due(TimestampTz now)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < stores_count() && due > now; i++)
		due = Min(due, store_due(stores_nth(i)));
	return due;
}

TimestampTz
round_due(void)
{
	TimestampTz due;

	if (starting || look || reload || dispatch.n_ended >= ENDED_ENOUGH ||
		changed_skus->rows > 0 || changed_listings->rows > 0 ||
		(target_overflow && queue_count() < QUEUE_MAX / 2))
		return 0;
	due = Min(Min(Min(peak_due(), share_due()), queue_next_due()), Min(task_due(), Min(feed_store_due(), verify_round_due())));
	if (pg_atomic_read_u32(&dispatch.slot->prepared) != 0)
		due = Min(due, prepared_due);
	if (dispatch.n_ended > 0)
		due = Min(due, dispatch.in_flight < ENDED_ENOUGH ? 0 : dispatch.ended_since + ENDED_PATIENCE_US);
	return Min(due, stores_due(GetCurrentTimestamp()));
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

	if (pg_atomic_read_u32(&dispatch.slot->prepared) == 0 || now < prepared_due)
		return;
	pg_atomic_write_u32(&dispatch.slot->prepared, 0);
	ss_execute(&plan, "SELECT FROM pg_prepared_xacts WHERE database = current_database()",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	if (SPI_processed > 0)
		pg_atomic_write_u32(&dispatch.slot->prepared, 1);
	prepared_due = now + PREPARED_US;
	look = true;
}

/* settle_ended records calls that ended and gathers the listings to be compared again, and the others. */
static void
settle_ended(Record *record)
{
	record_init(record, round_context);
	for (int i = 0; i < ROUND_CALLS && !dlist_is_empty(&dispatch.ended); i++)
	{
		DispatchCall *call = dlist_container(DispatchCall, node, dlist_pop_head_node(&dispatch.ended));

		dispatch.n_ended--;
		work_of(call)->settle(call, record);
	}
	dispatch_count(SS_TASKS_DEAD, record_write(record));
}

/* add_rows adds the rows of one set of pairs to another. */
static void
add_rows(SsSet *set, const SsSet *more)
{
	for (int i = 0; i < more->rows; i++)
	{
		Datum		values[2] = {more->values[0][i], more->values[1][i]};

		set_add(set, values, NULL);
	}
}

/* take_some moves the first rows of what has changed to what is compared in this round. */
static void
take_some(SsSet *changed, int most, SsSet *taken)
{
	int			n = Min(changed->rows, most);

	for (int i = 0; i < n; i++)
	{
		Datum		values[2] = {changed->values[0][i], changed->values[1][i]};

		set_add(taken, values, NULL);
	}
	set_drop_rows(changed, n);
}

/* read_changes brings stores and queue in line with what has committed, a portion at a time. */
static void
read_changes(TimestampTz now, const Record *record)
{
	static const Oid pair[] = {INT8OID, TIMESTAMPTZOID};
	Feed		feed = {0};
	SsSet	   *again = record->again;
	SsSet	   *skus = set_create_in(round_context, lengthof(pair), pair);

	reload |= peak_due() <= now;
	if (starting || look || reload)
		due_look();
	if (starting)
	{
		feed_start();
		reload = true;
	}
	else if (look)
	{
		feed_read(&feed, round_context);
		rollup_ask(now);
		reload |= feed.everything;
		if (feed.orders || feed.listings->rows > 0)
			due_ask();
		add_rows(changed_skus, feed.skus);
		add_rows(changed_listings, feed.listings);
		reload |= changed_skus->rows + changed_listings->rows > CHANGED_MAX;
		if (feed.stores->rows > 0 && !reload)
		{
			stores_load();
			for (int i = 0; i < feed.stores->rows; i++)
				target_compare_all((int) DatumGetInt64(feed.stores->values[0][i]));
		}
	}
	if (reload)
	{
		stores_load();
		if (!renewed && stores_in_charge())
		{
			task_renew();
			renewed = true;
		}
		task_load(0);
	}
	else if (look)
		task_take(feed.tasks);
	task_begin(now, again);
	if (reload || (target_overflow && queue_count() < QUEUE_MAX / 2))
	{
		set_drop_rows(changed_skus, changed_skus->rows);
		set_drop_rows(changed_listings, changed_listings->rows);
		target_compare_all(0);
	}
	else
	{
		take_some(changed_skus, ROUND_SKUS, skus);
		take_some(changed_listings, ROUND_LISTINGS, again);
		target_compare(skus, again);
	}
	price_heed(&feed, record, starting, reload);
	starting = false;
	look = false;
	reload = false;
}

/* lane_wants says which kinds of work the store has that could be called at once. */
static void
lane_wants(DispatchStore *store, TimestampTz now, bool wants[LANE_NONE])
{
	bool		writes = store->writes != WRITES_NONE;

	memset(wants, 0, LANE_NONE * sizeof(bool));
	if (host_due(store->host, &store->own) > now)
		return;
	wants[LANE_TOKEN] = work_due(store, LANE_TOKEN) <= now;
	if (token_blocks(store))
		return;
	for (Lane lane = LANE_TOKEN + 1; lane < LANE_NONE; lane++)
		wants[lane] = work_due(store, lane) <= now;
	wants[LANE_LOWER] = writes && queue_has_decreases(&store->lanes);
	wants[LANE_RAISE] = writes && queue_has_raises(&store->lanes);
}

/* take_token asks the limiter for a call. False when it is refused: then the store waits for what refused it. */
static bool
take_token(DispatchStore *store, const bool wants[LANE_NONE])
{
	uint32		besides;
	int64		wait = rate_take_lane(store->store_id, &besides, &store->grant);

	for (; besides > 0; besides--)
		lane_charge(&store->turns, wants, LANE_WORK);
	store->claims = wait > 0;
	if (wait == 0)
		return true;
	if (wait == RATE_NO_ROOM || wait == RATE_NO_STORE)
		store_trouble(store, wait == RATE_NO_ROOM ? TROUBLE_ROOM : store->trouble,
					  GetCurrentTimestamp() + STORE_ROOM_WAIT_US, NULL);
	else
		store->token_due = GetCurrentTimestamp() + Max(wait, 1000);
	return false;
}

/*
 * build_for takes a token for the store and builds or picks its next call,
 * for the kind of work whose turn it is. False when it got none.
 */
static bool
build_for(DispatchStore *store, TimestampTz now, PushPick *picks, int *n_picks)
{
	bool		wants[LANE_NONE];
	bool		stops;			/* zeros of a stop wait: before all else */
	Lane		lane;

	if (!has_room(store) || Max(store->waits_until, store->token_due - TOKEN_SLACK_US) > now)
		return false;
	lane_wants(store, now, wants);
	stops = wants[LANE_LOWER] && queue_has_stops(&store->lanes);
	if (!stops)
		lane_end_stop(&store->turns);
	lane = stops ? lane_choose_stop(&store->turns, wants) : lane_choose(&store->turns, wants);
	if (lane == LANE_NONE)
	{
		if (store->claims)
			rate_release(store->store_id);
		store->claims = false;
		return false;
	}
	if (!take_token(store, wants))
		return false;
	if (stops)
		lane_charge_stop(&store->turns, lane);
	else
		lane_charge(&store->turns, wants, lane);
	store->probing = host_probe(store->host, &store->own);
	if (lane != LANE_LOWER && lane != LANE_RAISE)
		work_build(store, lane, now);
	else
	{
		push_pick(store, lane == LANE_LOWER, now, &picks[(*n_picks)++]);
		store->in_flight++;
		dispatch.in_flight++;
	}
	return true;
}

/*
 * build_pushes builds the calls of all picks. Where the listings picked need
 * none after all the token goes to the store's next ones, so that it is not
 * wasted while others wait.
 */
static void
build_pushes(TimestampTz now, PushPick *picks, int n)
{
	for (int pass = 0; n > 0 && pass < PICK_PASSES; pass++)
	{
		int			again = 0;

		n = push_build(picks, n, now);
		for (int i = 0; i < n; i++)
		{
			DispatchStore *store = picks[i].store;

			if (!queue_has_decreases(&store->lanes) && !queue_has_raises(&store->lanes))
				continue;
			store->grant = picks[i].grant;
			push_pick(store, queue_has_decreases(&store->lanes), now, &picks[again++]);
		}
		n = again;
	}
	for (int i = 0; i < n; i++)
	{
		queue_land(picks[i].taken, picks[i].n);
		for (int j = 0; j < picks[i].n; j++)
			queue_return(picks[i].taken[j]);
	}
}

/*
 * build_calls goes round the stores, a call each, as long as any may make one and the round takes more.
 * The next round goes on behind the last store that got one: what several
 * stores share, they share evenly, however few calls it grants at a time.
 */
static void
build_calls(TimestampTz now)
{
	int			n = stores_count();
	int			n_picks = 0;
	int			idle = 0;		/* stores in a row that made no call */
	int			built = 0;
	PushPick   *picks = MemoryContextAlloc(round_context, (dispatch.room + 1) * sizeof(PushPick));

	for (int i = first_store; idle < n && built < ROUND_CALLS; i++, idle++)
	{
		if (!build_for(stores_nth(i % n), now, picks, &n_picks))
			continue;
		built++;
		first_store = (i + 1) % n;
		idle = -1;
	}
	for (int i = 0; i < n_picks; i++)
		picks[i].store->in_flight--;
	dispatch.in_flight -= n_picks;
	build_pushes(now, picks, n_picks);
	for (int i = 0; i < n; i++)
		if (stores_nth(i)->probing)
		{
			stores_nth(i)->probing = false;
			host_unprobed(stores_nth(i)->host, &stores_nth(i)->own);
		}
}

/* A round is one transaction. The snapshot that feed_read takes must see nothing of it but what it wrote before. */
void
round_run(TimestampTz now)
{
	SsSession	session;
	Record		record;

	MemoryContextReset(round_context);
	worker_begin("storesync: dispatching");
	ss_enter(&session, "storesync dispatcher", true);
	task_event_init(round_context);
	target_begin();
	watch_prepared(now);
	settle_ended(&record);
	verify_round(now, record.again);
	read_changes(now, &record);
	breaker_run(now);
	add_rows(record.again, record.clean);
	task_settle(now, record.again);
	read_back_sweep(now);
	queue_release_due(now);
	build_calls(now);
	if (feed_store_due() <= now)
		feed_store();
	if (share_due() <= now)
		share_store();
	ss_leave(&session);
	worker_commit();
	dispatch_committed();
	dispatch_count(SS_CYCLES, 1);
	dispatch_count(SS_STATEMENTS, 1);
}
