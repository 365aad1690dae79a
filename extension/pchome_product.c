/*
 * pchome_product.c
 *		PChome 24h vendor API: requests that write products, which are their
 *		quantity, price and shelf.
 *
 * Pure: no I/O, no state, everything in the caller's arena.
 */
#include "pchome.h"

#include <string.h>

/* Reason of taking a product off the shelf, of 1 to 4, where the caller names none. */
#define DEFAULT_REASON		"1"

/* no_model tells whether a model's id says that there are none. */
static bool
no_model(const char *model_id)
{
	return *model_id == '\0' || strcmp(model_id, "0") == 0;
}

/* add_product_id appends the product id of an item and model as one word. */
static void
add_product_id(PlainBuffer *out, const PlatformItem *item)
{
	plain_add(out, item->item_id);
	plain_add(out, "-");
	plain_add(out, no_model(item->model_id) ? "000" : item->model_id);
}

static const char *
check_item(const PlatformItem *item)
{
	if (!pchome_group_ok(item->item_id))
		return "the item id is not a group id as AAAA0A-A00000001; the number of the spec is the model id";
	if (!no_model(item->model_id) &&
		(strlen(item->model_id) != PCHOME_MAX_SPEC || strspn(item->model_id, PCHOME_DIGITS) != PCHOME_MAX_SPEC ||
		 strcmp(item->model_id, "000") == 0))
		return "the model id is not the three digits of a spec; spec 000 is an item without models";
	return NULL;
}

static bool
same_product(const PlatformItem *a, const PlatformItem *b)
{
	return strcmp(a->item_id, b->item_id) == 0 &&
		(strcmp(a->model_id, b->model_id) == 0 || (no_model(a->model_id) && no_model(b->model_id)));
}

/* It names the products in the query and again in the body: the platform wants both to agree. */
const char *
pchome_push_stock(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;
	int			i;
	int			j;

	if (call->n_items < 1 || call->n_items > PCHOME_MAX_ITEMS)
		return "a stock call takes 1 to 20 products";
	pchome_begin_path(draft, PCHOME_PATH_PRODUCTS, "/prod/qty");
	plain_add(&draft->query, "?prodid=");
	plain_add(&draft->body, "[");
	for (i = 0; i < call->n_items; i++)
	{
		const PlatformItem *item = &call->items[i];
		const char *wrong = check_item(item);

		if (wrong != NULL)
			return wrong;
		if (item->quantity < 0 || item->quantity > PCHOME_MAX_QUANTITY)
			return "the quantity is not between 0 and 1200";
		for (j = 0; j < i; j++)
			if (same_product(&call->items[j], item))
				return "a stock call names each product once";
		plain_add(&draft->query, i > 0 ? "," : "");
		add_product_id(&draft->query, item);
		plain_add(&draft->body, i > 0 ? ",{\"Id\":\"" : "{\"Id\":\"");
		add_product_id(&draft->body, item);
		plain_add(&draft->body, "\",\"Qty\":");
		plain_add_int(&draft->body, item->quantity);
		plain_add(&draft->body, "}");
	}
	plain_add(&draft->body, "]");
	return NULL;
}

/* read_price takes a price in whole dollars, as the platform does: "990" or "990.00". */
static bool
read_price(const char *text, int64_t *price)
{
	char		whole[16];
	size_t		length = strspn(text, PCHOME_DIGITS);

	if (length == 0 || length >= sizeof(whole))
		return false;
	if (text[length] != '\0' && (text[length] != '.' || strspn(text + length + 1, "0") != strlen(text + length + 1)))
		return false;
	memcpy(whole, text, length);
	whole[length] = '\0';
	return plain_int(whole, PCHOME_MIN_PRICE, INT32_MAX, price);
}

/* first_of_group finds the first item of the same group; itself when it is the first. */
static int
first_of_group(const PlatformItem *items, int i)
{
	int			j;

	for (j = 0; j < i; j++)
		if (strcmp(items[j].item_id, items[i].item_id) == 0)
			return j;
	return i;
}

/* add_group_price writes list price and selling price alike: what would be crossed out is not ours to invent. */
static const char *
add_group_price(PchomeDraft *draft, int i)
{
	int64_t		price;

	if (draft->call->items[i].price == NULL || !read_price(draft->call->items[i].price, &price))
		return "the price is not a whole number of dollars from 20 up";
	plain_add(&draft->body, ",\"Price\":{\"M\":");
	plain_add_int(&draft->body, price);
	plain_add(&draft->body, ",\"P\":");
	plain_add_int(&draft->body, price);
	plain_add(&draft->body, "}}");
	return NULL;
}

static void
add_group_listed(PchomeDraft *draft)
{
	const char *reason = draft->call->reason != NULL ? draft->call->reason : DEFAULT_REASON;

	plain_add(&draft->body, draft->call->listed ? ",\"isShelf\":1" : ",\"isShelf\":0");
	plain_add(&draft->body, ",\"OffShelfReason\":\"");
	plain_add(&draft->body, draft->call->listed ? "" : reason);
	plain_add(&draft->body, "\"}");
}

/* It makes a call on whole groups, of which each is named once: prices, or the shelf. */
const char *
pchome_groups(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;
	bool		price = call->kind == CALL_PUSH_PRICE;
	int			i;

	if (call->n_items < 1 || call->n_items > PCHOME_MAX_ITEMS)
		return "a call on products takes 1 to 20 of them";
	if (!price && !call->listed && call->reason != NULL && !pchome_all_of(call->reason, "1234", 1))
		return "the reason for taking a product off the shelf is not 1, 2, 3 or 4";
	pchome_begin_path(draft, PCHOME_PATH_PRODUCTS, price ? "/prod/price" : "/prod/isshelf");
	plain_add(&draft->query, "?groupid=");
	plain_add(&draft->body, "[");
	for (i = 0; i < call->n_items; i++)
	{
		const PlatformItem *item = &call->items[i];
		int			first = first_of_group(call->items, i);
		const char *wrong = check_item(item);

		if (wrong != NULL)
			return wrong;
		if (first < i)
		{
			if (price && (item->price == NULL || strcmp(item->price, call->items[first].price) != 0))
				return "all specs of a product have one price";
			continue;
		}
		plain_add(&draft->query, i > 0 ? "," : "");
		plain_add(&draft->query, item->item_id);
		plain_add(&draft->body, i > 0 ? ",{\"GroupId\":\"" : "{\"GroupId\":\"");
		plain_add(&draft->body, item->item_id);
		plain_add(&draft->body, "\"");
		wrong = price ? add_group_price(draft, i) : NULL;
		if (wrong != NULL)
			return wrong;
		if (!price)
			add_group_listed(draft);
	}
	plain_add(&draft->body, "]");
	return NULL;
}
