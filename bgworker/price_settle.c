/*
 * price_settle.c
 *		What came of calls that write prices and listing states: acknowledged,
 *		tried again later, tried singly, or given up. All of it is in the table
 *		offer; whoever waits for a listing is told by the news of its round.
 */
#include "price_internal.h"

#include "catalog/pg_type.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "record.h"
#include "retry.h"

/* What the platform calls "not now" is tried at least this often, and given up after so long. */
#define LATER_US			USECS_PER_HOUR
#define LATER_DAYS_US		(15 * USECS_PER_DAY)

/* ---------------------------------------------------------------- news */

/* Listings whose rows changed in this transaction. */
static LocalTransactionId news_of = InvalidLocalTransactionId;
static int64 *news = NULL;
static int	n_news = 0;
static int	room_news = 0;

void
price_news_add(int64 listing_id)
{
	if (news_of != SsMyLocalTransactionId())
		n_news = 0;
	news_of = SsMyLocalTransactionId();
	if (n_news == room_news)
	{
		room_news = Max(64, 2 * room_news);
		news = news == NULL ? MemoryContextAlloc(TopMemoryContext, room_news * sizeof(int64)) :
			repalloc(news, room_news * sizeof(int64));
	}
	news[n_news++] = listing_id;
}

bool
price_news(int64 listing_id)
{
	if (news_of != SsMyLocalTransactionId())
		return false;
	for (int i = 0; i < n_news; i++)
		if (news[i] == listing_id)
			return true;
	return false;
}

/* ---------------------------------------------------------------- outcomes */

/* refresh brings what is open of the call's items in line with what is known now. */
static void
refresh(const DispatchCall *call)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	int64	   *ids = palloc(sizeof(int64) * call->call.n_items);
	Datum		values[1];

	for (int i = 0; i < call->call.n_items; i++)
		ids[i] = call->call.items[i].listing_id;
	values[0] = ss_int8_array(call->call.n_items, ids);
	ss_execute(&plan, "SELECT storesync.offer_refresh($1)", SPI_OK_SELECT, 1, types, values, NULL, 0);
}

/* tell_selected: the rows whose listings the last query returned have changed. */
static void
tell_selected(void)
{
	bool		isnull;

	for (uint64 i = 0; i < SPI_processed; i++)
		price_news_add(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	SPI_freetuptable(SPI_tuptable);
}

/* acknowledge: what was said is shown; what had been given up before is overtaken. */
static void
acknowledge(const DispatchCall *call, int i)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, NUMERICOID, TIMESTAMPTZOID};
	Datum		values[6];
	char		nulls[] = "      ";

	price_name_written(call, i, values, nulls);
	values[4] = price_numeric(call->call.items[i].price);
	values[5] = TimestampTzGetDatum(call->answered_at);
	ss_execute(&plan,
			   "WITH done AS (UPDATE storesync.offer o SET acked = $5, acked_at = $6, sending = NULL, alone = false, "
			   "dead = false, attempts = 0, reason = NULL, story = '[]' FROM storesync.listing l WHERE " WRITTEN_ROWS
			   " RETURNING o.listing_id), "
			   "settled AS (UPDATE storesync.compensation c SET settled_at = clock_timestamp(), settled_by = 'overtaken by a later write' "
			   "FROM done d WHERE c.listing_id = d.listing_id AND c.settled_at IS NULL "
			   "AND c.call = ANY (CASE $1 WHEN 'price' THEN ARRAY['push_price'] ELSE ARRAY['list', 'unlist'] END)) "
			   "SELECT d.listing_id FROM done d",
			   SPI_OK_SELECT, 6, types, values, nulls, 0);
	tell_selected();
}

/* let_go: the outcome says nothing of the items, or of what is wanted of them by now; or they are tried singly. Nothing was applied. */
static void
let_go(const DispatchCall *call, int i, bool alone)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TIMESTAMPTZOID};
	Datum		values[6];
	char		nulls[] = "      ";

	price_name_written(call, i, values, nulls);
	values[4] = BoolGetDatum(alone);
	values[5] = TimestampTzGetDatum(call->host_away ? call->answered_at + retry_delay_us(1) : call->answered_at);
	ss_execute(&plan,
			   "UPDATE storesync.offer o SET sending = NULL, alone = o.alone OR $5, next_at = $6 "
			   "FROM storesync.listing l WHERE " WRITTEN_ROWS,
			   SPI_OK_UPDATE, 6, types, values, nulls, 0);
}

/* hold locks the rows, which waits for people who are at them: what is read after this is what they left. */
static void
hold(const DispatchCall *call, int i)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[WRITTEN_PARAMETERS];
	char		nulls[] = "    ";

	price_name_written(call, i, values, nulls);
	ss_execute(&plan,
			   "SELECT FROM storesync.offer o JOIN storesync.listing l ON " WRITTEN_ROWS " ORDER BY o.listing_id FOR NO KEY UPDATE OF o",
			   SPI_OK_SELECT, WRITTEN_PARAMETERS, types, values, nulls, 0);
	SPI_freetuptable(SPI_tuptable);
}

/* is_wanted: what element `i` said is wanted still. */
static bool
is_wanted(const DispatchCall *call, int i)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, NUMERICOID};
	Datum		values[5];
	char		nulls[] = "     ";
	bool		wanted;

	price_name_written(call, i, values, nulls);
	values[4] = price_numeric(call->call.items[i].price);
	ss_execute(&plan,
			   "SELECT FROM storesync.listing l LEFT JOIN storesync.offer_state o ON o.listing_id = l.listing_id AND o.facet = $1 "
			   "WHERE " WRITTEN_LISTINGS " AND $5 = CASE $1 WHEN 'price' THEN l.price ELSE o.wanted END",
			   SPI_OK_SELECT, 5, types, values, nulls, 1);
	wanted = SPI_processed > 0;
	SPI_freetuptable(SPI_tuptable);
	return wanted;
}

/*
 * is_overtaken: somebody wants something else by now than element `i` said; of
 * an item with several prices, than one of them.
 */
static bool
is_overtaken(const DispatchCall *call, int i)
{
	const PlatformItem *items = call->call.items;
	int			n = i + 1;

	while (price_is_whole(call->store, call->call.kind) && n < call->call.n_items &&
		   strcmp(items[n].item_id, items[i].item_id) == 0)
		n++;
	hold(call, i);
	for (; i < n; i++)
		if (!is_wanted(call, i))
			return true;
	return false;
}

/* tries_of reads how often the rows have been tried, and since when their value is wanted. */
static int
tries_of(const DispatchCall *call, int i, TimestampTz *since)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[WRITTEN_PARAMETERS];
	char		nulls[] = "    ";
	bool		isnull;
	int			tries = 0;

	price_name_written(call, i, values, nulls);
	*since = call->answered_at;
	ss_execute(&plan,
			   "SELECT max(o.attempts), max(o.changed_at) FROM storesync.offer o JOIN storesync.listing l ON " WRITTEN_ROWS
			   " WHERE o.open HAVING count(*) > 0",
			   SPI_OK_SELECT, WRITTEN_PARAMETERS, types, values, nulls, 1);
	if (SPI_processed > 0)
	{
		tries = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		*since = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	return tries;
}

/*
 * next_try says when a try that failed for the n-th time is repeated. What is
 * only not possible now, mostly because of a promotion, is tried less and less
 * often, at the end of what stands against it where that is known.
 */
static TimestampTz
next_try(const DispatchCall *call, OutcomeClass class, int n)
{
	int64		pause = class == OUTCOME_IN_DOUBT ? (n > 1 ? retry_delay_us(n - 1) : 0) : retry_delay_us(n);

	if (class == OUTCOME_LATER)
	{
		int64		most = call->answer.retry_after > 0 ? Min(call->answer.retry_after * USECS_PER_SEC, LATER_US) : LATER_US;
		int64		left = call->answer.until > 0 ?
			time_t_to_timestamptz((pg_time_t) call->answer.until) - call->answered_at : 0;

		pause = left > 0 ? Min(left, USECS_PER_DAY) : Min(USECS_PER_SEC << Min(n - 1, 20), most);
	}
	return call->answered_at + pause;
}

/* bury writes the row of compensation of a listing that was just given up. */
static void
bury(int64 listing_id, const DispatchCall *call, OutcomeClass class)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID, TEXTOID, TEXTOID};
	const char *name = call->call.kind == CALL_PUSH_PRICE ? "push_price" : call->call.listed ? "list" : "unlist";
	Datum		values[] = {
		Int64GetDatum(listing_id), CStringGetTextDatum(name), CStringGetTextDatum(outcome_name(class)),
		CStringGetTextDatum(call->call.kind == CALL_PUSH_PRICE ? "price" : "listed")
	};

	ss_execute(&plan,
			   "INSERT INTO storesync.compensation (store_id, listing_id, call, class, reason, story) "
			   "SELECT o.store_id, o.listing_id, $2, $3::storesync.outcome_class, o.reason, o.story "
			   "FROM storesync.offer o WHERE o.listing_id = $1 AND o.facet = $4",
			   SPI_OK_INSERT, 4, types, values, NULL, 0);
	dispatch_count(SS_TASKS_DEAD, 1);
}

/* bury_selected: rows (listing, whether it was given up) of the last query. */
static void
bury_selected(const DispatchCall *call, OutcomeClass class)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		n = SPI_processed;
	bool		isnull;

	for (uint64 i = 0; i < n; i++)
	{
		int64		id = DatumGetInt64(SPI_getbinval(table->vals[i], table->tupdesc, 1, &isnull));

		price_news_add(id);
		if (DatumGetBool(SPI_getbinval(table->vals[i], table->tupdesc, 2, &isnull)))
			bury(id, call, class);
	}
	SPI_freetuptable(table);
}

/* fail records a try that failed: later again, or given up. What may have been applied stays as being sent. */
static void
fail(const DispatchCall *call, int i, OutcomeClass class, const char *reason)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TIMESTAMPTZOID, BOOLOID, TEXTOID, TEXTOID};
	QueueAttempt attempt = call_attempt(call, class, reason);
	Datum		values[9];
	char		nulls[] = "         ";
	TimestampTz since;
	int			n = tries_of(call, i, &since) + 1;
	bool		dead = class == OUTCOME_PERMANENT ||
		(class == OUTCOME_LATER ? call->answered_at - since > LATER_DAYS_US : n >= QUEUE_MAX_ATTEMPTS);

	price_name_written(call, i, values, nulls);
	values[4] = BoolGetDatum(class == OUTCOME_IN_DOUBT && !dead);
	values[5] = TimestampTzGetDatum(next_try(call, class, n));
	values[6] = BoolGetDatum(dead);
	values[7] = CStringGetTextDatum(attempt.reason);
	values[8] = CStringGetTextDatum(record_attempt_text(&attempt));
	ss_execute(&plan,
			   "UPDATE storesync.offer o SET sending = CASE WHEN $5 THEN o.sending END, "
			   "attempts = o.attempts + 1, next_at = $6, reason = $8, dead = o.open AND $7, "
			   "story = CASE WHEN jsonb_array_length(o.story) >= 10 THEN o.story - 0 ELSE o.story END || $9::jsonb "
			   "FROM storesync.listing l WHERE " WRITTEN_ROWS " RETURNING o.listing_id, o.dead",
			   SPI_OK_UPDATE_RETURNING, 9, types, values, nulls, 0);
	bury_selected(call, class);
}

/* is_alone: nothing but one item, or model, was in the call. */
static bool
is_alone(const DispatchCall *call)
{
	for (int i = 1; i < call->call.n_items; i++)
		if (!price_is_whole(call->store, call->call.kind) ||
			strcmp(call->call.items[i].item_id, call->call.items[0].item_id) != 0)
			return false;
	return true;
}

/*
 * settle_item: a batch that was refused as a whole may have been so for one of
 * its items: they are tried singly. A failure says nothing of a value that was
 * set while the call was under way: that is due, and what may have been applied
 * stays as being sent.
 */
static void
settle_item(const DispatchCall *call, int i, bool together)
{
	const char *reason;
	OutcomeClass class = call_outcome(call, i, &reason);

	switch (class)
	{
		case OUTCOME_OK:
			acknowledge(call, i);
			break;
		case OUTCOME_THROTTLED:
		case OUTCOME_QUOTA:
		case OUTCOME_AUTH:
			let_go(call, i, false);
			break;
		default:
			if (call->host_away && class != OUTCOME_IN_DOUBT)
				let_go(call, i, false);
			else if (together && (class == OUTCOME_PERMANENT || class == OUTCOME_LATER))
				let_go(call, i, true);
			else if (!is_overtaken(call, i))
				fail(call, i, class, reason);
			else if (class != OUTCOME_IN_DOUBT)
				let_go(call, i, false);
	}
}

void
price_settle(DispatchCall *call, Record *record)
{
	OutcomeClass class = call->answer.class;
	bool		together = !is_alone(call) && (class == OUTCOME_PERMANENT || class == OUTCOME_LATER);

	call->store->prices.flying = false;
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	(void) dispatch_hold_store(call);
	for (int i = 0; i < call->call.n_items; i++)
	{
		/* of an item with several prices one element is enough */
		if (i == 0 || !price_is_whole(call->store, call->call.kind) ||
			strcmp(call->call.items[i].item_id, call->call.items[i - 1].item_id) != 0)
			settle_item(call, i, together);
	}
	refresh(call);
	price_look(call->store);
	call_free(call);
}
