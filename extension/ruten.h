/*
 * ruten.h
 *		What the files of the Ruten codec share among themselves. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_RUTEN_H
#define STORESYNC_RUTEN_H

#include "json.h"
#include "plain.h"
#include "platform.h"

/* Limits of the calls; which are the platform's and which are ours: docs/ruten.md. */
#define RUTEN_MAX_SPECS			100
#define RUTEN_MAX_ORDERS		30
#define RUTEN_PAGE				100
#define RUTEN_MAX_PLACE			1000000
#define RUTEN_MAX_QUANTITY		999999
#define RUTEN_MAX_PRICE			INT64_C(999999999)
#define RUTEN_MAX_WINDOW		(7 * 86400 - 1) /* seconds */
#define RUTEN_MAX_SKEW			300 /* seconds */

/* Bytes that are taken of texts, and held against what we send. */
#define RUTEN_MAX_ID			20
#define RUTEN_MAX_ORDER_SN		64
#define RUTEN_MAX_CURSOR		128
#define RUTEN_MAX_CODE			80
#define RUTEN_MAX_MESSAGE		300

/*
 * Signature of a request or notification: of the salt, the URL (or its path
 * and query, as the access says), the body and the time. NULL when the arena
 * or libcrypto fails.
 */
extern const char *ruten_signature(Arena *arena, const PlatformAccess *access, const char *url,
								   const char *body, size_t body_length, const char *timestamp);

/* What is wrong with the access, NULL when something can be signed by it. */
extern const char *ruten_check_access(const PlatformAccess *access);

/* Whether a text can be the id of an item or spec. */
extern bool ruten_id_ok(const char *id);

/* Whether the text can be an order number: it is put into a comma-joined list. */
extern bool ruten_order_sn_ok(const char *order_sn);

/* The spec a text names: NULL, "" and "0" are "", an item without specs. */
extern const char *ruten_spec_id(const char *text);

/*
 * Where a list goes on: the page, or the first item of it, from 1. `before` is
 * the first entry of the page before, so that a page that comes again is seen.
 */
typedef struct RutenCursor
{
	bool		sold_out;		/* of items: those on sale are done */
	int64_t		place;
	const char *before;			/* NULL on a first page */
} RutenCursor;

/* False when the text is no cursor. "" is the first page. */
extern bool ruten_cursor_read(const char *text, RutenCursor *cursor);
extern const char *ruten_cursor_text(Arena *arena, const RutenCursor *cursor);

extern void ruten_judge(const PlatformCall *call, const PlatformReply *reply,
						Arena *arena, PlatformAnswer *answer);

/* Class of a refusal by its code, its message and the HTTP status, which all may be missing. */
extern OutcomeClass ruten_class(const char *code, const char *message, int http_status);

/* Answers of the calls that read items and orders; data is what stands beside "status". */
extern void ruten_list_items(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer);
extern void ruten_list_orders(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer);
extern void ruten_get_item(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer);
extern void ruten_get_orders(const PlatformCall *call, const cJSON *data, Arena *arena, PlatformAnswer *answer);

/* A moment as text: Unix seconds or milliseconds, or a time of day in Taiwan in one of the usual forms. */
extern bool ruten_moment(const char *text, int64_t *unix_s);

extern bool ruten_read_push(const PlatformPush *push, const PlatformAccess *access,
							Arena *arena, PushHint *hint, const char **error);

#endif
