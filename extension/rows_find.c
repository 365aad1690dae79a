/*
 * rows_find.c
 *		Finds rows by an index without a statement (rows.h), where rows_path.c
 *		says that it can be done.
 */
#include "storesync.h"

#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows_last.h"
#include "rows_path.h"

/* table_lock and index_lock: what a statement would take, or the INSERT that follows. */
static LOCKMODE
table_lock(const RowsLookup *lookup)
{
	return lookup->writes ? RowExclusiveLock : lookup->locks ? RowShareLock : AccessShareLock;
}

static LOCKMODE
index_lock(const RowsLookup *lookup)
{
	return lookup->writes ? RowExclusiveLock : AccessShareLock;
}

/*
 * kept_lock is what a lock is given back as once a relation has been looked
 * into: NoLock keeps it until the transaction ends. A statement would keep
 * all of them, twenty for an order, of which a backend's fast path holds
 * sixteen; the rest go through the lock table that all sessions share. What
 * was only read needs no lock any more where the next look takes a snapshot
 * of its own anyway. A transaction with one snapshot keeps it, or a table
 * truncated meanwhile would look empty to it. Locks of tables whose rows are
 * locked or will be written stay, and of indexes that will be.
 */
static LOCKMODE
kept_lock(const RowsLookup *lookup, bool index)
{
	if (IsolationUsesXactSnapshot() || lookup->writes || (lookup->locks && !index))
		return NoLock;
	return AccessShareLock;
}

/* end_scan closes the index and, when it is a partition, the heap at hand. */
static void
end_scan(RowsScan *scan)
{
	if (scan->heap == NULL)
		return;
	if (scan->scan != NULL)
		index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	if (scan->index != NULL)
		index_close(scan->index, kept_lock(scan->lookup, true));
	if (scan->heap != scan->parent)
		table_close(scan->heap, kept_lock(scan->lookup, false));
	scan->heap = NULL;
}

/* begin_scan gets ready to look into a relation, which is open and locked. */
static bool
begin_scan(RowsScan *scan, Relation heap)
{
	scan->path = rows_path(scan->lookup, heap);
	if (scan->path == NULL)
		return false;
	scan->heap = heap;
	scan->empty = false;
	scan->index = NULL;
	scan->slot = table_slot_create(heap, NULL);
	scan->scan = NULL;
	memcpy(scan->keys, scan->path->keys, sizeof(scan->keys));
	return true;
}

/* all_paths_serve: every partition has the index. Locks them, as a statement would. */
static bool
all_paths_serve(RowsScan *scan)
{
	PartitionDesc partitions = RelationGetPartitionDesc(scan->parent, true);

	for (int i = 0; i < partitions->nparts; i++)
	{
		Relation	partition;
		bool		serves;

		if (!partitions->is_leaf[i])
			return false;
		partition = table_open(partitions->oids[i], table_lock(scan->lookup));
		serves = rows_path(scan->lookup, partition) != NULL;
		table_close(partition, NoLock);
		if (!serves)
			return false;
	}
	return true;
}

/* lookup_fits decides for the table itself, anew when something has changed. */
static bool
lookup_fits(RowsScan *scan)
{
	RowsLookup *lookup = scan->lookup;

	if (lookup->epoch != rows_epoch() || lookup->known_as != GetUserId())
	{
		lookup->epoch = rows_epoch();
		lookup->known_as = GetUserId();
		rows_forget_paths(lookup);
		lookup->direct = rows_table_fits(lookup, scan->parent) &&
			(scan->parent->rd_rel->relkind != RELKIND_PARTITIONED_TABLE || all_paths_serve(scan));
	}
	return lookup->direct;
}

bool
rows_open(RowsScan *scan, RowsLookup *lookup, bool latest)
{
	memset(scan, 0, offsetof(RowsScan, keys));
	if (rows_statements_wanted())
		return false;
	scan->lookup = lookup;
	scan->parent = rows_open_relation(&lookup->name, table_lock(lookup));
	if (!lookup_fits(scan) ||
		(scan->parent->rd_rel->relkind == RELKIND_RELATION && !begin_scan(scan, scan->parent)))
	{
		table_close(scan->parent, NoLock);
		return false;
	}
	PushActiveSnapshot(lookup->active ? GetActiveSnapshot() : latest ? GetLatestSnapshot() : GetTransactionSnapshot());
	scan->snapshot = GetActiveSnapshot();
	return true;
}

Relation
rows_index(RowsScan *scan)
{
	if (scan->index == NULL)
		scan->index = index_open(scan->path->index, index_lock(scan->lookup));
	return scan->index;
}

/* seek positions the scan before the rows with these keys. */
static void
seek(RowsScan *scan, int nkeys, const Datum *keys)
{
	(void) rows_index(scan);
	if (scan->scan != NULL && scan->scan->numberOfKeys != nkeys)
	{
		index_endscan(scan->scan);
		scan->scan = NULL;
	}
	if (scan->scan == NULL)
		scan->scan = SsIndexBeginScan(scan->heap, scan->index, scan->snapshot, nkeys);
	for (int k = 0; k < nkeys; k++)
		scan->keys[k].sk_argument = keys[k];
	index_rescan(scan->scan, scan->keys, nkeys, NULL, 0);
}

/*
 * nothing_there says that the relation is empty, so that there is no need to
 * open the index: a month ahead, or what a shop does not use. A row that the
 * snapshot shows lies in a block that was there before. SERIALIZABLE has to
 * note in the index what was not found.
 */
static bool
nothing_there(RowsScan *scan)
{
	if (scan->empty || scan->path->filled || IsolationIsSerializable())
		return scan->empty;
	scan->path->filled = RelationGetNumberOfBlocks(scan->heap) > 0;
	scan->empty = !scan->path->filled;
	return scan->empty;
}

/* has_keys compares the row in the slot with the look-up's keys. */
static bool
has_keys(RowsScan *scan, const Datum *keys)
{
	RowsPath   *path = scan->path;

	for (int k = 0; k < scan->lookup->nkeys; k++)
	{
		bool		isnull;
		Datum		value = slot_getattr(scan->slot, path->key_attnums[k], &isnull);

		if (isnull || !DatumGetBool(FunctionCall2Coll(&path->keys[k].sk_func, path->keys[k].sk_collation,
													  value, keys[k])))
			return false;
	}
	return true;
}

static void
note_row(const RowsScan *scan, RowsNote *note)
{
	note->row = scan->entry;
	note->buffer = ((const BufferHeapTupleTableSlot *) scan->slot)->buffer;
}

/*
 * find_settled looks where the row was when it was last found. A visible row
 * with these keys is the row: they are unique.
 */
static bool
find_settled(RowsScan *scan, const Datum *keys)
{
	RowsPath   *path = scan->path;
	uint32		hash = rows_memo_hash(keys, path->key_lengths, scan->lookup->nkeys);
	RowsNote   *note = rows_memo_find(&path->places, hash);

	if (note != NULL && rows_memo_fetch(note, scan->heap, scan->snapshot, scan->slot) && has_keys(scan, keys))
	{
		scan->entry = note->row;
		return true;
	}
	seek(scan, scan->lookup->nkeys, keys);
	if (!rows_next(scan))
		return false;
	note_row(scan, rows_memo_put(&path->places, hash));
	return true;
}

void
rows_note(const RowsScan *scan, RowsLookup *other, const Datum *keys)
{
	RowsPath   *path = NULL;
	uint32		hash;

	if (other->epoch == rows_epoch())
		for (path = other->paths; path != NULL; path = path->next)
			if (path->relation == RelationGetRelid(scan->heap))
				break;
	if (path == NULL || !path->remembers || !scan->path->remembers)
		return;
	hash = rows_memo_hash(keys, path->key_lengths, other->nkeys);
	if (rows_memo_find(&path->places, hash) == NULL)
		note_row(scan, rows_memo_put(&path->places, hash));
}

bool
rows_find(RowsScan *scan, int nkeys, const Datum *keys)
{
	if (nothing_there(scan))
		return false;
	if (scan->path->remembers && nkeys == scan->lookup->nkeys)
		return find_settled(scan, keys);
	seek(scan, nkeys, keys);
	return rows_next(scan);
}

bool
rows_next(RowsScan *scan)
{
	ItemPointer entry;

	while ((entry = index_getnext_tid(scan->scan, ForwardScanDirection)) != NULL)
	{
		scan->entry = *entry;
		if (index_fetch_heap(scan->scan, scan->slot))
			return true;
	}
	return false;
}

/* enter moves the scan to a partition. */
static void
enter(RowsScan *scan, Oid partition)
{
	if (scan->heap != NULL && RelationGetRelid(scan->heap) == partition)
		return;
	end_scan(scan);
	if (!begin_scan(scan, table_open(partition, table_lock(scan->lookup))))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("partitions of table \"%s\" have changed meanwhile",
						RelationGetRelationName(scan->parent))));
}

bool
rows_find_at(RowsScan *scan, Datum at, int nkeys, const Datum *keys)
{
	Oid			partition;

	if (scan->parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		partition = rows_partition(scan->parent, at);
		if (!OidIsValid(partition))
			return false;
		enter(scan, partition);
	}
	return rows_find(scan, nkeys, keys);
}

bool
rows_enter_older(RowsScan *scan)
{
	PartitionDesc partitions;

	if (scan->parent->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return scan->partition++ == 0;
	partitions = RelationGetPartitionDesc(scan->parent, true);
	if (scan->partition >= partitions->nparts)
		return false;
	enter(scan, partitions->oids[partitions->nparts - 1 - scan->partition++]);
	return true;
}

bool
rows_find_from(RowsScan *scan, int nkeys, const Datum *keys)
{
	Assert(nkeys == scan->lookup->nkeys);
	if (nothing_there(scan))
		return false;
	scan->keys[nkeys - 1] = scan->path->from;
	seek(scan, nkeys, keys);
	scan->keys[nkeys - 1] = scan->path->keys[nkeys - 1];
	return rows_next(scan);
}

/* find_last_entry fetches the row of the index's last entry; false: a scan has to look. */
static bool
find_last_entry(RowsScan *scan, int nkeys, const Datum *keys)
{
	ItemPointerData row;

	if (!scan->path->heap || IsolationIsSerializable())
		return false;
	return rows_last_entry(rows_index(scan), scan->snapshot, nkeys, scan->path->compare, keys, &row) &&
		rows_fetch(scan->heap, ReadBuffer(scan->heap, ItemPointerGetBlockNumber(&row)), row, scan->snapshot, scan->slot);
}

/*
 * The index's last entry is the row, unless it was rolled back or is newer
 * than the snapshot.
 */
bool
rows_find_last(RowsScan *scan, int nkeys, const Datum *keys)
{
	Assert(nkeys == scan->lookup->nkeys - 1);
	if (nothing_there(scan))
		return false;
	if (find_last_entry(scan, nkeys, keys))
		return true;
	seek(scan, nkeys, keys);
	return index_getnext_slot(scan->scan, BackwardScanDirection, scan->slot);
}

Datum
rows_get(RowsScan *scan, int column, bool *isnull)
{
	const RowsPath *path = scan->path;
	Datum		value = slot_getattr(scan->slot, path->attnums[column], isnull);

	if (*isnull || path->byval[column])
		return value;
	if (path->lengths[column] == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, false, path->lengths[column]);
}

ItemPointerData
rows_at(const RowsScan *scan)
{
	return scan->slot->tts_tid;
}

bool
rows_lock(RowsScan *scan, ItemPointerData at)
{
	bool		fixed = IsolationUsesXactSnapshot();
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(scan->heap, &at, scan->snapshot, scan->slot, GetCurrentCommandId(false),
							  LockTupleExclusive, LockWaitBlock,
							  fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_Ok)
		return true;
	if (fixed && (result == TM_Updated || result == TM_Deleted))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	if (result != TM_Updated && result != TM_Deleted && result != TM_SelfModified)
		elog(ERROR, "unexpected result of locking a row: %d", (int) result);
	return false;
}

void
rows_close(RowsScan *scan)
{
	end_scan(scan);
	table_close(scan->parent, kept_lock(scan->lookup, false));
	PopActiveSnapshot();
}
