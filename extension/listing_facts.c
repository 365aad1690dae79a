/*
 * listing_facts.c
 *		What listings, their SKUs and stores say, and what was last written,
 *		found by index without statements (rows.h).
 *
 * Every function here reads under the active snapshot, so that all facts of
 * a listing are of one moment.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "listing_read.h"
#include "outbox.h"

int64
listing_int64(RowsScan *scan, int column, int64 missing)
{
	bool		isnull;
	Datum		value = rows_get(scan, column, &isnull);

	return isnull ? missing : DatumGetInt64(value);
}

static bool
get_bool(RowsScan *scan, int column)
{
	bool		isnull;

	return DatumGetBool(rows_get(scan, column, &isnull));
}

static bool
is_null(RowsScan *scan, int column)
{
	bool		isnull;

	(void) rows_get(scan, column, &isnull);
	return isnull;
}

static const char *
get_text(RowsScan *scan, int column)
{
	bool		isnull;

	return TextDatumGetCString(rows_get(scan, column, &isnull));
}

static void
take_listing(RowsScan *scan, int64 listing_id, ListingFacts *listing)
{
	bool		isnull;
	Datum		held;

	listing->terms->listing_id = listing_id;
	listing->terms->store_id = DatumGetInt32(rows_get(scan, 0, &isnull));
	listing->sku_id = listing_int64(scan, 1, 0);
	listing->terms->item_id = get_text(scan, 2);
	listing->terms->model_id = get_text(scan, 3);
	listing->pack = DatumGetInt32(rows_get(scan, 4, &isnull));
	listing->share = rows_get(scan, 5, &isnull);
	listing->facts.buffer = listing_int64(scan, 6, 0);
	listing->cap = listing_int64(scan, 7, TERMS_NONE);
	listing->facts.enabled = get_bool(scan, 8);
	held = rows_get(scan, 9, &isnull);
	listing->terms->held = !isnull && held != (Datum) 0;
	listing->facts.shows_nothing = listing->terms->held;
	listing->terms->revision = listing_int64(scan, 10, 0);
	listing->terms->version = listing->terms->revision;
	listing->shaped = listing_int64(scan, 11, 0);
	listing->freed = listing_int64(scan, 12, 0);
}

/* listing_load_rows reads the listings that exist, in the order of their ids, each with its `terms` to fill. */
bool
listing_load_rows(const int64 *listing_ids, int n, ListingFacts *listings, int *found)
{
	static RowsLookup lookup = {
		.name = {"listing"}, .nkeys = 1, .keys = {"listing_id"},
		.columns = "store_id, sku_id, item_id, model_id, pack, share, buffer, cap, enabled, held, revision, shaped, freed",
		.settled = true, .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	*found = 0;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(listing_ids[i]);

		if (rows_find(&scan, 1, &key))
			take_listing(&scan, listing_ids[i], &listings[(*found)++]);
	}
	rows_close(&scan);
	return true;
}

/* anything_aside: units of SKUs that are set aside for a listing are for the view to reckon with. */
static bool
anything_aside(ListingSku *skus, int n)
{
	static RowsLookup lookup = {
		.name = {"allotment"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "units", .many = true, .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(skus[i].sku_id);

		skus[i].usual &= !rows_find(&scan, 1, &key);
	}
	rows_close(&scan);
	return true;
}

/* listing_load_skus: one that has no row is not usual, and the view says what there is to say. */
bool
listing_load_skus(ListingSku *skus, int n)
{
	static RowsLookup lookup = {
		.name = {"sku"}, .nkeys = 1, .keys = {"sku_id"}, .columns = "safety_stock, solo_below, bundle",
		.settled = true, .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(skus[i].sku_id);

		skus[i].usual = rows_find(&scan, 1, &key);
		if (!skus[i].usual)
			continue;
		skus[i].safety_stock = listing_int64(&scan, 0, 0);
		skus[i].solo_below = listing_int64(&scan, 1, 0);
		skus[i].usual = !get_bool(&scan, 2);
	}
	rows_close(&scan);
	return anything_aside(skus, n);
}

static bool
load_platforms(ListingStore *stores, int n)
{
	static RowsLookup lookup = {
		.name = {"platform"}, .nkeys = 1, .keys = {"platform"}, .columns = "max_quantity, returns_on_cancel",
		.settled = true, .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		stores[i].max_quantity = TERMS_NONE;
		if (stores[i].platform == (Datum) 0 || !rows_find(&scan, 1, &stores[i].platform))
			continue;
		stores[i].max_quantity = listing_int64(&scan, 0, 0);
		stores[i].returns_unknown = is_null(&scan, 1);
		stores[i].returns_on_cancel = stores[i].returns_unknown || get_bool(&scan, 1);
	}
	rows_close(&scan);
	return true;
}

/* load_store_places reads which places each store sells from; a store without rows sells from all. */
static bool
load_store_places(ListingStore *stores, int n)
{
	static RowsLookup lookup = {
		.name = {"store_location"}, .nkeys = 2, .keys = {"store_id", "location_id"}, .columns = "location_id",
		.active = true
	};
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int32GetDatum(stores[i].store_id);
		int			room = 0;

		for (bool more = rows_find(&scan, 1, &key); more; more = rows_next(&scan))
		{
			if (stores[i].n_places == room)
			{
				room = Max(4, 2 * room);
				stores[i].places = stores[i].places == NULL ? palloc(room * sizeof(int)) :
					repalloc(stores[i].places, room * sizeof(int));
			}
			stores[i].places[stores[i].n_places++] = DatumGetInt32(rows_get(&scan, 0, &isnull));
		}
	}
	rows_close(&scan);
	return true;
}

static bool
load_cursors(ListingStore *stores, int n)
{
	static RowsLookup lookup = {
		.name = {"order_cursor"}, .nkeys = 1, .keys = {"store_id"}, .columns = "fetched_through", .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int32GetDatum(stores[i].store_id);

		stores[i].fetched = rows_find(&scan, 1, &key);
		if (stores[i].fetched)
			stores[i].fetched_through = listing_int64(&scan, 0, 0);
	}
	rows_close(&scan);
	return true;
}

/* minute_at_most is an interval in microseconds, a minute for longer ones. */
static int64
minute_at_most(const Interval *interval)
{
	return interval->month > 0 || interval->day > 0 ? USECS_PER_MINUTE : Min(interval->time, USECS_PER_MINUTE);
}

/* listing_load_stores: one that has no row has no largest quantity (TERMS_NONE) in the end. */
bool
listing_load_stores(ListingStore *stores, int n)
{
	static RowsLookup lookup = {
		.name = {"store"}, .nkeys = 1, .keys = {"store_id"}, .columns = "platform, poll_interval",
		.settled = true, .active = true
	};
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int32GetDatum(stores[i].store_id);

		if (!rows_find(&scan, 1, &key))
			continue;
		stores[i].platform = rows_get(&scan, 0, &isnull);
		stores[i].poll_interval = minute_at_most(DatumGetIntervalP(rows_get(&scan, 1, &isnull)));
	}
	rows_close(&scan);
	return load_platforms(stores, n) && load_store_places(stores, n) && load_cursors(stores, n);
}

/* listing_load_stops reads all that is not to be sold: mostly nothing, else a few rows. */
bool
listing_load_stops(ListingFacts *listings, int n)
{
	static RowsLookup lookup = {
		.name = {"selling_stop"}, .nkeys = 1, .keys = {"stop_id"}, .columns = "store_id, sku_id", .active = true
	};
	RowsScan	scan;
	Datum		first = Int64GetDatum(PG_INT64_MIN);

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (bool more = rows_find_from(&scan, 1, &first); more; more = rows_next(&scan))
	{
		bool		every_store;
		bool		every_sku;
		int			store_id = DatumGetInt32(rows_get(&scan, 0, &every_store));
		int64		sku_id = DatumGetInt64(rows_get(&scan, 1, &every_sku));

		for (int i = 0; i < n; i++)
			listings[i].terms->stopped |= (every_store || store_id == listings[i].terms->store_id) &&
				(every_sku || sku_id == listings[i].sku_id);
	}
	rows_close(&scan);
	return true;
}

bool
listing_load_shown(ListingFacts *listings, int n)
{
	static RowsLookup lookup = {
		.name = {"listing_shown"}, .nkeys = 1, .keys = {"listing_id"},
		.columns = "acked_qty, acked_version, acked_incarnation, sent_at, written_at, doubt_qty, sending_qty, acked_revision",
		.active = true
	};
	RowsScan	scan;
	int			incarnation = incarnation_current();
	int			origin = incarnation_origin();

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		TermsFacts *facts = &listings[i].facts;
		ListingBase *base = &listings[i].terms->base;
		Datum		key = Int64GetDatum(listings[i].terms->listing_id);
		bool		isnull;
		int			acked_in;

		facts->doubt_qty = facts->sending_qty = TERMS_NONE;
		facts->written = rows_find(&scan, 1, &key);
		base->revision = LISTING_UNACKED;
		if (!facts->written)
			continue;
		facts->acked_qty = listing_int64(&scan, 0, 0);
		facts->acked_version = listing_int64(&scan, 1, 0);
		acked_in = DatumGetInt32(rows_get(&scan, 2, &isnull));
		facts->written_here = acked_in == incarnation;
		listings[i].sent_at = listing_int64(&scan, 3, 0);
		facts->written_at = listing_int64(&scan, 4, 0);
		facts->doubt_qty = listing_int64(&scan, 5, TERMS_NONE);
		facts->sending_qty = listing_int64(&scan, 6, TERMS_NONE);
		listings[i].terms->in_doubt = facts->doubt_qty != TERMS_NONE || facts->sending_qty != TERMS_NONE;
		base->qty = facts->acked_qty;
		base->version = facts->acked_version;
		base->revision = acked_in >= origin && acked_in <= incarnation ? listing_int64(&scan, 7, LISTING_UNACKED) : LISTING_OTHER_LIFE;
		base->at = listings[i].sent_at;
	}
	rows_close(&scan);
	return true;
}

/* given_up tells whether the row found keeps its listing from being written: not settled, or discarded. */
static bool
given_up(RowsScan *scan)
{
	bool		isnull;

	if (strcmp(get_text(scan, 0), "push_stock") != 0)
		return false;
	(void) rows_get(scan, 1, &isnull);
	return isnull || strncmp(get_text(scan, 2), "discarded", strlen("discarded")) == 0;
}

/* listing_load_dead finds out which dirty listings are given up at their version, and are not due. */
bool
listing_load_dead(ListingFacts *listings, int n)
{
	static RowsLookup lookup = {
		.name = {"compensation"}, .nkeys = 2, .keys = {"listing_id", "version"},
		.columns = "call, settled_at, settled_by", .many = true, .active = true
	};
	RowsScan	scan;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		ListingTerms *terms = listings[i].terms;
		Datum		keys[] = {Int64GetDatum(terms->listing_id), Int64GetDatum(terms->version)};

		terms->due = terms->dirty;
		if (!terms->dirty)
			continue;
		for (bool more = rows_find(&scan, 2, keys); more && terms->due; more = rows_next(&scan))
			terms->due = !given_up(&scan);
	}
	rows_close(&scan);
	return true;
}
