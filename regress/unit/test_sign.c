/*
 * test_sign.c
 *		Tests of the signatures: HMAC-SHA256 as RFC 4231 has it, and Shopee's
 *		base strings (docs/shopee.md).
 */
#include "codec_test.h"

#include "shopee.h"
#include "sign.h"

static void
hmac_as_rfc_4231(void **state)
{
	char		hex[SIGN_HEX_BYTES];
	char		key[132];

	(void) state;
	memset(key, 0x0b, 20);
	key[20] = '\0';
	assert_true(sign_hmac_sha256_hex(key, "Hi There", 8, hex));
	assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");

	assert_true(sign_hmac_sha256_hex("Jefe", "what do ya want for nothing?", 28, hex));
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

	memset(key, 0xaa, 131);
	key[131] = '\0';
	assert_true(sign_hmac_sha256_hex(key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, hex));
	assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* signed_as compares one signature made of the vectors' access with the expected one */
static void
signed_as(Arena *arena, const char *path, const char *token, const char *owner, const char *expected)
{
	char		hex[SIGN_HEX_BYTES];

	assert_true(shopee_signature(arena, test_access.partner_key, test_access.partner_id, path,
								 test_access.now, token, owner, hex));
	assert_string_equal(hex, expected);
}

static void
public_calls(void **state)
{
	signed_as(*state, "/api/v2/auth/token/get", NULL, NULL,
			  "84c1b82e446f422fd3e35edc7e20ad8d6f2b974b20657728e936a3b2fed3f2e6");
	signed_as(*state, "/api/v2/auth/access_token/get", NULL, NULL,
			  "90fc5631bf8bea7f287badcc2f8e72aaab5865ebedbe122e79ffc1f8f147afa2");
	signed_as(*state, "/api/v2/shop/auth_partner", NULL, NULL,
			  "9857e4c23d7473115b25155c13c155673e0c7abfd36a1dd150be2a78f7d15836");
}

static void
shop_calls(void **state)
{
	signed_as(*state, "/api/v2/product/update_stock", test_access.access_token, test_access.shop_id,
			  "381bc5d0d979a12f72eb35182402e87a1c697de24776f356a4410e2f3082d916");
	signed_as(*state, "/api/v2/order/get_order_list", test_access.access_token, test_access.shop_id,
			  "6af475721cf3981af3e11ab21e16a1bae842cca8a1f223805bc261b661d8414c");
}

static void
merchant_calls(void **state)
{
	signed_as(*state, "/api/v2/global_product/get_category", test_access.access_token, "1007777",
			  "b2c1708916b7826f825b46ae82e7bddb3a4636d293f655053f76ae954e232592");
}

static void
every_part_counts(void **state)
{
	const char *path = "/api/v2/product/update_stock";
	const PlatformAccess *a = &test_access;
	char		hex[7][SIGN_HEX_BYTES];
	int			i;
	int			j;

	assert_true(shopee_signature(*state, a->partner_key, a->partner_id, path, a->now, a->access_token, a->shop_id, hex[0]));
	assert_true(shopee_signature(*state, "otherKey", a->partner_id, path, a->now, a->access_token, a->shop_id, hex[1]));
	assert_true(shopee_signature(*state, a->partner_key, "2009998", path, a->now, a->access_token, a->shop_id, hex[2]));
	assert_true(shopee_signature(*state, a->partner_key, a->partner_id, "/api/v2/product/update_price", a->now, a->access_token, a->shop_id, hex[3]));
	assert_true(shopee_signature(*state, a->partner_key, a->partner_id, path, a->now + 1, a->access_token, a->shop_id, hex[4]));
	assert_true(shopee_signature(*state, a->partner_key, a->partner_id, path, a->now, "otherToken", a->shop_id, hex[5]));
	assert_true(shopee_signature(*state, a->partner_key, a->partner_id, path, a->now, a->access_token, "300123457", hex[6]));
	for (i = 0; i < 7; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(hex[i], hex[j]);
}

static void
a_full_arena_signs_nothing(void **state)
{
	Arena	   *tiny = arena_create(1);
	char		hex[SIGN_HEX_BYTES];

	(void) state;
	assert_false(shopee_signature(tiny, "key", "1", "/", 0, NULL, NULL, hex));
	arena_free(tiny);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_as_rfc_4231),
		arena_test(public_calls),
		arena_test(shop_calls),
		arena_test(merchant_calls),
		arena_test(every_part_counts),
		cmocka_unit_test(a_full_arena_signs_nothing),
	};

	return cmocka_run_group_tests_name("sign", tests, NULL, NULL);
}
