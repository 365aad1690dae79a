/*
 * token_pair.c
 *		Storing the pair of tokens that an answer has brought.
 *
 * In a transaction of its own that waits for the disk, before anything else is
 * done: what could not be stored stays in memory and is stored later, and no
 * call uses a token that is not in the table. A pair is stored only in the
 * place of the refresh token that it was got for: what people have set
 * meanwhile is newer.
 */
#include "token_internal.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "worker.h"

/* A pair that could not be stored is tried again after this time. */
#define SAVE_AGAIN_US		USECS_PER_SEC

/* Answered refreshes whose pair is not stored yet. */
static dlist_head unsaved = DLIST_STATIC_INIT(unsaved);
static TimestampTz save_due = DT_NOEND;

TimestampTz
token_expiry(const DispatchCall *call)
{
	return call->sent_at + call->answer.expires_in * USECS_PER_SEC;
}

/* save_pair runs in a transaction of its own; sets the flag when the pair took the place of the old one. */
static void
save_pair(void *arg)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	DispatchCall *call = arg;
	SsSession	session;
	Datum		values[] = {
		Int32GetDatum(call->store->store_id),
		CStringGetTextDatum(call->access.refresh_token),
		CStringGetTextDatum(call->answer.refresh_token),
		CStringGetTextDatum(call->answer.access_token),
		TimestampTzGetDatum(call->answered_at),
		TimestampTzGetDatum(token_expiry(call))
	};

	ss_enter(&session, "storesync dispatcher", true);
	ss_execute(&plan,
			   "WITH refresh AS ("
			   "UPDATE storesync.credential SET value = $3, set_at = $5 "
			   "WHERE store_id = $1 AND name = 'refresh_token' AND value = $2 RETURNING store_id), "
			   "access AS ("
			   "INSERT INTO storesync.credential (store_id, name, value, set_at) "
			   "SELECT store_id, 'access_token', $4, $5 FROM refresh "
			   "ON CONFLICT (store_id, name) DO UPDATE SET value = excluded.value, set_at = excluded.set_at), "
			   "told AS ("
			   "INSERT INTO storesync.token AS t (store_id, authorized_at, refreshed_at, access_expires) "
			   "SELECT store_id, $5, $5, $6 FROM refresh "
			   "ON CONFLICT (store_id) DO UPDATE SET refreshed_at = $5, access_expires = $6, "
			   "incarnation = excluded.incarnation, asked_at = NULL, refused_at = NULL, reason = NULL) "
			   "INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'refresh token', concat('store ', store_id), jsonb_build_object('access_expires', $6) FROM refresh",
			   SPI_OK_INSERT, 6, types, values, NULL, 0);
	call->stored = SPI_processed > 0;
	ss_leave(&session);
	/* whatever synchronous_commit says: the platform knows no other token any more */
	ForceSyncCommit();
}

/* take_over lets calls use the pair, which is committed. */
static void
take_over(const DispatchCall *call)
{
	DispatchStore *store = call->store;
	StoreToken *token = &store->token;
	int64		life_us = token_expiry(call) - call->answered_at;

	store->access.access_token = MemoryContextStrdup(store->context, call->answer.access_token);
	store->access.refresh_token = MemoryContextStrdup(store->context, call->answer.refresh_token);
	token->access_set_at = call->answered_at;
	token->refresh_set_at = call->answered_at;
	token->expires = token_expiry(call);
	token->due = token->expires - Min(30 * USECS_PER_MINUTE, life_us / 4);
	token->failures = 0;
	token->known = true;
	token->useless = false;
	token->refused = false;
	token->in_doubt = false;
	token->vain++;
	if (call->call.kind == CALL_GET_TOKEN)
	{
		token->look_due = 0;
		token_code_done(call);
	}
}

/* save stores the pair; false when that has to be tried again. */
static bool
save(DispatchCall *call)
{
	bool		done = worker_try("storesync: storing a token",
								  call->call.kind == CALL_GET_TOKEN ? token_code_save : save_pair, call);

	dispatch_count(SS_STATEMENTS, 1);
	if (done && call->stored)
		take_over(call);
	return done;
}

void
token_answered(DispatchCall *call)
{
	if (call->answer.class == OUTCOME_OK && !save(call))
	{
		dlist_push_tail(&unsaved, &call->node);
		save_due = GetCurrentTimestamp() + SAVE_AGAIN_US;
		return;
	}
	dispatch_ended(call);
}

TimestampTz
token_save_due(void)
{
	return save_due;
}

void
token_save_again(TimestampTz now)
{
	dlist_mutable_iter iter;

	save_due = DT_NOEND;
	dlist_foreach_modify(iter, &unsaved)
	{
		DispatchCall *call = dlist_container(DispatchCall, node, iter.cur);

		if (!save(call))
		{
			save_due = now + SAVE_AGAIN_US;
			continue;
		}
		dlist_delete(&call->node);
		dispatch_ended(call);
	}
}
