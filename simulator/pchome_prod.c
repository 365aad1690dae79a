/*
 * pchome_prod.c
 *		The PChome dialect: products, what they show, and the vendor's writes.
 *
 * A write is applied whole or refused whole, and a refusal does not say which
 * of several products is at fault.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "pchome.h"

#define MAX_BATCH 50
#define MAX_QTY 1200

/* One product or group of a write, and what it is to become. */
typedef struct Write
{
	uint32_t	listing;
	int64_t		value;			/* quantity, selling price or shelf */
	int64_t		list_price;
} Write;

/* Whether a comma-separated query parameter names exactly n texts, all of those in the body. */
static const char *
disagree(const PchomeCall *call, const char *argument, const char *member, int n)
{
	const char *given = request_argument(call->request, argument);
	const cJSON *entry;
	int			commas = 0;

	if (given == NULL || given[0] == '\0')
		return "400-00-001";
	for (const char *p = given; *p != '\0'; p++)
		commas += *p == ',';
	if (commas + 1 != n)
		return "400-00-011";
	cJSON_ArrayForEach(entry, call->body)
	{
		const char *id = json_field_string(entry, member);
		const char *at = id != NULL && id[0] != '\0' ? strstr(given, id) : NULL;
		size_t		length = id != NULL ? strlen(id) : 0;

		if (at == NULL || (at[length] != ',' && at[length] != '\0') || (at > given && at[-1] != ','))
			return "400-00-012";
	}
	return NULL;
}

/* The number of entries of a write's body, 0 with the refusal answered. */
static int
count_entries(PchomeCall *call, const char *argument, const char *member)
{
	int			n = cJSON_IsArray(call->body) ? cJSON_GetArraySize(call->body) : 0;
	const char *code = n < 1 || n > MAX_BATCH ? "400-00-001" : disagree(call, argument, member, n);

	if (code == NULL)
		return n;
	pchome_refuse(call, code, "The data is invalid, or query and body do not agree.");
	return 0;
}

/* What stands against one quantity, NULL for nothing. */
static const char *
check_qty(PchomeCall *call, const cJSON *entry, Write *write)
{
	const char *id = json_field_string(entry, "Id");
	const PchomeListing *state;
	uint32_t	count;
	char		group[PCHOME_GROUP_SIZE];

	if (strlen(id) < 5 || strlen(id) >= PCHOME_GROUP_SIZE)
		return "400-00-007";
	if (!json_field_integer(entry, "Qty", false, &write->value))
		return "400-00-001";
	if (write->value < 0 || write->value > MAX_QTY)
		return "400-01-010";
	write->listing = pchome_find_product(call, id);
	if (write->listing == NO_INDEX)
	{
		(void) snprintf(group, sizeof(group), "%.*s", (int) strlen(id) - 4, id);
		return pchome_find_group(call, group, &count) != NO_INDEX && strcmp(id + strlen(id) - 4, "-000") == 0 ?
			"400-01-036" : "400-00-008";
	}
	state = &call->sim->pchome.listings[write->listing];
	if (state->consigned)
		return "400-01-035";
	if (write->value < call->sim->market.shown[write->listing] && clock_us() < state->fixed_until_us)
		return "400-01-098";
	if (faults_draw_item(&call->sim->faults, call->shop, call->path))
		return "400-01-098";
	return NULL;
}

void
pchome_put_qty(PchomeCall *call)
{
	Write		writes[MAX_BATCH] = {{0}};
	int			n = count_entries(call, "prodid", "Id");
	int			i = 0;
	const cJSON *entry;

	if (n == 0)
		return;
	cJSON_ArrayForEach(entry, call->body)
	{
		const char *code = check_qty(call, entry, &writes[i++]);

		if (code != NULL)
		{
			pchome_refuse(call, code, "The quantity cannot be changed.");
			return;
		}
	}
	for (i = 0; i < n; i++)
	{
		const CatalogueListing *listing = &call->sim->catalogue.listings[writes[i].listing];

		market_show(&call->sim->market, writes[i].listing, writes[i].value);
		writes_note(&call->sim->writes, call->shop, WRITE_STOCK, listing->item_id, listing->model_id, writes[i].value, true);
	}
	pchome_done(call);
}

/* What stands against one price, NULL for nothing. */
static const char *
check_price(PchomeCall *call, const cJSON *entry, Write *write)
{
	const cJSON *price = cJSON_GetObjectItemCaseSensitive(entry, "Price");
	const PchomeListing *state;
	uint32_t	count;

	write->listing = pchome_find_group(call, json_field_string(entry, "GroupId"), &count);
	if (write->listing == NO_INDEX)
		return "400-00-008";
	if (!json_field_integer(price, "P", false, &write->value) ||
		!json_field_integer(price, "M", false, &write->list_price))
		return "400-00-001";
	if (write->value <= 0 || write->value < 20)
		return write->value <= 0 ? "400-01-004" : "400-01-005";
	if (write->list_price < write->value)
		return "400-01-007";
	state = &call->sim->pchome.listings[write->listing];
	if (clock_us() < state->sale_until_us)
		return "400-01-039";
	return state->price == write->value && state->list_price == write->list_price ? "400-01-038" : NULL;
}

/* What stands against one change of the shelf, NULL for nothing. */
static const char *
check_shelf(PchomeCall *call, const cJSON *entry, Write *write)
{
	const char *reason = json_field_string(entry, "OffShelfReason");
	bool		off_shelf;
	uint32_t	count;

	write->listing = pchome_find_group(call, json_field_string(entry, "GroupId"), &count);
	if (write->listing == NO_INDEX)
		return "400-00-008";
	if (!json_field_integer(entry, "isShelf", false, &write->value) || write->value < 0 || write->value > 1)
		return "400-01-044";
	off_shelf = call->sim->pchome.listings[write->listing].off_shelf;
	if (write->value == 1)
		return off_shelf ? NULL : "400-01-046";
	if (reason == NULL || strlen(reason) != 1 || strchr("1234", reason[0]) == NULL)
		return "400-01-048";
	return off_shelf ? "400-01-049" : NULL;
}

/* Prices and the shelf: checks all groups, then writes to all listings of each. */
static void
put_groups(PchomeCall *call, bool price)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	Write		writes[MAX_BATCH] = {{0}};
	int			n = count_entries(call, "groupid", "GroupId");
	int			i = 0;
	const cJSON *entry;

	if (n == 0)
		return;
	cJSON_ArrayForEach(entry, call->body)
	{
		const char *code = price ? check_price(call, entry, &writes[i]) : check_shelf(call, entry, &writes[i]);

		i++;
		if (code == NULL)
			continue;
		pchome_refuse(call, code, "The product cannot be changed.");
		return;
	}
	for (i = 0; i < n; i++)
	{
		uint32_t	count;
		uint32_t	first = catalogue_item(catalogue, call->shop, catalogue->listings[writes[i].listing].item_id, &count);

		for (uint32_t j = first; j < first + count; j++)
		{
			PchomeListing *state = &call->sim->pchome.listings[j];

			if (price)
			{
				state->price = writes[i].value;
				state->list_price = writes[i].list_price;
			}
			else
				state->off_shelf = writes[i].value == 0;
		}
	}
	pchome_done(call);
}

void
pchome_put_price(PchomeCall *call)
{
	put_groups(call, true);
}

void
pchome_put_shelf(PchomeCall *call)
{
	put_groups(call, false);
}

void
pchome_list_products(PchomeCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const CatalogueShop *shop = &catalogue->shops[call->shop];
	const char *given = request_argument(call->request, "isshelf");
	uint32_t	end = shop->first_listing + shop->n_listings;
	uint32_t	count;
	int64_t		offset;
	int64_t		limit;
	int64_t		n = 0;
	Text		rows = {0};

	pchome_read_page(call, &offset, &limit);
	text_addf(&rows, "[");
	for (uint32_t i = shop->first_listing; i < end; i += count)
	{
		bool		off_shelf = call->sim->pchome.listings[i].off_shelf;
		char		group[PCHOME_GROUP_SIZE];

		(void) catalogue_item(catalogue, call->shop, catalogue->listings[i].item_id, &count);
		if (given != NULL && strcmp(given, off_shelf ? "0" : "1") != 0)
			continue;
		n++;
		if (n < offset || n >= offset + limit)
			continue;
		pchome_group(&catalogue->listings[i], group);
		json_comma(&rows);
		text_addf(&rows, "{\"GroupId\":\"%s\"}", group);
	}
	text_addf(&call->answer->body, "{\"TotalRows\":%" PRId64 ",\"Rows\":%s]}", n, rows.data);
	text_free(&rows);
}

/* One product; `model` is that of its id, 0 for the head of a group or an item without models. */
static void
write_product(const PchomeCall *call, Text *text, uint32_t listing, int64_t model, bool has_spec, int64_t qty)
{
	const CatalogueListing *of = &call->sim->catalogue.listings[listing];
	const PchomeListing *state = &call->sim->pchome.listings[listing];
	char		group[PCHOME_GROUP_SIZE];

	pchome_group(of, group);
	json_comma(text);
	text_addf(text, "{\"Id\":\"%s-%03" PRId64 "\",\"GroupId\":\"%s\",\"VendorPId\":", group, model, group);
	json_string(text, has_spec && model == 0 ? "" : catalogue_code(&call->sim->catalogue, listing));
	text_addf(text, ",\"Name\":");
	json_string(text, catalogue_name(&call->sim->catalogue, listing));
	text_addf(text, ",\"Price\":{\"M\":%" PRId64 ",\"P\":%" PRId64 "},\"Qty\":%" PRId64, state->list_price, state->price, qty);
	text_addf(text, ",\"isSpec\":%d,\"isShelf\":%d,\"Spec\":\"\",\"ShipType\":\"%s\"}", has_spec, !state->off_shelf,
			  state->consigned ? "Consign" : "Trans");
}

/* A group's head: the product itself, or what its specs show together. */
static void
write_head(const PchomeCall *call, Text *text, uint32_t first, uint32_t count)
{
	bool		has_spec = call->sim->catalogue.listings[first].model_id != 0;
	int64_t		qty = 0;

	for (uint32_t i = first; i < first + count; i++)
		qty += call->sim->market.shown[i];
	write_product(call, text, first, 0, has_spec, qty);
}

void
pchome_get_products(PchomeCall *call)
{
	const char *given = request_argument(call->request, "groupid");
	char	   *list = sim_copy(given != NULL ? given : "");
	char	   *rest = list;
	uint32_t	count;

	text_addf(&call->answer->body, "[");
	while (rest != NULL)
	{
		uint32_t	first = pchome_find_group(call, strsep(&rest, ","), &count);

		if (first == NO_INDEX)
		{
			pchome_refuse(call, "400-00-008", "The product is not found.");
			free(list);
			return;
		}
		write_head(call, &call->answer->body, first, count);
	}
	text_addf(&call->answer->body, "]");
	free(list);
}

void
pchome_get_product(PchomeCall *call)
{
	uint32_t	listing = pchome_find_product(call, call->id);

	if (listing == NO_INDEX)
	{
		pchome_refuse(call, "400-00-008", "The product is not found.");
		return;
	}
	text_addf(&call->answer->body, "[");
	write_product(call, &call->answer->body, listing, call->sim->catalogue.listings[listing].model_id, false,
				  call->sim->market.shown[listing]);
	text_addf(&call->answer->body, "]");
}

void
pchome_get_specs(PchomeCall *call)
{
	uint32_t	count;
	uint32_t	first = pchome_find_group(call, call->id, &count);

	if (first == NO_INDEX)
	{
		pchome_refuse(call, "400-00-008", "The product is not found.");
		return;
	}
	text_addf(&call->answer->body, "[");
	for (uint32_t i = first; i < first + count; i++)
		write_product(call, &call->answer->body, i, call->sim->catalogue.listings[i].model_id, false,
					  call->sim->market.shown[i]);
	text_addf(&call->answer->body, "]");
}
