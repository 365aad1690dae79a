/*
 * admin_state.c
 *		/admin/: what became of a shop's items, and what the seller wrote to
 *		them. Under the market's lock.
 */
#include <inttypes.h>
#include <string.h>

#include "admin.h"

/* Nobody can buy what is banned or gone. */
static void
set_state(AdminCall *call, uint32_t listing, CatalogueState state)
{
	ShopeeListing *shopee = &call->sim->shopee.listings[listing];

	shopee->unlisted = state == LISTING_UNLISTED;
	shopee->state = state == LISTING_UNLISTED ? LISTING_NORMAL : state;
	call->sim->market.closed[listing] = catalogue_state_closed(state);
}

/* "state" of one model, or without "model_id" of all of an item's. */
void
admin_state(AdminCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const char *name = json_field_string(call->body, "state");
	uint32_t	shop = admin_shop(call);
	CatalogueState state;
	int64_t		item_id;
	uint32_t	first = NO_INDEX;
	uint32_t	count = 1;

	if (shop == NO_INDEX)
		return;
	if (name == NULL || !catalogue_state_named(name, &state))
	{
		admin_error(call, 400, "state is one of normal, unlisted, banned, kit, gone");
		return;
	}
	if (cJSON_HasObjectItem(call->body, "model_id"))
		first = admin_listing(call, shop, call->body);
	else if (json_field_integer(call->body, "item_id", true, &item_id))
		first = catalogue_item(catalogue, shop, item_id, &count);
	if (first == NO_INDEX)
	{
		admin_error(call, 400, "the shop has no such listing");
		return;
	}
	for (uint32_t i = first; i < first + count; i++)
		set_state(call, i, state);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

/* What the seller's calls wrote, oldest first. */
void
admin_writes(AdminCall *call)
{
	const Writes *writes = &call->sim->writes;
	const Catalogue *catalogue = &call->sim->catalogue;
	Text	   *body = &call->answer->body;

	text_addf(body, "{\"lost\":%" PRIu32 ",\"writes\":[", writes->n_lost);
	for (uint32_t i = 0; i < writes->n; i++)
	{
		const WriteRecord *write = &writes->records[i];

		json_comma(body);
		text_addf(body, "{\"at_us\":%" PRId64 ",\"shop_id\":\"%" PRId64 "\",\"kind\":\"%s\",\"item_id\":\"%" PRId64
				  "\",\"model_id\":\"%" PRId64 "\",\"value\":%" PRId64 ",\"applied\":%s}", write->at_us,
				  catalogue->shops[write->shop].shop_id, write_kind_name(write->kind), write->item_id, write->model_id,
				  write->value, write->applied ? "true" : "false");
	}
	text_addf(body, "]}");
}
