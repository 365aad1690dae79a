/*
 * pace.c
 *		Halving after a throttle, growing by steps: pace.h says why it is safe.
 */
#include "pace.h"

uint32_t
pace_throttled(uint32_t pace)
{
	return pace / 2 < PACE_FLOOR ? PACE_FLOOR : pace / 2;
}

uint32_t
pace_succeeded(uint32_t pace, uint32_t calls)
{
	if (pace >= PACE_FULL || calls >= (PACE_FULL - pace + PACE_STEP - 1) / PACE_STEP)
		return PACE_FULL;
	return pace + calls * PACE_STEP;
}

int64_t
pace_interval(int64_t interval_ns, uint32_t pace)
{
	return interval_ns / pace * PACE_FULL + (interval_ns % pace * PACE_FULL + pace - 1) / pace;
}
