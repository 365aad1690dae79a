/*
 * http_internal.h
 *		What http.c (the engine: sockets, timer, what has finished) and
 *		http_call.c (one call: options, callbacks, result) share. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_HTTP_INTERNAL_H
#define STORESYNC_HTTP_INTERNAL_H

#include <curl/curl.h>

#include "http.h"

typedef enum CallState
{
	CALL_IDLE,					/* in the engine's list of free calls */
	CALL_RUNNING,				/* its handle is in the multi handle */
	CALL_FINISHED				/* its result waits for http_next */
} CallState;

/*
 * A place for one call and its easy handle, reused call after call. The
 * connections themselves belong to the multi handle and stay warm.
 */
typedef struct HttpCall
{
	HttpEngine *engine;
	struct HttpCall *next;		/* in the list of its state, free or finished */
	CallState	state;
	CURL	   *easy;			/* NULL until first used */
	char	   *ca_file;		/* that it trusts, NULL: the system's */
	struct curl_slist *headers;
	char	   *body;			/* of the answer, body_room bytes allocated */
	size_t		body_length;
	size_t		body_room;
	size_t		max_answer;
	HttpReach	reach;
	size_t		header_bytes;	/* read so far: bounded */
	int			requests;		/* how often curl was about to send the request */
	HttpResult	result;			/* complete once finished */
} HttpCall;

struct HttpEngine
{
	CURLM	   *multi;
	int			epoll_fd;
	int64_t		deadline_us;	/* monotonic, when curl wants to be called; -1 never */
	char	   *user_agent;
	HttpDescriptors descriptors;
	HttpCall   *free_calls;		/* last in, first out */
	HttpCall   *first_finished; /* first in, first out */
	HttpCall   *last_finished;
	int			in_flight;		/* running and finished */
	int			max_in_flight;
	HttpCall	calls[];
};

/* Set a call up for a request; false when memory is short. The handle is not yet in the multi handle. */
extern bool call_prepare(HttpCall *call, const HttpRequest *request);
/* Fill call->result from the handle, which is out of the multi handle; body and headers leave the call. */
extern void call_finish(HttpCall *call, CURLcode code);
/* Free what the call holds besides its handle. */
extern void call_clear(HttpCall *call);

#endif
