/*
 * test_json.c
 *		Tests of reading foreign JSON: exact numbers, mended texts, bounds.
 */
#include "codec_test.h"

#include <stdlib.h>

#include "json.h"

/* parse from memory of the exact size, so that reading beyond it is seen */
static cJSON *
parse(const char *text, size_t length)
{
	char	   *copy = malloc(length > 0 ? length : 1);
	cJSON	   *tree;

	assert_non_null(copy);
	memcpy(copy, text, length);
	tree = jread_parse(copy, length);
	free(copy);
	return tree;
}

static void
has_text(const char *body, size_t length, const char *expected)
{
	cJSON	   *tree = parse(body, length);

	assert_non_null(tree);
	assert_string_equal(jread_text(tree, "a"), expected);
	cJSON_Delete(tree);
}

#define HAS_TEXT(body, expected) has_text(body, sizeof(body) - 1, expected)

static void
numbers_keep_their_text(void **state)
{
	(void) state;
	HAS_TEXT("{\"a\":9007199254740993}", "9007199254740993");
	HAS_TEXT("{\"a\":9223372036854775807}", "9223372036854775807");
	HAS_TEXT("{\"a\":1000000000000000}", "1000000000000000");
	HAS_TEXT("{\"a\":199.0}", "199.0");
	HAS_TEXT("{\"a\":-0.5e+10}", "-0.5e+10");
	HAS_TEXT("{\"a\":0}", "0");
	HAS_TEXT("{\"a\":\"12\"}", "12");
}

static void
texts_are_mended(void **state)
{
	(void) state;
	HAS_TEXT("{\"a\":\"x\\u0000y\"}", "x\uFFFDy");
	HAS_TEXT("{\"a\":\"x\\ud83dy\"}", "x\uFFFDy");
	HAS_TEXT("{\"a\":\"x\\ude00y\"}", "x\uFFFDy");
	HAS_TEXT("{\"a\":\"x\\ud83d\\ud83dy\"}", "x\uFFFD\uFFFDy");
	HAS_TEXT("{\"a\":\"\\ud83d\\ude00\"}", "😀");
	HAS_TEXT("{\"a\":\"x\\ud83d\"}", "x\uFFFD");
	HAS_TEXT("{\"a\":\"x\xFFy\xE8\xB2\"}", "x?y??");
	HAS_TEXT("{\"a\":\"x\0y\nz\"}", "x y z");
	HAS_TEXT("{\"a\":\"\\\"\\\\\\/\\b\\n1\"}", "\"\\/\b\n1");
	HAS_TEXT("{\"a\":\"1,2:{[\"}", "1,2:{[");
}

static void
what_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"", " ", "<html></html>", "{", "}", "[", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
		"{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":+1}", "{\"a\":.5}", "{\"a\":1.}", "{\"a\":1e}", "{\"a\":-}",
		"{\"a\":NaN}", "{\"a\":tru}", "{\"a\":1}x", "{\"a\":1}{\"b\":2}", "{\"a\":1}]", "[1 2]", "[1-1]",
		"{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"\\u12G4\"}", "{\"a\":\"\\", "{\"a\":\"\\u", "{\"a\":\"",
		"{\"a\":12345678901234567890123456789012345678901}",
		"error_rate_limit", "{\"a\":1}\xFF"
	};
	size_t		i;

	(void) state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(parse(bad[i], strlen(bad[i])));
	assert_null(parse("{\"a\":1}\0", 8));
	assert_null(jread_parse(NULL, 10));
}

/* fill repeats a piece until the body has `bytes` and closes it */
static char *
repeated(const char *open, const char *piece, size_t times, const char *close)
{
	size_t		n = strlen(piece);
	char	   *text = malloc(strlen(open) + n * times + strlen(close) + 1);
	char	   *p = text;
	size_t		i;

	assert_non_null(text);
	p = stpcpy(p, open);
	for (i = 0; i < times; i++)
		p = stpcpy(p, piece);
	(void) stpcpy(p, close);
	return text;
}

static void
is_parsed(char *text, bool expected)
{
	cJSON	   *tree = jread_parse(text, strlen(text));

	assert_int_equal(tree != NULL, expected);
	cJSON_Delete(tree);
	free(text);
}

static void
bounds_hold(void **state)
{
	char	   *open;
	char	   *close;

	(void) state;
	is_parsed(repeated("[", "1,", 1000, "1]"), true);
	is_parsed(repeated("[", "1,", JSON_MAX_VALUES, "1]"), false);
	is_parsed(repeated("[\"", "x", 3 * 1024 * 1024, "\"]"), true);
	is_parsed(repeated("[\"", "x", JSON_MAX_BYTES, "\"]"), false);

	close = repeated("", "]", JSON_MAX_DEPTH, "");
	open = repeated("", "[", JSON_MAX_DEPTH, close);
	free(close);
	is_parsed(open, true);
	close = repeated("", "]", JSON_MAX_DEPTH + 1, "");
	open = repeated("", "[", JSON_MAX_DEPTH + 1, close);
	free(close);
	is_parsed(open, false);
	is_parsed(repeated("", "[", 1000000, ""), false);
}

static void
members_are_typed(void **state)
{
	const char *text = "{\"o\":{\"x\":1},\"l\":[1],\"t\":\"s\",\"n\":null,\"b\":true,\"i\":12,\"d\":1.5,\"O\":2}";
	cJSON	   *tree = parse(text, strlen(text));
	int64_t		value = 0;

	(void) state;
	assert_non_null(jread_child(tree, "o"));
	assert_null(jread_child(tree, "l"));
	assert_null(jread_child(NULL, "o"));
	assert_non_null(jread_array(tree, "l"));
	assert_null(jread_array(tree, "o"));
	assert_null(jread_array(jread_array(tree, "l"), "l"));
	assert_string_equal(jread_text(tree, "t"), "s");
	assert_null(jread_text(tree, "b"));
	assert_null(jread_text(tree, "n"));
	assert_null(jread_text(tree, "T"));
	assert_null(jread_text(NULL, "t"));
	assert_string_equal(jread_text(tree, "O"), "2");
	assert_true(jread_int(tree, "i", 0, 100, &value) && value == 12);
	assert_false(jread_int(tree, "i", 0, 11, &value));
	assert_false(jread_int(tree, "d", 0, 100, &value));
	assert_false(jread_int(tree, "t", 0, 100, &value));
	assert_false(jread_int(tree, "none", 0, 100, &value));
	assert_true(jread_has(tree, "b"));
	assert_false(jread_has(tree, "n"));
	assert_false(jread_has(tree, "none"));
	cJSON_Delete(tree);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_keep_their_text),
		cmocka_unit_test(texts_are_mended),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(members_are_typed),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
