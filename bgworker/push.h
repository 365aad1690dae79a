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
	int			n;
	QueueListing *taken[PUSH_MAX_ITEMS];
} PushPick;

/* The oldest decrease (raise, when `raise`) of the store and what goes with it; there is one. */
extern void push_pick(DispatchStore *store, bool raise, PushPick *pick);
/* Build the calls of all picks with quantities read now. SPI connected, as the owner. */
extern void push_build(PushPick *picks, int n);
/* Record what became of the call; its listings have to be compared again and are added to `again`. */
extern void push_settle(DispatchCall *call, Record *record, SsSet *again);
/* The call could not be started: its listings wait as before. */
extern void push_return(DispatchCall *call);

#endif
