/*
 * price_internal.h
 *		What the two sides of a price call share, which builds it (price.c) and
 *		which settles it (price_settle.c): the rows that its elements write.
 */
#ifndef STORESYNC_PRICE_INTERNAL_H
#define STORESYNC_PRICE_INTERNAL_H

#include "price.h"

#include "stores.h"

/*
 * What a statement needs to find the rows that element `i` of a call wrote:
 * under the ids that the listings have now, so that nothing is said of one
 * that has come to stand for another item.
 */
#define WRITTEN_LISTINGS	"l.store_id = $2 AND l.item_id = $3 AND ($4 IS NULL OR l.model_id = $4)"
#define WRITTEN_ROWS		"l.listing_id = o.listing_id AND o.facet = $1 AND " WRITTEN_LISTINGS
#define WRITTEN_PARAMETERS 4

/* Fill in the first WRITTEN_PARAMETERS of a statement with WRITTEN_ROWS for element `i` of a call. */
extern void price_name_written(const DispatchCall *call, int i, Datum *values, char *nulls);
/* A price, as text, as a numeric. */
extern Datum price_numeric(const char *text);
/* Whether a call of this kind writes items with all their models. */
extern bool price_is_whole(const DispatchStore *store, CallKind kind);

#endif
