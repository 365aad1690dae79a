/*
 * ruten_item.c
 *		Ruten partner API: what the shop shows of one item. Its specs come
 *		inside of it.
 */
#include "ruten.h"

#include <string.h>

#include "document.h"
#include "judge.h"

#define MAX_NAME	200
#define MAX_SHOWN_QTY	INT64_C(1000000000000)

/* find_item finds the item's object: the data, the one entry of an array, or a member. */
static const cJSON *
find_item(const cJSON *data)
{
	if (cJSON_IsArray(data) && cJSON_GetArraySize(data) == 1)
		data = cJSON_GetArrayItem(data, 0);
	if (jread_child(data, "item") != NULL)
		data = jread_child(data, "item");
	return cJSON_IsObject(data) ? data : NULL;
}

/* read_shown reads what an item or spec has under the same names; what is not there stays as it is. */
static void
read_shown(const cJSON *object, Arena *arena, ShownItem *shown)
{
	const char *status = jread_text(object, "status");
	const char *price = jread_text(object, "price");
	const char *sku = jread_text(object, "custom_no");

	(void) jread_int(object, "qty", 0, MAX_SHOWN_QTY, &shown->quantity);
	if (price != NULL && judge_amount(price))
		shown->price = arena_strdup(arena, price);
	if (sku != NULL && strlen(sku) <= DOCUMENT_MAX_SKU)
		shown->seller_sku = plain_clean(arena, sku, DOCUMENT_MAX_SKU);
	if (status != NULL && strcmp(status, "off") == 0)
		shown->listed = false;
	else if (status != NULL && strcmp(status, "on") != 0 && strcmp(status, "out") != 0)
	{
		/* a state that we do not know may refuse what is written */
		shown->listed = false;
		shown->ended = true;
		shown->writable = false;
	}
}

/* spec_name makes a name of the item's and those of the spec. */
static const char *
spec_name(const cJSON *spec, const char *item_name, Arena *arena)
{
	const char *first = jread_text(spec, "spec_name");
	const char *second = jread_text(spec, "item_name");
	const char *name = arena_printf(arena, "%s%s%s%s%s", item_name, first != NULL && *first != '\0' ? " / " : "",
									first != NULL ? first : "", second != NULL && *second != '\0' ? " / " : "",
									second != NULL ? second : "");

	return plain_clean(arena, name != NULL ? name : "", MAX_NAME);
}

/* read_specs reads spec_info; false when an id of it cannot be understood. */
static bool
read_specs(const cJSON *specs, const ShownItem *item, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *spec;

	cJSON_ArrayForEach(spec, specs)
	{
		ShownItem  *shown = &answer->shown[answer->n_shown];
		const char *spec_id = jread_text(spec, "spec_id");

		if (spec_id == NULL || !ruten_id_ok(spec_id))
			return false;
		*shown = *item;
		shown->model_id = arena_strdup(arena, spec_id);
		shown->name = spec_name(spec, item->name, arena);
		/* the quantity, price and code of an item with specs are theirs */
		shown->quantity = -1;
		shown->price = "";
		shown->seller_sku = "";
		read_shown(spec, arena, shown);
		answer->n_shown++;
	}
	return true;
}

void
ruten_get_item(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *item = find_item(data);
	const cJSON *specs = jread_array(item, "spec_info");
	const char *item_id = jread_text(item, "item_id");
	const char *name = jread_text(item, "name");
	int			n_specs = cJSON_GetArraySize(specs);
	ShownItem	shown = {
		.item_id = call->item_ids[0], .model_id = "", .seller_sku = "", .name = "", .quantity = -1,
		.price = "", .listed = true, .writable = true
	};

	if (item == NULL || item_id == NULL || strcmp(item_id, call->item_ids[0]) != 0 || n_specs > DOCUMENT_MAX_LINES)
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer is not about the item that was asked for");
		return;
	}
	shown.name = plain_clean(arena, name != NULL ? name : "", MAX_NAME);
	read_shown(item, arena, &shown);
	answer->shown = arena_alloc(arena, sizeof(ShownItem) * (size_t) (n_specs + 1));
	judge_settle(call, answer, OUTCOME_OK, "");
	if (answer->shown == NULL)
		return;
	if (n_specs == 0)
		answer->shown[answer->n_shown++] = shown;
	else if (!read_specs(specs, &shown, arena, answer))
	{
		answer->n_shown = 0;
		judge_settle(call, answer, OUTCOME_LATER, "a spec of the item has no readable id");
	}
}
