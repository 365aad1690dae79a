/*
 * test_plain.c
 *		Tests of text in pure code: whole numbers, UTF-8, escapes, redaction.
 */
#include "codec_test.h"

#include "plain.h"

static bool
reads(const char *text, int64_t low, int64_t high)
{
	int64_t		value = -77;
	bool		ok = plain_int(text, low, high, &value);

	if (!ok)
		assert_int_equal(value, -77);
	return ok;
}

static void
whole_numbers_are_exact(void **state)
{
	int64_t		value;

	(void) state;
	assert_true(plain_int("0", 0, INT64_MAX, &value) && value == 0);
	assert_true(plain_int("9007199254740993", 0, INT64_MAX, &value) && value == INT64_C(9007199254740993));
	assert_true(plain_int("9223372036854775807", 0, INT64_MAX, &value) && value == INT64_MAX);
	assert_true(plain_int("-9223372036854775808", INT64_MIN, 0, &value) && value == INT64_MIN);
	assert_true(plain_int("-1", INT64_MIN, 0, &value) && value == -1);
	assert_true(reads("4294967295", 0, INT64_C(4294967295)));
}

static void
what_is_no_whole_number_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "-", "+1", "01", "00", "-0", "-01", " 1", "1 ", "1.0", "1e3", "0x10", "1,000", "１",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999999", "1\n", "abc"
	};
	size_t		i;

	(void) state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(reads(bad[i], INT64_MIN, INT64_MAX));
	assert_false(reads("4294967296", 0, INT64_C(4294967295)));
	assert_false(reads("-1", 0, 10));
	assert_false(reads("0", 1, 10));
}

static void
utf8_is_told_from_what_is_not(void **state)
{
	(void) state;
	assert_int_equal(plain_utf8_length("a", 1), 1);
	assert_int_equal(plain_utf8_length("é", 2), 2);
	assert_int_equal(plain_utf8_length("貨", 3), 3);
	assert_int_equal(plain_utf8_length("😀", 4), 4);
	assert_int_equal(plain_utf8_length("😀", 3), 0);
	assert_int_equal(plain_utf8_length("", 0), 0);
	assert_int_equal(plain_utf8_length("\x80", 1), 0);
	assert_int_equal(plain_utf8_length("\xC0\x80", 2), 0);
	assert_int_equal(plain_utf8_length("\xC1\xBF", 2), 0);
	assert_int_equal(plain_utf8_length("\xE0\x80\x80", 3), 0);
	assert_int_equal(plain_utf8_length("\xED\xA0\x80", 3), 0);
	assert_int_equal(plain_utf8_length("\xF0\x80\x80\x80", 4), 0);
	assert_int_equal(plain_utf8_length("\xF4\x90\x80\x80", 4), 0);
	assert_int_equal(plain_utf8_length("\xF5\x80\x80\x80", 4), 0);
}

static void
foreign_text_is_cleaned(void **state)
{
	assert_string_equal(plain_clean(*state, "a\nb\tc\x7F" "d\x1B[31m", 100), "a b c d [31m");
	/* next line, U+0085, is a control character of two bytes */
	assert_string_equal(plain_clean(*state, "a\xC2\x85" "b", 100), "a b");
	assert_string_equal(plain_clean(*state, "a\xFF\xE8\xB2", 100), "a???");
	assert_string_equal(plain_clean(*state, "庫存不足", 100), "庫存不足");
	assert_string_equal(plain_clean(*state, "", 100), "");
	assert_string_equal(plain_clean(*state, "abc", 0), "");
}

static void
long_text_is_cut_at_a_character(void **state)
{
	assert_string_equal(plain_clean(*state, "庫存", 6), "庫存");
	assert_string_equal(plain_clean(*state, "庫存", 5), "庫");
	assert_string_equal(plain_clean(*state, "庫存", 4), "庫");
	assert_string_equal(plain_clean(*state, "庫存", 3), "庫");
	assert_string_equal(plain_clean(*state, "庫存", 2), "");
	assert_string_equal(plain_clean(*state, "a😀b", 4), "a");
	assert_string_equal(plain_clean(*state, "a😀b", 5), "a😀");
}

static const char *
query(Arena *arena, const char *text)
{
	PlainBuffer buffer;

	plain_begin(&buffer, arena, 0);
	plain_add_query(&buffer, text);
	return plain_finish(&buffer);
}

static const char *
quoted(Arena *arena, const char *text)
{
	PlainBuffer buffer;

	plain_begin(&buffer, arena, 0);
	plain_add_json(&buffer, text);
	return plain_finish(&buffer);
}

static void
texts_are_escaped(void **state)
{
	assert_string_equal(query(*state, "aZ09-._~"), "aZ09-._~");
	assert_string_equal(query(*state, "a b&c=d/e+f%,#?"), "a%20b%26c%3Dd%2Fe%2Bf%25%2C%23%3F");
	assert_string_equal(query(*state, "貨"), "%E8%B2%A8");
	assert_string_equal(quoted(*state, "a\"b\\c\nd\x01貨"), "\"a\\\"b\\\\c\\u000ad\\u0001貨\"");
	assert_string_equal(quoted(*state, ""), "\"\"");
}

static void
a_buffer_grows_and_fails_as_a_whole(void **state)
{
	Arena	   *small = arena_create(4096);
	PlainBuffer buffer;
	int			i;

	plain_begin(&buffer, *state, 1);
	for (i = 0; i < 10000; i++)
		plain_add_int(&buffer, i % 10);
	assert_int_equal(strlen(plain_finish(&buffer)), 10000);

	plain_begin(&buffer, small, 1);
	for (i = 0; i < 10000; i++)
		plain_add(&buffer, "x");
	assert_null(plain_finish(&buffer));
	assert_true(arena_failed(small));
	arena_free(small);
}

static void
what_looks_like_a_secret_is_removed(void **state)
{
	static const char *const pairs[][2] = {
		{"Invalid access_token, 5f48f7bdba99c7461860ec4eac874577.", "Invalid access_token, [redacted]."},
		{"token: abc", "token: [redacted]"},
		{"access_token=abc&shop_id=5", "access_token=[redacted]&shop_id=5"},
		{"{\"refresh_token\":\"abc\"}", "{\"refresh_token\":\"[redacted]\"}"},
		{"sign='ab12'", "sign='[redacted]'"},
		{"partner_key = shpk1", "partner_key = [redacted]"},
		{"shpkAbCdEfGhIjKlMnOpQrStUvWxYz", "[redacted]"},
		{"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "[redacted].[redacted]"},
	};
	size_t		i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(plain_redact_tokens(*state, pairs[i][0]), pairs[i][1]);
}

static void
what_helps_an_operator_is_kept(void **state)
{
	static const char *const texts[] = {
		"",
		"There is no access_token in query.",
		"Invalid refresh_token.",
		"error_model_update_stock_model_in_promotion",
		"Total stock must be more than reserved stock.",
		"the order 251009TESTSN01 is not found",
		"model 200001, item 104993304719361",
		"the path /api/v2/product/update_stock is incorrect",
		"活動進行中，庫存無法調整",
	};
	size_t		i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(plain_redact_tokens(*state, texts[i]), texts[i]);
}

static void
a_known_secret_is_removed_everywhere(void **state)
{
	assert_string_equal(plain_redact_secret(*state, "xx abcd abcdabcd", "abcd"),
						"xx [redacted] [redacted][redacted]");
	assert_string_equal(plain_redact_secret(*state, "abc", NULL), "abc");
	assert_string_equal(plain_redact_secret(*state, "abc", ""), "abc");
	assert_string_equal(plain_redact_secret(*state, "abc", "abc"), "abc");
	assert_string_equal(plain_redact_secret(*state, "nothing", "abcd"), "nothing");
}

static void
words_are_found_in_either_case(void **state)
{
	(void) state;
	assert_true(plain_contains("Item is in PROMOTION now", "promotion"));
	assert_true(plain_contains("商品活動中", "活動"));
	assert_true(plain_contains("abc", ""));
	assert_true(plain_contains("aab", "ab"));
	assert_false(plain_contains("", "a"));
	assert_false(plain_contains("promotio", "promotion"));
}

static void
visible_text_is_ascii_within_its_length(void **state)
{
	(void) state;
	assert_true(plain_visible("abc", 3));
	assert_false(plain_visible("abcd", 3));
	assert_false(plain_visible("", 3));
	assert_false(plain_visible("a b", 3));
	assert_false(plain_visible("a\n", 3));
	assert_false(plain_visible("貨", 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_are_exact),
		cmocka_unit_test(what_is_no_whole_number_is_refused),
		cmocka_unit_test(utf8_is_told_from_what_is_not),
		arena_test(foreign_text_is_cleaned),
		arena_test(long_text_is_cut_at_a_character),
		arena_test(texts_are_escaped),
		arena_test(a_buffer_grows_and_fails_as_a_whole),
		arena_test(what_looks_like_a_secret_is_removed),
		arena_test(what_helps_an_operator_is_kept),
		arena_test(a_known_secret_is_removed_everywhere),
		cmocka_unit_test(words_are_found_in_either_case),
		cmocka_unit_test(visible_text_is_ascii_within_its_length),
	};

	return cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
