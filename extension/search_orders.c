/*
 * search_orders.c
 *		search_orders(): orders by a fragment of their number, their buyer, or
 *		the SKUs in their lines (docs/search.md).
 *
 * Newest first: the orders that are in no run yet are looked through, then run
 * after run, each asked which of its orders may have the fragment. What may is
 * read and checked in batches, until there are enough. All of it sees what the
 * statement around the call sees, so runs, what was changed since they were
 * made, and orders agree. Nothing is written or locked: it works on a standby.
 *
 * A caller who may not read sales_order.buyer is neither shown buyers nor
 * told by what is found that one matches.
 */
#include "storesync.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "ids.h"
#include "search_run.h"
#include "set.h"

PG_FUNCTION_INFO_V1(search_orders);

/* Candidates read at once: few at first, most of which often match. */
#define FIRST_BATCH		64
#define LARGEST_BATCH	4096
/* Lines read at once from those of orders in no run. */
#define LINES_AT_ONCE	1024

typedef struct Search
{
	MemoryContext context;		/* of the call */
	SearchText	fragment;
	Datum		value;			/* it, as text */
	Datum		grams;			/* of it, int[] */
	bool		buyers;			/* the caller may read them */
	int			left;			/* rows still wanted */
	int64		through;		/* orders below are in runs */
	SearchPosting *skus;		/* that may match, sorted */
	int			nskus;
	IdList		extra;			/* orders to be looked at whatever runs say, rising; those above the run at hand are done */
	int64	   *batch;			/* candidates, falling */
	bool	   *by_line;		/* whether each may match by a line */
	int			n;
	int			capacity;
	ReturnSetInfo *result;
} Search;

/* may_read_buyers says whether a role may read sales_order.buyer by itself. */
static bool
may_read_buyers(Oid role)
{
	Oid			orders = get_relname_relid("sales_order", get_namespace_oid("storesync", false));

	return pg_class_aclcheck(orders, role, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(orders, get_attnum(orders, "buyer"), role, ACL_SELECT) == ACLCHECK_OK;
}

/* ---------------------------------------------------------------- candidates checked */

/* check reads the batch, and answers with what matches. */
static void
check(Search *search)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8ARRAYOID, BOOLARRAYOID, TEXTOID, BOOLOID};
	Datum	   *flags;
	Datum		values[4];

	if (search->n == 0)
		return;
	flags = palloc(sizeof(Datum) * search->n);
	for (int i = 0; i < search->n; i++)
		flags[i] = BoolGetDatum(search->by_line[i]);
	values[0] = ss_int8_array(search->n, search->batch);
	values[1] = PointerGetDatum(construct_array(flags, search->n, BOOLOID, 1, true, TYPALIGN_CHAR));
	values[2] = search->value;
	values[3] = BoolGetDatum(search->buyers);
	ss_look(&plan,
			"SELECT o.order_id, o.store_id, o.order_sn, o.status, o.create_time, CASE WHEN $4 THEN o.buyer END, m.field, m.matched "
			"FROM unnest($1, $2) WITH ORDINALITY AS u (order_id, by_line, n) "
			"JOIN storesync.sales_order o ON o.order_id = u.order_id "
			"CROSS JOIN LATERAL ("
			"  SELECT 'order_sn' AS field, o.order_sn AS matched WHERE storesync.search_contains(o.order_sn, $3) "
			"  UNION ALL SELECT 'buyer', o.buyer WHERE $4 AND storesync.search_contains(o.buyer, $3) "
			"  UNION ALL (SELECT x.field, x.matched FROM storesync.sales_order_line l "
			"    LEFT JOIN storesync.sku k ON k.sku_id = l.sku_id "
			"    CROSS JOIN LATERAL (VALUES (1, 'sku', coalesce(k.code, l.sku_code)), (2, 'product', k.name)) AS x (n, field, matched) "
			"    WHERE u.by_line AND l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			"      AND storesync.search_contains(x.matched, $3) ORDER BY l.line_id, x.n LIMIT 1) "
			"  LIMIT 1) m "
			"ORDER BY u.n",
			lengthof(types), types, values, NULL, (uint64) search->left);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(search->result->setResult, SPI_tuptable->vals[i]);
	search->left -= (int) SPI_processed;
	SPI_freetuptable(SPI_tuptable);
	search->n = 0;
	search->capacity = Min(search->capacity * 2, LARGEST_BATCH);
}

/* consider takes up a candidate; false: there are enough. */
static bool
consider(Search *search, int64 order_id, bool by_line)
{
	search->batch[search->n] = order_id;
	search->by_line[search->n++] = by_line;
	if (search->n == search->capacity)
		check(search);
	return search->left > 0;
}

/* ---------------------------------------------------------------- what is asked for */

/* find_skus notes the SKUs whose code or name may have the fragment. */
static void
find_skus(Search *search)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT4ARRAYOID};
	SearchPosting *room;

	ss_look(&plan, "SELECT k.sku_id FROM storesync.sku k WHERE storesync.search_grams(k.code, k.name) @> $1",
			lengthof(types), types, &search->grams, NULL, 0);
	search->nskus = (int) SPI_processed;
	search->skus = MemoryContextAllocHuge(search->context, sizeof(SearchPosting) * Max(search->nskus, 1));
	for (int i = 0; i < search->nskus; i++)
	{
		bool		isnull;

		search->skus[i] = search_sku_posting(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)), 0);
	}
	SPI_freetuptable(SPI_tuptable);
	room = MemoryContextAllocHuge(search->context, sizeof(SearchPosting) * Max(search->nskus, 1));
	search_sort(search->skus, room, (size_t) search->nskus);
	pfree(room);
}

/* find_extra notes orders that have changed since their run was made, and those with lines that have no SKU. */
static void
find_extra(Search *search)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {TEXTOID};

	ss_look(&plan,
			"SELECT c.order_id FROM storesync.search_changed c UNION ALL "
			"SELECT l.order_id FROM storesync.sales_order_line l "
			"WHERE l.state = 'parked' AND storesync.search_contains(l.sku_code, $1)",
			lengthof(types), types, &search->value, NULL, 0);
	search->extra.capacity = 16;
	search->extra.ids = palloc(sizeof(int64) * search->extra.capacity);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		ids_add(&search->extra, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	ids_sort(&search->extra);
	SPI_freetuptable(SPI_tuptable);
}

static void
find_through(Search *search)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;

	ss_look(&plan, "SELECT p.through FROM storesync.search_progress p", 0, NULL, NULL, NULL, 1);
	if (SPI_processed > 0)
		search->through = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* ---------------------------------------------------------------- orders in no run */

/* add_ids adds what the statement just executed has found. */
static void
add_ids(IdList *list)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		ids_add(list, DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
}

static bool
has_sku(const Search *search, int64 sku_id)
{
	SearchPosting wanted = search_sku_posting(sku_id, 0);
	int			low = 0;
	int			high = search->nskus;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (search->skus[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low < search->nskus && search->skus[low] == wanted;
}

/* recent_lines adds the newest orders in no run that have lines of the SKUs, no more than are wanted. */
static void
recent_lines(Search *search, IdList *list)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[] = {Int64GetDatum(search->through)};
	int			wanted = list->n + search->left;
	Portal		portal;

	if (search->nskus == 0)
		return;
	if (plan == NULL)
		ss_keep_plan(&plan,
					 "SELECT l.order_id, l.sku_id FROM storesync.sales_order_line l "
					 "WHERE l.order_id >= $1 AND l.sku_id IS NOT NULL ORDER BY l.order_id DESC",
					 1, (Oid[]) {INT8OID});
	portal = SPI_cursor_open(NULL, plan, values, NULL, true);
	do
	{
		SPI_cursor_fetch(portal, true, LINES_AT_ONCE);
		for (uint64 i = 0; i < SPI_processed && list->n < wanted; i++)
		{
			HeapTuple	row = SPI_tuptable->vals[i];
			bool		isnull;
			int64		order_id = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));

			if (has_sku(search, DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull))) &&
				(list->n == 0 || list->ids[list->n - 1] != order_id))
				ids_add(list, order_id);
		}
		SPI_freetuptable(SPI_tuptable);
	} while (SPI_processed == LINES_AT_ONCE && list->n < wanted);
	SPI_cursor_close(portal);
}

/* look_recent considers orders in no run: those that match, and all extra ones. */
static void
look_recent(Search *search)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[] = {INT8OID, TEXTOID, BOOLOID};
	Datum		values[] = {Int64GetDatum(search->through), search->value, BoolGetDatum(search->buyers)};
	IdList		list = {.capacity = 64, .ids = palloc(sizeof(int64) * 64)};

	ss_look(&plan,
			"SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id >= $1 AND (storesync.search_contains(o.order_sn, $2) "
			"OR ($3 AND storesync.search_contains(o.buyer, $2))) ORDER BY o.order_id DESC",
			lengthof(types), types, values, NULL, (uint64) search->left);
	add_ids(&list);
	recent_lines(search, &list);
	while (search->extra.n > 0 && search->extra.ids[search->extra.n - 1] >= search->through)
		ids_add(&list, search->extra.ids[--search->extra.n]);
	ids_sort(&list);
	for (int i = list.n - 1; i >= 0; i--)
		if (!consider(search, list.ids[i], true))
			return;
}

/* ---------------------------------------------------------------- runs */

static void
note(uint64_t *set, int64 ordinal)
{
	set[ordinal / 64] |= UINT64CONST(1) << (ordinal % 64);
}

static bool
is_noted(const uint64_t *set, int ordinal)
{
	return (set[ordinal / 64] >> (ordinal % 64) & 1) != 0;
}

/* look_run considers the orders of a run, `from` the id of its ordinal 0; false: there are enough. */
static bool
look_run(Search *search, int64 from, Datum lists)
{
	uint64_t	text[SEARCH_WORDS] = {0};
	uint64_t	lines[SEARCH_WORDS] = {0};

	search_run_text(lists, &search->fragment, text);
	search_run_skus(lists, search->skus, search->nskus, lines);
	for (; search->extra.n > 0 && search->extra.ids[search->extra.n - 1] >= from; search->extra.n--)
		if (search->extra.ids[search->extra.n - 1] < from + SEARCH_RUN)
			note(lines, search->extra.ids[search->extra.n - 1] - from);
	for (int word = SEARCH_WORDS - 1; word >= 0; word--)
	{
		if ((text[word] | lines[word]) == 0)
			continue;
		for (int ordinal = word * 64 + 63; ordinal >= word * 64; ordinal--)
			if ((is_noted(text, ordinal) || is_noted(lines, ordinal)) &&
				!consider(search, from + ordinal, is_noted(lines, ordinal)))
				return false;
	}
	return true;
}

/* look_runs considers all runs, the newest first. */
static void
look_runs(Search *search)
{
	static SPIPlanPtr plan = NULL;
	SPITupleTable *runs;
	uint64		n;
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "run of orders", ALLOCSET_DEFAULT_SIZES);
	bool		more = true;

	ss_look(&plan, "SELECT r.from_id, r.lists FROM storesync.search_run r ORDER BY r.from_id DESC", 0, NULL, NULL, NULL, 0);
	runs = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n && more; i++)
	{
		bool		isnull;
		int64		from = DatumGetInt64(SPI_getbinval(runs->vals[i], runs->tupdesc, 1, &isnull));
		Datum		lists = SPI_getbinval(runs->vals[i], runs->tupdesc, 2, &isnull);
		MemoryContext caller = MemoryContextSwitchTo(scratch);

		more = look_run(search, from, lists);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(runs);
}

/* ---------------------------------------------------------------- the call */

static void
find(Search *search)
{
	search->capacity = FIRST_BATCH;
	search->batch = palloc(sizeof(int64) * LARGEST_BATCH);
	search->by_line = palloc(sizeof(bool) * LARGEST_BATCH);
	find_through(search);
	find_skus(search);
	find_extra(search);
	look_recent(search);
	if (search->left > 0)
		look_runs(search);
	if (search->left > 0)
		check(search);
}

/* search_orders(fragment text, max int) -> rows, the newest orders first */
Datum
search_orders(PG_FUNCTION_ARGS)
{
	Search		search = {.context = CurrentMemoryContext};
	SsSession	session;

	search_fragment(&search.fragment, PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("max must not be null")));
	search.left = PG_GETARG_INT32(1);
	search_check_max(search.left);
	search.value = PointerGetDatum(PG_GETARG_TEXT_PP(0));
	search.grams = search_fragment_grams(&search.fragment);
	search.buyers = may_read_buyers(GetUserId());
	InitMaterializedSRF(fcinfo, 0);
	search.result = (ReturnSetInfo *) fcinfo->resultinfo;
	ss_enter(&session, "storesync.search_orders()", false);
	ss_plan_by_index();
	find(&search);
	ss_leave(&session);
	return (Datum) 0;
}
