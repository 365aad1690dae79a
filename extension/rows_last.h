/*
 * rows_last.h
 *		The last entry of an index under a prefix of its key; between
 *		rows_last.c and rows_find.c alone.
 */
#ifndef STORESYNC_ROWS_LAST_H
#define STORESYNC_ROWS_LAST_H

#include "storesync.h"

#include "access/skey.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Make ready to compare with an index's first nkeys columns. In a memory context that lasts as long. */
extern void rows_last_prepare(Relation index, int nkeys, ScanKeyData *compare);

/*
 * Where the row of the last entry with these keys begins; the caller looks
 * whether its MVCC snapshot shows it. False: there is none, or an index scan
 * has to say. Not under SERIALIZABLE.
 */
extern bool rows_last_entry(Relation index, Snapshot snapshot, int nkeys, const ScanKeyData *compare,
							const Datum *keys, ItemPointer row);

#endif
