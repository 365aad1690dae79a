/*
 * rate.h
 *		Call budgets in shared memory: GCRA, one atomic word per window.
 *
 * A budget belongs to (database, store). Its windows are those of the
 * store's rate_limit, of its platform's and of storesync.total_rate_limit;
 * a call takes from all of them or from none.
 */
#ifndef STORESYNC_RATE_H
#define STORESYNC_RATE_H

#include "storesync.h"

extern void rate_init(void);	/* from _PG_init, when preloaded */

/* Longest that a throttle answer may stop a store: a day's quota comes back within it. */
#define RATE_MAX_HOLD_US	USECS_PER_DAY

/*
 * Take `cost` calls from the store's budget at the present moment. Returns 0
 * when granted, else the microseconds until it may be granted, with nothing
 * taken. Loads the store's limits by SPI the first time and after they
 * changed, in a transaction of its own when none is open; otherwise touches
 * shared memory alone. Raises SS_ERR_UNKNOWN_STORE, SS_ERR_NOT_PRELOADED,
 * SS_ERR_TOO_MANY_STORES, 22023 for a cost that can never be granted, 25006 on
 * a standby.
 */
extern int64 rate_take_store(int store_id, int cost);

/*
 * A throttle answer: nothing is granted to the store before now + us (at most
 * RATE_MAX_HOLD_US), then one call, then the steady rate. A shorter hold never
 * ends a longer one. Raises what rate_take_store does.
 */
extern void rate_hold_store(int store_id, int64 us);

/* Assign hook of storesync.total_rate_limit, which rate_limit_check_setting() has checked. */
extern void rate_assign_total(const char *newval, void *extra);

/*
 * Have every backend read this database's limits again once the transaction
 * ends. A prepared transaction cannot carry that, so PREPARE fails after it.
 */
extern void rate_reload_at_end(void);

#endif
