/*
 * answers.c
 *		Answers of the three platforms for the benchmarks; see answers.h.
 */
#include "answers.h"

#include "plain.h"

const PlatformAccess answers_access = {
	.base_url = "https://partner.example.com",
	.shop_id = "300123456",
	.partner_id = "2009999",
	.partner_key = "demoPartnerKey0123456789abcdef",
	.access_token = "demoAccessToken0123456789",
	.refresh_token = "demoRefreshToken0123456789",
	.api_key = "demoApiKey0123456789",
	.secret_key = "demoSecretKey0123456789",
	.salt_key = "demoSaltKey0123456789",
	.now = 1760000000
};

const AnswersPlatform answers_platforms[] = {
	{&platform_shopee, 50, 50, false, 200},
	{&platform_ruten, 50, 30, false, 200},
	{&platform_pchome, 20, 20, true, 400},
	{NULL, 0, 0, false, 0}
};

const char *
answers_item(const AnswersPlatform *on, Arena *arena, int sku)
{
	if (on->platform == &platform_pchome)
		return arena_printf(arena, "SIMA0A-A%08d", sku);
	return arena_printf(arena, on->platform == &platform_ruten ? "225009%08d" : "1%07d", sku);
}

const char *
answers_model(const AnswersPlatform *on, Arena *arena, int sku)
{
	if (on->platform == &platform_pchome)
		return arena_printf(arena, "%03d", sku % 999 + 1);
	return arena_printf(arena, on->platform == &platform_ruten ? "2520090%08d" : "2%07d", sku);
}

const char *
answers_stock(const AnswersPlatform *on, Arena *arena, const PlatformCall *call)
{
	PlainBuffer body;
	int			i;

	if (on->platform == &platform_pchome)
		return "{\"Code\":\"400-01-098\",\"Msg\":\"The quantity cannot be lowered now.\"}";
	if (on->platform == &platform_ruten)
		return "{\"status\":\"success\",\"data\":null,\"error_code\":null,\"error_msg\":null}";
	plain_begin(&body, arena, 4096);
	plain_add(&body, "{\"error\":\"\",\"message\":\"\",\"warning\":\"\",\"request_id\":\"e3e3e7f3e5c3\",\"response\":{\"success_list\":[");
	for (i = 0; i < call->n_items; i++)
	{
		plain_add(&body, i > 0 ? ",{\"model_id\":" : "{\"model_id\":");
		plain_add(&body, call->items[i].model_id);
		plain_add(&body, ",\"location_id\":\"\",\"stock\":8}");
	}
	plain_add(&body, "],\"failure_list\":[]}}");
	return plain_finish(&body);
}

static void
add_shopee_line(PlainBuffer *out, const char *item, const char *model, const char *sku)
{
	plain_add(out, "{\"item_id\":");
	plain_add(out, item);
	plain_add(out, ",\"item_name\":\"復古馬克杯 350ml\",\"item_sku\":\"\",\"model_id\":");
	plain_add(out, model);
	plain_add(out, ",\"model_name\":\"白色\",\"model_sku\":\"");
	plain_add(out, sku);
	plain_add(out, "\",\"model_quantity_purchased\":2,"
			  "\"model_original_price\":250,\"model_discounted_price\":199,\"wholesale\":false,\"weight\":0.3,"
			  "\"add_on_deal\":false,\"main_item\":false,\"add_on_deal_id\":0,\"promotion_type\":\"\","
			  "\"promotion_id\":0,\"order_item_id\":");
	plain_add(out, item);
	plain_add(out, ",\"promotion_group_id\":0,\"image_info\":{\"image_url\":\"https://cf.example.com/file/0123456789abcdef\"},"
			  "\"product_location_id\":[\"TWZ\"]}");
}

static void
add_ruten_line(PlainBuffer *out, const char *item, const char *model, const char *sku)
{
	plain_add(out, "{\"item_id\":\"");
	plain_add(out, item);
	plain_add(out, "\",\"spec_id\":\"");
	plain_add(out, model);
	plain_add(out, "\",\"custom_no\":\"");
	plain_add(out, sku);
	plain_add(out, "\",\"item_name\":\"復古馬克杯 350ml\",\"spec_name\":\"白色\",\"quantity_purchased\":2,"
			  "\"original_price\":250,\"discount_price\":199}");
}

static void
add_pchome_record(PlainBuffer *out, const char *id, const char *item, const char *model, const char *sku)
{
	plain_add(out, "{\"Id\":\"");
	plain_add(out, id);
	plain_add(out, "\",\"VendorShipDate\":\"\",\"ShipDate\":\"\",\"TransDate\":\"2025/10/09 16:53:20\",\"OrderQty\":2,\"CancelQty\":0,"
			  "\"TotalCost\":398,\"Prod\":{\"Id\":\"");
	plain_add(out, item);
	plain_add(out, "-");
	plain_add(out, model);
	plain_add(out, "\",\"Name\":\"復古馬克杯 350ml\",\"SpecName\":\"白色\",\"Cost\":199,\"VendorPID\":\"");
	plain_add(out, sku);
	plain_add(out, "\",\"isRecyclable\":0},"
			  "\"ShipInfo\":{\"ShipQty\":0,\"ShipId\":\"\",\"ShipVendorId\":\"\"},\"ShipCheckStatus\":\"\",\"PreOrderDate\":\"\","
			  "\"isNotShip\":0,\"Buyer\":{\"Name\":\"Rm9v\"},\"Receiver\":{\"Name\":\"Rm9v\",\"Tel\":\"\",\"Address\":\"\"}}");
}

/* begin_order writes what comes before an order's lines; PChome has nothing there. */
static void
begin_order(const AnswersPlatform *on, PlainBuffer *out, const char *order_sn)
{
	if (on->platform == &platform_shopee)
	{
		plain_add(out, "{\"order_sn\":\"");
		plain_add(out, order_sn);
		plain_add(out, "\",\"region\":\"TW\",\"currency\":\"TWD\",\"cod\":false,\"order_status\":\"READY_TO_SHIP\","
				  "\"message_to_seller\":\"\",\"create_time\":1760000000,\"update_time\":1760000100,"
				  "\"days_to_ship\":3,\"ship_by_date\":1760259200,\"item_list\":[");
	}
	else if (on->platform == &platform_ruten)
	{
		plain_add(out, "{\"order_id\":\"");
		plain_add(out, order_sn);
		plain_add(out, "\",\"order_detail\":{\"order_info\":{\"order_id\":\"");
		plain_add(out, order_sn);
		plain_add(out, "\",\"order_status\":\"ReadyToShip\",\"buyer_id\":\"somebody\",\"create_time\":\"2025-10-09 16:53:20\"},"
				  "\"checkout_info\":{\"total_amount\":796,\"payment\":\"card\",\"shipping\":\"seven\"},\"item_list\":[");
	}
}

const char *
answers_orders(const AnswersPlatform *on, Arena *arena, const PlatformCall *call, int (*sku) (void *state), void *state)
{
	bool		shopee = on->platform == &platform_shopee;
	PlainBuffer body;
	int			i;
	int			j;

	plain_begin(&body, arena, 65536);
	plain_add(&body, shopee ? "{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[" :
			  on->records ? "[" : "{\"status\":\"success\",\"data\":[");
	for (i = 0; i < call->n_order_sns; i++)
	{
		plain_add(&body, i > 0 ? "," : "");
		begin_order(on, &body, call->order_sns[i]);
		for (j = 0; j < (on->records ? 1 : 2); j++)
		{
			int			n = sku(state);
			const char *item = answers_item(on, arena, n);
			const char *model = answers_model(on, arena, n);
			const char *code = arena_printf(arena, "S%d", n);

			plain_add(&body, j > 0 ? "," : "");
			if (shopee)
				add_shopee_line(&body, item, model, code);
			else if (on->records)
				add_pchome_record(&body, call->order_sns[i], item, model, code);
			else
				add_ruten_line(&body, item, model, code);
		}
		plain_add(&body, shopee ? "]}" : on->records ? "" : "]}}");
	}
	plain_add(&body, shopee ? "]}}" : on->records ? "]" : "],\"error_code\":null,\"error_msg\":null}");
	return plain_finish(&body);
}
