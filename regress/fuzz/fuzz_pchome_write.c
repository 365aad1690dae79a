/*
 * fuzz_pchome_write.c
 *		Any answer to the calls that write: no success without status 204 or
 *		the platform's word that it is so already.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_judge.h"

static const PlatformItem items[] = {
	{.listing_id = 1, .item_id = "AAAA0A-A00000001", .model_id = "001"},
	{.listing_id = 2, .item_id = "DICKCB-A900GN8U0", .model_id = ""}
};

static void
check(CallKind kind, int n_items, const PlatformReply *reply)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformCall call = {.kind = kind, .items = items, .n_items = n_items, .cursor = ""};
	PlatformAnswer answer = fuzz_judge(&call, reply, arena);
	int			i;

	REQUIRE(answer.class != OUTCOME_OK || reply->http_status == 204 || *answer.code != '\0');
	REQUIRE(answer.class != OUTCOME_PARTIAL);
	for (i = 0; i < answer.n_items; i++)
	{
		REQUIRE(answer.items[i].listing_id == items[i].listing_id);
		REQUIRE((answer.items[i].class == OUTCOME_OK) == (answer.class == OUTCOME_OK));
		fuzz_text(answer.items[i].reason);
	}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PlatformReply reply = fuzz_reply(data, size);

	check(CALL_PUSH_STOCK, 2, &reply);
	check(CALL_PUSH_PRICE, 1, &reply);
	check(CALL_SET_LISTED, 1, &reply);
	check(CALL_SHIP, 0, &reply);
	check(CALL_CANCEL_LINES, 0, &reply);
	return 0;
}
