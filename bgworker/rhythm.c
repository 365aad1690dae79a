/*
 * rhythm.c
 *		Arithmetic of fetching orders; rhythm.h has the rules.
 */
#include "rhythm.h"

#define MINUTE	(60 * RHYTHM_SECOND)

static int64_t
at_most(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
at_least(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t
rhythm_poll(int64_t base_us, int spread, int64_t current_us, bool news)
{
	int64_t		quickest = at_least(base_us / spread, at_most(base_us, RHYTHM_QUICKEST));
	int64_t		slowest = at_most(base_us * spread, at_least(base_us, RHYTHM_SLOWEST));

	if (current_us == 0)
		current_us = base_us;
	current_us = news ? current_us / 2 : current_us + current_us / 4;
	return at_least(quickest, at_most(slowest, current_us));
}

int64_t
rhythm_piece(int64_t length_us, int64_t widest_us, int orders)
{
	if (length_us == 0)
		length_us = RHYTHM_HOUR;
	else if (orders < RHYTHM_PIECE_ORDERS / 2)
		length_us *= 2;
	else if (orders > RHYTHM_PIECE_ORDERS * 2)
		length_us /= 2;
	return at_least(MINUTE, at_most(widest_us, length_us));
}

int
rhythm_look(const RhythmLooks *looks, int64_t through, int64_t *due)
{
	int			first = -1;

	*due = INT64_MAX;
	for (int i = looks->n - 1; i >= 0; i--)
	{
		int64_t		end = looks->next[i] + RHYTHM_HOUR;
		int64_t		its = end > through ? INT64_MAX : end + looks->age[i];

		if (first < 0 || its < *due)
		{
			first = i;
			*due = its;
		}
	}
	return first;
}

void
rhythm_skip(RhythmLooks *looks, int64_t now)
{
	for (int i = 0; i < looks->n; i++)
	{
		bool		oldest = i == looks->n - 1;
		int64_t		reach = oldest ? looks->age[i] + RHYTHM_LOOK_BACK : looks->age[i + 1];
		int64_t		latest = now - reach;	/* an hour that ended by then is another look's, or nobody's */

		latest -= latest % RHYTHM_HOUR;
		looks->next[i] = at_least(looks->next[i], latest);
	}
}
