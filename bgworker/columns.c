/*
 * columns.c
 *		Rows as arrays of their columns; columns.h.
 */
#include "columns.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"

void
columns_init(Columns *columns, MemoryContext context, int width, const Oid *types)
{
	Assert(width <= COLUMNS_MAX);
	memset(columns, 0, sizeof(*columns));
	columns->context = context;
	columns->width = width;
	memcpy(columns->types, types, width * sizeof(Oid));
}

static void
grow(Columns *columns)
{
	bool		first = columns->room == 0;

	columns->room = Max(64, columns->room * 2);
	for (int i = 0; i < columns->width; i++)
	{
		if (first)
		{
			columns->values[i] = palloc(columns->room * sizeof(Datum));
			columns->nulls[i] = palloc(columns->room * sizeof(bool));
			continue;
		}
		columns->values[i] = repalloc(columns->values[i], columns->room * sizeof(Datum));
		columns->nulls[i] = repalloc(columns->nulls[i], columns->room * sizeof(bool));
	}
}

void
columns_add(Columns *columns, const Datum *values, const bool *nulls)
{
	MemoryContext old = MemoryContextSwitchTo(columns->context);

	if (columns->n == columns->room)
		grow(columns);
	for (int i = 0; i < columns->width; i++)
	{
		bool		isnull = nulls != NULL && nulls[i];

		columns->nulls[i][columns->n] = isnull;
		columns->values[i][columns->n] = isnull ? (Datum) 0 :
			columns->types[i] == TEXTOID ? datumCopy(values[i], false, -1) : values[i];
	}
	columns->n++;
	MemoryContextSwitchTo(old);
}

static Oid
array_type(Oid element)
{
	switch (element)
	{
		case INT4OID:
			return INT4ARRAYOID;
		case INT8OID:
			return INT8ARRAYOID;
		case TIMESTAMPTZOID:
			return TIMESTAMPTZARRAYOID;
		default:
			return TEXTARRAYOID;
	}
}

static Datum
array_of(const Columns *columns, int column)
{
	Oid			type = columns->types[column];
	int			bounds = 1;
	int			n = columns->n;
	bool		text = type == TEXTOID;

	return PointerGetDatum(construct_md_array(columns->values[column], columns->nulls[column],
											  1, &n, &bounds, type,
											  text ? -1 : type == INT4OID ? 4 : 8,
											  !text && (type == INT4OID || FLOAT8PASSBYVAL),
											  type == INT4OID || text ? TYPALIGN_INT : TYPALIGN_DOUBLE));
}

void
columns_run(const Columns *columns, SPIPlanPtr *plan, const char *sql, int expect)
{
	Oid			types[COLUMNS_MAX];
	Datum		arrays[COLUMNS_MAX];

	if (columns->n == 0)
		return;
	for (int i = 0; i < columns->width; i++)
	{
		types[i] = array_type(columns->types[i]);
		arrays[i] = array_of(columns, i);
	}
	ss_execute(plan, sql, expect, columns->width, types, arrays, NULL, 0);
}
