/*
 * breaker_mark.c
 *		What the mass-change breaker has decided: which stores' breakers are
 *		open, which listings are held or passed, in tables and in memory.
 *
 * Touched by one process: no locks in memory. Whoever writes the tables has
 * breaker_listing locked, as release_breaker() has, so that neither waits for
 * rows of the other.
 */
#include "breaker_internal.h"

#include "catalog/pg_type.h"
#include "utils/memutils.h"

static HTAB *marks = NULL;

void
breaker_init_marks(void)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(BreakerMark), .hcxt = TopMemoryContext};

	marks = hash_create("storesync held listings", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const BreakerMark *
breaker_mark(int64 listing_id)
{
	return hash_search(marks, &listing_id, HASH_FIND, NULL);
}

bool
breaker_holds(int64 listing_id)
{
	const BreakerMark *mark = breaker_mark(listing_id);

	return mark != NULL && !mark->passed;
}

static Datum
column(HeapTuple row, TupleDesc desc, int number)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, number, &isnull);

	return isnull ? (Datum) 0 : value;
}

/* ---------------------------------------------------------------- reading */

void
breaker_load_open(void)
{
	static SPIPlanPtr plan = NULL;

	for (int i = 0; i < stores_count(); i++)
		stores_nth(i)->breaker.open = false;
	ss_execute(&plan, "SELECT store_id FROM storesync.breaker", SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		DispatchStore *store = stores_find(DatumGetInt32(column(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)));

		if (store != NULL)
			store->breaker.open = true;
	}
	SPI_freetuptable(SPI_tuptable);
}

void
breaker_load_marks(void)
{
	static SPIPlanPtr plan = NULL;
	HASH_SEQ_STATUS scan;
	BreakerMark *mark;

	hash_seq_init(&scan, marks);
	while ((mark = hash_seq_search(&scan)) != NULL)
		(void) hash_search(marks, &mark->listing_id, HASH_REMOVE, NULL);
	ss_execute(&plan,
			   "SELECT x.listing_id, x.passed, x.at, x.qty, x.version, x.revision FROM storesync.breaker_listing x",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		int64		listing_id = DatumGetInt64(column(row, desc, 1));

		mark = hash_search(marks, &listing_id, HASH_ENTER, NULL);
		mark->passed = DatumGetBool(column(row, desc, 2));
		mark->base.at = DatumGetTimestampTz(column(row, desc, 3));
		mark->base.qty = DatumGetInt64(column(row, desc, 4));
		mark->base.version = DatumGetInt64(column(row, desc, 5));
		mark->base.revision = DatumGetInt64(column(row, desc, 6));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* ---------------------------------------------------------------- writing */

void
breaker_lock(void)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan, "LOCK TABLE storesync.breaker_listing IN SHARE ROW EXCLUSIVE MODE",
			   SPI_OK_UTILITY, 0, NULL, NULL, NULL, 0);
}

bool
breaker_still_open(const DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store->store_id)};

	ss_execute(&plan, "SELECT FROM storesync.breaker WHERE store_id = $1", SPI_OK_SELECT, 1, types, values, NULL, 1);
	return SPI_processed > 0;
}

void
breaker_write_open(const DispatchStore *store)
{
	static SPIPlanPtr plan = NULL;
	const StoreBreaker *breaker = &store->breaker;
	Oid			types[] = {INT4OID, INT8OID, INT8OID};
	Datum		values[] = {Int32GetDatum(store->store_id), Int64GetDatum(breaker->n_notes),
	Int64GetDatum(breaker->listings)};

	ss_execute(&plan,
			   "WITH opened AS (INSERT INTO storesync.breaker AS b (store_id, changes, listings) VALUES ($1, $2, $3) "
			   "ON CONFLICT DO NOTHING RETURNING b.*) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'open breaker', concat('store ', o.store_id), to_jsonb(o) FROM opened o",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
	ereport(LOG,
			(errmsg("storesync store %d: changes are held, " INT64_FORMAT " of " INT64_FORMAT
					" listings were to change for another cause than a sale",
					store->store_id, (int64) breaker->n_notes, breaker->listings),
			 errhint("See listing_status; release_breaker(%d) lets them go.", store->store_id)));
}

void
breaker_write_held(const DispatchStore *store, SsSet *held)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID, INT4OID};
	Datum		values[2];

	for (int i = 0; i < held->rows; i++)
	{
		BreakerMark *mark = hash_search(marks, &held->values[0][i], HASH_ENTER, NULL);

		mark->passed = false;
	}
	values[0] = ss_int8_array(held->rows, (const int64 *) held->values[0]);
	values[1] = Int32GetDatum(store->store_id);
	ss_execute(&plan,
			   "INSERT INTO storesync.breaker_listing AS b (listing_id, store_id) SELECT x, $2 FROM unnest($1) x "
			   "ON CONFLICT (listing_id) DO UPDATE SET store_id = excluded.store_id, passed = false, "
			   "at = clock_timestamp(), qty = NULL, version = NULL, revision = NULL",
			   SPI_OK_INSERT, 2, types, values, NULL, 0);
}

void
breaker_write_undone(SsSet *undone)
{
	static SPIPlanPtr plan = NULL;

	if (undone->rows == 0)
		return;
	breaker_lock();
	set_execute(&plan, "DELETE FROM storesync.breaker_listing WHERE listing_id = ANY ($1)", SPI_OK_DELETE, undone);
	for (int i = 0; i < undone->rows; i++)
		(void) hash_search(marks, &undone->values[0][i], HASH_REMOVE, NULL);
}

/* ---------------------------------------------------------------- what may be sent of a held listing */

void
breaker_bound(ListingTerms *targets, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[1];
	int64	   *ids;
	int			n_held = 0;

	if (hash_get_num_entries(marks) == 0)
		return;
	ids = palloc(n * sizeof(int64));
	for (int i = 0; i < n; i++)
	{
		const BreakerMark *mark = breaker_mark(targets[i].listing_id);

		if (mark != NULL && !mark->passed)
			ids[n_held++] = targets[i].listing_id;
	}
	if (n_held == 0)
		return;
	values[0] = ss_int8_array(n_held, ids);
	ss_execute(&plan, "SELECT x.listing_id, x.to_send, x.due, x.needs_fetch_after FROM storesync.breaker_target($1) x",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		ListingTerms *target = unconstify(ListingTerms *,
										  target_find(targets, n, DatumGetInt64(column(row, desc, 1))));

		target->terms.to_send = DatumGetInt64(column(row, desc, 2));
		target->due = DatumGetBool(column(row, desc, 3));
		target->terms.fetch_after = DatumGetTimestampTz(column(row, desc, 4));
	}
	SPI_freetuptable(SPI_tuptable);
}
