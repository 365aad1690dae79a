/*
 * calls.c
 *		Limit and record of the calls; see calls.h.
 *
 * The limit is a sliding window kept literally: the times of the accepted
 * calls of the last second. It shares no idea with any client's limiter, so
 * that a client's arithmetic is judged by another's. A refused call takes
 * nothing from the window.
 */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

#define WINDOW_US 1000000

void
calls_init(Calls *calls, uint32_t n_shops, uint32_t limit)
{
	memset(calls, 0, sizeof(*calls));
	calls->shops = sim_alloc(n_shops * sizeof(ShopCalls));
	calls->n_shops = n_shops;
	calls->limit = limit;
}

void
calls_free(Calls *calls)
{
	for (uint32_t i = 0; i < calls->n_shops; i++)
	{
		free(calls->shops[i].ring);
		free(calls->shops[i].accepted_us);
	}
	free(calls->shops);
	memset(calls, 0, sizeof(*calls));
}

static void
record(ShopCalls *shop, int64_t now_us, const char *path, bool accepted)
{
	CallRecord *call;

	if (shop->ring == NULL)
		shop->ring = sim_alloc(CALLS_KEPT * sizeof(CallRecord));
	call = &shop->ring[shop->n_calls++ % CALLS_KEPT];
	call->at_us = now_us;
	call->path = path;
	call->accepted = accepted;
}

bool
calls_take(Calls *calls, uint32_t shop_index, const char *path)
{
	ShopCalls  *shop = &calls->shops[shop_index];
	int64_t		now_us = clock_us();
	bool		accepted;

	if (shop->accepted_us == NULL)
		shop->accepted_us = sim_alloc(CALLS_KEPT * sizeof(int64_t));
	while (shop->n_accepted > 0 && (shop->n_accepted == CALLS_KEPT ||
									shop->accepted_us[shop->oldest] <= now_us - WINDOW_US))
	{
		shop->oldest = (shop->oldest + 1) % CALLS_KEPT;
		shop->n_accepted--;
	}

	accepted = calls->limit == 0 || shop->n_accepted < calls->limit;
	if (accepted)
	{
		shop->accepted_us[(shop->oldest + shop->n_accepted++) % CALLS_KEPT] = now_us;
		if (shop->n_accepted > calls->max_in_second)
			calls->max_in_second = shop->n_accepted;
	}
	else
		shop->refused_limit++;
	record(shop, now_us, path, accepted);
	return accepted;
}

int64_t
calls_over_limit(const Calls *calls)
{
	int64_t		n = 0;

	for (uint32_t i = 0; i < calls->n_shops; i++)
		n += calls->shops[i].refused_limit;
	return n;
}

void
calls_refused(Calls *calls, uint32_t shop, const char *path)
{
	record(&calls->shops[shop], clock_us(), path, false);
}
