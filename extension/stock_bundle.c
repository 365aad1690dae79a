/*
 * stock_bundle.c
 *		What has to be locked besides the SKUs that a call asks for: of a
 *		bundle its components, and the other components of bundles that wait
 *		for stock of one.
 *
 * Rows of component are never deleted, only set to quantity 0, so that what
 * is read here covers the composition of every line booked before. It is read
 * before any place is locked: a bundle line that comes to be short meanwhile
 * is met in order_fill.c.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "ids.h"
#include "rows.h"
#include "stock.h"

static void
add_component(StockHold *hold, int64 bundle_id, int64 sku_id, int64 qty)
{
	/* room doubles where the number of components is a power of two */
	if (hold->components == NULL)
		hold->components = palloc(sizeof(StockComponent));
	else if ((hold->ncomponents & (hold->ncomponents - 1)) == 0)
		hold->components = repalloc_huge(hold->components, sizeof(StockComponent) * hold->ncomponents * 2);
	hold->components[hold->ncomponents++] = (StockComponent) {bundle_id, sku_id, qty};
}

static void
components_by_statement(int n, const int64 *sku_ids, StockHold *hold)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, sku_ids)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT c.bundle_id, c.sku_id, c.qty FROM storesync.component c WHERE c.bundle_id = ANY ($1) ORDER BY 1, 2",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		add_component(hold, DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull)),
					  DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull)),
					  DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* find_components reads what the SKUs, sorted, are or were made of. */
static void
find_components(int n, const int64 *sku_ids, StockHold *hold)
{
	static RowsLookup lookup = {
		.name = {"component"}, .nkeys = 2, .keys = {"bundle_id", "sku_id"}, .columns = "sku_id, qty"
	};
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
	{
		components_by_statement(n, sku_ids, hold);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(sku_ids[i]);

		for (bool more = rows_find(&scan, 1, &key); more; more = rows_next(&scan))
			add_component(hold, sku_ids[i], DatumGetInt64(rows_get(&scan, 0, &isnull)),
						  DatumGetInt64(rows_get(&scan, 1, &isnull)));
	}
	rows_close(&scan);
}

/* any_feeds says whether one of the SKUs is, or was, in a bundle. */
static bool
any_feeds(const IdList *list)
{
	static RowsLookup lookup = {
		.name = {"component"}, .nkeys = 2, .keys = {"sku_id", "bundle_id"}, .columns = "bundle_id"
	};
	RowsScan	scan;
	bool		feeds = false;

	if (!rows_open(&scan, &lookup, false))
		return true;
	for (int i = 0; i < list->n && !feeds; i++)
	{
		Datum		key = Int64GetDatum(list->ids[i]);

		feeds = rows_find(&scan, 1, &key);
	}
	rows_close(&scan);
	return feeds;
}

/* add_waiting adds the components of bundles that have short lines and contain one of the SKUs. */
static void
add_waiting(IdList *list)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(list->n, list->ids)};
	int64	   *more;
	int			n;

	ss_execute(&plan,
			   "SELECT DISTINCT o.sku_id FROM storesync.component c "
			   "JOIN storesync.component o ON o.bundle_id = c.bundle_id "
			   "WHERE c.sku_id = ANY ($1) AND EXISTS (SELECT FROM storesync.sales_order_line l "
			   "       WHERE l.sku_id = c.bundle_id AND l.short > 0)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	more = ss_read_ids(&n);
	for (int i = 0; i < n; i++)
		ids_add(list, more[i]);
	pfree(more);
}

int64 *
stock_expand(int n, const int64 *sku_ids, int *expanded, StockHold *hold)
{
	IdList		list = {0, Max(n, 8), palloc(sizeof(int64) * Max(n, 8))};
	int			c = 0;

	find_components(n, sku_ids, hold);
	for (int i = 0; i < n; i++)
	{
		bool		bundle = false;

		for (; c < hold->ncomponents && hold->components[c].bundle_id == sku_ids[i]; c++)
		{
			ids_add(&list, hold->components[c].sku_id);
			bundle |= hold->components[c].qty > 0;
		}
		if (!bundle)
			ids_add(&list, sku_ids[i]);
	}
	if (any_feeds(&list))
		add_waiting(&list);
	ids_sort(&list);
	*expanded = list.n;
	return list.ids;
}

bool
stock_feeds_short(int64 sku_id)
{
	IdList		list = {1, 1, &sku_id};
	IdList		waiting = {0, 8, NULL};

	if (!any_feeds(&list))
		return false;
	waiting.ids = palloc(sizeof(int64) * waiting.capacity);
	ids_add(&waiting, sku_id);
	add_waiting(&waiting);
	return waiting.n > 1;
}
