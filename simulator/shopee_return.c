/*
 * shopee_return.c
 *		The Shopee dialect: the list of requests to return goods.
 *
 * An order that is in TO_RETURN has a request for all that was not cancelled.
 * One that was, and is not any more, had its buyer take the request back.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "clock.h"
#include "shopee.h"

#define MAX_SPAN_S (INT64_C(15) * 86400)
#define MAX_PAGE 100

/* The version of an order in which its request last changed; NULL: there never was one. */
static const OrderVersion *
request_version(const Order *order)
{
	for (int v = order->n_versions - 1; v >= 0; v--)
	{
		if (order->versions[v].status == ORDER_TO_RETURN)
			return v + 1 < order->n_versions ? &order->versions[v + 1] : &order->versions[v];
	}
	return NULL;
}

static void
write_request(const ShopeeCall *call, Text *list, const Order *order, const OrderVersion *version)
{
	json_comma(list);
	text_addf(list, "{\"return_sn\":\"R%s\",\"order_sn\":\"%s\",\"status\":\"%s\",\"reason\":\"CHANGE_MIND\"", order->sn, order->sn,
			  version->status == ORDER_TO_RETURN ? "REQUESTED" : "CANCELLED");
	text_addf(list, ",\"update_time\":%" PRId64 ",\"return_solution\":0,\"item\":[", version->update_time);
	for (int i = 0; i < order->n_lines; i++)
	{
		const CatalogueListing *listing = &call->sim->catalogue.listings[order->lines[i].listing];

		if (order->lines[i].qty <= version->cancelled[i])
			continue;
		json_comma(list);
		text_addf(list, "{\"item_id\":%" PRId64 ",\"model_id\":%" PRId64 ",\"amount\":%" PRId32 "}", listing->item_id,
				  listing->model_id, order->lines[i].qty - version->cancelled[i]);
	}
	text_addf(list, "]}");
}

void
shopee_get_return_list(ShopeeCall *call)
{
	const Orders *orders = &call->sim->market.orders;
	Text		list = {0};
	Text		response = {0};
	int64_t		page;
	int64_t		size;
	int64_t		from;
	int64_t		to;
	int64_t		n = 0;

	if (!shopee_argument(call, "page_no", 0, INT32_MAX, &page) || !shopee_argument(call, "page_size", 1, MAX_PAGE, &size) ||
		!shopee_argument(call, "update_time_from", 0, INT32_MAX, &from) ||
		!shopee_argument(call, "update_time_to", from, INT32_MAX, &to) || to - from > MAX_SPAN_S)
	{
		shopee_error(call->answer, "error_param", "page_no, page_size, update_time_from or update_time_to is invalid.");
		return;
	}
	text_addf(&list, "[");
	for (uint32_t i = 0; i < orders->n_orders; i++)
	{
		const Order *order = &orders->orders[i];
		const OrderVersion *version = order->shop == call->shop ? request_version(order) : NULL;

		if (version == NULL || version->update_time < from || version->update_time > to)
			continue;
		if (n >= page * size && n < (page + 1) * size)
			write_request(call, &list, order, version);
		n++;
	}
	text_addf(&list, "]");
	text_addf(&response, "{\"more\":%s,\"return\":%s}", n > (page + 1) * size ? "true" : "false", list.data);
	shopee_response(call->answer, "", "", &response);
	text_free(&list);
	text_free(&response);
}
