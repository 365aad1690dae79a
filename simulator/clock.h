/*
 * clock.h
 *		The two clocks: one that never steps, for limits, delays and the
 *		trace, and the wall clock, for what is written into orders.
 */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/*
 * Microseconds that never go back. They count from the wall clock's time of
 * the first call, so they read as Unix time, but follow no later step of it.
 * The first call must come before any thread is started.
 */
extern int64_t clock_us(void);

/* Unix seconds of the wall clock. */
extern int64_t clock_wall_s(void);

/* A condition whose timed waits take clock_us. */
extern void clock_condition_init(pthread_cond_t *condition);

/* Waits until signalled or until clock_us reaches due_us; INT64_MAX waits without limit. */
extern void clock_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t due_us);

#endif
