/*
 * pchome.h
 *		What the files of the PChome codec share among themselves. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_PCHOME_H
#define STORESYNC_PCHOME_H

#include "json.h"
#include "plain.h"
#include "platform.h"

/* Documented. */
#define PCHOME_MAX_QUANTITY		1200
#define PCHOME_MIN_PRICE		20

/* The platform says of batches and windows only that they are limited: what is known to work, or less. */
#define PCHOME_MAX_ITEMS		20
#define PCHOME_MAX_ORDERS		20
#define PCHOME_MAX_WINDOW		(7 * 86400)	/* seconds */
#define PCHOME_ORDER_PAGE		100
#define PCHOME_PRODUCT_PAGE		50

/* Times of day and dates are Taipei's, which has no summer time. */
#define PCHOME_UTC_OFFSET		28800

#define PCHOME_PATH_PRODUCTS	"/prod/v3.3/index.php/vendor/"

#define PCHOME_DIGITS			"0123456789"
#define PCHOME_LETTERS			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* Bytes that are taken of texts, and held against what we send. */
#define PCHOME_MAX_ID			48
#define PCHOME_MAX_SPEC			3
#define PCHOME_MAX_CODE			40
#define PCHOME_MAX_MESSAGE		300
#define PCHOME_MAX_OFFSET		INT64_C(1000000000)

/* A request while it is made. */
typedef struct PchomeDraft
{
	const PlatformCall *call;
	const PlatformAccess *access;
	Arena	   *arena;
	PlainBuffer path;
	PlainBuffer query;
	PlainBuffer body;
} PchomeDraft;

/* A product id in its two parts: 'AAAA0A-A00000001' and '001', '' for spec 000. */
typedef struct PchomeProduct
{
	char		group[PCHOME_MAX_ID + 1];
	char		spec[PCHOME_MAX_SPEC + 1];
} PchomeProduct;

/* The id of an order's record in its two parts: '20251009000001' and '01'. */
typedef struct PchomeRecord
{
	char		order_sn[PCHOME_MAX_ID + 1];
	char		line_id[PCHOME_MAX_ID + 1];
} PchomeRecord;

/* Whether a text is 1 to `max` characters of a set. */
extern bool pchome_all_of(const char *text, const char *set, size_t max);
/* Whether the text can be a group id: letters, digits and one dash between them. */
extern bool pchome_group_ok(const char *group);
/* The parts of a product id; false when it is none. */
extern bool pchome_read_product(const char *id, PchomeProduct *product);
/* The parts of a record's id; false when it is none. */
extern bool pchome_read_record(const char *id, PchomeRecord *record);

/* Which rows of a list a cursor asks for. */
typedef struct PchomePage
{
	int			state;			/* of a list of returns: its place in pchome_return_states */
	int64_t		offset;			/* from 1 */
} PchomePage;

#define PCHOME_RETURN_STATES	3
extern const char *const pchome_return_states[PCHOME_RETURN_STATES];

/* "" is the first page; false when the text is no cursor of ours. */
extern bool pchome_read_cursor(CallKind kind, const char *cursor, PchomePage *page);

/* Write the path up to what the vendor has of the kind. */
extern void pchome_begin_path(PchomeDraft *draft, const char *path, const char *what);
/* The parts of a stock call, and of one that writes prices or the shelf; NULL, or why it cannot be made. */
extern const char *pchome_push_stock(PchomeDraft *draft);
extern const char *pchome_groups(PchomeDraft *draft);

extern void pchome_judge(const PlatformCall *call, const PlatformReply *reply,
						 Arena *arena, PlatformAnswer *answer);

/*
 * What an error code means. Class of one that is not known is permanent and
 * *known false. ok: what was asked for is so already, of a call that asks for
 * nothing else.
 */
extern OutcomeClass pchome_code_class(const char *code, bool *known);

/*
 * The records of a detail answer as canonical documents, joined by their
 * order's number, and a message on what could not be understood.
 */
extern void pchome_documents(const PlatformCall *call, const cJSON *records,
							 Arena *arena, PlatformAnswer *answer);

/* What an answer about products, or about one group's specs, shows. */
extern void pchome_shown(const PlatformCall *call, const cJSON *rows, Arena *arena, PlatformAnswer *answer);

#endif
