/*
 * fuzz_ruten_build.c
 *		Requests from any texts (fuzz_build.h), which the input holds
 *		separated by '\n'.
 */
#define FUZZ_PLATFORM platform_ruten
#include "fuzz_build.h"

#define TEXTS 9

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	const char *texts[TEXTS];
	int			kind;

	fuzz_split(data, size, arena, texts, TEXTS);
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
			fuzz_build(&call, &access, arena);
		}
	}
	arena_free(arena);
	return 0;
}
