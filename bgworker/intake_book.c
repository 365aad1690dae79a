/*
 * intake_book.c
 *		Booking the documents that a call brought.
 *
 * In a transaction of its own, one a batch: it holds the locks of stock and
 * must hold nothing else, nor hold them longer than it takes. An error is the
 * call's outcome and never the dispatcher's end.
 */
#include "intake.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "worker.h"

#define MESSAGE_MAX	200			/* bytes of a server's message that are kept */
/* Runs of a batch's transaction when others were in its way: a new call for the same documents would cost the budget. */
#define BOOK_TRIES	3

/* What ingest_orders said of a batch. */
typedef struct Booked
{
	int64		documents;
	int64		duplicates;		/* unchanged or stale */
	int64		rejected;
	char	   *first_rejected; /* NULL for none */
} Booked;

static void
read_booked(Booked *booked, MemoryContext context)
{
	HeapTuple	row = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	char	   *text = SPI_getvalue(row, desc, 4);

	booked->documents = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	booked->duplicates = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	booked->rejected = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
	booked->first_rejected = text == NULL ? NULL : MemoryContextStrdup(context, text);
}

/*
 * placed_by returns a moment by which the orders of a call were placed, for
 * documents that do not say when: the end of the window in which they were
 * listed, else when they were asked for.
 */
static TimestampTz
placed_by(const DispatchCall *call)
{
	const StoreIntake *intake = &call->store->intake;

	if (call->n_ships > 0 || (intake->walk == WALK_ERRAND && intake->errand.kind != ERRAND_WINDOW))
		return call->sent_at;
	return Min(intake->window_to, call->sent_at);
}

/*
 * hold_declined holds the listings of lines that the seller has declined, where
 * that is news: the platform shows 0 of them, and says so of lines for as long
 * as it lists them. A line that was never seen is news when its order came
 * after the last fetch. $1: the store, $2: the documents.
 */
static void
hold_declined(Datum *values)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, TEXTOID};

	ss_execute(&plan,
			   "UPDATE storesync.listing l SET held = 'declined order ' || left(d.order_sn, 100) "
			   "FROM (SELECT DISTINCT ON (y.line->>'item_id', coalesce(y.line->>'model_id', '')) x.document->>'order_sn' AS order_sn, "
			   "y.line->>'item_id' AS item_id, coalesce(y.line->>'model_id', '') AS model_id "
			   "FROM jsonb_array_elements($2::jsonb) AS x (document) "
			   "CROSS JOIN LATERAL jsonb_array_elements(x.document->'lines') AS y (line) "
			   "LEFT JOIN (storesync.sales_order o JOIN storesync.sales_order_line z USING (order_id)) "
			   "ON o.store_id = $1 AND o.order_sn = x.document->>'order_sn' AND z.line_id = y.line->>'line_id' "
			   "WHERE y.line->>'declined' = 'true' AND CASE WHEN z.line_id IS NOT NULL THEN z.status <> 'cancelled' "
			   "ELSE to_timestamp((x.document->>'create_time')::double precision) > "
			   "(SELECT c.fetched_through FROM storesync.order_cursor c WHERE c.store_id = $1) - interval '1 minute' END) d "
			   "WHERE l.store_id = $1 AND l.item_id = d.item_id AND l.model_id = d.model_id AND l.held IS NULL",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

/* book runs inside a transaction: all documents, and the cursor when they complete the window. */
static void
book(const DispatchCall *call, Booked *booked)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[4];
	const StoreIntake *intake = &call->store->intake;
	const char *documents = call->answer.documents;
	SsSession	session;
	Record		record;

	ss_enter(&session, "storesync dispatcher", true);
	if (call->answer.n_documents > 0)
	{
		values[0] = Int32GetDatum(call->store->store_id);
		/* raises 22P05 for what this database's encoding has no character for */
		values[1] = CStringGetTextDatum(pg_any_to_server(documents, (int) strlen(documents), PG_UTF8));
		values[2] = TimestampTzGetDatum(call->sent_at);
		values[3] = TimestampTzGetDatum(placed_by(call));
		if (strstr(documents, "\"declined\":true") != NULL)
			hold_declined(values);
		ss_execute(&plan,
				   "SELECT count(*), count(*) FILTER (WHERE r.outcome IN ('unchanged', 'stale')), "
				   "count(*) FILTER (WHERE r.outcome = 'rejected'), "
				   "left(min(r.order_sn || ' ' || r.detail) FILTER (WHERE r.outcome = 'rejected'), 200) "
				   "FROM storesync.ingest_orders($1, (SELECT jsonb_agg("
				   "jsonb_build_object('create_time', $4) || d.document || jsonb_build_object('fetched_at', $3) "
				   "ORDER BY d.place) "
				   "FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS d (document, place))) r",
				   SPI_OK_SELECT, 4, types, values, NULL, 0);
		read_booked(booked, call->context);
	}
	if (call->n_ships == 0 && intake_ends_window(intake, call->call.n_order_sns))
	{
		record_init(&record, CurrentMemoryContext);
		record_cursor(&record, call->store->store_id, intake->window_to);
		(void) record_write(&record);
	}
	ss_leave(&session);
}

/* is_passing tells errors that may be gone at the next try from those of the documents. */
static bool
is_passing(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
		class == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
		sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

/*
 * fail_call makes the error that was just caught the call's outcome, outside
 * its aborted transaction. The log hears of each order once.
 */
static void
fail_call(DispatchCall *call)
{
	ErrorData  *error;

	MemoryContextSwitchTo(call->context);
	error = CopyErrorData();
	HOLD_INTERRUPTS();
	if (call->call.n_order_sns > 1 || !intake_was_given_up(&call->store->intake, call->call.order_sns[0]))
		EmitErrorReport();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();
	call->answer.class = is_passing(error->sqlerrcode) ? OUTCOME_LATER : OUTCOME_PERMANENT;
	call->answer.code = arena_strdup(call->arena, unpack_sql_state(error->sqlerrcode));
	call->answer.message = arena_strndup(call->arena, error->message,
										 pg_mbcliplen(error->message, (int) strlen(error->message), MESSAGE_MAX));
}

/* tell_rejected logs the first page with refused documents, and the first without. */
static void
tell_rejected(DispatchStore *store, const Booked *booked)
{
	bool		rejecting = booked->rejected > 0;

	if (rejecting && !store->intake.rejecting)
		ereport(LOG,
				(errmsg("storesync store %d: %lld order documents were rejected",
						store->store_id, (long long) booked->rejected),
				 errdetail_internal("%s", booked->first_rejected)));
	if (rejecting || booked->documents > 0)
		store->intake.rejecting = rejecting;
}

/* forget_error leaves the aborted transaction as if it had not been begun. */
static void
forget_error(void)
{
	HOLD_INTERRUPTS();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();
}

/*
 * try_book books the call's documents in a transaction; false: others were in
 * the way, a bundle that came to be short or a deadlock, and it is to be run
 * again. With `last` that is the call's outcome, as any other error is.
 */
static bool
try_book(DispatchCall *call, Booked *booked, bool last)
{
	volatile bool again = false;

	memset(booked, 0, sizeof(Booked));
	PG_TRY();
	{
		worker_begin("storesync: booking orders");
		book(call, booked);
		worker_commit();
	}
	PG_CATCH();
	{
		again = !last && ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_TO_CATEGORY(ERRCODE_T_R_SERIALIZATION_FAILURE);
		if (again)
			forget_error();
		else
			fail_call(call);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	dispatch_count(SS_STATEMENTS, 1);
	return !again;
}

/* ingest books the documents that came. */
static void
ingest(DispatchCall *call)
{
	Booked		booked;

	for (int i = 1; !try_book(call, &booked, i == BOOK_TRIES); i++)
		CHECK_FOR_INTERRUPTS();
	if (call->answer.class != OUTCOME_OK && call->answer.class != OUTCOME_PARTIAL)
		return;
	dispatch_count(SS_ORDERS_INGESTED, booked.documents);
	dispatch_count(SS_ORDERS_DUPLICATE, booked.duplicates);
	call->store->intake.news += booked.documents - booked.duplicates - booked.rejected;
	tell_rejected(call->store, &booked);
	if (booked.rejected > 0)
		call->answer.message = arena_printf(call->arena, "%lld rejected, first %s",
											(long long) booked.rejected, booked.first_rejected);
	else if (call->store->platform->update_feed && call->answer.n_documents < call->call.n_order_sns)
		call->answer.message = arena_printf(call->arena, "%d of %d orders came",
											call->answer.n_documents, call->call.n_order_sns);
}

void
intake_answered(DispatchCall *call)
{
	dispatch_ended(call);
	if (call->call.kind == CALL_GET_ORDERS &&
		(call->answer.class == OUTCOME_OK || call->answer.class == OUTCOME_PARTIAL))
		ingest(call);
}
