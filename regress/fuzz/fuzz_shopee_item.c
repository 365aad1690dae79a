/*
 * fuzz_shopee_item.c
 *		Any answer to a question of what is shown: ids are numbers, texts fit
 *		to be shown, quantities none that nobody can have. The last byte
 *		chooses the call.
 */
#include "fuzz_judge.h"

static const char *const ids[] = {"100001", "100002"};
static const PlatformCall calls[] = {
	{.kind = CALL_LIST_ITEMS, .cursor = "100", .listed = true},
	{.kind = CALL_GET_ITEMS, .cursor = "", .item_ids = ids, .n_item_ids = 2},
	{.kind = CALL_GET_MODELS, .cursor = "", .item_ids = ids, .n_item_ids = 1},
	{.kind = CALL_SHIP_INFO, .cursor = "", .order_sn = "A1"},
	{.kind = CALL_LOST_PUSHES, .cursor = ""},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	const PlatformCall *call = &calls[size > 0 ? data[size - 1] % 5 : 0];
	PlatformReply reply = fuzz_reply(data, size > 0 ? size - 1 : 0);
	PlatformAnswer answer = fuzz_judge(call, &reply, arena);
	int64_t		id;
	int			i;

	REQUIRE(answer.class == OUTCOME_OK || (answer.n_item_ids == 0 && answer.n_shown == 0 && !answer.more));
	for (i = 0; i < answer.n_item_ids; i++)
		REQUIRE(plain_int(answer.item_ids[i], 1, INT64_MAX, &id));
	for (i = 0; i < answer.n_shown; i++)
	{
		const ShownItem *item = &answer.shown[i];

		REQUIRE(plain_int(item->item_id, 1, INT64_MAX, &id));
		REQUIRE(*item->model_id == '\0' || plain_int(item->model_id, 1, INT64_MAX, &id));
		REQUIRE(item->quantity >= -1 && item->reserved >= 0);
		fuzz_text(item->seller_sku);
		REQUIRE(strlen(item->name) <= 400 && strlen(item->price) <= 22);
	}
	REQUIRE(call->kind != CALL_SHIP_INFO || answer.class != OUTCOME_OK || answer.ship_method != NULL);
	arena_free(arena);
	return 0;
}
