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

/*
 * HMAC-SHA256 of `length` bytes of message under the bytes of key as they
 * stand (never decoded, even when they look like hex), lower-case hex.
 * False when libcrypto refuses; hex is then "".
 */
extern bool sign_hmac_sha256_hex(const char *key, const char *message, size_t length,
								 char hex[SIGN_HEX_BYTES]);

#endif
