/*
 * test_pchome_judge.c
 *		Tests of judging PChome's answers: codes, statuses, lists, products,
 *		broken answers. Orders are in test_pchome_order.c.
 */
#define TEST_PLATFORM	platform_pchome
#include "codec_test.h"

#include "pchome.h"

#define G1	"AAAA0A-A00000001"
#define G2	"DICKCB-A900GN8U0"

static const PlatformItem items[] = {
	{.listing_id = 11, .item_id = G1, .model_id = "001", .price = "990"},
	{.listing_id = 12, .item_id = G1, .model_id = "002", .price = "990"},
	{.listing_id = 13, .item_id = G2, .model_id = "", .price = "20"}
};
static const char *const records[] = {"1-1"};
static const char *const groups[] = {G1, G2};

static const PlatformCall push = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 3, .cursor = ""};
static const PlatformCall push_one = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 1, .cursor = ""};
static const PlatformCall price = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 3, .cursor = ""};
static const PlatformCall price_one = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 2, .cursor = ""};
static const PlatformCall shelf_one = {.kind = CALL_SET_LISTED, .items = items, .n_items = 2, .cursor = ""};
static const PlatformCall ship = {.kind = CALL_SHIP, .cursor = ""};
static const PlatformCall decline = {.kind = CALL_CANCEL_LINES, .cursor = ""};
static const PlatformCall list = {.kind = CALL_LIST_ORDERS, .cursor = ""};
static const PlatformCall list_next = {.kind = CALL_LIST_ORDERS, .cursor = "21"};
static const PlatformCall get = {.kind = CALL_GET_ORDERS, .order_sns = records, .n_order_sns = 1, .cursor = ""};
static const PlatformCall list_items = {.kind = CALL_LIST_ITEMS, .cursor = ""};
static const PlatformCall get_items = {.kind = CALL_GET_ITEMS, .item_ids = groups, .n_item_ids = 2, .cursor = ""};
static const PlatformCall get_models = {.kind = CALL_GET_MODELS, .item_ids = groups, .n_item_ids = 1, .cursor = ""};
static const PlatformCall returns = {.kind = CALL_LIST_RETURNS, .cursor = ""};
static const PlatformCall *const all_calls[] = {
	&push, &push_one, &price, &shelf_one, &ship, &decline, &list, &get, &list_items, &get_items, &get_models, &returns
};

#define N_CALLS	(sizeof(all_calls) / sizeof(all_calls[0]))
#define REFUSED(code) "{\"Code\":\"" code "\",\"Msg\":\"m\"}"

/* all_items asserts that every item of an answer has one class. */
static void
all_items(const PlatformCall *call, const PlatformAnswer *answer, OutcomeClass class)
{
	int			i;

	assert_int_equal(answer->n_items, call->n_items);
	for (i = 0; i < call->n_items; i++)
	{
		assert_int_equal(answer->items[i].listing_id, call->items[i].listing_id);
		assert_class(answer->items[i].class, class);
		assert_int_equal(*answer->items[i].reason == '\0', class == OUTCOME_OK);
	}
}

static void
a_write_is_done_at_204_alone(void **state)
{
	static const int other[] = {200, 201, 202, 302, 404, 500, 502};
	size_t		i;
	size_t		j;

	for (i = 0; i < N_CALLS; i++)
	{
		PlatformAnswer answer;

		if (platform_call_reads(all_calls[i]->kind))
			continue;
		answer = judge_http(all_calls[i], *state, 204, "");
		assert_class(answer.class, OUTCOME_OK);
		assert_string_equal(answer.message, "");
		if (platform_call_has_items(all_calls[i]->kind))
			all_items(all_calls[i], &answer, OUTCOME_OK);
		for (j = 0; j < sizeof(other) / sizeof(other[0]); j++)
			assert_class(judge_http(all_calls[i], *state, other[j], "").class, OUTCOME_IN_DOUBT);
	}
}

static void
every_code_has_a_class(void **state)
{
	static const struct
	{
		const char *code;
		OutcomeClass class;
	}			cases[] = {
		{"400-00-001", OUTCOME_PERMANENT}, {"400-00-004", OUTCOME_AUTH}, {"400-00-007", OUTCOME_PERMANENT},
		{"400-00-008", OUTCOME_PERMANENT}, {"400-00-011", OUTCOME_PERMANENT}, {"400-00-012", OUTCOME_PERMANENT},
		{"400-00-016", OUTCOME_IN_DOUBT}, {"400-01-004", OUTCOME_PERMANENT}, {"400-01-005", OUTCOME_PERMANENT},
		{"400-01-006", OUTCOME_PERMANENT}, {"400-01-007", OUTCOME_PERMANENT}, {"400-01-010", OUTCOME_PERMANENT},
		{"400-01-035", OUTCOME_PERMANENT}, {"400-01-036", OUTCOME_PERMANENT}, {"400-01-037", OUTCOME_PERMANENT},
		{"400-01-039", OUTCOME_LATER}, {"400-01-040", OUTCOME_PERMANENT}, {"400-01-041", OUTCOME_PERMANENT},
		{"400-01-042", OUTCOME_PERMANENT}, {"400-01-044", OUTCOME_PERMANENT}, {"400-01-055", OUTCOME_PERMANENT},
		{"400-01-082", OUTCOME_PERMANENT}, {"400-01-083", OUTCOME_PERMANENT}, {"400-01-095", OUTCOME_PERMANENT},
		{"400-01-098", OUTCOME_LATER}, {"400-01-099", OUTCOME_LATER}, {"400-001", OUTCOME_PERMANENT},
		{"400-005", OUTCOME_PERMANENT}, {"403-00-001", OUTCOME_AUTH}, {"400-99-999", OUTCOME_PERMANENT}, {"", OUTCOME_PERMANENT}
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		const char *body = arena_printf(*state, REFUSED("%s"), cases[i].code);
		PlatformAnswer answer = judge_http(&push, *state, 400, body);

		assert_class(answer.class, cases[i].class);
		assert_string_equal(answer.code, cases[i].code);
		assert_string_equal(answer.message, "m");
		assert_int_equal(answer.retry_after, cases[i].class == OUTCOME_LATER ? 60 : -1);
		/* whoever is at fault is not named: all have the class */
		all_items(&push, &answer, cases[i].class == OUTCOME_AUTH ? OUTCOME_LATER : cases[i].class);
		answer = judge_http(&list, *state, 400, body);
		assert_class(answer.class, cases[i].class == OUTCOME_IN_DOUBT ? OUTCOME_LATER : cases[i].class);
	}
}

static void
what_is_so_already_is_done(void **state)
{
	PlatformAnswer answer = judge_http(&price_one, *state, 400, REFUSED("400-01-038"));

	assert_class(answer.class, OUTCOME_OK);
	all_items(&price_one, &answer, OUTCOME_OK);
	assert_class(judge_http(&shelf_one, *state, 400, REFUSED("400-01-046")).class, OUTCOME_OK);
	assert_class(judge_http(&shelf_one, *state, 400, REFUSED("400-01-049")).class, OUTCOME_OK);
	/* of several products it is a refusal of the others */
	answer = judge_http(&price, *state, 400, REFUSED("400-01-038"));
	assert_class(answer.class, OUTCOME_PERMANENT);
	all_items(&price, &answer, OUTCOME_PERMANENT);
}

static void
unknown_codes_go_by_the_status(void **state)
{
	assert_class(judge_http(&push, *state, 429, REFUSED("429-001")).class, OUTCOME_THROTTLED);
	assert_class(judge_http(&push, *state, 500, REFUSED("500-001")).class, OUTCOME_IN_DOUBT);
	assert_class(judge_http(&list, *state, 500, REFUSED("500-001")).class, OUTCOME_LATER);
	assert_class(judge_http(&push, *state, 200, REFUSED("200-001")).class, OUTCOME_IN_DOUBT);
	assert_class(judge_http(&push, *state, 403, REFUSED("x")).class, OUTCOME_AUTH);
	assert_class(judge_http(&push, *state, 404, REFUSED("x")).class, OUTCOME_PERMANENT);
}

static void
an_address_that_is_not_let_in(void **state)
{
	size_t		i;

	for (i = 0; i < N_CALLS; i++)
	{
		assert_class(judge_http(all_calls[i], *state, 403, "<html>Forbidden</html>").class, OUTCOME_AUTH);
		assert_class(judge_http(all_calls[i], *state, 403, "").class, OUTCOME_AUTH);
		assert_class(judge_http(all_calls[i], *state, 401, "{}").class, OUTCOME_AUTH);
	}
}

static void
what_is_no_answer(void **state)
{
	static const char *const bodies[] = {
		"", "<html>", "{", "null", "7", "\"x\"", "{}", "{\"Rows\":[]}", "{\"TotalRows\":1}", "{\"TotalRows\":-1,\"Rows\":[]}",
		"{\"TotalRows\":\"x\",\"Rows\":[]}", "{\"TotalRows\":1,\"Rows\":{}}", "{\"TotalRows\":1,\"Rows\":[]}"
	};
	size_t		i;
	size_t		j;

	for (i = 0; i < N_CALLS; i++)
		for (j = 0; j < sizeof(bodies) / sizeof(bodies[0]); j++)
		{
			PlatformAnswer answer = judge_http(all_calls[i], *state, 200, bodies[j]);

			assert_class(answer.class, platform_call_reads(all_calls[i]->kind) ? OUTCOME_LATER : OUTCOME_IN_DOUBT);
			assert_string_not_equal(answer.message, "");
			assert_false(answer.more);
		}
	for (i = 0; i < N_CALLS; i++)
	{
		PlatformReply cut = reply_of(*state, 204, "");
		PlatformReply unsent = {.retry_after = -1};
		PlatformAnswer answer;

		cut.complete = false;
		platform_pchome.judge(all_calls[i], &cut, *state, &answer);
		assert_class(answer.class, platform_call_reads(all_calls[i]->kind) ? OUTCOME_LATER : OUTCOME_IN_DOUBT);
		platform_pchome.judge(all_calls[i], &unsent, *state, &answer);
		assert_class(answer.class, OUTCOME_LATER);
		assert_class(judge_http(all_calls[i], *state, 429, "<html>").class, OUTCOME_THROTTLED);
	}
}

static void
messages_are_cleaned(void **state)
{
	PlatformAnswer answer = judge_http(&push, *state, 400, "{\"Code\":\"400-01-098\",\"Msg\":\"\\u0007庫存\\n\"}");

	assert_string_equal(answer.message, " 庫存 ");
	answer = judge_http(&push, *state, 400, "{\"Code\":\"400-01-098\"}");
	assert_string_equal(answer.message, "refused without a message");
}

static void
pages_of_orders(void **state)
{
	PlatformAnswer answer = judge(&list, *state,
								  "{\"TotalRows\":25,\"Rows\":[{\"Id\":\"20251009000001-01\"},{\"Id\":\"20251009000001-02\"}]}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 2);
	assert_string_equal(answer.order_sns[1], "20251009000001-02");
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "3");
	/* as many rows as came, not as were asked for, and the total tells the end */
	answer = judge(&list_next, *state, "{\"TotalRows\":\"22\",\"Rows\":[{\"Id\":\"1-1\"},{\"Id\":\"1-2\"}]}");
	assert_class(answer.class, OUTCOME_OK);
	assert_false(answer.more);
	assert_string_equal(answer.next_cursor, "");
	answer = judge(&list, *state, "{\"TotalRows\":0,\"Rows\":[]}");
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_order_sns, 0);
	answer = judge(&list_next, *state, "{\"TotalRows\":20,\"Rows\":[]}");
	assert_class(answer.class, OUTCOME_OK);
	answer = judge(&list_next, *state, "{\"TotalRows\":21,\"Rows\":[]}");
	assert_class(answer.class, OUTCOME_LATER);
	answer = judge(&list, *state, "{\"TotalRows\":5,\"Rows\":[null,{},{\"Id\":\"1\"},{\"Id\":\"a b-1\"},{\"Id\":\"2-1\"}]}");
	assert_int_equal(answer.n_order_sns, 1);
	assert_string_equal(answer.message, "4 rows without a readable id");
}

static void
pages_of_products(void **state)
{
	PlatformAnswer answer = judge(&list_items, *state,
								  "{\"TotalRows\":60,\"Rows\":[{\"GroupId\":\"" G1 "\"},{\"GroupId\":\"" G1 "\"},{\"GroupId\":\"" G2 "\"},{\"GroupId\":7}]}");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_item_ids, 2);
	assert_string_equal(answer.item_ids[0], G1);
	assert_string_equal(answer.item_ids[1], G2);
	assert_string_equal(answer.next_cursor, "5");
	assert_string_equal(answer.message, "1 rows without a readable id");
}

static void
returns_of_three_states(void **state)
{
	PlatformCall call = returns;
	PlatformAnswer answer = judge(&call, *state, "{\"TotalRows\":2,\"Rows\":[{\"Id\":\"R\\\"1\"},{}]}");

	assert_string_equal(answer.documents,
						"[{\"return_id\":\"R\\\"1\",\"order_sn\":null,\"line_id\":null,\"qty\":null,\"state\":\"NA\",\"open\":true}]");
	assert_int_equal(answer.n_documents, 1);
	assert_true(answer.more);
	assert_string_equal(answer.next_cursor, "QCOK/1");
	call.cursor = "QCOK/1";
	answer = judge(&call, *state, "{\"TotalRows\":2,\"Rows\":[{\"Id\":\"R2-01\"}]}");
	assert_non_null(strstr(answer.documents, "\"order_sn\":\"R2\",\"line_id\":\"01\""));
	assert_string_equal(answer.next_cursor, "QCOK/2");
	assert_non_null(strstr(answer.documents, "\"state\":\"QCOK\""));
	call.cursor = "QCFail/1";
	answer = judge(&call, *state, "{\"TotalRows\":0,\"Rows\":[]}");
	assert_class(answer.class, OUTCOME_OK);
	assert_false(answer.more);
	assert_string_equal(answer.documents, "[]");
}

static void
products_shown(void **state)
{
	PlatformAnswer answer = judge(&get_items, *state,
								  "[{\"Id\":\"" G1 "-000\",\"GroupId\":\"" G1 "\",\"isSpec\":1,\"Qty\":0},"
								  "{\"Id\":\"" G1 "-001\",\"Qty\":3},"
								  "{\"Id\":\"" G2 "-000\",\"VendorPId\":\"SKU-1\",\"Name\":\"名\",\"Price\":{\"M\":1200,\"P\":990},"
								  "\"Qty\":7,\"isSpec\":0,\"isShelf\":0,\"ShipType\":\"Trans\"},"
								  "{\"Id\":\"ZZZZZZ-1-000\"},{}]");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_item_ids, 1);
	assert_string_equal(answer.item_ids[0], G1);
	assert_int_equal(answer.n_shown, 1);
	assert_string_equal(answer.shown[0].item_id, G2);
	assert_string_equal(answer.shown[0].model_id, "");
	assert_string_equal(answer.shown[0].seller_sku, "SKU-1");
	assert_string_equal(answer.shown[0].name, "名");
	assert_string_equal(answer.shown[0].price, "990");
	assert_int_equal(answer.shown[0].quantity, 7);
	assert_false(answer.shown[0].listed);
	assert_true(answer.shown[0].writable);
	assert_false(answer.shown[0].ended);
	assert_string_equal(answer.message, "2 products were unnamed or not asked for");
	answer = judge(&get_items, *state, "[{\"Id\":\"" G2 "-000\",\"ShipType\":\"Consign\",\"Price\":{\"P\":1.5}}]");
	assert_false(answer.shown[0].writable);
	assert_true(answer.shown[0].listed);
	assert_int_equal(answer.shown[0].quantity, -1);
	assert_string_equal(answer.shown[0].price, "");
}

static void
specs_shown(void **state)
{
	PlatformAnswer answer = judge(&get_models, *state,
								  "[{\"Id\":\"" G1 "-000\",\"Qty\":9},{\"Id\":\"" G1 "-001\",\"VendorPId\":\"S\",\"Spec\":\"紅\",\"Qty\":4},"
								  "{\"Id\":\"" G1 "-002\",\"Qty\":5},{\"Id\":\"" G2 "-001\",\"Qty\":5}]");

	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_shown, 2);
	assert_int_equal(answer.n_item_ids, 0);
	assert_string_equal(answer.shown[0].model_id, "001");
	assert_string_equal(answer.shown[0].seller_sku, "S");
	assert_int_equal(answer.shown[1].quantity, 5);
	answer = judge(&get_models, *state, "[{\"Id\":\"" G1 "-000\",\"Qty\":9}]");
	assert_int_equal(answer.n_shown, 1);
	assert_string_equal(answer.shown[0].model_id, "");
	answer = judge(&get_models, *state, "[]");
	assert_int_equal(answer.n_shown, 0);
	assert_class(answer.class, OUTCOME_OK);
}

/* half_an_answer_is_none: whatever memory is short of, the class is never a success with parts missing. */
static void
half_an_answer_is_none(void **state)
{
	static const char body[] = "{\"TotalRows\":3,\"Rows\":[{\"Id\":\"1-1\",\"GroupId\":\"" G1 "\"},{\"Id\":\"1-2\",\"GroupId\":\"" G2 "\"}]}";
	const PlatformCall *const lists[] = {&list, &list_items, &returns};
	size_t		i;
	size_t		bytes;

	for (i = 0; i < 3; i++)
		for (bytes = 0; bytes < 8192; bytes += 32)
		{
			Arena	   *small = arena_create(bytes);
			PlatformReply reply = reply_of(*state, 200, body);
			PlatformAnswer answer;

			platform_pchome.judge(lists[i], &reply, small, &answer);
			if (arena_failed(small))
			{
				assert_class(answer.class, OUTCOME_LATER);
				assert_false(answer.more);
				assert_int_equal(answer.n_order_sns + answer.n_item_ids + answer.n_documents, 0);
			}
			else
				assert_class(answer.class, OUTCOME_OK);
			arena_free(small);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(a_write_is_done_at_204_alone),
		arena_test(every_code_has_a_class),
		arena_test(what_is_so_already_is_done),
		arena_test(unknown_codes_go_by_the_status),
		arena_test(an_address_that_is_not_let_in),
		arena_test(what_is_no_answer),
		arena_test(messages_are_cleaned),
		arena_test(pages_of_orders),
		arena_test(pages_of_products),
		arena_test(returns_of_three_states),
		arena_test(products_shown),
		arena_test(specs_shown),
		arena_test(half_an_answer_is_none),
	};

	return cmocka_run_group_tests_name("pchome_judge", tests, NULL, NULL);
}
