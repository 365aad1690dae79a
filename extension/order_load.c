/*
 * order_load.c
 *		Locks and reads the orders of a page and their lines.
 *
 * New orders are inserted before existing ones are locked: an insert may
 * have to wait for another session's insert of the same order, and whoever
 * waits so holds nothing but inserts, in the same order.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order.h"
#include "set.h"

/* One sound document while the page is grouped by order. */
typedef struct DocRef
{
	const text *order_sn;
	int			doc;
} DocRef;

static int
compare_refs(const void *a, const void *b)
{
	const DocRef *x = a;
	const DocRef *y = b;
	int			order = ss_text_compare(x->order_sn, y->order_sn);

	return order != 0 ? order : x->doc - y->doc;
}

/* group_documents makes one Order of all documents with one number, sorted. */
static void
group_documents(OrderPage *page)
{
	DocRef	   *refs = palloc(sizeof(DocRef) * page->ndocs);
	int			n = 0;

	for (int d = 0; d < page->ndocs; d++)
	{
		page->order_of[d] = -1;
		if (page->docs[d].reject == NULL)
			refs[n++] = (DocRef) {page->docs[d].order_sn, d};
	}
	qsort(refs, n, sizeof(DocRef), compare_refs);
	page->orders = palloc0(sizeof(Order) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		OrderDoc   *doc = &page->docs[refs[i].doc];

		if (i == 0 || ss_text_compare(refs[i - 1].order_sn, refs[i].order_sn) != 0)
		{
			page->orders[page->norders].order_sn = doc->order_sn;
			page->orders[page->norders++].first_doc = refs[i].doc;
		}
		page->order_of[refs[i].doc] = page->norders - 1;
	}
	pfree(refs);
}

static Datum
column(HeapTuple tuple, int number, bool *isnull)
{
	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, isnull);
}

static int64
int64_column(HeapTuple tuple, int number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static int32
int32_column(HeapTuple tuple, int number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static text *
text_column(HeapTuple tuple, int number)
{
	bool		isnull;
	Datum		value = column(tuple, number, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

static OrderStatus
status_column(HeapTuple tuple, int number)
{
	text	   *name = text_column(tuple, number);
	OrderStatus status = ORDER_UNPAID;

	if (!order_status_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), &status))
		elog(ERROR, "unknown order status \"%s\"", text_to_cstring(name));
	return status;
}

/* read_order takes what the table says of an existing order. */
static void
read_order(HeapTuple tuple, Order *order)
{
	bool		isnull;

	order->order_id = int64_column(tuple, 2);
	order->status = status_column(tuple, 3);
	order->stock_effect = DatumGetBool(column(tuple, 4, &isnull));
	order->create_time = int64_column(tuple, 5);
	order->update_time = int64_column(tuple, 6);
	order->fetched_at = int64_column(tuple, 7);
	order->recorded_at = int64_column(tuple, 8);
	order->buyer = text_column(tuple, 9);
	order->currency = text_column(tuple, 10);
}

/* lock_orders locks and reads, in the page's order, those that were not inserted. */
static void
lock_orders(OrderPage *page)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element_types[] = {INT4OID, TEXTOID};
	SsSet	   *set = set_create(2, element_types, page->norders);
	int		   *index = palloc(sizeof(int) * page->norders);
	int			n = 0;

	for (int i = 0; i < page->norders; i++)
	{
		if (page->orders[i].is_new)
			continue;
		index[n++] = i;
		set_add_row(set);
		set_put(set, 0, Int32GetDatum(page->store.store_id));
		set_put_pointer(set, 1, page->orders[i].order_sn);
	}
	if (n == 0)
		return;
	set_execute(&plan,
				"SELECT u.ord, o.order_id, o.status::text, o.stock_effect, o.create_time, o.update_time, "
				"       o.fetched_at, o.recorded_at, o.buyer, o.currency "
				"FROM unnest($1, $2) WITH ORDINALITY AS u (store_id, order_sn, ord) "
				"JOIN storesync.sales_order o ON o.store_id = u.store_id AND o.order_sn = u.order_sn "
				"ORDER BY u.ord FOR UPDATE OF o",
				SPI_OK_SELECT, set);
	if (SPI_processed != (uint64) n)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("an order was removed while it was to be locked")));
	for (int i = 0; i < n; i++)
		read_order(SPI_tuptable->vals[i], &page->orders[index[int64_column(SPI_tuptable->vals[i], 1) - 1]]);
}

/* read_line takes what the table says of a line. */
static OrderLine *
read_line(HeapTuple tuple)
{
	OrderLine  *line = palloc0(sizeof(OrderLine));
	bool		isnull;
	Datum		value;

	line->line_id = text_column(tuple, 2);
	line->item_id = text_column(tuple, 3);
	line->model_id = text_column(tuple, 4);
	line->sku_code = text_column(tuple, 5);
	line->reason = text_column(tuple, 6);
	value = column(tuple, 7, &isnull);
	line->unit_price = isnull ? NULL : DatumGetNumeric(value);
	line->listing_id = int64_column(tuple, 8);
	line->sku_id = int64_column(tuple, 9);
	line->location_id = int32_column(tuple, 10);
	line->pack = int32_column(tuple, 11);
	line->qty = int64_column(tuple, 12);
	line->cancelled_qty = int64_column(tuple, 13);
	line->returned_qty = int64_column(tuple, 14);
	line->reserved = int64_column(tuple, 15);
	line->shipped = int64_column(tuple, 16);
	line->restocked = int64_column(tuple, 17);
	line->missing = int64_column(tuple, 18);
	line->effects = int32_column(tuple, 19);
	value = column(tuple, 20, &isnull);
	line->cancelled_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	line->status = status_column(tuple, 21);
	line->state = order_state_find(text_to_cstring(text_column(tuple, 22)));
	line->lost = int64_column(tuple, 23);
	return line;
}

/* load_lines reads the lines of all existing orders, each order's sorted by the bytes of line_id. */
static void
load_lines(OrderPage *page)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element_types[] = {INT8OID, TIMESTAMPTZOID};
	SsSet	   *set = set_create(2, element_types, page->norders);
	int		   *index = palloc(sizeof(int) * page->norders);

	for (int i = 0; i < page->norders; i++)
	{
		if (page->orders[i].is_new)
			continue;
		index[set->rows] = i;
		set_add_row(set);
		set_put(set, 0, Int64GetDatum(page->orders[i].order_id));
		set_put(set, 1, TimestampTzGetDatum(page->orders[i].recorded_at));
	}
	if (set->rows == 0)
		return;
	set_execute(&plan,
				"SELECT u.ord, l.line_id, l.item_id, l.model_id, l.sku_code, l.reason, l.unit_price, l.listing_id, "
				"       l.sku_id, l.location_id, l.pack, l.qty, l.cancelled_qty, l.returned_qty, l.reserved, "
				"       l.shipped, l.restocked, l.short, l.effects, l.cancelled_at, l.status::text, l.state::text, l.lost "
				"FROM unnest($1, $2) WITH ORDINALITY AS u (order_id, recorded_at, ord) "
				"JOIN storesync.sales_order_line l ON l.order_id = u.order_id AND l.recorded_at = u.recorded_at "
				"ORDER BY u.ord, l.line_id COLLATE \"C\"",
				SPI_OK_SELECT, set);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		Order	   *order = &page->orders[index[int64_column(tuple, 1) - 1]];

		if (order->nlines == order->capacity)
		{
			order->capacity = Max(order->capacity * 2, 4);
			order->lines = order->lines == NULL ? palloc(sizeof(OrderLine *) * order->capacity) :
				repalloc(order->lines, sizeof(OrderLine *) * order->capacity);
		}
		order->lines[order->nlines++] = read_line(tuple);
	}
}

void
order_load(OrderPage *page)
{
	group_documents(page);
	order_insert(page);
	lock_orders(page);
	load_lines(page);
}

OrderLine *
order_line_find(const Order *order, const text *line_id)
{
	int			low = 0;
	int			high = order->nlines - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			side = ss_text_compare(order->lines[middle]->line_id, line_id);

		if (side == 0)
			return order->lines[middle];
		if (side < 0)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

PageSku *
order_page_sku(const OrderPage *page, int64 sku_id)
{
	int			low = 0;
	int			high = page->nskus - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (page->skus[middle].sku_id == sku_id)
			return &page->skus[middle];
		if (page->skus[middle].sku_id < sku_id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}
