/*
 * shopee_order.c
 *		The Shopee dialect: the list of a shop's orders and their details.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "shopee.h"

#define MAX_SPAN_S (INT64_C(15) * 86400)
#define MAX_PAGE 100
#define MAX_DETAILS 50
#define CURSOR_MASK UINT64_C(0x5DEECE66D1B54A3F)	/* a cursor says nothing to its holder */

/* A name among the comma-separated names of a query parameter. */
static bool
names_field(const char *names, const char *wanted)
{
	size_t		length = strlen(wanted);

	while (names != NULL)
	{
		if (strncmp(names, wanted, length) == 0 && (names[length] == ',' || names[length] == '\0'))
			return true;
		names = strchr(names, ',');
		if (names != NULL)
			names++;
	}
	return false;
}

/* Reads the cursor that the last page gave out; "" and none begin anew. */
static bool
read_cursor(const ShopeeCall *call, OrderQuery *query)
{
	const char *cursor = request_argument(call->request, "cursor");
	char	   *end;
	uint64_t	position;

	if (cursor == NULL || cursor[0] == '\0')
		return true;
	position = strtoull(cursor, &end, 16) ^ CURSOR_MASK;
	if (*end != '\0' || position > call->sim->market.orders.shops[call->shop].n_changes)
		return false;
	query->position = (uint32_t) position;
	return true;
}

/* Reads the query of an order list. False: the error is answered. */
static bool
read_query(ShopeeCall *call, OrderQuery *query, int64_t *page_size)
{
	const char *field = request_argument(call->request, "time_range_field");
	const char *status = request_argument(call->request, "order_status");
	const char *wrong = NULL;

	memset(query, 0, sizeof(*query));
	query->shop = call->shop;
	query->now_us = clock_us();
	query->status = ORDER_N_STATUSES;
	if (field == NULL || (strcmp(field, "create_time") != 0 && strcmp(field, "update_time") != 0))
		wrong = "time_range_field is invalid.";
	else if (!shopee_argument(call, "time_from", 0, INT32_MAX, &query->from_s) ||
			 !shopee_argument(call, "time_to", 0, INT32_MAX, &query->to_s))
		wrong = "time_from or time_to is invalid.";
	else if (!shopee_argument(call, "page_size", 1, MAX_PAGE, page_size))
		wrong = "page_size must be from 1 to 100.";
	else if (!read_cursor(call, query))
		wrong = "cursor is invalid.";
	else if (status != NULL && (query->status = order_status_named(status)) == ORDER_N_STATUSES)
		wrong = "order_status is invalid.";
	if (wrong != NULL)
	{
		shopee_error(call->answer, "error_param", wrong);
		return false;
	}
	if (query->from_s > query->to_s || query->to_s - query->from_s > MAX_SPAN_S)
	{
		shopee_error(call->answer, "order.order_list_invalid_time",
					 "The time range must be within 15 days.");
		return false;
	}
	query->by_create_time = strcmp(field, "create_time") == 0;
	return true;
}

void
shopee_get_order_list(ShopeeCall *call)
{
	const Orders *orders = &call->sim->market.orders;
	bool		with_status = names_field(request_argument(call->request, "response_optional_fields"),
										  "order_status");
	const OrderVersion *version;
	const Order *order;
	OrderQuery	query;
	Text		list = {0};
	Text		response = {0};
	char		cursor[32] = "";
	int64_t		page_size;
	uint32_t	next;

	if (!read_query(call, &query, &page_size))
		return;
	text_addf(&list, "[");
	while (page_size-- > 0 && (order = orders_next(orders, &query, &version)) != NULL)
	{
		json_comma(&list);
		text_addf(&list, "{\"order_sn\":\"%s\",\"booking_sn\":\"\"", order->sn);
		if (with_status)
			text_addf(&list, ",\"order_status\":\"%s\"", order_status_name(version->status));
		text_addf(&list, "}");
	}
	text_addf(&list, "]");

	next = query.position;
	if (orders_next(orders, &query, &version) != NULL)
		(void) snprintf(cursor, sizeof(cursor), "%016" PRIx64, next ^ CURSOR_MASK);
	text_addf(&response, "{\"more\":%s,\"next_cursor\":\"%s\",\"order_list\":%s}",
			  cursor[0] != '\0' ? "true" : "false", cursor, list.data);
	shopee_response(call->answer, "", "", &response);
	text_free(&list);
	text_free(&response);
}

/* One line of an order as item_list shows it. */
static void
write_line(const ShopeeCall *call, Text *text, const Order *order, const OrderVersion *version, int i)
{
	const OrderLine *line = &order->lines[i];
	const CatalogueListing *listing = &call->sim->catalogue.listings[line->listing];
	const char *code = call->sim->catalogue.skus[listing->sku].code;
	int32_t		cancelled = version->cancelled[i];

	json_comma(text);
	text_addf(text, "{\"item_id\":%" PRId64 ",\"item_name\":", listing->item_id);
	json_string(text, code);
	text_addf(text, ",\"item_sku\":");
	json_string(text, listing->model_id == 0 ? code : "");
	text_addf(text, ",\"model_id\":%" PRId64 ",\"model_name\":", listing->model_id);
	json_string(text, listing->model_id == 0 ? "" : code);
	text_addf(text, ",\"model_sku\":");
	json_string(text, listing->model_id == 0 ? "" : code);
	text_addf(text, ",\"model_quantity_purchased\":%" PRId32, line->qty);
	text_addf(text, ",\"model_original_price\":%.15g,\"model_discounted_price\":%.15g", listing->price,
			  listing->price);
	text_addf(text, ",\"promotion_type\":\"\",\"promotion_id\":0");
	text_addf(text, ",\"order_item_id\":%" PRId64 ",\"line_item_id\":%d", listing->item_id, i + 1);
	text_addf(text, ",\"active_qty\":%" PRId32 ",\"cancel_requested_qty\":%" PRId32,
			  version->status == ORDER_IN_CANCEL ? 0 : line->qty - cancelled,
			  version->status == ORDER_IN_CANCEL ? line->qty - cancelled : 0);
	text_addf(text, ",\"cancelled_qty\":%" PRId32 ",\"return_requested_qty\":%" PRId32 ",\"returned_qty\":0}",
			  cancelled, version->status == ORDER_TO_RETURN ? line->qty - cancelled : 0);
}

/* The optional fields of the detail that were asked for, of those that are known here. */
static void
write_optional(const ShopeeCall *call, Text *text, const Order *order, const OrderVersion *version)
{
	const char *names = request_argument(call->request, "response_optional_fields");
	double		total = 0;

	if (names_field(names, "item_list"))
	{
		text_addf(text, ",\"item_list\":[");
		for (int i = 0; i < order->n_lines; i++)
			write_line(call, text, order, version, i);
		text_addf(text, "]");
	}
	for (int i = 0; i < order->n_lines; i++)
		total += order->lines[i].qty * call->sim->catalogue.listings[order->lines[i].listing].price;
	if (names_field(names, "total_amount"))
		text_addf(text, ",\"total_amount\":%.15g", total);
	if (names_field(names, "buyer_username"))
		text_addf(text, ",\"buyer_username\":\"buyer\"");
	if (names_field(names, "buyer_user_id"))
		text_addf(text, ",\"buyer_user_id\":1");
	if (names_field(names, "pay_time"))
	{
		if (version->status == ORDER_UNPAID)
			text_addf(text, ",\"pay_time\":null");
		else
			text_addf(text, ",\"pay_time\":%" PRId64, order->versions[0].update_time);
	}
	if (names_field(names, "cancel_by"))
		text_addf(text, ",\"cancel_by\":\"%s\"", version->status == ORDER_CANCELLED ? "buyer" : "");
	if (names_field(names, "cancel_reason"))
		text_addf(text, ",\"cancel_reason\":\"%s\"",
				  version->status == ORDER_CANCELLED ? "CUSTOMER_REQUEST" : "");
}

static void
write_detail(const ShopeeCall *call, Text *text, const Order *order, const OrderVersion *version)
{
	int64_t		create_time = order->versions[0].update_time;

	json_comma(text);
	text_addf(text, "{\"order_sn\":\"%s\",\"region\":\"TW\",\"currency\":\"TWD\",\"cod\":false", order->sn);
	text_addf(text, ",\"order_status\":\"%s\",\"message_to_seller\":\"\",\"booking_sn\":\"\"",
			  order_status_name(version->status));
	text_addf(text, ",\"create_time\":%" PRId64 ",\"update_time\":%" PRId64, create_time,
			  version->update_time);
	text_addf(text, ",\"days_to_ship\":2,\"ship_by_date\":%" PRId64, create_time + INT64_C(2) * 86400);
	write_optional(call, text, order, version);
	text_addf(text, "}");
}

void
shopee_get_order_detail(ShopeeCall *call)
{
	const Orders *orders = &call->sim->market.orders;
	const char *given = request_argument(call->request, "order_sn_list");
	char	   *list;
	char	   *rest;
	Text		response = {0};
	int			n = 0;

	if (given == NULL || given[0] == '\0')
	{
		shopee_error(call->answer, "error_param", "There is no order_sn_list in query.");
		return;
	}
	list = sim_copy(given);
	rest = list;
	text_addf(&response, "{\"order_list\":[");
	while (rest != NULL)
	{
		const char *sn = strsep(&rest, ",");
		const Order *order = orders_find(orders, sn);
		const OrderVersion *version = NULL;

		if (order != NULL && order->shop == call->shop)
			version = orders_visible(orders, order, clock_us());
		if (++n > MAX_DETAILS)
			shopee_error(call->answer, "error_param", "order_sn_list has more than 50 entries.");
		else if (version == NULL)
			shopee_error(call->answer, "error_not_found", "Wrong parameters, the order is not found.");
		if (n > MAX_DETAILS || version == NULL)
			break;
		write_detail(call, &response, order, version);
		if (rest == NULL)
		{
			text_addf(&response, "]}");
			shopee_response(call->answer, "", "", &response);
		}
	}
	free(list);
	text_free(&response);
}
