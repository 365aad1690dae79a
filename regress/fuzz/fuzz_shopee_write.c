/*
 * fuzz_shopee_write.c
 *		Any answer to a call that writes prices or listing state: as for
 *		stock. The last byte chooses the call.
 */
#include "fuzz_judge.h"

static const PlatformItem items[] = {
	{.listing_id = 11, .item_id = "100001", .model_id = "200001", .price = "199"},
	{.listing_id = 12, .item_id = "100002", .model_id = "", .price = "1"}
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	bool		price = size > 0 && data[size - 1] % 2 == 0;
	PlatformCall call = {.kind = price ? CALL_PUSH_PRICE : CALL_SET_LISTED, .items = items, .n_items = 2, .cursor = ""};
	PlatformReply reply = fuzz_reply(data, size > 0 ? size - 1 : 0);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	int			ok = 0;

	for (int i = 0; i < answer.n_items; i++)
	{
		REQUIRE(answer.items[i].listing_id == items[i].listing_id);
		fuzz_text(answer.items[i].reason);
		ok += answer.items[i].class == OUTCOME_OK;
	}
	REQUIRE(ok == 0 || answer.class == OUTCOME_OK || answer.class == OUTCOME_PARTIAL);
	REQUIRE(answer.class != OUTCOME_OK || ok == answer.n_items);
	arena_free(arena);
	return 0;
}
