/*
 * rhythm.h
 *		How often a store's orders are fetched, in which pieces their past is,
 *		and which of its hours are looked at again: arithmetic alone.
 *
 * Free of PostgreSQL headers, no clock, no state. Times are microseconds of
 * whatever epoch the caller uses, in which full hours are multiples of an hour.
 */
#ifndef STORESYNC_RHYTHM_H
#define STORESYNC_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

#define RHYTHM_SECOND	INT64_C(1000000)
#define RHYTHM_HOUR		(3600 * RHYTHM_SECOND)

/* A busy store is not fetched more often than this because it is busy, a quiet one not less often because it is quiet. */
#define RHYTHM_QUICKEST	RHYTHM_SECOND
#define RHYTHM_SLOWEST	(300 * RHYTHM_SECOND)

/*
 * The interval after a fetch, from the one before it (0: there was none):
 * half after one that brought news, a quarter more after one that brought none.
 * So about every fourth fetch brings some. Within base / spread and base *
 * spread, and within the two bounds above unless the base itself is beyond them.
 */
extern int64_t rhythm_poll(int64_t base_us, int spread, int64_t current_us, bool news);

/* A piece of the past holds about so many orders, so that what is new never waits for long. */
#define RHYTHM_PIECE_ORDERS	100

/*
 * The length of the next piece, from the last one's and the orders met in it
 * (length 0: there was none): twice as long after one with less than half of
 * RHYTHM_PIECE_ORDERS, half as long after one with more than twice. Between a
 * minute and the widest window of the platform.
 */
extern int64_t rhythm_piece(int64_t length_us, int64_t widest_us, int orders);

#define RHYTHM_AGES		8
/* Looks at hours that are older than the oldest age by more than this are let be. */
#define RHYTHM_LOOK_BACK	(15 * 24 * RHYTHM_HOUR)

/*
 * Second looks at hours, by their age: for each age, counted from the hour's
 * end, the first hour that has not been looked at since it was so old.
 */
typedef struct RhythmLooks
{
	int			n;				/* ages, 0 to RHYTHM_AGES */
	int64_t		age[RHYTHM_AGES];	/* ascending */
	int64_t		next[RHYTHM_AGES];	/* beginning of an hour */
} RhythmLooks;

/*
 * Which look is due first, and when (*due); an earlier one is never chosen
 * while that of an older age is due for the same hour as well. -1 without ages.
 * Hours that end after `through` are not due: *due is INT64_MAX when no other is.
 */
extern int	rhythm_look(const RhythmLooks *looks, int64_t through, int64_t *due);

/* At `now`, passes over hours that a look of an older age is due for too, and those that are too long ago. */
extern void rhythm_skip(RhythmLooks *looks, int64_t now);

#endif
