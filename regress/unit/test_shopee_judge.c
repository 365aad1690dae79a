/*
 * test_shopee_judge.c
 *		Tests of judging Shopee's answers: codes, lists, broken answers,
 *		secrets. Orders are in test_shopee_order.c.
 */
#include "codec_test.h"

static const PlatformItem items[] = {
	{11, "100001", "200001", 8}, {12, "100001", "200002", 3}, {13, "100001", "200003", 0}
};
static const PlatformItem plain_item[] = {{21, "100001", "", 5}};
static const char *const order_sns[] = {"A1"};

static const PlatformCall push = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 3, .cursor = ""};
static const PlatformCall push_plain = {.kind = CALL_PUSH_STOCK, .items = plain_item, .n_items = 1, .cursor = ""};
static const PlatformCall list = {.kind = CALL_LIST_ORDERS, .cursor = "c1"};
static const PlatformCall get = {.kind = CALL_GET_ORDERS, .order_sns = order_sns, .n_order_sns = 1, .cursor = ""};
static const PlatformCall refresh = {.kind = CALL_REFRESH_TOKEN, .cursor = ""};
static const PlatformCall *const all_calls[] = {&push, &list, &get, &refresh};

static bool
is_read(const PlatformCall *call)
{
	return platform_call_reads(call->kind);
}

/* check_items asserts the class of each of the three items of `push` */
static void
check_items(const PlatformAnswer *answer, OutcomeClass a, OutcomeClass b, OutcomeClass c)
{
	const OutcomeClass expected[] = {a, b, c};
	int			i;

	assert_int_equal(answer->n_items, 3);
	for (i = 0; i < 3; i++)
	{
		assert_int_equal(answer->items[i].listing_id, items[i].listing_id);
		assert_class(answer->items[i].class, expected[i]);
		assert_int_equal(*answer->items[i].reason == '\0', expected[i] == OUTCOME_OK);
	}
}

#define LISTS(success, failure) \
	"{\"error\":\"\",\"message\":\"\",\"warning\":\"\",\"request_id\":\"x\",\"response\":{" \
	"\"success_list\":[" success "],\"failure_list\":[" failure "]}}"
#define DONE(model) "{\"model_id\":" model ",\"location_id\":\"\",\"stock\":1}"
#define FAILED(model, why) "{\"model_id\":" model ",\"failed_reason\":\"" why "\"}"

static void
all_models_taken(void **state)
{
	PlatformAnswer answer = judge(&push, *state, LISTS(DONE("200003") "," DONE("200001") "," DONE("200002"), ""));

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.code, "");
	assert_string_equal(answer.message, "");
	check_items(&answer, OUTCOME_OK, OUTCOME_OK, OUTCOME_OK);
}

static void
some_models_refused(void **state)
{
	PlatformAnswer answer = judge(&push, *state,
								  LISTS(DONE("200001"), FAILED("200002", "Item is in promotion now.") ","
										FAILED("200003", "Wrong model id.")));

	assert_class(answer.class, OUTCOME_PARTIAL);
	check_items(&answer, OUTCOME_OK, OUTCOME_LATER, OUTCOME_PERMANENT);
	assert_string_equal(answer.items[1].reason, "Item is in promotion now.");
}

static void
all_models_refused_with_an_error(void **state)
{
	PlatformAnswer answer = judge(&push, *state,
								  "{\"error\":\"product.error_busi_update_stock_failed\",\"message\":\"all failed\","
								  "\"response\":{\"failure_list\":[" FAILED("200001", "Total stock must be more than reserved stock.") ","
								  FAILED("200002", "x") "," FAILED("200003", "商品活動中") "]}}");

	assert_class(answer.class, OUTCOME_PARTIAL);
	assert_string_equal(answer.code, "product.error_busi_update_stock_failed");
	check_items(&answer, OUTCOME_LATER, OUTCOME_LATER, OUTCOME_LATER);
}

static void
an_error_beside_a_success_list_is_read_too(void **state)
{
	PlatformAnswer answer = judge(&push, *state,
								  "{\"error\":\"error_something_new\",\"message\":\"m\",\"response\":"
								  "{\"success_list\":[" DONE("200001") "]}}");

	assert_class(answer.class, OUTCOME_PARTIAL);
	check_items(&answer, OUTCOME_OK, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
}

static void
lists_that_name_none_of_ours_leave_the_error(void **state)
{
	PlatformAnswer answer = judge(&push, *state,
								  "{\"error\":\"error_item_not_found\",\"message\":\"m\",\"response\":"
								  "{\"success_list\":[],\"failure_list\":[" FAILED("7", "x") "]}}");

	assert_class(answer.class, OUTCOME_PERMANENT);
	check_items(&answer, OUTCOME_PERMANENT, OUTCOME_PERMANENT, OUTCOME_PERMANENT);
}

static void
silence_about_a_model_is_doubt(void **state)
{
	static const char *const silent[] = {
		LISTS("", ""),
		LISTS(DONE("7"), FAILED("8", "x")),
		"{\"error\":\"\",\"message\":\"\",\"response\":{}}",
		"{\"error\":\"\",\"message\":\"\"}",
		"{\"error\":\"\",\"response\":{\"success_list\":{\"model_id\":200001},\"failure_list\":7}}",
		"{\"error\":\"\",\"response\":{\"success_list\":[null,7,\"200001\",[],{\"model_id\":{}},{\"model_id\":\"x\"}]}}",
	};
	PlatformAnswer answer = judge(&push, *state, LISTS(DONE("200001"), ""));
	size_t		i;

	assert_class(answer.class, OUTCOME_PARTIAL);
	check_items(&answer, OUTCOME_OK, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
	for (i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
	{
		answer = judge(&push, *state, silent[i]);
		assert_class(answer.class, OUTCOME_IN_DOUBT);
		assert_string_not_equal(answer.message, "");
		check_items(&answer, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
	}
}

static void
a_model_in_both_lists_is_doubt(void **state)
{
	PlatformAnswer answer = judge(&push, *state,
								  LISTS(DONE("200001") "," DONE("200002") "," DONE("200003"), FAILED("200002", "warehouse 2")));

	assert_class(answer.class, OUTCOME_PARTIAL);
	check_items(&answer, OUTCOME_OK, OUTCOME_IN_DOUBT, OUTCOME_OK);
}

static void
models_may_be_texts_null_or_absent(void **state)
{
	PlatformAnswer answer = judge(&push, *state, LISTS(DONE("\"200001\"") "," DONE("\"200002\""), FAILED("\"200003\"", "")));

	check_items(&answer, OUTCOME_OK, OUTCOME_OK, OUTCOME_LATER);
	assert_string_equal(answer.items[2].reason, "refused without a reason");
	assert_class(judge(&push_plain, *state, LISTS(DONE("0"), "")).class, OUTCOME_OK);
	assert_class(judge(&push_plain, *state, LISTS("{\"stock\":5}", "")).class, OUTCOME_OK);
	assert_class(judge(&push_plain, *state, LISTS(DONE("null"), "")).class, OUTCOME_OK);
	assert_class(judge(&push_plain, *state, LISTS(DONE("5"), "")).class, OUTCOME_IN_DOUBT);
}

static void
a_warning_is_passed_on(void **state)
{
	PlatformAnswer answer = judge(&push_plain, *state,
								  "{\"error\":\"\",\"message\":\"\",\"warning\":\"old field\",\"response\":"
								  "{\"success_list\":[" DONE("0") "]}}");

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.message, "old field");
}

typedef struct CodeCase
{
	const char *code;
	const char *message;
	OutcomeClass class;			/* for a write; in doubt is later for a read */
} CodeCase;

static const CodeCase code_cases[] = {
	{"error_rate_limit", "Too many requests", OUTCOME_THROTTLED},
	{"common.error_rate_limit", "", OUTCOME_THROTTLED},
	{"error_limit", "daily", OUTCOME_QUOTA},
	{"invalid_acceess_token", "Invalid access_token.", OUTCOME_AUTH},
	{"invalid_access_token", "", OUTCOME_AUTH},
	{"error_auth", "Invalid access_token, please have a check.", OUTCOME_AUTH},
	{"common.error_auth", "Invalid refresh_token.", OUTCOME_AUTH},
	{"error_auth", "Invalid partner_id or shopid.", OUTCOME_AUTH},
	{"error_auth", "Invalid code", OUTCOME_AUTH},
	{"error_auth", "", OUTCOME_AUTH},
	{"error_auth", "No permission to current api.", OUTCOME_PERMANENT},
	{"common.error_auth", "Invalid sign", OUTCOME_AUTH},
	{"error_auth", "Total stock must be more than reserved stock.", OUTCOME_LATER},
	{"error_auth", "Lack of location_id", OUTCOME_PERMANENT},
	{"error_auth", "the shop is in Holiday mode", OUTCOME_LATER},
	{"error_auth", "System error, please try again later.", OUTCOME_IN_DOUBT},
	{"error_param", "There is no access_token in query.", OUTCOME_AUTH},
	{"product.error_param", "Timestamp is expired.", OUTCOME_LATER},
	{"error_param", "no timestamp", OUTCOME_LATER},
	{"error_param", "Repeat model_id.", OUTCOME_PERMANENT},
	{"error.param", "Wrong model_id.", OUTCOME_PERMANENT},
	{"refresh_token_expired", "", OUTCOME_AUTH},
	{"error_shop_refresh_token", "", OUTCOME_AUTH},
	{"shop_access_expired", "", OUTCOME_AUTH},
	{"shop_no_linked", "", OUTCOME_AUTH},
	{"partner_shop_no_link", "", OUTCOME_AUTH},
	{"invalid_code", "", OUTCOME_AUTH},
	{"error_sign", "Wrong sign.", OUTCOME_AUTH},
	{"source_ip_undeclared", "", OUTCOME_AUTH},
	{"error_partner_key_expired", "", OUTCOME_AUTH},
	{"api_suspended", "", OUTCOME_PERMANENT},
	{"error_api_permission", "", OUTCOME_PERMANENT},
	{"error_api_call_restricted", "", OUTCOME_PERMANENT},
	{"error_kyc_auth", "", OUTCOME_PERMANENT},
	{"shop_banned", "", OUTCOME_PERMANENT},
	{"invalid_shop_id", "", OUTCOME_PERMANENT},
	{"error_server", "", OUTCOME_IN_DOUBT},
	{"product.error_inner", "", OUTCOME_IN_DOUBT},
	{"error_network", "", OUTCOME_IN_DOUBT},
	{"error_system_busy", "", OUTCOME_LATER},
	{"error_busi_update_stock_failed", "", OUTCOME_LATER},
	{"error_cannt_edit_stock_in_promotion", "", OUTCOME_LATER},
	{"error_promotion_cantnot_update_stock", "", OUTCOME_LATER},
	{"error_model_update_stock_model_in_promotion", "", OUTCOME_LATER},
	{"error_in_item_promotion_nomodel_to_models", "", OUTCOME_LATER},
	{"error_holiday_mode_change_stock", "", OUTCOME_LATER},
	{"error_busi", "multi-warehouse needs location id", OUTCOME_PERMANENT},
	{"error_busi", "please try again", OUTCOME_LATER},
	{"error_item_not_found", "", OUTCOME_PERMANENT},
	{"error_item_not_belong_shop", "", OUTCOME_PERMANENT},
	{"error_edit_item_stock_for_item_has_model", "", OUTCOME_PERMANENT},
	{"error_item_uneditable", "", OUTCOME_PERMANENT},
	{"error_wms_shop_block_upate_stock", "", OUTCOME_PERMANENT},
	{"error_seller_under_penalty", "", OUTCOME_PERMANENT},
	{"error_busi_cannot_edit_vsku", "", OUTCOME_PERMANENT},
	{"warehouse.error_not_in_whitelist", "", OUTCOME_PERMANENT},
	{"order.order_list_invalid_time", "", OUTCOME_PERMANENT},
	{"error_not_found", "the order is not found.", OUTCOME_PERMANENT},
	{"error_never_seen", "", OUTCOME_PERMANENT},
};

/* the body decides, whatever HTTP status it comes with */
static void
codes_have_their_class(void **state)
{
	static const int statuses[] = {200, 400, 401, 403};
	size_t		i;
	size_t		k;
	size_t		s;

	for (i = 0; i < sizeof(code_cases) / sizeof(code_cases[0]); i++)
		for (k = 0; k < 4; k++)
			for (s = 0; s < 4; s++)
			{
				const CodeCase *c = &code_cases[i];
				const char *body = arena_printf(*state, "{\"error\":\"%s\",\"message\":\"%s\",\"request_id\":\"x\"}", c->code, c->message);
				PlatformAnswer answer = judge_http(all_calls[k], *state, statuses[s], body);
				bool		doubt = c->class == OUTCOME_IN_DOUBT && is_read(all_calls[k]);

				assert_class(answer.class, doubt ? OUTCOME_LATER : c->class);
				assert_string_equal(answer.code, c->code);
				assert_string_equal(answer.message, c->message);
			}
}

static void
refused_calls_leave_their_items_for_later(void **state)
{
	static const char *const codes[] = {"error_rate_limit", "error_limit", "invalid_acceess_token", "error_system_busy"};
	size_t		i;

	for (i = 0; i < 4; i++)
	{
		PlatformAnswer answer = judge(&push, *state,
									  arena_printf(*state, "{\"error\":\"%s\",\"message\":\"why\"}", codes[i]));

		check_items(&answer, OUTCOME_LATER, OUTCOME_LATER, OUTCOME_LATER);
	}
}

/* A key or an address that the platform does not take is the application's; no shop has to be authorised again for it. */
static void
applications_are_told_from_shops(void **state)
{
	static const char *const of_application[] = {
		"{\"error\":\"error_sign\",\"message\":\"Wrong sign.\"}",
		"{\"error\":\"common.error_auth\",\"message\":\"Invalid sign\"}",
		"{\"error\":\"source_ip_undeclared\",\"message\":\"why\"}",
		"{\"error\":\"error_partner_key_expired\",\"message\":\"why\"}"
	};
	static const char *const of_shop[] = {
		"{\"error\":\"invalid_acceess_token\",\"message\":\"Invalid access_token.\"}",
		"{\"error\":\"error_auth\",\"message\":\"Invalid refresh_token.\"}",
		"{\"error\":\"shop_no_linked\",\"message\":\"wrong sign\"}",
		"{\"error\":\"error_param\",\"message\":\"invalid sign\"}",
		"{\"error\":\"error_signed\",\"message\":\"Wrong sign.\"}"
	};

	for (size_t i = 0; i < sizeof(of_application) / sizeof(of_application[0]); i++)
	{
		PlatformAnswer answer = judge(&push, *state, of_application[i]);

		assert_int_equal(answer.class, OUTCOME_AUTH);
		assert_true(answer.application);
		check_items(&answer, OUTCOME_LATER, OUTCOME_LATER, OUTCOME_LATER);
	}
	for (size_t i = 0; i < sizeof(of_shop) / sizeof(of_shop[0]); i++)
		assert_false(judge(&push, *state, of_shop[i]).application);
}

static void
unknown_codes_look_at_the_status(void **state)
{
	const char *body = "{\"error\":\"error_new\",\"message\":\"\"}";

	assert_class(judge_http(&push, *state, 429, body).class, OUTCOME_THROTTLED);
	assert_class(judge_http(&push, *state, 500, body).class, OUTCOME_IN_DOUBT);
	assert_class(judge_http(&list, *state, 500, body).class, OUTCOME_LATER);
	assert_class(judge_http(&push, *state, 400, body).class, OUTCOME_PERMANENT);
	/* a known one does not */
	assert_class(judge_http(&push, *state, 500, "{\"error\":\"error_rate_limit\"}").class, OUTCOME_THROTTLED);
}

/* nobody_answered asserts the class of a reply without Shopee's envelope, for each call */
static void
nobody_answered(Arena *arena, const PlatformReply *reply, OutcomeClass write, OutcomeClass read)
{
	size_t		k;

	for (k = 0; k < 4; k++)
	{
		PlatformAnswer answer;

		platform_shopee.judge(all_calls[k], reply, arena, &answer);
		assert_class(answer.class, is_read(all_calls[k]) ? read : write);
		assert_string_equal(answer.code, "");
		assert_string_not_equal(answer.message, "");
		assert_int_equal(answer.n_order_sns, 0);
		assert_int_equal(answer.n_documents, 0);
		assert_false(answer.more);
		assert_null(answer.access_token);
		if (all_calls[k] == &push)
			assert_int_equal(answer.n_items, 3);
	}
}

static void
answers_of_somebody_else(void **state)
{
	static const char *const bodies[] = {
		"", " ", "<html><body>Bad gateway</body></html>", "{\"error\":", "null", "[]", "7", "\"error\"", "{}",
		"{\"message\":\"Internal\"}", "{\"error\":{\"code\":5}}", "{\"error\":true,\"response\":{}}",
		"{\"error\":null}", "{\"error\":[],\"message\":\"\"}", "\xFF\xFE{}",
		"{\"error\":\"\",\"response\":{\"success_list\":[{\"model_id\":200001}",
	};
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		PlatformReply reply = reply_of(*state, 200, bodies[i]);
		static const int doubtful[] = {200, 204, 302, 400, 404, 500, 502, 503, 504};
		size_t		s;

		for (s = 0; s < sizeof(doubtful) / sizeof(doubtful[0]); s++)
		{
			reply.http_status = doubtful[s];
			nobody_answered(*state, &reply, OUTCOME_IN_DOUBT, OUTCOME_LATER);
		}
		reply.http_status = 403;
		nobody_answered(*state, &reply, OUTCOME_LATER, OUTCOME_LATER);
		reply.http_status = 429;
		nobody_answered(*state, &reply, OUTCOME_THROTTLED, OUTCOME_THROTTLED);
	}
}

static void
calls_that_broke_off(void **state)
{
	/* a whole success, of which the end was never confirmed */
	PlatformReply cut = reply_of(*state, 200, LISTS(DONE("200001") "," DONE("200002") "," DONE("200003"), ""));
	PlatformReply nothing = {.sent = false, .retry_after = -1};
	PlatformReply silent = {.sent = true, .retry_after = -1};

	cut.complete = false;
	nobody_answered(*state, &cut, OUTCOME_IN_DOUBT, OUTCOME_LATER);
	nobody_answered(*state, &silent, OUTCOME_IN_DOUBT, OUTCOME_LATER);
	nobody_answered(*state, &nothing, OUTCOME_LATER, OUTCOME_LATER);
}

static void
retry_after_is_bounded(void **state)
{
	static const int64_t given[] = {-1, -5, 0, 7, 86400, 86401, INT64_MAX, INT64_MIN};
	static const int64_t taken[] = {-1, -1, 0, 7, 86400, 86400, 86400, -1};
	size_t		i;

	for (i = 0; i < sizeof(given) / sizeof(given[0]); i++)
	{
		PlatformReply reply = reply_of(*state, 429, "");
		PlatformAnswer answer;

		reply.retry_after = given[i];
		platform_shopee.judge(&list, &reply, *state, &answer);
		assert_int_equal(answer.retry_after, taken[i]);
	}
}

static void
texts_are_bounded_and_hold_no_secret(void **state)
{
	char		longest[5000];
	PlatformAnswer answer;

	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "a\\u001b[2J", 10);
	longest[sizeof(longest) - 1] = '\0';
	answer = judge(&push_plain, *state, arena_printf(*state, "{\"error\":\"%s\",\"message\":\"%s\"}", longest, longest));
	assert_in_range(strlen(answer.code), 1, 80);
	assert_in_range(strlen(answer.message), 1, 300);
	assert_in_range(strlen(answer.items[0].reason), 1, 300);
	assert_null(strchr(answer.message, '\x1b'));

	answer = judge(&push_plain, *state,
				   "{\"error\":\"error_param\",\"message\":\"bad query ?access_token=demoAccessToken0123456789&sign=ab\"}");
	assert_string_equal(answer.message, "bad query ?access_token=[redacted]&sign=[redacted]");
	assert_string_equal(answer.items[0].reason, answer.message);
	answer = judge(&push_plain, *state, LISTS("", FAILED("0", "key shpkAbCdEfGhIjKlMnOpQrStUvWx1")));
	assert_string_equal(answer.items[0].reason, "key [redacted]");
}

#define TOKENS(access, refresh, life) \
	"{\"error\":\"\",\"message\":\"\",\"request_id\":\"x\",\"partner_id\":1,\"shop_id\":2," \
	"\"access_token\":" access ",\"refresh_token\":" refresh ",\"expire_in\":" life "}"

static void
new_tokens(void **state)
{
	static const char *const broken[] = {
		TOKENS("\"\"", "\"r2\"", "14400"), TOKENS("\"a2\"", "null", "14400"), TOKENS("\"a2\"", "\"r2\"", "0"),
		TOKENS("\"a2\"", "\"r2\"", "-1"), TOKENS("\"a2\"", "\"r2\"", "1e99"), TOKENS("\"a 2\"", "\"r2\"", "14400"),
		TOKENS("\"a2\"", "\"r\\u0000\"", "14400"), "{\"error\":\"\",\"message\":\"\"}", "{\"access_token\":\"a2\"}",
	};
	PlatformAnswer answer = judge(&refresh, *state, TOKENS("\"a2\"", "\"r2\"", "14400"));
	size_t		i;

	assert_class(answer.class, OUTCOME_OK);
	assert_string_equal(answer.access_token, "a2");
	assert_string_equal(answer.refresh_token, "r2");
	assert_int_equal(answer.expires_in, 14400);
	/* a moment in place of a life, as a sample of the documents has it: no reason to lose the pair */
	answer = judge(&refresh, *state, TOKENS("\"a2\"", "\"r2\"", "1767001812"));
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.expires_in, 14400);
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
	{
		answer = judge(&refresh, *state, broken[i]);
		/* the old refresh token may be spent */
		assert_class(answer.class, OUTCOME_IN_DOUBT);
		assert_null(answer.access_token);
		assert_null(answer.refresh_token);
	}
}

/* whatever memory is left, the answer is whole or says that it is none */
static void
a_full_arena_gives_no_half_answer(void **state)
{
	const char *bodies[] = {
		LISTS(DONE("200001") "," DONE("200002") "," DONE("200003"), ""),
		"{\"error\":\"\",\"response\":{\"more\":true,\"next_cursor\":\"c2\",\"order_list\":[{\"order_sn\":\"A1\"}]}}",
		"{\"error\":\"\",\"response\":{\"order_list\":[{\"order_sn\":\"A1\",\"order_status\":\"SHIPPED\",\"create_time\":1,"
		"\"item_list\":[{\"item_id\":1,\"model_quantity_purchased\":1}]}]}}",
		TOKENS("\"a2\"", "\"r2\"", "14400"),
	};
	size_t		k;
	size_t		size;

	for (k = 0; k < 4; k++)
	{
		PlatformReply reply = reply_of(*state, 200, bodies[k]);
		bool		whole = false;

		for (size = 1; size < 20000 && !whole; size += 16)
		{
			Arena	   *small = arena_create(size);
			PlatformAnswer answer;

			platform_shopee.judge(all_calls[k], &reply, small, &answer);
			whole = answer.class == OUTCOME_OK;
			if (!whole)
			{
				assert_class(answer.class, is_read(all_calls[k]) ? OUTCOME_LATER : OUTCOME_IN_DOUBT);
				assert_int_equal(answer.n_order_sns, 0);
				assert_int_equal(answer.n_documents, 0);
				assert_string_equal(answer.documents, "[]");
				assert_null(answer.access_token);
			}
			arena_free(small);
		}
		assert_true(whole);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(all_models_taken),
		arena_test(some_models_refused),
		arena_test(all_models_refused_with_an_error),
		arena_test(an_error_beside_a_success_list_is_read_too),
		arena_test(lists_that_name_none_of_ours_leave_the_error),
		arena_test(silence_about_a_model_is_doubt),
		arena_test(a_model_in_both_lists_is_doubt),
		arena_test(models_may_be_texts_null_or_absent),
		arena_test(a_warning_is_passed_on),
		arena_test(codes_have_their_class),
		arena_test(refused_calls_leave_their_items_for_later),
		arena_test(applications_are_told_from_shops),
		arena_test(unknown_codes_look_at_the_status),
		arena_test(answers_of_somebody_else),
		arena_test(calls_that_broke_off),
		arena_test(retry_after_is_bounded),
		arena_test(texts_are_bounded_and_hold_no_secret),
		arena_test(new_tokens),
		arena_test(a_full_arena_gives_no_half_answer),
	};

	return cmocka_run_group_tests_name("shopee_judge", tests, NULL, NULL);
}
