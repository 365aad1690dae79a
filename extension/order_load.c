/*
 * order_load.c
 *		Locks and reads the orders of a page and their lines, but for those of
 *		which the page has no news (order_look.c).
 *
 * New orders are inserted before existing ones are locked: an insert may
 * have to wait for another session's insert of the same order, and whoever
 * waits so holds nothing but inserts, in the same order.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "order_read.h"
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

/* is_locked: neither made by this call nor left alone. */
static bool
is_locked(const Order *order)
{
	return !order->is_new && !order->settled;
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
		if (!is_locked(&page->orders[i]))
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

		order_read_head(&row, &page->orders[index[order_read_int64(&row, 1) - 1]]);
	}
}

/* lock_orders locks and reads, in the page's order, those that were not inserted. */
static void
lock_orders(OrderPage *page)
{
	static RowsLookup lookup = {
		.name = {"sales_order"}, .nkeys = 2, .keys = {"store_id", "order_sn"}, .locks = true,
		.columns = ORDER_READ_COLUMNS
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

		if (!is_locked(&page->orders[i]))
			continue;
		CHECK_FOR_INTERRUPTS();
		if (!rows_find(&scan, 2, keys) || !rows_lock(&scan, rows_at(&scan)))
			raise_removed();
		order_read_head(&row, &page->orders[i]);
	}
	rows_close(&scan);
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
		if (!is_locked(&page->orders[i]))
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

		order_read_line(&row, &page->orders[index[order_read_int64(&row, 1) - 1]]);
	}
}

/* load_lines reads the lines of all orders that were locked. */
static void
load_lines(OrderPage *page)
{
	RowsScan	scan;

	if (!order_open_lines(&scan, false))
	{
		lines_by_statement(page);
		return;
	}
	for (int i = 0; i < page->norders; i++)
		if (is_locked(&page->orders[i]))
			order_read_lines(&scan, &page->orders[i]);
	rows_close(&scan);
}

/* any_to_lock: the page has orders that were booked before and, so far, news of them. */
static bool
any_to_lock(const OrderPage *page)
{
	for (int i = 0; i < page->norders; i++)
		if (is_locked(&page->orders[i]))
			return true;
	return false;
}

void
order_load(OrderPage *page)
{
	group_documents(page);
	order_insert(page);
	if (any_to_lock(page))
		order_look(page);
	if (any_to_lock(page))
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
