/*
 * visits.c
 *		ingest_visits(): how many visits a shop had on a day.
 *
 * The last number for a day counts. Two calls for one day wait for each other
 * by the row's own lock.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"

PG_FUNCTION_INFO_V1(ingest_visits);

/* check_store_day: the store is there, and its clock has not come to the day before yet. */
static void
check_store_day(Datum *values)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, DATEOID};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT $2 > (clock_timestamp() AT TIME ZONE s.timezone)::date + 1 FROM storesync.store s WHERE s.store_id = $1",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_STORE),
				 errmsg("store %d does not exist", DatumGetInt32(values[0]))));
	if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull)))
		ereport(ERROR,
				(errcode(SS_ERR_TIME_AHEAD),
				 errmsg("day %s is more than a day ahead of the store's clock",
						DatumGetCString(DirectFunctionCall1(date_out, values[1])))));
}

/* ingest_visits(store int, day date, visits bigint) */
Datum
ingest_visits(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, DATEOID, INT8OID};
	Datum		values[3];
	SsSession	session;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store, day and visits cannot be null")));
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	if (PG_GETARG_INT64(2) < 0 || DATE_NOT_FINITE(PG_GETARG_DATEADT(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("visits of a day out of range")));
	ss_enter(&session, "storesync.ingest_visits()", true);
	check_store_day(values);
	ss_execute(&plan,
			   "INSERT INTO storesync.visit_day AS v (store_id, day, visits, source) VALUES ($1, $2, $3, 'ingest') "
			   "ON CONFLICT (store_id, day) DO UPDATE SET visits = excluded.visits, source = excluded.source "
			   "WHERE (v.visits, v.source) IS DISTINCT FROM (excluded.visits, excluded.source)",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
	ss_leave(&session);
	PG_RETURN_VOID();
}
