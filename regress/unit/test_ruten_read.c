/*
 * test_ruten_read.c
 *		Tests of what Ruten's answers hold: lists page by page, an item with
 *		its specs, orders as documents, moments in all forms.
 */
#include "ruten_test.h"

static const char *const one_sn[] = {"A1"};
static const char *const three_sns[] = {"A1", "B2", "C3"};
static const char *const item_ids[] = {"22500000000002"};

static const PlatformCall get_one = {.kind = CALL_GET_ORDERS, .order_sns = one_sn, .n_order_sns = 1, .cursor = ""};
static const PlatformCall get_three = {.kind = CALL_GET_ORDERS, .order_sns = three_sns, .n_order_sns = 3, .cursor = ""};
static const PlatformCall get_item = {.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = item_ids, .n_item_ids = 1};

/* ---------------------------------------------------------------- lists */

/* A page of n entries of one kind, numbered from `first`, inside of data with `more` behind the list. */
static const char *
page_of(Arena *arena, const char *list, const char *name, int first, int n, const char *more)
{
	PlainBuffer body;
	int			i;

	plain_begin(&body, arena, 4096);
	plain_add(&body, arena_printf(arena, "{\"status\":\"success\",\"data\":{\"%s\":[", list));
	for (i = 0; i < n; i++)
		plain_add(&body, arena_printf(arena, "%s{\"%s\":\"%d\",\"order_status\":\"Unpaid\"}", i > 0 ? "," : "", name, first + i));
	plain_add(&body, arena_printf(arena, "]%s}}", more));
	return plain_finish(&body);
}

static PlatformAnswer
orders_page(Arena *arena, const char *cursor, int first, int n, const char *more)
{
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = cursor};

	return judge(&call, arena, page_of(arena, "order_list", "order_id", first, n, more));
}

static void
pages_of_orders(void **state)
{
	PlatformAnswer answer = orders_page(*state, "", 1000, 2, "");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 2);
	assert_string_equal(answer.order_sns[1], "1001");
	assert_false(answer.more);
	assert_string_equal(answer.next_cursor, "");

	/* a full page means more */
	answer = orders_page(*state, "", 1000, 100, "");
	assert_int_equal(answer.n_order_sns, 100);
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "2/1000");
	answer = orders_page(*state, "2/1000", 1100, 99, "");
	assert_false(answer.more);
	answer = orders_page(*state, "2/1000", 1100, 0, "");
	assert_class(answer.class, OUTCOME_OK);
	assert_false(answer.more);

	/* so does a total, for a platform may give less than was asked for */
	answer = orders_page(*state, "", 1000, 50, ",\"total\":51");
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "2/1000");
	assert_false(orders_page(*state, "", 1000, 50, ",\"total_count\":\"50\"").more);
	/* which never ends a list that is full */
	assert_true(orders_page(*state, "", 1000, 100, ",\"count\":100").more);
	/* nor makes one go on that has nothing left */
	assert_false(orders_page(*state, "3/1100", 1000, 0, ",\"total\":900").more);
}

static void
a_page_that_comes_again_is_the_end(void **state)
{
	PlatformAnswer answer = orders_page(*state, "2/1000", 1000, 100, "");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 0);
	assert_false(answer.more);
	assert_string_equal(answer.message, "the page before came again, and is taken as the end of the list");
	/* nor does a list go on for ever */
	assert_false(orders_page(*state, "1000000/5", 1000, 100, "").more);
}

static void
lists_by_other_names(void **state)
{
	static const char *const names[] = {"items", "item_list", "product_list", "products", "list", "rows"};
	PlatformCall call = {.kind = CALL_LIST_ITEMS, .cursor = ""};
	PlatformAnswer answer;
	size_t		i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		answer = judge(&call, *state, page_of(*state, names[i], "item_id", 7, 2, ""));
		assert_class(answer.class, OUTCOME_OK);
		assert_int_equal(answer.n_item_ids, 2);
		assert_string_equal(answer.item_ids[0], "7");
		answer = judge(&call, *state, arena_printf(*state, SUCCESS("{\"%s\":null}"), names[i]));
		assert_class(answer.class, OUTCOME_OK);
		assert_int_equal(answer.n_item_ids, 0);
	}
	answer = judge(&call, *state, SUCCESS("[{\"item_id\":22500000000001},\"22500000000002\",{\"id\":\"3\"}]"));
	assert_int_equal(answer.n_item_ids, 3);
	assert_string_equal(answer.item_ids[0], "22500000000001");
	assert_string_equal(answer.item_ids[1], "22500000000002");
	assert_string_equal(answer.item_ids[2], "3");
}

static void
sold_out_items_are_listed_too(void **state)
{
	PlatformCall call = {.kind = CALL_LIST_ITEMS, .cursor = "", .listed = true};
	PlatformAnswer answer = judge(&call, *state, page_of(*state, "items", "item_id", 7, 100, ""));

	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "101/7");
	call.cursor = "101/7";
	answer = judge(&call, *state, page_of(*state, "items", "item_id", 107, 1, ""));
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "out:1");
	call.cursor = "out:1";
	answer = judge(&call, *state, page_of(*state, "items", "item_id", 900, 100, ""));
	assert_string_equal(answer.next_cursor, "out:101/900");
	call.cursor = "out:101/900";
	assert_false(judge(&call, *state, page_of(*state, "items", "item_id", 900, 100, "")).more);
	assert_false(judge(&call, *state, page_of(*state, "items", "item_id", 1000, 5, "")).more);
	call = (PlatformCall) {.kind = CALL_LIST_ITEMS, .cursor = ""};
	assert_false(judge(&call, *state, page_of(*state, "items", "item_id", 7, 1, "")).more);
}

static void
what_is_no_list(void **state)
{
	static const char *const bodies[] = {
		SUCCESS("null"), SUCCESS("{}"), SUCCESS("7"), SUCCESS("{\"order_list\":{}}"), "{\"status\":\"success\"}",
		SUCCESS("{\"order_list\":[null,{},{\"order_id\":\"a,b\"}]}")
	};
	PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = ""};
	PlatformAnswer answer;
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		answer = judge(&call, *state, bodies[i]);
		assert_class(answer.class, OUTCOME_LATER);
		assert_int_equal(answer.n_order_sns, 0);
		assert_false(answer.more);
	}
	answer = judge(&call, *state, SUCCESS("{\"order_list\":[null,{\"order_id\":25100900000001},{\"order_id\":\"\"}]}"));
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 1);
	assert_string_equal(answer.message, "2 entries without a readable id");
}

/* ---------------------------------------------------------------- an item */

static void
an_item_without_specs(void **state)
{
	PlatformAnswer answer = judge(&get_item, *state,
								  SUCCESS("{\"item_id\":\"22500000000002\",\"name\":\"茶\",\"price\":199,\"qty\":7,"
										  "\"custom_no\":\"TEA-1\",\"status\":\"on\",\"spec_info\":[]}"));
	const ShownItem *shown = answer.shown;

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_shown, 1);
	assert_int_equal(answer.n_item_ids, 0);
	assert_string_equal(shown->item_id, "22500000000002");
	assert_string_equal(shown->model_id, "");
	assert_string_equal(shown->seller_sku, "TEA-1");
	assert_string_equal(shown->name, "茶");
	assert_string_equal(shown->price, "199");
	assert_int_equal(shown->quantity, 7);
	assert_int_equal(shown->reserved, 0);
	assert_true(shown->listed && shown->writable && !shown->ended);
}

static void
an_item_with_specs(void **state)
{
	PlatformAnswer answer = judge(&get_item, *state,
								  SUCCESS("[{\"item_id\":22500000000002,\"name\":\"Shirt\",\"price\":1,\"qty\":9,\"custom_no\":\"X\","
										  "\"status\":\"off\",\"spec_info\":["
										  "{\"spec_id\":\"252500000000011\",\"spec_name\":\"Red\",\"item_name\":\"L\",\"qty\":\"3\",\"price\":\"250.00\","
										  "\"custom_no\":\"S-RL\",\"status\":\"on\"},"
										  "{\"spec_id\":252500000000012,\"qty\":null,\"price\":-1}]}]"));

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_shown, 2);
	assert_string_equal(answer.shown[0].model_id, "252500000000011");
	assert_string_equal(answer.shown[0].name, "Shirt / Red / L");
	assert_string_equal(answer.shown[0].seller_sku, "S-RL");
	assert_string_equal(answer.shown[0].price, "250.00");
	assert_int_equal(answer.shown[0].quantity, 3);
	assert_false(answer.shown[0].listed);
	assert_string_equal(answer.shown[1].model_id, "252500000000012");
	assert_string_equal(answer.shown[1].name, "Shirt");
	assert_string_equal(answer.shown[1].seller_sku, "");
	assert_string_equal(answer.shown[1].price, "");
	assert_int_equal(answer.shown[1].quantity, -1);
	assert_false(answer.shown[1].ended);
}

static void
states_of_an_item(void **state)
{
	static const struct
	{
		const char *status;
		bool		listed;
		bool		ended;
	}			states[] = {
		{"\"on\"", true, false}, {"\"out\"", true, false}, {"\"off\"", false, false}, {"null", true, false},
		{"\"banned\"", false, true}, {"\"\"", false, true}, {"7", false, true}
	};
	size_t		i;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++)
	{
		const char *body = arena_printf(*state, SUCCESS("{\"item_id\":\"22500000000002\",\"status\":%s}"), states[i].status);
		PlatformAnswer answer = judge(&get_item, *state, body);

		assert_int_equal(answer.n_shown, 1);
		assert_int_equal(answer.shown[0].listed, states[i].listed);
		assert_int_equal(answer.shown[0].ended, states[i].ended);
		assert_int_equal(answer.shown[0].writable, !states[i].ended);
	}
}

static void
what_is_no_item(void **state)
{
	static const char *const bodies[] = {
		SUCCESS("null"), SUCCESS("{}"), SUCCESS("[]"), SUCCESS("{\"item_id\":\"5\"}"), SUCCESS("{\"item_id\":null}"),
		SUCCESS("[{\"item_id\":\"22500000000002\"},{\"item_id\":\"22500000000002\"}]"),
		SUCCESS("{\"item_id\":\"22500000000002\",\"spec_info\":[{\"spec_id\":\"1\",\"qty\":1},{\"qty\":2}]}"),
		SUCCESS("{\"item_id\":\"22500000000002\",\"spec_info\":[{\"spec_id\":\"x\"}]}"),
	};
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		PlatformAnswer answer = judge(&get_item, *state, bodies[i]);

		assert_class(answer.class, OUTCOME_LATER);
		assert_int_equal(answer.n_shown, 0);
	}
	assert_int_equal(judge(&get_item, *state, SUCCESS("{\"item\":{\"item_id\":\"22500000000002\"}}")).n_shown, 1);
}

/* ---------------------------------------------------------------- orders */

#define LINE "{\"item_id\":\"5\",\"spec_id\":\"7\",\"quantity_purchased\":1}"
#define ORDER(sn, status, lines) "{\"order_id\":\"" sn "\",\"order_detail\":{\"order_info\":{\"order_id\":\"" sn "\"," \
	"\"order_status\":\"" status "\",\"buyer_id\":\"somebody\",\"create_time\":\"2025-10-09 16:53:20\"}," \
	"\"checkout_info\":{\"total_amount\":100},\"item_list\":[" lines "]}}"
#define DOCUMENT(sn, status) "{\"order_sn\":\"" sn "\",\"status\":\"" status "\",\"create_time\":1760000000," \
	"\"currency\":\"TWD\",\"lines\":[{\"line_id\":\"5/7\",\"item_id\":\"5\",\"model_id\":\"7\",\"qty\":1}]}"
#define REJECTED(sn) "{\"order_sn\":\"" sn "\",\"status\":null}"

static void
an_order_in_full(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  SUCCESS("[" ORDER("A1", "ReadyToShip",
													"{\"item_id\":\"22500000000002\",\"spec_id\":\"252500000000011\",\"custom_no\":\"SKU \\\"1\\\"\","
													"\"item_name\":\"名\",\"quantity_purchased\":3,\"original_price\":250,\"discount_price\":199},"
													"{\"item_id\":22500000000001,\"spec_id\":\"\",\"custom_no\":\"貨-2\",\"quantity_purchased\":\"1\","
													"\"original_price\":\"250\",\"discount_price\":0},"
													"{\"item_id\":\"9\",\"spec_id\":0,\"quantity_purchased\":2,\"original_price\":10,\"discount_price\":20}") "]"));

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.message, "");
	assert_string_equal(answer.documents,
						"[{\"order_sn\":\"A1\",\"status\":\"ready_to_ship\",\"create_time\":1760000000,\"currency\":\"TWD\",\"lines\":["
						"{\"line_id\":\"9/0\",\"item_id\":\"9\",\"model_id\":\"\",\"qty\":2,\"unit_price\":10},"
						"{\"line_id\":\"22500000000001/0\",\"item_id\":\"22500000000001\",\"model_id\":\"\",\"sku\":\"貨-2\",\"qty\":1,\"unit_price\":250},"
						"{\"line_id\":\"22500000000002/252500000000011\",\"item_id\":\"22500000000002\",\"model_id\":\"252500000000011\","
						"\"sku\":\"SKU \\\"1\\\"\",\"qty\":3,\"unit_price\":199}]}]");
}

static void
every_status_has_a_meaning(void **state)
{
	static const char *const pairs[][2] = {
		{"Unpaid", "unpaid"}, {"ToBeConfirmed", "ready_to_ship"}, {"ReadyToShip", "ready_to_ship"},
		{"Shipped", "shipped"}, {"InCancel", "in_cancel"}, {"Cancelled", "cancelled"},
		/* what is new must be seen, never guessed */
		{"Completed", "ruten:Completed"}, {"shipped", "ruten:shipped"}, {"A\\u0007B", "ruten:A B"}
	};
	size_t		i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		const char *body = arena_printf(*state, SUCCESS("[" ORDER("A1", "%s", LINE) "]"), pairs[i][0]);
		const char *expected = arena_printf(*state, "[" DOCUMENT("A1", "%s") "]", pairs[i][1]);

		assert_string_equal(judge(&get_one, *state, body).documents, expected);
	}
}

static void
orders_in_other_shapes(void **state)
{
	static const char *const bodies[] = {
		SUCCESS(ORDER("A1", "Shipped", LINE)),
		SUCCESS("{\"order_list\":[" ORDER("A1", "Shipped", LINE) "]}"),
		SUCCESS("{\"order_id\":\"A1\",\"order_status\":\"Shipped\",\"created_at\":1760000000,\"item_list\":[" LINE "]}"),
		SUCCESS("{\"order_info\":{\"order_id\":\"A1\",\"order_status\":\"Shipped\"},"
				"\"checkout_info\":{\"order_time\":\"20251009165320\"},\"item_list\":[" LINE "]}"),
	};
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_string_equal(judge(&get_one, *state, bodies[i]).documents, "[" DOCUMENT("A1", "shipped") "]");
}

static void
an_order_that_does_not_say_when(void **state)
{
	assert_string_equal(judge(&get_one, *state,
							  SUCCESS("[{\"order_id\":\"A1\",\"order_status\":\"Shipped\",\"create_time\":\"yesterday\",\"item_list\":[" LINE "]}]")).documents,
						"[{\"order_sn\":\"A1\",\"status\":\"shipped\",\"currency\":\"TWD\",\"lines\":["
						"{\"line_id\":\"5/7\",\"item_id\":\"5\",\"model_id\":\"7\",\"qty\":1}]}]");
}

static void
equal_lines_are_summed(void **state)
{
	PlatformAnswer answer = judge(&get_one, *state,
								  SUCCESS("[" ORDER("A1", "Shipped",
													"{\"item_id\":\"5\",\"spec_id\":\"7\",\"custom_no\":\"S\",\"quantity_purchased\":2,\"original_price\":10},"
													"{\"item_id\":\"4\",\"quantity_purchased\":1},"
													"{\"item_id\":\"5\",\"spec_id\":\"7\",\"quantity_purchased\":3,\"original_price\":9},"
													"{\"item_id\":\"4\",\"spec_id\":null,\"quantity_purchased\":4}") "]"));

	assert_non_null(strstr(answer.documents,
						   "\"lines\":[{\"line_id\":\"4/0\",\"item_id\":\"4\",\"model_id\":\"\",\"qty\":5},"
						   "{\"line_id\":\"5/7\",\"item_id\":\"5\",\"model_id\":\"7\",\"sku\":\"S\",\"qty\":5,\"unit_price\":10}]"));
}

static void
one_bad_order_costs_no_other(void **state)
{
	static const char *const bad[] = {
		"{\"order_id\":\"B2\"}",
		"{\"order_id\":\"B2\",\"order_status\":{},\"item_list\":[" LINE "]}",
		"{\"order_id\":\"B2\",\"order_status\":\"Shipped\",\"item_list\":{}}",
		ORDER("B2", "", LINE),
		ORDER("B2", "Shipped", ""),
		ORDER("B2", "Shipped", "7"),
		ORDER("B2", "Shipped", "{}"),
		ORDER("B2", "Shipped", LINE ",{\"item_id\":\"0\",\"quantity_purchased\":1}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"spec_id\":\"x\",\"quantity_purchased\":1}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"spec_id\":{},\"quantity_purchased\":1}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"quantity_purchased\":0}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"quantity_purchased\":1.5}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"quantity_purchased\":1000000000001}"),
		ORDER("B2", "Shipped", "{\"item_id\":\"5\",\"quantity_purchased\":1000000000000},{\"item_id\":\"5\",\"quantity_purchased\":1}"),
	};
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		PlatformAnswer answer = judge(&get_three, *state,
									  arena_printf(*state, SUCCESS("[%s,%s,%s]"), ORDER("A1", "Shipped", LINE), bad[i],
												   ORDER("C3", "Unpaid", LINE)));

		assert_class(answer.class, OUTCOME_OK);
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
								  SUCCESS("[" ORDER("C3", "Shipped", LINE) ",null,7,{}," ORDER("Z9", "Shipped", LINE) ","
										  ORDER("C3", "Unpaid", LINE) "]"));

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.documents, "[" DOCUMENT("C3", "shipped") "," REJECTED("A1") "," REJECTED("B2") "]");
	assert_string_equal(answer.message,
						"of 3 orders 0 could not be understood and 2 are missing; 5 were unnamed or not asked for");
	answer = judge(&get_three, *state, SUCCESS("[]"));
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 3);
	assert_class(judge(&get_three, *state, SUCCESS("null")).class, OUTCOME_LATER);
	assert_class(judge(&get_three, *state, SUCCESS("{\"orders\":{}}")).class, OUTCOME_LATER);
}

static void
moments_in_all_forms(void **state)
{
	static const char *const good[] = {
		"1760000000", "1760000000123", "20251009165320", "2025-10-09 16:53:20", "2025/10/09 16:53:20",
		"2025-10-09T16:53:20", "2025-10-09T16:53:20+08:00", "2025-10-09T08:53:20Z", "2025-10-09 16:53:20.123",
		"2025-10-09T08:53:20.5Z", "2025-10-09T05:23:20-0330", "2025-10-09T17:53:20+09"
	};
	static const char *const bad[] = {
		"", "0", "176000000", "17600000001", "20251309165320", "2025-10-09", "16:53:20", "2025-10-09 16:53",
		"2025-10-09 24:00:00", "2025-10-09 16:53:20 PM", "2025-10-09T16:53:20+", "2025-10-09T16:53:20+0",
		"2025-10-09T16:53:20+08:", "2025-10-09T16:53:20+99", "2025-10-09T16:53:20.", "yesterday", "-1760000000",
		"2025-10-0916:53:20", "2025-1-9 16:53:20"
	};
	int64_t		at;
	size_t		i;

	(void) state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		at = 0;
		assert_true(ruten_moment(good[i], &at));
		assert_int_equal(at, 1760000000);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ruten_moment(bad[i], &at));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(pages_of_orders),
		arena_test(a_page_that_comes_again_is_the_end),
		arena_test(lists_by_other_names),
		arena_test(sold_out_items_are_listed_too),
		arena_test(what_is_no_list),
		arena_test(an_item_without_specs),
		arena_test(an_item_with_specs),
		arena_test(states_of_an_item),
		arena_test(what_is_no_item),
		arena_test(an_order_in_full),
		arena_test(every_status_has_a_meaning),
		arena_test(orders_in_other_shapes),
		arena_test(an_order_that_does_not_say_when),
		arena_test(equal_lines_are_summed),
		arena_test(one_bad_order_costs_no_other),
		arena_test(missing_and_strange_orders_are_told),
		cmocka_unit_test(moments_in_all_forms),
	};

	return cmocka_run_group_tests_name("ruten_read", tests, NULL, NULL);
}
