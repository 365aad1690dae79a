/*
 * rate.c
 *		Taking calls from a store's budget.
 *
 * A call takes from the windows of its store, of its application at the
 * platform and of the database, from all or from none: a clock reading and one
 * compare-and-swap a window, no lock, no catalogue, no SPI. While the
 * dispatcher waits for the same budget an application stands back, but for
 * one call in RATE_BESIDES_EVERY: otherwise who asks most often gets all.
 */
#include "storesync.h"

#include "pace.h"
#include "rate.h"
#include "rate_budget.h"
#include "rate_take.h"

/* ---------------------------------------------------------------- from all windows or from none */

/*
 * ask_window says how long `cost` calls have to wait for one window, 0 when
 * they need not; then *seen and *next are what to swap. A call of a store that
 * is not at full pace counts for more than one in the store's shortest window.
 */
static inline int64
ask_window(const RateBudget *budget, int i, int64 now, int64 cost, uint64 *seen, int64 *next)
{
	RateWindow *window = budget->windows[i];
	GcraWindow	gcra;
	int64		step;

	*seen = pg_atomic_read_u64(&window->tat_ns);
	while (*seen == RATE_CLOSED)
	{
		rate_wait_open();
		*seen = pg_atomic_read_u64(&window->tat_ns);
	}
	pg_read_barrier();
	gcra = window->gcra;
	if (cost > 1 && gcra.interval_ns > 0 && !gcra_allows(&gcra, cost))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%lld calls at once can never be granted", (long long) cost),
				 errdetail("A window of the limit has a burst of %lld.",
						   (long long) (gcra.capacity_ns / gcra.interval_ns))));
	step = gcra.interval_ns;
	if (i == 0)
		step = rate_step(budget->slot, step, now);
	return gcra_take_paced(&gcra, (int64) *seen, now, cost, step, next);
}

/*
 * give_back undoes the first n swaps of a call that another window refused at
 * the last moment. A window that somebody else has swapped since keeps the
 * cost: putting it back then could grant a call too many.
 */
static void
give_back(const RateBudget *budget, int n, const uint64 *seen, const int64 *next)
{
	for (int i = 0; i < n; i++)
	{
		uint64		expected = (uint64) next[i];

		(void) pg_atomic_compare_exchange_u64(&budget->windows[i]->tat_ns, &expected, seen[i]);
	}
}

int64
rate_take_all(const RateBudget *budget, int64 now, int64 cost, uint32 *refused, int64 *lead_ns)
{
	uint64		seen[BUDGET_WINDOWS];
	int64		next[BUDGET_WINDOWS];
	int64		wait = rate_quota_wait(budget, now);

	*refused = 0;
	for (int i = 0; i < budget->n; i++)
	{
		int64		longer = ask_window(budget, i, now, cost, &seen[i], &next[i]);

		if (longer > 0)
			*refused |= 1U << budget->scopes[i];
		wait = Max(wait, longer);
	}
	if (wait > 0)
		return wait;
	for (int i = 0; i < budget->n; i++)
	{
		uint64		expected = seen[i];

		while (!pg_atomic_compare_exchange_u64(&budget->windows[i]->tat_ns, &expected, (uint64) next[i]))
		{
			wait = ask_window(budget, i, now, cost, &seen[i], &next[i]);
			if (wait > 0)
			{
				give_back(budget, i, seen, next);
				*refused = 1U << budget->scopes[i];
				return wait;
			}
			expected = seen[i];
		}
	}
	for (int i = 0; lead_ns != NULL && i < budget->n; i++)
		lead_ns[i] = next[i] - now - budget->windows[i]->gcra.interval_ns;
	return 0;
}

int64
rate_take_store(int store_id, int cost)
{
	const RateBudget *budget;
	int64		now;
	int64		wait_ns;
	uint32		refused;

	if (cost < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cost must be at least 1 call")));
	budget = rate_budget(store_id, "rate_take()");
	now = rate_now();
	if (unlikely(rate_claimed(budget, now)))
		wait_ns = rate_take_besides(budget, now, cost);
	else
		wait_ns = rate_take_all(budget, now, cost, &refused, NULL);
	return (wait_ns + 999) / 1000;
}
