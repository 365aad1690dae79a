/*
 * shopee.c
 *		Shopee Open Platform v2: the requests.
 *
 * Common parameters go into the query string, also of a POST; business
 * parameters and bodies are not signed. Ids are checked to be numbers and
 * written as they stand. What the platform would refuse anyway is refused
 * here, without a call.
 *
 * Pure: no I/O, no state, everything in the caller's arena. A request's url
 * and body hold secrets and are never logged; its path holds none.
 */
#include "shopee.h"

#include <inttypes.h>
#include <string.h>

#include "plain.h"

static const char *const get_headers[] = {"Accept: application/json"};
static const char *const post_headers[] = {"Accept: application/json", "Content-Type: application/json"};

bool
shopee_signature(Arena *arena, const char *partner_key, const char *partner_id,
				 const char *path, int64_t timestamp, const char *access_token,
				 const char *owner_id, char hex[SIGN_HEX_BYTES])
{
	char	   *base = arena_printf(arena, "%s%s%" PRId64 "%s%s", partner_id, path, timestamp,
									access_token != NULL ? access_token : "",
									owner_id != NULL ? owner_id : "");

	return base != NULL && sign_hmac_sha256_hex(partner_key, base, strlen(base), hex);
}

bool
shopee_order_sn_ok(const char *order_sn)
{
	return plain_visible(order_sn, SHOPEE_MAX_ORDER_SN) && strchr(order_sn, ',') == NULL;
}

bool
shopee_model_id(const char *text, int64_t *model_id)
{
	if (*text == '\0')
	{
		*model_id = 0;
		return true;
	}
	return plain_int(text, 0, INT64_MAX, model_id);
}

const char *
shopee_check_access(const PlatformAccess *access, ShopeeScope scope)
{
	int64_t		id;

	if (access->base_url == NULL || *access->base_url == '\0')
		return "the platform has no base URL";
	if (access->partner_id == NULL)
		return "credential partner_id is missing";
	if (!plain_int(access->partner_id, 1, SHOPEE_MAX_UINT32, &id))
		return "credential partner_id is not a number that Shopee takes";
	if (access->partner_key == NULL || *access->partner_key == '\0')
		return "credential partner_key is missing";
	if (scope != SHOPEE_APP && (access->shop_id == NULL || !plain_int(access->shop_id, 1, SHOPEE_MAX_UINT32, &id)))
		return "the shop id is not a number that Shopee takes";
	if (access->now < 0 || access->now > SHOPEE_MAX_UINT32)
		return "the clock shows a time that Shopee does not take";
	if (scope == SHOPEE_SHOP && access->access_token == NULL)
		return "credential access_token is missing";
	if (scope == SHOPEE_SHOP && !plain_visible(access->access_token, SHOPEE_MAX_TOKEN))
		return "credential access_token is malformed";
	return NULL;
}

bool
shopee_begin_url(PlainBuffer *url, Arena *arena, const PlatformAccess *access, const char *path, ShopeeScope scope)
{
	const char *token = scope == SHOPEE_SHOP ? access->access_token : NULL;
	const char *shop = scope == SHOPEE_SHOP ? access->shop_id : NULL;
	char		hex[SIGN_HEX_BYTES];

	if (!shopee_signature(arena, access->partner_key, access->partner_id, path,
						  access->now, token, shop, hex))
		return false;
	plain_begin(url, arena, 512);
	plain_add(url, access->base_url);
	plain_add(url, path);
	plain_add(url, "?partner_id=");
	plain_add(url, access->partner_id);
	plain_add(url, "&timestamp=");
	plain_add_int(url, access->now);
	if (token != NULL)
	{
		plain_add(url, "&access_token=");
		plain_add_query(url, token);
		plain_add(url, "&shop_id=");
		plain_add(url, shop);
	}
	plain_add(url, "&sign=");
	plain_add(url, hex);
	return true;
}

static const ShopeeCall calls[CALL_KINDS] = {
	[CALL_PUSH_STOCK] = {"/api/v2/product/update_stock", SHOPEE_SHOP, true,
		shopee_build_stock, shopee_judge_write},
	[CALL_PUSH_PRICE] = {"/api/v2/product/update_price", SHOPEE_SHOP, true,
		shopee_build_price, shopee_judge_write},
	[CALL_SET_LISTED] = {"/api/v2/product/unlist_item", SHOPEE_SHOP, true,
		shopee_build_listed, shopee_judge_write},
	[CALL_LIST_ORDERS] = {"/api/v2/order/get_order_list", SHOPEE_SHOP, false,
		shopee_build_list_orders, shopee_judge_list_orders},
	[CALL_GET_ORDERS] = {"/api/v2/order/get_order_detail", SHOPEE_SHOP, false,
		shopee_build_get_orders, shopee_judge_get_orders},
	[CALL_LIST_ITEMS] = {"/api/v2/product/get_item_list", SHOPEE_SHOP, false,
		shopee_build_list_items, shopee_judge_list_items},
	[CALL_GET_ITEMS] = {"/api/v2/product/get_item_base_info", SHOPEE_SHOP, false,
		shopee_build_get_items, shopee_judge_get_items},
	[CALL_GET_MODELS] = {"/api/v2/product/get_model_list", SHOPEE_SHOP, false,
		shopee_build_get_models, shopee_judge_get_models},
	[CALL_SHIP_INFO] = {"/api/v2/logistics/get_shipping_parameter", SHOPEE_SHOP, false,
		shopee_build_ship_info, shopee_judge_ship_info},
	[CALL_SHIP] = {"/api/v2/logistics/ship_order", SHOPEE_SHOP, true,
		shopee_build_ship, NULL},
	[CALL_CANCEL_LINES] = {"/api/v2/order/cancel_order", SHOPEE_SHOP, true,
		shopee_build_cancel, NULL},
	[CALL_LIST_RETURNS] = {"/api/v2/returns/get_return_list", SHOPEE_SHOP, false,
		shopee_build_list_returns, shopee_judge_list_returns},
	[CALL_GET_TOKEN] = {"/api/v2/auth/token/get", SHOPEE_PUBLIC, true,
		shopee_build_get_token, shopee_judge_token},
	[CALL_REFRESH_TOKEN] = {"/api/v2/auth/access_token/get", SHOPEE_PUBLIC, true,
		shopee_build_refresh_token, shopee_judge_token},
	[CALL_LOST_PUSHES] = {"/api/v2/push/get_lost_push_message", SHOPEE_APP, false,
		NULL, shopee_judge_lost_pushes},
	[CALL_CONFIRM_PUSHES] = {"/api/v2/push/confirm_consumed_lost_push_message", SHOPEE_APP, true,
		shopee_build_confirm_pushes, NULL},
	[CALL_SHOP_INFO] = {"/api/v2/shop/get_shop_info", SHOPEE_SHOP, false,
		NULL, shopee_judge_shop_info},
};

const ShopeeCall *
shopee_call(CallKind kind)
{
	return (unsigned) kind < CALL_KINDS && calls[kind].path != NULL ? &calls[kind] : NULL;
}

/* build makes the request of any call; see Platform in platform.h. */
static bool
build(const PlatformCall *call, const PlatformAccess *access, Arena *arena,
	  PlatformRequest *request, const char **error)
{
	const ShopeeCall *kind = shopee_call(call->kind);
	PlainBuffer url = {0};
	PlainBuffer body = {0};

	*request = (PlatformRequest) {.method = kind != NULL && kind->post ? "POST" : "GET"};
	*error = kind == NULL ? "Shopee has no such call" : shopee_check_access(access, kind->scope);
	if (*error == NULL && !shopee_begin_url(&url, arena, access, kind->path, kind->scope))
		*error = "could not sign the request";
	if (*error != NULL)
		return false;
	request->path = kind->path;
	if (kind->post)
		plain_begin(&body, arena, 256);
	if (kind->build != NULL)
		*error = kind->build(call, access, &url, &body);
	if (*error != NULL)
		return false;
	request->url = plain_finish(&url);
	request->body = kind->post ? plain_finish(&body) : NULL;
	request->body_length = request->body != NULL ? body.length : 0;
	request->headers = kind->post ? post_headers : get_headers;
	request->n_headers = kind->post ? 2 : 1;
	if (arena_failed(arena))
		*error = "the request does not fit into memory";
	return *error == NULL;
}

const Platform platform_shopee = {
	.name = "shopee",
	.default_base_url = "https://partner.shopeemobile.com",
	.max_quantity = SHOPEE_MAX_QUANTITY,
	.calls = CALL_BIT(CALL_PUSH_STOCK) | CALL_BIT(CALL_PUSH_PRICE) | CALL_BIT(CALL_SET_LISTED) |
	CALL_BIT(CALL_LIST_ORDERS) | CALL_BIT(CALL_GET_ORDERS) |
	CALL_BIT(CALL_LIST_ITEMS) | CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_GET_MODELS) |
	CALL_BIT(CALL_SHIP_INFO) | CALL_BIT(CALL_SHIP) | CALL_BIT(CALL_CANCEL_LINES) |
	CALL_BIT(CALL_LIST_RETURNS) | CALL_BIT(CALL_GET_TOKEN) | CALL_BIT(CALL_REFRESH_TOKEN) |
	CALL_BIT(CALL_LOST_PUSHES) | CALL_BIT(CALL_CONFIRM_PUSHES) | CALL_BIT(CALL_SHOP_INFO),
	.max_push_items = SHOPEE_MAX_MODELS,
	.max_set_listed = SHOPEE_MAX_ITEMS,
	.max_get_orders = SHOPEE_MAX_ORDERS,
	.max_get_items = SHOPEE_MAX_ITEMS,
	.max_window = SHOPEE_MAX_WINDOW,
	.batch_per_item = true,
	.update_feed = true,
	.absolute = true,
	.push_status = 200,
	.build = build,
	.judge = shopee_judge,
	.read_push = shopee_read_push,
	.authorization_url = shopee_authorization_url,
	.read_lost = shopee_read_lost,
	.push_authorization = "authorization",
};
