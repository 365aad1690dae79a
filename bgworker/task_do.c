/*
 * task_do.c
 *		How the kinds of tasks are done: listings that are looked at until they
 *		show what is wanted, tokens and reads that are waited for.
 */
#include "task_internal.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "listings.h"
#include "price_task.h"
#include "task_event.h"
#include "version.h"

/* ---------------------------------------------------------------- push_stock */

/* settle_listing: a listing that shows what is wanted is what was asked for. */
static void
settle_listing(Task *task, HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	bool		enabled = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
	bool		dirty = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	bool		dead = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));

	if (!enabled)
		task_close_dead(task, OUTCOME_PERMANENT, "the listing is not enabled");
	else if (!dirty)
		task_close_done(task, NULL);
	else if (dead)
		task_close_dead(task, OUTCOME_PERMANENT, TASK_LISTING_DEAD);
	else
		task_tell(task);
}

static int
by_id(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

static TaskBegun
begin_push(Task *task, TimestampTz now, SsSet *again)
{
	Datum		values[] = {Int64GetDatum(task->listing_id), TimestampTzGetDatum(now)};

	if (task->store->writes == WRITES_NONE)
		return TASK_NOT_NOW;
	task->look = true;
	set_add(again, values, NULL);
	return TASK_BEGUN;
}

/* mark_pushes marks the tasks whose listings are to be looked at; returns these, *n of them. */
static int64 *
mark_pushes(dlist_head *running, const SsSet *again, bool all, int *n)
{
	int64	   *heard = palloc((again->rows + 1) * sizeof(int64));
	int64	   *ids;
	dlist_iter	iter;
	int			room = 0;

	*n = 0;
	for (int i = 0; i < again->rows; i++)
		heard[i] = DatumGetInt64(again->values[0][i]);
	qsort(heard, again->rows, sizeof(int64), by_id);
	dlist_foreach(iter, running)
		room++;
	ids = palloc((room + 1) * sizeof(int64));
	dlist_foreach(iter, running)
	{
		Task	   *task = dlist_container(Task, node, iter.cur);

		if (task->how->settle != NULL ||
			(!all && bsearch(&task->listing_id, heard, again->rows, sizeof(int64), by_id) == NULL))
			continue;
		task->look = true;
		ids[(*n)++] = task->listing_id;
	}
	return ids;
}

/* find_target finds the row of a listing, by whose ids the rows are ordered; NULL for none. */
static HeapTuple
find_target(int64 listing_id)
{
	uint64		low = 0;
	uint64		high = SPI_processed;
	bool		isnull;

	while (low < high)
	{
		uint64		middle = (low + high) / 2;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[middle], SPI_tuptable->tupdesc, 1, &isnull));

		if (id == listing_id)
			return SPI_tuptable->vals[middle];
		if (id < listing_id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
task_settle_pushes(dlist_head *running, const SsSet *again, bool all)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[1];
	dlist_mutable_iter iter;
	int			n;
	int64	   *ids = mark_pushes(running, again, all, &n);

	if (n == 0)
		return;
	values[0] = ss_int8_array(n, ids);
	ss_execute(&plan,
			   "SELECT t.listing_id, t.enabled, t.dirty, t.dead FROM storesync.listing_target t "
			   "WHERE t.listing_id = ANY ($1) ORDER BY t.listing_id",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	dlist_foreach_modify(iter, running)
	{
		Task	   *task = dlist_container(Task, node, iter.cur);
		HeapTuple	row;

		if (!task->look)
			continue;
		task->look = false;
		row = find_target(task->listing_id);
		if (row == NULL)
			task_close_dead(task, OUTCOME_PERMANENT, "the listing does not exist any more");
		else
			settle_listing(task, row, SPI_tuptable->tupdesc);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* ---------------------------------------------------------------- refresh_token, exchange_code */

static TaskBegun
begin_refresh(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	if (!task->store->fetches)
		return TASK_NOT_NOW;
	task->ticket = token_ask(task->store);
	if (task->ticket == 0)
	{
		task_close_dead(task, OUTCOME_PERMANENT, "the store has no refresh token");
		return TASK_CLOSED;
	}
	task_tell(task);
	return TASK_BEGUN;
}

/* settle_tries closes the task, or has it wait, when the try that it waits for has ended. */
static void
settle_tries(Task *task, const TokenTries *tries, TimestampTz now)
{
	if (tries->ended < task->ticket)
		return;
	if (tries->last_class == OUTCOME_OK)
		task_close_done(task, NULL);
	else if (tries->last_class == OUTCOME_AUTH)
		task_close_dead(task, OUTCOME_AUTH, tries->last_reason);
	else
		task_fail(task, now, tries->last_class, tries->last_reason, NULL);
}

static void
settle_refresh(Task *task, TimestampTz now)
{
	settle_tries(task, &task->store->token.refresh, now);
}

/*
 * close_exchanged closes a task whose store has no code: by what became of it,
 * since a dispatcher may have ended between the exchange and this, or people
 * have set tokens by hand.
 */
static void
close_exchanged(Task *task)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(task->id)};
	bool		refused;
	bool		isnull;
	char	   *reason;

	ss_execute(&plan,
			   "SELECT k.code_refused_at IS NOT NULL, coalesce(k.code_reason, 'the store has no code to exchange') "
			   "FROM storesync.task_open o LEFT JOIN storesync.token k ON k.store_id = o.store_id "
			   "WHERE o.task_id = $1 AND (k.authorized_at >= o.since) IS NOT TRUE LIMIT 1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
	{
		task_close_done(task, NULL);
		return;
	}
	refused = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	reason = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	task_close_dead(task, refused ? OUTCOME_AUTH : OUTCOME_PERMANENT, reason);
}

/* has_new_code tells whether a code was handed over after stores were read, which are read again for it, and before tasks were. */
static bool
has_new_code(const Task *task)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(task->store->store_id)};

	ss_execute(&plan, "SELECT FROM storesync.credential c WHERE c.store_id = $1 AND c.name = 'auth_code'",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	return SPI_processed > 0;
}

static TaskBegun
begin_exchange(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	if (!task->store->fetches)
		return TASK_NOT_NOW;
	task->ticket = token_ask_exchange(task->store);
	if (task->ticket == 0)
	{
		if (has_new_code(task))
			return TASK_NOT_NOW;
		close_exchanged(task);
		return TASK_CLOSED;
	}
	task_tell(task);
	return TASK_BEGUN;
}

static void
settle_exchange(Task *task, TimestampTz now)
{
	settle_tries(task, &task->store->token.exchange, now);
}

/* ---------------------------------------------------------------- read_back */

static TaskBegun
begin_read(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	if (!task->store->fetches)
		return TASK_NOT_NOW;
	if (!read_back_ask(task->store, task->listing_id))
	{
		task_close_dead(task, OUTCOME_PERMANENT, "the listing does not exist any more, or cannot be read on its platform");
		return TASK_CLOSED;
	}
	task_tell(task);
	return TASK_BEGUN;
}

static void
settle_read(Task *task, TimestampTz now)
{
	OutcomeClass class;
	const char *detail;

	if (!read_back_ended(task->listing_id, &class, &detail))
		return;
	if (class == OUTCOME_OK)
		task_close_done(task, detail);
	else if (class == OUTCOME_PERMANENT)
		task_close_dead(task, class, detail);
	else
		task_fail(task, now, class, detail, NULL);
}

/* ---------------------------------------------------------------- fetch_listings */

static TaskBegun
begin_listings(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	DispatchStore *store = task->store;

	if (!store->fetches || store->listings.phase != LISTINGS_NONE)
		return TASK_NOT_NOW;
	if ((store->platform->calls & CALL_BIT(CALL_LIST_ITEMS)) == 0)
	{
		task_close_dead(task, OUTCOME_PERMANENT, "the platform has no list of what a shop shows");
		return TASK_CLOSED;
	}
	if (!listings_ask(store, task->id))
	{
		task_close_done(task, NULL);
		return TASK_CLOSED;
	}
	task_tell(task);
	return TASK_BEGUN;
}

static void
settle_listings(Task *task, TimestampTz now)
{
	StoreListings *walk = &task->store->listings;

	if (walk->run != task->id)
		return;
	if (walk->phase == LISTINGS_DONE)
		task_close_done(task, listings_show(task->store));
	else if (walk->phase == LISTINGS_FAILED)
	{
		walk->phase = LISTINGS_NONE;
		task_fail(task, now, walk->class, walk->reason, walk->attempt);
	}
}

/* ---------------------------------------------------------------- verify */

static TaskBegun
begin_verify(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	if (!ss_sql_has(SS_SQL_1_1))
	{
		task_close_dead(task, OUTCOME_PERMANENT, "this database has not been updated to an extension that knows it");
		return TASK_CLOSED;
	}
	if (!task->store->fetches || !verify_ask(task->store, task->id))
		return TASK_NOT_NOW;
	task_tell(task);
	return TASK_BEGUN;
}

static void
settle_verify(Task *task, TimestampTz now pg_attribute_unused())
{
	StoreVerify *verify = &task->store->verify;

	if (verify->task_id != task->id || verify->phase != VERIFY_ENDED)
		return;
	verify->phase = VERIFY_NONE;
	task_close_done(task, *verify->detail == '\0' ? NULL : verify->detail);
}

/* ---------------------------------------------------------------- the table */

static TaskBegun
begin_unknown(Task *task, TimestampTz now pg_attribute_unused(), SsSet *again pg_attribute_unused())
{
	task_close_dead(task, OUTCOME_PERMANENT, "this kind of task is not supported on this platform yet");
	return TASK_CLOSED;
}

static const TaskKind kinds[] = {
	{"push_stock", TASK_LISTING, begin_push, NULL},
	{"push_price", TASK_LISTING, price_task_begin, price_task_settle},
	{"list", TASK_LISTING, price_task_begin, price_task_settle},
	{"unlist", TASK_LISTING, price_task_begin, price_task_settle},
	{"read_back", TASK_LISTING, begin_read, settle_read},
	{"fetch_orders", TASK_FETCH, task_begin_fetch, task_settle_fetch},
	{"refresh_token", TASK_TOKEN, begin_refresh, settle_refresh},
	{"exchange_code", TASK_TOKEN, begin_exchange, settle_exchange},
	{"ship_order", TASK_ORDER, ship_task_begin, ship_task_settle},
	{"cancel_order", TASK_ORDER, ship_task_begin, ship_task_settle},
	{"fetch_listings", TASK_LISTING, begin_listings, settle_listings},
	{"verify", TASK_VERIFY, begin_verify, settle_verify}
};

static const TaskKind unknown = {"", TASK_LISTING, begin_unknown, NULL};

const TaskKind *
task_kind(const char *name)
{
	for (int i = 0; i < (int) lengthof(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return &unknown;
}

Datum
task_kind_names(void)
{
	Datum		names[lengthof(kinds)];

	for (int i = 0; i < (int) lengthof(kinds); i++)
		names[i] = CStringGetTextDatum(kinds[i].name);
	return PointerGetDatum(construct_array(names, lengthof(kinds), TEXTOID, -1, false, TYPALIGN_INT));
}

Datum
task_kind_sorts(void)
{
	int64		sorts[lengthof(kinds)];

	for (int i = 0; i < (int) lengthof(kinds); i++)
		sorts[i] = kinds[i].sort;
	return ss_int8_array(lengthof(kinds), sorts);
}
