/*
 * fuzz_ruten_list.c
 *		Any answer to a call that lists orders or items: usable ids, and no
 *		page that leads back to itself.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

#include "ruten.h"

/* A list goes on at a later place, or is the last page. */
static void
check_cursor(const PlatformCall *call, const PlatformAnswer *answer)
{
	RutenCursor here;
	RutenCursor next;

	REQUIRE(answer->more == (*answer->next_cursor != '\0'));
	REQUIRE(answer->class == OUTCOME_OK || !answer->more);
	REQUIRE(ruten_cursor_read(call->cursor, &here));
	REQUIRE(ruten_cursor_read(answer->next_cursor, &next));
	REQUIRE(!answer->more || next.place > here.place || (next.sold_out && !here.sold_out));
	REQUIRE(strlen(answer->next_cursor) <= RUTEN_MAX_CURSOR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const PlatformCall orders = {.kind = CALL_LIST_ORDERS, .cursor = "2/1"};
	static const PlatformCall on_sale = {.kind = CALL_LIST_ITEMS, .cursor = "101/1", .listed = true};
	static const PlatformCall off_sale = {.kind = CALL_LIST_ITEMS, .cursor = ""};
	static const PlatformCall *const calls[] = {&orders, &on_sale, &off_sale};
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	size_t		k;
	int			i;

	for (k = 0; k < sizeof(calls) / sizeof(calls[0]); k++)
	{
		PlatformAnswer answer = fuzz_judge(calls[k], &reply, arena);

		check_cursor(calls[k], &answer);
		REQUIRE(answer.class == OUTCOME_OK || (answer.n_order_sns == 0 && answer.n_item_ids == 0));
		for (i = 0; i < answer.n_order_sns; i++)
			REQUIRE(ruten_order_sn_ok(answer.order_sns[i]));
		for (i = 0; i < answer.n_item_ids; i++)
			REQUIRE(ruten_id_ok(answer.item_ids[i]));
	}
	arena_free(arena);
	return 0;
}
