/*
 * drift.h
 *		Listings whose shops show something else than was expected, by so much
 *		that people have to confirm it before it is written (docs/compensate.md).
 *
 * Nothing raises or lowers such a listing to what is wanted but a write that
 * is below both: what the shop shows and what was expected of it. So a sale
 * goes out, and a 0 always does; either ends the matter.
 */
#ifndef STORESYNC_DRIFT_H
#define STORESYNC_DRIFT_H

#include "listing_read.h"

extern void drift_init(void);
/* (Re)read which listings are concerned. SPI connected. */
extern void drift_load(void);
/* One more is. */
extern void drift_add(int64 listing_id);
/* Whether it is, as far as was known when it was compared last. */
extern bool drift_holds(int64 listing_id);
/* Of these listings those that must not be written now are not due any more. SPI connected. */
extern void drift_hold(ListingTerms *listings, int n);

#endif
