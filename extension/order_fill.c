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

#include "order.h"
#include "set.h"

/* Lines taken in one go, so that a delivery for a million short lines is worked off in bounded memory. */
#define FILL_BATCH		1000

/* A short line as it was found. */
typedef struct ShortLine
{
	int64		order_id;
	TimestampTz order_recorded_at;
	TimestampTz update_time;
	TimestampTz fetched_at;
	TimestampTz create_time;
	text	   *order_sn;
	text	   *order_status;
	int64		sku_id;
	PageStore	store;
	OrderLine	line;
} ShortLine;

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
read_short(HeapTuple tuple, ShortLine *s)
{
	bool		isnull;
	Datum		location = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 12, &isnull);

	memset(s, 0, sizeof(ShortLine));
	s->order_id = DatumGetInt64(get(tuple, 1));
	s->order_recorded_at = DatumGetTimestampTz(get(tuple, 2));
	s->update_time = DatumGetTimestampTz(get(tuple, 3));
	s->fetched_at = DatumGetTimestampTz(get(tuple, 4));
	s->create_time = DatumGetTimestampTz(get(tuple, 5));
	s->order_sn = get_text(tuple, 6);
	s->order_status = get_text(tuple, 7);
	s->store.platform = get_text(tuple, 8);
	s->store.shop_id = get_text(tuple, 9);
	s->line.sku_id = DatumGetInt64(get(tuple, 10));
	s->line.line_id = get_text(tuple, 11);
	s->line.location_id = isnull ? 0 : DatumGetInt32(location);
	s->line.reserved = DatumGetInt64(get(tuple, 13));
	s->line.missing = DatumGetInt64(get(tuple, 14));
	s->line.effects = DatumGetInt32(get(tuple, 15));
	s->line.qty = DatumGetInt64(get(tuple, 16));
	s->line.cancelled_qty = DatumGetInt64(get(tuple, 17));
}

/* find_short locks the orders of the next short lines that these places may serve. */
static int
find_short(StockPlace **places, int nplaces, ShortLine **lines)
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
			   "SELECT o.order_id, l.recorded_at, o.update_time, o.fetched_at, o.create_time, o.order_sn, "
			   "       o.status::text, t.platform, t.shop_id, l.sku_id, l.line_id, l.location_id, l.reserved, "
			   "       l.short, l.effects, l.qty, l.cancelled_qty "
			   "FROM storesync.sales_order_line l "
			   "JOIN storesync.sales_order o ON o.order_id = l.order_id "
			   "JOIN storesync.store t ON t.store_id = l.store_id "
			   "WHERE l.sku_id = ANY ($1) AND l.short > 0 AND l.shipped = 0 "
			   "  AND l.status IN ('unpaid', 'ready_to_ship', 'in_cancel') "
			   "  AND (l.reserved = 0 OR EXISTS (SELECT FROM unnest($1, $2) AS u (sku_id, location_id) "
			   "       WHERE u.sku_id = l.sku_id AND u.location_id = l.location_id)) "
			   "ORDER BY l.status = 'unpaid', l.ordered_at, l.order_id, l.line_id COLLATE \"C\" "
			   "FOR UPDATE OF o SKIP LOCKED",
			   SPI_OK_SELECT, 2, types, values, NULL, FILL_BATCH);
	n = (int) SPI_processed;
	*lines = palloc(sizeof(ShortLine) * Max(n, 1));
	for (int i = 0; i < n; i++)
		read_short(SPI_tuptable->vals[i], &(*lines)[i]);
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* give reserves what there is for one short line; returns the units, 0 when nothing is left for it. */
static int64
give(StockJournal *journal, StockPlace **places, int nplaces, ShortLine *s)
{
	StockPlace **own = palloc(sizeof(StockPlace *) * nplaces);
	StockPlace *place;
	StockMove  *move;
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
	move = stock_move(journal, place, MOVE_RESERVE, 0, units);
	s->line.reserved += units;
	s->line.missing -= units;
	s->line.effects++;
	s->line.location_id = place->location_id;
	s->line.state = order_line_state(&s->line);
	move->order_id = s->order_id;
	move->event_at = journal->now;
	move->reference = s->line.line_id;
	move->reason = cstring_to_text("filled");
	order_effect_key(&move->key, &s->store, s->create_time, s->order_sn, s->line.line_id, s->line.effects);
	return units;
}

/* write_filled writes one batch: lines and a history row each. */
static void
write_filled(StockJournal *journal, SsSet *set)
{
	static SPIPlanPtr line_plan = NULL;
	static SPIPlanPtr history_plan = NULL;

	stock_write(journal);
	set_execute(&line_plan,
				"UPDATE storesync.sales_order_line l SET reserved = u.d, short = u.e, effects = u.f, "
				"       location_id = u.g, state = u.h::storesync.line_state "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
				"AS u (a, b, c, d, e, f, g, h, i, j, k, l, m) "
				"WHERE l.order_id = u.a AND l.recorded_at = u.b AND l.line_id = u.c",
				SPI_OK_UPDATE, set);
	set_execute(&history_plan,
				"INSERT INTO storesync.order_history "
				"(order_id, recorded_at, update_time, fetched_at, status, outcome, lines) "
				"SELECT u.a, u.i, u.j, u.k, u.l::storesync.order_status, 'filled', u.m "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
				"AS u (a, b, c, d, e, f, g, h, i, j, k, l, m)",
				SPI_OK_INSERT, set);
}

static void
put_filled(SsSet *set, const StockJournal *journal, ShortLine *s)
{
	OrderLine  *line = &s->line;

	set_add_row(set);
	set_put(set, 0, Int64GetDatum(s->order_id));
	set_put(set, 1, TimestampTzGetDatum(s->order_recorded_at));
	set_put_pointer(set, 2, line->line_id);
	set_put(set, 3, Int64GetDatum(line->reserved));
	set_put(set, 4, Int64GetDatum(line->missing));
	set_put(set, 5, Int32GetDatum(line->effects));
	set_put(set, 6, Int32GetDatum(line->location_id));
	set_put(set, 7, CStringGetTextDatum(order_state_name(line->state)));
	set_put(set, 8, TimestampTzGetDatum(journal->now));
	set_put(set, 9, TimestampTzGetDatum(s->update_time));
	set_put(set, 10, TimestampTzGetDatum(s->fetched_at));
	set_put_pointer(set, 11, s->order_status);
	set_put_pointer(set, 12, order_history_lines(&line, 1));
}

/* fill_batch gives to the next short lines; false when there are no more, or nothing is left to give. */
static bool
fill_batch(StockJournal *journal, StockPlace **places, int nplaces, FilledLine **filled, int *nfilled)
{
	static const Oid element_types[] = {
		INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT8OID, INT4OID, INT4OID, TEXTOID,
		TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, JSONBOID
	};
	SsSet	   *set;
	ShortLine  *lines;
	int			n;

	n = find_short(places, nplaces, &lines);
	if (n == 0)
		return false;
	set = set_create(lengthof(element_types), element_types, n);
	*filled = *filled == NULL ? palloc(sizeof(FilledLine) * n) :
		repalloc_huge(*filled, sizeof(FilledLine) * (*nfilled + n));
	for (int i = 0; i < n; i++)
	{
		int64		units = give(journal, places, nplaces, &lines[i]);

		if (units == 0)
			continue;
		put_filled(set, journal, &lines[i]);
		(*filled)[(*nfilled)++] = (FilledLine) {lines[i].order_id, lines[i].line.line_id,
		lines[i].line.location_id, units};
	}
	write_filled(journal, set);
	return n == FILL_BATCH && set->rows > 0;
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
		int64		id = DatumGetInt64(get(SPI_tuptable->vals[i], 1));

		while (skus[at].sku_id != id)
			at++;
		skus[at].has_short = true;
	}
	SPI_freetuptable(SPI_tuptable);
}
