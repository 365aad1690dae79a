/*
 * ruten_time.c
 *		Ruten partner API: moments as text.
 *
 * Requests carry 14 digits of the time of day in Taiwan. How answers write a
 * moment is not known, so all usual forms are read: Unix seconds or
 * milliseconds, 14 digits, and a date with a time of day, with a zone or
 * without one, which is Taiwan's then.
 */
#include "ruten.h"

#include <string.h>

#include "taipei.h"

/* Unix seconds of ten digits: 2001 to 2286. */
#define SECONDS_DIGITS	10
#define MILLIS_DIGITS	13
#define LOCAL_DIGITS	14
#define TAIPEI_OFFSET_S (8 * 3600)

/* take reads `count` digits at *p, and one of the separators behind them when some are given. */
static bool
take(const char **p, int count, const char *separators, int *value)
{
	*value = 0;
	for (; count > 0; count--, (*p)++)
	{
		if (**p < '0' || **p > '9')
			return false;
		*value = *value * 10 + (**p - '0');
	}
	if (separators == NULL)
		return true;
	if (**p == '\0' || strchr(separators, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

/* take_zone reads what stands behind a time of day: a fraction, a zone, both or nothing. */
static bool
take_zone(const char *p, int *offset_s)
{
	int			hours;
	int			minutes = 0;
	int			sign;

	*offset_s = TAIPEI_OFFSET_S;
	if (*p == '.')
	{
		if (strspn(p + 1, "0123456789") == 0)
			return false;
		p += 1 + strspn(p + 1, "0123456789");
	}
	if (*p == '\0')
		return true;
	if (strcmp(p, "Z") == 0)
	{
		*offset_s = 0;
		return true;
	}
	sign = *p == '-' ? -1 : 1;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	if (!take(&p, 2, NULL, &hours))
		return false;
	if (*p != '\0')
	{
		p += *p == ':';
		if (!take(&p, 2, NULL, &minutes))
			return false;
	}
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return *p == '\0' && hours <= 15 && minutes <= 59;
}

/* read_local reads 14 digits. */
static bool
read_local(const char *p, int64_t *unix_s)
{
	TaipeiTime	time = {0};

	return take(&p, 4, NULL, &time.year) && take(&p, 2, NULL, &time.month) && take(&p, 2, NULL, &time.day) &&
		take(&p, 2, NULL, &time.hour) && take(&p, 2, NULL, &time.minute) && take(&p, 2, NULL, &time.second) &&
		taipei_moment(&time, unix_s);
}

/* read_date reads YYYY-MM-DD hh:mm:ss or YYYY/MM/DD hh:mm:ss, T between them or a blank. */
static bool
read_date(const char *p, int64_t *unix_s)
{
	TaipeiTime	time = {0};
	int			offset_s;

	if (!take(&p, 4, "-/", &time.year) || !take(&p, 2, "-/", &time.month) || !take(&p, 2, " T", &time.day) ||
		!take(&p, 2, ":", &time.hour) || !take(&p, 2, ":", &time.minute) || !take(&p, 2, NULL, &time.second) ||
		!take_zone(p, &offset_s) || !taipei_moment(&time, unix_s))
		return false;
	*unix_s += TAIPEI_OFFSET_S - offset_s;
	return true;
}

bool
ruten_moment(const char *text, int64_t *unix_s)
{
	size_t		digits = strspn(text, "0123456789");
	int64_t		number;

	if (text[digits] != '\0')
		return read_date(text, unix_s);
	if (digits == LOCAL_DIGITS)
		return read_local(text, unix_s);
	if ((digits != SECONDS_DIGITS && digits != MILLIS_DIGITS) || !plain_int(text, 1, INT64_MAX, &number))
		return false;
	*unix_s = digits == MILLIS_DIGITS ? number / 1000 : number;
	return true;
}
