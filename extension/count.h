/*
 * count.h
 *		Which reservations a count takes back, and which shipments it explains.
 */
#ifndef STORESYNC_COUNT_H
#define STORESYNC_COUNT_H

#include "storesync.h"

#include "order_line.h"

/*
 * Orders of the lines that would give up `units` reserved at a place, newest
 * unpaid first, then newest. Read without a lock: found again when it is held.
 */
extern int	count_find_reserved(const StockPlace *place, int64 units, int64 **order_ids);

/* Orders of the lines that were sent from the place without the books having them. */
extern int	count_find_gone(int64 sku_id, int32 location_id, int64 **order_ids);

/* The reserved lines of locked orders at a place, in the order in which they give up. */
extern LoneLine *count_load_reserved(const StockPlace *place, int norders, const int64 *order_ids, int *n);

/* Those of locked orders that were sent and are short; the ones that had left by a moment, or the others. */
extern LoneLine *count_load_gone(const StockPlace *place, int norders, const int64 *order_ids,
								 TimestampTz counted_at, bool before, int *n);

/* Lock orders without waiting: those that others have locked, or that have lines which are short or of several parts, are left out. */
extern int	count_lock_late(int n, int64 *order_ids);

#endif
