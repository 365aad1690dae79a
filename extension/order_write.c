/*
 * order_write.c
 *		Writes what a page decided, a statement a table whatever the number of
 *		orders. The page may go on afterwards: what was written is marked so.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/builtins.h"

#include "order_part.h"
#include "rows.h"
#include "version.h"

/* Columns of sales_order in the order of put_order. */
enum
{
	O_ID, O_STORE, O_SN, O_STATUS, O_EFFECT, O_CREATE, O_UPDATE, O_FETCHED, O_RECORDED, O_BUYER, O_CURRENCY, O_COLUMNS
};

/* moves_stock: an order from before the cut-over that arrives finished is kept for analysis only. */
static bool
moves_stock(const OrderPage *page, const OrderDoc *doc)
{
	if (doc->create_time >= page->store.stock_from)
		return true;
	for (int i = 0; i < doc->nlines; i++)
		if (!order_finished(doc->lines[i].status))
			return true;
	return false;
}

/* adopt_order fills in an order that this call has made from its first document. */
static void
adopt_order(const OrderPage *page, Order *order, int64 order_id)
{
	const OrderDoc *doc = &page->docs[order->first_doc];

	order->is_new = true;
	order->order_id = order_id;
	order->status = doc->status;
	order->stock_effect = moves_stock(page, doc);
	order->create_time = doc->create_time;
	order->update_time = doc->update_time;
	order->fetched_at = doc->fetched_at;
	order->recorded_at = page->now;
	order->buyer = doc->buyer;
	order->currency = doc->currency;
}

/* put_order adds a new order, as its first document has it, to the set to be inserted. */
static void
put_order(SsSet *set, const OrderPage *page, const OrderDoc *doc, int64 order_id)
{
	set_add_row(set);
	set_put(set, O_ID, Int64GetDatum(order_id));
	set_put(set, O_STORE, Int32GetDatum(page->store.store_id));
	set_put_pointer(set, O_SN, doc->order_sn);
	set_put(set, O_STATUS, CStringGetTextDatum(order_status_name(doc->status)));
	set_put(set, O_EFFECT, BoolGetDatum(moves_stock(page, doc)));
	set_put(set, O_CREATE, TimestampTzGetDatum(doc->create_time));
	set_put(set, O_UPDATE, TimestampTzGetDatum(doc->update_time));
	set_put(set, O_FETCHED, TimestampTzGetDatum(doc->fetched_at));
	set_put(set, O_RECORDED, TimestampTzGetDatum(page->now));
	set_put_pointer(set, O_BUYER, doc->buyer);
	set_put_pointer(set, O_CURRENCY, doc->currency);
}

/* find_by_statement notes which of n orders exist. */
static void
find_by_statement(const OrderPage *page, const Order *orders, int n, bool *exists)
{
	static SPIPlanPtr plan = NULL;
	static const Oid element_types[] = {INT4OID, TEXTOID};
	SsSet	   *set = set_create(lengthof(element_types), element_types, n);

	for (int i = 0; i < n; i++)
	{
		set_add_row(set);
		set_put(set, 0, Int32GetDatum(page->store.store_id));
		set_put_pointer(set, 1, orders[i].order_sn);
	}
	set_execute(&plan,
				"SELECT u.ord FROM unnest($1, $2) WITH ORDINALITY AS u (store_id, order_sn, ord) "
				"JOIN storesync.sales_order o ON o.store_id = u.store_id AND o.order_sn = u.order_sn",
				SPI_OK_SELECT, set);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		exists[DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)) - 1] = true;
	}
}

/* guard_orders keeps n orders from being made by others, and notes which exist; false: a statement has to. */
static bool
guard_orders(RowsGuard *guard, const OrderPage *page, const Order *orders, int n, bool *exists)
{
	static RowsLookup lookup = {
		.name = {"sales_order"}, .nkeys = 2, .keys = {"store_id", "order_sn"}, .columns = "order_id", .writes = true
	};
	RowsKeys	keys[ROWS_MOST_GUARDED];
	uint64		names[ROWS_MOST_GUARDED];

	for (int i = 0; i < n; i++)
	{
		const text *sn = orders[i].order_sn;

		keys[i].values[0] = Int32GetDatum(page->store.store_id);
		keys[i].values[1] = PointerGetDatum(sn);
		names[i] = hash_bytes_extended((const unsigned char *) VARDATA_ANY(sn), (int) VARSIZE_ANY_EXHDR(sn),
									   (uint64) page->store.store_id);
	}
	return rows_guard(guard, &lookup, n, names, keys, exists);
}

/* insert_some makes those of n orders that do not exist yet. */
static void
insert_some(const OrderPage *page, Order *orders, int n)
{
	static const Oid types[O_COLUMNS] = {
		INT8OID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID
	};
	static RowsTable table = {.name = {"sales_order"}, .columns = "order_id, store_id, order_sn, status, "
		"stock_effect, create_time, update_time, fetched_at, recorded_at, buyer, currency"};
	static RowsName sequence = {"order_id_seq"};
	SsSet	   *set = set_create(O_COLUMNS, types, n);
	Order	   *fresh[ROWS_MOST_GUARDED];
	int64		ids[ROWS_MOST_GUARDED];
	bool		flags[ROWS_MOST_GUARDED] = {false};
	RowsGuard	guard;
	bool		guarded = guard_orders(&guard, page, orders, n, flags);
	int			nfresh = 0;

	if (!guarded)
		find_by_statement(page, orders, n, flags);
	for (int i = 0; i < n; i++)
	{
		if (flags[i])
			continue;
		fresh[nfresh] = &orders[i];
		ids[nfresh] = rows_next_value(&sequence);
		put_order(set, page, &page->docs[orders[i].first_doc], ids[nfresh++]);
	}
	memset(flags, true, sizeof(flags));
	if (guarded)
	{
		rows_insert(&table, set);
		rows_unguard(&guard);
	}
	else
		rows_insert_new(&table, set, flags);
	for (int i = 0; i < nfresh; i++)
		if (flags[i])
			adopt_order(page, fresh[i], ids[i]);
}

/*
 * order_insert makes the orders that do not exist yet, in the page's order.
 * What another session makes at the same moment is waited for and then left
 * to be locked as an existing one.
 */
void
order_insert(OrderPage *page)
{
	for (int from = 0; from < page->norders; from += ROWS_MOST_GUARDED)
		insert_some(page, &page->orders[from], Min(page->norders - from, ROWS_MOST_GUARDED));
}

/* update_heads writes a set of changed orders, by the columns of write_heads. */
static void
update_heads(SsSet *set)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr each_plan = NULL;

	if (set->rows <= SET_FEW_ROWS)
		set_execute_each(&each_plan,
						 "UPDATE storesync.sales_order SET status = $3::storesync.order_status, update_time = $4, "
						 "fetched_at = $5, buyer = $6, currency = $7 WHERE store_id = $1 AND order_sn = $2",
						 SPI_OK_UPDATE, set);
	else
		set_execute(&plan,
					"UPDATE storesync.sales_order o SET status = u.c::storesync.order_status, update_time = u.d, "
					"       fetched_at = u.e, buyer = u.f, currency = u.g "
					"FROM unnest($1, $2, $3, $4, $5, $6, $7) AS u (a, b, c, d, e, f, g) "
					"WHERE o.store_id = u.a AND o.order_sn = u.b",
					SPI_OK_UPDATE, set);
}

/* write_heads updates the orders whose newest document says something else than the row. */
static void
write_heads(OrderPage *page)
{
	static const Oid element_types[] = {INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID};
	SsSet	   *set = set_create(7, element_types, page->norders);

	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];

		if (!order->changed)
			continue;
		order->changed = false;
		set_add_row(set);
		set_put(set, 0, Int32GetDatum(page->store.store_id));
		set_put_pointer(set, 1, order->order_sn);
		set_put(set, 2, CStringGetTextDatum(order_status_name(order->status)));
		set_put(set, 3, TimestampTzGetDatum(order->update_time));
		set_put(set, 4, TimestampTzGetDatum(order->fetched_at));
		set_put_pointer(set, 5, order->buyer);
		set_put_pointer(set, 6, order->currency);
	}
	update_heads(set);
}

/* Columns of sales_order_line, for inserting and updating. */
enum
{
	N_RECORDED, N_ORDER, N_LINE, N_LISTING, N_SKU, N_ORDERED, N_CANCELLED_AT, N_QTY, N_CANCELLED, N_RETURNED,
	N_RESERVED, N_SHIPPED, N_RESTOCKED, N_SHORT, N_STORE, N_LOCATION, N_PACK, N_EFFECTS, N_STATUS, N_STATE,
	N_ITEM, N_MODEL, N_SKU_CODE, N_PRICE, N_REASON, N_PARTS, N_COLUMNS
};

static const Oid line_types[N_COLUMNS] = {
	TIMESTAMPTZOID, INT8OID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID,
	INT8OID, INT8OID, INT8OID, INT8OID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, NUMERICOID, TEXTOID, JSONBOID
};

#define LINE_UNNEST \
	"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, " \
	"$21, $22, $23, $24, $25, $26) AS u (recorded_at, order_id, line_id, listing_id, sku_id, ordered_at, cancelled_at, " \
	"qty, cancelled_qty, returned_qty, reserved, shipped, restocked, short, store_id, location_id, pack, effects, " \
	"status, state, item_id, model_id, sku_code, unit_price, reason, parts) "

static void
put_line(SsSet *set, const OrderPage *page, const Order *order, const OrderLine *line)
{
	set_add_row(set);
	set_put(set, N_RECORDED, TimestampTzGetDatum(order->recorded_at));
	set_put(set, N_ORDER, Int64GetDatum(order->order_id));
	set_put_pointer(set, N_LINE, line->line_id);
	if (line->listing_id != 0)
		set_put(set, N_LISTING, Int64GetDatum(line->listing_id));
	if (line->sku_id != 0)
		set_put(set, N_SKU, Int64GetDatum(line->sku_id));
	set_put(set, N_ORDERED, TimestampTzGetDatum(order->create_time));
	if (line->cancelled_at != DT_NOBEGIN)
		set_put(set, N_CANCELLED_AT, TimestampTzGetDatum(line->cancelled_at));
	set_put(set, N_QTY, Int64GetDatum(line->qty));
	set_put(set, N_CANCELLED, Int64GetDatum(line->cancelled_qty));
	if (line->returned_qty > 0)
		set_put(set, N_RETURNED, Int64GetDatum(line->returned_qty));
	set_put(set, N_RESERVED, Int64GetDatum(line->reserved));
	set_put(set, N_SHIPPED, Int64GetDatum(line->shipped));
	set_put(set, N_RESTOCKED, Int64GetDatum(line->restocked));
	set_put(set, N_SHORT, Int64GetDatum(line->missing));
	set_put(set, N_STORE, Int32GetDatum(page->store.store_id));
	if (line->location_id != 0)
		set_put(set, N_LOCATION, Int32GetDatum(line->location_id));
	set_put(set, N_PACK, Int32GetDatum(line->pack));
	set_put(set, N_EFFECTS, Int32GetDatum(line->effects));
	set_put(set, N_STATUS, CStringGetTextDatum(order_status_name(line->status)));
	set_put(set, N_STATE, CStringGetTextDatum(order_state_name(line->state)));
	set_put_pointer(set, N_ITEM, line->item_id);
	set_put_pointer(set, N_MODEL, line->model_id);
	set_put_pointer(set, N_SKU_CODE, line->sku_code);
	set_put_pointer(set, N_PRICE, line->unit_price);
	set_put_pointer(set, N_REASON, line->reason);
	set_put_pointer(set, N_PARTS, order_part_json(line));
}

/* update_lines writes a set of changed lines; $6 and $15, when it was ordered and by which store, never change. */
static void
update_lines(SsSet *set)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr each_plan = NULL;

	if (set->rows <= SET_FEW_ROWS)
	{
		set_execute_each(&each_plan,
						 "UPDATE storesync.sales_order_line SET listing_id = $4, sku_id = $5, cancelled_at = $7, qty = $8, "
						 "cancelled_qty = $9, returned_qty = $10, reserved = $11, shipped = $12, restocked = $13, "
						 "short = $14, location_id = $16, pack = $17, effects = $18, "
						 "status = $19::storesync.order_status, state = $20::storesync.line_state, item_id = $21, "
						 "model_id = $22, sku_code = $23, unit_price = $24, reason = $25, parts = $26 "
						 "WHERE recorded_at = $1 AND order_id = $2 AND line_id = $3",
						 SPI_OK_UPDATE, set);
		return;
	}
	set_execute(&plan,
				"UPDATE storesync.sales_order_line l SET listing_id = u.listing_id, sku_id = u.sku_id, "
				"cancelled_at = u.cancelled_at, qty = u.qty, cancelled_qty = u.cancelled_qty, "
				"returned_qty = u.returned_qty, reserved = u.reserved, shipped = u.shipped, restocked = u.restocked, "
				"short = u.short, location_id = u.location_id, pack = u.pack, effects = u.effects, "
				"status = u.status::storesync.order_status, state = u.state::storesync.line_state, "
				"item_id = u.item_id, model_id = u.model_id, sku_code = u.sku_code, unit_price = u.unit_price, "
				"reason = u.reason, parts = u.parts " LINE_UNNEST
				"WHERE l.order_id = u.order_id AND l.line_id = u.line_id AND l.recorded_at = u.recorded_at",
				SPI_OK_UPDATE, set);
}

static void
write_lines(OrderPage *page)
{
	static RowsTable table = {.name = {"sales_order_line"}, .columns = "recorded_at, order_id, line_id, listing_id, "
		"sku_id, ordered_at, cancelled_at, qty, cancelled_qty, returned_qty, reserved, shipped, restocked, short, "
		"store_id, location_id, pack, effects, status, state, item_id, model_id, sku_code, unit_price, reason, parts"};
	SsSet	   *fresh = set_create(N_COLUMNS, line_types, page->norders);
	SsSet	   *known = set_create(N_COLUMNS, line_types, 4);

	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];

		for (int j = 0; j < order->nlines; j++)
		{
			OrderLine  *line = order->lines[j];

			if (!line->changed)
				continue;
			put_line(line->is_new ? fresh : known, page, order, line);
			line->is_new = line->changed = false;
		}
	}
	rows_insert(&table, fresh);
	update_lines(known);
}

static void
write_history(OrderPage *page)
{
	static RowsTable table = {
		.name = {"order_history"}, .columns = "order_id, recorded_at, update_time, fetched_at, status, outcome, lines"
	};

	rows_insert(&table, page->history);
}

/* write_search_marks notes orders that searches find by something new: runs of orders do not know it (search_orders.c). */
static void
write_search_marks(OrderPage *page)
{
	static SPIPlanPtr plan = NULL;
	int64	   *ids = palloc(sizeof(int64) * page->norders);
	int			n = 0;

	for (int i = 0; i < page->norders; i++)
	{
		if (page->orders[i].found_anew)
			ids[n++] = page->orders[i].order_id;
		page->orders[i].found_anew = false;
	}
	if (n > 0 && ss_sql_has(SS_SQL_1_1))
		ss_execute_ids(&plan, "INSERT INTO storesync.search_changed (order_id) SELECT unnest($1)", SPI_OK_INSERT, n, ids);
	pfree(ids);
}

void
order_write(OrderPage *page)
{
	write_search_marks(page);
	stock_write(&page->journal);
	write_heads(page);
	write_lines(page);
	write_history(page);
}
