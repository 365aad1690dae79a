/*
 * test_sku_sums.c
 *		Blocks of SKUs: what is packed comes out again, other bytes are refused,
 *		and what merging and turning a month make of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sku_sums.h"

#define BLOCKS		2000

static uint64_t state;

static uint64_t
next_random(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return state >> 20;
}

/* any_number is of any size, and often 0. */
static int64_t
any_number(void)
{
	uint64_t	number = next_random() ^ next_random() << 40;

	return next_random() % 3 == 0 ? 0 : (int64_t) (number >> (next_random() % 64)) * (next_random() % 2 == 0 ? 1 : -1);
}

static void
any_block(SkuBlock *block)
{
	memset(block, 0, sizeof(SkuBlock));
	for (int i = 0; i < SKU_BLOCK; i++)
	{
		SkuSums    *sums = &block->of[i];

		if (next_random() % 3 == 0)
			continue;
		*sums = (SkuSums) {
			.sold = any_number(), .amount = any_number(), .returned = any_number(), .stock_seconds = any_number(),
			.empty_seconds = any_number(), .received = any_number(), .shipped = any_number(), .on_hand = any_number(),
			.available = any_number(), .has_stock = next_random() % 2 == 0
		};
		if (sums->has_stock)
			sums->through = any_number();
	}
}

static void
assert_same(const SkuBlock *a, const SkuBlock *b)
{
	for (int i = 0; i < SKU_BLOCK; i++)
	{
		assert_memory_equal(&a->of[i], &b->of[i], offsetof(SkuSums, has_stock));
		assert_true(a->of[i].has_stock == b->of[i].has_stock);
		assert_true(a->of[i].through == b->of[i].through);
	}
}

static void
what_is_packed_comes_out_again(void **unused)
{
	uint8_t		packed[SKU_BLOCK_PACKED];
	SkuBlock	block;
	SkuBlock	back;

	(void) unused;
	for (int n = 0; n < BLOCKS; n++)
	{
		size_t		length;

		any_block(&block);
		length = sku_block_pack(&block, packed);
		assert_true(length <= sizeof(packed));
		assert_true(sku_block_unpack(packed, length, &back));
		assert_same(&block, &back);
		for (size_t cut = 1; cut < length; cut++)
			if (sku_block_unpack(packed, cut, &back))
			{
				uint8_t		again[SKU_BLOCK_PACKED];

				assert_int_equal(sku_block_pack(&back, again), cut);
				assert_memory_equal(again, packed, cut);
			}
	}
	memset(&block, 0, sizeof(block));
	assert_int_equal(sku_block_pack(&block, packed), 0);
	assert_true(sku_block_unpack(packed, 0, &back));
	assert_same(&block, &back);
}

static void
the_largest_fits(void **unused)
{
	uint8_t		packed[SKU_BLOCK_PACKED];
	SkuBlock	block;
	SkuBlock	back;

	(void) unused;
	for (int i = 0; i < SKU_BLOCK; i++)
		block.of[i] = (SkuSums) {
			INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, true,
			i == 0 ? INT64_MAX : INT64_MIN
		};
	assert_true(sku_block_unpack(packed, sku_block_pack(&block, packed), &back));
	assert_same(&block, &back);
}

static void
other_bytes_are_refused(void **unused)
{
	static const uint8_t alone[] = {2};
	static const uint8_t beyond[] = {0, SKU_BLOCK, 1, 2};
	static const uint8_t nothing[] = {0, 3, 0};
	static const uint8_t zero[] = {0, 3, 1, 0};
	static const uint8_t backward[] = {0, 3, 1, 2, 2, 1, 2};
	static const uint8_t twice[] = {0, 3, 1, 2, 3, 1, 2};
	static const uint8_t unknown[] = {0, 3, 0x80, 8};
	static const uint8_t not_latest[] = {4, 3, 0x80, 4, 1};
	SkuBlock	back;

	(void) unused;
	assert_false(sku_block_unpack(alone, sizeof(alone), &back));
	assert_false(sku_block_unpack(beyond, sizeof(beyond), &back));
	assert_false(sku_block_unpack(nothing, sizeof(nothing), &back));
	assert_false(sku_block_unpack(zero, sizeof(zero), &back));
	assert_false(sku_block_unpack(backward, sizeof(backward), &back));
	assert_false(sku_block_unpack(twice, sizeof(twice), &back));
	assert_false(sku_block_unpack(unknown, sizeof(unknown), &back));
	assert_false(sku_block_unpack(not_latest, sizeof(not_latest), &back));
	for (int i = 0; i < 200000; i++)
	{
		uint8_t		bytes[24];
		uint8_t		packed[SKU_BLOCK_PACKED];
		size_t		length = next_random() % sizeof(bytes);

		for (size_t b = 0; b < length; b++)
			bytes[b] = (uint8_t) (next_random() % (next_random() % 2 == 0 ? 8 : 256));
		if (!sku_block_unpack(bytes, length, &back))
			continue;
		assert_int_equal(sku_block_pack(&back, packed), length);
		assert_memory_equal(packed, bytes, length);
	}
}

static void
sales_are_added_and_stock_is_replaced(void **unused)
{
	SkuBlock	block = {0};
	SkuBlock	more = {0};

	(void) unused;
	block.of[0] = (SkuSums) {.sold = 1, .amount = 10, .received = 5, .on_hand = 5, .has_stock = true, .through = 100};
	block.of[1] = block.of[0];
	more.of[0] = (SkuSums) {.sold = 2, .amount = -20};
	more.of[1] = (SkuSums) {.shipped = 1, .on_hand = 4, .has_stock = true, .through = 200};
	more.of[2] = more.of[0];
	assert_true(sku_block_merge(&block, &more));
	assert_int_equal(block.of[0].sold, 3);
	assert_int_equal(block.of[0].amount, -10);
	assert_int_equal(block.of[0].through, 100);
	assert_int_equal(block.of[0].received, 5);
	assert_int_equal(block.of[1].sold, 1);
	assert_int_equal(block.of[1].received, 0);
	assert_int_equal(block.of[1].shipped, 1);
	assert_int_equal(block.of[1].through, 200);
	assert_int_equal(block.of[2].sold, 2);
	assert_false(block.of[2].has_stock);
	more.of[0].sold = INT64_MAX;
	assert_false(sku_block_merge(&block, &more));
}

static void
a_month_begins_as_the_one_before_ended(void **unused)
{
	SkuBlock	block = {0};
	SkuBlock	same;

	(void) unused;
	block.of[0] = (SkuSums) {.sold = 1, .received = 5, .stock_seconds = 7, .on_hand = 5, .available = 3, .has_stock = true, .through = 100};
	block.of[1] = (SkuSums) {.sold = 1};
	same = block;
	sku_block_next(&block, 500);
	assert_int_equal(block.of[0].on_hand, 5);
	assert_int_equal(block.of[0].available, 3);
	assert_int_equal(block.of[0].through, 500);
	assert_int_equal(block.of[0].sold + block.of[0].received + block.of[0].stock_seconds, 0);
	assert_false(sku_sums_any(&block.of[1]));
	block = same;
	sku_block_keep_sales(&block);
	assert_int_equal(block.of[0].sold, 1);
	assert_false(block.of[0].has_stock);
	assert_int_equal(block.of[0].received, 0);
	sku_block_keep_stock(&same);
	assert_int_equal(same.of[0].sold, 0);
	assert_int_equal(same.of[0].stock_seconds, 7);
	assert_false(sku_sums_any(&same.of[1]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(the_largest_fits),
		cmocka_unit_test(other_bytes_are_refused),
		cmocka_unit_test(sales_are_added_and_stock_is_replaced),
		cmocka_unit_test(a_month_begins_as_the_one_before_ended),
	};

	state = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
