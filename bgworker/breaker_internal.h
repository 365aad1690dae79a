/*
 * breaker_internal.h
 *		What the files of the mass-change breaker share: breaker.c notes changes
 *		and decides, breaker_mark.c keeps what was decided, in tables.
 */
#ifndef STORESYNC_BREAKER_INTERNAL_H
#define STORESYNC_BREAKER_INTERNAL_H

#include "breaker.h"
#include "set.h"

/* A listing that has a row in breaker_listing. */
typedef struct BreakerMark
{
	int64		listing_id;		/* hash key */
	bool		passed;			/* else held */
	ListingBase base;			/* of a passed one */
} BreakerMark;

extern void breaker_init_marks(void);
/* NULL when the listing has none. */
extern const BreakerMark *breaker_mark(int64 listing_id);

/* Which breakers are open, and all marks, as the tables have them. */
extern void breaker_load_open(void);
extern void breaker_load_marks(void);

/* Before any of the next three: nobody else writes the tables until the end of the transaction. */
extern void breaker_lock(void);
/* With the tables locked: release_breaker() has not come in between. */
extern bool breaker_still_open(const DispatchStore *store);
/* The store's breaker opens; audit row and one line in the log. */
extern void breaker_write_open(const DispatchStore *store);
/* Listings of a store, one bigint each, are held. */
extern void breaker_write_held(const DispatchStore *store, SsSet *held);
/* Listings, one bigint each, need no mark any more; locks by itself. */
extern void breaker_write_undone(SsSet *undone);

#endif
