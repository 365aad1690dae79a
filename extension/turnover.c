/*
 * turnover.c
 *		sku_totals(): what storesync.sku_month says of each SKU, added up over
 *		some months, for the reports over a time.
 *
 * A year of 50,000 SKUs is 600,000 rows. Of adding them up the executor's
 * hash aggregate took two thirds: its keys and sums are any type's. Here they
 * are 64-bit integers, in 40 bytes a SKU.
 *
 * Reads with the caller's rights and snapshot, on a standby too. Locking:
 * AccessShareLock on sku_month.
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
#define SH_HASH_KEY(table, key) ((uint32) (key))	/* of a sequence: neighbours, as in the rows of a month */
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * The months asked for, and up to when the ledger is known: until then, or its month's end, stock stands as a row has
 * it. ends is the end of `month`, the one whose row was looked at last.
 */
typedef struct Span
{
	DateADT		first;
	DateADT		last;
	bool		known;
	TimestampTz through;
	DateADT		month;
	TimestampTz ends;
} Span;

static const char columns[] = "sku_id, month, sold, received, stock_seconds, on_hand, through";

enum
{
	C_SKU, C_MONTH, C_SOLD, C_RECEIVED, C_SECONDS, C_ON_HAND, C_THROUGH, NCOLUMNS
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

/* end_of is the end of a month of Asia/Taipei, which is at UTC+8 since before there were shops. */
static TimestampTz
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
	return (TimestampTz) (date2j(year, number, 1) - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY - 8 * USECS_PER_HOUR;
}

/* add adds the row of a month; value and isnull are its columns. */
static void
add(totals_hash *totals, Span *span, const Datum *value, const bool *isnull, const AttrNumber *at)
{
	TimestampTz until;
	TimestampTz through;
	bool		found;
	Total	   *total = totals_insert(totals, DatumGetInt64(value[at[C_SKU]]), &found);

	if (!found)
		*total = (Total) {.sku_id = total->sku_id, .status = total->status};
	plus(&total->sold, DatumGetInt64(value[at[C_SOLD]]), 1);
	plus(&total->received, DatumGetInt64(value[at[C_RECEIVED]]), 1);
	if (isnull[at[C_THROUGH]])
		return;
	total->has_stock = true;
	plus(&total->stock_seconds, DatumGetInt64(value[at[C_SECONDS]]), 1);
	if (!span->known)
		return;
	if (span->month != DatumGetDateADT(value[at[C_MONTH]]))
	{
		span->month = DatumGetDateADT(value[at[C_MONTH]]);
		span->ends = end_of(span->month);
	}
	until = Min(span->ends, span->through);
	through = DatumGetTimestampTz(value[at[C_THROUGH]]);
	if (through < until)
		plus(&total->stock_seconds, DatumGetInt64(value[at[C_ON_HAND]]), (until - through) / USECS_PER_SEC);
}

/* add_all adds all rows of the months. */
static void
add_all(totals_hash *totals, Span *span)
{
	AttrNumber	at[NCOLUMNS];
	Relation	relation = table_openrv(makeRangeVar("storesync", "sku_month", -1), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan;

	if (pg_class_aclcheck(RelationGetRelid(relation), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(relation));
	if (rows_columns(relation, columns, at) != NCOLUMNS)
		elog(ERROR, "columns of sku_month are missing");
	for (int i = 0; i < NCOLUMNS; i++)
		at[i]--;
	scan = table_beginscan(relation, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		DateADT		month;

		CHECK_FOR_INTERRUPTS();
		slot_getsomeattrs(slot, at[C_MONTH] + 1);
		month = DatumGetDateADT(slot->tts_values[at[C_MONTH]]);
		if (month < span->first || month > span->last)
			continue;
		slot_getallattrs(slot);
		add(totals, span, slot->tts_values, slot->tts_isnull, at);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
}

/*
 * sku_totals(first date, last date, known_through timestamptz): a row (sku_id, sold, received, stock_seconds) for
 * each SKU that sku_month has between these months, both whole.
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
		span.through = PG_GETARG_TIMESTAMPTZ(2);
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
