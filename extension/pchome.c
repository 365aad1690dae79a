/*
 * pchome.c
 *		PChome 24h vendor API (ECVDR): the requests.
 *
 * There is no signature and no key: the platform knows a vendor by the
 * address that calls, and the vendor's number stands in the path. A base URL
 * ends with the directory of the live or the test system, /vdr or /vdr_fake.
 * What the platform would refuse anyway is refused here, without a call.
 *
 * Pure: no I/O, no state, everything in the caller's arena.
 */
#include "pchome.h"

#include <string.h>
#include <time.h>

#include "plain.h"

#define PATH_PRODUCT_LIST	"/prod/v3.3/index.php/core/vendor/"
#define PATH_ORDERS			"/order/v1/index.php/trans/vendor/"
#define PATH_ORDER_LIST		"/order/v1/index.php/trans/core/vendor/"
#define PATH_RETURN_LIST	"/refund/v1/index.php/trans/core/vendor/"

#define MAX_VENDOR			20
#define MAX_UNITS			INT64_C(1000000)
#define MAX_TIME			INT64_C(32503680000)	/* the year 3000 */

static const char *const get_headers[] = {"Accept: application/json"};
static const char *const put_headers[] = {"Accept: application/json", "Content-Type: application/json"};

void
pchome_begin_path(PchomeDraft *draft, const char *path, const char *what)
{
	plain_add(&draft->path, path);
	plain_add(&draft->path, draft->access->shop_id);
	plain_add(&draft->path, what);
}

/* add_date appends the Taipei date of a moment as 2025/10/01. */
static void
add_date(PlainBuffer *out, int64_t moment)
{
	time_t		local = (time_t) (moment + PCHOME_UTC_OFFSET);
	struct tm	date;

	if (gmtime_r(&local, &date) == NULL)
		return;
	plain_add_int(out, date.tm_year + 1900);
	plain_add(out, date.tm_mon + 1 < 10 ? "/0" : "/");
	plain_add_int(out, date.tm_mon + 1);
	plain_add(out, date.tm_mday < 10 ? "/0" : "/");
	plain_add_int(out, date.tm_mday);
}

/* add_page appends offset and limit. */
static void
add_page(PchomeDraft *draft, const PchomePage *page, int limit)
{
	plain_add(&draft->query, "&offset=");
	plain_add_int(&draft->query, page->offset);
	plain_add(&draft->query, "&limit=");
	plain_add_int(&draft->query, limit);
}

/* build_dated makes a list by days, of orders or of returns. Both days belong to it. */
static const char *
build_dated(PchomeDraft *draft, const char *path, const char *what, const char *parameter)
{
	const PlatformCall *call = draft->call;
	PchomePage	page;

	if (call->from < 0 || call->to > MAX_TIME || call->from > call->to || call->to - call->from > PCHOME_MAX_WINDOW)
		return "the window of a list is empty or over 7 days";
	if (!pchome_read_cursor(call->kind, call->cursor, &page))
		return "the cursor is not the number of a row";
	pchome_begin_path(draft, path, what);
	plain_add(&draft->query, parameter);
	add_date(&draft->query, call->from);
	plain_add(&draft->query, "-");
	add_date(&draft->query, call->to);
	if (call->kind == CALL_LIST_RETURNS)
	{
		plain_add(&draft->query, "&prodqcstatus=");
		plain_add(&draft->query, pchome_return_states[page.state]);
	}
	add_page(draft, &page, PCHOME_ORDER_PAGE);
	return NULL;
}

static const char *
build_get_orders(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;
	PchomeRecord record;
	int			i;

	if (call->n_order_sns < 1 || call->n_order_sns > PCHOME_MAX_ORDERS)
		return "an order detail call takes 1 to 20 records";
	pchome_begin_path(draft, PATH_ORDERS, "/order");
	plain_add(&draft->query, "?id=");
	for (i = 0; i < call->n_order_sns; i++)
	{
		if (!pchome_read_record(call->order_sns[i], &record))
			return "the id of an order's record is malformed: it is an order number, a dash and a number";
		plain_add(&draft->query, i > 0 ? "," : "");
		plain_add(&draft->query, call->order_sns[i]);
	}
	return NULL;
}

static const char *
build_list_items(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;
	PchomePage	page;

	if (!pchome_read_cursor(call->kind, call->cursor, &page))
		return "the cursor is not the number of a row";
	pchome_begin_path(draft, PATH_PRODUCT_LIST, "/prod");
	plain_add(&draft->query, call->listed ? "?isshelf=1&fields=GroupId" : "?isshelf=0&fields=GroupId");
	add_page(draft, &page, PCHOME_PRODUCT_PAGE);
	return NULL;
}

/* build_get_products asks for groups, or for the specs of one. */
static const char *
build_get_products(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;
	bool		models = call->kind == CALL_GET_MODELS;
	int			i;

	if (call->n_item_ids < 1 || call->n_item_ids > (models ? 1 : PCHOME_MAX_ITEMS))
		return models ? "a call for the specs takes one product" : "a call for products takes 1 to 20 of them";
	for (i = 0; i < call->n_item_ids; i++)
		if (!pchome_group_ok(call->item_ids[i]))
			return "the item id is not a group id as AAAA0A-A00000001";
	if (models)
	{
		pchome_begin_path(draft, PCHOME_PATH_PRODUCTS, "/prod/");
		plain_add(&draft->path, call->item_ids[0]);
		plain_add(&draft->path, "/spec");
		plain_add(&draft->query, "?fields=Id,VendorPId,Spec,Qty");
		return NULL;
	}
	pchome_begin_path(draft, PCHOME_PATH_PRODUCTS, "/prod");
	plain_add(&draft->query, "?groupid=");
	for (i = 0; i < call->n_item_ids; i++)
	{
		plain_add(&draft->query, i > 0 ? "," : "");
		plain_add(&draft->query, call->item_ids[i]);
	}
	plain_add(&draft->query, "&fields=Id,GroupId,VendorPId,Name,Price,Qty,isSpec,isShelf,ShipType");
	return NULL;
}

/* begin_record writes the path of one record; it is the order's number and the line, or both in one text. */
static const char *
begin_record(PchomeDraft *draft, const char *order_sn, const char *line_id, const char *what)
{
	PchomeRecord record;
	const char *id = order_sn;

	if (id != NULL && line_id != NULL)
		id = arena_printf(draft->arena, "%s-%s", order_sn, line_id);
	if (id == NULL || !pchome_read_record(id, &record))
		return "an order is shipped and declined line by line: its number, a dash and the line's";
	pchome_begin_path(draft, PATH_ORDERS, "/order/");
	plain_add(&draft->path, id);
	plain_add(&draft->path, what);
	return NULL;
}

static const char *
build_ship(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;

	if (call->quantity < 1 || call->quantity > MAX_UNITS)
		return "the units to ship are missing";
	if (call->carrier == NULL || !plain_visible(call->carrier, PCHOME_MAX_ID) ||
		call->tracking == NULL || !plain_visible(call->tracking, PCHOME_MAX_ID))
		return "carrier and tracking number are missing or malformed";
	plain_add(&draft->body, "{\"ShipQty\":");
	plain_add_int(&draft->body, call->quantity);
	plain_add(&draft->body, ",\"ShipId\":");
	plain_add_json(&draft->body, call->tracking);
	plain_add(&draft->body, ",\"ShipVendorId\":");
	plain_add_json(&draft->body, call->carrier);
	plain_add(&draft->body, "}");
	return begin_record(draft, call->order_sn, call->package_id, "/shipinfo");
}

/* build_cancel_lines declines one record, whole: the platform knows no part of it. */
static const char *
build_cancel_lines(PchomeDraft *draft)
{
	const PlatformCall *call = draft->call;

	if (call->n_order_sns != 1 || call->n_items != 0)
		return "one line of an order is declined at a time, by the number of its record";
	plain_add(&draft->body, "1");
	return begin_record(draft, call->order_sns[0], NULL, "/isnotship");
}

static const char *
build_any(PchomeDraft *draft)
{
	const PlatformAccess *access = draft->access;

	if (access->base_url == NULL || *access->base_url == '\0')
		return "the platform has no base URL";
	if (access->shop_id == NULL || !pchome_all_of(access->shop_id, PCHOME_DIGITS PCHOME_LETTERS, MAX_VENDOR))
		return "the shop id is not a vendor number of PChome";
	switch ((int) draft->call->kind)
	{
		case CALL_PUSH_STOCK:
			return pchome_push_stock(draft);
		case CALL_PUSH_PRICE:
		case CALL_SET_LISTED:
			return pchome_groups(draft);
		case CALL_LIST_ORDERS:
			return build_dated(draft, PATH_ORDER_LIST, "/order", "?transdate=");
		case CALL_LIST_RETURNS:
			return build_dated(draft, PATH_RETURN_LIST, "/refund", "?approveddate=");
		case CALL_GET_ORDERS:
			return build_get_orders(draft);
		case CALL_LIST_ITEMS:
			return build_list_items(draft);
		case CALL_GET_ITEMS:
		case CALL_GET_MODELS:
			return build_get_products(draft);
		case CALL_SHIP:
			return build_ship(draft);
		case CALL_CANCEL_LINES:
			return build_cancel_lines(draft);
		default:
			return "PChome has no such call";
	}
}

/* build makes the request of any call; see Platform in platform.h. */
static bool
build(const PlatformCall *call, const PlatformAccess *access, Arena *arena,
	  PlatformRequest *request, const char **error)
{
	bool		put = !platform_call_reads(call->kind);
	PchomeDraft		draft = {.call = call, .access = access, .arena = arena};
	const char *wrong;

	*request = (PlatformRequest) {.method = put ? "PUT" : "GET"};
	plain_begin(&draft.path, arena, 96);
	plain_begin(&draft.query, arena, 256);
	plain_begin(&draft.body, arena, 512);
	wrong = build_any(&draft);
	if (wrong == NULL)
	{
		const char *path = plain_finish(&draft.path);
		const char *query = plain_finish(&draft.query);

		request->path = path;
		request->url = query == NULL ? NULL : arena_printf(arena, "%s%s%s", access->base_url, path, query);
		request->body = put ? plain_finish(&draft.body) : NULL;
		request->body_length = request->body != NULL ? draft.body.length : 0;
		request->headers = put ? put_headers : get_headers;
		request->n_headers = put ? 2 : 1;
		if (arena_failed(arena))
			wrong = "the request does not fit into memory";
	}
	*error = wrong;
	return wrong == NULL;
}

const Platform platform_pchome = {
	.name = "pchome",
	.default_base_url = "https://ecvdr.pchome.com.tw/vdr",
	.max_quantity = PCHOME_MAX_QUANTITY,
	.calls = CALL_BIT(CALL_PUSH_STOCK) | CALL_BIT(CALL_PUSH_PRICE) | CALL_BIT(CALL_SET_LISTED) |
	CALL_BIT(CALL_LIST_ORDERS) | CALL_BIT(CALL_GET_ORDERS) | CALL_BIT(CALL_LIST_ITEMS) |
	CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_GET_MODELS) | CALL_BIT(CALL_SHIP) |
	CALL_BIT(CALL_CANCEL_LINES) | CALL_BIT(CALL_LIST_RETURNS),
	.max_push_items = PCHOME_MAX_ITEMS,
	.max_set_listed = PCHOME_MAX_ITEMS,
	.max_get_orders = PCHOME_MAX_ORDERS,
	.max_get_items = PCHOME_MAX_ITEMS,
	.max_window = PCHOME_MAX_WINDOW,
	.batch_one_way = true,
	.ship_by_line = true,
	.price_of_item = true,
	.absolute = true,
	.build = build,
	.judge = pchome_judge,
};
