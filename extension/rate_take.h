/*
 * rate_take.h
 *		What the parts of the limiter say to one another while a call is taken.
 *		Nanoseconds, on the clock of rate_now(). Nothing here takes a lock,
 *		unless a window is just being changed.
 */
#ifndef STORESYNC_RATE_TAKE_H
#define STORESYNC_RATE_TAKE_H

#include "storesync.h"

#include "pace.h"
#include "rate_budget.h"

/*
 * Take `cost` calls from every window; 0 when granted, else how long to wait,
 * with nothing taken and bit i of *refused set for each of budget->slots that
 * refused. `lead_ns` (may be NULL) is filled with how much further each window
 * went than an idle one would have. Raises 22023 for a cost that can never be
 * granted.
 */
extern int64 rate_take_all(const RateBudget *budget, int64 now, int64 cost, uint32 *refused, int64 *lead_ns);

/* rate_lane.c: the same for an application while the dispatcher waits for the budget. */
extern int64 rate_take_besides(const RateBudget *budget, int64 now, int64 cost);

/* rate_adapt.c: the pace of a store that is slowed, forgetting throttles of long ago. */
extern uint32 rate_slow_pace(RateSlot *store, uint32 pace, int64 now);
/* rate_adapt.c: how long a slot's quota is used up yet. */
extern int64 rate_quota_left(RateSlot *slot, int64 now);

/* rate_adapt.c: full pace and no used-up quota for a store and its application; NULL: for this database. */
extern void rate_forget_answers(const RateSlot *store);

/* Whether the dispatcher waits for any of the slots that a call takes from. */
static inline bool
rate_claimed(const RateBudget *budget, int64 now)
{
	bool		claimed = false;

	for (int i = 0; i < budget->n_slots; i++)
		claimed |= (int64) pg_atomic_read_u64(&budget->slots[i]->claimed_until_ns) > now;
	return claimed;
}

/* The part of its limit that a store uses now. */
static inline uint32
rate_pace(RateSlot *store, int64 now)
{
	uint32		pace = pg_atomic_read_u32(&store->pace);

	return likely(pace == PACE_FULL) ? pace : rate_slow_pace(store, pace, now);
}

/* What a call of the store counts for in a window with that interval. */
static inline int64
rate_step(RateSlot *store, int64 interval_ns, int64 now)
{
	uint32		pace = rate_pace(store, now);

	return likely(pace == PACE_FULL) ? interval_ns : pace_interval(interval_ns, pace);
}

static inline int64
rate_quota_wait(const RateBudget *budget, int64 now)
{
	int64		wait = 0;

	if (unlikely(pg_atomic_read_u64(&budget->slot->quota_until) != 0))
		wait = rate_quota_left(budget->slot, now);
	if (unlikely(pg_atomic_read_u64(&budget->application->quota_until) != 0))
		wait = Max(wait, rate_quota_left(budget->application, now));
	return wait;
}

#endif
