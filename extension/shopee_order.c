/*
 * shopee_order.c
 *		Shopee Open Platform v2: orders of a detail answer as the canonical
 *		documents that ingest_orders takes.
 *
 * An order is translated whole or not at all. One that cannot be becomes a
 * document with its number and the status null, and so does one that was
 * asked for and is not in the answer: ingest then rejects it by name, and
 * nothing is lost in silence. Personal data is neither asked for nor read.
 *
 * Nothing here concludes that goods came back: TO_RETURN is a request, and
 * returned_qty is passed on for the store's policy to judge.
 */
#include "shopee.h"

#include <stdlib.h>
#include <string.h>

#include "plain.h"

/* As SS_MAX_LINES, SS_MAX_QTY and SS_MAX_TEXT of storesync.h, which is PostgreSQL's. */
#define MAX_LINES			10000
#define MAX_QTY				INT64_C(1000000000000)
#define MAX_SKU				200
#define MAX_STATUS			60

typedef struct Line
{
	int64_t		item_id;
	int64_t		model_id;		/* 0: an item without models */
	int			place;			/* in the answer, from 0 */
	int64_t		qty;
	int64_t		cancelled_qty;
	int64_t		returned_qty;
	const char *sku;			/* "" for none */
	const char *unit_price;		/* decimal text, NULL for none */
} Line;

typedef struct Order
{
	const char *status;			/* canonical, or one that no store knows */
	int64_t		create_time;
	int64_t		update_time;	/* 0: none was said */
	const char *currency;		/* NULL for none */
	Line	   *lines;
	int			n_lines;
} Order;

/* All statuses that occur in Shopee's data, and what they are to the stock; docs/shopee.md. */
static const struct
{
	const char *shopee;
	const char *canonical;
}			statuses[] = {
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

/*
 * canonical_status translates a status. A new one of the platform is handed
 * on under a name that ingest does not know, so that it is rejected and seen.
 */
static const char *
canonical_status(Arena *arena, const char *shopee)
{
	const char *unknown;
	size_t		i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (strcmp(statuses[i].shopee, shopee) == 0)
			return statuses[i].canonical;
	unknown = arena_printf(arena, "shopee:%s", plain_clean(arena, shopee, MAX_STATUS));
	return unknown != NULL ? unknown : "";
}

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
	return !jread_has(entry, name) || jread_int(entry, name, 0, MAX_QTY, qty);
}

/* read_line reads one entry of item_list; false when it cannot be understood. */
static bool
read_line(const cJSON *entry, Arena *arena, Line *line)
{
	const char *model = jread_text(entry, "model_id");
	const char *sku = jread_text(entry, "model_sku");

	if (!jread_int(entry, "item_id", 1, INT64_MAX, &line->item_id) ||
		!jread_int(entry, "model_quantity_purchased", 1, MAX_QTY, &line->qty) ||
		!optional_qty(entry, "cancelled_qty", &line->cancelled_qty) ||
		!optional_qty(entry, "returned_qty", &line->returned_qty))
		return false;
	if (model != NULL ? !shopee_model_id(model, &line->model_id) : jread_has(entry, "model_id"))
		return false;
	if (sku == NULL || *sku == '\0')
		sku = jread_text(entry, "item_sku");
	/* a code cut short would be another code */
	line->sku = sku != NULL && strlen(sku) <= MAX_SKU ? plain_clean(arena, sku, MAX_SKU) : "";
	line->unit_price = price_of(entry, "model_discounted_price");
	if (line->unit_price == NULL)
		line->unit_price = price_of(entry, "model_original_price");
	return true;
}

static int
compare_lines(const void *a, const void *b)
{
	const Line *x = a;
	const Line *y = b;

	if (x->item_id != y->item_id)
		return x->item_id < y->item_id ? -1 : 1;
	if (x->model_id != y->model_id)
		return x->model_id < y->model_id ? -1 : 1;
	return x->place - y->place;
}

/*
 * sum_lines orders the lines by item and model and makes one of those that
 * share both: a bundle repeats them, and the platform's own line number is
 * shared between models. Price and SKU are those of the first.
 */
static bool
sum_lines(Order *order)
{
	int			kept = 0;
	int			i;

	qsort(order->lines, (size_t) order->n_lines, sizeof(Line), compare_lines);
	for (i = 1; i < order->n_lines; i++)
	{
		Line	   *last = &order->lines[kept];
		const Line *line = &order->lines[i];

		if (line->item_id != last->item_id || line->model_id != last->model_id)
		{
			order->lines[++kept] = *line;
			continue;
		}
		last->qty += line->qty;
		last->cancelled_qty += line->cancelled_qty;
		last->returned_qty += line->returned_qty;
		if (last->qty > MAX_QTY || last->cancelled_qty > MAX_QTY || last->returned_qty > MAX_QTY)
			return false;
	}
	order->n_lines = kept + 1;
	return true;
}

/* read_order reads one order of the answer; false when any of it cannot be understood. */
static bool
read_order(const cJSON *entry, Arena *arena, Order *order)
{
	const char *status = jread_text(entry, "order_status");
	const char *currency = jread_text(entry, "currency");
	const cJSON *items = jread_array(entry, "item_list");
	const cJSON *item;
	int			n = cJSON_GetArraySize(items);

	*order = (Order) {0};
	if (status == NULL || n < 1 || n > MAX_LINES ||
		!jread_int(entry, "create_time", 1, SHOPEE_MAX_UINT32, &order->create_time) ||
		(jread_has(entry, "update_time") &&
		 !jread_int(entry, "update_time", 1, SHOPEE_MAX_UINT32, &order->update_time)))
		return false;
	order->status = canonical_status(arena, status);
	if (currency != NULL && strlen(currency) == 3 && strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3)
		order->currency = currency;
	order->lines = arena_alloc(arena, sizeof(Line) * (size_t) n);
	if (order->lines == NULL)
		return false;
	cJSON_ArrayForEach(item, items)
	{
		Line	   *line = &order->lines[order->n_lines];

		if (!read_line(item, arena, line))
			return false;
		line->place = order->n_lines++;
	}
	return sum_lines(order);
}

static void
write_line(PlainBuffer *out, const Line *line)
{
	plain_add(out, "{\"line_id\":\"");
	plain_add_int(out, line->item_id);
	plain_add(out, "/");
	plain_add_int(out, line->model_id);
	plain_add(out, "\",\"item_id\":\"");
	plain_add_int(out, line->item_id);
	plain_add(out, "\",\"model_id\":\"");
	if (line->model_id != 0)
		plain_add_int(out, line->model_id);
	plain_add(out, "\"");
	if (*line->sku != '\0')
	{
		plain_add(out, ",\"sku\":");
		plain_add_json(out, line->sku);
	}
	plain_add(out, ",\"qty\":");
	plain_add_int(out, line->qty);
	plain_add(out, ",\"cancelled_qty\":");
	plain_add_int(out, line->cancelled_qty);
	plain_add(out, ",\"returned_qty\":");
	plain_add_int(out, line->returned_qty);
	if (line->unit_price != NULL)
	{
		plain_add(out, ",\"unit_price\":");
		plain_add(out, line->unit_price);
	}
	plain_add(out, "}");
}

/* write_document appends a document; without an order, the one that ingest rejects by its number. */
static void
write_document(PlainBuffer *out, const char *order_sn, const Order *order)
{
	int			i;

	plain_add(out, out->length > 1 ? ",{\"order_sn\":" : "{\"order_sn\":");
	plain_add_json(out, order_sn);
	if (order == NULL)
	{
		plain_add(out, ",\"status\":null}");
		return;
	}
	plain_add(out, ",\"status\":");
	plain_add_json(out, order->status);
	plain_add(out, ",\"create_time\":");
	plain_add_int(out, order->create_time);
	if (order->update_time != 0)
	{
		plain_add(out, ",\"update_time\":");
		plain_add_int(out, order->update_time);
	}
	if (order->currency != NULL)
	{
		plain_add(out, ",\"currency\":");
		plain_add_json(out, order->currency);
	}
	plain_add(out, ",\"lines\":[");
	for (i = 0; i < order->n_lines; i++)
	{
		if (i > 0)
			plain_add(out, ",");
		write_line(out, &order->lines[i]);
	}
	plain_add(out, "]}");
}

/* find_asked returns the place of an order number among those asked for, -1 for none. */
static int
find_asked(const PlatformCall *call, const char *order_sn)
{
	int			i;

	for (i = 0; i < call->n_order_sns; i++)
		if (strcmp(call->order_sns[i], order_sn) == 0)
			return i;
	return -1;
}

void
shopee_documents(const PlatformCall *call, const cJSON *order_list, Arena *arena,
				 PlatformAnswer *answer)
{
	bool	   *seen = arena_alloc(arena, (size_t) call->n_order_sns);
	PlainBuffer out;
	const cJSON *entry;
	int			strange = 0;
	int			broken = 0;
	int			missing = 0;
	int			i;

	if (seen == NULL)
		return;
	plain_begin(&out, arena, 512 * (size_t) call->n_order_sns + 64);
	plain_add(&out, "[");
	cJSON_ArrayForEach(entry, order_list)
	{
		const char *order_sn = jread_text(entry, "order_sn");
		Order		order;
		bool		understood;

		i = order_sn != NULL ? find_asked(call, order_sn) : -1;
		if (i < 0 || seen[i])
		{
			/* no number, not asked for, or said twice */
			strange++;
			continue;
		}
		seen[i] = true;
		understood = read_order(entry, arena, &order);
		write_document(&out, order_sn, understood ? &order : NULL);
		answer->n_documents++;
		broken += !understood;
	}
	/* a number that was asked for twice has one document */
	for (i = 0; i < call->n_order_sns; i++)
		if (!seen[i] && find_asked(call, call->order_sns[i]) == i)
		{
			write_document(&out, call->order_sns[i], NULL);
			answer->n_documents++;
			missing++;
		}
	plain_add(&out, "]");
	answer->documents = plain_finish(&out);
	if (strange + broken + missing > 0)
		answer->message = arena_printf(arena,
									   "of %d orders %d could not be understood and %d are missing; "
									   "%d were unnamed or not asked for",
									   answer->n_documents, broken, missing, strange);
}
