/*
 * rows_path.h
 *		How a table or partition is looked into, between rows_path.c and
 *		rows_find.c.
 */
#ifndef STORESYNC_ROWS_PATH_H
#define STORESYNC_ROWS_PATH_H

#include "storesync.h"

#include "access/skey.h"
#include "utils/rel.h"

#include "rows.h"
#include "rows_memo.h"

/* Columns that one look-up may want. */
#define MAX_WANTED		32

/* How one table or partition is looked into. */
typedef struct RowsPath
{
	struct RowsPath *next;
	Oid			relation;
	Oid			index;			/* InvalidOid: none serves */
	AttrNumber	attnums[MAX_WANTED];
	int16		lengths[MAX_WANTED];
	bool		byval[MAX_WANTED];
	ScanKeyData keys[ROWS_MAX_KEYS];
	AttrNumber	key_attnums[ROWS_MAX_KEYS];
	int16		key_lengths[ROWS_MAX_KEYS];
	bool		filled;			/* the relation was seen to have blocks */
	bool		remembers;		/* rows of a settled look-up, by keys that can be hashed */
	bool		heap;			/* rows are fetched by their places */
	ScanKeyData from;			/* the last key column is at least this */
	ScanKeyData compare[ROWS_MAX_KEYS]; /* for rows_last_entry */
	RowsMemo	places;
} RowsPath;

/* Whether the direct way suits a table: its kind, the caller's rights on it, nothing attached that a statement would heed. */
extern bool rows_table_fits(const RowsLookup *lookup, Relation rel);
/* The way into an open relation, kept with the look-up; NULL when no index serves. */
extern RowsPath *rows_path(RowsLookup *lookup, Relation rel);
/* Something has changed: the ways are found anew. */
extern void rows_forget_paths(RowsLookup *lookup);

#endif
