/*
 * short_move.c
 *		A short line served from a place that its store does not sell from: a
 *		transfer for each SKU that the line lacks, and the reservation.
 *
 * The units are this line's, whoever else waits: the operator has named it.
 * So they are reserved before anything is filled; what the answer tells is how
 * many units older lines want. Each transfer has a key of its own, derived
 * from the request's, because a transfer is two ledger rows of one SKU.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "answer.h"
#include "ledger.h"
#include "set.h"
#include "short.h"

/* Whether store $1 sells from a location: its lines draw from such places alone. */
#define SELLS_FROM(location) \
	"(" location ".sellable AND (EXISTS (SELECT FROM storesync.store_location z " \
	"  WHERE z.store_id = $1 AND z.location_id = " location ".location_id) " \
	"OR NOT EXISTS (SELECT FROM storesync.store_location z WHERE z.store_id = $1))) "

/* ---------------------------------------------------------------- the route */

/* find_named looks up the place that the operator has named. */
static void
find_named(const ShortRequest *r, ShortRoute *route)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(r->store_id), PointerGetDatum(r->location)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT c.location_id, " SELLS_FROM("c") "FROM storesync.location c WHERE c.code = $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LOCATION),
				 errmsg("location \"%s\" does not exist", text_to_cstring(r->location))));
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("store %d sells from location \"%s\"", r->store_id, text_to_cstring(r->location)),
				 errdetail("What is free there goes to its lines by itself.")));
	route->from = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * find_best looks for a sellable place that the store does not sell from and
 * that covers the line best: all it lacks before less, then by priority.
 */
static void
find_best(const ShortRequest *r, const ShortOrder *order, ShortRoute *route)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(order->order_id), PointerGetDatum(r->line_id)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT f.location_id FROM storesync.short_reach f "
			   "WHERE f.order_id = $1 AND f.line_id = $2 AND f.sellable "
			   "GROUP BY f.location_id, f.priority "
			   "HAVING min((f.here + f.there) / f.per) > 0 "
			   "ORDER BY min(least(f.short, (f.here + f.there) / f.per)) DESC, f.priority, f.location_id LIMIT 1",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed > 0)
		route->from = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* find_end names where it goes to: where the line is, else the store's first place by priority. */
static void
find_end(const ShortRequest *r, const OrderLine *line, ShortRoute *route)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT4OID};
	Datum		values[] = {Int32GetDatum(r->store_id), Int32GetDatum(line->location_id)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT c.location_id FROM storesync.location c WHERE " SELLS_FROM("c")
			   "ORDER BY c.location_id <> $2, c.priority, c.location_id LIMIT 1",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed > 0)
		route->to = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* next_sku returns the line's smallest SKU after one; 0: there is none. */
static int64
next_sku(const OrderLine *line, int64 last)
{
	int64		next = 0;

	for (int i = 0; i < line->nparts; i++)
		if (line->parts[i].sku_id > last && (next == 0 || line->parts[i].sku_id < next))
			next = line->parts[i].sku_id;
	return next;
}

void
short_route(const ShortRequest *r, const ShortOrder *order, ShortRoute *route)
{
	const OrderLine *line = &order->lines[0].line;

	if (r->location != NULL)
		find_named(r, route);
	else
		find_best(r, order, route);
	find_end(r, line, route);
	if (route->from == 0 || route->to == 0)
		return;
	for (int64 sku_id = next_sku(line, 0); sku_id != 0; sku_id = next_sku(line, sku_id))
		stock_make_places(sku_id, 2, (const int32[]) {Min(route->from, route->to), Max(route->from, route->to)});
}

/* ---------------------------------------------------------------- the move */

/* per_unit returns the units of a SKU in one unit of the line's. */
static int64
per_unit(const OrderLine *line, int64 sku_id)
{
	for (int i = 0; i < line->nparts; i++)
		if (line->parts[i].sku_id == sku_id)
			return line->parts[i].per;
	return 1;
}

/* free_here returns the units of a SKU that the line could draw without a move. */
static int64
free_here(const ShortOrder *order, int64 sku_id)
{
	const PageStore *store = &order->lines[0].store;
	int64		sum = 0;
	int			n;
	StockPlace *places = stock_places_of(&order->hold, sku_id, &n);

	for (int i = 0; i < n; i++)
	{
		bool		serves = store->nlocations == 0;

		for (int j = 0; j < store->nlocations && !serves; j++)
			serves = store->locations[j] == places[i].location_id;
		if (serves && places[i].sellable)
			sum += stock_room(&places[i]);
	}
	return sum;
}

/* movable returns how many whole units the line gets with what lies at the other place. */
static int64
movable(const ShortOrder *order, const ShortRoute *route)
{
	const OrderLine *line = &order->lines[0].line;
	int64		units = line->missing;

	for (int64 sku_id = next_sku(line, 0); sku_id != 0; sku_id = next_sku(line, sku_id))
	{
		StockPlace *place = stock_place_of(&order->hold, sku_id, route->from);
		/* also of a SKU on backorder: what is not there cannot be carried */
		int64		there = place == NULL ? 0 : Max(place->on_hand - place->reserved, 0);

		units = Min(units, (free_here(order, sku_id) + there) / per_unit(line, sku_id));
	}
	return units;
}

/* transfer_key derives the key of the transfer of one SKU. */
static void
transfer_key(const ShortRequest *r, int64 sku_id, IdempotencyKey *key)
{
	char		hex[2 * KEY_BYTES + 1];
	char		sku[32];
	const char *parts[] = {"settle_short", hex, sku};
	int			lengths[3];

	for (int i = 0; i < KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", r->key->bytes[i]);
	snprintf(sku, sizeof(sku), "%lld", (long long) sku_id);
	for (int i = 0; i < 3; i++)
		lengths[i] = strlen(parts[i]);
	key_derive(key, key_time(r->key), 3, parts, lengths);
}

static void
book_row(ShortOrder *order, StockPlace *place, int64 delta, const IdempotencyKey *key)
{
	LoneLine   *lone = &order->lines[0];
	StockMove  *move = stock_move(&order->journal, place, MOVE_TRANSFER, delta, 0);

	move->event_at = key_time(key);
	move->key = *key;
	move->reason = cstring_to_text(psprintf("for order %s, line %s", text_to_cstring(lone->order_sn),
											text_to_cstring(lone->line.line_id)));
}

/* carry transfers units of one SKU, and keeps the answer as transfer() does. */
static void
carry(const ShortRequest *r, ShortOrder *order, const ShortRoute *route, int64 sku_id, int64 units)
{
	StockPlace *from = stock_place_of(&order->hold, sku_id, route->from);
	StockPlace *to = stock_place_of(&order->hold, sku_id, route->to);
	IdempotencyKey key;
	Answer		answer = {0};

	if (from == NULL || to == NULL)
		elog(ERROR, "place of a move is not locked");
	transfer_key(r, sku_id, &key);
	ledger_check_bounds(to, units, 0);
	book_row(order, from, -units, &key);
	book_row(order, to, units, &key);
	ledger_answer(&answer, from, false);
	if (!answer_store(&key, r->fingerprint, &answer))
		elog(ERROR, "idempotency key of a move was used");
}

/* passed_over says how many units lines want that are filled before this one. */
static char *
passed_over(const ShortOrder *order)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(order->order_id), PointerGetDatum(order->lines[0].line.line_id)};
	bool		isnull;
	int64		ahead;

	ss_execute(&plan,
			   "SELECT coalesce(max(a.ahead), 0)::bigint FROM storesync.short_ahead a "
			   "WHERE a.order_id = $1 AND a.line_id = $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	ahead = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return ahead == 0 ? NULL : psprintf("passes over older lines that want " INT64_FORMAT " units", ahead);
}

void
short_move(const ShortRequest *r, ShortOrder *order, const ShortRoute *route, ShortAnswer *answer)
{
	LoneLine   *lone = &order->lines[0];
	LineDraw	draw;

	answer->done = true;
	if (route->from != 0 && route->to != 0)
		answer->units = movable(order, route);
	if (answer->units == 0)
	{
		answer->outcome = "insufficient";
		answer->detail = route->from == 0 ? "no sellable place beside its store's has any" :
			route->to == 0 ? "its store has no place that sells" : NULL;
		return;
	}
	answer->detail = passed_over(order);
	for (int64 sku_id = next_sku(&lone->line, 0); sku_id != 0; sku_id = next_sku(&lone->line, sku_id))
	{
		int64		lacks = answer->units * per_unit(&lone->line, sku_id) - free_here(order, sku_id);

		if (lacks > 0)
			carry(r, order, route, sku_id, lacks);
	}
	draw = order_line_draw(lone, &order->journal, &order->hold, "moved");
	if (order_part_reserve(&draw, answer->units) != answer->units)
		elog(ERROR, "units that were moved for a line do not cover it");
	lone->line.missing -= answer->units;
	order_line_write(&order->journal, lone, 1, "moved");
}
