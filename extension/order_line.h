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

#include "order_part.h"

typedef struct LoneLine
{
	int64		order_id;
	TimestampTz order_recorded_at;
	TimestampTz update_time;
	TimestampTz fetched_at;
	TimestampTz create_time;
	text	   *order_sn;
	text	   *order_status;
	PageStore	store;			/* id, platform, shop_id and places alone */
	OrderLine	line;			/* without names and price */
	int64		returned;		/* sold units of it that came back, as the roll-ups know */
} LoneLine;

/* What order_line_read expects to have been selected; conditions, order and lock of `o` follow. */
#define ORDER_LINE_SELECT \
	"SELECT o.order_id, l.recorded_at, o.update_time, o.fetched_at, o.create_time, o.order_sn, " \
	"       o.status::text, t.platform, t.shop_id, l.sku_id, l.line_id, l.location_id, l.status::text, " \
	"       l.state::text, l.qty, l.cancelled_qty, coalesce(l.returned_qty, 0), l.reserved, l.shipped, l.restocked, " \
	"       l.lost, l.short, l.effects, l.pack, l.store_id, " \
	"       ARRAY(SELECT z.location_id FROM storesync.store_location z WHERE z.store_id = l.store_id), " \
	/* what came to be a bundle before anything was booked is booked as one */ \
	"       coalesce(l.parts, CASE WHEN l.reserved = 0 AND l.shipped = 0 THEN " \
	"         (SELECT jsonb_agg(jsonb_build_object('sku_id', c.sku_id, 'per', c.qty) ORDER BY c.sku_id) " \
	"          FROM storesync.component c WHERE c.bundle_id = l.sku_id AND c.qty > 0) END) " \
	"FROM storesync.sales_order_line l " \
	"JOIN storesync.sales_order o ON o.order_id = l.order_id AND o.recorded_at = l.recorded_at " \
	"JOIN storesync.store t ON t.store_id = l.store_id "

/* The lines of the statement just executed; frees its result. */
extern LoneLine *order_line_read(int *n);

/* What is needed to move stock for the line; `reason` says why. */
extern LineDraw order_line_draw(LoneLine *lone, StockJournal *journal, const StockHold *hold, const char *reason);

/*
 * Write the journal, the lines that are marked as changed, and a row of the
 * history with this outcome for each.
 */
extern void order_line_write(StockJournal *journal, LoneLine *lones, int n, const char *outcome);

/* Lock orders in the order of locks; ids come back in it, repeats and orders that are gone left out. Returns how many. */
extern int	order_lock_orders(int n, int64 *order_ids);

/*
 * Lock all places of the SKUs given, of the short lines of orders that are
 * locked, and of all that their lines of several parts hold.
 */
extern void order_line_lock_stock(int norders, const int64 *order_ids, int nskus, const int64 *sku_ids,
								  StockHold *hold);

/* The end of a call: short lines get what these places have, the outbox hears of the SKUs that moved. */
extern void order_line_finish(StockJournal *journal, const StockHold *hold);
/* The same for a call that locked no order: short lines get what came free. */
extern void order_line_serve(StockJournal *journal, const StockHold *hold);

#endif
