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

/*
 * Take `cost` calls from the store's budget at the present moment. Returns 0
 * when granted, else the microseconds until it may be granted, with nothing
 * taken. Loads the store's limits by SPI the first time and after they
 * changed, so a transaction must be open; raises SS_ERR_UNKNOWN_STORE,
 * SS_ERR_NOT_PRELOADED, SS_ERR_TOO_MANY_STORES.
 */
extern int64 rate_take_store(int store_id, int cost);

/* A throttle answer: nothing is granted to the store before now + us. */
extern void rate_hold_store(int store_id, int64 us);

#endif
