/*
 * order_line.h
 *		A line of an order dealt with by itself, not through a document of a
 *		page: filled when stock comes, emptied by a count, returned.
 *
 * Locking: whoever changes a line holds its order's row. Whoever locks an
 * order also locks the places of all its short lines and tries to fill them
 * at the end: order_fill passes over orders that somebody has locked.
 */
#ifndef STORESYNC_ORDER_LINE_H
#define STORESYNC_ORDER_LINE_H

#include "storesync.h"

#include "order.h"

typedef struct LoneLine
{
	int64		order_id;
	TimestampTz order_recorded_at;
	TimestampTz update_time;
	TimestampTz fetched_at;
	TimestampTz create_time;
	text	   *order_sn;
	text	   *order_status;
	PageStore	store;			/* platform and shop_id alone */
	OrderLine	line;			/* without names and price */
} LoneLine;

/* What order_line_read expects to have been selected; conditions, order and lock of `o` follow. */
#define ORDER_LINE_SELECT \
	"SELECT o.order_id, l.recorded_at, o.update_time, o.fetched_at, o.create_time, o.order_sn, " \
	"       o.status::text, t.platform, t.shop_id, l.sku_id, l.line_id, l.location_id, l.status::text, " \
	"       l.state::text, l.qty, l.cancelled_qty, l.returned_qty, l.reserved, l.shipped, l.restocked, " \
	"       l.lost, l.short, l.effects, l.pack " \
	"FROM storesync.sales_order_line l " \
	"JOIN storesync.sales_order o ON o.order_id = l.order_id AND o.recorded_at = l.recorded_at " \
	"JOIN storesync.store t ON t.store_id = l.store_id "

/* The lines of the statement just executed; frees its result. */
extern LoneLine *order_line_read(int *n);

/*
 * Move stock for a line, under the key of its next effect; the caller brings
 * the line's own quantities in step. `reason` says why, event_at when it
 * happened; the caller may put another key.
 */
extern StockMove *order_line_move(StockJournal *journal, StockPlace *place, LoneLine *lone, MovementKind kind,
								  int64 on_hand_delta, int64 reserved_delta, const char *reason);

/*
 * Write the journal, the lines that are marked as changed, and a row of the
 * history with this outcome for each.
 */
extern void order_line_write(StockJournal *journal, LoneLine *lones, int n, const char *outcome);

/* Lock orders in the order of locks; ids come back in it, repeats and orders that are gone left out. Returns how many. */
extern int	order_lock_orders(int n, int64 *order_ids);

/*
 * Lock all places of the SKUs given and of the short lines of orders that are
 * locked. Returns them sorted by (sku_id, location_id).
 */
extern StockPlace *order_line_lock_stock(int norders, const int64 *order_ids, int nskus, const int64 *sku_ids,
										 int *nplaces);

/* The end of a call: short lines get what these places have, the outbox hears of the SKUs that moved. */
extern void order_line_finish(StockJournal *journal, StockPlace *places, int nplaces);

#endif
