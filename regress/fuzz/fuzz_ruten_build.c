/*
 * fuzz_ruten_build.c
 *		Requests from any texts: refused with a reason, or a URL of visible
 *		ASCII, headers of one line each and a body that is JSON. The input is
 *		texts separated by '\n'.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_judge.h"

#include "json.h"

#define TEXTS 9

/* split cuts the input into TEXTS texts in the arena; the last takes the rest, missing ones are "". */
static void
split(const uint8_t *data, size_t size, Arena *arena, const char **texts)
{
	const char *p = (const char *) data;
	const char *end = p + size;
	int			i;

	for (i = 0; i < TEXTS; i++)
	{
		const char *stop = p < end && i < TEXTS - 1 ? memchr(p, '\n', (size_t) (end - p)) : NULL;

		stop = stop != NULL ? stop : end;
		texts[i] = arena_strndup(arena, p, (size_t) (stop - p));
		REQUIRE(texts[i] != NULL);
		p = stop < end ? stop + 1 : end;
	}
}

static void
check(const PlatformCall *call, const PlatformAccess *access, Arena *arena)
{
	PlatformRequest request;
	const char *error = NULL;
	int			i;

	if (!platform_ruten.build(call, access, arena, &request, &error))
	{
		REQUIRE(error != NULL && *error != '\0');
		REQUIRE(request.url == NULL && request.headers == NULL && request.body == NULL);
		return;
	}
	REQUIRE(error == NULL);
	REQUIRE(plain_visible(request.url, 1024 * 1024));
	REQUIRE(strchr(request.path, '?') == NULL);
	for (i = 0; i < request.n_headers; i++)
		REQUIRE(strpbrk(request.headers[i], "\r\n") == NULL);
	if (request.body != NULL)
	{
		cJSON	   *body = jread_parse(request.body, request.body_length);

		REQUIRE(cJSON_IsObject(body));
		cJSON_Delete(body);
	}
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
			{.listing_id = 1, .item_id = texts[3], .model_id = texts[4], .quantity = (int64_t) size, .price = texts[6]},
			{.listing_id = 2, .item_id = texts[3], .model_id = texts[5], .quantity = -(int64_t) (size % 2), .price = texts[6]}
		};
		const char *const sns[] = {texts[7], texts[8]};
		PlatformAccess access = {
			.base_url = "http://127.0.0.1:8", .api_key = texts[0], .secret_key = texts[1], .salt_key = texts[2],
			.sign_path_only = size % 2 == 0, .sign_base64 = size % 3 == 0, .now = (int64_t) size
		};
		PlatformCall call = {
			.items = items, .n_items = 1 + (int) (size % 2), .from = (int64_t) size, .to = (int64_t) size + 60,
			.cursor = texts[8], .order_sns = sns, .n_order_sns = 2, .listed = size % 5 == 0,
			.item_ids = &texts[3], .n_item_ids = 1
		};

		for (kind = 0; kind < CALL_KINDS; kind++)
		{
			call.kind = (CallKind) kind;
			check(&call, &access, arena);
		}
	}
	arena_free(arena);
	return 0;
}
