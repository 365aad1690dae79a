/*
 * rate.h
 *		Call budgets in shared memory: GCRA, one atomic word per window.
 *
 * A budget belongs to (database, store). Its windows are those of the
 * store's rate_limit, of its platform's and of storesync.total_rate_limit;
 * a call takes from all of them or from none.
 *
 * Unless said otherwise functions raise SS_ERR_UNKNOWN_STORE,
 * SS_ERR_NOT_PRELOADED, SS_ERR_TOO_MANY_STORES, and 25006 on a standby. They
 * load the store's limits by SPI the first time and after they changed, in a
 * transaction of their own when none is open; otherwise they touch shared
 * memory alone.
 */
#ifndef STORESYNC_RATE_H
#define STORESYNC_RATE_H

#include "storesync.h"

#include "rate_limit.h"

extern void rate_init(void);	/* from _PG_init, when preloaded */

/* Longest that a throttle answer may stop a store: a day's quota comes back within it. */
#define RATE_MAX_HOLD_US	USECS_PER_DAY

/* While the dispatcher waits for a budget, applications get one call in so many. */
#define RATE_BESIDES_EVERY	40

/* ---------------------------------------------------------------- applications */

/*
 * Take `cost` calls from the store's budget at the present moment. Returns 0
 * when granted, else the microseconds until it may be granted, with nothing
 * taken. Raises 22023 for a cost that can never be granted.
 */
extern int64 rate_take_store(int store_id, int cost);

/* ---------------------------------------------------------------- the dispatcher */

/* Instead of a wait. */
#define RATE_NO_ROOM		(-1)	/* SS_ERR_TOO_MANY_STORES; ask again after a minute */
#define RATE_NO_STORE		(-2)	/* it was deleted */

/* Windows of a store, its application and the database. */
#define RATE_GRANT_WINDOWS	(3 * RATE_UNITS)

/* What rate_leaves() has to know of a call that was granted. */
typedef struct RateGrant
{
	int64		at_ns;			/* rate_now() */
	uint64		epoch;			/* of the windows */
	int64		lead_ns[RATE_GRANT_WINDOWS];
} RateGrant;

/*
 * Take one call for the dispatcher. As rate_take_store, but raises neither
 * SS_ERR_UNKNOWN_STORE nor SS_ERR_TOO_MANY_STORES, and a refusal claims what
 * refused it: until the dispatcher asks again, which it does no later than the
 * wait, applications stand back. To be asked only for a call that would be
 * made at once. *besides: calls that applications got since it last asked
 * while it waited, to be charged to LANE_WORK.
 */
extern int64 rate_take_lane(int store_id, uint32 *besides, RateGrant *grant);

/*
 * The call that was granted leaves now: the limits hold for the moments at
 * which calls leave, so what it is late is added to its windows. Does nothing
 * for a store without a budget.
 */
extern void rate_leaves(int store_id, const RateGrant *grant);

/* The store that was refused has nothing to call any more: its claim ends. Raises nothing. */
extern void rate_release(int store_id);

/* ----------------------------------------------------------------
 * answers
 *
 * These do nothing for a store that has no budget, because it was deleted or
 * there is no room for it: they raise neither SS_ERR_UNKNOWN_STORE nor
 * SS_ERR_TOO_MANY_STORES.
 */

/*
 * A throttle answer: nothing is granted to the store before now + us (at most
 * RATE_MAX_HOLD_US), then one call, then half the rate it had (not below a
 * tenth of its limit). A shorter hold never ends a longer one, and a store
 * that is held already is not slowed again.
 */
extern void rate_throttled(int store_id, int64 us);

/* Good answers, at least one: a slowed store gets a hundredth of its limit back for each. */
extern void rate_succeeded(int store_id, int calls);

/*
 * The day's calls are used up: nothing is granted before the platform's next
 * reset, to the store or to all stores of its application, as the platform
 * says. Returns the reset, 0 when there is no budget.
 */
extern TimestampTz rate_quota_used_up(int store_id);

/* Nanoseconds of a clock that only ever goes forward, the same in all processes. */
extern int64 rate_now(void);

/* ---------------------------------------------------------------- limits */

/* Assign hook of storesync.total_rate_limit, which rate_limit_check_setting() has checked. */
extern void rate_assign_total(const char *newval, void *extra);

/*
 * Have every backend read this database's limits again once the transaction
 * ends. A prepared transaction cannot carry that, so PREPARE fails after it.
 */
extern void rate_reload_at_end(void);

#endif
