/*
 * allotment_seen.c
 *		What platforms keep locked for promotions: reserve_seen() and
 *		reserves_seen(), which make, correct and end allotments by themselves.
 *
 * What a platform has locked is a fact: nothing is asked whether the stock
 * covers it, and so no place is locked here. It lies beside what was allotted
 * by hand, in the same row; the larger remainder counts.
 *
 * Locking: the rows of listing_reserved in the order of their ids, so that of
 * two sightings the newer stands; what counts is read by a statement of its
 * own behind that. Then the allotments, and the listings whose revisions rise.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "allotment.h"
#include "set.h"

PG_FUNCTION_INFO_V1(reserve_seen);
PG_FUNCTION_INFO_V1(reserves_seen);

/* Arguments of both functions. */
enum
{
	ARG_LISTING, ARG_RESERVED, ARG_SEEN_AT, ARG_UNTIL
};

/*
 * Of the listings $1, whose rows say what is locked now: put it, correct it,
 * take it away, and return the SKUs of those of which another quantity is set
 * aside than before. A bundle has no stock that could be.
 */
#define APPLY \
	"WITH want AS MATERIALIZED (" \
	"SELECT r.listing_id, l.sku_id, r.seen_at, CASE WHEN k.bundle THEN 0 " \
	"ELSE least(r.reserved::numeric * l.pack, 1000000000000)::bigint END AS units " \
	"FROM storesync.listing_reserved r JOIN storesync.listing l ON l.listing_id = r.listing_id " \
	"JOIN storesync.sku k ON k.sku_id = l.sku_id WHERE r.listing_id = ANY ($1)), " \
	"old AS MATERIALIZED (SELECT w.listing_id, w.sku_id, w.units AS locked, w.seen_at, coalesce(f.remaining, 0) AS before, " \
	"greatest(CASE WHEN w.units > 0 THEN w.units - storesync.ordered_since(w.listing_id, w.seen_at) END, " \
	"CASE WHEN f.until IS NULL OR f.until > statement_timestamp() " \
	"THEN f.units - storesync.ordered_since(w.listing_id, f.since) END, 0) AS remaining " \
	"FROM want w LEFT JOIN storesync.allotment_left f ON f.listing_id = w.listing_id), " \
	"put AS (INSERT INTO storesync.allotment AS a (listing_id, sku_id, locked, locked_at) " \
	"SELECT w.listing_id, w.sku_id, w.units, w.seen_at FROM want w WHERE w.units > 0 ORDER BY w.listing_id " \
	"ON CONFLICT (listing_id) DO UPDATE SET sku_id = excluded.sku_id, locked = excluded.locked, " \
	"locked_at = excluded.locked_at, " \
	"units = CASE WHEN a.sku_id = excluded.sku_id THEN a.units END, " \
	"since = CASE WHEN a.sku_id = excluded.sku_id THEN a.since END, " \
	"until = CASE WHEN a.sku_id = excluded.sku_id THEN a.until END), " \
	"kept AS (UPDATE storesync.allotment a SET locked = NULL, locked_at = NULL FROM want w " \
	"WHERE a.listing_id = w.listing_id AND w.units = 0 AND a.locked IS NOT NULL AND a.units IS NOT NULL), " \
	"gone AS (DELETE FROM storesync.allotment a USING want w " \
	"WHERE a.listing_id = w.listing_id AND w.units = 0 AND a.units IS NULL), " \
	"said AS (INSERT INTO storesync.audit (action, subject, before, after) " \
	"SELECT 'reserve seen', concat('listing ', o.listing_id), jsonb_build_object('remaining', o.before), " \
	"jsonb_build_object('sku_id', o.sku_id, 'locked', o.locked, 'remaining', o.remaining, 'seen_at', o.seen_at) " \
	"FROM old o WHERE o.remaining <> o.before ORDER BY o.listing_id) " \
	"SELECT o.sku_id FROM old o WHERE o.remaining <> o.before ORDER BY 1"

/* see notes the sightings that are news. Returns the listings concerned, *n of them. */
static int64 *
see(Datum listings, Datum reserved, TimestampTz seen_at, TimestampTz until, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {listings, reserved, TimestampTzGetDatum(seen_at), TimestampTzGetDatum(until)};

	ss_execute(&plan,
			   "INSERT INTO storesync.listing_reserved AS r (listing_id, reserved, seen_at, until) "
			   "SELECT l.listing_id, max(x.reserved), $3, CASE WHEN max(x.reserved) > 0 THEN $4 END "
			   "FROM unnest($1, $2) AS x (listing_id, reserved) JOIN storesync.listing l ON l.listing_id = x.listing_id "
			   "WHERE x.reserved > 0 OR EXISTS (SELECT FROM storesync.listing_reserved e WHERE e.listing_id = x.listing_id) "
			   "GROUP BY l.listing_id ORDER BY l.listing_id "
			   "ON CONFLICT (listing_id) DO UPDATE SET reserved = excluded.reserved, seen_at = excluded.seen_at, "
			   "until = CASE WHEN excluded.reserved > 0 THEN coalesce(excluded.until, r.until) END "
			   "WHERE r.seen_at < excluded.seen_at RETURNING r.listing_id",
			   SPI_OK_INSERT_RETURNING, 4, types, values, until == DT_NOEND ? "   n" : NULL, 0);
	return ss_read_ids(n);
}

/* apply_seen has the sightings take effect. Returns for how many listings others show another quantity now. */
static int
apply_seen(Datum listings, Datum reserved, TimestampTz seen_at, TimestampTz until)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[1];
	int64	   *ids;
	int			n;

	ids = see(listings, reserved, seen_at, until, &n);
	if (n == 0)
		return 0;
	values[0] = ss_int8_array(n, ids);
	ss_execute(&plan, APPLY, SPI_OK_SELECT, 1, types, values, NULL, 0);
	ids = ss_read_ids(&n);
	if (n > 0)
		allotment_tell(n, ids);
	return n;
}

static void
check_reserved(int64 reserved)
{
	if (reserved != 0)
		ss_check_quantity(reserved);
}

/* read_times checks when it was seen and when it ends (DT_NOEND: not known). */
static void
read_times(FunctionCallInfo fcinfo, TimestampTz *seen_at, TimestampTz *until)
{
	for (int i = ARG_LISTING; i <= ARG_SEEN_AT; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("listing, reserved units and time of a sighting cannot be null")));
	*seen_at = PG_GETARG_TIMESTAMPTZ(ARG_SEEN_AT);
	*until = PG_ARGISNULL(ARG_UNTIL) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
	ss_check_not_ahead("time of a sighting", *seen_at);
}

/* reserve_seen(listing bigint, reserved bigint, seen_at timestamptz, until timestamptz) returns boolean */
Datum
reserve_seen(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	TimestampTz seen_at;
	TimestampTz until;
	int64		listing_id;
	int64		reserved;
	SsSession	session;
	Datum		value;
	int			moved;

	read_times(fcinfo, &seen_at, &until);
	listing_id = PG_GETARG_INT64(ARG_LISTING);
	reserved = PG_GETARG_INT64(ARG_RESERVED);
	check_reserved(reserved);
	ss_enter(&session, "storesync.reserve_seen()", true);
	ss_plan_by_index();
	value = Int64GetDatum(listing_id);
	ss_execute(&plan, "SELECT storesync.known_listing($1)", SPI_OK_SELECT, 1, types, &value, NULL, 1);
	moved = apply_seen(ss_int8_array(1, &listing_id), ss_int8_array(1, &reserved), seen_at, until);
	ss_leave(&session);
	PG_RETURN_BOOL(moved > 0);
}

/* read_array returns a bigint[] argument, its bounds and nulls checked; *n is how many elements it has. */
static Datum
read_array(FunctionCallInfo fcinfo, int argument, int *n, const int64 **elements)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(argument);

	if (ARR_NDIM(array) > 1 || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("listings and reserved units must be plain arrays without nulls")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	*elements = (const int64 *) ARR_DATA_PTR(array);
	return PointerGetDatum(array);
}

/* reserves_seen(listings bigint[], reserved bigint[], seen_at timestamptz, until timestamptz) returns int */
Datum
reserves_seen(PG_FUNCTION_ARGS)
{
	TimestampTz seen_at;
	TimestampTz until;
	Datum		listings;
	Datum		reserved;
	const int64 *elements;
	int			n;
	int			nreserved;
	int			moved;
	SsSession	session;

	read_times(fcinfo, &seen_at, &until);
	listings = read_array(fcinfo, ARG_LISTING, &n, &elements);
	reserved = read_array(fcinfo, ARG_RESERVED, &nreserved, &elements);
	if (n != nreserved)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d listings but %d reserved quantities", n, nreserved)));
	for (int i = 0; i < n; i++)
		check_reserved(elements[i]);
	ss_enter(&session, "storesync.reserves_seen()", true);
	ss_plan_by_index();
	moved = n == 0 ? 0 : apply_seen(listings, reserved, seen_at, until);
	ss_leave(&session);
	PG_RETURN_INT32(moved);
}
