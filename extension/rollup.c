/*
 * rollup.c
 *		roll_up_step(): takes a portion of what has changed in sales into the
 *		roll-ups, in one transaction.
 *
 * Changes come as differences in rows of the outbox (sale.h), read by
 * snapshots as every consumer reads them: storesync.roll_up_cursor says what
 * has been folded, and is written with it, so that no change is folded twice
 * or lost, whatever a crash, a restore or a copy makes of the database.
 *
 * What was booked before the first step, or before a cursor that was lost, is
 * told by no row. So orders up to the cursor's built_through are folded, and
 * changes of others passed over, until a step has come to them: it adds what
 * they count for by the very snapshot up to which it has folded.
 *
 * Locking: the row of storesync.roll_up_cursor, taken before the snapshot.
 * Whoever books orders waits for nothing here.
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "outbox.h"
#include "rollup.h"

PG_FUNCTION_INFO_V1(roll_up_step);

/* Everything of a life of which nothing has been folded yet is later than this snapshot. */
#define BEFORE_ALL		"1:1:"

typedef struct Cursor
{
	int			incarnation;
	Datum		snapshot;		/* pg_snapshot: what it shows is folded */
	int64		built_through;	/* PG_INT64_MAX: all orders */
	TimestampTz kept_from;		/* rows of days before it stay as they are when orders are built */
} Cursor;

static Datum
column(int number)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number, &isnull);
}

/* ---------------------------------------------------------------- the cursor */

/* lock_cursor reads the cursor and keeps others from folding; false: there is none, or what followed it is gone. */
static bool
lock_cursor(Cursor *cursor)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan,
			   "SELECT r.incarnation, r.snapshot, coalesce(r.built_through, 9223372036854775807), r.kept_from, "
			   "  EXISTS (SELECT FROM storesync.consumer c WHERE c.name = 'rollup' "
			   "    AND coalesce(c.moved_at > clock_timestamp() - c.patience, true)) "
			   "FROM storesync.roll_up_cursor r FOR UPDATE",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	if (SPI_processed == 0 || !DatumGetBool(column(5)))
		return false;
	cursor->incarnation = DatumGetInt32(column(1));
	cursor->snapshot = datumCopy(column(2), false, -1);
	cursor->built_through = DatumGetInt64(column(3));
	cursor->kept_from = DatumGetTimestampTz(column(4));
	SPI_freetuptable(SPI_tuptable);
	return true;
}

/*
 * begin_anew starts from orders as the tables have them. Days of which orders
 * may have gone by age keep the rows that they have; all others are made again.
 */
static void
begin_anew(void)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(incarnation_current())};

	ss_execute(&plan, "SELECT storesync.roll_up_begin($1)", SPI_OK_SELECT, 1, types, values, NULL, 0);
}

/* store_cursor also tells those who drop partitions of the outbox how far this consumer is. */
static void
store_cursor(const Cursor *cursor)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr consumer_plan = NULL;
	const Oid	types[] = {INT4OID, PG_SNAPSHOTOID, INT8OID};
	Datum		values[3];

	values[0] = Int32GetDatum(cursor->incarnation);
	values[1] = cursor->snapshot;
	values[2] = Int64GetDatum(cursor->built_through);
	ss_execute(&plan,
			   "UPDATE storesync.roll_up_cursor SET incarnation = $1, snapshot = $2, "
			   "built_through = nullif($3, 9223372036854775807), moved_at = clock_timestamp()",
			   SPI_OK_UPDATE, 3, types, values, NULL, 0);
	ss_execute(&consumer_plan,
			   "UPDATE storesync.consumer SET incarnation = $1, snapshot = $2, moved_at = clock_timestamp() WHERE name = 'rollup'",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

/* ---------------------------------------------------------------- changes */

/* fold_rows adds the rows just read, (xid, sale), and returns the last one's xid. */
static FullTransactionId
fold_rows(RollUp *sums, const Cursor *cursor)
{
	FullTransactionId last = InvalidFullTransactionId;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		xid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		Datum		sale = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);

		last = DatumGetFullTransactionId(xid);
		rollup_add_changes(sums, DatumGetByteaPP(sale), cursor->built_through);
	}
	SPI_freetuptable(SPI_tuptable);
	return last;
}

/* fold_late folds what transactions wrote that ran when the cursor's snapshot was taken, and have ended since. */
static void
fold_late(RollUp *sums, const Cursor *cursor)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {PG_SNAPSHOTOID, INT4OID};
	Datum		values[] = {cursor->snapshot, Int32GetDatum(cursor->incarnation)};

	rollup_select(&plan,
				  "SELECT o.xid, o.sale FROM storesync.outbox o "
				  "WHERE o.xid = ANY (ARRAY(SELECT pg_snapshot_xip($1))) AND o.incarnation = $2 AND o.sale IS NOT NULL",
				  2, types, values);
	(void) fold_rows(sums, cursor);
}

/* fold_next folds about as many rows of later transactions, in the order of their ids, each transaction as a whole. */
static uint64
fold_next(RollUp *sums, const Cursor *cursor, int64 most, FullTransactionId *last)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {PG_SNAPSHOTOID, INT4OID, INT8OID};
	Datum		values[] = {cursor->snapshot, Int32GetDatum(cursor->incarnation), Int64GetDatum(most)};
	uint64		n;

	rollup_select(&plan,
				  "SELECT o.xid, o.sale FROM storesync.outbox o "
				  "WHERE o.xid >= pg_snapshot_xmax($1) AND o.incarnation = $2 AND o.sale IS NOT NULL "
				  "ORDER BY o.xid FETCH FIRST $3 ROWS WITH TIES",
				  3, types, values);
	n = SPI_processed;
	*last = fold_rows(sums, cursor);
	return n;
}

/* cut returns a snapshot that shows what the active one does, of transactions with ids up to `last`. */
static Datum
cut(FullTransactionId last, bool same_life)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {XID8OID, BOOLOID};
	Datum		values[] = {FullTransactionIdGetDatum(last), BoolGetDatum(same_life)};

	rollup_select(&plan,
				  "SELECT format('%s:%s:%s', coalesce(min(x.xid), e.xmax), e.xmax, string_agg(x.xid::text, ',' ORDER BY x.xid))::pg_snapshot "
				  "FROM (SELECT $1::text::numeric + 1 AS xmax) e "
				  "LEFT JOIN (SELECT p::text::numeric AS xid FROM pg_snapshot_xip(pg_current_snapshot()) p WHERE $2) x ON x.xid < e.xmax "
				  "GROUP BY e.xmax",
				  2, types, values);
	return datumCopy(column(1), false, -1);
}

/*
 * next_life goes on with the life of the data that followed the cursor's;
 * false: it is the last one, or not over yet: a transaction that was prepared
 * in it, and that a promotion or a recovery kept, may still commit.
 */
static bool
next_life(Cursor *cursor)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(cursor->incarnation), CStringGetTextDatum(BEFORE_ALL)};

	rollup_select(&plan,
				  "SELECT i.incarnation, $2::pg_snapshot FROM storesync.incarnation i WHERE i.incarnation > $1 "
				  "AND NOT EXISTS (SELECT FROM pg_prepared_xacts p WHERE p.database = current_database() AND p.prepared < i.started_at) "
				  "ORDER BY i.incarnation LIMIT 1",
				  2, types, values);
	if (SPI_processed == 0)
		return false;
	cursor->incarnation = DatumGetInt32(column(1));
	cursor->snapshot = datumCopy(column(2), false, -1);
	return true;
}

/*
 * fold takes about `most` rows of changes into the sums and moves the cursor
 * behind them; true when there is more. Under an active snapshot.
 */
static bool
fold(RollUp *sums, Cursor *cursor, int64 most)
{
	static SPIPlanPtr plan = NULL;
	FullTransactionId last;

	fold_late(sums, cursor);
	if (fold_next(sums, cursor, most, &last) >= (uint64) most)
	{
		cursor->snapshot = cut(last, cursor->incarnation == incarnation_current());
		return true;
	}
	if (next_life(cursor))
		return true;
	rollup_select(&plan, "SELECT pg_current_snapshot()", 0, NULL, NULL);
	cursor->snapshot = datumCopy(column(1), false, -1);
	return false;
}

/* build adds the next orders that no change has told of; true when there is more. Under the same snapshot. */
static bool
build(RollUp *sums, Cursor *cursor, int64 most)
{
	int64		through = rollup_next_orders(cursor->built_through, most);

	if (through == 0)
	{
		cursor->built_through = PG_INT64_MAX;
		return false;
	}
	rollup_read_orders(sums, cursor->built_through, through);
	cursor->built_through = through;
	return true;
}

/* step does a portion; true when there is more to be done. */
static bool
step(int64 most)
{
	Cursor		cursor;
	RollUp		changes;
	RollUp		built;
	bool		more;
	int			present;

	if (!lock_cursor(&cursor))
	{
		begin_anew();
		return true;
	}
	present = incarnation_current();
	rollup_init(&changes);
	rollup_init(&built);
	PushActiveSnapshot(GetTransactionSnapshot());
	more = fold(&changes, &cursor, most);
	/* orders show what the present life has changed, too */
	if (!more && cursor.built_through != PG_INT64_MAX && cursor.incarnation == present)
		more = build(&built, &cursor, most);
	PopActiveSnapshot();
	rollup_write(&changes, DT_NOBEGIN);
	rollup_write(&built, cursor.kept_from);
	store_cursor(&cursor);
	return more;
}

/* roll_up_step(most int): true when there is more to be done. */
Datum
roll_up_step(PG_FUNCTION_ARGS)
{
	SsSession	session;
	int32		most = PG_GETARG_INT32(0);
	bool		more;

	if (most < 1 || most > 1000000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of changes must be between 1 and %d", 1000000)));

	/* its own changes would be neither before nor after the cursor */
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s must be called before its transaction has written anything", "roll_up_step()")));
	ss_enter(&session, "storesync.roll_up_step()", true);
	ss_plan_by_index();
	more = step(most);
	ss_leave(&session);
	PG_RETURN_BOOL(more);
}
