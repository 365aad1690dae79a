/*
 * test_search.c
 *		Text as searches see it, and the packed lists of runs of orders: what
 *		goes in comes out, whatever it is, and damage is not believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "search_lists.h"

#define ROOM	256

static int
folded(const char *text, uint32_t *characters)
{
	return search_fold(text, strlen(text), characters);
}

static bool
same(const char *a, const char *b)
{
	uint32_t	x[ROOM];
	uint32_t	y[ROOM];
	int			n = folded(a, x);

	return folded(b, y) == n && memcmp(x, y, sizeof(uint32_t) * (size_t) n) == 0;
}

static bool
is_part(const char *text, const char *fragment)
{
	uint32_t	x[ROOM];
	uint32_t	y[ROOM];
	int			n = folded(text, x);

	return search_is_part(x, n, y, folded(fragment, y));
}

static void
letters_are_folded(void **state)
{
	(void) state;
	assert_true(same("T-SHIRT", "t-shirt"));
	assert_true(same("ＡＢＣ１２３！", "abc123!"));
	assert_true(same("　", " "));
	assert_true(same("ÀÖØÞ", "àöøþ"));
	assert_true(same("ĀĶĹŇŊŶŹŽ", "āķĺňŋŷźž"));
	assert_true(same("ΑΡΣΩ", "αρσω"));
	assert_true(same("АЯЁ", "аяё"));
	assert_true(same("ẠỸ", "ạỹ"));
	assert_false(same("×", "÷"));
	assert_false(same("I", "ı"));
	assert_false(same("木", "本"));
}

static void
what_is_folded_stays_so(void **state)
{
	(void) state;
	for (uint32_t c = 0x80; c < 0x3000; c++)
	{
		char		once[8];
		char		text[8];
		uint32_t	x[8];
		uint32_t	y[8];

		if (c < 0x800)
			(void) snprintf(text, sizeof(text), "%c%c", (int) (0xC0 | c >> 6), (int) (0x80 | (c & 0x3F)));
		else
			(void) snprintf(text, sizeof(text), "%c%c%c", (int) (0xE0 | c >> 12), (int) (0x80 | (c >> 6 & 0x3F)), (int) (0x80 | (c & 0x3F)));
		assert_int_equal(folded(text, x), 1);
		if (x[0] < 0x80)
			continue;
		if (x[0] < 0x800)
			(void) snprintf(once, sizeof(once), "%c%c", (int) (0xC0 | x[0] >> 6), (int) (0x80 | (x[0] & 0x3F)));
		else
			(void) snprintf(once, sizeof(once), "%c%c%c", (int) (0xE0 | x[0] >> 12), (int) (0x80 | (x[0] >> 6 & 0x3F)), (int) (0x80 | (x[0] & 0x3F)));
		assert_int_equal(folded(once, y), 1);
		assert_int_equal(x[0], y[0]);
	}
}

static void
any_bytes_are_text(void **state)
{
	uint32_t	x[ROOM];

	(void) state;
	assert_int_equal(search_fold("", 0, x), 0);
	assert_int_equal(search_fold("\xff\xe6\x9c", 3, x), 3);
	assert_true(is_part("a\xff" "b", "\xff" "b"));
	assert_false(is_part("a\xff" "b", "\xfe" "b"));
	assert_int_equal(search_fold("\0a", 2, x), 2);
}

static void
fragments_are_found(void **state)
{
	(void) state;
	assert_true(is_part("260101AB", "1a"));
	assert_true(is_part("aab", "ab"));
	assert_true(is_part("純棉短袖上衣", "短袖"));
	assert_true(is_part("ab", "ab"));
	assert_false(is_part("ab", "abc"));
	assert_false(is_part("", "ab"));
	assert_false(is_part("a%b", "a_b"));
}

/* A text has every gram that a fragment of it asks for. */
static void
fragments_ask_for_what_texts_have(void **state)
{
	static const char *const text = "【現貨】T-Shirt 純棉 ＸＬ";
	uint32_t	x[ROOM];
	int32_t		has[2 * ROOM];
	int32_t		asked[ROOM];
	int			n = folded(text, x);
	int			nhas = search_hash_all(x, n, has);

	(void) state;
	assert_int_equal(nhas, 2 * n - 3);
	for (int from = 0; from < n; from++)
		for (int length = 0; from + length <= n; length++)
		{
			int			nasked = search_hash_fragment(x + from, length, asked);

			assert_int_equal(nasked, length < 2 ? 0 : length == 2 ? 1 : length - 2);
			for (int i = 0; i < nasked; i++)
			{
				bool		found = false;

				for (int j = 0; j < nhas; j++)
					found |= has[j] == asked[i];
				assert_true(found);
			}
		}
}

static void
digits_and_letters_have_buckets_of_their_own(void **state)
{
	static const char own[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	bool	   *taken = calloc(SEARCH_BUCKETS, sizeof(bool));

	(void) state;
	for (size_t i = 0; i + 1 < sizeof(own); i++)
		for (size_t j = 0; j + 1 < sizeof(own); j++)
		{
			int			bucket = search_bucket((uint32_t) own[i], (uint32_t) own[j]);

			assert_in_range(bucket, 0, SEARCH_BUCKETS - 1);
			assert_false(taken[bucket]);
			taken[bucket] = true;
			assert_int_equal(search_key((uint32_t) own[i]) == search_key((uint32_t) own[j]), i == j);
		}
	for (uint32_t c = 0; c < 0x30000; c += 97)
	{
		assert_in_range(search_bucket(c, 0x10FFFF - c), 0, SEARCH_BUCKETS - 1);
		assert_in_range(search_key(c), 0, SEARCH_KEYS - 1);
		assert_false(c > 'z' && taken[search_bucket(c, c)]);
	}
	free(taken);
}

static int
compare(const void *a, const void *b)
{
	SearchPosting x = *(const SearchPosting *) a;
	SearchPosting y = *(const SearchPosting *) b;

	return (x > y) - (x < y);
}

static uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* random_postings makes n of them, some twice, over few or many buckets. */
static SearchPosting *
random_postings(uint64_t *seed, size_t n, int spread)
{
	SearchPosting *postings = malloc(sizeof(SearchPosting) * (n + 1));
	uint32_t	text[3];

	for (size_t i = 0; i < n; i++)
	{
		int			ordinal = (int) (next_random(seed) % (1 + (uint64_t) spread * 500)) % SEARCH_RUN;

		text[0] = 'a' + (uint32_t) (next_random(seed) % (uint64_t) spread);
		text[1] = 0x4E00 + (uint32_t) (next_random(seed) % (uint64_t) spread);
		text[2] = (uint32_t) next_random(seed) & 0xFFFF;
		postings[i] = next_random(seed) % 3 == 0 ? search_sku_posting((int64_t) (next_random(seed) >> (20 + next_random(seed) % 40)), ordinal) :
			search_gram_posting(text, next_random(seed) % 4 == 0 ? 2 : 3, 0, ordinal);
		if (i > 0 && next_random(seed) % 5 == 0)
			postings[i] = postings[i - 1];
	}
	return postings;
}

static void
what_is_packed_comes_out(void **state)
{
	uint64_t	seed = 88172645463325252;

	(void) state;
	for (int round = 0; round < 200; round++)
	{
		size_t		n = round == 0 ? 0 : (size_t) (next_random(&seed) % 3000);
		SearchPosting *postings = random_postings(&seed, n, 1 + round % 40);
		SearchPosting *sorted = malloc(sizeof(SearchPosting) * (n + 1));
		SearchPosting *room = malloc(sizeof(SearchPosting) * (n + 1));
		uint8_t    *lists = malloc(search_pack_bound(n));
		size_t		length;
		size_t		kept = 0;

		memcpy(sorted, postings, sizeof(SearchPosting) * n);
		qsort(sorted, n, sizeof(SearchPosting), compare);
		search_sort(postings, room, n);
		assert_memory_equal(postings, sorted, sizeof(SearchPosting) * n);
		for (size_t i = 0; i < n; i++)
			if (i == 0 || sorted[i] != sorted[i - 1])
				sorted[kept++] = sorted[i];
		length = search_pack(postings, n, lists);
		assert_true(length <= search_pack_bound(n));
		assert_int_equal(search_unpack(lists, length, 0, room, n), kept);
		assert_memory_equal(room, sorted, sizeof(SearchPosting) * kept);
		if (kept > 0)
			assert_int_equal(search_unpack(lists, length, 0, room, kept - 1), -1);
		assert_int_equal(search_unpack(lists, length - 1, 0, room, n), -1);
		free(postings);
		free(sorted);
		free(room);
		free(lists);
	}
}

static void
a_base_raises_ordinals(void **state)
{
	SearchPosting posting = search_sku_posting(4711, 4095);
	SearchPosting out[2];
	uint8_t    *lists = malloc(search_pack_bound(1));
	size_t		length = search_pack(&posting, 1, lists);

	(void) state;
	assert_int_equal(search_unpack(lists, length, 61440, out, 2), 1);
	assert_int_equal(out[0], search_sku_posting(4711, 65535));
	assert_int_equal(search_unpack(lists, length, 61441, out, 2), -1);
	assert_int_equal(search_unpack(lists, SEARCH_DIRECTORY - 1, 0, out, 2), -1);
	free(lists);
}

static void
lists_are_noted(void **state)
{
	SearchPosting postings[] = {search_sku_posting(16, 0), search_sku_posting(16, 64), search_sku_posting(16, 65535), search_sku_posting(17, 3)};
	uint8_t    *lists = malloc(search_pack_bound(4));
	uint64_t	set[SEARCH_RUN / 64] = {0};
	SearchWalk	walk = {0};
	int			bucket = search_posting_bucket(postings[0]);
	static const uint8_t beyond[] = {0x80, 0x80, 0x04};
	static const uint8_t cut[] = {0x80};

	(void) state;
	(void) search_pack(postings, 4, lists);
	walk.at = lists + SEARCH_DIRECTORY + search_offset(lists + 4 * bucket);
	walk.end = lists + SEARCH_DIRECTORY + search_offset(lists + 4 * (bucket + 1));
	assert_true(search_next(&walk));
	assert_int_equal(walk.key, search_posting_key(postings[0]));
	assert_true(search_note(&walk, set));
	assert_int_equal(set[0], 1);
	assert_int_equal(set[1], 1);
	assert_true(set[SEARCH_RUN / 64 - 1] == UINT64_C(1) << 63);
	assert_true(search_next(&walk));
	assert_int_equal(walk.key, search_posting_key(postings[3]));
	assert_false(search_next(&walk));
	walk = (SearchWalk) {.list = beyond, .list_end = beyond + sizeof(beyond)};
	assert_false(search_note(&walk, set));
	walk = (SearchWalk) {.list = cut, .list_end = cut + sizeof(cut)};
	assert_false(search_note(&walk, set));
	free(lists);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(letters_are_folded),
		cmocka_unit_test(what_is_folded_stays_so),
		cmocka_unit_test(any_bytes_are_text),
		cmocka_unit_test(fragments_are_found),
		cmocka_unit_test(fragments_ask_for_what_texts_have),
		cmocka_unit_test(digits_and_letters_have_buckets_of_their_own),
		cmocka_unit_test(what_is_packed_comes_out),
		cmocka_unit_test(a_base_raises_ordinals),
		cmocka_unit_test(lists_are_noted),
	};

	return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
