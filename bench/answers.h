/*
 * answers.h
 *		Answers of the three platforms, as wide as theirs are, for what is
 *		measured of the codecs. Everything lives in the caller's arena.
 */
#ifndef STORESYNC_BENCH_ANSWERS_H
#define STORESYNC_BENCH_ANSWERS_H

#include "platform.h"

/* Bytes that sign a call, or are needed to: the same for all platforms. now is a fixed moment. */
extern const PlatformAccess answers_access;

typedef struct AnswersPlatform
{
	const Platform *platform;
	int			max_items;		/* of one stock call */
	int			max_orders;		/* of one detail call: orders, or records of PChome */
	bool		records;		/* a line of an order is a record of its own */
	int			stock_status;	/* of the answer to a stock call */
} AnswersPlatform;

/* shopee, ruten, pchome; ends with a platform NULL. */
extern const AnswersPlatform answers_platforms[];

/* The ids of SKU n, whose code is S and the number, in the catalogue of every shop. */
extern const char *answers_item(const AnswersPlatform *on, Arena *arena, int sku);
extern const char *answers_model(const AnswersPlatform *on, Arena *arena, int sku);

/* What a stock call on n items of the call is answered: taken; PChome, which says nothing then, refuses. */
extern const char *answers_stock(const AnswersPlatform *on, Arena *arena, const PlatformCall *call);

/*
 * What a detail call is answered: each order has two lines. sku(state) names
 * the SKU of the next line.
 */
extern const char *answers_orders(const AnswersPlatform *on, Arena *arena, const PlatformCall *call,
								  int (*sku) (void *state), void *state);

#endif
