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

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "retry.h"
#include "worker.h"

/* How far back the very first fetch of a store without a cut-over goes. */
#define FIRST_FETCH_US	(15 * USECS_PER_DAY)
/* A page whose cursor fails this often is begun again. */
#define CURSOR_PATIENCE 3

TimestampTz
intake_due(const DispatchStore *store)
{
	return store->fetches && !store->intake.flying ? store->intake.due : DT_NOEND;
}

/* set_window makes [from, at most now] the window; whole seconds, as platforms count. */
static void
set_window(DispatchStore *store, TimestampTz from, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	int64		widest = (int64) store->platform->max_window * USECS_PER_SEC;

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

static void
begin_fetch(DispatchStore *store, TimestampTz now)
{
	StoreIntake *intake = &store->intake;
	TimestampTz from = now - FIRST_FETCH_US;

	if (intake->fetched_through != 0)
		from = intake->fetched_through - store->overlap_us;
	else if (!TIMESTAMP_NOT_FINITE(store->stock_from))
		from = store->stock_from;
	intake->polled_at = now;
	set_window(store, from, now);
}

static void
end_window(DispatchStore *store)
{
	StoreIntake *intake = &store->intake;
	TimestampTz now = GetCurrentTimestamp();

	intake->fetched_through = intake->window_to;
	intake->failures = 0;
	if (intake->window_to + USECS_PER_SEC < intake->polled_at)
	{
		set_window(store, intake->window_to, now);
		intake->due = now;
		return;
	}
	intake->phase = INTAKE_IDLE;
	intake->due = Max(now, intake->polled_at + store->poll_us);
}

static void
end_page(DispatchStore *store)
{
	StoreIntake *intake = &store->intake;

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

/* batch_ends_window tells whether the window is complete once the next n orders of the page are done. */
static bool
batch_ends_window(const StoreIntake *intake, int n)
{
	return intake->n_done + n >= intake->n_order_sns && intake->next_cursor == NULL;
}

static void
end_batch(DispatchStore *store, int n)
{
	StoreIntake *intake = &store->intake;

	intake->n_done += n;
	intake->failures = 0;
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

static bool
was_given_up(const StoreIntake *intake, const char *order_sn)
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
		if (was_given_up(intake, intake->order_sns[intake->n_done + i]))
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

/* What ingest_orders said of a batch. */
typedef struct Booked
{
	int64		documents;
	int64		duplicates;		/* unchanged or stale */
	int64		rejected;
	char	   *first_rejected; /* NULL for none */
} Booked;

static void
read_booked(Booked *booked, MemoryContext context)
{
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	char	   *text = SPI_getvalue(row, desc, 4);

	booked->documents = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	booked->duplicates = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	booked->rejected = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
	booked->first_rejected = text == NULL ? NULL : MemoryContextStrdup(context, text);
}

/* book runs inside a transaction: all documents, and the cursor when they complete the window. */
static void
book(const DispatchCall *call, Booked *booked)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[3];
	const StoreIntake *intake = &call->store->intake;
	SsSession	session;
	Record		record;

	ss_enter(&session, "storesync dispatcher", true);
	if (call->answer.n_documents > 0)
	{
		values[0] = Int32GetDatum(call->store->store_id);
		values[1] = CStringGetTextDatum(call->answer.documents);
		values[2] = TimestampTzGetDatum(call->sent_at);
		ss_execute(&plan,
				   "SELECT count(*), count(*) FILTER (WHERE r.outcome IN ('unchanged', 'stale')), "
				   "count(*) FILTER (WHERE r.outcome = 'rejected'), "
				   "left(min(r.order_sn || ' ' || r.detail) FILTER (WHERE r.outcome = 'rejected'), 200) "
				   "FROM storesync.ingest_orders($1, (SELECT jsonb_agg(d.document || "
				   "jsonb_build_object('fetched_at', $3) ORDER BY d.place) "
				   "FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS d (document, place))) r",
				   SPI_OK_SELECT, 3, types, values, NULL, 0);
		read_booked(booked, call->context);
	}
	if (batch_ends_window(intake, call->call.n_order_sns))
	{
		record_init(&record, CurrentMemoryContext);
		record_cursor(&record, call->store->store_id, intake->window_to);
		(void) record_write(&record);
	}
	ss_leave(&session);
}

/* is_passing tells errors that may be gone at the next try from those of the documents. */
static bool
is_passing(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

/*
 * fail_call makes the error that was just caught the call's outcome, outside
 * its aborted transaction. The log hears of each order once.
 */
static void
fail_call(DispatchCall *call)
{
	ErrorData  *error;

	MemoryContextSwitchTo(call->context);
	error = CopyErrorData();
	HOLD_INTERRUPTS();
	if (call->call.n_order_sns > 1 || !was_given_up(&call->store->intake, call->call.order_sns[0]))
		EmitErrorReport();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();
	call->answer.class = is_passing(error->sqlerrcode) ? OUTCOME_LATER : OUTCOME_PERMANENT;
	call->answer.code = arena_strdup(call->arena, unpack_sql_state(error->sqlerrcode));
	call->answer.message = arena_strndup(call->arena, error->message, 200);
}

/* tell_rejected logs the first page with refused documents, and the first without. */
static void
tell_rejected(DispatchStore *store, const Booked *booked)
{
	bool		rejecting = booked->rejected > 0;

	if (rejecting && !store->intake.rejecting)
		ereport(LOG,
				(errmsg("storesync store %d: %lld order documents were rejected",
						store->store_id, (long long) booked->rejected),
				 errdetail_internal("%s", booked->first_rejected)));
	if (rejecting || booked->documents > 0)
		store->intake.rejecting = rejecting;
}

void
intake_ingest(DispatchCall *call)
{
	Booked		booked = {0};

	PG_TRY();
	{
		worker_begin("storesync: booking orders");
		book(call, &booked);
		worker_commit();
	}
	PG_CATCH();
	{
		fail_call(call);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	dispatch_count(SS_STATEMENTS, 1);
	if (call->answer.class != OUTCOME_OK && call->answer.class != OUTCOME_PARTIAL)
		return;
	dispatch_count(SS_ORDERS_INGESTED, booked.documents);
	dispatch_count(SS_ORDERS_DUPLICATE, booked.duplicates);
	tell_rejected(call->store, &booked);
	if (booked.rejected > 0)
		call->answer.message = arena_printf(call->arena, "%lld rejected, first %s",
											(long long) booked.rejected, booked.first_rejected);
	else if (call->answer.n_documents < call->call.n_order_sns)
		call->answer.message = arena_printf(call->arena, "%d of %d orders came",
											call->answer.n_documents, call->call.n_order_sns);
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
	for (int i = 0; i < answer->n_order_sns; i++)
		intake->order_sns[i] = pstrdup(answer->order_sns[i]);
	MemoryContextSwitchTo(old);
	intake->n_order_sns = answer->n_order_sns;
	intake->n_done = 0;
	intake->alone_until = 0;
	intake->failures = 0;
	intake->due = call->answered_at;
	intake->phase = INTAKE_DETAIL;
	if (answer->n_order_sns > 0)
		return;
	if (intake->next_cursor == NULL)
		record_cursor(record, call->store->store_id, intake->window_to);
	end_page(call->store);
}

/* try_again repeats the call later; a list that keeps failing is begun anew, its cursor may be too old. */
static void
try_again(DispatchCall *call)
{
	StoreIntake *intake = &call->store->intake;

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
	if (!was_given_up(intake, call->call.order_sns[0]))
		intake->given_up[intake->n_given_up++ % STORE_GIVEN_UP] = hash_order(call->call.order_sns[0]);
	record_dead_order(record, call->store->store_id, call->call.order_sns[0],
					  call->answer.class, call->answer.message);
	if (batch_ends_window(intake, n))
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
				store_well(call->store);
				if (list)
					take_page(call, record);
				else
					end_batch(call->store, call->call.n_order_sns);
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
