/*
 * shopee_item.c
 *		The Shopee dialect: reading a shop's items, their models and stock.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shopee.h"

#define MAX_PAGE 100
#define MAX_ITEMS 50

static bool
is_there(const ShopeeCall *call, uint32_t listing)
{
	return call->sim->shopee.listings[listing].state != LISTING_GONE;
}

uint32_t
shopee_item(const ShopeeCall *call, int64_t item_id, uint32_t *count, uint32_t *present)
{
	uint32_t	first = catalogue_item(&call->sim->catalogue, call->shop, item_id, count);

	if (first == NO_INDEX)
		return NO_INDEX;
	for (*present = first; *present < first + *count; (*present)++)
	{
		if (is_there(call, *present))
			return first;
	}
	return NO_INDEX;
}

uint32_t
shopee_model(const ShopeeCall *call, int64_t item_id, int64_t model_id)
{
	uint32_t	listing = catalogue_listing(&call->sim->catalogue, call->shop, item_id, model_id);

	return listing != NO_INDEX && is_there(call, listing) ? listing : NO_INDEX;
}

/* price_info and stock_info_v2 of one listing. */
static void
write_price_and_stock(const ShopeeCall *call, Text *text, uint32_t listing)
{
	int64_t		price = call->sim->shopee.listings[listing].price;
	int64_t		shown = call->sim->market.shown[listing];
	int64_t		reserved = call->sim->market.reserved[listing];

	text_addf(text, "\"price_info\":[{\"currency\":\"TWD\",\"original_price\":%" PRId64 ",\"current_price\":%" PRId64 "}]",
			  price, price);
	text_addf(text, ",\"stock_info_v2\":{\"summary_info\":{\"total_reserved_stock\":%" PRId64
			  ",\"total_available_stock\":%" PRId64 "}", reserved, shown);
	text_addf(text, ",\"seller_stock\":[{\"location_id\":\"\",\"stock\":%" PRId64
			  ",\"if_saleable\":true}],\"shopee_stock\":[]}", shown);
}

/* When the newest of an item's models changed. */
static int64_t
item_changed_s(const ShopeeCall *call, uint32_t first, uint32_t count)
{
	int64_t		changed_s = 0;

	for (uint32_t i = first; i < first + count; i++)
	{
		if (call->sim->market.changed_s[i] > changed_s)
			changed_s = call->sim->market.changed_s[i];
	}
	return changed_s;
}

static const char *
status_of(const ShopeeCall *call, uint32_t first, uint32_t present)
{
	return call->sim->shopee.listings[present].state == LISTING_BANNED ? "BANNED" :
		call->sim->shopee.listings[first].unlisted ? "UNLIST" : "NORMAL";
}

void
shopee_get_item_list(ShopeeCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const CatalogueShop *shop = &catalogue->shops[call->shop];
	uint32_t	end = shop->first_listing + shop->n_listings;
	int64_t		offset;
	int64_t		page_size;
	int64_t		from_s = 0;
	int64_t		to_s = INT64_MAX;
	int64_t		n = 0;
	uint32_t	count;
	Text		response = {0};

	if (!shopee_argument(call, "offset", 0, UINT32_MAX, &offset) ||
		!shopee_argument(call, "page_size", 1, MAX_PAGE, &page_size) ||
		request_argument(call->request, "item_status") == NULL)
	{
		shopee_error(call->answer, "error_param", "offset, page_size or item_status is invalid.");
		return;
	}
	(void) shopee_argument(call, "update_time_from", 0, UINT32_MAX, &from_s);
	(void) shopee_argument(call, "update_time_to", 0, UINT32_MAX, &to_s);

	text_addf(&response, "{\"item\":[");
	for (uint32_t i = shop->first_listing; i < end; i += count)
	{
		int64_t		item_id = catalogue->listings[i].item_id;
		const char *status;
		uint32_t	present;
		int64_t		changed_s;

		if (shopee_item(call, item_id, &count, &present) == NO_INDEX)
			continue;
		status = status_of(call, i, present);
		changed_s = item_changed_s(call, i, count);
		if (changed_s < from_s || changed_s > to_s || !request_has(call->request, "item_status", status))
			continue;
		n++;
		if (n <= offset || n > offset + page_size)
			continue;
		json_comma(&response);
		text_addf(&response, "{\"item_id\":%" PRId64 ",\"item_status\":\"%s\",\"update_time\":%" PRId64
				  ",\"tag\":{\"kit\":%s}}", item_id, status, changed_s,
				  call->sim->shopee.listings[present].state == LISTING_KIT ? "true" : "false");
	}
	text_addf(&response, "],\"total_count\":%" PRId64 ",\"has_next_page\":%s,\"next_offset\":%" PRId64 "}",
			  n, n > offset + page_size ? "true" : "false",
			  n > offset + page_size ? offset + page_size : 0);
	shopee_response(call->answer, "", "", &response);
	text_free(&response);
}

static void
write_item(const ShopeeCall *call, Text *text, uint32_t first, uint32_t count, uint32_t present)
{
	const CatalogueListing *listing = &call->sim->catalogue.listings[present];
	bool		has_model = listing->model_id != 0;
	int64_t		changed_s = item_changed_s(call, first, count);

	json_comma(text);
	text_addf(text, "{\"item_id\":%" PRId64 ",\"item_name\":", listing->item_id);
	json_string(text, catalogue_name(&call->sim->catalogue, first));
	text_addf(text, ",\"item_sku\":");
	json_string(text, has_model ? "" : catalogue_code(&call->sim->catalogue, first));
	text_addf(text, ",\"item_status\":\"%s\",\"create_time\":%" PRId64 ",\"update_time\":%" PRId64,
			  status_of(call, first, present), changed_s, changed_s);
	text_addf(text, ",\"has_model\":%s,\"has_promotion\":%s", has_model ? "true" : "false",
			  call->sim->market.reserved[first] > 0 ? "true" : "false");
	if (!has_model)
	{
		json_comma(text);
		write_price_and_stock(call, text, first);
	}
	text_addf(text, "}");
}

void
shopee_get_item_base_info(ShopeeCall *call)
{
	const char *given = request_argument(call->request, "item_id_list");
	char	   *list = sim_copy(given != NULL ? given : "");
	char	   *rest = list;
	const char *wrong = NULL;
	Text		response = {0};
	int			n = 0;

	text_addf(&response, "{\"item_list\":[");
	while (rest != NULL && wrong == NULL)
	{
		int64_t		item_id;
		uint32_t	first;
		uint32_t	count;
		uint32_t	present;

		if (!parse_integer(strsep(&rest, ","), &item_id) || ++n > MAX_ITEMS)
		{
			wrong = "item_id_list must have 1 to 50 numbers.";
			break;
		}
		first = shopee_item(call, item_id, &count, &present);
		if (first != NO_INDEX)
			write_item(call, &response, first, count, present);
	}
	text_addf(&response, "]}");
	if (wrong != NULL)
		shopee_error(call->answer, "error_param", wrong);
	else
		shopee_response(call->answer, "", "", &response);
	free(list);
	text_free(&response);
}

void
shopee_get_model_list(ShopeeCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	int64_t		item_id;
	uint32_t	first;
	uint32_t	count;
	uint32_t	present;
	Text		response = {0};

	if (!shopee_argument(call, "item_id", 1, MAX_ID, &item_id))
	{
		shopee_error(call->answer, "error_param", "item_id is invalid.");
		return;
	}
	first = shopee_item(call, item_id, &count, &present);
	if (first == NO_INDEX)
	{
		shopee_error(call->answer, "error_item_not_found", "The item is not found.");
		return;
	}
	text_addf(&response, "{\"tier_variation\":[],\"standardise_tier_variation\":[],\"model\":[");
	for (uint32_t i = present; i < first + count && catalogue->listings[present].model_id != 0; i++)
	{
		if (!is_there(call, i))
			continue;
		json_comma(&response);
		text_addf(&response, "{\"model_id\":%" PRId64 ",\"model_sku\":", catalogue->listings[i].model_id);
		json_string(&response, catalogue_code(catalogue, i));
		text_addf(&response, ",\"model_status\":\"MODEL_NORMAL\",\"tier_index\":[%" PRIu32
				  "],\"promotion_id\":0,\"has_promotion\":%s,", i - first, call->sim->market.reserved[i] > 0 ? "true" : "false");
		write_price_and_stock(call, &response, i);
		text_addf(&response, "}");
	}
	text_addf(&response, "]}");
	shopee_response(call->answer, "", "", &response);
	text_free(&response);
}
