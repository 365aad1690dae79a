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
	CALL_PUSH_STOCK,			/* items[]: quantities */
	CALL_LIST_ORDERS,			/* window and cursor: order numbers, a page at a time */
	CALL_GET_ORDERS,			/* order_sns[]: canonical documents */
	CALL_REFRESH_TOKEN,
	CALL_GET_TOKEN,				/* auth_code of the access: the first tokens of an authorised shop */
	CALL_PUSH_PRICE,			/* items[]: prices */
	CALL_SET_LISTED,			/* items[] come to be listed, or not */
	CALL_LIST_ITEMS,			/* listed and cursor: item ids, a page at a time */
	CALL_GET_ITEMS,				/* item_ids[]: what is shown of each, or that its models have to be asked for */
	CALL_GET_MODELS,			/* item_ids[0]: what is shown of its models */
	CALL_SHIP_INFO,				/* order_sn: how it may be shipped */
	CALL_SHIP,					/* order_sn, package_id, ship_method, carrier, tracking */
	CALL_CANCEL_LINES,			/* order_sn, items[] by item and model, or order_sns[] of lines; reason */
	CALL_LIST_RETURNS,			/* window and cursor: goods that come back */
	CALL_LOST_PUSHES,			/* notifications that were not confirmed */
	CALL_CONFIRM_PUSHES,		/* cursor: all up to it have been taken in */
	CALL_SHOP_INFO,				/* until when the shop is authorised */
	CALL_KINDS
} CallKind;

#define CALL_BIT(kind)	(1u << (kind))

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
	const char *price;			/* CALL_PUSH_PRICE: decimal number, as the shop shows it */
} PlatformItem;

typedef struct PlatformCall
{
	CallKind	kind;
	const PlatformItem *items;	/* of one item_id where the platform says batch_per_item */
	int			n_items;
	int64_t		from;			/* window of a list, Unix seconds */
	int64_t		to;
	const char *cursor;			/* "" for the first page */
	const char *const *order_sns;	/* CALL_GET_ORDERS, CALL_CANCEL_LINES */
	int			n_order_sns;
	bool		listed;			/* CALL_SET_LISTED, CALL_LIST_ITEMS */
	const char *const *item_ids;	/* CALL_GET_ITEMS, CALL_GET_MODELS */
	int			n_item_ids;
	const char *order_sn;		/* shipping and cancelling */
	const char *package_id;		/* NULL: the order is one parcel */
	const char *ship_method;	/* as CALL_SHIP_INFO answered, NULL where there is no such call */
	const char *carrier;		/* NULL where the platform knows it */
	const char *tracking;		/* NULL likewise */
	int64_t		quantity;		/* CALL_SHIP: units of the line, where the platform ships lines */
	const char *reason;			/* CALL_CANCEL_LINES, CALL_SET_LISTED to not listed: the platform's own word */
} PlatformCall;

/* Credentials are NULL where the store has none. */
typedef struct PlatformAccess
{
	const char *base_url;		/* scheme, host and perhaps directories, no trailing slash */
	const char *shop_id;
	const char *partner_id;
	const char *partner_key;
	const char *access_token;
	const char *refresh_token;
	const char *auth_code;		/* of a new authorisation, works once */
	const char *api_key;		/* Ruten's three */
	const char *secret_key;
	const char *salt_key;
	const char *callback_url;	/* where notifications of the application are sent to */
	bool		sign_path_only; /* Ruten: the URL's path and query are signed instead of all of it */
	bool		sign_base64;	/* Ruten: signatures in base64 instead of hex */
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
	const char *unsent;			/* why nothing was sent, where that is our own doing; constant, or NULL */
} PlatformReply;

typedef struct ItemOutcome
{
	int64_t		listing_id;
	OutcomeClass class;			/* ok, later, permanent or in doubt */
	const char *reason;			/* "" when ok; bounded, redacted */
} ItemOutcome;

/* What a shop shows of an item without models, or of one model. */
typedef struct ShownItem
{
	const char *item_id;
	const char *model_id;		/* "" for an item without models */
	const char *seller_sku;		/* "" for none; not unique */
	const char *name;			/* "" where not told */
	int64_t		quantity;		/* that may still be sold; -1 where not told */
	int64_t		reserved;		/* units locked by promotions; 0 where not told */
	const char *price;			/* decimal number, "" where not told */
	bool		listed;
	bool		ended;			/* deleted, banned or under review: writes are refused */
	bool		writable;		/* its quantity is the seller's to write */
} ShownItem;

typedef struct PlatformAnswer
{
	OutcomeClass class;
	const char *code;			/* the platform's own, "" for none */
	const char *message;		/* bounded, printable, "" for none */
	bool		application;	/* OUTCOME_AUTH: not the store's credential, but that of the platform's application */
	int64_t		retry_after;	/* seconds, -1 unknown */
	ItemOutcome *items;			/* calls that write items: one per item of the call, in its order */
	int			n_items;
	const char **order_sns;		/* CALL_LIST_ORDERS */
	int			n_order_sns;
	bool		more;
	const char *next_cursor;

	/*
	 * A JSON array. CALL_GET_ORDERS: canonical documents without fetched_at.
	 * CALL_LIST_RETURNS: {"return_id","order_sn","line_id","qty","state",
	 * "open"}: the platform's own word, and whether goods may still come; null
	 * what it does not tell.
	 * CALL_LOST_PUSHES: the notifications' bodies, as text.
	 */
	const char *documents;
	int			n_documents;
	const char *access_token;	/* CALL_REFRESH_TOKEN, CALL_GET_TOKEN */
	const char *refresh_token;
	int64_t		expires_in;		/* seconds */
	int64_t		authorization_ends; /* CALL_SHOP_INFO, Unix seconds; 0 not told */
	const char **item_ids;		/* CALL_LIST_ITEMS: the page; CALL_GET_ITEMS: those that have models */
	const char **item_names;	/* CALL_GET_ITEMS: the names of those, "" where not told; NULL: of none */
	int			n_item_ids;
	ShownItem  *shown;			/* CALL_GET_ITEMS, CALL_GET_MODELS; what is not there does not exist */
	int			n_shown;
	const char *ship_method;	/* CALL_SHIP_INFO */
	int64_t		until;			/* OUTCOME_LATER: when what stands against it ends, Unix seconds; 0 unknown */
} PlatformAnswer;

/* A notification as it came in over HTTP. */
typedef struct PlatformPush
{
	const char *url;			/* as configured at the platform */
	const char *authorization;	/* headers, NULL for none */
	const char *key;
	const char *timestamp;
	const char *body;			/* the bytes as they came */
	size_t		body_length;
} PlatformPush;

typedef enum PushKind
{
	PUSH_OTHER,					/* nothing of stock or orders */
	PUSH_ORDER,					/* order_sn has changed */
	PUSH_RESERVED,				/* reserved units of an item or model have changed */
	PUSH_ITEM,					/* an item has changed: what is shown is unknown */
	PUSH_AUTHORISED,			/* the shop has let the application in */
	PUSH_REVOKED,				/* and has taken that back */
	PUSH_EXPIRING				/* authorisations are about to end */
} PushKind;

/* What a notification says. A hint: whoever acts asks the platform. */
typedef struct PushHint
{
	bool		genuine;		/* signed for the access, whatever came of the rest */
	PushKind	kind;
	const char *code;			/* the platform's own, for the log */
	const char *shop_id;		/* "" where it names none */
	const char *order_sn;		/* "" likewise */
	const char *item_id;
	const char *model_id;
	int64_t		reserved;		/* PUSH_RESERVED, -1 unknown */
	int64_t		sent_at;		/* Unix seconds, 0 unknown */
} PushHint;

typedef struct Platform
{
	const char *name;			/* 'shopee' */
	const char *default_base_url;
	int64_t		max_quantity;
	unsigned	calls;			/* CALL_BIT of each that it has */
	int			max_push_items; /* listings in one stock or price call */
	int			max_set_listed; /* items in one CALL_SET_LISTED */
	int			max_get_orders; /* order numbers in one detail call */
	int			max_get_items;	/* items in one CALL_GET_ITEMS */
	int64_t		max_window;		/* seconds of one order list window */
	bool		batch_per_item; /* calls that write take models of one item only */
	bool		batch_one_way;	/* a stock call must not mix decreases and raises */
	bool		ship_by_line;	/* orders are read, shipped and cancelled by the line: number, dash, line */
	bool		price_of_item;	/* the models of an item have one price, and a price call takes several items */
	bool		update_feed;	/* orders are listed by when they last changed, else by when they were placed */
	bool		absolute;		/* quantities are written as they are; else as a change of what was read just before */
	int			push_status;	/* HTTP status that a notification is answered with, 0: it sends none */

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

	/*
	 * Whether a notification was signed for this access, in constant time,
	 * and what it says. False with a constant text when it is not, is too
	 * old, or is none. NULL where the platform sends none.
	 */
	bool		(*read_push) (const PlatformPush *push, const PlatformAccess *access,
							  Arena *arena, PushHint *hint, const char **error);

	/*
	 * The address where a seller lets the application into a shop, or with
	 * `cancel` takes that back; from there the browser goes on to redirect.
	 * NULL, with a constant text, when the access or redirect will not do.
	 * NULL where the platform has no such page.
	 */
	const char *(*authorization_url) (const PlatformAccess *access, const char *redirect, bool cancel,
									  Arena *arena, const char **error);

	/*
	 * What a notification says that CALL_LOST_PUSHES brought: it comes from
	 * the platform's own answer, has no signature and may be days old. NULL
	 * without that call.
	 */
	bool		(*read_lost) (const char *body, size_t length, Arena *arena, PushHint *hint, const char **error);

	/* Headers of a notification, in lower case; NULL where it has none. With a key they name the store's. */
	const char *push_authorization;
	const char *push_key;
	const char *push_timestamp;
} Platform;

/* Calls that change nothing at the platform: they are never in doubt. */
extern bool platform_call_reads(CallKind kind);
/* Calls that have an outcome for each of their items. */
extern bool platform_call_has_items(CallKind kind);
/* Short name of a call: in SQL, logs and statistics. */
extern const char *platform_call_name(CallKind kind);

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
extern const Platform platform_ruten;
extern const Platform platform_pchome;

#endif
