/*
 * ledger_balance.c
 *		What was on hand at a moment that has passed: balance_at(). Nothing is
 *		locked; rows of the ledger do not change.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "ledger.h"
#include "version.h"

PG_FUNCTION_INFO_V1(ledger_balance_at);

/*
 * Units on hand at a place, $1 and $2, after its last row recorded up to $3; 0
 * before the first of all rows; NULL before the first that is kept. `opening`
 * says where those that went have left off.
 */
#define ON_HAND_AT(opening) \
	"SELECT CASE WHEN last.on_hand IS NOT NULL THEN last.on_hand WHEN o.at <= $3 THEN o.on_hand " \
	"            WHEN o.at IS NULL AND coalesce(first.version, 1) = 1 THEN 0 END " \
	"FROM (VALUES (1)) v " \
	"LEFT JOIN LATERAL (SELECT l.on_hand FROM storesync.ledger l " \
	"  WHERE l.sku_id = $1 AND l.location_id = $2 AND l.recorded_at <= $3 " \
	"  ORDER BY l.version DESC LIMIT 1) last ON true " \
	"LEFT JOIN LATERAL (SELECT l.version FROM storesync.ledger l " \
	"  WHERE l.sku_id = $1 AND l.location_id = $2 ORDER BY l.version LIMIT 1) first ON true " \
	"LEFT JOIN (SELECT * FROM " opening ") o ON o.sku_id = $1 AND o.location_id = $2"

/* Release 1.0 has no openings, and keeps every row. */
#define NO_OPENING "(SELECT NULL::bigint, NULL::int, NULL::bigint, NULL::timestamptz) none (sku_id, location_id, on_hand, at)"

bool
ledger_on_hand_at(int64 sku_id, int32 location_id, TimestampTz at, int64 *units)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr plan_1_0 = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id), TimestampTzGetDatum(at)};
	bool		isnull;
	Datum		found;

	if (ss_sql_has(SS_SQL_1_1))
		ss_execute(&plan, ON_HAND_AT("storesync.ledger_opening"), SPI_OK_SELECT, 3, types, values, NULL, 1);
	else
		ss_execute(&plan_1_0, ON_HAND_AT(NO_OPENING), SPI_OK_SELECT, 3, types, values, NULL, 1);
	found = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	*units = isnull ? 0 : DatumGetInt64(found);
	SPI_freetuptable(SPI_tuptable);
	return !isnull;
}

/* balance_at(sku, at, location): units on hand after the last movement recorded up to a moment. */
Datum
ledger_balance_at(PG_FUNCTION_ARGS)
{
	SsSession	session;
	int64		sku_id;
	int32		location_id;
	int64		units;

	ledger_check_not_null(fcinfo, 0, "SKU");
	ledger_check_not_null(fcinfo, 1, "moment");
	ledger_check_not_null(fcinfo, 2, "location");
	ss_enter(&session, "storesync.balance_at()", false);
	ss_plan_by_index();
	ledger_resolve(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(2), &sku_id, &location_id);
	if (!ledger_on_hand_at(sku_id, location_id, PG_GETARG_TIMESTAMPTZ(1), &units))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("balance of SKU \"%s\" at that moment is not known", text_to_cstring(PG_GETARG_TEXT_PP(0))),
				 errdetail("Its ledger at location \"%s\" does not reach back so far.",
						   text_to_cstring(PG_GETARG_TEXT_PP(2)))));
	ss_leave(&session);
	PG_RETURN_INT64(units);
}
