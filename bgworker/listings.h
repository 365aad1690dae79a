/*
 * listings.h
 *		Reading a shop's whole catalogue, for a task fetch_listings.
 *		docs/onboarding.md has the rules.
 *
 * One walk a store at a time, in the lane of listing work. In memory is one
 * page of the shop's list; what was found is in tables with each call, under
 * the task's number, and comes to be seen as a whole when the walk is over.
 */
#ifndef STORESYNC_LISTINGS_H
#define STORESYNC_LISTINGS_H

#include "record.h"
#include "store_listings.h"

/*
 * Begin the walk of a task, or go on with it where the tables say that it was
 * left. In the round's transaction. False when its walk is over already.
 */
extern bool listings_ask(DispatchStore *store, int64 task_id);
/* The walk is over and ended well: what it found is what there is. In the round's transaction. Returns a text of it. */
extern const char *listings_show(DispatchStore *store);

/* As bgworker/work.h has them. */
extern TimestampTz listings_due(const DispatchStore *store);
extern void listings_build(DispatchStore *store);
extern void listings_answered(DispatchCall *call);
extern void listings_settle(DispatchCall *call, Record *record);
extern void listings_return(DispatchCall *call);
/* A call of a walk, and not one that reads known listings back. */
extern bool listings_own(const DispatchCall *call);

/* Write what a call found under the walk's number. False: it could not be; the log says why. Not called inside a transaction. */
extern bool listings_store(const DispatchCall *call);
/* Units that a read has seen locked of these listings: allotments follow. Likewise. */
extern bool listings_locked(int n, const int64 *listing_ids, const int64 *reserved, TimestampTz seen_at);

#endif
