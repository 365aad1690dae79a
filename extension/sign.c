/*
 * sign.c
 *		HMAC-SHA256 by libcrypto. Keeps neither key nor message.
 */
#include "sign.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* Bytes of a SHA-256. */
#define DIGEST_BYTES	32

/* hmac makes the digest; false when libcrypto refuses. */
static bool
hmac(const char *key, const char *message, size_t length, unsigned char digest[DIGEST_BYTES])
{
	unsigned int digest_length = 0;
	size_t		key_length = strlen(key);

	return key_length <= INT_MAX &&
		HMAC(EVP_sha256(), key, (int) key_length, (const unsigned char *) message, length,
			 digest, &digest_length) != NULL &&
		digest_length == DIGEST_BYTES;
}

bool
sign_hmac_sha256_hex(const char *key, const char *message, size_t length,
					 char hex[SIGN_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[DIGEST_BYTES];
	size_t		i;

	hex[0] = '\0';
	if (!hmac(key, message, length, digest))
		return false;
	for (i = 0; i < DIGEST_BYTES; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[SIGN_HEX_BYTES - 1] = '\0';
	return true;
}

bool
sign_hmac_sha256_base64(const char *key, const char *message, size_t length,
						char base64[SIGN_BASE64_BYTES])
{
	unsigned char digest[DIGEST_BYTES];

	base64[0] = '\0';
	return hmac(key, message, length, digest) &&
		EVP_EncodeBlock((unsigned char *) base64, digest, DIGEST_BYTES) == SIGN_BASE64_BYTES - 1;
}

bool
sign_same(const char *given, const char *expected)
{
	size_t		length = strlen(expected);

	/* how long a signature is, is no secret */
	return strlen(given) == length && CRYPTO_memcmp(given, expected, length) == 0;
}
