/*
 * breaker.h
 *		The mass-change breaker of each store: when so many of its listings are
 *		to change for another cause than a sale, people look first.
 *
 * Every comparison that would have a listing written is noted here with what
 * was last acknowledged. As long as a store has fewer notes within its window
 * than it takes to open, nothing is asked of the tables; then their causes are
 * found, and those that sales or receipts explain are forgotten. Enough
 * of the others, and the breaker opens: they leave the queue, and until
 * release_breaker() each further one does. What may go out of a listing that
 * is held, breaker_bound says: what sales take from it, and no more.
 *
 * What is held is in tables (breaker, breaker_listing) and survives this
 * process; what was noted is not.
 */
#ifndef STORESYNC_BREAKER_H
#define STORESYNC_BREAKER_H

#include "queue.h"
#include "stores.h"
#include "target.h"

extern void breaker_init(void);

/* Read what the tables say; after stores_load. SPI connected, as are all below but breaker_undone. */
extern void breaker_load(void);

/* A compared listing is to be written. True when it is held: breaker_run decides what becomes of it. */
extern bool breaker_takes(DispatchStore *store, const ListingTerms *listing, const QueueWant *want);

/* Whether a listing's change is held: it is compared again when something of it is acknowledged. No SPI. */
extern bool breaker_holds(int64 listing_id);

/* A compared listing need not be written: there is nothing to be held any more. */
extern void breaker_undone(int64 listing_id);

/* After the comparisons of a round: open what has to be opened, hold what has to be held. */
extern void breaker_run(TimestampTz now);

/* Of targets that are held: what may be sent meanwhile. */
extern void breaker_bound(ListingTerms *targets, int n);

#endif
