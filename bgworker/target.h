/*
 * target.h
 *		Which listings are dirty: tables compared, the queue brought in line.
 */
#ifndef STORESYNC_TARGET_H
#define STORESYNC_TARGET_H

#include "feed.h"
#include "listing_read.h"
#include "set.h"

/* Whether writing `to_send` lowers what the platform may show, -1 for unknown: then only 0 surely does. */
extern bool target_lowers(int64 to_send, int64 at_most);

/* The queue refused listings: compare everything once it has room again. */
extern bool target_overflow;

/* Compare the listings of these SKUs and these listings; (id, when it changed) each. SPI connected. */
extern void target_compare(SsSet *skus, SsSet *listings);
/* Bring the queue in line with the terms of one listing, which changed then. */
extern void target_settle(const ListingTerms *listing, TimestampTz changed_at);
/* Compare all listings of one store, or of all with store_id 0. SPI connected. */
extern void target_compare_all(int store_id);
/*
 * The present terms of n listings, sorted by their ids; *found says how many
 * exist still. What the same transaction has compared is not read again. SPI
 * connected.
 */
extern ListingTerms *target_read(int64 *listing_ids, int n, int *found);
extern const ListingTerms *target_find(const ListingTerms *targets, int n, int64 listing_id);
/* A transaction begins. */
extern void target_begin(void);

#endif
