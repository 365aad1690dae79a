/*
 * market.h
 *		What the shops show, what the seller's stock really is, and what the
 *		buyers did: stock, orders and counters under one lock.
 */
#ifndef SIM_MARKET_H
#define SIM_MARKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"
#include "orders.h"

typedef struct MarketCounters
{
	int64_t		orders;			/* accepted, at least one line */
	int64_t		lines;			/* accepted */
	int64_t		units;			/* accepted */
	int64_t		lost_lines;		/* too few shown */
	int64_t		lost_units;
	int64_t		oversold_units; /* accepted by a shop, not covered by the stock */
	int64_t		cancelled_orders;
} MarketCounters;

typedef struct Market
{
	pthread_mutex_t lock;		/* guards all below, and tokens, calls and faults too */
	const Catalogue *catalogue;
	bool		return_on_cancel;	/* a cancel raises what the shop shows */
	int64_t    *truth;			/* per SKU: units that the seller really has left; below 0: oversold */
	int64_t    *shown;			/* per listing: units that the shop shows */
	int64_t    *reserved;		/* per listing: units of these that a promotion keeps */
	bool	   *closed;			/* per listing: banned or gone, nobody can buy it */
	int64_t    *changed_s;		/* per listing: when its shown units last changed */
	int64_t    *changed_us;		/* the same by the clock that never steps */
	Orders		orders;
	MarketCounters *counters;	/* per shop */
	int64_t		next_sn;		/* for orders that come without a number */
} Market;

typedef enum MarketResult
{
	MARKET_OK,
	MARKET_REPEATED,			/* order_sn exists */
	MARKET_FULL,				/* too many orders or changes */
	MARKET_FINAL,				/* the order is cancelled */
	MARKET_TOO_MANY				/* more units than the line has */
} MarketResult;

/* What one basket came to. */
typedef struct Purchase
{
	const Order *order;			/* NULL when all lines were lost */
	int64_t		accepted_units;
	int64_t		lost_units;
} Purchase;

extern void market_init(Market *market, const Catalogue *catalogue, int64_t order_delay_us,
						bool return_on_cancel);
extern void market_free(Market *market);

/* What all shops counted together. */
extern MarketCounters market_total(const Market *market);

/* The functions below are called with the lock held. */

/*
 * A buyer's basket at one shop. A line that wants more than the shop shows
 * (nothing of one that is closed) is a lost sale; the others lower what it shows and become the order.
 */
extern MarketResult market_buy(Market *market, const char *sn, uint32_t shop, const OrderLine *lines,
							   int n_lines, OrderStatus status, Purchase *purchase);

/* Moves an order on. CANCELLED gives the units back unless they were shipped. */
extern MarketResult market_set_status(Market *market, Order *order, OrderStatus status);

/* Cancels units of single lines; cancelled has the new total per line. */
extern MarketResult market_cancel_units(Market *market, Order *order, OrderStatus status,
										const int32_t *cancelled);

/* The seller's absolute write, or the administrator's: replaces what is shown. */
extern void market_show(Market *market, uint32_t listing, int64_t stock);

#endif
