/*
 * read_call.h
 *		Calls that read what a shop shows of listings, whoever wants to know:
 *		what fits into one, and what its answer says of each.
 */
#ifndef STORESYNC_READ_CALL_H
#define STORESYNC_READ_CALL_H

#include "call.h"

/* Whether anything can be read on the store's platform. */
extern bool read_possible(const DispatchStore *store);
/*
 * Whether a listing, by item and model ("" for none), can be read by a call
 * that begins with another and has n so far: items without models as many as
 * the platform takes, or all models of one item.
 */
extern bool read_fits(const DispatchStore *store, const PlatformItem *first, int n, const PlatformItem *item);
/* Most listings in one call of the store. */
extern int	read_most(const DispatchStore *store);
/* A call that reads n items, which are copied; to be handed over. */
extern DispatchCall *read_create(DispatchStore *store, const PlatformItem *items, int n);
/* What the answer says of an item or model, NULL for nothing. */
extern const ShownItem *read_shown(const PlatformAnswer *answer, const PlatformItem *item);
/* Why what was read is no quantity, NULL when it is one. */
extern const char *read_problem(const ShownItem *shown);

#endif
