/*
 * test_ruten_push.c
 *		Tests of Ruten's notifications: what is signed, what is refused, what
 *		they say.
 */
#include "ruten_test.h"

#define URL "https://erp.example.com/hooks/ruten"
#define BODY "{\"action_type\":\"create_order\",\"order_no\":\"25100900000001\"}"

/* A notification signed for the access, of the time of the vectors. */
static PlatformPush
push_of(Arena *arena, const PlatformAccess *access, const char *body)
{
	return (PlatformPush) {
		.url = URL,
		.authorization = ruten_signature(arena, access, URL, body, strlen(body), "1760000000"),
		.key = access->api_key,
		.timestamp = "1760000000",
		.body = body,
		.body_length = strlen(body),
	};
}

static PushHint
taken(Arena *arena, const PlatformPush *push, const PlatformAccess *access)
{
	PushHint	hint;
	const char *error = "untouched";

	assert_true(platform_ruten.read_push(push, access, arena, &hint, &error));
	assert_null(error);
	return hint;
}

static void
refused(Arena *arena, const PlatformPush *push, const PlatformAccess *access, const char *expected)
{
	PushHint	hint;
	const char *error = NULL;

	assert_false(platform_ruten.read_push(push, access, arena, &hint, &error));
	assert_string_equal(error, expected);
	assert_int_equal(hint.kind, PUSH_OTHER);
	assert_string_equal(hint.order_sn, "");
}

static void
a_notification_names_an_order(void **state)
{
	static const char *const actions[] = {"create_order", "order_paid", "buyer_cancel", "order_cancel", "something_new"};
	size_t		i;

	for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		const char *body = arena_printf(*state, "{\"action_type\":\"%s\",\"order_no\":\"25100900000001\"}", actions[i]);
		PlatformPush push = push_of(*state, &ruten_access, body);
		PushHint	hint = taken(*state, &push, &ruten_access);

		assert_int_equal(hint.kind, PUSH_ORDER);
		assert_string_equal(hint.code, actions[i]);
		assert_string_equal(hint.order_sn, "25100900000001");
		assert_string_equal(hint.shop_id, "");
		assert_int_equal(hint.sent_at, 1760000000);
		assert_int_equal(hint.reserved, -1);
	}
}

static void
other_shapes_of_a_body(void **state)
{
	PlatformPush push = push_of(*state, &ruten_access, "{\"action_type\":\"order_paid\",\"order_id\":25100900000001}");

	assert_string_equal(taken(*state, &push, &ruten_access).order_sn, "25100900000001");
	push = push_of(*state, &ruten_access, "{\"action_type\":\"news\"}");
	assert_int_equal(taken(*state, &push, &ruten_access).kind, PUSH_OTHER);
	push = push_of(*state, &ruten_access, "{\"action_type\":\"news\",\"order_no\":\"a,b\"}");
	assert_int_equal(taken(*state, &push, &ruten_access).kind, PUSH_OTHER);
}

static void
bodies_that_are_no_notification(void **state)
{
	static const char *const bodies[] = {"", "x", "{}", "[]", "{\"order_no\":\"1\"}", "{\"action_type\":null}", "{\"action_type\":\"a\""};
	size_t		i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		PlatformPush push = push_of(*state, &ruten_access, bodies[i]);

		refused(*state, &push, &ruten_access, "the body is not a notification of Ruten");
	}
}

static void
all_that_is_signed_counts(void **state)
{
	const char *wrong = "the signature of the notification is wrong";
	PlatformPush push = push_of(*state, &ruten_access, BODY);
	PlatformPush changed = push;
	PlatformAccess access = ruten_access;

	taken(*state, &push, &ruten_access);
	changed.url = URL "/";
	refused(*state, &changed, &ruten_access, wrong);
	changed = push;
	changed.body = "{\"action_type\": \"create_order\",\"order_no\":\"25100900000001\"}";
	changed.body_length = strlen(changed.body);
	refused(*state, &changed, &ruten_access, wrong);
	changed = push;
	changed.timestamp = "1760000001";
	refused(*state, &changed, &ruten_access, wrong);
	changed = push;
	changed.authorization = "";
	refused(*state, &changed, &ruten_access, wrong);
	changed.authorization = arena_strndup(*state, push.authorization, 63);
	refused(*state, &changed, &ruten_access, wrong);
	changed.authorization = arena_printf(*state, "%s ", push.authorization);
	refused(*state, &changed, &ruten_access, wrong);
	changed = push;
	changed.key = "demo-api-key-0002";
	refused(*state, &changed, &ruten_access, "the notification names another key");
	access.secret_key = "other";
	refused(*state, &push, &access, wrong);
	access = ruten_access;
	access.salt_key = "other";
	refused(*state, &push, &access, wrong);
}

static void
the_other_forms_of_a_signature(void **state)
{
	PlatformAccess access = ruten_access;
	PlatformPush push;

	access.sign_path_only = true;
	access.sign_base64 = true;
	push = push_of(*state, &access, BODY);
	assert_int_equal(strlen(push.authorization), 44);
	taken(*state, &push, &access);
	refused(*state, &push, &ruten_access, "the signature of the notification is wrong");
}

static void
missing_headers_and_old_times(void **state)
{
	const char *missing = "a header of the notification is missing";
	const char *old = "the notification is too old, or from the future";
	PlatformPush push = push_of(*state, &ruten_access, BODY);
	PlatformPush changed = push;
	PlatformAccess access = ruten_access;

	changed.authorization = NULL;
	refused(*state, &changed, &ruten_access, missing);
	changed = push;
	changed.key = NULL;
	refused(*state, &changed, &ruten_access, missing);
	changed = push;
	changed.timestamp = NULL;
	refused(*state, &changed, &ruten_access, missing);
	changed.timestamp = "1760000000 ";
	refused(*state, &changed, &ruten_access, "the time of the notification is not a number");
	changed = push;
	changed.url = NULL;
	refused(*state, &changed, &ruten_access, missing);
	access.now = 1760000300;
	taken(*state, &push, &access);
	access.now++;
	refused(*state, &push, &access, old);
	access.now = 1760000000 - 301;
	refused(*state, &push, &access, old);
	access.api_key = NULL;
	refused(*state, &push, &access, "credential api_key is missing");
}

static void
a_full_arena_takes_nothing(void **state)
{
	PlatformPush push = push_of(*state, &ruten_access, BODY);
	bool		done = false;
	size_t		size;

	for (size = 1; size < 10000 && !done; size += 16)
	{
		Arena	   *small = arena_create(size);
		PushHint	hint;
		const char *error = NULL;

		done = platform_ruten.read_push(&push, &ruten_access, small, &hint, &error);
		assert_int_equal(error == NULL, done);
		arena_free(small);
	}
	assert_true(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(a_notification_names_an_order),
		arena_test(other_shapes_of_a_body),
		arena_test(bodies_that_are_no_notification),
		arena_test(all_that_is_signed_counts),
		arena_test(the_other_forms_of_a_signature),
		arena_test(missing_headers_and_old_times),
		arena_test(a_full_arena_takes_nothing),
	};

	return cmocka_run_group_tests_name("ruten_push", tests, NULL, NULL);
}
