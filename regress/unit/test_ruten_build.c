/*
 * test_ruten_build.c
 *		Tests of Ruten's requests: the very bytes and their signatures, and
 *		what is refused before a call is spent on it.
 */
#include "ruten_test.h"

/* The header that begins with a name. */
static const char *
header(const PlatformRequest *request, const char *name)
{
	int			i;

	for (i = 0; i < request->n_headers; i++)
		if (strncmp(request->headers[i], name, strlen(name)) == 0)
			return request->headers[i] + strlen(name);
	fail_msg("no header %s", name);
	return "";
}

static void
signed_as(const PlatformRequest *request, const char *signature)
{
	assert_string_equal(header(request, "X-RT-Key: "), "demo-api-key-0001");
	assert_string_equal(header(request, "X-RT-Timestamp: "), "1760000000");
	assert_string_equal(header(request, "X-RT-Authorization: "), signature);
	assert_string_equal(header(request, "Content-Type: "), "application/json");
}

/* Vector of a message that no request of ours has: `url` and `body` as they stand. */
static void
vector(Arena *arena, const char *url, const char *body, bool path_only, bool base64, const char *expected)
{
	PlatformAccess access = ruten_access;
	const char *signature;

	access.sign_path_only = path_only;
	access.sign_base64 = base64;
	signature = ruten_signature(arena, &access, url, body, strlen(body), "1760000000");
	assert_non_null(signature);
	assert_string_equal(signature, expected);
}

#define LIST_URL "https://partner.ruten.com.tw/api/v1/product/list?status=all&offset=1&limit=30"
#define STOCK_URL "https://partner.ruten.com.tw/api/v1/product/item/stock"

static void
signature_vectors(void **state)
{
	/* R1, R6, R7; the others are requests of ours, below */
	vector(*state, LIST_URL, "", false, false, "5afd095b979eebbfe51628b5671a98362a65e1283d202c1efa9ad16640f410db");
	vector(*state, STOCK_URL, "{\"item_id\": \"22500000000001\", \"qty\": 7}", false, false,
		   "dd37123ad915fe048129b9a02d272aa437cafe7d3ff91b12cd77503a8ba5a018");
	vector(*state, LIST_URL, "", true, false, "6ff15d29b30d42b17c18888b1e4951625a7ca31495769e701f7b8e3bde5d2239");
	vector(*state, LIST_URL, "", true, true, "b/FdKbMNQrF8GIiLHklRYlp8oxSVdp5wH3uOO95dIjk=");
	vector(*state, "https://host", "", true, false, ruten_signature(*state, &ruten_access, "/", "", 0, "1760000000"));
}

static void
every_part_is_signed(void **state)
{
	const char *url = "https://h/p";
	const char *made[8];
	PlatformAccess access = ruten_access;
	int			i;
	int			j;

	made[0] = ruten_signature(*state, &access, url, "b", 1, "1");
	made[1] = ruten_signature(*state, &access, "http://h/p", "b", 1, "1");
	made[2] = ruten_signature(*state, &access, "https://h/p?q", "b", 1, "1");
	made[3] = ruten_signature(*state, &access, url, "c", 1, "1");
	made[4] = ruten_signature(*state, &access, url, "b", 1, "2");
	access.secret_key = "other";
	made[5] = ruten_signature(*state, &access, url, "b", 1, "1");
	access = ruten_access;
	access.salt_key = "other";
	made[6] = ruten_signature(*state, &access, url, "b", 1, "1");
	access = ruten_access;
	access.sign_path_only = true;
	made[7] = ruten_signature(*state, &access, url, "b", 1, "1");
	for (i = 0; i < 8; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(made[i], made[j]);
	/* of the path alone neither scheme nor host counts */
	assert_string_equal(made[7], ruten_signature(*state, &access, "http://other:8/p", "b", 1, "1"));
}

static void
stock_of_an_item(void **state)
{
	PlatformItem item = {.listing_id = 1, .item_id = "22500000000001", .model_id = "", .quantity = 7};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1, .cursor = ""};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.method, "PUT");
	assert_string_equal(request.path, "/api/v1/product/item/stock");
	assert_string_equal(request.url, STOCK_URL);
	assert_string_equal(request.body, "{\"item_id\":\"22500000000001\",\"qty\":7}");
	signed_as(&request, "bb8ef2ae1b857e5fb4b6238ebde67406bbbb1990763527f554213c4f71193fc3");	/* R2 */
	item.model_id = "0";
	assert_string_equal(call_built(&call, &ruten_access, *state).body, "{\"item_id\":\"22500000000001\",\"qty\":7}");
}

static void
stock_of_specs(void **state)
{
	const PlatformItem items[] = {
		{.listing_id = 1, .item_id = "22500000000002", .model_id = "252500000000011", .quantity = 3},
		{.listing_id = 2, .item_id = "22500000000002", .model_id = "252500000000012", .quantity = 0}
	};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 2, .cursor = ""};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.body,
						"{\"item_id\":\"22500000000002\",\"spec_info\":[{\"spec_id\":\"252500000000011\",\"qty\":3},"
						"{\"spec_id\":\"252500000000012\",\"qty\":0}]}");
	signed_as(&request, "b535a973174c254f87688b66b0f272bceb5f477fdd815d76976ab0fe6a411afe");	/* R3 */
}

static void
prices(void **state)
{
	static const char *const bad[] = {"", "0", "-1", "1.5", "x", "1e3", "01", "1000000000", "12345678901234567890123456"};
	PlatformItem items[] = {
		{.item_id = "22500000000002", .model_id = "252500000000011", .price = "199"},
		{.item_id = "22500000000002", .model_id = "252500000000012", .price = "250.00"}
	};
	PlatformCall call = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 2, .cursor = ""};
	PlatformRequest request = call_built(&call, &ruten_access, *state);
	size_t		i;

	assert_string_equal(request.method, "PUT");
	assert_string_equal(request.path, "/api/v1/product/item/price");
	assert_string_equal(request.body,
						"{\"item_id\":\"22500000000002\",\"spec_info\":[{\"spec_id\":\"252500000000011\",\"price\":199},"
						"{\"spec_id\":\"252500000000012\",\"price\":250}]}");
	call.n_items = 1;
	items[0].model_id = "";
	assert_string_equal(call_built(&call, &ruten_access, *state).body, "{\"item_id\":\"22500000000002\",\"price\":199}");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		items[0].price = bad[i];
		call_refused(&call, &ruten_access, *state, "the price is not a whole number of dollars");
	}
	items[0].price = NULL;
	call_refused(&call, &ruten_access, *state, "the price is not a whole number of dollars");
}

static void
on_and_off_the_shelf(void **state)
{
	PlatformItem item = {.item_id = "22500000000001", .model_id = ""};
	PlatformCall call = {.kind = CALL_SET_LISTED, .items = &item, .n_items = 1, .cursor = "", .listed = true};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.method, "PUT");
	assert_string_equal(request.path, "/api/v1/product/item/online");
	assert_string_equal(request.body, "{\"item_id\":\"22500000000001\"}");
	call.listed = false;
	assert_string_equal(call_built(&call, &ruten_access, *state).path, "/api/v1/product/item/offline");
}

static void
items_that_the_platform_would_refuse(void **state)
{
	static const char *const bad_ids[] = {"", "0", "000", "-1", "1.0", "1e5", "123456789012345678901", "1}", "x", " 1"};
	static const CallKind kinds[] = {CALL_PUSH_STOCK, CALL_PUSH_PRICE, CALL_SET_LISTED};
	PlatformItem items[101];
	PlatformCall call = {.items = items, .cursor = ""};
	size_t		i;
	size_t		k;

	for (k = 0; k < 3; k++)
	{
		call.kind = kinds[k];
		for (i = 0; i < 101; i++)
			items[i] = (PlatformItem) {.item_id = "5", .model_id = arena_printf(*state, "%zu", i + 1), .price = "1"};
		call.n_items = 0;
		call_refused(&call, &ruten_access, *state, "a call takes 1 to 100 specs of an item");
		call.n_items = 101;
		call_refused(&call, &ruten_access, *state, "a call takes 1 to 100 specs of an item");
		call.n_items = 100;
		call_built(&call, &ruten_access, *state);
		items[99].item_id = "6";
		call_refused(&call, &ruten_access, *state, "a call takes specs of one item only");
		items[99].item_id = "5";
		items[99].model_id = "1";
		call_refused(&call, &ruten_access, *state, "a call names each spec once");
		items[99].model_id = "";
		call_refused(&call, &ruten_access, *state, "an item is written as a whole or by its specs");
		call.n_items = 1;
		for (i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++)
		{
			items[0] = (PlatformItem) {.item_id = bad_ids[i], .model_id = "", .price = "1"};
			call_refused(&call, &ruten_access, *state, "the item id is not a number");
			if (i < 2)
				continue;
			items[0] = (PlatformItem) {.item_id = "5", .model_id = bad_ids[i], .price = "1"};
			call_refused(&call, &ruten_access, *state, "the spec id is not a number");
		}
	}
	call.kind = CALL_PUSH_STOCK;
	items[0] = (PlatformItem) {.item_id = "5", .model_id = "", .quantity = -1};
	call_refused(&call, &ruten_access, *state, "the quantity is not between 0 and 999999");
	items[0].quantity = 1000000;
	call_refused(&call, &ruten_access, *state, "the quantity is not between 0 and 999999");
}

static void
item_lists(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ITEMS, .cursor = "", .listed = true};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.method, "GET");
	assert_null(request.body);
	assert_string_equal(request.path, "/api/v1/product/list");
	assert_string_equal(request.url, "https://partner.ruten.com.tw/api/v1/product/list?status=on&offset=1&limit=100");
	call.cursor = "101/22500000000001";
	assert_non_null(strstr(call_built(&call, &ruten_access, *state).url, "?status=on&offset=101&limit=100"));
	call.cursor = "out:1";
	assert_non_null(strstr(call_built(&call, &ruten_access, *state).url, "?status=out&offset=1&limit=100"));
	call.listed = false;
	call_refused(&call, &ruten_access, *state, "the cursor is none of an item list");
	call.cursor = "";
	assert_non_null(strstr(call_built(&call, &ruten_access, *state).url, "?status=off&offset=1&limit=100"));
}

static void
one_item(void **state)
{
	const char *ids[] = {"22500000000001", "2"};
	PlatformCall call = {.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = ids, .n_item_ids = 1};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.method, "GET");
	assert_string_equal(request.url, "https://partner.ruten.com.tw/api/v1/product/item/22500000000001");
	call.n_item_ids = 2;
	call_refused(&call, &ruten_access, *state, "an item call takes one item");
	call.n_item_ids = 1;
	ids[0] = "../order";
	call_refused(&call, &ruten_access, *state, "the item id is not a number");
}

static void
order_lists(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = 1759680000, .to = 1760000000, .cursor = ""};
	PlatformRequest request = call_built(&call, &ruten_access, *state);

	assert_string_equal(request.method, "GET");
	assert_string_equal(request.path, "/api/v1/order/list");
	assert_string_equal(request.url, "https://partner.ruten.com.tw/api/v1/order/list?order_status=All"
						"&start_date=20251006000000&end_date=20251009165320&page=1&page_size=100");
	call.cursor = "12/25100900000001";
	assert_non_null(strstr(call_built(&call, &ruten_access, *state).url, "&page=12&page_size=100"));
}

static void
order_list_windows(void **state)
{
	const char *wrong = "the window of an order list is empty or over 7 days";
	static const char *const bad_cursors[] = {"0", "x", "1000001", "-1", "1/", "1/a,b", "out:1", "/A", " 1", "01"};
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = 100, .to = 100, .cursor = ""};
	size_t		i;

	call_built(&call, &ruten_access, *state);
	call.to = call.from + platform_ruten.max_window;
	call_built(&call, &ruten_access, *state);
	call.to++;
	call_refused(&call, &ruten_access, *state, wrong);
	call.to = call.from - 1;
	call_refused(&call, &ruten_access, *state, wrong);
	call.from = -1;
	call.to = 0;
	call_refused(&call, &ruten_access, *state, wrong);
	call.from = INT64_MIN;
	call_refused(&call, &ruten_access, *state, wrong);
	call.from = call.to = INT64_MAX;
	call_refused(&call, &ruten_access, *state, "the window of an order list lies outside of the calendar");
	call.from = call.to = 100;
	for (i = 0; i < sizeof(bad_cursors) / sizeof(bad_cursors[0]); i++)
	{
		call.cursor = bad_cursors[i];
		call_refused(&call, &ruten_access, *state, "the cursor is none of an order list");
	}
}

/* The window of vector R5 is a second over seven days, so the vector is signed, not built. */
static void
order_vectors(void **state)
{
	const char *sns[31] = {"25100900000001", "25100900000002"};
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = sns, .n_order_sns = 2, .cursor = ""};
	PlatformRequest request = call_built(&call, &ruten_access, *state);
	int			i;

	assert_string_equal(request.method, "POST");
	assert_string_equal(request.url, "https://partner.ruten.com.tw/api/v1/order/detail");
	assert_string_equal(request.body, "{\"order_id_list\":\"25100900000001,25100900000002\"}");
	signed_as(&request, "ea0826f31e87de88ddf41b8ea38dbfdc5223fa9a031a7d773474809f0737a7d6");	/* R4 */
	vector(*state, "https://partner.ruten.com.tw/api/v1/order/list?order_status=All&start_date=20251002000000"
		   "&end_date=20251009165320&page=1&page_size=100", "", false, false,
		   "53283c4abd63def1c5b70fc92aacb15b8d67fe329f307a0383900233ee7d40bc");	/* R5 */

	for (i = 0; i < 31; i++)
		sns[i] = "X";
	call.n_order_sns = 30;
	call_built(&call, &ruten_access, *state);
	call.n_order_sns = 31;
	call_refused(&call, &ruten_access, *state, "an order detail call takes 1 to 30 orders");
	call.n_order_sns = 0;
	call_refused(&call, &ruten_access, *state, "an order detail call takes 1 to 30 orders");
	call.n_order_sns = 1;
	sns[0] = "A,B";
	call_refused(&call, &ruten_access, *state, "the order number is malformed");
	sns[0] = "A\"B";
	call_refused(&call, &ruten_access, *state, "the order number is malformed");
	sns[0] = "";
	call_refused(&call, &ruten_access, *state, "the order number is malformed");
}

static void
the_other_forms_of_a_signature(void **state)
{
	PlatformItem item = {.item_id = "22500000000001", .model_id = "", .quantity = 7};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1, .cursor = ""};
	PlatformAccess access = ruten_access;
	PlatformRequest request;

	access.base_url = "http://127.0.0.1:8080";
	access.sign_path_only = true;
	access.sign_base64 = true;
	request = call_built(&call, &access, *state);
	assert_string_equal(request.url, "http://127.0.0.1:8080/api/v1/product/item/stock");
	signed_as(&request, ruten_signature(*state, &access, "https://elsewhere/api/v1/product/item/stock", request.body,
										request.body_length, "1760000000"));
}

static void
refused_access(Arena *arena, PlatformAccess access, const char *expected)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = ""};

	call_refused(&call, &access, arena, expected);
}

static void
missing_and_malformed_credentials(void **state)
{
	PlatformAccess access = ruten_access;

	access.base_url = NULL;
	refused_access(*state, access, "the platform has no base URL");
	access = ruten_access;
	access.api_key = NULL;
	refused_access(*state, access, "credential api_key is missing");
	access.api_key = "a\r\nHost: b";
	refused_access(*state, access, "a credential is malformed");
	access = ruten_access;
	access.secret_key = NULL;
	refused_access(*state, access, "credential secret_key is missing");
	access = ruten_access;
	access.salt_key = NULL;
	refused_access(*state, access, "credential salt_key is missing");
	access.salt_key = "";
	refused_access(*state, access, "a credential is malformed");
}

static void
calls_that_it_does_not_have(void **state)
{
	int			kind;

	for (kind = 0; kind < CALL_KINDS; kind++)
	{
		PlatformCall call = {.kind = (CallKind) kind, .cursor = ""};

		if ((platform_ruten.calls & CALL_BIT(kind)) == 0)
			call_refused(&call, &ruten_access, *state, "Ruten has no such call");
	}
}

static void
a_full_arena_builds_nothing(void **state)
{
	PlatformItem item = {.item_id = "5", .model_id = "", .quantity = 1};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1, .cursor = ""};
	PlatformRequest request;
	const char *error;
	size_t		size;
	bool		done = false;

	(void) state;
	for (size = 1; size < 10000 && !done; size += 16)
	{
		Arena	   *small = arena_create(size);

		error = NULL;
		done = platform_ruten.build(&call, &ruten_access, small, &request, &error);
		assert_int_equal(error == NULL, done);
		assert_int_equal(request.url != NULL, done);
		arena_free(small);
	}
	assert_true(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(signature_vectors),
		arena_test(every_part_is_signed),
		arena_test(stock_of_an_item),
		arena_test(stock_of_specs),
		arena_test(prices),
		arena_test(on_and_off_the_shelf),
		arena_test(items_that_the_platform_would_refuse),
		arena_test(item_lists),
		arena_test(one_item),
		arena_test(order_lists),
		arena_test(order_list_windows),
		arena_test(order_vectors),
		arena_test(the_other_forms_of_a_signature),
		arena_test(missing_and_malformed_credentials),
		arena_test(calls_that_it_does_not_have),
		cmocka_unit_test(a_full_arena_builds_nothing),
	};

	return cmocka_run_group_tests_name("ruten_build", tests, NULL, NULL);
}
