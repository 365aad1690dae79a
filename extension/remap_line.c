/*
 * remap_line.c
 *		Takes a line of an order back from the SKU that it was booked on by
 *		mistake, and books it on another (remap.h, docs/remap.md).
 *
 * Each movement of the old SKU is answered by one of the same kind with the
 * sign turned round, so that sums by kind are as if it had never been; then
 * the new SKU is moved. The goods that left or came back were the new SKU's all
 * the time. Where a count came after such a movement, the shelf was seen with
 * it, and on hand is right already: the row is followed, or preceded, by an
 * adjust row that leaves it as it is.
 */
#include "storesync.h"

#include "utils/builtins.h"

#include "remap.h"

/* One line on its way. */
typedef struct Remap
{
	RemapTo    *to;
	LineDraw	draw;
	OrderLine	old;			/* as it was; its parts are those of now */
	int64		first_sku;		/* of the old parts: whole ones are told by it */
	int64		first_per;
	const RemapMove *moves;
	int			nmoves;
} Remap;

bool
remap_is_kept(const OrderLine *line)
{
	return line->state == LINE_KEPT;
}

/* counted_since says that the place was counted at that moment or later. */
static bool
counted_since(const RemapTo *to, const StockPlace *place, TimestampTz moment)
{
	for (int i = 0; i < to->ncounts; i++)
		if (to->counts[i].sku_id == place->sku_id && to->counts[i].location_id == place->location_id)
			return to->counts[i].moment >= moment;
	return false;
}

static StockPlace *
locked_place(const Remap *r, int64 sku_id, int32 location_id)
{
	StockPlace *place = stock_place_of(r->to->hold, sku_id, location_id);

	if (place == NULL)
		elog(ERROR, "place of line \"%s\" is not locked", text_to_cstring(r->draw.line->line_id));
	return place;
}

/*
 * correct books a movement of on hand, of which `kept` units are made up for
 * by an adjust row, before or after it, so that nothing is missing in between.
 */
static void
correct(Remap *r, StockPlace *place, MovementKind kind, int64 units, int64 kept)
{
	if (kept != 0 && units < 0)
		(void) order_part_effect(&r->draw, place, MOVE_ADJUST, kept, 0);
	(void) order_part_effect(&r->draw, place, kind, units, 0);
	if (kept != 0 && units > 0)
		(void) order_part_effect(&r->draw, place, MOVE_ADJUST, -kept, 0);
}

/* ---------------------------------------------------------------- taking back */

/* note_promised remembers a place that somebody has to look at. */
static void
note_promised(RemapTo *to, StockPlace *place)
{
	for (int i = 0; i < to->ntold; i++)
		if (to->told[i] == place)
			return;
	to->told = to->told == NULL ? palloc(sizeof(StockPlace *)) :
		repalloc(to->told, sizeof(StockPlace *) * (to->ntold + 1));
	to->told[to->ntold++] = place;
}

/* take_back answers all that the line has booked; it holds nothing afterwards. */
static void
take_back(Remap *r)
{
	OrderLine  *line = r->draw.line;

	if (line->reserved > 0)
		order_part_release(&r->draw, line->reserved);
	for (int i = 0; i < r->nmoves; i++)
	{
		const RemapMove *m = &r->moves[i];
		StockPlace *place = locked_place(r, m->sku_id, m->location_id);
		int64		kept = counted_since(r->to, place, m->moment) ? m->units : 0;

		r->draw.event_at = m->moment;
		if (m->back && kept == 0 && !place->allow_backorder && stock_room(place) < m->units)
		{
			/* what came back was sold as the old SKU: the shelf has too little, and a count will say so */
			kept = m->units - stock_room(place);
			note_promised(r->to, place);
		}
		correct(r, place, m->back ? MOVE_RESTOCK : MOVE_SHIP, m->back ? -m->units : m->units, kept);
	}
	r->draw.event_at = r->to->journal->now;
	line->shipped = line->restocked = line->lost = line->missing = 0;
}

/* ---------------------------------------------------------------- booking anew */

/* compose makes it a line of the new SKU that holds nothing. */
static void
compose(Remap *r)
{
	const StockHold *hold = r->to->hold;
	OrderLine  *line = r->draw.line;
	int			first = 0;
	int			n = 0;

	line->sku_id = r->to->sku_id;
	line->pack = r->to->pack;
	line->location_id = 0;
	order_part_read(line, NULL);
	while (first < hold->ncomponents && hold->components[first].bundle_id != line->sku_id)
		first++;
	while (first + n < hold->ncomponents && hold->components[first + n].bundle_id == line->sku_id)
		n++;
	order_part_compose(line, &hold->components[first], n);
}

/* converted turns units of the old SKU into units of the new one: as many sold units, begun ones whole. */
static int64
converted(const Remap *r, int64 units, bool up)
{
	int64		sold = units / r->old.pack;
	int64		rest = units % r->old.pack;

	if (up && rest > 0)
		return order_units(sold + 1, r->to->pack);
	return Min(order_units(sold, r->to->pack) + rest * r->to->pack / r->old.pack, SS_MAX_QTY);
}

/* covered says how many whole ones a location has, what counts since then have found gone among them. */
static int64
covered(const Remap *r, const OrderLine *line, int32 location_id, TimestampTz moment, int64 units)
{
	for (int i = 0; i < line->nparts && units > 0; i++)
	{
		const StockPlace *place = stock_place_of(r->to->hold, line->parts[i].sku_id, location_id);

		if (place == NULL)
			return 0;
		if (!counted_since(r->to, place, moment))
			units = Min(units, stock_room(place) / line->parts[i].per);
	}
	return units;
}

/* send_from books whole ones as sent from a location; `found`: what it does not have is found there first. */
static void
send_from(Remap *r, int32 location_id, TimestampTz moment, int64 units, bool found)
{
	OrderLine  *line = r->draw.line;
	int			ncomponents = line->nparts;
	int64	   *sku_ids = palloc(sizeof(int64) * ncomponents);

	r->draw.event_at = moment;
	for (int i = 0; i < ncomponents; i++)
		sku_ids[i] = line->parts[i].sku_id;
	for (int i = 0; i < ncomponents; i++)
	{
		StockPlace *place = locked_place(r, sku_ids[i], location_id);
		LinePart   *part = NULL;
		int64		all;
		int64		kept = 0;

		/* parts of one SKU at several places follow the first */
		for (int j = 0; j < i; j++)
			if (sku_ids[j] == sku_ids[i])
				place = NULL;
		if (place == NULL)
			continue;
		part = order_part_at(line, place);
		all = units * part->per;
		if (counted_since(r->to, place, moment))
			kept = all;
		else if (found)
			kept = Max(all - stock_room(place), 0);
		correct(r, place, MOVE_SHIP, -all, kept);
		part->shipped += all;
	}
	line->shipped += units;
	order_part_tidy(line);
	r->draw.event_at = r->to->journal->now;
	pfree(sku_ids);
}

/*
 * least_shipped says how many units are booked as sent whether the books have
 * them or not. Those of a line that has gone may be short, and wait for a count,
 * as far as they are still ordered; what it has sent beyond that is a
 * high-water mark, and what came back or is lost was sent.
 */
static int64
least_shipped(const Remap *r, int64 live)
{
	const OrderLine *line = r->draw.line;
	bool		gone = line->status == ORDER_SHIPPED || line->status == ORDER_COMPLETED || line->status == ORDER_RETURNED;
	int64		sent = converted(r, r->old.shipped, true);

	if (!gone || live < sent)
		return sent;
	return Min(sent, converted(r, r->old.restocked + r->old.lost, true));
}

/* ship books what had left: from where the old SKU was sent, what that does not have from elsewhere, else short. */
static void
ship(Remap *r)
{
	OrderLine  *line = r->draw.line;
	int64		live = order_units(Max(line->qty - line->cancelled_qty, 0), line->pack);
	int64		total = converted(r, r->old.shipped + r->old.missing, true);
	int64		least = least_shipped(r, live);
	int64		sent = 0;
	int64		done = 0;
	int32		location_id = 0;
	TimestampTz moment = r->to->journal->now;

	for (int i = 0; i < r->nmoves; i++)
	{
		const RemapMove *m = &r->moves[i];
		int64		units;

		if (m->back || m->sku_id != r->first_sku)
			continue;
		sent += m->units / r->first_per;
		location_id = m->location_id;
		moment = m->moment;
		units = converted(r, sent, sent == r->old.shipped) - done;
		done += units;
		units = covered(r, line, location_id, moment, units);
		if (units > 0)
			send_from(r, location_id, moment, units, false);
	}
	r->draw.event_at = moment;
	if (line->shipped < total)
		(void) order_part_ship(&r->draw, total - line->shipped);
	if (line->shipped < least)
		send_from(r, location_id, moment, least - line->shipped, true);
	line->missing = line->status == ORDER_SHIPPED || line->status == ORDER_COMPLETED || line->status == ORDER_RETURNED ?
		Max(live - line->shipped, 0) : total - line->shipped;
}

/* come_back books units as back at a location, where a count may have found them already. */
static void
come_back(Remap *r, int32 location_id, TimestampTz moment, int64 units)
{
	OrderLine  *line = r->draw.line;

	r->draw.event_at = moment;
	order_part_return(&r->draw, location_id, units, NULL);
	for (int i = 0; i < line->nparts; i++)
	{
		StockPlace *place = locked_place(r, line->parts[i].sku_id, location_id);
		bool		first = true;

		for (int j = 0; j < i; j++)
			first &= line->parts[j].sku_id != line->parts[i].sku_id;
		if (first && counted_since(r->to, place, moment))
			(void) order_part_effect(&r->draw, place, MOVE_ADJUST, -units * line->parts[i].per, 0);
	}
	r->draw.event_at = r->to->journal->now;
}

/* restock books what had come back, where it was put. */
static void
restock(Remap *r)
{
	OrderLine  *line = r->draw.line;
	bool		all = r->old.restocked + r->old.lost == r->old.shipped;
	int64		back = 0;

	line->lost = all && r->old.restocked == 0 ? line->shipped : Min(converted(r, r->old.lost, false), line->shipped);
	for (int i = 0; i < r->nmoves; i++)
	{
		const RemapMove *m = &r->moves[i];
		int64		wanted;

		if (!m->back || m->sku_id != r->first_sku)
			continue;
		back += m->units / r->first_per;
		wanted = converted(r, back, false);
		if (all && back == r->old.restocked)
			wanted = line->shipped;
		wanted = Min(wanted, line->shipped - line->lost) - line->restocked;
		if (wanted > 0)
			come_back(r, m->location_id, m->moment, wanted);
	}
}

/* check_moves: the ledger says of the line what it says of itself. */
static void
check_moves(const Remap *r)
{
	int64		sent = 0;
	int64		back = 0;

	for (int i = 0; i < r->nmoves; i++)
		if (r->moves[i].sku_id == r->first_sku)
			*(r->moves[i].back ? &back : &sent) += r->moves[i].units;
	if (sent != r->old.shipped * r->first_per || back != r->old.restocked * r->first_per)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ledger does not say what line \"%s\" of order \"%s\" has sent",
						text_to_cstring(r->draw.line->line_id), text_to_cstring(r->draw.order_sn))));
}

void
remap_line(RemapTo *to, LoneLine *lone, const RemapMove *moves, int n)
{
	OrderLine  *line = &lone->line;
	Remap		r = {
		.to = to, .draw = order_line_draw(lone, to->journal, to->hold, REMAP_REASON), .old = *line,
		.moves = moves, .nmoves = n
	};

	line->changed = true;
	if (remap_is_kept(line))
	{
		line->sku_id = to->sku_id;
		line->pack = to->pack;
		order_part_read(line, NULL);
		return;
	}
	r.first_sku = line->parts[0].sku_id;
	r.first_per = line->parts[0].per;
	check_moves(&r);
	take_back(&r);
	compose(&r);
	if (order_has_left(&r.old))
	{
		ship(&r);
		restock(&r);
	}
	else if (r.old.reserved + r.old.missing > 0)
	{
		int64		live = order_units(Max(line->qty - line->cancelled_qty, 0), line->pack);

		line->missing = live - order_part_reserve(&r.draw, live);
	}
}
