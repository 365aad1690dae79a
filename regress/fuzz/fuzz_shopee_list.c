/*
 * fuzz_shopee_list.c
 *		Any answer to an order list call: usable order numbers, and no page
 *		that leads back to itself.
 */
#include "fuzz_judge.h"

#include "shopee.h"

static const PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = "c1"};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	int			i;

	for (i = 0; i < answer.n_order_sns; i++)
		REQUIRE(shopee_order_sn_ok(answer.order_sns[i]));
	REQUIRE(answer.class == OUTCOME_OK || (answer.n_order_sns == 0 && !answer.more));
	REQUIRE(answer.more == (*answer.next_cursor != '\0'));
	REQUIRE(strcmp(answer.next_cursor, call.cursor) != 0);
	REQUIRE(strlen(answer.next_cursor) <= SHOPEE_MAX_CURSOR);
	arena_free(arena);
	return 0;
}
