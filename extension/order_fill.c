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

/* find_short locks the orders of the next short lines that these places may serve. */
static int
find_short(StockPlace **places, int nplaces, LoneLine **lines)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT4ARRAYOID};
	int64	   *sku_ids = palloc(sizeof(int64) * nplaces);
	int32	   *location_ids = palloc(sizeof(int32) * nplaces);
	Datum		values[2];
	int			n;

	for (int i = 0; i < nplaces; i++)
	{
		sku_ids[i] = places[i]->sku_id;
		location_ids[i] = places[i]->location_id;
	}
	values[0] = ss_int8_array(nplaces, sku_ids);
	values[1] = ss_int4_array(nplaces, location_ids);
	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "WHERE l.sku_id = ANY ($1) AND l.short > 0 AND l.shipped = 0 "
			   "  AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel') "
			   "  AND (l.reserved = 0 OR EXISTS (SELECT FROM unnest($1, $2) AS u (sku_id, location_id) "
			   "       WHERE u.sku_id = l.sku_id AND u.location_id = l.location_id)) "
			   "ORDER BY l.status = 'unpaid', l.ordered_at, l.order_id, l.line_id COLLATE \"C\" "
			   "FOR UPDATE OF o SKIP LOCKED",
			   SPI_OK_SELECT, 2, types, values, NULL, FILL_BATCH);
	*lines = order_line_read(&n);
	return n;
}

/* give reserves what there is for one short line; returns the units, 0 when nothing is left for it. */
static int64
give(StockJournal *journal, StockPlace **places, int nplaces, LoneLine *s)
{
	StockPlace **own = palloc(sizeof(StockPlace *) * nplaces);
	StockPlace *place;
	int64		units;
	int			n = 0;

	for (int i = 0; i < nplaces; i++)
		if (places[i]->sku_id == s->line.sku_id &&
			(s->line.reserved == 0 || places[i]->location_id == s->line.location_id))
			own[n++] = places[i];
	place = order_choose_place(own, n, s->line.missing);
	pfree(own);
	units = place == NULL ? 0 : Min(s->line.missing, stock_room(place));
	if (units == 0)
		return 0;
	(void) order_line_move(journal, place, s, MOVE_RESERVE, 0, units, "filled");
	s->line.reserved += units;
	s->line.missing -= units;
	s->line.location_id = place->location_id;
	return units;
}

/* fill_batch gives to the next short lines; false when there are no more, or nothing is left to give. */
static bool
fill_batch(StockJournal *journal, StockPlace **places, int nplaces, FilledLine **filled, int *nfilled)
{
	int			before = *nfilled;
	LoneLine   *lines;
	int			n;

	n = find_short(places, nplaces, &lines);
	if (n == 0)
		return false;
	*filled = *filled == NULL ? palloc(sizeof(FilledLine) * n) :
		repalloc_huge(*filled, sizeof(FilledLine) * (*nfilled + n));
	for (int i = 0; i < n; i++)
	{
		int64		units = give(journal, places, nplaces, &lines[i]);

		if (units == 0)
			continue;
		(*filled)[(*nfilled)++] = (FilledLine) {lines[i].order_id, lines[i].line.line_id,
		lines[i].line.location_id, units};
	}
	order_line_write(journal, lines, n, "filled");
	return n == FILL_BATCH && *nfilled > before;
}

int
order_fill(StockJournal *journal, StockPlace **places, int nplaces, FilledLine **filled)
{
	StockPlace **open = palloc(sizeof(StockPlace *) * Max(nplaces, 1));
	int			nfilled = 0;
	int			n;

	*filled = NULL;
	do
	{
		CHECK_FOR_INTERRUPTS();
		n = 0;
		for (int i = 0; i < nplaces; i++)
			if (places[i]->sellable && stock_room(places[i]) > 0)
				open[n++] = places[i];
	} while (n > 0 && fill_batch(journal, open, n, filled, &nfilled));
	pfree(open);
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
