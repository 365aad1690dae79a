/*
 * test_platform.c
 *		Tests of what is the same for all platforms.
 */
#include "codec_test.h"

static void
outcomes_are_named_as_in_sql(void **state)
{
	/* the labels of the type outcome_class, in its order */
	static const char *const labels[] = {
		"ok", "partial", "throttled", "quota", "auth", "later", "permanent", "in_doubt"
	};
	size_t		i;

	(void) state;
	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		assert_string_equal(outcome_name((OutcomeClass) i), labels[i]);
}

static void
platforms_are_found_by_name(void **state)
{
	const Platform *const *all = platform_all();
	int			n = 0;

	(void) state;
	assert_ptr_equal(platform_find("shopee"), &platform_shopee);
	assert_ptr_equal(platform_find("ruten"), &platform_ruten);
	assert_ptr_equal(platform_find("pchome"), &platform_pchome);
	assert_null(platform_find("Shopee"));
	assert_null(platform_find(""));
	for (; all[n] != NULL; n++)
	{
		assert_ptr_equal(platform_find(all[n]->name), all[n]);
		assert_in_range(all[n]->max_push_items, 1, 1000);
		assert_in_range(all[n]->max_get_orders, 1, 1000);
		assert_true(all[n]->max_quantity > 0 && all[n]->max_window > 0);
		assert_non_null(all[n]->build);
		assert_non_null(all[n]->judge);
	}
	assert_int_equal(n, 3);
}

static void
known_secrets_leave_an_answer(void **state)
{
	ItemOutcome items[] = {{1, OUTCOME_PERMANENT, "shortKey! is short"}, {2, OUTCOME_OK, ""}};
	PlatformAnswer answer = {
		.code = "error_shortKey!", .message = "tok1 and ref1, c0de5", .items = items, .n_items = 2
	};
	PlatformAccess access = {.partner_key = "shortKey!", .access_token = "tok1", .refresh_token = "ref1", .auth_code = "c0de5"};

	platform_redact(&access, *state, &answer);
	assert_string_equal(answer.code, "error_[redacted]");
	assert_string_equal(answer.message, "[redacted] and [redacted], [redacted]");
	assert_string_equal(items[0].reason, "[redacted] is short");
	assert_string_equal(items[1].reason, "");
	platform_redact(&(PlatformAccess) {0}, *state, &answer);
	assert_string_equal(answer.message, "[redacted] and [redacted], [redacted]");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcomes_are_named_as_in_sql),
		cmocka_unit_test(platforms_are_found_by_name),
		arena_test(known_secrets_leave_an_answer),
	};

	return cmocka_run_group_tests_name("platform", tests, NULL, NULL);
}
