/*
 * listing_read.c
 *		What listings should show and are believed to show (listing_read.h).
 *
 * Starting the plan of the view listing_target costs a hundred times what it
 * costs to look up the few rows that a usual listing needs. So those are
 * looked up, under one snapshot, and listing_terms.c does the arithmetic.
 * To the view are left bundles, SKUs of which units are set aside or only the
 * last ones are left, and everything where a table has to be read by
 * statements (docs/direct.md).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "listing_read.h"

PG_FUNCTION_INFO_V1(listing_terms);

/* Listings read at once, which bounds what is held in memory for them. */
#define READ_MAX	2000

/* LISTING_COLUMNS, in their order. */
enum
{
	COL_LISTING = 1, COL_STORE, COL_ITEM, COL_MODEL, COL_VERSION, COL_WANTED, COL_BELIEVED, COL_AT_MOST,
	COL_DIRTY, COL_DUE, COL_UNSEEN, COL_TO_SEND, COL_FETCH_AFTER, COL_NOT_BEFORE, COL_PER_SECOND, COL_STOPPED, COL_IN_DOUBT,
	COL_HELD, COL_ACKED_QTY, COL_ACKED_VERSION, COL_ACKED_REVISION, COL_SENT_AT, COL_REVISION
};

/* ---------------------------------------------------------------- by the view */

static int64
int64_or(HeapTuple row, int column, int64 missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? missing : DatumGetInt64(value);
}

static bool
bool_of(HeapTuple row, int column)
{
	bool		isnull;

	return DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull));
}

static char *
text_of(HeapTuple row, int column)
{
	bool		isnull;

	return TextDatumGetCString(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &isnull));
}

void
listing_take_row(HeapTuple row, ListingTerms *terms)
{
	bool		isnull;

	terms->listing_id = int64_or(row, COL_LISTING, 0);
	terms->store_id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, COL_STORE, &isnull));
	terms->item_id = text_of(row, COL_ITEM);
	terms->model_id = text_of(row, COL_MODEL);
	terms->version = int64_or(row, COL_VERSION, 0);
	terms->revision = int64_or(row, COL_REVISION, 0);
	terms->terms.wanted = int64_or(row, COL_WANTED, 0);
	terms->terms.believed = int64_or(row, COL_BELIEVED, TERMS_NONE);
	terms->terms.at_most = int64_or(row, COL_AT_MOST, TERMS_NONE);
	terms->terms.differs = terms->terms.believed != terms->terms.wanted;
	terms->terms.unseen = int64_or(row, COL_UNSEEN, 0);
	terms->terms.to_send = int64_or(row, COL_TO_SEND, 0);
	terms->terms.fetch_after = int64_or(row, COL_FETCH_AFTER, 0);
	terms->terms.not_before = int64_or(row, COL_NOT_BEFORE, 0);
	terms->dirty = bool_of(row, COL_DIRTY);
	terms->due = bool_of(row, COL_DUE);
	terms->stopped = bool_of(row, COL_STOPPED);
	terms->in_doubt = bool_of(row, COL_IN_DOUBT);
	terms->held = bool_of(row, COL_HELD);
	terms->base.qty = int64_or(row, COL_ACKED_QTY, 0);
	terms->base.version = int64_or(row, COL_ACKED_VERSION, 0);
	terms->base.revision = int64_or(row, COL_ACKED_REVISION, LISTING_UNACKED);
	terms->base.at = int64_or(row, COL_SENT_AT, 0);
	terms->per_second = DatumGetFloat8(SPI_getbinval(row, SPI_tuptable->tupdesc, COL_PER_SECOND, &isnull));
	terms->direct = false;
}

/*
 * read_by_view asks for listings by their ids: the planner then looks up each
 * of them, where a join would have it compute every row of the view.
 */
static int
read_by_view(const int64 *listing_ids, int n, ListingTerms *terms)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, listing_ids)};
	int			found;

	ss_execute(&plan, "SELECT " LISTING_COLUMNS " FROM storesync.listing_target t WHERE t.listing_id = ANY ($1)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	found = (int) SPI_processed;
	for (int i = 0; i < found; i++)
		listing_take_row(SPI_tuptable->vals[i], &terms[i]);
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* ---------------------------------------------------------------- without it */

static int
by_id(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

/* sorted_once sorts ids and takes repeated ones away; returns how many are left. */
static int
sorted_once(int64 *ids, int n)
{
	int			kept = 0;

	qsort(ids, n, sizeof(int64), by_id);
	for (int i = 0; i < n; i++)
		if (i == 0 || ids[i] != ids[i - 1])
			ids[kept++] = ids[i];
	return kept;
}

bool
listing_find_skus(ListingFacts *listings, int n, ListingPlace **places)
{
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));
	ListingSku *skus;
	int			n_skus;

	for (int i = 0; i < n; i++)
		ids[i] = listings[i].sku_id;
	n_skus = sorted_once(ids, n);
	skus = palloc0(Max(n_skus, 1) * sizeof(ListingSku));
	for (int i = 0; i < n_skus; i++)
		skus[i].sku_id = ids[i];
	for (int i = 0; i < n; i++)
		listings[i].sku = &skus[(int64 *) bsearch(&listings[i].sku_id, ids, n_skus, sizeof(int64), by_id) - ids];
	return listing_load_skus(skus, n_skus) && listing_load_places(skus, n_skus, places);
}

static bool
load_stores(ListingFacts *listings, int n)
{
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));
	ListingStore *stores;
	int			n_stores;

	for (int i = 0; i < n; i++)
		ids[i] = listings[i].terms->store_id;
	n_stores = sorted_once(ids, n);
	stores = palloc0(Max(n_stores, 1) * sizeof(ListingStore));
	for (int i = 0; i < n_stores; i++)
		stores[i].store_id = (int) ids[i];
	for (int i = 0; i < n; i++)
	{
		int64		id = listings[i].terms->store_id;

		listings[i].store = &stores[(int64 *) bsearch(&id, ids, n_stores, sizeof(int64), by_id) - ids];
	}
	return listing_load_stores(stores, n_stores);
}

static bool
sells_from(const ListingStore *store, int location_id)
{
	if (store->places == NULL)
		return true;
	for (int i = 0; i < store->n_places; i++)
		if (store->places[i] == location_id)
			return true;
	return false;
}

/*
 * weigh_stock adds up what there is for a listing. False where it is not a
 * usual one: its last units go to one listing alone.
 */
static bool
weigh_stock(ListingFacts *listing, const ListingPlace *places)
{
	const ListingSku *sku = listing->sku;
	TermsFacts *facts = &listing->facts;
	int64		left = -sku->safety_stock;
	int64		most = listing->store->max_quantity;

	if (!sku->usual || most == TERMS_NONE)
		return false;
	for (int i = sku->first_place; i < sku->first_place + sku->n_places; i++)
	{
		listing->terms->version += places[i].version;
		if (places[i].sellable && sells_from(listing->store, places[i].location_id))
			left += places[i].available;
	}
	facts->version = listing->terms->version;
	facts->gross = listing_share_of(left, listing->share, listing->pack);
	facts->most = listing->cap == TERMS_NONE ? most : Min(most, listing->cap);
	facts->shows_nothing |= listing->terms->stopped;
	facts->poll_interval = listing->store->poll_interval;
	facts->fetched = listing->store->fetched;
	facts->fetched_through = listing->store->fetched_through;
	return !(sku->solo_below > 0 && left > 0 &&
			 (left < sku->solo_below || Min(facts->gross - facts->buffer, facts->most) <= 0));
}

/* judge does the arithmetic for listings that all facts but sales are known of. */
static bool
judge(ListingFacts *listings, int n)
{
	for (int i = 0; i < n; i++)
	{
		terms_compare(&listings[i].facts, &listings[i].terms->terms);
		listings[i].terms->dirty = listings[i].facts.enabled && listings[i].terms->terms.differs;
	}
	if (!listing_load_sales(listings, n) || !listing_load_dead(listings, n))
		return false;
	for (int i = 0; i < n; i++)
	{
		terms_write(&listings[i].facts, &listings[i].terms->terms);
		listings[i].terms->per_second = (double) listings[i].facts.sold_before / 60;
		listings[i].terms->direct = true;
	}
	return true;
}

/*
 * read_directly reads those listings that exist; those of no usual kind are
 * left with `direct` false. Returns false when statements have to read all.
 */
static bool
read_directly(const int64 *listing_ids, int n, ListingTerms *terms, int *found)
{
	ListingFacts *listings = palloc0(n * sizeof(ListingFacts));
	ListingPlace *places;
	int			usual = 0;

	for (int i = 0; i < n; i++)
		listings[i].terms = &terms[i];
	if (!listing_load_rows(listing_ids, n, listings, found) || !listing_find_skus(listings, *found, &places) ||
		!load_stores(listings, *found) || !listing_load_stops(listings, *found))
		return false;
	for (int i = 0; i < *found; i++)
	{
		TermsFacts *facts = &listings[i].facts;

		facts->now = GetCurrentStatementStartTimestamp();
		facts->clock_doubt = (int64) ss_clock_doubt * 1000 + USECS_PER_SEC;
		facts->fetch_age = (int64) ss_max_fetch_age * 1000;
		if (weigh_stock(&listings[i], places))
			listings[usual++] = listings[i];
	}
	return listing_load_shown(listings, usual) && listing_load_orders(listings, usual) && judge(listings, usual);
}

/* ---------------------------------------------------------------- both */

static int
by_listing(const void *a, const void *b)
{
	return by_id(&((const ListingTerms *) a)->listing_id, &((const ListingTerms *) b)->listing_id);
}

/* read_rest has the view say what was not read directly, and puts all in order. */
static int
read_rest(ListingTerms *terms, int n)
{
	int64	   *rest = palloc(Max(n, 1) * sizeof(int64));
	int			n_rest = 0;
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		if (terms[i].direct)
			terms[kept++] = terms[i];
		else
			rest[n_rest++] = terms[i].listing_id;
	}
	if (n_rest == 0)
		return n;
	kept += read_by_view(rest, n_rest, terms + kept);
	qsort(terms, kept, sizeof(ListingTerms), by_listing);
	return kept;
}

static int
read_some(const int64 *listing_ids, int n, ListingTerms *terms)
{
	int			found = 0;
	bool		directly;

	memset(terms, 0, n * sizeof(ListingTerms));
	PushActiveSnapshot(GetTransactionSnapshot());
	directly = read_directly(listing_ids, n, terms, &found);
	PopActiveSnapshot();
	if (directly)
		return read_rest(terms, found);
	found = read_by_view(listing_ids, n, terms);
	qsort(terms, found, sizeof(ListingTerms), by_listing);
	return found;
}

int
listing_read(const int64 *listing_ids, int n, ListingTerms **terms)
{
	int			found = 0;

	*terms = palloc(Max(n, 1) * sizeof(ListingTerms));
	for (int i = 0; i < n; i += READ_MAX)
		found += read_some(listing_ids + i, Min(n - i, READ_MAX), *terms + found);
	return found;
}

/* ---------------------------------------------------------------- for SQL */

/* put_row hands on one listing, in the caller's terms: what is not known is NULL. */
static void
put_row(ReturnSetInfo *result, const ListingTerms *terms)
{
	const Terms *t = &terms->terms;
	Datum		values[] = {
		Int64GetDatum(terms->listing_id), BoolGetDatum(terms->direct), Int64GetDatum(terms->version),
		Int64GetDatum(t->wanted), Int64GetDatum(t->believed), Int64GetDatum(t->at_most), BoolGetDatum(terms->dirty),
		BoolGetDatum(terms->due), Int64GetDatum(t->unseen), Int64GetDatum(t->to_send),
		TimestampTzGetDatum(t->fetch_after), TimestampTzGetDatum(t->not_before), BoolGetDatum(terms->stopped)
	};
	bool		nulls[lengthof(values)] = {
		[4] = t->believed == TERMS_NONE, [5] = t->at_most == TERMS_NONE, [10] = t->fetch_after == 0,
		[11] = t->not_before == 0
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* listing_terms shows what the dispatcher makes of some listings, and whether it took the view for it. */
Datum
listing_terms(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	SsSession	session;
	Datum	   *elements;
	int64	   *ids;
	ListingTerms *terms;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("listings must not be null")));
	deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, NULL, &n);
	ss_enter(&session, "listing_terms()", false);
	ids = palloc(Max(n, 1) * sizeof(int64));
	for (int i = 0; i < n; i++)
		ids[i] = DatumGetInt64(elements[i]);
	n = listing_read(ids, sorted_once(ids, n), &terms);
	for (int i = 0; i < n; i++)
		put_row((ReturnSetInfo *) fcinfo->resultinfo, &terms[i]);
	ss_leave(&session);
	return (Datum) 0;
}
