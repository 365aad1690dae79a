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
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "order_part.h"
#include "rows.h"

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

/* A row of a look-up, or where `scan` is NULL of a statement; the statement's has one more column, in front. */
typedef struct LoadedRow
{
	RowsScan   *scan;
	HeapTuple	tuple;
} LoadedRow;

static Datum
column(const LoadedRow *row, int number, bool *isnull)
{
	if (row->scan != NULL)
		return rows_get(row->scan, number - 2, isnull);
	return SPI_getbinval(row->tuple, SPI_tuptable->tupdesc, number, isnull);
}

static int64
int64_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static int32
int32_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static text *
text_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* label_column reads an enum, which a statement turns into text. */
static char *
label_column(const LoadedRow *row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	if (row->scan != NULL)
		return DatumGetCString(DirectFunctionCall1(enum_out, value));
	return TextDatumGetCString(value);
}

static OrderStatus
status_column(const LoadedRow *row, int number)
{
	char	   *name = label_column(row, number);
	OrderStatus status = ORDER_UNPAID;

	if (!order_status_find(name, strlen(name), &status))
		elog(ERROR, "unknown order status \"%s\"", name);
	return status;
}

/* read_order takes what the table says of an existing order. */
static void
read_order(const LoadedRow *row, Order *order)
{
	bool		isnull;

	order->order_id = int64_column(row, 2);
	order->status = status_column(row, 3);
	order->stock_effect = DatumGetBool(column(row, 4, &isnull));
	order->create_time = int64_column(row, 5);
	order->update_time = int64_column(row, 6);
	order->fetched_at = int64_column(row, 7);
	order->recorded_at = int64_column(row, 8);
	order->buyer = text_column(row, 9);
	order->currency = text_column(row, 10);
}

static void
raise_removed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("an order was removed while it was to be locked")));
}

static void
lock_by_statement(OrderPage *page)
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
		raise_removed();
	for (int i = 0; i < n; i++)
	{
		LoadedRow	row = {.tuple = SPI_tuptable->vals[i]};

		read_order(&row, &page->orders[index[int64_column(&row, 1) - 1]]);
	}
}

/* lock_orders locks and reads, in the page's order, those that were not inserted. */
static void
lock_orders(OrderPage *page)
{
	static RowsLookup lookup = {
		.name = {"sales_order"}, .nkeys = 2, .keys = {"store_id", "order_sn"}, .locks = true,
		.columns = "order_id, status, stock_effect, create_time, update_time, fetched_at, recorded_at, buyer, currency"
	};
	RowsScan	scan;
	LoadedRow	row = {.scan = &scan};

	if (!rows_open(&scan, &lookup, false))
	{
		lock_by_statement(page);
		return;
	}
	for (int i = 0; i < page->norders; i++)
	{
		Datum		keys[] = {Int32GetDatum(page->store.store_id), PointerGetDatum(page->orders[i].order_sn)};

		if (page->orders[i].is_new)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (!rows_find(&scan, 2, keys) || !rows_lock(&scan, rows_at(&scan)))
			raise_removed();
		read_order(&row, &page->orders[i]);
	}
	rows_close(&scan);
}

/* read_line takes what the table says of a line. */
static OrderLine *
read_line(const LoadedRow *row)
{
	OrderLine  *line = palloc0(sizeof(OrderLine));
	bool		isnull;
	Datum		value;

	line->line_id = text_column(row, 2);
	line->item_id = text_column(row, 3);
	line->model_id = text_column(row, 4);
	line->sku_code = text_column(row, 5);
	line->reason = text_column(row, 6);
	value = column(row, 7, &isnull);
	line->unit_price = isnull ? NULL : DatumGetNumeric(value);
	line->listing_id = int64_column(row, 8);
	line->sku_id = int64_column(row, 9);
	line->location_id = int32_column(row, 10);
	line->pack = int32_column(row, 11);
	line->qty = int64_column(row, 12);
	line->cancelled_qty = int64_column(row, 13);
	line->returned_qty = int64_column(row, 14);
	line->reserved = int64_column(row, 15);
	line->shipped = int64_column(row, 16);
	line->restocked = int64_column(row, 17);
	line->missing = int64_column(row, 18);
	line->effects = int32_column(row, 19);
	value = column(row, 20, &isnull);
	line->cancelled_at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	line->status = status_column(row, 21);
	line->state = order_state_find(label_column(row, 22));
	line->lost = int64_column(row, 23);
	value = column(row, 24, &isnull);
	order_part_read(line, isnull ? NULL : DatumGetJsonbP(value));
	return line;
}

static void
add_loaded(Order *order, OrderLine *line)
{
	if (order->nlines == order->capacity)
	{
		order->capacity = Max(order->capacity * 2, 4);
		order->lines = order->lines == NULL ? palloc(sizeof(OrderLine *) * order->capacity) :
			repalloc(order->lines, sizeof(OrderLine *) * order->capacity);
	}
	order->lines[order->nlines++] = line;
}

static void
lines_by_statement(OrderPage *page)
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
				"       l.shipped, l.restocked, l.short, l.effects, l.cancelled_at, l.status::text, l.state::text, l.lost, l.parts "
				"FROM unnest($1, $2) WITH ORDINALITY AS u (order_id, recorded_at, ord) "
				"JOIN storesync.sales_order_line l ON l.order_id = u.order_id AND l.recorded_at = u.recorded_at "
				"ORDER BY u.ord, l.line_id COLLATE \"C\"",
				SPI_OK_SELECT, set);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		LoadedRow	row = {.tuple = SPI_tuptable->vals[i]};

		add_loaded(&page->orders[index[int64_column(&row, 1) - 1]], read_line(&row));
	}
}

static int
compare_loaded(const void *a, const void *b)
{
	return ss_text_compare((*(OrderLine *const *) a)->line_id, (*(OrderLine *const *) b)->line_id);
}

/* load_lines reads the lines of all existing orders, each order's sorted by the bytes of line_id. */
static void
load_lines(OrderPage *page)
{
	static RowsLookup lookup = {
		.name = {"sales_order_line"}, .nkeys = 2, .keys = {"order_id", "line_id"},
		.columns = "line_id, item_id, model_id, sku_code, reason, unit_price, listing_id, sku_id, location_id, "
		"pack, qty, cancelled_qty, returned_qty, reserved, shipped, restocked, short, effects, cancelled_at, "
		"status, state, lost, parts"
	};
	RowsScan	scan;
	LoadedRow	row = {.scan = &scan};

	if (!rows_open(&scan, &lookup, false))
	{
		lines_by_statement(page);
		return;
	}
	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];
		Datum		key = Int64GetDatum(order->order_id);

		if (order->is_new)
			continue;
		for (bool more = rows_find_at(&scan, TimestampTzGetDatum(order->recorded_at), 1, &key); more; more = rows_next(&scan))
			add_loaded(order, read_line(&row));
		qsort(order->lines, order->nlines, sizeof(OrderLine *), compare_loaded);
	}
	rows_close(&scan);
}

/* any_known: the page has orders that were booked before. */
static bool
any_known(const OrderPage *page)
{
	for (int i = 0; i < page->norders; i++)
		if (!page->orders[i].is_new)
			return true;
	return false;
}

void
order_load(OrderPage *page)
{
	group_documents(page);
	order_insert(page);
	if (any_known(page))
	{
		lock_orders(page);
		load_lines(page);
	}
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
