/*
 * verify.c
 *		Reading shops for compensate().
 *
 * Nothing is kept here that is not in tables: what was read and not judged is
 * read again after a restart, what was judged never is. A store has at most
 * READINGS_MAX listings in memory, whatever its size.
 *
 * What a reading means verify_judge.c asks.
 */
#include "verify_internal.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "read_call.h"
#include "record.h"
#include "retry.h"
#include "work.h"

/* Listings of a store that are asked for at a time, and in memory at most. */
#define PORTION			200
#define READINGS_MAX	(3 * PORTION)
/* Nothing is left but what waits for orders: looked at again after this time. */
#define LOOK_AGAIN_US	USECS_PER_SEC
#define NIGHT_OVER		"its night is over"

static MemoryContext context = NULL;

/* ---------------------------------------------------------------- readings */

void
verify_forget(StoreVerify *verify, int i)
{
	Reading    *reading = &verify->readings[i];

	verify->n_waiting -= reading->state == READING_WAITS;
	verify->n_doubtful -= reading->state == READING_DOUBTFUL;
	pfree(unconstify(char *, reading->item.item_id));
	pfree(unconstify(char *, reading->item.model_id));
	*reading = verify->readings[--verify->n];
}

static void
forget_all(StoreVerify *verify)
{
	while (verify->n > 0)
		verify_forget(verify, verify->n - 1);
}

static void
add_reading(StoreVerify *verify, HeapTuple row, TupleDesc desc)
{
	Reading    *reading = &verify->readings[verify->n++];
	bool		isnull;

	memset(reading, 0, sizeof(Reading));
	reading->item.listing_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	verify->place = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	reading->item.item_id = MemoryContextStrdup(context, SPI_getvalue(row, desc, 3));
	reading->item.model_id = MemoryContextStrdup(context, SPI_getvalue(row, desc, 4));
	verify->n_waiting++;
}

/* find_flying returns the reading of a listing that is under way, NULL when it was forgotten meanwhile. */
static Reading *
find_flying(StoreVerify *verify, int64 listing_id)
{
	for (int i = 0; i < verify->n; i++)
		if (verify->readings[i].item.listing_id == listing_id && verify->readings[i].state == READING_FLYING)
			return &verify->readings[i];
	return NULL;
}

/* ---------------------------------------------------------------- beginning and end */

bool
verify_ask(DispatchStore *store, int64 task_id)
{
	StoreVerify *verify = &store->verify;

	if (verify->phase != VERIFY_NONE || verify->flying)
		return false;
	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "storesync verify", ALLOCSET_DEFAULT_SIZES);
	if (verify->readings == NULL)
		verify->readings = MemoryContextAlloc(context, READINGS_MAX * sizeof(Reading));
	verify->phase = VERIFY_READS;
	verify->task_id = task_id;
	verify->until = DT_NOEND;
	verify->look_due = 0;
	verify->place = 0;
	verify->alone = false;
	verify->failures = 0;
	verify->due = 0;
	return true;
}

/* stop ends the reading of a store here; what is left of it is in the table. */
static void
stop(DispatchStore *store, const char *detail)
{
	StoreVerify *verify = &store->verify;

	strlcpy(verify->detail, detail, sizeof(verify->detail));
	verify->phase = VERIFY_ENDED;
	verify->wants_through = 0;
	store->turns.night = false;
	forget_all(verify);
}

/* finish ends it for this run; reason NULL: nothing is left to be read. */
static void
finish(DispatchStore *store, const char *reason)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(store->store_id), Int64GetDatum(store->verify.task_id),
		reason == NULL ? (Datum) 0 : CStringGetTextDatum(reason)
	};
	char	   *detail;

	ss_execute(&plan, "SELECT storesync.verify_end($1, $2, $3)", SPI_OK_SELECT, 3, types, values,
			   reason == NULL ? "  n" : NULL, 1);
	detail = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	stop(store, detail != NULL ? detail : "");
}

/* still_wanted says whether somebody waits for the store to be read, and until when it is. */
static bool
still_wanted(DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID};
	StoreVerify *verify = &store->verify;
	Datum		values[] = {Int32GetDatum(store->store_id), Int64GetDatum(verify->task_id)};
	Datum		until;
	bool		isnull;

	ss_execute(&plan, "SELECT r.read_until FROM storesync.verify_run($1, $2) r", SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		return false;
	until = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	verify->until = isnull ? DT_NOEND : DatumGetTimestampTz(until);
	store->turns.night = !isnull;
	return true;
}

/* next_portion reads what comes next; true when there was something. */
static bool
next_portion(DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID, INT4OID};
	StoreVerify *verify = &store->verify;
	Datum		values[] = {Int32GetDatum(store->store_id), Int64GetDatum(verify->place), Int32GetDatum(PORTION)};
	bool		found;

	ss_execute(&plan,
			   "SELECT x.listing_id, x.place, x.item_id, x.model_id FROM storesync.verify_next($1, $2, $3) x ORDER BY x.place",
			   SPI_OK_SELECT, 3, types, values, NULL, PORTION);
	found = SPI_processed > 0;
	for (uint64 i = 0; i < SPI_processed; i++)
		add_reading(verify, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* waits_until: when a listing that is to be read again may be; DT_NOEND for none. */
static TimestampTz
waits_until(const DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store->store_id)};
	Datum		until;
	bool		isnull;

	ss_execute(&plan, "SELECT storesync.verify_wait($1)", SPI_OK_SELECT, 1, types, values, NULL, 1);
	until = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? DT_NOEND : DatumGetTimestampTz(until);
}

/* begin_again: behind the last place are those that are to be read again; where there are none the store is read. */
static void
begin_again(DispatchStore *store, TimestampTz now)
{
	StoreVerify *verify = &store->verify;

	verify->look_due = now + LOOK_AGAIN_US;
	if (verify->n_doubtful > 0)
		return;
	verify->place = 0;
	if (next_portion(store))
		return;
	verify->look_due = waits_until(store);
	if (verify->look_due == DT_NOEND)
		finish(store, NULL);
}

/* load reads the next portion, where somebody waits for it and the night lasts. */
static void
load(DispatchStore *store, TimestampTz now)
{
	store->verify.alone = false;
	if (!still_wanted(store))
		stop(store, "nobody waits for it any more");
	else if (now >= store->verify.until)
		finish(store, NIGHT_OVER);
	else if (!next_portion(store))
		begin_again(store, now);
}

/* ---------------------------------------------------------------- the call */

bool
verify_own(const DispatchCall *call)
{
	return call->verify;
}

TimestampTz
verify_due(const DispatchStore *store)
{
	const StoreVerify *verify = &store->verify;

	return verify->phase == VERIFY_READS && verify->n_waiting > 0 && !verify->flying && store->fetches ? verify->due : DT_NOEND;
}

/* may_read: a listing of which a write is under way is read afterwards. */
static bool
may_read(const Reading *reading)
{
	const QueueListing *listing = queue_find(reading->item.listing_id);

	return reading->state == READING_WAITS && (listing == NULL || listing->state != QUEUE_FLYING);
}

void
verify_build(DispatchStore *store)
{
	StoreVerify *verify = &store->verify;
	int			most = verify->alone ? 1 : read_most(store);
	PlatformItem *items = palloc(most * sizeof(PlatformItem));
	DispatchCall *call;
	int			n = 0;

	for (int i = 0; i < verify->n && n < most; i++)
	{
		Reading    *reading = &verify->readings[i];

		if (!may_read(reading) || !read_fits(store, items, n, &reading->item))
			continue;
		items[n++] = reading->item;
		reading->state = READING_FLYING;
		verify->n_waiting--;
	}
	if (n == 0)
	{
		/* all of them are being written */
		verify->due = GetCurrentTimestamp() + USECS_PER_SEC;
		return;
	}
	call = read_create(store, items, n);
	call->verify = true;
	verify->flying = true;
	work_hand_over(call);
}

static void
wait_again(StoreVerify *verify, Reading *reading)
{
	reading->state = READING_WAITS;
	verify->n_waiting++;
}

void
verify_return(DispatchCall *call)
{
	StoreVerify *verify = &call->store->verify;

	verify->flying = false;
	for (int i = 0; i < call->call.n_items; i++)
	{
		Reading    *reading = find_flying(verify, call->call.items[i].listing_id);

		if (reading != NULL)
			wait_again(verify, reading);
	}
	call_free(call);
}

/* ---------------------------------------------------------------- its outcome */

static void
end_reading(Reading *reading, const DispatchCall *call, int64 qty, const char *reason)
{
	reading->state = READING_READ;
	reading->qty = qty;
	reading->sent_at = call->sent_at;
	reading->answered_at = call->answered_at;
	strlcpy(reading->reason, reason, pg_mbcliplen(reason, (int) strlen(reason), sizeof(reading->reason) - 1) + 1);
}

/* failed: later again, or given up. A host that is away, and what the store waits for, cost no attempt. */
static void
failed(const DispatchCall *call, Reading *reading, bool held)
{
	StoreVerify *verify = &call->store->verify;

	if (!held && !call->host_away)
		reading->attempts++;
	if (call->answer.class == OUTCOME_PERMANENT ? call->call.n_item_ids == 1 : reading->attempts >= QUEUE_MAX_ATTEMPTS)
		end_reading(reading, call, -1, record_text(call->answer.message));
	else
		wait_again(verify, reading);
}

void
verify_settle(DispatchCall *call, Record *record)
{
	StoreVerify *verify = &call->store->verify;
	bool		ok = call->answer.class == OUTCOME_OK;
	bool		held;

	record_call(record, call, NULL);
	dispatch_count_answer(call);
	held = dispatch_hold_store(call);
	verify->flying = false;
	verify->failures = ok ? 0 : verify->failures + 1;
	verify->due = ok || held ? 0 : call->answered_at + retry_delay_us(verify->failures);
	verify->alone |= call->answer.class == OUTCOME_PERMANENT && call->call.n_item_ids > 1;
	for (int i = 0; i < call->call.n_items; i++)
	{
		Reading    *reading = find_flying(verify, call->call.items[i].listing_id);
		const ShownItem *shown;
		const char *problem;

		if (reading == NULL)
			continue;
		if (!ok)
		{
			failed(call, reading, held);
			continue;
		}
		shown = read_shown(&call->answer, &call->call.items[i]);
		problem = read_problem(shown);
		end_reading(reading, call, problem == NULL ? shown->quantity : -1, problem == NULL ? "" : problem);
	}
	call_free(call);
}

/* ---------------------------------------------------------------- rounds */

static bool
wants_portion(const StoreVerify *verify)
{
	return verify->n_waiting == 0 && !verify->flying && verify->n <= READINGS_MAX - PORTION;
}

void
verify_round(TimestampTz now, SsSet *again)
{
	for (int i = 0; i < stores_count(); i++)
	{
		DispatchStore *store = stores_nth(i);
		StoreVerify *verify = &store->verify;

		if (verify->phase != VERIFY_READS)
			continue;
		verify_judge(store, now, again);
		if (now >= verify->until)
			finish(store, NIGHT_OVER);
		else if (wants_portion(verify) && now >= verify->look_due)
			load(store, now);
	}
}

TimestampTz
verify_round_due(void)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < stores_count(); i++)
	{
		const StoreVerify *verify = &stores_nth(i)->verify;

		if (verify->phase != VERIFY_READS)
			continue;
		due = Min(due, verify->until);
		if (wants_portion(verify))
			due = Min(due, verify->look_due);
	}
	return due;
}
