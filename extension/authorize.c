/*
 * authorize.c
 *		Letting the platform's application into a shop: the address that the
 *		shop's owner opens, and the code that comes back from there.
 *
 * The code is a secret and goes where secrets go (credential.c): it is never
 * in the outbox. The task beside it says only that the dispatcher has a code
 * to exchange (bgworker/token_code.c). docs/token.md has the whole way.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "credential.h"
#include "platform.h"

PG_FUNCTION_INFO_V1(authorization_url);
PG_FUNCTION_INFO_V1(authorize_store);

/* Enough for a URL, its parts and what is hashed. */
#define URL_ARENA_BYTES	(64 * 1024)

/* authorizing_platform returns the codec of a platform whose shops are let in by their owners, or raises. */
static const Platform *
authorizing_platform(const char *name)
{
	const Platform *platform = platform_find(name);

	if (platform == NULL || platform->authorization_url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("shops of platform \"%s\" are not authorised by a code", name),
				 errhint("Their credentials are set by set_credential().")));
	return platform;
}

/* read_access reads what the address is made of; the texts are SPI's. */
static PlatformAccess
read_access(const char *platform)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(platform)};
	PlatformAccess access = {0};
	HeapTuple	row;
	TupleDesc	desc;

	ss_execute(&plan,
			   "SELECT p.base_url, "
			   "(SELECT c.value FROM storesync.app_credential c WHERE c.platform = p.platform AND c.name = 'partner_id'), "
			   "(SELECT c.value FROM storesync.app_credential c WHERE c.platform = p.platform AND c.name = 'partner_key') "
			   "FROM storesync.platform p WHERE p.platform = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_PLATFORM),
				 errmsg("platform \"%s\" does not exist", platform)));
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	access.base_url = SPI_getvalue(row, desc, 1);
	access.partner_id = SPI_getvalue(row, desc, 2);
	access.partner_key = SPI_getvalue(row, desc, 3);
	access.now = (int64) time(NULL);
	return access;
}

/* copy_text returns a text in a memory context. */
static text *
copy_text(MemoryContext context, const char *string)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	text	   *copy = cstring_to_text(string);

	MemoryContextSwitchTo(old);
	return copy;
}

/* make_url returns the address in the caller's memory; raises with what stands against it. */
static text *
make_url(const char *name, const char *redirect, bool cancel, MemoryContext caller)
{
	PlatformAccess access = read_access(name);
	const Platform *platform = authorizing_platform(name);
	Arena	   *arena = arena_create(URL_ARENA_BYTES);
	const char *error = "out of memory";
	const char *url = NULL;
	text	   *result = NULL;

	if (arena != NULL)
		url = platform->authorization_url(&access, redirect, cancel, arena, &error);
	if (url != NULL)
		result = copy_text(caller, url);
	arena_free(arena);
	if (result == NULL)
		ereport(ERROR,
				(errcode(SS_ERR_BAD_CREDENTIAL),
				 errmsg("could not make the address of an authorisation: %s", error)));
	return result;
}

/* authorization_url(platform text, redirect text, cancel boolean) returns text */
Datum
authorization_url(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	SsSession	session;
	text	   *url;

	ss_enter(&session, "storesync.authorization_url()", false);
	url = make_url(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
				   PG_GETARG_BOOL(2), caller);
	ss_leave(&session);
	PG_RETURN_TEXT_P(url);
}

/* ask_exchange enqueues the task that shows how the code's exchange stands. */
static int64
ask_exchange(int store_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store_id)};
	bool		isnull;

	ss_execute(&plan, "SELECT storesync.enqueue($1, 'exchange_code', '{}')", SPI_OK_SELECT, 1, types, values, NULL, 1);
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* authorize_store(store int, code text) returns bigint: the task */
Datum
authorize_store(PG_FUNCTION_ARGS)
{
	SsSession	session;
	ErrorContextCallback *context = error_context_stack;
	int64		task;

	credential_hide("SELECT storesync.authorize_store(...)");
	error_context_stack = NULL; /* a calling function's statement may hold the code */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store and code of an authorisation must not be null")));
	ss_enter(&session, "storesync.authorize_store()", true);
	(void) authorizing_platform(credential_platform(PG_GETARG_INT32(0)));
	credential_put(PG_GETARG_INT32(0), "auth_code", credential_given(PG_GETARG_TEXT_PP(1)));
	task = ask_exchange(PG_GETARG_INT32(0));
	ss_leave(&session);
	error_context_stack = context;
	PG_RETURN_INT64(task);
}
