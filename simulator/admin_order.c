/*
 * admin_order.c
 *		/admin/: being a buyer, moving orders on, and what the shops show.
 *		Under the market's lock.
 */
#include <inttypes.h>
#include <string.h>

#include "admin.h"

#define MAX_LINE_QTY 1000000
#define MAX_AGO_S (INT64_C(365) * 86400)

uint32_t
admin_listing(const AdminCall *call, uint32_t shop, const cJSON *object)
{
	int64_t		item_id;
	int64_t		model_id = 0;

	if (!json_field_integer(object, "item_id", true, &item_id))
		return NO_INDEX;
	if (cJSON_HasObjectItem(object, "model_id") &&
		!json_field_integer(object, "model_id", true, &model_id))
		return NO_INDEX;
	return catalogue_listing(&call->sim->catalogue, shop, item_id, model_id);
}

uint32_t
admin_body_listing(AdminCall *call)
{
	uint32_t	shop = admin_shop(call);
	uint32_t	listing;

	if (shop == NO_INDEX)
		return NO_INDEX;
	listing = admin_listing(call, shop, call->body);
	if (listing == NO_INDEX)
		admin_error(call, 400, "the shop has no such listing");
	return listing;
}

/* Reads "lines". 0, with the error answered, when they are not as they should be. */
static int
read_lines(AdminCall *call, uint32_t shop, OrderLine *lines)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(call->body, "lines");
	const cJSON *value;
	int			n = 0;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1 ||
		cJSON_GetArraySize(list) > MAX_ORDER_LINES)
	{
		admin_error(call, 400, "lines must have 1 to 100 entries");
		return 0;
	}
	cJSON_ArrayForEach(value, list)
	{
		int64_t		qty;

		lines[n].listing = admin_listing(call, shop, value);
		if (lines[n].listing == NO_INDEX)
		{
			admin_error(call, 400, "the shop has no such listing");
			return 0;
		}
		if (!json_field_integer(value, "qty", true, &qty) || qty < 1 || qty > MAX_LINE_QTY)
		{
			admin_error(call, 400, "qty must be from 1 to 1000000");
			return 0;
		}
		lines[n++].qty = (int32_t) qty;
	}
	return n;
}

/* Reads "status", absent meaning otherwise. False: the error is answered. */
static bool
read_status(AdminCall *call, OrderStatus otherwise, OrderStatus *status)
{
	const char *name = json_field_string(call->body, "status");

	*status = otherwise;
	if (name != NULL)
		*status = order_status_named(name);
	else if (cJSON_HasObjectItem(call->body, "status"))
		*status = ORDER_N_STATUSES;
	if (*status == ORDER_N_STATUSES)
		admin_error(call, 400, "unknown status");
	return *status != ORDER_N_STATUSES;
}

/* Answers for what the market refuses. True: it did not refuse. */
static bool
market_agreed(AdminCall *call, MarketResult result)
{
	static const char *const messages[] = {
		[MARKET_REPEATED] = "order_sn exists",
		[MARKET_FULL] = "too many orders, or changes of this order",
		[MARKET_FINAL] = "the order is cancelled",
		[MARKET_TOO_MANY] = "cancelled_qty goes down or is above the line's qty",
	};

	if (result != MARKET_OK)
		admin_error(call, 409, messages[result]);
	return result == MARKET_OK;
}

void
admin_order(AdminCall *call)
{
	Market	   *market = &call->sim->market;
	const char *sn = json_field_string(call->body, "order_sn");
	uint32_t	shop = admin_shop(call);
	OrderLine	lines[MAX_ORDER_LINES];
	OrderStatus status;
	Purchase	purchase;
	int64_t		ago_s = 0;
	int			n;

	if (shop == NO_INDEX || (n = read_lines(call, shop, lines)) == 0 ||
		!read_status(call, ORDER_READY_TO_SHIP, &status))
		return;
	if (sn != NULL && !order_sn_valid(sn))
	{
		admin_error(call, 400, "order_sn must be 1 to 32 letters, digits, '-' and '_'");
		return;
	}

	if (cJSON_HasObjectItem(call->body, "ago_s") &&
		(!json_field_integer(call->body, "ago_s", true, &ago_s) || ago_s < 0 || ago_s > MAX_AGO_S))
	{
		admin_error(call, 400, "ago_s must be from 0 to 31536000");
		return;
	}

	/* Placed first and moved on then, so that a status has its effect on the stock. */
	if (!market_agreed(call, market_buy(market, sn, shop, lines, n,
										status == ORDER_UNPAID ? status : ORDER_READY_TO_SHIP,
										&purchase)))
		return;
	if (purchase.order != NULL && ago_s > 0)
		orders_backdate(&market->orders, orders_find(&market->orders, purchase.order->sn), ago_s);
	if (purchase.order != NULL)
		(void) market_set_status(market, orders_find(&market->orders, purchase.order->sn), status);
	text_addf(&call->answer->body, "{\"order_sn\":");
	if (purchase.order != NULL)
		json_string(&call->answer->body, purchase.order->sn);
	else
		text_addf(&call->answer->body, "null");
	text_addf(&call->answer->body, ",\"accepted_units\":%" PRId64 ",\"lost_units\":%" PRId64 "}",
			  purchase.accepted_units, purchase.lost_units);
}

/* Adds the cancelled_qty of one entry of "lines" to the order's. False: the error is answered. */
static bool
cancel_line(AdminCall *call, const Order *order, const cJSON *value, int32_t *cancelled)
{
	uint32_t	listing = admin_listing(call, order->shop, value);
	int64_t		units;

	if (!json_field_integer(value, "cancelled_qty", true, &units) || units < 0 || units > MAX_LINE_QTY)
	{
		admin_error(call, 400, "cancelled_qty must be from 0 to 1000000");
		return false;
	}
	for (int i = 0; i < order->n_lines; i++)
	{
		if (order->lines[i].listing == listing)
		{
			cancelled[i] = (int32_t) units;
			return true;
		}
	}
	admin_error(call, 400, "the order has no such line");
	return false;
}

void
admin_order_status(AdminCall *call)
{
	Market	   *market = &call->sim->market;
	const char *sn = json_field_string(call->body, "order_sn");
	Order	   *order = sn != NULL ? orders_find(&market->orders, sn) : NULL;
	const cJSON *lines = cJSON_GetObjectItemCaseSensitive(call->body, "lines");
	const cJSON *value;
	int32_t		cancelled[MAX_ORDER_LINES];
	OrderStatus status;
	MarketResult result;

	if (order == NULL)
	{
		admin_error(call, 404, "unknown order_sn");
		return;
	}
	if (!read_status(call, order_newest(order)->status, &status))
		return;
	if (lines == NULL)
		result = market_set_status(market, order, status);
	else if (status == ORDER_CANCELLED)
	{
		admin_error(call, 400, "CANCELLED cancels all lines: leave \"lines\" out");
		return;
	}
	else
	{
		memcpy(cancelled, order_newest(order)->cancelled, (size_t) order->n_lines * sizeof(int32_t));
		cJSON_ArrayForEach(value, lines)
		{
			if (!cancel_line(call, order, value, cancelled))
				return;
		}
		result = market_cancel_units(market, order, status, cancelled);
	}
	if (market_agreed(call, result))
		text_addf(&call->answer->body, "{\"ok\":true}");
}

/* How often the seller's calls shipped and cancelled each line of each order. */
void
admin_shipments(AdminCall *call)
{
	const Orders *orders = &call->sim->market.orders;
	Text	   *body = &call->answer->body;

	text_addf(body, "{\"lines\":[");
	for (uint32_t i = 0; i < orders->n_orders; i++)
	{
		const Order *order = &orders->orders[i];

		for (int line = 0; line < order->n_lines; line++)
		{
			json_comma(body);
			text_addf(body, "{\"order_sn\":\"%s\",\"line\":%d,\"status\":\"%s\",\"ships\":%" PRId32 ",\"cancels\":%" PRId32 "}",
					  order->sn, line + 1, order_status_name(order_newest(order)->status), order->lines[line].ships,
					  order->lines[line].cancels);
		}
	}
	text_addf(body, "]}");
}

void
admin_shown(AdminCall *call)
{
	const Catalogue *catalogue = &call->sim->catalogue;
	const char *shop_text = request_argument(call->request, "shop");
	Text	   *body = &call->answer->body;
	uint32_t	shop = NO_INDEX;
	int64_t		shop_id;

	if (shop_text != NULL && (!parse_integer(shop_text, &shop_id) ||
							  (shop = catalogue_shop(catalogue, shop_id)) == NO_INDEX))
	{
		admin_error(call, 400, "unknown shop");
		return;
	}
	text_addf(body, "{\"listings\":[");
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		const CatalogueListing *listing = &catalogue->listings[i];

		if (shop != NO_INDEX && listing->shop != shop)
			continue;
		json_comma(body);
		text_addf(body, "{\"shop_id\":\"%" PRId64 "\",\"sku\":", catalogue->shops[listing->shop].shop_id);
		json_string(body, catalogue->skus[listing->sku].code);
		text_addf(body, ",\"item_id\":\"%" PRId64 "\",\"model_id\":\"%" PRId64 "\",\"stock\":%" PRId64
				  ",\"truth\":%" PRId64 ",\"changed_us\":%" PRId64 "}", listing->item_id, listing->model_id,
				  call->sim->market.shown[i], call->sim->market.truth[listing->sku], call->sim->market.changed_us[i]);
	}
	text_addf(body, "]}");
}

void
admin_set_shown(AdminCall *call)
{
	uint32_t	listing = admin_body_listing(call);
	int64_t		stock;

	if (listing == NO_INDEX)
		return;
	if (!json_field_integer(call->body, "stock", true, &stock) || stock < 0 || stock > MAX_UNITS)
	{
		admin_error(call, 400, "stock must be from 0 to 1000000000");
		return;
	}
	market_show(&call->sim->market, listing, stock);
	text_addf(&call->answer->body, "{\"ok\":true}");
}

/* A promotion keeps units of a listing, or lets them go with 0. */
void
admin_promotion(AdminCall *call)
{
	uint32_t	listing = admin_body_listing(call);
	int64_t		reserved;

	if (listing == NO_INDEX)
		return;
	if (!json_field_integer(call->body, "reserved", true, &reserved) || reserved < 0 ||
		reserved > call->sim->market.shown[listing])
	{
		admin_error(call, 400, "reserved must be from 0 to what is shown");
		return;
	}
	call->sim->market.reserved[listing] = reserved;
	text_addf(&call->answer->body, "{\"ok\":true}");
}
