/*
 * fuzz_search.c
 *		Lists of a run of orders, damaged anyhow: what is read of them lies
 *		within bounds, and what can be unpacked packs to something equal. The
 *		same bytes as text: folded twice they are folded once.
 */
#include "fuzz_judge.h"

#include "search_lists.h"

#define MOST	65536

/* A directory is longer than inputs are: offsets come from the input, one for every so many buckets. */
#define STRIDE	1024

static size_t
make_lists(const uint8_t *data, size_t size, uint8_t *lists)
{
	size_t		body = size / 2;
	uint32_t	offset = 0;

	for (size_t bucket = 0; bucket <= SEARCH_ALL_BUCKETS; bucket++)
	{
		if (bucket % STRIDE == 0 && bucket / STRIDE < size - body)
			offset += data[body + bucket / STRIDE];
		if (bucket == SEARCH_ALL_BUCKETS && size % 2 == 0)
			offset = (uint32_t) body;
		for (int i = 0; i < 4; i++)
			lists[4 * bucket + (size_t) i] = (uint8_t) (offset >> (8 * i));
	}
	memcpy(lists + SEARCH_DIRECTORY, data, body);
	return SEARCH_DIRECTORY + body;
}

static void
try_lists(const uint8_t *data, size_t size, Arena *arena)
{
	uint8_t    *lists = arena_alloc(arena, SEARCH_DIRECTORY + size);
	uint8_t    *again = arena_alloc(arena, search_pack_bound(MOST));
	SearchPosting *postings = arena_alloc(arena, sizeof(SearchPosting) * MOST);
	SearchPosting *room = arena_alloc(arena, sizeof(SearchPosting) * MOST);
	uint64_t   *set = arena_alloc(arena, SEARCH_RUN / 8);
	SearchWalk	walk = {.at = data, .end = data + size};
	size_t		length = make_lists(data, size, lists);
	int64_t		n = search_unpack(lists, length, size > 0 ? data[0] : 0, postings, MOST);

	memset(set, 0, SEARCH_RUN / 8);
	while (search_next(&walk))
		(void) search_note(&walk, set);
	if (n < 0)
		return;
	search_sort(postings, room, (size_t) n);
	length = search_pack(postings, (size_t) n, again);
	REQUIRE(length <= search_pack_bound((size_t) n));
	REQUIRE(search_unpack(again, length, 0, room, MOST) >= 0);
}

static void
try_text(const uint8_t *data, size_t size, Arena *arena)
{
	uint32_t   *folded = arena_alloc(arena, sizeof(uint32_t) * (size + 1));
	int32_t    *grams = arena_alloc(arena, sizeof(int32_t) * 2 * (size + 1));
	int			n = search_fold((const char *) data, size, folded);

	REQUIRE(n >= 0 && (size_t) n <= size);
	REQUIRE(search_hash_all(folded, n, grams) <= 2 * n);
	REQUIRE(search_hash_fragment(folded, n, grams) <= n);
	for (int i = 0; i + 1 < n; i++)
		REQUIRE(search_posting_bucket(search_gram_posting(folded, n, i, i % SEARCH_RUN)) < SEARCH_BUCKETS);
	REQUIRE(n == 0 || search_is_part(folded, n, folded + n / 2, n - n / 2));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Arena	   *arena = arena_create(FUZZ_ARENA_BYTES);

	try_lists(data, size, arena);
	try_text(data, size, arena);
	arena_free(arena);
	return 0;
}
