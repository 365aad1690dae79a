/*
 * sign.h
 *		Keyed hashes that platforms want beside their requests. Free of
 *		PostgreSQL headers.
 */
#ifndef STORESYNC_SIGN_H
#define STORESYNC_SIGN_H

#include <stdbool.h>
#include <stddef.h>

/* Characters of a SHA-256 in hexadecimal, with its NUL. */
#define SIGN_HEX_BYTES	65
/* The same in base64. */
#define SIGN_BASE64_BYTES	45

/*
 * HMAC-SHA256 of `length` bytes of message under the bytes of key as they
 * stand (never decoded, even when they look like hex), lower-case hex.
 * False when libcrypto refuses; hex is then "".
 */
extern bool sign_hmac_sha256_hex(const char *key, const char *message, size_t length,
								 char hex[SIGN_HEX_BYTES]);

/* The same in base64, with its padding. */
extern bool sign_hmac_sha256_base64(const char *key, const char *message, size_t length,
									char base64[SIGN_BASE64_BYTES]);

/* Whether a text that came in is the signature or key that it ought to be, in time that does not tell where they differ. */
extern bool sign_same(const char *given, const char *expected);

#endif
