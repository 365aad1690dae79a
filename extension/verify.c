/*
 * verify.c
 *		What reading a platform back costs, for SQL: how much one call reads,
 *		and how many calls a limit grants for long. Reads no table.
 */
#include "storesync.h"

#include "utils/builtins.h"

#include "platform.h"
#include "rate_limit.h"

PG_FUNCTION_INFO_V1(read_batch);
PG_FUNCTION_INFO_V1(rate_per_second);

/* read_batch(platform text) returns int: items without models in one call; NULL where nothing can be read. */
Datum
read_batch(PG_FUNCTION_ARGS)
{
	const Platform *platform = platform_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (platform == NULL || (platform->calls & CALL_BIT(CALL_GET_ITEMS)) == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(platform->max_get_items);
}

/* rate_per_second(rate rate_limit) returns float8: what the tightest window grants for long. */
Datum
rate_per_second(PG_FUNCTION_ARGS)
{
	static const double seconds[RATE_UNITS] = {
		[RATE_MS] = 0.001, [RATE_S] = 1, [RATE_MIN] = SECS_PER_MINUTE, [RATE_H] = SECS_PER_HOUR, [RATE_DAY] = SECS_PER_DAY
	};
	const RateLimit *limit = PG_GETARG_RATE_LIMIT_P(0);
	double		least = limit->windows[0].calls / seconds[limit->windows[0].unit];

	for (int i = 1; i < limit->n; i++)
		least = Min(least, limit->windows[i].calls / seconds[limit->windows[i].unit]);
	PG_RETURN_FLOAT8(least);
}
