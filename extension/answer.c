/*
 * answer.c
 *		The table of keys: one key, one effect, and the answer it got.
 *
 * A key is looked up first without any lock, so that a replay costs a read,
 * and inserted last before the effect, where the unique index of its
 * partition decides between two calls at once. Partitions go by the key's
 * own time, so a key can only ever be in one of them.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "answer.h"
#include "partition.h"
#include "rows.h"
#include "stock.h"

/* plan_for returns the slot of a statement with a key, emptied when the key's type is a new one. */
static SPIPlanPtr *
plan_for(SPIPlanPtr *plan, Oid *planned_type, Oid key_type)
{
	if (*planned_type != key_type)
		*plan = NULL;
	*planned_type = key_type;
	return plan;
}

static int64
answer_column(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

/* find_by_statement reads what is stored under a key; false: nothing. */
static bool
find_by_statement(const IdempotencyKey *key, uint64 *fingerprint, Answer *answer)
{
	static SPIPlanPtr plan = NULL;
	static Oid	planned_type = InvalidOid;
	Oid			types[] = {stock_key_type()};
	Datum		values[] = {IdempotencyKeyPGetDatum(key)};
	bool		isnull;

	ss_execute(plan_for(&plan, &planned_type, types[0]),
			   "SELECT i.fingerprint, i.on_hand, i.reserved, i.available, i.version, i.insufficient "
			   "FROM storesync.idempotency i WHERE i.key OPERATOR(storesync.=) $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		return false;
	*fingerprint = (uint64) answer_column(1);
	answer->on_hand = answer_column(2);
	answer->reserved = answer_column(3);
	answer->available = answer_column(4);
	answer->version = answer_column(5);
	answer->insufficient = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/* find reads what is stored under a key; false: nothing. */
static bool
find(const IdempotencyKey *key, uint64 *fingerprint, Answer *answer)
{
	static RowsLookup lookup = {
		.name = {"idempotency"}, .nkeys = 1, .keys = {"key"},
		.columns = "fingerprint, on_hand, reserved, available, version, insufficient"
	};
	Datum		value = IdempotencyKeyPGetDatum(key);
	RowsScan	scan;
	bool		isnull;
	bool		found;

	if (!rows_open(&scan, &lookup, false))
		return find_by_statement(key, fingerprint, answer);
	found = rows_find_at(&scan, value, 1, &value);
	if (found)
	{
		*fingerprint = (uint64) DatumGetInt64(rows_get(&scan, 0, &isnull));
		answer->on_hand = DatumGetInt64(rows_get(&scan, 1, &isnull));
		answer->reserved = DatumGetInt64(rows_get(&scan, 2, &isnull));
		answer->available = DatumGetInt64(rows_get(&scan, 3, &isnull));
		answer->version = DatumGetInt64(rows_get(&scan, 4, &isnull));
		answer->insufficient = DatumGetBool(rows_get(&scan, 5, &isnull));
	}
	rows_close(&scan);
	return found;
}

bool
answer_find(const IdempotencyKey *key, uint64 fingerprint, Answer *answer)
{
	uint64		stored;

	if (!find(key, &stored, answer))
		return false;
	if (stored != fingerprint)
		ereport(ERROR,
				(errcode(SS_ERR_KEY_REUSED),
				 errmsg("idempotency key was used for another request"),
				 errhint("Make a new key for each operation; repeat a request with the very same arguments.")));
	answer->replayed = true;
	return true;
}

void
answer_prepare(const IdempotencyKey *key)
{
	partition_ensure("idempotency", key_time(key));
}

bool
answer_store(const IdempotencyKey *key, uint64 fingerprint, const Answer *answer)
{
	static RowsTable table = {
		.name = {"idempotency"}, .columns = "key, fingerprint, on_hand, reserved, available, version, insufficient"
	};
	Oid			types[] = {stock_key_type(), INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, BOOLOID};
	SsSet	   *set = set_create(lengthof(types), types, 1);
	bool		inserted;

	set_add_row(set);
	set_put(set, 0, IdempotencyKeyPGetDatum(key));
	set_put(set, 1, Int64GetDatum((int64) fingerprint));
	set_put(set, 2, Int64GetDatum(answer->on_hand));
	set_put(set, 3, Int64GetDatum(answer->reserved));
	set_put(set, 4, Int64GetDatum(answer->available));
	set_put(set, 5, Int64GetDatum(answer->version));
	set_put(set, 6, BoolGetDatum(answer->insufficient));
	rows_insert_new(&table, set, &inserted);
	return inserted;
}

Datum
answer_result(FunctionCallInfo fcinfo, const Answer *answer)
{
	const char *outcome = answer->insufficient ? "insufficient" : answer->replayed ? "replayed" : "applied";
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(outcome);
	values[1] = Int64GetDatum(answer->on_hand);
	values[2] = Int64GetDatum(answer->reserved);
	values[3] = Int64GetDatum(answer->available);
	values[4] = Int64GetDatum(answer->version);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
