/*
 * document.h
 *		Canonical order documents (docs/order.md), as codecs make them of a
 *		platform's answer. Free of PostgreSQL headers.
 */
#ifndef STORESYNC_DOCUMENT_H
#define STORESYNC_DOCUMENT_H

#include "json.h"
#include "plain.h"
#include "platform.h"

/* As SS_MAX_LINES, SS_MAX_QTY and SS_MAX_TEXT of storesync.h, which is PostgreSQL's. */
#define DOCUMENT_MAX_LINES	10000
#define DOCUMENT_MAX_QTY	INT64_C(1000000000000)
#define DOCUMENT_MAX_SKU	200

#define DOCUMENT_MAX_STATUS	60		/* so much of an unknown one is shown */

#define DOCUMENT_UNSAID		INT64_C(-1)	/* a quantity that the platform does not tell */

/* Ids are of characters that JSON takes as they are: the codec has looked. */
typedef struct DocumentLine
{
	const char *line_id;		/* NULL: item and model make it */
	const char *item_id;
	const char *model_id;		/* "" for an item without models */
	int			place;			/* in the answer, from 0 */
	int64_t		qty;
	int64_t		cancelled_qty;	/* or DOCUMENT_UNSAID */
	int64_t		returned_qty;	/* or DOCUMENT_UNSAID */
	const char *sku;			/* "" for none */
	const char *unit_price;		/* decimal text, NULL for none */
	const char *status;			/* of its own, canonical; NULL for none */
	bool		declined;		/* by the seller */
} DocumentLine;

typedef struct Document
{
	const char *status;			/* canonical, or one that no store knows; NULL: the order was not understood */
	bool		arranged;		/* to be shipped, as the platform has been told; not collected yet */
	int64_t		create_time;	/* Unix seconds, 0: none was said */
	int64_t		update_time;	/* likewise */
	const char *currency;		/* NULL for none */
	DocumentLine *lines;
	int			n_lines;
} Document;

/*
 * Reads an entry of an answer: its order number, NULL for none, and the order
 * itself into *document, which comes zeroed; status NULL when any of it cannot
 * be understood. Texts may live in the tree.
 */
typedef const char *(*DocumentReader) (const cJSON *entry, Arena *arena, Document *document);

/* A platform's word for how an order stands, and what it is to the stock. */
typedef struct DocumentStatus
{
	const char *theirs;
	const char *canonical;
} DocumentStatus;

/*
 * The canonical status for a platform's. A new one of the platform is handed
 * on under a name that ingest does not know, so that it is rejected and seen.
 */
extern const char *document_status(Arena *arena, const char *platform, const DocumentStatus *statuses, size_t n,
								   const char *theirs);

/*
 * The SKU of a line: the platform's text cleaned, or "" when there is none
 * or it is too long, for a code cut short would be another code.
 */
extern const char *document_sku(Arena *arena, const char *text);

/* Appends a document to the array that `out` holds; status NULL: the one that ingest rejects by its number. */
extern void document_write(PlainBuffer *out, const char *order_sn, const Document *document);

/*
 * The orders of a detail answer, an array or a single one, as documents, one
 * for each that the call asked for, and a message on what could not be
 * understood.
 */
extern void document_answer(const PlatformCall *call, const cJSON *list, DocumentReader read,
							Arena *arena, PlatformAnswer *answer);

#endif
