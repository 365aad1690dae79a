/*
 * peak.c
 *		Tasks that peak windows hold back: until when, and in which order they
 *		go out afterwards.
 *
 * What a window is about is in tables and read with the stores, so dropping
 * one lets go at once: a task that is held stays ready and is asked for in
 * each round. Touched by one process: no locks.
 */
#include "peak.h"

#include "common/hashfn.h"

#include "stores.h"

/* In the order of DispatchStore.peaks; tasks and windows call them by the same names. */
static const char *const names[PEAK_TASKS] = {"read_back", "fetch_listings"};

static int
place_of(const char *kind)
{
	for (int i = 0; i < PEAK_TASKS; i++)
		if (strcmp(names[i], kind) == 0)
			return i;
	return -1;
}

void
peak_load(void)
{
	static SPIPlanPtr plan = NULL;

	for (int i = 0; i < stores_count(); i++)
		memset(stores_nth(i)->peaks, 0, sizeof(stores_nth(i)->peaks));
	ss_execute(&plan,
			   "SELECT k.store_id, k.kind, max(k.ends), (extract(epoch FROM max(k.spread)) * 1000000)::bigint "
			   "FROM storesync.peak k WHERE k.is_on GROUP BY k.store_id, k.kind",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		DispatchStore *store = stores_find(DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)));
		int			place = place_of(SPI_getvalue(row, desc, 2));

		if (store == NULL || place < 0)
			continue;
		store->peaks[place].until = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
		store->peaks[place].spread_us = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

TimestampTz
peak_task_due(const DispatchStore *store, const char *kind, int64 task_id)
{
	int			place = place_of(kind);
	const PeakHold *hold;

	if (place < 0 || store->peaks[place].until == 0)
		return 0;
	hold = &store->peaks[place];
	if (hold->spread_us <= 0)
		return hold->until;
	return hold->until +
		(int64) (hash_bytes_uint32_extended((uint32) task_id, 0) % (uint64) hold->spread_us);
}
