/*
 * test_histogram.c
 *		Buckets, percentiles and packing of histograms, beside the exact
 *		percentiles of the same values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"

#define VALUES		5000
#define HISTORIES	50

static uint64_t state;

static uint64_t
next_random(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return state >> 20;
}

static void
buckets_follow_each_other(void **unused)
{
	(void) unused;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		int64_t		low = histogram_low(i);

		assert_int_equal(histogram_bucket(low), i);
		if (i > 0)
		{
			assert_true(low > histogram_low(i - 1));
			assert_int_equal(histogram_bucket(low - 1), i - 1);
		}
	}
	assert_int_equal(histogram_bucket(-5), 0);
	assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(INT64_C(1) << HISTOGRAM_BITS), HISTOGRAM_BUCKETS - 1);
}

static void
a_bucket_stands_for_what_is_in_it(void **unused)
{
	(void) unused;
	for (int64_t ms = 0; ms < INT64_C(1) << 40; ms += 1 + ms / 1000)
	{
		int64_t		shown = histogram_middle(histogram_bucket(ms));
		int64_t		error = shown > ms ? shown - ms : ms - shown;

		assert_true(error * 128 <= ms);
	}
}

static int
compare(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

/* exact is the percentile of sorted values by the same rank. */
static int64_t
exact(const int64_t *values, int n, double fraction)
{
	int			rank = 1;

	while (rank < n && (double) rank < fraction * n)
		rank++;
	return values[rank - 1];
}

static void
percentiles_are_within_a_percent(void **unused)
{
	static const double fractions[] = {0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
	static int64_t values[VALUES];
	static Histogram histogram;

	(void) unused;
	for (int history = 0; history < HISTORIES; history++)
	{
		int			n = 1 + (int) (next_random() % VALUES);

		memset(&histogram, 0, sizeof(histogram));
		for (int i = 0; i < n; i++)
		{
			values[i] = (int64_t) (next_random() >> (next_random() % 44));
			histogram.counts[histogram_bucket(values[i])]++;
			if (values[i] >= INT64_C(1) << HISTOGRAM_BITS)
				values[i] = (INT64_C(1) << HISTOGRAM_BITS) - 1;
		}
		qsort(values, n, sizeof(int64_t), compare);
		assert_int_equal(histogram_count(&histogram), n);
		for (size_t f = 0; f < sizeof(fractions) / sizeof(fractions[0]); f++)
		{
			int64_t		wanted = exact(values, n, fractions[f]);
			int64_t		shown;

			assert_true(histogram_percentile(&histogram, fractions[f], &shown));
			assert_true((shown > wanted ? shown - wanted : wanted - shown) * 128 <= wanted);
		}
	}
}

static void
what_is_packed_comes_out_again(void **unused)
{
	static Histogram histogram;
	static Histogram back;
	static uint8_t packed[HISTOGRAM_PACKED];

	(void) unused;
	for (int history = 0; history < HISTORIES; history++)
	{
		size_t		length;

		memset(&histogram, 0, sizeof(histogram));
		for (int i = (int) (next_random() % 300); i > 0; i--)
			histogram.counts[next_random() % HISTOGRAM_BUCKETS] = (int64_t) (next_random() << 19 >> (next_random() % 64));
		length = histogram_pack(&histogram, packed);
		assert_true(histogram_unpack(packed, length, &back));
		assert_memory_equal(&histogram, &back, sizeof(histogram));
	}
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram.counts[i] = INT64_MAX;
	assert_true(histogram_pack(&histogram, packed) <= HISTOGRAM_PACKED);
	assert_true(histogram_unpack(packed, histogram_pack(&histogram, packed), &back));
	assert_int_equal(histogram_count(&back), INT64_MAX);
	assert_false(histogram_add(&back, &histogram));
	assert_memory_equal(&histogram, &back, sizeof(histogram));
}

static void
other_bytes_are_refused(void **unused)
{
	static Histogram back;
	static const uint8_t far[] = {0xff, 0xff, 0x03, 1};
	static const uint8_t none[] = {1, 0};
	static const uint8_t same[] = {1, 1, 0, 1};
	static const uint8_t longer[] = {0x81, 0x00, 1};
	static const uint8_t huge[] = {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	static const uint8_t half[] = {1};
	int64_t		ms;

	(void) unused;
	assert_false(histogram_unpack(far, sizeof(far), &back));
	assert_false(histogram_unpack(none, sizeof(none), &back));
	assert_false(histogram_unpack(same, sizeof(same), &back));
	assert_false(histogram_unpack(longer, sizeof(longer), &back));
	assert_false(histogram_unpack(huge, sizeof(huge), &back));
	assert_false(histogram_unpack(half, sizeof(half), &back));
	assert_true(histogram_unpack(half, 0, &back));
	assert_false(histogram_percentile(&back, 0.5, &ms));
	for (int i = 0; i < 20000; i++)
	{
		uint8_t		bytes[24];
		size_t		length = next_random() % sizeof(bytes);

		for (size_t b = 0; b < length; b++)
			bytes[b] = (uint8_t) next_random();
		if (histogram_unpack(bytes, length, &back))
		{
			static uint8_t packed[HISTOGRAM_PACKED];

			assert_int_equal(histogram_pack(&back, packed), length);
			assert_memory_equal(packed, bytes, length);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_follow_each_other),
		cmocka_unit_test(a_bucket_stands_for_what_is_in_it),
		cmocka_unit_test(percentiles_are_within_a_percent),
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(other_bytes_are_refused),
	};

	state = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
