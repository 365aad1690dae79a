/*
 * fuzz_shopee_notice.c
 *		Any notification: signed, it says something fit to be shown or is
 *		refused; with one byte of the signature wrong it is refused.
 */
#include "fuzz_judge.h"
#include "sign.h"

#define URL		"https://erp.example.com/hooks/shopee"
#define KEY		"demoPartnerKey0123456789abcdef"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);
	const PlatformAccess access = {.partner_key = KEY, .now = 1760000000};
	size_t		head = strlen(URL) + 1;
	char	   *base = malloc(head + size);
	char		hex[SIGN_HEX_BYTES];
	PlatformPush push = {.url = URL, .authorization = hex, .body = base + head, .body_length = size};
	PushHint	hint;
	const char *error;

	memcpy(base, URL "|", head);
	if (size > 0)
		memcpy(base + head, data, size);
	REQUIRE(sign_hmac_sha256_hex(KEY, base, head + size, hex));
	if (platform_shopee.read_push(&push, &access, arena, &hint, &error))
	{
		fuzz_text(hint.code);
		fuzz_text(hint.shop_id);
		fuzz_text(hint.order_sn);
		fuzz_text(hint.item_id);
		fuzz_text(hint.model_id);
		REQUIRE(hint.reserved >= -1);
		REQUIRE(hint.kind != PUSH_ORDER || *hint.order_sn != '\0');
	}
	else
		REQUIRE(error != NULL);
	hex[size % (SIGN_HEX_BYTES - 1)] ^= 1;
	REQUIRE(!platform_shopee.read_push(&push, &access, arena, &hint, &error));
	free(base);
	arena_free(arena);
	return 0;
}
