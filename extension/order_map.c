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

#include "ids.h"
#include "order.h"
#include "rows.h"

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

/* Lines of documents that have to be looked up. */
typedef struct LineList
{
	int			n;
	int			capacity;
	DocLine   **lines;
} LineList;

/* find_sku looks a line's SKU up by its code; the line names no item. */
static void
find_sku(RowsScan *codes, DocLine *line)
{
	Datum		key = PointerGetDatum(line->sku);
	bool		isnull;

	if (line->sku == NULL || !rows_find(codes, 1, &key))
		return;
	line->sku_id = DatumGetInt64(rows_get(codes, 0, &isnull));
	stock_note_sku(codes, line->sku_id);
}

/* find_listing looks up the listing that a line names. */
static void
find_listing(RowsScan *listings, RowsScan *skus, int32 store_id, DocLine *line)
{
	Datum		keys[] = {Int32GetDatum(store_id), PointerGetDatum(line->item_id), PointerGetDatum(line->model_id)};
	Datum		sku_id;
	bool		isnull;

	if (line->model_id == NULL || !rows_find(listings, 3, keys))
		return;
	line->listing_id = DatumGetInt64(rows_get(listings, 0, &isnull));
	sku_id = rows_get(listings, 1, &isnull);
	line->sku_id = DatumGetInt64(sku_id);
	line->pack = DatumGetInt32(rows_get(listings, 2, &isnull));
	if (line->sku != NULL && rows_find(skus, 1, &sku_id))
	{
		line->listed_sku = DatumGetTextPP(rows_get(skus, 0, &isnull));
		if (ss_text_compare(line->listed_sku, line->sku) == 0)
			line->listed_sku = NULL;
	}
}

/* map_codes looks up the lines that name no item; false when a statement has to. */
static bool
map_codes(const LineList *list)
{
	static RowsLookup lookup = {.name = {"sku"}, .nkeys = 1, .keys = {"code"}, .columns = "sku_id", .settled = true};
	RowsScan	codes;

	if (!rows_open(&codes, &lookup, false))
		return false;
	for (int i = 0; i < list->n; i++)
		if (list->lines[i]->item_id == NULL)
			find_sku(&codes, list->lines[i]);
	rows_close(&codes);
	return true;
}

/* map_items looks up the lines that name an item; false when a statement has to. */
static bool
map_items(int32 store_id, const LineList *list)
{
	static RowsLookup sku_rows = {.name = {"sku"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "code", .settled = true};
	static RowsLookup listing_rows = {
		.name = {"listing"}, .nkeys = 3, .keys = {"store_id", "item_id", "model_id"},
		.columns = "listing_id, sku_id, pack", .settled = true
	};
	RowsScan	skus;
	RowsScan	listings;
	bool		direct;

	if (!rows_open(&skus, &sku_rows, false))
		return false;
	direct = rows_open(&listings, &listing_rows, false);
	for (int i = 0; direct && i < list->n; i++)
		if (list->lines[i]->item_id != NULL)
			find_listing(&listings, &skus, store_id, list->lines[i]);
	if (direct)
		rows_close(&listings);
	rows_close(&skus);
	return direct;
}

/* map_directly looks the lines up; false when a statement has to. Opens only what they name. */
static bool
map_directly(const OrderPage *page, const LineList *list)
{
	int			items = 0;

	for (int i = 0; i < list->n; i++)
	{
		list->lines[i]->pack = 1;
		items += list->lines[i]->item_id != NULL;
	}
	return (items == list->n || map_codes(list)) &&
		(items == 0 || map_items(page->store.store_id, list));
}

static void
map_by_statement(const OrderPage *page, const LineList *list)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element_types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID};
	SsSet	   *set = set_create(4, element_types, list->n);

	for (int i = 0; i < list->n; i++)
	{
		set_add_row(set);
		set_put(set, 0, Int32GetDatum(page->store.store_id));
		set_put_pointer(set, 1, list->lines[i]->item_id);
		set_put_pointer(set, 2, list->lines[i]->model_id);
		set_put_pointer(set, 3, list->lines[i]->sku);
	}
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

		take_mapping(SPI_tuptable->vals[i], list->lines[ord - 1]);
	}
}

static void
add_line(LineList *list, DocLine *line)
{
	if (list->n == list->capacity)
	{
		list->capacity *= 2;
		list->lines = repalloc_huge(list->lines, sizeof(DocLine *) * list->capacity);
	}
	line->resolved = true;
	list->lines[list->n++] = line;
}

/* order_map looks up all lines of the page that are new or have no SKU yet. */
void
order_map(OrderPage *page)
{
	LineList	list = {.capacity = Max(page->ndocs, 4)};

	list.lines = palloc(sizeof(DocLine *) * list.capacity);
	for (int d = 0; d < page->ndocs; d++)
	{
		OrderDoc   *doc = &page->docs[d];

		for (int i = 0; counts(page, d) && i < doc->nlines; i++)
		{
			OrderLine  *booked = booked_line(page, d, &doc->lines[i]);

			if (booked == NULL || (booked->sku_id == 0 && booked->state != LINE_KEPT))
				add_line(&list, &doc->lines[i]);
		}
	}
	if (list.n > 0 && !map_directly(page, &list))
		map_by_statement(page, &list);
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
				ids_add(list, doc->lines[i].sku_id);
			continue;
		}
		if (booked->state == LINE_KEPT)
			continue;
		order_want(page, doc, &doc->lines[i], booked, &want);
		/* what an order's second document of the page finds is what the first leaves */
		if (d != page->orders[page->order_of[d]].first_doc || !order_settled(booked, &want))
			ids_add(list, booked->sku_id);
	}
}

/* make_skus lists the SKUs asked for and those locked, with their places and components. */
static void
make_skus(OrderPage *page, IdList *list)
{
	const StockHold *hold = &page->hold;
	int			c = 0;

	for (int p = 0; p < hold->nplaces; p++)
		if (p == 0 || hold->places[p].sku_id != hold->places[p - 1].sku_id)
			ids_add(list, hold->places[p].sku_id);
	ids_sort(list);
	page->nskus = list->n;
	page->skus = palloc0(sizeof(PageSku) * Max(list->n, 1));
	for (int i = 0; i < list->n; i++)
	{
		PageSku    *sku = &page->skus[i];

		sku->sku_id = list->ids[i];
		sku->places = stock_places_of(hold, sku->sku_id, &sku->nplaces);
		while (c < hold->ncomponents && hold->components[c].bundle_id < sku->sku_id)
			c++;
		sku->components = &hold->components[c];
		while (c < hold->ncomponents && hold->components[c].bundle_id == sku->sku_id)
		{
			sku->ncomponents++;
			c++;
		}
	}
}

void
order_note_short(OrderPage *page, const OrderLine *line, bool freed)
{
	for (int i = 0; i < line->nparts; i++)
	{
		PageSku    *sku = order_page_sku(page, line->parts[i].sku_id);

		if (sku == NULL)
			continue;
		sku->has_short = true;
		for (int p = 0; freed && p < sku->nplaces; p++)
			sku->places[p].freed = page->journal.freed = true;
	}
}

/*
 * make_store_places makes the place where a store that is tied to locations
 * sells first what is on backorder: it may be promised there before any has
 * been seen.
 */
static void
make_store_places(const PageStore *store, const IdList *list)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT4ARRAYOID};
	Datum		values[2];

	if (store->nlocations == 0 || list->n == 0)
		return;
	values[0] = ss_int8_array(list->n, list->ids);
	values[1] = ss_int4_array(store->nlocations, store->locations);
	ss_execute(&plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) SELECT k.sku_id, p.location_id "
			   "FROM storesync.sku k CROSS JOIN (SELECT m.location_id FROM storesync.location m "
			   "  WHERE m.location_id = ANY ($2) AND m.sellable ORDER BY m.priority, m.location_id LIMIT 1) p "
			   "WHERE k.sku_id = ANY (ARRAY(SELECT unnest($1) UNION "
			   "    SELECT c.sku_id FROM storesync.component c WHERE c.bundle_id = ANY ($1))) AND k.allow_backorder "
			   "  AND NOT EXISTS (SELECT FROM storesync.stock_lock l "
			   "                  WHERE l.sku_id = k.sku_id AND l.location_id = p.location_id) "
			   "ORDER BY k.sku_id ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}

/*
 * order_lock_stock locks every place of every SKU that a document of the page
 * may move, and of the short lines of its orders, which are tried again.
 */
void
order_lock_stock(OrderPage *page)
{
	IdList		list = {0, 64, palloc(sizeof(int64) * 64)};

	for (int d = 0; d < page->ndocs; d++)
		if (counts(page, d) && !page->orders[page->order_of[d]].settled)
			add_document(page, d, &list);
	for (int i = 0; i < page->norders; i++)
		for (int j = 0; j < page->orders[i].nlines; j++)
			if (order_still_short(page->orders[i].lines[j]))
				ids_add(&list, page->orders[i].lines[j]->sku_id);
	ids_sort(&list);
	make_store_places(&page->store, &list);
	stock_lock_skus(list.n, list.ids, &page->hold);
	make_skus(page, &list);
	for (int i = 0; i < page->norders; i++)
		for (int j = 0; j < page->orders[i].nlines; j++)
			if (order_still_short(page->orders[i].lines[j]))
				order_note_short(page, page->orders[i].lines[j], true);
}
