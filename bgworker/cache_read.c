/*
 * cache_read.c
 *		What the tables say should be in Redis (sql/56_cache.sql), as words for
 *		commands. It is computed when it is written and never queued.
 */
#include "cache_work.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "outbox.h"
#include "set.h"

CacheIds
cache_ids(void)
{
	CacheIds	found;

	MemoryContextSwitchTo(cache_round);
	found.ids = ss_read_ids(&found.n);
	return found;
}

void
cache_batch_start(CacheBatch *batch)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;

	memset(batch, 0, sizeof(*batch));
	batch->incarnation = incarnation_current();
	ss_execute(&plan, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	batch->stamp = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

/* add_entry copies a row into the batch. */
static void
add_entry(CacheBatch *batch, HeapTuple row, TupleDesc desc)
{
	CacheEntry *entry = &batch->entries[batch->n++];
	bool		is_null;
	Datum		fields;
	Datum	   *words;

	entry->key = cache_key("", SPI_getvalue(row, desc, 1));
	entry->version = DatumGetInt64(SPI_getbinval(row, desc, 2, &is_null));
	if (is_null)
		entry->version = 0;
	entry->expires = DatumGetInt32(SPI_getbinval(row, desc, 3, &is_null));
	fields = SPI_getbinval(row, desc, 4, &is_null);
	entry->n_words = 0;
	entry->words = NULL;
	if (is_null)
		return;
	deconstruct_array(DatumGetArrayTypeP(fields), TEXTOID, -1, false, TYPALIGN_INT, &words, NULL, &entry->n_words);
	entry->words = palloc(entry->n_words * sizeof(char *));
	for (int i = 0; i < entry->n_words; i++)
		entry->words[i] = cache_utf8(TextDatumGetCString(words[i]));
}

void
cache_read(CacheBatch *batch, CacheWhat what, const CacheIds *ids)
{
	static SPIPlanPtr plans[3];
	static const char *const statements[] = {
		[CACHE_STOCK] = "SELECT key, version, expires, fields FROM storesync.cache_stock($1)",
		[CACHE_LISTING] = "SELECT key, version, expires, fields FROM storesync.cache_listing($1)",
		[CACHE_ORDER] = "SELECT key, version, expires, fields FROM storesync.cache_order($1)"
	};
	SPITupleTable *table;
	uint64		rows;

	if (ids->n == 0)
		return;
	ss_execute_ids(&plans[what], statements[what], SPI_OK_SELECT, ids->n, ids->ids);
	table = SPI_tuptable;
	rows = SPI_processed;
	batch->room = batch->n + (int) rows;
	MemoryContextSwitchTo(cache_round);
	batch->entries = batch->entries == NULL ? palloc0(Max(batch->room, 1) * sizeof(CacheEntry))
		: repalloc(batch->entries, Max(batch->room, 1) * sizeof(CacheEntry));
	for (uint64 i = 0; i < rows; i++)
		add_entry(batch, table->vals[i], table->tupdesc);
	SPI_freetuptable(table);
}
