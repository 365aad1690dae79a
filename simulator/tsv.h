/*
 * tsv.h
 *		Reads the simulator's input files: tab-separated fields, one record a
 *		line, lines that start with '#' and empty lines left out.
 */
#ifndef SIM_TSV_H
#define SIM_TSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TSV_MAX_FIELDS 12

typedef struct Tsv
{
	FILE	   *file;
	const char *name;
	int64_t		line_number;
	char	   *line;			/* the fields point into it */
	size_t		line_size;
	int			n_fields;
	char	   *field[TSV_MAX_FIELDS];
} Tsv;

/* False, with a message on stderr, when the file cannot be opened. */
extern bool tsv_open(Tsv *tsv, const char *name);

/* Reads the next record into field[]; false at the end of the file. */
extern bool tsv_next(Tsv *tsv);

/* Says on stderr what is wrong with the present line. Always false. */
extern bool tsv_error(const Tsv *tsv, const char *what);

/* Field as an integer within the bounds; else tsv_error. */
extern bool tsv_integer(const Tsv *tsv, int field, int64_t least, int64_t most, int64_t *result);

extern void tsv_close(Tsv *tsv);

#endif
