/*
 * cache.c
 *		Locks and sessions in Redis, by SQL: cache_lock, cache_unlock,
 *		session_put, session_get, session_drop (sql/56_cache.sql).
 *
 * The client is in another library, which is loaded when the first of these
 * is called: no other session maps hiredis. A session has one connection,
 * opened when it is needed; every call ends within storesync.redis_timeout.
 * After a failure further calls fail at once for a while, so a Redis that is
 * away costs each session one wait and not one a call.
 *
 * None of this is part of a transaction: what was done in Redis stays done
 * when the transaction is rolled back.
 */
#include "storesync.h"

#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "cache.h"
#include "credential.h"

#define CLIENT_LIBRARY	"$libdir/storesync_cache"

#define LOCK_MAX_MS		(24 * INT64CONST(3600000))
#define SESSION_LEAST_MS INT64CONST(1000)
#define SESSION_MAX_MS	(90 * 24 * INT64CONST(3600000))
/* Longest text of a session's data. */
#define SESSION_MAX_BYTES (256 * 1024)

/*
 * A token is a counter that is never behind the clock of the server in
 * microseconds: so it rises also when the counter was lost with everything
 * else. Lua's numbers hold it exactly; its own way to print them does not.
 */
static const char lock_script[] =
	"if redis.call('EXISTS', KEYS[1]) == 1 then return false end "
	"local now = redis.call('TIME') "
	"local clock = now[1] * 1000000 + now[2] "
	"local token = redis.call('INCR', KEYS[2]) "
	"if token < clock then token = clock; redis.call('SET', KEYS[2], string.format('%.0f', token)) end "
	"redis.call('SET', KEYS[1], string.format('%.0f', token), 'PX', ARGV[1]) "
	"return token";
static const char unlock_script[] =
	"if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
static const char put_script[] =
	"redis.call('HSET', KEYS[1], 'data', ARGV[1], 'ttl', ARGV[2]) "
	"return redis.call('PEXPIRE', KEYS[1], ARGV[2])";
static const char get_script[] =
	"local s = redis.call('HMGET', KEYS[1], 'data', 'ttl') "
	"if s[2] then redis.call('PEXPIRE', KEYS[1], s[2]) end "
	"return s[1]";

PG_FUNCTION_INFO_V1(cache_is_local);
PG_FUNCTION_INFO_V1(cache_is_set);
PG_FUNCTION_INFO_V1(cache_lock);
PG_FUNCTION_INFO_V1(cache_unlock);
PG_FUNCTION_INFO_V1(session_put);
PG_FUNCTION_INFO_V1(session_get);
PG_FUNCTION_INFO_V1(session_drop);

static const RedisCalls *calls = NULL;
static Redis *redis = NULL;

/* ---------------------------------------------------------------- which Redis */

bool
cache_check_url(char **value, void **extra, GucSource source)
{
	RedisAddress address;
	const char *complaint;

	if ((*value)[0] == '\0' || redis_read_url(*value, &address, &complaint))
		return true;
	GUC_check_errdetail("%s", complaint);
	return false;
}

bool
cache_where(RedisAddress *address, char **secret)
{
	const char *complaint;

	*secret = NULL;
	if (ss_redis_url[0] == '\0' || !redis_read_url(ss_redis_url, address, &complaint))
		return false;
	if (ss_redis_password_file[0] != '\0')
		*secret = credential_given(cstring_to_text(psprintf("file:%s", ss_redis_password_file)));
	return true;
}

bool
cache_is_allowed(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;

	ss_execute(&plan, "SELECT storesync.cache_allowed()", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null)) && !is_null;
}

/* cache_is_local() returns boolean: whether Redis is on this machine. */
Datum
cache_is_local(PG_FUNCTION_ARGS)
{
	RedisAddress address;
	const char *complaint;

	PG_RETURN_BOOL(ss_redis_url[0] != '\0' && redis_read_url(ss_redis_url, &address, &complaint) && redis_is_local(&address));
}

/* cache_is_set() returns boolean: whether there is one. */
Datum
cache_is_set(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ss_redis_url[0] != '\0');
}

char *
cache_utf8(const char *value)
{
	return pg_server_to_any(value, (int) strlen(value), PG_UTF8);
}

char *
cache_key(const char *kind, const char *name)
{
	const char *database = get_database_name(MyDatabaseId);

	return cache_utf8(psprintf("%s:%s%s", database == NULL ? "" : database, kind, name));
}

/* ---------------------------------------------------------------- one call */

static bool
acquire_descriptor(void)
{
	return AcquireExternalFD();
}

static void
release_descriptor(void)
{
	ReleaseExternalFD();
}

/* away raises what every failure of the cache is to a caller. */
static void
away(const char *complaint)
{
	ereport(ERROR,
			(errcode(SS_ERR_CACHE_AWAY),
			 errmsg("the cache is not available"),
			 complaint[0] == '\0' ? 0 : errdetail("Redis: %s.", complaint)));
}

/* load_client loads the library and makes this session's client, once. */
static void
load_client(void)
{
	const RedisCalls *(*entry) (void);

	if (redis != NULL)
		return;
	entry = (const RedisCalls *(*) (void)) load_external_function(CLIENT_LIBRARY, "storesync_redis", true, NULL);
	calls = entry();
	redis = calls->create((RedisDescriptors) {acquire_descriptor, release_descriptor});
	if (redis == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

/* begin_call makes sure that `function` may speak to Redis now, and that it is there. */
static void
begin_call(const char *function)
{
	RedisAddress address;
	SsSession	session;
	char	   *secret;
	bool		allowed;

	PreventCommandDuringRecovery(function);
	if (!cache_where(&address, &secret))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no cache"),
				 errhint("Set \"storesync.redis_url\".")));
	ss_enter_direct(&session, function, false);
	allowed = cache_is_allowed();
	ss_leave(&session);
	if (!allowed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database does not use the cache before it is confirmed"),
				 errhint("It may be a copy of the one whose cache it is: see confirm_instance().")));
	load_client();
	calls->point(redis, &address, secret);
	if (!calls->begin(redis, ss_redis_timeout))
		away(calls->complaint(redis));
}

/* ask runs one command, whose answer is no error. */
static RedisAnswer
ask(int n, const char *const *words)
{
	RedisAnswer answer;

	if (!calls->append(redis, n, words, NULL) || !calls->next(redis, &answer))
		away(calls->complaint(redis));
	if (answer.kind == REDIS_REFUSED)
		away(pnstrdup(answer.text, Min(answer.length, REDIS_COMPLAINT_BYTES)));
	return answer;
}

/* ---------------------------------------------------------------- arguments */

/* given_text checks a name and returns it; NULL is refused. */
static char *
given_text(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
	ss_check_text(what, PG_GETARG_TEXT_PP(argument));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

/* given_ms returns an interval as text, in milliseconds; months are no time. */
static char *
given_ms(FunctionCallInfo fcinfo, int argument, int64 least, int64 most)
{
	Interval   *interval;
	int64		ms;

	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "ttl")));
	interval = PG_GETARG_INTERVAL_P(argument);
	/* far out of range already, and a product that fits */
	ms = interval->month != 0 || interval->day < -10000 || interval->day > 10000 ? -1
		: interval->time / 1000 + interval->day * INT64CONST(86400000);
	if (ms < least || ms > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ttl is out of range"),
				 errdetail("It lies between " INT64_FORMAT " ms and " INT64_FORMAT " s, given in days or less.", least, most / 1000)));
	return psprintf(INT64_FORMAT, ms);
}

/* ---------------------------------------------------------------- functions */

/* cache_lock(name text, ttl interval) returns bigint: a token, NULL when somebody has it. */
Datum
cache_lock(PG_FUNCTION_ARGS)
{
	char	   *name = given_text(fcinfo, 0, "name");
	char	   *ttl = given_ms(fcinfo, 1, 1, LOCK_MAX_MS);
	RedisAnswer answer;

	begin_call("cache_lock()");
	answer = ask(6, (const char *[]) {
		"EVAL", lock_script, "2", cache_key(CACHE_KEY_LOCK, name), cache_key(CACHE_KEY_TOKEN, ""), ttl
	});
	if (answer.kind != REDIS_INTEGER)
		PG_RETURN_NULL();
	PG_RETURN_INT64(answer.integer);
}

/* cache_unlock(name text, token bigint) returns boolean */
Datum
cache_unlock(PG_FUNCTION_ARGS)
{
	char	   *name = given_text(fcinfo, 0, "name");

	if (PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	begin_call("cache_unlock()");
	PG_RETURN_BOOL(ask(5, (const char *[]) {
		"EVAL", unlock_script, "1", cache_key(CACHE_KEY_LOCK, name), psprintf(INT64_FORMAT, PG_GETARG_INT64(1))
	}).integer == 1);
}

/* session_put(id text, data jsonb, ttl interval) returns void */
Datum
session_put(PG_FUNCTION_ARGS)
{
	char	   *id = given_text(fcinfo, 0, "id");
	char	   *ttl = given_ms(fcinfo, 2, SESSION_LEAST_MS, SESSION_MAX_MS);
	char	   *data;
	Jsonb	   *given;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "data")));
	given = PG_GETARG_JSONB_P(1);
	data = cache_utf8(JsonbToCString(NULL, &given->root, VARSIZE(given)));
	if (strlen(data) > SESSION_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("data is longer than %d bytes", SESSION_MAX_BYTES)));
	begin_call("session_put()");
	(void) ask(6, (const char *[]) {"EVAL", put_script, "1", cache_key(CACHE_KEY_SESSION, id), data, ttl});
	PG_RETURN_VOID();
}

/* session_get(id text) returns jsonb: NULL when there is none; its life begins anew. */
Datum
session_get(PG_FUNCTION_ARGS)
{
	char	   *id = given_text(fcinfo, 0, "id");
	RedisAnswer answer;
	char	   *data;

	begin_call("session_get()");
	answer = ask(4, (const char *[]) {"EVAL", get_script, "1", cache_key(CACHE_KEY_SESSION, id)});
	if (answer.kind != REDIS_TEXT)
		PG_RETURN_NULL();
	data = pg_any_to_server(pnstrdup(answer.text, answer.length), (int) answer.length, PG_UTF8);
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(data)));
}

/* session_drop(id text) returns boolean */
Datum
session_drop(PG_FUNCTION_ARGS)
{
	char	   *id = given_text(fcinfo, 0, "id");

	begin_call("session_drop()");
	PG_RETURN_BOOL(ask(2, (const char *[]) {"DEL", cache_key(CACHE_KEY_SESSION, id)}).integer == 1);
}
