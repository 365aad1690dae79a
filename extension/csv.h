/*
 * csv.h
 *		Comma-separated values: records of a file, and what its columns may
 *		hold. Free of PostgreSQL headers.
 *
 * A file is rewritten in place: a cell's text is where it stood, without its
 * quotes, ended by a NUL.
 */
#ifndef STORESYNC_CSV_H
#define STORESYNC_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Cells kept of a record; more are counted. */
#define CSV_MAX_CELLS		64
/* Longest code and longest text, in bytes. */
#define CSV_MAX_CODE		200
#define CSV_MAX_TEXT		1000
/* What clears a column. */
#define CSV_CLEAR			"\\N"

typedef enum CsvResult
{
	CSV_RECORD,
	CSV_END,
	CSV_UNCLOSED				/* a quote that is not closed: `record_line` is where it stands */
} CsvResult;

/* A file under way, and the record that was read last. */
typedef struct CsvReader
{
	char	   *data;
	size_t		length;
	size_t		at;				/* what has been read */
	int64_t		line;			/* of `at`, from 1 */
	int64_t		record_line;	/* where the record begins */
	int			ncells;			/* of the record, also those beyond CSV_MAX_CELLS */
	bool		stray;			/* a quote inside a bare cell, or text behind a closing one */
	char	   *cells[CSV_MAX_CELLS];
} CsvReader;

/* `data` has room for one byte more than `length`; it is rewritten, and what is read lies in it. */
extern void csv_begin(CsvReader *reader, char *data, size_t length);

/* The next record that is not blank: one whose cells are all empty is. */
extern CsvResult csv_next(CsvReader *reader);

/* ---------------------------------------------------------------- kinds of files */

typedef enum CsvType
{
	CSV_CODE,					/* exact, 1 to CSV_MAX_CODE bytes, no controls */
	CSV_MODEL,					/* the same; '0' is none */
	CSV_TEXT,					/* anything up to CSV_MAX_TEXT bytes */
	CSV_WHOLE,					/* a whole number within the column's bounds */
	CSV_DECIMAL,				/* a number that is not negative, below 10^12, six digits behind the point */
	CSV_BOOL,
	CSV_TIME,					/* 2026-11-23 09:30[:00][.5]+08[:00] or Z */
	CSV_AT_ZERO,				/* quantity or unlist */
	CSV_TOLD					/* told when it goes out, not read when it comes in */
} CsvType;

typedef struct CsvColumn
{
	const char *name;
	CsvType		type;
	bool		required;		/* in the header, and not empty */
	bool		clearable;		/* may be CSV_CLEAR */
	int64_t		low;			/* of CSV_WHOLE */
	int64_t		high;
} CsvColumn;

typedef struct CsvKind
{
	const char *name;
	int			ncolumns;
	const CsvColumn *columns;
} CsvKind;

/* NULL: there is no such kind. */
extern const CsvKind *csv_kind(const char *name);
/* Names of all kinds, or of a kind's columns, joined by ", ", into `to` of `size` bytes, ended by a NUL. */
extern void csv_kinds(char *to, size_t size);
extern void csv_columns(const CsvKind *kind, char *to, size_t size);
/* Place of a column by its name, in either case; -1: there is none. */
extern int	csv_column(const CsvKind *kind, const char *name);

/*
 * Why a cell that is not empty cannot be what its column holds, NULL when it
 * can: then the text is rewritten as it is compared (numbers without leading
 * zeros, t or f).
 */
extern const char *csv_cell_fault(const CsvColumn *column, char *text);

#endif
