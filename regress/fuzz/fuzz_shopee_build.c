/*
 * fuzz_shopee_build.c
 *		Requests from any texts (fuzz_build.h), which the input holds
 *		separated by '\n'.
 */
#include "fuzz_build.h"

#define TEXTS 10

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

	fuzz_split(data, size, arena, texts, TEXTS);
	{
		PlatformItem items[] = {
			{.listing_id = 1, .item_id = texts[5], .model_id = texts[6], .quantity = (int64_t) size, .price = texts[9]},
			{.listing_id = 2, .item_id = texts[5], .model_id = texts[7], .quantity = -(int64_t) (size % 2), .price = texts[9]}
		};
		const char *const sns[] = {texts[8], texts[9]};
		const char *const ids[] = {texts[5], texts[6]};
		PlatformAccess access = {
			.base_url = "http://127.0.0.1:8", .shop_id = texts[0], .partner_id = texts[1], .partner_key = texts[2],
			.access_token = texts[3], .refresh_token = texts[4], .auth_code = texts[4],
			.now = (int64_t) size
		};
		PlatformCall call = {
			.items = items, .n_items = 2, .from = (int64_t) size, .to = (int64_t) size + 60,
			.cursor = texts[9], .order_sns = sns, .n_order_sns = 2, .item_ids = ids, .n_item_ids = 1 + (int) (size % 2),
			.order_sn = texts[8], .package_id = size % 3 == 0 ? texts[9] : NULL, .carrier = texts[9], .tracking = texts[9],
			.quantity = (int64_t) (size % 5), .reason = texts[9], .listed = size % 7 == 0
		};

		for (kind = 0; kind < CALL_KINDS; kind++)
		{
			call.kind = (CallKind) kind;
			fuzz_build(&call, &access, arena);
		}
		check_page(&access, texts[9], arena);
	}
	arena_free(arena);
	return 0;
}
