/*
 * retry.c
 *		Backoff with jitter, so that what failed together does not come back
 *		together.
 */
#include "retry.h"

#define FIRST_US	USECS_PER_SEC
#define LAST_US		(5 * USECS_PER_MINUTE)

static uint64 state = 0;

void
retry_seed(uint64 seed)
{
	state = seed;
}

/* next_fraction is splitmix64: any seed is as good as another. Between 0 and 1. */
static double
next_fraction(void)
{
	uint64		z = (state += UINT64CONST(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94D049BB133111EB);
	z ^= z >> 31;
	return (double) (z >> 11) / (double) (UINT64CONST(1) << 53);
}

int64
retry_delay_us(int failures)
{
	int64		delay = FIRST_US;

	for (int i = 1; i < failures && delay < LAST_US; i++)
		delay *= 2;
	delay = Min(delay, LAST_US);
	return (int64) (delay * (0.75 + 0.5 * next_fraction()));
}
