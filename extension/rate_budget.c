/*
 * rate_budget.c
 *		Where the windows of a store's budget lie, kept by each backend.
 *
 * A backend looks a budget up once: it reads the limits from the tables when
 * nobody has since they last changed, publishes them in shared memory and
 * remembers the windows. It looks again when the database's epoch has moved or
 * the settings were read again. What lies in shared memory, and its locking:
 * rate_shared.h.
 */
#include "storesync.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "key.h"
#include "rate.h"
#include "rate_budget.h"

/* What the tables say about a store. */
typedef struct StoreLimits
{
	RateWindows store;
	RateWindows application;
	char		platform[NAMEDATALEN];
	uint64		application_id;
	int32		quota_reset;	/* as in RateSlot */
	bool		quota_of_store;
} StoreLimits;

static HTAB *budgets = NULL;
static RateBudget *last_budget = NULL;	/* the one used last: mostly the next one too */
static RateSlot *database_slot = NULL;
static RateWindows total_limit; /* storesync.total_rate_limit as this process read it */
static TimestampTz settings_seen = 0;	/* PgReloadTime of the settings that were published or found published */
static bool reload_pending = false;

/* ---------------------------------------------------------------- limits of the tables */

static void
take_row(HeapTuple row, TupleDesc desc, StoreLimits *limits)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, 1, &isnull);
	char	   *platform = SPI_getvalue(row, desc, 2);
	int			length = (int) strlen(platform);

	rate_limit_windows(DatumGetRateLimitP(value), &limits->store);
	limits->application_id = ss_fingerprint(1, (const char *const *) &platform, &length);
	length = pg_mbcliplen(platform, length, NAMEDATALEN - 1);
	memcpy(limits->platform, platform, length);
	limits->platform[length] = '\0';
	limits->application.n = 0;
	value = SPI_getbinval(row, desc, 3, &isnull);
	if (!isnull)
		rate_limit_windows(DatumGetRateLimitP(value), &limits->application);
	limits->quota_reset = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
	limits->quota_of_store = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
}

/*
 * read_store reads a store's limits as committed now, whatever this
 * transaction's snapshot; false when there is no such store.
 */
static bool
read_store(int store_id, const char *function, StoreLimits *limits)
{
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	Datum		argument = Int32GetDatum(store_id);

	ss_enter(&session, function, false);
	if (plan == NULL)
	{
		Oid			types[1] = {INT4OID};
		SPIPlanPtr	fresh = SPI_prepare("SELECT s.rate_limit, s.platform, p.rate_limit, "
										"extract(epoch FROM p.quota_reset)::integer, p.quota_scope = 'store' "
										"FROM storesync.store s JOIN storesync.platform p USING (platform) "
										"WHERE s.store_id = $1", 1, types);

		if (fresh == NULL || SPI_keepplan(fresh) != 0)
			elog(ERROR, "could not prepare the query for call limits");
		plan = fresh;
	}
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_plan(plan, &argument, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the call limits of store %d", store_id);
	PopActiveSnapshot();
	if (SPI_processed == 0)
	{
		ss_leave(&session);
		return false;
	}
	take_row(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, limits);
	ss_leave(&session);
	return true;
}

/*
 * load_store returns a store's slot with limits not older than the last change
 * of any that was committed before the call; NULL, with *state, when there is
 * none. In a transaction.
 */
static RateSlot *
load_store(int store_id, const char *function, RateBudgetState *state)
{
	uint64		changes;
	StoreLimits limits;
	RateSlot   *store;
	RateSlot   *application;

	*state = RATE_BUDGET_NO_ROOM;
	if (database_slot == NULL && (database_slot = rate_find_or_add(RATE_DATABASE, 0)) == NULL)
		return NULL;
	changes = pg_atomic_read_u64(&database_slot->changes);
	pg_read_barrier();
	store = rate_find(RATE_STORE, (uint64) store_id);
	if (store != NULL && pg_atomic_read_u64(&store->loaded) == changes)
	{
		*state = RATE_BUDGET_OK;
		return store;
	}

	if (!read_store(store_id, function, &limits))
	{
		*state = RATE_BUDGET_NO_STORE;
		return NULL;
	}
	application = rate_find_or_add(RATE_APPLICATION, limits.application_id);
	if (application == NULL)
		return NULL;
	store = rate_find_or_add(RATE_STORE, (uint64) store_id);
	if (store == NULL)
		return NULL;
	LWLockAcquire(rate_lock(), LW_EXCLUSIVE);
	strlcpy(application->platform, limits.platform, NAMEDATALEN);
	application->quota_reset = limits.quota_reset;
	application->quota_of_store = limits.quota_of_store;
	rate_publish(database_slot, application, &limits.application, changes);
	if (changes >= pg_atomic_read_u64(&store->loaded))
	{
		store->application = limits.application_id;
		strlcpy(store->platform, limits.platform, NAMEDATALEN);
		rate_publish(database_slot, store, &limits.store, changes);
	}
	LWLockRelease(rate_lock());
	*state = RATE_BUDGET_OK;
	return store;
}

/* load_store_anywhere opens a transaction around load_store where there is none: in a worker between two. */
static RateSlot *
load_store_anywhere(int store_id, const char *function, RateBudgetState *state)
{
	MemoryContext caller = CurrentMemoryContext;
	RateSlot   *slot;

	if (IsTransactionState())
		return load_store(store_id, function, state);
	StartTransactionCommand();
	slot = load_store(store_id, function, state);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return slot;
}

/* ---------------------------------------------------------------- the limit of the whole database */

void
rate_assign_total(const char *newval, void *extra)
{
	RateLimitError error;

	if (newval == NULL || *newval == '\0' || !rate_limit_parse(newval, &total_limit, &error))
		total_limit.n = 0;
}

/*
 * publish_total makes the setting that this process read valid for all, unless
 * another process has read a later one. A stamp from the future is of a clock
 * that was set back, and counts for nothing.
 */
static void
publish_total(void)
{
	TimestampTz published;

	LWLockAcquire(rate_lock(), LW_EXCLUSIVE);
	published = database_slot->settings_time;
	if (PgReloadTime > published || published > GetCurrentTimestamp())
	{
		rate_publish(database_slot, database_slot, &total_limit,
					 pg_atomic_read_u64(&database_slot->loaded));
		database_slot->settings_time = PgReloadTime;
	}
	LWLockRelease(rate_lock());
	settings_seen = PgReloadTime;
}

/* ---------------------------------------------------------------- the budget of a store */

static void
collect_windows(RateBudget *budget, RateSlot *slot)
{
	int			before = budget->n;

	for (int unit = 0; slot != NULL && unit < RATE_UNITS; unit++)
	{
		if (slot->windows[unit].limit.calls == 0)
			continue;
		budget->windows[budget->n] = &slot->windows[unit];
		budget->scopes[budget->n++] = budget->n_slots;
	}
	if (budget->n > before)
		budget->slots[budget->n_slots++] = slot;
}

static RateBudget *
remember_budget(int32 store_id)
{
	if (budgets == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(int32);
		info.entrysize = sizeof(RateBudget);
		budgets = hash_create("storesync store budgets", 64, &info, HASH_ELEM | HASH_BLOBS);
	}
	return hash_search(budgets, &store_id, HASH_ENTER, NULL);
}

/*
 * resolve_budget finds a store's windows anew. The epoch is read first: what
 * changes afterwards makes the next call come here again.
 */
static RateBudget *
resolve_budget(int32 store_id, const char *function, RateBudgetState *state)
{
	RateSlot   *store;
	RateBudget *budget;
	uint64		epoch;

	rate_check_shared();
	PreventCommandDuringRecovery(function);
	last_budget = NULL;
	budget = budgets == NULL ? NULL : hash_search(budgets, &store_id, HASH_FIND, NULL);
	if (budget != NULL &&
		pg_atomic_read_u64(&budget->slot->loaded) == pg_atomic_read_u64(&database_slot->changes))
		store = budget->slot;
	else
		store = load_store_anywhere(store_id, function, state);
	if (store == NULL)
		return NULL;
	if (settings_seen != PgReloadTime)
		publish_total();

	budget = remember_budget(store_id);
	budget->slot = store;
	budget->n = 0;
	budget->n_slots = 0;
	LWLockAcquire(rate_lock(), LW_SHARED);
	epoch = pg_atomic_read_u64(&database_slot->epoch);
	budget->application = rate_application(store);
	collect_windows(budget, store);
	collect_windows(budget, budget->application);
	collect_windows(budget, database_slot);
	LWLockRelease(rate_lock());
	budget->epoch = epoch;
	last_budget = budget;
	return budget;
}

RateBudget *
rate_budget_try(int32 store_id, const char *function, RateBudgetState *state)
{
	RateBudget *budget = last_budget;

	*state = RATE_BUDGET_OK;
	if (budget == NULL || budget->store_id != store_id)
		budget = budgets == NULL ? NULL : hash_search(budgets, &store_id, HASH_FIND, NULL);
	if (budget == NULL ||
		budget->epoch != pg_atomic_read_u64(&database_slot->epoch) ||
		settings_seen != PgReloadTime)
		return resolve_budget(store_id, function, state);
	last_budget = budget;
	return budget;
}

RateBudget *
rate_budget(int32 store_id, const char *function)
{
	RateBudgetState state;
	RateBudget *budget = rate_budget_try(store_id, function, &state);

	if (state == RATE_BUDGET_NO_STORE)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", store_id)));
	if (state == RATE_BUDGET_NO_ROOM)
		rate_no_room();
	return budget;
}

/* ---------------------------------------------------------------- changes of limits */

/*
 * reload_at_end: at commit every backend must read the limits again; at abort
 * too, for this one may have read what is now undone.
 */
static void
reload_at_end(XactEvent event, void *arg)
{
	if (!reload_pending)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot PREPARE a transaction that has changed call limits")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			reload_pending = false;
			pg_atomic_fetch_add_u64(&database_slot->changes, 1);
			pg_atomic_fetch_add_u64(&database_slot->epoch, 1);
			break;
		default:
			break;
	}
}

void
rate_reload_at_end(void)
{
	static bool registered = false;

	if (!rate_shared_ready())
		return;
	if (database_slot == NULL && (database_slot = rate_find_or_add(RATE_DATABASE, 0)) == NULL)
		rate_no_room();
	if (!registered)
	{
		RegisterXactCallback(reload_at_end, NULL);
		registered = true;
	}
	reload_pending = true;
}
