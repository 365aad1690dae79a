/*
 * gcra.h
 *		The generic cell rate algorithm: one 64-bit number per window.
 *
 * Free of PostgreSQL headers, no state, no clock: times come in as
 * nanoseconds of whatever clock the caller reads.
 *
 * The number is the theoretical arrival time (TAT): the moment at which the
 * window would be idle again if nothing more were granted. A window of N calls
 * per period with burst B has interval T = ceil(period / N) and capacity B*T.
 * Whatever the order of the readings, the calls granted with readings in
 * [a, a + period) number at most N + B - 1: the first of n leaves TAT at or
 * above a + T, each further one adds T, and the last one needs the TAT before
 * it at or below its reading + (B-1)*T < a + period + (B-1)*T. Nothing in this
 * breaks when a call adds more than T, when TAT is raised in between, or when
 * it is forgotten and set to what gcra_empty() says.
 */
#ifndef STORESYNC_GCRA_H
#define STORESYNC_GCRA_H

#include <stdbool.h>
#include <stdint.h>

/* Ten years: no burst takes longer to come back, so that sums stay inside int64. */
#define GCRA_MAX_CAPACITY_NS	INT64_C(315576000000000000)
/* Faster than a call per microsecond is no limit. */
#define GCRA_MIN_INTERVAL_NS	INT64_C(1000)

typedef struct GcraWindow
{
	int64_t		interval_ns;	/* T: between two calls of a steady stream */
	int64_t		capacity_ns;	/* B*T: how far ahead of the clock TAT may be after a call */
} GcraWindow;

/*
 * `calls` per `period_ns` with `burst`. False when any of them is below 1, or
 * the window falls outside of the two bounds above.
 */
extern bool gcra_window(GcraWindow *window, int64_t calls, int64_t period_ns, int64_t burst);

/*
 * Ask for `cost` calls at `now_ns`: cost >= 1 and at most what gcra_allows().
 * Returns 0 and sets *next to the new TAT when granted; else the nanoseconds
 * to wait, *next untouched.
 */
extern int64_t gcra_take(const GcraWindow *window, int64_t tat_ns, int64_t now_ns,
						 int64_t cost, int64_t *next_ns);

/*
 * The same at a slower pace: each call adds `step_ns`, the window's interval
 * or more, and is granted when the window's own limit would grant it.
 */
extern int64_t gcra_take_paced(const GcraWindow *window, int64_t tat_ns, int64_t now_ns,
							   int64_t cost, int64_t step_ns, int64_t *next_ns);

/* Whether `cost` calls at once can ever be granted: at most the burst. */
extern bool gcra_allows(const GcraWindow *window, int64_t cost);

/*
 * TAT of an empty bucket: as if everything the window can ever have granted
 * had been taken this moment. Nobody who forgot the true TAT exceeds the limit
 * by going on from here. The first single call is granted one interval later.
 */
extern int64_t gcra_empty(const GcraWindow *window, int64_t now_ns);

/* TAT that grants no call before `until_ns`, one at it, and the steady rate after. */
extern int64_t gcra_hold(const GcraWindow *window, int64_t tat_ns, int64_t until_ns);

/*
 * What to add to TAT when a call that was granted leaves only now, so that the
 * guarantee holds for the moments of leaving: calls leave in the order of their
 * grants, and none is granted between another's grant and its leaving but
 * right after it. lead_ns: how much further the grant moved TAT than it would
 * have moved that of an idle window.
 */
extern int64_t gcra_late(int64_t granted_ns, int64_t lead_ns, int64_t now_ns);

#endif
