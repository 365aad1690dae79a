/*
 * order_map.c
 *		Which SKU a line of an order sells, and which stock a page has to lock.
 *
 * A line that names an item is resolved by its listing, and by nothing else:
 * a seller's SKU code on the platform is often old or misspelt. Once mapped,
 * a line keeps its SKU and its pack.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "order.h"
#include "set.h"

/* booked_line returns a document's line as it is booked: NULL when it is new. */
static OrderLine *
booked_line(const OrderPage *page, int doc, const DocLine *doc_line)
{
	return order_line_find(&page->orders[page->order_of[doc]], doc_line->line_id);
}

/* counts says that a document is sound and not older than what is booked. */
static bool
counts(const OrderPage *page, int doc)
{
	return page->order_of[doc] >= 0 &&
		!order_is_stale(&page->orders[page->order_of[doc]], &page->docs[doc]);
}

static void
take_mapping(HeapTuple tuple, DocLine *line)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	Datum		value;

	value = SPI_getbinval(tuple, desc, 2, &isnull);
	line->listing_id = isnull ? 0 : DatumGetInt64(value);
	value = SPI_getbinval(tuple, desc, 3, &isnull);
	line->sku_id = isnull ? 0 : DatumGetInt64(value);
	line->pack = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &isnull));
	value = SPI_getbinval(tuple, desc, 5, &isnull);
	line->listed_sku = isnull ? NULL : DatumGetTextPP(value);
}

/* order_map looks up all lines of the page that are new or have no SKU yet, in one statement. */
void
order_map(OrderPage *page)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element_types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	SsSet	   *set = set_create(4, element_types, page->ndocs);
	DocLine   **lines = palloc(sizeof(DocLine *) * set->capacity);
	int			room = set->capacity;

	for (int d = 0; d < page->ndocs; d++)
	{
		OrderDoc   *doc = &page->docs[d];

		for (int i = 0; counts(page, d) && i < doc->nlines; i++)
		{
			OrderLine  *booked = booked_line(page, d, &doc->lines[i]);

			if (booked != NULL && (booked->sku_id != 0 || booked->state == LINE_KEPT))
				continue;
			if (set->rows == room)
			{
				room *= 2;
				lines = repalloc_huge(lines, sizeof(DocLine *) * room);
			}
			lines[set->rows] = &doc->lines[i];
			doc->lines[i].resolved = true;
			set_add_row(set);
			set_put(set, 0, Int32GetDatum(page->store.store_id));
			set_put_pointer(set, 1, doc->lines[i].item_id);
			set_put_pointer(set, 2, doc->lines[i].model_id);
			set_put_pointer(set, 3, doc->lines[i].sku);
		}
	}
	if (set->rows == 0)
		return;
	set_execute(&plan,
				"SELECT u.ord, l.listing_id, coalesce(l.sku_id, s.sku_id), coalesce(l.pack, 1), "
				"       (SELECT k.code FROM storesync.sku k WHERE k.sku_id = l.sku_id AND k.code <> u.sku) "
				"FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS u (store_id, item_id, model_id, sku, ord) "
				"LEFT JOIN storesync.listing l ON l.store_id = u.store_id AND l.item_id = u.item_id "
				"                             AND l.model_id = u.model_id "
				"LEFT JOIN storesync.sku s ON u.item_id IS NULL AND s.code = u.sku",
				SPI_OK_SELECT, set);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		ord = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		take_mapping(SPI_tuptable->vals[i], lines[ord - 1]);
	}
}

/* A growing list of SKUs, repeats included until it is sorted. */
typedef struct IdList
{
	int			n;
	int			capacity;
	int64	   *ids;
} IdList;

static void
add_id(IdList *list, int64 id)
{
	if (list->n == list->capacity)
	{
		list->capacity *= 2;
		list->ids = repalloc_huge(list->ids, sizeof(int64) * list->capacity);
	}
	list->ids[list->n++] = id;
}

static int
compare_ids(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return (x > y) - (x < y);
}

static void
sort_unique(IdList *list)
{
	int			kept = 0;

	qsort(list->ids, list->n, sizeof(int64), compare_ids);
	for (int i = 0; i < list->n; i++)
		if (i == 0 || list->ids[i] != list->ids[i - 1])
			list->ids[kept++] = list->ids[i];
	list->n = kept;
}

/* add_document adds the SKUs that a document may move. */
static void
add_document(const OrderPage *page, int d, IdList *list)
{
	const OrderDoc *doc = &page->docs[d];

	for (int i = 0; i < doc->nlines; i++)
	{
		OrderLine  *booked = booked_line(page, d, &doc->lines[i]);
		LineWant	want;

		if (booked == NULL || booked->sku_id == 0)
		{
			if (doc->lines[i].sku_id != 0)
				add_id(list, doc->lines[i].sku_id);
			continue;
		}
		if (booked->state == LINE_KEPT)
			continue;
		order_want(page, doc, &doc->lines[i], booked, &want);
		if (!order_settled(booked, &want))
			add_id(list, booked->sku_id);
	}
}

/* make_skus groups the locked places by SKU. */
static void
make_skus(OrderPage *page, const IdList *list)
{
	StockPlace **pointers = palloc(sizeof(StockPlace *) * Max(page->nplaces, 1));
	int			p = 0;

	page->nskus = list->n;
	page->skus = palloc0(sizeof(PageSku) * Max(list->n, 1));
	for (int i = 0; i < list->n; i++)
	{
		PageSku    *sku = &page->skus[i];

		sku->sku_id = list->ids[i];
		sku->places = &pointers[p];
		for (; p < page->nplaces && page->places[p].sku_id == sku->sku_id; p++, sku->nplaces++)
			pointers[p] = &page->places[p];
	}
}

/*
 * order_lock_stock locks every place of every SKU that a document of the page
 * may move, and of the short lines of its orders, which are tried again.
 */
void
order_lock_stock(OrderPage *page)
{
	IdList		list = {0, 64, palloc(sizeof(int64) * 64)};
	IdList		shorts = {0, 8, palloc(sizeof(int64) * 8)};

	for (int d = 0; d < page->ndocs; d++)
		if (counts(page, d))
			add_document(page, d, &list);
	for (int i = 0; i < page->norders; i++)
	{
		for (int j = 0; j < page->orders[i].nlines; j++)
		{
			if (order_still_short(page->orders[i].lines[j]))
			{
				add_id(&list, page->orders[i].lines[j]->sku_id);
				add_id(&shorts, page->orders[i].lines[j]->sku_id);
			}
		}
	}
	sort_unique(&list);
	if (list.n > 0)
		page->places = stock_lock_skus(list.n, list.ids, &page->nplaces);
	make_skus(page, &list);
	for (int i = 0; i < shorts.n; i++)
	{
		PageSku    *sku = order_page_sku(page, shorts.ids[i]);

		sku->has_short = true;
		for (int p = 0; p < sku->nplaces; p++)
			sku->places[p]->freed = page->journal.freed = true;
	}
}
