/*
 * test_taipei.c
 *		Tests of times of day in Taiwan, against the C library's calendar.
 */
#include "codec_test.h"

#include <time.h>

#include "taipei.h"

static void
agrees(int64_t at)
{
	time_t		shifted = (time_t) (at + 8 * 3600);
	struct tm	tm;
	TaipeiTime	time;
	int64_t		back = -1;

	assert_non_null(gmtime_r(&shifted, &tm));
	assert_true(taipei_of(at, &time));
	assert_int_equal(time.year, tm.tm_year + 1900);
	assert_int_equal(time.month, tm.tm_mon + 1);
	assert_int_equal(time.day, tm.tm_mday);
	assert_int_equal(time.hour, tm.tm_hour);
	assert_int_equal(time.minute, tm.tm_min);
	assert_int_equal(time.second, tm.tm_sec);
	assert_true(taipei_moment(&time, &back));
	assert_true(back == at);
}

static void
every_day_of_eight_thousand_years(void **state)
{
	int64_t		at;

	(void) state;
	for (at = -8 * 3600; at < INT64_C(253402271999) - 86400; at += 86400 - 1)
		agrees(at);
	agrees(0);
	agrees(1760000000);
	agrees(INT64_C(253402271999));
}

static void
nothing_outside_of_the_calendar(void **state)
{
	static const TaipeiTime none[] = {
		{1969, 12, 31, 0, 0, 0}, {10000, 1, 1, 0, 0, 0}, {2026, 0, 1, 0, 0, 0}, {2026, 13, 1, 0, 0, 0},
		{2026, 1, 0, 0, 0, 0}, {2026, 2, 29, 0, 0, 0}, {2100, 2, 29, 0, 0, 0}, {2026, 4, 31, 0, 0, 0},
		{2026, 1, 1, 24, 0, 0}, {2026, 1, 1, 0, 60, 0}, {2026, 1, 1, 0, 0, 60}, {2026, 1, 1, -1, 0, 0},
	};
	TaipeiTime	time = {2024, 2, 29, 23, 59, 59};
	int64_t		at;
	size_t		i;

	(void) state;
	assert_true(taipei_moment(&time, &at));
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(taipei_moment(&none[i], &at));
	assert_false(taipei_of(-8 * 3600 - 1, &time));
	assert_false(taipei_of(INT64_C(253402272000), &time));
	assert_false(taipei_of(INT64_MAX, &time));
	assert_false(taipei_of(INT64_MIN, &time));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_of_eight_thousand_years),
		cmocka_unit_test(nothing_outside_of_the_calendar),
	};

	return cmocka_run_group_tests_name("taipei", tests, NULL, NULL);
}
