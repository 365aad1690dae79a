/*
 * listings_store.c
 *		What was found in a shop, and what of it is locked, into tables: each
 *		call in a transaction of its own.
 *
 * Nobody is waited for long: a listing that somebody else has changed and not
 * committed makes the transaction fail, and the call is repeated.
 */
#include "listings.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "dispatcher.h"
#include "set.h"
#include "stores.h"
#include "worker.h"

/* Longest wait for a lock. */
#define LOCK_WAIT	"1s"

/* ---------------------------------------------------------------- locked units */

typedef struct Locked
{
	int			n;
	const int64 *listing_ids;
	const int64 *reserved;
	TimestampTz seen_at;
} Locked;

static void
bound_waits(void)
{
	(void) set_config_option("lock_timeout", LOCK_WAIT, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

static void
write_locked(void *arg)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	const Locked *locked = arg;
	SsSession	session;
	Datum		values[3];

	ss_enter(&session, "storesync dispatcher", true);
	bound_waits();
	values[0] = ss_int8_array(locked->n, locked->listing_ids);
	values[1] = ss_int8_array(locked->n, locked->reserved);
	values[2] = TimestampTzGetDatum(locked->seen_at);
	ss_execute(&plan, "SELECT storesync.reserves_seen($1, $2, $3)", SPI_OK_SELECT, 3, types, values, NULL, 1);
	ss_leave(&session);
}

bool
listings_locked(int n, const int64 *listing_ids, const int64 *reserved, TimestampTz seen_at)
{
	Locked		locked = {n, listing_ids, reserved, seen_at};

	dispatch_count(SS_STATEMENTS, 1);
	return worker_try("storesync: noting what is locked", write_locked, &locked);
}

/* ---------------------------------------------------------------- what was found */

/* Columns of what one call found. */
enum
{
	FOUND_ITEM, FOUND_MODEL, FOUND_CODE, FOUND_NAME, FOUND_QUANTITY, FOUND_PRICE, FOUND_RESERVED,
	FOUND_LISTED, FOUND_ENDED, FOUND_WRITABLE, FOUND_RUN, FOUND_STORE, FOUND_SEEN_AT, FOUND_COLUMNS
};
#define FOUND_NAMES \
	"item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, run, store_id, seen_at"

static Datum
text_of(const char *value)
{
	return CStringGetTextDatum(record_text(value != NULL ? value : ""));
}

/* name_of puts the item's name before its model's: platforms tell them in two answers. */
static const char *
name_of(const DispatchCall *call, const ShownItem *item)
{
	const StoreListings *walk = &call->store->listings;
	const char *of_item = call->call.kind == CALL_GET_MODELS ? walk->models[walk->n_models_read].name : "";

	if (*of_item == '\0' || strncmp(item->name, of_item, strlen(of_item)) == 0)
		return item->name;
	return *item->name == '\0' ? of_item : psprintf("%s / %s", of_item, item->name);
}

static void
add_found(SsSet *set, const DispatchCall *call, const ShownItem *item)
{
	const StoreListings *walk = &call->store->listings;
	Datum		values[FOUND_COLUMNS];
	bool		nulls[FOUND_COLUMNS] = {false};

	values[FOUND_ITEM] = text_of(item->item_id);
	values[FOUND_MODEL] = text_of(item->model_id);
	values[FOUND_CODE] = text_of(item->seller_sku);
	values[FOUND_NAME] = text_of(name_of(call, item));
	values[FOUND_QUANTITY] = Int64GetDatum(item->quantity);
	nulls[FOUND_QUANTITY] = item->quantity < 0;
	values[FOUND_PRICE] = text_of(item->price);
	values[FOUND_RESERVED] = Int64GetDatum(item->reserved);
	values[FOUND_LISTED] = BoolGetDatum(item->listed && walk->listed);
	values[FOUND_ENDED] = BoolGetDatum(item->ended);
	values[FOUND_WRITABLE] = BoolGetDatum(item->writable);
	values[FOUND_RUN] = Int64GetDatum(walk->run);
	values[FOUND_STORE] = Int32GetDatum(call->store->store_id);
	values[FOUND_SEEN_AT] = TimestampTzGetDatum(call->sent_at);
	set_add(set, values, nulls);
}

/* found_set gathers the answer's items; one that was refused alone is an item that nobody can write. */
static SsSet *
found_set(const DispatchCall *call)
{
	static const Oid types[FOUND_COLUMNS] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID, BOOLOID, BOOLOID, BOOLOID, INT8OID, INT4OID, TIMESTAMPTZOID
	};
	SsSet	   *set = set_create_in(CurrentMemoryContext, FOUND_COLUMNS, types);

	if (call->answer.class == OUTCOME_PERMANENT)
	{
		ShownItem	unread = {
			.item_id = call->call.item_ids[0], .model_id = "", .seller_sku = "", .name = "", .quantity = -1,
			.price = "", .listed = true
		};

		add_found(set, call, &unread);
	}
	else
		for (int i = 0; i < call->answer.n_shown; i++)
			add_found(set, call, &call->answer.shown[i]);
	return set;
}

/* write_found: what people said about an item in the walk before stays said; what is locked of a listing is. */
static void
write_found(SsSet *set)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr locked_plan = NULL;

	set_execute(&plan,
				"INSERT INTO storesync.listing_seen AS s (" FOUND_NAMES ", sku, pack) "
				"SELECT DISTINCT ON (x.item_id, x.model_id) x.item_id, x.model_id, x.seller_code, x.name, x.quantity, "
				"nullif(x.price, '')::numeric, x.reserved, x.listed, x.ended, x.writable, x.run, x.store_id, x.seen_at, "
				"p.sku, coalesce(p.pack, 1) "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS x (" FOUND_NAMES ") "
				"LEFT JOIN (storesync.listing_walk w JOIN storesync.listing_seen p ON p.run = w.run) "
				"ON w.store_id = x.store_id AND w.current AND p.item_id = x.item_id AND p.model_id = x.model_id "
				"ON CONFLICT (run, item_id, model_id) DO UPDATE SET seller_code = excluded.seller_code, name = excluded.name, "
				"quantity = excluded.quantity, price = excluded.price, reserved = excluded.reserved, listed = excluded.listed, "
				"ended = excluded.ended, writable = excluded.writable, seen_at = excluded.seen_at",
				SPI_OK_INSERT, set);
	set_execute(&locked_plan,
				"SELECT storesync.reserves_seen(array_agg(l.listing_id), array_agg(x.reserved), min(x.seen_at)) "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS x (" FOUND_NAMES ") "
				"JOIN storesync.listing l ON l.store_id = x.store_id AND l.item_id = x.item_id AND l.model_id = x.model_id "
				"WHERE x.quantity IS NOT NULL AND (x.reserved > 0 OR EXISTS ("
				"SELECT FROM storesync.listing_reserved r WHERE r.listing_id = l.listing_id)) HAVING count(*) > 0",
				SPI_OK_SELECT, set);
}

/* write_call: a page's cursor is kept before its items are read, and some of what nobody sees any more goes. */
static void
write_call(void *arg)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, BOOLOID, TEXTOID, INT4OID};
	const DispatchCall *call = arg;
	const StoreListings *walk = &call->store->listings;
	Datum		values[] = {
		Int64GetDatum(walk->run), BoolGetDatum(walk->listed), CStringGetTextDatum(walk->cursor),
		Int32GetDatum(walk->unread)
	};
	SsSet	   *set = found_set(call);
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	ss_plan_by_index();
	bound_waits();
	if (call->call.kind == CALL_LIST_ITEMS)
		ss_execute(&plan, "SELECT storesync.note_walk($1, $2, $3, $4)", SPI_OK_SELECT, 4, types, values, NULL, 1);
	if (set->rows > 0)
		write_found(set);
	ss_leave(&session);
}

bool
listings_store(const DispatchCall *call)
{
	dispatch_count(SS_STATEMENTS, 1);
	return worker_try("storesync: writing down what a shop shows", write_call, (void *) call);
}
