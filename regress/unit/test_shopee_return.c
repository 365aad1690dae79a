/*
 * test_shopee_return.c
 *		Tests of Shopee's list of requests to return goods.
 */
#include "codec_test.h"

#include "shopee.h"

static const PlatformCall first_page = {.kind = CALL_LIST_RETURNS, .from = 1759990000, .to = 1760000000, .cursor = ""};

static const char *
url_of(const PlatformCall *call, Arena *arena)
{
	PlatformRequest request = call_built(call, &test_access, arena);

	assert_string_equal(request.method, "GET");
	assert_string_equal(request.path, "/api/v2/returns/get_return_list");
	return request.url;
}

static void
pages_are_numbered(void **state)
{
	PlatformCall call = first_page;

	assert_non_null(strstr(url_of(&call, *state), "&page_no=0&page_size=100&update_time_from=1759990000&update_time_to=1760000000"));
	call.cursor = "3";
	assert_non_null(strstr(url_of(&call, *state), "&page_no=3&"));
	call.cursor = "x";
	call_refused(&call, &test_access, *state, "the cursor is not the number of a page");
	call.cursor = "";
	call.from = call.to - 16 * 86400;
	call_refused(&call, &test_access, *state, "the window of a list of returns is empty or over 15 days");
	call.from = call.to + 1;
	call_refused(&call, &test_access, *state, "the window of a list of returns is empty or over 15 days");
}

static void
a_document_for_each_line(void **state)
{
	PlatformAnswer answer = judge(&first_page, *state,
								  "{\"error\":\"\",\"message\":\"\",\"response\":{\"more\":true,\"return\":["
								  "{\"return_sn\":\"R1\",\"order_sn\":\"A1\",\"status\":\"REQUESTED\",\"text_reason\":\"private\",\"item\":["
								  "{\"item_id\":9007199254740993,\"model_id\":7,\"amount\":2},{\"item_id\":5,\"model_id\":0,\"amount\":1}]},"
								  "{\"return_sn\":\"R2\",\"order_sn\":\"A2\",\"status\":\"JUDGING\"}]}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 3);
	assert_string_equal(answer.documents,
						"[{\"return_id\":\"R1\",\"order_sn\":\"A1\",\"line_id\":\"9007199254740993/7\",\"qty\":2,\"state\":\"REQUESTED\",\"open\":true},"
						"{\"return_id\":\"R1\",\"order_sn\":\"A1\",\"line_id\":\"5/0\",\"qty\":1,\"state\":\"REQUESTED\",\"open\":true},"
						"{\"return_id\":\"R2\",\"order_sn\":\"A2\",\"line_id\":null,\"qty\":null,\"state\":\"JUDGING\",\"open\":true}]");
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "1");
}

static void
what_is_over_or_money_alone_brings_no_goods(void **state)
{
	static const char *const closed[] = {
		"\"status\":\"CANCELLED\"", "\"status\":\"CLOSED\"", "\"status\":\"ACCEPTED\",\"return_solution\":1",
		"\"status\":\"ACCEPTED\",\"return_solution\":\"REFUND\""
	};

	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
	{
		PlatformAnswer answer = judge(&first_page, *state,
									  arena_printf(*state, "{\"error\":\"\",\"response\":{\"more\":false,\"return\":[{\"return_sn\":\"R\","
												   "\"order_sn\":\"A\",%s}]}}", closed[i]));

		assert_int_equal(answer.n_documents, 1);
		assert_non_null(strstr(answer.documents, "\"open\":false"));
		assert_false(answer.more);
	}
	assert_non_null(strstr(judge(&first_page, *state, "{\"error\":\"\",\"response\":{\"return\":[{\"return_sn\":\"R\",\"order_sn\":\"A\","
								 "\"status\":\"ACCEPTED\",\"return_solution\":0}]}}").documents, "\"open\":true"));
}

static void
what_is_not_understood_is_left_out(void **state)
{
	PlatformAnswer answer = judge(&first_page, *state,
								  "{\"error\":\"\",\"response\":{\"more\":false,\"return\":["
								  "{\"return_sn\":\"R\",\"order_sn\":\"a,b\",\"status\":\"CLOSED\"},{\"order_sn\":\"A\",\"status\":\"CLOSED\"},7,"
								  "{\"return_sn\":\"R\",\"order_sn\":\"A\",\"status\":\"JUDGING\",\"item\":[{\"item_id\":1,\"amount\":0},"
								  "{\"item_id\":1,\"amount\":1.5},{\"item_id\":\"x\",\"amount\":1},{\"item_id\":1,\"amount\":1}]}]}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 1);
	assert_string_equal(answer.message, "4 requests that could not be understood whole");
	assert_class(judge(&first_page, *state, "{\"error\":\"\",\"response\":{}}").class, OUTCOME_LATER);
	/* no walk without end */
	assert_false(judge(&first_page, *state, "{\"error\":\"\",\"response\":{\"more\":true,\"return\":[]}}").more);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(pages_are_numbered),
		arena_test(a_document_for_each_line),
		arena_test(what_is_over_or_money_alone_brings_no_goods),
		arena_test(what_is_not_understood_is_left_out),
	};

	return cmocka_run_group_tests_name("shopee_return", tests, NULL, NULL);
}
