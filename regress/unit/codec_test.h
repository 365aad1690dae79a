/*
 * codec_test.h
 *		What the tests of the codecs share: cmocka, an arena per test, an
 *		access made of the public vectors, and short ways to a judgement.
 */
#ifndef STORESYNC_CODEC_TEST_H
#define STORESYNC_CODEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform.h"

#define TEST_ARENA_BYTES	(64 * 1024 * 1024)

/* The codec that judge() asks; a test of another one names it before it includes this. */
#ifndef TEST_PLATFORM
#define TEST_PLATFORM	platform_shopee
#endif

static const PlatformAccess test_access = {
	.base_url = "https://partner.example.com",
	.shop_id = "300123456",
	.partner_id = "2009999",
	.partner_key = "demoPartnerKey0123456789abcdef",
	.access_token = "demoAccessToken0123456789",
	.refresh_token = "demoRefreshToken0123456789",
	.now = 1760000000,
};

static inline int
make_arena(void **state)
{
	*state = arena_create(TEST_ARENA_BYTES);
	return *state == NULL ? -1 : 0;
}

static inline int
drop_arena(void **state)
{
	arena_free(*state);
	return 0;
}

/* A test that gets a fresh arena as its state. */
#define arena_test(function) cmocka_unit_test_setup_teardown(function, make_arena, drop_arena)

/* A whole answer over HTTP, copied to memory of its exact size: an overrun is then seen. */
static inline PlatformReply
reply_of(Arena *arena, int http_status, const char *body)
{
	size_t		length = strlen(body);
	char	   *copy = arena_alloc(arena, length);

	memcpy(copy, body, length);
	return (PlatformReply) {
		.sent = true,
		.complete = true,
		.http_status = http_status,
		.retry_after = -1,
		.body = copy,
		.body_length = length,
	};
}

static inline PlatformAnswer
judge_http(const PlatformCall *call, Arena *arena, int http_status, const char *body)
{
	PlatformReply reply = reply_of(arena, http_status, body);
	PlatformAnswer answer;

	TEST_PLATFORM.judge(call, &reply, arena, &answer);
	return answer;
}

static inline PlatformAnswer
judge(const PlatformCall *call, Arena *arena, const char *body)
{
	return judge_http(call, arena, 200, body);
}

/* The request of a call that can be made. */
static inline PlatformRequest
call_built(const PlatformCall *call, const PlatformAccess *access, Arena *arena)
{
	PlatformRequest request;
	const char *error = "untouched";

	assert_true(TEST_PLATFORM.build(call, access, arena, &request, &error));
	assert_null(error);
	assert_null(strchr(request.path, '?'));
	assert_int_equal(request.body_length, request.body != NULL ? strlen(request.body) : 0);
	return request;
}

/* A call that cannot be made, and why. */
static inline void
call_refused(const PlatformCall *call, const PlatformAccess *access, Arena *arena, const char *expected)
{
	PlatformRequest request;
	const char *error = NULL;

	assert_false(TEST_PLATFORM.build(call, access, arena, &request, &error));
	assert_non_null(error);
	assert_string_equal(error, expected);
	assert_null(request.url);
	assert_null(request.headers);
	assert_null(request.body);
}

#define assert_class(actual, expected) \
	assert_string_equal(outcome_name(actual), outcome_name(expected))

#endif
