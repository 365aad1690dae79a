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

typedef struct DocumentLine
{
	const char *item_id;
	const char *model_id;		/* "" for an item without models */
	int			place;			/* in the answer, from 0 */
	int64_t		qty;
	const char *sku;			/* "" for none */
	const char *unit_price;		/* decimal text, NULL for none */
} DocumentLine;

typedef struct Document
{
	const char *status;			/* canonical, or one that no store knows; NULL: the order was not understood */
	int64_t		create_time;	/* Unix seconds, 0: none was said */
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

/*
 * The orders of a detail answer, an array or a single one, as documents, one
 * for each that the call asked for, and a message on what could not be
 * understood.
 */
extern void document_answer(const PlatformCall *call, const cJSON *list, DocumentReader read,
							Arena *arena, PlatformAnswer *answer);

#endif
