/*
 * rows_memo.c
 *		Notes on where rows lie, in a small hash table for each look-up and
 *		backend (rows_memo.h).
 *
 * The tables are bounded: a note is put over whatever stands in its place.
 * They begin small, since most look-ups of a shop's backend see one store and
 * one location, and grow fourfold when half full, starting empty each time.
 *
 * A row is reached through the buffer that held it, if that still holds its
 * block: a block that a truncation has taken away is in no buffer.
 */
#include "storesync.h"

#include "access/heapam.h"
#include "access/relscan.h"
#include "common/hashfn.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "rows_memo.h"

#define FIRST_SIZE		64
#define MOST_NOTES		16384

uint32
rows_memo_hash(const Datum *values, const int16 *lengths, int n)
{
	uint32		hash = 0;

	for (int k = 0; k < n; k++)
	{
		uint32		one;

		if (lengths[k] == -1)
		{
			const struct varlena *value = (const struct varlena *) DatumGetPointer(values[k]);

			one = hash_bytes((const unsigned char *) VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
		}
		else
			one = hash_bytes_uint32((uint32) values[k] ^ (uint32) ((uint64) values[k] >> 32));
		hash = hash_combine(hash, one);
	}
	return hash == 0 ? 1 : hash;
}

RowsNote *
rows_memo_find(const RowsMemo *memo, uint32 hash)
{
	RowsNote   *note;

	if (memo->size == 0)
		return NULL;
	note = &memo->notes[hash & (memo->size - 1)];
	return note->hash == hash ? note : NULL;
}

RowsNote *
rows_memo_put(RowsMemo *memo, uint32 hash)
{
	RowsNote   *note;

	if (memo->size < MOST_NOTES && memo->used >= memo->size / 2)
	{
		int			size = memo->size == 0 ? FIRST_SIZE : memo->size * 4;

		rows_memo_forget(memo);
		memo->notes = MemoryContextAllocZero(CacheMemoryContext, sizeof(RowsNote) * size);
		memo->size = size;
	}
	note = &memo->notes[hash & (memo->size - 1)];
	if (note->hash == 0)
		memo->used++;
	note->hash = hash;
	return note;
}

void
rows_memo_forget(RowsMemo *memo)
{
	if (memo->size > 0)
		pfree(memo->notes);
	memset(memo, 0, sizeof(RowsMemo));
}

bool
rows_memo_fetch(const RowsNote *note, Relation heap, Snapshot snapshot, TupleTableSlot *slot)
{
	BufferHeapTupleTableSlot *heap_slot = (BufferHeapTupleTableSlot *) slot;
	HeapTuple	tuple = &heap_slot->base.tupdata;
	ItemPointerData row = note->u.row;
	bool		found;

	ExecClearTuple(slot);
	if (!ReadRecentBuffer(SsRelFile(heap), MAIN_FORKNUM, ItemPointerGetBlockNumber(&row), note->buffer))
		return false;
	LockBuffer(note->buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&row, heap, note->buffer, snapshot, tuple, NULL, true);
	LockBuffer(note->buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
	{
		ReleaseBuffer(note->buffer);
		return false;
	}
	tuple->t_self = row;
	slot->tts_tableOid = RelationGetRelid(heap);
	(void) ExecStorePinnedBufferHeapTuple(tuple, slot, note->buffer);
	pgstat_count_heap_fetch(heap);
	return true;
}
