/*
 * order_line.c
 *		Lines of orders read, moved and written by themselves (order_line.h).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "order_line.h"
#include "outbox.h"
#include "sale.h"
#include "set.h"
#include "version.h"

static Datum
get(HeapTuple tuple, int number)
{
	bool		isnull;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, &isnull);
}

static text *
get_text(HeapTuple tuple, int number)
{
	return DatumGetTextPCopy(get(tuple, number));
}

static void
read_one(HeapTuple tuple, LoneLine *lone)
{
	OrderLine  *line = &lone->line;
	text	   *status = get_text(tuple, 13);
	Datum		parts;
	bool		isnull;

	memset(lone, 0, sizeof(LoneLine));
	lone->order_id = DatumGetInt64(get(tuple, 1));
	lone->order_recorded_at = DatumGetTimestampTz(get(tuple, 2));
	lone->update_time = DatumGetTimestampTz(get(tuple, 3));
	lone->fetched_at = DatumGetTimestampTz(get(tuple, 4));
	lone->create_time = DatumGetTimestampTz(get(tuple, 5));
	lone->order_sn = get_text(tuple, 6);
	lone->order_status = get_text(tuple, 7);
	lone->store.platform = get_text(tuple, 8);
	lone->store.shop_id = get_text(tuple, 9);
	/* what is NULL comes as 0 */
	line->sku_id = DatumGetInt64(get(tuple, 10));
	line->line_id = get_text(tuple, 11);
	line->location_id = DatumGetInt32(get(tuple, 12));
	if (!order_status_find(VARDATA_ANY(status), VARSIZE_ANY_EXHDR(status), &line->status))
		elog(ERROR, "unknown order status \"%s\"", text_to_cstring(status));
	line->state = order_state_find(text_to_cstring(get_text(tuple, 14)));
	line->qty = DatumGetInt64(get(tuple, 15));
	line->cancelled_qty = DatumGetInt64(get(tuple, 16));
	line->returned_qty = DatumGetInt64(get(tuple, 17));
	line->reserved = DatumGetInt64(get(tuple, 18));
	line->shipped = DatumGetInt64(get(tuple, 19));
	line->restocked = DatumGetInt64(get(tuple, 20));
	line->lost = DatumGetInt64(get(tuple, 21));
	line->missing = DatumGetInt64(get(tuple, 22));
	line->effects = DatumGetInt32(get(tuple, 23));
	line->pack = DatumGetInt32(get(tuple, 24));
	lone->store.store_id = DatumGetInt32(get(tuple, 25));
	order_part_places(&lone->store, get(tuple, 26));
	parts = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 27, &isnull);
	order_part_read(line, isnull ? NULL : DatumGetJsonbPCopy(parts));
	lone->returned = sale_returned_units(line);
}

LoneLine *
order_line_read(int *n)
{
	LoneLine   *lones;

	*n = (int) SPI_processed;
	lones = palloc(sizeof(LoneLine) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		read_one(SPI_tuptable->vals[i], &lones[i]);
	SPI_freetuptable(SPI_tuptable);
	return lones;
}

LineDraw
order_line_draw(LoneLine *lone, StockJournal *journal, const StockHold *hold, const char *reason)
{
	return (LineDraw) {
		.journal = journal, .hold = hold, .store = &lone->store, .line = &lone->line, .order_id = lone->order_id,
		.create_time = lone->create_time, .order_sn = lone->order_sn, .event_at = journal->now, .reason = reason
	};
}

/* Columns of a set of lines to be written. */
enum
{
	W_ORDER, W_RECORDED, W_LINE, W_RESERVED, W_SHIPPED, W_RESTOCKED, W_LOST, W_SHORT, W_EFFECTS, W_LOCATION,
	W_STATE, W_NOW, W_UPDATE, W_FETCHED, W_STATUS, W_OUTCOME, W_LINES, W_PARTS, W_COLUMNS
};

#define W_UNNEST \
	"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) " \
	"AS u (order_id, recorded_at, line_id, reserved, shipped, restocked, lost, short, effects, location_id, " \
	"state, now, update_time, fetched_at, status, outcome, lines, parts) "

static void
put_line(SsSet *set, const StockJournal *journal, LoneLine *lone, const char *outcome)
{
	OrderLine  *line = &lone->line;

	set_add_row(set);
	set_put(set, W_ORDER, Int64GetDatum(lone->order_id));
	set_put(set, W_RECORDED, TimestampTzGetDatum(lone->order_recorded_at));
	set_put_pointer(set, W_LINE, line->line_id);
	set_put(set, W_RESERVED, Int64GetDatum(line->reserved));
	set_put(set, W_SHIPPED, Int64GetDatum(line->shipped));
	set_put(set, W_RESTOCKED, Int64GetDatum(line->restocked));
	if (line->lost > 0)
		set_put(set, W_LOST, Int64GetDatum(line->lost));
	set_put(set, W_SHORT, Int64GetDatum(line->missing));
	set_put(set, W_EFFECTS, Int32GetDatum(line->effects));
	if (line->location_id != 0)
		set_put(set, W_LOCATION, Int32GetDatum(line->location_id));
	set_put(set, W_STATE, CStringGetTextDatum(order_state_name(line->state)));
	set_put(set, W_NOW, TimestampTzGetDatum(journal->now));
	set_put(set, W_UPDATE, TimestampTzGetDatum(lone->update_time));
	set_put(set, W_FETCHED, TimestampTzGetDatum(lone->fetched_at));
	set_put_pointer(set, W_STATUS, lone->order_status);
	set_put(set, W_OUTCOME, CStringGetTextDatum(outcome));
	set_put_pointer(set, W_LINES, order_history_lines(&line, 1, text_to_cstring(lone->order_status)));
	set_put_pointer(set, W_PARTS, order_part_json(line));
}

/* tell_returned tells the roll-ups of units that came back, which a line by itself alone changes of what they have. */
static void
tell_returned(LoneLine *lone)
{
	int64		returned = sale_returned_units(&lone->line);

	if (returned != lone->returned && ss_sql_has(SS_SQL_1_1))
		outbox_append_sale(0, NULL, NULL, sale_returned(lone->order_id, lone->store.store_id, lone->create_time,
														returned - lone->returned));
	lone->returned = returned;
}

void
order_line_write(StockJournal *journal, LoneLine *lones, int n, const char *outcome)
{
	static SPIPlanPtr line_plan = NULL;
	static SPIPlanPtr history_plan = NULL;
	static const Oid types[W_COLUMNS] = {
		INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT4OID, INT4OID,
		TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID
	};
	SsSet	   *set = set_create(W_COLUMNS, types, n);

	for (int i = 0; i < n; i++)
	{
		if (!lones[i].line.changed)
			continue;
		lones[i].line.changed = false;
		if (lones[i].line.state != LINE_KEPT)
			lones[i].line.state = order_line_state(&lones[i].line);
		put_line(set, journal, &lones[i], outcome);
		tell_returned(&lones[i]);
	}
	stock_write(journal);
	set_execute(&line_plan,
				"UPDATE storesync.sales_order_line l SET reserved = u.reserved, shipped = u.shipped, "
				"       restocked = u.restocked, lost = u.lost, short = u.short, effects = u.effects, "
				"       location_id = u.location_id, parts = u.parts, state = u.state::storesync.line_state " W_UNNEST
				"WHERE l.order_id = u.order_id AND l.recorded_at = u.recorded_at AND l.line_id = u.line_id",
				SPI_OK_UPDATE, set);
	set_execute(&history_plan,
				"INSERT INTO storesync.order_history "
				"(order_id, recorded_at, update_time, fetched_at, status, outcome, lines) "
				"SELECT u.order_id, u.now, u.update_time, u.fetched_at, u.status::storesync.order_status, "
				"       u.outcome, u.lines " W_UNNEST,
				SPI_OK_INSERT, set);
}

int
order_lock_orders(int n, int64 *order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, order_ids)};
	int			locked;

	ss_execute(&plan,
			   "SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id = ANY ($1) "
			   "ORDER BY o.store_id, o.order_sn COLLATE \"C\" FOR UPDATE",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	locked = (int) SPI_processed;
	for (int i = 0; i < locked; i++)
		order_ids[i] = DatumGetInt64(get(SPI_tuptable->vals[i], 1));
	SPI_freetuptable(SPI_tuptable);
	return locked;
}

void
order_line_lock_stock(int norders, const int64 *order_ids, int nskus, const int64 *sku_ids, StockHold *hold)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(norders, order_ids), ss_int8_array(nskus, sku_ids)};
	int64	   *ids;
	int			n;

	ss_execute(&plan,
			   "SELECT u.id FROM unnest($2) AS u (id) "
			   "UNION SELECT l.sku_id FROM storesync.sales_order_line l "
			   "WHERE l.order_id = ANY ($1) AND (l.parts IS NOT NULL OR (l.short > 0 AND l.shipped = 0 "
			   "  AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel'))) ORDER BY 1",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	ids = ss_read_ids(&n);
	stock_lock_skus(n, ids, hold);
}

/* tell_outbox appends a row for each SKU that moved, with its last version. */
static void
tell_outbox(const StockPlace *places, int nplaces)
{
	int64	   *subjects = palloc(sizeof(int64) * Max(nplaces, 1));
	int64	   *versions = palloc(sizeof(int64) * Max(nplaces, 1));
	int			n = 0;

	for (int i = 0; i < nplaces; i++)
	{
		if (!places[i].moved)
			continue;
		if (n == 0 || subjects[n - 1] != places[i].sku_id)
		{
			subjects[n] = places[i].sku_id;
			versions[n++] = places[i].version;
		}
		else
			versions[n - 1] = Max(versions[n - 1], places[i].version);
	}
	outbox_append(OUTBOX_STOCK, n, subjects, versions);
}

void
order_line_serve(StockJournal *journal, const StockHold *hold)
{
	FilledLine *filled;

	(void) order_fill(journal, hold, &filled);
	tell_outbox(hold->places, hold->nplaces);
}

void
order_line_finish(StockJournal *journal, const StockHold *hold)
{
	for (int i = 0; i < hold->nplaces; i++)
		hold->places[i].freed = true;
	order_line_serve(journal, hold);
}
