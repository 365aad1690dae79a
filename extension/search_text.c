/*
 * search_text.c
 *		Folds text and cuts it into grams (search_text.h). Pure: bytes in,
 *		numbers out, no locale, no memory of its own.
 */
#include "search_text.h"

#include <assert.h>
#include <string.h>

#include "plain.h"

/* Bytes that begin no character, beyond the last that Unicode has. */
#define STRAY_BYTES		0x110000

/* Of a bucket's two characters, seven bits each. Digits and letters have classes of their own, all others share the rest. */
#define CHARACTER_BITS		7
#define CHARACTER_CLASSES	(1 << CHARACTER_BITS)
#define OWN_CLASSES			36

static_assert(CHARACTER_CLASSES * CHARACTER_CLASSES == SEARCH_BUCKETS, "two characters are a bucket");

/* scatter spreads numbers that differ little over all 32 bits. */
static uint32_t
scatter(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352dU;
	x ^= x >> 15;
	x *= 0x846ca68bU;
	return x ^ (x >> 16);
}

/* decode returns the character at the start of text and its bytes. */
static uint32_t
decode(const char *text, size_t length, size_t *bytes)
{
	const unsigned char *u = (const unsigned char *) text;

	*bytes = plain_utf8_length(text, length);
	switch (*bytes)
	{
		case 1:
			return u[0];
		case 2:
			return (uint32_t) (u[0] & 0x1F) << 6 | (u[1] & 0x3F);
		case 3:
			return (uint32_t) (u[0] & 0x0F) << 12 | (uint32_t) (u[1] & 0x3F) << 6 | (u[2] & 0x3F);
		case 4:
			return (uint32_t) (u[0] & 0x07) << 18 | (uint32_t) (u[1] & 0x3F) << 12 |
				(uint32_t) (u[2] & 0x3F) << 6 | (u[3] & 0x3F);
		default:
			*bytes = 1;
			return STRAY_BYTES + u[0];
	}
}

/* Blocks in which a capital is the even or the odd one of a pair. */
static bool
is_paired(uint32_t c, uint32_t *capital_is_odd)
{
	*capital_is_odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
	return *capital_is_odd || (c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14A && c <= 0x177) ||
		(c >= 0x460 && c <= 0x481) || (c >= 0x1E00 && c <= 0x1E95) || (c >= 0x1EA0 && c <= 0x1EFF);
}

/* fold returns a character as it is compared. */
static uint32_t
fold(uint32_t c)
{
	uint32_t	capital_is_odd;

	if (c >= 0xFF01 && c <= 0xFF5E)
		c -= 0xFEE0;
	else if (c == 0x3000)
		c = ' ';
	if (c >= 'A' && c <= 'Z')
		return c + 32;
	if (c < 0xC0)
		return c;
	if ((c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9 && c != 0x3A2) || (c >= 0x410 && c <= 0x42F))
		return c + 32;
	if (c >= 0x400 && c <= 0x40F)
		return c + 80;
	if (is_paired(c, &capital_is_odd))
		return (c & 1) == capital_is_odd ? c + 1 : c;
	return c;
}

int
search_fold(const char *text, size_t length, uint32_t *folded)
{
	int			n = 0;
	size_t		bytes;

	for (size_t at = 0; at < length; at += bytes)
		folded[n++] = fold(decode(text + at, length - at, &bytes));
	return n;
}

bool
search_is_part(const uint32_t *text, int n, const uint32_t *fragment, int m)
{
	for (int i = 0; i + m <= n; i++)
		if (text[i] == fragment[0] && memcmp(text + i, fragment, sizeof(uint32_t) * (size_t) m) == 0)
			return true;
	return false;
}

/* hash_two is never the hash_three of the same characters and another, but by chance. */
static int32_t
hash_two(const uint32_t *text)
{
	return (int32_t) scatter(text[0] ^ scatter(text[1] + 1));
}

static int32_t
hash_three(const uint32_t *text)
{
	return (int32_t) scatter(text[0] ^ scatter(text[1] + 1 + scatter(text[2] + 2)));
}

int
search_hash_all(const uint32_t *text, int n, int32_t *grams)
{
	int			made = 0;

	for (int i = 0; i + 2 <= n; i++)
	{
		grams[made++] = hash_two(text + i);
		if (i + 3 <= n)
			grams[made++] = hash_three(text + i);
	}
	return made;
}

int
search_hash_fragment(const uint32_t *fragment, int n, int32_t *grams)
{
	int			made = 0;

	if (n == 2)
		grams[made++] = hash_two(fragment);
	for (int i = 0; i + 3 <= n; i++)
		grams[made++] = hash_three(fragment + i);
	return made;
}

/* class_of is what a bucket, or a key, tells of a character: one of `classes`. */
static uint32_t
class_of(uint32_t c, uint32_t classes)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	return OWN_CLASSES + scatter(c) % (classes - OWN_CLASSES);
}

int
search_bucket(uint32_t first, uint32_t second)
{
	return (int) (class_of(first, CHARACTER_CLASSES) << CHARACTER_BITS | class_of(second, CHARACTER_CLASSES));
}

int
search_key(uint32_t third)
{
	return (int) class_of(third, SEARCH_KEYS);
}
