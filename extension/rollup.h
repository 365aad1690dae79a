/*
 * rollup.h
 *		What a step of roll_up() has read, summed up in memory, and how it is
 *		added to the roll-ups (docs/rollup.md).
 */
#ifndef STORESYNC_ROLLUP_H
#define STORESYNC_ROLLUP_H

#include "storesync.h"

#include "utils/hsearch.h"

#include "sale.h"

/* Sums by store and quarter of an hour, by SKU and month, and delays by store and day. */
typedef struct RollUp
{
	MemoryContext context;
	HTAB	   *quarters;
	HTAB	   *months;
	HTAB	   *delays;
} RollUp;

/* rollup_sum.c: empty sums in the current memory context, and adding to them. */
extern void rollup_init(RollUp *sums);
extern void rollup_add_sales(RollUp *sums, int32 store_id, int64 quarter, const SaleSum *what);
extern void rollup_add_line(RollUp *sums, int64 quarter, const SaleLine *line);
extern void rollup_add_delay(RollUp *sums, int32 store_id, int64 quarter, int64 delay_ms);
/*
 * All changes packed in a row of the outbox; those of orders with ids above
 * `through` are left out.
 */
extern void rollup_add_changes(RollUp *sums, const bytea *packed, int64 through);
/*
 * Add the sums to the tables, but what lies in a day, hour or month that
 * begins before kept_from. SPI connected, as the owner.
 */
extern void rollup_write(RollUp *sums, TimestampTz kept_from);

/*
 * rollup_read.c: what orders with ids above `after` and up to `through` count
 * for, as the tables show it under the active snapshot. SPI connected, as the owner.
 */
extern void rollup_read_orders(RollUp *sums, int64 after, int64 through);
/* The id of the most'th order above `after`, or of the last one; 0: there is none. */
extern int64 rollup_next_orders(int64 after, int64 most);
/* A statement that only looks, under the active snapshot; the plan is kept as by ss_execute(). */
extern void rollup_select(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types, Datum *values);

#endif
