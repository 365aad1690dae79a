/*
 * test_shopee_ship.c
 *		Tests of Shopee's other writes: prices, listing state, shipping,
 *		cancelling, first tokens.
 */
#include "codec_test.h"

#include "shopee.h"

static const char *
body_of(const PlatformCall *call, Arena *arena)
{
	PlatformRequest request = call_built(call, &test_access, arena);

	assert_string_equal(request.method, "POST");
	return request.body;
}

static void
prices(void **state)
{
	static const char *const bad[] = {"0", "-1", "199.5", "1e3", "", "01"};
	PlatformItem items[] = {
		{.listing_id = 1, .item_id = "5", .model_id = "7", .price = "199"},
		{.listing_id = 2, .item_id = "5", .model_id = "8", .price = "210"}
	};
	PlatformCall call = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 2, .cursor = ""};
	PlatformAnswer answer;

	assert_string_equal(body_of(&call, *state), "{\"item_id\":5,\"price_list\":[{\"model_id\":7,\"original_price\":199},"
						"{\"model_id\":8,\"original_price\":210}]}");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		items[1].price = bad[i];
		call_refused(&call, &test_access, *state, "the price is not a whole number above 0");
	}
	items[1].price = NULL;
	call_refused(&call, &test_access, *state, "the price is not a whole number above 0");

	answer = judge(&call, *state, "{\"error\":\"\",\"response\":{\"success_list\":[{\"model_id\":7,\"original_price\":199}],"
				   "\"failure_list\":[{\"model_id\":8,\"failed_reason\":\"The item is in promotion.\"}]}}");
	assert_class(answer.class, OUTCOME_PARTIAL);
	assert_class(answer.items[0].class, OUTCOME_OK);
	assert_class(answer.items[1].class, OUTCOME_LATER);
	answer = judge(&call, *state, "{\"error\":\"product.error_cannt_edit_price_in_promotion\",\"message\":\"\"}");
	assert_class(answer.class, OUTCOME_LATER);
}

static void
listing_state(void **state)
{
	PlatformItem items[] = {{.listing_id = 1, .item_id = "5", .model_id = ""}, {.listing_id = 2, .item_id = "6", .model_id = ""}};
	PlatformCall call = {.kind = CALL_SET_LISTED, .items = items, .n_items = 2, .cursor = ""};
	PlatformAnswer answer;

	assert_string_equal(body_of(&call, *state), "{\"item_list\":[{\"item_id\":5,\"unlist\":true},{\"item_id\":6,\"unlist\":true}]}");
	call.listed = true;
	assert_string_equal(body_of(&call, *state), "{\"item_list\":[{\"item_id\":5,\"unlist\":false},{\"item_id\":6,\"unlist\":false}]}");
	answer = judge(&call, *state, "{\"error\":\"\",\"response\":{\"success_list\":[{\"item_id\":6,\"unlist\":false}],"
				   "\"failure_list\":[{\"item_id\":5,\"failed_reason\":\"item banned\"}]}}");
	assert_class(answer.class, OUTCOME_PARTIAL);
	assert_class(answer.items[0].class, OUTCOME_PERMANENT);
	assert_class(answer.items[1].class, OUTCOME_OK);
	answer = judge(&call, *state, "{\"error\":\"\",\"response\":{\"success_list\":[{\"item_id\":6}]}}");
	assert_class(answer.items[0].class, OUTCOME_IN_DOUBT);
	items[1].item_id = "5";
	call_refused(&call, &test_access, *state, "a call that lists names each item once");
}

static const char *
method_of(Arena *arena, const char *response)
{
	PlatformCall call = {.kind = CALL_SHIP_INFO, .cursor = "", .order_sn = "A1"};
	PlatformAnswer answer = judge(&call, arena, arena_printf(arena, "{\"error\":\"\",\"response\":%s}", response));

	return answer.class == OUTCOME_OK ? answer.ship_method : outcome_name(answer.class);
}

static void
ways_of_shipping(void **state)
{
	static const char pickup[] = "\"pickup\":{\"address_list\":[{\"address_id\":77,\"time_slot_list\":[{\"pickup_time_id\":\"1760000000\"}]}]}";

	assert_string_equal(method_of(*state, "{\"info_needed\":{\"dropoff\":[],\"pickup\":[\"address_id\"]}}"), "dropoff");
	assert_string_equal(method_of(*state, arena_printf(*state, "{\"info_needed\":{\"pickup\":[\"address_id\"]},%s}", pickup)),
						"pickup/77/1760000000");
	assert_string_equal(method_of(*state, "{\"info_needed\":{\"non_integrated\":[\"tracking_number\"]}}"), "non_integrated");
	assert_string_equal(method_of(*state, "{\"info_needed\":{\"dropoff\":[\"branch_id\"]}}"), "permanent");
	assert_string_equal(method_of(*state, "{\"info_needed\":{\"pickup\":[]},\"pickup\":{\"address_list\":[]}}"), "permanent");
	assert_string_equal(method_of(*state, "{}"), "later");
}

static void
shipping(void **state)
{
	PlatformCall call = {.kind = CALL_SHIP, .cursor = "", .order_sn = "A1", .ship_method = "dropoff"};

	assert_string_equal(body_of(&call, *state), "{\"order_sn\":\"A1\",\"dropoff\":{}}");
	call.package_id = "P9";
	call.ship_method = "pickup/77/t-1";
	assert_string_equal(body_of(&call, *state),
						"{\"order_sn\":\"A1\",\"package_number\":\"P9\",\"pickup\":{\"address_id\":77,\"pickup_time_id\":\"t-1\"}}");
	call.ship_method = "non_integrated";
	call_refused(&call, &test_access, *state, "this way of shipping needs a tracking number");
	call.tracking = "TW\"1";
	assert_string_equal(body_of(&call, *state),
						"{\"order_sn\":\"A1\",\"package_number\":\"P9\",\"non_integrated\":{\"tracking_number\":\"TW\\\"1\"}}");
	call.ship_method = "pickup/x/1";
	call_refused(&call, &test_access, *state, "the way of shipping is none of Shopee's");
	call.ship_method = NULL;
	call_refused(&call, &test_access, *state, "the way of shipping is malformed");
	call.order_sn = "A,1";
	call_refused(&call, &test_access, *state, "the order number is malformed");
	assert_class(judge(&call, *state, "{\"error\":\"\",\"message\":\"\"}").class, OUTCOME_OK);
	assert_class(judge(&call, *state, "{\"error\":\"error_server\",\"message\":\"\"}").class, OUTCOME_IN_DOUBT);
}

static void
cancelling(void **state)
{
	PlatformItem items[] = {{.item_id = "5", .model_id = ""}, {.item_id = "6", .model_id = "9"}};
	PlatformCall call = {.kind = CALL_CANCEL_LINES, .cursor = "", .order_sn = "A1", .items = items, .n_items = 2, .reason = "OUT_OF_STOCK"};

	assert_string_equal(body_of(&call, *state), "{\"order_sn\":\"A1\",\"cancel_reason\":\"OUT_OF_STOCK\",\"item_list\":"
						"[{\"item_id\":5,\"model_id\":0},{\"item_id\":6,\"model_id\":9}]}");
	/* who says no reason for lines cannot deliver them */
	call.reason = NULL;
	call.n_items = 1;
	assert_string_equal(body_of(&call, *state), "{\"order_sn\":\"A1\",\"cancel_reason\":\"OUT_OF_STOCK\",\"item_list\":"
						"[{\"item_id\":5,\"model_id\":0}]}");
	call.n_items = 0;
	call_refused(&call, &test_access, *state, "the reason is none of Shopee's, or OUT_OF_STOCK without the lines");
	call.reason = "OUT_OF_STOCK";
	call_refused(&call, &test_access, *state, "the reason is none of Shopee's, or OUT_OF_STOCK without the lines");
	call.reason = "CUSTOMER_REQUEST";
	assert_string_equal(body_of(&call, *state), "{\"order_sn\":\"A1\",\"cancel_reason\":\"CUSTOMER_REQUEST\"}");
	call.reason = "BORED";
	call_refused(&call, &test_access, *state, "the reason is none of Shopee's, or OUT_OF_STOCK without the lines");
	assert_class(judge(&call, *state, "{\"error\":\"\",\"response\":{\"update_time\":1760000000}}").class, OUTCOME_OK);
	/* no error, and no success either */
	assert_class(judge_http(&call, *state, 302, "{\"error\":\"\",\"response\":{\"update_time\":1760000000}}").class, OUTCOME_IN_DOUBT);
	assert_class(judge_http(&call, *state, 500, "{\"error\":\"\",\"response\":{\"update_time\":1760000000}}").class, OUTCOME_IN_DOUBT);
}

/* Vector S1: signed without the shop and its token. */
static void
first_tokens(void **state)
{
	PlatformCall call = {.kind = CALL_GET_TOKEN, .cursor = ""};
	PlatformAccess access = test_access;
	PlatformRequest request;
	PlatformAnswer answer;
	const char *error;

	access.access_token = NULL;
	access.auth_code = "c0de";
	assert_true(platform_shopee.build(&call, &access, *state, &request, &error));
	assert_string_equal(request.url, "https://partner.example.com/api/v2/auth/token/get?partner_id=2009999&timestamp=1760000000"
						"&sign=84c1b82e446f422fd3e35edc7e20ad8d6f2b974b20657728e936a3b2fed3f2e6");
	assert_string_equal(request.body, "{\"code\":\"c0de\",\"partner_id\":2009999,\"shop_id\":300123456}");
	answer = judge(&call, *state, "{\"error\":\"\",\"message\":\"\",\"access_token\":\"a\",\"refresh_token\":\"r\",\"expire_in\":14400}");
	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.refresh_token, "r");
	call_refused(&call, &test_access, *state, "there is no code of an authorisation");
	access.auth_code = "";
	assert_false(platform_shopee.build(&call, &access, *state, &request, &error));
	assert_string_equal(error, "the code of the authorisation is malformed");
}

/* Vector S3, and its counterpart; no shop and no token yet. */
static void
consent(void **state)
{
	PlatformAccess access = {
		.base_url = test_access.base_url, .partner_id = test_access.partner_id,
		.partner_key = test_access.partner_key, .now = test_access.now
	};
	const char *error;

	assert_string_equal(platform_shopee.authorization_url(&access, "https://erp.example.com/a b", false, *state, &error) == NULL ? error : "",
						"the address to return to is no visible ASCII text of 1 to 2048 characters");
	assert_string_equal(platform_shopee.authorization_url(&access, "https://erp.example.com/shopee?store=1", false, *state, &error),
						"https://partner.example.com/api/v2/shop/auth_partner?partner_id=2009999&timestamp=1760000000"
						"&sign=9857e4c23d7473115b25155c13c155673e0c7abfd36a1dd150be2a78f7d15836"
						"&redirect=https%3A%2F%2Ferp.example.com%2Fshopee%3Fstore%3D1");
	assert_string_equal(platform_shopee.authorization_url(&access, "https://erp.example.com", true, *state, &error),
						"https://partner.example.com/api/v2/shop/cancel_auth_partner?partner_id=2009999&timestamp=1760000000"
						"&sign=310182272d5b552f8ae2f1c4ff22ce705e5002dc948b2082d491d3ea3f60d414"
						"&redirect=https%3A%2F%2Ferp.example.com");
	access.partner_key = NULL;
	assert_null(platform_shopee.authorization_url(&access, "https://erp.example.com", false, *state, &error));
	assert_string_equal(error, "credential partner_key is missing");
	assert_null(platform_ruten.authorization_url);
	assert_null(platform_pchome.authorization_url);
}

/* Until when the owner has consented, where the platform says so. */
static void
end_of_an_authorisation(void **state)
{
	PlatformCall call = {.kind = CALL_SHOP_INFO, .cursor = ""};
	PlatformRequest request;
	const char *error;

	assert_true(platform_shopee.build(&call, &test_access, *state, &request, &error));
	assert_string_equal(request.method, "GET");
	assert_string_equal(request.path, "/api/v2/shop/get_shop_info");
	assert_int_equal(judge(&call, *state, "{\"error\":\"\",\"message\":\"\",\"shop_name\":\"x\",\"expire_time\":1791536000}").authorization_ends,
					 1791536000);
	assert_int_equal(judge(&call, *state, "{\"error\":\"\",\"message\":\"\",\"expire_time\":\"soon\"}").authorization_ends, 0);
	assert_int_equal(judge(&call, *state, "{\"error\":\"\",\"message\":\"\"}").authorization_ends, 0);
	assert_class(judge(&call, *state, "{\"error\":\"error_server\",\"message\":\"\",\"expire_time\":1791536000}").class, OUTCOME_LATER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(prices),
		arena_test(listing_state),
		arena_test(ways_of_shipping),
		arena_test(shipping),
		arena_test(cancelling),
		arena_test(first_tokens),
		arena_test(consent),
		arena_test(end_of_an_authorisation),
	};

	return cmocka_run_group_tests_name("shopee_ship", tests, NULL, NULL);
}
