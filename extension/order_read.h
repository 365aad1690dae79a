/*
 * order_read.h
 *		Rows of orders and their lines turned into what booking works on
 *		(order.h), whether they were found directly or by a statement.
 */
#ifndef STORESYNC_ORDER_READ_H
#define STORESYNC_ORDER_READ_H

#include "storesync.h"

#include "order.h"
#include "rows.h"

/* A row of a look-up, or where `scan` is NULL of a statement; the statement's has one more column, in front. */
typedef struct LoadedRow
{
	RowsScan   *scan;
	HeapTuple	tuple;
} LoadedRow;

/* Columns of sales_order, in the order of order_read_head. */
#define ORDER_READ_COLUMNS \
	"order_id, status, stock_effect, create_time, update_time, fetched_at, recorded_at, buyer, currency"

/* A bigint of a row, 0 for null. */
extern int64 order_read_int64(const LoadedRow *row, int number);
/* Take what the table says of an existing order. */
extern void order_read_head(const LoadedRow *row, Order *order);
/* Add a line to its order as the table has it. */
extern void order_read_line(const LoadedRow *row, Order *order);

/* Open a look-up of lines, under a snapshot of its own or under the active one. False: use a statement. */
extern bool order_open_lines(RowsScan *scan, bool active);
/* Read all lines of an order whose head has been read, sorted by the bytes of line_id. */
extern void order_read_lines(RowsScan *scan, Order *order);

#endif
