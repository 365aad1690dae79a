/*
 * rate_limit.c
 *		Type rate_limit: 'N/unit burst B', up to four windows joined by commas.
 *
 * The parser raises nothing, because a setting's check may not: it says what
 * is wrong and leaves raising to the type's input function.
 */
#include "storesync.h"

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "rate_limit.h"

PG_FUNCTION_INFO_V1(rate_limit_in);
PG_FUNCTION_INFO_V1(rate_limit_out);
PG_FUNCTION_INFO_V1(rate_limit_recv);
PG_FUNCTION_INFO_V1(rate_limit_send);
PG_FUNCTION_INFO_V1(rate_limit_eq);
PG_FUNCTION_INFO_V1(rate_limit_ne);

static const struct
{
	const char *name;
	int64		period_us;
}			units[RATE_UNITS] = {
	[RATE_MS] = {"ms", INT64CONST(1000)},
	[RATE_S] = {"s", USECS_PER_SEC},
	[RATE_MIN] = {"min", USECS_PER_MINUTE},
	[RATE_H] = {"h", USECS_PER_HOUR},
	[RATE_DAY] = {"day", USECS_PER_DAY},
};

static bool
refuse(RateLimitError *error, int sqlerrcode, const char *detail)
{
	error->sqlerrcode = sqlerrcode;
	error->detail = detail;
	return false;
}

int64
rate_window_period(const RateLimitWindow *window)
{
	return units[window->unit].period_us;
}

/*
 * check_windows holds for every value of the type, read from text or binary:
 * bounds, one window a unit, ascending.
 */
static bool
check_windows(const RateWindows *limit, RateLimitError *error)
{
	if (limit->n < 1 || limit->n > RATE_MAX_WINDOWS)
		return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
					  "A limit has 1 to 4 windows.");
	for (int i = 0; i < limit->n; i++)
	{
		const RateLimitWindow *window = &limit->windows[i];
		GcraWindow	gcra;

		if (window->unit < 0 || window->unit >= RATE_UNITS)
			return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
						  "Units are ms, s, min, h and day.");
		if (i > 0 && window->unit <= limit->windows[i - 1].unit)
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "Each unit may occur only once.");
		if (window->calls < 1 || window->calls > RATE_MAX_CALLS)
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "A window grants 1 to 1000000 calls.");
		if (window->burst < 1 || window->burst > RATE_MAX_BURST)
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "A burst is 1 to 1000000 calls.");
		if (!gcra_window(&gcra, window->calls, rate_window_period(window) * 1000, window->burst))
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "A window grants at most 1000 calls in a millisecond, and its burst comes back within ten years.");
	}
	return true;
}

void
rate_window_gcra(const RateLimitWindow *window, GcraWindow *gcra)
{
	if (!gcra_window(gcra, window->calls, rate_window_period(window) * 1000, window->burst))
		elog(ERROR, "invalid rate_limit window");
}

/* ---------------------------------------------------------------- text */

static const char *
skip_spaces(const char *p)
{
	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	return p;
}

/*
 * read_number reads digits at *p and moves it behind them; false without a
 * digit. A number too large for any window stays too large: it is cut off
 * above every bound, and check_windows refuses it.
 */
static bool
read_number(const char **p, int32 *number)
{
	const char *digit = *p;
	int32		value = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++)
		value = Min(value * 10 + (*digit - '0'), 100 * RATE_MAX_CALLS);
	if (digit == *p)
		return false;
	*number = value;
	*p = digit;
	return true;
}

/* read_word returns the length of the lower-case word at p. */
static size_t
read_word(const char *p)
{
	size_t		length = 0;

	while (p[length] >= 'a' && p[length] <= 'z')
		length++;
	return length;
}

static bool
read_unit(const char **p, int32 *unit)
{
	size_t		length = read_word(*p);

	for (int i = 0; i < RATE_UNITS; i++)
	{
		if (strlen(units[i].name) == length && strncmp(*p, units[i].name, length) == 0)
		{
			*unit = i;
			*p += length;
			return true;
		}
	}
	return false;
}

/* read_window reads one N/unit or N/unit burst B at *p and moves it to what follows. */
static bool
read_window(const char **p, RateLimitWindow *window, RateLimitError *error)
{
	const char *grammar = "A limit is N/unit or N/unit burst B, windows joined by commas.";

	*p = skip_spaces(*p);
	if (!read_number(p, &window->calls))
		return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION, grammar);
	*p = skip_spaces(*p);
	if (**p != '/')
		return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION, grammar);
	*p = skip_spaces(*p + 1);
	if (!read_unit(p, &window->unit))
		return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION,
					  "Units are ms, s, min, h and day.");
	window->burst = 1;
	*p = skip_spaces(*p);
	if (read_word(*p) == strlen("burst") && strncmp(*p, "burst", strlen("burst")) == 0)
	{
		*p = skip_spaces(*p + strlen("burst"));
		if (!read_number(p, &window->burst))
			return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION, grammar);
		*p = skip_spaces(*p);
	}
	if (**p != ',' && **p != '\0')
		return refuse(error, ERRCODE_INVALID_TEXT_REPRESENTATION, grammar);
	return true;
}

/* insert_window keeps windows in the order of their units, the form in which they are shown. */
static void
insert_window(RateWindows *limit, const RateLimitWindow *window)
{
	int			i = limit->n++;

	while (i > 0 && limit->windows[i - 1].unit > window->unit)
	{
		limit->windows[i] = limit->windows[i - 1];
		i--;
	}
	limit->windows[i] = *window;
}

bool
rate_limit_parse(const char *text, RateWindows *result, RateLimitError *error)
{
	const char *p = text;

	result->n = 0;
	for (;;)
	{
		RateLimitWindow window;

		if (!read_window(&p, &window, error))
			return false;
		if (result->n == RATE_MAX_WINDOWS)
			return refuse(error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "A limit has 1 to 4 windows.");
		insert_window(result, &window);
		if (*p == '\0')
			return check_windows(result, error);
		p++;
	}
}

bool
rate_limit_check_setting(char **newval, void **extra, GucSource source)
{
	RateWindows windows;
	RateLimitError error;

	if (**newval == '\0' || rate_limit_parse(*newval, &windows, &error))
		return true;
	GUC_check_errcode(error.sqlerrcode);
	GUC_check_errdetail("%s", error.detail);
	return false;
}

char *
rate_window_text(const RateLimitWindow *window)
{
	if (window->burst == 1)
		return psprintf("%d/%s", window->calls, units[window->unit].name);
	return psprintf("%d/%s burst %d", window->calls, units[window->unit].name, window->burst);
}

/* ---------------------------------------------------------------- the type */

static RateLimit *
make_rate_limit(const RateWindows *windows)
{
	Size		size = offsetof(RateLimit, windows) + windows->n * sizeof(RateLimitWindow);
	RateLimit  *limit = palloc0(size);

	SET_VARSIZE(limit, size);
	limit->n = windows->n;
	memcpy(limit->windows, windows->windows, windows->n * sizeof(RateLimitWindow));
	return limit;
}

void
rate_limit_windows(const RateLimit *limit, RateWindows *windows)
{
	windows->n = limit->n;
	memcpy(windows->windows, limit->windows, limit->n * sizeof(RateLimitWindow));
}

Datum
rate_limit_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	RateWindows windows;
	RateLimitError error;

	if (!rate_limit_parse(text, &windows, &error))
		ereport(ERROR,
				(errcode(error.sqlerrcode),
				 errmsg("invalid value for type %s: \"%s\"", "rate_limit", text),
				 errdetail("%s", error.detail)));
	PG_RETURN_POINTER(make_rate_limit(&windows));
}

Datum
rate_limit_out(PG_FUNCTION_ARGS)
{
	const RateLimit *limit = PG_GETARG_RATE_LIMIT_P(0);
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < limit->n; i++)
		appendStringInfo(&text, "%s%s", i > 0 ? ", " : "", rate_window_text(&limit->windows[i]));
	PG_RETURN_CSTRING(text.data);
}

Datum
rate_limit_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	RateWindows windows;
	RateLimitError error = {ERRCODE_INVALID_BINARY_REPRESENTATION, "A limit has 1 to 4 windows."};
	bool		ok;

	windows.n = pq_getmsgint(message, 4);
	ok = windows.n >= 1 && windows.n <= RATE_MAX_WINDOWS;
	for (int i = 0; ok && i < windows.n; i++)
	{
		windows.windows[i].calls = pq_getmsgint(message, 4);
		windows.windows[i].burst = pq_getmsgint(message, 4);
		windows.windows[i].unit = pq_getmsgint(message, 4);
	}
	if (!ok || !check_windows(&windows, &error))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid binary value for type %s", "rate_limit"),
				 errdetail("%s", error.detail)));
	PG_RETURN_POINTER(make_rate_limit(&windows));
}

Datum
rate_limit_send(PG_FUNCTION_ARGS)
{
	const RateLimit *limit = PG_GETARG_RATE_LIMIT_P(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint32(&message, limit->n);
	for (int i = 0; i < limit->n; i++)
	{
		pq_sendint32(&message, limit->windows[i].calls);
		pq_sendint32(&message, limit->windows[i].burst);
		pq_sendint32(&message, limit->windows[i].unit);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

static bool
same_limit(const RateLimit *a, const RateLimit *b)
{
	return a->n == b->n &&
		memcmp(a->windows, b->windows, a->n * sizeof(RateLimitWindow)) == 0;
}

Datum
rate_limit_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(same_limit(PG_GETARG_RATE_LIMIT_P(0), PG_GETARG_RATE_LIMIT_P(1)));
}

Datum
rate_limit_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!same_limit(PG_GETARG_RATE_LIMIT_P(0), PG_GETARG_RATE_LIMIT_P(1)));
}
