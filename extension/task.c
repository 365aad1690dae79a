/*
 * task.c
 *		Tasks: work that callers ask for, and how it stands.
 *
 * A task is a row of the outbox, written in the caller's transaction, whose
 * subject is the row's own id; the dispatcher is woken at commit. What becomes
 * of it are rows of task_event.
 *
 * With a key the task is made once: the key's row carries the task's id, and
 * its unique index decides between two calls at once (answer.c).
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/json.h"
#include "utils/numeric.h"
#include "utils/xid8.h"

#include "answer.h"
#include "key.h"
#include "ledger.h"
#include "outbox.h"
#include "partition.h"
#include "price.h"
#include "rows.h"
#include "shmem.h"
#include "task.h"

/* How far ahead a task may be put: a typing error makes none for the year 9999. */
#define MAX_AHEAD	(366 * USECS_PER_DAY)

PG_FUNCTION_INFO_V1(enqueue);
PG_FUNCTION_INFO_V1(task_state);

enum
{
	ARG_STORE, ARG_KIND, ARG_PAYLOAD, ARG_KEY, ARG_NOT_BEFORE
};

typedef struct TaskRequest
{
	int32		store_id;
	char	   *kind;
	Jsonb	   *payload;
	int64		listing_id;		/* 0: the payload names none */
	const IdempotencyKey *key;	/* NULL for none */
	TimestampTz not_before;		/* 0: at once */
	char		not_before_text[MAXDATELEN + 1];	/* "" for at once */
	uint64		fingerprint;
} TaskRequest;

/* ---------------------------------------------------------------- enqueue */

static uint64
request_fingerprint(TaskRequest *task)
{
	char		store[16];
	const char *parts[5] = {"enqueue", store, task->kind, NULL, task->not_before_text};
	int			lengths[5];

	snprintf(store, sizeof(store), "%d", task->store_id);
	parts[3] = JsonbToCString(NULL, &task->payload->root, VARSIZE(task->payload));
	for (int i = 0; i < (int) lengthof(parts); i++)
		lengths[i] = (int) strlen(parts[i]);
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

static void
read_not_before(FunctionCallInfo fcinfo, TaskRequest *task)
{
	int			utc = 0;

	task->not_before = 0;
	task->not_before_text[0] = '\0';
	if (PG_ARGISNULL(ARG_NOT_BEFORE))
		return;
	task->not_before = PG_GETARG_TIMESTAMPTZ(ARG_NOT_BEFORE);
	if (TIMESTAMP_NOT_FINITE(task->not_before) || task->not_before > GetCurrentTimestamp() + MAX_AHEAD)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a task cannot be put off for more than 366 days")));
	(void) JsonEncodeDateTime(task->not_before_text, TimestampTzGetDatum(task->not_before), TIMESTAMPTZOID, &utc);
}

/* read_request checks every argument; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, TaskRequest *task)
{
	ledger_check_not_null(fcinfo, ARG_STORE, "store");
	ledger_check_not_null(fcinfo, ARG_KIND, "kind");
	ledger_check_not_null(fcinfo, ARG_PAYLOAD, "payload");
	task->store_id = PG_GETARG_INT32(ARG_STORE);
	task->kind = text_to_cstring(PG_GETARG_TEXT_PP(ARG_KIND));
	task->payload = PG_GETARG_JSONB_P(ARG_PAYLOAD);
	task->listing_id = task_check(task->kind, task->payload);
	read_not_before(fcinfo, task);
	task->key = PG_ARGISNULL(ARG_KEY) ? NULL : PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	if (task->key == NULL)
		return;
	key_check_age(task->key);
	task->fingerprint = request_fingerprint(task);
}

/* The store of a task and the listing that its payload names, as they stand. */
typedef struct Subjects
{
	bool		has_store;
	bool		has_listing;	/* of that store */
} Subjects;

/* find_listing says in *found whether the task's listing is one of its store; false: a statement has to. */
static bool
find_listing(const TaskRequest *task, bool *found)
{
	static RowsLookup rows = {
		.name = {"listing"}, .nkeys = 1, .keys = {"listing_id"}, .columns = "store_id", .settled = true
	};
	Datum		key = Int64GetDatum(task->listing_id);
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &rows, false))
		return false;
	*found = rows_find(&scan, 1, &key) && DatumGetInt32(rows_get(&scan, 0, &isnull)) == task->store_id;
	rows_close(&scan);
	return true;
}

static bool
find_store(const TaskRequest *task, bool *found)
{
	static RowsLookup rows = {
		.name = {"store"}, .nkeys = 1, .keys = {"store_id"}, .columns = "store_id", .settled = true
	};
	Datum		key = Int32GetDatum(task->store_id);
	RowsScan	scan;

	if (!rows_open(&scan, &rows, false))
		return false;
	*found = rows_find(&scan, 1, &key);
	rows_close(&scan);
	return true;
}

/* find_directly looks the subjects up by their keys; false: a statement has to. */
static bool
find_directly(const TaskRequest *task, Subjects *found)
{
	found->has_listing = false;
	if (task->listing_id != 0 && !find_listing(task, &found->has_listing))
		return false;
	/* a listing has a store, by its foreign key */
	found->has_store = found->has_listing;
	return found->has_listing || find_store(task, &found->has_store);
}

static void
find_by_statement(const TaskRequest *task, Subjects *found)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID};
	Datum		values[] = {Int32GetDatum(task->store_id), Int64GetDatum(task->listing_id)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT EXISTS (SELECT FROM storesync.listing l "
			   "WHERE l.listing_id = $2 AND l.store_id = s.store_id) "
			   "FROM storesync.store s WHERE s.store_id = $1",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	found->has_store = SPI_processed > 0;
	found->has_listing = found->has_store &&
		DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* check_subjects raises unless the store exists, and the listing is one of its. */
static void
check_subjects(const TaskRequest *task)
{
	Subjects	found;

	if (!find_directly(task, &found))
		find_by_statement(task, &found);
	if (!found.has_store)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", task->store_id)));
	if (task->listing_id != 0 && !found.has_listing)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LISTING),
				 errmsg("store %d has no listing %lld", task->store_id, (long long) task->listing_id)));
}

static void
push_text(JsonbParseState **state, JsonbIteratorToken token, const char *string)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = (char *) string;
	value.val.string.len = (int) strlen(string);
	(void) pushJsonbValue(state, token, &value);
}

/* row_payload is what the outbox keeps of the request: store, kind, payload, and from when. */
static Jsonb *
row_payload(TaskRequest *task)
{
	JsonbParseState *state = NULL;
	JsonbValue	value;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, WJB_KEY, "store");
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(task->store_id);
	(void) pushJsonbValue(&state, WJB_VALUE, &value);
	push_text(&state, WJB_KEY, "kind");
	push_text(&state, WJB_VALUE, task->kind);
	push_text(&state, WJB_KEY, "payload");
	value.type = jbvBinary;
	value.val.binary.data = &task->payload->root;
	value.val.binary.len = VARSIZE(task->payload) - VARHDRSZ;
	(void) pushJsonbValue(&state, WJB_VALUE, &value);
	if (task->not_before != 0)
	{
		push_text(&state, WJB_KEY, "not_before");
		push_text(&state, WJB_VALUE, task->not_before_text);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static void
write_row(TaskRequest *task, int64 id, TimestampTz at)
{
	static RowsTable table = {
		.name = {"outbox"}, .columns = "xid, at, subject, kind, incarnation, id, payload",
		.wake_trigger = "outbox_wake", .wake = wake_at_commit
	};
	static const Oid types[] = {XID8OID, TIMESTAMPTZOID, INT8OID, TEXTOID, INT2OID, INT8OID, JSONBOID};
	SsSet	   *set = set_create(lengthof(types), types, 1);

	set_add_row(set);
	set_put(set, 0, FullTransactionIdGetDatum(GetTopFullTransactionId()));
	set_put(set, 1, TimestampTzGetDatum(at));
	set_put(set, 2, Int64GetDatum(id));
	set_put(set, 3, CStringGetTextDatum("task"));
	set_put(set, 4, Int16GetDatum((int16) incarnation_current()));
	set_put(set, 5, Int64GetDatum(id));
	set_put(set, 6, JsonbPGetDatum(row_payload(task)));
	rows_insert(&table, set);
}

/* make_task makes the task, unless another call has meanwhile used its key: then that one's id comes back. */
static int64
make_task(TaskRequest *task)
{
	static RowsName ids = {"task_id_seq"};
	TimestampTz at = GetCurrentTimestamp();
	Answer		answer = {0};

	check_subjects(task);
	if (task->key != NULL)
		answer_prepare(task->key);
	partition_ensure("outbox", at);
	answer.available = rows_next_value(&ids);
	if (task->key != NULL && !answer_store(task->key, task->fingerprint, &answer))
	{
		if (!answer_find(task->key, task->fingerprint, &answer))
			elog(ERROR, "idempotency key vanished");
		return answer.available;
	}
	write_row(task, answer.available, at);
	/* that it is to be listed, or not, is a column of the listing: the task waits until the shop shows it so */
	if (strcmp(task->kind, "list") == 0 || strcmp(task->kind, "unlist") == 0)
		price_want_listed(task->listing_id, strcmp(task->kind, "list") == 0, task->not_before);
	return answer.available;
}

/* enqueue(store int, kind text, payload jsonb, key idempotency_key, not_before timestamptz) returns bigint */
Datum
enqueue(PG_FUNCTION_ARGS)
{
	TaskRequest task;
	SsSession	session;
	Answer		answer;
	int64		id;

	read_request(fcinfo, &task);
	ss_enter_direct(&session, "storesync.enqueue()", true);
	ss_plan_by_index();
	if (task.key != NULL && answer_find(task.key, task.fingerprint, &answer))
		id = answer.available;
	else
		id = make_task(&task);
	ss_leave(&session);
	PG_RETURN_INT64(id);
}

/* ---------------------------------------------------------------- task_state */

#define STATE_COLUMNS	5

/* read_state reads the columns of the answer into the caller's memory; false: no such task. */
static bool
read_state(int64 id, MemoryContext caller, Datum *values, bool *nulls)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		parameters[] = {Int64GetDatum(id)};
	MemoryContext old;

	ss_execute(&plan,
			   "SELECT t.state, t.attempts, t.last_class::text, t.next_at, "
			   "nullif(concat_ws('; ', t.detail, h.hint), '') "
			   "FROM storesync.task_latest($1) t LEFT JOIN LATERAL storesync.task_hint($1) AS h (hint) "
			   "ON NOT storesync.task_is_closed(t.state)",
			   SPI_OK_SELECT, 1, types, parameters, NULL, 1);
	if (SPI_processed == 0)
		return false;
	old = MemoryContextSwitchTo(caller);
	for (int i = 0; i < STATE_COLUMNS; i++)
	{
		Form_pg_attribute column = TupleDescAttr(SPI_tuptable->tupdesc, i);

		values[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &nulls[i]);
		if (!nulls[i])
			values[i] = datumCopy(values[i], column->attbyval, column->attlen);
	}
	MemoryContextSwitchTo(old);
	return true;
}

/* task_state(task bigint, OUT state text, OUT attempts int, OUT last_class text, OUT next_at timestamptz, OUT detail text) */
Datum
task_state(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	SsSession	session;
	TupleDesc	desc;
	Datum		values[STATE_COLUMNS];
	bool		nulls[STATE_COLUMNS];
	bool		found;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ss_enter(&session, "storesync.task_state()", false);
	found = read_state(PG_GETARG_INT64(0), caller, values, nulls);
	ss_leave(&session);
	if (!found)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_TASK),
				 errmsg("task %lld does not exist", (long long) PG_GETARG_INT64(0)),
				 errdetail("It was never made, or ended longer ago than storesync.log_retention.")));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
