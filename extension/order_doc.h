/*
 * order_doc.h
 *		An order document, read from JSON into plain structs and judged:
 *		whatever is wrong with it is found here, before anything is locked or
 *		written, and costs no subtransaction.
 */
#ifndef STORESYNC_ORDER_DOC_H
#define STORESYNC_ORDER_DOC_H

#include "storesync.h"

#include "utils/jsonb.h"

/* In the order of the SQL type order_status. */
typedef enum OrderStatus
{
	ORDER_UNPAID,
	ORDER_READY_TO_SHIP,
	ORDER_SHIPPED,
	ORDER_COMPLETED,
	ORDER_IN_CANCEL,
	ORDER_CANCELLED,
	ORDER_RETURNED
} OrderStatus;

typedef struct DocLine
{
	text	   *line_id;
	text	   *item_id;		/* NULL: the line names none */
	text	   *model_id;		/* '' for none, also where the document says null or '0' */
	text	   *sku;			/* NULL: the line names none */
	int64		qty;			/* sold units, 1 to SS_MAX_QTY */
	int64		cancelled_qty;	/* 0 to SS_MAX_QTY */
	int64		returned_qty;
	Numeric		unit_price;		/* NULL: unknown */
	OrderStatus status;			/* its own, or the order's */
	bool		resolved;		/* order_map.c has looked it up */
	int64		listing_id;		/* 0: none */
	int64		sku_id;			/* 0: not mapped */
	int32		pack;
	text	   *listed_sku;		/* code of the listing's SKU when it is not `sku` */
} DocLine;

typedef struct OrderDoc
{
	const char *reject;			/* why it is rejected, NULL when it is sound */
	text	   *order_sn;		/* NULL when even that could not be read */
	OrderStatus status;
	TimestampTz create_time;
	TimestampTz update_time;	/* fetched_at where the document has none */
	TimestampTz fetched_at;		/* `now` where the document has none */
	text	   *buyer;
	text	   *currency;
	bool		any_returned;	/* a line carries returned_qty */
	int			nlines;
	DocLine    *lines;
} OrderDoc;

/* Read one document. `now` is the moment of the call. Never raises for what the document says. */
extern void order_doc_read(const JsonbValue *value, TimestampTz now, OrderDoc *doc);

/* Unix seconds as a number or a string of digits, or ISO 8601 with a zone; false when it is neither. */
extern bool order_time_read(const JsonbValue *value, TimestampTz *at);

/* order_number.c: a JSON number as a whole number between low and high; false for a fraction or beyond. */
extern bool order_whole_number(Numeric number, int64 low, int64 high, int64 *result);
/* The same for one below 10^16 that can be read at a glance: short, whole, not negative; false for any other. */
extern bool order_plain_number(Numeric number, int64 *result);
/* The other way; not to be freed or changed. */
extern Numeric order_to_numeric(int64 number);

extern const char *order_status_name(OrderStatus status);
/* False for a word that is no status. */
extern bool order_status_find(const char *name, int length, OrderStatus *status);

/* Order of texts by their bytes: what pages are sorted by, whatever the collation. */
extern int	ss_text_compare(const text *a, const text *b);

#endif
