/*
 * fuzz_pchome_build.c
 *		Requests from any texts: refused with a reason, or a URL of visible
 *		ASCII and a body that is JSON. The input is texts separated by '\n'.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_judge.h"

#include "json.h"

#define TEXTS 10

/* split cuts the input into TEXTS texts in the arena; the last takes the rest, missing ones are "". */
static void
split(const uint8_t *data, size_t size, Arena *arena, const char **texts)
{
	const char *p = (const char *) data;
	const char *end = p + size;
	int			i;

	for (i = 0; i < TEXTS; i++)
	{
		const char *stop = p < end ? memchr(p, '\n', (size_t) (end - p)) : NULL;
		char	   *copy;

		if (stop == NULL || i == TEXTS - 1)
			stop = end;
		copy = arena_alloc(arena, (size_t) (stop - p) + 1);
		REQUIRE(copy != NULL);
		if (stop > p)
			memcpy(copy, p, (size_t) (stop - p));
		texts[i] = copy;
		p = stop < end ? stop + 1 : end;
	}
}

static void
check(const PlatformCall *call, const PlatformAccess *access, Arena *arena)
{
	PlatformRequest request;
	const char *error = NULL;
	cJSON	   *body;

	if (!platform_pchome.build(call, access, arena, &request, &error))
	{
		REQUIRE(error != NULL && *error != '\0');
		REQUIRE(request.url == NULL && request.body == NULL);
		return;
	}
	REQUIRE(error == NULL);
	REQUIRE(platform_pchome.calls & CALL_BIT(call->kind));
	REQUIRE(plain_visible(request.url, 1024 * 1024));
	REQUIRE(strchr(request.path, '?') == NULL);
	REQUIRE((request.body == NULL) == platform_call_reads(call->kind));
	if (request.body == NULL)
		return;
	body = jread_parse(request.body, request.body_length);
	REQUIRE(body != NULL);
	cJSON_Delete(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	const char *texts[TEXTS];
	int			kind;

	split(data, size, arena, texts);
	{
		PlatformItem items[] = {
			{.listing_id = 1, .item_id = texts[1], .model_id = texts[2], .quantity = (int64_t) size, .price = texts[5]},
			{.listing_id = 2, .item_id = texts[3], .model_id = texts[4], .quantity = -(int64_t) (size % 2), .price = texts[5]}
		};
		const char *const sns[] = {texts[6], texts[7]};
		const char *const ids[] = {texts[1], texts[3]};
		PlatformAccess access = {.base_url = "http://127.0.0.1:8/vdr", .shop_id = texts[0], .now = (int64_t) size};
		PlatformCall call = {
			.items = items, .n_items = 1 + (int) (size % 2), .from = (int64_t) size, .to = (int64_t) size + 60,
			.cursor = texts[9], .order_sns = sns, .n_order_sns = 1 + (int) (size % 2), .item_ids = ids,
			.n_item_ids = 1 + (int) (size % 2), .order_sn = texts[6], .package_id = size % 3 == 0 ? texts[7] : NULL,
			.carrier = texts[8], .tracking = texts[9], .quantity = (int64_t) (size % 5), .reason = texts[8], .listed = size % 7 == 0
		};

		for (kind = 0; kind < CALL_KINDS; kind++)
		{
			call.kind = (CallKind) kind;
			if (call.kind == CALL_CANCEL_LINES)
				call.n_items = 0;
			check(&call, &access, arena);
		}
	}
	arena_free(arena);
	return 0;
}
