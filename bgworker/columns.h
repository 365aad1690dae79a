/*
 * columns.h
 *		Rows gathered in memory and handed to one statement as arrays, a
 *		parameter a column: INSERT … SELECT … FROM unnest($1, $2, …).
 */
#ifndef STORESYNC_COLUMNS_H
#define STORESYNC_COLUMNS_H

#include "storesync.h"

#define COLUMNS_MAX 12

typedef struct Columns
{
	MemoryContext context;		/* of the rows */
	int			width;
	Oid			types[COLUMNS_MAX];	/* of the elements: int4, int8, timestamptz or text */
	int			n;				/* rows */
	int			room;
	Datum	   *values[COLUMNS_MAX];
	bool	   *nulls[COLUMNS_MAX];
} Columns;

/* Empty, for rows of these element types; what it holds lives in `context`. */
extern void columns_init(Columns *columns, MemoryContext context, int width, const Oid *types);
/* One row more; text values are copied, NULL `nulls` means none. */
extern void columns_add(Columns *columns, const Datum *values, const bool *nulls);
/* Run the statement with the arrays as $1 to $width. Nothing is run when there are no rows. SPI connected. */
extern void columns_run(const Columns *columns, SPIPlanPtr *plan, const char *sql, int expect);

#endif
