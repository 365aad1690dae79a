/*
 * fuzz_ruten_hook.c
 *		Any notification: nothing is taken that was not signed, and of what was
 *		any body says a kind and perhaps an order number, or is none. The input
 *		is the body; its first byte says what is wrong with the headers.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

#include "ruten.h"

#define URL "https://erp.example.com/hooks/ruten"

static const PlatformAccess access = {
	.api_key = "demo-api-key-0001", .secret_key = "demo-secret-key-0001", .salt_key = "demo-salt-01", .now = 1760000000
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformPush push = {.url = URL, .key = access.api_key, .timestamp = "1760000000"};
	PushHint	hint;
	const char *error = NULL;
	char		wrong = '.';		/* the first byte: what is wrong with the headers */
	bool		taken;

	if (size > 0)
	{
		wrong = (char) data[0];
		push.body = (const char *) data + 1;
		push.body_length = size - 1;
	}
	push.authorization = ruten_signature(arena, &access, URL, push.body != NULL ? push.body : "", push.body_length, "1760000000");
	REQUIRE(push.authorization != NULL);
	if (wrong == 'u')
		push.url = URL "?";
	if (wrong == 't')
		push.timestamp = "1759999999";
	if (wrong == 's')
		push.authorization = arena_strndup(arena, (const char *) data, size);
	taken = platform_ruten.read_push(&push, &access, arena, &hint, &error);
	REQUIRE(taken == (error == NULL));
	REQUIRE(!taken || strchr("uts", wrong) == NULL || wrong == '\0');
	REQUIRE(hint.kind == PUSH_ORDER || hint.kind == PUSH_OTHER);
	REQUIRE((hint.kind == PUSH_ORDER) == (*hint.order_sn != '\0'));
	REQUIRE(*hint.order_sn == '\0' || ruten_order_sn_ok(hint.order_sn));
	fuzz_text(hint.code);
	arena_free(arena);
	return 0;
}
