/*
 * key.h
 *		The idempotency key: the serial number of one operation.
 *
 * 48-bit big-endian milliseconds since the Unix epoch, then 80 bits of
 * SHA-256, so that bytewise order is order by time. docs/key.md has the exact
 * derivation, which must never change: keys of years ago are derived again.
 */
#ifndef STORESYNC_KEY_H
#define STORESYNC_KEY_H

#include "storesync.h"

#define KEY_BYTES			16
#define KEY_TIME_BYTES		6

typedef struct IdempotencyKey
{
	uint8		bytes[KEY_BYTES];
} IdempotencyKey;

#define DatumGetIdempotencyKeyP(X) ((IdempotencyKey *) DatumGetPointer(X))
#define IdempotencyKeyPGetDatum(X) PointerGetDatum(X)
#define PG_GETARG_IDEMPOTENCY_KEY_P(n) DatumGetIdempotencyKeyP(PG_GETARG_DATUM(n))
#define PG_RETURN_IDEMPOTENCY_KEY_P(x) return IdempotencyKeyPGetDatum(x)

/*
 * The key of the fact that `parts` name and that happened at `event`. Parts
 * are text in the server's encoding, hashed as UTF-8, each with its length.
 * Raises 22008 for an event before 1970, after 10889 or infinite, 22021 for a
 * part that is no valid text.
 */
extern void key_derive(IdempotencyKey *key, TimestampTz event, int n,
					   const char *const *parts, const int *lengths);

/* When the key says its operation happened, to the millisecond below. */
extern TimestampTz key_time(const IdempotencyKey *key);

/* The smallest key of the millisecond of `at`: bounds of partitions. Raises 22008 as key_derive does. */
extern void key_floor(IdempotencyKey *key, TimestampTz at);

/* Raises SS_ERR_KEY_EXPIRED for a key older than storesync.key_horizon, SS_ERR_TIME_AHEAD for one over a day ahead. */
extern void key_check_age(const IdempotencyKey *key);

extern int	key_compare(const IdempotencyKey *a, const IdempotencyKey *b);

/* First 8 bytes, big-endian, of SHA-256 over the parts, each with its length; bytes as they are. */
extern uint64 ss_fingerprint(int n, const char *const *parts, const int *lengths);

#endif
