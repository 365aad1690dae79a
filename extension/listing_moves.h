/*
 * listing_moves.h
 *		What has moved listings since their shops last acknowledged a
 *		quantity, and whether such a change counts for the mass-change breaker
 *		(docs/breaker.md).
 */
#ifndef STORESYNC_LISTING_MOVES_H
#define STORESYNC_LISTING_MOVES_H

#include "listing_read.h"

typedef struct ListingMoves
{
	int64		listing_id;
	ListingBase base;			/* since when */
	bool		found;			/* there is such a listing; the rest is about it */
	bool		direct;			/* found without a statement */
	bool		shaped;			/* policy, mapping or another input that is no stock has changed */
	bool		counted;		/* a count or transfer was booked */
	bool		released;		/* a reservation was given back */
	bool		freed;			/* a stop or hold has ended */
	int64		sold;			/* sold units, rounded up: reserved, shipped or short, less released */
	int64		received;		/* sold units, rounded up */
} ListingMoves;

/*
 * Fill in what has moved n listings, in any order. SPI connected, as the
 * owner; under a snapshot of its own, or of its statement.
 */
extern void listing_moves_read(ListingMoves *moves, int n);

/*
 * Whether a change from `believed` to `wanted`, sold units, counts: a decrease
 * that sales do not explain, a raise that goods received do not explain.
 */
extern bool listing_moves_count(const ListingMoves *moves, int64 wanted, int64 believed);

#endif
