/*
 * pchome_shown.c
 *		PChome 24h vendor API: what answers about products say that the shop
 *		shows.
 *
 * A product without specs is spec 000 of its group. A group that has specs is
 * its head alone in an answer about groups; the specs have to be asked for.
 */
#include "pchome.h"

#include <string.h>

#include "plain.h"

#define MAX_NAME			200

/* flag_of reads 0 or 1, and `otherwise` for anything else. */
static bool
flag_of(const cJSON *row, const char *name, bool otherwise)
{
	int64_t		value;

	return jread_int(row, name, 0, 1, &value) ? value == 1 : otherwise;
}

/* text_of returns a member for people, or a code whole or not at all. */
static const char *
text_of(const cJSON *row, const char *name, Arena *arena, bool whole)
{
	const char *text = jread_text(row, name);

	if (text == NULL || (whole && strlen(text) > MAX_NAME))
		return "";
	return plain_clean(arena, text, MAX_NAME);
}

/* asked tells whether a group is one of the call's. */
static bool
asked(const PlatformCall *call, const char *group)
{
	int			i;

	for (i = 0; i < call->n_item_ids; i++)
		if (strcmp(call->item_ids[i], group) == 0)
			return true;
	return false;
}

/* has_models notes once that a group's specs have to be asked for, with the name that they share. */
static void
has_models(const cJSON *row, PlatformAnswer *answer, Arena *arena, const char *group)
{
	int			i;

	for (i = 0; i < answer->n_item_ids; i++)
		if (strcmp(answer->item_ids[i], group) == 0)
			return;
	answer->item_names[answer->n_item_ids] = text_of(row, "Name", arena, false);
	answer->item_ids[answer->n_item_ids] = arena_strdup(arena, group);
	if (answer->item_ids[answer->n_item_ids] != NULL)
		answer->n_item_ids++;
}

/* show appends what a row shows of a product. What it does not tell is as of most products. */
static void
show(const cJSON *row, const PchomeProduct *product, Arena *arena, PlatformAnswer *answer)
{
	const char *ship_type = jread_text(row, "ShipType");
	const char *price = jread_text(jread_child(row, "Price"), "P");
	ShownItem  *shown = &answer->shown[answer->n_shown];
	int64_t		number;

	shown->item_id = arena_strdup(arena, product->group);
	shown->model_id = arena_strdup(arena, product->spec);
	if (shown->item_id == NULL || shown->model_id == NULL)
		return;
	shown->seller_sku = text_of(row, "VendorPId", arena, true);
	shown->name = text_of(row, "Name", arena, false);
	shown->quantity = jread_int(row, "Qty", 0, INT32_MAX, &number) ? number : -1;
	shown->price = price != NULL && plain_int(price, 0, INT32_MAX, &number) ? arena_strdup(arena, price) : "";
	shown->listed = flag_of(row, "isShelf", true);
	shown->writable = ship_type == NULL || strcmp(ship_type, "Consign") != 0;
	answer->n_shown++;
}

/* is_head tells whether a row of a group stands for its specs, or is one of them. */
static bool
is_head(const cJSON *row, const PchomeProduct *product)
{
	return product->spec[0] != '\0' || flag_of(row, "isSpec", false);
}

void
pchome_shown(const PlatformCall *call, const cJSON *rows, Arena *arena, PlatformAnswer *answer)
{
	bool		models = call->kind == CALL_GET_MODELS;
	int			n = cJSON_GetArraySize(rows);
	const cJSON *row;
	int			strange = 0;

	answer->shown = arena_alloc(arena, sizeof(ShownItem) * (size_t) (n + 1));
	answer->item_ids = arena_alloc(arena, sizeof(char *) * (size_t) (call->n_item_ids + 1));
	answer->item_names = arena_alloc(arena, sizeof(char *) * (size_t) (call->n_item_ids + 1));
	if (answer->shown == NULL || answer->item_ids == NULL || answer->item_names == NULL)
		return;
	cJSON_ArrayForEach(row, rows)
	{
		const char *id = jread_text(row, "Id");
		PchomeProduct product;

		if (id == NULL || !pchome_read_product(id, &product) || !asked(call, product.group))
			strange++;
		else if (!models && is_head(row, &product))
			has_models(row, answer, arena, product.group);
		/* among several specs, 000 is the group's head and cannot be written */
		else if (!models || product.spec[0] != '\0' || n == 1)
			show(row, &product, arena, answer);
	}
	if (strange > 0)
		answer->message = arena_printf(arena, "%d products were unnamed or not asked for", strange);
}
