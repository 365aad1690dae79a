/*
 * returns.c
 *		Fetching the platforms' lists of returns, and keeping what is new.
 *
 * Where orders are listed by their last change so are returns: the next fetch
 * begins where the last one ended, less an hour. Elsewhere the widest window
 * that the platform takes is listed each time. What was kept already makes no
 * row, so it may be asked for too often. docs/intake.md.
 */
#include "returns.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "partition.h"
#include "record.h"
#include "retry.h"
#include "work.h"

/* How far back the first fetch of a store goes. */
#define FIRST_US	(30 * USECS_PER_DAY)
#define OVERLAP_US	USECS_PER_HOUR

/* returns_set: the first fetch of all has no haste, a later one is due an interval after the last. */
void
returns_set(DispatchStore *store, int64 every_us, TimestampTz through)
{
	StoreReturns *returns = &store->returns;
	TimestampTz now = GetCurrentTimestamp();

	returns->every_us = every_us;
	if (returns->through == 0)
		returns->through = through;
	if (returns->walking)
		return;
	if (returns->due == 0)
		returns->due = (returns->through == 0 ? now : returns->through) + every_us;
	returns->due = Min(returns->due, now + every_us);
}

TimestampTz
returns_due(const DispatchStore *store)
{
	const StoreReturns *returns = &store->returns;

	if (!store->fetches || returns->flying || returns->every_us == 0 || store->intake.fetched_through == 0 ||
		(store->platform->calls & CALL_BIT(CALL_LIST_RETURNS)) == 0)
		return DT_NOEND;
	return returns->due;
}

static void
keep_cursor(StoreReturns *returns, const char *cursor)
{
	if (returns->cursor != NULL)
		pfree(returns->cursor);
	returns->cursor = cursor == NULL ? NULL : MemoryContextStrdup(TopMemoryContext, cursor);
}

/* begin_window: whole seconds, as platforms count. */
static void
begin_window(DispatchStore *store, TimestampTz now)
{
	StoreReturns *returns = &store->returns;
	int64		widest = (int64) store->platform->max_window * USECS_PER_SEC;
	TimestampTz through = Min(returns->through, now);

	if (through == 0)
		returns->from = now - FIRST_US;
	else if (store->platform->update_feed)
		returns->from = through - OVERLAP_US;
	else
		returns->from = Min(through, now - widest);
	returns->began = now;
	returns->from -= returns->from % USECS_PER_SEC;
	returns->to = Min(now - now % USECS_PER_SEC, returns->from + widest);
	returns->walking = true;
	keep_cursor(returns, NULL);
}

void
returns_build(DispatchStore *store)
{
	StoreReturns *returns = &store->returns;
	DispatchCall *call = call_create(store, CALL_LIST_RETURNS);

	if (!returns->walking)
		begin_window(store, GetCurrentTimestamp());
	call->call.from = timestamptz_to_time_t(returns->from);
	call->call.to = timestamptz_to_time_t(returns->to);
	call->call.cursor = arena_strdup(call->arena, returns->cursor != NULL ? returns->cursor : "");
	returns->flying = true;
	work_hand_over(call);
}

void
returns_give_back(DispatchCall *call)
{
	call->store->returns.flying = false;
	call_free(call);
}

/* keep_documents adds a row for each line of a return that is new, or stands otherwise than the last row says. */
static void
keep_documents(const DispatchCall *call)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID};
	Datum		values[2];

	if (call->answer.n_documents == 0)
		return;
	partition_ensure("return_notice", GetCurrentTimestamp());
	values[0] = Int32GetDatum(call->store->store_id);
	values[1] = CStringGetTextDatum(call->answer.documents);
	ss_execute(&plan,
			   "INSERT INTO storesync.return_notice (store_id, return_id, order_sn, line_id, qty, state, is_open) "
			   "SELECT $1, x.* FROM (SELECT d.return_id, coalesce(d.order_sn, '') AS order_sn, coalesce(d.line_id, '') AS line_id, "
			   "sum(d.qty)::bigint AS qty, min(d.state) AS state, bool_or(d.open) AS is_open "
			   "FROM jsonb_to_recordset($2::jsonb) AS d (return_id text, order_sn text, line_id text, qty bigint, state text, open boolean) "
			   "GROUP BY 1, 2, 3) x "
			   "LEFT JOIN LATERAL (SELECT n.qty, n.state, n.is_open FROM storesync.return_notice n "
			   "WHERE n.store_id = $1 AND n.return_id = x.return_id AND n.order_sn = x.order_sn AND n.line_id = x.line_id "
			   "ORDER BY n.at DESC LIMIT 1) old ON true "
			   "WHERE (old.qty, old.state, old.is_open) IS DISTINCT FROM (x.qty, x.state, x.is_open)",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}

/* note_through keeps up to when returns have been fetched. */
static void
note_through(int store_id, TimestampTz through)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(store_id), TimestampTzGetDatum(through)};

	ss_execute(&plan, "UPDATE storesync.order_cursor SET returns_through = $2 WHERE store_id = $1",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

/* take_page goes on with the next page, the next window, or after a while. */
static void
take_page(DispatchCall *call)
{
	DispatchStore *store = call->store;
	StoreReturns *returns = &store->returns;

	keep_documents(call);
	returns->failures = 0;
	returns->due = 0;
	if (call->answer.more)
	{
		keep_cursor(returns, call->answer.next_cursor);
		return;
	}
	returns->walking = false;
	returns->through = returns->to;
	note_through(store->store_id, returns->through);
	if (returns->through + 2 * USECS_PER_SEC >= returns->began)
		returns->due = call->answered_at + returns->every_us;
}

void
returns_settle(DispatchCall *call, Record *record)
{
	StoreReturns *returns = &call->store->returns;

	returns->flying = false;
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	if (!dispatch_hold_store(call))
	{
		if (call->answer.class == OUTCOME_OK)
			take_page(call);
		else
		{
			/* begun anew: a cursor may have become too old */
			returns->walking = false;
			returns->due = call->answered_at + retry_delay_us(++returns->failures);
		}
	}
	call_free(call);
}
