/*
 * rows_guard.c
 *		Keeps a key from being taken while a row with it is made (rows.h).
 *
 * A unique index alone decides too late: whoever puts an entry into it that
 * turns out to be the second has a row to take out again, for which PostgreSQL
 * inserts speculatively at the price of a WAL record a row, and one row at a
 * time. Here whoever wants to make rows first locks the names of their keys,
 * looks with a snapshot that shows uncommitted rows, too, makes what is not
 * there, and unlocks. Who comes second waits for the lock only as long as
 * that takes, then sees the row and waits for its transaction.
 *
 * Nobody waits for a transaction while he holds such a lock, and all locks of
 * a call are taken in one order, so they take part in no deadlock. Who makes
 * rows without them meets the unique index: 23505 for one of the two.
 */
#include "storesync.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "rows.h"

/* Sets our locks apart from those that pg_advisory_lock() takes, which are 1 and 2. */
#define GUARD_LOCK_KIND		0x5353

static LOCKTAG
tag_of(uint64 name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (name >> 32), (uint32) name, GUARD_LOCK_KIND);
	return tag;
}

static int
compare_names(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static void
lock_names(const RowsGuard *guard)
{
	for (int i = 0; i < guard->n; i++)
	{
		LOCKTAG		tag = tag_of(guard->names[i]);

		(void) LockAcquire(&tag, ExclusiveLock, false, false);
	}
}

void
rows_unguard(RowsGuard *guard)
{
	for (int i = 0; i < guard->n; i++)
	{
		LOCKTAG		tag = tag_of(guard->names[i]);

		(void) LockRelease(&tag, ExclusiveLock, false);
	}
}

/* Who is making, or removing, a row that was looked for. */
typedef struct Busy
{
	TransactionId xid;			/* invalid: nobody */
	uint32		token;			/* of a speculative insertion, 0: none */
	ItemPointerData row;
} Busy;

/* is_taken looks for a row with the keys, committed or not; *busy tells whose it is while that is open. */
static bool
is_taken(IndexScanDesc scan, const SnapshotData *dirty, ScanKey keys, int nkeys, TupleTableSlot *slot, Busy *busy)
{
	index_rescan(scan, keys, nkeys, NULL, 0);
	if (!index_getnext_slot(scan, ForwardScanDirection, slot))
		return false;
	busy->xid = TransactionIdIsValid(dirty->xmin) ? dirty->xmin : dirty->xmax;
	busy->token = TransactionIdIsValid(dirty->xmin) ? dirty->speculativeToken : 0;
	busy->row = slot->tts_tid;
	return true;
}

/* check_visible raises 40001 for a row that is there but not for the transaction's one snapshot. */
static void
check_visible(const RowsScan *found, TupleTableSlot *slot)
{
	if (IsolationUsesXactSnapshot() && !table_tuple_satisfies_snapshot(found->heap, slot, found->snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
}

/* look_up fills taken, up to a row that is busy. */
static void
look_up(RowsGuard *guard, const RowsKeys *keys, bool *taken, Busy *busy)
{
	RowsScan   *found = &guard->scan;
	int			nkeys = found->lookup->nkeys;
	TupleTableSlot *slot = table_slot_create(found->heap, NULL);
	SnapshotData dirty;
	IndexScanDesc scan;

	InitDirtySnapshot(dirty);
	scan = SsIndexBeginScan(found->heap, rows_index(found), &dirty, nkeys);
	busy->xid = InvalidTransactionId;
	for (int i = 0; i < guard->n && !TransactionIdIsValid(busy->xid); i++)
	{
		for (int k = 0; k < nkeys; k++)
			found->keys[k].sk_argument = keys[i].values[k];
		taken[i] = is_taken(scan, &dirty, found->keys, nkeys, slot, busy);
		if (taken[i] && !TransactionIdIsValid(busy->xid))
			check_visible(found, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
}

/* wait_for lets the transaction that is busy with a row end. */
static void
wait_for(const RowsGuard *guard, Busy *busy)
{
	if (busy->token != 0)
		SpeculativeInsertionWait(busy->xid, busy->token);
	else
		XactLockTableWait(busy->xid, guard->scan.heap, &busy->row, XLTW_InsertIndex);
}

bool
rows_guard(RowsGuard *guard, RowsLookup *lookup, int n, const uint64 *names, const RowsKeys *keys, bool *taken)
{
	Busy		busy;

	Assert(n <= ROWS_MOST_GUARDED);
	if (!rows_open(&guard->scan, lookup, false))
		return false;
	guard->n = n;
	memcpy(guard->names, names, sizeof(uint64) * n);
	qsort(guard->names, n, sizeof(uint64), compare_names);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		lock_names(guard);
		look_up(guard, keys, taken, &busy);
		if (!TransactionIdIsValid(busy.xid))
			break;
		rows_unguard(guard);
		wait_for(guard, &busy);
	}
	rows_close(&guard->scan);
	return true;
}
