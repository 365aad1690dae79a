/*
 * order_draw.c
 *		Moves what an order line holds, part by part (order_part.h). Each
 *		movement of a part is a ledger row of its own, under the key of the
 *		line's next effect.
 *
 * Where from: the first place, by priority, that covers all that is needed of
 * a SKU, one that the line draws from already before others; where none does,
 * several by priority, each what it has. A bundle moves in whole ones: as
 * many as every component covers.
 */
#include "storesync.h"

#include "utils/builtins.h"

#include "order_part.h"

/* Units that come from one place: reserved by the line, and free ones. */
typedef struct Take
{
	StockPlace *place;
	int64		own;
	int64		free;
} Take;

typedef struct Takes
{
	int			n;
	Take	   *takes;			/* in the order of drawing, a place once */
} Takes;

/* effect_key derives the key of a line's latest effect. */
static void
effect_key(IdempotencyKey *key, const LineDraw *draw)
{
	char		number[16];
	const text *texts[] = {draw->store->platform, draw->store->shop_id, draw->order_sn, draw->line->line_id};
	const char *parts[5];
	int			lengths[5];

	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		parts[i] = VARDATA_ANY(texts[i]);
		lengths[i] = VARSIZE_ANY_EXHDR(texts[i]);
	}
	parts[4] = number;
	lengths[4] = snprintf(number, sizeof(number), "%d", draw->line->effects);
	key_derive(key, draw->create_time, 5, parts, lengths);
}

StockMove *
order_part_effect(LineDraw *draw, StockPlace *place, MovementKind kind, int64 on_hand, int64 reserved)
{
	StockMove  *move = stock_move(draw->journal, place, kind, on_hand, reserved);

	draw->line->changed = true;
	draw->line->effects++;
	move->order_id = draw->order_id;
	move->event_at = draw->event_at;
	move->reference = draw->line->line_id;
	move->reason = cstring_to_text(draw->reason);
	effect_key(&move->key, draw);
	return move;
}

/* ---------------------------------------------------------------- parts */

/* first_of says that no earlier part is of the same SKU: components are looked through by these. */
static bool
first_of(const OrderLine *line, int i)
{
	for (int j = 0; j < i; j++)
		if (line->parts[j].sku_id == line->parts[i].sku_id)
			return false;
	return true;
}

static bool
is_empty(const LinePart *part)
{
	return part->reserved == 0 && part->shipped == 0;
}

LinePart *
order_part_at(OrderLine *line, const StockPlace *place)
{
	LinePart   *part = NULL;
	int64		per = 1;

	for (int i = 0; i < line->nparts; i++)
	{
		LinePart   *p = &line->parts[i];

		if (p->sku_id != place->sku_id)
			continue;
		if (p->location_id == place->location_id)
			return p;
		per = p->per;
		if (is_empty(p))
			part = p;
	}
	if (part == NULL)
	{
		line->parts = repalloc(line->parts, sizeof(LinePart) * (line->nparts + 1));
		part = &line->parts[line->nparts++];
		*part = (LinePart) {.sku_id = place->sku_id, .per = per};
	}
	part->location_id = place->location_id;
	return part;
}

void
order_part_tidy(OrderLine *line)
{
	for (int i = line->nparts - 1; i >= 0 && line->nparts > 1; i--)
	{
		bool		other = false;

		for (int j = 0; j < line->nparts && !other; j++)
			other = j != i && line->parts[j].sku_id == line->parts[i].sku_id;
		if (other && is_empty(&line->parts[i]))
			memmove(&line->parts[i], &line->parts[i + 1], sizeof(LinePart) * (--line->nparts - i));
	}
	line->location_id = line->nparts == 1 && line->parts[0].sku_id == line->sku_id ? line->parts[0].location_id : 0;
}

static StockPlace *
place_of(const LineDraw *draw, const LinePart *part)
{
	StockPlace *place = stock_place_of(draw->hold, part->sku_id, part->location_id);

	if (place == NULL)
		elog(ERROR, "line \"%s\" holds stock at a place that is not locked", text_to_cstring(draw->line->line_id));
	return place;
}

/* ---------------------------------------------------------------- places */

/* serves says that the line's store sells from a place. */
static bool
serves(const PageStore *store, const StockPlace *place)
{
	if (!place->sellable || store->nlocations == 0)
		return place->sellable;
	for (int i = 0; i < store->nlocations; i++)
		if (store->locations[i] == place->location_id)
			return true;
	return false;
}

/* draws_from says that the line has units at a place. */
static bool
draws_from(const OrderLine *line, const StockPlace *place)
{
	for (int i = 0; i < line->nparts; i++)
		if (line->parts[i].sku_id == place->sku_id && line->parts[i].location_id == place->location_id)
			return !is_empty(&line->parts[i]);
	return false;
}

/* sells_before says that place a is preferred to b when both would do. */
static bool
sells_before(const StockPlace *a, const StockPlace *b)
{
	if (a->priority != b->priority)
		return a->priority < b->priority;
	return a->location_id < b->location_id;
}

/* choose returns the best place of a SKU with room for `units`, NULL when none has. */
static StockPlace *
choose(const LineDraw *draw, int64 sku_id, int64 units, bool keep)
{
	StockPlace *best = NULL;
	bool		best_own = false;
	int			n;
	StockPlace *places = stock_places_of(draw->hold, sku_id, &n);

	for (int i = 0; i < n; i++)
	{
		bool		own;

		if (stock_room(&places[i]) < units || !serves(draw->store, &places[i]))
			continue;
		own = keep && draws_from(draw->line, &places[i]);
		if (best == NULL || (own && !best_own) || (own == best_own && sells_before(&places[i], best)))
		{
			best = &places[i];
			best_own = own;
		}
	}
	return best;
}

/* settle names a place for a line that got nothing, where a count will explain it: 'main' or the first that sells. */
static void
settle(LineDraw *draw)
{
	LinePart   *part = &draw->line->parts[0];
	StockPlace *usual = NULL;
	int			n;
	StockPlace *places;

	if (draw->line->nparts > 1 || part->sku_id != draw->line->sku_id || !is_empty(part))
		return;
	places = stock_places_of(draw->hold, part->sku_id, &n);
	for (int i = 0; i < n; i++)
		if (serves(draw->store, &places[i]) &&
			(usual == NULL || places[i].preferred || (!usual->preferred && sells_before(&places[i], usual))))
			usual = &places[i];
	if (usual != NULL)
		draw->line->location_id = part->location_id = usual->location_id;
}

bool
order_part_locked(const LineDraw *draw)
{
	int			n;

	for (int i = 0; i < draw->line->nparts; i++)
		if (stock_places_of(draw->hold, draw->line->parts[i].sku_id, &n) == NULL)
			return false;
	return true;
}

/* room returns how many of `units` whole ones of the line could be reserved. */
static int64
room(const LineDraw *draw, int64 units)
{
	const OrderLine *line = draw->line;

	for (int c = 0; c < line->nparts && units > 0; c++)
	{
		int			n;
		StockPlace *places;
		int64		sum = 0;

		if (!first_of(line, c))
			continue;
		places = stock_places_of(draw->hold, line->parts[c].sku_id, &n);
		for (int i = 0; i < n; i++)
			if (serves(draw->store, &places[i]))
				sum += stock_room(&places[i]);
		units = Min(units, sum / line->parts[c].per);
	}
	return line->nparts == 0 ? 0 : units;
}

/* ---------------------------------------------------------------- taking */

static Take *
take_at(Takes *takes, StockPlace *place)
{
	for (int i = 0; i < takes->n; i++)
		if (takes->takes[i].place == place)
			return &takes->takes[i];
	takes->takes[takes->n] = (Take) {.place = place};
	return &takes->takes[takes->n++];
}

/* take_own lists what the line has reserved of a SKU, drawn first is taken first. */
static void
take_own(const LineDraw *draw, int64 sku_id, int64 units, Takes *takes)
{
	for (int i = 0; i < draw->line->nparts && units > 0; i++)
	{
		const LinePart *part = &draw->line->parts[i];
		int64		some = Min(units, part->reserved);

		if (part->sku_id != sku_id || some == 0)
			continue;
		take_at(takes, place_of(draw, part))->own += some;
		units -= some;
	}
}

/* take_free lists where free units of a SKU come from; there are as many. */
static void
take_free(const LineDraw *draw, int64 sku_id, int64 units, Takes *takes)
{
	StockPlace *whole = units > 0 ? choose(draw, sku_id, units, true) : NULL;
	StockPlace *after = NULL;

	if (whole != NULL)
	{
		take_at(takes, whole)->free += units;
		return;
	}
	while (units > 0)
	{
		StockPlace *next = NULL;
		int			n;
		StockPlace *places = stock_places_of(draw->hold, sku_id, &n);
		int64		some;

		for (int i = 0; i < n; i++)
			if (stock_room(&places[i]) > 0 && serves(draw->store, &places[i]) &&
				(after == NULL || sells_before(after, &places[i])) &&
				(next == NULL || sells_before(&places[i], next)))
				next = &places[i];
		if (next == NULL)
			elog(ERROR, "stock of line \"%s\" does not cover it", text_to_cstring(draw->line->line_id));
		some = Min(units, stock_room(next));
		take_at(takes, next)->free += some;
		units -= some;
		after = next;
	}
}

/* move_taken books what was listed, as reserved or as shipped. */
static void
move_taken(LineDraw *draw, const Takes *takes, bool ships)
{
	for (int i = 0; i < takes->n; i++)
	{
		const Take *t = &takes->takes[i];
		LinePart   *part = order_part_at(draw->line, t->place);

		if (ships)
		{
			(void) order_part_effect(draw, t->place, MOVE_SHIP, -(t->own + t->free), -t->own);
			part->reserved -= t->own;
			part->shipped += t->own + t->free;
		}
		else
		{
			(void) order_part_effect(draw, t->place, MOVE_RESERVE, 0, t->free);
			part->reserved += t->free;
		}
	}
}

/* draw_all takes `own` and `free` whole ones of the line from the places of each component. */
static void
draw_all(LineDraw *draw, int64 own, int64 free, bool ships)
{
	OrderLine  *line = draw->line;
	int			ncomponents = line->nparts;

	for (int c = 0; c < ncomponents; c++)
	{
		LinePart	part = line->parts[c];
		Takes		takes = {0};
		int			n;

		if (!first_of(line, c))
			continue;
		(void) stock_places_of(draw->hold, part.sku_id, &n);
		takes.takes = palloc(sizeof(Take) * Max(n, 1));
		take_own(draw, part.sku_id, own * part.per, &takes);
		take_free(draw, part.sku_id, free * part.per, &takes);
		move_taken(draw, &takes, ships);
		pfree(takes.takes);
	}
}

int64
order_part_reserve(LineDraw *draw, int64 units)
{
	units = room(draw, units);
	if (units > 0)
		draw_all(draw, 0, units, false);
	else
		settle(draw);
	draw->line->reserved += units;
	order_part_tidy(draw->line);
	return units;
}

int64
order_part_ship(LineDraw *draw, int64 units)
{
	int64		own = Min(units, draw->line->reserved);
	int64		free = room(draw, units - own);

	draw_all(draw, own, free, true);
	draw->line->reserved -= own;
	draw->line->shipped += own + free;
	order_part_tidy(draw->line);
	return own + free;
}

/* ---------------------------------------------------------------- giving back */

/* release_part gives back up to `units` of a part; returns what is left to give. */
static int64
release_part(LineDraw *draw, LinePart *part, int64 units)
{
	int64		some = Min(units, part->reserved);

	if (some > 0)
		(void) order_part_effect(draw, place_of(draw, part), MOVE_RELEASE, 0, -some);
	part->reserved -= some;
	return units - some;
}

/* release_from gives back whole ones of the line, beginning with what it holds at a place (NULL: with what was drawn last). */
static void
release_from(LineDraw *draw, const StockPlace *place, int64 units)
{
	OrderLine  *line = draw->line;

	for (int c = 0; c < line->nparts; c++)
	{
		int64		left = units * line->parts[c].per;
		int64		sku_id = line->parts[c].sku_id;

		if (!first_of(line, c))
			continue;
		for (int i = 0; i < line->nparts && place != NULL; i++)
			if (place->sku_id == sku_id && line->parts[i].sku_id == sku_id &&
				line->parts[i].location_id == place->location_id)
				left = release_part(draw, &line->parts[i], left);
		for (int i = line->nparts - 1; i >= 0 && left > 0; i--)
			if (line->parts[i].sku_id == sku_id)
				left = release_part(draw, &line->parts[i], left);
	}
	line->reserved -= units;
	order_part_tidy(line);
}

void
order_part_release(LineDraw *draw, int64 units)
{
	release_from(draw, NULL, units);
}

int64
order_part_give_up(LineDraw *draw, StockPlace *place, int64 units)
{
	const OrderLine *line = draw->line;
	int64		before = place->reserved;
	int64		whole = 0;

	for (int i = 0; i < line->nparts; i++)
		if (line->parts[i].sku_id == place->sku_id && line->parts[i].location_id == place->location_id)
			whole = (Min(units, line->parts[i].reserved) + line->parts[i].per - 1) / line->parts[i].per;
	release_from(draw, place, whole);
	draw->line->missing += whole;
	return before - place->reserved;
}

/* come_back notes on the parts of a SKU that units of them are back, where they were sent first before others. */
static void
come_back(LineDraw *draw, int64 sku_id, int64 units, bool moves)
{
	OrderLine  *line = draw->line;

	for (int i = 0; i < line->nparts && units > 0; i++)
	{
		LinePart   *part = &line->parts[i];
		int64		some = Min(units, part->shipped - part->back);

		if (part->sku_id != sku_id || some == 0)
			continue;
		if (moves)
			(void) order_part_effect(draw, place_of(draw, part), MOVE_RESTOCK, some, 0);
		part->back += some;
		units -= some;
	}
}

void
order_part_restock(LineDraw *draw, int64 units)
{
	OrderLine  *line = draw->line;

	for (int c = 0; c < line->nparts; c++)
		if (first_of(line, c))
			come_back(draw, line->parts[c].sku_id, units * line->parts[c].per, true);
	line->restocked += units;
}

void
order_part_return(LineDraw *draw, int32 location_id, int64 units, const IdempotencyKey *key)
{
	OrderLine  *line = draw->line;

	for (int c = 0; c < line->nparts; c++)
	{
		LinePart	part = line->parts[c];
		StockMove  *move;

		if (!first_of(line, c))
			continue;
		part.location_id = location_id;
		move = order_part_effect(draw, place_of(draw, &part), MOVE_RESTOCK, units * part.per, 0);
		if (key != NULL)
			move->key = *key;
		come_back(draw, part.sku_id, units * part.per, false);
	}
	line->restocked += units;
}

void
order_part_send(LineDraw *draw, StockPlace *place, int64 units)
{
	(void) order_part_effect(draw, place, MOVE_SHIP, -units, 0);
	order_part_at(draw->line, place)->shipped += units;
	draw->line->shipped += units;
	draw->line->missing -= units;
	order_part_tidy(draw->line);
}
