/*
 * taipei.c
 *		Times of day in Taiwan.
 *
 * UTC+8 all year since 1979 (IANA time zone database, Asia/Taipei): a platform
 * whose orders are younger needs no table of zones.
 */
#include "taipei.h"

#define OFFSET_S		(8 * 3600)
#define DAY_S			86400
#define FIRST_YEAR		1970
#define LAST_YEAR		9999

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_of_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* days_before returns the days from 1970 to the first of January of a year. */
static int64_t
days_before(int year)
{
	int64_t		past = year - 1;

	return 365 * (int64_t) (year - FIRST_YEAR) + (past / 4 - 1969 / 4) - (past / 100 - 1969 / 100) +
		(past / 400 - 1969 / 400);
}

bool
taipei_of(int64_t unix_s, TaipeiTime *time)
{
	int64_t		days;
	int			left;

	if (unix_s < -OFFSET_S || unix_s >= days_before(LAST_YEAR + 1) * DAY_S - OFFSET_S)
		return false;
	unix_s += OFFSET_S;
	days = unix_s / DAY_S;
	left = (int) (unix_s % DAY_S);
	/* never too late, and some years early at most */
	time->year = FIRST_YEAR + (int) (days / 366);
	while (days_before(time->year + 1) <= days)
		time->year++;
	days -= days_before(time->year);
	for (time->month = 1; days >= days_of_month(time->year, time->month); time->month++)
		days -= days_of_month(time->year, time->month);
	time->day = (int) days + 1;
	time->hour = left / 3600;
	time->minute = left / 60 % 60;
	time->second = left % 60;
	return true;
}

bool
taipei_moment(const TaipeiTime *time, int64_t *unix_s)
{
	int64_t		days;
	int			month;

	if (time->year < FIRST_YEAR || time->year > LAST_YEAR || time->month < 1 || time->month > 12 ||
		time->day < 1 || time->day > days_of_month(time->year, time->month) ||
		time->hour < 0 || time->hour > 23 || time->minute < 0 || time->minute > 59 ||
		time->second < 0 || time->second > 59)
		return false;
	days = days_before(time->year) + time->day - 1;
	for (month = 1; month < time->month; month++)
		days += days_of_month(time->year, month);
	*unix_s = days * DAY_S + time->hour * 3600 + time->minute * 60 + time->second - OFFSET_S;
	return true;
}
