/*
 * rows.h
 *		Rows written and found without a statement: straight to heap and
 *		indexes, where a table holds nothing that only the executor knows to
 *		honour (docs/direct.md). Everywhere else each function here says so or
 *		runs the statement.
 *
 * SPI connected, as the owner (ss_enter), which has refused read-only
 * transactions, standbys and parallel mode. What is written is visible to the
 * next snapshot of this transaction.
 */
#ifndef STORESYNC_ROWS_H
#define STORESYNC_ROWS_H

#include "storesync.h"

#include "access/genam.h"
#include "access/skey.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "utils/relcache.h"

#include "set.h"

#define ROWS_MAX_KEYS		4

/* A relation of schema storesync by its name; rows.c keeps its OID. */
typedef struct RowsName
{
	const char *name;
	Oid			oid;
	uint64		epoch;			/* rows_epoch() when the OID was looked up */
} RowsName;

/* ---------------------------------------------------------------- writing */

/*
 * A table and the columns that a caller fills, in the order of its sets; a
 * static variable of the caller. A column of an enum is handed over as text.
 */
typedef struct RowsTable
{
	RowsName	name;
	const char *columns;		/* comma-separated, as in INSERT */
	const char *wake_trigger;	/* the one trigger function that is known; NULL: none */
	void		(*wake) (void); /* what it does */

	/* kept by rows_insert.c */
	uint64		epoch;			/* of what follows */
	Oid			known_as;		/* role that was found to have the right */
	bool		direct;
	bool		wakes;
	int			partition_column;
	struct RowsTarget *targets;
	SPIPlanPtr	plan;
	Oid			planned_for;
} RowsTable;

/* Insert a set's rows. Empties the set. */
extern void rows_insert(RowsTable *table, SsSet *set);

/*
 * Insert those of a set's rows none of whose unique keys is taken, in the
 * set's order; waits for transactions that may be taking one. inserted[i]
 * tells which. Raises 40001 where the transaction's snapshot does not show
 * who took a key. Empties the set.
 */
extern void rows_insert_new(RowsTable *table, SsSet *set, bool *inserted);

/* ---------------------------------------------------------------- finding */

/* A look-up by the leading columns of an index, unique unless `many`; a static variable of the caller. */
typedef struct RowsLookup
{
	RowsName	name;
	int			nkeys;
	const char *keys[ROWS_MAX_KEYS];
	const char *columns;		/* comma-separated: what is wanted of a row */
	bool		many;			/* the index need not be unique */
	const char *predicate;		/* of a partial index, as pg_get_expr() prints it; NULL: the index has to be whole */
	bool		active;			/* under the active snapshot, which the caller has pushed for several look-ups */
	bool		settled;		/* rows that seldom change: remember where they lie (rows_memo.h) */
	bool		locks;			/* rows are to be locked */
	bool		writes;			/* rows will be inserted next: take that lock at once, instead of two */
	const char *delete_trigger; /* rows are to be deleted, with the one trigger on DELETE that is known; NULL: none are */

	/* kept by rows_find.c */
	uint64		epoch;
	Oid			known_as;
	bool		direct;
	struct RowsPath *paths;
} RowsLookup;

/* A look-up under way. */
typedef struct RowsScan
{
	RowsLookup *lookup;
	Relation	parent;
	Relation	heap;			/* parent, or the partition at hand */
	Relation	index;			/* NULL: not needed so far */
	struct RowsPath *path;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ItemPointerData entry;		/* where the index says the row begins */
	Snapshot	snapshot;
	bool		empty;			/* the relation had no block under this snapshot */
	int			partition;		/* how many rows_enter_older() has been to */
	ScanKeyData keys[ROWS_MAX_KEYS];
} RowsScan;

/*
 * Begin to look rows up under a fresh snapshot of the kind that a statement
 * would take (`latest`: the newest even under REPEATABLE READ). False: not
 * for this table, use a statement.
 */
extern bool rows_open(RowsScan *scan, RowsLookup *lookup, bool latest);
/* Position on the first row with these keys: nkeys values, fewer than the look-up has for a prefix. */
extern bool rows_find(RowsScan *scan, int nkeys, const Datum *keys);
extern bool rows_next(RowsScan *scan);
/* As rows_find with nkeys values for all columns of the index, but the last column may also be greater than its value. */
extern bool rows_find_from(RowsScan *scan, int nkeys, const Datum *keys);
/*
 * Tell another look-up into the same table, settled as this one, where the row
 * at hand lies and which keys of its own it has.
 */
extern void rows_note(const RowsScan *scan, RowsLookup *other, const Datum *keys);
/*
 * The same in the partition that holds `at`, a value of the partitioned
 * table's key column. False also when there is no such partition.
 */
extern bool rows_find_at(RowsScan *scan, Datum at, int nkeys, const Datum *keys);
/*
 * Go to the newest partition, then to the next older one with each call;
 * false when there is none left. A plain table has one.
 */
extern bool rows_enter_older(RowsScan *scan);
/* The row with these keys and the highest last column of the index, in the partition at hand. */
extern bool rows_find_last(RowsScan *scan, int nkeys, const Datum *keys);
/* Column number `column` of the row; what it points to is a copy in the current memory context. */
extern Datum rows_get(RowsScan *scan, int column, bool *isnull);
/*
 * Lock a row that was found, by where it lies (rows_at), FOR UPDATE in its
 * newest version, which is then what rows_get reads. Waits. False: it is
 * gone. Raises 40001 as the isolation level demands.
 */
extern bool rows_lock(RowsScan *scan, ItemPointerData at);
extern ItemPointerData rows_at(const RowsScan *scan);
/*
 * Delete the row that lies at `at`, of a look-up that names a delete_trigger
 * and writes. The caller has made sure that the trigger would not refuse. A
 * row that is gone already is no error under READ COMMITTED, 40001 above.
 * False: not for this table, use a statement.
 */
extern bool rows_delete(RowsLookup *lookup, ItemPointerData at);
/* Look-ups that are open at one time end in reverse order. */
extern void rows_close(RowsScan *scan);

/* ---------------------------------------------------------------- making keys single */

/* Keys that one call guards at a time: each is a lock in the shared table for as long. */
#define ROWS_MOST_GUARDED	100

typedef struct RowsKeys
{
	Datum		values[ROWS_MAX_KEYS];
} RowsKeys;

typedef struct RowsGuard
{
	RowsScan	scan;
	int			n;
	uint64		names[ROWS_MOST_GUARDED];
} RowsGuard;

/*
 * Keep others from making rows with these keys until rows_unguard, for a
 * look-up of a plain table by its unique index; `names` are hashes of the
 * keys. taken[i] tells which keys have a row already; transactions that may be
 * making or removing one are waited for. Insert the others, at once. Raises
 * 40001 where the transaction's snapshot does not show who took a key. False:
 * not for this table, nothing is guarded.
 */
extern bool rows_guard(RowsGuard *guard, RowsLookup *lookup, int n, const uint64 *names, const RowsKeys *keys,
					   bool *taken);
extern void rows_unguard(RowsGuard *guard);
/* The index of a look-up that is open, for rows_guard.c. */
extern Relation rows_index(RowsScan *scan);

/* Next value of a sequence of schema storesync. */
extern int64 rows_next_value(RowsName *sequence);

/* Whether rows of an open table may be deleted so (rows_delete.c). */
extern bool rows_may_delete(const RowsLookup *lookup, Relation rel);

/* ---------------------------------------------------------------- shared by all (rows.c) */

/* Changes whenever anything changes that decides how a table is to be treated. */
extern uint64 rows_epoch(void);
/* Have rows_epoch() change with this relation's definition. */
extern void rows_track(Oid relation);
/* Open a relation by its name, with a lock that a statement would take. */
extern Relation rows_open_relation(RowsName *name, LOCKMODE mode);
/*
 * The partition that takes rows with this value in the key column of a table
 * partitioned by ranges of one column; InvalidOid: none, or one that is
 * partitioned itself.
 */
extern Oid	rows_partition(Relation parent, Datum value);
/* Whether something outside of tables asks for statements: an auditor's hook, a replication role. */
extern bool rows_statements_wanted(void);
/* Numbers of comma-separated columns in a relation, 0 where there is none; returns how many. */
extern int	rows_columns(Relation rel, const char *columns, AttrNumber *attnums);

#endif
