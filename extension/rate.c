/*
 * rate.c
 *		Taking calls from a store's budget, and holding it after a throttle.
 *
 * A call takes from the windows of its store, of its application at the
 * platform and of the database, from all or from none. This backend remembers
 * where those windows lie, so that a take is a clock reading and one
 * compare-and-swap a window: no lock, no catalogue, no SPI. It looks again
 * when the database's epoch has moved or the settings were read again.
 */
#include "storesync.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"

#include "key.h"
#include "rate.h"
#include "rate_shared.h"

/* store, application, database */
#define BUDGET_WINDOWS		(3 * RATE_UNITS)

/* What this backend knows of one store's budget. */
typedef struct StoreBudget
{
	int32		store_id;		/* hash key, must be first */
	RateSlot   *slot;
	uint64		epoch;			/* of the database when the windows were collected */
	int			n;
	RateWindow *windows[BUDGET_WINDOWS];	/* store's, application's, database's */
} StoreBudget;

/* What the tables say about a store. */
typedef struct StoreLimits
{
	RateWindows store;
	RateWindows application;
	char		platform[NAMEDATALEN];
	uint64		application_id;
} StoreLimits;

static HTAB *budgets = NULL;
static StoreBudget *last_budget = NULL; /* the one used last: mostly the next one too */
static RateSlot *database_slot = NULL;
static RateWindows total_limit; /* storesync.total_rate_limit as this process read it */
static TimestampTz settings_seen = 0;	/* PgReloadTime of the settings that were published or found published */
static bool reload_pending = false;

void
rate_init(void)
{
	rate_shared_init();
}

/* ---------------------------------------------------------------- limits of the tables */

/* read_store reads a store's limits as committed now, whatever this transaction's snapshot. */
static void
read_store(int store_id, StoreLimits *limits)
{
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	Datum		argument = Int32GetDatum(store_id);
	bool		isnull;
	Datum		value;
	char	   *platform;
	int			length;

	ss_enter(&session, "rate_take()", false);
	if (plan == NULL)
	{
		Oid			types[1] = {INT4OID};
		SPIPlanPtr	fresh = SPI_prepare("SELECT s.rate_limit, s.platform, p.rate_limit "
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
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", store_id)));

	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	rate_limit_windows(DatumGetRateLimitP(value), &limits->store);
	platform = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	length = (int) strlen(platform);
	limits->application_id = ss_fingerprint(1, (const char *const *) &platform, &length);
	length = pg_mbcliplen(platform, length, NAMEDATALEN - 1);
	memcpy(limits->platform, platform, length);
	limits->platform[length] = '\0';
	limits->application.n = 0;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull);
	if (!isnull)
		rate_limit_windows(DatumGetRateLimitP(value), &limits->application);
	ss_leave(&session);
}

/*
 * load_store returns a store's slot with limits not older than the last change
 * of any that was committed before the call. In a transaction.
 */
static RateSlot *
load_store(int store_id)
{
	uint64		changes;
	StoreLimits limits;
	RateSlot   *store;
	RateSlot   *application;

	if (database_slot == NULL)
		database_slot = rate_find_or_add(RATE_DATABASE, 0);
	changes = pg_atomic_read_u64(&database_slot->changes);
	pg_read_barrier();
	store = rate_find(RATE_STORE, (uint64) store_id);
	if (store != NULL && pg_atomic_read_u64(&store->loaded) == changes)
		return store;

	read_store(store_id, &limits);
	store = rate_find_or_add(RATE_STORE, (uint64) store_id);
	application = rate_find_or_add(RATE_APPLICATION, limits.application_id);
	LWLockAcquire(rate_lock(), LW_EXCLUSIVE);
	strlcpy(application->platform, limits.platform, NAMEDATALEN);
	rate_publish(database_slot, application, &limits.application, changes);
	if (changes >= pg_atomic_read_u64(&store->loaded))
	{
		store->application = limits.application_id;
		strlcpy(store->platform, limits.platform, NAMEDATALEN);
		rate_publish(database_slot, store, &limits.store, changes);
	}
	LWLockRelease(rate_lock());
	return store;
}

/* load_store_anywhere opens a transaction around load_store where there is none: in a worker between two. */
static RateSlot *
load_store_anywhere(int store_id)
{
	MemoryContext caller = CurrentMemoryContext;
	RateSlot   *slot;

	if (IsTransactionState())
		return load_store(store_id);
	StartTransactionCommand();
	slot = load_store(store_id);
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
collect_windows(StoreBudget *budget, RateSlot *slot)
{
	for (int unit = 0; slot != NULL && unit < RATE_UNITS; unit++)
	{
		if (slot->windows[unit].limit.calls > 0)
			budget->windows[budget->n++] = &slot->windows[unit];
	}
}

static StoreBudget *
remember_budget(int32 store_id)
{
	if (budgets == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(int32);
		info.entrysize = sizeof(StoreBudget);
		budgets = hash_create("storesync store budgets", 64, &info, HASH_ELEM | HASH_BLOBS);
	}
	return hash_search(budgets, &store_id, HASH_ENTER, NULL);
}

/*
 * resolve_budget finds a store's windows anew. The epoch is read first: what
 * changes afterwards makes the next call come here again.
 */
static StoreBudget *
resolve_budget(int32 store_id)
{
	RateSlot   *store;
	RateSlot   *application;
	StoreBudget *budget;
	uint64		epoch;

	rate_check_shared();
	PreventCommandDuringRecovery("rate_take()");
	last_budget = NULL;
	budget = budgets == NULL ? NULL : hash_search(budgets, &store_id, HASH_FIND, NULL);
	if (budget != NULL &&
		pg_atomic_read_u64(&budget->slot->loaded) == pg_atomic_read_u64(&database_slot->changes))
		store = budget->slot;
	else
		store = load_store_anywhere(store_id);
	if (settings_seen != PgReloadTime)
		publish_total();

	budget = remember_budget(store_id);
	budget->slot = store;
	budget->n = 0;
	LWLockAcquire(rate_lock(), LW_SHARED);
	epoch = pg_atomic_read_u64(&database_slot->epoch);
	collect_windows(budget, store);
	application = rate_application(store);
	collect_windows(budget, application);
	collect_windows(budget, database_slot);
	LWLockRelease(rate_lock());
	budget->epoch = epoch;
	last_budget = budget;
	return budget;
}

static inline StoreBudget *
find_budget(int32 store_id)
{
	StoreBudget *budget = last_budget;

	if (budget == NULL || budget->store_id != store_id)
		budget = budgets == NULL ? NULL : hash_search(budgets, &store_id, HASH_FIND, NULL);
	if (budget == NULL ||
		budget->epoch != pg_atomic_read_u64(&database_slot->epoch) ||
		settings_seen != PgReloadTime)
		return resolve_budget(store_id);
	last_budget = budget;
	return budget;
}

/* ---------------------------------------------------------------- taking */

/*
 * ask_window says how long `cost` calls have to wait for one window, 0 when
 * they need not; then *seen and *next are what to swap.
 */
static inline int64
ask_window(RateWindow *window, int64 now, int64 cost, uint64 *seen, int64 *next)
{
	GcraWindow	gcra;

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
	return gcra_take(&gcra, (int64) *seen, now, cost, next);
}

/*
 * give_back undoes the first n swaps of a call that another window refused at
 * the last moment. A window that somebody else has swapped since keeps the
 * cost: putting it back then could grant a call too many.
 */
static void
give_back(const StoreBudget *budget, int n, const uint64 *seen, const int64 *next)
{
	for (int i = 0; i < n; i++)
	{
		uint64		expected = (uint64) next[i];

		(void) pg_atomic_compare_exchange_u64(&budget->windows[i]->tat_ns, &expected, seen[i]);
	}
}

/* take_all returns nanoseconds to wait, 0 when the cost was taken from every window. */
static int64
take_all(const StoreBudget *budget, int64 now, int64 cost)
{
	uint64		seen[BUDGET_WINDOWS];
	int64		next[BUDGET_WINDOWS];
	int64		wait = 0;

	for (int i = 0; i < budget->n; i++)
	{
		int64		longer = ask_window(budget->windows[i], now, cost, &seen[i], &next[i]);

		wait = Max(wait, longer);
	}
	if (wait > 0)
		return wait;
	for (int i = 0; i < budget->n; i++)
	{
		uint64		expected = seen[i];

		while (!pg_atomic_compare_exchange_u64(&budget->windows[i]->tat_ns, &expected, (uint64) next[i]))
		{
			wait = ask_window(budget->windows[i], now, cost, &seen[i], &next[i]);
			if (wait > 0)
			{
				give_back(budget, i, seen, next);
				return wait;
			}
			expected = seen[i];
		}
	}
	return 0;
}

int64
rate_take_store(int store_id, int cost)
{
	const StoreBudget *budget;
	int64		wait_ns;

	if (cost < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cost must be at least 1 call")));
	budget = find_budget(store_id);
	wait_ns = take_all(budget, rate_now(), cost);
	return (wait_ns + 999) / 1000;
}

void
rate_hold_store(int store_id, int64 us)
{
	RateSlot   *slot = find_budget(store_id)->slot;
	int64		until = rate_now() + Min(Max(us, 0), RATE_MAX_HOLD_US) * 1000;
	uint64		held = pg_atomic_read_u64(&slot->held_until_ns);

	/* first the end of the hold, then the windows: one that is set anew in between starts behind it */
	while ((int64) held < until &&
		   !pg_atomic_compare_exchange_u64(&slot->held_until_ns, &held, (uint64) until))
		;
	for (int unit = 0; unit < RATE_UNITS; unit++)
		rate_hold_window(&slot->windows[unit], until);
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
	if (database_slot == NULL)
		database_slot = rate_find_or_add(RATE_DATABASE, 0);
	if (!registered)
	{
		RegisterXactCallback(reload_at_end, NULL);
		registered = true;
	}
	reload_pending = true;
}
