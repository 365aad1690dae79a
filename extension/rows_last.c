/*
 * rows_last.c
 *		The last entry of a btree index under the first columns of its key
 *		(rows_last.h).
 *
 * An index scan that begins at the end of a group takes all of the group's
 * entries on that leaf before it returns the first, checking each against its
 * conditions: hundreds for a SKU that moves often, where one is wanted. Here
 * the tree is descended in the same way, the group's end is found on the leaf
 * by halving, and one entry is read.
 *
 * Leaves are locked and pinned only while they are looked at. That is enough
 * under an MVCC snapshot, as for index scans: a place in the heap that is
 * given to another row meanwhile holds one that the snapshot does not show.
 * Predicate locks are not taken: not for SERIALIZABLE.
 */
#include "storesync.h"

#include "access/nbtree.h"
#include "pgstat.h"
#include "storage/bufmgr.h"

#include "compat.h"
#include "rows_last.h"

void
rows_last_prepare(Relation index, int nkeys, ScanKeyData *compare)
{
	for (int k = 0; k < nkeys; k++)
		ScanKeyEntryInitializeWithInfo(&compare[k], (uint32) index->rd_indoption[k] << SK_BT_INDOPTION_SHIFT,
									   k + 1, InvalidStrategy, InvalidOid, index->rd_indcollation[k],
									   index_getprocinfo(index, k + 1, BTORDER_PROC), (Datum) 0);
}

/* first_beyond returns the number of the leaf's first entry that sorts after the key. */
static OffsetNumber
first_beyond(Relation index, BTScanInsert key, Page page)
{
	OffsetNumber low = P_FIRSTDATAKEY(SsBtOpaque(page));
	OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(page));

	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (_bt_compare(index, key, page, middle) >= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* last_on finds the last entry of the key's group on a leaf; false when that is not for us to say. */
static bool
last_on(Relation index, BTScanInsert key, Page page, ItemPointer row)
{
	OffsetNumber beyond = first_beyond(index, key, page);
	ItemId		item;
	IndexTuple	entry;

	if (beyond <= P_FIRSTDATAKEY(SsBtOpaque(page)))
		return false;			/* it may be on the leaf before */
	item = PageGetItemId(page, OffsetNumberPrev(beyond));
	entry = (IndexTuple) PageGetItem(page, item);
	if (ItemIdIsDead(item) || BTreeTupleIsPosting(entry) ||
		_bt_compare(index, key, page, OffsetNumberPrev(beyond)) != 0)
		return false;
	*row = entry->t_tid;
	return true;
}

bool
rows_last_entry(Relation index, Snapshot snapshot, int nkeys, const ScanKeyData *compare, const Datum *keys,
				ItemPointer row)
{
	BTScanInsertData key;
	Buffer		leaf;
	bool		found;

	memset(&key, 0, offsetof(BTScanInsertData, scankeys));
	_bt_metaversion(index, &key.heapkeyspace, &key.allequalimage);
	key.nextkey = true;
	SsSearchBackward(key);
	key.keysz = nkeys;
	memcpy(key.scankeys, compare, sizeof(ScanKeyData) * nkeys);
	for (int k = 0; k < nkeys; k++)
		key.scankeys[k].sk_argument = keys[k];
	_bt_freestack(SsBtSearch(index, &key, &leaf, snapshot));
	if (!BufferIsValid(leaf))
		return false;
	found = last_on(index, &key, BufferGetPage(leaf), row);
	_bt_relbuf(index, leaf);
	if (found)
		pgstat_count_index_scan(index);
	return found;
}
