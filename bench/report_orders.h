/*
 * report_orders.h
 *		Two years of a store group's orders, made up: who orders what, when, and when that is known.
 */
#ifndef REPORT_ORDERS_H
#define REPORT_ORDERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DAYS			730
#define MONTHS			24
#define STORES			12
#define PAGE_ORDERS		50
#define MAX_LINES		4

typedef enum Fate
{
	FATE_KEPT,					/* delivered, one document */
	FATE_CANCELLED,				/* on the day after: first ready to ship, then cancelled */
	FATE_RETURNED				/* after a week: first completed, then returned */
} Fate;

typedef struct Line
{
	int			sku;			/* 1 ... */
	int			qty;
	int			price_cents;
} Line;

typedef struct Order
{
	int			day;			/* of the page that brings it */
	int			store;
	int			number;			/* of that store and day */
	Fate		fate;
	int64_t		created_ms;		/* Unix time */
	int			nlines;
	Line		lines[MAX_LINES];
} Order;

/* A page: the numbers from `first` of a store's day, or those of that day whose fate it tells. */
typedef struct Page
{
	int64_t		at_ms;			/* when it is booked */
	int			store;
	int			day;			/* of the orders in it */
	int			first;
	int			count;
	Fate		told;			/* FATE_KEPT: their first document */
} Page;

/* start_shape settles all that follows from the scale (1: 8,500 orders a day, 50,000 SKUs) and the seed. */
extern void start_shape(double scale, uint64_t seed);
extern int	sku_count(void);
extern void month_days(int month, int *first, int *end);
extern int	orders_of(int day, int store);
extern int	visits_of(int day, int store);
extern int64_t day_start_ms(int day);
extern int64_t units_received(int month, int sku);
extern void make_order(int day, int store, int number, Order *order);
extern Fate fate_of(int day, int store, int number);

/* pages_of lists a day's pages in the order of their moments; the array is valid until the next call. */
extern Page *pages_of(int day, int *count);

#endif
