/*
 * order_fill.c
 *		Stock that came in, or came free, goes to the lines that are short:
 *		paid orders before unpaid ones, then the oldest.
 *
 * Called with the SKU's places locked, so no line of theirs changes but by
 * whoever holds its order. An order that somebody else has locked is passed
 * over and not waited for (a place is held, orders come before places): its
 * holder is about to lock these places too and fills the line itself.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "order_line.h"
#include "set.h"

/* Lines taken in one go, so that a delivery for a million short lines is worked off in bounded memory. */
#define FILL_BATCH		1000

/* find_short locks the orders of the next short lines that these SKUs may serve, by themselves or in a bundle. */
static LoneLine *
find_short(int nskus, const int64 *sku_ids, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(nskus, sku_ids)};

	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "WHERE l.sku_id = ANY (ARRAY(SELECT unnest($1) UNION "
			   "    SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = ANY ($1))) "
			   "  AND l.short > 0 AND l.shipped = 0 AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel') "
			   /* what its SKU was made of once, or is by now, may be no part of the line */
			   "  AND CASE WHEN l.parts IS NOT NULL THEN EXISTS (SELECT FROM jsonb_to_recordset(l.parts) AS p (sku_id bigint) "
			   "           WHERE p.sku_id = ANY ($1)) "
			   "      ELSE l.sku_id = ANY ($1) OR EXISTS (SELECT FROM storesync.component c "
			   "           WHERE c.bundle_id = l.sku_id AND c.sku_id = ANY ($1) AND c.qty > 0) END "
			   "ORDER BY l.status = 'unpaid', l.ordered_at, l.order_id, l.line_id COLLATE \"C\" "
			   "FOR UPDATE OF o SKIP LOCKED",
			   SPI_OK_SELECT, 1, types, values, NULL, FILL_BATCH);
	return order_line_read(n);
}

/* give reserves what there is for one short line; false: there is nothing. */
static bool
give(StockJournal *journal, const StockHold *hold, LoneLine *s)
{
	LineDraw	draw = order_line_draw(s, journal, hold, "filled");
	int64		units;

	if (!order_part_locked(&draw))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a bundle came to be short while its components were to be locked")));
	units = order_part_reserve(&draw, s->line.missing);
	s->line.missing -= units;
	return units > 0;
}

/* fill_batch gives to the next short lines; false when there are no more, or nothing is left to give. */
static bool
fill_batch(StockJournal *journal, const StockHold *hold, int nskus, const int64 *sku_ids,
		   FilledLine **filled, int *nfilled)
{
	int			before = *nfilled;
	int			n;
	LoneLine   *lines = find_short(nskus, sku_ids, &n);

	if (n == 0)
		return false;
	*filled = *filled == NULL ? palloc(sizeof(FilledLine) * n) :
		repalloc_huge(*filled, sizeof(FilledLine) * (*nfilled + n));
	for (int i = 0; i < n; i++)
		if (give(journal, hold, &lines[i]))
			(*filled)[(*nfilled)++] = (FilledLine) {lines[i].order_id, lines[i].line};
	order_line_write(journal, lines, n, "filled");
	return n == FILL_BATCH && *nfilled > before;
}

int
order_fill(StockJournal *journal, const StockHold *hold, FilledLine **filled)
{
	int64	   *sku_ids = palloc(sizeof(int64) * Max(hold->nplaces, 1));
	int			nfilled = 0;
	int			n;

	*filled = NULL;
	do
	{
		CHECK_FOR_INTERRUPTS();
		n = 0;
		for (int i = 0; i < hold->nplaces; i++)
		{
			const StockPlace *place = &hold->places[i];

			if (place->freed && place->sellable && stock_room(place) > 0 &&
				(n == 0 || sku_ids[n - 1] != place->sku_id))
				sku_ids[n++] = place->sku_id;
		}
	} while (n > 0 && fill_batch(journal, hold, n, sku_ids, filled, &nfilled));
	for (int i = 0; i < hold->nplaces; i++)
		hold->places[i].freed = false;
	pfree(sku_ids);
	return nfilled;
}

void
order_find_shorts(PageSku *skus, int nskus)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	int64	   *sku_ids = palloc(sizeof(int64) * Max(nskus, 1));
	Datum		values[1];
	int			at = 0;

	for (int i = 0; i < nskus; i++)
		sku_ids[i] = skus[i].sku_id;
	values[0] = ss_int8_array(nskus, sku_ids);
	ss_execute(&plan,
			   "SELECT u.sku_id FROM unnest($1) AS u (sku_id) WHERE EXISTS "
			   "(SELECT FROM storesync.sales_order_line l WHERE l.sku_id = u.sku_id AND l.short > 0) "
			   "OR EXISTS (SELECT FROM storesync.component c WHERE c.sku_id = u.sku_id AND EXISTS "
			   "(SELECT FROM storesync.sales_order_line l WHERE l.sku_id = c.bundle_id AND l.short > 0)) "
			   "ORDER BY u.sku_id",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

		while (skus[at].sku_id != id)
			at++;
		skus[at].has_short = true;
	}
	SPI_freetuptable(SPI_tuptable);
}
