/*
 * allotment.h
 *		Units of a SKU set aside for one listing: what follows from a change of
 *		them, and their end.
 */
#ifndef STORESYNC_ALLOTMENT_H
#define STORESYNC_ALLOTMENT_H

#include "storesync.h"

/* Have the listings of SKUs, and of bundles with them, compared. SPI connected, as the owner. */
extern void allotment_tell(int n, const int64 *sku_ids);

/*
 * End at most `max` allotments whose time is over, and have the listings that
 * it moves compared. Returns how many. SPI connected, as the owner; with no
 * lock of a place held.
 */
extern int64 allotment_end(TimestampTz now, int max);

#endif
