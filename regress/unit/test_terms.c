/*
 * test_terms.c
 *		The examples of docs/listing.md, and what must hold whatever the
 *		facts are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "listing_terms.h"

#define SECOND	INT64_C(1000000)
#define NOW		(INT64_C(800000000) * SECOND)
#define STATES	200000

/* 10 left, shown and acknowledged a while ago; orders fetched 15 s ago, 16 sold in the minute before. */
static TermsFacts
ten_shown(void)
{
	TermsFacts	facts = {
		.now = NOW, .clock_doubt = 6 * SECOND, .fetch_age = 20 * SECOND,
		.enabled = true, .gross = 10, .most = 1000, .version = 7,
		.written = true, .written_here = true, .acked_qty = 10, .acked_version = 7,
		.written_at = NOW - 120 * SECOND, .doubt_qty = TERMS_NONE, .sending_qty = TERMS_NONE,
		.fetched = true, .fetched_through = NOW - 15 * SECOND, .poll_interval = 10 * SECOND, .sold_before = 16
	};

	return facts;
}

static Terms
reckon(const TermsFacts *facts)
{
	Terms		terms;

	terms_compare(facts, &terms);
	terms_write(facts, &terms);
	return terms;
}

static void
test_clean(void **state)
{
	TermsFacts	facts = ten_shown();
	Terms		terms = reckon(&facts);

	assert_false(terms.differs);
	assert_int_equal(terms.wanted, 10);
	assert_int_equal(terms.believed, 10);
	assert_int_equal(terms.fetch_after, 0);
	assert_int_equal(terms.not_before, facts.written_at + facts.clock_doubt);
}

static void
test_small_decrease_waits(void **state)
{
	TermsFacts	facts = ten_shown();
	Terms		terms;

	facts.gross = 8;
	facts.version = 8;
	terms = reckon(&facts);
	assert_int_equal(terms.unseen, 4);
	assert_int_equal(terms.to_send, 4);
	assert_int_equal(terms.fetch_after, NOW - 20 * SECOND);
	facts.gross = 5;
	terms = reckon(&facts);
	assert_int_equal(terms.to_send, 1);
	assert_int_equal(terms.fetch_after, 0);
	assert_int_equal(terms.not_before, 0);
}

static void
test_raise_waits_for_a_fetch(void **state)
{
	TermsFacts	facts = ten_shown();
	Terms		terms;

	facts.acked_qty = 1;
	facts.gross = 5;
	facts.version = 8;
	facts.written_at = NOW - 10 * SECOND;
	terms = reckon(&facts);
	assert_int_equal(terms.to_send, 1);
	assert_int_equal(terms.fetch_after, facts.fetched_through + facts.poll_interval);
	facts.sold_before = 0;
	terms = reckon(&facts);
	assert_int_equal(terms.to_send, 5);
	assert_int_equal(terms.fetch_after, facts.written_at);
}

static void
test_unknown(void **state)
{
	TermsFacts	facts = ten_shown();
	Terms		terms;

	facts.unsure = true;
	assert_int_equal(reckon(&facts).believed, 10);
	facts.version = 8;
	assert_int_equal(reckon(&facts).believed, TERMS_NONE);
	assert_int_equal(reckon(&facts).at_most, 10);
	facts.cancelled = 3;
	assert_int_equal(reckon(&facts).at_most, 13);
	facts.sending_qty = 20;
	assert_int_equal(reckon(&facts).at_most, 20);
	facts.doubt_qty = 30;
	assert_int_equal(reckon(&facts).at_most, 30);
	/* a cancellation after the write, and nobody knows whether the shop shows more */
	facts = ten_shown();
	facts.cancelled = facts.cancelled_after = 3;
	assert_int_equal(reckon(&facts).believed, 13);
	facts.returns_unknown = true;
	assert_int_equal(reckon(&facts).believed, TERMS_NONE);
	assert_int_equal(reckon(&facts).at_most, 13);
	facts = ten_shown();
	facts.written_here = false;
	assert_true(reckon(&facts).differs);
	facts = ten_shown();
	facts.written = false;
	terms = reckon(&facts);
	assert_int_equal(terms.at_most, TERMS_NONE);
	assert_true(terms.differs);
}

static uint64_t
next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

static int64_t
below(uint64_t *state, int n)
{
	return (int64_t) (next_random(state) % (uint64_t) n);
}

/* Whatever the facts: nothing outside of its bounds, and never more sent than wanted. */
static void
test_bounds(void **context)
{
	uint64_t	state = 1;

	for (int i = 0; i < STATES; i++)
	{
		TermsFacts	facts = ten_shown();
		Terms		terms;

		facts.shows_nothing = below(&state, 10) == 0;
		facts.gross = below(&state, 40);
		facts.buffer = below(&state, 5);
		facts.most = below(&state, 50);
		facts.version = 7 + below(&state, 2);
		facts.written = below(&state, 10) > 0;
		facts.acked_qty = below(&state, 40);
		facts.written_at = NOW - below(&state, 60) * SECOND;
		facts.doubt_qty = facts.written && below(&state, 5) == 0 ? below(&state, 40) : TERMS_NONE;
		facts.sending_qty = facts.written && below(&state, 5) == 0 ? below(&state, 40) : TERMS_NONE;
		facts.ordered_after = below(&state, 10);
		facts.cancelled = below(&state, 5);
		facts.cancelled_after = facts.cancelled > 0 ? below(&state, (int) facts.cancelled) : 0;
		facts.returns_unknown = below(&state, 3) == 0;
		facts.unsure = below(&state, 3) == 0;
		facts.fetched_through = NOW + (below(&state, 80) - 60) * SECOND;
		facts.sold_before = below(&state, 60);
		facts.sold_after = below(&state, 20);
		terms = reckon(&facts);
		assert_in_range(terms.wanted, 0, facts.most);
		assert_true(!facts.shows_nothing || terms.to_send == 0);
		assert_in_range(terms.to_send, 0, terms.wanted);
		assert_true(terms.unseen >= 0);
		assert_true(terms.believed >= TERMS_NONE && terms.at_most >= terms.believed);
		assert_true(terms.fetch_after <= NOW + facts.poll_interval && terms.not_before <= NOW + facts.clock_doubt);
		assert_true(terms.differs || terms.fetch_after == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_small_decrease_waits),
		cmocka_unit_test(test_raise_waits_for_a_fetch),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
