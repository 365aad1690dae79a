/*
 * rows_memo.c
 *		Notes on where rows lie, in a small hash table for each look-up and
 *		backend (rows_memo.h).
 *
 * The tables are bounded: a note that finds its bucket full is put over another.
 * They begin small, since most look-ups of a shop's backend see one store and
 * one location, and grow fourfold when half full.
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
#define BUCKET			4		/* notes that a hash may stand in: a cache line */

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

/* bucket_of returns the first of the notes that a hash may stand in. */
static RowsNote *
bucket_of(const RowsMemo *memo, uint32 hash)
{
	return &memo->notes[hash & (memo->size - 1) & ~(BUCKET - 1)];
}

RowsNote *
rows_memo_find(const RowsMemo *memo, uint32 hash)
{
	RowsNote   *bucket;

	if (memo->size == 0)
		return NULL;
	bucket = bucket_of(memo, hash);
	for (int i = 0; i < BUCKET; i++)
		if (bucket[i].hash == hash)
			return &bucket[i];
	return NULL;
}

/* choose_note returns where a hash that has no note gets one: a free one, else one that is overwritten. */
static RowsNote *
choose_note(RowsMemo *memo, uint32 hash)
{
	RowsNote   *bucket = bucket_of(memo, hash);

	for (int i = 0; i < BUCKET; i++)
	{
		if (bucket[i].hash != 0)
			continue;
		memo->used++;
		return &bucket[i];
	}
	return &bucket[(hash >> 16) % BUCKET];
}

/* grow makes the memo larger and takes its notes along. */
static void
grow(RowsMemo *memo)
{
	RowsMemo	old = *memo;

	memo->used = 0;
	memo->size = old.size == 0 ? FIRST_SIZE : old.size * 4;
	memo->notes = MemoryContextAllocZero(CacheMemoryContext, sizeof(RowsNote) * memo->size);
	for (int i = 0; i < old.size; i++)
		if (old.notes[i].hash != 0)
			*choose_note(memo, old.notes[i].hash) = old.notes[i];
	rows_memo_forget(&old);
}

RowsNote *
rows_memo_put(RowsMemo *memo, uint32 hash)
{
	RowsNote   *note = rows_memo_find(memo, hash);

	if (note != NULL)
		return note;
	if (memo->size < MOST_NOTES && memo->used >= memo->size / 2)
		grow(memo);
	note = choose_note(memo, hash);
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
rows_fetch(Relation heap, Buffer buffer, ItemPointerData row, Snapshot snapshot, TupleTableSlot *slot)
{
	HeapTuple	tuple = &((BufferHeapTupleTableSlot *) slot)->base.tupdata;
	bool		found;

	ExecClearTuple(slot);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	found = heap_hot_search_buffer(&row, heap, buffer, snapshot, tuple, NULL, true);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (!found)
	{
		ReleaseBuffer(buffer);
		return false;
	}
	tuple->t_self = row;
	slot->tts_tableOid = RelationGetRelid(heap);
	(void) ExecStorePinnedBufferHeapTuple(tuple, slot, buffer);
	pgstat_count_heap_fetch(heap);
	return true;
}

bool
rows_memo_fetch(const RowsNote *note, Relation heap, Snapshot snapshot, TupleTableSlot *slot)
{
	if (!ReadRecentBuffer(SsRelFile(heap), MAIN_FORKNUM, ItemPointerGetBlockNumber(&note->row), note->buffer))
		return false;
	return rows_fetch(heap, note->buffer, note->row, snapshot, slot);
}
