/*
 * token_code.c
 *		Exchanging the code of an authorisation for a store's first tokens.
 *
 * A code works once and for ten minutes. It is a credential of the store until
 * the pair that it brought is stored, in the same transaction, or the platform
 * has refused it; whichever comes first takes it away. That an exchange was
 * asked for is committed before it leaves, so that who finds a code after a
 * crash knows that it may be spent; it is tried all the same, for the platform
 * alone can tell.
 *
 * A refused code leaves the tokens alone that the store has.
 */
#include "token_internal.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "retry.h"

/* A code is good for so long after it was made, so for less after it was handed over. */
#define CODE_LIFE_US	(10 * USECS_PER_MINUTE)
#define TOO_OLD			"it was handed over more than 10 minutes ago"
#define MAYBE_SPENT		"an exchange whose answer was lost may have spent it"

void
token_code_read(DispatchStore *store, const char *code, TimestampTz set_at, bool asked)
{
	StoreToken *token = &store->token;

	token->has_code = code != NULL;
	store->access.auth_code = code == NULL ? NULL : MemoryContextStrdup(store->context, code);
	if (code == NULL || token->code_set_at == set_at)
		return;
	token->code_set_at = set_at;
	token->code_due = 0;
	token->code_failures = 0;
	token->code_in_doubt = asked;
}

TimestampTz
token_code_due(const StoreToken *token)
{
	return token->has_code ? token->code_due : DT_NOEND;
}

uint64
token_ask_exchange(DispatchStore *store)
{
	StoreToken *token = &store->token;

	if (token->exchange.begun > token->exchange.ended && (!token->has_code || token->code_asked == token->code_set_at))
		return token->exchange.begun;
	return token->has_code ? token->exchange.begun + 1 : 0;
}

/* ---------------------------------------------------------------- the call */

/* note_asked keeps an exchange's mark in the table: set before it leaves, taken away when it certainly did nothing. */
static void
note_asked(const DispatchStore *store, bool asked)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, BOOLOID};
	Datum		values[] = {Int32GetDatum(store->store_id), BoolGetDatum(asked)};

	ss_execute(&plan,
			   "UPDATE storesync.token t SET code_asked_at = "
			   "CASE WHEN $2 THEN coalesce(t.code_asked_at, clock_timestamp()) END WHERE t.store_id = $1",
			   SPI_OK_UPDATE, 2, types, values, NULL, 0);
}

/* note_refused takes a code away that is of no use, and writes down why. One that came meanwhile stays. */
static void
note_refused(const DispatchStore *store, const char *code, const char *reason)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(store->store_id), CStringGetTextDatum(code), CStringGetTextDatum(reason)};

	ss_execute(&plan,
			   "WITH gone AS (DELETE FROM storesync.credential c "
			   "WHERE c.store_id = $1 AND c.name = 'auth_code' AND c.value = $2 RETURNING c.store_id), "
			   "told AS (UPDATE storesync.token t SET code_refused_at = clock_timestamp(), code_reason = $3, code_asked_at = NULL "
			   "FROM gone WHERE t.store_id = gone.store_id RETURNING t.store_id) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'authorisation code refused', concat('store ', store_id), jsonb_build_object('reason', $3) FROM told",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
}

/* forget lets go of the code, unless people have handed over another one. */
static void
forget(DispatchStore *store, const char *code)
{
	if (store->access.auth_code == NULL || strcmp(store->access.auth_code, code) != 0)
		return;
	store->access.auth_code = NULL;
	store->token.has_code = false;
}

static void
refused(DispatchStore *store, const char *code, const char *reason)
{
	if (store->token.code_in_doubt)
		reason = psprintf("%s: %s", MAYBE_SPENT, reason);
	note_refused(store, code, reason);
	ereport(LOG,
			(errmsg("storesync store %d: the code of its authorisation was refused", store->store_id),
			 errdetail_internal("%s", reason)));
	token_ended(&store->token, &store->token.exchange, OUTCOME_AUTH, reason);
	forget(store, code);
}

void
token_code_build(DispatchStore *store)
{
	DispatchCall *call = call_create(store, CALL_GET_TOKEN);
	StoreToken *token = &store->token;
	const char *error = NULL;

	token->exchange.begun++;
	token->code_asked = token->code_set_at;
	token->flying = true;
	call->access.auth_code = arena_strdup(call->arena, store->access.auth_code);
	if (GetCurrentTimestamp() > token->code_set_at + CODE_LIFE_US)
	{
		refused(store, store->access.auth_code, TOO_OLD);
		call_free(call);
	}
	else if (!call_build(call, &error))
	{
		token->code_due = GetCurrentTimestamp() + STORE_AUTH_WAIT_US;
		token_ended(token, &token->exchange, OUTCOME_LATER, error);
		call_free(call);
	}
	else
	{
		note_asked(store, true);
		dispatch_ready(call);
	}
}

/* ---------------------------------------------------------------- its answer */

/* store_tokens puts the pair in its place; false when people took the code back meanwhile, or set tokens themselves. */
static bool
store_tokens(const DispatchCall *call)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {
		Int32GetDatum(call->store->store_id),
		CStringGetTextDatum(call->answer.refresh_token),
		CStringGetTextDatum(call->answer.access_token),
		TimestampTzGetDatum(call->answered_at),
		TimestampTzGetDatum(token_expiry(call))
	};

	ss_execute(&plan,
			   "WITH code AS (SELECT c.store_id FROM storesync.credential c "
			   "WHERE c.store_id = $1 AND c.name = 'auth_code' FOR UPDATE), "
			   "pair AS ("
			   "INSERT INTO storesync.credential (store_id, name, value, set_at) "
			   "SELECT code.store_id, x.name, x.value, $4 FROM code, "
			   "(VALUES ('refresh_token', $2), ('access_token', $3)) AS x (name, value) "
			   "ON CONFLICT (store_id, name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at), "
			   "told AS ("
			   "INSERT INTO storesync.token AS t (store_id, authorized_at, look_due, refreshed_at, access_expires) "
			   "SELECT store_id, $4, $4, $4, $5 FROM code "
			   "ON CONFLICT (store_id) DO UPDATE SET authorized_at = $4, look_due = $4, refreshed_at = $4, access_expires = $5, "
			   "authorization_ends = NULL, incarnation = excluded.incarnation, asked_at = NULL, refused_at = NULL, reason = NULL, "
			   "code_asked_at = NULL, code_refused_at = NULL, code_reason = NULL) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'authorize store', concat('store ', store_id), jsonb_build_object('access_expires', $5) FROM code",
			   SPI_OK_INSERT, 5, types, values, NULL, 0);
	return SPI_processed > 0;
}

static void
drop_code(const DispatchCall *call)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(call->store->store_id), CStringGetTextDatum(call->access.auth_code)};

	ss_execute(&plan,
			   "DELETE FROM storesync.credential WHERE store_id = $1 AND name = 'auth_code' AND value = $2",
			   SPI_OK_DELETE, 2, types, values, NULL, 0);
}

void
token_code_save(void *arg)
{
	DispatchCall *call = arg;
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	call->stored = store_tokens(call);
	drop_code(call);
	ss_leave(&session);
	/* whatever synchronous_commit says: the code is spent */
	ForceSyncCommit();
}

void
token_code_done(const DispatchCall *call)
{
	call->store->token.code_in_doubt = false;
	forget(call->store, call->access.auth_code);
}

void
token_code_settle(DispatchCall *call)
{
	StoreToken *token = &call->store->token;
	OutcomeClass class = call->answer.class;

	if (call->stored)
		token_ended(token, &token->exchange, OUTCOME_OK, NULL);
	else if (class == OUTCOME_OK)
		token_ended(token, &token->exchange, OUTCOME_LATER, SET_ANEW);
	else if (class == OUTCOME_AUTH && call->answer.application)
	{
		/* the code may still be good: tried when the store is called again */
		token->code_due = call->answered_at;
		if (!token->code_in_doubt)
			note_asked(call->store, false);
		token_ended(token, &token->exchange, OUTCOME_LATER, call->answer.message);
	}
	else if (class == OUTCOME_AUTH || class == OUTCOME_PERMANENT)
		refused(call->store, call->access.auth_code, call->answer.message);
	else
	{
		token->code_due = call->answered_at + retry_delay_us(++token->code_failures);
		if (class == OUTCOME_IN_DOUBT)
			token->code_in_doubt = true;
		else if (!token->code_in_doubt)
			note_asked(call->store, false);
		token_ended(token, &token->exchange, class, call->answer.message);
	}
}
