/*
 * rate_limit.h
 *		Type rate_limit: the calls that a platform grants, as windows that hold
 *		all at once.
 */
#ifndef STORESYNC_RATE_LIMIT_H
#define STORESYNC_RATE_LIMIT_H

#include "storesync.h"

#include "gcra.h"

#define RATE_MAX_WINDOWS	4
#define RATE_MAX_CALLS		1000000
#define RATE_MAX_BURST		1000000

typedef enum RateUnit
{
	RATE_MS,
	RATE_S,
	RATE_MIN,
	RATE_H,
	RATE_DAY,
	RATE_UNITS					/* how many there are */
} RateUnit;

typedef struct RateLimitWindow
{
	int32		calls;			/* 1 to RATE_MAX_CALLS per unit */
	int32		burst;			/* 1 to RATE_MAX_BURST */
	int32		unit;			/* RateUnit, each at most once, ascending */
} RateLimitWindow;

/* On disk: always valid, whoever made it went through the checks. */
typedef struct RateLimit
{
	int32		vl_len_;		/* varlena header, set with SET_VARSIZE */
	int32		n;
	RateLimitWindow windows[FLEXIBLE_ARRAY_MEMBER];
} RateLimit;

#define DatumGetRateLimitP(X) ((RateLimit *) PG_DETOAST_DATUM(X))
#define PG_GETARG_RATE_LIMIT_P(n) DatumGetRateLimitP(PG_GETARG_DATUM(n))

/* Up to RATE_MAX_WINDOWS windows; n = 0 stands for no limit. */
typedef struct RateWindows
{
	int			n;
	RateLimitWindow windows[RATE_MAX_WINDOWS];
} RateWindows;

/* What is wrong with a text, when something is. */
typedef struct RateLimitError
{
	int			sqlerrcode;		/* 22P02 or 22023 */
	const char *detail;			/* constant sentence */
} RateLimitError;

/* Reads the text form; false with *error set when it is none. Never raises. */
extern bool rate_limit_parse(const char *text, RateWindows *result, RateLimitError *error);

/* Check hook of a setting that is '' or a rate_limit. */
extern bool rate_limit_check_setting(char **newval, void **extra, GucSource source);

/* The windows of a value of the type. */
extern void rate_limit_windows(const RateLimit *limit, RateWindows *windows);

/* '5/s burst 10': text of one window, palloc'd. */
extern char *rate_window_text(const RateLimitWindow *window);

/* Microseconds of the window's unit. */
extern int64 rate_window_period(const RateLimitWindow *window);

extern void rate_window_gcra(const RateLimitWindow *window, GcraWindow *gcra);

#endif
