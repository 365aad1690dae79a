/*
 * fuzz_pchome_shown.c
 *		Any answer about products: what is shown is of products asked for, with
 *		ids that a write takes.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_judge.h"

#include "pchome.h"

static const char *const groups[] = {"AAAA0A-A00000001", "DICKCB-A900GN8U0"};

static void
check(CallKind kind, int n, const PlatformReply *reply)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformCall call = {.kind = kind, .item_ids = groups, .n_item_ids = n, .cursor = ""};
	PlatformAnswer answer = fuzz_judge(&call, reply, arena);
	int			i;

	REQUIRE(answer.class == OUTCOME_OK || (answer.n_shown == 0 && answer.n_item_ids == 0));
	REQUIRE(answer.n_item_ids <= n);
	for (i = 0; i < answer.n_shown; i++)
	{
		const ShownItem *shown = &answer.shown[i];

		REQUIRE(strcmp(shown->item_id, groups[0]) == 0 || (n > 1 && strcmp(shown->item_id, groups[1]) == 0));
		REQUIRE(strlen(shown->model_id) == 0 || strlen(shown->model_id) == 3);
		REQUIRE(strcmp(shown->model_id, "000") != 0);
		REQUIRE(shown->quantity >= -1 && shown->reserved == 0 && !shown->ended);
		fuzz_text(shown->seller_sku);
		fuzz_text(shown->name);
		fuzz_text(shown->price);
	}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PlatformReply reply = fuzz_reply(data, size);

	check(CALL_GET_ITEMS, 2, &reply);
	check(CALL_GET_MODELS, 1, &reply);
	return 0;
}
