/*
 * fuzz_ruten_orders.c
 *		Any answer to an order detail call: the documents are JSON, one for
 *		each order asked for, their lines unique and their quantities in range.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

#include "json.h"

static const char *const order_sns[] = {"A1", "B2"};
static const PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = order_sns, .n_order_sns = 2, .cursor = ""};

static void
check_document(const cJSON *document)
{
	const char *order_sn = jread_text(document, "order_sn");
	const cJSON *lines = jread_array(document, "lines");
	const cJSON *line;
	const cJSON *other;
	int64_t		value;

	REQUIRE(strcmp(order_sn, "A1") == 0 || strcmp(order_sn, "B2") == 0);
	if (!jread_has(document, "status"))
	{
		REQUIRE(lines == NULL);
		return;
	}
	REQUIRE(!jread_has(document, "create_time") || jread_int(document, "create_time", -28800, INT64_C(253402272000), &value));
	REQUIRE(!jread_has(document, "update_time") && !jread_has(document, "buyer"));
	REQUIRE(cJSON_GetArraySize(lines) > 0);
	cJSON_ArrayForEach(line, lines)
	{
		for (other = lines->child; other != line; other = other->next)
			REQUIRE(strcmp(jread_text(line, "line_id"), jread_text(other, "line_id")) != 0);
		REQUIRE(jread_has(line, "item_id") && jread_has(line, "model_id"));
		REQUIRE(jread_int(line, "qty", 1, INT64_C(1000000000000), &value));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	cJSON	   *documents = jread_parse(answer.documents, strlen(answer.documents));
	const cJSON *document;

	REQUIRE(cJSON_IsArray(documents));
	REQUIRE(cJSON_GetArraySize(documents) == answer.n_documents);
	REQUIRE(answer.n_documents == (answer.class == OUTCOME_OK ? call.n_order_sns : 0));
	cJSON_ArrayForEach(document, documents)
		check_document(document);
	cJSON_Delete(documents);
	arena_free(arena);
	return 0;
}
