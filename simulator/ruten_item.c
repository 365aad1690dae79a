/*
 * ruten_item.c
 *		The Ruten dialect: lists of items, one item, and what the seller
 *		writes: stock, price, on and off the shelf.
 *
 * A call that writes is about one item. Its specs succeed or fail together:
 * all are checked before the first is written.
 */
#include <inttypes.h>
#include <string.h>

#include "ruten.h"

#define MAX_LIMIT 9999
#define MAX_SPECS 200
#define MAX_VALUE INT64_C(1000000000)

/* One write of one listing. */
typedef struct Write
{
	uint32_t	listing;
	int64_t		value;
} Write;

/* What the shop says of an item: off the shelf, sold out, or on sale. */
static const char *
item_status(const RutenCall *call, uint32_t first, uint32_t count)
{
	int64_t		shown = 0;

	for (uint32_t i = first; i < first + count; i++)
		shown += call->sim->market.shown[i];
	if (call->sim->ruten.offline[first])
		return "off";
	return shown > 0 ? "on" : "out";
}

void
ruten_product_list(RutenCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const CatalogueShop *shop = &catalogue->shops[call->shop];
	const char *status = request_argument(call->request, "status");
	int64_t		offset;
	int64_t		limit;
	int64_t		n = 0;
	uint32_t	count;
	Text		data = {0};

	if (status == NULL || strstr(" all on off out ", status) == NULL ||
		!ruten_argument(call, "offset", 1, UINT32_MAX, &offset) || !ruten_argument(call, "limit", 1, MAX_LIMIT, &limit))
	{
		ruten_fail(call, 400, "20005", "status, offset or limit is not valid");
		return;
	}
	text_addf(&data, "{\"items\":[");
	for (uint32_t i = shop->first_listing; i < shop->first_listing + shop->n_listings; i += count)
	{
		const char *is;

		(void) catalogue_item(catalogue, call->shop, catalogue->listings[i].item_id, &count);
		is = item_status(call, i, count);
		if (strcmp(status, "all") != 0 && strcmp(status, is) != 0)
			continue;
		n++;
		if (n < offset || n >= offset + limit)
			continue;
		json_comma(&data);
		text_addf(&data, "{\"item_id\":\"%" PRId64 "\",\"status\":\"%s\"}", catalogue->listings[i].item_id, is);
	}
	text_addf(&data, "],\"total\":%" PRId64 "}", n);
	ruten_success(call, &data);
	text_free(&data);
}

/* Price, quantity and code of a listing. */
static void
write_values(const RutenCall *call, Text *text, uint32_t listing)
{
	const Catalogue *catalogue = &call->sim->catalogue;

	text_addf(text, "\"price\":%" PRId64 ",\"qty\":%" PRId64 ",\"custom_no\":", call->sim->ruten.price[listing],
			  call->sim->market.shown[listing]);
	json_string(text, catalogue_code(catalogue, listing));
}

void
ruten_product_item(RutenCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	uint32_t	count;
	uint32_t	first = catalogue_item(catalogue, call->shop, call->item_id, &count);
	bool		has_specs = first != NO_INDEX && catalogue->listings[first].model_id != 0;
	Text		data = {0};

	if (first == NO_INDEX)
	{
		ruten_fail(call, 404, "10404", "the item is not found");
		return;
	}
	text_addf(&data, "{\"item_id\":\"%" PRId64 "\",\"name\":\"item %" PRId64 "\",\"status\":\"%s\",\"has_spec\":%s",
			  call->item_id, call->item_id, item_status(call, first, count), has_specs ? "true" : "false");
	if (!has_specs)
	{
		text_addf(&data, ",");
		write_values(call, &data, first);
	}
	text_addf(&data, ",\"spec_info\":[");
	for (uint32_t i = first; i < first + count && has_specs; i++)
	{
		json_comma(&data);
		text_addf(&data, "{\"spec_id\":\"%" PRId64 "\",\"spec_name\":\"spec %" PRIu32 "\",\"item_name\":\"\",\"status\":\"on\",",
				  catalogue->listings[i].model_id, i - first + 1);
		write_values(call, &data, i);
		text_addf(&data, "}");
	}
	text_addf(&data, "]}");
	ruten_success(call, &data);
	text_free(&data);
}

/* An id, which must be a text of digits. */
static bool
read_id(const cJSON *object, const char *name, int64_t *id)
{
	const char *text = json_field_string(object, name);

	return text != NULL && parse_integer(text, id) && *id > 0;
}

/* The first listing of the body's item. NO_INDEX: the error is answered. */
static uint32_t
named_item(RutenCall *call, uint32_t *count)
{
	int64_t		item_id;
	uint32_t	first;

	if (!read_id(call->body, "item_id", &item_id))
	{
		ruten_fail(call, 400, "20005", "item_id must be a text of digits");
		return NO_INDEX;
	}
	first = catalogue_item(&call->sim->catalogue, call->shop, item_id, count);
	if (first == NO_INDEX)
		ruten_fail(call, 404, "10404", "the item is not found");
	return first;
}

/* Reads one value; NULL when it is well formed, else what is wrong. */
static const char *
read_write(const RutenCall *call, const cJSON *object, const char *name, int64_t item_id, int64_t spec_id, Write *write)
{
	write->listing = catalogue_listing(&call->sim->catalogue, call->shop, item_id, spec_id);
	if (write->listing == NO_INDEX)
		return "the item has no such spec, or only specs";
	if (!json_field_integer(object, name, false, &write->value) || write->value < 0 || write->value > MAX_VALUE)
		return "the value is missing or out of range";
	return NULL;
}

/* Reads all values of a body. 0: the error is answered. */
static int
read_writes(RutenCall *call, const char *name, Write *writes)
{
	const cJSON *specs = cJSON_GetObjectItemCaseSensitive(call->body, "spec_info");
	const cJSON *spec;
	const char *wrong = NULL;
	uint32_t	count;
	uint32_t	first = named_item(call, &count);
	int64_t		item_id;
	int64_t		spec_id;
	int			n = 0;

	if (first == NO_INDEX)
		return 0;
	item_id = call->sim->catalogue.listings[first].item_id;
	if (specs == NULL)
		wrong = read_write(call, call->body, name, item_id, 0, &writes[n++]);
	else if (!cJSON_IsArray(specs) || cJSON_GetArraySize(specs) < 1 || cJSON_GetArraySize(specs) > MAX_SPECS)
		wrong = "spec_info must have 1 to 200 entries";
	else
		cJSON_ArrayForEach(spec, specs)
		{
			if (wrong == NULL)
				wrong = read_id(spec, "spec_id", &spec_id) ?
					read_write(call, spec, name, item_id, spec_id, &writes[n++]) : "spec_id must be a text of digits";
		}
	if (wrong == NULL && faults_draw_item(&call->sim->faults, call->shop, call->path))
		wrong = "the item cannot be changed";
	if (wrong != NULL)
		ruten_fail(call, 400, "20005", wrong);
	return wrong == NULL ? n : 0;
}

void
ruten_stock(RutenCall *call)
{
	Write		writes[MAX_SPECS];
	int			n = read_writes(call, "qty", writes);

	for (int i = 0; i < n; i++)
	{
		const CatalogueListing *listing = &call->sim->catalogue.listings[writes[i].listing];

		market_show(&call->sim->market, writes[i].listing, writes[i].value);
		writes_note(&call->sim->writes, call->shop, WRITE_STOCK, listing->item_id, listing->model_id, writes[i].value, true);
	}
	if (n > 0)
		ruten_success(call, NULL);
}

void
ruten_price(RutenCall *call)
{
	Write		writes[MAX_SPECS];
	int			n = read_writes(call, "price", writes);

	for (int i = 0; i < n; i++)
		call->sim->ruten.price[writes[i].listing] = writes[i].value;
	if (n > 0)
		ruten_success(call, NULL);
}

static void
set_offline(RutenCall *call, bool offline)
{
	uint32_t	count;
	uint32_t	first = named_item(call, &count);

	if (first == NO_INDEX)
		return;
	call->sim->ruten.offline[first] = offline;
	ruten_success(call, NULL);
}

void
ruten_online(RutenCall *call)
{
	set_offline(call, false);
}

void
ruten_offline(RutenCall *call)
{
	set_offline(call, true);
}
