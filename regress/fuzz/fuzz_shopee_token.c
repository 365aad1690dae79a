/*
 * fuzz_shopee_token.c
 *		Any answer to a token's refresh or a code's exchange: both tokens with
 *		a life, or none; and the end of an authorisation.
 */
#include "fuzz_judge.h"

static void
check(CallKind kind, const PlatformReply *reply, Arena *arena)
{
	PlatformCall call = {.kind = kind, .cursor = ""};
	PlatformAnswer answer = fuzz_judge(&call, reply, arena);

	if (answer.class == OUTCOME_OK)
	{
		REQUIRE(*answer.access_token != '\0');
		REQUIRE(*answer.refresh_token != '\0');
		REQUIRE(answer.expires_in > 0);
	}
	else
		REQUIRE(answer.access_token == NULL && answer.refresh_token == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);

	check(CALL_REFRESH_TOKEN, &reply, arena);
	check(CALL_GET_TOKEN, &reply, arena);
	REQUIRE(fuzz_judge(&(PlatformCall) {.kind = CALL_SHOP_INFO, .cursor = ""}, &reply, arena).authorization_ends >= 0);
	arena_free(arena);
	return 0;
}
