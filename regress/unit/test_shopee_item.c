/*
 * test_shopee_item.c
 *		Tests of what Shopee shows: items page by page, items without models,
 *		models of an item.
 */
#include "codec_test.h"

#include "shopee.h"

static const char *const ids[] = {"100001", "100002"};
static const PlatformCall list = {.kind = CALL_LIST_ITEMS, .cursor = "", .listed = true};
static const PlatformCall get = {.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = ids, .n_item_ids = 2};
static const PlatformCall models = {.kind = CALL_GET_MODELS, .cursor = "", .item_ids = ids, .n_item_ids = 1};

/* What stands behind the signature in the call's URL. */
static const char *
url_of(const PlatformCall *call, Arena *arena)
{
	PlatformRequest request = call_built(call, &test_access, arena);

	assert_string_equal(request.method, "GET");
	return strstr(request.url, "&sign=") + strlen("&sign=") + 64;
}

static void
requests(void **state)
{
	static const char *const bad[] = {"x"};
	PlatformCall call = list;

	assert_string_equal(url_of(&call, *state), "&offset=0&page_size=100&item_status=NORMAL");
	call.cursor = "200";
	call.listed = false;
	assert_string_equal(url_of(&call, *state),
						"&offset=200&page_size=100&item_status=UNLIST&item_status=BANNED&item_status=REVIEWING");
	call.cursor = "-1";
	call_refused(&call, &test_access, *state, "the cursor is not an offset");
	assert_string_equal(url_of(&get, *state), "&item_id_list=100001%2C100002");
	assert_string_equal(url_of(&models, *state), "&item_id=100001");
	call = get;
	call.n_item_ids = 51;
	call_refused(&call, &test_access, *state, "an item call takes 1 to 50 items");
	call = models;
	call.n_item_ids = 2;
	call_refused(&call, &test_access, *state, "models are asked for of one item");
	call.item_ids = bad;
	call.n_item_ids = 1;
	call_refused(&call, &test_access, *state, "the item id is not a number");
}

static void
a_page(void **state)
{
	PlatformAnswer answer = judge(&list, *state,
								  "{\"error\":\"\",\"response\":{\"item\":[{\"item_id\":9007199254740993,\"item_status\":\"NORMAL\","
								  "\"tag\":{\"kit\":false}},{\"item_id\":5,\"tag\":{\"kit\":true}},{\"item_id\":\"x\"},7],"
								  "\"total_count\":250,\"has_next_page\":true,\"next_offset\":100}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_item_ids, 1);
	assert_string_equal(answer.item_ids[0], "9007199254740993");
	assert_int_equal(answer.n_shown, 1);
	assert_string_equal(answer.shown[0].item_id, "5");
	assert_false(answer.shown[0].writable);
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "100");
	assert_string_equal(answer.message, "2 entries that cannot be understood");
}

/* A page that leads nowhere, or back, would loop. */
static void
pages_that_lead_nowhere(void **state)
{
	PlatformCall call = list;

	call.cursor = "100";
	assert_class(judge(&call, *state, "{\"error\":\"\",\"response\":{\"item\":[],\"has_next_page\":true,"
					   "\"next_offset\":100}}").class, OUTCOME_LATER);
	assert_class(judge(&call, *state, "{\"error\":\"\",\"response\":{\"item\":[],\"has_next_page\":true}}").class,
				 OUTCOME_LATER);
	assert_class(judge(&call, *state, "{\"error\":\"\",\"response\":{}}").class, OUTCOME_LATER);
	assert_class(judge(&call, *state, "{\"error\":\"\",\"response\":{\"item\":[],\"has_next_page\":false,"
					   "\"next_offset\":0}}").class, OUTCOME_OK);
}

static void
items(void **state)
{
	PlatformAnswer answer = judge(&get, *state,
								  "{\"error\":\"\",\"response\":{\"item_list\":["
								  "{\"item_id\":100001,\"item_name\":\"\xE8\x8C\xB6\",\"item_sku\":\"TEA-1\",\"item_status\":\"NORMAL\","
								  "\"has_model\":false,\"price_info\":[{\"original_price\":199,\"current_price\":150}],"
								  "\"stock_info_v2\":{\"summary_info\":{\"total_reserved_stock\":3,\"total_available_stock\":9},"
								  "\"seller_stock\":[{\"location_id\":\"\",\"stock\":7},{\"location_id\":\"B\",\"stock\":2}],"
								  "\"shopee_stock\":[{\"stock\":\"40\"}]}},"
								  "{\"item_id\":100002,\"item_name\":\"\xE6\x9D\xAF\",\"item_status\":\"UNLIST\",\"has_model\":true},"
								  "{\"item_id\":3,\"item_status\":\"BANNED\",\"has_model\":true},"
								  "{\"item_id\":4,\"item_status\":\"NORMAL\",\"has_model\":false,"
								  "\"stock_info_v2\":{\"seller_stock\":[]}},"
								  "{\"item_id\":6,\"item_status\":\"NORMAL\",\"has_model\":false}]}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_shown, 3);
	assert_string_equal(answer.shown[0].seller_sku, "TEA-1");
	assert_string_equal(answer.shown[0].name, "\xE8\x8C\xB6");
	assert_int_equal(answer.shown[0].quantity, 9);
	assert_int_equal(answer.shown[0].reserved, 3);
	assert_string_equal(answer.shown[0].price, "199");
	assert_true(answer.shown[0].listed && answer.shown[0].writable && !answer.shown[0].ended);
	assert_true(answer.shown[1].ended && !answer.shown[1].listed);
	assert_false(answer.shown[2].writable);	/* all of it lies in Shopee's warehouse */
	assert_int_equal(answer.n_item_ids, 1);
	assert_string_equal(answer.item_ids[0], "100002");
	assert_string_equal(answer.item_names[0], "\xE6\x9D\xAF");
	assert_string_equal(answer.message, "1 entries that cannot be understood");
}

static void
models_of_an_item(void **state)
{
	PlatformAnswer answer = judge(&models, *state,
								  "{\"error\":\"\",\"response\":{\"model\":["
								  "{\"model_id\":200001,\"model_sku\":\"A\",\"model_status\":\"MODEL_NORMAL\",\"weight\":\"0.2\","
								  "\"price_info\":[{\"original_price\":\"1e3\"}],\"stock_info_v2\":{\"seller_stock\":[{\"stock\":5}]}},"
								  "{\"model_id\":200002,\"model_status\":\"MODEL_UNAVAILABLE\"},"
								  "{\"model_id\":0,\"stock_info_v2\":{\"seller_stock\":[{\"stock\":5}]}},"
								  "{\"model_id\":200003,\"stock_info_v2\":{\"seller_stock\":[{\"stock\":-1}]}}]}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_shown, 2);
	assert_string_equal(answer.shown[0].item_id, "100001");
	assert_string_equal(answer.shown[0].model_id, "200001");
	assert_int_equal(answer.shown[0].quantity, 5);
	assert_string_equal(answer.shown[0].price, "");
	assert_true(answer.shown[1].ended);
	assert_string_equal(answer.message, "2 entries that cannot be understood");
	assert_class(judge(&models, *state, "{\"error\":\"error_item_not_found\",\"message\":\"\"}").class, OUTCOME_PERMANENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(requests),
		arena_test(a_page),
		arena_test(pages_that_lead_nowhere),
		arena_test(items),
		arena_test(models_of_an_item),
	};

	return cmocka_run_group_tests_name("shopee_item", tests, NULL, NULL);
}
