/*
 * transfer.c
 *		Units that go from one location to another: two ledger rows under one
 *		key, or none. Only what nobody has reserved can go.
 *
 * Locking: both places, in the order of stock.h, made before the first is
 * locked; to the end of the transaction.
 */
#include "storesync.h"

#include "utils/builtins.h"

#include "answer.h"
#include "key.h"
#include "ledger.h"
#include "order_line.h"
#include "partition.h"
#include "stock.h"

PG_FUNCTION_INFO_V1(transfer);

enum
{
	ARG_SKU, ARG_QTY, ARG_FROM, ARG_TO, ARG_KEY, ARG_REFERENCE
};

typedef struct Transfer
{
	text	   *sku;
	text	   *from;
	text	   *to;
	text	   *reference;		/* '' when none was given */
	int64		qty;
	const IdempotencyKey *key;
	uint64		fingerprint;
} Transfer;

static uint64
request_fingerprint(const Transfer *t)
{
	char		qty[32];
	const text *texts[] = {t->sku, t->from, t->to, t->reference};
	const char *parts[6] = {"transfer", qty};
	int			lengths[6];

	snprintf(qty, sizeof(qty), "%lld", (long long) t->qty);
	lengths[0] = strlen(parts[0]);
	lengths[1] = strlen(qty);
	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		parts[2 + i] = VARDATA_ANY(texts[i]);
		lengths[2 + i] = VARSIZE_ANY_EXHDR(texts[i]);
	}
	return ss_fingerprint(lengthof(parts), parts, lengths);
}

/* read_request checks every argument; nothing has been read or locked yet. */
static void
read_request(FunctionCallInfo fcinfo, Transfer *t)
{
	ledger_check_not_null(fcinfo, ARG_SKU, "SKU");
	ledger_check_not_null(fcinfo, ARG_QTY, "quantity");
	ledger_check_not_null(fcinfo, ARG_FROM, "location");
	ledger_check_not_null(fcinfo, ARG_TO, "location");
	ledger_check_not_null(fcinfo, ARG_KEY, "idempotency key");
	t->sku = PG_GETARG_TEXT_PP(ARG_SKU);
	t->qty = PG_GETARG_INT64(ARG_QTY);
	t->from = PG_GETARG_TEXT_PP(ARG_FROM);
	t->to = PG_GETARG_TEXT_PP(ARG_TO);
	t->key = PG_GETARG_IDEMPOTENCY_KEY_P(ARG_KEY);
	ss_check_text("SKU", t->sku);
	ss_check_text("location", t->from);
	ss_check_text("location", t->to);
	t->reference = ledger_reference(fcinfo, ARG_REFERENCE);
	ss_check_quantity(t->qty);
	if (ss_text_compare(t->from, t->to) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot transfer from location \"%s\" to itself", text_to_cstring(t->from))));
	key_check_age(t->key);
	t->fingerprint = request_fingerprint(t);
}

/* lock_both locks the two places. */
static void
lock_both(const Transfer *t, StockHold *hold, StockPlace **from, StockPlace **to)
{
	int64		sku_id;
	int32		from_id;
	int32		to_id;

	ledger_resolve(t->sku, t->from, &sku_id, &from_id);
	ledger_resolve(t->sku, t->to, &sku_id, &to_id);
	answer_prepare(t->key);
	stock_prepare();
	partition_ensure("order_history", GetCurrentTimestamp());
	stock_lock_places(sku_id, 2, (const int32[]) {from_id, to_id}, true, hold);
	*from = stock_place_of(hold, sku_id, from_id);
	*to = stock_place_of(hold, sku_id, to_id);
}

static void
move(const Transfer *t, StockJournal *journal, StockPlace *place, int64 on_hand_delta)
{
	StockMove  *row = stock_move(journal, place, MOVE_TRANSFER, on_hand_delta, 0);

	row->event_at = key_time(t->key);
	row->key = *t->key;
	if (VARSIZE_ANY_EXHDR(t->reference) > 0)
		row->reference = t->reference;
}

/* book does a transfer whose key was not known a moment ago. The answer is how the first place stands then. */
static void
book(const Transfer *t, Answer *answer)
{
	StockHold	hold;
	StockPlace *from;
	StockPlace *to;
	StockJournal journal;
	bool		insufficient;

	lock_both(t, &hold, &from, &to);
	stock_journal_start(&journal);
	/* also of a SKU on backorder: what is not there cannot be carried */
	insufficient = t->qty > from->on_hand - from->reserved;
	if (!insufficient)
	{
		ledger_check_bounds(to, t->qty, 0);
		move(t, &journal, from, -t->qty);
		move(t, &journal, to, t->qty);
	}
	ledger_answer(answer, from, insufficient);
	if (!answer_store(t->key, t->fingerprint, answer))
	{
		if (!answer_find(t->key, t->fingerprint, answer))
			elog(ERROR, "idempotency key vanished");
		return;
	}
	if (insufficient)
		return;
	stock_write(&journal);
	order_line_serve(&journal, &hold);
}

/* transfer(sku, qty, from_location, to_location, key, reference) */
Datum
transfer(PG_FUNCTION_ARGS)
{
	Transfer	t;
	Answer		answer;
	SsSession	session;

	read_request(fcinfo, &t);
	ss_enter(&session, "storesync.transfer()", true);
	ss_plan_by_index();
	if (!answer_find(t.key, t.fingerprint, &answer))
		book(&t, &answer);
	ss_leave(&session);
	PG_RETURN_DATUM(answer_result(fcinfo, &answer));
}
