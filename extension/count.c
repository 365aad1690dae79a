/*
 * count.c
 *		What was counted at a place becomes what is on hand there: adjust().
 *
 * Booked is counted less the balance as of the moment of the count, by record
 * time, so that what moved since is neither lost nor counted twice. A count
 * is never refused for being low: reservations that it leaves uncovered are
 * taken back in the same transaction, those of order lines become short. What
 * was sent without the books having it is explained by the first count after
 * it: the units existed and have left. What a decline holds at 0 is shown
 * again: the count is what that waits for.
 *
 * Locking: the orders of all lines that the count may change, sorted, then
 * all places of the SKU and of those orders' short lines, then the key's
 * index entry. Which orders these are is read before any lock, and again when
 * the place is held: what has been reserved in between is locked without
 * waiting, and where somebody is at it, 40001 asks to run the call again.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "answer.h"
#include "count.h"
#include "holder.h"
#include "key.h"
#include "ledger.h"
#include "partition.h"
#include "remap.h"
#include "set.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(adjust);

enum
{
	ARG_SKU, ARG_COUNTED, ARG_KEY, ARG_LOCATION, ARG_REFERENCE, ARG_COUNTED_AT
};

/* What is said of movements and in histories that follow from a count. */
#define REASON	"counted"

typedef struct Count
{
	text	   *sku;
	text	   *location;
	text	   *reference;		/* '' when none was given */
	int64		counted;
	const IdempotencyKey *key;
	bool		has_moment;
	TimestampTz counted_at;		/* DT_NOEND: when the place is locked */
	uint64		fingerprint;
} Count;

/* A direct reservation that gives up units. */
typedef struct Loss
{
	Holder		holder;
	int64		units;
	int64		version;		/* of its ledger row */
} Loss;

/* Everything that a count is about to do, decided in memory. */
typedef struct Outcome
{
	StockJournal journal;
	StockHold	hold;
	StockPlace *place;
	int			norders;		/* locked */
	int64	   *order_ids;
	LoneLine   *reserved;		/* lines that may give up units */
	int			nreserved;
	LoneLine   *gone;			/* sent, short, by the count */
	int			ngone;
	LoneLine   *since;			/* sent, short, after the count */
	int			nsince;
	Loss	   *losses;
	int			nlosses;
} Outcome;

static uint64
request_fingerprint(const Count *c, const char *moment)
{
	char		counted[32];
	const text *texts[] = {c->sku, c->location, c->reference};
	const char *parts[6] = {"adjust", counted, moment};
	int			lengths[6];

	snprintf(counted, sizeof(counted), "%lld", (long long) c->counted);
	for (int i = 0; i < 3; i++)
		lengths[i] = strlen(parts[i]);
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		parts[3 + i] = VARDATA_ANY(texts[i]);
		lengths[3 + i] = VARSIZE_ANY_EXHDR(texts[i]);
	}
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

/* read_moment takes counted_at, which must have passed; returns what of it makes the request. */
static const char *
read_moment(FunctionCallInfo fcinfo, Count *c)
{
	c->has_moment = !PG_ARGISNULL(ARG_COUNTED_AT);
	c->counted_at = c->has_moment ? PG_GETARG_TIMESTAMPTZ(ARG_COUNTED_AT) : DT_NOEND;
	if (!c->has_moment)
		return "";
	if (TIMESTAMP_NOT_FINITE(c->counted_at) || c->counted_at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("moment of a count must have passed")));
	return psprintf("%lld", (long long) c->counted_at);
}

/* read_request checks every argument; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, Count *c)
{
	ledger_check_not_null(fcinfo, ARG_SKU, "SKU");
	ledger_check_not_null(fcinfo, ARG_COUNTED, "counted quantity");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	ledger_check_not_null(fcinfo, ARG_LOCATION, "location");
	c->sku = PG_GETARG_TEXT_PP(ARG_SKU);
	c->counted = PG_GETARG_INT64(ARG_COUNTED);
	c->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	c->location = PG_GETARG_TEXT_PP(ARG_LOCATION);
	ss_check_text("SKU", c->sku);
	ss_check_text("location", c->location);
	c->reference = ledger_reference(fcinfo, ARG_REFERENCE);
	if (c->counted != 0)
		ss_check_quantity(c->counted);
	key_check_age(c->key);
	c->fingerprint = request_fingerprint(c, read_moment(fcinfo, c));
}

/*
 * corrected_since is what was put right since the count of what was booked
 * before it: lines that were on the wrong SKU (remap.h).
 */
static int64
corrected_since(const Count *c, const StockPlace *place)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[4];
	bool		isnull;
	int64		units;

	values[0] = Int64GetDatum(place->sku_id);
	values[1] = Int32GetDatum(place->location_id);
	values[2] = TimestampTzGetDatum(c->counted_at);
	values[3] = CStringGetTextDatum(REMAP_REASON);
	ss_execute(&plan,
			   "SELECT coalesce(sum(g.on_hand_delta), 0)::bigint FROM storesync.ledger g WHERE g.sku_id = $1 AND g.location_id = $2 "
			   "AND g.recorded_at > $3 AND g.event_at <= $3 AND g.reason = $4",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	units = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return units;
}

/* balance_then is what was on hand when the count was made, by record time, mistakes that were put right left out. */
static int64
balance_then(const Count *c, const StockPlace *place)
{
	int64		units;

	if (!c->has_moment || place->version == 0 || c->counted_at >= place->recorded_at)
		return place->on_hand;
	if (!ledger_on_hand_at(place->sku_id, place->location_id, c->counted_at, &units))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("balance at the moment of the count is not known"),
				 errdetail("The ledger of SKU \"%s\" at location \"%s\" does not reach back so far.",
						   text_to_cstring(c->sku), text_to_cstring(c->location))));
	return units + corrected_since(c, place);
}

/*
 * change_for is what the count does to on hand, apart from what it explains.
 * More may have left since the count than it found: then nothing is left.
 */
static int64
change_for(const Count *c, const StockPlace *place)
{
	int64		change = c->counted - balance_then(c, place);

	return place->allow_backorder ? change : Max(change, -place->on_hand);
}

/* uncovered: reserved units that would have nothing behind them. */
static int64
uncovered(const StockPlace *place, int64 change)
{
	return place->allow_backorder ? 0 : Max(place->reserved - (place->on_hand + change), 0);
}

/* look reads a place without a lock, to see whose orders the count will need. */
static void
look(int64 sku_id, int32 location_id, StockPlace *place)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(sku_id), Int32GetDatum(location_id)};
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;

	memset(place, 0, sizeof(StockPlace));
	place->sku_id = sku_id;
	place->location_id = location_id;
	ss_execute(&plan,
			   "SELECT t.on_hand, t.reserved, t.version, s.allow_backorder "
			   "FROM storesync.stock t JOIN storesync.sku s ON s.sku_id = t.sku_id "
			   "WHERE t.sku_id = $1 AND t.location_id = $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	if (SPI_processed == 0)
		return;
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	place->on_hand = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	place->reserved = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull));
	place->version = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
	place->allow_backorder = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
	place->recorded_at = DT_NOEND;
	SPI_freetuptable(SPI_tuptable);
}

/* lock_all locks the orders that the count may concern, then the stock. */
static void
lock_all(const Count *c, Outcome *o)
{
	StockPlace	seen;
	int64	   *reserved;
	int64	   *gone;
	int64		sku_id;
	int32		location_id;
	int			nreserved = 0;
	int			ngone;
	int64		units;

	ledger_resolve(c->sku, c->location, &sku_id, &location_id);
	answer_prepare(c->key);
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	look(sku_id, location_id, &seen);
	units = uncovered(&seen, change_for(c, &seen));
	if (units > 0)
		nreserved = count_find_reserved(&seen, units, &reserved);
	ngone = count_find_gone(sku_id, location_id, &gone);
	o->order_ids = palloc(sizeof(int64) * Max(nreserved + ngone, 1));
	if (nreserved > 0)
		memcpy(o->order_ids, reserved, sizeof(int64) * nreserved);
	memcpy(o->order_ids + nreserved, gone, sizeof(int64) * ngone);
	if (nreserved + ngone > 0)
		o->norders = order_lock_orders(nreserved + ngone, o->order_ids);
	stock_make_places(sku_id, 1, &location_id);
	order_line_lock_stock(o->norders, o->order_ids, 1, &sku_id, &o->hold);
	o->place = stock_place_of(&o->hold, sku_id, location_id);
	if (o->place == NULL)
		elog(ERROR, "place of a count is not locked");
	stock_journal_start(&o->journal);
}

/* give_up takes reserved units back from order lines, whole bundles of them; returns those that are still uncovered. */
static int64
give_up(Outcome *o, LoneLine *lines, int n, int64 units)
{
	for (int i = 0; i < n && units > 0; i++)
	{
		LineDraw	draw = order_line_draw(&lines[i], &o->journal, &o->hold, REASON);

		/* a whole bundle may be more than is missing: the rest is free again */
		units -= order_part_give_up(&draw, o->place, units);
	}
	return Max(units, 0);
}

/* loss_key derives the key of what a direct reservation loses by a count. */
static void
loss_key(IdempotencyKey *key, const Count *c, const text *reference)
{
	char		count[KEY_BYTES * 2 + 1];
	const char *parts[3] = {"uncovered", count, VARDATA_ANY(reference)};
	int			lengths[3] = {strlen(parts[0]), KEY_BYTES * 2, VARSIZE_ANY_EXHDR(reference)};

	for (int i = 0; i < KEY_BYTES; i++)
		snprintf(count + i * 2, 3, "%02x", c->key->bytes[i]);
	key_derive(key, key_time(c->key), 3, parts, lengths);
}

/* lose takes reserved units back from direct reservations: those that expire first, the latest of them first. */
static int64
lose(const Count *c, Outcome *o, int64 units)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(o->place->sku_id), Int32GetDatum(o->place->location_id)};
	int			n;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT r.reference, r.qty FROM storesync.reservation r "
			   "WHERE r.sku_id = $1 AND r.location_id = $2 AND r.qty > 0 "
			   "ORDER BY r.expires_at DESC NULLS LAST, r.reference COLLATE \"C\" DESC",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	n = (int) SPI_processed;
	o->losses = palloc(sizeof(Loss) * Max(n, 1));
	for (int i = 0; i < n && units > 0; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		Loss	   *loss = &o->losses[o->nlosses++];
		StockMove  *move;

		loss->holder.sku_id = o->place->sku_id;
		loss->holder.location_id = o->place->location_id;
		loss->holder.reference = DatumGetTextPCopy(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		loss->units = Min(units, DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull)));
		move = stock_move(&o->journal, o->place, MOVE_RELEASE, 0, -loss->units);
		move->event_at = key_time(c->key);
		move->reason = cstring_to_text(REASON);
		if (VARSIZE_ANY_EXHDR(loss->holder.reference) > 0)
			move->reference = loss->holder.reference;
		loss_key(&move->key, c, loss->holder.reference);
		loss->version = move->version;
		units -= loss->units;
	}
	SPI_freetuptable(SPI_tuptable);
	return units;
}

/*
 * late_lines are the reserved lines of orders that were not known when orders
 * were locked. `place` is as the tables still have it.
 */
static LoneLine *
late_lines(const Outcome *o, const StockPlace *place, int64 units, int *n)
{
	int64	   *ids;
	int			norders = count_find_reserved(place, SS_MAX_QTY, &ids);
	int			kept = 0;

	for (int i = 0; i < norders; i++)
	{
		bool		known = false;

		for (int j = 0; j < o->norders && !known; j++)
			known = o->order_ids[j] == ids[i];
		if (!known)
			ids[kept++] = ids[i];
	}
	*n = 0;
	if (kept == 0)
		return NULL;
	norders = count_lock_late(kept, ids);
	if (norders < kept)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not take back %lld reserved units of orders that others work on", (long long) units)));
	return count_load_reserved(place, norders, ids, n);
}

/* cover takes back what the count leaves uncovered. */
static void
cover(const Count *c, Outcome *o, int64 units)
{
	StockPlace	booked = *o->place;
	LoneLine   *late;
	LoneLine   *all;
	int			nlate;

	if (units == 0)
		return;
	o->reserved = count_load_reserved(o->place, o->norders, o->order_ids, &o->nreserved);
	units = give_up(o, o->reserved, o->nreserved, units);
	if (units == 0)
		return;
	late = late_lines(o, &booked, units, &nlate);
	if (nlate > 0)
	{
		units = give_up(o, late, nlate, units);
		all = palloc(sizeof(LoneLine) * (o->nreserved + nlate));
		memcpy(all, o->reserved, sizeof(LoneLine) * o->nreserved);
		memcpy(all + o->nreserved, late, sizeof(LoneLine) * nlate);
		o->reserved = all;
		o->nreserved += nlate;
	}
	units = units > 0 ? lose(c, o, units) : 0;
	if (units > 0)
		elog(ERROR, "%lld reserved units belong to nobody", (long long) units);
}

/* send books units of a line that has left as shipped, by `at`. */
static void
send(Outcome *o, LoneLine *lone, int64 units, TimestampTz at)
{
	LineDraw	draw = order_line_draw(lone, &o->journal, &o->hold, REASON);

	draw.event_at = at;
	if (units > 0)
		order_part_send(&draw, o->place, units);
}

/*
 * decide computes all rows. Units that had left by the count are booked as
 * found and as sent; those sent since come out of what was found, as far as
 * nobody has reserved it.
 */
static void
decide(const Count *c, Outcome *o)
{
	TimestampTz moment = c->has_moment ? c->counted_at : o->journal.now;
	int64		change = change_for(c, o->place);
	int64		explained = 0;
	StockMove  *move;

	if (o->norders > 0)
	{
		o->gone = count_load_gone(o->place, o->norders, o->order_ids, moment, true, &o->ngone);
		o->since = count_load_gone(o->place, o->norders, o->order_ids, moment, false, &o->nsince);
	}
	for (int i = 0; i < o->ngone; i++)
		explained += o->gone[i].line.missing;
	ledger_check_bounds(o->place, change + explained, 0);
	cover(c, o, uncovered(o->place, change));
	move = stock_move(&o->journal, o->place, MOVE_ADJUST, change + explained, 0);
	move->event_at = moment;
	move->key = *c->key;
	if (VARSIZE_ANY_EXHDR(c->reference) > 0)
		move->reference = c->reference;
	for (int i = 0; i < o->ngone; i++)
		send(o, &o->gone[i], o->gone[i].line.missing, moment);
	for (int i = 0; i < o->nsince; i++)
		send(o, &o->since[i], Min(o->since[i].line.missing, stock_room(o->place)), o->journal.now);
}

/*
 * release_declined ends the holds of the SKU's listings that a decline has made
 * (bgworker/intake_book.c) and whose store sells from the place: somebody has
 * looked what there is. Not those of bundles, of which this is a part at most.
 */
static void
release_declined(const StockPlace *place)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(place->sku_id), Int32GetDatum(place->location_id)};

	if (!place->sellable)
		return;
	ss_execute(&plan,
			   "UPDATE storesync.listing l SET held = NULL WHERE l.sku_id = $1 AND l.held LIKE 'declined%' "
			   "AND (NOT EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = l.store_id) "
			   "OR EXISTS (SELECT FROM storesync.store_location e WHERE e.store_id = l.store_id AND e.location_id = $2))",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

/* book does a count whose key was not known a moment ago. */
static void
book(const Count *c, Answer *answer)
{
	Outcome		o = {0};

	lock_all(c, &o);
	if (answer_find(c->key, c->fingerprint, answer))
		return;					/* another session did it meanwhile */
	decide(c, &o);
	ledger_answer(answer, o.place, false);
	if (!answer_store(c->key, c->fingerprint, answer))
	{
		if (!answer_find(c->key, c->fingerprint, answer))
			elog(ERROR, "idempotency key vanished");
		return;
	}
	order_line_write(&o.journal, o.reserved, o.nreserved, REASON);
	order_line_write(&o.journal, o.gone, o.ngone, REASON);
	order_line_write(&o.journal, o.since, o.nsince, REASON);
	for (int i = 0; i < o.nlosses; i++)
	{
		Loss	   *loss = &o.losses[i];

		holder_load(&loss->holder);
		holder_book(&loss->holder, MOVE_RELEASE, loss->units, DT_NOEND, loss->version);
	}
	order_line_finish(&o.journal, &o.hold);
	release_declined(o.place);
}

/* adjust(sku, counted, key, location, reference, counted_at) */
Datum
adjust(PG_FUNCTION_ARGS)
{
	Count		c;
	Answer		answer;
	SsSession	session;

	read_request(fcinfo, &c);
	ss_enter(&session, "storesync.adjust()", true);
	ss_plan_by_index();
	if (!answer_find(c.key, c.fingerprint, &answer))
		book(&c, &answer);
	ss_leave(&session);
	PG_RETURN_DATUM(answer_result(fcinfo, &answer));
}
