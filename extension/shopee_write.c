/*
 * shopee_write.c
 *		Shopee Open Platform v2: what is written to items: quantities, prices,
 *		and whether they are listed.
 *
 * An answer has two lists, of what was done and of what was refused, and both
 * are read whatever its error says. No success is concluded from silence: an
 * item that neither list names is in doubt.
 *
 * Pure: no I/O, no state.
 */
#include "shopee.h"

#include <string.h>

static const char not_named[] = "the answer does not name this item";

/* check_models says why the items cannot be models of one call, NULL when they can. */
static const char *
check_models(const PlatformItem *items, int n)
{
	int64_t		item_id;
	int64_t		models[SHOPEE_MAX_MODELS];
	int			i;
	int			j;

	if (n < 1 || n > SHOPEE_MAX_MODELS)
		return "a stock or price call takes 1 to 50 models";
	if (!plain_int(items[0].item_id, 1, INT64_MAX, &item_id))
		return "the item id is not a number";
	for (i = 0; i < n; i++)
	{
		if (strcmp(items[i].item_id, items[0].item_id) != 0)
			return "a stock or price call takes models of one item only";
		if (!shopee_model_id(items[i].model_id, &models[i]))
			return "the model id is not a number";
		for (j = 0; j < i; j++)
			if (models[j] == models[i])
				return "a stock or price call names each model once";
	}
	return NULL;
}

/* begin_models writes the body's head up to the list's first entry. */
static void
begin_models(const PlatformCall *call, PlainBuffer *body, const char *list)
{
	plain_add(body, "{\"item_id\":");
	plain_add(body, call->items[0].item_id);
	plain_add(body, list);
}

/* begin_model writes an entry's head. */
static void
begin_model(const PlatformCall *call, PlainBuffer *body, int i)
{
	const char *model_id = call->items[i].model_id;

	plain_add(body, i > 0 ? ",{\"model_id\":" : "{\"model_id\":");
	plain_add(body, *model_id != '\0' ? model_id : "0");
}

const char *
shopee_build_stock(const PlatformCall *call, const PlatformAccess *access,
				   PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_models(call->items, call->n_items);
	int			i;

	if (wrong != NULL)
		return wrong;
	begin_models(call, body, ",\"stock_list\":[");
	for (i = 0; i < call->n_items; i++)
	{
		if (call->items[i].quantity < 0 || call->items[i].quantity > SHOPEE_MAX_QUANTITY)
			return "the quantity is not between 0 and 999999";
		begin_model(call, body, i);
		plain_add(body, ",\"seller_stock\":[{\"stock\":");
		plain_add_int(body, call->items[i].quantity);
		plain_add(body, "}]}");
	}
	plain_add(body, "]}");
	return NULL;
}

/* In Taiwan a price is a whole number. */
const char *
shopee_build_price(const PlatformCall *call, const PlatformAccess *access,
				   PlainBuffer *url, PlainBuffer *body)
{
	const char *wrong = check_models(call->items, call->n_items);
	int64_t		price;
	int			i;

	if (wrong != NULL)
		return wrong;
	begin_models(call, body, ",\"price_list\":[");
	for (i = 0; i < call->n_items; i++)
	{
		if (call->items[i].price == NULL || !plain_int(call->items[i].price, 1, SHOPEE_MAX_PRICE, &price))
			return "the price is not a whole number above 0";
		begin_model(call, body, i);
		plain_add(body, ",\"original_price\":");
		plain_add(body, call->items[i].price);
		plain_add(body, "}");
	}
	plain_add(body, "]}");
	return NULL;
}

/* Items as a whole: their models come and go with them. */
const char *
shopee_build_listed(const PlatformCall *call, const PlatformAccess *access,
					PlainBuffer *url, PlainBuffer *body)
{
	int64_t		item_id;
	int			i;
	int			j;

	if (call->n_items < 1 || call->n_items > SHOPEE_MAX_ITEMS)
		return "a call that lists takes 1 to 50 items";
	plain_add(body, "{\"item_list\":[");
	for (i = 0; i < call->n_items; i++)
	{
		if (!plain_int(call->items[i].item_id, 1, INT64_MAX, &item_id))
			return "the item id is not a number";
		for (j = 0; j < i; j++)
			if (strcmp(call->items[j].item_id, call->items[i].item_id) == 0)
				return "a call that lists names each item once";
		plain_add(body, i > 0 ? ",{\"item_id\":" : "{\"item_id\":");
		plain_add(body, call->items[i].item_id);
		plain_add(body, call->listed ? ",\"unlist\":false}" : ",\"unlist\":true}");
	}
	plain_add(body, "]}");
	return NULL;
}

/*
 * entry_key reads what an entry of a list is known by: the
 * model, or the item where whole items are written. False: by nothing.
 */
static bool
entry_key(const PlatformCall *call, const cJSON *entry, int64_t *key)
{
	const char *text;

	if (call->kind == CALL_SET_LISTED)
	{
		text = jread_text(entry, "item_id");
		return text != NULL && plain_int(text, 1, INT64_MAX, key);
	}
	text = jread_text(entry, "model_id");
	*key = 0;
	/* an item without models may come without the member */
	return text != NULL ? shopee_model_id(text, key) : cJSON_IsObject(entry) && !jread_has(entry, "model_id");
}

static int64_t
item_key(const PlatformCall *call, int i)
{
	int64_t		key;
	bool		known = call->kind == CALL_SET_LISTED ? plain_int(call->items[i].item_id, 1, INT64_MAX, &key) :
		shopee_model_id(call->items[i].model_id, &key);

	return known ? key : -1;
}

/* find_item returns the place of the item that a list's entry names, -1 when it is none of ours. */
static int
find_item(const PlatformCall *call, const cJSON *entry, const int64_t *keys, int n)
{
	int64_t		key;
	int			i;

	if (!entry_key(call, entry, &key))
		return -1;
	for (i = 0; i < n; i++)
		if (keys[i] == key)
			return i;
	return -1;
}

/* refuse gives an item of failure_list its outcome. */
static void
refuse(ItemOutcome *item, bool done_too, const cJSON *entry, Arena *arena)
{
	const char *reason = jread_text(entry, "failed_reason");

	reason = plain_clean(arena, reason != NULL ? reason : "", SHOPEE_MAX_MESSAGE);
	/* in both lists: some of its warehouses took it, or nobody knows */
	item->class = done_too ? OUTCOME_IN_DOUBT : shopee_reason_class(reason);
	item->reason = *reason != '\0' ? judge_text(arena, reason, SHOPEE_MAX_MESSAGE) : "refused without a reason";
}

int
shopee_judge_lists(const PlatformCall *call, const cJSON *response, Arena *arena, PlatformAnswer *answer)
{
	int64_t    *keys = arena_alloc(arena, sizeof(int64_t) * (size_t) answer->n_items);
	bool	   *named = arena_alloc(arena, (size_t) answer->n_items);
	const cJSON *entry;
	int			n = 0;
	int			i;

	if (keys == NULL || named == NULL)
		return 0;
	for (i = 0; i < answer->n_items; i++)
		keys[i] = item_key(call, i);
	cJSON_ArrayForEach(entry, jread_array(response, "success_list"))
	{
		i = find_item(call, entry, keys, answer->n_items);
		if (i < 0 || named[i])
			continue;
		answer->items[i] = (ItemOutcome) {call->items[i].listing_id, OUTCOME_OK, ""};
		named[i] = true;
		n++;
	}
	cJSON_ArrayForEach(entry, jread_array(response, "failure_list"))
	{
		i = find_item(call, entry, keys, answer->n_items);
		if (i < 0 || (named[i] && answer->items[i].class != OUTCOME_OK))
			continue;
		refuse(&answer->items[i], named[i], entry, arena);
		n += !named[i];
		named[i] = true;
	}
	for (i = 0; i < answer->n_items && n > 0; i++)
		if (!named[i])
			answer->items[i] = (ItemOutcome) {call->items[i].listing_id, OUTCOME_IN_DOUBT, not_named};
	return n;
}

void
shopee_judge_write(const PlatformCall *call, const cJSON *root, Arena *arena, PlatformAnswer *answer)
{
	judge_settle(call, answer, OUTCOME_IN_DOUBT, not_named);
	answer->message = "";
	(void) shopee_judge_lists(call, jread_child(root, "response"), arena, answer);
	judge_sum_up(answer, false);
}
