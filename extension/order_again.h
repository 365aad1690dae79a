/*
 * order_again.h
 *		An order's newest document once more, as the books have it: for what
 *		changed around the order since it came.
 */
#ifndef STORESYNC_ORDER_AGAIN_H
#define STORESYNC_ORDER_AGAIN_H

#include "storesync.h"

#include "stock.h"

/* Lock all places of the orders' lines, of the SKUs that parked ones would be booked on, and of those given. */
extern void order_again_lock_stock(int norders, const int64 *order_ids, int nskus, const int64 *sku_ids,
								   StockHold *hold);

/*
 * Book the newest document of each order again. Orders and stock are locked;
 * partitions are made by what it calls.
 */
extern void order_again(int norders, const int64 *order_ids);

#endif
