/*
 * sku_month.h
 *		Rows of storesync.sku_block, which view sku_month shows SKU by SKU.
 */
#ifndef STORESYNC_SKU_MONTH_H
#define STORESYNC_SKU_MONTH_H

#include "storesync.h"

#include "utils/date.h"

#include "set.h"
#include "sku_sums.h"

/* The second that a moment lies in, of PostgreSQL's epoch: rounded down. */
static inline int64
whole_seconds(TimestampTz at)
{
	return at / USECS_PER_SEC - (at % USECS_PER_SEC < 0 ? 1 : 0);
}

/* A block as a row has it, in the current memory context; an empty one has no bytes. */
extern bytea *sku_month_pack(const SkuBlock *block);
/* Raises XX001 for bytes that are no block. */
extern void sku_month_unpack(const bytea *sums, SkuBlock *block);

/*
 * Rows to be merged into the table (sku_block_merge): sales added, stock
 * replaced. Each block and month once; empty ones are left out. SPI
 * connected, as the owner.
 */
extern SsSet *sku_month_rows(void);
extern void sku_month_add(SsSet *rows, int64 block, DateADT month, const SkuBlock *what);
extern void sku_month_write(SsSet *rows);

#endif
