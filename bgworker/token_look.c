/*
 * token_look.c
 *		Asking the platform until when a shop is authorised.
 *
 * The owner chooses that on the page where he consents, so nobody here knows
 * it. Asked soon after a code was exchanged, then once a day; a store whose
 * tokens people have set is asked the first time an hour later. What comes is
 * for people to see (token_status, health()); nothing else waits for it.
 */
#include "token.h"

#include "catalog/pg_type.h"

#include "dispatcher.h"
#include "record.h"

/* After an answer that said nothing. */
#define AGAIN_US	USECS_PER_HOUR

TimestampTz
token_look_due(const DispatchStore *store)
{
	const StoreToken *token = &store->token;

	return token->known && store->fetches && !token->looking ? token->look_due : DT_NOEND;
}

void
token_look_build(DispatchStore *store)
{
	DispatchCall *call = call_create(store, CALL_SHOP_INFO);
	const char *error;

	if (call_build(call, &error))
	{
		store->token.looking = true;
		dispatch_ready(call);
		return;
	}
	/* who fetches orders meets the same, and says so */
	store->token.look_due = GetCurrentTimestamp() + AGAIN_US;
	call_free(call);
}

void
token_look_return(DispatchCall *call)
{
	call->store->token.looking = false;
	call_free(call);
}

/* note_end writes down what the platform said, if it did, and that it was asked. */
static void
note_end(const DispatchCall *call, TimestampTz next)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {
		Int32GetDatum(call->store->store_id),
		Int64GetDatum(call->answer.authorization_ends),
		TimestampTzGetDatum(next)
	};

	ss_execute(&plan,
			   "UPDATE storesync.token SET look_due = $3, "
			   "authorization_ends = CASE WHEN $2 > 0 THEN to_timestamp($2) ELSE authorization_ends END "
			   "WHERE store_id = $1",
			   SPI_OK_UPDATE, 3, types, values, NULL, 0);
}

void
token_look_settle(DispatchCall *call, Record *record)
{
	StoreToken *token = &call->store->token;

	record_call(record, call, NULL);
	dispatch_count_answer(call);
	(void) dispatch_hold_store(call);
	token->looking = false;
	token->look_due = call->answered_at + AGAIN_US;
	if (call->answer.class == OUTCOME_OK)
	{
		token->look_due = call->answered_at + USECS_PER_DAY;
		note_end(call, token->look_due);
	}
	call_free(call);
}
