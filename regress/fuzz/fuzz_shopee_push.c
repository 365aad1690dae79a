/*
 * fuzz_shopee_push.c
 *		Any answer to a stock call: every item gets an outcome, and none is ok
 *		unless the call is ok or partial.
 */
#include "fuzz_judge.h"

static const PlatformItem items[] = {
	{11, "100001", "200001", 8}, {12, "100001", "200002", 3}, {13, "100001", "", 0}
};
static const PlatformCall call = {.kind = CALL_PUSH_STOCK, .items = items, .n_items = 3, .cursor = ""};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	int			ok = 0;
	int			i;

	for (i = 0; i < answer.n_items; i++)
	{
		const ItemOutcome *item = &answer.items[i];

		REQUIRE(item->listing_id == items[i].listing_id);
		REQUIRE(item->class == OUTCOME_OK || item->class == OUTCOME_LATER ||
				item->class == OUTCOME_PERMANENT || item->class == OUTCOME_IN_DOUBT);
		REQUIRE(item->class != OUTCOME_OK || *item->reason == '\0');
		fuzz_text(item->reason);
		ok += item->class == OUTCOME_OK;
	}
	REQUIRE(ok == 0 || answer.class == OUTCOME_OK || answer.class == OUTCOME_PARTIAL);
	REQUIRE(answer.class != OUTCOME_OK || ok == answer.n_items);
	arena_free(arena);
	return 0;
}
