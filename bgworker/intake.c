/*
 * intake.c
 *		Fetching orders, a state machine per store.
 *
 * A fetch walks a window of update times: a page of order numbers, then
 * their documents in batches, then the next page. The window's end becomes
 * the store's fetched_through in the transaction that books its last batch,
 * never before; the next window starts an overlap earlier, because platforms
 * show orders late. Seeing an order twice costs a call and changes nothing.
 *
 * One bad document stops nothing: its batch is fetched again one by one, and
 * the order that still fails goes to the table compensation.
 */
#include "intake.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "retry.h"

/* How far back the very first fetch of a store without a cut-over goes. */
#define FIRST_FETCH_US	(15 * USECS_PER_DAY)
/* How far back a fetch goes when the last one is said to lie ahead of the time of day, by more than a clock errs. */
#define AHEAD_FETCH_US	USECS_PER_DAY
#define AHEAD_US		(5 * USECS_PER_SEC)
/* A page whose cursor fails this often is begun again. */
#define CURSOR_PATIENCE 3
/* An errand's window is walked in slices of this length. */
#define ERRAND_SLICE_US	USECS_PER_HOUR

/*
 * poll_due: a fetch begins earlier than its poll when raises wait for it,
 * and not before the whole second that it has to reach is over.
 */
static TimestampTz
poll_due(const DispatchStore *store)
{
	const StoreIntake *intake = &store->intake;
	TimestampTz wanted = store->lanes.fetch_after;

	if (intake->failures > 0 || wanted == DT_NOEND)
		return intake->due;
	return Min(intake->due, (wanted / USECS_PER_SEC + 1) * USECS_PER_SEC);
}

TimestampTz
intake_due(const DispatchStore *store)
{
	const StoreIntake *intake = &store->intake;

	if (!store->fetches || intake->flying)
		return DT_NOEND;
	if (intake->phase != INTAKE_IDLE)
		return intake->due;
	return errand_waits(&intake->errand) ? 0 : Min(poll_due(store), reread_due(store));
}

void
intake_hasten(DispatchStore *store)
{
	if (store->intake.failures > 0)
		store->intake.due = 0;
}

/*
 * set_window makes [from, at most now] the window; whole seconds, as platforms
 * count. Its calls are due at once, however far off the poll was: one that is
 * held up by its store and made again later must not wait for that.
 */
static void
set_window(DispatchStore *store, TimestampTz from, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	int64		widest = (int64) store->platform->max_window * USECS_PER_SEC;

	intake->due = now;
	from -= from % USECS_PER_SEC;
	now -= now % USECS_PER_SEC;
	intake->window_from = Min(from, now);
	intake->window_to = Min(now, intake->window_from + widest);
	intake->phase = INTAKE_LIST;
	MemoryContextReset(intake->context);
	intake->cursor = MemoryContextStrdup(intake->context, "");
	intake->next_cursor = NULL;
	intake->n_order_sns = 0;
}

/* begin_errand walks what the errand wants, or the next slice of it. */
static void
begin_errand(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	Errand	   *errand = &intake->errand;

	errand->state = ERRAND_RUNNING;
	intake->regular_due = intake->due;
	set_window(store, errand->from, Min(now, Min(errand->to, errand->from + ERRAND_SLICE_US)));
	if (errand->kind == ERRAND_WINDOW)
		return;
	intake->order_sns = MemoryContextAlloc(intake->context, errand->n_order_sns * sizeof(char *));
	for (int i = 0; i < errand->n_order_sns; i++)
		intake->order_sns[i] = MemoryContextStrdup(intake->context, errand->order_sns[i]);
	intake->n_order_sns = errand->n_order_sns;
	intake->n_done = 0;
	intake->alone_until = 0;
	intake->phase = INTAKE_DETAIL;
}

/* begin_reread reads a page of older orders again. */
static void
begin_reread(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	TimestampTz from;
	TimestampTz to;
	const char *cursor;

	reread_begin(store, now, &from, &to, &cursor);
	intake->regular_due = intake->due;
	set_window(store, from, to);
	intake->due = now;
	intake->cursor = MemoryContextStrdup(intake->context, cursor);
}

/*
 * fetch_from says where a regular fetch begins. A last one that lies ahead
 * was noted by a clock that has been set back since; nobody knows when it was.
 */
static TimestampTz
fetch_from(const DispatchStore *store, TimestampTz now)
{
	TimestampTz through = store->intake.fetched_through;

	if (through == 0)
		return TIMESTAMP_NOT_FINITE(store->stock_from) ? now - FIRST_FETCH_US : store->stock_from;
	return through > now + AHEAD_US ? now - AHEAD_FETCH_US : through - store->overlap_us;
}

/*
 * begin_fetch begins a regular fetch or, when none is due or it is its turn,
 * the errand; or likewise a page that is to be read again.
 */
static void
begin_fetch(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;

	intake->on_errand = errand_waits(&intake->errand) && (poll_due(store) > now || !intake->errand_last);
	intake->errand_last = intake->on_errand;
	if (intake->on_errand)
	{
		begin_errand(store, now);
		return;
	}
	intake->on_reread = reread_due(store) <= now && (poll_due(store) > now || !intake->reread_last);
	intake->reread_last = intake->on_reread;
	if (intake->on_reread)
	{
		begin_reread(store, now);
		return;
	}
	errand_poll_began(&intake->errand);
	intake->polled_at = now;
	set_window(store, fetch_from(store, now), now);
}

/* leave_walk ends a walk that is not regular: the next regular one is due when it was before. */
static void
leave_walk(StoreIntake *intake)
{
	intake->on_errand = false;
	intake->on_reread = false;
	intake->phase = INTAKE_IDLE;
	intake->due = intake->regular_due;
}

static void
end_window(DispatchStore *store)
{
	StoreIntake *intake = &store->intake;
	TimestampTz now = GetCurrentTimestamp();

	if (intake->on_errand)
	{
		/* whole seconds: one that the errand's end cuts in two is over */
		errand_walked(&intake->errand, intake->window_to + USECS_PER_SEC > Min(intake->errand.to, now) ?
					  intake->errand.to : intake->window_to);
		leave_walk(intake);
		return;
	}
	intake->fetched_through = intake->window_to;
	intake->failures = 0;
	queue_fetched(&store->lanes, intake->window_to);
	if (intake->window_to + USECS_PER_SEC < intake->polled_at)
	{
		set_window(store, intake->window_to, now);
		return;
	}
	intake->phase = INTAKE_IDLE;
	intake->due = Max(now, intake->polled_at + store->poll_us);
	errand_poll_ended(&intake->errand);
}

static void
end_page(DispatchStore *store)
{
	StoreIntake *intake = &store->intake;

	if (intake->on_reread)
	{
		reread_ended(store, intake->next_cursor);
		leave_walk(intake);
		return;
	}
	if (intake->next_cursor == NULL)
	{
		end_window(store);
		return;
	}
	intake->phase = INTAKE_LIST;
	intake->cursor = intake->next_cursor;
	intake->next_cursor = NULL;
	intake->due = GetCurrentTimestamp();
}

bool
intake_batch_ends_window(const StoreIntake *intake, int n)
{
	return !intake->on_errand && !intake->on_reread && intake->n_done + n >= intake->n_order_sns && intake->next_cursor == NULL;
}

static void
end_batch(DispatchStore *store, int n)
{
	StoreIntake *intake = &store->intake;

	intake->n_done += n;
	intake->failures = 0;
	if (intake->on_errand)
		intake->errand.orders += n;
	intake->due = GetCurrentTimestamp();
	if (intake->n_done >= intake->n_order_sns)
		end_page(store);
}

static void
fill_list_call(DispatchCall *call, const StoreIntake *intake)
{
	call->call.from = timestamptz_to_time_t(intake->window_from);
	call->call.to = timestamptz_to_time_t(intake->window_to);
	call->call.cursor = arena_strdup(call->arena, intake->cursor);
}

static uint64
hash_order(const char *order_sn)
{
	return hash_bytes_extended((const unsigned char *) order_sn, (int) strlen(order_sn), 0);
}

bool
intake_was_given_up(const StoreIntake *intake, const char *order_sn)
{
	uint64		hash = hash_order(order_sn);

	for (int i = 0; i < Min(intake->n_given_up, STORE_GIVEN_UP); i++)
		if (intake->given_up[i] == hash)
			return true;
	return false;
}

/*
 * fill_get_call takes the next batch of the page. An order that broke its
 * batch lately is fetched alone, so that it costs one call a fetch as long as
 * the overlap meets it, and not one for each of its neighbours.
 */
static void
fill_get_call(DispatchCall *call, const StoreIntake *intake)
{
	int			left = intake->n_order_sns - intake->n_done;
	int			n = Min(left, call->store->platform->max_get_orders);
	const char **order_sns;

	if (intake->n_done < intake->alone_until)
		n = 1;
	for (int i = 0; i < n; i++)
		if (intake_was_given_up(intake, intake->order_sns[intake->n_done + i]))
			n = Max(i, 1);
	order_sns = MemoryContextAlloc(call->context, n * sizeof(char *));
	for (int i = 0; i < n; i++)
		order_sns[i] = arena_strdup(call->arena, intake->order_sns[intake->n_done + i]);
	call->call.order_sns = order_sns;
	call->call.n_order_sns = n;
}

void
intake_build(DispatchStore *store)
{
	StoreIntake *intake = &store->intake;
	TimestampTz now = GetCurrentTimestamp();
	DispatchCall *call;
	const char *error;

	if (intake->phase == INTAKE_IDLE)
		begin_fetch(store, now);
	call = call_create(store, intake->phase == INTAKE_LIST ? CALL_LIST_ORDERS : CALL_GET_ORDERS);
	if (call->call.kind == CALL_LIST_ORDERS)
		fill_list_call(call, intake);
	else
		fill_get_call(call, intake);
	intake->flying = true;
	if (call_build(call, &error))
	{
		dispatch_ready(call);
		return;
	}
	if (call->call.kind == CALL_LIST_ORDERS)
	{
		store_trouble(store, TROUBLE_ACCESS, now + STORE_AUTH_WAIT_US, error);
		intake_return(call);
		return;
	}
	call->sent_at = now;
	call->answered_at = now;
	call->answer.class = OUTCOME_PERMANENT;
	call->answer.code = "";
	call->answer.message = error;
	dispatch_ended(call);
}

void
intake_return(DispatchCall *call)
{
	call->store->intake.flying = false;
	call_free(call);
}

/* wants_order: where orders are listed again each time, a regular fetch leaves out those that it has read. */
static bool
wants_order(const DispatchStore *store, const char *order_sn)
{
	return store->intake.on_errand || store->intake.on_reread || !reread_met(store, hash_order(order_sn));
}

/* take_page keeps the order numbers of a listed page. */
static void
take_page(DispatchCall *call, Record *record)
{
	StoreIntake *intake = &call->store->intake;
	const PlatformAnswer *answer = &call->answer;
	MemoryContext old;

	MemoryContextReset(intake->context);
	old = MemoryContextSwitchTo(intake->context);
	intake->next_cursor = answer->more ? pstrdup(answer->next_cursor) : NULL;
	intake->cursor = pstrdup(call->call.cursor);
	intake->order_sns = palloc(Max(answer->n_order_sns, 1) * sizeof(char *));
	intake->n_order_sns = 0;
	for (int i = 0; i < answer->n_order_sns; i++)
		if (wants_order(call->store, answer->order_sns[i]))
			intake->order_sns[intake->n_order_sns++] = pstrdup(answer->order_sns[i]);
	MemoryContextSwitchTo(old);
	intake->n_done = 0;
	intake->alone_until = 0;
	intake->failures = 0;
	intake->due = call->answered_at;
	intake->phase = INTAKE_DETAIL;
	if (intake->n_order_sns > 0)
		return;
	if (intake->next_cursor == NULL && !intake->on_errand && !intake->on_reread)
		record_cursor(record, call->store->store_id, intake->window_to);
	end_page(call->store);
}

/* try_again repeats the call later; a list that keeps failing is begun anew, its cursor may be too old. */
static void
try_again(DispatchCall *call)
{
	StoreIntake *intake = &call->store->intake;
	QueueAttempt attempt = call_attempt(call, call->answer.class, call->answer.message);

	if (intake->on_reread)
	{
		reread_failed(call->store, call->answered_at);
		leave_walk(intake);
		return;
	}
	errand_failed(&intake->errand, attempt.class, call->answer.message, record_attempt_text(&attempt));
	if (intake->on_errand)
	{
		leave_walk(intake);
		return;
	}
	intake->failures++;
	intake->due = call->answered_at + retry_delay_us(intake->failures);
	if (intake->phase == INTAKE_LIST && intake->failures >= CURSOR_PATIENCE)
		intake->phase = INTAKE_IDLE;
}

/* give_up_batch: of several, each gets its own call; a single one is left to people. */
static void
give_up_batch(DispatchCall *call, Record *record)
{
	StoreIntake *intake = &call->store->intake;
	int			n = call->call.n_order_sns;

	if (n > 1)
	{
		intake->alone_until = intake->n_done + n;
		intake->due = call->answered_at;
		return;
	}
	if (!intake_was_given_up(intake, call->call.order_sns[0]))
		intake->given_up[intake->n_given_up++ % STORE_GIVEN_UP] = hash_order(call->call.order_sns[0]);
	if (intake->on_errand)
		intake->errand.given_up++;
	record_dead_order(record, call, call->call.order_sns[0]);
	if (intake_batch_ends_window(intake, n))
		record_cursor(record, call->store->store_id, intake->window_to);
	end_batch(call->store, n);
}

void
intake_settle(DispatchCall *call, Record *record)
{
	StoreIntake *intake = &call->store->intake;
	bool		list = call->call.kind == CALL_LIST_ORDERS;

	intake->flying = false;
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	if (!dispatch_hold_store(call))
	{
		switch (call->answer.class)
		{
			case OUTCOME_OK:
			case OUTCOME_PARTIAL:
				if (list)
					take_page(call, record);
				else
				{
					for (int i = 0; i < call->call.n_order_sns; i++)
						reread_meet(call->store, hash_order(call->call.order_sns[i]));
					end_batch(call->store, call->call.n_order_sns);
				}
				break;
			case OUTCOME_PERMANENT:
				if (list)
					try_again(call);
				else
					give_up_batch(call, record);
				break;
			default:
				try_again(call);
				break;
		}
	}
	call_free(call);
}
