/*
 * shopee_stock.c
 *		The Shopee dialect: update_stock, the seller's absolute write.
 *
 * A call names one item and 1 to 50 of its models. What is wrong with the
 * call as a whole refuses it all; what is wrong with one model becomes an
 * entry of failure_list, and only when all fail the call has an error too.
 */
#include <inttypes.h>
#include <string.h>

#include "shopee.h"

#define MAX_STOCK_ENTRIES 50

typedef struct StockEntry
{
	int64_t		model_id;
	int64_t		stock;
} StockEntry;

/* Reads one entry of stock_list; NULL when it is well formed, else what is wrong. */
static const char *
read_entry(const cJSON *value, StockEntry *entry)
{
	const cJSON *model = cJSON_GetObjectItemCaseSensitive(value, "model_id");
	const cJSON *seller_stock = cJSON_GetObjectItemCaseSensitive(value, "seller_stock");
	const cJSON *place = cJSON_GetArrayItem(seller_stock, 0);
	const char *location_id = json_field_string(place, "location_id");

	entry->model_id = 0;
	if (model != NULL && (!json_integer(model, false, &entry->model_id) || entry->model_id < 0))
		return "model_id is invalid.";
	if (!cJSON_IsArray(seller_stock) || cJSON_GetArraySize(seller_stock) != 1)
		return "seller_stock must have one entry.";
	if (location_id != NULL && location_id[0] != '\0')
		return "The shop has no location_id.";
	if (!json_field_integer(place, "stock", false, &entry->stock) || entry->stock < 0 ||
		entry->stock > MAX_UNITS)
		return "stock is invalid.";
	return NULL;
}

/* Reads the whole of stock_list. -1, with the error answered, when it is not as it should be. */
static int
read_entries(ShopeeCall *call, StockEntry *entries)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "stock_list");
	const cJSON *value;
	const char *wrong = NULL;
	int			n = 0;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 ||
		cJSON_GetArraySize(list) > MAX_STOCK_ENTRIES)
	{
		shopee_error(call->answer, "error_param", "stock_list must have 1 to 50 entries.");
		return -1;
	}
	cJSON_ArrayForEach(value, list)
	{
		wrong = read_entry(value, &entries[n]);
		for (int i = 0; i < n && wrong == NULL; i++)
		{
			if (entries[i].model_id == entries[n].model_id)
				wrong = "Repeat model_id.";
		}
		if (wrong != NULL)
		{
			shopee_error(call->answer, "error_param", wrong);
			return -1;
		}
		n++;
	}
	return n;
}

/* Whether another shop has the item, which is another error than that nobody has. */
static bool
belongs_to_another(const Catalogue *catalogue, uint32_t own, int64_t item_id)
{
	uint32_t	count;

	for (uint32_t shop = 0; shop < catalogue->n_shops; shop++)
	{
		if (shop != own && catalogue_item(catalogue, shop, item_id, &count) != NO_INDEX)
			return true;
	}
	return false;
}

/* Checks item and models against each other. False: the error is answered. */
static bool
check_item(ShopeeCall *call, int64_t item_id, const StockEntry *entries, int n)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	uint32_t	count;
	uint32_t	present;
	uint32_t	first = shopee_item(call, item_id, &count, &present);
	bool		has_models;

	if (first == NO_INDEX)
	{
		if (belongs_to_another(catalogue, call->shop, item_id))
			shopee_error(call->answer, "error_item_not_belong_shop", "The item does not belong to the shop.");
		else
			shopee_error(call->answer, "error_item_not_found", "The item is not found.");
		return false;
	}
	has_models = catalogue->listings[present].model_id != 0;
	for (int i = 0; i < n; i++)
	{
		if (has_models && entries[i].model_id == 0)
		{
			shopee_error(call->answer, "error_edit_item_stock_for_item_has_model",
						 "The item has models: its stock is theirs.");
			return false;
		}
		if (!has_models && entries[i].model_id != 0)
		{
			shopee_error(call->answer, "error_param", "Wrong model_id.");
			return false;
		}
	}
	return true;
}

/* Applies one entry and writes it into one of the two lists. True: applied. */
static bool
apply_entry(ShopeeCall *call, int64_t item_id, const StockEntry *entry, Text *success, Text *failure)
{
	uint32_t	listing = shopee_model(call, item_id, entry->model_id);
	const char *reason = NULL;

	if (listing == NO_INDEX)
		reason = "Wrong model_id.";
	else if (faults_draw_item(&call->sim->faults, call->shop, call->path))
		reason = "The stock cannot be changed now.";
	else if (call->sim->shopee.listings[listing].state == LISTING_BANNED)
		reason = "The item is banned.";
	else if (call->sim->shopee.listings[listing].state == LISTING_KIT)
		reason = "The stock of a kit cannot be edited.";
	else if (entry->stock < call->sim->market.reserved[listing])
		reason = "Total stock must be more than reserved stock.";

	writes_note(&call->sim->writes, call->shop, WRITE_STOCK, item_id, entry->model_id, entry->stock, reason == NULL);
	if (reason != NULL)
	{
		json_comma(failure);
		text_addf(failure, "{\"model_id\":%" PRId64 ",\"failed_reason\":", entry->model_id);
		json_string(failure, reason);
		text_addf(failure, "}");
		return false;
	}
	market_show(&call->sim->market, listing, entry->stock);
	json_comma(success);
	text_addf(success, "{\"model_id\":%" PRId64 ",\"location_id\":\"\",\"stock\":%" PRId64 "}",
			  entry->model_id, entry->stock);
	return true;
}

void
shopee_update_stock(ShopeeCall *call)
{
	StockEntry	entries[MAX_STOCK_ENTRIES];
	int64_t		item_id;
	int			n;
	int			n_applied = 0;
	Text		success = {0};
	Text		failure = {0};

	if (!json_field_integer(call->body, "item_id", false, &item_id) || item_id <= 0)
	{
		shopee_error(call->answer, "error_param", "item_id is invalid.");
		return;
	}
	n = read_entries(call, entries);
	if (n < 0)
		return;
	if (!check_item(call, item_id, entries, n))
	{
		for (int i = 0; i < n; i++)
			writes_note(&call->sim->writes, call->shop, WRITE_STOCK, item_id, entries[i].model_id, entries[i].stock, false);
		return;
	}

	text_addf(&success, "{\"success_list\":[");
	text_addf(&failure, "],\"failure_list\":[");
	for (int i = 0; i < n; i++)
		n_applied += apply_entry(call, item_id, &entries[i], &success, &failure);
	text_add(&success, failure.data, failure.length);
	text_addf(&success, "]}");
	if (n_applied > 0)
		shopee_response(call->answer, "", "", &success);
	else
		shopee_response(call->answer, "error_busi_update_stock_failed", "No stock was changed.", &success);
	text_free(&success);
	text_free(&failure);
}
