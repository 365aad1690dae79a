/*
 * turnover.c
 *		sku_totals(): what storesync.sku_block says of each SKU, added up over
 *		some months, for the reports over a time.
 *
 * A year of 50,000 SKUs is 600,000 times something. Of adding them up the
 * executor's hash aggregate took two thirds: its keys and sums are any type's.
 * Here they are 64-bit integers, in 40 bytes a SKU.
 *
 * Reads with the caller's rights and snapshot, on a standby too. Locking:
 * AccessShareLock on sku_block.
 */
#include "storesync.h"

#include "access/table.h"
#include "access/tableam.h"
#include "common/int.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "rows.h"
#include "sku_month.h"

PG_FUNCTION_INFO_V1(sku_totals);

typedef struct Total
{
	int64		sku_id;
	int64		sold;
	int64		received;
	int64		stock_seconds;
	bool		has_stock;		/* a month of it has rows of the ledger */
	char		status;			/* simplehash's */
} Total;

#define SH_PREFIX totals
#define SH_ELEMENT_TYPE Total
#define SH_KEY_TYPE int64
#define SH_KEY sku_id
#define SH_HASH_KEY(table, key) ((uint32) (key))	/* of a sequence: neighbours, as in a block */
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * The months asked for, and up to when the ledger is known: until then, or its month's end, stock stands as a block has
 * it. ends is the end of `month`, the one whose block was looked at last, in seconds.
 */
typedef struct Span
{
	DateADT		first;
	DateADT		last;
	bool		known;
	int64		through;		/* seconds */
	DateADT		month;
	int64		ends;
} Span;

static const char columns[] = "block, month, sums";

enum
{
	C_BLOCK, C_MONTH, C_SUMS, NCOLUMNS
};

/* plus adds units times seconds to a sum. */
static void
plus(int64 *sum, int64 units, int64 seconds)
{
	int64		product;

	if (pg_mul_s64_overflow(units, seconds, &product) || pg_add_s64_overflow(*sum, product, sum))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("bigint out of range")));
}

/* end_of is the end of a month of Asia/Taipei, which is at UTC+8 since before there were shops, in seconds. */
static int64
end_of(DateADT month)
{
	int			year;
	int			number;
	int			day;

	j2date(month + POSTGRES_EPOCH_JDATE, &year, &number, &day);
	if (++number > MONTHS_PER_YEAR)
	{
		number = 1;
		year++;
	}
	return ((int64) date2j(year, number, 1) - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY - 8 * SECS_PER_HOUR;
}

/* add adds what the month that the span is at says of a SKU. */
static void
add(totals_hash *totals, const Span *span, int64 sku_id, const SkuSums *sums)
{
	int64		until = Min(span->ends, span->through);
	bool		found;
	Total	   *total = totals_insert(totals, sku_id, &found);

	if (!found)
		*total = (Total) {.sku_id = sku_id, .status = total->status};
	plus(&total->sold, sums->sold, 1);
	plus(&total->received, sums->received, 1);
	if (!sums->has_stock)
		return;
	total->has_stock = true;
	plus(&total->stock_seconds, sums->stock_seconds, 1);
	if (span->known && sums->through < until)
		plus(&total->stock_seconds, sums->on_hand, until - sums->through);
}

/* add_block adds a row of a month; value is its columns. */
static void
add_block(totals_hash *totals, Span *span, const Datum *value, const AttrNumber *at)
{
	int64		first = DatumGetInt64(value[at[C_BLOCK]]) * SKU_BLOCK;
	DateADT		month = DatumGetDateADT(value[at[C_MONTH]]);
	bytea	   *sums = DatumGetByteaPP(value[at[C_SUMS]]);
	SkuBlock	block;

	if (span->month != month)
	{
		span->month = month;
		span->ends = end_of(month);
	}
	sku_month_unpack(sums, &block);
	for (int i = 0; i < SKU_BLOCK; i++)
		if (sku_sums_any(&block.of[i]))
			add(totals, span, first + i, &block.of[i]);
	if ((Pointer) sums != DatumGetPointer(value[at[C_SUMS]]))
		pfree(sums);
}

/* add_all adds all rows of the months. */
static void
add_all(totals_hash *totals, Span *span)
{
	AttrNumber	at[NCOLUMNS];
	Relation	relation = table_openrv(makeRangeVar("storesync", "sku_block", -1), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan;

	if (pg_class_aclcheck(RelationGetRelid(relation), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(relation));
	if (rows_columns(relation, columns, at) != NCOLUMNS)
		elog(ERROR, "columns of sku_block are missing");
	for (int i = 0; i < NCOLUMNS; i++)
		at[i]--;
	scan = table_beginscan(relation, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		DateADT		month;

		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		month = DatumGetDateADT(slot->tts_values[at[C_MONTH]]);
		if (month >= span->first && month <= span->last)
			add_block(totals, span, slot->tts_values, at);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
}

/*
 * sku_totals(first date, last date, known_through timestamptz): a row (sku_id, sold, received, stock_seconds) for
 * each SKU that sku_block has between these months, both whole.
 */
Datum
sku_totals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Span		span = {.known = !PG_ARGISNULL(2), .month = DATEVAL_NOBEGIN};
	totals_iterator iterator;
	totals_hash *totals;
	Total	   *total;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	span.first = PG_GETARG_DATEADT(0);
	span.last = PG_GETARG_DATEADT(1);
	if (span.known)
		span.through = whole_seconds(PG_GETARG_TIMESTAMPTZ(2));
	totals = totals_create(CurrentMemoryContext, 1024, NULL);
	add_all(totals, &span);
	totals_start_iterate(totals, &iterator);
	while ((total = totals_iterate(totals, &iterator)) != NULL)
	{
		Datum		values[] = {
			Int64GetDatum(total->sku_id), Int64GetDatum(total->sold), Int64GetDatum(total->received), Int64GetDatum(total->stock_seconds)
		};
		bool		nulls[] = {false, false, false, !total->has_stock};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	totals_destroy(totals);
	PG_RETURN_NULL();
}
