/*
 * ruten_test.h
 *		What the tests of the Ruten codec share: an access made of the keys of
 *		the signature vectors in docs/ruten.md, and envelopes.
 */
#ifndef STORESYNC_RUTEN_TEST_H
#define STORESYNC_RUTEN_TEST_H

#define TEST_PLATFORM	platform_ruten

#include "codec_test.h"

#include "ruten.h"

static const PlatformAccess ruten_access = {
	.base_url = "https://partner.ruten.com.tw",
	.shop_id = "shop",
	.api_key = "demo-api-key-0001",
	.secret_key = "demo-secret-key-0001",
	.salt_key = "demo-salt-01",
	.now = 1760000000,
};

#define SUCCESS(data) "{\"status\":\"success\",\"data\":" data ",\"error_code\":null,\"error_msg\":null}"
#define FAIL(code, message) \
	"{\"status\":\"fail\",\"data\":null,\"error_code\":" code ",\"error_msg\":\"" message "\"}"

#endif
