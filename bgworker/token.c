/*
 * token.c
 *		Refreshing access tokens.
 *
 * A refresh token works once: the platform forgets it with the answer that
 * brings the next one. So the answer is stored before anything else is done
 * (token_pair.c). That a refresh was asked for is committed before it leaves:
 * who finds that note and no answer knows that the token may be spent, and
 * tries it at once, while the old access token still works.
 *
 * Codes of authorisations, which bring a store's first pair, are token_code.c's.
 */
#include "token.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "dispatcher.h"
#include "record.h"
#include "retry.h"
#include "token_internal.h"

/* A refused refresh token is tried again after this time: platforms err. token_status says the same. */
#define REFUSED_AGAIN_US	USECS_PER_HOUR
/* A refresh that helped nobody is repeated after this time, which doubles each time up to the second. */
#define VAIN_FIRST_US		USECS_PER_MINUTE
#define VAIN_LAST_US		USECS_PER_HOUR
#define MAYBE_SPENT			"a lost answer may have spent the refresh token"

/*
 * What the table says of a token may be changed by what happened to a call
 * only while the call's token is in force. People may be at it: the row is
 * locked, which waits for them, and then looked at once more.
 */
#define THE_SAME_TOKEN(value) \
	"SELECT r.store_id, r.set_at FROM storesync.credential r " \
	"WHERE r.store_id = $1 AND r.name = 'refresh_token' AND r.value = " value " FOR UPDATE"

/* ---------------------------------------------------------------- what is known */

static TimestampTz
column(HeapTuple row, TupleDesc desc, int number, TimestampTz missing)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, number, &isnull);

	return isnull ? missing : DatumGetTimestampTz(value);
}

static bool
has_call(const DispatchStore *store, CallKind kind)
{
	return store->platform != NULL && (store->platform->calls & CALL_BIT(kind)) != 0;
}

/* read_value returns a credential for as long as the store is not read again. */
static char *
read_value(const DispatchStore *store, HeapTuple row, TupleDesc desc, int number)
{
	char	   *value = SPI_getvalue(row, desc, number);

	return value == NULL ? NULL : MemoryContextStrdup(store->context, value);
}

/*
 * read_token takes over a row of the table, unless it says nothing new of
 * tokens that are known. The tokens themselves are as of the same moment as
 * what is told of them, which those that were read with the store may not be.
 */
static void
read_token(DispatchStore *store, HeapTuple row, TupleDesc desc)
{
	StoreToken *token = &store->token;
	TimestampTz access_set_at = column(row, desc, 2, 0);
	TimestampTz refresh_set_at = column(row, desc, 3, 0);
	bool		same;

	store->access.access_token = read_value(store, row, desc, 12);
	store->access.refresh_token = read_value(store, row, desc, 13);
	same = token->access_set_at == access_set_at && token->refresh_set_at == refresh_set_at;
	token->known = refresh_set_at != 0 && has_call(store, CALL_REFRESH_TOKEN);
	if (same)
		return;
	token->access_set_at = access_set_at;
	token->refresh_set_at = refresh_set_at;
	token->expires = column(row, desc, 4, 0);
	token->due = column(row, desc, 5, 0);
	token->in_doubt = column(row, desc, 6, 0) != 0;
	token->refused = column(row, desc, 7, 0) != 0;
	token->useless = store->access.access_token == NULL;
	token->vain = 0;
	token->failures = 0;
}

void
token_load(void)
{
	static SPIPlanPtr plan = NULL;

	for (int i = 0; i < stores_count(); i++)
	{
		stores_nth(i)->token.known = false;
		token_code_read(stores_nth(i), NULL, 0, false);
	}
	ss_execute(&plan,
			   "SELECT t.store_id, a.set_at, r.set_at, t.access_expires, t.refresh_due, t.asked_at, t.refused_at, "
			   "c.value, c.set_at, k.code_asked_at, k.look_due, a.value, r.value "
			   "FROM storesync.token_status t "
			   "LEFT JOIN storesync.token k ON k.store_id = t.store_id "
			   "LEFT JOIN storesync.credential r ON r.store_id = t.store_id AND r.name = 'refresh_token' "
			   "LEFT JOIN storesync.credential a ON a.store_id = t.store_id AND a.name = 'access_token' "
			   "LEFT JOIN storesync.credential c ON c.store_id = t.store_id AND c.name = 'auth_code'",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		DispatchStore *store = stores_find(DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)));

		if (store == NULL)
			continue;
		read_token(store, row, desc);
		store->token.look_due = has_call(store, CALL_SHOP_INFO) ? column(row, desc, 11, DT_NOEND) : DT_NOEND;
		if (has_call(store, CALL_GET_TOKEN))
			token_code_read(store, SPI_getvalue(row, desc, 8), column(row, desc, 9, 0), column(row, desc, 10, 0) != 0);
	}
}

bool
token_brings(CallKind kind)
{
	return kind == CALL_REFRESH_TOKEN || kind == CALL_GET_TOKEN;
}

TimestampTz
token_due(const DispatchStore *store)
{
	const StoreToken *token = &store->token;

	if (!store->fetches || token->flying)
		return DT_NOEND;
	return Min(token->known ? token->due : DT_NOEND, token_code_due(token));
}

/*
 * token_blocks: an access token that has ended is not tried while there is
 * hope for another. Without that it is, so that the platform says what is
 * wrong and the store waits for people.
 */
bool
token_blocks(const DispatchStore *store)
{
	const StoreToken *token = &store->token;

	if (token->has_code && store->access.access_token == NULL)
		return true;
	return token->known &&
		(token->useless ||
		 (token->expires != 0 && !token->refused && token->expires <= GetCurrentTimestamp()));
}

/* ---------------------------------------------------------------- a refresh */

/*
 * note_asked keeps a refresh's mark in the table: set before it leaves, taken
 * away when it certainly did nothing. false when the token of the call is in
 * the table no more.
 */
static bool
note_asked(const DispatchCall *call, bool asked)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, BOOLOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(call->store->store_id), BoolGetDatum(asked),
	CStringGetTextDatum(call->access.refresh_token)};

	ss_execute(&plan,
			   "WITH held AS (" THE_SAME_TOKEN("$3") ") "
			   "INSERT INTO storesync.token AS t (store_id, authorized_at, asked_at) "
			   "SELECT h.store_id, h.set_at, CASE WHEN $2 THEN clock_timestamp() END FROM held h "
			   "ON CONFLICT (store_id) DO UPDATE SET asked_at = CASE WHEN $2 THEN coalesce(t.asked_at, excluded.asked_at) END",
			   SPI_OK_INSERT, 3, types, values, NULL, 0);
	return SPI_processed > 0;
}

/*
 * note_refused writes down that the platform refuses the refresh token of the
 * call; the audit hears of it once. false when that is in the table no more:
 * nothing is known of the one that is.
 */
static bool
note_refused(const DispatchCall *call, const char *reason)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, TEXTOID, BOOLOID, TEXTOID};
	Datum		values[] = {Int32GetDatum(call->store->store_id), CStringGetTextDatum(reason),
	BoolGetDatum(!call->store->token.refused), CStringGetTextDatum(call->access.refresh_token)};

	ss_execute(&plan,
			   "WITH held AS (" THE_SAME_TOKEN("$4") "), "
			   "told AS (UPDATE storesync.token t SET refused_at = clock_timestamp(), reason = $2, asked_at = NULL "
			   "FROM held h WHERE t.store_id = h.store_id RETURNING t.store_id), "
			   "noted AS (INSERT INTO storesync.audit (action, subject, after) "
			   "SELECT 'refresh token refused', concat('store ', store_id), jsonb_build_object('reason', $2) "
			   "FROM told WHERE $3) "
			   "SELECT FROM held",
			   SPI_OK_SELECT, 4, types, values, NULL, 0);
	return SPI_processed > 0;
}

void
token_ended(StoreToken *token, TokenTries *tries, OutcomeClass class, const char *reason)
{
	if (reason == NULL)
		reason = "";
	token->flying = false;
	tries->ended = tries->begun;
	tries->last_class = class;
	strlcpy(tries->last_reason, reason,
			pg_mbcliplen(reason, (int) strlen(reason), sizeof(tries->last_reason) - 1) + 1);
}

/* ended closes the refresh that was under way, for those who asked for it. */
static void
ended(StoreToken *token, OutcomeClass class, const char *reason)
{
	token_ended(token, &token->refresh, class, reason);
}

/* set_anew: whatever became of the call's token, another is in force or about to be read. */
static void
set_anew(StoreToken *token)
{
	ended(token, OUTCOME_LATER, SET_ANEW);
}

/* refused: the refresh token is of no use. The store goes on until its access token is refused too. */
static void
refused(const DispatchCall *call)
{
	DispatchStore *store = call->store;
	StoreToken *token = &store->token;
	const char *reason = call->answer.message;

	if (token->in_doubt)
		reason = psprintf("%s: %s", MAYBE_SPENT, reason);
	if (!note_refused(call, reason))
	{
		set_anew(token);
		return;
	}
	if (!token->refused)
		ereport(LOG,
				(errmsg("storesync store %d: the platform refuses its refresh token", store->store_id),
				 errdetail_internal("%s", reason)));
	token->refused = true;
	token->due = call->answered_at + REFUSED_AGAIN_US;
	if (token->useless)
		store_trouble(store, TROUBLE_AUTH, token->due, reason);
	ended(token, OUTCOME_AUTH, reason);
}

/* cannot_build: a credential is missing or malformed. The store's other calls go on while they can. */
static void
cannot_build(DispatchStore *store, const char *error)
{
	store->token.due = GetCurrentTimestamp() + STORE_AUTH_WAIT_US;
	if (token_blocks(store))
		store_trouble(store, TROUBLE_ACCESS, store->token.due, error);
	ended(&store->token, OUTCOME_PERMANENT, error);
}

void
token_build(DispatchStore *store)
{
	DispatchCall *call;
	const char *error;

	if (token_code_due(&store->token) <= GetCurrentTimestamp())
	{
		token_code_build(store);
		return;
	}
	call = call_create(store, CALL_REFRESH_TOKEN);
	store->token.refresh.begun++;
	store->token.flying = true;
	if (!call_build(call, &error))
	{
		cannot_build(store, error);
		call_free(call);
		return;
	}
	if (note_asked(call, true))
	{
		dispatch_ready(call);
		return;
	}
	/* the stores are about to be read again: what is due then is told by that */
	store->token.due = GetCurrentTimestamp() + STORE_AUTH_WAIT_US;
	set_anew(&store->token);
	call_free(call);
}

void
token_return(DispatchCall *call)
{
	StoreToken *token = &call->store->token;
	TokenTries *tries = call->call.kind == CALL_GET_TOKEN ? &token->exchange : &token->refresh;

	token->flying = false;
	tries->begun--;
	call_free(call);
}

/* ---------------------------------------------------------------- its answer */

/* Whether the store's refresh token is still the one that the call was made with. */
static bool
is_current(const DispatchCall *call)
{
	const char *now = call->store->access.refresh_token;

	return now != NULL && call->access.refresh_token != NULL && strcmp(now, call->access.refresh_token) == 0;
}

/* not_asked: of a try that certainly has spent nothing. */
static void
not_asked(const DispatchCall *call)
{
	if (!call->store->token.in_doubt)
		(void) note_asked(call, false);
}

/* application_refused: nothing is wrong with the refresh token, and the store waits as it does for any call (dispatch_hold_store). */
static void
application_refused(DispatchCall *call)
{
	StoreToken *token = &call->store->token;

	token->due = call->answered_at;
	not_asked(call);
	ended(token, OUTCOME_LATER, call->answer.message);
}

/* failed: the refresh token is tried again, whether this try has spent it or not. */
static void
failed(DispatchCall *call)
{
	StoreToken *token = &call->store->token;

	token->failures++;
	token->due = call->answered_at + retry_delay_us(token->failures);
	if (call->answer.class == OUTCOME_IN_DOUBT)
		token->in_doubt = true;
	else
		not_asked(call);
	ended(token, call->answer.class, call->answer.message);
}

void
token_settle(DispatchCall *call, Record *record)
{
	DispatchStore *store = call->store;
	StoreToken *token = &store->token;
	OutcomeClass class = call->answer.class;

	record_call(record, call, NULL);
	dispatch_count_answer(call);
	if ((class != OUTCOME_AUTH || call->answer.application) && class != OUTCOME_OK)
		(void) dispatch_hold_store(call);
	if (call->stored)
	{
		rate_succeeded(store->store_id, 1);
		store_well(store);
	}
	if (call->call.kind == CALL_GET_TOKEN)
		token_code_settle(call);
	else if (call->stored)
		ended(token, class, NULL);
	else if (!is_current(call))
		set_anew(token);
	else if (class == OUTCOME_AUTH && call->answer.application)
		application_refused(call);
	else if (class == OUTCOME_AUTH || class == OUTCOME_PERMANENT)
		refused(call);
	else
		failed(call);
	call_free(call);
}

/* ---------------------------------------------------------------- other calls */

/* Whether the call was made with the access token that the store has now. */
static bool
used_current(const DispatchCall *call)
{
	const char *now = call->store->access.access_token;

	return now != NULL && call->access.access_token != NULL && strcmp(now, call->access.access_token) == 0;
}

/* refresh_helps_at: a token that was refreshed and refused all the same is not refreshed again at once. */
static TimestampTz
refresh_helps_at(const StoreToken *token)
{
	int64		pause = VAIN_FIRST_US;

	if (token->vain == 0)
		return 0;
	for (int i = 1; i < token->vain && pause < VAIN_LAST_US; i++)
		pause *= 2;
	return token->refresh_set_at + Min(pause, VAIN_LAST_US);
}

void
token_worked(const DispatchCall *call)
{
	if (used_current(call))
		call->store->token.vain = 0;
}

bool
token_refused(const DispatchCall *call)
{
	DispatchStore *store = call->store;
	StoreToken *token = &store->token;

	if (!token->known)
		return false;
	if (!used_current(call) || token->flying)
	{
		token->useless |= used_current(call);
		return true;
	}
	if (call->answered_at < refresh_helps_at(token))
		return false;
	token->useless = true;
	if (token->refused)
	{
		store_trouble(store, TROUBLE_AUTH, token->due, call->answer.message);
		return true;
	}
	if (token->failures == 0)
		token->due = 0;
	return true;
}

uint64
token_ask(DispatchStore *store)
{
	StoreToken *token = &store->token;

	if (!token->known)
		return 0;
	if (!token->flying)
		token->due = 0;
	return token->refresh.begun > token->refresh.ended ? token->refresh.begun : token->refresh.begun + 1;
}
