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

#define PATH_UPDATE_STOCK	"/api/v2/product/update_stock"
#define PATH_ORDER_LIST		"/api/v2/order/get_order_list"
#define PATH_ORDER_DETAIL	"/api/v2/order/get_order_detail"
#define PATH_REFRESH		"/api/v2/auth/access_token/get"

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

/* check_access says what is wrong with the access, NULL when a call can be signed by it. */
static const char *
check_access(const PlatformAccess *access, bool public_call)
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
	if (access->shop_id == NULL || !plain_int(access->shop_id, 1, SHOPEE_MAX_UINT32, &id))
		return "the shop id is not a number that Shopee takes";
	if (access->now < 0 || access->now > SHOPEE_MAX_UINT32)
		return "the clock shows a time that Shopee does not take";
	if (!public_call && access->access_token == NULL)
		return "credential access_token is missing";
	if (!public_call && !plain_visible(access->access_token, SHOPEE_MAX_TOKEN))
		return "credential access_token is malformed";
	return NULL;
}

/*
 * begin_url signs the path and writes the URL up to the common parameters;
 * the caller adds its own and finishes it.
 */
static bool
begin_url(PlainBuffer *url, Arena *arena, const PlatformAccess *access,
		  const char *path, bool public_call)
{
	const char *token = public_call ? NULL : access->access_token;
	const char *shop = public_call ? NULL : access->shop_id;
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
	if (!public_call)
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

/* check_items says why the items cannot be one update_stock call, NULL when they can. */
static const char *
check_items(const PlatformItem *items, int n)
{
	int64_t		item_id;
	int64_t		models[SHOPEE_MAX_MODELS];
	int			i;
	int			j;

	if (n < 1 || n > SHOPEE_MAX_MODELS)
		return "a stock call takes 1 to 50 models";
	if (!plain_int(items[0].item_id, 1, INT64_MAX, &item_id))
		return "the item id is not a number";
	for (i = 0; i < n; i++)
	{
		if (strcmp(items[i].item_id, items[0].item_id) != 0)
			return "a stock call takes models of one item only";
		if (!shopee_model_id(items[i].model_id, &models[i]))
			return "the model id is not a number";
		if (items[i].quantity < 0 || items[i].quantity > SHOPEE_MAX_QUANTITY)
			return "the quantity is not between 0 and 999999";
		for (j = 0; j < i; j++)
			if (models[j] == models[i])
				return "a stock call names each model once";
	}
	return NULL;
}

static const char *
build_push_stock(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url,
				 PlainBuffer *body, Arena *arena)
{
	const char *wrong = check_items(call->items, call->n_items);
	int			i;

	if (wrong != NULL)
		return wrong;
	if (!begin_url(url, arena, access, PATH_UPDATE_STOCK, false))
		return "could not sign the request";
	plain_begin(body, arena, 64 + 80 * (size_t) call->n_items);
	plain_add(body, "{\"item_id\":");
	plain_add(body, call->items[0].item_id);
	plain_add(body, ",\"stock_list\":[");
	for (i = 0; i < call->n_items; i++)
	{
		const char *model_id = call->items[i].model_id;

		plain_add(body, i > 0 ? ",{\"model_id\":" : "{\"model_id\":");
		plain_add(body, *model_id != '\0' ? model_id : "0");
		plain_add(body, ",\"seller_stock\":[{\"stock\":");
		plain_add_int(body, call->items[i].quantity);
		plain_add(body, "}]}");
	}
	plain_add(body, "]}");
	return NULL;
}

static const char *
build_list_orders(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url,
				  Arena *arena)
{
	if (call->from < 0 || call->to > SHOPEE_MAX_UINT32 || call->from > call->to ||
		call->to - call->from > SHOPEE_MAX_WINDOW)
		return "the window of an order list is empty or over 15 days";
	if (strlen(call->cursor) > SHOPEE_MAX_CURSOR)
		return "the cursor is too long";
	if (!begin_url(url, arena, access, PATH_ORDER_LIST, false))
		return "could not sign the request";
	plain_add(url, "&time_range_field=update_time&time_from=");
	plain_add_int(url, call->from);
	plain_add(url, "&time_to=");
	plain_add_int(url, call->to);
	plain_add(url, "&page_size=" SHOPEE_PAGE_SIZE "&cursor=");
	plain_add_query(url, call->cursor);
	/* without the last one, orders that are PENDING are not listed */
	plain_add(url, "&response_optional_fields=order_status&request_order_status_pending=true");
	return NULL;
}

/*
 * Asks for item_list alone beyond the default fields: everything else that a
 * document needs is among them, and no personal data comes.
 */
static const char *
build_get_orders(const PlatformCall *call, const PlatformAccess *access, PlainBuffer *url,
				 Arena *arena)
{
	int			i;

	if (call->n_order_sns < 1 || call->n_order_sns > SHOPEE_MAX_ORDERS)
		return "an order detail call takes 1 to 50 orders";
	for (i = 0; i < call->n_order_sns; i++)
		if (!shopee_order_sn_ok(call->order_sns[i]))
			return "the order number is malformed";
	if (!begin_url(url, arena, access, PATH_ORDER_DETAIL, false))
		return "could not sign the request";
	plain_add(url, "&order_sn_list=");
	for (i = 0; i < call->n_order_sns; i++)
	{
		if (i > 0)
			plain_add(url, "%2C");
		plain_add_query(url, call->order_sns[i]);
	}
	plain_add(url, "&response_optional_fields=item_list&request_order_status_pending=true");
	return NULL;
}

static const char *
build_refresh_token(const PlatformAccess *access, PlainBuffer *url, PlainBuffer *body, Arena *arena)
{
	if (access->refresh_token == NULL)
		return "credential refresh_token is missing";
	if (!plain_visible(access->refresh_token, SHOPEE_MAX_TOKEN))
		return "credential refresh_token is malformed";
	if (!begin_url(url, arena, access, PATH_REFRESH, true))
		return "could not sign the request";
	plain_begin(body, arena, 256);
	plain_add(body, "{\"refresh_token\":");
	plain_add_json(body, access->refresh_token);
	plain_add(body, ",\"partner_id\":");
	plain_add(body, access->partner_id);
	plain_add(body, ",\"shop_id\":");
	plain_add(body, access->shop_id);
	plain_add(body, "}");
	return NULL;
}

/* build makes the request of any call; see Platform in platform.h. */
static bool
build(const PlatformCall *call, const PlatformAccess *access, Arena *arena,
	  PlatformRequest *request, const char **error)
{
	bool		post = call->kind == CALL_PUSH_STOCK || call->kind == CALL_REFRESH_TOKEN;
	PlainBuffer url = {0};
	PlainBuffer body = {0};
	const char *wrong = check_access(access, call->kind == CALL_REFRESH_TOKEN);

	*request = (PlatformRequest) {.method = post ? "POST" : "GET"};
	if (wrong == NULL)
		switch ((int) call->kind)
		{
			case CALL_PUSH_STOCK:
				request->path = PATH_UPDATE_STOCK;
				wrong = build_push_stock(call, access, &url, &body, arena);
				break;
			case CALL_LIST_ORDERS:
				request->path = PATH_ORDER_LIST;
				wrong = build_list_orders(call, access, &url, arena);
				break;
			case CALL_GET_ORDERS:
				request->path = PATH_ORDER_DETAIL;
				wrong = build_get_orders(call, access, &url, arena);
				break;
			case CALL_REFRESH_TOKEN:
				request->path = PATH_REFRESH;
				wrong = build_refresh_token(access, &url, &body, arena);
				break;
			default:
				wrong = "Shopee has no such call";
		}
	if (wrong == NULL)
	{
		request->url = plain_finish(&url);
		request->body = post ? plain_finish(&body) : NULL;
		request->body_length = request->body != NULL ? body.length : 0;
		request->headers = post ? post_headers : get_headers;
		request->n_headers = post ? 2 : 1;
		if (arena_failed(arena))
			wrong = "the request does not fit into memory";
	}
	*error = wrong;
	return wrong == NULL;
}

const Platform platform_shopee = {
	.name = "shopee",
	.default_base_url = "https://partner.shopeemobile.com",
	.max_quantity = SHOPEE_MAX_QUANTITY,
	.calls = CALL_BIT(CALL_PUSH_STOCK) | CALL_BIT(CALL_LIST_ORDERS) | CALL_BIT(CALL_GET_ORDERS) |
	CALL_BIT(CALL_REFRESH_TOKEN),
	.max_push_items = SHOPEE_MAX_MODELS,
	.max_get_orders = SHOPEE_MAX_ORDERS,
	.max_window = SHOPEE_MAX_WINDOW,
	.batch_per_item = true,
	.update_feed = true,
	.absolute = true,
	.build = build,
	.judge = shopee_judge,
};
