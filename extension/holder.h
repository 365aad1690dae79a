/*
 * holder.h
 *		Who holds what of a place by direct calls: reservations and shipments,
 *		by reference ('' when the caller gave none). Order lines hold their own.
 *
 * Locking: the place's lock (stock.h) guards its holders.
 */
#ifndef STORESYNC_HOLDER_H
#define STORESYNC_HOLDER_H

#include "storesync.h"

#include "stock.h"

typedef struct Holder
{
	int64		sku_id;
	int32		location_id;
	text	   *reference;
} Holder;

/* Units that the holder has to give for a movement of this kind; unlimited for receive and reserve. */
extern int64 holder_has(const Holder *holder, MovementKind kind);

/* Book a movement on its holder. expires_at is for reserve alone, DT_NOEND for never. */
extern void holder_book(const Holder *holder, MovementKind kind, int64 qty, TimestampTz expires_at);

#endif
