/*
 * rate_adapt.c
 *		What platforms' answers do to a store's budget: a throttle holds and
 *		slows it, successes bring it back, a used-up quota stops it until the
 *		platform's reset.
 *
 * All of it only ever takes calls away from what the limits grant, so it needs
 * no lock: a reader that misses a change by a moment keeps to the limits all
 * the same.
 */
#include "storesync.h"

#include "utils/hsearch.h"

#include "rate.h"
#include "rate_take.h"

/* A reset is never further away than a day; what says otherwise was set by a clock that was wrong. */
#define LONGEST_QUOTA_US	USECS_PER_DAY

/* ---------------------------------------------------------------- throttles */

uint32
rate_slow_pace(RateSlot *store, uint32 pace, int64 now)
{
	if (now - (int64) pg_atomic_read_u64(&store->throttled_at_ns) < PACE_FORGET_NS)
		return pace;
	if (pg_atomic_compare_exchange_u32(&store->pace, &pace, PACE_FULL))
		return PACE_FULL;
	return pace;
}

/* slow halves the pace. */
static void
slow(RateSlot *store, int64 now)
{
	uint32		pace = rate_pace(store, now);

	pg_atomic_write_u64(&store->throttled_at_ns, (uint64) now);
	if (pace == PACE_FULL)
		pg_atomic_write_u64(&store->slowed_since, (uint64) GetCurrentTimestamp());
	while (!pg_atomic_compare_exchange_u32(&store->pace, &pace, pace_throttled(pace)))
		;
}

/*
 * Calls that were under way when the first throttle answer came bring more of
 * them: they tell nothing new, so a store that is held already is not slowed
 * again.
 */
void
rate_throttled(int store_id, int64 us)
{
	RateBudgetState state;
	RateBudget *budget = rate_budget_try(store_id, "rate_hold()", &state);
	int64		now = rate_now();
	int64		until = now + Min(Max(us, 0), RATE_MAX_HOLD_US) * 1000;
	RateSlot   *slot;
	uint64		held;

	if (budget == NULL)
		return;
	slot = budget->slot;
	held = pg_atomic_read_u64(&slot->held_until_ns);
	if ((int64) held <= now)
		slow(slot, now);
	/* first the end of the hold, then the windows: one that is set anew in between starts behind it */
	while ((int64) held < until &&
		   !pg_atomic_compare_exchange_u64(&slot->held_until_ns, &held, (uint64) until))
		;
	for (int unit = 0; unit < RATE_UNITS; unit++)
		rate_hold_window(&slot->windows[unit], until);
}

void
rate_succeeded(int store_id, int calls)
{
	RateBudgetState state;
	RateBudget *budget = rate_budget_try(store_id, "rate_succeeded()", &state);
	uint32		pace;

	if (budget == NULL)
		return;
	pace = pg_atomic_read_u32(&budget->slot->pace);
	while (pace != PACE_FULL &&
		   !pg_atomic_compare_exchange_u32(&budget->slot->pace, &pace, pace_succeeded(pace, (uint32) calls)))
		;
}

/* ---------------------------------------------------------------- quota */

/* next_reset is the first moment after `now` at `reset` seconds after midnight UTC. */
static TimestampTz
next_reset(TimestampTz now, int32 reset)
{
	int64		at = (now / USECS_PER_DAY - 1) * USECS_PER_DAY + reset * USECS_PER_SEC;

	while (at <= now)
		at += USECS_PER_DAY;
	return at;
}

TimestampTz
rate_quota_used_up(int store_id)
{
	RateBudgetState state;
	RateBudget *budget = rate_budget_try(store_id, "rate_quota()", &state);
	TimestampTz wall = GetCurrentTimestamp();
	int64		now = rate_now();
	RateSlot   *slot;
	TimestampTz until;

	if (budget == NULL)
		return 0;
	LWLockAcquire(rate_lock(), LW_SHARED);
	slot = budget->application->quota_of_store ? budget->slot : budget->application;
	until = next_reset(wall, budget->application->quota_reset);
	LWLockRelease(rate_lock());
	pg_atomic_write_u64(&slot->quota_until_ns, (uint64) (now + (until - wall) * 1000));
	pg_write_barrier();
	pg_atomic_write_u64(&slot->quota_until, (uint64) until);
	return until;
}

/*
 * A reset is a moment of the time of day, so that clock counts; but one that
 * is set back in the meantime makes nobody wait longer, and one that is set
 * ahead costs one call, whose answer says it again.
 */
int64
rate_quota_left(RateSlot *slot, int64 now)
{
	uint64		until = pg_atomic_read_u64(&slot->quota_until);
	int64		left;
	int64		left_us;

	if (until == 0)
		return 0;
	pg_read_barrier();
	left = (int64) pg_atomic_read_u64(&slot->quota_until_ns) - now;
	left_us = Min((int64) until - GetCurrentTimestamp(), LONGEST_QUOTA_US);
	left = Min(left, left_us * 1000);
	if (left > 0)
		return left;
	(void) pg_atomic_compare_exchange_u64(&slot->quota_until, &until, 0);
	return 0;
}

void
rate_forget_answers(const RateSlot *store)
{
	HASH_SEQ_STATUS scan;
	RateSlot   *slot;

	LWLockAcquire(rate_lock(), LW_SHARED);
	hash_seq_init(&scan, rate_table());
	while ((slot = hash_seq_search(&scan)) != NULL)
	{
		bool		of_store = store == NULL || slot == store ||
			(slot->key.scope == RATE_APPLICATION && slot->key.id == store->application);

		if (slot->key.database != MyDatabaseId || !of_store)
			continue;
		pg_atomic_write_u32(&slot->pace, PACE_FULL);
		pg_atomic_write_u64(&slot->quota_until, 0);
	}
	LWLockRelease(rate_lock());
}
