/*
 * test_shopee_build.c
 *		Tests of Shopee's requests: the very bytes, and what is refused before
 *		a call is spent on it.
 */
#include "codec_test.h"

#include "shopee.h"

#define COMMON "?partner_id=2009999&timestamp=1760000000&access_token=demoAccessToken0123456789&shop_id=300123456&sign="

static void
stock_of_several_models(void **state)
{
	const PlatformItem items[] = {{1, "100001", "200001", 8}, {2, "100001", "200002", 0}};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 2, .cursor = ""};
	PlatformRequest request = call_built(&call, &test_access, *state);

	assert_string_equal(request.method, "POST");
	assert_string_equal(request.path, "/api/v2/product/update_stock");
	assert_string_equal(request.url, "https://partner.example.com/api/v2/product/update_stock" COMMON
						"381bc5d0d979a12f72eb35182402e87a1c697de24776f356a4410e2f3082d916");
	assert_string_equal(request.body,
						"{\"item_id\":100001,\"stock_list\":["
						"{\"model_id\":200001,\"seller_stock\":[{\"stock\":8}]},"
						"{\"model_id\":200002,\"seller_stock\":[{\"stock\":0}]}]}");
	assert_int_equal(request.n_headers, 2);
	assert_string_equal(request.headers[1], "Content-Type: application/json");
}

static void
stock_of_an_item_without_models(void **state)
{
	PlatformItem item = {1, "9007199254740993", "", 999999};
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1};
	const char *expected = "{\"item_id\":9007199254740993,\"stock_list\":"
		"[{\"model_id\":0,\"seller_stock\":[{\"stock\":999999}]}]}";

	assert_string_equal(call_built(&call, &test_access, *state).body, expected);
	item.model_id = "0";
	assert_string_equal(call_built(&call, &test_access, *state).body, expected);
}

static void
refused_item(Arena *arena, PlatformItem item, const char *expected)
{
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = &item, .n_items = 1};

	call_refused(&call, &test_access, arena, expected);
}

static void
stock_that_the_platform_would_refuse(void **state)
{
	static const char *const bad_ids[] = {"", "0", "-1", "01", "1.0", "1e5", "9223372036854775808", "1}", "x", " 1"};
	PlatformItem items[51];
	PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = items};
	size_t		i;

	for (i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++)
		refused_item(*state, (PlatformItem) {1, bad_ids[i], "", 1}, "the item id is not a number");
	for (i = 2; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++)
		refused_item(*state, (PlatformItem) {1, "5", bad_ids[i], 1}, "the model id is not a number");
	refused_item(*state, (PlatformItem) {1, "5", "", -1}, "the quantity is not between 0 and 999999");
	refused_item(*state, (PlatformItem) {1, "5", "", 1000000}, "the quantity is not between 0 and 999999");

	for (i = 0; i < 51; i++)
		items[i] = (PlatformItem) {(int64_t) i, "5", arena_printf(*state, "%zu", i + 1), 1};
	call_refused(&call, &test_access, *state, "a stock or price call takes 1 to 50 models");
	call.n_items = 51;
	call_refused(&call, &test_access, *state, "a stock or price call takes 1 to 50 models");
	call.n_items = 50;
	call_built(&call, &test_access, *state);
	items[49].item_id = "6";
	call_refused(&call, &test_access, *state, "a stock or price call takes models of one item only");
	items[49].item_id = "5";
	items[49].model_id = "1";
	call_refused(&call, &test_access, *state, "a stock or price call names each model once");
	items[48].model_id = "";
	items[49].model_id = "0";
	call_refused(&call, &test_access, *state, "a stock or price call names each model once");
}

static void
order_list(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = 1759990000, .to = 1760000000, .cursor = "a b+c=="};
	PlatformRequest request = call_built(&call, &test_access, *state);

	assert_string_equal(request.method, "GET");
	assert_null(request.body);
	assert_string_equal(request.url, "https://partner.example.com/api/v2/order/get_order_list" COMMON
						"6af475721cf3981af3e11ab21e16a1bae842cca8a1f223805bc261b661d8414c"
						"&time_range_field=update_time&time_from=1759990000&time_to=1760000000&page_size=100"
						"&cursor=a%20b%2Bc%3D%3D&response_optional_fields=order_status"
						"&request_order_status_pending=true");
}

static void
order_list_windows(void **state)
{
	const char *wrong = "the window of an order list is empty or over 15 days";
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .from = 100, .to = 100, .cursor = ""};

	call_built(&call, &test_access, *state);
	call.to = call.from + platform_shopee.max_window;
	call_built(&call, &test_access, *state);
	call.to++;
	call_refused(&call, &test_access, *state, wrong);
	call.to = call.from - 1;
	call_refused(&call, &test_access, *state, wrong);
	call.from = -1;
	call.to = 0;
	call_refused(&call, &test_access, *state, wrong);
	call.from = call.to = INT64_MAX;
	call_refused(&call, &test_access, *state, wrong);
	call.from = INT64_MIN;
	call_refused(&call, &test_access, *state, wrong);
	call.from = call.to = 100;
	call.cursor = arena_printf(*state, "%1025d", 7);
	call_refused(&call, &test_access, *state, "the cursor is too long");
}

static void
order_details(void **state)
{
	const char *sns[51] = {"251009TESTSN01", "A&B", "C"};
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = sns, .n_order_sns = 3, .cursor = ""};
	PlatformRequest request = call_built(&call, &test_access, *state);
	int			i;

	assert_string_equal(request.method, "GET");
	assert_non_null(strstr(request.url, "&order_sn_list=251009TESTSN01%2CA%26B%2CC&response_optional_fields=item_list&"));
	/* no personal data is asked for */
	assert_null(strstr(request.url, "buyer"));
	assert_null(strstr(request.url, "recipient"));

	for (i = 0; i < 51; i++)
		sns[i] = "X";
	call.n_order_sns = 50;
	call_built(&call, &test_access, *state);
	call.n_order_sns = 51;
	call_refused(&call, &test_access, *state, "an order detail call takes 1 to 50 orders");
	call.n_order_sns = 0;
	call_refused(&call, &test_access, *state, "an order detail call takes 1 to 50 orders");
	call.n_order_sns = 1;
	sns[0] = "A,B";
	call_refused(&call, &test_access, *state, "the order number is malformed");
	sns[0] = "";
	call_refused(&call, &test_access, *state, "the order number is malformed");
	sns[0] = "A\nB";
	call_refused(&call, &test_access, *state, "the order number is malformed");
}

static void
token_refresh(void **state)
{
	PlatformCall call = {.kind = CALL_REFRESH_TOKEN, .cursor = ""};
	PlatformAccess access = test_access;
	PlatformRequest request;

	access.access_token = NULL;
	access.refresh_token = "a\"b";
	request = call_built(&call, &access, *state);
	assert_string_equal(request.method, "POST");
	assert_string_equal(request.url, "https://partner.example.com/api/v2/auth/access_token/get"
						"?partner_id=2009999&timestamp=1760000000&sign="
						"90fc5631bf8bea7f287badcc2f8e72aaab5865ebedbe122e79ffc1f8f147afa2");
	assert_string_equal(request.body, "{\"refresh_token\":\"a\\\"b\",\"partner_id\":2009999,\"shop_id\":300123456}");
}

static void
refused_access(Arena *arena, CallKind kind, PlatformAccess access, const char *expected)
{
	PlatformItem item = {1, "5", "", 1};
	PlatformCall call = {.kind = kind, .items = &item, .n_items = 1, .cursor = ""};

	call_refused(&call, &access, arena, expected);
}

static PlatformAccess
access_without(size_t member)
{
	PlatformAccess access = test_access;

	*(const char **) ((char *) &access + member) = NULL;
	return access;
}

static void
missing_and_malformed_credentials(void **state)
{
	PlatformAccess access = test_access;

	refused_access(*state, CALL_PUSH_STOCK, access_without(offsetof(PlatformAccess, base_url)),
				   "the platform has no base URL");
	refused_access(*state, CALL_PUSH_STOCK, access_without(offsetof(PlatformAccess, partner_id)),
				   "credential partner_id is missing");
	refused_access(*state, CALL_PUSH_STOCK, access_without(offsetof(PlatformAccess, partner_key)),
				   "credential partner_key is missing");
	refused_access(*state, CALL_PUSH_STOCK, access_without(offsetof(PlatformAccess, access_token)),
				   "credential access_token is missing");
	refused_access(*state, CALL_REFRESH_TOKEN, access_without(offsetof(PlatformAccess, refresh_token)),
				   "credential refresh_token is missing");
	refused_access(*state, CALL_PUSH_STOCK, access_without(offsetof(PlatformAccess, shop_id)),
				   "the shop id is not a number that Shopee takes");

	access.partner_id = "4294967296";
	refused_access(*state, CALL_LIST_ORDERS, access, "credential partner_id is not a number that Shopee takes");
	access.partner_id = "1";
	access.shop_id = "shop";
	refused_access(*state, CALL_LIST_ORDERS, access, "the shop id is not a number that Shopee takes");
	access.shop_id = "1";
	access.access_token = "a\r\nHost: b";
	refused_access(*state, CALL_LIST_ORDERS, access, "credential access_token is malformed");
	access.access_token = "a";
	access.now = INT64_C(4294967296);
	refused_access(*state, CALL_LIST_ORDERS, access, "the clock shows a time that Shopee does not take");
}

static void
tokens_are_encoded_in_the_url_but_signed_as_they_are(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = ""};
	PlatformAccess access = test_access;
	char		hex[SIGN_HEX_BYTES];
	PlatformRequest request;

	access.access_token = "a+b/c=";
	request = call_built(&call, &access, *state);
	assert_true(shopee_signature(*state, access.partner_key, access.partner_id, request.path, access.now,
								 "a+b/c=", access.shop_id, hex));
	assert_non_null(strstr(request.url, "&access_token=a%2Bb%2Fc%3D&"));
	assert_non_null(strstr(request.url, hex));
}

static void
a_full_arena_builds_nothing(void **state)
{
	PlatformItem item = {1, "5", "", 1};
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
		done = platform_shopee.build(&call, &test_access, small, &request, &error);
		assert_int_equal(error == NULL, done);
		arena_free(small);
	}
	assert_true(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(stock_of_several_models),
		arena_test(stock_of_an_item_without_models),
		arena_test(stock_that_the_platform_would_refuse),
		arena_test(order_list),
		arena_test(order_list_windows),
		arena_test(order_details),
		arena_test(token_refresh),
		arena_test(missing_and_malformed_credentials),
		arena_test(tokens_are_encoded_in_the_url_but_signed_as_they_are),
		cmocka_unit_test(a_full_arena_builds_nothing),
	};

	return cmocka_run_group_tests_name("shopee_build", tests, NULL, NULL);
}
