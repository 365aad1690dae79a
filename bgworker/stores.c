/*
 * stores.c
 *		Reading the stores and remembering what they wait for.
 *
 * A store is read again when the outbox says that it, its platform or a
 * credential changed. One that has vanished keeps its entry, silent, until
 * the dispatcher ends: calls under way may still name it.
 */
#include "stores.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "breaker.h"
#include "drift.h"
#include "intake.h"
#include "outbox.h"

static DispatchStore **stores = NULL;
static int	n_stores = 0;
static int	room = 0;
/* The tables are of 1.0 and came out of a backup, perhaps of before the upgrade: nobody can confirm them yet. */
static bool unconfirmable = false;
static bool in_charge = false;

/* Columns of the query in stores_load. */
enum
{
	COL_STORE = 1, COL_PLATFORM, COL_SHOP, COL_BASE_URL, COL_MODE, COL_PAUSED, COL_ALLOWED,
	COL_POLL, COL_OVERLAP, COL_STOCK_FROM, COL_FETCHED_THROUGH,
	COL_PARTNER_ID, COL_PARTNER_KEY, COL_ACCESS_TOKEN, COL_REFRESH_TOKEN,
	COL_API_KEY, COL_SECRET_KEY, COL_SALT_KEY, COL_SIGN_PATH_ONLY, COL_SIGN_BASE64, COL_CALLBACK_URL,
	COL_BREAKER_SHARE, COL_BREAKER_LEAST, COL_BREAKER_WINDOW,
	COL_POLL_SPREAD, COL_LOOK_AGES, COL_RETURNS_EVERY, COL_RETURNS_THROUGH
};

int
stores_count(void)
{
	return n_stores;
}

DispatchStore *
stores_nth(int n)
{
	return stores[n];
}

DispatchStore *
stores_find(int store_id)
{
	int			low = 0;
	int			high = n_stores - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (stores[middle]->store_id == store_id)
			return stores[middle];
		if (stores[middle]->store_id < store_id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

static DispatchStore *
add_store_entry(int store_id)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	DispatchStore *store = palloc0(sizeof(DispatchStore));
	int			place = n_stores;

	if (n_stores == room)
	{
		room = Max(16, room * 2);
		stores = stores == NULL ? palloc(room * sizeof(*stores)) : repalloc(stores, room * sizeof(*stores));
	}
	while (place > 0 && stores[place - 1]->store_id > store_id)
	{
		stores[place] = stores[place - 1];
		place--;
	}
	stores[place] = store;
	n_stores++;
	store->store_id = store_id;
	store->stat = store_stat_attach(store_id);
	store->context = AllocSetContextCreate(TopMemoryContext, "storesync store", ALLOCSET_SMALL_SIZES);
	store->intake.context = AllocSetContextCreate(TopMemoryContext, "storesync intake", ALLOCSET_SMALL_SIZES);
	queue_init_lanes(&store->lanes);
	host_name_own(&store->own, store_id);
	dlist_init(&store->breaker.notes);
	MemoryContextSwitchTo(old);
	return store;
}

static char *
text_column(DispatchStore *store, HeapTuple row, TupleDesc desc, int column)
{
	char	   *value = SPI_getvalue(row, desc, column);

	return value == NULL ? NULL : MemoryContextStrdup(store->context, value);
}

static Datum
column(HeapTuple row, TupleDesc desc, int column, Datum missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? missing : value;
}

static void
read_switches(DispatchStore *store, HeapTuple row, TupleDesc desc)
{
	char	   *mode = SPI_getvalue(row, desc, COL_MODE);
	bool		allowed = DatumGetBool(column(row, desc, COL_ALLOWED, BoolGetDatum(false))) && !unconfirmable;
	bool		paused = DatumGetBool(column(row, desc, COL_PAUSED, BoolGetDatum(false)));
	bool		on = allowed && store->platform != NULL && strcmp(mode, "off") != 0;

	store->fetches = on;
	store->writes = WRITES_NONE;
	if (on && !paused && strcmp(mode, "live") == 0)
		store->writes = WRITES_ALL;
	else if (on && !paused && strcmp(mode, "lower_only") == 0)
		store->writes = WRITES_LOWER;

	/* whatever it waited for may just have been mended; the day's quota is the limiter's to know */
	if (!allowed)
		store_trouble(store, TROUBLE_GUARD, DT_NOEND,
					  unconfirmable ? "The data came out of a backup: run ALTER EXTENSION storesync UPDATE, then confirm_instance()." : NULL);
	else
		store->waits_until = 0;
	store->token_due = 0;
}

/* read_rhythm reads how often orders and returns are fetched; what has been changed holds from now on. */
static void
read_rhythm(DispatchStore *store, HeapTuple row, TupleDesc desc)
{
	int64		poll_us = DatumGetInt64(column(row, desc, COL_POLL, 0));
	int			spread = DatumGetInt32(column(row, desc, COL_POLL_SPREAD, Int32GetDatum(1)));

	if (poll_us != store->poll_us || spread != store->poll_spread)
		store->intake.poll_us = 0;
	store->poll_us = poll_us;
	store->poll_spread = spread;
	returns_set(store, DatumGetInt64(column(row, desc, COL_RETURNS_EVERY, Int64GetDatum(0))),
				DatumGetTimestampTz(column(row, desc, COL_RETURNS_THROUGH, TimestampTzGetDatum(0))));
	look_set_ages(store, DatumGetArrayTypeP(column(row, desc, COL_LOOK_AGES, 0)));
	if (store->intake.phase != INTAKE_IDLE)
		return;
	store->intake.fetched_through = DatumGetTimestampTz(column(row, desc, COL_FETCHED_THROUGH, TimestampTzGetDatum(0)));
	if (store->intake.fetched_through != 0)
		look_start(store, store->intake.fetched_through);
	/* ahead of the time of day: noted by a clock that has been set back, and raises cannot rely on it */
	if (store->intake.fetched_through <= GetCurrentTimestamp())
		queue_fetched(&store->lanes, store->intake.fetched_through);
}

static void
read_store(DispatchStore *store, HeapTuple row, TupleDesc desc)
{
	char	   *platform;

	MemoryContextReset(store->context);
	store->present = true;
	platform = text_column(store, row, desc, COL_PLATFORM);
	store->platform = platform_find(platform);
	store->access.shop_id = text_column(store, row, desc, COL_SHOP);
	store->access.base_url = text_column(store, row, desc, COL_BASE_URL);
	store->host = host_find(store->access.base_url);
	store->access.partner_id = text_column(store, row, desc, COL_PARTNER_ID);
	store->access.partner_key = text_column(store, row, desc, COL_PARTNER_KEY);
	store->access.access_token = text_column(store, row, desc, COL_ACCESS_TOKEN);
	store->access.refresh_token = text_column(store, row, desc, COL_REFRESH_TOKEN);
	store->access.api_key = text_column(store, row, desc, COL_API_KEY);
	store->access.secret_key = text_column(store, row, desc, COL_SECRET_KEY);
	store->access.salt_key = text_column(store, row, desc, COL_SALT_KEY);
	store->access.callback_url = text_column(store, row, desc, COL_CALLBACK_URL);
	store->access.sign_path_only = DatumGetBool(column(row, desc, COL_SIGN_PATH_ONLY, BoolGetDatum(false)));
	store->access.sign_base64 = DatumGetBool(column(row, desc, COL_SIGN_BASE64, BoolGetDatum(false)));
	store->overlap_us = DatumGetInt64(column(row, desc, COL_OVERLAP, 0));
	store->stock_from = DatumGetTimestampTz(column(row, desc, COL_STOCK_FROM, TimestampTzGetDatum(DT_NOBEGIN)));
	store->breaker.share = DatumGetFloat8(column(row, desc, COL_BREAKER_SHARE, Float8GetDatum(0)));
	store->breaker.least = DatumGetInt32(column(row, desc, COL_BREAKER_LEAST, 0));
	store->breaker.window_us = DatumGetInt64(column(row, desc, COL_BREAKER_WINDOW, 0));
	read_rhythm(store, row, desc);
	read_switches(store, row, desc);
}

/* A copy may be following its source yet; confirm_instance() makes it another's equal. */
static bool
is_in_charge(void)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;

	ss_execute(&plan, "SELECT storesync.instance_confirmed() OR NOT storesync.is_copy()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

bool
stores_in_charge(void)
{
	return in_charge;
}

void
stores_load(void)
{
	static SPIPlanPtr plan = NULL;

	unconfirmable = incarnation_unconfirmable();
	in_charge = is_in_charge() && !unconfirmable;
	ss_execute(&plan,
			   "SELECT s.store_id, s.platform, s.shop_id, p.base_url, s.mode, s.paused, "
			   "storesync.sending_allowed(s.platform), "
			   "(extract(epoch FROM s.poll_interval) * 1000000)::bigint, "
			   "(extract(epoch FROM p.order_overlap) * 1000000)::bigint, "
			   "s.stock_from, o.fetched_through, "
			   "(SELECT value FROM storesync.app_credential WHERE platform = s.platform AND name = 'partner_id'), "
			   "(SELECT value FROM storesync.app_credential WHERE platform = s.platform AND name = 'partner_key'), "
			   "(SELECT value FROM storesync.credential WHERE store_id = s.store_id AND name = 'access_token'), "
			   "(SELECT value FROM storesync.credential WHERE store_id = s.store_id AND name = 'refresh_token'), "
			   "(SELECT value FROM storesync.credential WHERE store_id = s.store_id AND name = 'api_key'), "
			   "(SELECT value FROM storesync.credential WHERE store_id = s.store_id AND name = 'secret_key'), "
			   "(SELECT value FROM storesync.credential WHERE store_id = s.store_id AND name = 'salt_key'), "
			   "p.sign_path_only, p.sign_base64, "
			   "(SELECT value FROM storesync.app_credential WHERE platform = s.platform AND name = 'callback_url'), "
			   "s.breaker_share::double precision, s.breaker_least, "
			   "(extract(epoch FROM s.breaker_window) * 1000000)::bigint, "
			   "s.poll_spread, ARRAY(SELECT (extract(epoch FROM a.age) * 1000000)::bigint "
			   "FROM unnest(p.look_again) AS a (age) ORDER BY 1), "
			   "(extract(epoch FROM p.returns_interval) * 1000000)::bigint, o.returns_through "
			   "FROM storesync.store s JOIN storesync.platform p ON p.platform = s.platform "
			   "LEFT JOIN storesync.order_cursor o ON o.store_id = s.store_id",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (int i = 0; i < n_stores; i++)
	{
		stores[i]->present = false;
		stores[i]->fetches = false;
		stores[i]->writes = WRITES_NONE;
	}
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int			store_id = DatumGetInt32(column(row, SPI_tuptable->tupdesc, COL_STORE, 0));
		DispatchStore *store = stores_find(store_id);

		if (store == NULL)
			store = add_store_entry(store_id);
		read_store(store, row, SPI_tuptable->tupdesc);
	}
	token_load();
	peak_load();
	for (int i = 0; i < n_stores; i++)
		if (stores[i]->present && stores[i]->intake.phase == INTAKE_IDLE)
			stores[i]->intake.due = Min(stores[i]->intake.due, GetCurrentTimestamp() + intake_interval(stores[i]));
	breaker_load();
	drift_load();
	look_load();
	price_load();
}

void
store_trouble(DispatchStore *store, StoreTrouble trouble, TimestampTz until, const char *detail)
{
	store->waits_until = until;
	if (store->trouble == trouble)
		return;
	store->trouble = trouble;
	store->trouble_since = GetCurrentTimestamp();
	ereport(LOG,
			(errmsg("storesync store %d %s", store->store_id, trouble_text(trouble)),
			 detail != NULL && *detail != '\0' ? errdetail_internal("%s", detail) : 0));
}

void
store_well(DispatchStore *store)
{
	if (store->trouble != TROUBLE_NONE)
		store_trouble(store, TROUBLE_NONE, 0, NULL);
}

void
store_show(const DispatchStore *store)
{
	StoreStat  *stat = store->stat;
	const HostBreaker *breaker = store->host->breaker.open ? &store->host->breaker : &store->own;

	pg_atomic_write_u64(&stat->gauges[STORE_LOWER], (uint64) store->lanes.n_decreases);
	pg_atomic_write_u64(&stat->gauges[STORE_RAISE], (uint64) store->lanes.n_raises);
	pg_atomic_write_u64(&stat->gauges[STORE_FETCHING], (uint64) store->lanes.n_fetching);
	pg_atomic_write_u64(&stat->gauges[STORE_IN_FLIGHT], (uint64) store->in_flight);
	pg_atomic_write_u64(&stat->gauges[STORE_POLL_MS], store->fetches ? (uint64) (intake_interval(store) / 1000) : 0);
	if (store->trouble == TROUBLE_NONE && breaker->open)
		store_stat_trouble(stat, TROUBLE_HOST, breaker->since, breaker->probe_due);
	else
		store_stat_trouble(stat, store->trouble, store->trouble_since, store->waits_until);
}
