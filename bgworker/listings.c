/*
 * listings.c
 *		Reading a shop's whole catalogue, a state machine per store.
 *
 * A walk takes the list of what is on sale and then that of the rest, page by
 * page: the ids of a page, what is shown of its items, then the models of
 * those that have some. What each call finds is committed before the next one
 * is made, and so is the cursor of a page before its items are read: after a
 * crash the walk goes on with the page that it was at, and reading an item
 * twice writes its row twice.
 *
 * One item that cannot be read stops nothing: its batch is read one by one,
 * and the item that still fails is noted as one that cannot be written.
 */
#include "listings.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "retry.h"
#include "work.h"


/* ---------------------------------------------------------------- the walk */

/* begin_page makes the page behind this cursor the next thing to be read. */
static void
begin_page(StoreListings *walk, bool listed, const char *cursor)
{
	char	   *copy = pstrdup(cursor);

	MemoryContextReset(walk->context);
	walk->cursor = MemoryContextStrdup(walk->context, copy);
	walk->next_cursor = NULL;
	walk->item_ids = NULL;
	walk->models = NULL;
	walk->attempt = NULL;
	walk->n_items = walk->n_read = walk->alone_until = walk->n_models = walk->n_models_read = 0;
	walk->listed = listed;
	walk->phase = LISTINGS_PAGE;
	pfree(copy);
}

/* go_on chooses the next call: the page's models, its items, the next page, the other list, or none. */
static void
go_on(StoreListings *walk)
{
	if (walk->n_models_read < walk->n_models)
		walk->phase = LISTINGS_MODELS;
	else if (walk->n_read < walk->n_items)
		walk->phase = LISTINGS_ITEMS;
	else if (walk->next_cursor != NULL)
		begin_page(walk, walk->listed, walk->next_cursor);
	else if (walk->listed)
		begin_page(walk, false, "");
	else
		walk->phase = LISTINGS_DONE;
}

bool
listings_ask(DispatchStore *store, int64 task_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(task_id), Int32GetDatum(store->store_id)};
	StoreListings *walk = &store->listings;
	MemoryContext context = walk->context;
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;

	if (context == NULL)
		context = AllocSetContextCreate(TopMemoryContext, "storesync listings", ALLOCSET_SMALL_SIZES);
	memset(walk, 0, sizeof(*walk));
	walk->context = context;
	walk->run = task_id;
	ss_execute(&plan,
			   "INSERT INTO storesync.listing_walk AS w (run, store_id) VALUES ($1, $2) "
			   "ON CONFLICT (run) DO UPDATE SET store_id = excluded.store_id "
			   "RETURNING w.listed, w.cursor, w.unread, w.ended_at IS NOT NULL",
			   SPI_OK_INSERT_RETURNING, 2, types, values, NULL, 0);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	begin_page(walk, DatumGetBool(SPI_getbinval(row, desc, 1, &isnull)), SPI_getvalue(row, desc, 2));
	walk->unread = DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
	if (!DatumGetBool(SPI_getbinval(row, desc, 4, &isnull)))
		return true;
	walk->phase = LISTINGS_NONE;
	return false;
}

const char *
listings_show(DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	StoreListings *walk = &store->listings;
	Datum		values[] = {Int64GetDatum(walk->run), Int32GetDatum(walk->unread)};

	walk->phase = LISTINGS_NONE;
	MemoryContextReset(walk->context);
	ss_execute(&plan, "SELECT storesync.show_walk($1, $2)", SPI_OK_SELECT, 2, types, values, NULL, 1);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

TimestampTz
listings_due(const DispatchStore *store)
{
	const StoreListings *walk = &store->listings;
	bool		reading = walk->phase == LISTINGS_PAGE || walk->phase == LISTINGS_ITEMS || walk->phase == LISTINGS_MODELS;

	return reading && !walk->flying && store->fetches ? walk->due : DT_NOEND;
}

/* ---------------------------------------------------------------- the call */

bool
listings_own(const DispatchCall *call)
{
	return call->call.kind == CALL_LIST_ITEMS ||
		((call->call.kind == CALL_GET_ITEMS || call->call.kind == CALL_GET_MODELS) && call->call.n_items == 0);
}

/* fill_call asks for as many of the page's items as the platform takes, or for the models of one. */
static void
fill_call(DispatchCall *call, const StoreListings *walk)
{
	int			n = 1;
	const char **ids;

	call->call.listed = walk->listed;
	call->call.cursor = arena_strdup(call->arena, walk->cursor);
	if (call->call.kind == CALL_LIST_ITEMS)
		return;
	if (call->call.kind == CALL_GET_ITEMS && walk->n_read >= walk->alone_until)
		n = Min(call->store->platform->max_get_items, walk->n_items - walk->n_read);
	ids = MemoryContextAlloc(call->context, n * sizeof(char *));
	for (int i = 0; i < n; i++)
		ids[i] = arena_strdup(call->arena, call->call.kind == CALL_GET_MODELS ?
							  walk->models[walk->n_models_read].item_id : walk->item_ids[walk->n_read + i]);
	call->call.item_ids = ids;
	call->call.n_item_ids = n;
}

void
listings_build(DispatchStore *store)
{
	StoreListings *walk = &store->listings;
	DispatchCall *call = call_create(store, walk->phase == LISTINGS_PAGE ? CALL_LIST_ITEMS :
									 walk->phase == LISTINGS_ITEMS ? CALL_GET_ITEMS : CALL_GET_MODELS);

	fill_call(call, walk);
	walk->flying = true;
	work_hand_over(call);
}

void
listings_return(DispatchCall *call)
{
	call->store->listings.flying = false;
	call_free(call);
}

/*
 * listings_answered writes down what was found, and what of it is locked. A
 * failure becomes the call's outcome, and the call is repeated.
 */
void
listings_answered(DispatchCall *call)
{
	bool		ok = call->answer.class == OUTCOME_OK || call->answer.class == OUTCOME_PARTIAL;
	bool		alone = call->answer.class == OUTCOME_PERMANENT && call->call.n_item_ids == 1;

	if ((ok || alone) && !listings_store(call))
	{
		call->answer.class = OUTCOME_LATER;
		call->answer.message = "what was found could not be written down";
	}
	dispatch_ended(call);
}

/* ---------------------------------------------------------------- its outcome */

static ListedItem *
add_item(StoreListings *walk, int room, const char *item_id, const char *name)
{
	ListedItem *item;

	if (walk->models == NULL)
		walk->models = MemoryContextAlloc(walk->context, room * sizeof(ListedItem));
	item = &walk->models[walk->n_models++];
	item->item_id = MemoryContextStrdup(walk->context, item_id);
	item->name = MemoryContextStrdup(walk->context, name != NULL ? name : "");
	return item;
}

/* take_page keeps the ids of a page. */
static void
take_page(StoreListings *walk, const PlatformAnswer *answer)
{
	walk->next_cursor = answer->more ? MemoryContextStrdup(walk->context, answer->next_cursor) : NULL;
	walk->n_items = answer->n_item_ids;
	walk->item_ids = MemoryContextAlloc(walk->context, Max(walk->n_items, 1) * sizeof(char *));
	for (int i = 0; i < walk->n_items; i++)
		walk->item_ids[i] = MemoryContextStrdup(walk->context, answer->item_ids[i]);
}

/* take_items goes on behind the batch; what of it has models is asked for those. */
static void
take_items(StoreListings *walk, const DispatchCall *call)
{
	const PlatformAnswer *answer = &call->answer;

	for (int i = 0; i < answer->n_item_ids && walk->n_models < walk->n_items; i++)
		add_item(walk, walk->n_items, answer->item_ids[i],
				 answer->item_names != NULL ? answer->item_names[i] : NULL);
	walk->n_read += call->call.n_item_ids;
}

static void
give_up_walk(DispatchCall *call)
{
	StoreListings *walk = &call->store->listings;
	QueueAttempt attempt = call_attempt(call, call->answer.class, call->answer.message);
	const char *reason = call->answer.message;

	walk->phase = LISTINGS_FAILED;
	walk->class = call->answer.class;
	walk->attempt = MemoryContextStrdup(walk->context, record_attempt_text(&attempt));
	strlcpy(walk->reason, reason, pg_mbcliplen(reason, (int) strlen(reason), sizeof(walk->reason) - 1) + 1);
}

/* refused: a batch is read one by one, a single item is left out, a list ends the walk. */
static void
refused(DispatchCall *call)
{
	StoreListings *walk = &call->store->listings;

	if (call->call.kind == CALL_LIST_ITEMS)
	{
		give_up_walk(call);
		return;
	}
	if (call->call.n_item_ids > 1)
	{
		walk->alone_until = walk->n_read + call->call.n_item_ids;
		return;
	}
	walk->unread++;
	if (call->call.kind == CALL_GET_MODELS)
		walk->n_models_read++;
	else
		walk->n_read++;
	go_on(walk);
}

static void
taken(DispatchCall *call)
{
	StoreListings *walk = &call->store->listings;

	walk->failures = 0;
	if (call->call.kind == CALL_LIST_ITEMS)
		take_page(walk, &call->answer);
	else if (call->call.kind == CALL_GET_ITEMS)
		take_items(walk, call);
	else
		walk->n_models_read++;
	go_on(walk);
}

void
listings_settle(DispatchCall *call, Record *record)
{
	StoreListings *walk = &call->store->listings;

	walk->flying = false;
	walk->due = call->answered_at;
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	if (!dispatch_hold_store(call))
	{
		switch (call->answer.class)
		{
			case OUTCOME_OK:
			case OUTCOME_PARTIAL:
				taken(call);
				break;
			case OUTCOME_PERMANENT:
				refused(call);
				break;
			default:
				if (!call->host_away)
					walk->failures++;
				walk->due = call->answered_at + retry_delay_us(Max(walk->failures, 1));
				if (walk->failures >= QUEUE_MAX_ATTEMPTS)
					give_up_walk(call);
				break;
		}
	}
	call_free(call);
}
