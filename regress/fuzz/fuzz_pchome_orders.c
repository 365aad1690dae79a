/*
 * fuzz_pchome_orders.c
 *		Any answer to an order detail call: the documents are JSON, each record
 *		asked for is a line of one of them or a rejected one of its own, and
 *		quantities are in range.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_judge.h"

#include "json.h"

static const char *const records[] = {"1-01", "2-01", "1-02"};
static const PlatformCall call = {.kind = CALL_GET_ORDERS, .order_sns = records, .n_order_sns = 3, .cursor = ""};

/* check_document returns how many of the records it stands for. */
static int
check_document(const cJSON *document)
{
	const char *order_sn = jread_text(document, "order_sn");
	const cJSON *lines = jread_array(document, "lines");
	const cJSON *line;
	int64_t		value;

	if (!jread_has(document, "status"))
	{
		REQUIRE(lines == NULL);
		REQUIRE(strchr(order_sn, '-') != NULL);
		return 1;
	}
	REQUIRE(strcmp(order_sn, "1") == 0 || strcmp(order_sn, "2") == 0);
	REQUIRE(jread_int(document, "create_time", 1, INT64_C(253402300799), &value));
	REQUIRE(cJSON_GetArraySize(lines) > 0);
	cJSON_ArrayForEach(line, lines)
	{
		REQUIRE(jread_text(line, "status") != NULL && *jread_text(line, "status") != '\0');
		REQUIRE(jread_text(line, "item_id") != NULL);
		REQUIRE(jread_int(line, "qty", 1, INT64_C(1000000000000), &value));
		REQUIRE(jread_int(line, "cancelled_qty", 0, INT64_C(1000000000000), &value));
	}
	return cJSON_GetArraySize(lines);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	PlatformReply reply = fuzz_reply(data, size);
	PlatformAnswer answer = fuzz_judge(&call, &reply, arena);
	cJSON	   *documents = jread_parse(answer.documents, strlen(answer.documents));
	const cJSON *document;
	int			found = 0;

	REQUIRE(cJSON_IsArray(documents));
	REQUIRE(cJSON_GetArraySize(documents) == answer.n_documents);
	cJSON_ArrayForEach(document, documents)
		found += check_document(document);
	REQUIRE(found == (answer.class == OUTCOME_OK ? call.n_order_sns : 0));
	cJSON_Delete(documents);
	arena_free(arena);
	return 0;
}
