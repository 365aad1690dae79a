/*
 * rate_lane.c
 *		The dispatcher's way of taking calls: it waits for a budget without
 *		being starved by applications that take from it as well.
 *
 * A dispatcher that is refused claims the slots that refused it until it asks
 * again. While a claim stands, an application gets one call for each
 * RATE_BESIDES_EVERY - 1 of the dispatcher's: `spare` counts these. What it
 * got is told to the dispatcher, which charges it to a lane. Nothing of this
 * is a limit: applications and dispatcher alike take from the same windows.
 */
#include "storesync.h"

#include "storage/ipc.h"
#include "utils/hsearch.h"

#include "rate.h"
#include "rate_take.h"

#define NS_PER_SEC			INT64CONST(1000000000)
/* A claim outlives the wait that it is for by this much: the dispatcher may be late. */
#define CLAIM_GRACE_NS		NS_PER_SEC
/* `spare` at which an application may take a call; it never rises above. */
#define SPARE_FOR_A_CALL	(RATE_BESIDES_EVERY - 1)

/* ---------------------------------------------------------------- applications */

/* worth gives the spare that `cost` calls use up; no budget ever grants more at once than RATE_MAX_BURST. */
static int32
worth(int64 cost)
{
	return (int32) Min(cost, RATE_MAX_BURST) * SPARE_FOR_A_CALL;
}

/* spend takes `cost` calls' worth of spare; false when there is not enough for one. More than one runs into debt. */
static bool
spend(RateSlot *slot, int64 cost)
{
	uint32		spare = pg_atomic_read_u32(&slot->spare);

	do
	{
		if ((int32) spare < SPARE_FOR_A_CALL)
			return false;
	} while (!pg_atomic_compare_exchange_u32(&slot->spare, &spare,
											 (uint32) ((int32) spare - worth(cost))));
	return true;
}

/* give adds to the spare, up to what a call needs. */
static void
give(RateSlot *slot, int32 amount)
{
	uint32		spare = pg_atomic_read_u32(&slot->spare);

	while ((int32) spare < SPARE_FOR_A_CALL &&
		   !pg_atomic_compare_exchange_u32(&slot->spare, &spare,
										   (uint32) Min((int32) spare + amount, SPARE_FOR_A_CALL)))
		;
}

/* stand_back says when to ask again: when the claim is over, or has been renewed a few calls later. */
static int64
stand_back(const RateSlot *slot, int64 now, int64 wait)
{
	int64		left = (int64) pg_atomic_read_u64((pg_atomic_uint64 *) &slot->claimed_until_ns) - now;

	return Max(wait, Max(left, 1000));
}

int64
rate_take_besides(const RateBudget *budget, int64 now, int64 cost)
{
	uint32		spent = 0;
	uint32		refused;
	int64		wait = 0;

	for (int i = 0; i < budget->n_slots && wait == 0; i++)
	{
		RateSlot   *slot = budget->slots[i];

		if ((int64) pg_atomic_read_u64(&slot->claimed_until_ns) <= now)
			continue;
		if (spend(slot, cost))
			spent |= 1U << i;
		else
			wait = stand_back(slot, now, wait);
	}
	if (wait == 0)
		wait = rate_take_all(budget, now, cost, &refused, NULL);
	if (wait == 0)
	{
		if ((spent & 1) != 0)
			pg_atomic_fetch_add_u32(&budget->slot->besides, (int32) cost);
		return 0;
	}
	for (int i = 0; i < budget->n_slots; i++)
	{
		if ((spent & (1U << i)) != 0)
			give(budget->slots[i], worth(cost));
	}
	return wait;
}

/* ---------------------------------------------------------------- the dispatcher */

/* release_all gives up the claims of a dispatcher that ends. */
static void
release_all(int code, Datum arg)
{
	HASH_SEQ_STATUS scan;
	RateSlot   *slot;

	LWLockAcquire(rate_lock(), LW_SHARED);
	hash_seq_init(&scan, rate_table());
	while ((slot = hash_seq_search(&scan)) != NULL)
	{
		if (slot->key.database == MyDatabaseId)
			pg_atomic_write_u64(&slot->claimed_until_ns, 0);
	}
	LWLockRelease(rate_lock());
}

static void
claim(const RateBudget *budget, uint32 refused, int64 until_ns)
{
	for (int i = 0; i < budget->n_slots; i++)
	{
		if ((refused & (1U << i)) != 0)
			pg_atomic_write_u64(&budget->slots[i]->claimed_until_ns, (uint64) until_ns);
	}
}

static void
count_grant(const RateBudget *budget)
{
	for (int i = 0; i < budget->n_slots; i++)
	{
		pg_atomic_write_u64(&budget->slots[i]->claimed_until_ns, 0);
		give(budget->slots[i], 1);
	}
}

int64
rate_take_lane(int store_id, uint32 *besides, RateGrant *grant)
{
	static bool registered = false;
	RateBudgetState state;
	const RateBudget *budget = rate_budget_try(store_id, "rate_take_lane()", &state);
	int64		now;
	int64		wait;
	uint32		refused;

	*besides = 0;
	if (state != RATE_BUDGET_OK)
		return state == RATE_BUDGET_NO_ROOM ? RATE_NO_ROOM : RATE_NO_STORE;
	if (!registered)
	{
		before_shmem_exit(release_all, (Datum) 0);
		registered = true;
	}
	now = rate_now();
	grant->at_ns = now;
	grant->epoch = budget->epoch;
	wait = rate_take_all(budget, now, 1, &refused, grant->lead_ns);
	if (wait > 0)
		claim(budget, refused, now + wait + CLAIM_GRACE_NS);
	else
		count_grant(budget);
	*besides = pg_atomic_exchange_u32(&budget->slot->besides, 0);
	return (wait + 999) / 1000;
}

void
rate_release(int store_id)
{
	RateSlot   *slot = rate_find(RATE_STORE, (uint64) store_id);

	if (slot != NULL)
		pg_atomic_write_u64(&slot->claimed_until_ns, 0);
}

/* A call that leaves later than it was granted could otherwise meet too many granted after it in one period. */
void
rate_leaves(int store_id, const RateGrant *grant)
{
	RateBudgetState state;
	const RateBudget *budget = rate_budget_try(store_id, "rate_leaves()", &state);
	int64		now = rate_now();

	if (budget == NULL)
		return;
	for (int i = 0; i < budget->n; i++)
	{
		int64		lead = grant->epoch == budget->epoch ? grant->lead_ns[i] : 0;
		int64		late = gcra_late(grant->at_ns, lead, now);

		if (late > 0)
			rate_shift_window(budget->windows[i], late);
	}
}
