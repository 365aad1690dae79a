/*
 * fuzz_shopee_list.c
 *		Any answer to a call for a list of orders, or of returns: usable order
 *		numbers, and no page that leads back to itself.
 */
#include "fuzz_judge.h"

#include "shopee.h"

static const PlatformCall call = {.kind = CALL_LIST_ORDERS, .cursor = "c1"};
static const PlatformCall returns = {.kind = CALL_LIST_RETURNS, .cursor = "7"};

static void
check_returns(const PlatformReply *reply)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformAnswer answer = fuzz_judge(&returns, reply, arena);

	REQUIRE(answer.class == OUTCOME_OK || (answer.n_documents == 0 && !answer.more));
	REQUIRE(!answer.more || strcmp(answer.next_cursor, "8") == 0);
	if (answer.class == OUTCOME_OK)
	{
		cJSON	   *documents = cJSON_Parse(answer.documents);

		REQUIRE(cJSON_IsArray(documents) && cJSON_GetArraySize(documents) == answer.n_documents);
		cJSON_Delete(documents);
	}
	arena_free(arena);
}

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
	check_returns(&reply);
	return 0;
}
