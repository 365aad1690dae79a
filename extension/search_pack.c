/*
 * search_pack.c
 *		The aggregates search_pack() and search_merge(): what orders have, and
 *		what runs of them have, as the packed lists of one run (search_lists.h).
 *
 * Both gather postings in one growing array, which is sorted and packed at the
 * end: the most memory is some 40 bytes a posting, 60 MB for a full run.
 */
#include "storesync.h"

#include "utils/array.h"
#include "utils/memutils.h"

#include "search.h"

PG_FUNCTION_INFO_V1(search_pack_add);
PG_FUNCTION_INFO_V1(search_merge_add);
PG_FUNCTION_INFO_V1(search_pack_end);

#define FIRST_CAPACITY	1024

typedef struct Gathered
{
	SearchPosting *postings;
	size_t		n;
	size_t		capacity;
} Gathered;

/* gathered returns the aggregate's state, made by its first row. */
static Gathered *
gathered(FunctionCallInfo fcinfo)
{
	MemoryContext context;
	Gathered   *state;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "called outside of an aggregate");
	if (!PG_ARGISNULL(0))
		return (Gathered *) PG_GETARG_POINTER(0);
	state = MemoryContextAlloc(context, sizeof(Gathered));
	state->n = 0;
	state->capacity = FIRST_CAPACITY;
	state->postings = MemoryContextAllocHuge(context, sizeof(SearchPosting) * state->capacity);
	return state;
}

/* make_room returns where `more` postings can be put. */
static SearchPosting *
make_room(Gathered *state, size_t more)
{
	if (state->capacity - state->n < more)
	{
		state->capacity = Max(state->capacity * 2, state->n + more);
		state->postings = repalloc_huge(state->postings, sizeof(SearchPosting) * state->capacity);
	}
	return state->postings + state->n;
}

static void
check_ordinal(int32 ordinal)
{
	if (ordinal < 0 || ordinal >= SEARCH_RUN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ordinal %d is out of range", ordinal)));
}

static void
gather_text(Gathered *state, const text *value, int ordinal)
{
	SearchText	folded;
	SearchPosting *room;

	search_text(&folded, value);
	room = make_room(state, (size_t) folded.n);
	for (int i = 0; i + 1 < folded.n; i++, state->n++)
		*room++ = search_gram_posting(folded.characters, folded.n, i, ordinal);
}

/* search_pack_add(state, ordinal int, texts text[], sku bigint): what an order has; NULL for none. */
Datum
search_pack_add(PG_FUNCTION_ARGS)
{
	Gathered   *state = gathered(fcinfo);
	Datum	   *texts;
	bool	   *nulls;
	int			n = 0;
	int32		ordinal = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1);

	check_ordinal(ordinal);
	if (!PG_ARGISNULL(2))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			gather_text(state, DatumGetTextPP(texts[i]), ordinal);
	if (!PG_ARGISNULL(3))
	{
		*make_room(state, 1) = search_sku_posting(PG_GETARG_INT64(3), ordinal);
		state->n++;
	}
	PG_RETURN_POINTER(state);
}

/* search_merge_add(state, lists bytea, base int): a packed run, its ordinals raised by base. NULL is none. */
Datum
search_merge_add(PG_FUNCTION_ARGS)
{
	Gathered   *state = gathered(fcinfo);
	bytea	   *lists;
	size_t		length;
	int64		n;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_POINTER(state);
	check_ordinal(PG_GETARG_INT32(2));
	lists = PG_GETARG_BYTEA_PP(1);
	length = VARSIZE_ANY_EXHDR(lists);
	/* a posting takes a byte at least */
	n = search_unpack((const uint8_t *) VARDATA_ANY(lists), length, PG_GETARG_INT32(2), make_room(state, length), length);
	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lists of a run of orders are damaged")));
	state->n += (size_t) n;
	PG_FREE_IF_COPY(lists, 1);
	PG_RETURN_POINTER(state);
}

/* search_pack_end(state) -> bytea: NULL without a row. */
Datum
search_pack_end(PG_FUNCTION_ARGS)
{
	Gathered   *state = PG_ARGISNULL(0) ? NULL : (Gathered *) PG_GETARG_POINTER(0);
	MemoryContext context = CurrentMemoryContext;
	SearchPosting *room;
	uint8_t    *packed;
	size_t		length;
	bytea	   *result;

	if (state == NULL)
		PG_RETURN_NULL();
	room = MemoryContextAllocHuge(context, sizeof(SearchPosting) * Max(state->n, 1));
	search_sort(state->postings, room, state->n);
	pfree(room);
	packed = MemoryContextAllocHuge(context, search_pack_bound(state->n));
	length = search_pack(state->postings, state->n, packed);
	result = palloc(VARHDRSZ + length);
	SET_VARSIZE(result, VARHDRSZ + length);
	memcpy(VARDATA(result), packed, length);
	pfree(packed);
	PG_RETURN_BYTEA_P(result);
}
