/*
 * orders.h
 *		The orders of all shops, each with its history, and what of them the
 *		shops' order lists show after the settable delay.
 *
 * Guarded by the market's lock. Orders are never removed.
 */
#ifndef SIM_ORDERS_H
#define SIM_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#define ORDER_SN_SIZE 33		/* with the NUL */
#define MAX_ORDER_LINES 100
#define MAX_ORDERS 1000000
#define MAX_ORDER_VERSIONS 200

typedef enum OrderStatus
{
	ORDER_UNPAID,
	ORDER_PENDING,
	ORDER_READY_TO_SHIP,
	ORDER_PROCESSED,
	ORDER_RETRY_SHIP,
	ORDER_SHIPPED,
	ORDER_TO_CONFIRM_RECEIVE,
	ORDER_IN_CANCEL,
	ORDER_CANCELLED,
	ORDER_TO_RETURN,
	ORDER_COMPLETED,
	ORDER_INVOICE_PENDING,
	ORDER_N_STATUSES
} OrderStatus;

typedef struct OrderLine
{
	uint32_t	listing;		/* catalogue index */
	int32_t		qty;			/* accepted units, at least 1 */
	int32_t		ships;			/* calls of the seller that shipped it */
	int32_t		cancels;		/* and that cancelled or declined it */
} OrderLine;

typedef struct OrderVersion
{
	int64_t		at_us;			/* clock_us of the change */
	int64_t		update_time;	/* Unix seconds */
	OrderStatus status;
	int32_t    *cancelled;		/* units cancelled so far, per line */
} OrderVersion;

typedef struct Order
{
	char		sn[ORDER_SN_SIZE];
	uint32_t	shop;
	bool		shipped;		/* the goods have left: a cancel gives nothing back */
	int			n_lines;
	OrderLine  *lines;
	int			n_versions;		/* at least 1; the first is the creation */
	OrderVersion *versions;
} Order;

/* One change of one order; a shop's changes are sorted by update_time. */
typedef struct OrderChange
{
	uint32_t	order;
	int			version;
} OrderChange;

typedef struct ShopOrders
{
	OrderChange *changes;
	uint32_t	n_changes;
} ShopOrders;

typedef struct Orders Orders;

struct Orders
{
	Order	   *orders;
	uint32_t	n_orders;
	uint32_t   *buckets;		/* open addressing by order_sn: index + 1, 0 is free */
	uint32_t	n_buckets;		/* a power of two */
	ShopOrders *shops;
	uint32_t	n_shops;
	int64_t		delay_us;		/* until a change is visible */
	int64_t		latest_s;		/* newest update_time given out: times never go back */
	/* Hears of each order and each change of one; NULL: nobody does. */
	void		(*changed) (void *argument, const Orders *orders, const Order *order);
	void	   *changed_argument;
};

extern void orders_init(Orders *orders, uint32_t n_shops, int64_t delay_us);
extern void orders_free(Orders *orders);

/* The platform's word for a status, and back; ORDER_N_STATUSES for an unknown word. */
extern const char *order_status_name(OrderStatus status);
extern OrderStatus order_status_named(const char *name);

/* Letters, digits, '-' and '_', 1 to 32 of them. */
extern bool order_sn_valid(const char *sn);

/* NULL when there is none. The pointer holds until the next order is added. */
extern Order *orders_find(const Orders *orders, const char *sn);

/* Adds an order in its first version; sn must be new. NULL when there are MAX_ORDERS. */
extern Order *orders_add(Orders *orders, const char *sn, uint32_t shop, const OrderLine *lines,
						 int n_lines, OrderStatus status);

/*
 * Makes an order that was just added look as if it had been placed ago_s
 * seconds ago, and only listed now: one that comes late. A list that is being
 * paged through at that moment may show an order twice.
 */
extern void orders_backdate(Orders *orders, Order *order, int64_t ago_s);

/*
 * Adds a version to the order. cancelled may be NULL: as before. False when
 * it has MAX_ORDER_VERSIONS.
 */
extern bool orders_change(Orders *orders, Order *order, OrderStatus status, const int32_t *cancelled);

/* The newest version, and the newest one that the shop's lists show yet (NULL: none). */
extern const OrderVersion *order_newest(const Order *order);
extern const OrderVersion *orders_visible(const Orders *orders, const Order *order, int64_t now_us);

typedef struct OrderQuery
{
	uint32_t	shop;
	bool		by_create_time; /* else by update_time */
	int64_t		from_s;
	int64_t		to_s;			/* inclusive */
	OrderStatus status;			/* ORDER_N_STATUSES: any */
	int64_t		now_us;
	uint32_t	position;		/* of the shop's changes: where to go on, 0 at first */
} OrderQuery;

/* The next order of the query, or NULL; *version is what it shows. Moves position behind it. */
extern const Order *orders_next(const Orders *orders, OrderQuery *query, const OrderVersion **version);

#endif
