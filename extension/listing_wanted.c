/*
 * listing_wanted.c
 *		The arithmetic of what a listing should show.
 *
 * It is exact: integers, and numeric for the share. It only rounds down,
 * because a unit too many is an oversell and a unit too few is not.
 */
#include "storesync.h"

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "listing_read.h"

PG_FUNCTION_INFO_V1(wanted_quantity);
PG_FUNCTION_INFO_V1(clock_doubt);
PG_FUNCTION_INFO_V1(max_fetch_age);

/*
 * listing_share_of returns floor(units × share / pack), 0 for units below 1.
 * The product is exact; taking its floor before the integer division changes
 * nothing, as floor(floor(x) / n) = floor(x / n) for a whole n.
 */
int64
listing_share_of(int64 units, Datum share, int32 pack)
{
	Datum		product;

	if (units <= 0)
		return 0;
	product = DirectFunctionCall2(numeric_mul, NumericGetDatum(int64_to_numeric(units)), share);
	product = DirectFunctionCall1(numeric_floor, product);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, product)) / pack;
}

static void
check_policy(Datum share, int32 pack, int64 safety, int64 buffer)
{
	Datum		one = NumericGetDatum(int64_to_numeric(1));
	Datum		zero = NumericGetDatum(int64_to_numeric(0));

	if (DatumGetBool(DirectFunctionCall2(numeric_gt, share, one)) ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, share, zero)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("share must lie between 0 and 1")));
	if (pack < 1 || safety < 0 || buffer < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pack must be at least 1, safety stock and buffer must not be negative")));
}

/*
 * wanted_quantity is the whole arithmetic of a listing, in sold units:
 * floor((available - safety) × share / pack) - buffer, between 0 and the
 * smaller of cap and max_quantity. NULL when an argument other than cap is.
 */
Datum
wanted_quantity(PG_FUNCTION_ARGS)
{
	int64		most;
	int64		units;
	int64		quantity = 0;

	for (int i = 0; i < 7; i++)
		if (i != 5 && PG_ARGISNULL(i))
			PG_RETURN_NULL();
	check_policy(PG_GETARG_DATUM(2), PG_GETARG_INT32(3), PG_GETARG_INT64(1), PG_GETARG_INT64(4));

	most = PG_GETARG_INT64(6);
	if (!PG_ARGISNULL(5))
		most = Min(most, PG_GETARG_INT64(5));
	if (!pg_sub_s64_overflow(PG_GETARG_INT64(0), PG_GETARG_INT64(1), &units) && units > 0)
		quantity = listing_share_of(units, PG_GETARG_DATUM(2), PG_GETARG_INT32(3)) - PG_GETARG_INT64(4);
	PG_RETURN_INT64(Max(Min(quantity, most), 0));
}

/* Settings for the view, whose text a session without the library could not read. */
static Datum
milliseconds(int ms)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (TimeOffset) ms * 1000;
	return IntervalPGetDatum(interval);
}

Datum
clock_doubt(PG_FUNCTION_ARGS)
{
	return milliseconds(ss_clock_doubt);
}

Datum
max_fetch_age(PG_FUNCTION_ARGS)
{
	return milliseconds(ss_max_fetch_age);
}
