/*
 * histogram.h
 *		How often each length of time occurred, within one percent: counters of
 *		milliseconds in buckets whose width grows with the value.
 *
 * Free of PostgreSQL headers, no state. Up to HISTOGRAM_EXACT every
 * millisecond has a bucket of its own; above it each doubling is cut into 64.
 * A bucket stands for its middle, which is at most 1/128 from any value in it.
 * Only whole numbers are computed with, so that every machine finds the same
 * bucket.
 *
 * Packed: for each bucket that is not empty, in ascending order, its distance
 * from the one before (the first: from -1) and its count, both as in varint.h.
 */
#ifndef STORESYNC_HISTOGRAM_H
#define STORESYNC_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_EXACT		128
#define HISTOGRAM_PARTS		64
/* Values of 2^42 ms (140 years) and more count as the largest below it, negative ones as 0. */
#define HISTOGRAM_BITS		42
#define HISTOGRAM_BUCKETS	(HISTOGRAM_EXACT + (HISTOGRAM_BITS - 7) * HISTOGRAM_PARTS)

typedef struct Histogram
{
	int64_t		counts[HISTOGRAM_BUCKETS];
} Histogram;

/* Room that any histogram takes packed. */
#define HISTOGRAM_PACKED	(HISTOGRAM_BUCKETS * 11)

/* The bucket of a value, the least value of a bucket, and the one that it stands for. */
extern int	histogram_bucket(int64_t ms);
extern int64_t histogram_low(int bucket);
extern int64_t histogram_middle(int bucket);

/* Add a histogram to another; false, and nothing is changed, when a count is too large for that. */
extern bool histogram_add(Histogram *to, const Histogram *what);
/* How many values there are; INT64_MAX for so many and more. */
extern int64_t histogram_count(const Histogram *histogram);
/*
 * The value below or at which the fraction (0 to 1) of all values lie: that
 * of rank ceil(fraction * n), the first for 0. False: there are no values.
 */
extern bool histogram_percentile(const Histogram *histogram, double fraction, int64_t *ms);

/* Returns the bytes written to `packed`, which has room for HISTOGRAM_PACKED. */
extern size_t histogram_pack(const Histogram *histogram, uint8_t *packed);
/* False when these are not the bytes of a histogram. */
extern bool histogram_unpack(const uint8_t *packed, size_t length, Histogram *histogram);

#endif
