/*
 * test_shopee_push.c
 *		Tests of Shopee's notifications: whose they are, and what they say.
 */
#include "codec_test.h"

#include "shopee.h"

#define P1 "{\"data\":{\"items\":[],\"ordersn\":\"251009TESTSN01\",\"status\":\"READY_TO_SHIP\",\"completed_scenario\":\"\"," \
	"\"update_time\":1760000000},\"shop_id\":300123456,\"code\":3,\"timestamp\":1760000000}"
#define P1_SIGN "37727b5fe368c8afa51546ce9879b39598b6a58e3e3f36f11643911153ac7113"
#define P2 "{\"data\":{\"shop_id\":300123456,\"item_id\":100001,\"variation_id\":200001,\"changed_values\":[{\"name\":" \
	"\"reserved_stock\",\"old\":10,\"new\":9}],\"promotion_type\":\"flash_sale\",\"promotion_id\":104993304719361," \
	"\"action\":\"place_order\",\"ordersn\":\"251009TESTSN01\",\"update_time\":1760000000},\"shop_id\":300123456,\"code\":8," \
	"\"timestamp\":1760000000}"
#define P2_SIGN "830f026863877db24732111e61cf521d67e2b4397c994dd114e1c9aac4865a6f"
#define P3_SIGN "c28739eb1a19075417877ec6b4363f56742fab9ade28504a3a66dbe6953b8bb3"
#define URL "https://erp.example.com/hooks/shopee"

/* What is wrong with the notification, NULL when nothing is. */
static const char *
read_at(int64_t now, const char *url, const char *sign, const char *body, Arena *arena, PushHint *hint)
{
	PlatformAccess access = test_access;
	PlatformPush push = {.url = url, .authorization = sign, .body = body, .body_length = strlen(body)};
	const char *error = "untouched";

	access.now = now;
	return platform_shopee.read_push(&push, &access, arena, hint, &error) ? NULL : error;
}

/* The same, signed as it should be. */
static const char *
read_signed(const char *body, Arena *arena, PushHint *hint)
{
	char		hex[SIGN_HEX_BYTES];
	const char *base = arena_printf(arena, "%s|%s", URL, body);

	assert_true(sign_hmac_sha256_hex(test_access.partner_key, base, strlen(base), hex));
	return read_at(1760000000, URL, hex, body, arena, hint);
}

static void
vectors(void **state)
{
	PushHint	hint;

	assert_null(read_at(1760000000, URL, P1_SIGN, P1, *state, &hint));
	assert_int_equal(hint.kind, PUSH_ORDER);
	assert_string_equal(hint.order_sn, "251009TESTSN01");
	assert_string_equal(hint.shop_id, "300123456");
	assert_string_equal(hint.code, "3");
	assert_int_equal(hint.sent_at, 1760000000);
	assert_null(read_at(1760000000, URL, P2_SIGN, P2, *state, &hint));
	assert_int_equal(hint.kind, PUSH_RESERVED);
	assert_string_equal(hint.item_id, "100001");
	assert_string_equal(hint.model_id, "200001");
	assert_int_equal(hint.reserved, 9);
}

static void
forgeries(void **state)
{
	const char *wrong = "the signature does not fit";
	PushHint	hint;

	assert_string_equal(read_at(1760000000, URL, P3_SIGN, P1, *state, &hint), wrong);
	assert_false(hint.genuine);
	assert_string_equal(read_at(1760000000, URL, P2_SIGN, P1, *state, &hint), wrong);
	assert_string_equal(read_at(1760000000, URL "/", P1_SIGN, P1, *state, &hint), wrong);
	assert_string_equal(read_at(1760000000, URL, P1_SIGN, P1 " ", *state, &hint), wrong);
	assert_string_equal(read_at(1760000000, URL, "", P1, *state, &hint), wrong);
	assert_string_equal(read_at(1760000000, URL, NULL, P1, *state, &hint), wrong);
	assert_string_equal(read_at(1760000000, URL, "37727B5FE368C8AFA51546CE9879B39598B6A58E3E3F36F11643911153AC7113", P1, *state, &hint),
						wrong);
	assert_string_equal(read_at(1760000000, NULL, P1_SIGN, P1, *state, &hint), wrong);
}

/* The last repetition goes out 13,200 s after the first try. */
static void
ages(void **state)
{
	const char *wrong = "the notification is too old, or of a time to come";
	PushHint	hint;

	assert_null(read_at(1760000000 + 13200, URL, P1_SIGN, P1, *state, &hint));
	assert_string_equal(read_at(1760000000 + 6 * 3600 + 1, URL, P1_SIGN, P1, *state, &hint), wrong);
	assert_null(read_at(1760000000 - 300, URL, P1_SIGN, P1, *state, &hint));
	assert_string_equal(read_at(1760000000 - 301, URL, P1_SIGN, P1, *state, &hint), wrong);
}

static void
bodies(void **state)
{
	PushHint	hint;

	assert_string_equal(read_signed("[1]", *state, &hint), "the notification is no JSON object");
	assert_string_equal(read_signed("", *state, &hint), "the notification is no JSON object");
	assert_string_equal(read_signed("{\"timestamp\":1760000000}", *state, &hint), "the notification has no code");
	assert_string_equal(read_signed("{\"code\":3}", *state, &hint), "the notification has no time");
	/* tests send every number as a text */
	assert_null(read_signed("{\"code\":\"3\",\"timestamp\":\"1760000000\",\"shop_id\":\"7\",\"data\":{\"ordersn\":\"A\"}}", *state, &hint));
	assert_int_equal(hint.kind, PUSH_ORDER);
	assert_string_equal(hint.shop_id, "7");
	assert_null(read_signed("{\"code\":3,\"timestamp\":1760000000,\"data\":{}}", *state, &hint));
	assert_int_equal(hint.kind, PUSH_OTHER);
	assert_null(read_signed("{\"code\":12,\"timestamp\":1760000000,\"data\":{\"shop_expire_soon\":[1]}}", *state, &hint));
	assert_int_equal(hint.kind, PUSH_EXPIRING);
	assert_string_equal(hint.shop_id, "");
	assert_null(read_signed("{\"code\":2,\"timestamp\":1760000000,\"data\":{\"shop_id\":7}}", *state, &hint));
	assert_int_equal(hint.kind, PUSH_REVOKED);
	assert_string_equal(hint.shop_id, "7");
	assert_string_equal(read_signed("{\"code\":8,\"timestamp\":1760000000,\"shop_id\":7,\"data\":{\"shop_id\":8,\"item_id\":1}}", *state, &hint),
						"the notification names two shops");
	assert_true(hint.genuine);
	assert_null(read_signed("{\"code\":99,\"timestamp\":1760000000}", *state, &hint));
	assert_int_equal(hint.kind, PUSH_OTHER);
}

/* What comes from the platform's own answer is neither signed nor young. */
static void
lost_text(void **state)
{
	PushHint	hint;
	const char *error = NULL;

	assert_true(platform_shopee.read_lost(P1, strlen(P1), *state, &hint, &error));
	assert_int_equal(hint.kind, PUSH_ORDER);
	assert_string_equal(hint.order_sn, "251009TESTSN01");
	assert_false(hint.genuine);
	assert_false(platform_shopee.read_lost("{", 1, *state, &hint, &error));
	assert_string_equal(error, "the notification is no JSON object");
}

static void
lost_ones(void **state)
{
	PlatformCall lost = {.kind = CALL_LOST_PUSHES, .cursor = ""};
	PlatformCall confirm = {.kind = CALL_CONFIRM_PUSHES, .cursor = "12"};
	PlatformAccess access = test_access;
	PlatformRequest request;
	const char *error;
	PlatformAnswer answer;

	/* of the application: no shop, no token */
	access.shop_id = access.access_token = NULL;
	assert_true(platform_shopee.build(&lost, &access, *state, &request, &error));
	assert_non_null(strstr(request.url, "/api/v2/push/get_lost_push_message?partner_id=2009999&timestamp=1760000000&sign="));
	assert_true(platform_shopee.build(&confirm, &access, *state, &request, &error));
	assert_string_equal(request.body, "{\"last_message_id\":12}");
	confirm.cursor = "x";
	assert_false(platform_shopee.build(&confirm, &access, *state, &request, &error));

	answer = judge(&lost, *state, "{\"error\":\"\",\"response\":{\"push_message_list\":["
				   "{\"code\":3,\"timestamp\":1,\"data\":\"{\\\"code\\\":3}\"},{\"code\":8,\"timestamp\":2,\"data\":{\"item_id\":1}}],"
				   "\"has_next_page\":true,\"last_message_id\":12}}");
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 2);
	assert_string_equal(answer.documents, "[\"{\\\"code\\\":3}\","
						"\"{\\\"code\\\":\\\"8\\\",\\\"timestamp\\\":\\\"2\\\",\\\"data\\\":{\\\"item_id\\\":\\\"1\\\"}}\"]");
	assert_string_equal(answer.next_cursor, "12");
	assert_true(answer.more);
	answer = judge(&lost, *state, "{\"error\":\"\",\"response\":{\"push_message_list\":[],\"has_next_page\":false}}");
	assert_class(answer.class, OUTCOME_OK);
	assert_int_equal(answer.n_documents, 0);
	assert_class(judge(&lost, *state, "{\"error\":\"\",\"response\":{\"push_message_list\":[1]}}").class, OUTCOME_LATER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(vectors),
		arena_test(forgeries),
		arena_test(ages),
		arena_test(bodies),
		arena_test(lost_text),
		arena_test(lost_ones),
	};

	return cmocka_run_group_tests_name("shopee_push", tests, NULL, NULL);
}
