/*
 * order_part.h
 *		What a line of an order holds, part by part: a part is one SKU at one
 *		place. Lines are booked, filled, emptied and returned through here.
 *
 * A line of one SKU at one place is one part, kept in the line's own columns.
 * A bundle, or a line over several places, has column `parts`, in units of
 * each part's SKU; the line's own quantities stay in units of its SKU.
 *
 * Locking: the order's row, and all places of the line's SKU, of a bundle
 * those of its components (stock_lock_skus).
 */
#ifndef STORESYNC_ORDER_PART_H
#define STORESYNC_ORDER_PART_H

#include "storesync.h"

#include "utils/jsonb.h"

#include "order.h"

/* Whose stock moves, why, and from where. */
typedef struct LineDraw
{
	StockJournal *journal;
	const StockHold *hold;
	const PageStore *store;		/* platform, shop_id and places are looked at */
	OrderLine  *line;
	int64		order_id;
	TimestampTz create_time;
	const text *order_sn;
	TimestampTz event_at;
	const char *reason;
} LineDraw;

/* The parts of a line as the table has them; `parts` is NULL for a line that is its own. */
extern void order_part_read(OrderLine *line, Jsonb *parts);
/* What column `parts` is to say; NULL: the line's own columns say it. */
extern Jsonb *order_part_json(const OrderLine *line);

/* The places of a store from an array of their ids. */
extern void order_part_places(PageStore *store, Datum locations);

/* A line that holds nothing takes on what its SKU is made of today. */
extern void order_part_compose(OrderLine *line, const StockComponent *components, int n);

/* Whether all places that the line may draw from are locked. */
extern bool order_part_locked(const LineDraw *draw);

/*
 * Each moves whole units of the line's SKU and the line's counters with them;
 * `missing` is the caller's. reserve and ship return how many the stock
 * covered: ship takes what is reserved first, then what is free. release
 * takes from what was drawn last; release and restock take no more than there is.
 */
extern int64 order_part_reserve(LineDraw *draw, int64 units);
extern int64 order_part_ship(LineDraw *draw, int64 units);
extern void order_part_release(LineDraw *draw, int64 units);
extern void order_part_restock(LineDraw *draw, int64 units);

/*
 * Release as many whole units of the line as it takes to set free up to
 * `units` of a place, those of the place first; returns how many of the place.
 */
extern int64 order_part_give_up(LineDraw *draw, StockPlace *place, int64 units);
/* Units of the line's SKU, which is no bundle, that have left from a place without a reservation. */
extern void order_part_send(LineDraw *draw, StockPlace *place, int64 units);
/*
 * Units of the line that came back to a location, whatever place they were
 * sent from. The ledger rows carry the key, unless it is NULL.
 */
extern void order_part_return(LineDraw *draw, int32 location_id, int64 units, const IdempotencyKey *key);

/*
 * One movement by itself, under the key of the line's next effect: parts and
 * counters are the caller's. The part of a line at a place is a new one where
 * it has none, or one that holds nothing, moved there. When all is moved,
 * order_part_tidy drops parts that hold nothing beside others of their SKU,
 * and says where a line of one place is.
 */
extern StockMove *order_part_effect(LineDraw *draw, StockPlace *place, MovementKind kind, int64 on_hand, int64 reserved);
extern LinePart *order_part_at(OrderLine *line, const StockPlace *place);
extern void order_part_tidy(OrderLine *line);

#endif
