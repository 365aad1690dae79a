/*
 * sale.h
 *		What an order counts for in the roll-ups of sales, and how a change of
 *		that is told: as differences, packed into a row of the outbox of the
 *		transaction that makes the change.
 *
 * Nobody who folds changes needs to know what an order counted for before,
 * and the order path writes no row more for it (docs/rollup.md).
 *
 * The bytes are a sequence of entries, one an order: order and quarter of an
 * hour (each as the difference from the entry before), store, a word that says
 * which of the numbers follow, those numbers, and for each line that changed
 * its SKU, units and amount. All are numbers of seven bits a byte; those that
 * may be negative have their sign in the lowest bit.
 */
#ifndef STORESYNC_SALE_H
#define STORESYNC_SALE_H

#include "storesync.h"

#include "utils/numeric.h"

#include "order.h"

/* Orders are told of by the quarter of an hour they were created in: days and hours of all time zones consist of these. */
#define SALE_QUARTER_US		(15 * USECS_PER_MINUTE)
/* A line counts for no more than this, in hundredths: sums of many stay inside int64. */
#define SALE_MAX_AMOUNT		INT64CONST(10000000000000)

/* One order's part of a change. */
typedef struct SaleEntry
{
	int64		order_id;
	int64		quarter;		/* since 2000-01-01 UTC */
	int32		store_id;
	SaleSum		sum;
	bool		is_new;			/* first booked, and counts for the delay */
	int64		delay_ms;		/* from create_time until it was booked */
	int			nlines;			/* that follow: sale_next_line() reads each of them */
} SaleEntry;

typedef struct SaleReader
{
	const uint8 *at;
	const uint8 *end;
	int64		order_id;		/* of the last entry */
	int64		quarter;
} SaleReader;

/* Remember what orders of a page that were loaded count for already. */
extern void sale_loaded(OrderPage *page);
/* What has changed since, packed; NULL for nothing. Then this is what is told. */
extern bytea *sale_told(OrderPage *page);
/* The same for goods of one line that came back: sold units. NULL for none. */
extern bytea *sale_returned(int64 order_id, int32 store_id, TimestampTz create_time, int64 units);
/* The same for lines that count for another SKU, or for more units of it, than they did; sorted by order, if possible. */
typedef struct SaleMove
{
	int64		order_id;
	int32		store_id;
	TimestampTz create_time;
	SaleLine	before;
	SaleLine	now;
} SaleMove;

extern bytea *sale_moved(const SaleMove *moves, int n);
/* Sold units of a line that came back. */
extern int64 sale_returned_units(const OrderLine *line);
/* Units times price in hundredths, at most SALE_MAX_AMOUNT. */
extern int64 sale_amount(Numeric unit_price, int64 units);

/* Reading. Raises XX001 for bytes that are no change. */
extern void sale_open(SaleReader *reader, const bytea *packed);
extern bool sale_next(SaleReader *reader, SaleEntry *entry);
/* To be called nlines times after each entry. */
extern void sale_next_line(SaleReader *reader, SaleLine *line);

#endif
