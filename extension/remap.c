/*
 * remap.c
 *		remap_step(): a listing mapped anew, and the lines of orders that came
 *		through it booked on what it should have been (docs/remap.md).
 *
 * What is still to be done is seen from the lines: those that bear something
 * else than the listing does. So a step may fail, or be the last for a year, and
 * the next goes on. The listing is mapped in a transaction of its own: from
 * then on orders come in right, and only who had looked it up before may still
 * book the old mapping. Whoever does has an order locked or made; the step that
 * finds nothing waits for these transactions and looks again.
 *
 * Locking: the lines' orders, sorted, then all places of the old SKUs and the
 * new one (order_line.h). Nothing is held while others are waited for.
 */
#include "storesync.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "partition.h"
#include "remap_step.h"
#include "set.h"

PG_FUNCTION_INFO_V1(remap_step);

enum
{
	ARG_LISTING, ARG_SKU, ARG_PACK, ARG_SINCE, ARG_MOST
};

/* Lines that a step takes at most. */
#define MOST_LINES	1000

/* Parameters $1 to $4 of remap_lines(). */
#define LINES_PARAMETERS	4

/* What has left was there; the rest gets what there is as shortages are filled. */
#define NEXT_FIRST \
	"ORDER BY l.shipped = 0 AND l.status NOT IN ('shipped', 'completed', 'returned'), l.status = 'unpaid', " \
	"l.ordered_at, l.order_id, l.line_id COLLATE \"C\""

typedef struct Step
{
	int64		listing_id;
	int64		sku_id;
	int32		pack;
	int32		most;
	Oid			types[LINES_PARAMETERS + 1];
	Datum		values[LINES_PARAMETERS + 1];
	char		nulls[LINES_PARAMETERS + 1];
	int			nlines;			/* booked anew */
	Datum		to_count;
} Step;

/* ---------------------------------------------------------------- what is to be done */

/* find_target resolves what the listing is to be mapped to. Raises SS_ERR_UNKNOWN_SKU, _UNKNOWN_LISTING, _BAD_QUANTITY. */
static void
find_target(FunctionCallInfo fcinfo, Step *step)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID, INT4OID};
	Datum		values[3];
	char		nulls[3];

	for (int i = 0; i < 3; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	ss_execute(&plan, "SELECT t.sku_id, t.units FROM storesync.remap_target($1, $2, $3) t",
			   SPI_OK_SELECT, 3, types, values, nulls, 1);
	step->listing_id = PG_GETARG_INT64(ARG_LISTING);
	step->sku_id = remap_int8(0, 1);
	step->pack = remap_int4(0, 2);
	SPI_freetuptable(SPI_tuptable);
	step->types[0] = step->types[1] = INT8OID;
	step->types[2] = INT4OID;
	step->types[3] = TIMESTAMPTZOID;
	step->values[0] = Int64GetDatum(step->listing_id);
	step->values[1] = Int64GetDatum(step->sku_id);
	step->values[2] = Int32GetDatum(step->pack);
	step->values[3] = PG_ARGISNULL(ARG_SINCE) ? (Datum) 0 : PG_GETARG_DATUM(ARG_SINCE);
	memset(step->nulls, ' ', sizeof(step->nulls));
	step->nulls[3] = PG_ARGISNULL(ARG_SINCE) ? 'n' : ' ';
}

/* map maps the listing; false when it was. Triggers audit it, and tell the dispatcher. */
static bool
map(Step *step)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT8OID, INT4OID};

	ss_execute(&plan,
			   "UPDATE storesync.listing l SET sku_id = $2, pack = $3 "
			   "WHERE l.listing_id = $1 AND (l.sku_id <> $2 OR l.pack <> $3)",
			   SPI_OK_UPDATE, 3, types, step->values, NULL, 0);
	return SPI_processed > 0;
}

/* find_orders finds the orders of the next lines. */
static int
find_orders(Step *step, int64 **order_ids)
{
	static SPIPlanPtr plan = NULL;
	int			n;

	ss_execute(&plan,
			   "SELECT r.order_id FROM storesync.remap_lines($1, $2, $3, $4) r "
			   "JOIN storesync.sales_order_line l ON l.order_id = r.order_id AND l.recorded_at = r.recorded_at "
			   "                                 AND l.line_id = r.line_id "
			   NEXT_FIRST,
			   SPI_OK_SELECT, LINES_PARAMETERS, step->types, step->values, step->nulls, step->most);
	*order_ids = ss_read_ids(&n);
	return n;
}

/* load_lines reads the lines of locked orders that are to be booked anew, in the order in which they get stock. */
static LoneLine *
load_lines(Step *step, int norders, const int64 *order_ids, int *n)
{
	static SPIPlanPtr plan = NULL;

	step->types[LINES_PARAMETERS] = INT8ARRAYOID;
	step->values[LINES_PARAMETERS] = ss_int8_array(norders, order_ids);
	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "JOIN storesync.remap_lines($1, $2, $3, $4, $5) r ON r.order_id = l.order_id AND r.recorded_at = l.recorded_at "
			   "                                                AND r.line_id = l.line_id "
			   NEXT_FIRST,
			   SPI_OK_SELECT, LINES_PARAMETERS + 1, step->types, step->values, step->nulls, 0);
	return order_line_read(n);
}

/* skus_of lists the SKUs that the lines were booked on, and the new one, without repeats. */
static IdList
skus_of(const Step *step, const LoneLine *lones, int n)
{
	IdList		list = {0, 64, palloc(sizeof(int64) * 64)};

	ids_add(&list, step->sku_id);
	for (int i = 0; i < n; i++)
		ids_add(&list, lones[i].line.sku_id);
	ids_sort(&list);
	return list;
}

/* ---------------------------------------------------------------- a step */

/* rebook books lines of some orders anew; they have been found, and are locked here. */
static void
rebook(Step *step, int norders, int64 *order_ids)
{
	StockJournal journal;
	StockHold	hold;
	RemapTo		to = {.sku_id = step->sku_id, .pack = step->pack, .journal = &journal, .hold = &hold};
	LoneLine   *lones;
	SaleMove   *sales;
	RemapMove  *moves;
	IdList		skus;
	TimestampTz since;
	int			nmoves;
	int			n;

	norders = order_lock_orders(norders, order_ids);
	lones = load_lines(step, norders, order_ids, &n);
	if (n == 0)
		return;
	since = lones[0].order_recorded_at;
	for (int i = 1; i < n; i++)
		since = Min(since, lones[i].order_recorded_at);
	skus = skus_of(step, lones, n);
	remap_make_places(&to, norders, order_ids, &skus, since);
	order_line_lock_stock(norders, order_ids, skus.n, skus.ids, &hold);
	stock_journal_start(&journal);
	moves = remap_read_moves(&to, norders, order_ids, since, &nmoves);
	sales = palloc0(sizeof(SaleMove) * n);
	for (int i = 0; i < n; i++)
	{
		const RemapMove *own;
		int			nown;

		CHECK_FOR_INTERRUPTS();
		sales[i].order_id = lones[i].order_id;
		sales[i].store_id = lones[i].store.store_id;
		sales[i].create_time = lones[i].create_time;
		own = remap_moves_of(moves, nmoves, &lones[i], &nown);
		remap_line(&to, &lones[i], own, nown);
	}
	step->nlines = n;
	step->to_count = remap_write(&to, step->listing_id, lones, n, sales);
}

/* wait_for_bookings waits until those are over that may have looked the listing up before it was mapped anew. */
static void
wait_for_bookings(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, get_relname_relid("sales_order", LookupExplicitNamespace("storesync", false)));
	/* all who have locked or made a row of it */
	WaitForLockers(tag, ExclusiveLock, false);
}

/* do_step does what comes next, and returns what that was. */
static const char *
do_step(Step *step)
{
	int64	   *order_ids;
	int			n;

	if (map(step))
		return "mapped";
	n = find_orders(step, &order_ids);
	if (n == 0)
	{
		wait_for_bookings();
		n = find_orders(step, &order_ids);
	}
	if (n == 0)
		return "done";
	rebook(step, n, order_ids);
	return "booked";
}

/* remap_step(listing, sku, pack, since, most) */
Datum
remap_step(PG_FUNCTION_ARGS)
{
	Step		step = {.most = PG_ARGISNULL(ARG_MOST) ? 0 : PG_GETARG_INT32(ARG_MOST)};
	SsSession	session;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	HeapTupleHeader result;

	if (step.most < 1 || step.most > MOST_LINES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of lines must be between 1 and %d", MOST_LINES)));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("a listing is mapped anew under READ COMMITTED alone"),
				 errdetail("Orders that others book meanwhile have to be seen.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	ss_enter(&session, "storesync.remap_step()", true);
	ss_plan_by_index();
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	find_target(fcinfo, &step);
	step.to_count = PointerGetDatum(construct_empty_array(TEXTOID));
	values[0] = CStringGetTextDatum(do_step(&step));
	values[1] = Int32GetDatum(step.nlines);
	values[2] = step.to_count;
	result = SPI_returntuple(heap_form_tuple(desc, values, nulls), desc);
	ss_leave(&session);
	PG_RETURN_DATUM(HeapTupleHeaderGetDatum(result));
}
