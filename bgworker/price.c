/*
 * price.c
 *		Price calls and calls that list or unlist: what they say, and that it
 *		is about to be said. What came of them: price_settle.c.
 *
 * What is to be said is read in the transaction that builds the call and
 * nowhere earlier: never yesterday's price, never a listing that was recalled.
 * It is committed before the call leaves (offer.sending), so that after a
 * crash it counts as in doubt: a price is absolute and sent again, as is an
 * unlist; a list is read first (price_look.c).
 */
#include "price_internal.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "push.h"
#include "record.h"
#include "work.h"

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

bool
price_is_whole(const DispatchStore *store, CallKind kind)
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
	if (!price_is_whole(store, kind))
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

void
price_name_written(const DispatchCall *call, int i, Datum *values, char *nulls)
{
	const PlatformItem *item = &call->call.items[i];

	values[0] = CStringGetTextDatum(call->call.kind == CALL_PUSH_PRICE ? "price" : "listed");
	values[1] = Int32GetDatum(call->store->store_id);
	values[2] = CStringGetTextDatum(item->item_id);
	values[3] = CStringGetTextDatum(item->model_id);
	nulls[3] = price_is_whole(call->store, call->call.kind) ? 'n' : ' ';
}

Datum
price_numeric(const char *text)
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

		price_name_written(call, i, values, nulls);
		values[4] = price_numeric(call->call.items[i].price);
		ss_execute(&plan, "UPDATE storesync.offer o SET sending = $5 FROM storesync.listing l WHERE " WRITTEN_ROWS,
				   SPI_OK_UPDATE, 5, types, values, nulls, 0);
	}
}

void
price_build(DispatchStore *store)
{
	TimestampTz now = GetCurrentTimestamp();
	double		parts[PRICE_KINDS];
	Datum		values[5];
	Head		head;
	DispatchCall *call;

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
	if (work_hand_over(call))
		note_sending(call);
}

/* What it was to say stands as being sent, and is so again: nothing has left, and a list is read for nothing. */
void
price_return(DispatchCall *call)
{
	call->store->prices.flying = false;
	call->store->prices.due = GetCurrentTimestamp() + USECS_PER_SEC;
	call_free(call);
}
