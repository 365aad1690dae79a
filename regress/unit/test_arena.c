/*
 * test_arena.c
 *		Tests of the arena: alignment, zeroes, the bound, and that a failure
 *		lasts until the reset.
 */
#include "codec_test.h"

static void
pieces_are_aligned_zeroed_and_apart(void **state)
{
	Arena	   *arena = *state;
	char	   *last = NULL;
	size_t		size;

	for (size = 0; size < 300; size++)
	{
		char	   *piece = arena_alloc(arena, size);
		size_t		i;

		assert_non_null(piece);
		assert_int_equal((uintptr_t) piece % _Alignof(max_align_t), 0);
		assert_ptr_not_equal(piece, last);
		for (i = 0; i < size; i++)
			assert_int_equal(piece[i], 0);
		memset(piece, 0xFF, size);
		last = piece;
	}
}

static void
a_reset_gives_zeroes_again(void **state)
{
	Arena	   *arena = *state;
	char	   *piece = arena_alloc(arena, 100);

	memset(piece, 0xFF, 100);
	arena_reset(arena);
	piece = arena_alloc(arena, 100);
	assert_int_equal(piece[0], 0);
	assert_int_equal(piece[99], 0);
}

static void
large_pieces_fit(void **state)
{
	Arena	   *arena = *state;
	char	   *piece = arena_alloc(arena, 5 * 1024 * 1024);

	assert_non_null(piece);
	piece[5 * 1024 * 1024 - 1] = 1;
	assert_non_null(arena_alloc(arena, 10));
}

static void
the_bound_holds_and_failure_lasts(void **state)
{
	Arena	   *arena = arena_create(1000);
	int			pieces = 0;

	(void) state;
	assert_false(arena_failed(arena));
	while (arena_alloc(arena, 10) != NULL)
		pieces++;
	assert_in_range(pieces, 1, 100);
	assert_true(arena_failed(arena));
	assert_null(arena_alloc(arena, 0));
	assert_null(arena_strdup(arena, ""));
	assert_null(arena_printf(arena, "%d", 1));

	arena_reset(arena);
	assert_false(arena_failed(arena));
	assert_non_null(arena_alloc(arena, 10));
	arena_free(arena);
}

static void
the_bound_counts_again_after_a_reset(void **state)
{
	Arena	   *arena = arena_create(100 * 1024);
	int			round;

	(void) state;
	for (round = 0; round < 10; round++)
	{
		assert_non_null(arena_alloc(arena, 60 * 1024));
		assert_non_null(arena_alloc(arena, 10));
		assert_null(arena_alloc(arena, 60 * 1024));
		arena_reset(arena);
	}
	arena_free(arena);
}

static void
sizes_that_cannot_be_are_refused(void **state)
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX - 64, SIZE_MAX / 2, TEST_ARENA_BYTES + 1};
	size_t		i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		assert_null(arena_alloc(*state, sizes[i]));
		assert_true(arena_failed(*state));
		arena_reset(*state);
	}
}

static void
texts_are_copied(void **state)
{
	char		text[] = "abcdef";
	char	   *copy = arena_strdup(*state, text);
	char	   *part = arena_strndup(*state, text, 3);
	char	   *whole = arena_strndup(*state, text, 100);

	text[0] = 'X';
	assert_string_equal(copy, "abcdef");
	assert_string_equal(part, "abc");
	assert_string_equal(whole, "abcdef");
	assert_string_equal(arena_strndup(*state, "", 0), "");
	assert_string_equal(arena_printf(*state, "%s-%d", "a", 7), "a-7");
	assert_string_equal(arena_printf(*state, "%s", ""), "");
}

static void
nothing_may_be_freed(void **state)
{
	(void) state;
	arena_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		arena_test(pieces_are_aligned_zeroed_and_apart),
		arena_test(a_reset_gives_zeroes_again),
		arena_test(large_pieces_fit),
		cmocka_unit_test(the_bound_holds_and_failure_lasts),
		cmocka_unit_test(the_bound_counts_again_after_a_reset),
		arena_test(sizes_that_cannot_be_are_refused),
		arena_test(texts_are_copied),
		cmocka_unit_test(nothing_may_be_freed),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
