/*
 * search_lists.h
 *		Inverted lists of a run of orders in one piece of memory: which of them
 *		have a gram, or a SKU (docs/search.md). Free of PostgreSQL headers.
 *
 * An order is told by its ordinal in the run. A list belongs to a bucket and,
 * within it, to a key. So that a few lists can be read without the rest, the
 * piece begins with a directory: for each bucket, and for the end, the offset
 * of its lists behind the directory, four bytes each. A bucket's lists follow
 * each other by key: key, bytes of the list, then the ordinals, rising, each as
 * its distance from the one before; all of them numbers of seven bits a byte.
 *
 * It is on disk: who changes the format has all runs packed anew.
 */
#ifndef STORESYNC_SEARCH_LISTS_H
#define STORESYNC_SEARCH_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "search_text.h"

/* Orders of a run at most. */
#define SEARCH_RUN			65536
/* Buckets of SKUs follow those of grams. */
#define SEARCH_SKU_BUCKETS	1024
#define SEARCH_ALL_BUCKETS	(SEARCH_BUCKETS + SEARCH_SKU_BUCKETS)
#define SEARCH_DIRECTORY	(4 * (SEARCH_ALL_BUCKETS + 1))

/* That an order has something, as one number: bucket, key, ordinal, most significant first. */
typedef uint64_t SearchPosting;

#define SEARCH_KEY_BITS		33

extern SearchPosting search_gram_posting(const uint32_t *text, int n, int at, int ordinal);
extern SearchPosting search_sku_posting(int64_t sku_id, int ordinal);

static inline int
search_posting_bucket(SearchPosting posting)
{
	return (int) (posting >> (16 + SEARCH_KEY_BITS));
}

static inline uint64_t
search_posting_key(SearchPosting posting)
{
	return posting >> 16 & ((UINT64_C(1) << SEARCH_KEY_BITS) - 1);
}

/* Sorts n postings; `room` has room for as many. */
extern void search_sort(SearchPosting *postings, SearchPosting *room, size_t n);

/* Bytes that n postings take at most, and what these take: sorted, equal ones once. */
extern size_t search_pack_bound(size_t n);
extern size_t search_pack(const SearchPosting *sorted, size_t n, uint8_t *lists);

/* An offset of the directory, from its four bytes. */
extern uint32_t search_offset(const uint8_t *bytes);

/* Lists of a bucket, one after the other. */
typedef struct SearchWalk
{
	const uint8_t *at;
	const uint8_t *end;
	uint64_t	key;			/* of the list at hand */
	const uint8_t *list;
	const uint8_t *list_end;
} SearchWalk;

/* The next list of a bucket whose lists lie between at and end; false: there is none, or it is damaged. */
extern bool search_next(SearchWalk *walk);

/* Notes the ordinals of the list at hand in a set of SEARCH_RUN bits; false when it is damaged. */
extern bool search_note(const SearchWalk *walk, uint64_t *set);

/*
 * The postings of a packed run, ordinals raised by `base`: at most `most`.
 * Returns how many, -1 when the run is damaged or has more.
 */
extern int64_t search_unpack(const uint8_t *lists, size_t length, int base, SearchPosting *postings, size_t most);

#endif
