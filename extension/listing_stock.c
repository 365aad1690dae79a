/*
 * listing_stock.c
 *		What there is of SKUs and where, found by index without statements.
 *
 * As the view stock says it: a place exists with its stock_lock row, and its
 * newest ledger row is its balance.
 */
#include "storesync.h"

#include "listing_read.h"

/* list_places reads at which places there is, or was, stock of each SKU. */
static bool
list_places(ListingSku *skus, int n, ListingPlace **places, int *n_places)
{
	static RowsLookup lookup = {
		.name = {"stock_lock"}, .nkeys = 2, .keys = {"sku_id", "location_id"}, .columns = "location_id",
		.active = true
	};
	RowsScan	scan;
	int			room = 2 * n + 8;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
		return false;
	*places = palloc(room * sizeof(ListingPlace));
	*n_places = 0;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int64GetDatum(skus[i].sku_id);

		skus[i].first_place = *n_places;
		for (bool more = rows_find(&scan, 1, &key); more; more = rows_next(&scan))
		{
			if (*n_places == room)
				*places = repalloc(*places, (room *= 2) * sizeof(ListingPlace));
			(*places)[(*n_places)++] = (ListingPlace)
			{
				.sku_id = skus[i].sku_id, .location_id = DatumGetInt32(rows_get(&scan, 0, &isnull))
			};
		}
		skus[i].n_places = *n_places - skus[i].first_place;
	}
	rows_close(&scan);
	return true;
}

/* load_sellable: mostly all places are at one location, which is looked up once. */
static bool
load_sellable(ListingPlace *places, int n)
{
	static RowsLookup lookup = {
		.name = {"location"}, .nkeys = 1, .keys = {"location_id"}, .columns = "sellable",
		.settled = true, .active = true
	};
	RowsScan	scan;
	bool		isnull;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		Datum		key = Int32GetDatum(places[i].location_id);

		if (i > 0 && places[i].location_id == places[i - 1].location_id)
			places[i].sellable = places[i - 1].sellable;
		else
			places[i].sellable = rows_find(&scan, 1, &key) && DatumGetBool(rows_get(&scan, 0, &isnull));
	}
	rows_close(&scan);
	return true;
}

/* load_balances reads the newest ledger rows: partition by partition, the newest first, until all are found. */
static bool
load_balances(ListingPlace *places, int n)
{
	static RowsLookup lookup = {
		.name = {"ledger"}, .nkeys = 3, .keys = {"sku_id", "location_id", "version"},
		.columns = "on_hand, reserved, version", .active = true
	};
	RowsScan	scan;
	int			missing = n;

	if (!rows_open(&scan, &lookup, false))
		return false;
	while (missing > 0 && rows_enter_older(&scan))
		for (int i = 0; i < n; i++)
		{
			Datum		keys[] = {Int64GetDatum(places[i].sku_id), Int32GetDatum(places[i].location_id)};

			if (places[i].found || !rows_find_last(&scan, 2, keys))
				continue;
			places[i].available = listing_int64(&scan, 0, 0) - listing_int64(&scan, 1, 0);
			places[i].version = listing_int64(&scan, 2, 0);
			places[i].found = true;
			missing--;
		}
	rows_close(&scan);
	return true;
}

bool
listing_load_places(ListingSku *skus, int n, ListingPlace **places)
{
	int			n_places;

	return list_places(skus, n, places, &n_places) && load_sellable(*places, n_places) &&
		load_balances(*places, n_places);
}
