/*
 * shopee_item.c
 *		Shopee Open Platform v2: what a shop shows: its items, page by page,
 *		what is shown of those without models, and of one item's models.
 *
 * The quantity is the seller's own stock, which is what a write replaces; what
 * lies in Shopee's warehouses is Shopee's. An entry that cannot be understood
 * is left out and counted in the message. Pure: no I/O, no state.
 */
#include "shopee.h"

#include <inttypes.h>
#include <string.h>

#define MAX_SKU			200
#define MAX_NAME		400
#define MAX_OFFSET		INT64_C(10000000)

/* check_ids says why the ids cannot be asked for in one call. */
static const char *
check_ids(const PlatformCall *call, int most)
{
	int64_t		id;
	int			i;

	if (call->n_item_ids < 1 || call->n_item_ids > most)
		return most == 1 ? "models are asked for of one item" : "an item call takes 1 to 50 items";
	for (i = 0; i < call->n_item_ids; i++)
		if (!plain_int(call->item_ids[i], 1, INT64_MAX, &id))
			return "the item id is not a number";
	return NULL;
}

/* All that are not listed come together: those that the seller took down, and those that are refused. */
const char *
shopee_build_list_items(const PlatformCall *call, const PlatformAccess *access,
						PlainBuffer *url, PlainBuffer *body)
{
	int64_t		offset = 0;

	if (*call->cursor != '\0' && !plain_int(call->cursor, 0, MAX_OFFSET, &offset))
		return "the cursor is not an offset";
	plain_add(url, "&offset=");
	plain_add_int(url, offset);
	plain_add(url, "&page_size=" SHOPEE_PAGE_SIZE);
	plain_add(url, call->listed ? "&item_status=NORMAL" : "&item_status=UNLIST&item_status=BANNED&item_status=REVIEWING");
	return NULL;
}

const char *
shopee_build_get_items(const PlatformCall *call, const PlatformAccess *access,
					   PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_ids(call, SHOPEE_MAX_ITEMS);
	int			i;

	if (wrong != NULL)
		return wrong;
	plain_add(url, "&item_id_list=");
	for (i = 0; i < call->n_item_ids; i++)
	{
		if (i > 0)
			plain_add(url, "%2C");
		plain_add(url, call->item_ids[i]);
	}
	return NULL;
}

const char *
shopee_build_get_models(const PlatformCall *call, const PlatformAccess *access,
						PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_ids(call, 1);

	if (wrong != NULL)
		return wrong;
	plain_add(url, "&item_id=");
	plain_add(url, call->item_ids[0]);
	return NULL;
}

/* begin_lists makes room for as many items as the list has entries; false when memory is short. */
static bool
begin_lists(const cJSON *list, Arena *arena, PlatformAnswer *answer)
{
	size_t		n = (size_t) cJSON_GetArraySize(list);

	answer->item_ids = arena_alloc(arena, sizeof(char *) * n);
	answer->shown = arena_alloc(arena, sizeof(ShownItem) * n);
	return answer->item_ids != NULL && answer->shown != NULL;
}

static void
count_unreadable(int unreadable, Arena *arena, PlatformAnswer *answer)
{
	const char *message;

	if (unreadable == 0)
		return;
	message = arena_printf(arena, "%d entries that cannot be understood", unreadable);
	answer->message = message != NULL ? message : "";
}

/* id_of reads an id of an entry as text, NULL when it is none. */
static const char *
id_of(const cJSON *entry, const char *name, Arena *arena)
{
	const char *text = jread_text(entry, name);
	int64_t		id;

	return text != NULL && plain_int(text, 1, INT64_MAX, &id) ? arena_strdup(arena, text) : NULL;
}

/*
 * A kit is made of other items and has no stock of its own to write: only the
 * list says which ones are, so they are told here.
 */
void
shopee_judge_list_items(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *response = jread_child(root, "response");
	const cJSON *list = jread_array(response, "item");
	const cJSON *entry;
	int64_t		offset = 0;
	int64_t		next;
	int			unreadable = 0;

	(void) plain_int(call->cursor, 0, MAX_OFFSET, &offset);
	answer->more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(response, "has_next_page"));
	if (list == NULL || (answer->more && !jread_int(response, "next_offset", offset + 1, MAX_OFFSET, &next)))
	{
		answer->more = false;
		judge_settle(call, answer, OUTCOME_LATER, list == NULL ? "the answer has no list of items" :
					 "the answer does not say where the next page starts");
		return;
	}
	if (!begin_lists(list, arena, answer))
		return;
	cJSON_ArrayForEach(entry, list)
	{
		const char *id = id_of(entry, "item_id", arena);

		if (id == NULL)
			unreadable++;
		else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(jread_child(entry, "tag"), "kit")))
			answer->shown[answer->n_shown++] = (ShownItem) {
				.item_id = id, .model_id = "", .seller_sku = "", .name = "", .price = "",
				.quantity = -1, .listed = call->listed
			};
		else
			answer->item_ids[answer->n_item_ids++] = id;
	}
	if (answer->more)
		answer->next_cursor = arena_printf(arena, "%" PRId64, next);
	count_unreadable(unreadable, arena, answer);
}

/*
 * read_stock reads quantity and reserve. Several warehouses are summed up; a
 * stock that is Shopee's alone is not the seller's to write.
 */
static bool
read_stock(const cJSON *entry, ShownItem *item)
{
	const cJSON *info = jread_child(entry, "stock_info_v2");
	const cJSON *places = jread_array(info, "seller_stock");
	const cJSON *place;
	int64_t		units;

	if (places == NULL)
		return false;
	item->quantity = 0;
	item->writable = cJSON_GetArraySize(places) > 0;
	cJSON_ArrayForEach(place, places)
	{
		if (!jread_int(place, "stock", 0, SHOPEE_MAX_PRICE, &units))
			return false;
		item->quantity += units;
	}
	if (!jread_int(jread_child(info, "summary_info"), "total_reserved_stock", 0, SHOPEE_MAX_PRICE, &item->reserved))
		item->reserved = 0;
	return true;
}

/* read_rest reads what may be missing: names and the price that we write. */
static void
read_rest(const cJSON *entry, const char *sku, const char *name, Arena *arena, ShownItem *item)
{
	const char *price = jread_text(cJSON_GetArrayItem(jread_array(entry, "price_info"), 0), "original_price");
	const char *text = jread_text(entry, sku);

	item->seller_sku = plain_clean(arena, text != NULL ? text : "", MAX_SKU);
	text = jread_text(entry, name);
	item->name = plain_clean(arena, text != NULL ? text : "", MAX_NAME);
	item->price = price != NULL && judge_amount(price) ? arena_strdup(arena, price) : "";
}

/* add_with_models notes an item whose models have to be asked for, and its name, which they do not tell. */
static void
add_with_models(const cJSON *entry, const char *id, Arena *arena, PlatformAnswer *answer)
{
	const char *name = jread_text(entry, "item_name");

	answer->item_names[answer->n_item_ids] = plain_clean(arena, name != NULL ? name : "", MAX_NAME);
	answer->item_ids[answer->n_item_ids++] = id;
}

void
shopee_judge_get_items(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *list = jread_array(jread_child(root, "response"), "item_list");
	const cJSON *entry;
	int			unreadable = 0;

	if (list == NULL)
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no list of items");
	if (list == NULL || !begin_lists(list, arena, answer))
		return;
	answer->item_names = arena_alloc(arena, sizeof(char *) * (size_t) cJSON_GetArraySize(list));
	if (answer->item_names == NULL)
		return;
	cJSON_ArrayForEach(entry, list)
	{
		const char *status = jread_text(entry, "item_status");
		const char *id = id_of(entry, "item_id", arena);
		ShownItem	item = {.item_id = id, .model_id = ""};

		if (id == NULL || status == NULL)
		{
			unreadable++;
			continue;
		}
		item.listed = strcmp(status, "NORMAL") == 0;
		item.ended = !item.listed && strcmp(status, "UNLIST") != 0;
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "has_model")) && !item.ended)
		{
			add_with_models(entry, id, arena, answer);
			continue;
		}
		if (!read_stock(entry, &item) && !item.ended)
		{
			unreadable++;
			continue;
		}
		read_rest(entry, "item_sku", "item_name", arena, &item);
		answer->shown[answer->n_shown++] = item;
	}
	count_unreadable(unreadable, arena, answer);
}

/* Whether the item is listed is not told here: its models count as listed unless they are unavailable. */
void
shopee_judge_get_models(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *list = jread_array(jread_child(root, "response"), "model");
	const cJSON *entry;
	int			unreadable = 0;

	if (list == NULL)
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no list of models");
	if (list == NULL || !begin_lists(list, arena, answer))
		return;
	cJSON_ArrayForEach(entry, list)
	{
		const char *status = jread_text(entry, "model_status");
		const char *id = id_of(entry, "model_id", arena);
		ShownItem	item = {.item_id = call->item_ids[0], .model_id = id};

		item.ended = status != NULL && strcmp(status, "MODEL_NORMAL") != 0;
		item.listed = !item.ended;
		if (id == NULL || (!read_stock(entry, &item) && !item.ended))
		{
			unreadable++;
			continue;
		}
		read_rest(entry, "model_sku", "model_name", arena, &item);
		answer->shown[answer->n_shown++] = item;
	}
	count_unreadable(unreadable, arena, answer);
}
