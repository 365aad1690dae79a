/*
 * tsv.c
 *		Reads the simulator's input files; see tsv.h. Used only at start, by
 *		one thread.
 */
#include "tsv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

bool
tsv_open(Tsv *tsv, const char *name)
{
	memset(tsv, 0, sizeof(*tsv));
	tsv->name = name;
	tsv->file = fopen(name, "r");
	if (tsv->file == NULL)
	{
		fprintf(stderr, "simulator: could not open \"%s\": %s\n", name, strerror(errno));
		return false;
	}
	return true;
}

bool
tsv_next(Tsv *tsv)
{
	ssize_t		length;

	while ((length = getline(&tsv->line, &tsv->line_size, tsv->file)) >= 0)
	{
		char	   *rest = tsv->line;

		tsv->line_number++;
		while (length > 0 && (tsv->line[length - 1] == '\n' || tsv->line[length - 1] == '\r'))
			tsv->line[--length] = '\0';
		if (length == 0 || tsv->line[0] == '#')
			continue;

		/* A field too many stays glued to the last one and fails its check. */
		tsv->n_fields = 0;
		while (rest != NULL && tsv->n_fields < TSV_MAX_FIELDS)
		{
			tsv->field[tsv->n_fields++] = rest;
			rest = tsv->n_fields < TSV_MAX_FIELDS ? strchr(rest, '\t') : NULL;
			if (rest != NULL)
				*rest++ = '\0';
		}
		return true;
	}
	return false;
}

bool
tsv_error(const Tsv *tsv, const char *what)
{
	fprintf(stderr, "simulator: %s:%" PRId64 ": %s\n", tsv->name, tsv->line_number, what);
	return false;
}

bool
tsv_integer(const Tsv *tsv, int field, int64_t least, int64_t most, int64_t *result)
{
	if (!parse_integer(tsv->field[field], result) || *result < least || *result > most)
	{
		fprintf(stderr, "simulator: %s:%" PRId64 ": field %d, \"%s\", is not a number from %" PRId64
				" to %" PRId64 "\n",
				tsv->name, tsv->line_number, field + 1, tsv->field[field], least, most);
		return false;
	}
	return true;
}

void
tsv_close(Tsv *tsv)
{
	free(tsv->line);
	if (tsv->file != NULL)
		fclose(tsv->file);
	memset(tsv, 0, sizeof(*tsv));
}
