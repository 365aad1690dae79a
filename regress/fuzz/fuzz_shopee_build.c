/*
 * fuzz_shopee_build.c
 *		Requests from any texts: refused with a reason, or a URL of visible
 *		ASCII and a body that is JSON. The input is texts separated by '\n'.
 */
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

	if (!platform_shopee.build(call, access, arena, &request, &error))
	{
		REQUIRE(error != NULL && *error != '\0');
		REQUIRE(request.url == NULL && request.body == NULL);
		return;
	}
	REQUIRE(error == NULL);
	REQUIRE(plain_visible(request.url, 1024 * 1024));
	REQUIRE(strchr(request.path, '?') == NULL);
	if (request.body != NULL)
	{
		cJSON	   *body = jread_parse(request.body, request.body_length);

		REQUIRE(cJSON_IsObject(body));
		cJSON_Delete(body);
	}
}

/* check_page: the address of the seller's consent, or what stands against it. */
static void
check_page(const PlatformAccess *access, const char *redirect, Arena *arena)
{
	const char *error = NULL;
	const char *url = platform_shopee.authorization_url(access, redirect, false, arena, &error);

	REQUIRE((url == NULL) == (error != NULL));
	REQUIRE(url == NULL || plain_visible(url, 1024 * 1024));
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
			{.listing_id = 1, .item_id = texts[5], .model_id = texts[6], .quantity = (int64_t) size},
			{.listing_id = 2, .item_id = texts[5], .model_id = texts[7], .quantity = -(int64_t) (size % 2)}
		};
		const char *const sns[] = {texts[8], texts[9]};
		PlatformAccess access = {
			.base_url = "http://127.0.0.1:8", .shop_id = texts[0], .partner_id = texts[1], .partner_key = texts[2],
			.access_token = texts[3], .refresh_token = texts[4], .auth_code = texts[4],
			.now = (int64_t) size
		};
		PlatformCall call = {
			.items = items, .n_items = 2, .from = (int64_t) size, .to = (int64_t) size + 60,
			.cursor = texts[9], .order_sns = sns, .n_order_sns = 2
		};

		for (kind = CALL_PUSH_STOCK; kind <= CALL_GET_TOKEN; kind++)
		{
			call.kind = (CallKind) kind;
			check(&call, &access, arena);
		}
		check_page(&access, texts[9], arena);
	}
	arena_free(arena);
	return 0;
}
