/*
 * search_gram.c
 *		Text as searches see it, in SQL: its grams for an index, what a
 *		fragment asks of them, and whether a text has a fragment (search.h).
 *
 * All of it depends on nothing but its arguments and the encoding of the
 * database, so that indexes may be built on it: no locale, no setting.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "search.h"

PG_FUNCTION_INFO_V1(search_grams);
PG_FUNCTION_INFO_V1(search_query);
PG_FUNCTION_INFO_V1(search_contains);

static void
fold_bytes(SearchText *folded, const char *bytes, int length)
{
	const char *utf8 = bytes;

	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		utf8 = pg_server_to_any(bytes, length, PG_UTF8);
	if (utf8 != bytes)
		length = (int) strlen(utf8);
	folded->characters = folded->room;
	if (length > (int) lengthof(folded->room))
		folded->characters = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32_t) * (Size) length);
	folded->n = search_fold(utf8, (size_t) length, folded->characters);
}

void
search_text(SearchText *folded, const text *value)
{
	fold_bytes(folded, VARDATA_ANY(value), (int) VARSIZE_ANY_EXHDR(value));
}

void
search_fragment(SearchText *folded, const text *value)
{
	int			n;

	if (value == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("fragment must not be null")));
	if (VARSIZE_ANY_EXHDR(value) > SS_MAX_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fragment is too long"),
				 errdetail("It has %zu bytes; up to %d are allowed.", VARSIZE_ANY_EXHDR(value), SS_MAX_TEXT)));
	search_text(folded, value);
	while (folded->n > 0 && folded->characters[folded->n - 1] == ' ')
		folded->n--;
	for (n = 0; n < folded->n && folded->characters[n] == ' ';)
		n++;
	folded->characters += n;
	folded->n -= n;
	if (folded->n < SEARCH_LEAST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fragment is too short"),
				 errdetail("It has %d characters; at least %d are needed, spaces at either end not counted.",
						   folded->n, SEARCH_LEAST)));
}

void
search_check_max(int32 max)
{
	if (max < 1 || max > SEARCH_MOST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max %d is out of range", max),
				 errdetail("It lies between 1 and %d.", SEARCH_MOST)));
}

static Datum
int4_array(const int32 *values, int n)
{
	ArrayType  *array;
	Size		bytes = ARR_OVERHEAD_NONULLS(1) + sizeof(int32) * (Size) n;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(INT4OID));
	array = palloc(bytes);
	SET_VARSIZE(array, bytes);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = INT4OID;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), values, sizeof(int32) * (Size) n);
	return PointerGetDatum(array);
}

Datum
search_fragment_grams(const SearchText *fragment)
{
	int32	   *grams = palloc(sizeof(int32) * (Size) fragment->n);

	return int4_array(grams, search_hash_fragment(fragment->characters, fragment->n, grams));
}

/* search_grams(VARIADIC texts text[]) -> int[]: grams of all of them. */
Datum
search_grams(PG_FUNCTION_ARGS)
{
	Datum	   *texts;
	bool	   *nulls;
	int			n;
	int			made = 0;
	Size		capacity = 0;
	int32	   *grams;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	/* a character has a byte at least, in UTF-8 up to three for each byte of other encodings */
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			capacity += 2 * MAX_CONVERSION_GROWTH * VARSIZE_ANY_EXHDR(DatumGetPointer(texts[i]));
	grams = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(capacity, 1));
	for (int i = 0; i < n; i++)
	{
		SearchText	folded;

		if (nulls[i])
			continue;
		search_text(&folded, DatumGetTextPP(texts[i]));
		made += search_hash_all(folded.characters, folded.n, grams + made);
	}
	PG_RETURN_DATUM(int4_array(grams, made));
}

/* search_query(fragment text, max int) -> int[]: what search_grams() of a text with it contains; checks both. */
Datum
search_query(PG_FUNCTION_ARGS)
{
	SearchText	fragment;

	search_fragment(&fragment, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("max must not be null")));
	search_check_max(PG_GETARG_INT32(1));
	PG_RETURN_DATUM(search_fragment_grams(&fragment));
}

/* search_contains(value text, fragment text) -> boolean */
Datum
search_contains(PG_FUNCTION_ARGS)
{
	SearchText	value;
	SearchText	fragment;

	search_text(&value, PG_GETARG_TEXT_PP(0));
	search_fragment(&fragment, PG_GETARG_TEXT_PP(1));
	PG_RETURN_BOOL(search_is_part(value.characters, value.n, fragment.characters, fragment.n));
}
