/*
 * catalogue.h
 *		What the catalogue file says: the application, its shops, the SKUs and
 *		the listings. Constant after loading, so reading it needs no lock;
 *		what changes lives in market.h and token.h.
 */
#ifndef SIM_CATALOGUE_H
#define SIM_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#define NO_INDEX UINT32_MAX
#define MAX_UNITS INT64_C(1000000000)	/* largest quantity of one SKU or listing */
#define MAX_ID INT64_C(9007199254740991)	/* 2^53 - 1: ids travel as JSON numbers */

typedef struct CatalogueShop
{
	int64_t		shop_id;
	char	   *access_token;
	char	   *refresh_token;
	uint32_t	first_listing;	/* its listings are neighbours */
	uint32_t	n_listings;
} CatalogueShop;

typedef struct CatalogueSku
{
	char	   *code;
	int64_t		opening;		/* units in stock when the simulation starts */
} CatalogueSku;

/* What keeps an item from being sold or written; an item's is that of its first listing that is there. */
typedef enum CatalogueState
{
	LISTING_NORMAL,
	LISTING_UNLISTED,
	LISTING_BANNED,
	LISTING_KIT,				/* made of other items: its quantity is not the seller's to write */
	LISTING_GONE				/* the shop does not have it, or not yet; of one model by itself */
} CatalogueState;

typedef struct CatalogueListing
{
	uint32_t	shop;			/* index into shops */
	uint32_t	sku;			/* index into skus */
	int64_t		item_id;
	int64_t		model_id;		/* 0: an item without models */
	int64_t		opening_shown;	/* units the shop shows at start */
	double		price;
	char	   *code;			/* the seller's, as the shop has it; NULL: the SKU's */
	char	   *name;			/* NULL: the SKU's code */
	CatalogueState state;
} CatalogueListing;

typedef struct Catalogue
{
	int64_t		partner_id;
	char	   *partner_key;
	CatalogueShop *shops;		/* sorted by shop_id */
	uint32_t	n_shops;
	CatalogueSku *skus;			/* sorted by code */
	uint32_t	n_skus;
	CatalogueListing *listings; /* sorted by shop, item_id, model_id */
	uint32_t	n_listings;
} Catalogue;

/* False, with a message on stderr, when the file is not as it should be. */
extern bool catalogue_load(Catalogue *catalogue, const char *file);
extern void catalogue_free(Catalogue *catalogue);

/* Indexes; NO_INDEX when there is none. */
extern uint32_t catalogue_shop(const Catalogue *catalogue, int64_t shop_id);
extern uint32_t catalogue_sku(const Catalogue *catalogue, const char *code);
extern uint32_t catalogue_listing(const Catalogue *catalogue, uint32_t shop, int64_t item_id,
								  int64_t model_id);

/* The state of that name; false when there is none. */
extern bool catalogue_state_named(const char *name, CatalogueState *state);
/* Whether nobody can buy what is in this state. */
extern bool catalogue_state_closed(CatalogueState state);

/* The seller's code and the name of a listing, as the shop has them. */
extern const char *catalogue_code(const Catalogue *catalogue, uint32_t listing);
extern const char *catalogue_name(const Catalogue *catalogue, uint32_t listing);

/* First listing of an item and, in *count, how many listings (models) it has. */
extern uint32_t catalogue_item(const Catalogue *catalogue, uint32_t shop, int64_t item_id,
							   uint32_t *count);

#endif
