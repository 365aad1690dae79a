/*
 * push.h
 *		Stock calls: from dirty listings of one item to a request, from an
 *		answer to the fate of each of them.
 */
#ifndef STORESYNC_PUSH_H
#define STORESYNC_PUSH_H

#include "record.h"

/* Listings in one stock call, whatever the platform would take. */
#define PUSH_MAX_ITEMS 50

/* Listings of one item, taken from the queue for a call whose token has been taken. */
typedef struct PushPick
{
	DispatchStore *store;
	RateGrant	grant;			/* of the call to be */
	int			n;
	QueueListing *taken[PUSH_MAX_ITEMS];
} PushPick;

extern void push_pick(DispatchStore *store, bool decrease, TimestampTz now, PushPick *pick);
/*
 * Build the calls of all picks with quantities read now. Returns how many
 * needed no call after all: their stores, whose tokens are unused, are in the
 * first picks. SPI connected, as the owner.
 */
extern int	push_build(PushPick *picks, int n, TimestampTz now);
/*
 * Record what became of the call, and which listings have to be compared again.
 */
extern void push_settle(DispatchCall *call, Record *record);
/* The call could not be started: its listings wait as before. */
extern void push_return(DispatchCall *call);

#endif
