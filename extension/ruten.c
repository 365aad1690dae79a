/*
 * ruten.c
 *		Ruten partner API: the requests.
 *
 * Three static keys sign each request, in headers; what is signed is the URL
 * and the body exactly as they are sent. Ids are texts, checked to be digits.
 * What the platform would refuse anyway is refused here, without a call.
 *
 * Pure: no I/O, no state, everything in the caller's arena. A request's
 * headers hold the API key and a signature and are never logged.
 */
#include "ruten.h"

#include <inttypes.h>
#include <string.h>

#include "sign.h"
#include "taipei.h"

#define PATH_STOCK			"/api/v1/product/item/stock"
#define PATH_PRICE			"/api/v1/product/item/price"
#define PATH_ONLINE			"/api/v1/product/item/online"
#define PATH_OFFLINE		"/api/v1/product/item/offline"
#define PATH_ITEM			"/api/v1/product/item/"
#define PATH_ITEM_LIST		"/api/v1/product/list"
#define PATH_ORDER_LIST		"/api/v1/order/list"
#define PATH_ORDER_DETAIL	"/api/v1/order/detail"

/* Longest key, secret or salt. */
#define MAX_KEY				4096

#define N_HEADERS			5

/* A request that is being built. */
typedef struct Draft
{
	const PlatformCall *call;
	Arena	   *arena;
	PlainBuffer url;			/* of the whole, with the base URL */
	PlainBuffer body;			/* begun when there is one */
	const char *path;
} Draft;

const char *
ruten_check_access(const PlatformAccess *access)
{
	if (access->api_key == NULL)
		return "credential api_key is missing";
	if (access->secret_key == NULL)
		return "credential secret_key is missing";
	if (access->salt_key == NULL)
		return "credential salt_key is missing";
	if (!plain_visible(access->api_key, MAX_KEY) || !plain_visible(access->secret_key, MAX_KEY) ||
		!plain_visible(access->salt_key, MAX_KEY))
		return "a credential is malformed";
	return NULL;
}

const char *
ruten_signature(Arena *arena, const PlatformAccess *access, const char *url,
				const char *body, size_t body_length, const char *timestamp)
{
	const char *host = strstr(url, "://");
	const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
	PlainBuffer message;
	char		hex[SIGN_HEX_BYTES];
	char		base64[SIGN_BASE64_BYTES];

	if (access->sign_path_only)
		url = path != NULL ? path : "/";
	plain_begin(&message, arena, 256 + body_length);
	plain_add(&message, access->salt_key);
	plain_add(&message, url);
	plain_bytes(&message, body, body_length);
	plain_add(&message, timestamp);
	if (plain_finish(&message) == NULL)
		return NULL;
	if (access->sign_base64)
		return sign_hmac_sha256_base64(access->secret_key, message.data, message.length, base64) ?
			arena_strdup(arena, base64) : NULL;
	return sign_hmac_sha256_hex(access->secret_key, message.data, message.length, hex) ?
		arena_strdup(arena, hex) : NULL;
}

bool
ruten_id_ok(const char *id)
{
	size_t		length = strspn(id, "0123456789");

	return length > 0 && length <= RUTEN_MAX_ID && id[length] == '\0' && strspn(id, "0") < length;
}

bool
ruten_order_sn_ok(const char *order_sn)
{
	return plain_visible(order_sn, RUTEN_MAX_ORDER_SN) && strpbrk(order_sn, ",/\"\\") == NULL;
}

const char *
ruten_spec_id(const char *text)
{
	return text == NULL || strcmp(text, "0") == 0 ? "" : text;
}

/* check_items says why the items cannot be one call that writes, NULL when they can. */
static const char *
check_items(const PlatformItem *items, int n)
{
	int			i;
	int			j;

	if (n < 1 || n > RUTEN_MAX_SPECS)
		return "a call takes 1 to 100 specs of an item";
	if (!ruten_id_ok(items[0].item_id))
		return "the item id is not a number";
	for (i = 0; i < n; i++)
	{
		const char *spec = ruten_spec_id(items[i].model_id);

		if (strcmp(items[i].item_id, items[0].item_id) != 0)
			return "a call takes specs of one item only";
		if (*spec != '\0' && !ruten_id_ok(spec))
			return "the spec id is not a number";
		if (*spec == '\0' && n > 1)
			return "an item is written as a whole or by its specs";
		for (j = 0; j < i; j++)
			if (strcmp(ruten_spec_id(items[j].model_id), spec) == 0)
				return "a call names each spec once";
	}
	return NULL;
}

/* add_value writes the quantity or price of one item; what is wrong with it otherwise. */
static const char *
add_value(Draft *draft, const PlatformItem *item)
{
	const char *price = item->price != NULL ? item->price : "";
	size_t		whole = strcspn(price, ".");
	const char *digits;
	int64_t		value;

	if (draft->call->kind == CALL_PUSH_STOCK)
	{
		if (item->quantity < 0 || item->quantity > RUTEN_MAX_QUANTITY)
			return "the quantity is not between 0 and 999999";
		plain_add(&draft->body, "\"qty\":");
		plain_add_int(&draft->body, item->quantity);
		return NULL;
	}
	/* "199.00" is whole */
	digits = arena_strndup(draft->arena, price, whole);
	if (digits == NULL || strspn(price + whole, ".0") != strlen(price + whole) ||
		!plain_int(digits, 1, RUTEN_MAX_PRICE, &value))
		return "the price is not a whole number of dollars";
	plain_add(&draft->body, "\"price\":");
	plain_add_int(&draft->body, value);
	return NULL;
}

/* write_values writes the body of a stock or price call. */
static const char *
write_values(Draft *draft)
{
	const PlatformItem *items = draft->call->items;
	const char *wrong = NULL;
	int			i;

	if (*ruten_spec_id(items[0].model_id) == '\0')
	{
		plain_add(&draft->body, ",");
		return add_value(draft, &items[0]);
	}
	plain_add(&draft->body, ",\"spec_info\":[");
	for (i = 0; i < draft->call->n_items && wrong == NULL; i++)
	{
		plain_add(&draft->body, i > 0 ? ",{\"spec_id\":\"" : "{\"spec_id\":\"");
		plain_add(&draft->body, items[i].model_id);
		plain_add(&draft->body, "\",");
		wrong = add_value(draft, &items[i]);
		plain_add(&draft->body, "}");
	}
	plain_add(&draft->body, "]");
	return wrong;
}

/* build_write makes the calls that write an item: stock, price, on or off the shelf. */
static const char *
build_write(Draft *draft)
{
	const PlatformCall *call = draft->call;
	const char *wrong = check_items(call->items, call->n_items);

	if (wrong != NULL)
		return wrong;
	draft->path = call->kind == CALL_PUSH_STOCK ? PATH_STOCK :
		call->kind == CALL_PUSH_PRICE ? PATH_PRICE : call->listed ? PATH_ONLINE : PATH_OFFLINE;
	plain_add(&draft->url, draft->path);
	plain_begin(&draft->body, draft->arena, 64 + 64 * (size_t) call->n_items);
	plain_add(&draft->body, "{\"item_id\":\"");
	plain_add(&draft->body, call->items[0].item_id);
	plain_add(&draft->body, "\"");
	if (call->kind != CALL_SET_LISTED)
		wrong = write_values(draft);
	plain_add(&draft->body, "}");
	return wrong;
}

static const char *
build_list_items(Draft *draft)
{
	RutenCursor cursor;

	if (!ruten_cursor_read(draft->call->cursor, &cursor) || (cursor.sold_out && !draft->call->listed))
		return "the cursor is none of an item list";
	draft->path = PATH_ITEM_LIST;
	plain_add(&draft->url, PATH_ITEM_LIST "?status=");
	plain_add(&draft->url, cursor.sold_out ? "out" : draft->call->listed ? "on" : "off");
	plain_add(&draft->url, "&offset=");
	plain_add_int(&draft->url, cursor.place);
	plain_add(&draft->url, "&limit=");
	plain_add_int(&draft->url, RUTEN_PAGE);
	return NULL;
}

static const char *
build_get_item(Draft *draft)
{
	if (draft->call->n_item_ids != 1)
		return "an item call takes one item";
	if (!ruten_id_ok(draft->call->item_ids[0]))
		return "the item id is not a number";
	draft->path = arena_printf(draft->arena, PATH_ITEM "%s", draft->call->item_ids[0]);
	plain_add(&draft->url, draft->path != NULL ? draft->path : "");
	return NULL;
}

/* add_date writes a moment as Ruten does: 14 digits of the time of day in Taiwan. */
static bool
add_date(PlainBuffer *out, Arena *arena, int64_t unix_s)
{
	TaipeiTime	time;
	const char *text;

	if (unix_s < 0 || !taipei_of(unix_s, &time))
		return false;
	text = arena_printf(arena, "%04d%02d%02d%02d%02d%02d", time.year, time.month, time.day,
						time.hour, time.minute, time.second);
	plain_add(out, text != NULL ? text : "");
	return true;
}

static const char *
build_list_orders(Draft *draft)
{
	const PlatformCall *call = draft->call;
	RutenCursor cursor;
	bool		ok;

	if (call->from < 0 || call->from > call->to || call->to - call->from > RUTEN_MAX_WINDOW)
		return "the window of an order list is empty or over 7 days";
	if (!ruten_cursor_read(call->cursor, &cursor) || cursor.sold_out)
		return "the cursor is none of an order list";
	draft->path = PATH_ORDER_LIST;
	plain_add(&draft->url, PATH_ORDER_LIST "?order_status=All&start_date=");
	ok = add_date(&draft->url, draft->arena, call->from);
	plain_add(&draft->url, "&end_date=");
	ok = ok && add_date(&draft->url, draft->arena, call->to);
	plain_add(&draft->url, "&page=");
	plain_add_int(&draft->url, cursor.place);
	plain_add(&draft->url, "&page_size=");
	plain_add_int(&draft->url, RUTEN_PAGE);
	return ok ? NULL : "the window of an order list lies outside of the calendar";
}

static const char *
build_get_orders(Draft *draft)
{
	const PlatformCall *call = draft->call;
	int			i;

	if (call->n_order_sns < 1 || call->n_order_sns > RUTEN_MAX_ORDERS)
		return "an order detail call takes 1 to 30 orders";
	draft->path = PATH_ORDER_DETAIL;
	plain_add(&draft->url, PATH_ORDER_DETAIL);
	plain_begin(&draft->body, draft->arena, 32 + 24 * (size_t) call->n_order_sns);
	plain_add(&draft->body, "{\"order_id_list\":\"");
	for (i = 0; i < call->n_order_sns; i++)
	{
		if (!ruten_order_sn_ok(call->order_sns[i]))
			return "the order number is malformed";
		if (i > 0)
			plain_add(&draft->body, ",");
		plain_add(&draft->body, call->order_sns[i]);
	}
	plain_add(&draft->body, "\"}");
	return NULL;
}

/* build_call writes URL and body; what is wrong with the call otherwise. */
static const char *
build_call(Draft *draft)
{
	switch ((int) draft->call->kind)
	{
		case CALL_PUSH_STOCK:
		case CALL_PUSH_PRICE:
		case CALL_SET_LISTED:
			return build_write(draft);
		case CALL_LIST_ITEMS:
			return build_list_items(draft);
		case CALL_GET_ITEMS:
			return build_get_item(draft);
		case CALL_LIST_ORDERS:
			return build_list_orders(draft);
		case CALL_GET_ORDERS:
			return build_get_orders(draft);
		default:
			return "Ruten has no such call";
	}
}

/* finish signs the draft and makes it the request; false when memory or libcrypto fails. */
static bool
finish(Draft *draft, const PlatformAccess *access, PlatformRequest *request)
{
	const char *timestamp = arena_printf(draft->arena, "%" PRId64, access->now);
	const char **headers = arena_alloc(draft->arena, N_HEADERS * sizeof(char *));
	const char *url = plain_finish(&draft->url);
	const char *body = draft->body.arena != NULL ? plain_finish(&draft->body) : NULL;
	const char *signature;

	if (arena_failed(draft->arena))
		return false;
	signature = ruten_signature(draft->arena, access, url, body != NULL ? body : "", draft->body.length, timestamp);
	if (signature == NULL)
		return false;
	headers[0] = arena_printf(draft->arena, "X-RT-Key: %s", access->api_key);
	headers[1] = arena_printf(draft->arena, "X-RT-Timestamp: %s", timestamp);
	headers[2] = arena_printf(draft->arena, "X-RT-Authorization: %s", signature);
	headers[3] = "Accept: application/json";
	headers[4] = "Content-Type: application/json";
	*request = (PlatformRequest) {
		.method = body == NULL ? "GET" : draft->call->kind == CALL_GET_ORDERS ? "POST" : "PUT",
		.url = url,
		.path = draft->path,
		.headers = headers,
		.n_headers = N_HEADERS,
		.body = body,
		.body_length = draft->body.length,
	};
	return !arena_failed(draft->arena);
}

/* build makes the request of any call; see Platform in platform.h. */
static bool
build(const PlatformCall *call, const PlatformAccess *access, Arena *arena,
	  PlatformRequest *request, const char **error)
{
	Draft		draft = {.call = call, .arena = arena};
	const char *wrong = ruten_check_access(access);

	*request = (PlatformRequest) {.method = "GET"};
	if (access->base_url == NULL || *access->base_url == '\0')
		wrong = "the platform has no base URL";
	if (wrong == NULL)
	{
		plain_begin(&draft.url, arena, 256);
		plain_add(&draft.url, access->base_url);
		wrong = build_call(&draft);
	}
	if (wrong == NULL && !finish(&draft, access, request))
	{
		*request = (PlatformRequest) {.method = "GET"};
		wrong = "could not sign the request, or it does not fit into memory";
	}
	*error = wrong;
	return wrong == NULL;
}

const Platform platform_ruten = {
	.name = "ruten",
	.default_base_url = "https://partner.ruten.com.tw",
	.max_quantity = RUTEN_MAX_QUANTITY,
	.calls = CALL_BIT(CALL_PUSH_STOCK) | CALL_BIT(CALL_PUSH_PRICE) | CALL_BIT(CALL_SET_LISTED) |
	CALL_BIT(CALL_LIST_ITEMS) | CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_LIST_ORDERS) | CALL_BIT(CALL_GET_ORDERS),
	.max_push_items = RUTEN_MAX_SPECS,
	.max_set_listed = 1,
	.max_get_orders = RUTEN_MAX_ORDERS,
	.max_get_items = 1,
	.max_window = RUTEN_MAX_WINDOW,
	.batch_per_item = true,
	.absolute = true,
	.push_status = 201,
	.build = build,
	.judge = ruten_judge,
	.read_push = ruten_read_push,
	.push_authorization = "x-rt-authorization",
	.push_key = "x-rt-key",
	.push_timestamp = "x-rt-timestamp",
};
