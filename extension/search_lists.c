/*
 * search_lists.c
 *		Packs and reads inverted lists of orders (search_lists.h). Pure; what
 *		is read is believed nowhere: a damaged run yields less, or false.
 */
#include "search_lists.h"

#include <string.h>

/* Bits of a SKU's id that are not in its key: SKUs of one family lie beside each other. */
#define FAMILY_BITS		4
#define FAMILY_MASK		((INT64_C(1) << FAMILY_BITS) - 1)

/* Most bytes of a number below 2^35. */
#define NUMBER_BYTES	5

static SearchPosting
posting_of(int bucket, uint64_t key, int ordinal)
{
	return (SearchPosting) bucket << (16 + SEARCH_KEY_BITS) |
		(key & ((UINT64_C(1) << SEARCH_KEY_BITS) - 1)) << 16 | (uint64_t) (ordinal & 0xFFFF);
}

/* search_gram_posting is for the characters from `at` on; at + 1 < n. */
SearchPosting
search_gram_posting(const uint32_t *text, int n, int at, int ordinal)
{
	return posting_of(search_bucket(text[at], text[at + 1]), at + 2 < n ? (uint64_t) search_key(text[at + 2]) : 0, ordinal);
}

SearchPosting
search_sku_posting(int64_t sku_id, int ordinal)
{
	int64_t		family = sku_id >> FAMILY_BITS;

	return posting_of(SEARCH_BUCKETS + (int) (family & (SEARCH_SKU_BUCKETS - 1)),
					  (uint64_t) (family / SEARCH_SKU_BUCKETS) << FAMILY_BITS | (uint64_t) (sku_id & FAMILY_MASK), ordinal);
}

/* search_sort goes by bytes, the least significant first, and passes over those in which all are equal. */
void
search_sort(SearchPosting *postings, SearchPosting *room, size_t n)
{
	SearchPosting *from = postings;
	SearchPosting *to = room;

	for (int shift = 0; shift < 64 && n > 0; shift += 8)
	{
		size_t		place[257] = {0};
		SearchPosting *swap = from;

		for (size_t i = 0; i < n; i++)
			place[(from[i] >> shift & 0xFF) + 1]++;
		if (place[(from[0] >> shift & 0xFF) + 1] == n)
			continue;
		for (int b = 0; b < 256; b++)
			place[b + 1] += place[b];
		for (size_t i = 0; i < n; i++)
			to[place[from[i] >> shift & 0xFF]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != postings)
		memcpy(postings, from, sizeof(SearchPosting) * n);
}

static uint8_t *
put_number(uint8_t *out, uint64_t value)
{
	while (value >= 0x80)
	{
		*out++ = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t) value;
	return out;
}

static void
put_offset(uint8_t *out, size_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t) (value >> (8 * i));
}

uint32_t
search_offset(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[3] << 24;
}

size_t
search_pack_bound(size_t n)
{
	/* a list of one: key, its length, the ordinal */
	return SEARCH_DIRECTORY + n * (NUMBER_BYTES + NUMBER_BYTES + 3);
}

/* pack_list writes the list that begins with the first of n postings, and returns how many of them are in it. */
static size_t
pack_list(const SearchPosting *sorted, size_t n, uint8_t **out)
{
	SearchPosting of = sorted[0] >> 16;
	size_t		taken = 0;
	size_t		bytes = 0;
	int			last = 0;
	uint8_t    *at;

	/* its length stands before it: measured first */
	for (; taken < n && sorted[taken] >> 16 == of; taken++)
	{
		int			ordinal = (int) (sorted[taken] & 0xFFFF);

		if (taken > 0 && ordinal == last)
			continue;
		bytes += ordinal - last < 0x80 ? 1 : ordinal - last < 0x4000 ? 2 : 3;
		last = ordinal;
	}
	at = put_number(put_number(*out, search_posting_key(sorted[0])), bytes);
	last = 0;
	for (size_t i = 0; i < taken; i++)
	{
		int			ordinal = (int) (sorted[i] & 0xFFFF);

		if (i > 0 && ordinal == last)
			continue;
		at = put_number(at, (uint64_t) (ordinal - last));
		last = ordinal;
	}
	*out = at;
	return taken;
}

size_t
search_pack(const SearchPosting *sorted, size_t n, uint8_t *lists)
{
	uint8_t    *data = lists + SEARCH_DIRECTORY;
	uint8_t    *at = data;
	size_t		i = 0;

	for (int bucket = 0; bucket < SEARCH_ALL_BUCKETS; bucket++)
	{
		put_offset(lists + 4 * (size_t) bucket, (size_t) (at - data));
		while (i < n && search_posting_bucket(sorted[i]) == bucket)
			i += pack_list(sorted + i, n - i, &at);
	}
	put_offset(lists + 4 * (size_t) SEARCH_ALL_BUCKETS, (size_t) (at - data));
	return (size_t) (at - lists);
}

/* get_number reads a number below 2^35; false: it is cut, or larger. */
static bool
get_number(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 7 * NUMBER_BYTES && *at < end; shift += 7)
	{
		uint8_t		byte = *(*at)++;

		*value |= (uint64_t) (byte & 0x7F) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

bool
search_next(SearchWalk *walk)
{
	uint64_t	bytes;

	if (walk->at >= walk->end || !get_number(&walk->at, walk->end, &walk->key) ||
		!get_number(&walk->at, walk->end, &bytes) || bytes > (uint64_t) (walk->end - walk->at))
		return false;
	walk->list = walk->at;
	walk->at += bytes;
	walk->list_end = walk->at;
	return true;
}

bool
search_note(const SearchWalk *walk, uint64_t *set)
{
	const uint8_t *at = walk->list;
	uint64_t	ordinal = 0;
	uint64_t	distance;

	while (at < walk->list_end)
	{
		if (!get_number(&at, walk->list_end, &distance))
			return false;
		ordinal += distance;
		if (ordinal >= SEARCH_RUN)
			return false;
		set[ordinal / 64] |= UINT64_C(1) << (ordinal % 64);
	}
	return true;
}

/* unpack_list adds the postings of the list at hand; false when it is damaged, or there is no room. */
static bool
unpack_list(const SearchWalk *walk, int bucket, int base, SearchPosting *postings, size_t most, size_t *n)
{
	const uint8_t *at = walk->list;
	uint64_t	ordinal = (uint64_t) base;
	uint64_t	distance;

	while (at < walk->list_end)
	{
		if (*n == most || !get_number(&at, walk->list_end, &distance))
			return false;
		ordinal += distance;
		if (ordinal >= SEARCH_RUN)
			return false;
		postings[(*n)++] = posting_of(bucket, walk->key, (int) ordinal);
	}
	return true;
}

int64_t
search_unpack(const uint8_t *lists, size_t length, int base, SearchPosting *postings, size_t most)
{
	const uint8_t *data = lists + SEARCH_DIRECTORY;
	size_t		n = 0;

	if (length < SEARCH_DIRECTORY)
		return -1;
	for (int bucket = 0; bucket < SEARCH_ALL_BUCKETS; bucket++)
	{
		size_t		from = search_offset(lists + 4 * (size_t) bucket);
		size_t		to = search_offset(lists + 4 * (size_t) bucket + 4);
		SearchWalk	walk = {.at = data + from, .end = data + to};

		if (from > to || to > length - SEARCH_DIRECTORY)
			return -1;
		while (search_next(&walk))
			if (!unpack_list(&walk, bucket, base, postings, most, &n))
				return -1;
		if (walk.at != walk.end)
			return -1;
	}
	return (int64_t) n;
}
