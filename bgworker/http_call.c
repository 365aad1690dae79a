/*
 * http_call.c
 *		One HTTP call: the options of its handle, the callbacks that bound what
 *		is read, and the result.
 *
 * Whatever the far end does, a call ends: by its timeouts, by max_answer, by
 * a bound on headers. It follows no redirect, speaks http and https only,
 * http with this machine alone, connects to no address beyond the request's
 * reach whatever its name stands for, verifies certificates, uses no proxy
 * from the environment and no curl configuration file. A request is sent once: curl's own habit of repeating
 * it when a kept connection dies is turned off, because a repeated request is
 * a second call that no budget knows of, and may be a second effect.
 *
 * Callbacks never log, never raise, call nothing of PostgreSQL.
 */
#include "http_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "address.h"

/* Most bytes of headers of one answer; platforms send one or two thousand. */
#define MAX_HEADER_BYTES	(64 * 1024)
/* First allocation for a body. */
#define FIRST_BODY_BYTES	4096
/* A kept connection idle for longer is not used again: servers close theirs after 60 s or so. */
#define MAX_IDLE_SECONDS	45L
/* So long certificates of authorities that were read are not read again. */
#define CA_CACHE_SECONDS	600L
/* A Retry-After beyond a month means nothing. */
#define MAX_RETRY_AFTER		(31 * 24 * 3600)

/* may_reach says whether the call may go to such an address, and remembers when it may not. */
static bool
may_reach(HttpCall *call, AddressScope scope)
{
	bool		may = call->reach == HTTP_REACH_LOOPBACK ? scope == ADDRESS_LOOPBACK :
		call->reach == HTTP_REACH_ANY || scope == ADDRESS_PUBLIC;

	call->result.out_of_reach |= !may;
	return may;
}

/*
 * on_prerequest runs before curl sends the request, each time it does: the
 * second time is refused, and so is a kept connection to an address that was
 * in reach when it was made.
 */
#if LIBCURL_VERSION_NUM >= 0x075000
static int
on_prerequest(void *client, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	HttpCall   *call = client;

	if (!may_reach(call, address_scope_text(remote_ip)))
		return CURL_PREREQFUNC_ABORT;
	return call->requests++ == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}
#endif

/* on_body keeps a part of the answer; taking less than was given ends the call. */
static size_t
on_body(char *data, size_t size, size_t n, void *client)
{
	HttpCall   *call = client;
	size_t		length = size * n;

	if (length > call->max_answer - call->body_length)
		return 0;
	if (call->body_length + length + 1 > call->body_room)
	{
		size_t		room = call->body_room ? call->body_room : FIRST_BODY_BYTES;
		char	   *larger;

		while (room < call->body_length + length + 1)
			room *= 2;
		larger = realloc(call->body, room);
		if (larger == NULL)
			return 0;
		call->body = larger;
		call->body_room = room;
	}
	memcpy(call->body + call->body_length, data, length);
	call->body_length += length;
	call->body[call->body_length] = '\0';
	return length;
}

/* read_retry_after reads the header's value, seconds or a date, into seconds from now; -1 when it is neither. */
static int64_t
read_retry_after(const char *value, size_t length)
{
	char		text[64];
	char	   *end;
	long long	seconds;

	while (length > 0 && (*value == ' ' || *value == '\t'))
		value++, length--;
	while (length > 0 && (unsigned char) value[length - 1] <= ' ')
		length--;
	if (length == 0 || length >= sizeof(text))
		return -1;
	memcpy(text, value, length);
	text[length] = '\0';
	if (strspn(text, "0123456789") == length)
		seconds = strtoll(text, &end, 10);	/* too many digits: the largest */
	else
	{
		time_t		at = curl_getdate(text, NULL);

		if (at == (time_t) -1)
			return -1;
		seconds = (long long) at - (long long) time(NULL);
	}
	if (seconds < 0)
		return 0;
	return seconds < MAX_RETRY_AFTER ? seconds : MAX_RETRY_AFTER;
}

/* on_header looks for Retry-After and bounds the sum of all headers. A status line begins another answer. */
static size_t
on_header(char *line, size_t size, size_t n, void *client)
{
	static const char name[] = "Retry-After:";
	HttpCall   *call = client;
	size_t		length = size * n;

	call->header_bytes += length;
	if (call->header_bytes > MAX_HEADER_BYTES)
		return 0;
	if (length > 5 && strncmp(line, "HTTP/", 5) == 0)
		call->result.retry_after = -1;
	else if (length >= sizeof(name) - 1 && strncasecmp(line, name, sizeof(name) - 1) == 0)
		call->result.retry_after = read_retry_after(line + sizeof(name) - 1, length - (sizeof(name) - 1));
	return length;
}

/* on_open_socket runs before each attempt to connect, with the address that the name stands for. */
static curl_socket_t
on_open_socket(void *client, curlsocktype purpose, struct curl_sockaddr *address)
{
	HttpCall   *call = client;
	HttpEngine *engine = call->engine;
	curl_socket_t fd;

	if (!may_reach(call, address_scope(&address->addr, address->addrlen)) || !engine->descriptors.acquire())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd == CURL_SOCKET_BAD)
		engine->descriptors.release();
	return fd;
}

static int
on_close_socket(void *client, curl_socket_t fd)
{
	HttpEngine *engine = client;
	int			status = close(fd);

	engine->descriptors.release();
	return status;
}

/* set_bounds sets what no request may change: protocols, trust, descriptors, what is read. */
static void
set_bounds(HttpCall *call)
{
	CURL	   *easy = call->easy;
	HttpEngine *engine = call->engine;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	/* HTTP/2 is negotiated with TLS; over plain http curl 7.88 cannot keep an HTTP/2 connection */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, engine->user_agent);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_SECONDS);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, engine);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prerequest);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	/* an exiting worker does not wait for the thread that resolves a name */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* set_reach: beyond this machine nothing is said that a listener could read. */
static bool
set_reach(HttpCall *call, HttpReach reach)
{
	call->reach = reach;
#if LIBCURL_VERSION_NUM >= 0x075500
	return curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS_STR,
							reach == HTTP_REACH_LOOPBACK ? "http,https" : "https") == CURLE_OK;
#else
	return curl_easy_setopt(call->easy, CURLOPT_PROTOCOLS,
							reach == HTTP_REACH_LOOPBACK ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS) == CURLE_OK;
#endif
}

/* append_header adds a line to the call's headers; false when memory is short. */
static bool
append_header(HttpCall *call, const char *line)
{
	struct curl_slist *longer = curl_slist_append(call->headers, line);

	if (longer == NULL)
		return false;
	call->headers = longer;
	return true;
}

/* set_headers gives the handle the request's headers and none that curl would add of its own for a body. */
static bool
set_headers(HttpCall *call, const HttpRequest *request)
{
	bool		typed = false;

	for (int i = 0; i < request->n_headers; i++)
	{
		typed |= strncasecmp(request->headers[i], "Content-Type:", 13) == 0;
		if (!append_header(call, request->headers[i]))
			return false;
	}
	if (request->body != NULL &&
		(!append_header(call, "Expect:") || (!typed && !append_header(call, "Content-Type:"))))
		return false;
	return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

/* set_method sets verb and body, and forgets those of the handle's last request; curl copies the body. */
static bool
set_method(CURL *easy, const HttpRequest *request)
{
	const char *usual = request->body == NULL ? "GET" : "POST";
	const char *verb = strcmp(request->method, usual) == 0 ? NULL : request->method;

	if (curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, verb) != CURLE_OK)
		return false;
	if (request->body == NULL)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_length);
	return curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body) == CURLE_OK;
}

/*
 * set_trust: who vouches for hosts. A file named by the owner stands for all of
 * the system's. What curl has read of it, it reads again some time later.
 */
static bool
set_trust(HttpCall *call, const char *ca_file)
{
#if LIBCURL_VERSION_NUM >= 0x075700
	curl_easy_setopt(call->easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
#endif
	if (ca_file == NULL)
		return true;
	call->ca_file = strdup(ca_file);
	return call->ca_file != NULL &&
		curl_easy_setopt(call->easy, CURLOPT_CAINFO, ca_file) == CURLE_OK &&
		curl_easy_setopt(call->easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
}

static bool
trusts(const HttpCall *call, const char *ca_file)
{
	return ca_file == NULL ? call->ca_file == NULL : call->ca_file != NULL && strcmp(call->ca_file, ca_file) == 0;
}

/*
 * ready_handle: a handle keeps its bounds and whom it trusts from call to call;
 * all else is set for each of them. The system's authorities cannot be given
 * back to a handle, so where they change it is another one.
 */
static bool
ready_handle(HttpCall *call, const HttpRequest *request)
{
	const char *ca_file = request->ca_file != NULL && request->ca_file[0] != '\0' ? request->ca_file : NULL;

	if (call->easy != NULL && trusts(call, ca_file))
		return true;
	curl_easy_cleanup(call->easy);
	free(call->ca_file);
	call->ca_file = NULL;
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		return false;
	set_bounds(call);
	return set_trust(call, ca_file);
}

bool
call_prepare(HttpCall *call, const HttpRequest *request)
{
	if (!ready_handle(call, request))
		return false;
	memset(&call->result, 0, sizeof(call->result));
	call->result.tag = request->tag;
	call->result.retry_after = -1;
	call->body_length = 0;
	call->header_bytes = 0;
	call->requests = 0;
	call->max_answer = request->max_answer;
	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long) request->connect_timeout_ms);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long) request->timeout_ms);
	curl_easy_setopt(call->easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) request->max_answer);
	return curl_easy_setopt(call->easy, CURLOPT_URL, request->url) == CURLE_OK &&
		set_reach(call, request->reach) &&
		set_method(call->easy, request) &&
		set_headers(call, request);
}

static int64_t
elapsed_us(CURL *easy, CURLINFO which)
{
	curl_off_t	us = 0;

	if (curl_easy_getinfo(easy, which, &us) != CURLE_OK)
		return 0;
	return (int64_t) us;
}

void
call_finish(HttpCall *call, CURLcode code)
{
	HttpResult *result = &call->result;
	long		request_bytes = 0;
	long		status = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	result->curl_code = (int) code;
	result->error = code == CURLE_OK ? "" : curl_easy_strerror(code);
	result->sent = request_bytes > 0 || status != 0;
	result->http_status = (int) status;
	result->complete = code == CURLE_OK && status != 0;
	result->times.lookup_us = elapsed_us(call->easy, CURLINFO_NAMELOOKUP_TIME_T);
	result->times.connect_us = elapsed_us(call->easy, CURLINFO_CONNECT_TIME_T);
	result->times.tls_us = elapsed_us(call->easy, CURLINFO_APPCONNECT_TIME_T);
	result->times.first_byte_us = elapsed_us(call->easy, CURLINFO_STARTTRANSFER_TIME_T);
	result->times.total_us = elapsed_us(call->easy, CURLINFO_TOTAL_TIME_T);
	result->body = call->body;
	result->body_length = call->body_length;
	call->body = NULL;
	call->body_length = call->body_room = 0;
	call_clear(call);
}

void
call_clear(HttpCall *call)
{
	curl_slist_free_all(call->headers);
	call->headers = NULL;
	free(call->body);
	call->body = NULL;
	call->body_length = call->body_room = 0;
}
