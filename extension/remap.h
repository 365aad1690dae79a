/*
 * remap.h
 *		A line of an order that was booked on the wrong SKU, or with the wrong
 *		pack, taken back from it and booked on the right one.
 *
 * Locking: as order_line.h; the places of the old SKU and of the new one are
 * in one hold, and those of the new one that goods were sent from or came
 * back to have been made.
 */
#ifndef STORESYNC_REMAP_H
#define STORESYNC_REMAP_H

#include "storesync.h"

#include "order_line.h"

/* What is said of movements and in histories; a ledger row that says it has in event_at the moment of what it corrects. */
#define REMAP_REASON	"remapped"

/* Units of a SKU that a line has sent from a place, or that came back there, as the ledger has them. */
typedef struct RemapMove
{
	int64		order_id;
	text	   *line_id;
	int64		sku_id;
	int32		location_id;
	bool		back;
	TimestampTz moment;			/* when it was booked */
	int64		units;
} RemapMove;

/* When a SKU was counted last at a location. */
typedef struct RemapCount
{
	int64		sku_id;
	int32		location_id;
	TimestampTz moment;
} RemapCount;

/* What lines are to be booked on, and what is known of the places. */
typedef struct RemapTo
{
	int64		sku_id;
	int32		pack;
	StockJournal *journal;
	const StockHold *hold;
	int			ncounts;
	RemapCount *counts;			/* sorted by sku_id, location_id */
	int			ntold;
	StockPlace **told;			/* places from which goods that came back could not be taken off */
} RemapTo;

/* Whether nothing of the line moves stock: it was kept without effect. */
extern bool remap_is_kept(const OrderLine *line);

/*
 * Take all back that the line has booked and book it on what it is to be. Its
 * n moves come sent ones first, then the oldest. Raises XX001 when they are
 * not what the line says.
 */
extern void remap_line(RemapTo *to, LoneLine *lone, const RemapMove *moves, int n);

#endif
