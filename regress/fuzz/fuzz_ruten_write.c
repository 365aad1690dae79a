/*
 * fuzz_ruten_write.c
 *		Any answer to a call that writes an item: its specs share one outcome,
 *		and it is ok only where the answer is.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

static const PlatformItem items[] = {
	{.listing_id = 11, .item_id = "22500000000002", .model_id = "252500000000011", .quantity = 8},
	{.listing_id = 12, .item_id = "22500000000002", .model_id = "252500000000012", .quantity = 0}
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const CallKind kinds[] = {CALL_PUSH_STOCK, CALL_PUSH_PRICE, CALL_SET_LISTED};
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	size_t		k;
	int			i;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
	{
		PlatformCall call = {.kind = kinds[k], .items = items, .n_items = 2, .cursor = ""};
		PlatformAnswer answer = fuzz_judge(&call, &reply, arena);

		REQUIRE(answer.class != OUTCOME_PARTIAL);
		REQUIRE(answer.class != OUTCOME_OK || (reply.complete && reply.http_status / 100 == 2));
		for (i = 0; i < answer.n_items; i++)
		{
			REQUIRE(answer.items[i].listing_id == items[i].listing_id);
			REQUIRE(answer.items[i].class == answer.items[0].class);
			REQUIRE((answer.items[i].class == OUTCOME_OK) == (answer.class == OUTCOME_OK));
			REQUIRE((answer.items[i].class == OUTCOME_OK) == (*answer.items[i].reason == '\0'));
			fuzz_text(answer.items[i].reason);
		}
	}
	arena_free(arena);
	return 0;
}
