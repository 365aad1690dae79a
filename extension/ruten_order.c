/*
 * ruten_order.c
 *		Ruten partner API: orders of a detail answer as the canonical documents
 *		that ingest_orders takes.
 *
 * Nothing is known for sure of when an order changed, so a document has no
 * update_time and the moment of asking counts. When it was placed is taken
 * from the first member that says so under a name that it may well have.
 * Buyers are not read: no personal data comes in.
 */
#include "ruten.h"

#include <string.h>

#include "document.h"
#include "judge.h"

/* All statuses that the platform's list knows, and what they are to the stock; docs/ruten.md. */
static const DocumentStatus statuses[] = {
	{"Unpaid", "unpaid"},
	{"ToBeConfirmed", "ready_to_ship"}, /* the buyer has done his part */
	{"ReadyToShip", "ready_to_ship"},
	{"Shipped", "shipped"},
	{"InCancel", "in_cancel"},
	{"Cancelled", "cancelled"},
};

/* The parts of one order in the answer; NULL for what is not there. */
typedef struct Parts
{
	const cJSON *info;			/* order_info */
	const cJSON *checkout;		/* checkout_info */
	const cJSON *detail;		/* what holds these, and item_list */
	const cJSON *entry;
} Parts;

/* text_of finds a member of an order, wherever it stands. */
static const char *
text_of(const Parts *parts, const char *name)
{
	const cJSON *const places[] = {parts->info, parts->detail, parts->entry, parts->checkout};
	size_t		i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		const char *text = jread_text(places[i], name);

		if (text != NULL && *text != '\0')
			return text;
	}
	return NULL;
}

/* find_create_time returns when an order was placed, 0 when no member says so readably. */
static int64_t
find_create_time(const Parts *parts)
{
	static const char *const names[] = {
		"create_time", "created_time", "created_at", "create_date", "created_date", "order_time",
		"order_date", "order_create_time", "order_created_at", "ordered_at"
	};
	int64_t		at;
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		const char *text = text_of(parts, names[i]);

		if (text != NULL && ruten_moment(text, &at))
			return at;
	}
	return 0;
}

/*
 * price_of returns what one unit was sold for as text, NULL when nothing
 * readable says so. The discounted price counts where it is one: above
 * nothing, and not above the other.
 */
static const char *
price_of(const cJSON *entry)
{
	const char *original = jread_text(entry, "original_price");
	const char *discounted = jread_text(entry, "discount_price");
	int64_t		original_dollars;
	int64_t		dollars;

	if (original == NULL || !judge_amount(original))
		return NULL;
	if (plain_int(original, 0, RUTEN_MAX_PRICE, &original_dollars) && discounted != NULL &&
		plain_int(discounted, 1, original_dollars, &dollars))
		return discounted;
	return original;
}

/* read_line reads one entry of item_list; false when it cannot be understood. */
static bool
read_line(const cJSON *entry, Arena *arena, DocumentLine *line)
{
	const char *sku = jread_text(entry, "custom_no");

	line->item_id = jread_text(entry, "item_id");
	line->model_id = ruten_spec_id(jread_text(entry, "spec_id"));
	if (line->item_id == NULL || !ruten_id_ok(line->item_id) ||
		(*line->model_id != '\0' && !ruten_id_ok(line->model_id)) ||
		(jread_has(entry, "spec_id") && jread_text(entry, "spec_id") == NULL) ||
		!jread_int(entry, "quantity_purchased", 1, DOCUMENT_MAX_QTY, &line->qty))
		return false;
	line->cancelled_qty = DOCUMENT_UNSAID;
	line->returned_qty = DOCUMENT_UNSAID;
	line->sku = document_sku(arena, sku);
	line->unit_price = price_of(entry);
	return true;
}

/* read_order reads one order of the answer; see DocumentReader. */
static const char *
read_order(const cJSON *entry, Arena *arena, Document *document)
{
	const cJSON *detail = jread_child(entry, "order_detail");
	Parts		parts = {.entry = entry, .detail = detail != NULL ? detail : entry};
	const cJSON *items;
	const cJSON *item;
	const char *order_sn;
	const char *status;
	int			n;

	parts.info = jread_child(parts.detail, "order_info");
	parts.checkout = jread_child(parts.detail, "checkout_info");
	order_sn = text_of(&parts, "order_id");
	status = text_of(&parts, "order_status");
	items = jread_array(parts.detail, "item_list");
	n = cJSON_GetArraySize(items);
	if (status == NULL || n < 1 || n > DOCUMENT_MAX_LINES)
		return order_sn;
	document->lines = arena_alloc(arena, sizeof(DocumentLine) * (size_t) n);
	if (document->lines == NULL)
		return order_sn;
	cJSON_ArrayForEach(item, items)
	{
		DocumentLine *line = &document->lines[document->n_lines];

		if (!read_line(item, arena, line))
			return order_sn;
		line->place = document->n_lines++;
	}
	document->status = document_status(arena, "ruten", statuses, sizeof(statuses) / sizeof(statuses[0]), status);
	document->create_time = find_create_time(&parts);
	document->currency = "TWD";
	return order_sn;
}

/* is_order says whether the data is one order, where an array of them is usual. */
static bool
is_order(const cJSON *data)
{
	return jread_child(data, "order_detail") != NULL || jread_child(data, "order_info") != NULL ||
		jread_has(data, "order_id");
}

void
ruten_get_orders(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer)
{
	const cJSON *list = data;

	if (!cJSON_IsArray(data) && !is_order(data))
		list = jread_array(data, "order_list");
	if (list == NULL)
	{
		judge_settle(call, answer, OUTCOME_LATER, "the answer has no orders");
		return;
	}
	judge_settle(call, answer, OUTCOME_OK, "");
	document_answer(call, list, read_order, arena, answer);
}
