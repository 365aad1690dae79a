/*
 * record.c
 *		Outcomes into tables: at most one statement a table and round, whatever
 *		the number of calls. Partitions are made before what needs them opens
 *		their parent.
 */
#include "record.h"

#include "catalog/pg_type.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "outbox.h"
#include "partition.h"
#include "rows.h"
#include "shown.h"

/* Columns of what a shop shows; behind them acknowledgements have the revision, doubts the most that it may show. */
#define SHOWN_ARRAYS	"$1, $2, $3, $4, $5, $6, $7, $8"
#define SHOWN_COLUMNS	"listing_id, qty, version, incarnation, sent_at, written_at, item_id, model_id"

void
record_init(Record *record, MemoryContext context)
{
	static const Oid changed[] = {INT8OID, TIMESTAMPTZOID};
	static const Oid shown[] = {INT8OID, INT8OID, INT8OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TEXTOID, TEXTOID, INT8OID};
	static const Oid put_off[] = {INT8OID, TIMESTAMPTZOID, TEXTOID};
	static const Oid push[] = {TIMESTAMPTZOID, INT8OID, INT4OID, INT8OID, INT8OID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID};
	static const Oid calls[] = {TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT4OID,
	INT8OID, TEXTOID, TEXTOID};
	static const Oid dead[] = {INT4OID, INT8OID, TEXTOID, TEXTOID, INT8OID, TEXTOID, TEXTOID};
	static const Oid cursors[] = {INT4OID, TIMESTAMPTZOID};
	static const Oid looks[] = {INT4OID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, TEXTOID};

	record->again = set_create_in(context, lengthof(changed), changed);
	record->clean = set_create_in(context, lengthof(changed), changed);
	record->acks = set_create_in(context, lengthof(shown), shown);
	record->doubts = set_create_in(context, lengthof(shown), shown);
	record->refused = set_create_in(context, 1, shown);
	record->put_off = set_create_in(context, lengthof(put_off), put_off);
	record->reads = set_create_in(context, lengthof(shown) - 1, shown);
	record->pushes = set_create_in(context, lengthof(push), push);
	record->calls = set_create_in(context, lengthof(calls), calls);
	record->dead = set_create_in(context, lengthof(dead), dead);
	record->cursors = set_create_in(context, lengthof(cursors), cursors);
	record->looks = set_create_in(context, lengthof(looks), looks);
}

/*
 * local is a platform's text as this database can hold it: in another
 * encoding than UTF-8 what is not ASCII becomes a question mark, since a
 * conversion that fails must not end a round.
 */
static const char *
local(const char *value)
{
	char	   *copy;

	if (GetDatabaseEncoding() == PG_UTF8 || pg_is_ascii(value))
		return value;
	copy = pstrdup(value);
	for (char *p = copy; *p != '\0'; p++)
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	return copy;
}

const char *
record_text(const char *value)
{
	return local(value);
}

static Datum
text_or_null(const char *value, bool *isnull)
{
	*isnull = value == NULL || *value == '\0';
	return *isnull ? (Datum) 0 : CStringGetTextDatum(local(value));
}

void
record_push(Record *record, const DispatchCall *call, int i, OutcomeClass class, const char *reason)
{
	const PlatformItem *item = &call->call.items[i];
	Datum		push[9];
	bool		nulls[9] = {false};
	Datum		shown[9];

	push[0] = TimestampTzGetDatum(call->answered_at);
	push[1] = Int64GetDatum(item->listing_id);
	push[2] = Int32GetDatum(call->store->store_id);
	push[3] = Int64GetDatum(item->quantity);
	push[4] = Int64GetDatum(call->versions[i]);
	push[5] = TimestampTzGetDatum(call->listings[i]->changed_at);
	push[6] = TimestampTzGetDatum(call->sent_at);
	push[7] = CStringGetTextDatum(outcome_name(class));
	push[8] = text_or_null(reason, &nulls[8]);
	set_add(record->pushes, push, nulls);

	shown[0] = Int64GetDatum(item->listing_id);
	shown[1] = Int64GetDatum(item->quantity);
	shown[2] = Int64GetDatum(call->versions[i]);
	shown[3] = Int32GetDatum(incarnation_current());
	shown[4] = TimestampTzGetDatum(call->sent_at);
	shown[5] = TimestampTzGetDatum(call->answered_at);
	shown[6] = CStringGetTextDatum(item->item_id);
	shown[7] = CStringGetTextDatum(item->model_id);
	shown[8] = Int64GetDatum(class == OUTCOME_OK ? call->revisions[i] : Max(call->at_most[i], item->quantity));
	if (class == OUTCOME_OK)
		set_add(record->acks, shown, NULL);
	else if (class == OUTCOME_IN_DOUBT)
		set_add(record->doubts, shown, NULL);
	else
		set_add(record->refused, shown, NULL);
}

void
record_put_off(Record *record, const DispatchCall *call, int i, const char *reason)
{
	Datum		values[] = {
		Int64GetDatum(call->call.items[i].listing_id), TimestampTzGetDatum(call->answered_at),
		CStringGetTextDatum(local(reason))
	};

	set_add(record->put_off, values, NULL);
}

void
record_read(Record *record, const DispatchCall *call, int i, int64 quantity)
{
	const PlatformItem *item = &call->call.items[i];
	Datum		values[] = {
		Int64GetDatum(item->listing_id), Int64GetDatum(quantity), Int64GetDatum(0),
		Int32GetDatum(incarnation_current()), TimestampTzGetDatum(call->sent_at),
		TimestampTzGetDatum(call->answered_at), CStringGetTextDatum(item->item_id),
		CStringGetTextDatum(item->model_id)
	};

	set_add(record->reads, values, NULL);
}

void
record_call(Record *record, const DispatchCall *call, const char *message)
{
	Datum		values[10];
	bool		nulls[10] = {false};

	values[0] = TimestampTzGetDatum(call->answered_at);
	values[1] = Int32GetDatum(call->store->store_id);
	values[2] = CStringGetTextDatum(platform_call_name(call->call.kind));
	values[3] = CStringGetTextDatum(outcome_name(call->answer.class));
	values[4] = Int32GetDatum(Max(call->call.n_items, Max(call->call.n_order_sns, call->answer.n_order_sns)));
	values[5] = Int32GetDatum(call->http_status);
	values[6] = Int32GetDatum(call->curl_code);
	values[7] = Int64GetDatum(call->times.total_us);
	values[8] = text_or_null(call->answer.code, &nulls[8]);
	values[9] = text_or_null(message != NULL ? message : call->answer.message, &nulls[9]);
	nulls[5] = call->http_status == 0;
	set_add(record->calls, values, nulls);
}

/* A listing without a row was never acknowledged: it is written again anyway. */
void
record_sending(SsSet *sending)
{
	static SPIPlanPtr plan = NULL;

	if (shown_sending(sending))
		return;
	set_execute(&plan,
				"UPDATE storesync.listing_shown w SET sending_qty = x.qty "
				"FROM unnest($1, $2) AS x (listing_id, qty) WHERE w.listing_id = x.listing_id",
				SPI_OK_UPDATE, sending);
}

/* add_attempt writes a try as a JSON object; order_sn NULL for a listing's. */
static void
add_attempt(StringInfo story, const QueueAttempt *attempt, const char *order_sn)
{
	appendStringInfoChar(story, '{');
	if (order_sn != NULL)
	{
		appendStringInfoString(story, "\"order_sn\":");
		escape_json(story, local(order_sn));
		appendStringInfoChar(story, ',');
	}
	appendStringInfoString(story, "\"at\":");
	escape_json(story, timestamptz_to_str(attempt->at));
	appendStringInfo(story, ",\"class\":\"%s\",\"http_status\":%d,\"curl_code\":%d,\"us\":{\"lookup\":" INT64_FORMAT
					 ",\"connect\":" INT64_FORMAT ",\"tls\":" INT64_FORMAT ",\"first_byte\":" INT64_FORMAT
					 ",\"total\":" INT64_FORMAT "},\"reason\":",
					 outcome_name(attempt->class), attempt->http_status, attempt->curl_code,
					 attempt->times.lookup_us, attempt->times.connect_us, attempt->times.tls_us,
					 attempt->times.first_byte_us, attempt->times.total_us);
	escape_json(story, local(attempt->reason));
	appendStringInfoString(story, ",\"excerpt\":");
	escape_json(story, local(attempt->excerpt));
	appendStringInfoChar(story, '}');
}

char *
record_attempt_text(const QueueAttempt *attempt)
{
	StringInfoData text;

	initStringInfo(&text);
	add_attempt(&text, attempt, NULL);
	return text.data;
}

/* story_of writes the tries of a listing as a JSON array. */
static char *
story_of(const QueueListing *listing)
{
	StringInfoData story;

	initStringInfo(&story);
	appendStringInfoChar(&story, '[');
	for (const QueueAttempt *attempt = listing->story; attempt != NULL; attempt = attempt->next)
	{
		if (attempt != listing->story)
			appendStringInfoChar(&story, ',');
		add_attempt(&story, attempt, NULL);
	}
	appendStringInfoChar(&story, ']');
	return story.data;
}

void
record_dead_listing(Record *record, const DispatchCall *call, int i, OutcomeClass class, const char *reason)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int32GetDatum(call->store->store_id);
	values[1] = Int64GetDatum(call->call.items[i].listing_id);
	values[2] = CStringGetTextDatum("push_stock");
	values[3] = CStringGetTextDatum(outcome_name(class));
	values[4] = Int64GetDatum(call->versions[i]);
	values[5] = text_or_null(reason, &nulls[5]);
	values[6] = CStringGetTextDatum(story_of(call->listings[i]));
	set_add(record->dead, values, nulls);
}

void
record_dead_order(Record *record, const DispatchCall *call, const char *order_sn)
{
	QueueAttempt attempt = call_attempt(call, call->answer.class, call->answer.message);
	Datum		values[7];
	bool		nulls[7] = {false, true, false, false, true, false, false};
	StringInfoData story;

	initStringInfo(&story);
	appendStringInfoChar(&story, '[');
	add_attempt(&story, &attempt, order_sn);
	appendStringInfoChar(&story, ']');
	values[0] = Int32GetDatum(call->store->store_id);
	values[1] = (Datum) 0;
	values[2] = CStringGetTextDatum("fetch_orders");
	values[3] = CStringGetTextDatum(outcome_name(attempt.class));
	values[4] = (Datum) 0;
	values[5] = text_or_null(attempt.reason, &nulls[5]);
	values[6] = CStringGetTextDatum(story.data);
	set_add(record->dead, values, nulls);
}

void
record_cursor(Record *record, int store_id, TimestampTz through)
{
	Datum		values[2];

	values[0] = Int32GetDatum(store_id);
	values[1] = TimestampTzGetDatum(through);
	set_add(record->cursors, values, NULL);
}

void
record_look(Record *record, int store_id, const Look *look)
{
	Datum		values[6];

	values[0] = Int32GetDatum(store_id);
	values[1] = Int64GetDatum(look->age);
	values[2] = TimestampTzGetDatum(look->hour);
	values[3] = Int32GetDatum(look->listed);
	values[4] = Int32GetDatum(look->missing);
	values[5] = CStringGetTextDatum(local(look->names));
	set_add(record->looks, values, NULL);
}

/*
 * any_given_up tells whether one of these listings, by the set's first column,
 * has ever been given up; mostly none has, and there is nothing to settle.
 */
static bool
any_given_up(const SsSet *listings)
{
	static RowsLookup lookup = {
		.name = {"compensation"}, .nkeys = 2, .keys = {"listing_id", "version"}, .columns = "listing_id",
		.many = true
	};
	RowsScan	scan;
	bool		found = false;

	if (listings->rows == 0)
		return false;
	if (!rows_open(&scan, &lookup, false))
		return true;
	for (int i = 0; i < listings->rows && !found; i++)
		found = rows_find(&scan, 1, &listings->values[0][i]);
	rows_close(&scan);
	return found;
}

/*
 * write_shown tells what the platforms show. A version acknowledged never
 * falls within an incarnation; an answer about an item that the listing no
 * longer stands for says nothing about it. The revision is that of the quantity:
 * what has changed since its call was built the breaker has yet to judge.
 */
static void
write_shown(const Record *record)
{
	static SPIPlanPtr ack_plan = NULL;
	static SPIPlanPtr doubt_plan = NULL;
	static SPIPlanPtr refused_plan = NULL;
	static SPIPlanPtr put_off_plan = NULL;
	static SPIPlanPtr settle_plan = NULL;
	SsSet	   *acks = set_create_in(CurrentMemoryContext, record->acks->columns, record->acks->types);

	if (!shown_acks(record->acks, acks))
		acks = record->acks;
	set_execute(&ack_plan,
				"INSERT INTO storesync.listing_shown AS w "
				"(listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, acked_revision) "
				"SELECT x.listing_id, x.qty, x.version, x.incarnation, x.sent_at, x.written_at, x.revision "
				"FROM unnest(" SHOWN_ARRAYS ", $9) AS x (" SHOWN_COLUMNS ", revision) "
				"JOIN storesync.listing l USING (listing_id, item_id, model_id) "
				"ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, "
				"acked_version = CASE WHEN w.acked_incarnation = excluded.acked_incarnation "
				"THEN greatest(w.acked_version, excluded.acked_version) ELSE excluded.acked_version END, "
				"acked_incarnation = excluded.acked_incarnation, acked_revision = excluded.acked_revision, "
				"sent_at = excluded.sent_at, written_at = excluded.written_at, "
				"doubt_qty = NULL, sending_qty = NULL",
				SPI_OK_INSERT, acks);
	/* a listing in doubt before its first acknowledgement has acknowledged no version: 0 */
	set_execute(&doubt_plan,
				"INSERT INTO storesync.listing_shown AS w "
				"(listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at, doubt_qty) "
				"SELECT x.listing_id, x.qty, 0, x.incarnation, x.sent_at, x.written_at, x.at_most "
				"FROM unnest(" SHOWN_ARRAYS ", $9) AS x (" SHOWN_COLUMNS ", at_most) "
				"JOIN storesync.listing l USING (listing_id, item_id, model_id) "
				"ON CONFLICT (listing_id) DO UPDATE SET doubt_qty = greatest(w.doubt_qty, excluded.doubt_qty), "
				"sending_qty = NULL",
				SPI_OK_INSERT, record->doubts);
	set_execute(&refused_plan,
				"UPDATE storesync.listing_shown w SET sending_qty = NULL "
				"FROM unnest($1) AS x (listing_id) "
				"WHERE w.listing_id = x.listing_id AND w.sending_qty IS NOT NULL",
				SPI_OK_UPDATE, record->refused);
	/* since when: kept until something is acknowledged */
	set_execute(&put_off_plan,
				"UPDATE storesync.listing_shown w SET put_off_at = x.at, put_off = x.reason "
				"FROM unnest($1, $2, $3) AS x (listing_id, at, reason) "
				"WHERE w.listing_id = x.listing_id AND (w.put_off_at > w.written_at) IS NOT TRUE",
				SPI_OK_UPDATE, record->put_off);
	if (any_given_up(record->acks))
		set_execute(&settle_plan,
					"UPDATE storesync.compensation c SET settled_at = clock_timestamp(), "
					"settled_by = 'overtaken by version ' || x.version "
					"FROM unnest(" SHOWN_ARRAYS ") AS x (" SHOWN_COLUMNS ") "
					"WHERE c.listing_id = x.listing_id AND c.version <= x.version AND c.settled_at IS NULL "
					"AND c.call = 'push_stock'",
					SPI_OK_UPDATE, record->acks);
}

/*
 * write_reads: what a shop was seen to show counts as acknowledged then. It is
 * of no version: whether an order of that moment is in it nobody knows.
 */
static void
write_reads(const Record *record)
{
	static SPIPlanPtr plan = NULL;

	set_execute(&plan,
				"INSERT INTO storesync.listing_shown AS w (listing_id, acked_qty, acked_version, acked_incarnation, "
				"sent_at, written_at, read_qty, read_at) "
				"SELECT x.listing_id, x.qty, x.version, x.incarnation, x.sent_at, x.written_at, x.qty, x.written_at "
				"FROM unnest(" SHOWN_ARRAYS ") AS x (" SHOWN_COLUMNS ") "
				"JOIN storesync.listing l USING (listing_id, item_id, model_id) "
				"ON CONFLICT (listing_id) DO UPDATE SET acked_qty = excluded.acked_qty, "
				"acked_version = excluded.acked_version, acked_incarnation = excluded.acked_incarnation, "
				"sent_at = excluded.sent_at, written_at = excluded.written_at, "
				"read_qty = excluded.read_qty, read_at = excluded.read_at, doubt_qty = NULL, sending_qty = NULL",
				SPI_OK_INSERT, record->reads);
}

static int
write_dead(const Record *record)
{
	static SPIPlanPtr plan = NULL;

	if (record->dead->rows == 0)
		return 0;
	set_execute(&plan,
				"INSERT INTO storesync.compensation (store_id, listing_id, call, class, version, reason, story) "
				"SELECT x.store_id, x.listing_id, x.call, x.class::storesync.outcome_class, x.version, "
				"x.reason, x.story::jsonb "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7) "
				"AS x (store_id, listing_id, call, class, version, reason, story) "
				"WHERE x.listing_id IS NOT NULL OR NOT EXISTS (SELECT FROM storesync.compensation c "
				"WHERE c.listing_id IS NULL AND c.store_id = x.store_id AND c.call = x.call "
				"AND c.settled_at IS NULL AND c.story->0->>'order_sn' = x.story::jsonb->0->>'order_sn')",
				SPI_OK_INSERT, record->dead);
	return (int) SPI_processed;
}

/* Nothing else is on these two tables as a rule, so a row costs no statement. */
static void
write_logs(const Record *record)
{
	static RowsTable pushes = {
		.name = {"push"},
		.columns = "at, listing_id, store_id, qty, version, changed_at, sent_at, class, reason"
	};
	static RowsTable calls = {
		.name = {"call_log"},
		.columns = "at, store_id, call, class, items, http_status, curl_code, total_us, code, message"
	};

	for (int i = 0; i < record->pushes->rows; i++)
		partition_ensure("push", DatumGetTimestampTz(record->pushes->values[0][i]));
	for (int i = 0; i < record->calls->rows; i++)
		partition_ensure("call_log", DatumGetTimestampTz(record->calls->values[0][i]));
	rows_insert(&pushes, record->pushes);
	rows_insert(&calls, record->calls);
}

/* write_looks tells how far second looks came, and in which hours something was missing. */
static void
write_looks(const Record *record)
{
	static SPIPlanPtr look_plan = NULL;
	static SPIPlanPtr gap_plan = NULL;

	if (record->looks->rows == 0)
		return;
	set_execute(&look_plan,
				"INSERT INTO storesync.order_look AS k (store_id, age, looked_through, listed) "
				"SELECT DISTINCT ON (x.store_id, x.age) x.store_id, x.age * interval '1 microsecond', "
				"x.hour + interval '1 hour', x.listed FROM unnest($1, $2, $3, $4, $5, $6) "
				"AS x (store_id, age, hour, listed, missing, names) ORDER BY x.store_id, x.age, x.hour DESC "
				"ON CONFLICT (store_id, age) DO UPDATE SET looked_at = clock_timestamp(), "
				"looked_through = excluded.looked_through, listed = excluded.listed",
				SPI_OK_INSERT, record->looks);
	partition_ensure("order_gap", GetCurrentTimestamp());
	set_execute(&gap_plan,
				"INSERT INTO storesync.order_gap (store_id, age, hour, listed, missing, order_sns) "
				"SELECT x.store_id, x.age * interval '1 microsecond', x.hour, x.listed, x.missing, "
				"string_to_array(x.names, ' ') FROM unnest($1, $2, $3, $4, $5, $6) "
				"AS x (store_id, age, hour, listed, missing, names) WHERE x.missing > 0",
				SPI_OK_INSERT, record->looks);
}

int
record_write(const Record *record)
{
	static SPIPlanPtr cursor_plan = NULL;

	write_shown(record);
	write_reads(record);
	write_logs(record);
	write_looks(record);
	/* the cursor goes back only from a moment that a clock set back since has taken it to */
	set_execute(&cursor_plan,
				"INSERT INTO storesync.order_cursor AS c (store_id, fetched_through) "
				"SELECT x.store_id, max(x.through) FROM unnest($1, $2) AS x (store_id, through) GROUP BY x.store_id "
				"ON CONFLICT (store_id) DO UPDATE SET fetched_at = clock_timestamp(), "
				"fetched_through = CASE WHEN c.fetched_through > clock_timestamp() THEN excluded.fetched_through "
				"ELSE greatest(c.fetched_through, excluded.fetched_through) END",
				SPI_OK_INSERT, record->cursors);
	return write_dead(record);
}
