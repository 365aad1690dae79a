/*
 * set.c
 *		Rows gathered in memory and handed to SQL as arrays (set.h).
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "set.h"

/*
 * make_room gives the set room for `capacity` rows, in one piece for all
 * columns, and takes over the rows that it has.
 */
static void
make_room(SsSet *set, int capacity)
{
	Size		row = (sizeof(Datum) + sizeof(bool)) * set->columns;
	Datum	   *values = MemoryContextAllocHuge(set->context, row * capacity);
	bool	   *nulls = (bool *) (values + (Size) capacity * set->columns);
	Datum	   *old = set->capacity > 0 ? set->values[0] : NULL;

	for (int c = 0; c < set->columns; c++)
	{
		if (set->rows > 0)
		{
			memcpy(values, set->values[c], sizeof(Datum) * set->rows);
			memcpy(nulls, set->nulls[c], sizeof(bool) * set->rows);
		}
		set->values[c] = values;
		set->nulls[c] = nulls;
		values += capacity;
		nulls += capacity;
	}
	if (old != NULL)
		pfree(old);
	set->capacity = capacity;
}

SsSet *
set_create(int columns, const Oid *types, int capacity)
{
	SsSet	   *set = palloc(sizeof(SsSet));

	Assert(columns > 0 && columns <= SET_MAX_COLUMNS);
	set->context = CurrentMemoryContext;
	set->columns = columns;
	set->rows = set->capacity = 0;
	set->types = types;
	make_room(set, Max(capacity, 4));
	return set;
}

SsSet *
set_create_in(MemoryContext context, int columns, const Oid *types)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	SsSet	   *set = set_create(columns, types, 0);

	MemoryContextSwitchTo(old);
	return set;
}

void
set_add(SsSet *set, const Datum *values, const bool *nulls)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	set_add_row(set);
	for (int c = 0; c < set->columns; c++)
	{
		if (nulls != NULL && nulls[c])
			continue;
		set_put(set, c, get_typlen(set->types[c]) == -1 ? datumCopy(values[c], false, -1) : values[c]);
	}
	MemoryContextSwitchTo(old);
}

void
set_add_row(SsSet *set)
{
	if (set->rows == set->capacity)
		make_room(set, set->capacity * 2);
	for (int c = 0; c < set->columns; c++)
	{
		set->values[c][set->rows] = (Datum) 0;
		set->nulls[c][set->rows] = true;
	}
	set->rows++;
}

void
set_put(SsSet *set, int column, Datum value)
{
	Assert(column < set->columns && set->rows > 0);
	set->values[column][set->rows - 1] = value;
	set->nulls[column][set->rows - 1] = false;
}

void
set_put_pointer(SsSet *set, int column, const void *value)
{
	if (value != NULL)
		set_put(set, column, PointerGetDatum(value));
}

void
set_drop_rows(SsSet *set, int n)
{
	set->rows -= n;
	for (int c = 0; n > 0 && c < set->columns; c++)
	{
		memmove(set->values[c], set->values[c] + n, sizeof(Datum) * set->rows);
		memmove(set->nulls[c], set->nulls[c] + n, sizeof(bool) * set->rows);
	}
}

/* column_array builds the array of one column. */
static Datum
column_array(SsSet *set, int column)
{
	int			dims[1] = {set->rows};
	int			lower[1] = {1};
	int16		length;
	bool		byval;
	char		align;

	get_typlenbyvalalign(set->types[column], &length, &byval, &align);
	return PointerGetDatum(construct_md_array(set->values[column], set->nulls[column], 1, dims, lower,
											  set->types[column], length, byval, align));
}

void
set_execute(SPIPlanPtr *plan, const char *sql, int expect, SsSet *set)
{
	Oid			types[SET_MAX_COLUMNS];
	Datum		values[SET_MAX_COLUMNS];

	if (set->rows == 0)
		return;
	for (int c = 0; c < set->columns; c++)
	{
		types[c] = get_array_type(set->types[c]);
		values[c] = column_array(set, c);
	}
	ss_execute(plan, sql, expect, set->columns, types, values, NULL, 0);
}

void
set_execute_each(SPIPlanPtr *plan, const char *sql, int expect, SsSet *set)
{
	Datum		values[SET_MAX_COLUMNS];
	char		nulls[SET_MAX_COLUMNS];

	for (int row = 0; row < set->rows; row++)
	{
		for (int c = 0; c < set->columns; c++)
		{
			values[c] = set->values[c][row];
			nulls[c] = set->nulls[c][row] ? 'n' : ' ';
		}
		ss_execute(plan, sql, expect, set->columns, set->types, values, nulls, 0);
	}
}

Datum
ss_int8_array(int n, const int64 *values)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

void
ss_execute_ids(SPIPlanPtr *plan, const char *sql, int expect, int n, const int64 *ids)
{
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, ids)};

	ss_execute(plan, sql, expect, 1, types, values, NULL, 0);
}

Datum
ss_int4_array(int n, const int32 *values)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

int64 *
ss_read_ids(int *n)
{
	int64	   *ids;
	bool		isnull;

	*n = (int) SPI_processed;
	ids = palloc(sizeof(int64) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return ids;
}
