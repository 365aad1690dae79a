/*
 * shopee_price.c
 *		The Shopee dialect: update_price and unlist_item, and what the
 *		administrator sees and sets of prices in all dialects.
 *
 * As with stock, what is wrong with the call refuses all of it, and what is
 * wrong with one model or item becomes an entry of failure_list.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "clock.h"
#include "shopee.h"

#define MAX_ENTRIES 50
#define MAX_PRICE INT64_C(1000000000)
/* The dearest model of an item costs at most so many times the cheapest. */
#define MAX_SPREAD 5

void
shopee_init(ShopeeState *state, const Catalogue *catalogue)
{
	state->listings = sim_alloc(catalogue->n_listings * sizeof(ShopeeListing));
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		state->listings[i].price = (int64_t) catalogue->listings[i].price;
		state->listings[i].unlisted = catalogue->listings[i].state == LISTING_UNLISTED;
		state->listings[i].state = state->listings[i].unlisted ? LISTING_NORMAL : catalogue->listings[i].state;
	}
}

void
shopee_free(ShopeeState *state)
{
	free(state->listings);
	state->listings = NULL;
}

/* An entry of one of the two lists, up to what it is about; the caller closes it. */
static void
begin_entry(Text *list, const char *name, int64_t id)
{
	json_comma(list);
	text_addf(list, "{\"%s\":%" PRId64, name, id);
}

static void
add_failure(Text *failure, const char *name, int64_t id, const char *reason)
{
	begin_entry(failure, name, id);
	text_addf(failure, ",\"failed_reason\":");
	json_string(failure, reason);
	text_addf(failure, "}");
}

/* Both lists as the answer; `error` when nothing was done. */
static void
answer_lists(ShopeeCall *call, Text *success, Text *failure, int done, const char *error)
{
	text_add(success, failure->data, failure->length);
	text_addf(success, "]}");
	shopee_response(call->answer, done > 0 ? "" : error, done > 0 ? "" : "Nothing was changed.", success);
	text_free(success);
	text_free(failure);
}

/* The item's prices with one of them changed would lie too far apart. */
static bool
too_far_apart(const ShopeeCall *call, uint32_t first, uint32_t count, uint32_t changed, int64_t price)
{
	int64_t		least = price;
	int64_t		most = price;

	for (uint32_t i = first; i < first + count; i++)
	{
		int64_t		other = i == changed ? price : call->sim->shopee.listings[i].price;

		least = other < least ? other : least;
		most = other > most ? other : most;
	}
	return most > MAX_SPREAD * least;
}

/* Applies one entry of price_list; NULL, or why it is refused. */
static const char *
apply_price(ShopeeCall *call, int64_t item_id, int64_t model_id, int64_t price)
{
	uint32_t	count;
	uint32_t	first = catalogue_item(&call->sim->catalogue, call->shop, item_id, &count);
	uint32_t	listing = shopee_model(call, item_id, model_id);

	if (listing == NO_INDEX)
		return "Wrong model_id.";
	if (faults_draw_item(&call->sim->faults, call->shop, call->path))
		return "The price cannot be changed now.";
	if (too_far_apart(call, first, count, listing, price))
		return "The item's prices are not permitted to differ so much.";
	call->sim->shopee.listings[listing].price = price;
	return NULL;
}

/* Whether a promotion locks the item's prices. */
static bool
is_locked(const ShopeeCall *call, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		if (clock_us() < call->sim->shopee.listings[i].locked_until_us)
			return true;
	return false;
}

void
shopee_update_price(ShopeeCall *call)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "price_list");
	const cJSON *entry;
	int64_t		item_id = 0;
	uint32_t	count;
	uint32_t	present;
	uint32_t	first;
	int			done = 0;
	Text		success = {0};
	Text		failure = {0};

	if (!json_field_integer(call->body, "item_id", false, &item_id) || !cJSON_IsArray(list) ||
		cJSON_GetArraySize(list) < 1 || cJSON_GetArraySize(list) > MAX_ENTRIES)
	{
		shopee_error(call->answer, "error_param", "item_id or price_list is invalid.");
		return;
	}
	first = shopee_item(call, item_id, &count, &present);
	if (first == NO_INDEX)
	{
		shopee_error(call->answer, "error_item_not_found", "The item is not found.");
		return;
	}
	if (is_locked(call, first, count))
	{
		shopee_error(call->answer, "error_in_item_promotion_item_price_lock", "The item's price is locked by a promotion.");
		return;
	}
	text_addf(&success, "{\"success_list\":[");
	text_addf(&failure, "],\"failure_list\":[");
	cJSON_ArrayForEach(entry, list)
	{
		int64_t		model_id = 0;
		int64_t		price = 0;
		const char *reason;

		(void) json_field_integer(entry, "model_id", false, &model_id);
		/* in Taiwan a price is a whole number */
		reason = json_field_integer(entry, "original_price", false, &price) && price > 0 && price <= MAX_PRICE ?
			apply_price(call, item_id, model_id, price) : "original_price is not permitted.";
		writes_note(&call->sim->writes, call->shop, WRITE_PRICE, item_id, model_id, price, reason == NULL);
		if (reason != NULL)
		{
			add_failure(&failure, "model_id", model_id, reason);
			continue;
		}
		begin_entry(&success, "model_id", model_id);
		text_addf(&success, ",\"original_price\":%" PRId64 "}", price);
		done++;
	}
	answer_lists(call, &success, &failure, done, "error_param");
}

void
shopee_unlist_item(ShopeeCall *call)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "item_list");
	const cJSON *entry;
	int			done = 0;
	Text		success = {0};
	Text		failure = {0};

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 || cJSON_GetArraySize(list) > MAX_ENTRIES)
	{
		shopee_error(call->answer, "error_param", "item_list must have 1 to 50 entries.");
		return;
	}
	text_addf(&success, "{\"success_list\":[");
	text_addf(&failure, "],\"failure_list\":[");
	cJSON_ArrayForEach(entry, list)
	{
		const cJSON *unlist = cJSON_GetObjectItemCaseSensitive(entry, "unlist");
		int64_t		item_id = 0;
		uint32_t	count;
		uint32_t	present;
		uint32_t	first = NO_INDEX;
		const char *reason = NULL;

		if (json_field_integer(entry, "item_id", false, &item_id) && cJSON_IsBool(unlist))
			first = shopee_item(call, item_id, &count, &present);
		if (first == NO_INDEX)
			reason = "The item is not found.";
		else if (call->sim->shopee.listings[present].state == LISTING_BANNED)
			reason = "The item is banned.";
		else if (faults_draw_item(&call->sim->faults, call->shop, call->path))
			reason = "The item is busy.";
		writes_note(&call->sim->writes, call->shop, WRITE_LISTED, item_id, 0, !cJSON_IsTrue(unlist), reason == NULL);
		if (reason != NULL)
		{
			add_failure(&failure, "item_id", item_id, reason);
			continue;
		}
		call->sim->shopee.listings[first].unlisted = cJSON_IsTrue(unlist);
		begin_entry(&success, "item_id", item_id);
		text_addf(&success, ",\"unlist\":%s}", cJSON_IsTrue(unlist) ? "true" : "false");
		done++;
	}
	answer_lists(call, &success, &failure, done, "error_unlist_item_all_failed");
}

/* What each dialect says of each listing's price and place on the shelf. */
void
admin_offers(AdminCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	Text	   *body = &call->answer->body;

	text_addf(body, "{\"listings\":[");
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		const CatalogueListing *listing = &catalogue->listings[i];
		const PchomeListing *pchome = &call->sim->pchome.listings[i];
		uint32_t	count;
		uint32_t	first = catalogue_item(catalogue, listing->shop, listing->item_id, &count);

		json_comma(body);
		text_addf(body, "{\"shop_id\":\"%" PRId64 "\",\"item_id\":\"%" PRId64 "\",\"model_id\":\"%" PRId64 "\"",
				  catalogue->shops[listing->shop].shop_id, listing->item_id, listing->model_id);
		text_addf(body, ",\"shopee\":{\"price\":%" PRId64 ",\"listed\":%s}", call->sim->shopee.listings[i].price,
				  call->sim->shopee.listings[first].unlisted ? "false" : "true");
		text_addf(body, ",\"ruten\":{\"price\":%" PRId64 ",\"listed\":%s}", call->sim->ruten.price[i],
				  call->sim->ruten.offline[first] ? "false" : "true");
		text_addf(body, ",\"pchome\":{\"price\":%" PRId64 ",\"listed\":%s}}", pchome->price,
				  pchome->off_shelf ? "false" : "true");
	}
	text_addf(body, "]}");
}

/* A promotion that locks the price of a listing for some seconds, at Shopee and PChome. */
void
admin_price_lock(AdminCall *call)
{
	uint32_t	listing = admin_body_listing(call);
	int64_t		seconds;

	if (listing == NO_INDEX)
		return;
	if (!json_field_integer(call->body, "seconds", false, &seconds) ||
		seconds < 0 || seconds > INT32_MAX)
	{
		admin_error(call, 400, "seconds must be from 0 to 2147483647");
		return;
	}
	call->sim->shopee.listings[listing].locked_until_us = clock_us() + seconds * 1000000;
	call->sim->pchome.listings[listing].sale_until_us = call->sim->shopee.listings[listing].locked_until_us;
	text_addf(&call->answer->body, "{\"ok\":true}");
}
