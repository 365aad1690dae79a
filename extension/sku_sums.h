/*
 * sku_sums.h
 *		Sales and stock of a SKU in a month, and of SKU_BLOCK of them with ids
 *		in a row, which are one row of storesync.sku_block.
 *
 * Free of PostgreSQL headers, no state. A row of a table costs as much to
 * write as all that is said of 32 SKUs: so they share one.
 *
 * Packed: the latest `through` of all as a signed number, then for each SKU of
 * which there is something, in ascending order, a byte that says which (0 for
 * the first of the block); a number whose bits say which of its sums, in
 * the order of SkuSums, are not 0, the one after the last whether there is a
 * `through`; these sums, signed; and by how much its `through` is before the
 * latest. Numbers as in varint.h. Nothing of no SKU is no byte.
 */
#ifndef STORESYNC_SKU_SUMS_H
#define STORESYNC_SKU_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SKUs that share a row: those with the same sku_id / SKU_BLOCK. */
#define SKU_BLOCK		32

static inline int
sku_slot(int64_t sku_id)
{
	return (int) ((uint64_t) sku_id % SKU_BLOCK);
}

static inline int64_t
sku_block_number(int64_t sku_id)
{
	return (sku_id - sku_slot(sku_id)) / SKU_BLOCK;
}

/* Columns of storesync.sku_month, in its order. */
typedef struct SkuSums
{
	int64_t		sold;
	int64_t		amount;
	int64_t		returned;
	int64_t		stock_seconds;
	int64_t		empty_seconds;
	int64_t		received;
	int64_t		shipped;
	int64_t		on_hand;
	int64_t		available;
	bool		has_stock;		/* the ledger has rows of it, up to: */
	int64_t		through;		/* seconds, of PostgreSQL's epoch */
} SkuSums;

typedef struct SkuBlock
{
	SkuSums		of[SKU_BLOCK];
} SkuBlock;

/* Room that any block takes packed. */
#define SKU_BLOCK_PACKED	(10 + SKU_BLOCK * (1 + 2 + 10 * 10))

/* Whether there is anything to be said of a SKU. */
extern bool sku_sums_any(const SkuSums *sums);

/*
 * Add the sales of one block to those of another, whose stock is replaced
 * where the one has stock; false, and nothing of use is left, when a sum is too large.
 */
extern bool sku_block_merge(SkuBlock *to, const SkuBlock *what);
/* Leave sales alone, or stock alone. */
extern void sku_block_keep_sales(SkuBlock *block);
extern void sku_block_keep_stock(SkuBlock *block);
/* Leave what stands on from a moment: what is there then, of SKUs that have stock. */
extern void sku_block_next(SkuBlock *block, int64_t second);

/* Returns the bytes written to `packed`, which has room for SKU_BLOCK_PACKED. */
extern size_t sku_block_pack(const SkuBlock *block, uint8_t *packed);
/* False when these are not the bytes of a block. */
extern bool sku_block_unpack(const uint8_t *packed, size_t length, SkuBlock *block);

#endif
