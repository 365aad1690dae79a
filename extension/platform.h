/*
 * platform.h
 *		What a marketplace is to the rest of storesync: a table of pure
 *		functions from a task, its access and a clock to the bytes of a
 *		request, and from the bytes of an answer to an outcome.
 *
 * Free of PostgreSQL headers, no I/O, no global state, nothing kept between
 * calls; all results live in the caller's arena. Ids are text from end to
 * end and never pass through a double. Texts are UTF-8 without NUL; what
 * comes from a platform is bounded and checked before it is handed on.
 */
#ifndef STORESYNC_PLATFORM_H
#define STORESYNC_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

typedef enum CallKind
{
	CALL_PUSH_STOCK,			/* items[]: quantities of one item's models */
	CALL_LIST_ORDERS,			/* window and cursor: order numbers, a page at a time */
	CALL_GET_ORDERS,			/* order_sns[]: canonical documents */
	CALL_REFRESH_TOKEN
} CallKind;

/* Stated once, in the order of the SQL type outcome_class. */
typedef enum OutcomeClass
{
	OUTCOME_OK,
	OUTCOME_PARTIAL,			/* look at each item */
	OUTCOME_THROTTLED,			/* slow down; costs no attempt */
	OUTCOME_QUOTA,				/* nothing more until the platform's reset */
	OUTCOME_AUTH,				/* credential refused */
	OUTCOME_LATER,				/* certainly not applied, may work later */
	OUTCOME_PERMANENT,			/* certainly not applied, never will be as it is */
	OUTCOME_IN_DOUBT			/* may have been applied */
} OutcomeClass;

extern const char *outcome_name(OutcomeClass class);

typedef struct PlatformItem
{
	int64_t		listing_id;		/* of the caller, comes back with the outcome */
	const char *item_id;
	const char *model_id;		/* "" for an item without models */
	int64_t		quantity;		/* sold units, absolute */
} PlatformItem;

typedef struct PlatformCall
{
	CallKind	kind;
	const PlatformItem *items;	/* CALL_PUSH_STOCK: same item_id throughout for Shopee */
	int			n_items;
	int64_t		from;			/* CALL_LIST_ORDERS: update time window, Unix seconds */
	int64_t		to;
	const char *cursor;			/* "" for the first page */
	const char *const *order_sns;	/* CALL_GET_ORDERS */
	int			n_order_sns;
} PlatformCall;

/* Credentials are NULL where the store has none. */
typedef struct PlatformAccess
{
	const char *base_url;		/* scheme and host, no trailing slash */
	const char *shop_id;
	const char *partner_id;
	const char *partner_key;
	const char *access_token;
	const char *refresh_token;
	int64_t		now;			/* Unix seconds: signatures carry it */
} PlatformAccess;

typedef struct PlatformRequest
{
	const char *method;			/* "GET" or "POST" or "PUT" */
	const char *url;			/* complete; holds secrets, never logged */
	const char *path;			/* for logs: no query */
	const char *const *headers; /* "Name: value" */
	int			n_headers;
	const char *body;			/* NULL for none */
	size_t		body_length;
} PlatformRequest;

/* What came back over HTTP, or did not. */
typedef struct PlatformReply
{
	bool		sent;			/* bytes of the request may have reached the platform */
	bool		complete;		/* a whole answer was read */
	int			http_status;	/* 0 without an answer */
	int64_t		retry_after;	/* seconds from Retry-After, -1 without */
	const char *body;
	size_t		body_length;
} PlatformReply;

typedef struct ItemOutcome
{
	int64_t		listing_id;
	OutcomeClass class;			/* ok, later, permanent or in doubt */
	const char *reason;			/* "" when ok; bounded, redacted */
} ItemOutcome;

typedef struct PlatformAnswer
{
	OutcomeClass class;
	const char *code;			/* the platform's own, "" for none */
	const char *message;		/* bounded, printable, "" for none */
	int64_t		retry_after;	/* seconds, -1 unknown */
	ItemOutcome *items;			/* CALL_PUSH_STOCK: one per item of the call, in its order */
	int			n_items;
	const char **order_sns;		/* CALL_LIST_ORDERS */
	int			n_order_sns;
	bool		more;
	const char *next_cursor;
	const char *documents;		/* CALL_GET_ORDERS: JSON array of canonical documents without fetched_at */
	int			n_documents;
	const char *access_token;	/* CALL_REFRESH_TOKEN */
	const char *refresh_token;
	int64_t		expires_in;		/* seconds */
} PlatformAnswer;

typedef struct Platform
{
	const char *name;			/* 'shopee' */
	const char *default_base_url;
	int64_t		max_quantity;
	int			max_push_items; /* listings in one stock call */
	int			max_get_orders; /* order numbers in one detail call */
	int64_t		max_window;		/* seconds of one order list window */

	/*
	 * Build a request. False, with *error set to a constant text, when the
	 * call cannot be made (a missing credential, too many items, an id that
	 * is none).
	 */
	bool		(*build) (const PlatformCall *call, const PlatformAccess *access,
						  Arena *arena, PlatformRequest *request, const char **error);

	/* Judge a reply. Total: every reply, however broken, gets a class. */
	void		(*judge) (const PlatformCall *call, const PlatformReply *reply,
						  Arena *arena, PlatformAnswer *answer);
} Platform;

/* NULL for a name that is no platform's. */
extern const Platform *platform_find(const char *name);
/* All of them, ended by NULL. */
extern const Platform *const *platform_all(void);

/*
 * Remove the secrets of the access from the texts of an answer. judge() does
 * not know them and replaces only what looks like one; this is exact. To be
 * called before any of the texts is logged or stored.
 */
extern void platform_redact(const PlatformAccess *access, Arena *arena, PlatformAnswer *answer);

/* The same for one text, which is first made fit for a log: at most max_bytes. Never NULL. */
extern const char *platform_redact_text(const PlatformAccess *access, Arena *arena, const char *text, size_t max_bytes);

extern const Platform platform_shopee;

#endif
