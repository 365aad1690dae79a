/*
 * pace.h
 *		How much of its limit a store uses after throttle answers: a part in a
 *		thousand, halved by each throttle, grown back by successes.
 *
 * Free of PostgreSQL headers, no state, no clock. Slowing never loosens a
 * limit: a paced call is granted under the limit's own condition and counts
 * for more than one (gcra_take_paced), so that the guarantee of gcra.h holds
 * through every change of the pace, back up included.
 */
#ifndef STORESYNC_PACE_H
#define STORESYNC_PACE_H

#include <stdint.h>

#define PACE_FULL		1000	/* the whole limit */
#define PACE_FLOOR		100		/* never slower than a tenth of it */
#define PACE_STEP		10		/* what a success gives back: a hundredth of the limit */
/* This long without a throttle answer, and the whole limit is tried again. */
#define PACE_FORGET_NS	INT64_C(3600000000000)

/* After a throttle answer: half, not below the floor. */
extern uint32_t pace_throttled(uint32_t pace);

/* After `calls` good answers. */
extern uint32_t pace_succeeded(uint32_t pace, uint32_t calls);

/* What a call counts for in a window whose calls are `interval_ns` apart at full pace; rounded up. */
extern int64_t pace_interval(int64_t interval_ns, uint32_t pace);

#endif
