/*
 * order_return.c
 *		Goods of an order line that came back, or never will: receive_return.
 *
 * Saleable ones are restocked, damaged ones go to a location that does not
 * sell, lost ones close the line without stock. Never more than was shipped
 * and is still out. A later document that says they are back books nothing:
 * restocked and lost are remembered on the line.
 *
 * What comes back is what was sent: the line's parts say it, whatever its SKU,
 * its listing or its bundle has come to be since.
 *
 * Locking: the order's row, then all places of what the line was sent as, and of the order's short lines
 * (order_line.h), then the key's index entry.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "answer.h"
#include "key.h"
#include "ledger.h"
#include "order_line.h"
#include "partition.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(receive_return);

enum
{
	ARG_STORE, ARG_ORDER, ARG_LINE, ARG_QTY, ARG_KEY, ARG_DISPOSITION, ARG_LOCATION, ARG_REFERENCE
};

typedef enum Disposition
{
	SALEABLE, DAMAGED, LOST
} Disposition;

static const char *const disposition_names[] = {"saleable", "damaged", "lost"};

/* What the history says of each. */
static const char *const outcomes[] = {"returned", "damaged", "lost"};

typedef struct Return
{
	int32		store_id;
	text	   *order_sn;
	text	   *line_id;
	int64		qty;			/* units of the SKU */
	const IdempotencyKey *key;
	Disposition disposition;
	text	   *location;
	text	   *reference;		/* '' when none was given */
	uint64		fingerprint;
} Return;

static Disposition
read_disposition(const text *name)
{
	for (int i = 0; i < (int) lengthof(disposition_names); i++)
		if (VARSIZE_ANY_EXHDR(name) == strlen(disposition_names[i]) &&
			memcmp(VARDATA_ANY(name), disposition_names[i], strlen(disposition_names[i])) == 0)
			return (Disposition) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown disposition: \"%s\"", text_to_cstring(name)),
			 errhint("Dispositions are saleable, damaged and lost.")));
}

static uint64
request_fingerprint(const Return *r)
{
	char		store[16];
	char		qty[32];
	const text *texts[] = {r->order_sn, r->line_id, r->location, r->reference};
	const char *parts[8] = {"receive_return", store, qty, disposition_names[r->disposition]};
	int			lengths[8];

	snprintf(store, sizeof(store), "%d", r->store_id);
	snprintf(qty, sizeof(qty), "%lld", (long long) r->qty);
	for (int i = 0; i < 4; i++)
		lengths[i] = strlen(parts[i]);
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		parts[4 + i] = VARDATA_ANY(texts[i]);
		lengths[4 + i] = VARSIZE_ANY_EXHDR(texts[i]);
	}
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

/* read_request checks every argument; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, Return *r)
{
	static const char *const names[] = {
		"store", "order number", "line id", "quantity", "idempotency key", "disposition", "location"
	};

	for (int i = ARG_STORE; i <= ARG_LOCATION; i++)
		ledger_check_not_null(fcinfo, i, names[i]);
	r->store_id = PG_GETARG_INT32(ARG_STORE);
	r->order_sn = PG_GETARG_TEXT_PP(ARG_ORDER);
	r->line_id = PG_GETARG_TEXT_PP(ARG_LINE);
	r->qty = PG_GETARG_INT64(ARG_QTY);
	r->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	r->disposition = read_disposition(PG_GETARG_TEXT_PP(ARG_DISPOSITION));
	r->location = PG_GETARG_TEXT_PP(ARG_LOCATION);
	r->reference = ledger_reference(fcinfo, ARG_REFERENCE);
	ss_check_text("order number", r->order_sn);
	ss_check_text("line id", r->line_id);
	ss_check_text("location", r->location);
	ss_check_quantity(r->qty);
	key_check_age(r->key);
	r->fingerprint = request_fingerprint(r);
}

/* lock_order locks the order and returns its id. */
static int64
lock_order(const Return *r)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(r->store_id), PointerGetDatum(r->order_sn)};
	bool		isnull;
	int64		order_id;

	ss_execute(&plan,
			   "SELECT o.order_id FROM storesync.sales_order o "
			   "WHERE o.store_id = $1 AND o.order_sn = $2 FOR UPDATE",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_ORDER),
				 errmsg("store %d has no order \"%s\"", r->store_id, text_to_cstring(r->order_sn))));
	order_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return order_id;
}

/* load_line reads the line of an order that is locked. */
static LoneLine *
load_line(const Return *r, int64 order_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(order_id), PointerGetDatum(r->line_id)};
	LoneLine   *lone;
	int			n;

	ss_execute(&plan, ORDER_LINE_SELECT "WHERE o.order_id = $1 AND l.line_id = $2",
			   SPI_OK_SELECT, 2, types, values, NULL, 0);
	lone = order_line_read(&n);
	if (n == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LINE),
				 errmsg("order \"%s\" has no line \"%s\"",
						text_to_cstring(r->order_sn), text_to_cstring(r->line_id))));
	return lone;
}

static int32
find_location(text *code)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID};
	Datum		values[] = {PointerGetDatum(code)};
	bool		isnull;
	int32		location_id;

	ss_execute(&plan, "SELECT c.location_id FROM storesync.location c WHERE c.code = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 0);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_LOCATION),
				 errmsg("location \"%s\" does not exist", text_to_cstring(code))));
	location_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return location_id;
}

/* check_return raises when the goods cannot have come back, or not to this place. */
static void
check_return(const Return *r, const OrderLine *line, const StockPlace *place)
{
	int64		out = line->shipped - line->restocked - line->lost;

	if (r->qty > out)
		ereport(ERROR,
				(errcode(SS_ERR_NOT_HELD),
				 errmsg("cannot take back %lld units of order \"%s\", line \"%s\"", (long long) r->qty,
						text_to_cstring(r->order_sn), text_to_cstring(r->line_id)),
				 errdetail("%lld were shipped, %lld restocked, %lld lost.", (long long) line->shipped,
						   (long long) line->restocked, (long long) line->lost)));
	Assert(place != NULL);		/* units out mean units shipped */
	if (r->disposition == DAMAGED && place->sellable)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot put damaged goods to location \"%s\", which sells", text_to_cstring(r->location)),
				 errhint("Name a location that is not sellable.")));
	if (r->disposition != LOST)
		ledger_check_bounds(place, r->qty, 0);
}

/* note books the return on the line and, where goods came, on the places. */
static void
note(const Return *r, StockJournal *journal, const StockHold *hold, int32 location_id, LoneLine *lone)
{
	bool		named = VARSIZE_ANY_EXHDR(r->reference) > 0;
	LineDraw	draw;

	if (r->disposition == LOST)
	{
		lone->line.lost += r->qty;
		lone->line.changed = true;
		return;
	}
	draw = order_line_draw(lone, journal, hold, psprintf("%s%s%s", outcomes[r->disposition], named ? ": " : "",
														 named ? text_to_cstring(r->reference) : ""));
	draw.event_at = key_time(r->key);
	order_part_return(&draw, location_id, r->qty, r->key);
}

/* make_places makes the places of all components that goods of the line may come back to, in the order of locks. */
static void
make_places(const OrderLine *line, int32 location_id)
{
	int64		last = 0;

	for (;;)
	{
		int64		next = 0;

		for (int i = 0; i < line->nparts; i++)
			if (line->parts[i].sku_id > last && (next == 0 || line->parts[i].sku_id < next))
				next = line->parts[i].sku_id;
		if (next == 0)
			return;
		stock_make_places(next, 1, &location_id);
		last = next;
	}
}

/*
 * lock_places locks all places of what the line was sent as, one at the
 * location among them; returns that of the first part.
 */
static StockPlace *
lock_places(const OrderLine *line, int64 order_id, int32 location_id, StockHold *hold)
{
	int64	   *sku_ids = palloc(sizeof(int64) * line->nparts);
	StockPlace *place;

	for (int i = 0; i < line->nparts; i++)
		sku_ids[i] = line->parts[i].sku_id;
	make_places(line, location_id);
	order_line_lock_stock(1, &order_id, line->nparts, sku_ids, hold);
	pfree(sku_ids);
	place = stock_place_of(hold, line->parts[0].sku_id, location_id);
	if (place == NULL)			/* nothing but a hand in the tables makes a bundle of what has been sent */
		ereport(ERROR,
				(errcode(SS_ERR_BUNDLE),
				 errmsg("line \"%s\" was not sent as the bundle that its SKU is", text_to_cstring(line->line_id))));
	return place;
}

/* book does a return whose key was not known a moment ago. The answer for a bundle is that of its first component. */
static void
book(const Return *r, Answer *answer)
{
	StockJournal journal;
	StockHold	hold;
	StockPlace *place;
	LoneLine   *lone;
	int64		order_id;
	int32		location_id;

	answer_prepare(r->key);
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	location_id = find_location(r->location);
	order_id = lock_order(r);
	lone = load_line(r, order_id);
	if (lone->line.shipped == 0)
	{
		if (answer_find(r->key, r->fingerprint, answer))
			return;
		check_return(r, &lone->line, NULL);
	}
	place = lock_places(&lone->line, order_id, location_id, &hold);
	stock_journal_start(&journal);
	if (answer_find(r->key, r->fingerprint, answer))
		return;					/* another session did it meanwhile */
	check_return(r, &lone->line, place);
	note(r, &journal, &hold, location_id, lone);
	ledger_answer(answer, place, false);
	if (!answer_store(r->key, r->fingerprint, answer))
	{
		if (!answer_find(r->key, r->fingerprint, answer))
			elog(ERROR, "idempotency key vanished");
		return;
	}
	order_line_write(&journal, lone, 1, outcomes[r->disposition]);
	order_line_finish(&journal, &hold);
}

/* receive_return(store, order_sn, line_id, qty, key, disposition, location, reference) */
Datum
receive_return(PG_FUNCTION_ARGS)
{
	Return		r;
	Answer		answer;
	SsSession	session;

	read_request(fcinfo, &r);
	ss_enter(&session, "storesync.receive_return()", true);
	ss_plan_by_index();
	if (!answer_find(r.key, r.fingerprint, &answer))
		book(&r, &answer);
	ss_leave(&session);
	PG_RETURN_DATUM(answer_result(fcinfo, &answer));
}
