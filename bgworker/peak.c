/*
 * peak.c
 *		What peak windows hold back at each store: until when, and in which
 *		order it goes out afterwards; and how often orders are fetched meanwhile.
 *
 * What a window is about is in tables and read with the stores, so dropping
 * one lets go at once: a task that is held stays ready and is asked for in
 * each round, listings are compared again. Touched by one process: no locks.
 */
#include "peak.h"

#include "common/hashfn.h"

#include "stores.h"
#include "version.h"

/* As windows name them, and tasks where they are kinds of these, too. */
static const char *const names[PEAK_KINDS] = {
	[PEAK_RAISE] = "raise", [PEAK_PRICE] = "price", [PEAK_LIST] = "list", [PEAK_UNLIST] = "unlist",
	[PEAK_READ_BACK] = "read_back", [PEAK_FETCH_LISTINGS] = "fetch_listings"
};

/* The kind of a window that holds nothing, but has orders fetched more often. */
#define FETCH_ORDERS	"fetch_orders"

/* kind_of finds a kind by its name; PEAK_KINDS: there is none. */
static PeakKind
kind_of(const char *name)
{
	PeakKind	kind = 0;

	while (kind < PEAK_KINDS && strcmp(names[kind], name) != 0)
		kind++;
	return kind;
}

/* What windows are about, by store and kind; `poll`: how often orders are fetched while they are on, in microseconds. */
#define PEAKS(poll) \
	"SELECT k.store_id, k.kind, max(k.ends) FILTER (WHERE k.is_on), " \
	"(extract(epoch FROM max(k.spread) FILTER (WHERE k.is_on)) * 1000000)::bigint, " \
	"min(CASE WHEN k.is_on THEN k.ends + k.spread ELSE k.starts END), " poll \
	" FROM storesync.peak k GROUP BY k.store_id, k.kind"

/* read_peaks has one statement read them; windows of release 1.0 say nothing of fetches. */
static void
read_peaks(void)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr plan_1_0 = NULL;

	if (ss_sql_has(SS_SQL_1_1))
		ss_execute(&plan, PEAKS("(extract(epoch FROM min(k.poll_interval) FILTER (WHERE k.is_on)) * 1000000)::bigint"),
				   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	else
		ss_execute(&plan_1_0, PEAKS("NULL::bigint"), SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
}

/* take_peak takes over what a row says: of several windows, the last that ends holds work, the most frequent fetch counts. */
static void
take_peak(HeapTuple row, TupleDesc desc)
{
	bool		isnull;
	bool		none;
	DispatchStore *store = stores_find(DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)));
	const char *name = SPI_getvalue(row, desc, 2);
	PeakKind	kind = kind_of(name);
	Datum		until = SPI_getbinval(row, desc, 3, &none);

	if (store == NULL || (kind == PEAK_KINDS && strcmp(name, FETCH_ORDERS) != 0))
		return;
	if (!none && kind == PEAK_KINDS)
		store->peak_poll_us = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));
	else if (!none)
	{
		store->peaks[kind].until = DatumGetTimestampTz(until);
		store->peaks[kind].spread_us = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
	}
	store->peak_due = Min(store->peak_due, DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull)));
}

void
peak_load(void)
{
	for (int i = 0; i < stores_count(); i++)
	{
		memset(stores_nth(i)->peaks, 0, sizeof(stores_nth(i)->peaks));
		stores_nth(i)->peak_poll_us = 0;
		stores_nth(i)->peak_due = DT_NOEND;
	}
	read_peaks();
	for (uint64 i = 0; i < SPI_processed; i++)
		take_peak(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	SPI_freetuptable(SPI_tuptable);
}

TimestampTz
peak_due(void)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < stores_count(); i++)
		due = Min(due, stores_nth(i)->peak_due);
	return due;
}

TimestampTz
peak_held_until(const DispatchStore *store, PeakKind kind, int64 id)
{
	const PeakHold *hold = &store->peaks[kind];

	if (hold->until == 0 || hold->spread_us <= 0)
		return hold->until;
	return hold->until +
		(int64) (hash_bytes_uint32_extended((uint32) id, 0) % (uint64) hold->spread_us);
}

TimestampTz
peak_task_due(const DispatchStore *store, const char *kind, int64 task_id)
{
	PeakKind	held = kind_of(kind);

	return held == PEAK_READ_BACK || held == PEAK_FETCH_LISTINGS ? peak_held_until(store, held, task_id) : 0;
}

double
peak_part(const DispatchStore *store, PeakKind kind, TimestampTz now)
{
	const PeakHold *hold = &store->peaks[kind];

	if (hold->until == 0)
		return 1;
	if (now < hold->until)
		return 0;
	return hold->spread_us <= 0 ? 1 : Min(1, (double) (now - hold->until) / (double) hold->spread_us);
}
