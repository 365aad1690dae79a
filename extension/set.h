/*
 * set.h
 *		A set of rows handed to SQL as one array per column, so that a page of
 *		any size is written by one statement: INSERT … SELECT … FROM unnest($1, $2, …).
 */
#ifndef STORESYNC_SET_H
#define STORESYNC_SET_H

#include "storesync.h"

/* Columns of the widest set; it only sizes arrays on the stack. */
#define SET_MAX_COLUMNS		32

#define SET_FEW_ROWS		4

typedef struct SsSet
{
	MemoryContext context;		/* of the set and of what set_add copies */
	int			columns;
	int			rows;
	int			capacity;		/* rows there is room for; grows */
	const Oid  *types;			/* element type of each column */
	Datum	   *values[SET_MAX_COLUMNS];	/* by column, then row; one piece of memory for all */
	bool	   *nulls[SET_MAX_COLUMNS];
} SsSet;

/* `types` must outlive the set. Everything lies in the current memory context. */
extern SsSet *set_create(int columns, const Oid *types, int capacity);
/* The same in another memory context. */
extern SsSet *set_create_in(MemoryContext context, int columns, const Oid *types);
/* Add a whole row: varlenas are copied, NULL `nulls` means none is null. */
extern void set_add(SsSet *set, const Datum *values, const bool *nulls);
/* Start another row, all of it null. */
extern void set_add_row(SsSet *set);
/* Fill a column of the row last added. */
extern void set_put(SsSet *set, int column, Datum value);
/* The same for a varlena that may be missing. */
extern void set_put_pointer(SsSet *set, int column, const void *value);
/* Forget the first n rows. */
extern void set_drop_rows(SsSet *set, int n);
/* Run a statement whose parameters $1 … $columns are the columns' arrays. */
extern void set_execute(SPIPlanPtr *plan, const char *sql, int expect, SsSet *set);
/*
 * Run a statement for each row, whose parameters $1 … $columns are the row's
 * values. For up to SET_FEW_ROWS: arrays, a join and a sort cost more to start
 * than so many plain statements.
 */
extern void set_execute_each(SPIPlanPtr *plan, const char *sql, int expect, SsSet *set);

/* One-column helpers for statements that mix arrays with scalars. */
extern Datum ss_int8_array(int n, const int64 *values);
/* Run a statement whose only parameter is an array of keys, as ss_execute() does. */
extern void ss_execute_ids(SPIPlanPtr *plan, const char *sql, int expect, int n, const int64 *ids);
extern Datum ss_int4_array(int n, const int32 *values);

/* The other way: the bigints in the first column of the statement just executed, whose result is freed. */
extern int64 *ss_read_ids(int *n);

#endif
