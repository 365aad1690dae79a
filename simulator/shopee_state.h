/*
 * shopee_state.h
 *		What a shop has at Shopee beside its stock and orders: prices, what is
 *		taken off the shelf, and promotions that lock a price. Guarded by the
 *		market's lock.
 */
#ifndef SIM_SHOPEE_STATE_H
#define SIM_SHOPEE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"

typedef struct ShopeeListing
{
	int64_t		price;			/* in dollars */
	bool		unlisted;		/* an item's is that of its first model */
	CatalogueState state;		/* normal, banned, kit or gone */
	int64_t		locked_until_us;	/* a promotion holds the price until then */
} ShopeeListing;

typedef struct ShopeeState
{
	ShopeeListing *listings;	/* as the catalogue's */
} ShopeeState;

extern void shopee_init(ShopeeState *state, const Catalogue *catalogue);
extern void shopee_free(ShopeeState *state);

#endif
