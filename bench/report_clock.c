/*
 * report_clock.c
 *		A clock that each session of a server sets for itself: two years of orders are booked in minutes.
 *
 * The postmaster is started with this library in LD_PRELOAD. What the server calls the present is
 * gettimeofday() (GetCurrentTimestamp), so the function here takes its place and adds what this process has
 * been told to add: nothing, until the session calls report_clock(). The clock runs on from there. Intervals
 * are not touched: they are measured by clock_gettime(). For bench/report alone; nothing of it is installed.
 */
#include "postgres.h"

#include <sys/time.h>
#include <time.h>

#include "fmgr.h"
#include "utils/timestamp.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(report_clock);

/* What this process adds to the machine's clock, in microseconds */
static int64 shift_us = 0;

/* true_us is the machine's clock, in microseconds since 1970. */
static int64
true_us(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	return (int64) now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int64		us = true_us() + shift_us;

	(void) zone;
	now->tv_sec = us / USECS_PER_SEC;
	now->tv_usec = us % USECS_PER_SEC;
	return 0;
}

/* report_clock(timestamptz) sets this session's clock; true, so that it can stand in a condition. */
Datum
report_clock(PG_FUNCTION_ARGS)
{
	int64		epoch_us = (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	shift_us = PG_GETARG_TIMESTAMPTZ(0) + epoch_us - true_us();
	PG_RETURN_BOOL(true);
}
