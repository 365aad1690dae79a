/*
 * ruten_order.c
 *		The Ruten dialect: the list of a shop's orders and their details.
 *
 * Orders are listed by when they were placed; what has changed since is seen
 * only by asking again. Times are those of Taiwan, eight hours ahead of UTC.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "ruten.h"

#define MAX_SPAN_S (INT64_C(31) * 86400)
#define MAX_PAGE 1000000
#define MAX_PAGE_SIZE 100
#define MAX_DETAILS 30
#define TAIWAN_S (INT64_C(8) * 3600)

/* What the platform calls a status. */
static const char *const status_words[ORDER_N_STATUSES] = {
	[ORDER_UNPAID] = "Unpaid",
	[ORDER_PENDING] = "ToBeConfirmed",
	[ORDER_READY_TO_SHIP] = "ReadyToShip",
	[ORDER_PROCESSED] = "ReadyToShip",
	[ORDER_RETRY_SHIP] = "ReadyToShip",
	[ORDER_INVOICE_PENDING] = "ReadyToShip",
	[ORDER_SHIPPED] = "Shipped",
	[ORDER_TO_CONFIRM_RECEIVE] = "Shipped",
	[ORDER_TO_RETURN] = "Shipped",
	[ORDER_COMPLETED] = "Shipped",
	[ORDER_IN_CANCEL] = "InCancel",
	[ORDER_CANCELLED] = "Cancelled",
};

/* Whether a text is All or one of the platform's words. */
static bool
known_status(const char *text)
{
	for (int i = 0; i < ORDER_N_STATUSES; i++)
	{
		if (strcmp(status_words[i], text) == 0)
			return true;
	}
	return strcmp(text, "All") == 0;
}

/* A query parameter of 14 digits, YYYYMMDDhhmmss; false: absent or no such moment. */
static bool
date_argument(const RutenCall *call, const char *name, int64_t *at)
{
	const char *text = request_argument(call->request, name);
	struct tm	tm = {0};
	char		again[15];

	if (text == NULL || strlen(text) != 14 || strspn(text, "0123456789") != 14 ||
		sscanf(text, "%4d%2d%2d%2d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*at = (int64_t) timegm(&tm) - TAIWAN_S;
	/* timegm makes a date of anything; what it made must be what was said */
	return strftime(again, sizeof(again), "%Y%m%d%H%M%S", &tm) == 14 && strcmp(again, text) == 0;
}

void
ruten_order_list(RutenCall *call)
{
	const char *status = request_argument(call->request, "order_status");
	OrderQuery	query = {.shop = call->shop,.by_create_time = true,.status = ORDER_N_STATUSES};
	const OrderVersion *version;
	const Order *order;
	int64_t		page;
	int64_t		size;
	int64_t		n = 0;
	Text		data = {0};

	if (status == NULL || !known_status(status) || !date_argument(call, "start_date", &query.from_s) ||
		!date_argument(call, "end_date", &query.to_s) || query.from_s > query.to_s ||
		query.to_s - query.from_s > MAX_SPAN_S || !ruten_argument(call, "page", 1, MAX_PAGE, &page) ||
		!ruten_argument(call, "page_size", 1, MAX_PAGE_SIZE, &size))
	{
		ruten_fail(call, 400, "20005", "order_status, a date, page or page_size is not valid");
		return;
	}
	query.now_us = clock_us();
	text_addf(&data, "{\"order_list\":[");
	while (n < page * size && (order = orders_next(&call->sim->market.orders, &query, &version)) != NULL)
	{
		if (strcmp(status, "All") != 0 && strcmp(status, status_words[version->status]) != 0)
			continue;
		if (n++ < (page - 1) * size)
			continue;
		json_comma(&data);
		text_addf(&data, "{\"order_id\":\"%s\",\"order_status\":\"%s\"}", order->sn, status_words[version->status]);
	}
	text_addf(&data, "]}");
	ruten_success(call, &data);
	text_free(&data);
}

/* When the order was placed, under the name that the settings say. */
static void
write_time(const RutenCall *call, Text *text, const Order *order)
{
	time_t		at = (time_t) (order->versions[0].update_time + TAIWAN_S);
	struct tm	tm;
	char		date[32];

	if (call->sim->ruten.time_field[0] == '\0' || gmtime_r(&at, &tm) == NULL ||
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return;
	text_addf(text, ",\"%s\":\"%s\"", call->sim->ruten.time_field, date);
}

static void
write_line(const RutenCall *call, Text *text, const OrderLine *line)
{
	const CatalogueListing *listing = &call->sim->catalogue.listings[line->listing];
	const char *code = call->sim->catalogue.skus[listing->sku].code;
	int64_t		price = call->sim->ruten.price[line->listing];

	json_comma(text);
	text_addf(text, "{\"item_id\":\"%" PRId64 "\",\"spec_id\":\"", listing->item_id);
	if (listing->model_id != 0)
		text_addf(text, "%" PRId64, listing->model_id);
	text_addf(text, "\",\"custom_no\":");
	json_string(text, code);
	text_addf(text, ",\"item_name\":");
	json_string(text, code);
	text_addf(text, ",\"quantity_purchased\":%" PRId32 ",\"original_price\":%" PRId64 ",\"discount_price\":%" PRId64 "}",
			  line->qty, price, price);
}

static void
write_order(const RutenCall *call, Text *text, const Order *order, const OrderVersion *version)
{
	int64_t		total = 0;

	json_comma(text);
	text_addf(text, "{\"order_id\":\"%s\",\"order_detail\":{\"order_info\":{\"order_id\":\"%s\",\"order_status\":\"%s\""
			  ",\"buyer_id\":\"buyer\"", order->sn, order->sn, status_words[version->status]);
	write_time(call, text, order);
	text_addf(text, "},\"item_list\":[");
	for (int i = 0; i < order->n_lines; i++)
	{
		write_line(call, text, &order->lines[i]);
		total += order->lines[i].qty * call->sim->ruten.price[order->lines[i].listing];
	}
	text_addf(text, "],\"checkout_info\":{\"total_amount\":%" PRId64 "}}}", total);
}

void
ruten_order_detail(RutenCall *call)
{
	const Orders *orders = &call->sim->market.orders;
	const char *given = json_field_string(call->body, "order_id_list");
	char	   *list = sim_copy(given != NULL ? given : "");
	char	   *rest = list;
	Text		data = {0};
	int			n = 0;

	text_addf(&data, "[");
	while (list[0] != '\0' && rest != NULL)
	{
		const Order *order = orders_find(orders, strsep(&rest, ","));
		const OrderVersion *version = NULL;

		n++;
		if (order != NULL && order->shop == call->shop)
			version = orders_visible(orders, order, clock_us());
		if (version != NULL)
			write_order(call, &data, order, version);
	}
	text_addf(&data, "]");
	if (n < 1 || n > MAX_DETAILS)
		ruten_fail(call, 400, "20005", "order_id_list must have 1 to 30 numbers");
	else
		ruten_success(call, &data);
	free(list);
	text_free(&data);
}
