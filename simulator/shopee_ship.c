/*
 * shopee_ship.c
 *		The Shopee dialect: how an order may be shipped, shipping it, and
 *		cancelling it or lines of it.
 *
 * Shipping makes an order PROCESSED: arranged, not collected. An order that is
 * not waiting to be shipped is refused, so that a call which is made twice
 * shows in its answer and not in the order.
 */
#include <string.h>

#include "shopee.h"

/* The shop's order of this number; NULL, with the error answered, for none. */
static Order *
find_order(ShopeeCall *call, const char *sn)
{
	Order	   *order = sn != NULL ? orders_find(&call->sim->market.orders, sn) : NULL;

	if (order != NULL && order->shop == call->shop)
		return order;
	shopee_error(call->answer, "error_not_found", "Wrong parameters, the order is not found.");
	return NULL;
}

/* Whether the order waits to be shipped; false: the error is answered. */
static bool
may_ship(ShopeeCall *call, const Order *order)
{
	OrderStatus status = order_newest(order)->status;

	if (status == ORDER_READY_TO_SHIP || status == ORDER_RETRY_SHIP)
		return true;
	shopee_error(call->answer, "logistics.error_status_limit", "The order is not ready to be shipped.");
	return false;
}

/* The fault item_failure refuses the order; true: the error is answered. */
static bool
refused_by_fault(ShopeeCall *call)
{
	if (!faults_draw_item(&call->sim->faults, call->shop, call->path))
		return false;
	shopee_error(call->answer, "logistics.error_status_limit", "The order cannot be changed.");
	return true;
}

void
shopee_get_shipping_parameter(ShopeeCall *call)
{
	const Order *order = find_order(call, request_argument(call->request, "order_sn"));
	Text		response = {0};

	if (order == NULL || !may_ship(call, order))
		return;
	text_addf(&response, "{\"info_needed\":{\"dropoff\":[]},\"dropoff\":{\"branch_list\":null,\"slug_list\":null}}");
	shopee_response(call->answer, "", "", &response);
	text_free(&response);
}

/* Whether the body names the one way that there is, and no other. */
static bool
names_dropoff(const cJSON *body)
{
	return cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(body, "dropoff")) &&
		!cJSON_HasObjectItem(body, "pickup") && !cJSON_HasObjectItem(body, "non_integrated");
}

void
shopee_ship_order(ShopeeCall *call)
{
	Order	   *order = find_order(call, json_field_string(call->body, "order_sn"));

	if (order == NULL)
		return;
	if (!names_dropoff(call->body))
	{
		shopee_error(call->answer, "error_param", "The order is shipped by dropoff, and by nothing else.");
		return;
	}
	if (!may_ship(call, order) || refused_by_fault(call))
		return;
	if (market_set_status(&call->sim->market, order, ORDER_PROCESSED) != MARKET_OK)
	{
		shopee_error(call->answer, "error_inner", "The order has too many changes.");
		return;
	}
	for (int i = 0; i < order->n_lines; i++)
		order->lines[i].ships++;
	shopee_flat(call->answer);
	text_addf(&call->answer->body, "}");
}

/* The order's line of an entry of item_list, -1 for none. */
static int
find_line(const ShopeeCall *call, const Order *order, const cJSON *entry)
{
	int64_t		item_id;
	int64_t		model_id = 0;
	uint32_t	listing;

	if (!json_field_integer(entry, "item_id", false, &item_id) ||
		(cJSON_HasObjectItem(entry, "model_id") && !json_field_integer(entry, "model_id", false, &model_id)))
		return -1;
	listing = catalogue_listing(&call->sim->catalogue, call->shop, item_id, model_id);
	for (int i = 0; i < order->n_lines; i++)
	{
		if (listing != NO_INDEX && order->lines[i].listing == listing)
			return i;
	}
	return -1;
}

/* Which lines the call cancels: those of item_list, else all. False: the error is answered. */
static bool
read_lines(ShopeeCall *call, const Order *order, bool *chosen)
{
	const char *reason = json_field_string(call->body, "cancel_reason");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "item_list");
	const cJSON *entry;
	bool		out_of_stock = reason != NULL && strcmp(reason, "OUT_OF_STOCK") == 0;

	if (!out_of_stock && (reason == NULL || (strcmp(reason, "CUSTOMER_REQUEST") != 0 &&
											 strcmp(reason, "UNDELIVERABLE_AREA") != 0 && strcmp(reason, "COD_NOT_SUPPORTED") != 0)))
	{
		shopee_error(call->answer, "error_param", "cancel_reason is invalid.");
		return false;
	}
	if (out_of_stock && cJSON_GetArraySize(list) < 1)
	{
		shopee_error(call->answer, "error_param", "OUT_OF_STOCK needs item_list.");
		return false;
	}
	for (int i = 0; i < order->n_lines; i++)
		chosen[i] = list == NULL;
	cJSON_ArrayForEach(entry, list)
	{
		int			line = find_line(call, order, entry);

		if (line < 0)
		{
			shopee_error(call->answer, "error_param", "The order has no such item.");
			return false;
		}
		chosen[line] = true;
	}
	return true;
}

void
shopee_cancel_order(ShopeeCall *call)
{
	Order	   *order = find_order(call, json_field_string(call->body, "order_sn"));
	bool		chosen[MAX_ORDER_LINES] = {false};
	int32_t		cancelled[MAX_ORDER_LINES];
	bool		all = true;
	OrderStatus status;
	Text		response = {0};

	if (order == NULL || !read_lines(call, order, chosen))
		return;
	status = order_newest(order)->status;
	if (order->shipped || (status != ORDER_UNPAID && status != ORDER_READY_TO_SHIP && status != ORDER_PROCESSED))
	{
		shopee_error(call->answer, "order.error_status_limit", "The order cannot be cancelled any more.");
		return;
	}
	if (refused_by_fault(call))
		return;
	for (int i = 0; i < order->n_lines; i++)
	{
		cancelled[i] = chosen[i] ? order->lines[i].qty : order_newest(order)->cancelled[i];
		all = all && cancelled[i] == order->lines[i].qty;
	}
	if (market_cancel_units(&call->sim->market, order, all ? ORDER_CANCELLED : status, cancelled) != MARKET_OK)
	{
		shopee_error(call->answer, "error_inner", "The order has too many changes.");
		return;
	}
	for (int i = 0; i < order->n_lines; i++)
		order->lines[i].cancels += chosen[i];
	text_addf(&response, "{\"update_time\":%lld}", (long long) order_newest(order)->update_time);
	shopee_response(call->answer, "", "", &response);
	text_free(&response);
}
