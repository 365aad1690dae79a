/*
 * intake.c
 *		Fetching orders, a state machine per store.
 *
 * A walk (intake_walk.c) asks for a page of order numbers, then for their
 * documents in batches, then for the next page. Seeing an order twice costs a
 * call and changes nothing.
 *
 * One bad document stops nothing: its batch is fetched again one by one, and
 * the order that still fails goes to the table compensation.
 */
#include "intake.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "retry.h"
#include "work.h"

/* A page whose cursor fails this often is begun again. */
#define CURSOR_PATIENCE 3

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
	DispatchCall *call;

	if (intake->phase == INTAKE_IDLE)
		intake_begin(store, GetCurrentTimestamp());
	call = call_create(store, intake->phase == INTAKE_LIST ? CALL_LIST_ORDERS : CALL_GET_ORDERS);
	if (call->call.kind == CALL_LIST_ORDERS)
		fill_list_call(call, intake);
	else
		fill_get_call(call, intake);
	intake->flying = true;
	work_hand_over(call);
}

void
intake_return(DispatchCall *call)
{
	call->store->intake.flying = false;
	call_free(call);
}

/*
 * mark_wanted says which orders of a listed page are fetched. Where orders are
 * listed again each time, a regular fetch leaves out those that it has read;
 * a second look wants those alone that are missing.
 */
static void
mark_wanted(DispatchStore *store, const PlatformAnswer *answer, bool *wanted)
{
	if (store->intake.walk == WALK_LOOK)
	{
		look_compare(store, answer->n_order_sns, answer->order_sns, wanted);
		return;
	}
	for (int i = 0; i < answer->n_order_sns; i++)
		wanted[i] = store->intake.walk != WALK_REGULAR || !reread_met(store, hash_order(answer->order_sns[i]));
}

/* take_page keeps the order numbers of a listed page. SPI connected. */
static void
take_page(DispatchCall *call, Record *record)
{
	StoreIntake *intake = &call->store->intake;
	const PlatformAnswer *answer = &call->answer;
	bool	   *wanted = MemoryContextAllocZero(call->context, answer->n_order_sns + 1);
	MemoryContext old;

	mark_wanted(call->store, answer, wanted);
	MemoryContextReset(intake->context);
	old = MemoryContextSwitchTo(intake->context);
	intake->next_cursor = answer->more ? pstrdup(answer->next_cursor) : NULL;
	intake->cursor = pstrdup(call->call.cursor);
	intake->order_sns = palloc(Max(answer->n_order_sns, 1) * sizeof(char *));
	intake->n_order_sns = 0;
	for (int i = 0; i < answer->n_order_sns; i++)
		if (wanted[i])
			intake->order_sns[intake->n_order_sns++] = pstrdup(answer->order_sns[i]);
	MemoryContextSwitchTo(old);
	intake->n_done = 0;
	intake->alone_until = 0;
	intake->failures = 0;
	intake->due = call->answered_at;
	intake->phase = INTAKE_DETAIL;
	if (intake->n_order_sns > 0)
		return;
	if (intake_ends_window(intake, 0))
		record_cursor(record, call->store->store_id, intake->window_to);
	intake_advance(call->store, 0, record);
}

/* try_again repeats the call later; a list that keeps failing is begun anew, its cursor may be too old. */
static void
try_again(DispatchCall *call)
{
	StoreIntake *intake = &call->store->intake;
	QueueAttempt attempt = call_attempt(call, call->answer.class, call->answer.message);

	if (intake->walk == WALK_REREAD)
		reread_failed(call->store, call->answered_at);
	else if (intake->walk == WALK_LOOK)
		look_failed(call->store, call->answered_at);
	else
		errand_failed(&intake->errand, attempt.class, call->answer.message, record_attempt_text(&attempt));
	if (intake->walk != WALK_REGULAR)
	{
		intake_leave(call->store);
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
	if (intake->walk == WALK_ERRAND)
		intake->errand.given_up++;
	record_dead_order(record, call, call->call.order_sns[0]);
	if (intake_ends_window(intake, n))
		record_cursor(record, call->store->store_id, intake->window_to);
	intake_advance(call->store, n, record);
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
					intake_advance(call->store, call->call.n_order_sns, record);
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
