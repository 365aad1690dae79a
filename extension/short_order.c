/*
 * short_order.c
 *		The order that settle_short() is about: its lock, its lines, what they
 *		lack, and whether its platform was asked to cancel it.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "errors.h"
#include "short.h"

void
short_lock(const ShortRequest *r, ShortOrder *order)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(r->store_id), PointerGetDatum(r->order_sn)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT o.order_id, s.platform FROM storesync.sales_order o "
			   "JOIN storesync.store s ON s.store_id = o.store_id "
			   "WHERE o.store_id = $1 AND o.order_sn = $2 FOR UPDATE OF o",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_ORDER),
				 errmsg("store %d has no order \"%s\"", r->store_id, text_to_cstring(r->order_sn))));
	order->order_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	order->platform = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	SPI_freetuptable(SPI_tuptable);
}

void
short_load(const ShortRequest *r, ShortOrder *order)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(order->order_id), PointerGetDatum(r->line_id)};

	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "WHERE o.order_id = $1 AND CASE WHEN $2 IS NULL THEN l.short > 0 ELSE l.line_id = $2 END "
			   "ORDER BY l.line_id COLLATE \"C\"",
			   SPI_OK_SELECT, 2, types, values, r->line_id == NULL ? " n" : NULL, 0);
	order->lines = order_line_read(&order->nlines);
	if (order->nlines == 0 && r->line_id != NULL)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LINE),
				 errmsg("order \"%s\" has no line \"%s\"",
						text_to_cstring(r->order_sn), text_to_cstring(r->line_id))));
}

/* Who brought stock passed over the order while we held it, so it is given out first. */
void
short_take_in(const ShortRequest *r, ShortOrder *order)
{
	FilledLine *filled;
	int64		sku_id = order->nlines > 0 ? order->lines[0].line.sku_id : 0;

	order_line_lock_stock(1, &order->order_id, sku_id != 0 ? 1 : 0, &sku_id, &order->hold);
	stock_journal_start(&order->journal);
	for (int i = 0; i < order->hold.nplaces; i++)
		order->hold.places[i].freed = true;
	(void) order_fill(&order->journal, &order->hold, &filled);
	short_load(r, order);
}

void
short_keep(ShortOrder *order, ShortAnswer *answer)
{
	int			n = 0;

	for (int i = 0; i < order->nlines; i++)
		if (order_still_short(&order->lines[i].line))
			order->lines[n++] = order->lines[i];
	if (n == 0)
	{
		answer->outcome = "not_short";
		answer->detail = order->nlines != 1 ? "no line of the order waits for stock" :
			psprintf("the line is %s", order->lines[0].line.missing > 0 ? "shipped" :
					 order_state_name(order->lines[0].line.state));
	}
	order->nlines = n;
}

int64
short_live(const OrderLine *line)
{
	return line->reserved + line->missing;
}

int64
short_cancel_open(const ShortRequest *r, const text *line_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(r->store_id), PointerGetDatum(r->order_sn), PointerGetDatum(line_id)};
	bool		isnull;
	int64		task_id = 0;

	ss_execute(&plan,
			   "SELECT t.task_id FROM storesync.task_open t "
			   "WHERE t.kind = 'cancel_order' AND t.store_id = $1 AND t.payload ->> 'order_sn' = $2 "
			   "  AND ($3 IS NULL OR t.payload -> 'lines' IS NULL OR t.payload -> 'lines' ? $3) "
			   "ORDER BY t.task_id LIMIT 1",
			   SPI_OK_SELECT, 3, types, values, line_id == NULL ? "  n" : NULL, 1);
	if (SPI_processed > 0)
		task_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return task_id;
}
