/*
 * target.c
 *		The comparison of wanted and believed, by the view listing_target.
 *
 * Whatever changed, the question asked is the same and is asked of tables:
 * does this listing have to be written? So a change met twice, late or out of
 * order does no harm, and one that was undone costs no call.
 */
#include "target.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "queue.h"
#include "stores.h"

/* Rows held in memory at once while everything is compared. */
#define FETCH_ROWS 2000

/* A unit shown too many counts as so many sold a second. */
#define UNSOLD_WEIGHT	1e-6

/* Columns that both comparisons return. */
#define COMPARED \
	"t.listing_id, t.store_id, t.item_id, t.to_send, t.at_most, t.not_before, t.dirty AND NOT t.dead, " \
	"t.needs_fetch_after, CASE WHEN t.stopped IS NOT NULL THEN 'infinity' ELSE t.per_second::double precision END"
enum
{
	COL_LISTING = 1, COL_STORE, COL_ITEM, COL_TO_SEND, COL_AT_MOST, COL_NOT_BEFORE, COL_DUE,
	COL_FETCH_AFTER, COL_PER_SECOND
};

/* A listing to be compared, and since when. */
typedef struct Changed
{
	int64		listing_id;
	TimestampTz at;
} Changed;

bool		target_overflow = false;

static Datum
column(HeapTuple row, TupleDesc desc, int number, Datum missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, number, &isnull);

	return isnull ? missing : value;
}

bool
target_lowers(int64 to_send, int64 at_most)
{
	return at_most >= 0 ? to_send < at_most : to_send == 0;
}

/*
 * urgency_of tells how soon a decrease should go: by what its shop sells a
 * second for each unit that it may have, since what is sold beyond is
 * oversold; infinitely many where somebody has stopped the sale. Where
 * nothing was sold of late the units shown too many decide.
 */
static double
urgency_of(int64 to_send, int64 at_most, double per_second)
{
	double		too_many = (double) Max(at_most - to_send, 1);

	return (per_second + too_many * UNSOLD_WEIGHT) / (double) (to_send + 1);
}

/* spread_of gives a listing's place in the time over which held raises go out, in microseconds. */
static int64
spread_of(int64 listing_id, int64 spread_us)
{
	if (spread_us <= 0)
		return 0;
	return (int64) (hash_bytes_uint32_extended((uint32) listing_id, 0) % (uint64) spread_us);
}

/*
 * settle_row brings the queue in line with one compared listing. A write that
 * may raise what is shown waits until its store's orders are fetched through
 * the change: else it would give away again what was sold there meanwhile. A
 * change noted by a clock that has been set back since was now at the latest.
 */
static void
settle_row(HeapTuple row, TupleDesc desc, TimestampTz changed_at)
{
	int64		listing_id = DatumGetInt64(column(row, desc, COL_LISTING, 0));
	int64		to_send = DatumGetInt64(column(row, desc, COL_TO_SEND, 0));
	int64		at_most = DatumGetInt64(column(row, desc, COL_AT_MOST, Int64GetDatum(-1)));
	TimestampTz not_before = DatumGetTimestampTz(column(row, desc, COL_NOT_BEFORE, TimestampTzGetDatum(0)));
	DispatchStore *store = stores_find(DatumGetInt32(column(row, desc, COL_STORE, 0)));
	TimestampTz fetch_after = DatumGetTimestampTz(column(row, desc, COL_FETCH_AFTER, TimestampTzGetDatum(0)));
	double		per_second = DatumGetFloat8(column(row, desc, COL_PER_SECOND, Float8GetDatum(0)));
	bool		decrease = target_lowers(to_send, at_most);
	TimestampTz fetch_through = Max(fetch_after, Min(changed_at, GetCurrentTimestamp()));
	QueueWant	want = {
		.listing_id = listing_id,
		.decrease = decrease,
		.fetch_after = fetch_after == 0 ? 0 : fetch_through,
		.urgency = urgency_of(to_send, at_most, per_second),
		.changed_at = changed_at,
		.due = not_before
	};

	if (!DatumGetBool(column(row, desc, COL_DUE, BoolGetDatum(false))) || store == NULL ||
		store->writes == WRITES_NONE || (store->writes == WRITES_LOWER && !decrease))
	{
		queue_drop(listing_id);
		return;
	}
	if (!decrease && store->raises_held != 0)
		want.held_until = store->raises_held + spread_of(listing_id, store->spread_us);
	want.lanes = &store->lanes;
	want.store_id = store->store_id;
	want.item_id = TextDatumGetCString(column(row, desc, COL_ITEM, 0));
	if (!queue_put(&want))
		target_overflow = true;
}

static int
by_listing_and_age(const void *a, const void *b)
{
	const Changed *left = a;
	const Changed *right = b;

	if (left->listing_id != right->listing_id)
		return left->listing_id < right->listing_id ? -1 : 1;
	return left->at < right->at ? -1 : left->at > right->at ? 1 : 0;
}

/*
 * gather_changed returns the listings that draw on the SKUs, by themselves or
 * through a bundle, and the listings themselves, each once with its oldest
 * change, ordered by id.
 */
static Changed *
gather_changed(SsSet *skus, SsSet *listings, int *n)
{
	static SPIPlanPtr plan = NULL;
	uint64		expanded = 0;
	int			kept = 0;
	int			i = 0;
	Changed    *all;

	if (skus != NULL && skus->rows > 0)
	{
		set_execute(&plan,
					"SELECT l.listing_id, x.at FROM unnest($1, $2) AS x (sku_id, at) "
					"JOIN storesync.listing l ON l.sku_id = x.sku_id "
					"UNION ALL SELECT l.listing_id, x.at FROM unnest($1, $2) AS x (sku_id, at) "
					"JOIN storesync.component c ON c.sku_id = x.sku_id AND c.qty > 0 "
					"JOIN storesync.listing l ON l.sku_id = c.bundle_id",
					SPI_OK_SELECT, skus);
		expanded = SPI_processed;
	}
	all = palloc((expanded + listings->rows + 1) * sizeof(Changed));
	for (; (uint64) i < expanded; i++)
	{
		all[i].listing_id = DatumGetInt64(column(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, 0));
		all[i].at = DatumGetTimestampTz(column(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, 0));
	}
	for (int j = 0; j < listings->rows; j++, i++)
	{
		all[i].listing_id = DatumGetInt64(listings->values[0][j]);
		all[i].at = DatumGetTimestampTz(listings->values[1][j]);
	}
	qsort(all, i, sizeof(Changed), by_listing_and_age);
	for (int j = 0; j < i; j++)
		if (j == 0 || all[j].listing_id != all[j - 1].listing_id)
			all[kept++] = all[j];
	*n = kept;
	return all;
}

static int
find_changed(const void *key, const void *changed)
{
	int64		left = *(const int64 *) key;
	int64		right = ((const Changed *) changed)->listing_id;

	return left < right ? -1 : left > right ? 1 : 0;
}

/*
 * compare_some asks for listings by their ids: the planner then looks up each
 * of them, where a join would have it compute every row of the view.
 */
static void
compare_some(const Changed *changed, int n)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[1];
	Datum	   *ids = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		ids[i] = Int64GetDatum(changed[i].listing_id);
	values[0] = PointerGetDatum(construct_array(ids, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	ss_execute(&plan, "SELECT " COMPARED " FROM storesync.listing_target t WHERE t.listing_id = ANY ($1)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		int64		listing_id = DatumGetInt64(column(row, SPI_tuptable->tupdesc, COL_LISTING, 0));
		const Changed *found = bsearch(&listing_id, changed, n, sizeof(Changed), find_changed);

		settle_row(row, SPI_tuptable->tupdesc, found->at);
	}
	SPI_freetuptable(SPI_tuptable);
	pfree(ids);
}

/* drop_vanished forgets listings that came back from a call and have no row any more. */
static void
drop_vanished(SsSet *listings)
{
	for (int i = 0; i < listings->rows; i++)
	{
		int64		listing_id = DatumGetInt64(listings->values[0][i]);
		QueueListing *listing = queue_find(listing_id);

		if (listing != NULL && listing->state == QUEUE_LANDED)
			queue_drop(listing_id);
	}
}

void
target_compare(SsSet *skus, SsSet *listings)
{
	int			n;
	Changed    *changed = gather_changed(skus, listings, &n);

	for (int i = 0; i < n; i += FETCH_ROWS)
		compare_some(changed + i, Min(n - i, FETCH_ROWS));
	drop_vanished(listings);
}

void
target_compare_all(int store_id)
{
	static const char *const sql =
		"SELECT " COMPARED " FROM storesync.listing_target t "
		"WHERE ($1 = 0 OR t.store_id = $1) AND t.enabled AND t.dirty AND NOT t.dead";
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store_id)};
	DispatchStore *store = store_id == 0 ? NULL : stores_find(store_id);
	TimestampTz now = GetCurrentTimestamp();
	Portal		portal;

	if (store_id == 0)
		target_overflow = false;
	else if (store == NULL)
		return;
	queue_sweep_begin();
	portal = SPI_cursor_open_with_args(NULL, sql, 1, types, values, NULL, false, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		for (uint64 i = 0; i < SPI_processed; i++)
			settle_row(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, now);
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed > 0 && !target_overflow);
	SPI_cursor_close(portal);
	queue_sweep_end(store == NULL ? NULL : &store->lanes);
}

static int
by_listing(const void *a, const void *b)
{
	int64		left = ((const Target *) a)->listing_id;
	int64		right = ((const Target *) b)->listing_id;

	return left < right ? -1 : left > right ? 1 : 0;
}

Target *
target_read(const int64 *listing_ids, int n, int *found)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT8ARRAYOID};
	Datum		values[1];
	Datum	   *elements = palloc(n * sizeof(Datum));
	Target	   *targets;

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(listing_ids[i]);
	values[0] = PointerGetDatum(construct_array(elements, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	ss_execute(&plan,
			   "SELECT t.listing_id, t.to_send, t.version, t.at_most, t.dirty AND NOT t.dead, t.model_id, "
			   "t.needs_fetch_after "
			   "FROM storesync.listing_target t WHERE t.listing_id = ANY ($1)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	*found = (int) SPI_processed;
	targets = palloc(Max(*found, 1) * sizeof(Target));
	for (int i = 0; i < *found; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		targets[i].listing_id = DatumGetInt64(column(row, desc, 1, 0));
		targets[i].to_send = DatumGetInt64(column(row, desc, 2, 0));
		targets[i].version = DatumGetInt64(column(row, desc, 3, 0));
		targets[i].at_most = DatumGetInt64(column(row, desc, 4, Int64GetDatum(-1)));
		targets[i].due = DatumGetBool(column(row, desc, 5, BoolGetDatum(false)));
		targets[i].model_id = TextDatumGetCString(column(row, desc, 6, 0));
		targets[i].fetch_after = DatumGetTimestampTz(column(row, desc, 7, TimestampTzGetDatum(0)));
	}
	qsort(targets, *found, sizeof(Target), by_listing);
	return targets;
}

const Target *
target_find(const Target *targets, int n, int64 listing_id)
{
	Target		key = {.listing_id = listing_id};

	return bsearch(&key, targets, n, sizeof(Target), by_listing);
}
