/*
 * call.h
 *		One call to a platform, from the transaction that built it until its
 *		outcome is recorded. It owns a memory context and an arena; all that
 *		it points at lives there, except the store and the queue's entries,
 *		which outlive it.
 */
#ifndef STORESYNC_CALL_H
#define STORESYNC_CALL_H

#include "storesync.h"

#include "access/xlogdefs.h"
#include "http.h"
#include "lib/ilist.h"
#include "platform.h"
#include "stores.h"

/* Bound of a call's arena: request, answer and its parts. */
#define CALL_ARENA_BYTES	(64 * 1024 * 1024)
/* Longest body read. */
#define CALL_MAX_ANSWER		(4 * 1024 * 1024)
/* Bytes of a failed call's body that are kept. */
#define CALL_EXCERPT_BYTES	200

typedef struct DispatchCall
{
	dlist_node	node;
	MemoryContext context;
	Arena	   *arena;
	DispatchStore *store;
	DispatchHost *host;			/* its store's when it was built */
	PlatformAccess access;		/* as the request was built with: what must be redacted */
	PlatformCall call;
	PlatformRequest request;
	RateGrant	grant;			/* the budget's word for it */
	XLogRecPtr	committed;		/* end of the commit that must be durable before it leaves */
	TimestampTz sent_at;

	/* CALL_PUSH_STOCK, an element for each of call.items */
	QueueListing **listings;
	int64	   *versions;
	int64	   *revisions;
	int64	   *at_most;		/* the most the platform could have shown, -1 unknown */
	bool	   *in_full;		/* the quantity is all that was wanted, nothing was withheld */

	/* shipping and cancelling, reading for these included: which orders it is about */
	struct ShipJob **ships;
	int			n_ships;

	TimestampTz answered_at;
	bool		verify;			/* it reads for compensate() */
	bool		stored;			/* a call that brings tokens: they are in the table */
	bool		probe;			/* of its host, and of its store's own breaker */
	bool		host_away;		/* it reached nobody, and its host is known to be away */
	bool		sent;
	bool		complete;		/* a whole answer came */
	int			http_status;
	int			curl_code;
	HttpTimes	times;
	const char *excerpt;		/* of the body when the call failed, redacted; "" for none */
	PlatformAnswer answer;
} DispatchCall;

extern DispatchCall *call_create(DispatchStore *store, CallKind kind);
/* Build the request from `call`. False with the reason; the caller still has to free the call. */
extern bool call_build(DispatchCall *call, const char **error);
/* Whether the store's access is good for any call at all, or why not. */
extern bool call_access_builds(DispatchStore *store, const char **error);
/* The class and reason of element `i` of an answered call that writes items. */
extern OutcomeClass call_outcome(const DispatchCall *call, int i, const char **reason);
/* The request is on its way; false when the engine has no room for it. */
extern bool call_start(DispatchCall *call, HttpEngine *engine);
/* The next call that the engine has finished, judged and redacted; NULL for none. */
extern DispatchCall *call_finished(HttpEngine *engine);
/* The call as a try of a story; the texts are the call's. */
extern QueueAttempt call_attempt(const DispatchCall *call, OutcomeClass class, const char *reason);
extern void call_free(DispatchCall *call);

#endif
