/*
 * sign.c
 *		HMAC-SHA256 by libcrypto. Keeps neither key nor message.
 */
#include "sign.h"

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

bool
sign_hmac_sha256_hex(const char *key, const char *message, size_t length,
					 char hex[SIGN_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_length = 0;
	size_t		key_length = strlen(key);
	size_t		i;

	hex[0] = '\0';
	if (key_length > INT_MAX ||
		HMAC(EVP_sha256(), key, (int) key_length,
			 (const unsigned char *) message, length, digest, &digest_length) == NULL ||
		digest_length != (SIGN_HEX_BYTES - 1) / 2)
		return false;
	for (i = 0; i < digest_length; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * digest_length] = '\0';
	return true;
}
