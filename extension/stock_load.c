/*
 * stock_load.c
 *		Reads what booking needs to know of locked places: SKU, location and
 *		balance.
 *
 * The balance is the newest ledger row, read with a snapshot taken after the
 * lock was granted. Under REPEATABLE READ and SERIALIZABLE the lock alone
 * would not notice that the balance moved since the transaction's snapshot:
 * that is compared, and 40001 raised.
 *
 * Each table is looked into directly, or all by one statement where one of
 * them does not allow it (rows.h).
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/snapmgr.h"

#include "rows.h"
#include "set.h"
#include "stock.h"

static RowsLookup ledger_rows = {
	.name = {"ledger"}, .nkeys = 3, .keys = {"sku_id", "location_id", "version"},
	.columns = "on_hand, reserved, version, recorded_at", .writes = true
};

static RowsLookup sku_rows = {
	.name = {"sku"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "allow_backorder, bundle", .settled = true
};

/*
 * A place's newest row leads the index backwards: one probe of each
 * partition, whatever the number of rows.
 */
static const char *const load_sql =
"SELECT u.ord, s.allow_backorder, c.sellable, c.priority, c.code = 'main', "
"       g.on_hand, g.reserved, g.version, g.recorded_at, s.bundle "
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
	place->bundle = DatumGetBool(SPI_getbinval(tuple, desc, 10, &isnull));
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
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &sku_rows, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(places[i].sku_id);

		if (i > 0 && places[i].sku_id == places[i - 1].sku_id)
		{
			places[i].allow_backorder = places[i - 1].allow_backorder;
			places[i].bundle = places[i - 1].bundle;
		}
		else if (rows_find(&scan, 1, &key))
		{
			places[i].allow_backorder = DatumGetBool(rows_get(&scan, 0, &isnull));
			places[i].bundle = DatumGetBool(rows_get(&scan, 1, &isnull));
		}
		else
			elog(ERROR, "SKU %lld of a place does not exist", (long long) places[i].sku_id);
	}
	rows_close(&scan);
	return true;
}

void
stock_note_sku(const RowsScan *scan, int64 sku_id)
{
	Datum		key = Int64GetDatum(sku_id);

	rows_note(scan, &sku_rows, &key);
}

static bool
is_main(const text *code)
{
	return VARSIZE_ANY_EXHDR(code) == 4 && memcmp(VARDATA_ANY(code), "main", 4) == 0;
}

/* copy_location gives a place what another one at the same location knows of it. */
static void
copy_location(StockPlace *place, const StockPlace *other)
{
	place->sellable = other->sellable;
	place->priority = other->priority;
	place->preferred = other->preferred;
}

void
stock_take_location(RowsScan *scan, StockPlace *place)
{
	bool		isnull;

	place->sellable = DatumGetBool(rows_get(scan, 0, &isnull));
	place->priority = DatumGetInt32(rows_get(scan, 1, &isnull));
	place->preferred = is_main(DatumGetTextPP(rows_get(scan, 2, &isnull)));
}

/*
 * load_locations reads what the places' locations say. Mostly all have the
 * same one, which `usual` (may be NULL) knows already.
 */
static bool
load_locations(int n, StockPlace *places, const StockPlace *usual)
{
	static RowsLookup lookup = {
		.name = {"location"}, .nkeys = 1, .keys = {"location_id"}, .columns = "sellable, priority, code",
		.settled = true
	};
	RowsScan	scan;
	bool		open = false;

	for (int i = 0; i < n; i++)
	{
		Datum		key = Int32GetDatum(places[i].location_id);

		if (usual != NULL && places[i].location_id == usual->location_id)
		{
			copy_location(&places[i], usual);
			continue;
		}
		if (!open && !rows_open(&scan, &lookup, false))
			return false;
		open = true;
		if (!rows_find(&scan, 1, &key))
			elog(ERROR, "location %d of a place does not exist", places[i].location_id);
		stock_take_location(&scan, &places[i]);
		usual = &places[i];
	}
	if (open)
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

void
stock_load(int n, StockPlace *places, const StockPlace *usual)
{
	if (!load_skus(n, places) || !load_locations(n, places, usual) || !load_ledger(n, places, false) ||
		(IsolationUsesXactSnapshot() && !ledger_unmoved(n, places)))
		load_by_statement(n, places);
}
