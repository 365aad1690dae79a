/*
 * calls.h
 *		Every call that a shop received: the limit, the record of the last
 *		calls, the counts. Guarded by the market's lock.
 */
#ifndef SIM_CALLS_H
#define SIM_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#define CALLS_KEPT 10000		/* per shop; also the largest limit */

typedef struct CallRecord
{
	int64_t		at_us;
	const char *path;			/* constant text */
	bool		accepted;		/* signed rightly and within the limit */
} CallRecord;

typedef struct ShopCalls
{
	CallRecord *ring;			/* the last CALLS_KEPT calls */
	uint64_t	n_calls;		/* ever; the next goes to n_calls % CALLS_KEPT */
	int64_t    *accepted_us;	/* ring of the accepted calls in the last second */
	uint32_t	oldest;			/* of accepted_us */
	uint32_t	n_accepted;
	int64_t		refused_limit;
} ShopCalls;

typedef struct Calls
{
	ShopCalls  *shops;
	uint32_t	n_shops;
	uint32_t	limit;			/* accepted calls in any second; 0: no limit */
	int64_t		bad_signature;
	int64_t		max_in_second;	/* most accepted calls of one shop in any second, up to CALLS_KEPT */
} Calls;

extern void calls_init(Calls *calls, uint32_t n_shops, uint32_t limit);
extern void calls_free(Calls *calls);

/* Takes a call against the shop's limit and records it. False: over the limit. */
extern bool calls_take(Calls *calls, uint32_t shop, const char *path);

/* Calls of all shops that were over their limit. */
extern int64_t calls_over_limit(const Calls *calls);

/* Records a call that was refused before it came to the limit. */
extern void calls_refused(Calls *calls, uint32_t shop, const char *path);

#endif
