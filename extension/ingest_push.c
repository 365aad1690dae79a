/*
 * ingest_push.c
 *		Notifications of platforms, as an HTTP receiver hands them in: whether
 *		they are the platform's, and what is answered.
 *
 * Whose keys sign them: those of the platform's application, or of the store
 * that a header names by its key. The signature covers the URL that the
 * platform was given and the bytes of the body, so both come as they are.
 * Nothing of a notification that is not genuine is kept but a count; no key,
 * URL or body is in an error text. What follows from a genuine one is
 * notification.c's.
 */
#include "storesync.h"

#include <time.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "ledger.h"
#include "notification.h"
#include "sign.h"

/* Longest body; those of the platforms have some hundred bytes. */
#define MAX_BODY			(256 * 1024)
/* Longest value of a header that is looked at. */
#define MAX_HEADER			512
/* Stores that may share one key by mistake. */
#define MAX_ACCESSES		4
/* Memory for reading one notification. */
#define PUSH_ARENA_BYTES	(16 * 1024 * 1024)

/* What is answered besides the platform's own status. */
#define HTTP_BAD_REQUEST	400
#define HTTP_UNAUTHORIZED	401
#define HTTP_NOT_FOUND		404
#define HTTP_TOO_LARGE		413
#define HTTP_UNAVAILABLE	503

PG_FUNCTION_INFO_V1(ingest_push);

enum
{
	ARG_PLATFORM, ARG_URL, ARG_HEADERS, ARG_BODY
};

/* One set of keys that a notification may be signed with. */
typedef struct PushAccess
{
	int			store_id;		/* 0: of the application */
	PlatformAccess access;
} PushAccess;

/* ---------------------------------------------------------------- the request */

/* same_name compares the name of a header; those of HTTP have no case. */
static bool
same_name(const JsonbValue *key, const char *name)
{
	return key->val.string.len == (int) strlen(name) &&
		pg_strncasecmp(key->val.string.val, name, key->val.string.len) == 0;
}

/*
 * find_header returns the value of a header, NULL when it is not there, too
 * long, no text, or there several times: one that two readers could read in
 * two ways is none.
 */
static char *
find_header(Jsonb *headers, const char *name)
{
	JsonbIterator *iterator = JsonbIteratorInit(&headers->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *value = NULL;
	int			found = 0;

	if (name == NULL)
		return NULL;
	(void) JsonbIteratorNext(&iterator, &item, true);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token != WJB_KEY || !same_name(&item, name))
			continue;
		found++;
		if (JsonbIteratorNext(&iterator, &item, true) == WJB_VALUE && item.type == jbvString && item.val.string.len <= MAX_HEADER)
			value = pnstrdup(item.val.string.val, item.val.string.len);
	}
	return found == 1 ? value : NULL;
}

static void
read_headers(const Platform *platform, Jsonb *headers, PlatformPush *push)
{
	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("headers are no JSON object")));
	push->authorization = find_header(headers, platform->push_authorization);
	push->key = find_header(headers, platform->push_key);
	push->timestamp = find_header(headers, platform->push_timestamp);
}

static const Platform *
find_platform(const char *name)
{
	const Platform *platform = platform_find(name);

	if (platform == NULL || platform->read_push == NULL)
		ereport(ERROR,
				(errcode(SS_ERR_UNKNOWN_PLATFORM),
				 platform == NULL ? errmsg("platform \"%s\" does not exist", name) :
				 errmsg("platform \"%s\" sends no notifications", name)));
	return platform;
}

/* ---------------------------------------------------------------- keys */

/* take_access reads a row of the queries below: store, callback URL, how it is signed, keys. */
static void
take_access(HeapTuple row, TupleDesc desc, PushAccess *access)
{
	bool		isnull;

	memset(access, 0, sizeof(*access));
	access->store_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
	access->access.callback_url = SPI_getvalue(row, desc, 2);
	access->access.sign_path_only = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	access->access.sign_base64 = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	access->access.partner_key = SPI_getvalue(row, desc, 5);
	access->access.api_key = SPI_getvalue(row, desc, 6);
	access->access.secret_key = SPI_getvalue(row, desc, 7);
	access->access.salt_key = SPI_getvalue(row, desc, 8);
	access->access.now = (int64) time(NULL);
}

/* find_accesses reads the keys that the notification may be signed with; returns how many there are. */
static int
find_accesses(const Platform *platform, const PlatformPush *push, PushAccess accesses[MAX_ACCESSES])
{
	static SPIPlanPtr application = NULL;
	static SPIPlanPtr store = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(platform->name), CStringGetTextDatum(push->key != NULL ? push->key : "")};
	int			n;

	if (platform->push_key == NULL)
		ss_execute(&application,
				   "SELECT 0, u.value, p.sign_path_only, p.sign_base64, k.value, NULL, NULL, NULL "
				   "FROM storesync.platform p "
				   "JOIN storesync.app_credential k ON k.platform = p.platform AND k.name = 'partner_key' "
				   "LEFT JOIN storesync.app_credential u ON u.platform = p.platform AND u.name = 'callback_url' "
				   "WHERE p.platform = $1",
				   SPI_OK_SELECT, 1, types, values, NULL, 1);
	else
		ss_execute(&store,
				   "SELECT s.store_id, u.value, p.sign_path_only, p.sign_base64, NULL, a.value, k.value, t.value "
				   "FROM storesync.store s "
				   "JOIN storesync.platform p ON p.platform = s.platform "
				   "JOIN storesync.credential a ON a.store_id = s.store_id AND a.name = 'api_key' AND a.value = $2 "
				   "LEFT JOIN storesync.credential k ON k.store_id = s.store_id AND k.name = 'secret_key' "
				   "LEFT JOIN storesync.credential t ON t.store_id = s.store_id AND t.name = 'salt_key' "
				   "LEFT JOIN storesync.credential u ON u.store_id = s.store_id AND u.name = 'callback_url' "
				   "WHERE s.platform = $1 ORDER BY s.store_id",
				   SPI_OK_SELECT, 2, types, values, NULL, MAX_ACCESSES);
	n = (int) SPI_processed;
	for (int i = 0; i < n; i++)
		take_access(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &accesses[i]);
	return n;
}

/* ---------------------------------------------------------------- the answer */

/* judge says whether the notification is genuine for one set of keys, and what is wrong. */
static bool
judge(const Platform *platform, const PlatformPush *push, const PushAccess *access, Arena *arena,
	  PushHint *hint, const char **error)
{
	const char *callback = access->access.callback_url;

	/* without that credential the signature alone says for which URL it was made */
	if (callback != NULL && !sign_same(push->url, callback))
	{
		memset(hint, 0, sizeof(*hint));
		*error = "it came to another URL than callback_url says";
		return false;
	}
	return platform->read_push(push, &access->access, arena, hint, error);
}

/* refuse counts a notification that is not taken and returns the status. */
static int
refuse(const Platform *platform, int status, const char *reason)
{
	notification_refused(platform, reason);
	return status;
}

/* answer checks and takes a notification; returns the HTTP status. SPI connected, as the owner. */
static int
answer(const Platform *platform, const PlatformPush *push, Arena *arena)
{
	PushAccess	accesses[MAX_ACCESSES];
	PushHint	hint;
	const char *error = NULL;
	int			n = find_accesses(platform, push, accesses);

	if (n == 0 && platform->push_key == NULL)
		return refuse(platform, HTTP_UNAVAILABLE, "the application has no key to check it with");
	if (n == 0)
		return refuse(platform, HTTP_UNAUTHORIZED, "it names no store's key");
	for (int i = 0; i < n; i++)
	{
		if (judge(platform, push, &accesses[i], arena, &hint, &error))
		{
			if (notification_take(platform, accesses[i].store_id, &hint) == NOTIFICATION_NO_SHOP)
				return refuse(platform, HTTP_NOT_FOUND, "its shop is none of the stores");
			return platform->push_status;
		}
		if (hint.genuine)
			return refuse(platform, HTTP_BAD_REQUEST, error);
	}
	return refuse(platform, HTTP_UNAUTHORIZED, error);
}

/* ingest_push(platform text, url text, headers jsonb, body bytea) returns int */
Datum
ingest_push(PG_FUNCTION_ARGS)
{
	static Arena *arena = NULL;
	static const char *const names[] = {"platform", "url", "headers", "body"};
	PlatformPush push = {0};
	const Platform *platform;
	bytea	   *body;
	SsSession	session;
	int			status;

	for (int i = 0; i < (int) lengthof(names); i++)
		ledger_check_not_null(fcinfo, i, names[i]);
	platform = find_platform(text_to_cstring(PG_GETARG_TEXT_PP(ARG_PLATFORM)));
	body = PG_GETARG_BYTEA_PP(ARG_BODY);
	push.url = text_to_cstring(PG_GETARG_TEXT_PP(ARG_URL));
	push.body = VARDATA_ANY(body);
	push.body_length = VARSIZE_ANY_EXHDR(body);
	read_headers(platform, PG_GETARG_JSONB_P(ARG_HEADERS), &push);

	/* kept for the next call: an error on the way would lose it */
	if (arena == NULL)
		arena = arena_create(PUSH_ARENA_BYTES);
	if (arena == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	arena_reset(arena);

	ss_enter(&session, "storesync.ingest_push()", true);
	ss_plan_by_index();
	if (push.body_length > MAX_BODY)
		status = refuse(platform, HTTP_TOO_LARGE, "its body is too large");
	else
		status = answer(platform, &push, arena);
	ss_leave(&session);
	PG_RETURN_INT32(status);
}
