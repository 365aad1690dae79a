/*
 * rate_budget.h
 *		What this backend knows of a store's budget: where the windows lie that
 *		a call takes from.
 */
#ifndef STORESYNC_RATE_BUDGET_H
#define STORESYNC_RATE_BUDGET_H

#include "storesync.h"

#include "rate.h"
#include "rate_shared.h"

/* store, application, database */
#define BUDGET_SCOPES		3
#define BUDGET_WINDOWS		RATE_GRANT_WINDOWS

typedef struct RateBudget
{
	int32		store_id;		/* hash key, must be first */
	RateSlot   *slot;			/* the store's */
	RateSlot   *application;
	uint64		epoch;			/* of the database when the windows were collected */
	int			n;
	RateWindow *windows[BUDGET_WINDOWS];	/* store's, application's, database's */
	uint8		scopes[BUDGET_WINDOWS];	/* whose each window is: index into slots */
	int			n_slots;
	RateSlot   *slots[BUDGET_SCOPES];	/* those that have windows */
} RateBudget;

typedef enum RateBudgetState
{
	RATE_BUDGET_OK,
	RATE_BUDGET_NO_STORE,
	RATE_BUDGET_NO_ROOM
} RateBudgetState;

/*
 * The budget as it is now; NULL, with *state, when there is none. `function`
 * names the caller in errors. Raises SS_ERR_NOT_PRELOADED and 25006.
 */
extern RateBudget *rate_budget_try(int32 store_id, const char *function, RateBudgetState *state);

/* The same, raising SS_ERR_UNKNOWN_STORE and SS_ERR_TOO_MANY_STORES. */
extern RateBudget *rate_budget(int32 store_id, const char *function);

#endif
