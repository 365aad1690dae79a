/*
 * listing_moves.c
 *		What has moved listings since their shops last acknowledged a
 *		quantity, found in the ledger by index.
 *
 * The function breaker_moves() says the same of one listing, and says it here
 * of bundles and of SKUs with units set aside. Its plan takes a hundred times
 * as long to start as a usual listing takes to be looked at.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "listing_moves.h"
#include "set.h"

PG_FUNCTION_INFO_V1(breaker_cause);

/* A row may be recorded by a clock that is this much behind the one that stamped an acknowledgement. */
#define RECORDED_BEFORE_US	USECS_PER_MINUTE

/* What has moved a listing's stock, in units. */
typedef struct Sums
{
	ListingFacts *listing;
	ListingMoves *moves;
	int64		behind;			/* ledger rows since then, at all places together */
	TimestampTz after;
	Oid			oldest;			/* partition that holds `after` */
	bool		done;
	int64		sold;
	int64		received;
	int64		short_units;
} Sums;

/* ---------------------------------------------------------------- the ledger */

#define LEDGER_COLUMNS "recorded_at, kind, on_hand_delta, reserved_delta"
enum
{
	LEDGER_RECORDED_AT, LEDGER_KIND, LEDGER_ON_HAND, LEDGER_RESERVED
};

/* take_movement adds a ledger row to what it is one of. */
static void
take_movement(RowsScan *scan, Sums *sums)
{
	bool		isnull;
	const char *kind = DatumGetCString(DirectFunctionCall1(enum_out, rows_get(scan, LEDGER_KIND, &isnull)));
	int64		on_hand = listing_int64(scan, LEDGER_ON_HAND, 0);
	bool		release = strcmp(kind, "release") == 0;

	if (strcmp(kind, "adjust") == 0 || strcmp(kind, "transfer") == 0)
		sums->moves->counted = true;
	else if (strcmp(kind, "receive") == 0 || strcmp(kind, "restock") == 0)
		sums->received += on_hand;
	else if (release || strcmp(kind, "reserve") == 0 || strcmp(kind, "ship") == 0)
		sums->sold += listing_int64(scan, LEDGER_RESERVED, 0) - on_hand;
	sums->moves->released |= release;
}

/* walk_places takes the movements of one listing in the partition at hand. */
static void
walk_places(RowsScan *scan, Sums *sums, const ListingPlace *places)
{
	const ListingSku *sku = sums->listing->sku;

	for (int i = sku->first_place; i < sku->first_place + sku->n_places; i++)
	{
		Datum		keys[] = {Int64GetDatum(sku->sku_id), Int32GetDatum(places[i].location_id),
		Int64GetDatum(places[i].version - sums->behind + 1)};

		if (!places[i].sellable)
			continue;
		for (bool more = rows_find_from(scan, 3, keys); more; more = rows_next(scan))
			if (listing_int64(scan, LEDGER_RECORDED_AT, 0) > sums->after)
				take_movement(scan, sums);
	}
}

/* load_movements goes through the partitions, the newest first, until each listing's are through. */
static bool
load_movements(Sums *sums, int n, const ListingPlace *places)
{
	static RowsLookup lookup = {
		.name = {"ledger"}, .nkeys = 3, .keys = {"sku_id", "location_id", "version"},
		.columns = LEDGER_COLUMNS, .active = true
	};
	RowsScan	scan;
	int			open = n;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
		sums[i].oldest = rows_partition(scan.parent, TimestampTzGetDatum(sums[i].after));
	while (open > 0 && rows_enter_older(&scan))
		for (int i = 0; i < n; i++)
		{
			if (sums[i].done)
				continue;
			if (sums[i].behind > 0)
				walk_places(&scan, &sums[i], places);
			sums[i].done = sums[i].behind <= 0 || RelationGetRelid(scan.heap) == sums[i].oldest;
			open -= sums[i].done;
		}
	rows_close(&scan);
	return true;
}

/* ---------------------------------------------------------------- short lines */

/* load_shorts adds up what order lines recorded since are short of: sold, and in no movement. */
static bool
load_shorts(Sums *sums, int n)
{
	static RowsLookup lookup = {
		.name = {"sales_order_line"}, .nkeys = 2, .keys = {"sku_id", "ordered_at"}, .columns = "recorded_at, short",
		.many = true, .predicate = "(short > 0)", .active = true
	};
	RowsScan	scan;
	int			open = n;

	if (!rows_open(&scan, &lookup, false))
		return false;
	for (int i = 0; i < n; i++)
	{
		sums[i].done = false;
		sums[i].oldest = rows_partition(scan.parent, TimestampTzGetDatum(sums[i].moves->base.at));
	}
	while (open > 0 && rows_enter_older(&scan))
		for (int i = 0; i < n; i++)
		{
			Datum		key = Int64GetDatum(sums[i].listing->sku_id);

			if (sums[i].done)
				continue;
			for (bool more = rows_find(&scan, 1, &key); more; more = rows_next(&scan))
				if (listing_int64(&scan, 0, 0) > sums[i].moves->base.at)
					sums[i].short_units += listing_int64(&scan, 1, 0);
			sums[i].done = RelationGetRelid(scan.heap) == sums[i].oldest;
			open -= sums[i].done;
		}
	rows_close(&scan);
	return true;
}

/* ---------------------------------------------------------------- listings */

static int64
rounded_up(int64 units, int pack)
{
	return units <= 0 ? 0 : (units + pack - 1) / pack;
}

/* begin_sums tells from the versions how many movements there were since. */
static void
begin_sums(Sums *sums, ListingFacts *listing, ListingMoves *moves, const ListingPlace *places)
{
	const ListingSku *sku = listing->sku;

	memset(sums, 0, sizeof(Sums));
	sums->listing = listing;
	sums->moves = moves;
	sums->after = moves->base.at;
	/* versions of a read, or of another life of the data, say nothing: the time alone tells */
	if (moves->base.revision >= 0)
	{
		sums->behind = moves->base.revision - moves->base.version;
		sums->after -= moves->base.version > 0 ? RECORDED_BEFORE_US : 0;
	}
	for (int i = sku->first_place; i < sku->first_place + sku->n_places; i++)
		sums->behind += places[i].version;
	moves->shaped = listing->shaped > moves->base.revision;
	moves->freed = listing->freed > moves->base.revision;
}

/* read_found reads what has moved listings that exist, each with its facts; unusual ones stay undirect. */
static bool
read_found(ListingFacts *listings, ListingMoves **moves, int n)
{
	Sums	   *sums = palloc(Max(n, 1) * sizeof(Sums));
	ListingPlace *places;
	int			usual = 0;

	if (!listing_find_skus(listings, n, &places))
		return false;
	for (int i = 0; i < n; i++)
		if (listings[i].sku->usual)
			begin_sums(&sums[usual++], &listings[i], moves[i], places);
	if (!load_movements(sums, usual, places) || !load_shorts(sums, usual))
		return false;
	for (int i = 0; i < usual; i++)
	{
		int			pack = sums[i].listing->pack;

		sums[i].moves->sold = rounded_up(Max(sums[i].sold, 0) + sums[i].short_units, pack);
		sums[i].moves->received = rounded_up(sums[i].received, pack);
		sums[i].moves->direct = true;
	}
	return true;
}

/* read_directly marks listings that do not exist, and fills in the usual ones. */
static bool
read_directly(ListingMoves *moves, int n)
{
	ListingFacts *listings = palloc0(n * sizeof(ListingFacts));
	ListingMoves **found = palloc(n * sizeof(ListingMoves *));
	ListingTerms *terms = palloc0(n * sizeof(ListingTerms));
	int			n_found = 0;

	for (int i = 0; i < n; i++)
	{
		int			one;

		listings[n_found].terms = &terms[n_found];
		if (!listing_load_rows(&moves[i].listing_id, 1, &listings[n_found], &one))
			return false;
		moves[i].found = one > 0;
		if (moves[i].found)
			found[n_found++] = &moves[i];
	}
	return read_found(listings, found, n_found);
}

/* read_by_statement asks breaker_moves() for those that were not read directly. */
static void
read_by_statement(ListingMoves *moves, int n)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID};
	SsSet	   *asked = set_create(lengthof(types), types, n);

	for (int i = 0; i < n; i++)
	{
		Datum		values[] = {Int64GetDatum((int64) i), Int64GetDatum(moves[i].listing_id),
			Int64GetDatum(moves[i].base.version), Int64GetDatum(moves[i].base.revision),
		TimestampTzGetDatum(moves[i].base.at)};

		if (!moves[i].direct)
			set_add(asked, values, NULL);
	}
	if (asked->rows == 0)
		return;
	set_execute(&plan,
				"SELECT x.place, m.shaped, m.sold, m.received, m.counted, m.released, m.freed "
				"FROM unnest($1, $2, $3, $4, $5) x (place, listing_id, version, revision, since) "
				"CROSS JOIN LATERAL storesync.breaker_moves(x.listing_id, x.version, x.revision, x.since) m "
				"WHERE m.shaped IS NOT NULL", SPI_OK_SELECT, asked);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		ListingMoves *one = &moves[DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull))];

		one->found = true;
		one->shaped = DatumGetBool(SPI_getbinval(row, desc, 2, &isnull));
		one->sold = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
		one->received = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
		one->counted = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
		one->released = DatumGetBool(SPI_getbinval(row, desc, 6, &isnull));
		one->freed = DatumGetBool(SPI_getbinval(row, desc, 7, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
}

void
listing_moves_read(ListingMoves *moves, int n)
{
	bool		directly;

	if (n == 0)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	directly = read_directly(moves, n);
	PopActiveSnapshot();
	for (int i = 0; i < n; i++)
		if (!directly || (moves[i].found && !moves[i].direct))
		{
			read_by_statement(moves, n);
			return;
		}
}

bool
listing_moves_count(const ListingMoves *moves, int64 wanted, int64 believed)
{
	if (!moves->found)
		return false;
	if (wanted < believed)
		return (moves->shaped || moves->counted) && wanted < moves->base.qty - moves->sold;
	return (moves->shaped || moves->counted || (moves->released && !moves->freed)) && wanted - believed > moves->received;
}

/* breaker_cause shows what the dispatcher makes of one change. */
Datum
breaker_cause(PG_FUNCTION_ARGS)
{
	ListingMoves moves = {
		.listing_id = PG_GETARG_INT64(0),
		.base = {
			.version = PG_GETARG_INT64(1), .revision = PG_GETARG_INT64(2), .at = PG_GETARG_TIMESTAMPTZ(3),
			.qty = PG_GETARG_INT64(4)
		}
	};
	SsSession	session;
	TupleDesc	desc;
	Datum		values[8];
	bool		nulls[lengthof(values)] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ss_enter(&session, "breaker_cause()", false);
	listing_moves_read(&moves, 1);
	ss_leave(&session);
	if (!moves.found)
		PG_RETURN_NULL();
	values[0] = BoolGetDatum(moves.shaped);
	values[1] = Int64GetDatum(moves.sold);
	values[2] = Int64GetDatum(moves.received);
	values[3] = BoolGetDatum(moves.counted);
	values[4] = BoolGetDatum(moves.released);
	values[5] = BoolGetDatum(moves.freed);
	values[6] = BoolGetDatum(listing_moves_count(&moves, PG_GETARG_INT64(5), PG_GETARG_INT64(6)));
	values[7] = BoolGetDatum(moves.direct);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
