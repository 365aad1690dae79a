/*
 * shopee_order.c
 *		Shopee Open Platform v2: orders of a detail answer as the canonical
 *		documents that ingest_orders takes.
 *
 * Lines that share item and model are one: a bundle repeats them, and the
 * platform's own line number is shared between models. Personal data is
 * neither asked for nor read.
 *
 * Nothing here concludes that goods came back: TO_RETURN is a request, and
 * returned_qty is passed on for the store's policy to judge.
 */
#include "shopee.h"

#include <inttypes.h>
#include <string.h>

#include "document.h"


/* All statuses that occur in Shopee's data, and what they are to the stock; docs/shopee.md. */
static const DocumentStatus statuses[] = {
	{"UNPAID", "unpaid"},
	{"PENDING", "ready_to_ship"},	/* paid, held back by a check of the platform */
	{"INVOICE_PENDING", "ready_to_ship"},
	{"READY_TO_SHIP", "ready_to_ship"},
	{"PROCESSED", "ready_to_ship"},	/* arranged, not yet collected */
	{"RETRY_SHIP", "ready_to_ship"},
	{"SHIPPED", "shipped"},
	{"TO_CONFIRM_RECEIVE", "shipped"},
	{"TO_RETURN", "shipped"},	/* a request; the goods are with the buyer */
	{"COMPLETED", "completed"},
	{"IN_CANCEL", "in_cancel"},
	{"CANCELLED", "cancelled"},
};

/* price_of returns the price of a member as text, NULL when there is none that is readable. */
static const char *
price_of(const cJSON *entry, const char *name)
{
	const char *text = jread_text(entry, name);

	return text != NULL && judge_amount(text) ? text : NULL;
}

/* optional_qty reads a quantity that older answers do not have: 0 then. */
static bool
optional_qty(const cJSON *entry, const char *name, int64_t *qty)
{
	*qty = 0;
	return !jread_has(entry, name) || jread_int(entry, name, 0, DOCUMENT_MAX_QTY, qty);
}

/* read_line reads one entry of item_list; false when it cannot be understood. */
static bool
read_line(const cJSON *entry, Arena *arena, DocumentLine *line)
{
	const char *model = jread_text(entry, "model_id");
	const char *sku = jread_text(entry, "model_sku");
	int64_t		item_id;
	int64_t		model_id = 0;

	if (!jread_int(entry, "item_id", 1, INT64_MAX, &item_id) ||
		!jread_int(entry, "model_quantity_purchased", 1, DOCUMENT_MAX_QTY, &line->qty) ||
		!optional_qty(entry, "cancelled_qty", &line->cancelled_qty) ||
		!optional_qty(entry, "returned_qty", &line->returned_qty))
		return false;
	if (model != NULL ? !shopee_model_id(model, &model_id) : jread_has(entry, "model_id"))
		return false;
	line->item_id = arena_printf(arena, "%" PRId64, item_id);
	line->model_id = model_id != 0 ? arena_printf(arena, "%" PRId64, model_id) : "";
	if (line->item_id == NULL || line->model_id == NULL)
		return false;
	line->sku = document_sku(arena, sku != NULL && *sku != '\0' ? sku : jread_text(entry, "item_sku"));
	line->unit_price = price_of(entry, "model_discounted_price");
	if (line->unit_price == NULL)
		line->unit_price = price_of(entry, "model_original_price");
	return true;
}

/* read_order reads one order of the answer; see DocumentReader. */
static const char *
read_order(const cJSON *entry, Arena *arena, Document *document)
{
	const char *order_sn = jread_text(entry, "order_sn");
	const char *status = jread_text(entry, "order_status");
	const char *currency = jread_text(entry, "currency");
	const cJSON *items = jread_array(entry, "item_list");
	const cJSON *item;
	int			n = cJSON_GetArraySize(items);

	if (status == NULL || n < 1 || n > DOCUMENT_MAX_LINES ||
		!jread_int(entry, "create_time", 1, SHOPEE_MAX_UINT32, &document->create_time) ||
		(jread_has(entry, "update_time") &&
		 !jread_int(entry, "update_time", 1, SHOPEE_MAX_UINT32, &document->update_time)))
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
	if (currency != NULL && strlen(currency) == 3 && strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3)
		document->currency = currency;
	document->status = document_status(arena, "shopee", statuses, sizeof(statuses) / sizeof(statuses[0]), status);
	document->arranged = strcmp(status, "PROCESSED") == 0;
	return order_sn;
}

void
shopee_documents(const PlatformCall *call, const cJSON *order_list, Arena *arena,
				 PlatformAnswer *answer)
{
	document_answer(call, order_list, read_order, arena, answer);
}
