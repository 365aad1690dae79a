/*
 * market.c
 *		Stock, buyers and counters; see market.h.
 *
 * Two numbers are kept apart on purpose. "Shown" belongs to a listing: a
 * buyer is served from it, and the seller's writes replace it. "Truth"
 * belongs to a SKU: the units that the seller really has. A shop that shows
 * more than the truth sells what is not there, and that is what is counted.
 */
#include "market.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

void
market_init(Market *market, const Catalogue *catalogue, int64_t order_delay_us, bool return_on_cancel)
{
	memset(market, 0, sizeof(*market));
	pthread_mutex_init(&market->lock, NULL);
	market->catalogue = catalogue;
	market->return_on_cancel = return_on_cancel;
	market->truth = sim_alloc(catalogue->n_skus * sizeof(int64_t));
	market->shown = sim_alloc(catalogue->n_listings * sizeof(int64_t));
	market->reserved = sim_alloc(catalogue->n_listings * sizeof(int64_t));
	memset(market->reserved, 0, catalogue->n_listings * sizeof(int64_t));
	market->closed = sim_alloc(catalogue->n_listings * sizeof(bool));
	market->changed_s = sim_alloc(catalogue->n_listings * sizeof(int64_t));
	market->changed_us = sim_alloc(catalogue->n_listings * sizeof(int64_t));
	market->counters = sim_alloc(catalogue->n_shops * sizeof(MarketCounters));
	for (uint32_t i = 0; i < catalogue->n_skus; i++)
		market->truth[i] = catalogue->skus[i].opening;
	for (uint32_t i = 0; i < catalogue->n_listings; i++)
	{
		market_show(market, i, catalogue->listings[i].opening_shown);
		market->closed[i] = catalogue_state_closed(catalogue->listings[i].state);
	}
	orders_init(&market->orders, catalogue->n_shops, order_delay_us);
}

void
market_free(Market *market)
{
	orders_free(&market->orders);
	free(market->truth);
	free(market->shown);
	free(market->reserved);
	free(market->closed);
	free(market->changed_s);
	free(market->changed_us);
	free(market->counters);
	pthread_mutex_destroy(&market->lock);
}

MarketCounters
market_total(const Market *market)
{
	MarketCounters total = {0};

	for (uint32_t i = 0; i < market->catalogue->n_shops; i++)
	{
		const MarketCounters *shop = &market->counters[i];

		total.orders += shop->orders;
		total.lines += shop->lines;
		total.units += shop->units;
		total.lost_lines += shop->lost_lines;
		total.lost_units += shop->lost_units;
		total.oversold_units += shop->oversold_units;
		total.cancelled_orders += shop->cancelled_orders;
	}
	return total;
}

void
market_show(Market *market, uint32_t listing, int64_t stock)
{
	market->shown[listing] = stock;
	market->changed_s[listing] = clock_wall_s();
	market->changed_us[listing] = clock_us();
}

/* Takes an accepted line out of shop, promotion and stock, counting what the stock does not cover. */
static void
take_units(Market *market, const OrderLine *line)
{
	const CatalogueListing *listing = &market->catalogue->listings[line->listing];
	MarketCounters *counters = &market->counters[listing->shop];
	int64_t    *truth = &market->truth[listing->sku];

	if (*truth < line->qty)
		counters->oversold_units += line->qty - (*truth > 0 ? *truth : 0);
	*truth -= line->qty;
	market_show(market, line->listing, market->shown[line->listing] - line->qty);
	market->reserved[line->listing] -= line->qty < market->reserved[line->listing] ? line->qty : market->reserved[line->listing];
	counters->lines++;
	counters->units += line->qty;
}

/* A number of its own for an order that came without one. */
static void
make_sn(Market *market, char *sn)
{
	do
	{
		(void) snprintf(sn, ORDER_SN_SIZE, "SIM%09" PRId64, ++market->next_sn);
	} while (orders_find(&market->orders, sn) != NULL);
}

MarketResult
market_buy(Market *market, const char *sn, uint32_t shop, const OrderLine *lines, int n_lines,
		   OrderStatus status, Purchase *purchase)
{
	OrderLine	accepted[MAX_ORDER_LINES];
	char		made_sn[ORDER_SN_SIZE];
	int			n_accepted = 0;

	memset(purchase, 0, sizeof(*purchase));
	if (sn == NULL)
	{
		make_sn(market, made_sn);
		sn = made_sn;
	}
	if (orders_find(&market->orders, sn) != NULL)
		return MARKET_REPEATED;
	if (market->orders.n_orders >= MAX_ORDERS)
		return MARKET_FULL;

	for (int i = 0; i < n_lines && i < MAX_ORDER_LINES; i++)
	{
		if (market->closed[lines[i].listing] || lines[i].qty > market->shown[lines[i].listing])
		{
			purchase->lost_units += lines[i].qty;
			market->counters[shop].lost_lines++;
			market->counters[shop].lost_units += lines[i].qty;
			continue;
		}
		take_units(market, &lines[i]);
		purchase->accepted_units += lines[i].qty;
		accepted[n_accepted++] = lines[i];
	}
	if (n_accepted > 0)
	{
		purchase->order = orders_add(&market->orders, sn, shop, accepted, n_accepted, status);
		market->counters[shop].orders++;
	}
	return MARKET_OK;
}

/* True for the states in which the goods have left the seller. */
static bool
goods_have_left(OrderStatus status)
{
	return status == ORDER_SHIPPED || status == ORDER_TO_CONFIRM_RECEIVE ||
		status == ORDER_COMPLETED || status == ORDER_TO_RETURN;
}

MarketResult
market_cancel_units(Market *market, Order *order, OrderStatus status, const int32_t *cancelled)
{
	const OrderVersion *before = order_newest(order);

	if (before->status == ORDER_CANCELLED)
		return MARKET_FINAL;
	if (order->n_versions >= MAX_ORDER_VERSIONS)
		return MARKET_FULL;
	for (int i = 0; i < order->n_lines; i++)
	{
		if (cancelled[i] < before->cancelled[i] || cancelled[i] > order->lines[i].qty)
			return MARKET_TOO_MANY;
	}

	for (int i = 0; i < order->n_lines && !order->shipped; i++)
	{
		const OrderLine *line = &order->lines[i];
		int32_t		units = cancelled[i] - before->cancelled[i];

		market->truth[market->catalogue->listings[line->listing].sku] += units;
		if (units > 0 && market->return_on_cancel)
			market_show(market, line->listing, market->shown[line->listing] + units);
	}
	if (goods_have_left(status))
		order->shipped = true;
	if (status == ORDER_CANCELLED)
		market->counters[order->shop].cancelled_orders++;
	(void) orders_change(&market->orders, order, status, cancelled);
	return MARKET_OK;
}

MarketResult
market_set_status(Market *market, Order *order, OrderStatus status)
{
	const OrderVersion *before = order_newest(order);
	int32_t		cancelled[MAX_ORDER_LINES];

	if (before->status == status)
		return MARKET_OK;
	for (int i = 0; i < order->n_lines; i++)
		cancelled[i] = status == ORDER_CANCELLED ? order->lines[i].qty : before->cancelled[i];
	return market_cancel_units(market, order, status, cancelled);
}
