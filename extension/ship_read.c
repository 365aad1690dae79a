/*
 * ship_read.c
 *		What canonical documents say of shipping and cancelling: whether an
 *		order, and each of its lines, is cancelled, arranged or under way.
 *
 * A line's own status stands before its order's. Pure: no I/O, no state; the
 * JSON tree is freed before ship_read returns.
 */
#include "ship_read.h"

#include <string.h>

#include "json.h"

static bool
is_one_of(const char *status, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(status, *names) == 0)
			return true;
	return false;
}

static bool
is_shipped(const char *status)
{
	static const char *const names[] = {"shipped", "completed", "returned", NULL};

	return is_one_of(status, names);
}

static const char *
copy_text(Arena *arena, const cJSON *object, const char *name)
{
	const char *text = jread_text(object, name);

	return text == NULL ? "" : arena_strdup(arena, text);
}

/* read_line reads one line; false when it has no number. */
static bool
read_line(const cJSON *entry, const char *order_status, Arena *arena, ShipLine *line)
{
	const char *status = jread_text(entry, "status");
	int64_t		qty = 0;
	int64_t		cancelled = 0;

	if (status == NULL)
		status = order_status;
	(void) jread_int(entry, "qty", 0, INT64_MAX, &qty);
	(void) jread_int(entry, "cancelled_qty", 0, INT64_MAX, &cancelled);
	line->line_id = copy_text(arena, entry, "line_id");
	line->item_id = copy_text(arena, entry, "item_id");
	line->model_id = copy_text(arena, entry, "model_id");
	line->live = cancelled < qty ? qty - cancelled : 0;
	line->cancelled = line->live == 0 || strcmp(status, "cancelled") == 0;
	line->shipped = !line->cancelled && is_shipped(status);
	return line->line_id != NULL && *line->line_id != '\0';
}

/* sum_up says of the order what its lines come to. */
static void
sum_up(ShipOrder *order)
{
	bool		all_cancelled = true;
	bool		all_shipped = true;
	int			i;

	for (i = 0; i < order->n_lines; i++)
	{
		all_cancelled = all_cancelled && order->lines[i].cancelled;
		all_shipped = all_shipped && (order->lines[i].cancelled || order->lines[i].shipped);
	}
	order->cancelled = all_cancelled;
	order->shipped = all_shipped && !all_cancelled;
}

/* read_order reads one document; one without status or lines is left as not understood. */
static void
read_order(const cJSON *document, Arena *arena, ShipOrder *order)
{
	const char *status = jread_text(document, "status");
	const cJSON *lines = jread_array(document, "lines");
	const cJSON *entry;

	memset(order, 0, sizeof(*order));
	order->order_sn = copy_text(arena, document, "order_sn");
	if (status == NULL || cJSON_GetArraySize(lines) == 0)
		return;
	order->lines = arena_alloc(arena, sizeof(ShipLine) * (size_t) cJSON_GetArraySize(lines));
	if (order->lines == NULL)
		return;
	cJSON_ArrayForEach(entry, lines)
	{
		if (!read_line(entry, status, arena, &order->lines[order->n_lines++]))
			return;
	}
	order->understood = true;
	order->arranged = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(document, "arranged"));
	order->in_cancel = strcmp(status, "in_cancel") == 0;
	sum_up(order);
}

ShipOrder *
ship_read(const char *documents, Arena *arena, int *n)
{
	cJSON	   *root = documents == NULL ? NULL : jread_parse(documents, strlen(documents));
	int			count = cJSON_IsArray(root) ? cJSON_GetArraySize(root) : 0;
	ShipOrder  *orders = count == 0 ? NULL : arena_alloc(arena, sizeof(ShipOrder) * (size_t) count);
	const cJSON *document;

	*n = 0;
	if (orders != NULL)
		cJSON_ArrayForEach(document, root)
			read_order(document, arena, &orders[(*n)++]);
	cJSON_Delete(root);
	if (arena_failed(arena))
		*n = 0;
	return orders;
}

const ShipOrder *
ship_find(const ShipOrder *orders, int n, const char *order_sn)
{
	int			i;

	for (i = 0; i < n; i++)
		if (strcmp(orders[i].order_sn, order_sn) == 0)
			return &orders[i];
	return NULL;
}

const ShipLine *
ship_find_line(const ShipOrder *order, const char *line_id)
{
	int			i;

	for (i = 0; i < order->n_lines; i++)
		if (strcmp(order->lines[i].line_id, line_id) == 0)
			return &order->lines[i];
	return NULL;
}
