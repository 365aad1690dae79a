/*
 * stock_place.c
 *		Locks places (stock.h has the lock order).
 *
 * A lock row is never updated, so a held snapshot leaves nothing dead in
 * front of it. Rows are found and locked directly, or by a statement where
 * the table does not allow it (rows.h).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "rows.h"
#include "set.h"
#include "stock.h"

static RowsLookup lock_rows = {
	.name = {"stock_lock"}, .nkeys = 2, .keys = {"sku_id", "location_id"}, .columns = "location_id", .locks = true
};
/* lock_one_by_statement locks the lock row of one place; false: there is none. */
static bool
lock_one_by_statement(int64 sku_id, int32 location_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};

	ss_execute(&plan, "SELECT 1 FROM storesync.stock_lock k WHERE k.sku_id = $1 AND k.location_id = $2 FOR UPDATE",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	return SPI_processed > 0;
}

/* lock_one locks the lock row of one place; false: there is none. */
static bool
lock_one(int64 sku_id, int32 location_id)
{
	Datum		keys[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};
	RowsScan	scan;
	bool		locked;

	if (!rows_open(&scan, &lock_rows, false))
		return lock_one_by_statement(sku_id, location_id);
	locked = rows_find(&scan, 2, keys) && rows_lock(&scan, rows_at(&scan));
	rows_close(&scan);
	return locked;
}

void
stock_lock_place(int64 sku_id, int32 location_id, StockPlace *place)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};

	if (!lock_one(sku_id, location_id))
	{
		ss_execute(&plan,
				   "INSERT INTO storesync.stock_lock (sku_id, location_id) VALUES ($1, $2) "
				   "ON CONFLICT DO NOTHING",
				   SPI_OK_INSERT, 2, types, values, NULL, 0);
		(void) lock_one(sku_id, location_id);
	}
	memset(place, 0, sizeof(StockPlace));
	place->sku_id = sku_id;
	place->location_id = location_id;
	stock_load(1, place, NULL);
	if (place->bundle)
		ereport(ERROR,
				(errcode(SS_ERR_BUNDLE),
				 errmsg("SKU %lld has become a bundle", (long long) sku_id)));
}

/* A growing list of places with their lock rows. */
typedef struct PlaceList
{
	int			n;
	int			capacity;
	StockPlace *places;			/* zeroed but for ids */
	ItemPointerData *rows;
} PlaceList;

static void
add_place(PlaceList *list, int64 sku_id, int32 location_id, ItemPointerData row)
{
	if (list->n == list->capacity)
	{
		list->capacity *= 2;
		list->places = repalloc_huge(list->places, sizeof(StockPlace) * list->capacity);
		list->rows = repalloc_huge(list->rows, sizeof(ItemPointerData) * list->capacity);
	}
	memset(&list->places[list->n], 0, sizeof(StockPlace));
	list->places[list->n].sku_id = sku_id;
	list->places[list->n].location_id = location_id;
	list->rows[list->n++] = row;
}

/* find_usual reads the location that every SKU has a place at: 'main'. False: a statement has to say which. */
static bool
find_usual(StockPlace *usual)
{
	static RowsLookup lookup = {
		.name = {"location"}, .nkeys = 1, .keys = {"code"}, .columns = "sellable, priority, code, location_id",
		.settled = true
	};
	RowsScan	scan;
	Datum		key;
	bool		isnull;
	bool		found;

	memset(usual, 0, sizeof(StockPlace));
	if (!rows_open(&scan, &lookup, false))
		return false;
	key = CStringGetTextDatum("main");
	found = rows_find(&scan, 1, &key);
	if (found)
	{
		stock_take_location(&scan, usual);
		usual->location_id = DatumGetInt32(rows_get(&scan, 3, &isnull));
	}
	rows_close(&scan);
	return found && usual->sellable;
}

/* list_places lists every place of the SKUs, sorted; false when one has none at the usual location. */
static bool
list_places(RowsScan *scan, int n, const int64 *sku_ids, int32 usual, PlaceList *list)
{
	list->n = 0;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(sku_ids[i]);
		bool		complete = false;

		for (bool more = rows_find(scan, 1, &key); more; more = rows_next(scan))
		{
			bool		isnull;
			int32		location_id = DatumGetInt32(rows_get(scan, 0, &isnull));

			add_place(list, sku_ids[i], location_id, rows_at(scan));
			complete |= location_id == usual;
		}
		if (!complete)
			return false;
	}
	return true;
}

/* lock_directly locks all places; false when it cannot, with nothing locked. */
static bool
lock_directly(int n, const int64 *sku_ids, int32 usual, PlaceList *list)
{
	RowsScan	scan;
	bool		complete;
	int			locked = 0;

	if (!rows_open(&scan, &lock_rows, false))
		return false;
	complete = list_places(&scan, n, sku_ids, usual, list);
	for (int i = 0; complete && i < list->n; i++)
		if (rows_lock(&scan, list->rows[i]))
			list->places[locked++] = list->places[i];
	list->n = locked;
	rows_close(&scan);
	return complete;
}

static void
lock_by_statement(int n, const int64 *sku_ids, PlaceList *list)
{
	static SPIPlanPtr make_plan = NULL;
	static SPIPlanPtr lock_plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, sku_ids)};

	/* What is missing is made before anything is locked: an insert may wait for another's insert. */
	ss_execute(&make_plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) "
			   "SELECT u.sku_id, c.location_id FROM unnest($1) AS u (sku_id) "
			   "CROSS JOIN (SELECT m.location_id FROM storesync.location m WHERE m.sellable "
			   "            ORDER BY m.code <> 'main', m.priority, m.location_id LIMIT 1) c "
			   "WHERE NOT EXISTS (SELECT FROM storesync.stock_lock k "
			   "                  WHERE k.sku_id = u.sku_id AND k.location_id = c.location_id) "
			   "ORDER BY 1 ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 1, types, values, NULL, 0);
	ss_execute(&lock_plan,
			   "SELECT k.sku_id, k.location_id FROM storesync.stock_lock k WHERE k.sku_id = ANY ($1) "
			   "ORDER BY k.sku_id, k.location_id FOR UPDATE",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	list->n = 0;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		HeapTuple	tuple = SPI_tuptable->vals[i];

		add_place(list, DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull)),
				  DatumGetInt32(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull)), (ItemPointerData) {0});
	}
	SPI_freetuptable(SPI_tuptable);
}

void
stock_lock_skus(int n, const int64 *sku_ids, StockHold *hold)
{
	PlaceList	list = {0};
	StockPlace	usual;
	bool		known = find_usual(&usual);
	int64	   *ids;

	memset(hold, 0, sizeof(StockHold));
	if (n == 0)
		return;
	ids = stock_expand(n, sku_ids, &n, hold);
	list.capacity = Max(n, 4);
	list.places = palloc(sizeof(StockPlace) * list.capacity);
	list.rows = palloc(sizeof(ItemPointerData) * list.capacity);
	if (!known || !lock_directly(n, ids, usual.location_id, &list))
		lock_by_statement(n, ids, &list);
	hold->nplaces = list.n;
	hold->places = list.places;
	if (list.n > 0)
		stock_load(list.n, list.places, known ? &usual : NULL);
	for (int i = 0; i < list.n; i++)
		if (list.places[i].bundle)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("SKU %lld has become a bundle meanwhile", (long long) list.places[i].sku_id)));
}

void
stock_lock_places(int64 sku_id, int n, const int32 *location_ids, bool frees, StockHold *hold)
{
	Assert(n == 1 || (n == 2 && location_ids[0] != location_ids[1]));
	if (frees && stock_feeds_short(sku_id))
	{
		stock_make_places(sku_id, n, location_ids);
		stock_lock_skus(1, &sku_id, hold);
		return;
	}
	memset(hold, 0, sizeof(StockHold));
	hold->nplaces = n;
	hold->places = palloc(sizeof(StockPlace) * n);
	if (n == 2)
		stock_make_places(sku_id, n, location_ids);
	stock_lock_place(sku_id, n == 1 ? location_ids[0] : Min(location_ids[0], location_ids[1]), &hold->places[0]);
	if (n == 2)
		stock_lock_place(sku_id, Max(location_ids[0], location_ids[1]), &hold->places[1]);
}

StockPlace *
stock_places_of(const StockHold *hold, int64 sku_id, int *n)
{
	int			low = 0;
	int			high = hold->nplaces;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (hold->places[middle].sku_id < sku_id)
			low = middle + 1;
		else
			high = middle;
	}
	*n = 0;
	while (low + *n < hold->nplaces && hold->places[low + *n].sku_id == sku_id)
		(*n)++;
	return *n == 0 ? NULL : &hold->places[low];
}

StockPlace *
stock_place_of(const StockHold *hold, int64 sku_id, int32 location_id)
{
	int			n;
	StockPlace *places = stock_places_of(hold, sku_id, &n);

	for (int i = 0; i < n; i++)
		if (places[i].location_id == location_id)
			return &places[i];
	return NULL;
}
