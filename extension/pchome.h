/*
 * pchome.h
 *		What the files of the PChome codec share among themselves. Nobody else
 *		includes it.
 */
#ifndef STORESYNC_PCHOME_H
#define STORESYNC_PCHOME_H

#include "json.h"
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

/* Bytes that are taken of texts, and held against what we send. */
#define PCHOME_MAX_ID			48
#define PCHOME_MAX_SPEC			3
#define PCHOME_MAX_CODE			40
#define PCHOME_MAX_MESSAGE		300
#define PCHOME_MAX_OFFSET		INT64_C(1000000000)

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
