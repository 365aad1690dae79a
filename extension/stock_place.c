/*
 * stock_place.c
 *		Locks places and reads their balances (stock.h has the lock order).
 *
 * A lock row is never updated, so a held snapshot leaves nothing dead in
 * front of it; the balance is the newest ledger row, read with a snapshot
 * taken after the lock was granted. Under REPEATABLE READ and SERIALIZABLE
 * the lock alone would not notice that the balance moved since the
 * transaction's snapshot: that is compared, and 40001 raised.
 *
 * Each step looks into the tables directly, and by a statement where a table
 * does not allow it (rows.h).
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "rows.h"
#include "set.h"
#include "stock.h"

static RowsLookup lock_rows = {
	.name = {"stock_lock"}, .nkeys = 2, .keys = {"sku_id", "location_id"}, .columns = "location_id", .locks = true
};
static RowsLookup ledger_rows = {
	.name = {"ledger"}, .nkeys = 3, .keys = {"sku_id", "location_id", "version"},
	.columns = "on_hand, reserved, version, recorded_at"
};

/*
 * A place's newest row leads the index backwards: one probe of each
 * partition, whatever the number of rows.
 */
static const char *const load_sql =
"SELECT u.ord, s.allow_backorder, c.sellable, c.priority, c.code = 'main', "
"       g.on_hand, g.reserved, g.version, g.recorded_at "
"FROM unnest($1, $2) WITH ORDINALITY AS u (sku_id, location_id, ord) "
"JOIN storesync.sku s ON s.sku_id = u.sku_id "
"JOIN storesync.location c ON c.location_id = u.location_id "
"LEFT JOIN LATERAL (SELECT l.on_hand, l.reserved, l.version, l.recorded_at FROM storesync.ledger l "
"                   WHERE l.sku_id = u.sku_id AND l.location_id = u.location_id "
"                   ORDER BY l.version DESC LIMIT 1) g ON true";

/* column_int64 reads a bigint of a result row, `missing` for NULL. */
static int64
column_int64(HeapTuple tuple, int column, int64 missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? missing : DatumGetInt64(value);
}

static void
read_place(HeapTuple tuple, StockPlace *place)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;

	place->allow_backorder = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
	place->sellable = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	place->priority = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &isnull));
	place->preferred = DatumGetBool(SPI_getbinval(tuple, desc, 5, &isnull));
	place->on_hand = column_int64(tuple, 6, 0);
	place->reserved = column_int64(tuple, 7, 0);
	place->version = column_int64(tuple, 8, 0);
	place->recorded_at = column_int64(tuple, 9, DT_NOBEGIN);
}

static void
raise_moved(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access due to concurrent movement of stock")));
}

/*
 * check_unmoved raises 40001 when a place has a newer row than the
 * transaction's snapshot shows. `plan` is the load statement, already run
 * under that snapshot; the latest one shows what the lock now protects.
 */
static void
check_unmoved(SPIPlanPtr plan, Datum *values, const StockPlace *places)
{
	if (SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the ledger");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		int64		ord = column_int64(tuple, 1, 0);

		if (column_int64(tuple, 8, 0) != places[ord - 1].version)
			raise_moved();
	}
}

static void
load_by_statement(int n, StockPlace *places)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT4ARRAYOID};
	int64	   *sku_ids = palloc(sizeof(int64) * n);
	int32	   *location_ids = palloc(sizeof(int32) * n);
	Datum		values[2];

	for (int i = 0; i < n; i++)
	{
		sku_ids[i] = places[i].sku_id;
		location_ids[i] = places[i].location_id;
	}
	values[0] = ss_int8_array(n, sku_ids);
	values[1] = ss_int4_array(n, location_ids);
	ss_execute(&plan, load_sql, SPI_OK_SELECT, 2, types, values, NULL, 0);
	if (SPI_processed != (uint64) n)
		elog(ERROR, "read %llu balances of %d", (unsigned long long) SPI_processed, n);
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];

		read_place(tuple, &places[column_int64(tuple, 1, 0) - 1]);
	}
	SPI_freetuptable(SPI_tuptable);
	if (IsolationUsesXactSnapshot())
		check_unmoved(plan, values, places);
}

/* get_int64 reads a bigint of the row found. */
static int64
get_int64(RowsScan *scan, int column)
{
	bool		isnull;

	return DatumGetInt64(rows_get(scan, column, &isnull));
}

/* load_skus reads what the places' SKUs say; the places are sorted by SKU. */
static bool
load_skus(int n, StockPlace *places)
{
	static RowsLookup lookup = {
		.name = {"sku"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "allow_backorder"
	};
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(places[i].sku_id);

		if (i > 0 && places[i].sku_id == places[i - 1].sku_id)
			places[i].allow_backorder = places[i - 1].allow_backorder;
		else if (rows_find(&scan, 1, &key))
			places[i].allow_backorder = DatumGetBool(rows_get(&scan, 0, &isnull));
		else
			elog(ERROR, "SKU %lld of a place does not exist", (long long) places[i].sku_id);
	}
	rows_close(&scan);
	return true;
}

static void
load_location(RowsScan *scan, StockPlace *place)
{
	Datum		key = Int32GetDatum(place->location_id);
	text	   *code;
	bool		isnull;

	if (!rows_find(scan, 1, &key))
		elog(ERROR, "location %d of a place does not exist", place->location_id);
	place->sellable = DatumGetBool(rows_get(scan, 0, &isnull));
	place->priority = DatumGetInt32(rows_get(scan, 1, &isnull));
	code = DatumGetTextPP(rows_get(scan, 2, &isnull));
	place->preferred = VARSIZE_ANY_EXHDR(code) == 4 && memcmp(VARDATA_ANY(code), "main", 4) == 0;
}

/* load_locations reads what the places' locations say; mostly all have the same one. */
static bool
load_locations(int n, StockPlace *places)
{
	static RowsLookup lookup = {
		.name = {"location"}, .nkeys = 1, .keys = {"location_id"}, .columns = "sellable, priority, code"
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		if (i == 0 || places[i].location_id != places[i - 1].location_id)
			load_location(&scan, &places[i]);
		else
		{
			places[i].sellable = places[i - 1].sellable;
			places[i].priority = places[i - 1].priority;
			places[i].preferred = places[i - 1].preferred;
		}
	}
	rows_close(&scan);
	return true;
}

/* read_newest takes a place's balance from its newest row, when the partition at hand has one. */
static bool
read_newest(RowsScan *scan, StockPlace *place)
{
	Datum		keys[] = {Int64GetDatum(place->sku_id), Int32GetDatum(place->location_id)};

	if (!rows_find_last(scan, 2, keys))
		return false;
	place->on_hand = get_int64(scan, 0);
	place->reserved = get_int64(scan, 1);
	place->version = get_int64(scan, 2);
	place->recorded_at = get_int64(scan, 3);
	return true;
}

/* load_ledger reads the places' newest rows: partition by partition, the newest first, until all are found. */
static bool
load_ledger(int n, StockPlace *places, bool latest)
{
	RowsScan	scan;
	int			missing = n;

	if (!rows_open(&scan, &ledger_rows, latest))
		return false;
	for (int i = 0; i < n; i++)
	{
		places[i].on_hand = places[i].reserved = places[i].version = 0;
		places[i].recorded_at = DT_NOBEGIN;
	}
	while (missing > 0 && rows_enter_older(&scan))
		for (int i = 0; i < n; i++)
			if (places[i].version == 0 && read_newest(&scan, &places[i]))
				missing--;
	rows_close(&scan);
	return true;
}

/* ledger_unmoved compares with what the latest snapshot shows; raises 40001 when they differ. */
static bool
ledger_unmoved(int n, const StockPlace *places)
{
	StockPlace *now = palloc(sizeof(StockPlace) * n);

	memcpy(now, places, sizeof(StockPlace) * n);
	if (!load_ledger(n, now, true))
		return false;
	for (int i = 0; i < n; i++)
		if (now[i].version != places[i].version)
			raise_moved();
	pfree(now);
	return true;
}

/* load_places reads the balances of locked places, sorted by SKU. */
static void
load_places(int n, StockPlace *places)
{
	if (!load_skus(n, places) || !load_locations(n, places) || !load_ledger(n, places, false) ||
		(IsolationUsesXactSnapshot() && !ledger_unmoved(n, places)))
		load_by_statement(n, places);
}

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
	load_places(1, place);
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

/* usual_location returns the location that every SKU has a place at: 'main'; 0 when a statement has to say. */
static int32
usual_location(void)
{
	static RowsLookup lookup = {
		.name = {"location"}, .nkeys = 1, .keys = {"code"}, .columns = "location_id, sellable"
	};
	RowsScan	scan;
	Datum		key;
	bool		isnull;
	int32		location_id = 0;

	if (!rows_open(&scan, &lookup, false))
		return 0;
	key = CStringGetTextDatum("main");
	if (rows_find(&scan, 1, &key) && DatumGetBool(rows_get(&scan, 1, &isnull)))
		location_id = DatumGetInt32(rows_get(&scan, 0, &isnull));
	rows_close(&scan);
	return location_id;
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
lock_directly(int n, const int64 *sku_ids, PlaceList *list)
{
	int32		usual = usual_location();
	RowsScan	scan;
	bool		complete;
	int			locked = 0;

	if (usual == 0 || !rows_open(&scan, &lock_rows, false))
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

		add_place(list, column_int64(tuple, 1, 0),
				  DatumGetInt32(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull)), (ItemPointerData) {0});
	}
	SPI_freetuptable(SPI_tuptable);
}

StockPlace *
stock_lock_skus(int n, const int64 *sku_ids, int *nplaces)
{
	PlaceList	list = {.capacity = Max(n, 4)};

	list.places = palloc(sizeof(StockPlace) * list.capacity);
	list.rows = palloc(sizeof(ItemPointerData) * list.capacity);
	if (!lock_directly(n, sku_ids, &list))
		lock_by_statement(n, sku_ids, &list);
	*nplaces = list.n;
	if (list.n > 0)
		load_places(list.n, list.places);
	return list.places;
}
