/*
 * count_line.c
 *		Finds the order lines that a count concerns (count.h).
 *
 * No index leads from a place to the lines that hold units of it: it would
 * cost every order something for what happens when a count finds too little.
 * The ledger leads there, read backwards until all that is reserved is
 * accounted for.
 */
#include "storesync.h"

#include "catalog/pg_type.h"

#include "count.h"
#include "set.h"
#include "version.h"

/* Ledger rows looked through in one go. */
#define COUNT_STEP		5000

/* l holds, or is, something of SKU $1 at location $2: alone, or in its parts. */
#define LINE_HOLDS \
	"CASE WHEN l.parts IS NULL THEN l.sku_id = $1 AND l.location_id = $2 ELSE l.parts @> " \
	"jsonb_build_array(jsonb_build_object('sku_id', $1, 'location_id', $2)) END "

/*
 * l is of SKU $1 and not of what that was once made of: a line booked as a
 * bundle stays one when its SKU has become a plain one with stock of its own.
 */
#define LINE_IS_PLAIN \
	"l.sku_id = $1 AND (l.parts IS NULL OR l.parts @> jsonb_build_array(jsonb_build_object('sku_id', $1))) "

/* A line that holds units of the place. */
typedef struct Reserved
{
	int64		order_id;
	text	   *line_id;
	int64		units;
	bool		unpaid;
	TimestampTz ordered_at;
} Reserved;

static int
compare_lines(const void *a, const void *b)
{
	const Reserved *x = a;
	const Reserved *y = b;

	if (x->order_id != y->order_id)
		return x->order_id < y->order_id ? -1 : 1;
	return ss_text_compare(x->line_id, y->line_id);
}

/* compare_age sorts by who gives up first. */
static int
compare_age(const void *a, const void *b)
{
	const Reserved *x = a;
	const Reserved *y = b;

	if (x->unpaid != y->unpaid)
		return x->unpaid ? -1 : 1;
	if (x->ordered_at != y->ordered_at)
		return x->ordered_at > y->ordered_at ? -1 : 1;
	return compare_lines(y, x);
}

/* The lines of `source`, (order_id, line_id), that hold units of SKU $1 at location $2. */
#define RESERVED_SELECT(source) \
	"SELECT l.order_id, l.line_id, CASE WHEN l.parts IS NULL THEN l.reserved ELSE " \
	"  (SELECT coalesce(sum(p.reserved), 0)::bigint FROM jsonb_to_recordset(l.parts) " \
	"     AS p (sku_id bigint, location_id int, reserved bigint) " \
	"   WHERE p.sku_id = $1 AND p.location_id = $2) END, l.status = 'unpaid', l.ordered_at " \
	"FROM (" source ") r (order_id, line_id) " \
	"JOIN storesync.sales_order o ON o.order_id = r.order_id " \
	"JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at " \
	"                                 AND l.line_id = r.line_id " \
	"WHERE l.reserved > 0 AND " LINE_HOLDS

/* take_reserved adds the lines of the statement just executed. */
static int
take_reserved(Reserved **lines, int n)
{
	bool		isnull;

	if (SPI_processed > 0)
		*lines = *lines == NULL ? palloc(sizeof(Reserved) * SPI_processed) :
			repalloc_huge(*lines, sizeof(Reserved) * (n + SPI_processed));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		(*lines)[n++] = (Reserved) {
			DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull)),
			DatumGetTextPCopy(SPI_getbinval(tuple, desc, 2, &isnull)),
			DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull)),
			DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull)),
			DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &isnull))
		};
	}
	SPI_freetuptable(SPI_tuptable);
	return n;
}

/* read_step adds the lines that rows of the ledger up to `top` have reserved for and that still hold units. */
static int
read_step(const StockPlace *place, int64 top, Reserved **lines, int n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, INT8OID, INT8OID};
	Datum		values[4];

	values[0] = Int64GetDatum(place->sku_id);
	values[1] = Int32GetDatum(place->location_id);
	values[2] = Int64GetDatum(top - COUNT_STEP);
	values[3] = Int64GetDatum(top);
	ss_execute(&plan,
			   RESERVED_SELECT("SELECT DISTINCT g.order_id, g.reference FROM storesync.ledger g "
							   "WHERE g.sku_id = $1 AND g.location_id = $2 AND g.version > $3 AND g.version <= $4 "
							   "  AND g.kind = 'reserve' AND g.order_id IS NOT NULL"),
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	return take_reserved(lines, n);
}

/* read_old adds the few lines whose orders are open for so long that rows of the ledger have gone. */
static int
read_old(const StockPlace *place, Reserved **lines)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(place->sku_id), Int32GetDatum(place->location_id)};

	if (!ss_sql_has(SS_SQL_1_1))
		return 0;
	ss_execute(&plan,
			   RESERVED_SELECT("SELECT p.order_id, p.line_id FROM storesync.line_opening p WHERE p.reserved > 0"),
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	return take_reserved(lines, 0);
}

/* drop_repeats leaves each line once and sums their units up. */
static int
drop_repeats(Reserved *lines, int n, int64 *units)
{
	int			kept = 0;

	qsort(lines, n, sizeof(Reserved), compare_lines);
	*units = 0;
	for (int i = 0; i < n; i++)
	{
		if (kept > 0 && compare_lines(&lines[i], &lines[kept - 1]) == 0)
			continue;
		lines[kept++] = lines[i];
		*units += lines[i].units;
	}
	return kept;
}

/* reserved_by_lines: units of the place that order lines hold. */
static int64
reserved_by_lines(const StockPlace *place)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(place->sku_id), Int32GetDatum(place->location_id)};
	bool		isnull;
	int64		direct;

	ss_execute(&plan,
			   "SELECT coalesce(sum(r.qty), 0)::bigint FROM storesync.reservation r "
			   "WHERE r.sku_id = $1 AND r.location_id = $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	direct = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return place->reserved - direct;
}

int
count_find_reserved(const StockPlace *place, int64 units, int64 **order_ids)
{
	int64		all = reserved_by_lines(place);
	int64		found = 0;
	int64		taken = 0;
	Reserved   *lines = NULL;
	int			n = read_old(place, &lines);
	int			norders = 0;

	n = drop_repeats(lines, n, &found);
	for (int64 top = place->version; top > 0 && found < all; top -= COUNT_STEP)
	{
		CHECK_FOR_INTERRUPTS();
		n = read_step(place, top, &lines, n);
		n = drop_repeats(lines, n, &found);
	}
	if (n > 0)
		qsort(lines, n, sizeof(Reserved), compare_age);
	*order_ids = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n && taken < units; i++)
	{
		(*order_ids)[norders++] = lines[i].order_id;
		taken += lines[i].units;
	}
	return norders;
}

/* take_ids reads the order ids of the statement just executed. */
static int
take_ids(int64 *ids)
{
	int			n = (int) SPI_processed;
	bool		isnull;

	for (int i = 0; i < n; i++)
		ids[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return n;
}

#define LINE_IS_GONE \
	"l.short > 0 AND (l.shipped > 0 OR l.status IN ('shipped', 'completed', 'returned', 'cancelled')) "

int
count_find_gone(int64 sku_id, int32 location_id, int64 **order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};

	ss_execute(&plan,
			   "SELECT DISTINCT l.order_id FROM storesync.sales_order_line l "
			   "WHERE " LINE_IS_PLAIN "AND " LINE_IS_GONE
			   "AND (l.location_id = $2 OR l.location_id IS NULL)",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	*order_ids = palloc(sizeof(int64) * Max(SPI_processed, 1));
	return take_ids(*order_ids);
}

LoneLine *
count_load_reserved(const StockPlace *place, int norders, const int64 *order_ids, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, INT8ARRAYOID};
	Datum		values[3];

	values[0] = Int64GetDatum(place->sku_id);
	values[1] = Int32GetDatum(place->location_id);
	values[2] = ss_int8_array(norders, order_ids);
	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "WHERE o.order_id = ANY ($3) AND l.reserved > 0 AND " LINE_HOLDS
			   "ORDER BY l.status <> 'unpaid', l.ordered_at DESC, l.order_id DESC, l.line_id COLLATE \"C\" DESC",
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	return order_line_read(n);
}

LoneLine *
count_load_gone(const StockPlace *place, int norders, const int64 *order_ids,
				TimestampTz counted_at, bool before, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, INT8ARRAYOID, TIMESTAMPTZOID, BOOLOID, BOOLOID};
	Datum		values[6];

	values[0] = Int64GetDatum(place->sku_id);
	values[1] = Int32GetDatum(place->location_id);
	values[2] = ss_int8_array(norders, order_ids);
	values[3] = TimestampTzGetDatum(counted_at);
	values[4] = BoolGetDatum(before);
	values[5] = BoolGetDatum(place->sellable);
	ss_execute(&plan,
			   ORDER_LINE_SELECT
			   "WHERE o.order_id = ANY ($3) AND " LINE_IS_PLAIN "AND " LINE_IS_GONE
			   "  AND (l.location_id = $2 OR (l.location_id IS NULL AND $6)) "
			   /* had it left by then? As the newest row of the history until then says that names it */
			   "  AND (SELECT coalesce(bool_or(e ? 'shipped' OR s IN ('shipped', 'completed', 'returned') "
			   "            OR (s = 'cancelled' AND e ? 'short')), false) "
			   "       FROM storesync.order_history h CROSS JOIN LATERAL jsonb_array_elements(h.lines) AS e "
			   "       CROSS JOIN LATERAL coalesce(e ->> 'status', h.status::text) AS s "
			   "       WHERE h.order_id = o.order_id AND e ->> 'line_id' = l.line_id AND h.recorded_at = "
			   "         (SELECT max(g.recorded_at) FROM storesync.order_history g "
			   "          WHERE g.order_id = o.order_id AND g.recorded_at <= $4 "
			   "            AND g.lines @> jsonb_build_array(jsonb_build_object('line_id', l.line_id)))) = $5 "
			   "ORDER BY l.ordered_at, l.order_id, l.line_id COLLATE \"C\"",
			   SPI_OK_SELECT, 6, types, values, NULL, 0);
	return order_line_read(n);
}

int
count_lock_late(int n, int64 *order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, order_ids)};

	ss_execute(&plan,
			   "SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id = ANY ($1) "
			   "  AND NOT EXISTS (SELECT FROM storesync.sales_order_line l "
			   "       WHERE l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "         AND (l.short > 0 OR l.parts IS NOT NULL)) "
			   "FOR UPDATE OF o SKIP LOCKED",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	return take_ids(order_ids);
}
