/*
 * holder.h
 *		Who holds what of a place by direct calls, by reference ('' when the
 *		caller gave none): reserved, shipped and taken back. Order lines hold
 *		their own.
 *
 * Locking: the place's lock (stock.h) guards its holders.
 */
#ifndef STORESYNC_HOLDER_H
#define STORESYNC_HOLDER_H

#include "storesync.h"

#include "storage/itemptr.h"

#include "stock.h"

typedef struct Holder
{
	int64		sku_id;
	int32		location_id;
	text	   *reference;

	/* its newest state, filled by holder_load */
	int64		version;		/* of the ledger row that made it; 0: none yet */
	int64		held;
	int64		shipped;
	int64		restocked;
	TimestampTz expires_at;		/* DT_NOEND: never */
	ItemPointerData row;		/* where it lies; invalid when a statement read it */
} Holder;

/* Read what the holder stands at; its place is locked. */
extern void holder_load(Holder *holder);

/* Units that a loaded holder has to give for a movement of this kind; unlimited for receive and reserve. */
extern int64 holder_has(const Holder *holder, MovementKind kind);

/*
 * Book a movement on a loaded holder: `version` is that of its ledger row.
 * expires_at is for reserve alone, DT_NOEND for never.
 */
extern void holder_book(Holder *holder, MovementKind kind, int64 qty, TimestampTz expires_at, int64 version);

#endif
