/*
 * csv_change.c
 *		csv_change(): what a row of a CSV file would change, column by column.
 *		Called for each row of a file; reads no table.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "csv.h"

PG_FUNCTION_INFO_V1(csv_change);

/* A text array taken apart. */
typedef struct Texts
{
	int			n;
	Datum	   *values;
	bool	   *nulls;
} Texts;

static Texts
texts_of(ArrayType *array)
{
	Texts		texts;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &texts.values, &texts.nulls, &texts.n);
	return texts;
}

static JsonbValue
json_text(Datum value, bool isnull)
{
	JsonbValue	json = {.type = jbvNull};

	if (!isnull)
	{
		text	   *string = DatumGetTextPP(value);

		json.type = jbvString;
		json.val.string.val = VARDATA_ANY(string);
		json.val.string.len = (int) VARSIZE_ANY_EXHDR(string);
	}
	return json;
}

static bool
is_same(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	return a->type == jbvNull || (a->val.string.len == b->val.string.len &&
								  memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0);
}

static void
push_change(JsonbParseState **state, const Datum name, JsonbValue *from, JsonbValue *to)
{
	JsonbValue	key = json_text(name, false);
	JsonbValue	from_key = {.type = jbvString, .val.string = {4, "from"}};
	JsonbValue	to_key = {.type = jbvString, .val.string = {2, "to"}};

	(void) pushJsonbValue(state, WJB_KEY, &key);
	(void) pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	(void) pushJsonbValue(state, WJB_KEY, &from_key);
	(void) pushJsonbValue(state, WJB_VALUE, from);
	(void) pushJsonbValue(state, WJB_KEY, &to_key);
	(void) pushJsonbValue(state, WJB_VALUE, to);
	(void) pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* csv_change(names, old, cells) returns jsonb: NULL when nothing would change; a cell that is NULL leaves its column as it is. */
Datum
csv_change(PG_FUNCTION_ARGS)
{
	Texts		names = texts_of(PG_GETARG_ARRAYTYPE_P(0));
	Texts		old = texts_of(PG_GETARG_ARRAYTYPE_P(1));
	Texts		cells = texts_of(PG_GETARG_ARRAYTYPE_P(2));
	JsonbParseState *state = NULL;
	bool		changed = false;

	if (names.n != old.n || names.n != cells.n || array_contains_nulls(PG_GETARG_ARRAYTYPE_P(0)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("names, old values and cells must be as many")));
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < names.n; i++)
	{
		JsonbValue	from = json_text(old.values[i], old.nulls[i]);
		JsonbValue	to = json_text(cells.values[i], cells.nulls[i]);

		if (cells.nulls[i])
			continue;
		if (to.val.string.len == (int) strlen(CSV_CLEAR) && memcmp(to.val.string.val, CSV_CLEAR, strlen(CSV_CLEAR)) == 0)
			to.type = jbvNull;
		if (is_same(&from, &to))
			continue;
		push_change(&state, names.values[i], &from, &to);
		changed = true;
	}
	if (!changed)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
