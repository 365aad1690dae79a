/*
 * target.c
 *		The comparison of wanted and believed.
 *
 * Whatever changed, the question asked is the same and is asked of tables:
 * does this listing have to be written? So a change met twice, late or out of
 * order does no harm, and one that was undone costs no call.
 */
#include "target.h"

#include "catalog/pg_type.h"
#include "utils/float.h"

#include "breaker.h"
#include "drift.h"
#include "queue.h"
#include "read_back.h"
#include "stores.h"

/* Rows held in memory at once while everything is compared. */
#define FETCH_ROWS 2000

/* A unit shown too many counts as so many sold a second. */
#define UNSOLD_WEIGHT	1e-6

/* A listing to be compared, and since when. */
typedef struct Changed
{
	int64		listing_id;
	TimestampTz at;
} Changed;

bool		target_overflow = false;

/* What this transaction has compared, by id. In the memory context of SPI, and gone with it. */
static ListingTerms *compared = NULL;
static int	n_compared = 0;

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

static bool
is_flying(int64 listing_id)
{
	const QueueListing *listing = queue_find(listing_id);

	return listing != NULL && listing->state == QUEUE_FLYING;
}

/*
 * name_batch says with which other listings one may share a stock call: those
 * of its item, or of its whole store, or of that those which go its way.
 * None of the groups' names is an item's id.
 */
static void
name_batch(const DispatchStore *store, const ListingTerms *listing, QueueWant *want)
{
	want->item_id = listing->item_id;
	if (store->platform == NULL || store->platform->batch_per_item)
		return;
	want->many = true;
	want->item_id = !store->platform->batch_one_way ? "*" : want->decrease ? "-" : "+";
}

/*
 * target_settle brings the queue in line with one compared listing. A write that
 * may raise what is shown waits until its store's orders are fetched through
 * the change: else it would give away again what was sold there meanwhile; one
 * of a listing in doubt waits until the shop has been asked what it shows. A
 * change noted by a clock that has been set back since was now at the latest.
 */
void
target_settle(const ListingTerms *listing, TimestampTz changed_at)
{
	const Terms *terms = &listing->terms;
	DispatchStore *store = stores_find(listing->store_id);
	bool		decrease = target_lowers(terms->to_send, terms->at_most);
	TimestampTz fetch_through = Max(terms->fetch_after, Min(changed_at, GetCurrentTimestamp()));
	QueueWant	want = {
		.listing_id = listing->listing_id,
		.store_id = listing->store_id,
		.decrease = decrease,
		.fetch_after = terms->fetch_after == 0 ? 0 : fetch_through,
		.urgency = listing->stopped ? get_float8_infinity() :
		urgency_of(terms->to_send, terms->at_most, listing->per_second),
		.changed_at = changed_at,
		.due = terms->not_before
	};

	/* what is 0 by a stop or hold comes back when that ends, and what was held with it */
	if (!listing->due && !listing->stopped && !listing->held && !drift_holds(listing->listing_id))
		breaker_undone(listing->listing_id);
	if (!listing->due || store == NULL ||
		store->writes == WRITES_NONE || (store->writes == WRITES_LOWER && !decrease))
	{
		queue_drop(listing->listing_id);
		return;
	}
	if (!decrease && listing->in_doubt && !is_flying(listing->listing_id) && read_back_first(store, listing))
	{
		queue_drop(listing->listing_id);
		return;
	}
	if (!decrease)
		want.held_until = peak_held_until(store, PEAK_RAISE, listing->listing_id);
	want.lanes = &store->lanes;
	name_batch(store, listing, &want);
	if (breaker_takes(store, listing, &want))
		return;
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

/* A list of changed listings that grows. */
typedef struct ChangedList
{
	int			n;
	int			room;
	Changed    *rows;
} ChangedList;

static void
add_changed(ChangedList *list, int64 listing_id, TimestampTz at)
{
	if (list->n == list->room)
	{
		list->room = Max(64, 2 * list->room);
		list->rows = list->rows == NULL ? palloc(list->room * sizeof(Changed)) :
			repalloc_huge(list->rows, list->room * sizeof(Changed));
	}
	list->rows[list->n++] = (Changed) {listing_id, at};
}

/* add_sellers_by_statement adds the listings that draw on the SKUs, by themselves or through a bundle. */
static void
add_sellers_by_statement(SsSet *skus, ChangedList *list)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;

	set_execute(&plan,
				"SELECT l.listing_id, x.at FROM unnest($1, $2) AS x (sku_id, at) "
				"JOIN storesync.listing l ON l.sku_id = x.sku_id "
				"UNION ALL SELECT l.listing_id, x.at FROM unnest($1, $2) AS x (sku_id, at) "
				"JOIN storesync.component c ON c.sku_id = x.sku_id AND c.qty > 0 "
				"JOIN storesync.listing l ON l.sku_id = c.bundle_id",
				SPI_OK_SELECT, skus);
	for (uint64 i = 0; i < SPI_processed; i++)
		add_changed(list,
					DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)),
					DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull)));
	SPI_freetuptable(SPI_tuptable);
}

/* add_selling adds the listings of one SKU. */
static void
add_selling(RowsScan *listings, Datum sku_id, TimestampTz at, ChangedList *list)
{
	for (bool more = rows_find(listings, 1, &sku_id); more; more = rows_next(listings))
		add_changed(list, listing_int64(listings, 0, 0), at);
}

/* add_sellers is add_sellers_by_statement without one, where the tables allow it. */
static void
add_sellers(SsSet *skus, ChangedList *list)
{
	static RowsLookup by_sku = {
		.name = {"listing"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "listing_id", .many = true
	};
	static RowsLookup by_component = {
		.name = {"component"}, .nkeys = 2, .keys = {"sku_id", "bundle_id"}, .columns = "bundle_id, qty"
	};
	RowsScan	listings;
	RowsScan	bundles;
	bool		opened = rows_open(&listings, &by_sku, false);

	if (opened && !rows_open(&bundles, &by_component, false))
	{
		rows_close(&listings);
		opened = false;
	}
	if (!opened)
	{
		add_sellers_by_statement(skus, list);
		return;
	}
	for (int i = 0; i < skus->rows; i++)
	{
		Datum		sku_id = skus->values[0][i];
		TimestampTz at = DatumGetTimestampTz(skus->values[1][i]);

		add_selling(&listings, sku_id, at, list);
		for (bool more = rows_find(&bundles, 1, &sku_id); more; more = rows_next(&bundles))
			if (listing_int64(&bundles, 1, 0) > 0)
				add_selling(&listings, Int64GetDatum(listing_int64(&bundles, 0, 0)), at, list);
	}
	rows_close(&bundles);
	rows_close(&listings);
}

/*
 * gather_changed returns the listings that draw on the SKUs and the listings
 * themselves, each once with its oldest change, ordered by id.
 */
static Changed *
gather_changed(SsSet *skus, SsSet *listings, int *n)
{
	ChangedList list = {0};
	int			kept = 0;

	if (skus->rows > 0)
		add_sellers(skus, &list);
	for (int i = 0; i < listings->rows; i++)
		add_changed(&list, DatumGetInt64(listings->values[0][i]), DatumGetTimestampTz(listings->values[1][i]));
	if (list.n > 0)
		qsort(list.rows, list.n, sizeof(Changed), by_listing_and_age);
	for (int i = 0; i < list.n; i++)
		if (i == 0 || list.rows[i].listing_id != list.rows[i - 1].listing_id)
			list.rows[kept++] = list.rows[i];
	*n = kept;
	return list.rows;
}

static int
find_changed(const void *key, const void *changed)
{
	int64		left = *(const int64 *) key;
	int64		right = ((const Changed *) changed)->listing_id;

	return left < right ? -1 : left > right ? 1 : 0;
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
	int64	   *ids = palloc(Max(n, 1) * sizeof(int64));

	for (int i = 0; i < n; i++)
		ids[i] = changed[i].listing_id;
	n_compared = listing_read(ids, n, &compared);
	drift_hold(compared, n_compared);
	for (int i = 0; i < n_compared; i++)
	{
		const Changed *found = bsearch(&compared[i].listing_id, changed, n, sizeof(Changed), find_changed);

		target_settle(&compared[i], found->at);
	}
	drop_vanished(listings);
}

void
target_compare_all(int store_id)
{
	static const char *const sql =
		"SELECT " LISTING_COLUMNS " FROM storesync.listing_target t "
		"WHERE ($1 = 0 OR t.store_id = $1) AND t.enabled AND t.dirty AND NOT t.dead";
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store_id)};
	DispatchStore *store = store_id == 0 ? NULL : stores_find(store_id);
	TimestampTz now = GetCurrentTimestamp();
	ListingTerms *terms = palloc(FETCH_ROWS * sizeof(ListingTerms));
	Portal		portal;
	int			n;

	if (store_id == 0)
		target_overflow = false;
	else if (store == NULL)
		return;
	queue_sweep_begin();
	portal = SPI_cursor_open_with_args(NULL, sql, 1, types, values, NULL, false, 0);
	do
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		n = (int) SPI_processed;
		for (int i = 0; i < n; i++)
			listing_take_row(SPI_tuptable->vals[i], &terms[i]);
		SPI_freetuptable(SPI_tuptable);
		drift_hold(terms, n);
		for (int i = 0; i < n; i++)
			target_settle(&terms[i], now);
	} while (n > 0 && !target_overflow);
	pfree(terms);
	SPI_cursor_close(portal);
	queue_sweep_end(store == NULL ? NULL : &store->lanes);
}

void
target_begin(void)
{
	compared = NULL;
	n_compared = 0;
}

static int
by_listing(const void *a, const void *b)
{
	int64		left = ((const ListingTerms *) a)->listing_id;
	int64		right = ((const ListingTerms *) b)->listing_id;

	return left < right ? -1 : left > right ? 1 : 0;
}

const ListingTerms *
target_find(const ListingTerms *targets, int n, int64 listing_id)
{
	ListingTerms key = {.listing_id = listing_id};

	return n == 0 ? NULL : bsearch(&key, targets, n, sizeof(ListingTerms), by_listing);
}

static int
by_number(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return left < right ? -1 : left > right ? 1 : 0;
}

ListingTerms *
target_read(int64 *listing_ids, int n, int *found)
{
	ListingTerms *known = palloc(n * sizeof(ListingTerms));
	ListingTerms *targets;
	int			n_known = 0;
	int			unknown = 0;

	for (int i = 0; i < n; i++)
	{
		const ListingTerms *terms = target_find(compared, n_compared, listing_ids[i]);

		if (terms != NULL)
			known[n_known++] = *terms;
		else
			listing_ids[unknown++] = listing_ids[i];
	}
	if (unknown == 0)
		targets = known;
	else
	{
		qsort(listing_ids, unknown, sizeof(int64), by_number);
		unknown = listing_read(listing_ids, unknown, &targets);
		targets = repalloc_huge(targets, (unknown + n_known + 1) * sizeof(ListingTerms));
		memcpy(targets + unknown, known, n_known * sizeof(ListingTerms));
	}
	*found = unknown + n_known;
	qsort(targets, *found, sizeof(ListingTerms), by_listing);
	breaker_bound(targets, *found);
	drift_hold(targets, *found);
	return targets;
}
