/*
 * rows_memo.h
 *		What a look-up remembers of rows it has found, so that it need not go
 *		down the index for them again; between rows_memo.c and rows_find.c.
 *
 * A memo only ever says where to look first. Each of its words is checked
 * against the row itself, under the snapshot of the look-up; what is wrong,
 * old or forgotten costs a descent of the index.
 */
#ifndef STORESYNC_ROWS_MEMO_H
#define STORESYNC_ROWS_MEMO_H

#include "storesync.h"

#include "executor/tuptable.h"
#include "storage/buf.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* What is remembered under a hash of keys. */
typedef struct RowsNote
{
	uint32		hash;			/* 0: an empty note */
	Buffer		buffer;			/* that held the row's block */
	ItemPointerData row;		/* where the index says the row begins */
} RowsNote;

typedef struct RowsMemo
{
	int			size;			/* notes, a power of two; 0: none yet */
	int			used;
	RowsNote   *notes;
} RowsMemo;

/* Hash, never 0, of nkeys values of these lengths: -1 for a varlena, others go by value. */
extern uint32 rows_memo_hash(const Datum *values, const int16 *lengths, int n);
/* The note under a hash, NULL when there is none. */
extern RowsNote *rows_memo_find(const RowsMemo *memo, uint32 hash);
/* The note under a hash, which may have said something else till now. */
extern RowsNote *rows_memo_put(RowsMemo *memo, uint32 hash);
extern void rows_memo_forget(RowsMemo *memo);

/*
 * Store the version of the row that begins at `row`, in a pinned buffer, that
 * the snapshot shows in the slot, which keeps the pin; false: there is none,
 * and the pin is given back.
 */
extern bool rows_fetch(Relation heap, Buffer buffer, ItemPointerData row, Snapshot snapshot, TupleTableSlot *slot);

/*
 * Store the version of the row at the note's place that the snapshot shows in
 * the slot; false: there is none, or its block is elsewhere now. The caller
 * compares the keys.
 */
extern bool rows_memo_fetch(const RowsNote *note, Relation heap, Snapshot snapshot, TupleTableSlot *slot);

#endif
