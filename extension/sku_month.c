/*
 * sku_month.c
 *		Rows of storesync.sku_block in SQL: taken apart for view sku_month, put
 *		together, and merged. What is in them is sku_sums.h's.
 *
 * Locking: none of its own; a row is locked by the statement that writes it,
 * rows of one statement in the order of blocks and months.
 */
#include "sku_month.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(sku_sums_rows);
PG_FUNCTION_INFO_V1(sku_sums_step);
PG_FUNCTION_INFO_V1(sku_sums_final);
PG_FUNCTION_INFO_V1(sku_sums_merge);
PG_FUNCTION_INFO_V1(sku_sums_sales);
PG_FUNCTION_INFO_V1(sku_sums_stock);
PG_FUNCTION_INFO_V1(sku_sums_next);

bytea *
sku_month_pack(const SkuBlock *block)
{
	uint8		packed[SKU_BLOCK_PACKED];
	size_t		length = sku_block_pack(block, packed);
	bytea	   *result = palloc(VARHDRSZ + length);

	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), packed, length);
	return result;
}

void
sku_month_unpack(const bytea *sums, SkuBlock *block)
{
	if (!sku_block_unpack((const uint8_t *) VARDATA_ANY(sums), VARSIZE_ANY_EXHDR(sums), block))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid sums of SKUs")));
}

static void
raise_too_large(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("bigint out of range")));
}

/* ---------------------------------------------------------------- writing */

SsSet *
sku_month_rows(void)
{
	static const Oid types[] = {INT8OID, DATEOID, BYTEAOID};

	return set_create(lengthof(types), types, 64);
}

void
sku_month_add(SsSet *rows, int64 block, DateADT month, const SkuBlock *what)
{
	bytea	   *sums = sku_month_pack(what);

	if (VARSIZE_ANY_EXHDR(sums) == 0)
		return;
	set_add_row(rows);
	set_put(rows, 0, Int64GetDatum(block));
	set_put(rows, 1, DateADTGetDatum(month));
	set_put(rows, 2, PointerGetDatum(sums));
}

void
sku_month_write(SsSet *rows)
{
	static SPIPlanPtr plan = NULL;

	set_execute(&plan,
				"INSERT INTO storesync.sku_block AS b (block, month, sums) "
				"SELECT u.block, u.month, u.sums FROM unnest($1, $2, $3) AS u (block, month, sums) ORDER BY u.block, u.month "
				"ON CONFLICT (block, month) DO UPDATE SET sums = storesync.sku_sums_merge(b.sums, excluded.sums)",
				SPI_OK_INSERT, rows);
}

/* ---------------------------------------------------------------- SQL: SKU by SKU */

/* Columns of sku_sums_rows, and behind the state, arguments of sku_sums(). */
enum
{
	C_SKU, C_SOLD, C_AMOUNT, C_RETURNED, C_STOCK_SECONDS, C_EMPTY_SECONDS, C_RECEIVED, C_SHIPPED, C_ON_HAND, C_AVAILABLE,
	C_THROUGH, C_COLUMNS
};

static void
put_row(ReturnSetInfo *result, int64 sku_id, const SkuSums *sums)
{
	bool		nulls[C_COLUMNS] = {[C_THROUGH] = !sums->has_stock};
	Datum		values[C_COLUMNS];

	values[C_SKU] = Int64GetDatum(sku_id);
	values[C_SOLD] = Int64GetDatum(sums->sold);
	values[C_AMOUNT] = Int64GetDatum(sums->amount);
	values[C_RETURNED] = Int64GetDatum(sums->returned);
	values[C_STOCK_SECONDS] = Int64GetDatum(sums->stock_seconds);
	values[C_EMPTY_SECONDS] = Int64GetDatum(sums->empty_seconds);
	values[C_RECEIVED] = Int64GetDatum(sums->received);
	values[C_SHIPPED] = Int64GetDatum(sums->shipped);
	values[C_ON_HAND] = Int64GetDatum(sums->on_hand);
	values[C_AVAILABLE] = Int64GetDatum(sums->available);
	values[C_THROUGH] = TimestampTzGetDatum(sums->through * USECS_PER_SEC);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* sku_sums_rows(block bigint, sums bytea): a row for each SKU of which there is something. */
Datum
sku_sums_rows(PG_FUNCTION_ARGS)
{
	int64		first = PG_GETARG_INT64(0) * SKU_BLOCK;
	SkuBlock	block;

	InitMaterializedSRF(fcinfo, 0);
	sku_month_unpack(PG_GETARG_BYTEA_PP(1), &block);
	for (int i = 0; i < SKU_BLOCK; i++)
		if (sku_sums_any(&block.of[i]))
			put_row((ReturnSetInfo *) fcinfo->resultinfo, first + i, &block.of[i]);
	PG_RETURN_NULL();
}

/* What sku_sums() has come to. */
typedef struct Gathered
{
	int64		number;			/* of the block */
	SkuBlock	block;
} Gathered;

/* sku_sums_step(state, sku_id, …, through): all but through not null. */
Datum
sku_sums_step(PG_FUNCTION_ARGS)
{
	Gathered   *state = PG_ARGISNULL(0) ? NULL : (Gathered *) PG_GETARG_POINTER(0);
	int64		sku_id;
	MemoryContext context;
	SkuSums    *sums;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	for (int i = C_SKU; i < C_THROUGH; i++)
		if (PG_ARGISNULL(1 + i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("sums of a SKU must not be null")));
	sku_id = PG_GETARG_INT64(1 + C_SKU);
	if (state == NULL)
	{
		state = MemoryContextAllocZero(context, sizeof(Gathered));
		state->number = sku_block_number(sku_id);
	}
	if (sku_id < 0 || sku_block_number(sku_id) != state->number)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("SKU %lld is of another block", (long long) sku_id)));
	sums = &state->block.of[sku_slot(sku_id)];
	*sums = (SkuSums) {
		.sold = PG_GETARG_INT64(1 + C_SOLD), .amount = PG_GETARG_INT64(1 + C_AMOUNT), .returned = PG_GETARG_INT64(1 + C_RETURNED),
		.stock_seconds = PG_GETARG_INT64(1 + C_STOCK_SECONDS), .empty_seconds = PG_GETARG_INT64(1 + C_EMPTY_SECONDS),
		.received = PG_GETARG_INT64(1 + C_RECEIVED), .shipped = PG_GETARG_INT64(1 + C_SHIPPED),
		.on_hand = PG_GETARG_INT64(1 + C_ON_HAND), .available = PG_GETARG_INT64(1 + C_AVAILABLE),
		.has_stock = !PG_ARGISNULL(1 + C_THROUGH)
	};
	if (sums->has_stock)
		sums->through = whole_seconds(PG_GETARG_TIMESTAMPTZ(1 + C_THROUGH));
	PG_RETURN_POINTER(state);
}

/* sku_sums_final(state): NULL of no rows. */
Datum
sku_sums_final(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(sku_month_pack(&((Gathered *) PG_GETARG_POINTER(0))->block));
}

/* ---------------------------------------------------------------- SQL: blocks */

/* sku_sums_merge(sums bytea, more bytea) */
Datum
sku_sums_merge(PG_FUNCTION_ARGS)
{
	SkuBlock	sums;
	SkuBlock	more;

	sku_month_unpack(PG_GETARG_BYTEA_PP(0), &sums);
	sku_month_unpack(PG_GETARG_BYTEA_PP(1), &more);
	if (!sku_block_merge(&sums, &more))
		raise_too_large();
	PG_RETURN_BYTEA_P(sku_month_pack(&sums));
}

/* changed returns what becomes of the sums. */
static bytea *
changed(const bytea *sums, void (*change) (SkuBlock *block))
{
	SkuBlock	block;

	sku_month_unpack(sums, &block);
	change(&block);
	return sku_month_pack(&block);
}

/* sku_sums_sales(sums bytea) */
Datum
sku_sums_sales(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(changed(PG_GETARG_BYTEA_PP(0), sku_block_keep_sales));
}

/* sku_sums_stock(sums bytea) */
Datum
sku_sums_stock(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(changed(PG_GETARG_BYTEA_PP(0), sku_block_keep_stock));
}

/* sku_sums_next(sums bytea, at timestamptz) */
Datum
sku_sums_next(PG_FUNCTION_ARGS)
{
	SkuBlock	sums;

	sku_month_unpack(PG_GETARG_BYTEA_PP(0), &sums);
	sku_block_next(&sums, whole_seconds(PG_GETARG_TIMESTAMPTZ(1)));
	PG_RETURN_BYTEA_P(sku_month_pack(&sums));
}
