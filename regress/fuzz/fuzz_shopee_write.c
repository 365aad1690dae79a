/*
 * fuzz_shopee_write.c
 *		Any answer to a call that writes prices or listing state, ships,
 *		cancels or confirms: no success but by the platform's word, for the
 *		items that it names. The last byte chooses the call.
 */
#include "fuzz_judge.h"

static const PlatformItem items[] = {
	{.listing_id = 11, .item_id = "100001", .model_id = "200001", .price = "199"},
	{.listing_id = 12, .item_id = "100002", .model_id = "", .price = "1"}
};

static const CallKind kinds[] = {CALL_SHIP, CALL_SET_LISTED, CALL_PUSH_PRICE, CALL_CANCEL_LINES, CALL_CONFIRM_PUSHES};

#define N_KINDS		(sizeof(kinds) / sizeof(kinds[0]))
#define N_ITEMS		2

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	CallKind	kind = kinds[size > 0 ? data[size - 1] % N_KINDS : 0];
	bool		of_items = kind == CALL_PUSH_PRICE || kind == CALL_SET_LISTED;
	PlatformCall call = {
		.kind = kind, .items = items, .n_items = of_items ? N_ITEMS : 0, .cursor = "7",
		.order_sn = "250101ABCDEF", .ship_method = "dropoff", .reason = "OUT_OF_STOCK"
	};
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
	REQUIRE(!of_items || answer.class != OUTCOME_OK || ok == answer.n_items);
	REQUIRE(of_items || (answer.n_items == 0 && answer.class != OUTCOME_PARTIAL));
	REQUIRE(of_items || answer.class != OUTCOME_OK || reply.http_status == 200);
	arena_free(arena);
	return 0;
}
