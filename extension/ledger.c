/*
 * ledger.c
 *		Movements of stock that a caller asks for by name: receive, reserve,
 *		release, ship, restock; and what is read of the ledger.
 *
 * The way of a movement: arguments, key looked up without any lock (a replay
 * ends here and has written nothing), place locked, balance read, key stored,
 * ledger row, holder, outbox. Not enough stock is an answer, kept under the
 * key; taking from a holder what it does not have is an error, which leaves
 * no trace. Between the look-up and the lock another session may have used
 * the same key: before any refusal it is looked up again, and storing it
 * tells.
 *
 * Locking: the place's row in stock_lock, held to the end of the transaction.
 * The key's index entry is waited for with a place locked only when two
 * sessions use one key for different places, one of which is refused.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "answer.h"
#include "holder.h"
#include "key.h"
#include "ledger.h"
#include "order_line.h"
#include "outbox.h"
#include "partition.h"
#include "rows.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(ledger_receive);
PG_FUNCTION_INFO_V1(ledger_reserve);
PG_FUNCTION_INFO_V1(ledger_release);
PG_FUNCTION_INFO_V1(ledger_ship);
PG_FUNCTION_INFO_V1(ledger_restock);
PG_FUNCTION_INFO_V1(ledger_available);

/* Arguments of every movement; reserve has one more. */
enum
{
	ARG_SKU, ARG_QTY, ARG_KEY, ARG_LOCATION, ARG_REFERENCE, ARG_EXPIRES
};

/* A request as its arguments state it. */
typedef struct Movement
{
	MovementKind kind;
	const char *name;			/* for messages and the fingerprint */
	text	   *sku;
	text	   *location;
	text	   *reference;		/* '' when none was given */
	int64		qty;
	const IdempotencyKey *key;
	uint64		fingerprint;
	TimestampTz expires_at;		/* DT_NOEND: never */
} Movement;

void
ledger_check_not_null(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s cannot be null", what)));
}

text *
ledger_reference(FunctionCallInfo fcinfo, int argument)
{
	text	   *reference;

	if (PG_ARGISNULL(argument))
		return cstring_to_text("");
	reference = PG_GETARG_TEXT_PP(argument);
	if (VARSIZE_ANY_EXHDR(reference) > 0)
		ss_check_text("reference", reference);
	return reference;
}

/* request_fingerprint hashes what makes two requests the same: all arguments but the key. */
static uint64
request_fingerprint(const Movement *m, const char *expires)
{
	char		qty[MAXINT8LEN + 1];
	const char *parts[6];
	int			lengths[6];

	parts[0] = m->name;
	parts[1] = VARDATA_ANY(m->sku);
	parts[2] = qty;
	parts[3] = VARDATA_ANY(m->location);
	parts[4] = VARDATA_ANY(m->reference);
	parts[5] = expires;
	lengths[0] = strlen(m->name);
	lengths[1] = VARSIZE_ANY_EXHDR(m->sku);
	lengths[2] = pg_lltoa(m->qty, qty);
	lengths[3] = VARSIZE_ANY_EXHDR(m->location);
	lengths[4] = VARSIZE_ANY_EXHDR(m->reference);
	lengths[5] = strlen(expires);
	return ss_fingerprint(6, parts, lengths);
}

/* read_expiry turns reserve's interval into a moment; *expires is its text. */
static TimestampTz
read_expiry(FunctionCallInfo fcinfo, const char **expires)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz at;
	Datum		interval;

	*expires = "";
	if (PG_NARGS() <= ARG_EXPIRES || PG_ARGISNULL(ARG_EXPIRES))
		return DT_NOEND;
	interval = PG_GETARG_DATUM(ARG_EXPIRES);
	at = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												 TimestampTzGetDatum(now), interval));
	if (at <= now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expiry of a reservation must be positive")));
	*expires = DatumGetCString(DirectFunctionCall1(interval_out, interval));
	return at;
}

/* read_request checks every argument; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, Movement *m)
{
	const char *expires;

	ledger_check_not_null(fcinfo, ARG_SKU, "SKU");
	ledger_check_not_null(fcinfo, ARG_QTY, "quantity");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	ledger_check_not_null(fcinfo, ARG_LOCATION, "location");
	m->sku = PG_GETARG_TEXT_PP(ARG_SKU);
	m->qty = PG_GETARG_INT64(ARG_QTY);
	m->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	m->location = PG_GETARG_TEXT_PP(ARG_LOCATION);
	ss_check_text("SKU", m->sku);
	ss_check_text("location", m->location);
	m->reference = ledger_reference(fcinfo, ARG_REFERENCE);
	ss_check_quantity(m->qty);
	m->expires_at = read_expiry(fcinfo, &expires);
	key_check_age(m->key);
	m->fingerprint = request_fingerprint(m, expires);
}

/* What a code stands for; 0: nothing. */
typedef struct Resolved
{
	int64		sku_id;
	bool		bundle;
	int32		location_id;
} Resolved;

/* find_code positions a look-up on the row with a code; false in *found: there is none. False: a statement has to. */
static bool
find_code(RowsScan *scan, RowsLookup *lookup, text *code, bool *found)
{
	Datum		key = PointerGetDatum(code);

	if (!rows_open(scan, lookup, false))
		return false;
	*found = rows_find(scan, 1, &key);
	return true;
}

static bool
resolve_directly(text *sku, text *location, Resolved *r)
{
	static RowsLookup sku_rows = {.name = {"sku"}, .nkeys = 1, .keys = {"code"}, .columns = "sku_id, bundle",
		.settled = true};
	static RowsLookup location_rows = {.name = {"location"}, .nkeys = 1, .keys = {"code"}, .columns = "location_id",
		.settled = true};
	RowsScan	scan;
	bool		found;
	bool		isnull;

	memset(r, 0, sizeof(Resolved));
	if (!find_code(&scan, &sku_rows, sku, &found))
		return false;
	if (found)
	{
		r->sku_id = DatumGetInt64(rows_get(&scan, 0, &isnull));
		r->bundle = DatumGetBool(rows_get(&scan, 1, &isnull));
	}
	rows_close(&scan);
	if (location == NULL)
		return true;
	if (!find_code(&scan, &location_rows, location, &found))
		return false;
	if (found)
		r->location_id = DatumGetInt32(rows_get(&scan, 0, &isnull));
	rows_close(&scan);
	return true;
}

static void
resolve_by_statement(text *sku, text *location, Resolved *r)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {PointerGetDatum(sku), PointerGetDatum(location)};
	bool		isnull;

	ss_execute(&plan,
			   "SELECT coalesce(s.sku_id, 0), coalesce(s.bundle, false), coalesce(l.location_id, 0) "
			   "FROM (VALUES (1)) v LEFT JOIN storesync.sku s ON s.code = $1 "
			   "LEFT JOIN storesync.location l ON l.code = $2",
			   SPI_OK_SELECT, 2, types, values, location == NULL ? " n" : NULL, 0);
	r->sku_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	r->bundle = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	r->location_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* resolve finds a SKU and a location (NULL: not asked for) by their codes, or raises an error. */
static void
resolve(text *sku, text *location, Resolved *r)
{
	if (!resolve_directly(sku, location, r))
		resolve_by_statement(sku, location, r);
	if (r->sku_id == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_SKU),
				 errmsg("SKU \"%s\" does not exist", text_to_cstring(sku))));
	if (location != NULL && r->location_id == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LOCATION),
				 errmsg("location \"%s\" does not exist", text_to_cstring(location))));
}

void
ledger_resolve(text *sku, text *location, int64 *sku_id, int32 *location_id)
{
	Resolved	r;

	resolve(sku, location, &r);
	if (r.bundle)
		ereport(ERROR,
				(errcode(SS_ERR_BUNDLE),
				 errmsg("SKU \"%s\" is a bundle", text_to_cstring(sku)),
				 errdetail("A bundle has no stock of its own; what moves is the stock of its components.")));
	*sku_id = r.sku_id;
	*location_id = r.location_id;
}

/* deltas says what a movement of qty does to on hand and to reserved. */
static void
deltas(MovementKind kind, int64 qty, int64 *on_hand, int64 *reserved)
{
	*on_hand = kind == MOVE_RECEIVE || kind == MOVE_RESTOCK ? qty : kind == MOVE_SHIP ? -qty : 0;
	*reserved = kind == MOVE_RESERVE ? qty : kind == MOVE_RELEASE || kind == MOVE_SHIP ? -qty : 0;
}

/* check_holder raises SS_ERR_NOT_HELD when the holder has less than is asked for. */
static void
check_holder(const Movement *m, int64 has)
{
	if (m->qty > has)
		ereport(ERROR,
				(errcode(SS_ERR_NOT_HELD),
				 errmsg("cannot %s %lld units of SKU \"%s\"", m->name, (long long) m->qty,
						text_to_cstring(m->sku)),
				 errdetail("Reference \"%s\" at location \"%s\" has %lld units to %s.",
						   text_to_cstring(m->reference), text_to_cstring(m->location),
						   (long long) has, m->name)));
}

void
ledger_check_bounds(const StockPlace *place, int64 on_hand_delta, int64 reserved_delta)
{
	int64		on_hand = place->on_hand + on_hand_delta;
	int64		reserved = place->reserved + reserved_delta;

	if (on_hand > SS_MAX_QTY || on_hand < -SS_MAX_QTY || reserved > SS_MAX_QTY)
		ereport(ERROR,
				(errcode(SS_ERR_BAD_QUANTITY),
				 errmsg("stock would be out of range"),
				 errdetail("On hand would be %lld, reserved %lld; neither may pass %lld.",
						   (long long) on_hand, (long long) reserved, (long long) SS_MAX_QTY)));
}

void
ledger_answer(Answer *answer, const StockPlace *place, bool insufficient)
{
	answer->replayed = false;
	answer->insufficient = insufficient;
	answer->on_hand = place->on_hand;
	answer->reserved = place->reserved;
	answer->available = place->on_hand - place->reserved;
	answer->version = place->version;
}

/* record writes what follows from a movement whose key is ours: ledger row, holder, short lines served, outbox. */
static void
record(const Movement *m, Holder *holder, StockJournal *journal, const StockHold *hold, const StockPlace *place)
{
	stock_write(journal);
	holder_book(holder, m->kind, m->qty, m->expires_at, place->version);
	order_line_serve(journal, hold);
}

/* book does a movement whose key was not known a moment ago. */
static void
book(const Movement *m, Answer *answer)
{
	StockHold	hold;
	StockPlace *place;
	StockJournal journal;
	StockMove  *move;
	Holder		holder = {0};
	int64		has;
	int64		on_hand_delta;
	int64		reserved_delta;

	deltas(m->kind, m->qty, &on_hand_delta, &reserved_delta);
	ledger_resolve(m->sku, m->location, &holder.sku_id, &holder.location_id);
	holder.reference = m->reference;
	answer_prepare(m->key);
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	stock_lock_places(holder.sku_id, 1, &holder.location_id, on_hand_delta > reserved_delta, &hold);
	place = stock_place_of(&hold, holder.sku_id, holder.location_id);
	stock_journal_start(&journal);

	if (m->kind != MOVE_RECEIVE)
		holder_load(&holder);
	has = holder_has(&holder, m->kind);
	if (m->kind == MOVE_RESERVE && m->qty > stock_room(place) && !place->allow_backorder)
	{
		ledger_answer(answer, place, true);
		if (!answer_store(m->key, m->fingerprint, answer) &&
			!answer_find(m->key, m->fingerprint, answer))
			elog(ERROR, "idempotency key vanished");
		return;
	}
	if (m->qty > has && answer_find(m->key, m->fingerprint, answer))
		return;					/* another session did it, that is why too little is left */
	check_holder(m, has);
	ledger_check_bounds(place, on_hand_delta, reserved_delta);

	move = stock_move(&journal, place, m->kind, on_hand_delta, reserved_delta);
	move->event_at = key_time(m->key);
	move->key = *m->key;
	if (VARSIZE_ANY_EXHDR(m->reference) > 0)
		move->reference = m->reference;
	ledger_answer(answer, place, false);
	if (answer_store(m->key, m->fingerprint, answer))
		record(m, &holder, &journal, &hold, place);
	else if (!answer_find(m->key, m->fingerprint, answer))
		elog(ERROR, "idempotency key vanished");
}

/* movement answers a known key right away: search_path is pinned only for what books, evaluates and runs statements. */
static Datum
movement(FunctionCallInfo fcinfo, MovementKind kind, const char *name, const char *function)
{
	Movement	m = {.kind = kind, .name = name};
	Answer		answer;
	SsSession	session;
	SsPin		pin;

	read_request(fcinfo, &m);
	ss_enter_direct(&session, function, true);
	ss_plan_by_index();
	if (!answer_find(m.key, m.fingerprint, &answer))
	{
		ss_pin(&pin);
		book(&m, &answer);
		ss_unpin(&pin);
	}
	ss_leave(&session);
	PG_RETURN_DATUM(answer_result(fcinfo, &answer));
}

Datum
ledger_receive(PG_FUNCTION_ARGS)
{
	return movement(fcinfo, MOVE_RECEIVE, "receive", "storesync.receive()");
}

Datum
ledger_reserve(PG_FUNCTION_ARGS)
{
	return movement(fcinfo, MOVE_RESERVE, "reserve", "storesync.reserve()");
}

Datum
ledger_release(PG_FUNCTION_ARGS)
{
	return movement(fcinfo, MOVE_RELEASE, "release", "storesync.release()");
}

Datum
ledger_ship(PG_FUNCTION_ARGS)
{
	return movement(fcinfo, MOVE_SHIP, "ship", "storesync.ship()");
}

Datum
ledger_restock(PG_FUNCTION_ARGS)
{
	return movement(fcinfo, MOVE_RESTOCK, "restock", "storesync.restock()");
}

/* read_units runs a statement that answers with one bigint. */
static int64
read_units(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types, Datum *values, const char *nulls)
{
	bool		isnull;
	int64		units;

	ss_execute(plan, sql, SPI_OK_SELECT, nargs, types, values, nulls, 1);
	units = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return units;
}

/* Units of each component of bundle $1, at location $2 or (NULL) at all that sell. */
#define COMPONENTS_AVAILABLE \
	"SELECT m.allow_backorder, floor((SELECT coalesce(sum(t.on_hand - t.reserved), 0) FROM storesync.stock t " \
	"    JOIN storesync.location p ON p.location_id = t.location_id " \
	"    WHERE t.sku_id = c.sku_id AND CASE WHEN $2 IS NULL THEN p.sellable ELSE p.location_id = $2 END) / c.qty) AS units " \
	"FROM storesync.component c JOIN storesync.sku m ON m.sku_id = c.sku_id WHERE c.bundle_id = $1 AND c.qty > 0"

/* available_bundles: components on backorder do not limit, unless all are. */
static int64
available_bundles(int64 bundle_id, int32 location_id, const char *nulls)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(bundle_id), Int32GetDatum(location_id)};

	return read_units(&plan,
					  "SELECT coalesce(min(x.units) FILTER (WHERE NOT x.allow_backorder), min(x.units), 0)::bigint "
					  "FROM (" COMPONENTS_AVAILABLE ") x",
					  2, types, values, nulls);
}

static int64
available_units(text *sku, text *location)
{
	static SPIPlanPtr everywhere_plan = NULL;
	static SPIPlanPtr place_plan = NULL;
	const Oid	types[] = {INT8OID, INT4OID};
	Resolved	r;
	Datum		values[2];

	resolve(sku, location, &r);
	values[0] = Int64GetDatum(r.sku_id);
	values[1] = Int32GetDatum(r.location_id);
	if (r.bundle)
		return available_bundles(r.sku_id, r.location_id, location == NULL ? " n" : NULL);
	if (location != NULL)
		return read_units(&place_plan,
						  "SELECT coalesce(sum(t.on_hand - t.reserved), 0)::bigint FROM storesync.stock t "
						  "WHERE t.sku_id = $1 AND t.location_id = $2",
						  2, types, values, NULL);
	return read_units(&everywhere_plan,
					  "SELECT coalesce(sum(t.on_hand - t.reserved), 0)::bigint FROM storesync.stock t "
					  "JOIN storesync.location c ON c.location_id = t.location_id "
					  "WHERE t.sku_id = $1 AND c.sellable",
					  1, types, values, NULL);
}

/* available(sku, location): units that may still be reserved, at one place or at all that sell. */
Datum
ledger_available(PG_FUNCTION_ARGS)
{
	SsSession	session;
	int64		units;

	ledger_check_not_null(fcinfo, 0, "SKU");
	ss_enter(&session, "storesync.available()", false);
	ss_plan_by_index();
	units = available_units(PG_GETARG_TEXT_PP(0), PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
	ss_leave(&session);
	PG_RETURN_INT64(units);
}
