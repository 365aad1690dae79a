/*
 * ship.h
 *		Shipping and cancelling orders at their platforms: a kind of work
 *		(work.h) and two kinds of tasks (task_internal.h). docs/ship.md has the
 *		rules.
 */
#ifndef STORESYNC_SHIP_H
#define STORESYNC_SHIP_H

#include "storesync.h"

#include "lib/ilist.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;

/* Lives in its DispatchStore. Zeroed: nothing to ship. */
typedef struct StoreShips
{
	dlist_head	jobs;			/* in the order in which they were taken up */
	int			n;
} StoreShips;

/* As a kind of work. */
extern TimestampTz ship_due(const DispatchStore *store);
extern void ship_build(DispatchStore *store);
extern void ship_answered(DispatchCall *call);
extern void ship_settle(DispatchCall *call, Record *record);
extern void ship_return(DispatchCall *call);

#endif
