/*
 * call.c
 *		Between the codecs, which know bytes, and the HTTP engine, which
 *		moves them. No table is touched and nothing is logged here: a request
 *		holds secrets.
 */
#include "call.h"

#include <time.h>

#include "address.h"
#include "utils/memutils.h"

/* So much of a body is looked at for an excerpt: a secret must not be cut in two before it is known as one. */
#define EXCERPT_SEEN_BYTES	(16 * CALL_EXCERPT_BYTES)

static const char *
keep(Arena *arena, const char *text)
{
	return text == NULL ? NULL : arena_strdup(arena, text);
}

DispatchCall *
call_create(DispatchStore *store, CallKind kind)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "storesync call", ALLOCSET_SMALL_SIZES);
	DispatchCall *call = MemoryContextAllocZero(context, sizeof(DispatchCall));

	call->context = context;
	call->arena = arena_create(CALL_ARENA_BYTES);
	if (call->arena == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	call->store = store;
	call->host = store->host;
	call->grant = store->grant;
	call->call.kind = kind;
	call->call.cursor = "";
	call->excerpt = "";
	call->access.base_url = keep(call->arena, store->access.base_url);
	call->access.shop_id = keep(call->arena, store->access.shop_id);
	call->access.partner_id = keep(call->arena, store->access.partner_id);
	call->access.partner_key = keep(call->arena, store->access.partner_key);
	call->access.access_token = keep(call->arena, store->access.access_token);
	call->access.refresh_token = keep(call->arena, store->access.refresh_token);
	call->access.api_key = keep(call->arena, store->access.api_key);
	call->access.secret_key = keep(call->arena, store->access.secret_key);
	call->access.salt_key = keep(call->arena, store->access.salt_key);
	call->access.sign_path_only = store->access.sign_path_only;
	call->access.sign_base64 = store->access.sign_base64;
	return call;
}

bool
call_build(DispatchCall *call, const char **error)
{
	*error = "out of memory";
	call->access.now = (int64) time(NULL);
	if (arena_failed(call->arena))
		return false;
	return call->store->platform->build(&call->call, &call->access, call->arena, &call->request, error);
}

bool
call_access_builds(DispatchStore *store, const char **error)
{
	DispatchCall *probe = call_create(store, CALL_LIST_ORDERS);
	bool		builds = call_build(probe, error);

	call_free(probe);
	return builds;
}

OutcomeClass
call_outcome(const DispatchCall *call, int i, const char **reason)
{
	const PlatformAnswer *answer = &call->answer;

	*reason = answer->message;
	switch (answer->class)
	{
		case OUTCOME_THROTTLED:
		case OUTCOME_QUOTA:
		case OUTCOME_AUTH:
			return answer->class;
		default:
			break;
	}
	if (answer->n_items != call->call.n_items)
		return answer->class == OUTCOME_PARTIAL ? OUTCOME_IN_DOUBT : answer->class;
	*reason = answer->items[i].reason;
	return answer->items[i].class;
}

/* reach_of: a URL that names this machine goes nowhere else, and any other not to a private network unless that is allowed. */
static HttpReach
reach_of(const char *url)
{
	if (url_names_loopback(url))
		return HTTP_REACH_LOOPBACK;
	return ss_allow_private_addresses ? HTTP_REACH_ANY : HTTP_REACH_PUBLIC;
}

bool
call_start(DispatchCall *call, HttpEngine *engine)
{
	HttpRequest request = {
		.method = call->request.method,
		.url = call->request.url,
		.reach = reach_of(call->request.url),
		.headers = call->request.headers,
		.n_headers = call->request.n_headers,
		.body = call->request.body,
		.body_length = call->request.body_length,
		.connect_timeout_ms = ss_connect_timeout,
		.timeout_ms = ss_request_timeout,
		.ca_file = ss_ca_file,
		.max_answer = CALL_MAX_ANSWER,
		.tag = call
	};

	call->sent_at = GetCurrentTimestamp();
	return http_start(engine, &request);
}

/*
 * keep_excerpt remembers the beginning of a failed call's body. Of an
 * answer that brings tokens nothing is kept: nobody knows these yet.
 */
static void
keep_excerpt(DispatchCall *call, const HttpResult *result)
{
	const char *start;

	if (call->answer.class == OUTCOME_OK || token_brings(call->call.kind) || result->body == NULL)
		return;
	start = arena_strndup(call->arena, result->body, Min(result->body_length, EXCERPT_SEEN_BYTES));
	if (start != NULL)
		call->excerpt = platform_redact_text(&call->access, call->arena, start, CALL_EXCERPT_BYTES);
}

DispatchCall *
call_finished(HttpEngine *engine)
{
	HttpResult	result;
	PlatformReply reply;
	DispatchCall *call;

	if (!http_next(engine, &result))
		return NULL;
	call = result.tag;
	call->answered_at = GetCurrentTimestamp();
	call->sent = result.sent;
	call->complete = result.complete;
	call->http_status = result.http_status;
	call->curl_code = result.curl_code;
	call->times = result.times;

	reply.sent = result.sent;
	reply.unsent = result.out_of_reach ?
		"the platform's host is at a private address (storesync.allow_private_addresses)" : NULL;
	reply.complete = result.complete;
	reply.http_status = result.http_status;
	reply.retry_after = result.retry_after;
	reply.body = result.body;
	reply.body_length = result.body_length;
	call->store->platform->judge(&call->call, &reply, call->arena, &call->answer);
	platform_redact(&call->access, call->arena, &call->answer);
	keep_excerpt(call, &result);
	http_result_free(&result);
	return call;
}

QueueAttempt
call_attempt(const DispatchCall *call, OutcomeClass class, const char *reason)
{
	QueueAttempt attempt = {
		.at = call->answered_at,
		.class = class,
		.http_status = call->http_status,
		.curl_code = call->curl_code,
		.times = call->times,
		.reason = reason != NULL ? reason : "",
		.excerpt = call->excerpt
	};

	return attempt;
}

void
call_free(DispatchCall *call)
{
	arena_free(call->arena);
	MemoryContextDelete(call->context);
}
