/*
 * fuzz_pchome_build.c
 *		Requests from any texts (fuzz_build.h), which the input holds
 *		separated by '\n'.
 */
#define FUZZ_PLATFORM	platform_pchome
#include "fuzz_build.h"

#define TEXTS 10

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	const char *texts[TEXTS];
	int			kind;

	fuzz_split(data, size, arena, texts, TEXTS);
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
			fuzz_build(&call, &access, arena);
		}
	}
	arena_free(arena);
	return 0;
}
