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

#include "ids.h"
#include "outbox.h"
#include "partition.h"
#include "remap.h"
#include "sale.h"
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

static int64
get_int8(int row, int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static int32
get_int4(int row, int column)
{
	bool		isnull;

	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static text *
get_text(int row, int column)
{
	bool		isnull;

	return DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

static TimestampTz
get_time(int row, int column)
{
	return (TimestampTz) get_int8(row, column);
}

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
	step->sku_id = get_int8(0, 1);
	step->pack = get_int4(0, 2);
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

/* ---------------------------------------------------------------- stock */

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

/*
 * make_places makes the places where the new SKU, or what it is made of, was
 * in truth when the old one was sent or came back.
 */
static void
make_places(const Step *step, int norders, const int64 *order_ids, const IdList *skus, TimestampTz since)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[4];

	values[0] = Int64GetDatum(step->sku_id);
	values[1] = ss_int8_array(norders, order_ids);
	values[2] = ss_int8_array(skus->n, skus->ids);
	values[3] = TimestampTzGetDatum(since);
	ss_execute(&plan,
			   "INSERT INTO storesync.stock_lock (sku_id, location_id) SELECT n.sku_id, p.location_id "
			   "FROM (SELECT k.sku_id FROM storesync.sku k WHERE k.sku_id = $1 AND NOT k.bundle "
			   "      UNION SELECT c.sku_id FROM storesync.component c JOIN storesync.sku k ON k.sku_id = c.bundle_id "
			   "      WHERE c.bundle_id = $1 AND k.bundle AND c.qty > 0) n "
			   "CROSS JOIN (SELECT DISTINCT m.location_id FROM storesync.remap_moved($2, ARRAY(SELECT unnest($3) "
			   "      UNION SELECT c.sku_id FROM storesync.component c WHERE c.bundle_id = ANY ($3)), $4) m) p "
			   "WHERE NOT EXISTS (SELECT FROM storesync.stock_lock x WHERE x.sku_id = n.sku_id AND x.location_id = p.location_id) "
			   "ORDER BY 1, 2 ON CONFLICT DO NOTHING",
			   SPI_OK_INSERT, 4, types, values, NULL, 0);
}

/* hold_skus lists the SKUs of the places of a hold, as an array. */
static Datum
hold_skus(const StockHold *hold)
{
	IdList		list = {0, 64, palloc(sizeof(int64) * 64)};

	for (int i = 0; i < hold->nplaces; i++)
		if (i == 0 || hold->places[i].sku_id != hold->places[i - 1].sku_id)
			ids_add(&list, hold->places[i].sku_id);
	return ss_int8_array(list.n, list.ids);
}

/* load_moves reads what the lines of the orders have sent and taken back, sorted by order and line. */
static RemapMove *
load_moves(int norders, const int64 *order_ids, Datum skus, TimestampTz since, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {ss_int8_array(norders, order_ids), skus, TimestampTzGetDatum(since)};
	RemapMove  *moves;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT m.order_id, m.line_id, m.sku_id, m.location_id, m.back, m.moment, m.units "
			   "FROM storesync.remap_moved($1, $2, $3) m "
			   "ORDER BY m.order_id, m.line_id COLLATE \"C\", m.back, m.moment, m.sku_id, m.location_id",
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	*n = (int) SPI_processed;
	moves = palloc(sizeof(RemapMove) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		moves[i] = (RemapMove) {
			get_int8(i, 1), get_text(i, 2), get_int8(i, 3), get_int4(i, 4),
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 5, &isnull)),
			get_time(i, 6), get_int8(i, 7)
		};
	SPI_freetuptable(SPI_tuptable);
	return moves;
}

static void
load_counts(RemapTo *to, Datum skus, TimestampTz since)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {skus, TimestampTzGetDatum(since)};

	ss_execute(&plan, "SELECT c.sku_id, c.location_id, c.moment FROM storesync.remap_counted($1, $2) c",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	to->ncounts = (int) SPI_processed;
	to->counts = palloc(sizeof(RemapCount) * Max(to->ncounts, 1));
	for (int i = 0; i < to->ncounts; i++)
		to->counts[i] = (RemapCount) {get_int8(i, 1), get_int4(i, 2), get_time(i, 3)};
	SPI_freetuptable(SPI_tuptable);
}

/* moves_of returns the first of a line's moves, *n says how many follow each other. */
static const RemapMove *
moves_of(const RemapMove *moves, int nmoves, const LoneLine *lone, int *n)
{
	int			low = 0;
	int			high = nmoves;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const RemapMove *m = &moves[middle];

		if (m->order_id < lone->order_id ||
			(m->order_id == lone->order_id && ss_text_compare(m->line_id, lone->line.line_id) < 0))
			low = middle + 1;
		else
			high = middle;
	}
	*n = 0;
	while (low + *n < nmoves && moves[low + *n].order_id == lone->order_id &&
		   ss_text_compare(moves[low + *n].line_id, lone->line.line_id) == 0)
		(*n)++;
	return &moves[low];
}

/* ---------------------------------------------------------------- writing */

/* A set that names lines, with what else is to be written of them. */
static SsSet *
name_lines(const LoneLine *lones, int n)
{
	static const Oid types[] = {INT8OID, TIMESTAMPTZOID, TEXTOID, INT8OID, INT4OID};
	SsSet	   *set = set_create(lengthof(types), types, n);

	for (int i = 0; i < n; i++)
	{
		set_add_row(set);
		set_put(set, 0, Int64GetDatum(lones[i].order_id));
		set_put(set, 1, TimestampTzGetDatum(lones[i].order_recorded_at));
		set_put_pointer(set, 2, lones[i].line.line_id);
		set_put(set, 3, Int64GetDatum(lones[i].line.sku_id));
		set_put(set, 4, Int32GetDatum(lones[i].line.pack));
	}
	return set;
}

#define NAMED "FROM unnest($1, $2, $3, $4, $5) WITH ORDINALITY AS u (order_id, recorded_at, line_id, sku_id, pack, turn) "

/* load_sales reads what the lines count for in the roll-ups, in their order. */
static void
load_sales(SsSet *lines, SaleMove *moves, bool before)
{
	static SPIPlanPtr plan = NULL;

	set_execute(&plan,
				"SELECT coalesce(CASE WHEN s.units > 0 THEN s.sku_id END, 0), s.sold, s.amount " NAMED
				"JOIN storesync.line_sale s ON s.order_id = u.order_id AND s.recorded_at = u.recorded_at AND s.line_id = u.line_id "
				"ORDER BY u.turn",
				SPI_OK_SELECT, lines);
	for (int i = 0; i < (int) SPI_processed; i++)
		*(before ? &moves[i].before : &moves[i].now) = (SaleLine) {get_int8(i, 1), get_int8(i, 2), get_int8(i, 3)};
	SPI_freetuptable(SPI_tuptable);
}

/* write_mapping says on the lines what they sell; a warning that the document names another SKU is put right. */
static void
write_mapping(SsSet *lines)
{
	static SPIPlanPtr line_plan = NULL;
	static SPIPlanPtr search_plan = NULL;

	set_execute(&line_plan,
				"UPDATE storesync.sales_order_line l SET sku_id = u.sku_id, pack = u.pack, "
				"reason = CASE WHEN l.item_id IS NOT NULL AND l.sku_code <> k.code AND l.state <> 'kept' THEN "
				"  format('mapping warning: document says SKU \"%s\", listing has \"%s\"', l.sku_code, k.code) END "
				NAMED "JOIN storesync.sku k ON k.sku_id = u.sku_id "
				"WHERE l.order_id = u.order_id AND l.recorded_at = u.recorded_at AND l.line_id = u.line_id",
				SPI_OK_UPDATE, lines);
	/* searches find these orders by another SKU */
	set_execute(&search_plan, "INSERT INTO storesync.search_changed (order_id) SELECT DISTINCT u.order_id " NAMED,
				SPI_OK_INSERT, lines);
}

static void
write_audit(const Step *step)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT8OID, INT4OID, INT4OID, TEXTARRAYOID};
	Datum		values[] = {
		step->values[0], step->values[1], step->values[2], Int32GetDatum(step->nlines), step->to_count
	};

	ss_execute(&plan,
			   "INSERT INTO storesync.audit (action, subject, after) SELECT 'remap', concat('listing ', $1), "
			   "jsonb_build_object('sku_id', $2, 'pack', $3, 'lines', $4, 'to_count', to_jsonb($5))",
			   SPI_OK_INSERT, 5, types, values, NULL, 0);
}

/* name_places names places as findings do. */
static Datum
name_places(const RemapTo *to)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum	   *names = palloc(sizeof(Datum) * Max(to->ntold, 1));

	for (int i = 0; i < to->ntold; i++)
	{
		Datum		values[] = {Int64GetDatum(to->told[i]->sku_id), Int32GetDatum(to->told[i]->location_id)};

		ss_execute(&plan, "SELECT storesync.place_name($1, $2)", SPI_OK_SELECT, 2, types, values, NULL, 1);
		names[i] = PointerGetDatum(get_text(0, 1));
		SPI_freetuptable(SPI_tuptable);
	}
	return PointerGetDatum(construct_array(names, to->ntold, TEXTOID, -1, false, TYPALIGN_INT));
}

/* write_all writes the lines as they stand now, and tells whoever follows them. */
static void
write_all(Step *step, RemapTo *to, LoneLine *lones, int n, SaleMove *sales)
{
	SsSet	   *lines = name_lines(lones, n);

	load_sales(lines, sales, true);
	write_mapping(lines);
	order_line_write(to->journal, lones, n, REMAP_REASON);
	load_sales(lines, sales, false);
	outbox_append_sale(0, NULL, NULL, sale_moved(sales, n));
	order_line_finish(to->journal, to->hold);
	step->nlines = n;
	step->to_count = name_places(to);
	write_audit(step);
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
	Datum		held;
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
	make_places(step, norders, order_ids, &skus, since);
	order_line_lock_stock(norders, order_ids, skus.n, skus.ids, &hold);
	stock_journal_start(&journal);
	held = hold_skus(&hold);
	moves = load_moves(norders, order_ids, held, since, &nmoves);
	load_counts(&to, held, since);
	sales = palloc0(sizeof(SaleMove) * n);
	for (int i = 0; i < n; i++)
	{
		const RemapMove *own;
		int			nown;

		CHECK_FOR_INTERRUPTS();
		sales[i].order_id = lones[i].order_id;
		sales[i].store_id = lones[i].store.store_id;
		sales[i].create_time = lones[i].create_time;
		own = moves_of(moves, nmoves, &lones[i], &nown);
		remap_line(&to, &lones[i], own, nown);
	}
	write_all(step, &to, lones, n, sales);
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
