/*
 * histogram.c
 *		Histograms of milliseconds (histogram.h).
 */
#include "histogram.h"

#include <math.h>
#include <string.h>

#include "varint.h"

/* 2^6 parts of each doubling, 2^7 values that are exact. */
#define PART_BITS	6
#define EXACT_BITS	7

int
histogram_bucket(int64_t ms)
{
	uint64_t	value = ms < 0 ? 0 : (uint64_t) ms;
	int			bits;

	if (value < HISTOGRAM_EXACT)
		return (int) value;
	if (value >> HISTOGRAM_BITS != 0)
		return HISTOGRAM_BUCKETS - 1;
	bits = 63 - __builtin_clzll(value);
	return HISTOGRAM_EXACT + (bits - EXACT_BITS) * HISTOGRAM_PARTS +
		(int) ((value >> (bits - PART_BITS)) & (HISTOGRAM_PARTS - 1));
}

/* shift_of says by how many bits values lose in a bucket: its width is 1 << that. */
static int
shift_of(int bucket)
{
	return bucket < HISTOGRAM_EXACT ? 0 : (bucket - HISTOGRAM_EXACT) / HISTOGRAM_PARTS + EXACT_BITS - PART_BITS;
}

int64_t
histogram_low(int bucket)
{
	int			part = (bucket - HISTOGRAM_EXACT) % HISTOGRAM_PARTS;

	if (bucket < HISTOGRAM_EXACT)
		return bucket;
	return (int64_t) (HISTOGRAM_PARTS + part) << shift_of(bucket);
}

int64_t
histogram_middle(int bucket)
{
	return histogram_low(bucket) + ((INT64_C(1) << shift_of(bucket)) >> 1);
}

bool
histogram_add(Histogram *to, const Histogram *what)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (what->counts[i] > INT64_MAX - to->counts[i])
			return false;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->counts[i] += what->counts[i];
	return true;
}

int64_t
histogram_count(const Histogram *histogram)
{
	int64_t		n = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] > INT64_MAX - n)
			return INT64_MAX;
		n += histogram->counts[i];
	}
	return n;
}

bool
histogram_percentile(const Histogram *histogram, double fraction, int64_t *ms)
{
	int64_t		n = histogram_count(histogram);
	double		wanted = ceil(fraction * (double) n);
	int64_t		rank = wanted < 1 ? 1 : wanted >= (double) n ? n : (int64_t) wanted;
	int64_t		seen = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		*ms = histogram_middle(i);
		if (histogram->counts[i] >= rank - seen)
			return true;
		seen += histogram->counts[i];
	}
	return n > 0;
}

size_t
histogram_pack(const Histogram *histogram, uint8_t *packed)
{
	uint8_t    *to = packed;
	int			before = -1;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		if (histogram->counts[i] == 0)
			continue;
		to = varint_put(to, (uint64_t) (i - before));
		to = varint_put(to, (uint64_t) histogram->counts[i]);
		before = i;
	}
	return (size_t) (to - packed);
}

bool
histogram_unpack(const uint8_t *packed, size_t length, Histogram *histogram)
{
	const uint8_t *end = packed + length;
	int64_t		bucket = -1;

	memset(histogram, 0, sizeof(Histogram));
	while (packed < end)
	{
		uint64_t	distance;
		uint64_t	count;

		if (!varint_get(&packed, end, &distance) || distance < 1 || distance >= (uint64_t) (HISTOGRAM_BUCKETS - bucket) ||
			!varint_get(&packed, end, &count) || count < 1 || count > INT64_MAX)
			return false;
		bucket += (int64_t) distance;
		histogram->counts[bucket] = (int64_t) count;
	}
	return true;
}
