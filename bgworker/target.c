/*
 * target.c
 *		The comparison of wanted and believed, by the view listing_target.
 *
 * Whatever changed, the question asked is the same and is asked of tables:
 * does this listing have to be written? So a change met twice, late or out of
 * order does no harm, and one that was undone costs no call.
 */
#include "target.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "queue.h"
#include "stores.h"

/* Rows held in memory at once while everything is compared. */
#define FETCH_ROWS 2000

/* Columns that both comparisons return. */
#define COMPARED \
	"t.listing_id, t.store_id, t.item_id, t.wanted, t.at_most, t.not_before"
enum
{
	COL_LISTING = 1, COL_STORE, COL_ITEM, COL_WANTED, COL_AT_MOST, COL_NOT_BEFORE, COL_CHANGED, COL_DUE
};

bool		target_overflow = false;

static Datum
column(HeapTuple row, TupleDesc desc, int number, Datum missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, number, &isnull);

	return isnull ? missing : value;
}

/*
 * settle_row brings the queue in line with one compared listing. A raise, or
 * a write to a listing that may show less already, is no decrease.
 */
static void
settle_row(HeapTuple row, TupleDesc desc)
{
	int64		listing_id = DatumGetInt64(column(row, desc, COL_LISTING, 0));
	int64		wanted = DatumGetInt64(column(row, desc, COL_WANTED, 0));
	int64		at_most = DatumGetInt64(column(row, desc, COL_AT_MOST, Int64GetDatum(-1)));
	TimestampTz due = DatumGetTimestampTz(column(row, desc, COL_NOT_BEFORE, TimestampTzGetDatum(0)));
	DispatchStore *store = stores_find(DatumGetInt32(column(row, desc, COL_STORE, 0)));
	bool		decrease = at_most >= 0 ? wanted < at_most : wanted == 0;

	if (!DatumGetBool(column(row, desc, COL_DUE, BoolGetDatum(false))) || store == NULL ||
		store->writes == WRITES_NONE || (store->writes == WRITES_LOWER && !decrease))
	{
		queue_drop(listing_id);
		return;
	}
	if (!queue_put(&store->lanes, store->store_id,
				   TextDatumGetCString(column(row, desc, COL_ITEM, 0)), listing_id, decrease,
				   DatumGetTimestampTz(column(row, desc, COL_CHANGED, 0)), due))
		target_overflow = true;
}

static Datum
array_or_empty(const Columns *columns, int column, Oid type)
{
	if (columns == NULL || columns->n == 0)
		return PointerGetDatum(construct_empty_array(type));
	return PointerGetDatum(construct_array(columns->values[column], columns->n, type,
										   8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* drop_vanished forgets listings that came back from a call and have no row any more. */
static void
drop_vanished(const Columns *listings)
{
	for (int i = 0; i < listings->n; i++)
	{
		int64		listing_id = DatumGetInt64(listings->values[0][i]);
		QueueListing *listing = queue_find(listing_id);

		if (listing != NULL && listing->state == QUEUE_LANDED)
			queue_drop(listing_id);
	}
}

void
target_compare(const Columns *skus, const Columns *listings)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID};
	Datum		values[4];

	if ((skus == NULL || skus->n == 0) && listings->n == 0)
		return;
	values[0] = array_or_empty(skus, 0, INT8OID);
	values[1] = array_or_empty(skus, 1, TIMESTAMPTZOID);
	values[2] = array_or_empty(listings, 0, INT8OID);
	values[3] = array_or_empty(listings, 1, TIMESTAMPTZOID);
	ss_execute(&plan,
			   "SELECT " COMPARED ", c.changed_at, t.dirty AND NOT t.dead FROM ("
			   "SELECT y.listing_id, min(y.at) AS changed_at FROM ("
			   "SELECT l.listing_id, x.at FROM unnest($1, $2) AS x (sku_id, at) "
			   "JOIN storesync.listing l ON l.sku_id = x.sku_id "
			   "UNION ALL SELECT z.listing_id, z.at FROM unnest($3, $4) AS z (listing_id, at)) y "
			   "GROUP BY y.listing_id) c "
			   "JOIN storesync.listing_target t ON t.listing_id = c.listing_id",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
		settle_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	drop_vanished(listings);
}

void
target_compare_all(int store_id)
{
	static const char *const sql =
		"SELECT " COMPARED ", now(), true FROM storesync.listing_target t "
		"WHERE ($1 = 0 OR t.store_id = $1) AND t.enabled AND t.dirty AND NOT t.dead";
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store_id)};
	DispatchStore *store = store_id == 0 ? NULL : stores_find(store_id);
	Portal		portal;

	if (store_id == 0)
		target_overflow = false;
	else if (store == NULL)
		return;
	queue_sweep_begin();
	portal = SPI_cursor_open_with_args(NULL, sql, 1, types, values, NULL, false, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
			settle_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0 && !target_overflow);
	SPI_cursor_close(portal);
	queue_sweep_end(store == NULL ? NULL : &store->lanes);
}

static int
by_listing(const void *a, const void *b)
{
	int64		left = ((const Target *) a)->listing_id;
	int64		right = ((const Target *) b)->listing_id;

	return left < right ? -1 : left > right ? 1 : 0;
}

Target *
target_read(const int64 *listing_ids, int n, int *found)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[1];
	Datum	   *elements = palloc(n * sizeof(Datum));
	Target	   *targets;

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(listing_ids[i]);
	values[0] = PointerGetDatum(construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	ss_execute(&plan,
			   "SELECT t.listing_id, t.wanted, t.version, t.at_most, t.dirty AND NOT t.dead, t.model_id "
			   "FROM storesync.listing_target t WHERE t.listing_id = ANY ($1)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	*found = (int) SPI_processed;
	targets = palloc(Max(*found, 1) * sizeof(Target));
	for (int i = 0; i < *found; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		targets[i].listing_id = DatumGetInt64(column(row, desc, 1, 0));
		targets[i].wanted = DatumGetInt64(column(row, desc, 2, 0));
		targets[i].version = DatumGetInt64(column(row, desc, 3, 0));
		targets[i].at_most = DatumGetInt64(column(row, desc, 4, Int64GetDatum(-1)));
		targets[i].due = DatumGetBool(column(row, desc, 5, BoolGetDatum(false)));
		targets[i].model_id = TextDatumGetCString(column(row, desc, 6, 0));
	}
	qsort(targets, *found, sizeof(Target), by_listing);
	return targets;
}

const Target *
target_find(const Target *targets, int n, int64 listing_id)
{
	Target		key = {.listing_id = listing_id};

	return bsearch(&key, targets, n, sizeof(Target), by_listing);
}
