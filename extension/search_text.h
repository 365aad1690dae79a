/*
 * search_text.h
 *		Text as searches see it: characters folded, and the short runs of them
 *		that indexes know it by (docs/search.md). Free of PostgreSQL headers.
 *
 * Text is UTF-8; a byte that begins no character counts as one of its own, so
 * that any bytes can be searched. What a text folds to, and its grams, are in
 * indexes on disk: a change here calls for their rebuilding.
 */
#ifndef STORESYNC_SEARCH_TEXT_H
#define STORESYNC_SEARCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of the shortest fragment that can be looked for. */
#define SEARCH_LEAST	2

/*
 * Folds text into characters: small letters (Latin, Greek, Cyrillic), full-width
 * forms as plain ones. `folded` has room for `length` of them; returns how many.
 */
extern int	search_fold(const char *text, size_t length, uint32_t *folded);

/* Whether the fragment, of at least one character, is a part of the text; both folded. */
extern bool search_is_part(const uint32_t *text, int n, const uint32_t *fragment, int m);

/*
 * Grams of a folded text for an index of a table: every two and every three
 * characters on end, hashed. `grams` has room for 2 * n; returns how many.
 */
extern int	search_hash_all(const uint32_t *text, int n, int32_t *grams);
/* Those that every text with this fragment has: room for n; returns how many, 0 when it is too short. */
extern int	search_hash_fragment(const uint32_t *fragment, int n, int32_t *grams);

/*
 * Grams for the lists of orders (search_lists.h): two characters are a bucket
 * below SEARCH_BUCKETS, the character after them is a key below SEARCH_KEYS, 0
 * where the text ends. Digits and Latin letters share neither with others.
 */
#define SEARCH_BUCKETS	16384
#define SEARCH_KEYS		64

extern int	search_bucket(uint32_t first, uint32_t second);
extern int	search_key(uint32_t third);

#endif
