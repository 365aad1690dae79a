/*
 * test_pchome_build.c
 *		Tests of PChome's requests: the very bytes, and what is refused before
 *		a call is spent on it.
 */
#define TEST_PLATFORM	platform_pchome
#include "codec_test.h"

#include "pchome.h"

#define G1	"AAAA0A-A00000001"
#define G2	"DICKCB-A900GN8U0"
#define PRODUCTS	"/prod/v3.3/index.php/vendor/39000/prod"
#define ORDERS		"/order/v1/index.php/trans/vendor/39000/order"

/* 2025/10/09 00:30 in Taipei, the day before in Greenwich */
#define NIGHT		INT64_C(1759941000)

static const PlatformAccess access = {
	.base_url = "https://ecvdr.example.com/vdr",
	.shop_id = "39000",
	.now = NIGHT,
};

static PlatformRequest
built(const PlatformCall *call, Arena *arena)
{
	PlatformRequest request;
	const char *error = "untouched";

	assert_true(platform_pchome.build(call, &access, arena, &request, &error));
	assert_null(error);
	assert_null(strchr(request.path, '?'));
	assert_int_equal(request.body_length, request.body != NULL ? strlen(request.body) : 0);
	assert_true(platform_pchome.calls & CALL_BIT(call->kind));
	return request;
}

static void
check(const PlatformCall *call, Arena *arena, const char *method, const char *path_and_query, const char *body)
{
	PlatformRequest request = built(call, arena);

	assert_string_equal(request.method, method);
	assert_string_equal(request.url, arena_printf(arena, "https://ecvdr.example.com/vdr%s", path_and_query));
	if (body == NULL)
		assert_null(request.body);
	else
		assert_string_equal(request.body, body);
	assert_int_equal(request.n_headers, body == NULL ? 1 : 2);
	assert_string_equal(request.headers[0], "Accept: application/json");
	if (body != NULL)
		assert_string_equal(request.headers[1], "Content-Type: application/json");
}

static void
refused(const PlatformCall *call, const PlatformAccess *by, Arena *arena, const char *expected)
{
	PlatformRequest request;
	const char *error = NULL;

	assert_false(platform_pchome.build(call, by, arena, &request, &error));
	assert_non_null(error);
	assert_string_equal(error, expected);
	assert_null(request.url);
	assert_null(request.body);
}

static void
stock_of_several_products(void **state)
{
	const PlatformItem items[] = {
		{.item_id = G1, .model_id = "001", .quantity = 10}, {.item_id = G1, .model_id = "002", .quantity = 0},
		{.item_id = G2, .model_id = "", .quantity = 1200}
	};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 3, .cursor = ""};

	check(&call, *state, "PUT", PRODUCTS "/qty?prodid=" G1 "-001," G1 "-002," G2 "-000",
		  "[{\"Id\":\"" G1 "-001\",\"Qty\":10},{\"Id\":\"" G1 "-002\",\"Qty\":0},{\"Id\":\"" G2 "-000\",\"Qty\":1200}]");
	assert_string_equal(built(&call, *state).path, PRODUCTS "/qty");
}

static void
stock_that_the_platform_would_refuse(void **state)
{
	static const char *const bad_groups[] = {
		"", "-", "A", "A-", "-A", "AAAA0A-A00000001-001", "A B-C", "A-B/", "A-\"", "é-A", "A-1\n",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAA"
	};
	static const char *const bad_models[] = {"000", "1", "01", "0001", "00a", " 01", "-01", "200001"};
	PlatformItem item = {.item_id = G1, .model_id = "", .quantity = 1};
	PlatformItem items[21];
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1};
	size_t		i;

	for (i = 0; i < sizeof(bad_groups) / sizeof(bad_groups[0]); i++)
	{
		item.item_id = bad_groups[i];
		refused(&call, &access, *state,
				"the item id is not a group id as AAAA0A-A00000001; the number of the spec is the model id");
	}
	item.item_id = G1;
	for (i = 0; i < sizeof(bad_models) / sizeof(bad_models[0]); i++)
	{
		item.model_id = bad_models[i];
		refused(&call, &access, *state,
				"the model id is not the three digits of a spec; spec 000 is an item without models");
	}
	item.model_id = "0";
	built(&call, *state);
	item.quantity = 1201;
	refused(&call, &access, *state, "the quantity is not between 0 and 1200");
	item.quantity = -1;
	refused(&call, &access, *state, "the quantity is not between 0 and 1200");

	for (i = 0; i < 21; i++)
		items[i] = (PlatformItem) {.item_id = G1, .model_id = arena_printf(*state, "%03zu", i + 1)};
	call.items = items;
	call.n_items = 21;
	refused(&call, &access, *state, "a stock call takes 1 to 20 products");
	call.n_items = 0;
	refused(&call, &access, *state, "a stock call takes 1 to 20 products");
	call.n_items = 20;
	built(&call, *state);
	items[7].model_id = "003";
	refused(&call, &access, *state, "a stock call names each product once");
	items[7].model_id = "";
	items[8].model_id = "0";
	refused(&call, &access, *state, "a stock call names each product once");
	items[8].item_id = G2;
	built(&call, *state);
}

static void
prices_by_group(void **state)
{
	PlatformItem items[] = {
		{.item_id = G1, .model_id = "001", .price = "990"}, {.item_id = G2, .model_id = "", .price = "20.00"},
		{.item_id = G1, .model_id = "002", .price = "990"}
	};
	static const char *const bad[] = {NULL, "", "19", "-990", "990.5", "1e3", "990,00", "0990", "9999999999", "99999999999999999999", "x"};
	PlatformCall call = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 3};
	size_t		i;

	check(&call, *state, "PUT", PRODUCTS "/price?groupid=" G1 "," G2,
		  "[{\"GroupId\":\"" G1 "\",\"Price\":{\"M\":990,\"P\":990}},"
		  "{\"GroupId\":\"" G2 "\",\"Price\":{\"M\":20,\"P\":20}}]");
	items[2].price = "991";
	refused(&call, &access, *state, "all specs of a product have one price");
	items[2].price = NULL;
	refused(&call, &access, *state, "all specs of a product have one price");
	call.n_items = 1;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		items[0].price = bad[i];
		refused(&call, &access, *state, "the price is not a whole number of dollars from 20 up");
	}
	call.n_items = 0;
	refused(&call, &access, *state, "a call on products takes 1 to 20 of them");
}

static void
shelf_by_group(void **state)
{
	const PlatformItem items[] = {{.item_id = G1, .model_id = "001"}, {.item_id = G1, .model_id = "002"}, {.item_id = G2, .model_id = ""}};
	PlatformCall call = {.kind = CALL_SET_LISTED, .items = items, .n_items = 3, .listed = true};

	check(&call, *state, "PUT", PRODUCTS "/isshelf?groupid=" G1 "," G2,
		  "[{\"GroupId\":\"" G1 "\",\"isShelf\":1,\"OffShelfReason\":\"\"},"
		  "{\"GroupId\":\"" G2 "\",\"isShelf\":1,\"OffShelfReason\":\"\"}]");
	call.listed = false;
	call.n_items = 1;
	check(&call, *state, "PUT", PRODUCTS "/isshelf?groupid=" G1,
		  "[{\"GroupId\":\"" G1 "\",\"isShelf\":0,\"OffShelfReason\":\"1\"}]");
	call.reason = "4";
	check(&call, *state, "PUT", PRODUCTS "/isshelf?groupid=" G1,
		  "[{\"GroupId\":\"" G1 "\",\"isShelf\":0,\"OffShelfReason\":\"4\"}]");
	call.reason = "5";
	refused(&call, &access, *state, "the reason for taking a product off the shelf is not 1, 2, 3 or 4");
	call.reason = "1\"";
	refused(&call, &access, *state, "the reason for taking a product off the shelf is not 1, 2, 3 or 4");
}

static void
lists_by_days_of_taipei(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = NIGHT - 3600, .to = NIGHT, .cursor = ""};

	check(&call, *state, "GET",
		  "/order/v1/index.php/trans/core/vendor/39000/order?transdate=2025/10/08-2025/10/09&offset=1&limit=100", NULL);
	call.from = NIGHT - 1800;
	call.cursor = "101";
	check(&call, *state, "GET",
		  "/order/v1/index.php/trans/core/vendor/39000/order?transdate=2025/10/09-2025/10/09&offset=101&limit=100", NULL);
	call.kind = CALL_LIST_RETURNS;
	call.cursor = "";
	check(&call, *state, "GET",
		  "/refund/v1/index.php/trans/core/vendor/39000/refund?approveddate=2025/10/09-2025/10/09&prodqcstatus=NA&offset=1&limit=100", NULL);
	call.cursor = "QCFail/201";
	check(&call, *state, "GET",
		  "/refund/v1/index.php/trans/core/vendor/39000/refund?approveddate=2025/10/09-2025/10/09&prodqcstatus=QCFail&offset=201&limit=100", NULL);
	/* the last second before a leap day, and the day itself */
	call = (PlatformCall) {.kind = CALL_LIST_ORDERS, .from = 1709135999, .to = 1709136000, .cursor = ""};
	check(&call, *state, "GET",
		  "/order/v1/index.php/trans/core/vendor/39000/order?transdate=2024/02/28-2024/02/29&offset=1&limit=100", NULL);
}

static void
windows_and_cursors(void **state)
{
	static const char *const bad[] = {"0", "-1", "x", "1 ", "01", "QCOK/1", "1000000001"};
	const char *wrong = "the window of a list is empty or over 7 days";
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = NIGHT, .to = NIGHT, .cursor = ""};
	size_t		i;

	call.to += platform_pchome.max_window;
	built(&call, *state);
	call.to++;
	refused(&call, &access, *state, wrong);
	call.to = call.from - 1;
	refused(&call, &access, *state, wrong);
	call.from = call.to = INT64_MAX;
	refused(&call, &access, *state, wrong);
	call.from = INT64_MIN;
	refused(&call, &access, *state, wrong);
	call.from = call.to = NIGHT;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		call.cursor = bad[i];
		refused(&call, &access, *state, "the cursor is not the number of a row");
	}
	call.kind = CALL_LIST_RETURNS;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		call.cursor = bad[i];
		if (strcmp(bad[i], "QCOK/1") != 0)
			refused(&call, &access, *state, "the cursor is not the number of a row");
	}
	call.cursor = "QC/1";
	refused(&call, &access, *state, "the cursor is not the number of a row");
}

static void
order_records(void **state)
{
	const char *ids[21] = {"20251009000001-01", "20251009000001-02"};
	static const char *const bad[] = {"", "20251009000001", "-01", "20251009000001-", "2025 1009-01", "1-2-3", "1-x", "1-1&q=2", "1,2-1"};
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = ids, .n_order_sns = 2};
	size_t		i;

	check(&call, *state, "GET", ORDERS "?id=20251009000001-01,20251009000001-02", NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		ids[1] = bad[i];
		refused(&call, &access, *state,
				"the id of an order's record is malformed: it is an order number, a dash and a number");
	}
	for (i = 0; i < 21; i++)
		ids[i] = "1-1";
	call.n_order_sns = 21;
	refused(&call, &access, *state, "an order detail call takes 1 to 20 records");
	call.n_order_sns = 0;
	refused(&call, &access, *state, "an order detail call takes 1 to 20 records");
}

static void
products(void **state)
{
	const char *groups[] = {G1, G2};
	PlatformCall call = {.kind = CALL_LIST_ITEMS, .listed = true, .cursor = ""};

	check(&call, *state, "GET",
		  "/prod/v3.3/index.php/core/vendor/39000/prod?isshelf=1&fields=GroupId&offset=1&limit=50", NULL);
	call.listed = false;
	call.cursor = "51";
	check(&call, *state, "GET",
		  "/prod/v3.3/index.php/core/vendor/39000/prod?isshelf=0&fields=GroupId&offset=51&limit=50", NULL);
	call = (PlatformCall) {.kind = CALL_GET_ITEMS, .item_ids = groups, .n_item_ids = 2};
	check(&call, *state, "GET", PRODUCTS "?groupid=" G1 "," G2
		  "&fields=Id,GroupId,VendorPId,Name,Price,Qty,isSpec,isShelf,ShipType", NULL);
	call.kind = CALL_GET_MODELS;
	refused(&call, &access, *state, "a call for the specs takes one product");
	call.n_item_ids = 1;
	check(&call, *state, "GET", PRODUCTS "/" G1 "/spec?fields=Id,VendorPId,Spec,Qty", NULL);
	groups[0] = G1 "-001";
	refused(&call, &access, *state, "the item id is not a group id as AAAA0A-A00000001");
}

static void
shipping_a_line(void **state)
{
	PlatformCall call = {
		.kind = CALL_SHIP, .order_sn = "20251009000001", .package_id = "01", .quantity = 2, .carrier = "BlackCat", .tracking = "90\"12"
	};
	const char *body = "{\"ShipQty\":2,\"ShipId\":\"90\\\"12\",\"ShipVendorId\":\"BlackCat\"}";

	check(&call, *state, "PUT", ORDERS "/20251009000001-01/shipinfo", body);
	call.order_sn = "20251009000001-01";
	call.package_id = NULL;
	check(&call, *state, "PUT", ORDERS "/20251009000001-01/shipinfo", body);
	call.order_sn = "20251009000001";
	refused(&call, &access, *state, "an order is shipped and declined line by line: its number, a dash and the line's");
	call.order_sn = NULL;
	refused(&call, &access, *state, "an order is shipped and declined line by line: its number, a dash and the line's");
	call.order_sn = "1-1";
	call.carrier = NULL;
	refused(&call, &access, *state, "carrier and tracking number are missing or malformed");
	call.carrier = "SP";
	call.tracking = "";
	refused(&call, &access, *state, "carrier and tracking number are missing or malformed");
	call.tracking = "1";
	call.quantity = 0;
	refused(&call, &access, *state, "the units to ship are missing");
}

static void
declining_a_line(void **state)
{
	const char *ids[] = {"20251009000001-02", "20251009000001-03"};
	PlatformCall call = {.kind = CALL_CANCEL_LINES, .order_sn = "20251009000001", .order_sns = ids, .n_order_sns = 1};

	check(&call, *state, "PUT", ORDERS "/20251009000001-02/isnotship", "1");
	call.n_order_sns = 2;
	refused(&call, &access, *state, "one line of an order is declined at a time, by the number of its record");
	ids[0] = "20251009000001";
	call.n_order_sns = 1;
	refused(&call, &access, *state, "an order is shipped and declined line by line: its number, a dash and the line's");
}

static void
access_that_is_none(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ITEMS, .cursor = ""};
	PlatformAccess bad = access;

	bad.shop_id = NULL;
	refused(&call, &bad, *state, "the shop id is not a vendor number of PChome");
	bad.shop_id = "39/000";
	refused(&call, &bad, *state, "the shop id is not a vendor number of PChome");
	bad.shop_id = "";
	refused(&call, &bad, *state, "the shop id is not a vendor number of PChome");
	bad.shop_id = "39000";
	bad.base_url = "";
	refused(&call, &bad, *state, "the platform has no base URL");
	call.kind = CALL_REFRESH_TOKEN;
	refused(&call, &access, *state, "PChome has no such call");
	assert_false(platform_pchome.calls & CALL_BIT(CALL_REFRESH_TOKEN));
}

static void
no_memory(void **state)
{
	const PlatformItem item = {.item_id = G1, .model_id = "", .quantity = 1};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1};
	PlatformRequest request;
	const char *error = NULL;
	size_t		bytes;
	int			failed = 0;

	(void) state;
	for (bytes = 0; bytes < 4096; bytes += 64)
	{
		Arena	   *small = arena_create(bytes);

		if (!platform_pchome.build(&call, &access, small, &request, &error))
		{
			assert_string_equal(error, "the request does not fit into memory");
			failed++;
		}
		arena_free(small);
	}
	assert_true(failed > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(stock_of_several_products),
		arena_test(stock_that_the_platform_would_refuse),
		arena_test(prices_by_group),
		arena_test(shelf_by_group),
		arena_test(lists_by_days_of_taipei),
		arena_test(windows_and_cursors),
		arena_test(order_records),
		arena_test(products),
		arena_test(shipping_a_line),
		arena_test(declining_a_line),
		arena_test(access_that_is_none),
		arena_test(no_memory),
	};

	return cmocka_run_group_tests_name("pchome_build", tests, NULL, NULL);
}
