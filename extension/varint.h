/*
 * varint.h
 *		Numbers in as few bytes as they need: seven bits a byte, lowest first,
 *		the top bit set in all bytes but the last. Signed ones take turns, 0, -1,
 *		1, -2, so that small ones are short. Free of PostgreSQL headers.
 */
#ifndef STORESYNC_VARINT_H
#define STORESYNC_VARINT_H

#include <stdbool.h>
#include <stdint.h>

/* Longest number. */
#define VARINT_MOST		10

/* Both return where the next one goes. */
static inline uint8_t *
varint_put(uint8_t *to, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		*to++ = (uint8_t) (number | 0x80);
	*to++ = (uint8_t) number;
	return to;
}

static inline uint8_t *
varint_put_signed(uint8_t *to, int64_t number)
{
	return varint_put(to, ((uint64_t) number << 1) ^ (number < 0 ? UINT64_MAX : 0));
}

/* Both move *from behind the number; false at the end, and where there is none of 64 bits written as short as can be. */
static inline bool
varint_get(const uint8_t **from, const uint8_t *end, uint64_t *number)
{
	uint64_t	value = 0;

	for (int shift = 0; *from < end && shift < 64; shift += 7)
	{
		uint8_t		byte = *(*from)++;

		value |= (uint64_t) (byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*number = value;
		return (byte != 0 || shift == 0) && (byte <= 1 || shift < 63);
	}
	return false;
}

static inline bool
varint_get_signed(const uint8_t **from, const uint8_t *end, int64_t *number)
{
	uint64_t	value;

	if (!varint_get(from, end, &value))
		return false;
	*number = (int64_t) (value >> 1) ^ -(int64_t) (value & 1);
	return true;
}

#endif
