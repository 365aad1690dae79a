/*
 * fuzz_ruten_item.c
 *		Any answer to a call that reads an item: the item that was asked for,
 *		each spec with an id, or nothing.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

#include "document.h"
#include "judge.h"
#include "ruten.h"

static const char *const item_ids[] = {"22500000000002"};
static const PlatformCall call = {.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = item_ids, .n_item_ids = 1};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	int			i;

	REQUIRE(answer.class == OUTCOME_OK || answer.n_shown == 0);
	REQUIRE(answer.n_item_ids == 0);
	for (i = 0; i < answer.n_shown; i++)
	{
		const ShownItem *shown = &answer.shown[i];

		REQUIRE(strcmp(shown->item_id, item_ids[0]) == 0);
		REQUIRE(*shown->model_id != '\0' ? ruten_id_ok(shown->model_id) : answer.n_shown == 1);
		REQUIRE(shown->quantity >= -1 && shown->reserved == 0);
		REQUIRE(*shown->price == '\0' || judge_amount(shown->price));
		REQUIRE(shown->writable == !shown->ended);
		fuzz_text(shown->name);
		fuzz_text(shown->seller_sku);
	}
	arena_free(arena);
	return 0;
}
