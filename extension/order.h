/*
 * order.h
 *		A page of orders on its way: loaded as a set, decided in memory,
 *		written as a set.
 *
 * Locking: the row of each order in sales_order guards the order and its
 * lines. A page locks its orders sorted by number, then all places of all
 * SKUs that it may move (stock.h). Whoever locks an order also locks the
 * SKUs of its short lines and tries to fill them, which lets order_fill.c
 * pass over orders that somebody else has locked.
 */
#ifndef STORESYNC_ORDER_H
#define STORESYNC_ORDER_H

#include "storesync.h"

#include "datatype/timestamp.h"

#include "order_doc.h"
#include "stock.h"

/* In the order of the SQL type line_state. */
typedef enum LineState
{
	LINE_PARKED,
	LINE_SHORT,
	LINE_RESERVED,
	LINE_SHIPPED,
	LINE_RESTOCKED,
	LINE_CANCELLED,
	LINE_KEPT,
	LINE_LAPSED
} LineState;

/* What a line has of one SKU at one place, in units of that SKU (order_part.h). */
typedef struct LinePart
{
	int64		sku_id;
	int32		location_id;	/* 0: nowhere yet */
	int64		per;			/* units in one of the line's SKU */
	int64		reserved;
	int64		shipped;
	int64		back;			/* of those shipped */
} LinePart;

/* What an order counts for in the roll-ups, or a change of that (sale.h): orders, sold units, hundredths. */
typedef struct SaleSum
{
	int64		orders;
	int64		units;
	int64		amount;
	int64		cancelled_orders;
	int64		cancelled_units;
	int64		returned_units;
} SaleSum;

/* The same of a line: units of its SKU, hundredths. */
typedef struct SaleLine
{
	int64		sku_id;			/* 0: on none */
	int64		sold;
	int64		amount;
} SaleLine;

/* A line as it is booked. Ids are 0 and texts NULL where there is none. */
typedef struct OrderLine
{
	bool		is_new;			/* not in the table yet */
	bool		changed;		/* to be written */
	text	   *line_id;
	text	   *item_id;
	text	   *model_id;
	text	   *sku_code;
	text	   *reason;
	Numeric		unit_price;
	int64		listing_id;
	int64		sku_id;
	int32		location_id;	/* 0 also for a line that has several parts, or others than its SKU */
	int32		pack;
	int			nparts;			/* 0: not mapped */
	LinePart   *parts;			/* drawn first stand first */
	int64		qty;			/* sold units, as the platform counts */
	int64		cancelled_qty;
	int64		returned_qty;
	int64		reserved;		/* units of the SKU */
	int64		shipped;
	int64		restocked;
	int64		lost;			/* closed by receive_return, will not come back */
	int64		missing;		/* column "short" */
	int32		effects;
	TimestampTz cancelled_at;	/* DT_NOBEGIN: nothing is cancelled */
	OrderStatus status;
	LineState	state;
	SaleLine	told;			/* what the roll-ups have been told of (sale.c) */
} OrderLine;

typedef struct Order
{
	bool		is_new;			/* made by this call, no document booked yet */
	bool		settled;		/* read without a lock: the page has no news of it */
	bool		changed;		/* the row is to be written */
	bool		parked;			/* a line has come to be parked in this call */
	bool		is_told;		/* the roll-ups have been told of it */
	SaleSum		told;			/* what it counts for by that */
	bool		found_anew;		/* searches find it by something that it did not have */
	int64		order_id;
	text	   *order_sn;
	OrderStatus status;
	bool		stock_effect;
	TimestampTz create_time;
	TimestampTz update_time;
	TimestampTz fetched_at;
	TimestampTz recorded_at;
	text	   *buyer;
	text	   *currency;
	int			nlines;
	int			capacity;
	OrderLine **lines;			/* sorted by line_id */
	int			first_doc;		/* its first sound document in the page */
} Order;

typedef struct PageSku
{
	int64		sku_id;
	int			nplaces;
	StockPlace *places;			/* by location_id; a bundle has none */
	int			ncomponents;
	StockComponent *components; /* of a bundle, or of what was one */
	bool		touched;		/* the outbox tells of it */
	bool		has_short;		/* may have short lines */
} PageSku;

typedef struct PageStore
{
	int32		store_id;
	text	   *platform;
	text	   *shop_id;
	TimestampTz stock_from;
	bool		trusts_returns; /* store.returns = 'platform' */
	int64		unpaid_hold;	/* microseconds from create_time, -1: no limit */
	int			nlocations;
	int32	   *locations;		/* that it sells from; none: all that sell */
} PageStore;

/* What is answered for one document. */
typedef struct DocAnswer
{
	const char *outcome;
	Jsonb	   *detail;
} DocAnswer;

typedef struct OrderPage
{
	PageStore	store;
	TimestampTz now;
	int			ndocs;
	OrderDoc   *docs;
	DocAnswer  *answers;		/* one per document */
	int		   *order_of;		/* document -> index in orders, -1: rejected */
	int			norders;
	Order	   *orders;			/* sorted by order_sn, bytewise */
	int			nskus;
	PageSku    *skus;			/* sorted by sku_id */
	bool		shorts_known;	/* has_short of skus has been read */
	StockHold	hold;
	StockJournal journal;
	struct SsSet *history;
} OrderPage;

/* order_look.c: which of the orders that exist the page has no news of; those are read. Locks and writes nothing. */
extern void order_look(OrderPage *page);
/* order_load.c: lock and read the page's orders and their lines. */
extern void order_load(OrderPage *page);
extern OrderLine *order_line_find(const Order *order, const text *line_id);
extern PageSku *order_page_sku(const OrderPage *page, int64 sku_id);

/* order_map.c: listings and SKUs of lines that need one; then lock the stock that the page may move. */
extern void order_map(OrderPage *page);
extern void order_lock_stock(OrderPage *page);
/* Note that the line is short of what it is made of; with `freed` it is tried again. */
extern void order_note_short(OrderPage *page, const OrderLine *line, bool freed);

/* order_want.c: what a line's status wants of the stock. */
typedef struct LineWant
{
	bool		ships;			/* the goods have left */
	int64		reserved;
	int64		shipped;
	int64		restocked;		/* at most what is shipped */
} LineWant;

extern bool order_is_stale(const Order *order, const OrderDoc *doc);
extern bool order_finished(OrderStatus status);
extern int64 order_units(int64 qty, int32 pack);
extern void order_want(const OrderPage *page, const OrderDoc *doc, const DocLine *doc_line,
					   const OrderLine *line, LineWant *want);
extern bool order_has_left(const OrderLine *line);
extern bool order_settled(const OrderLine *line, const LineWant *want);
extern bool order_still_short(const OrderLine *line);
extern LineState order_line_state(const OrderLine *line);

/* order_book.c: decide one document in memory. */
extern void order_book(OrderPage *page, int doc_index);
/* Whether it would change anything of an order that was read; of its lines, none of which waits for anything. */
extern bool order_head_news(const Order *order, const OrderDoc *doc);
extern bool order_lines_news(OrderPage *page, int doc_index);

/* order_write.c: write what was decided, and forget that it was to be written. */
extern void order_write(OrderPage *page);
extern void order_insert(OrderPage *page);

/* order_json.c: details of answers and lines of the history. */
extern void order_answer_lines(OrderPage *page, int doc_index, const char *outcome);
extern void order_answer_reject(OrderPage *page, int doc_index, const char *reason);
extern Jsonb *order_history_lines(OrderLine **lines, int n, const char *order_status);

/* Names of SQL enum values. */
extern const char *order_state_name(LineState state);
extern LineState order_state_find(const char *name);

/* order_fill.c */
typedef struct FilledLine
{
	int64		order_id;
	OrderLine	line;			/* what it holds now, without names and price */
} FilledLine;

/*
 * Give what locked places have to the short lines of the SKUs that have one
 * marked as freed, and of their bundles, oldest paid order first; takes the
 * marks away. Ledger rows go through the journal and are written. Returns how
 * many lines were filled; *filled tells which. Raises 40001 when a bundle
 * came to be short after the places were locked.
 */
extern int	order_fill(StockJournal *journal, const StockHold *hold, FilledLine **filled);
/* Which of the SKUs have lines that are short, of their own or of a bundle. Sets has_short. */
extern void order_find_shorts(PageSku *skus, int nskus);

/* expiry.c: length of a hold in microseconds, a month being 30 days; timers for the page's unpaid orders. */
extern int64 order_hold_us(const Interval *hold);
extern void order_set_timers(const OrderPage *page);

#endif
