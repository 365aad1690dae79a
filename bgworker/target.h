/*
 * target.h
 *		Which listings are dirty: tables compared, the queue brought in line.
 */
#ifndef STORESYNC_TARGET_H
#define STORESYNC_TARGET_H

#include "set.h"
#include "feed.h"

/* What a listing should show, read in the transaction that builds its call. */
typedef struct Target
{
	int64		listing_id;
	int64		to_send;
	int64		version;
	int64		at_most;		/* the most the platform may show, -1 unknown */
	bool		due;			/* dirty, and not given up at this version */
	TimestampTz fetch_after;	/* not before its store's orders are fetched through this; 0: at once */
	const char *model_id;
} Target;

/* Whether writing `to_send` lowers what the platform may show, -1 for unknown: then only 0 surely does. */
extern bool target_lowers(int64 to_send, int64 at_most);

/* The queue refused listings: compare everything once it has room again. */
extern bool target_overflow;

/* Compare the listings of these SKUs and these listings; (id, when it changed) each; skus NULL for none. SPI connected. */
extern void target_compare(SsSet *skus, SsSet *listings);
/* Compare all listings of one store, or of all with store_id 0. SPI connected. */
extern void target_compare_all(int store_id);
/* The present targets of n listings, sorted by their ids; *found says how many exist still. SPI connected. */
extern Target *target_read(const int64 *listing_ids, int n, int *found);
extern const Target *target_find(const Target *targets, int n, int64 listing_id);

#endif
