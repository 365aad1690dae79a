/*
 * returns.h
 *		What platforms say of goods that buyers want to return: their lists
 *		are asked for at a slow pace, and kept. Goods are back when somebody
 *		has received them (receive_return), never because a list says so.
 *
 * It has the lane of listing work; one call is under way a store.
 */
#ifndef STORESYNC_RETURNS_H
#define STORESYNC_RETURNS_H

#include "storesync.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;

/* Lives in its DispatchStore. */
typedef struct StoreReturns
{
	int64		every_us;		/* from one fetch to the next; 0: never */
	TimestampTz through;		/* all that changed until then is kept; 0: none was ever asked for */
	TimestampTz due;			/* of the next call; 0: at once */
	bool		walking;		/* the window below has pages left */
	TimestampTz began;			/* when that was made */
	TimestampTz from;
	TimestampTz to;
	char	   *cursor;			/* of the next page; in TopMemoryContext, NULL for the first */
	bool		flying;
	int			failures;		/* in a row */
} StoreReturns;

/* How often (0: never), and up to when they have been fetched (0: not yet), as the tables say. */
extern void returns_set(DispatchStore *store, int64 every_us, TimestampTz through);

extern TimestampTz returns_due(const DispatchStore *store);
extern void returns_build(DispatchStore *store);
extern void returns_settle(DispatchCall *call, Record *record);
extern void returns_give_back(DispatchCall *call);

#endif
