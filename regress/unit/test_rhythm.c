/*
 * test_rhythm.c
 *		How often orders are fetched, in which pieces, and which hours are
 *		looked at again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rhythm.h"

#define SECOND	RHYTHM_SECOND
#define HOUR	RHYTHM_HOUR
#define DAY		(24 * HOUR)
#define NOON	(1000 * DAY + 12 * HOUR)

static int64_t
after(int64_t base, int spread, int64_t current, bool news, int n)
{
	while (n-- > 0)
		current = rhythm_poll(base, spread, current, news);
	return current;
}

static void
quiet_store_is_asked_less_and_a_busy_one_more(void **state)
{
	assert_int_equal(rhythm_poll(10 * SECOND, 4, 0, false), 12500000);
	assert_int_equal(rhythm_poll(10 * SECOND, 4, 0, true), 5 * SECOND);
	assert_int_equal(after(10 * SECOND, 4, 0, false, 100), 40 * SECOND);
	assert_int_equal(after(10 * SECOND, 4, 0, true, 100), 2500000);
	assert_int_equal(after(10 * SECOND, 4, 40 * SECOND, true, 1), 20 * SECOND);
}

static void
bounds_hold_whatever_the_base(void **state)
{
	/* not below a second, nor above five minutes, because of news or for lack of them */
	assert_int_equal(after(2 * SECOND, 60, 0, true, 100), SECOND);
	assert_int_equal(after(60 * SECOND, 60, 0, false, 100), 300 * SECOND);
	/* a base beyond them is as it was asked for */
	assert_int_equal(after(SECOND / 10, 4, 0, true, 100), SECOND / 10);
	assert_int_equal(after(SECOND / 10, 4, 0, false, 100), 4 * SECOND / 10);
	assert_int_equal(after(HOUR, 4, 0, false, 100), HOUR);
	assert_int_equal(after(HOUR, 4, 0, true, 100), HOUR / 4);
	/* spread 1: always the base */
	assert_int_equal(after(10 * SECOND, 1, 0, true, 9), 10 * SECOND);
	assert_int_equal(after(10 * SECOND, 1, 0, false, 9), 10 * SECOND);
	/* a base that was changed takes effect at once */
	assert_int_equal(rhythm_poll(10 * SECOND, 2, HOUR, false), 20 * SECOND);
}

static void
every_fourth_fetch_of_a_steady_store_brings_news(void **state)
{
	int64_t		interval = 0;
	int64_t		now = 0;
	int64_t		next_order = 0;
	int			fetches = 0;
	int			brought = 0;

	/* an order every 100 s, base 30 s: between 7.5 and 120 s */
	while (now < 10 * DAY)
	{
		bool		news = next_order <= now;

		while (next_order <= now)
			next_order += 100 * SECOND;
		interval = rhythm_poll(30 * SECOND, 4, interval, news);
		fetches++;
		brought += news;
		now += interval;
	}
	/* three to six fetches for each that brought news */
	assert_in_range(fetches, 3 * brought, 6 * brought);
	assert_true(brought > 0);
}

static void
pieces_follow_what_is_in_them(void **state)
{
	assert_int_equal(rhythm_piece(0, 15 * DAY, 0), HOUR);
	assert_int_equal(rhythm_piece(0, HOUR / 2, 0), HOUR / 2);
	assert_int_equal(rhythm_piece(HOUR, 15 * DAY, 0), 2 * HOUR);
	assert_int_equal(rhythm_piece(HOUR, 15 * DAY, RHYTHM_PIECE_ORDERS), HOUR);
	assert_int_equal(rhythm_piece(HOUR, 15 * DAY, 3 * RHYTHM_PIECE_ORDERS), HOUR / 2);
	assert_int_equal(rhythm_piece(10 * DAY, 15 * DAY, 0), 15 * DAY);
	assert_int_equal(rhythm_piece(100 * SECOND, 15 * DAY, 1000000), 60 * SECOND);
}

static RhythmLooks
three_ages(int64_t next)
{
	RhythmLooks looks = {.n = 3, .age = {HOUR, 6 * HOUR, DAY}, .next = {next, next, next}};

	return looks;
}

static void
looks_are_due_by_the_age_of_their_hour(void **state)
{
	RhythmLooks looks = three_ages(NOON);
	int64_t		due;

	assert_int_equal(rhythm_look(&looks, NOON + DAY, &due), 0);
	assert_int_equal(due, NOON + 2 * HOUR);
	looks.next[0] += 5 * HOUR;
	assert_int_equal(rhythm_look(&looks, NOON + DAY, &due), 1);
	assert_int_equal(due, NOON + 7 * HOUR);
	/* an hour that is not fetched through cannot be compared */
	looks = three_ages(NOON);
	(void) rhythm_look(&looks, NOON + HOUR - 1, &due);
	assert_int_equal(due, INT64_MAX);
	assert_int_equal(rhythm_look(&looks, NOON + HOUR, &due), 0);
	assert_int_equal(due, NOON + 2 * HOUR);
	looks.n = 0;
	assert_int_equal(rhythm_look(&looks, NOON + DAY, &due), -1);
	assert_int_equal(due, INT64_MAX);
}

static void
of_looks_at_one_hour_the_last_one_due_is_made(void **state)
{
	RhythmLooks looks = three_ages(NOON);

	/* away for 10 hours and 30 minutes: 6 hours old were the hours that ended until 4:30 ago */
	rhythm_skip(&looks, NOON + 10 * HOUR + HOUR / 2);
	assert_int_equal(looks.next[0], NOON + 4 * HOUR);
	assert_int_equal(looks.next[1], NOON);
	assert_int_equal(looks.next[2], NOON);
	/* what one age passes over is not due for the next one up */
	for (int64_t hour = NOON; hour < NOON + 4 * HOUR; hour += HOUR)
		assert_true(hour + HOUR + looks.age[1] <= NOON + 10 * HOUR + HOUR / 2);
	assert_true(looks.next[0] + HOUR + looks.age[1] > NOON + 10 * HOUR + HOUR / 2);
}

static void
an_absence_of_months_is_not_looked_at_hour_by_hour(void **state)
{
	RhythmLooks looks = three_ages(NOON);
	int64_t		now = NOON + 100 * DAY;

	rhythm_skip(&looks, now);
	assert_int_equal(looks.next[2], now - DAY - RHYTHM_LOOK_BACK);
	assert_int_equal(looks.next[1], now - DAY);
	assert_int_equal(looks.next[0], now - 6 * HOUR);
}

/* Whatever comes, over ten days every hour is looked at, at last when it is a day old. */
static void
no_hour_is_left_out(void **state)
{
	RhythmLooks looks = three_ages(NOON);
	int			seen[10 * 24] = {0};
	int64_t		now = NOON;

	srand(1);
	while (now < NOON + 10 * DAY)
	{
		int64_t		due;
		int			age;

		rhythm_skip(&looks, now);
		age = rhythm_look(&looks, now, &due);
		if (due <= now)
		{
			assert_true(looks.next[age] + HOUR + looks.age[age] <= now);
			if (age == 2)
				seen[(looks.next[age] - NOON) / HOUR]++;
			looks.next[age] += HOUR;
			now += 10 * SECOND;
		}
		else
			now += rand() % 20 == 0 ? 2 * DAY : HOUR / 2;
	}
	for (int i = 0; i < 6 * 24; i++)
		assert_int_equal(seen[i], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_store_is_asked_less_and_a_busy_one_more),
		cmocka_unit_test(bounds_hold_whatever_the_base),
		cmocka_unit_test(every_fourth_fetch_of_a_steady_store_brings_news),
		cmocka_unit_test(pieces_follow_what_is_in_them),
		cmocka_unit_test(looks_are_due_by_the_age_of_their_hour),
		cmocka_unit_test(of_looks_at_one_hour_the_last_one_due_is_made),
		cmocka_unit_test(an_absence_of_months_is_not_looked_at_hour_by_hour),
		cmocka_unit_test(no_hour_is_left_out),
	};

	return cmocka_run_group_tests_name("rhythm", tests, NULL, NULL);
}
