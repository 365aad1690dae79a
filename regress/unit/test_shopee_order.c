/*
 * test_shopee_order.c
 *		Tests of order lists and of orders as documents: every status, summed
 *		lines, and that one bad order costs no other.
 */
#include "codec_test.h"

static const char *const sns[] = {"A1", "B2", "C3"};
static const PlatformCall get_one = {.kind = CALL_GET_ORDERS, .order_sns = sns, .n_order_sns = 1, .cursor = ""};
static const PlatformCall get_three = {.kind = CALL_GET_ORDERS, .order_sns = sns, .n_order_sns = 3, .cursor = ""};
static const PlatformCall first_page = {.kind = CALL_LIST_ORDERS, .cursor = ""};
static const PlatformCall next_page = {.kind = CALL_LIST_ORDERS, .cursor = "c1"};

#define ANSWER(orders) "{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[" orders "]}}"
#define ORDER(sn, status, items) \
	"{\"order_sn\":\"" sn "\",\"order_status\":\"" status "\",\"create_time\":1760000000," \
	"\"update_time\":1760000100,\"currency\":\"TWD\",\"cod\":false,\"message_to_seller\":\"hi\"," \
	"\"item_list\":[" items "]}"
#define ITEM "{\"item_id\":5,\"model_id\":7,\"model_quantity_purchased\":1}"
#define LINE "{\"line_id\":\"5/7\",\"item_id\":\"5\",\"model_id\":\"7\",\"qty\":1,\"cancelled_qty\":0,\"returned_qty\":0}"
#define DOCUMENT(sn, status) \
	"{\"order_sn\":\"" sn "\",\"status\":\"" status "\",\"create_time\":1760000000,\"update_time\":1760000100," \
	"\"currency\":\"TWD\",\"lines\":[" LINE "]}"
#define REJECTED(sn) "{\"order_sn\":\"" sn "\",\"status\":null}"

static void
an_order_in_full(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  ANSWER(ORDER("A1", "READY_TO_SHIP",
											   "{\"item_id\":100001,\"item_name\":\"名\",\"item_sku\":\"ITEM\",\"model_id\":200001,"
											   "\"model_sku\":\"SKU \\\"1\\\"\",\"model_quantity_purchased\":3,\"cancelled_qty\":1,"
											   "\"cancel_requested_qty\":1,\"return_requested_qty\":1,\"returned_qty\":1,\"active_qty\":2,"
											   "\"model_original_price\":250,\"model_discounted_price\":199.5,\"order_item_id\":1},"
											   "{\"item_id\":9007199254740993,\"model_id\":0,\"model_sku\":\"\",\"item_sku\":\"貨-2\","
											   "\"model_quantity_purchased\":1,\"model_original_price\":250}")));

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.message, "");
	assert_int_equal(answer.n_documents, 1);
	assert_string_equal(answer.documents,
						"[{\"order_sn\":\"A1\",\"status\":\"ready_to_ship\",\"create_time\":1760000000,"
						"\"update_time\":1760000100,\"currency\":\"TWD\",\"lines\":["
						"{\"line_id\":\"100001/200001\",\"item_id\":\"100001\",\"model_id\":\"200001\",\"sku\":\"SKU \\\"1\\\"\","
						"\"qty\":3,\"cancelled_qty\":1,\"returned_qty\":1,\"unit_price\":199.5},"
						"{\"line_id\":\"9007199254740993/0\",\"item_id\":\"9007199254740993\",\"model_id\":\"\",\"sku\":\"貨-2\","
						"\"qty\":1,\"cancelled_qty\":0,\"returned_qty\":0,\"unit_price\":250}]}]");
}

static void
every_status_has_a_meaning(void **state)
{
	static const char *const pairs[][2] = {
		{"UNPAID", "unpaid"}, {"PENDING", "ready_to_ship"}, {"INVOICE_PENDING", "ready_to_ship"},
		{"READY_TO_SHIP", "ready_to_ship"}, {"RETRY_SHIP", "ready_to_ship"},
		{"SHIPPED", "shipped"}, {"TO_CONFIRM_RECEIVE", "shipped"}, {"TO_RETURN", "shipped"},
		{"COMPLETED", "completed"}, {"IN_CANCEL", "in_cancel"}, {"CANCELLED", "cancelled"},
		/* what is new must be seen, never guessed */
		{"RETURNED", "shopee:RETURNED"}, {"shipped", "shopee:shipped"}, {"", "shopee:"}, {"A\\u0007B", "shopee:A B"}
	};
	size_t		i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		const char *body = arena_printf(*state, ANSWER(ORDER("A1", "%s", ITEM)), pairs[i][0]);
		const char *expected = arena_printf(*state, "[" DOCUMENT("A1", "%s") "]", pairs[i][1]);

		assert_string_equal(judge(&get_one, *state, body).documents, expected);
	}
}

/* What was arranged is told apart from what waits for it, though it is the same to the stock. */
static void
an_arranged_order_says_so(void **state)
{
	assert_non_null(strstr(judge(&get_one, *state, ANSWER(ORDER("A1", "PROCESSED", ITEM))).documents,
						   "\"status\":\"ready_to_ship\",\"arranged\":true,"));
}

static void
equal_lines_are_summed(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  ANSWER(ORDER("A1", "SHIPPED",
											   "{\"item_id\":5,\"model_id\":8,\"model_quantity_purchased\":1},"
											   "{\"item_id\":5,\"model_id\":7,\"model_sku\":\"S\",\"model_quantity_purchased\":2,\"cancelled_qty\":1,\"model_discounted_price\":10},"
											   "{\"item_id\":4,\"model_quantity_purchased\":1},"
											   "{\"item_id\":5,\"model_id\":\"7\",\"model_quantity_purchased\":\"3\",\"returned_qty\":2,\"model_discounted_price\":9},"
											   "{\"item_id\":4,\"model_id\":null,\"model_quantity_purchased\":4}")));

	assert_non_null(strstr(answer.documents,
						   "\"lines\":["
						   "{\"line_id\":\"4/0\",\"item_id\":\"4\",\"model_id\":\"\",\"qty\":5,\"cancelled_qty\":0,\"returned_qty\":0},"
						   "{\"line_id\":\"5/7\",\"item_id\":\"5\",\"model_id\":\"7\",\"sku\":\"S\",\"qty\":5,\"cancelled_qty\":1,\"returned_qty\":2,\"unit_price\":10},"
						   "{\"line_id\":\"5/8\",\"item_id\":\"5\",\"model_id\":\"8\",\"qty\":1,\"cancelled_qty\":0,\"returned_qty\":0}]"));
}

static void
one_bad_order_costs_no_other(void **state)
{
	static const char *const bad[] = {
		"{\"order_sn\":\"B2\"}",
		"{\"order_sn\":\"B2\",\"order_status\":7,\"create_time\":\"x\"}",
		ORDER("B2", "SHIPPED", ""),
		ORDER("B2", "SHIPPED", "7"),
		ORDER("B2", "SHIPPED", "{}"),
		ORDER("B2", "SHIPPED", ITEM ",{\"item_id\":0,\"model_quantity_purchased\":1}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_id\":-1,\"model_quantity_purchased\":1}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_id\":{},\"model_quantity_purchased\":1}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":0}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":1.5}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":-2}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":1,\"cancelled_qty\":-1}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":1,\"returned_qty\":\"many\"}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":1000000000001}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":5,\"model_quantity_purchased\":1000000000000},{\"item_id\":5,\"model_quantity_purchased\":1}"),
		ORDER("B2", "SHIPPED", "{\"item_id\":9223372036854775808,\"model_quantity_purchased\":1}"),
		"{\"order_sn\":\"B2\",\"order_status\":\"SHIPPED\",\"create_time\":0,\"item_list\":[" ITEM "]}",
		"{\"order_sn\":\"B2\",\"order_status\":\"SHIPPED\",\"create_time\":1760000000000,\"item_list\":[" ITEM "]}",
		"{\"order_sn\":\"B2\",\"order_status\":\"SHIPPED\",\"create_time\":1,\"update_time\":\"now\",\"item_list\":[" ITEM "]}",
		"{\"order_sn\":\"B2\",\"order_status\":\"SHIPPED\",\"create_time\":1,\"item_list\":{}}",
	};
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		PlatformAnswer answer = judge(&get_three, *state,
									  arena_printf(*state, ANSWER("%s,%s,%s"), ORDER("A1", "SHIPPED", ITEM), bad[i],
												   ORDER("C3", "UNPAID", ITEM)));

		assert_class(answer.class, OUTCOME_OK);
		assert_int_equal(answer.n_documents, 3);
		assert_string_equal(answer.documents,
							"[" DOCUMENT("A1", "shipped") "," REJECTED("B2") "," DOCUMENT("C3", "unpaid") "]");
		assert_string_equal(answer.message,
							"of 3 orders 1 could not be understood and 0 are missing; 0 were unnamed or not asked for");
	}
}

static void
missing_and_strange_orders_are_told(void **state)
{
	PlatformAnswer answer = judge(&get_three, *state,
								  ANSWER(ORDER("C3", "SHIPPED", ITEM) ",null,7,{},{\"order_sn\":null},"
										 ORDER("Z9", "SHIPPED", ITEM) "," ORDER("C3", "UNPAID", ITEM)));

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.documents, "[" DOCUMENT("C3", "shipped") "," REJECTED("A1") "," REJECTED("B2") "]");
	assert_string_equal(answer.message,
						"of 3 orders 0 could not be understood and 2 are missing; 6 were unnamed or not asked for");
}

static void
an_order_asked_for_twice_is_one_document(void **state)
{
	const char *const twice[] = {"A1", "A1"};
	PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = twice, .n_order_sns = 2, .cursor = ""};
	PlatformAnswer answer = judge(&call, *state, ANSWER(ORDER("A1", "SHIPPED", ITEM)));

	assert_int_equal(answer.n_documents, 1);
	assert_string_equal(answer.documents, "[" DOCUMENT("A1", "shipped") "]");
	assert_string_equal(answer.message, "");
	answer = judge(&call, *state, ANSWER(""));
	assert_int_equal(answer.n_documents, 1);
	assert_string_equal(answer.documents, "[" REJECTED("A1") "]");
}

static void
broken_texts_cost_nothing(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  ANSWER("{\"order_sn\":\"A1\",\"order_status\":\"UNPAID\",\"create_time\":1760000000,\"update_time\":1760000100,"
										 "\"currency\":\"TWD\",\"message_to_seller\":\"\\ud83d \\u0000 \xFF\",\"item_list\":[" ITEM "]}"));

	assert_string_equal(answer.documents, "[" DOCUMENT("A1", "unpaid") "]");
}

static void
optional_fields_may_be_missing_or_odd(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  ANSWER("{\"order_sn\":\"A1\",\"order_status\":\"UNPAID\",\"create_time\":5,\"update_time\":null,\"currency\":\"T$\","
										 "\"item_list\":[{\"item_id\":5,\"model_id\":7,\"model_quantity_purchased\":1,\"model_sku\":null,"
										 "\"model_discounted_price\":-1,\"model_original_price\":1e3,\"cancelled_qty\":null}]}"));

	assert_string_equal(answer.documents,
						"[{\"order_sn\":\"A1\",\"status\":\"unpaid\",\"create_time\":5,\"lines\":[" LINE "]}]");
}

static void
a_page_without_a_list_is_no_answer(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":\"\",\"response\":{}}", "{\"error\":\"\"}", "{\"error\":\"\",\"response\":{\"order_list\":{}}}",
		"{\"error\":\"\",\"response\":[]}"
	};
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		assert_class(judge(&get_one, *state, bodies[i]).class, OUTCOME_LATER);
		assert_class(judge(&first_page, *state, bodies[i]).class, OUTCOME_LATER);
	}
}

#define PAGE(rest) "{\"error\":\"\",\"message\":\"\",\"response\":{\"order_list\":[{\"order_sn\":\"A1\"," \
	"\"order_status\":\"UNPAID\"},{\"order_sn\":\"B2\"}]" rest "}}"

static void
a_page_of_order_numbers(void **state)
{
	PlatformAnswer answer = judge(&next_page, *state, PAGE(",\"more\":true,\"next_cursor\":\"c2\""));

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 2);
	assert_string_equal(answer.order_sns[0], "A1");
	assert_string_equal(answer.order_sns[1], "B2");
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "c2");

	answer = judge(&next_page, *state, PAGE(",\"more\":false,\"next_cursor\":\"\""));
	assert_class(answer.class, OUTCOME_OK);
	assert_false(answer.more);
	assert_string_equal(answer.next_cursor, "");

	/* a page that does not say whether there is more says it by its cursor */
	assert_true(judge(&next_page, *state, PAGE(",\"next_cursor\":\"c2\"")).more);
	assert_false(judge(&next_page, *state, PAGE("")).more);
	assert_int_equal(judge(&first_page, *state, "{\"error\":\"\",\"response\":{\"order_list\":[],\"more\":false}}").n_order_sns, 0);
}

static void
a_page_that_would_loop_is_no_answer(void **state)
{
	static const char *const pages[] = {
		PAGE(",\"more\":true"), PAGE(",\"more\":true,\"next_cursor\":\"\""), PAGE(",\"more\":true,\"next_cursor\":\"c1\""),
		PAGE(",\"more\":true,\"next_cursor\":null"),
	};
	size_t		i;

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
	{
		PlatformAnswer answer = judge(&next_page, *state, pages[i]);

		assert_class(answer.class, OUTCOME_LATER);
		assert_int_equal(answer.n_order_sns, 0);
		assert_false(answer.more);
	}
}

static void
unreadable_order_numbers_are_counted(void **state)
{
	PlatformAnswer answer = judge(&first_page, *state,
								  ANSWER("{\"order_sn\":\"A1\"},{\"order_sn\":\"\"},{\"order_sn\":\"A,B\"},{\"order_sn\":\"A\\nB\"},"
										 "{},null,{\"order_sn\":251009}"));

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 2);
	assert_string_equal(answer.order_sns[1], "251009");
	assert_string_equal(answer.message, "5 orders without a readable number");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(an_order_in_full),
		arena_test(every_status_has_a_meaning),
		arena_test(an_arranged_order_says_so),
		arena_test(equal_lines_are_summed),
		arena_test(one_bad_order_costs_no_other),
		arena_test(missing_and_strange_orders_are_told),
		arena_test(an_order_asked_for_twice_is_one_document),
		arena_test(broken_texts_cost_nothing),
		arena_test(optional_fields_may_be_missing_or_odd),
		arena_test(a_page_without_a_list_is_no_answer),
		arena_test(a_page_of_order_numbers),
		arena_test(a_page_that_would_loop_is_no_answer),
		arena_test(unreadable_order_numbers_are_counted),
	};

	return cmocka_run_group_tests_name("shopee_order", tests, NULL, NULL);
}
