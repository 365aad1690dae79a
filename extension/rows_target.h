/*
 * rows_target.h
 *		Tables and partitions made ready for direct inserts; between
 *		rows_target.c and rows_insert.c alone.
 */
#ifndef STORESYNC_ROWS_TARGET_H
#define STORESYNC_ROWS_TARGET_H

#include "rows.h"

#include "nodes/execnodes.h"

/* One table or partition, ready to be inserted into. */
typedef struct RowsTarget
{
	struct RowsTarget *next;
	MemoryContext context;		/* holds all of it */
	Oid			relation;
	uint64		epoch;
	bool		direct;
	AttrNumber	attnums[SET_MAX_COLUMNS];	/* of the caller's columns */
	Oid			enums[SET_MAX_COLUMNS]; /* type of a column handed over as text, else InvalidOid */
	struct RowsLabel *labels;	/* of those types, that were used */
	EState	   *estate;
	ResultRelInfo *info;
	int			nindexes;
	Oid		   *indexes;
	bool		foreign_code;	/* its constraints or indexes call functions that are not PostgreSQL's own */
	SsPin		pin;			/* for these, while it is taken */
} RowsTarget;

/* A label of an enum. */
typedef struct RowsLabel
{
	struct RowsLabel *next;
	Oid			type;
	Oid			value;
	int			length;
	char		name[NAMEDATALEN];
} RowsLabel;

/*
 * Open the table, locked as INSERT would, if its rows may be inserted
 * directly, as far as the table itself decides; NULL: by a statement.
 */
extern Relation rows_open_table(RowsTable *table, const SsSet *set);

/*
 * Open the partition `relation` (or the table itself) with its indexes, ready
 * for inserts when `direct` is set in what is returned. Give it back; an
 * error does so by itself. Partial indexes may be left closed.
 */
extern RowsTarget *rows_take_target(RowsTable *table, Oid relation, const SsSet *set);
/* Open those partial indexes that a row, stored in the slot, belongs to. */
extern void rows_open_partial(RowsTarget *target, TupleTableSlot *slot);
/* The value of an enum that a text names. */
extern Oid	rows_enum_value(RowsTarget *target, Oid type, const text *name);
extern void rows_give_back(RowsTable *table, RowsTarget *target);

#endif
