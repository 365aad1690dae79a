/*
 * fuzz_pchome_list.c
 *		Any answer to the calls that list: usable ids, and every page leads on
 *		to a later one that can be asked for.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_judge.h"

#include "pchome.h"

static void
check(CallKind kind, const char *cursor, const PlatformReply *reply)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformCall call = {.kind = kind, .cursor = cursor};
	PlatformAnswer answer = fuzz_judge(&call, reply, arena);
	PchomePage	page;
	PchomePage	next;
	PchomeRecord record;
	cJSON	   *documents;
	int			i;

	for (i = 0; i < answer.n_order_sns; i++)
		REQUIRE(pchome_read_record(answer.order_sns[i], &record));
	for (i = 0; i < answer.n_item_ids; i++)
		REQUIRE(pchome_group_ok(answer.item_ids[i]));
	REQUIRE(answer.class == OUTCOME_OK ||
			(answer.n_order_sns == 0 && answer.n_item_ids == 0 && answer.n_documents == 0 && !answer.more));
	REQUIRE(answer.more == (*answer.next_cursor != '\0'));
	REQUIRE(pchome_read_cursor(kind, cursor, &page));
	if (answer.more && answer.next_cursor[0] != '\0' && pchome_read_cursor(kind, answer.next_cursor, &next))
		REQUIRE(next.state > page.state || next.offset > page.offset);
	documents = jread_parse(answer.documents, strlen(answer.documents));
	REQUIRE(cJSON_IsArray(documents) && cJSON_GetArraySize(documents) == answer.n_documents);
	cJSON_Delete(documents);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PlatformReply reply = fuzz_reply(data, size);

	check(CALL_LIST_ORDERS, "", &reply);
	check(CALL_LIST_ORDERS, "101", &reply);
	check(CALL_LIST_ITEMS, "", &reply);
	check(CALL_LIST_RETURNS, "QCOK/3", &reply);
	return 0;
}
