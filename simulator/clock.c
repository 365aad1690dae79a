/*
 * clock.c
 *		The two clocks; see clock.h. Holds no lock.
 */
#include "clock.h"

#include <time.h>

#define US_PER_S INT64_C(1000000)

static int64_t offset_us;		/* wall minus monotonic at the first call; constant afterwards */

static int64_t
read_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t) now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t
clock_us(void)
{
	if (offset_us == 0)
		offset_us = read_us(CLOCK_REALTIME) - read_us(CLOCK_MONOTONIC);
	return read_us(CLOCK_MONOTONIC) + offset_us;
}

int64_t
clock_wall_s(void)
{
	return (int64_t) time(NULL);
}

void
clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
}

void
clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t due_us)
{
	struct timespec due;

	if (due_us == INT64_MAX)
	{
		pthread_cond_wait(condition, lock);
		return;
	}
	due_us -= offset_us;
	if (due_us < 0)
		due_us = 0;
	due.tv_sec = (time_t) (due_us / US_PER_S);
	due.tv_nsec = (long) (due_us % US_PER_S) * 1000;
	pthread_cond_timedwait(condition, lock, &due);
}
