/*
 * sku_sums.c
 *		Sales and stock of SKUs in a month, 32 of them in a row of a table (sku_sums.h).
 */
#include "sku_sums.h"

#include <string.h>

#include "varint.h"

/* Sums of a SKU, and the bit that says that it has stock. */
#define SUMS		((int) (offsetof(SkuSums, has_stock) / sizeof(int64_t)))
#define SALES		((int) (offsetof(SkuSums, returned) / sizeof(int64_t)))
#define HAS_STOCK	(UINT64_C(1) << SUMS)

/* mask says which sums are not 0, and whether there is stock. */
static uint64_t
mask(const SkuSums *sums)
{
	const int64_t *sum = (const int64_t *) sums;
	uint64_t	word = sums->has_stock ? HAS_STOCK : 0;

	for (int i = 0; i < SUMS; i++)
		word |= sum[i] != 0 ? UINT64_C(1) << i : 0;
	return word;
}

bool
sku_sums_any(const SkuSums *sums)
{
	return mask(sums) != 0;
}

/* set_stock replaces all but sales. */
static void
set_stock(SkuSums *to, const SkuSums *what)
{
	int64_t		sold = to->sold;
	int64_t		amount = to->amount;

	*to = *what;
	to->sold = sold;
	to->amount = amount;
}

bool
sku_block_merge(SkuBlock *to, const SkuBlock *what)
{
	for (int i = 0; i < SKU_BLOCK; i++)
	{
		SkuSums    *sums = &to->of[i];

		if (__builtin_add_overflow(sums->sold, what->of[i].sold, &sums->sold) ||
			__builtin_add_overflow(sums->amount, what->of[i].amount, &sums->amount))
			return false;
		if (what->of[i].has_stock)
			set_stock(sums, &what->of[i]);
	}
	return true;
}

void
sku_block_keep_sales(SkuBlock *block)
{
	static const SkuSums none = {0};

	for (int i = 0; i < SKU_BLOCK; i++)
		set_stock(&block->of[i], &none);
}

void
sku_block_keep_stock(SkuBlock *block)
{
	for (int i = 0; i < SKU_BLOCK; i++)
		block->of[i].sold = block->of[i].amount = 0;
}

void
sku_block_next(SkuBlock *block, int64_t second)
{
	for (int i = 0; i < SKU_BLOCK; i++)
	{
		const SkuSums stands = block->of[i];

		memset(&block->of[i], 0, sizeof(SkuSums));
		if (stands.has_stock)
			block->of[i] = (SkuSums) {
				.on_hand = stands.on_hand, .available = stands.available, .has_stock = true, .through = second
			};
	}
}

/* ---------------------------------------------------------------- packing */

static int64_t
latest(const SkuBlock *block)
{
	int64_t		through = 0;
	bool		any = false;

	for (int i = 0; i < SKU_BLOCK; i++)
		if (block->of[i].has_stock && (!any || block->of[i].through > through))
		{
			through = block->of[i].through;
			any = true;
		}
	return through;
}

size_t
sku_block_pack(const SkuBlock *block, uint8_t *packed)
{
	int64_t		through = latest(block);
	uint8_t    *begin = varint_put_signed(packed, through);
	uint8_t    *to = begin;

	for (int i = 0; i < SKU_BLOCK; i++)
	{
		const int64_t *sum = (const int64_t *) &block->of[i];
		uint64_t	word = mask(&block->of[i]);

		if (word == 0)
			continue;
		*to++ = (uint8_t) i;
		to = varint_put(to, word);
		for (int j = 0; j < SUMS; j++)
			if (sum[j] != 0)
				to = varint_put_signed(to, sum[j]);
		if (word & HAS_STOCK)
			to = varint_put(to, (uint64_t) through - (uint64_t) block->of[i].through);
	}
	return to == begin ? 0 : (size_t) (to - packed);
}

/* unpack_sums reads those of one SKU. */
static bool
unpack_sums(const uint8_t **from, const uint8_t *end, int64_t through, SkuSums *sums)
{
	int64_t    *sum = (int64_t *) sums;
	uint64_t	word;
	uint64_t	before;

	if (!varint_get(from, end, &word) || word == 0 || word >= HAS_STOCK << 1)
		return false;
	for (int j = 0; j < SUMS; j++)
		if ((word & UINT64_C(1) << j) && (!varint_get_signed(from, end, &sum[j]) || sum[j] == 0))
			return false;
	if (!(word & HAS_STOCK))
		return true;
	if (!varint_get(from, end, &before))
		return false;
	sums->has_stock = true;
	sums->through = (int64_t) ((uint64_t) through - before);
	return sums->through <= through;
}

bool
sku_block_unpack(const uint8_t *packed, size_t length, SkuBlock *block)
{
	const uint8_t *end = packed + length;
	int64_t		through;
	int			next = 0;

	memset(block, 0, sizeof(SkuBlock));
	if (length == 0)
		return true;
	if (!varint_get_signed(&packed, end, &through) || packed == end)
		return false;
	while (packed < end)
	{
		int			i = *packed++;

		if (i < next || i >= SKU_BLOCK || !unpack_sums(&packed, end, through, &block->of[i]))
			return false;
		next = i + 1;
	}
	return through == latest(block);
}
