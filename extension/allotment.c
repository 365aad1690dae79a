/*
 * allotment.c
 *		Units of a SKU set aside for one listing: allot(), and their end.
 *
 * An allotment moves no stock: it is a row that the arithmetic of the SKU's
 * other listings subtracts. What remains of it is counted from orders and
 * never written, so orders touch nothing here.
 *
 * Locking: the places of the SKU, as whoever moves its stock locks them, so
 * that two calls cannot set the same units aside; then the listings' rows,
 * whose revisions rise. Those make a call under REPEATABLE READ fail with
 * 40001 when another has set something aside since its snapshot.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/datetime.h"
#include "utils/json.h"

#include "allotment.h"
#include "answer.h"
#include "key.h"
#include "ledger.h"
#include "outbox.h"
#include "set.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(allot);

enum
{
	ARG_LISTING, ARG_QTY, ARG_KEY, ARG_UNTIL
};

typedef struct Allotment
{
	int64		listing_id;
	int64		sku_id;
	int32		store_id;
	int64		qty;
	const IdempotencyKey *key;
	TimestampTz until;			/* DT_NOEND: for good */
	uint64		fingerprint;
} Allotment;

static uint64
request_fingerprint(const Allotment *a, const char *until)
{
	char		listing[32];
	char		qty[32];
	const char *parts[4] = {"allot", listing, qty, until};
	int			lengths[4];

	snprintf(listing, sizeof(listing), "%lld", (long long) a->listing_id);
	snprintf(qty, sizeof(qty), "%lld", (long long) a->qty);
	for (int i = 0; i < (int) lengthof(parts); i++)
		lengths[i] = (int) strlen(parts[i]);
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

/* read_request checks every argument but the listing; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, Allotment *a)
{
	char		until[MAXDATELEN + 1] = "";
	int			utc = 0;

	ledger_check_not_null(fcinfo, ARG_LISTING, "listing");
	ledger_check_not_null(fcinfo, ARG_QTY, "quantity");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	a->listing_id = PG_GETARG_INT64(ARG_LISTING);
	a->qty = PG_GETARG_INT64(ARG_QTY);
	a->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	a->until = DT_NOEND;
	if (a->qty != 0)
		ss_check_quantity(a->qty);
	key_check_age(a->key);
	if (!PG_ARGISNULL(ARG_UNTIL))
	{
		a->until = PG_GETARG_TIMESTAMPTZ(ARG_UNTIL);
		if (TIMESTAMP_NOT_FINITE(a->until))
			ereport(ERROR,
					(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
					 errmsg("end of an allotment cannot be infinite"),
					 errhint("Leave it out for one without an end.")));
		(void) JsonEncodeDateTime(until, TimestampTzGetDatum(a->until), TIMESTAMPTZOID, &utc);
	}
	a->fingerprint = request_fingerprint(a, until);
}

/* find_listing raises unless the listing exists and its SKU has stock of its own. */
static void
find_listing(Allotment *a)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(a->listing_id)};
	HeapTuple	row;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT l.sku_id, l.store_id, k.bundle FROM storesync.listing l "
			   "JOIN storesync.sku k ON k.sku_id = l.sku_id WHERE l.listing_id = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LISTING),
				 errmsg("listing %lld does not exist", (long long) a->listing_id)));
	row = SPI_tuptable->vals[0];
	a->sku_id = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
	a->store_id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
	if (DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &isnull)))
		ereport(ERROR,
				(errcode(SS_ERR_BUNDLE),
				 errmsg("listing %lld sells a bundle", (long long) a->listing_id),
				 errdetail("A bundle has no stock of its own that could be set aside.")));
}

/* read_balance fills the answer; returns what may be set aside for the listing. */
static int64
read_balance(const Allotment *a, Answer *answer)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, INT8OID};
	Datum		values[] = {Int64GetDatum(a->sku_id), Int32GetDatum(a->store_id), Int64GetDatum(a->listing_id)};
	int64		columns[5];
	bool		isnull;

	ss_execute(&plan,
			   "SELECT coalesce(sum(t.on_hand), 0)::bigint, coalesce(sum(t.reserved), 0)::bigint, "
			   "(SELECT coalesce(sum(f.remaining), 0)::bigint FROM storesync.allotment_left f "
			   "WHERE f.sku_id = $1 AND f.listing_id <> $3), "
			   "(SELECT coalesce(sum(f.remaining), 0)::bigint FROM storesync.allotment_left f "
			   "WHERE f.sku_id = $1 AND f.listing_id = $3), "
			   "(SELECT coalesce(sum(greatest(f.locked - storesync.ordered_since(f.listing_id, f.locked_at), 0)), 0)::bigint "
			   "FROM storesync.allotment_left f WHERE f.sku_id = $1 AND f.listing_id = $3) "
			   "FROM storesync.stock t JOIN storesync.location p ON p.location_id = t.location_id "
			   "WHERE t.sku_id = $1 AND p.sellable AND (NOT EXISTS (SELECT FROM storesync.store_location z "
			   "WHERE z.store_id = $2) OR p.location_id IN (SELECT z.location_id FROM storesync.store_location z "
			   "WHERE z.store_id = $2))",
			   SPI_OK_SELECT, 3, types, values, NULL, 1);
	for (int i = 0; i < 5; i++)
		columns[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull));
	memset(answer, 0, sizeof(Answer));
	answer->on_hand = columns[0];
	answer->reserved = columns[1];
	answer->insufficient = a->qty > 0 && a->qty > columns[0] - columns[1] - columns[2];
	answer->available = columns[0] - columns[1] - columns[2] - (answer->insufficient ? columns[3] : Max(a->qty, columns[4]));
	return columns[3];
}

void
allotment_tell(int n, const int64 *sku_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, sku_ids)};
	int64	   *versions = palloc0(sizeof(int64) * Max(n, 1));

	ss_execute(&plan,
			   "UPDATE storesync.listing l SET revision = l.revision + 1 WHERE l.sku_id = ANY ($1) "
			   "OR l.sku_id IN (SELECT c.bundle_id FROM storesync.component c WHERE c.sku_id = ANY ($1) AND c.qty > 0)",
			   SPI_OK_UPDATE, 1, types, values, NULL, 0);
	outbox_append(OUTBOX_STOCK, n, sku_ids, versions);
}

/* end_by_hand takes back what was allotted of the row that the listing has; what its platform keeps locked stays. */
static void
end_by_hand(int64 listing_id)
{
	static SPIPlanPtr keep_plan = NULL;
	static SPIPlanPtr end_plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(listing_id)};

	ss_execute(&keep_plan,
			   "UPDATE storesync.allotment SET units = NULL, since = NULL, until = NULL "
			   "WHERE listing_id = $1 AND locked IS NOT NULL",
			   SPI_OK_UPDATE, 1, types, values, NULL, 0);
	ss_execute(&end_plan, "DELETE FROM storesync.allotment WHERE listing_id = $1 AND locked IS NULL",
			   SPI_OK_DELETE, 1, types, values, NULL, 0);
}

/* put has the new allotment take the place of the old one, which had `before` units left. */
static void
put(const Allotment *a, int64 before)
{
	static SPIPlanPtr put_plan = NULL;
	static SPIPlanPtr audit_plan = NULL;
	const Oid	types[] = {INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {Int64GetDatum(a->listing_id), Int64GetDatum(a->sku_id), Int64GetDatum(a->qty),
	TimestampTzGetDatum(a->until), Int64GetDatum(before)};
	const char *nulls = a->until == DT_NOEND ? "   n " : NULL;

	if (a->qty == 0)
		end_by_hand(a->listing_id);
	else
		ss_execute(&put_plan,
				   "INSERT INTO storesync.allotment AS a (listing_id, sku_id, units, since, until) "
				   "VALUES ($1, $2, $3, clock_timestamp(), $4) ON CONFLICT (listing_id) DO UPDATE "
				   "SET sku_id = excluded.sku_id, units = excluded.units, since = excluded.since, until = excluded.until",
				   SPI_OK_INSERT, 4, types, values, nulls, 0);
	ss_execute(&audit_plan,
			   "INSERT INTO storesync.audit (action, subject, before, after) "
			   "SELECT 'allot', concat('listing ', $1), jsonb_build_object('remaining', $5), "
			   "jsonb_strip_nulls(jsonb_build_object('sku_id', $2, 'units', $3, 'until', $4))",
			   SPI_OK_INSERT, 5, types, values, nulls, 0);
	allotment_tell(1, &a->sku_id);
}

/* book does an allotment whose key was not known a moment ago. */
static void
book(Allotment *a, Answer *answer)
{
	StockHold	hold;
	int64		before;

	find_listing(a);
	if (a->qty > 0 && a->until <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("end of an allotment is past")));
	answer_prepare(a->key);
	stock_lock_skus(1, &a->sku_id, &hold);
	before = read_balance(a, answer);
	if (answer_store(a->key, a->fingerprint, answer))
	{
		if (!answer->insufficient)
			put(a, before);
	}
	else if (!answer_find(a->key, a->fingerprint, answer))
		elog(ERROR, "idempotency key vanished");
}

/* allot(listing bigint, qty bigint, key idempotency_key, until timestamptz) returns movement_result */
Datum
allot(PG_FUNCTION_ARGS)
{
	Allotment	a = {0};
	Answer		answer;
	SsSession	session;

	read_request(fcinfo, &a);
	ss_enter(&session, "storesync.allot()", true);
	ss_plan_by_index();
	if (!answer_find(a.key, a.fingerprint, &answer))
		book(&a, &answer);
	ss_leave(&session);
	PG_RETURN_DATUM(answer_result(fcinfo, &answer));
}

int64
allotment_end(TimestampTz now, int max)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(now), Int32GetDatum(max)};
	int64	   *sku_ids;
	int			n;

	ss_execute(&plan,
			   "WITH over AS MATERIALIZED (SELECT d.listing_id, d.locked IS NOT NULL AS locked FROM storesync.allotment d "
			   "WHERE d.until <= $1 ORDER BY d.until LIMIT $2 FOR UPDATE SKIP LOCKED), "
			   "kept AS (UPDATE storesync.allotment a SET units = NULL, since = NULL, until = NULL FROM over o "
			   "WHERE a.listing_id = o.listing_id AND o.locked RETURNING a.sku_id), "
			   "gone AS (DELETE FROM storesync.allotment a USING over o "
			   "WHERE a.listing_id = o.listing_id AND NOT o.locked RETURNING a.sku_id) "
			   "SELECT k.sku_id FROM kept k UNION ALL SELECT g.sku_id FROM gone g",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	sku_ids = ss_read_ids(&n);
	if (n > 0)
		allotment_tell(n, sku_ids);
	return n;
}
