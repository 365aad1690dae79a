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

#define PATH_PRODUCTS		"/prod/v3.3/index.php/vendor/"
#define PATH_PRODUCT_LIST	"/prod/v3.3/index.php/core/vendor/"
#define PATH_ORDERS			"/order/v1/index.php/trans/vendor/"
#define PATH_ORDER_LIST		"/order/v1/index.php/trans/core/vendor/"
#define PATH_RETURN_LIST	"/refund/v1/index.php/trans/core/vendor/"

/* Reason of taking a product off the shelf, of 1 to 4, where the caller names none. */
#define DEFAULT_REASON		"1"

#define MAX_VENDOR			20
#define MAX_UNITS			INT64_C(1000000)
#define MAX_TIME			INT64_C(32503680000)	/* the year 3000 */

#define DIGITS				"0123456789"
#define LETTERS				"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const char *const get_headers[] = {"Accept: application/json"};
static const char *const put_headers[] = {"Accept: application/json", "Content-Type: application/json"};

const char *const pchome_return_states[PCHOME_RETURN_STATES] = {"NA", "QCOK", "QCFail"};

/* A request while it is made. */
typedef struct Draft
{
	const PlatformCall *call;
	const PlatformAccess *access;
	Arena	   *arena;
	PlainBuffer path;
	PlainBuffer query;
	PlainBuffer body;
} Draft;

/* all_of tells whether a text is 1 to `max` characters of a set. */
static bool
all_of(const char *text, const char *set, size_t max)
{
	size_t		length = strspn(text, set);

	return length > 0 && length <= max && text[length] == '\0';
}

bool
pchome_group_ok(const char *group)
{
	size_t		head = strspn(group, DIGITS LETTERS);

	return head > 0 && group[head] == '-' && strlen(group) <= PCHOME_MAX_ID - 1 - PCHOME_MAX_SPEC &&
		all_of(group + head + 1, DIGITS LETTERS, PCHOME_MAX_ID);
}

/* split_last cuts a text in two at its last dash; false when there is none, or a part does not fit. */
static bool
split_last(const char *text, char *head, char *tail, size_t tail_bytes)
{
	const char *dash = strrchr(text, '-');

	if (dash == NULL || strlen(text) > PCHOME_MAX_ID || strlen(dash + 1) >= tail_bytes)
		return false;
	memcpy(head, text, (size_t) (dash - text));
	head[dash - text] = '\0';
	memcpy(tail, dash + 1, strlen(dash + 1) + 1);
	return true;
}

bool
pchome_read_product(const char *id, PchomeProduct *product)
{
	if (!split_last(id, product->group, product->spec, sizeof(product->spec)) ||
		!pchome_group_ok(product->group) || strspn(product->spec, DIGITS) != PCHOME_MAX_SPEC)
		return false;
	if (strcmp(product->spec, "000") == 0)
		product->spec[0] = '\0';
	return true;
}

bool
pchome_read_record(const char *id, PchomeRecord *record)
{
	return split_last(id, record->order_sn, record->line_id, sizeof(record->line_id)) &&
		all_of(record->order_sn, DIGITS LETTERS, PCHOME_MAX_ID) && all_of(record->line_id, DIGITS, PCHOME_MAX_ID);
}

bool
pchome_read_cursor(CallKind kind, const char *cursor, PchomePage *page)
{
	*page = (PchomePage) {0, 1};
	if (*cursor == '\0')
		return true;
	if (kind == CALL_LIST_RETURNS)
	{
		for (page->state = 0; page->state < PCHOME_RETURN_STATES; page->state++)
		{
			size_t		length = strlen(pchome_return_states[page->state]);

			if (strncmp(cursor, pchome_return_states[page->state], length) == 0 && cursor[length] == '/')
				return plain_int(cursor + length + 1, 1, PCHOME_MAX_OFFSET, &page->offset);
		}
		return false;
	}
	return plain_int(cursor, 1, PCHOME_MAX_OFFSET, &page->offset);
}

/* begin_path writes the path up to what the vendor has of the kind. */
static void
begin_path(Draft *draft, const char *path, const char *what)
{
	plain_add(&draft->path, path);
	plain_add(&draft->path, draft->access->shop_id);
	plain_add(&draft->path, what);
}

/* no_model tells whether a model's id says that there are none. */
static bool
no_model(const char *model_id)
{
	return *model_id == '\0' || strcmp(model_id, "0") == 0;
}

/* add_product_id appends the product id of an item and model as one word. */
static void
add_product_id(PlainBuffer *out, const PlatformItem *item)
{
	plain_add(out, item->item_id);
	plain_add(out, "-");
	plain_add(out, no_model(item->model_id) ? "000" : item->model_id);
}

static const char *
check_item(const PlatformItem *item)
{
	if (!pchome_group_ok(item->item_id))
		return "the item id is not a group id as AAAA0A-A00000001; the number of the spec is the model id";
	if (!no_model(item->model_id) &&
		(strlen(item->model_id) != PCHOME_MAX_SPEC || strspn(item->model_id, DIGITS) != PCHOME_MAX_SPEC ||
		 strcmp(item->model_id, "000") == 0))
		return "the model id is not the three digits of a spec; spec 000 is an item without models";
	return NULL;
}

static bool
same_product(const PlatformItem *a, const PlatformItem *b)
{
	return strcmp(a->item_id, b->item_id) == 0 &&
		(strcmp(a->model_id, b->model_id) == 0 || (no_model(a->model_id) && no_model(b->model_id)));
}

/* build_push_stock names the products in the query and again in the body: the platform wants both to agree. */
static const char *
build_push_stock(Draft *draft)
{
	const PlatformCall *call = draft->call;
	int			i;
	int			j;

	if (call->n_items < 1 || call->n_items > PCHOME_MAX_ITEMS)
		return "a stock call takes 1 to 20 products";
	begin_path(draft, PATH_PRODUCTS, "/prod/qty");
	plain_add(&draft->query, "?prodid=");
	plain_add(&draft->body, "[");
	for (i = 0; i < call->n_items; i++)
	{
		const PlatformItem *item = &call->items[i];
		const char *wrong = check_item(item);

		if (wrong != NULL)
			return wrong;
		if (item->quantity < 0 || item->quantity > PCHOME_MAX_QUANTITY)
			return "the quantity is not between 0 and 1200";
		for (j = 0; j < i; j++)
			if (same_product(&call->items[j], item))
				return "a stock call names each product once";
		plain_add(&draft->query, i > 0 ? "," : "");
		add_product_id(&draft->query, item);
		plain_add(&draft->body, i > 0 ? ",{\"Id\":\"" : "{\"Id\":\"");
		add_product_id(&draft->body, item);
		plain_add(&draft->body, "\",\"Qty\":");
		plain_add_int(&draft->body, item->quantity);
		plain_add(&draft->body, "}");
	}
	plain_add(&draft->body, "]");
	return NULL;
}

/* read_price takes a price in whole dollars, as the platform does: "990" or "990.00". */
static bool
read_price(const char *text, int64_t *price)
{
	char		whole[16];
	size_t		length = strspn(text, DIGITS);

	if (length == 0 || length >= sizeof(whole))
		return false;
	if (text[length] != '\0' && (text[length] != '.' || strspn(text + length + 1, "0") != strlen(text + length + 1)))
		return false;
	memcpy(whole, text, length);
	whole[length] = '\0';
	return plain_int(whole, PCHOME_MIN_PRICE, INT32_MAX, price);
}

/* first_of_group finds the first item of the same group; itself when it is the first. */
static int
first_of_group(const PlatformItem *items, int i)
{
	int			j;

	for (j = 0; j < i; j++)
		if (strcmp(items[j].item_id, items[i].item_id) == 0)
			return j;
	return i;
}

/* add_group_price writes list price and selling price alike: what would be crossed out is not ours to invent. */
static const char *
add_group_price(Draft *draft, int i)
{
	int64_t		price;

	if (draft->call->items[i].price == NULL || !read_price(draft->call->items[i].price, &price))
		return "the price is not a whole number of dollars from 20 up";
	plain_add(&draft->body, ",\"Price\":{\"M\":");
	plain_add_int(&draft->body, price);
	plain_add(&draft->body, ",\"P\":");
	plain_add_int(&draft->body, price);
	plain_add(&draft->body, "}}");
	return NULL;
}

static void
add_group_listed(Draft *draft)
{
	const char *reason = draft->call->reason != NULL ? draft->call->reason : DEFAULT_REASON;

	plain_add(&draft->body, draft->call->listed ? ",\"isShelf\":1" : ",\"isShelf\":0");
	plain_add(&draft->body, ",\"OffShelfReason\":\"");
	plain_add(&draft->body, draft->call->listed ? "" : reason);
	plain_add(&draft->body, "\"}");
}

/* build_groups makes a call on whole groups, of which each is named once: prices, or the shelf. */
static const char *
build_groups(Draft *draft)
{
	const PlatformCall *call = draft->call;
	bool		price = call->kind == CALL_PUSH_PRICE;
	int			i;

	if (call->n_items < 1 || call->n_items > PCHOME_MAX_ITEMS)
		return "a call on products takes 1 to 20 of them";
	if (!price && !call->listed && call->reason != NULL && !all_of(call->reason, "1234", 1))
		return "the reason for taking a product off the shelf is not 1, 2, 3 or 4";
	begin_path(draft, PATH_PRODUCTS, price ? "/prod/price" : "/prod/isshelf");
	plain_add(&draft->query, "?groupid=");
	plain_add(&draft->body, "[");
	for (i = 0; i < call->n_items; i++)
	{
		const PlatformItem *item = &call->items[i];
		int			first = first_of_group(call->items, i);
		const char *wrong = check_item(item);

		if (wrong != NULL)
			return wrong;
		if (first < i)
		{
			if (price && (item->price == NULL || strcmp(item->price, call->items[first].price) != 0))
				return "all specs of a product have one price";
			continue;
		}
		plain_add(&draft->query, i > 0 ? "," : "");
		plain_add(&draft->query, item->item_id);
		plain_add(&draft->body, i > 0 ? ",{\"GroupId\":\"" : "{\"GroupId\":\"");
		plain_add(&draft->body, item->item_id);
		plain_add(&draft->body, "\"");
		wrong = price ? add_group_price(draft, i) : NULL;
		if (wrong != NULL)
			return wrong;
		if (!price)
			add_group_listed(draft);
	}
	plain_add(&draft->body, "]");
	return NULL;
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
add_page(Draft *draft, const PchomePage *page, int limit)
{
	plain_add(&draft->query, "&offset=");
	plain_add_int(&draft->query, page->offset);
	plain_add(&draft->query, "&limit=");
	plain_add_int(&draft->query, limit);
}

/* build_dated makes a list by days, of orders or of returns. Both days belong to it. */
static const char *
build_dated(Draft *draft, const char *path, const char *what, const char *parameter)
{
	const PlatformCall *call = draft->call;
	PchomePage	page;

	if (call->from < 0 || call->to > MAX_TIME || call->from > call->to || call->to - call->from > PCHOME_MAX_WINDOW)
		return "the window of a list is empty or over 7 days";
	if (!pchome_read_cursor(call->kind, call->cursor, &page))
		return "the cursor is not the number of a row";
	begin_path(draft, path, what);
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
build_get_orders(Draft *draft)
{
	const PlatformCall *call = draft->call;
	PchomeRecord record;
	int			i;

	if (call->n_order_sns < 1 || call->n_order_sns > PCHOME_MAX_ORDERS)
		return "an order detail call takes 1 to 20 records";
	begin_path(draft, PATH_ORDERS, "/order");
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
build_list_items(Draft *draft)
{
	const PlatformCall *call = draft->call;
	PchomePage	page;

	if (!pchome_read_cursor(call->kind, call->cursor, &page))
		return "the cursor is not the number of a row";
	begin_path(draft, PATH_PRODUCT_LIST, "/prod");
	plain_add(&draft->query, call->listed ? "?isshelf=1&fields=GroupId" : "?isshelf=0&fields=GroupId");
	add_page(draft, &page, PCHOME_PRODUCT_PAGE);
	return NULL;
}

/* build_get_products asks for groups, or for the specs of one. */
static const char *
build_get_products(Draft *draft)
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
		begin_path(draft, PATH_PRODUCTS, "/prod/");
		plain_add(&draft->path, call->item_ids[0]);
		plain_add(&draft->path, "/spec");
		plain_add(&draft->query, "?fields=Id,VendorPId,Spec,Qty");
		return NULL;
	}
	begin_path(draft, PATH_PRODUCTS, "/prod");
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
begin_record(Draft *draft, const char *order_sn, const char *line_id, const char *what)
{
	PchomeRecord record;
	const char *id = order_sn;

	if (id != NULL && line_id != NULL)
		id = arena_printf(draft->arena, "%s-%s", order_sn, line_id);
	if (id == NULL || !pchome_read_record(id, &record))
		return "an order is shipped and declined line by line: its number, a dash and the line's";
	begin_path(draft, PATH_ORDERS, "/order/");
	plain_add(&draft->path, id);
	plain_add(&draft->path, what);
	return NULL;
}

static const char *
build_ship(Draft *draft)
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
build_cancel_lines(Draft *draft)
{
	const PlatformCall *call = draft->call;

	if (call->n_order_sns != 1 || call->n_items != 0)
		return "one line of an order is declined at a time, by the number of its record";
	plain_add(&draft->body, "1");
	return begin_record(draft, call->order_sns[0], NULL, "/isnotship");
}

static const char *
build_any(Draft *draft)
{
	const PlatformAccess *access = draft->access;

	if (access->base_url == NULL || *access->base_url == '\0')
		return "the platform has no base URL";
	if (access->shop_id == NULL || !all_of(access->shop_id, DIGITS LETTERS, MAX_VENDOR))
		return "the shop id is not a vendor number of PChome";
	switch ((int) draft->call->kind)
	{
		case CALL_PUSH_STOCK:
			return build_push_stock(draft);
		case CALL_PUSH_PRICE:
		case CALL_SET_LISTED:
			return build_groups(draft);
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
	Draft		draft = {.call = call, .access = access, .arena = arena};
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
