/*
 * short.c
 *		settle_short(): what an operator decides about lines that the stock
 *		does not cover.
 *
 * Whatever it is, what came in meanwhile goes to the lines that wait for it
 * first, so nothing is decided about a line that is covered by then. A
 * decision is carried out in one transaction with its row in short_decision
 * and its key: a cancellation is a task, a move is a transfer and a
 * reservation, a wait is the row alone.
 *
 * A refusal (there is nothing to settle, or it cannot be done now) is an
 * answer, books nothing, and leaves the key unused.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "answer.h"
#include "ledger.h"
#include "partition.h"
#include "platform.h"
#include "set.h"
#include "short.h"

PG_FUNCTION_INFO_V1(settle_short);
PG_FUNCTION_INFO_V1(platform_cancels);

/* What is answered when it is done. */
static const char *const outcomes[] = {"cancelling", "waiting", "moved"};

/* ---------------------------------------------------------------- what is decided */

static Datum
line_ids(const ShortOrder *order)
{
	Datum	   *ids = palloc(sizeof(Datum) * order->nlines);

	for (int i = 0; i < order->nlines; i++)
		ids[i] = PointerGetDatum(order->lines[i].line.line_id);
	return PointerGetDatum(construct_array(ids, order->nlines, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
line_units(const ShortOrder *order)
{
	int64	   *units = palloc(sizeof(int64) * order->nlines);

	for (int i = 0; i < order->nlines; i++)
		units[i] = order->lines[i].line.missing;
	return ss_int8_array(order->nlines, units);
}

static void
refuse(ShortAnswer *answer, char *detail)
{
	answer->outcome = "refused";
	answer->detail = detail;
}

/* may_cancel: the platform has a call for it, the lines are in a state for it, and the operator knows what goes. */
static bool
may_cancel(const ShortRequest *r, const ShortOrder *order, ShortAnswer *answer)
{
	const Platform *platform = platform_find(order->platform);

	if (platform == NULL || (platform->calls & CALL_BIT(CALL_CANCEL_LINES)) == 0)
	{
		refuse(answer, psprintf("platform %s has no call for it that is known: cancel at the platform's own page",
								order->platform));
		return false;
	}
	for (int i = 0; i < order->nlines; i++)
	{
		const OrderLine *line = &order->lines[i].line;

		if (line->status != ORDER_READY_TO_SHIP)
		{
			refuse(answer, psprintf("line \"%s\" is %s: only what is ready_to_ship is cancelled by a call",
									text_to_cstring(line->line_id), order_status_name(line->status)));
			return false;
		}
		if (line->reserved > 0 && !r->whole)
		{
			refuse(answer, psprintf("line \"%s\" has " INT64_FORMAT " of " INT64_FORMAT
									" units, and platforms cancel whole lines: say whole => true",
									text_to_cstring(line->line_id), line->reserved, short_live(line)));
			return false;
		}
	}
	return true;
}

/* cancel asks the platform to cancel the lines: one task for all of them. */
static void
cancel(const ShortRequest *r, const ShortOrder *order, ShortAnswer *answer)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(r->store_id), PointerGetDatum(r->order_sn), line_ids(order)};
	bool		isnull;

	if (!may_cancel(r, order, answer))
		return;
	ss_execute(&plan,
			   "SELECT storesync.enqueue($1, 'cancel_order', jsonb_build_object('order_sn', $2, 'lines', $3))",
			   SPI_OK_SELECT, 3, types, values, NULL, 1);
	answer->task_id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < order->nlines; i++)
		answer->units += short_live(&order->lines[i].line);
	answer->done = true;
}

static void
rest(const ShortOrder *order, ShortAnswer *answer)
{
	for (int i = 0; i < order->nlines; i++)
		answer->units += order->lines[i].line.missing;
	answer->done = true;
}

/* under_way answers that a cancellation stands in the way. Never two of one order at once, and nothing else of its lines. */
static bool
under_way(const ShortRequest *r, const ShortOrder *order, ShortAnswer *answer)
{
	for (int i = 0; i < order->nlines && answer->task_id == 0; i++)
		answer->task_id = short_cancel_open(r, r->proposal == SHORT_CANCEL ? NULL : order->lines[i].line.line_id);
	if (answer->task_id == 0)
		return false;
	answer->outcome = "under_way";
	answer->detail = "the platform has been asked to cancel, and has not answered yet";
	return true;
}

/* ---------------------------------------------------------------- writing it down */

enum
{
	D_ORDER, D_LINES, D_PROPOSAL, D_TASK, D_UNTIL, D_LOCATION, D_UNITS, D_NOTE, D_COLUMNS
};

/* write_decision makes this the newest decision of each line, and writes the audit. */
static void
write_decision(const ShortRequest *r, const ShortOrder *order, int32 location_id, const ShortAnswer *answer)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[D_COLUMNS] = {INT8OID, TEXTARRAYOID, TEXTOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT8ARRAYOID, TEXTOID};
	char		nulls[D_COLUMNS + 1];
	Datum		values[D_COLUMNS] = {
		Int64GetDatum(order->order_id), line_ids(order), CStringGetTextDatum(short_proposal_name(r->proposal)),
		Int64GetDatum(answer->task_id), TimestampTzGetDatum(r->until), Int32GetDatum(location_id),
		r->proposal == SHORT_MOVE ? ss_int8_array(1, &answer->units) : line_units(order), PointerGetDatum(r->note)
	};

	memset(nulls, ' ', D_COLUMNS);
	nulls[D_COLUMNS] = '\0';
	nulls[D_TASK] = answer->task_id == 0 ? 'n' : ' ';
	nulls[D_UNTIL] = r->until == 0 ? 'n' : ' ';
	nulls[D_LOCATION] = location_id == 0 ? 'n' : ' ';
	nulls[D_NOTE] = r->note == NULL ? 'n' : ' ';
	ss_execute(&plan,
			   "WITH decided AS ("
			   "  INSERT INTO storesync.short_decision AS d "
			   "    (order_id, line_id, proposal, task_id, until, location_id, units, note) "
			   "  SELECT $1, u.line_id, $3, $4, $5, $6, u.units, $8 FROM unnest($2, $7) AS u (line_id, units) "
			   "  ON CONFLICT (order_id, line_id) DO UPDATE SET decided_at = excluded.decided_at, login = excluded.login, "
			   "    proposal = excluded.proposal, task_id = excluded.task_id, until = excluded.until, "
			   "    location_id = excluded.location_id, units = excluded.units, note = excluded.note) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'settle short', concat('order ', $1), jsonb_strip_nulls(jsonb_build_object('proposal', $3, "
			   "  'lines', $2, 'units', $7, 'task', $4, 'until', $5, 'location', $6, 'note', $8))",
			   SPI_OK_INSERT, D_COLUMNS, types, values, nulls, 0);
}

/* forget_decisions takes away those of lines that wait for nothing any more, some at a time. */
static void
forget_decisions(void)
{
	static SPIPlanPtr plan = NULL;

	ss_execute(&plan,
			   "DELETE FROM storesync.short_decision d USING ("
			   "  SELECT x.order_id, x.line_id FROM storesync.short_decision x "
			   "  WHERE x.decided_at < clock_timestamp() - '30 days'::interval AND NOT EXISTS ("
			   "    SELECT FROM storesync.sales_order_line l "
			   "    JOIN storesync.sales_order o ON o.order_id = l.order_id AND o.recorded_at = l.recorded_at "
			   "    WHERE o.order_id = x.order_id AND l.line_id = x.line_id AND l.short > 0) "
			   "  ORDER BY x.decided_at LIMIT 100 FOR UPDATE OF x SKIP LOCKED) gone "
			   "WHERE d.order_id = gone.order_id AND d.line_id = gone.line_id",
			   SPI_OK_DELETE, 0, NULL, NULL, NULL, 0);
}

/* store_answer keeps the answer under the key, as tasks do: version 0, and no row of the ledger. False: the key is used. */
static bool
store_answer(const ShortRequest *r, const ShortAnswer *answer)
{
	Answer		kept = {
		.insufficient = r->proposal == SHORT_MOVE && answer->units == 0,
		.on_hand = answer->units, .reserved = answer->left, .available = answer->task_id
	};

	return answer_store(r->key, r->fingerprint, &kept);
}

/* find_answer answers a request that was answered before. */
static bool
find_answer(const ShortRequest *r, ShortAnswer *answer)
{
	Answer		kept;

	if (!answer_find(r->key, r->fingerprint, &kept))
		return false;
	*answer = (ShortAnswer) {
		.outcome = kept.insufficient ? "insufficient" : outcomes[r->proposal], .done = true, .replayed = true,
		.units = kept.on_hand, .left = kept.reserved, .task_id = kept.available
	};
	return true;
}

/* count_left says how many units of the lines are still short. */
static void
count_left(const ShortOrder *order, ShortAnswer *answer)
{
	answer->left = 0;
	for (int i = 0; i < order->nlines; i++)
		answer->left += order->lines[i].line.missing;
}

/* decide carries the request out, for lines that are short. */
static void
decide(const ShortRequest *r, ShortOrder *order, const ShortRoute *route, ShortAnswer *answer)
{
	if (under_way(r, order, answer))
		return;
	if (r->proposal == SHORT_MOVE)
		short_move(r, order, route, answer);
	else if (r->proposal == SHORT_CANCEL)
		cancel(r, order, answer);
	else
		rest(order, answer);
	if (!answer->done)
		return;
	count_left(order, answer);
	if (!store_answer(r, answer))
	{
		/* for another order, at the same moment: this one is locked */
		(void) find_answer(r, answer);
		elog(ERROR, "idempotency key vanished");
	}
	if (answer->outcome == NULL)
		answer->outcome = outcomes[r->proposal];
	if (r->proposal == SHORT_MOVE && answer->units == 0)
		return;
	write_decision(r, order, r->proposal == SHORT_MOVE ? route->from : 0, answer);
	forget_decisions();
}

/* settle does a request whose key was not known a moment ago. */
static void
settle(const ShortRequest *r, ShortAnswer *answer)
{
	TimestampTz now = GetCurrentTimestamp();
	ShortOrder	order = {0};
	ShortRoute	route = {0};

	if (r->proposal == SHORT_WAIT && r->until <= now)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("end of a wait is past")));
	answer_prepare(r->key);
	stock_prepare();
	partition_ensure("order_history", now);
	partition_ensure("outbox", now);
	short_lock(r, &order);
	if (find_answer(r, answer))
		return;					/* another session did it meanwhile */
	short_load(r, &order);
	if (r->proposal == SHORT_MOVE)
		short_route(r, &order, &route);
	short_take_in(r, &order);
	short_keep(&order, answer);
	if (order.nlines > 0)
		decide(r, &order, &route, answer);
	order_line_finish(&order.journal, &order.hold);
}

/*
 * settle_short(store, order_sn, line_id, proposal, key, location, until, note, whole,
 * OUT outcome, OUT replayed, OUT units, OUT short, OUT task_id, OUT detail)
 */
Datum
settle_short(PG_FUNCTION_ARGS)
{
	ShortRequest r;
	ShortAnswer answer = {0};
	SsSession	session;
	TupleDesc	desc;
	MemoryContext caller = CurrentMemoryContext;
	Datum		values[6];
	bool		nulls[6] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	short_read_request(fcinfo, &r);
	ss_enter(&session, "storesync.settle_short()", true);
	ss_plan_by_index();
	if (!find_answer(&r, &answer))
		settle(&r, &answer);
	if (answer.detail != NULL)
		answer.detail = MemoryContextStrdup(caller, answer.detail);
	ss_leave(&session);

	values[0] = CStringGetTextDatum(answer.outcome);
	values[1] = BoolGetDatum(answer.replayed);
	values[2] = Int64GetDatum(answer.units);
	values[3] = Int64GetDatum(answer.left);
	values[4] = Int64GetDatum(answer.task_id);
	nulls[4] = answer.task_id == 0;
	nulls[5] = answer.detail == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(answer.detail);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* platform_cancels(platform text): whether storesync knows a call that cancels lines of an order there. */
Datum
platform_cancels(PG_FUNCTION_ARGS)
{
	const Platform *platform = platform_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	PG_RETURN_BOOL(platform != NULL && (platform->calls & CALL_BIT(CALL_CANCEL_LINES)) != 0);
}
