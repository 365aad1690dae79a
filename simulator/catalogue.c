/*
 * catalogue.c
 *		Loads the catalogue file and looks things up in it; see catalogue.h.
 *
 * The file is read twice, shops and SKUs first, listings then, so that its
 * lines may come in any order.
 */
#include "catalogue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "tsv.h"

#define MAX_SHOPS 1000			/* each keeps the record of its last calls */
#define MAX_SKUS 1000000
#define MAX_LISTINGS 2000000
#define MAX_ID32 INT64_C(4294967295)	/* partner_id and shop_id are 32 bits at the platform */

/* Makes room for one more record; the size doubles at powers of two. */
static void *
room_for_one(void *array, uint32_t count, size_t size)
{
	if (count != 0 && (count < 16 || (count & (count - 1)) != 0))
		return array;
	return sim_grow(array, (count == 0 ? 16 : (size_t) count * 2) * size);
}

static bool
load_app(Catalogue *catalogue, const Tsv *tsv)
{
	if (tsv->n_fields != 3 || tsv->field[2][0] == '\0')
		return tsv_error(tsv, "expected: app, partner_id, partner_key");
	if (catalogue->partner_key != NULL)
		return tsv_error(tsv, "a second application");
	catalogue->partner_key = sim_copy(tsv->field[2]);
	return tsv_integer(tsv, 1, 1, MAX_ID32, &catalogue->partner_id);
}

static bool
load_shop(Catalogue *catalogue, const Tsv *tsv)
{
	CatalogueShop *shop;

	if (tsv->n_fields != 4 || tsv->field[2][0] == '\0' || tsv->field[3][0] == '\0')
		return tsv_error(tsv, "expected: shop, shop_id, access_token, refresh_token");
	if (catalogue->n_shops >= MAX_SHOPS)
		return tsv_error(tsv, "too many shops");
	catalogue->shops = room_for_one(catalogue->shops, catalogue->n_shops, sizeof(CatalogueShop));
	shop = &catalogue->shops[catalogue->n_shops++];
	memset(shop, 0, sizeof(*shop));
	shop->access_token = sim_copy(tsv->field[2]);
	shop->refresh_token = sim_copy(tsv->field[3]);
	return tsv_integer(tsv, 1, 1, MAX_ID32, &shop->shop_id);
}

static bool
load_sku(Catalogue *catalogue, const Tsv *tsv)
{
	CatalogueSku *sku;

	if (tsv->n_fields != 3 || tsv->field[1][0] == '\0')
		return tsv_error(tsv, "expected: sku, code, opening_units");
	if (catalogue->n_skus >= MAX_SKUS)
		return tsv_error(tsv, "too many SKUs");
	catalogue->skus = room_for_one(catalogue->skus, catalogue->n_skus, sizeof(CatalogueSku));
	sku = &catalogue->skus[catalogue->n_skus++];
	sku->code = sim_copy(tsv->field[1]);
	return tsv_integer(tsv, 2, 0, MAX_UNITS, &sku->opening);
}

bool
catalogue_state_named(const char *name, CatalogueState *state)
{
	static const char *const states[] = {"normal", "unlisted", "banned", "kit", "gone"};

	for (int i = 0; i < (int) (sizeof(states) / sizeof(states[0])); i++)
	{
		if (strcmp(name, states[i]) == 0)
		{
			*state = (CatalogueState) i;
			return true;
		}
	}
	return false;
}

bool
catalogue_state_closed(CatalogueState state)
{
	return state == LISTING_BANNED || state == LISTING_GONE;
}

/* Reads what a listing may have beside the rest; an empty field is as if it were not there. */
static bool
load_appearance(CatalogueListing *listing, const Tsv *tsv)
{
	if (tsv->n_fields > 7 && tsv->field[7][0] != '\0')
		listing->code = sim_copy(tsv->field[7]);
	if (tsv->n_fields > 8 && tsv->field[8][0] != '\0')
		listing->name = sim_copy(tsv->field[8]);
	if (tsv->n_fields <= 9 || tsv->field[9][0] == '\0')
		return true;
	if (catalogue_state_named(tsv->field[9], &listing->state))
		return true;
	return tsv_error(tsv, "a state is one of normal, unlisted, banned, kit, gone");
}

static bool
load_listing(Catalogue *catalogue, const Tsv *tsv)
{
	CatalogueListing *listing;
	int64_t		shop_id;
	char	   *end;

	if (tsv->n_fields < 7 || tsv->n_fields > 10)
		return tsv_error(tsv, "expected: listing, shop_id, sku_code, item_id, model_id, shown_units, price[, code, name, state]");
	if (catalogue->n_listings >= MAX_LISTINGS)
		return tsv_error(tsv, "too many listings");
	catalogue->listings = room_for_one(catalogue->listings, catalogue->n_listings,
									   sizeof(CatalogueListing));
	listing = &catalogue->listings[catalogue->n_listings++];
	memset(listing, 0, sizeof(*listing));

	if (!tsv_integer(tsv, 1, 1, MAX_ID32, &shop_id) ||
		!tsv_integer(tsv, 3, 1, MAX_ID, &listing->item_id) ||
		!tsv_integer(tsv, 4, 0, MAX_ID, &listing->model_id) ||
		!tsv_integer(tsv, 5, 0, MAX_UNITS, &listing->opening_shown))
		return false;
	listing->price = strtod(tsv->field[6], &end);
	if (end == tsv->field[6] || *end != '\0' || !(listing->price >= 0 && listing->price <= 1e12))
		return tsv_error(tsv, "not a price");
	listing->shop = catalogue_shop(catalogue, shop_id);
	if (listing->shop == NO_INDEX)
		return tsv_error(tsv, "unknown shop");
	listing->sku = catalogue_sku(catalogue, tsv->field[2]);
	if (listing->sku == NO_INDEX)
		return tsv_error(tsv, "unknown SKU");
	return load_appearance(listing, tsv);
}

/* Reads the whole file, taking the listings or everything else. */
static bool
load_pass(Catalogue *catalogue, const char *file, bool listings)
{
	Tsv			tsv;
	bool		ok;

	ok = tsv_open(&tsv, file);
	while (ok && tsv_next(&tsv))
	{
		if (strcmp(tsv.field[0], "listing") == 0)
			ok = !listings || load_listing(catalogue, &tsv);
		else if (listings)
			continue;
		else if (strcmp(tsv.field[0], "app") == 0)
			ok = load_app(catalogue, &tsv);
		else if (strcmp(tsv.field[0], "shop") == 0)
			ok = load_shop(catalogue, &tsv);
		else if (strcmp(tsv.field[0], "sku") == 0)
			ok = load_sku(catalogue, &tsv);
		else
			ok = tsv_error(&tsv, "a record is one of app, shop, sku, listing");
	}
	tsv_close(&tsv);
	return ok;
}

static int
compare_integers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int
compare_shops(const void *a, const void *b)
{
	return compare_integers(((const CatalogueShop *) a)->shop_id,
							((const CatalogueShop *) b)->shop_id);
}

static int
compare_skus(const void *a, const void *b)
{
	return strcmp(((const CatalogueSku *) a)->code, ((const CatalogueSku *) b)->code);
}

static int
compare_listings(const void *a, const void *b)
{
	const CatalogueListing *x = a;
	const CatalogueListing *y = b;
	int			order = compare_integers(x->shop, y->shop);

	if (order == 0)
		order = compare_integers(x->item_id, y->item_id);
	if (order == 0)
		order = compare_integers(x->model_id, y->model_id);
	return order;
}

static bool
catalogue_error(const char *file, const char *what, const char *which, int64_t id)
{
	fprintf(stderr, "simulator: %s: %s %s%" PRId64 "\n", file, what, which, id);
	return false;
}

/* Sorts shops and SKUs and refuses repeated ones. */
static bool
sort_shops_and_skus(Catalogue *catalogue, const char *file)
{
	if (catalogue->partner_key == NULL || catalogue->n_shops == 0)
	{
		fprintf(stderr, "simulator: %s: an application and at least one shop are needed\n", file);
		return false;
	}
	qsort(catalogue->shops, catalogue->n_shops, sizeof(CatalogueShop), compare_shops);
	if (catalogue->n_skus > 0)
		qsort(catalogue->skus, catalogue->n_skus, sizeof(CatalogueSku), compare_skus);

	for (uint32_t i = 1; i < catalogue->n_shops; i++)
	{
		if (compare_shops(&catalogue->shops[i - 1], &catalogue->shops[i]) == 0)
			return catalogue_error(file, "repeated shop", "", catalogue->shops[i].shop_id);
	}
	for (uint32_t i = 1; i < catalogue->n_skus; i++)
	{
		if (compare_skus(&catalogue->skus[i - 1], &catalogue->skus[i]) == 0)
		{
			fprintf(stderr, "simulator: %s: repeated SKU \"%s\"\n", file, catalogue->skus[i].code);
			return false;
		}
	}
	return true;
}

/* Sorts listings, refuses what contradicts itself and notes each shop's part. */
static bool
sort_listings(Catalogue *catalogue, const char *file)
{
	if (catalogue->n_listings > 0)
		qsort(catalogue->listings, catalogue->n_listings, sizeof(CatalogueListing), compare_listings);
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		const CatalogueListing *listing = &catalogue->listings[i];
		const CatalogueListing *before = i > 0 ? listing - 1 : NULL;
		CatalogueShop *shop = &catalogue->shops[listing->shop];

		if (shop->n_listings++ == 0)
			shop->first_listing = i;
		if (before == NULL || before->shop != listing->shop || before->item_id != listing->item_id)
			continue;
		if (before->model_id == listing->model_id)
			return catalogue_error(file, "repeated listing", "of item ", listing->item_id);
		if (before->model_id == 0)
			return catalogue_error(file, "with and without models:", "item ", listing->item_id);
	}
	return true;
}

bool
catalogue_load(Catalogue *catalogue, const char *file)
{
	memset(catalogue, 0, sizeof(*catalogue));
	return load_pass(catalogue, file, false) &&
		sort_shops_and_skus(catalogue, file) &&
		load_pass(catalogue, file, true) &&
		sort_listings(catalogue, file);
}

void
catalogue_free(Catalogue *catalogue)
{
	for (uint32_t i = 0; i < catalogue->n_shops; i++)
	{
		free(catalogue->shops[i].access_token);
		free(catalogue->shops[i].refresh_token);
	}
	for (uint32_t i = 0; i < catalogue->n_skus; i++)
		free(catalogue->skus[i].code);
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		free(catalogue->listings[i].code);
		free(catalogue->listings[i].name);
	}
	free(catalogue->partner_key);
	free(catalogue->shops);
	free(catalogue->skus);
	free(catalogue->listings);
	memset(catalogue, 0, sizeof(*catalogue));
}

uint32_t
catalogue_shop(const Catalogue *catalogue, int64_t shop_id)
{
	CatalogueShop wanted = {.shop_id = shop_id};
	const CatalogueShop *found;

	found = bsearch(&wanted, catalogue->shops, catalogue->n_shops, sizeof(wanted), compare_shops);
	return found != NULL ? (uint32_t) (found - catalogue->shops) : NO_INDEX;
}

uint32_t
catalogue_sku(const Catalogue *catalogue, const char *code)
{
	uint32_t	low = 0;
	uint32_t	high = catalogue->n_skus;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;
		int			order = strcmp(catalogue->skus[middle].code, code);

		if (order == 0)
			return middle;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NO_INDEX;
}

/* The first listing that is not before (shop, item_id, model_id). */
static uint32_t
lower_bound(const Catalogue *catalogue, uint32_t shop, int64_t item_id, int64_t model_id)
{
	CatalogueListing wanted = {.shop = shop,.item_id = item_id,.model_id = model_id};
	uint32_t	low = 0;
	uint32_t	high = catalogue->n_listings;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (compare_listings(&catalogue->listings[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t
catalogue_listing(const Catalogue *catalogue, uint32_t shop, int64_t item_id, int64_t model_id)
{
	uint32_t	i = lower_bound(catalogue, shop, item_id, model_id);
	const CatalogueListing *listing = &catalogue->listings[i];

	if (i < catalogue->n_listings && listing->shop == shop && listing->item_id == item_id &&
		listing->model_id == model_id)
		return i;
	return NO_INDEX;
}

uint32_t
catalogue_item(const Catalogue *catalogue, uint32_t shop, int64_t item_id, uint32_t *count)
{
	uint32_t	first = lower_bound(catalogue, shop, item_id, 0);
	uint32_t	end = first;

	while (end < catalogue->n_listings && catalogue->listings[end].shop == shop &&
		   catalogue->listings[end].item_id == item_id)
		end++;
	*count = end - first;
	return end > first ? first : NO_INDEX;
}

const char *
catalogue_code(const Catalogue *catalogue, uint32_t listing)
{
	const char *code = catalogue->listings[listing].code;

	return code != NULL ? code : catalogue->skus[catalogue->listings[listing].sku].code;
}

const char *
catalogue_name(const Catalogue *catalogue, uint32_t listing)
{
	const char *name = catalogue->listings[listing].name;

	return name != NULL ? name : catalogue->skus[catalogue->listings[listing].sku].code;
}
