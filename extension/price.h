/*
 * price.h
 *		Changes of prices and listing state that take place later.
 */
#ifndef STORESYNC_PRICE_H
#define STORESYNC_PRICE_H

#include "storesync.h"

/*
 * A listing is to be listed, or not: now, or at `at` where that lies ahead.
 * SPI connected, as the owner. Locks the listing's row.
 */
extern void price_want_listed(int64 listing_id, bool listed, TimestampTz at);

/*
 * Do what was planned for up to `now`, at most `max` of it; returns how much
 * was. What another session is at is left for later. SPI connected, as the owner.
 */
extern int64 price_planned(TimestampTz now, int max);

#endif
