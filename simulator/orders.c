/*
 * orders.c
 *		The orders of all shops and what is visible of them; see orders.h.
 *
 * Each change is appended to its shop's list of changes. update_time never
 * goes back, so the list is sorted by it, and by create_time when only first
 * versions are looked at: both kinds of query are one binary search and a
 * walk, and a place in the list is a cursor that stays valid.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

static const char *const status_names[ORDER_N_STATUSES] = {
	[ORDER_UNPAID] = "UNPAID",
	[ORDER_PENDING] = "PENDING",
	[ORDER_READY_TO_SHIP] = "READY_TO_SHIP",
	[ORDER_PROCESSED] = "PROCESSED",
	[ORDER_RETRY_SHIP] = "RETRY_SHIP",
	[ORDER_SHIPPED] = "SHIPPED",
	[ORDER_TO_CONFIRM_RECEIVE] = "TO_CONFIRM_RECEIVE",
	[ORDER_IN_CANCEL] = "IN_CANCEL",
	[ORDER_CANCELLED] = "CANCELLED",
	[ORDER_TO_RETURN] = "TO_RETURN",
	[ORDER_COMPLETED] = "COMPLETED",
	[ORDER_INVOICE_PENDING] = "INVOICE_PENDING",
};

void
orders_init(Orders *orders, uint32_t n_shops, int64_t delay_us)
{
	memset(orders, 0, sizeof(*orders));
	orders->shops = sim_alloc(n_shops * sizeof(ShopOrders));
	orders->n_shops = n_shops;
	orders->delay_us = delay_us;
	orders->n_buckets = 1024;
	orders->buckets = sim_alloc(orders->n_buckets * sizeof(uint32_t));
}

void
orders_free(Orders *orders)
{
	for (uint32_t i = 0; i < orders->n_orders; i++)
	{
		Order	   *order = &orders->orders[i];

		for (int v = 0; v < order->n_versions; v++)
			free(order->versions[v].cancelled);
		free(order->versions);
		free(order->lines);
	}
	for (uint32_t i = 0; i < orders->n_shops; i++)
		free(orders->shops[i].changes);
	free(orders->orders);
	free(orders->buckets);
	free(orders->shops);
	memset(orders, 0, sizeof(*orders));
}

const char *
order_status_name(OrderStatus status)
{
	return status_names[status];
}

OrderStatus
order_status_named(const char *name)
{
	int			status = 0;

	while (status < ORDER_N_STATUSES && strcmp(status_names[status], name) != 0)
		status++;
	return (OrderStatus) status;
}

bool
order_sn_valid(const char *sn)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t		length = strlen(sn);

	return length > 0 && length < ORDER_SN_SIZE && strspn(sn, allowed) == length;
}

/* The bucket that holds sn, or the free one where it belongs. */
static uint32_t
bucket_of(const Orders *orders, const char *sn)
{
	uint64_t	hash = UINT64_C(14695981039346656037);	/* FNV-1a */
	uint32_t	mask = orders->n_buckets - 1;
	uint32_t	bucket;

	for (const char *p = sn; *p != '\0'; p++)
		hash = (hash ^ (unsigned char) *p) * UINT64_C(1099511628211);
	bucket = (uint32_t) (hash ^ (hash >> 32)) & mask;
	while (orders->buckets[bucket] != 0 &&
		   strcmp(orders->orders[orders->buckets[bucket] - 1].sn, sn) != 0)
		bucket = (bucket + 1) & mask;
	return bucket;
}

Order *
orders_find(const Orders *orders, const char *sn)
{
	uint32_t	place = orders->buckets[bucket_of(orders, sn)];

	return place > 0 ? &orders->orders[place - 1] : NULL;
}

/* Doubles the hash table before it is more than half full. */
static void
grow_buckets(Orders *orders)
{
	if ((orders->n_orders + 1) * 2 <= orders->n_buckets)
		return;
	free(orders->buckets);
	orders->n_buckets *= 2;
	orders->buckets = sim_alloc(orders->n_buckets * sizeof(uint32_t));
	for (uint32_t i = 0; i < orders->n_orders; i++)
		orders->buckets[bucket_of(orders, orders->orders[i].sn)] = i + 1;
}

/* True when an array of this length is full, sizes being powers of two from 16. */
static bool
full(uint32_t length)
{
	return length == 0 || (length >= 16 && (length & (length - 1)) == 0);
}

Order *
orders_add(Orders *orders, const char *sn, uint32_t shop, const OrderLine *lines, int n_lines,
		   OrderStatus status)
{
	Order	   *order;

	if (orders->n_orders >= MAX_ORDERS)
		return NULL;
	grow_buckets(orders);
	if (full(orders->n_orders))
		orders->orders = sim_grow(orders->orders,
								  (orders->n_orders == 0 ? 16 : (size_t) orders->n_orders * 2) *
								  sizeof(Order));
	order = &orders->orders[orders->n_orders];
	memset(order, 0, sizeof(*order));
	memcpy(order->sn, sn, strlen(sn) + 1);
	order->shop = shop;
	order->n_lines = n_lines;
	order->lines = sim_alloc((size_t) n_lines * sizeof(OrderLine));
	for (int i = 0; i < n_lines; i++)
	{
		order->lines[i].listing = lines[i].listing;
		order->lines[i].qty = lines[i].qty;
	}
	orders->buckets[bucket_of(orders, sn)] = ++orders->n_orders;
	(void) orders_change(orders, order, status, NULL);
	return order;
}

bool
orders_change(Orders *orders, Order *order, OrderStatus status, const int32_t *cancelled)
{
	ShopOrders *shop = &orders->shops[order->shop];
	size_t		cancelled_size = (size_t) order->n_lines * sizeof(int32_t);
	OrderVersion *version;
	int64_t		now_s = clock_wall_s();

	if (order->n_versions >= MAX_ORDER_VERSIONS)
		return false;
	if (cancelled == NULL && order->n_versions > 0)
		cancelled = order_newest(order)->cancelled;
	if (orders->latest_s < now_s)
		orders->latest_s = now_s;

	order->versions = sim_grow(order->versions,
							   ((size_t) order->n_versions + 1) * sizeof(OrderVersion));
	version = &order->versions[order->n_versions];
	version->at_us = clock_us();
	version->update_time = orders->latest_s;
	version->status = status;
	version->cancelled = sim_alloc(cancelled_size);
	if (cancelled != NULL)
		memcpy(version->cancelled, cancelled, cancelled_size);

	if (full(shop->n_changes))
		shop->changes = sim_grow(shop->changes,
								 (shop->n_changes == 0 ? 16 : (size_t) shop->n_changes * 2) *
								 sizeof(OrderChange));
	shop->changes[shop->n_changes].order = (uint32_t) (order - orders->orders);
	shop->changes[shop->n_changes].version = order->n_versions;
	shop->n_changes++;
	order->n_versions++;
	if (orders->changed != NULL)
		orders->changed(orders->changed_argument, orders, order);
	return true;
}

const OrderVersion *
order_newest(const Order *order)
{
	return &order->versions[order->n_versions - 1];
}

const OrderVersion *
orders_visible(const Orders *orders, const Order *order, int64_t now_us)
{
	for (int v = order->n_versions - 1; v >= 0; v--)
	{
		if (order->versions[v].at_us + orders->delay_us <= now_us)
			return &order->versions[v];
	}
	return NULL;
}

static int64_t
change_time(const Orders *orders, const OrderChange *change)
{
	return orders->orders[change->order].versions[change->version].update_time;
}

/* The shop's first change at from_s or later. */
static uint32_t
first_change(const Orders *orders, const ShopOrders *shop, int64_t from_s)
{
	uint32_t	low = 0;
	uint32_t	high = shop->n_changes;

	while (low < high)
	{
		uint32_t	middle = low + (high - low) / 2;

		if (change_time(orders, &shop->changes[middle]) < from_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void
orders_backdate(Orders *orders, Order *order, int64_t ago_s)
{
	ShopOrders *shop = &orders->shops[order->shop];
	uint32_t	place = shop->n_changes - 1;
	OrderChange change = shop->changes[place];

	order->versions[0].update_time -= ago_s;
	for (; place > 0 && change_time(orders, &shop->changes[place - 1]) > order->versions[0].update_time; place--)
		shop->changes[place] = shop->changes[place - 1];
	shop->changes[place] = change;
}

const Order *
orders_next(const Orders *orders, OrderQuery *query, const OrderVersion **version)
{
	const ShopOrders *shop = &orders->shops[query->shop];
	uint32_t	first = first_change(orders, shop, query->from_s);

	if (query->position < first)
		query->position = first;
	while (query->position < shop->n_changes)
	{
		const OrderChange *change = &shop->changes[query->position];
		const Order *order = &orders->orders[change->order];
		const OrderVersion *visible = orders_visible(orders, order, query->now_us);

		if (change_time(orders, change) > query->to_s)
			break;
		query->position++;
		if (visible == NULL)
			continue;
		if (query->by_create_time ? change->version != 0 :
			visible != &order->versions[change->version])
			continue;
		if (query->status != ORDER_N_STATUSES && query->status != visible->status)
			continue;
		*version = visible;
		return order;
	}
	return NULL;
}
