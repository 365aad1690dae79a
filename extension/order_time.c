/*
 * order_time.c
 *		Moments in order documents: Unix seconds, or ISO 8601 with a zone.
 *
 * The server's own input function would raise for a bad one, take words like
 * "yesterday", and guess a missing zone; a document must name the moment.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "order_doc.h"

/* Seconds beyond which a moment is no order's: year 5138, far inside a timestamp. */
#define MAX_UNIX_SECONDS	INT64CONST(100000000000)
#define UNIX_EPOCH_US		((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)
#define FRACTION_DIGITS		6

/* from_unix_us turns microseconds since 1970 into a timestamp. */
static bool
from_unix_us(int64 us, TimestampTz *at)
{
	*at = us - UNIX_EPOCH_US;
	return true;
}

/* read_digits takes exactly `count` digits at *p. */
static bool
read_digits(const char **p, const char *end, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*p)++)
	{
		if (*p >= end || **p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	return true;
}

static bool
read_char(const char **p, const char *end, char c)
{
	if (*p >= end || **p != c)
		return false;
	(*p)++;
	return true;
}

/* read_fraction takes ".123…"; digits beyond microseconds are dropped. */
static bool
read_fraction(const char **p, const char *end, int *us)
{
	int			digits = 0;

	*us = 0;
	if (!read_char(p, end, '.'))
		return true;
	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, digits++)
		if (digits < FRACTION_DIGITS)
			*us = *us * 10 + (**p - '0');
	for (int i = digits; i < FRACTION_DIGITS; i++)
		*us *= 10;
	return digits > 0;
}

/* read_zone takes Z, +hh, +hhmm or +hh:mm. */
static bool
read_zone(const char **p, const char *end, int *offset_s)
{
	int			hours;
	int			minutes = 0;
	bool		west;

	*offset_s = 0;
	if (read_char(p, end, 'Z') || read_char(p, end, 'z'))
		return true;
	west = read_char(p, end, '-');
	if (!west && !read_char(p, end, '+'))
		return false;
	if (!read_digits(p, end, 2, &hours))
		return false;
	(void) read_char(p, end, ':');
	if (*p < end && !read_digits(p, end, 2, &minutes))
		return false;
	if (hours > 15 || minutes > 59)
		return false;
	*offset_s = (hours * MINS_PER_HOUR + minutes) * SECS_PER_MINUTE * (west ? -1 : 1);
	return true;
}

static bool
valid_day(int year, int month, int day)
{
	return month >= 1 && month <= MONTHS_PER_YEAR && day >= 1 && day <= day_tab[isleap(year)][month - 1];
}

/* read_iso reads YYYY-MM-DD, T or a blank, hh:mm[:ss[.f]], zone. */
static bool
read_iso(const char *p, const char *end, TimestampTz *at)
{
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second = 0;
	int			us = 0;
	int			offset_s;
	int64		days;

	if (!read_digits(&p, end, 4, &year) || !read_char(&p, end, '-') ||
		!read_digits(&p, end, 2, &month) || !read_char(&p, end, '-') ||
		!read_digits(&p, end, 2, &day) || !valid_day(year, month, day))
		return false;
	if (!read_char(&p, end, 'T') && !read_char(&p, end, 't') && !read_char(&p, end, ' '))
		return false;
	if (!read_digits(&p, end, 2, &hour) || !read_char(&p, end, ':') || !read_digits(&p, end, 2, &minute))
		return false;
	if (read_char(&p, end, ':') && (!read_digits(&p, end, 2, &second) || !read_fraction(&p, end, &us)))
		return false;
	if (!read_zone(&p, end, &offset_s) || p != end)
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	days = date2j(year, month, day) - UNIX_EPOCH_JDATE;
	return from_unix_us(days * USECS_PER_DAY +
						(int64) (hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second - offset_s) * USECS_PER_SEC +
						us, at);
}

/* read_seconds reads Unix seconds from a string of digits. */
static bool
read_seconds(const char *p, const char *end, TimestampTz *at)
{
	int64		seconds = 0;

	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9' || seconds > MAX_UNIX_SECONDS)
			return false;
		seconds = seconds * 10 + (*p - '0');
	}
	return seconds <= MAX_UNIX_SECONDS && from_unix_us(seconds * USECS_PER_SEC, at);
}

/* read_number reads Unix seconds from a JSON number, which may have a fraction. */
static bool
read_number(Numeric number, TimestampTz *at)
{
	Datum		n = NumericGetDatum(number);
	Datum		most = NumericGetDatum(int64_to_numeric(MAX_UNIX_SECONDS));
	int64		seconds;
	Datum		us;

	if (order_whole_number(number, 0, MAX_UNIX_SECONDS, &seconds))
		return from_unix_us(seconds * USECS_PER_SEC, at);
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, n, most)) ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, n, NumericGetDatum(int64_to_numeric(0)))))
		return false;
	us = DirectFunctionCall2(numeric_mul, n, NumericGetDatum(int64_to_numeric(USECS_PER_SEC)));
	return from_unix_us(DatumGetInt64(DirectFunctionCall1(numeric_int8, us)), at);
}

bool
order_time_read(const JsonbValue *value, TimestampTz *at)
{
	const char *p;
	const char *end;

	if (value->type == jbvNumeric)
		return read_number(value->val.numeric, at);
	if (value->type != jbvString || value->val.string.len == 0)
		return false;
	p = value->val.string.val;
	end = p + value->val.string.len;
	if (memchr(p, '-', end - p) == NULL)
		return read_seconds(p, end, at);
	return read_iso(p, end, at);
}
