/*
 * order_again.c
 *		Books the newest document of an order once more (order_again.h), and
 *		what that is for here: parked lines that have a listing or a SKU by
 *		now are taken up.
 *
 * The document is put together from the order and all its lines, which say
 * everything that booking looks at. With its old times it is neither newer
 * nor stale: what is as it should be stays as it is.
 *
 * Locking: the orders, sorted by store and number, then all stock of all
 * their lines; ingest_orders finds both locked by its own transaction. That
 * order is not the one of booking: stock goes to paid orders first, then to
 * the oldest, whatever their store.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "order_again.h"
#include "order_line.h"
#include "outbox.h"
#include "partition.h"
#include "set.h"

PG_FUNCTION_INFO_V1(take_up_parked);
PG_FUNCTION_INFO_V1(take_up_listings);
PG_FUNCTION_INFO_V1(take_up_sku);

/* Parked lines that a change of the catalogue takes up at once. */
#define TAKE_UP_AT_ONCE		1000

void
order_again_lock_stock(int norders, const int64 *order_ids, int nskus, const int64 *sku_ids, StockHold *hold)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(norders, order_ids), ss_int8_array(nskus, sku_ids)};
	int64	   *ids;
	int			n;

	ss_execute(&plan,
			   "SELECT u.id FROM unnest($2) AS u (id) "
			   "UNION SELECT x.id FROM (SELECT coalesce(l.sku_id, m.sku_id, k.sku_id) AS id "
			   "  FROM storesync.sales_order o "
			   "  JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "  LEFT JOIN storesync.listing m ON l.sku_id IS NULL AND m.store_id = l.store_id "
			   "                               AND m.item_id = l.item_id AND m.model_id = l.model_id "
			   "  LEFT JOIN storesync.sku k ON l.sku_id IS NULL AND l.item_id IS NULL AND k.code = l.sku_code "
			   "  WHERE o.order_id = ANY ($1)) x WHERE x.id IS NOT NULL ORDER BY 1",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	ids = ss_read_ids(&n);
	stock_lock_skus(n, ids, hold);
}

/* book_store hands documents of one store in. */
static void
book_store(Datum store, Datum documents)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, JSONBOID};
	Datum		values[] = {store, documents};

	ss_execute(&plan, "SELECT count(*) FROM storesync.ingest_orders($1, $2)",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * order_again hands the documents in paid orders first, then the oldest, as
 * filling does: who is booked first gets the last unit. An order is as paid as
 * the best of its lines that have something to get. The stores' orders are
 * mixed: each run of one store in that order is a page of its own.
 */
void
order_again(int norders, const int64 *order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(norders, order_ids)};
	Datum	   *stores;
	Datum	   *documents;
	bool		isnull;
	int			n;

	ss_execute(&plan,
			   "SELECT d.store_id, jsonb_agg(d.document ORDER BY d.turn) "
			   "FROM (SELECT o.store_id, jsonb_build_object('order_sn', o.order_sn, 'status', o.status, "
			   "    'create_time', o.create_time, 'update_time', o.update_time, 'fetched_at', o.fetched_at, "
			   "    'lines', x.lines) AS document, row_number() OVER every AS turn, "
			   "    row_number() OVER every - row_number() OVER own AS run "
			   "  FROM storesync.sales_order o CROSS JOIN LATERAL "
			   "    (SELECT jsonb_agg(jsonb_build_object('line_id', l.line_id, 'item_id', l.item_id, "
			   "       'model_id', l.model_id, 'sku', l.sku_code, 'qty', l.qty, 'cancelled_qty', l.cancelled_qty, "
			   "       'returned_qty', l.returned_qty, 'status', l.status) ORDER BY l.line_id COLLATE \"C\") AS lines, "
			   "       coalesce(bool_and(l.status = 'unpaid') FILTER (WHERE l.state IN ('parked', 'short')), true) AS unpaid "
			   "     FROM storesync.sales_order_line l "
			   "     WHERE l.order_id = o.order_id AND l.recorded_at = o.recorded_at) x "
			   "  WHERE o.order_id = ANY ($1) "
			   "  WINDOW every AS (ORDER BY x.unpaid, o.create_time, o.order_id), "
			   "    own AS (PARTITION BY o.store_id ORDER BY x.unpaid, o.create_time, o.order_id)) d "
			   "GROUP BY d.store_id, d.run ORDER BY min(d.turn)",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	n = (int) SPI_processed;
	stores = palloc(sizeof(Datum) * Max(n, 1));
	documents = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		stores[i] = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		documents[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(SPI_getbinval(SPI_tuptable->vals[i],
																		  SPI_tuptable->tupdesc, 2, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < n; i++)
		book_store(stores[i], documents[i]);
}

/* ---------------------------------------------------------------- parked lines */

/*
 * What all look-ups of parked lines have in common: the first to be served
 * come first. $1 is how many, $2 the oldest order that is still booked.
 */
#define PARKED_SELECT \
	"SELECT l.order_id FROM storesync.sales_order_line l " \
	"JOIN storesync.sales_order o ON o.order_id = l.order_id AND o.recorded_at = l.recorded_at "
#define PARKED_LIMIT \
	"AND l.state = 'parked' AND o.create_time > $2 " \
	"ORDER BY l.status = 'unpaid', l.ordered_at, l.order_id LIMIT $1"

static int64
count_parked(int norders, const int64 *order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(norders, order_ids)};
	bool		isnull;
	int64		parked;

	ss_execute(&plan,
			   "SELECT count(*) FROM storesync.sales_order o JOIN storesync.sales_order_line l "
			   "ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "WHERE o.order_id = ANY ($1) AND l.state = 'parked'",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	parked = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return parked;
}

/*
 * take_up books the orders of the parked lines that were just looked up.
 * Where there may be more than were asked for, the dispatcher is told.
 */
static int64
take_up(int64 max)
{
	int64		more = 0;
	int64		version = 0;
	int64		taken;
	int64	   *ids;
	StockHold	hold;
	int			n;

	ids = ss_read_ids(&n);
	if (n == 0)
		return 0;
	if (n == max)
		outbox_append(OUTBOX_ORDER, 1, &more, &version);
	n = order_lock_orders(n, ids);
	order_again_lock_stock(n, ids, 0, NULL, &hold);
	taken = count_parked(n, ids);
	order_again(n, ids);
	return taken - count_parked(n, ids);
}

/* prepare enters and makes the partitions that booking needs; fills in what PARKED_LIMIT takes. */
static void
prepare(SsSession *session, const char *function, int64 max, Datum *values)
{
	TimestampTz now = GetCurrentTimestamp();

	ss_enter(session, function, true);
	ss_plan_by_index();
	stock_prepare();
	partition_ensure("order_history", now);
	values[0] = Int64GetDatum(max);
	values[1] = TimestampTzGetDatum(now - (int64) ss_order_retention * USECS_PER_SEC + USECS_PER_MINUTE);
}

/* take_up_parked(max): parked lines that can be booked by now, or need not be, whatever made it so. */
Datum
take_up_parked(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TIMESTAMPTZOID};
	int32		max = PG_GETARG_INT32(0);
	SsSession	session;
	Datum		values[2];
	int64		taken;

	if (max < 1 || max > SS_MAX_PAGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of lines must be between 1 and %d", SS_MAX_PAGE)));
	prepare(&session, "storesync.take_up_parked()", max, values);
	ss_execute(&plan,
			   PARKED_SELECT
			   "LEFT JOIN storesync.listing m ON m.store_id = l.store_id AND m.item_id = l.item_id "
			   "                             AND m.model_id = l.model_id "
			   "LEFT JOIN storesync.sku k ON l.item_id IS NULL AND k.code = l.sku_code "
			   "LEFT JOIN storesync.store t ON t.store_id = l.store_id AND t.stock_from > o.create_time "
			   "  AND t.stock_from > o.fetched_at AND l.status IN ('shipped', 'completed', 'cancelled', 'returned') "
			   "WHERE (m.listing_id IS NOT NULL OR k.sku_id IS NOT NULL OR t.store_id IS NOT NULL) " PARKED_LIMIT,
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	taken = take_up(max);
	ss_leave(&session);
	PG_RETURN_INT32((int32) taken);
}

/* take_up_listings(listings): those that these listings sell. */
Datum
take_up_listings(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TIMESTAMPTZOID, INT8ARRAYOID};
	SsSession	session;
	Datum		values[3];
	int64		taken;

	prepare(&session, "storesync.take_up_listings()", TAKE_UP_AT_ONCE, values);
	values[2] = PG_GETARG_DATUM(0);
	ss_execute(&plan,
			   PARKED_SELECT
			   "JOIN storesync.listing m ON m.store_id = l.store_id AND m.item_id = l.item_id "
			   "                        AND m.model_id = l.model_id "
			   "WHERE m.listing_id = ANY ($3) " PARKED_LIMIT,
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	taken = take_up(TAKE_UP_AT_ONCE);
	ss_leave(&session);
	PG_RETURN_INT32((int32) taken);
}

/* take_up_sku(code): those that name this SKU and no item. */
Datum
take_up_sku(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TIMESTAMPTZOID, TEXTOID};
	SsSession	session;
	Datum		values[3];
	int64		taken;

	prepare(&session, "storesync.take_up_sku()", TAKE_UP_AT_ONCE, values);
	values[2] = PG_GETARG_DATUM(0);
	ss_execute(&plan,
			   PARKED_SELECT "WHERE l.item_id IS NULL AND l.sku_code = $3 " PARKED_LIMIT,
			   SPI_OK_SELECT, 3, types, values, NULL, 0);
	taken = take_up(TAKE_UP_AT_ONCE);
	ss_leave(&session);
	PG_RETURN_INT32((int32) taken);
}
