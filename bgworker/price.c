/*
 * price.c
 *		Price calls and calls that list or unlist, and their outcomes.
 *
 * What is to be said is read in the transaction that builds the call and
 * nowhere earlier: never yesterday's price, never a listing that was recalled.
 * It is committed before the call leaves (offer.sending), so that after a
 * crash it counts as in doubt: a price is absolute and sent again, as is an
 * unlist; a list is read first (price_look.c).
 */
#include "price.h"

#include "catalog/pg_type.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "push.h"
#include "record.h"
#include "retry.h"
#include "stores.h"

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

/* ---------------------------------------------------------------- building */

TimestampTz
price_due(const DispatchStore *store)
{
	return store->writes == WRITES_NONE || store->prices.flying ? DT_NOEND : store->prices.due;
}

/* The row that is due first: it says what the call is about. */
typedef struct Head
{
	int64		listing_id;
	char	   *kind;
	char	   *item_id;
	bool		alone;
} Head;

/* find_head finds it; false: nothing is due after all. `values`: of PRICE_OPEN, and now. */
static bool
find_head(Datum *values, Head *head)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT v.listing_id, v.kind, v.item_id, v.alone FROM storesync.offer_state v "
			   "WHERE " PRICE_OPEN " AND v.next_at <= $5 ORDER BY v.next_at LIMIT 1",
			   SPI_OK_SELECT, 5, types, values, NULL, 1);
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	head->listing_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	head->kind = SPI_getvalue(row, desc, 2);
	head->item_id = SPI_getvalue(row, desc, 3);
	head->alone = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	return true;
}

/* is_whole: a call of this kind writes items with all their models. */
static bool
is_whole(const DispatchStore *store, CallKind kind)
{
	return kind == CALL_SET_LISTED || store->platform->price_of_item;
}

/*
 * select_items selects the rows that one call takes, those due first before
 * others: models of one item, or items. Where models have one price, each
 * price that they have is a row: several are the codec's to refuse.
 */
static void
select_items(const DispatchStore *store, Datum *values, const Head *head)
{
	static SPIPlanPtr models_plan = NULL;
	static SPIPlanPtr items_plan = NULL;
	const Oid	types[] = {INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, INT4OID};
	CallKind	kind = strcmp(head->kind, "price") == 0 ? CALL_PUSH_PRICE : CALL_SET_LISTED;
	int			most = kind == CALL_PUSH_PRICE ? store->platform->max_push_items : store->platform->max_set_listed;
	Datum		all[9];
	char		nulls[] = "       n ";

	memcpy(all, values, 5 * sizeof(Datum));
	all[5] = CStringGetTextDatum(head->kind);
	all[6] = CStringGetTextDatum(head->item_id);
	all[7] = Int64GetDatum(head->listing_id);
	all[8] = Int32GetDatum(Min(most, PUSH_MAX_ITEMS));
	if (head->alone)
		nulls[7] = ' ';
	if (!is_whole(store, kind))
		ss_execute(&models_plan,
				   "SELECT v.listing_id, v.item_id, v.model_id, v.wanted::text FROM storesync.offer_state v "
				   "WHERE " PRICE_OPEN " AND v.next_at <= $5 AND v.kind = $6 AND v.item_id = $7 "
				   "AND CASE WHEN $8 IS NULL THEN NOT v.alone ELSE v.listing_id = $8 END "
				   "ORDER BY v.next_at, v.listing_id LIMIT $9",
				   SPI_OK_SELECT, 9, types, all, nulls, 0);
	else
		ss_execute(&items_plan,
				   "SELECT min(s.listing_id), s.item_id, min(s.model_id), x.said FROM ("
				   "SELECT v.item_id, min(v.next_at) AS due FROM storesync.offer_state v "
				   "WHERE " PRICE_OPEN " AND v.next_at <= $5 AND v.kind = $6 "
				   "AND CASE WHEN $8 IS NULL THEN NOT v.alone ELSE v.item_id = $7 END "
				   "AND NOT (v.kind = 'list' AND v.sending IS NOT NULL) "
				   "GROUP BY v.item_id ORDER BY due, v.item_id LIMIT $9) i "
				   "JOIN storesync.listing s ON s.store_id = $1 AND s.item_id = i.item_id "
				   "CROSS JOIN LATERAL (SELECT CASE WHEN $6 = 'price' THEN trim_scale(s.price)::text "
				   "WHEN $6 = 'list' THEN '1' ELSE '0' END AS said) x "
				   "WHERE x.said IS NOT NULL GROUP BY s.item_id, x.said, i.due ORDER BY i.due, s.item_id, x.said LIMIT $9",
				   SPI_OK_SELECT, 9, types, all, nulls, 0);
}

/* fill_call takes what was selected. */
static void
fill_call(DispatchCall *call)
{
	int			n = (int) SPI_processed;
	PlatformItem *items = MemoryContextAllocZero(call->context, n * sizeof(PlatformItem));
	bool		isnull;

	for (int i = 0; i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		items[i].listing_id = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		items[i].item_id = arena_strdup(call->arena, SPI_getvalue(row, desc, 2));
		items[i].model_id = arena_strdup(call->arena, SPI_getvalue(row, desc, 3));
		items[i].price = arena_strdup(call->arena, SPI_getvalue(row, desc, 4));
	}
	call->call.items = items;
	call->call.n_items = n;
	SPI_freetuptable(SPI_tuptable);
}

/*
 * What a statement needs to find the rows that element `i` of a call wrote:
 * under the ids that the listings have now, so that nothing is said of one
 * that has come to stand for another item.
 */
#define WRITTEN_ROWS \
	"l.listing_id = o.listing_id AND o.facet = $1 AND l.store_id = $2 AND l.item_id = $3 AND ($4 IS NULL OR l.model_id = $4)"
#define WRITTEN_PARAMETERS 4

static void
name_written(const DispatchCall *call, int i, Datum *values, char *nulls)
{
	const PlatformItem *item = &call->call.items[i];

	values[0] = CStringGetTextDatum(call->call.kind == CALL_PUSH_PRICE ? "price" : "listed");
	values[1] = Int32GetDatum(call->store->store_id);
	values[2] = CStringGetTextDatum(item->item_id);
	values[3] = CStringGetTextDatum(item->model_id);
	nulls[3] = is_whole(call->store, call->call.kind) ? 'n' : ' ';
}

static Datum
numeric_of(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/* note_sending commits what is about to be said with the round that built it. */
static void
note_sending(const DispatchCall *call)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, NUMERICOID};

	for (int i = 0; i < call->call.n_items; i++)
	{
		Datum		values[5];
		char		nulls[] = "     ";

		name_written(call, i, values, nulls);
		values[4] = numeric_of(call->call.items[i].price);
		ss_execute(&plan, "UPDATE storesync.offer o SET sending = $5 FROM storesync.listing l WHERE " WRITTEN_ROWS,
				   SPI_OK_UPDATE, 5, types, values, nulls, 0);
	}
}

/* cannot_build tells a store without credentials, which waits, from what no platform takes. */
static void
cannot_build(DispatchCall *call, const char *error)
{
	const char *access_error;

	if (!call_access_builds(call->store, &access_error))
	{
		store_trouble(call->store, TROUBLE_ACCESS, GetCurrentTimestamp() + STORE_AUTH_WAIT_US, access_error);
		price_return(call);
		return;
	}
	call->sent_at = call->answered_at = GetCurrentTimestamp();
	call->answer.class = OUTCOME_PERMANENT;
	call->answer.code = "";
	call->answer.message = error;
	dispatch_ended(call);
}

void
price_build(DispatchStore *store)
{
	TimestampTz now = GetCurrentTimestamp();
	double		parts[PRICE_KINDS];
	Datum		values[5];
	Head		head;
	DispatchCall *call;
	const char *error;

	price_parts(store, now, parts);
	values[0] = Int32GetDatum(store->store_id);
	for (int i = 0; i < PRICE_KINDS; i++)
		values[i + 1] = Float8GetDatum(parts[i]);
	values[4] = TimestampTzGetDatum(now);
	if (!find_head(values, &head))
	{
		price_look(store);
		return;
	}
	select_items(store, values, &head);
	if (SPI_processed == 0)
	{
		/* a list in doubt, which is to be read first */
		price_look(store);
		return;
	}
	call = call_create(store, strcmp(head.kind, "price") == 0 ? CALL_PUSH_PRICE : CALL_SET_LISTED);
	call->call.listed = strcmp(head.kind, "list") == 0;
	fill_call(call);
	store->prices.flying = true;
	if (!call_build(call, &error))
	{
		cannot_build(call, error);
		return;
	}
	note_sending(call);
	dispatch_ready(call);
}

/* What it was to say stands as being sent, and is so again: nothing has left, and a list is read for nothing. */
void
price_return(DispatchCall *call)
{
	call->store->prices.flying = false;
	call->store->prices.due = GetCurrentTimestamp() + USECS_PER_SEC;
	call_free(call);
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

	name_written(call, i, values, nulls);
	values[4] = numeric_of(call->call.items[i].price);
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

/* let_go: the outcome says nothing of the items, the store waits; or they are tried singly. Nothing was applied. */
static void
let_go(const DispatchCall *call, int i, bool alone)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TIMESTAMPTZOID};
	Datum		values[6];
	char		nulls[] = "      ";

	name_written(call, i, values, nulls);
	values[4] = BoolGetDatum(alone);
	values[5] = TimestampTzGetDatum(call->host_away ? call->answered_at + retry_delay_us(1) : call->answered_at);
	ss_execute(&plan,
			   "UPDATE storesync.offer o SET sending = NULL, alone = o.alone OR $5, next_at = $6 "
			   "FROM storesync.listing l WHERE " WRITTEN_ROWS,
			   SPI_OK_UPDATE, 6, types, values, nulls, 0);
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

	name_written(call, i, values, nulls);
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

	name_written(call, i, values, nulls);
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
		if (!is_whole(call->store, call->call.kind) ||
			strcmp(call->call.items[i].item_id, call->call.items[0].item_id) != 0)
			return false;
	return true;
}

/* settle_item: a batch that was refused as a whole may have been so for one of its items: they are tried singly. */
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
			else
				fail(call, i, class, reason);
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
		if (i == 0 || !is_whole(call->store, call->call.kind) ||
			strcmp(call->call.items[i].item_id, call->call.items[i - 1].item_id) != 0)
			settle_item(call, i, together);
	}
	refresh(call);
	price_look(call->store);
	call_free(call);
}
