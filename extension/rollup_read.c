/*
 * rollup_read.c
 *		What orders count for as the tables show it: for the first filling of
 *		the roll-ups, which have been told of nothing before it. And what a row
 *		of the outbox tells, as rows, for check_invariants().
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/tuplestore.h"

#include "rollup.h"

PG_FUNCTION_INFO_V1(sale_changes);
PG_FUNCTION_INFO_V1(sale_amount_sql);

void
rollup_select(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types, Datum *values)
{
	int			result;

	if (*plan == NULL)
	{
		*plan = SPI_prepare(sql, nargs, unconstify(Oid *, types));
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	}
	result = SPI_execute_plan(*plan, values, NULL, true, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(result));
}

static int64
get(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int64
rollup_next_orders(int64 after, int64 most)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(after), Int64GetDatum(most)};
	int64		last;

	rollup_select(&plan,
				  "SELECT max(x.order_id) FROM (SELECT o.order_id FROM storesync.sales_order o "
				  "WHERE o.order_id > $1 ORDER BY o.order_id LIMIT $2) x",
				  2, types, values);
	last = get(0, 1);
	SPI_freetuptable(SPI_tuptable);
	return last;
}

/* An order's quarter of an hour, as sale.c counts them. */
#define QUARTER(at) "floor(extract(epoch FROM " at " - timestamptz '2000-01-01 00:00+00') / 900)::bigint"

static void
read_sums(RollUp *sums, Datum *range)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID};

	rollup_select(&plan,
				  "SELECT o.store_id::bigint, " QUARTER("o.create_time") ", sum(o.orders)::bigint, sum(o.units)::bigint, "
				  "  sum(o.amount)::bigint, sum(o.cancelled_orders)::bigint, sum(o.cancelled_units)::bigint, "
				  "  sum(o.returned_units)::bigint "
				  "FROM storesync.order_sale o WHERE o.order_id > $1 AND o.order_id <= $2 GROUP BY 1, 2",
				  2, types, range);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		SaleSum		sum = {get(i, 3), get(i, 4), get(i, 5), get(i, 6), get(i, 7), get(i, 8)};

		rollup_add_sales(sums, (int32) get(i, 1), get(i, 2), &sum);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
read_lines(RollUp *sums, Datum *range)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID};

	rollup_select(&plan,
				  "SELECT l.sku_id, " QUARTER("l.ordered_at") ", l.sold, l.amount FROM storesync.line_sale l "
				  "WHERE l.order_id > $1 AND l.order_id <= $2 AND l.sku_id IS NOT NULL AND l.units > 0",
				  2, types, range);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		SaleLine	line = {get(i, 1), get(i, 3), get(i, 4)};

		rollup_add_line(sums, get(i, 2), &line);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
read_delays(RollUp *sums, Datum *range)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, INT8OID};

	rollup_select(&plan,
				  "SELECT o.store_id::bigint, " QUARTER("o.create_time") ", "
				  "  floor(extract(epoch FROM o.recorded_at - o.create_time) * 1000)::bigint FROM storesync.sales_order o "
				  "WHERE o.order_id > $1 AND o.order_id <= $2 AND o.stock_effect",
				  2, types, range);
	for (uint64 i = 0; i < SPI_processed; i++)
		rollup_add_delay(sums, (int32) get(i, 1), get(i, 2), get(i, 3));
	SPI_freetuptable(SPI_tuptable);
}

void
rollup_read_orders(RollUp *sums, int64 after, int64 through)
{
	Datum		range[] = {Int64GetDatum(after), Int64GetDatum(through)};

	read_sums(sums, range);
	read_lines(sums, range);
	read_delays(sums, range);
}

/* ---------------------------------------------------------------- SQL */

/* sale_amount(unit_price numeric, units bigint): strict. */
Datum
sale_amount_sql(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(sale_amount(PG_GETARG_NUMERIC(0), PG_GETARG_INT64(1)));
}

/* Columns of sale_changes. */
enum
{
	C_ORDER, C_STORE, C_AT, C_SKU, C_ORDERS, C_UNITS, C_AMOUNT, C_CANCELLED_ORDERS, C_CANCELLED_UNITS, C_RETURNED_UNITS,
	C_DELAY, C_COLUMNS
};

static void
put_entry(ReturnSetInfo *result, const SaleEntry *entry)
{
	bool		nulls[C_COLUMNS] = {[C_SKU] = true, [C_DELAY] = !entry->is_new};
	Datum		values[C_COLUMNS];

	values[C_ORDER] = Int64GetDatum(entry->order_id);
	values[C_STORE] = Int32GetDatum(entry->store_id);
	values[C_AT] = TimestampTzGetDatum(entry->quarter * SALE_QUARTER_US);
	values[C_SKU] = (Datum) 0;
	values[C_ORDERS] = Int64GetDatum(entry->sum.orders);
	values[C_UNITS] = Int64GetDatum(entry->sum.units);
	values[C_AMOUNT] = Int64GetDatum(entry->sum.amount);
	values[C_CANCELLED_ORDERS] = Int64GetDatum(entry->sum.cancelled_orders);
	values[C_CANCELLED_UNITS] = Int64GetDatum(entry->sum.cancelled_units);
	values[C_RETURNED_UNITS] = Int64GetDatum(entry->sum.returned_units);
	values[C_DELAY] = Int64GetDatum(entry->delay_ms);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_line(ReturnSetInfo *result, const SaleEntry *entry, const SaleLine *line)
{
	bool		nulls[C_COLUMNS];
	Datum		values[C_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	nulls[C_ORDER] = nulls[C_STORE] = nulls[C_AT] = nulls[C_SKU] = nulls[C_UNITS] = nulls[C_AMOUNT] = false;
	values[C_ORDER] = Int64GetDatum(entry->order_id);
	values[C_STORE] = Int32GetDatum(entry->store_id);
	values[C_AT] = TimestampTzGetDatum(entry->quarter * SALE_QUARTER_US);
	values[C_SKU] = Int64GetDatum(line->sku_id);
	values[C_UNITS] = Int64GetDatum(line->sold);
	values[C_AMOUNT] = Int64GetDatum(line->amount);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* sale_changes(sale bytea): a row for each order that it tells of, and one for each line that changed. */
Datum
sale_changes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SaleReader	reader;
	SaleEntry	entry;

	InitMaterializedSRF(fcinfo, 0);
	sale_open(&reader, PG_GETARG_BYTEA_PP(0));
	while (sale_next(&reader, &entry))
	{
		put_entry(result, &entry);
		for (int i = 0; i < entry.nlines; i++)
		{
			SaleLine	line;

			sale_next_line(&reader, &line);
			put_line(result, &entry, &line);
		}
	}
	PG_RETURN_NULL();
}
