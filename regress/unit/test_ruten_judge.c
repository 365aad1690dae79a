/*
 * test_ruten_judge.c
 *		Tests of judging Ruten's answers: the envelope, codes, statuses, broken
 *		answers. What answers hold is in test_ruten_read.c.
 */
#include "ruten_test.h"

static const PlatformItem items[] = {
	{.listing_id = 11, .item_id = "22500000000002", .model_id = "252500000000011", .quantity = 3},
	{.listing_id = 12, .item_id = "22500000000002", .model_id = "252500000000012", .quantity = 0}
};
static const char *const order_sns[] = {"25100900000001"};
static const char *const item_ids[] = {"22500000000002"};

static const PlatformCall push = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 2, .cursor = ""};
static const PlatformCall price = {.kind = CALL_PUSH_PRICE, .items = items, .n_items = 2, .cursor = ""};
static const PlatformCall list = {.kind = CALL_SET_LISTED, .items = items, .n_items = 2, .cursor = ""};
static const PlatformCall find = {.kind = CALL_LIST_ITEMS, .cursor = ""};
static const PlatformCall item = {.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = item_ids, .n_item_ids = 1};
static const PlatformCall orders = {.kind = CALL_LIST_ORDERS, .cursor = ""};
static const PlatformCall get = {.kind = CALL_GET_ORDERS, .order_sns = order_sns, .n_order_sns = 1, .cursor = ""};
static const PlatformCall *const all_calls[] = {&push, &price, &list, &find, &item, &orders, &get};

#define N_CALLS 7

/* check asserts the class of an answer and of all its items; in doubt is later for a read */
static void
check(const PlatformCall *call, const PlatformAnswer *answer, OutcomeClass class, OutcomeClass of_item)
{
	int			i;

	if (class == OUTCOME_IN_DOUBT && platform_call_reads(call->kind))
		class = OUTCOME_LATER;
	assert_class(answer->class, class);
	assert_int_equal(answer->n_items, call->n_items);
	for (i = 0; i < answer->n_items; i++)
	{
		assert_int_equal(answer->items[i].listing_id, items[i].listing_id);
		assert_class(answer->items[i].class, of_item);
		assert_int_equal(*answer->items[i].reason == '\0', of_item == OUTCOME_OK);
	}
}

static void
success_is_a_word(void **state)
{
	static const char *const not_success[] = {
		"{}", "[]", "7", "\"success\"", "{\"status\":\"SUCCESS\"}", "{\"status\":\"ok\",\"data\":{}}",
		"{\"status\":true}", "{\"status\":200}", "{\"data\":{},\"error_code\":null}", "{\"status\":\"\"}", "",
		"{\"status\":\"success\"", "<html>success</html>"
	};
	int			k;
	size_t		i;

	for (k = 0; k < 3; k++)
	{
		PlatformAnswer answer = judge(all_calls[k], *state, SUCCESS("null"));

		check(all_calls[k], &answer, OUTCOME_OK, OUTCOME_OK);
		assert_string_equal(answer.code, "");
		assert_string_equal(answer.message, "");
		answer = judge(all_calls[k], *state, "{\"status\":\"success\"}");
		check(all_calls[k], &answer, OUTCOME_OK, OUTCOME_OK);
		/* somebody else speaks through a status that is no success */
		answer = judge_http(all_calls[k], *state, 502, SUCCESS("null"));
		check(all_calls[k], &answer, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
		for (i = 0; i < sizeof(not_success) / sizeof(not_success[0]); i++)
		{
			answer = judge(all_calls[k], *state, not_success[i]);
			check(all_calls[k], &answer, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
		}
	}
}

typedef struct Refusal
{
	int			http_status;
	const char *code;
	const char *message;
	OutcomeClass class;
	OutcomeClass of_item;
} Refusal;

static const Refusal refusals[] = {
	{200, "20005", "format", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{400, "\"200005\"", "format", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{400, "211101", "no default shipping", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{400, "211106", "", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{400, "211006", "", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{400, "999999", "never seen", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{200, "null", "never seen", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{404, "10404", "item not found", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
	{401, "10401", "", OUTCOME_AUTH, OUTCOME_LATER},
	{403, "10403", "signature", OUTCOME_AUTH, OUTCOME_LATER},
	{403, "10403", "timestamp out of range", OUTCOME_LATER, OUTCOME_LATER},
	{429, "10429", "", OUTCOME_THROTTLED, OUTCOME_LATER},
	{200, "10429", "Too many requests", OUTCOME_THROTTLED, OUTCOME_LATER},
	{500, "10500", "please try again", OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
	{503, "10503", "", OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
	{200, "1", "System error", OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
	{200, "1", "系統忙碌中，請稍後再試", OUTCOME_LATER, OUTCOME_LATER},
	/* a known code counts, whatever it comes with */
	{500, "20005", "busy", OUTCOME_PERMANENT, OUTCOME_PERMANENT},
};

static void
refusals_have_their_class(void **state)
{
	static const char *const words[] = {"fail", "failure", "failed", "error"};
	size_t		i;
	size_t		k;
	size_t		w;

	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		for (k = 0; k < N_CALLS; k++)
			for (w = 0; w < sizeof(words) / sizeof(words[0]); w++)
			{
				const Refusal *r = &refusals[i];
				const char *body = arena_printf(*state, "{\"status\":\"%s\",\"data\":null,\"error_code\":%s,\"error_msg\":\"%s\"}",
												words[w], r->code, r->message);
				PlatformAnswer answer = judge_http(all_calls[k], *state, r->http_status, body);

				if (all_calls[k] == &item && r->http_status == 404)
				{
					/* that there is no such item is an answer */
					assert_class(answer.class, OUTCOME_OK);
					assert_int_equal(answer.n_shown, 0);
					continue;
				}
				check(all_calls[k], &answer, r->class, r->of_item);
				assert_string_equal(answer.message, *r->message != '\0' ? r->message : "refused without a reason");
			}
}

static void
codes_and_messages_are_cleaned(void **state)
{
	PlatformAnswer answer = judge(&push, *state, FAIL("\"a\\u0007b\"", "key 0123456789abcdef0123456789abcdef\\n"));

	assert_string_equal(answer.code, "a b");
	assert_null(strstr(answer.message, "0123456789abcdef"));
	answer = judge(&push, *state, "{\"status\":\"fail\",\"error_code\":{},\"error_msg\":[]}");
	check(&push, &answer, OUTCOME_PERMANENT, OUTCOME_PERMANENT);
	assert_string_equal(answer.code, "");
}

static void
pages_that_are_not_of_the_platform(void **state)
{
	static const struct
	{
		int			http_status;
		OutcomeClass class;
		OutcomeClass of_item;
	}			pages[] = {
		{200, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
		{302, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
		{401, OUTCOME_AUTH, OUTCOME_LATER},
		{403, OUTCOME_LATER, OUTCOME_LATER},
		{404, OUTCOME_LATER, OUTCOME_LATER},
		{429, OUTCOME_THROTTLED, OUTCOME_LATER},
		{502, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT},
	};
	size_t		i;
	size_t		k;

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		for (k = 0; k < N_CALLS; k++)
		{
			PlatformAnswer answer = judge_http(all_calls[k], *state, pages[i].http_status, "<html><body>CF-Ray</body></html>");

			check(all_calls[k], &answer, pages[i].class, pages[i].of_item);
		}
}

static void
replies_that_did_not_come(void **state)
{
	size_t		k;

	for (k = 0; k < N_CALLS; k++)
	{
		PlatformReply reply = {.retry_after = -1};
		PlatformAnswer answer;

		platform_ruten.judge(all_calls[k], &reply, *state, &answer);
		check(all_calls[k], &answer, OUTCOME_LATER, OUTCOME_LATER);
		reply.sent = true;
		platform_ruten.judge(all_calls[k], &reply, *state, &answer);
		check(all_calls[k], &answer, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
		reply.http_status = 200;
		reply.body = SUCCESS("null");
		reply.body_length = strlen(reply.body);
		platform_ruten.judge(all_calls[k], &reply, *state, &answer);
		check(all_calls[k], &answer, OUTCOME_IN_DOUBT, OUTCOME_IN_DOUBT);
	}
}

static void
an_answer_that_does_not_fit_is_none(void **state)
{
	static const char *const bodies[] = {
		SUCCESS("null"), SUCCESS("null"), SUCCESS("null"), SUCCESS("[\"22500000000002\"]"),
		SUCCESS("{\"item_id\":\"22500000000002\"}"), SUCCESS("{\"order_list\":[{\"order_id\":\"25100900000001\"}]}"),
		SUCCESS("[{\"order_id\":\"25100900000001\",\"order_status\":\"Shipped\",\"item_list\":[{\"item_id\":\"5\",\"quantity_purchased\":1}]}]")
	};
	size_t		k;

	(void) state;
	for (k = 0; k < N_CALLS; k++)
	{
		bool		done = false;
		size_t		size;

		for (size = 1; size < 100000 && !done; size += 32)
		{
			Arena	   *small = arena_create(size);
			PlatformReply reply = {.sent = true, .complete = true, .http_status = 200, .retry_after = -1,
				.body = bodies[k], .body_length = strlen(bodies[k])};
			PlatformAnswer answer;

			platform_ruten.judge(all_calls[k], &reply, small, &answer);
			done = answer.class == OUTCOME_OK;
			assert_int_equal(done, !arena_failed(small));
			if (!done)
			{
				assert_class(answer.class, platform_call_reads(all_calls[k]->kind) ? OUTCOME_LATER : OUTCOME_IN_DOUBT);
				assert_int_equal(answer.n_order_sns + answer.n_item_ids + answer.n_shown + answer.n_documents, 0);
			}
			arena_free(small);
		}
		assert_true(done);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(success_is_a_word),
		arena_test(refusals_have_their_class),
		arena_test(codes_and_messages_are_cleaned),
		arena_test(pages_that_are_not_of_the_platform),
		arena_test(replies_that_did_not_come),
		cmocka_unit_test(an_answer_that_does_not_fit_is_none),
	};

	return cmocka_run_group_tests_name("ruten_judge", tests, NULL, NULL);
}
