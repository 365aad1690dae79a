/*
 * expiry.c
 *		Reservations and allotments whose time is over, and unpaid orders held
 *		for longer than their store allows: release_expired().
 *
 * Whether something is over is decided again when its locks are held, so a
 * call twice, or two at once, releases once. Ledger rows carry keys derived
 * from what is over: the reservation and its moment, or the line's next
 * effect. Nothing here is in the table of keys: the reservation that is gone
 * is what makes it idempotent.
 *
 * Orders with a hold are found by order_timer: rows are made when an unpaid
 * order is booked and taken away when they are due, whatever the order has
 * come to be, so that no document of an order has to touch them.
 *
 * Locking: the orders, sorted, then all places of their lines' SKUs and of
 * the reservations'. Timers are deleted last: whoever books an order may be
 * about to make one.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "allotment.h"
#include "holder.h"
#include "key.h"
#include "order.h"
#include "order_again.h"
#include "order_line.h"
#include "partition.h"
#include "price.h"
#include "set.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(release_expired);
PG_FUNCTION_INFO_V1(next_expiry);
PG_FUNCTION_INFO_V1(hold_unpaid);

static Datum
get(HeapTuple tuple, int number)
{
	bool		isnull;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, &isnull);
}

/* due_orders are those whose timers have run out. */
static int64 *
due_orders(TimestampTz now, int max, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(now), Int32GetDatum(max)};

	ss_execute(&plan,
			   "SELECT t.order_id FROM storesync.order_timer t WHERE t.due_at <= $1 "
			   "ORDER BY t.due_at, t.order_id LIMIT $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	return ss_read_ids(n);
}

/* due_reservations are those that are over, unless `max` is less. */
static Holder *
due_reservations(TimestampTz now, int max, int *n)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[] = {TimestampTzGetDatum(now), Int32GetDatum(max)};
	Holder	   *expired;

	ss_execute(&plan,
			   "SELECT r.sku_id, r.location_id, r.reference FROM storesync.reservation r "
			   "WHERE r.expires_at <= $1 ORDER BY r.expires_at LIMIT $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	*n = (int) SPI_processed;
	expired = palloc0(sizeof(Holder) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		expired[i].sku_id = DatumGetInt64(get(SPI_tuptable->vals[i], 1));
		expired[i].location_id = DatumGetInt32(get(SPI_tuptable->vals[i], 2));
		expired[i].reference = DatumGetTextPCopy(get(SPI_tuptable->vals[i], 3));
	}
	SPI_freetuptable(SPI_tuptable);
	return expired;
}

/* still_over reads the reservation under its place's lock. */
static bool
still_over(Holder *holder, TimestampTz now)
{
	holder_load(holder);
	return holder->held > 0 && holder->expires_at <= now;
}

static void
expiry_key(IdempotencyKey *key, const Holder *holder)
{
	char		sku[32];
	char		location[16];
	const char *parts[4] = {"expired", sku, location, VARDATA_ANY(holder->reference)};
	int			lengths[4];

	snprintf(sku, sizeof(sku), "%lld", (long long) holder->sku_id);
	snprintf(location, sizeof(location), "%d", holder->location_id);
	for (int i = 0; i < 3; i++)
		lengths[i] = strlen(parts[i]);
	lengths[3] = VARSIZE_ANY_EXHDR(holder->reference);
	key_derive(key, holder->expires_at, 4, parts, lengths);
}

/* release gives back all that a holder has reserved. */
static void
release(StockJournal *journal, StockPlace *place, Holder *holder)
{
	StockMove  *move = stock_move(journal, place, MOVE_RELEASE, 0, -holder->held);

	move->event_at = holder->expires_at;
	move->reason = cstring_to_text("expired");
	if (VARSIZE_ANY_EXHDR(holder->reference) > 0)
		move->reference = holder->reference;
	expiry_key(&move->key, holder);
	holder_book(holder, MOVE_RELEASE, holder->held, DT_NOEND, move->version);
}

/* release_reservations gives back those that are still over; returns how many. */
static int
release_reservations(Holder *expired, int n, const StockHold *hold, TimestampTz now)
{
	StockJournal journal;
	int			released = 0;

	stock_journal_start(&journal);
	for (int i = 0; i < n; i++)
	{
		if (!still_over(&expired[i], now))
			continue;
		release(&journal, stock_place_of(hold, expired[i].sku_id, expired[i].location_id), &expired[i]);
		released++;
	}
	stock_write(&journal);
	if (released > 0)
		order_line_finish(&journal, hold);
	return released;
}

/* drop_timers takes away those of the orders that were due; booking has set another where a hold was made longer. */
static void
drop_timers(int n, const int64 *order_ids, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {ss_int8_array(n, order_ids), TimestampTzGetDatum(now)};

	ss_execute(&plan,
			   "DELETE FROM storesync.order_timer t WHERE t.order_id = ANY ($1) AND t.due_at <= $2",
			   SPI_OK_DELETE, 2, types, values, NULL, 0);
}

/* lapsed counts the orders with lines that have lapsed. */
static int64
lapsed(int n, const int64 *order_ids)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8ARRAYOID};
	Datum		values[] = {ss_int8_array(n, order_ids)};
	int64		orders;

	ss_execute(&plan,
			   "SELECT count(DISTINCT o.order_id) FROM storesync.sales_order o "
			   "JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "WHERE o.order_id = ANY ($1) AND l.state = 'lapsed'",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	orders = DatumGetInt64(get(SPI_tuptable->vals[0], 1));
	SPI_freetuptable(SPI_tuptable);
	return orders;
}

/* release_orders books orders whose hold may be over again; returns how many gave something back. */
static int64
release_orders(int n, const int64 *order_ids)
{
	int64		before;

	if (n == 0)
		return 0;
	before = lapsed(n, order_ids);
	order_again(n, order_ids);
	return lapsed(n, order_ids) - before;
}

/* release_all does one bounded round; returns how many reservations and orders it released. */
static int64
release_all(int max)
{
	TimestampTz now = GetCurrentTimestamp();
	Holder	   *expired;
	StockHold	hold;
	int64	   *due;
	int64	   *orders;
	int64	   *skus;
	int64		released;
	int			ndue;
	int			norders;
	int			nexpired;

	due = due_orders(now, max, &ndue);
	expired = due_reservations(now, max - ndue, &nexpired);
	if (ndue + nexpired == 0)
		return 0;
	orders = palloc(sizeof(int64) * Max(ndue, 1));
	memcpy(orders, due, sizeof(int64) * ndue);
	norders = ndue == 0 ? 0 : order_lock_orders(ndue, orders);
	skus = palloc(sizeof(int64) * Max(nexpired, 1));
	for (int i = 0; i < nexpired; i++)
		skus[i] = expired[i].sku_id;
	order_again_lock_stock(norders, orders, nexpired, skus, &hold);
	released = release_reservations(expired, nexpired, &hold, now);
	released += release_orders(norders, orders);
	if (ndue > 0)
		drop_timers(ndue, due, now);
	return released;
}

/* release_expired(max): allotments and reservations whose time is over, unpaid orders whose hold is. */
Datum
release_expired(PG_FUNCTION_ARGS)
{
	int32		max = PG_GETARG_INT32(0);
	SsSession	session;
	int64		released;

	if (max < 1 || max > SS_MAX_PAGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of releases must be between 1 and %d", SS_MAX_PAGE)));
	ss_enter(&session, "storesync.release_expired()", true);
	ss_plan_by_index();
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	released = allotment_end(GetCurrentTimestamp(), max);
	if (released < max)
		released += release_all(max - (int) released);
	if (released < max)
		released += price_planned(GetCurrentTimestamp(), max - (int) released);
	ss_leave(&session);
	PG_RETURN_INT32((int32) released);
}

/* next_expiry(): when release_expired() will next have something to do; NULL when nothing is to expire. */
Datum
next_expiry(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	SsSession	session;
	Datum		due;
	bool		isnull;

	ss_enter(&session, "storesync.next_expiry()", false);
	ss_plan_by_index();
	ss_execute(&plan,
			   "SELECT least((SELECT min(t.due_at) FROM storesync.order_timer t), "
			   "             (SELECT min(r.expires_at) FROM storesync.reservation r WHERE r.expires_at IS NOT NULL), "
			   "             (SELECT min(a.until) FROM storesync.allotment a WHERE a.until IS NOT NULL), "
			   "             (SELECT min(p.due_at) FROM storesync.planned_offer p))",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	ss_leave(&session);
	if (isnull)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(due);
}

int64
order_hold_us(const Interval *hold)
{
	return hold->time + hold->day * USECS_PER_DAY + (int64) hold->month * DAYS_PER_MONTH * USECS_PER_DAY;
}

/* insert_timers sets (due_at, order_id) rows; those that are there already stay. */
static void
insert_timers(SsSet *set)
{
	static SPIPlanPtr plan = NULL;

	set_execute(&plan,
				"INSERT INTO storesync.order_timer (due_at, order_id) SELECT u.a, u.b FROM unnest($1, $2) AS u (a, b) "
				"ORDER BY u.a, u.b ON CONFLICT DO NOTHING",
				SPI_OK_INSERT, set);
}

static bool
holds_unpaid(const Order *order)
{
	for (int i = 0; i < order->nlines; i++)
		if (order->lines[i]->status == ORDER_UNPAID && order->lines[i]->reserved + order->lines[i]->missing > 0)
			return true;
	return false;
}

void
order_set_timers(const OrderPage *page)
{
	static const Oid types[] = {TIMESTAMPTZOID, INT8OID};
	SsSet	   *set;

	if (page->store.unpaid_hold < 0)
		return;
	set = set_create(lengthof(types), types, page->norders);
	for (int i = 0; i < page->norders; i++)
	{
		if (page->orders[i].settled || !holds_unpaid(&page->orders[i]))
			continue;
		set_add_row(set);
		set_put(set, 0, TimestampTzGetDatum(page->orders[i].create_time + page->store.unpaid_hold));
		set_put(set, 1, Int64GetDatum(page->orders[i].order_id));
	}
	insert_timers(set);
}

/* read_holds adds a timer for each unpaid order just selected: id, create_time, hold. */
static void
read_holds(SsSet *set)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];

		set_add_row(set);
		set_put(set, 0, TimestampTzGetDatum(DatumGetTimestampTz(get(tuple, 2)) +
											order_hold_us(DatumGetIntervalP(get(tuple, 3)))));
		set_put(set, 1, get(tuple, 1));
	}
}

/* hold_unpaid(store): timers for the unpaid orders of a store whose hold has changed. */
Datum
hold_unpaid(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	static const Oid pair[] = {TIMESTAMPTZOID, INT8OID};
	const Oid	types[] = {INT4OID};
	Datum		values[] = {PG_GETARG_DATUM(0)};
	SsSession	session;
	SsSet	   *set;

	ss_enter(&session, "storesync.hold_unpaid()", true);
	ss_execute(&plan,
			   "SELECT DISTINCT o.order_id, o.create_time, s.unpaid_hold FROM storesync.sales_order o "
			   "JOIN storesync.store s ON s.store_id = o.store_id "
			   "JOIN storesync.sales_order_line l ON l.order_id = o.order_id AND l.recorded_at = o.recorded_at "
			   "WHERE o.store_id = $1 AND s.unpaid_hold IS NOT NULL "
			   "  AND l.status = 'unpaid' AND l.reserved + l.short > 0",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	set = set_create(lengthof(pair), pair, (int) SPI_processed);
	read_holds(set);
	insert_timers(set);
	ss_leave(&session);
	PG_RETURN_VOID();
}
