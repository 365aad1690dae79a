/*
 * test_lane.c
 *		Tries to break the parts of the lanes: whatever work comes and goes, a
 *		lane gets its part of any run of calls that it wants, and no call is
 *		kept back.
 *
 * Random histories from fixed seeds; LANE_SEED=n runs that one alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lane.h"

#define HISTORIES		500
#define CALLS			20000
/* Hundredths of a call that a lane may be behind its part: less than two calls, three beside applications. */
#define BEHIND			200
#define BEHIND_BESIDES	300
/* An application's calls, as the limiter lets them through: one in forty. */
#define APPLICATION_EVERY 40

typedef struct History
{
	uint64_t	seed;
	uint64_t	state;
	int64_t		behind;			/* what is too much of it */
	LaneState	lanes;
	bool		wants[LANE_NONE];
	int			toggle[LANE_NONE];	/* a lane's work comes or goes once in so many calls */
	int64_t		owed[LANE_NONE];	/* part * calls - 100 * own calls, since it began to want */
	int64_t		least[LANE_NONE];	/* smallest `owed` of this run */
	int64_t		got[LANE_NONE];
} History;

/* splitmix64 */
static uint64_t
next_random(History *history)
{
	uint64_t	z = (history->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static bool
one_in(History *history, int n)
{
	return next_random(history) % (uint64_t) n == 0;
}

/* note_call does the books of one call: each lane that wanted it is owed its part. */
static void
note_call(History *history, Lane taken)
{
	for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
	{
		if (!history->wants[lane])
			continue;
		history->owed[lane] += lane_parts[0][lane] - (lane == taken ? 100 : 0);
		if (history->owed[lane] < history->least[lane])
			history->least[lane] = history->owed[lane];
		if (history->owed[lane] - history->least[lane] >= history->behind)
			fail_msg("seed %llu: lane %d is %lld hundredths of a call behind its part",
					 (unsigned long long) history->seed, (int) lane,
					 (long long) (history->owed[lane] - history->least[lane]));
	}
	history->got[taken]++;
}

static void
change_wants(History *history)
{
	for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
	{
		if (history->toggle[lane] == 0 || !one_in(history, history->toggle[lane]))
			continue;
		history->wants[lane] = !history->wants[lane];
		history->owed[lane] = history->least[lane] = 0;
	}
}

/* A call that was asked for is always charged: debt is for the others. */
static void
charge_chosen(History *history, Lane lane)
{
	int32_t		before = history->lanes.balance[lane];
	bool		alone = true;

	for (Lane other = LANE_FETCH; other < LANE_NONE; other++)
		alone &= !history->wants[other] || other == lane;
	lane_charge(&history->lanes, history->wants, lane);
	assert_true(alone || history->lanes.balance[lane] < before);
}

static void
run_history(uint64_t seed, bool applications)
{
	static const int toggles[] = {0, 1, 2, 5, 40, 1000};
	History		history;

	memset(&history, 0, sizeof(history));
	history.seed = history.state = seed;
	history.behind = applications ? BEHIND_BESIDES : BEHIND;
	for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
	{
		history.toggle[lane] = toggles[next_random(&history) % 6];
		history.wants[lane] = one_in(&history, 2);
	}
	for (int i = 0; i < CALLS; i++)
	{
		Lane		lane;

		change_wants(&history);
		lane = lane_choose(&history.lanes, history.wants);
		if (lane == LANE_NONE)
		{
			for (Lane idle = LANE_FETCH; idle < LANE_NONE; idle++)
				assert_false(history.wants[idle]);
			continue;
		}
		assert_true(history.wants[lane]);
		if (applications && i % APPLICATION_EVERY == 0)
		{
			lane_charge(&history.lanes, history.wants, LANE_WORK);
			note_call(&history, LANE_WORK);
			continue;
		}
		charge_chosen(&history, lane);
		note_call(&history, lane);
	}
}

static void
run_histories(bool applications)
{
	const char *only = getenv("LANE_SEED");

	if (only != NULL)
	{
		run_history(strtoull(only, NULL, 10), applications);
		return;
	}
	for (uint64_t seed = 1; seed <= HISTORIES; seed++)
		run_history(seed, applications);
}

static void
test_parts(void **state)
{
	run_histories(false);
}

static void
test_parts_beside_applications(void **state)
{
	run_histories(true);
}

/* All lanes busy: out of a hundred calls each gets its part, to the call, by day and by night. */
static void
test_exact(void **state)
{
	bool		wants[LANE_NONE] = {false, true, true, true, true, true};

	for (int night = 0; night < 2; night++)
	{
		LaneState	lanes = {.night = night != 0};
		int			got[LANE_NONE] = {0};

		for (int i = 0; i < 100; i++)
		{
			Lane		lane = lane_choose(&lanes, wants);

			lane_charge(&lanes, wants, lane);
			got[lane]++;
		}
		for (Lane lane = LANE_TOKEN; lane < LANE_NONE; lane++)
		{
			assert_int_equal(got[lane], lane_parts[night][lane]);
			assert_int_equal(lanes.balance[lane], 0);
		}
	}
}

/* Ten calls a day are shared out like ten thousand: in each ten, the decreases have four at least. */
static void
test_slow(void **state)
{
	LaneState	lanes = {{0}};
	bool		wants[LANE_NONE] = {false, true, true, true, true, true};

	for (int day = 0; day < 100; day++)
	{
		int			got[LANE_NONE] = {0};

		for (int i = 0; i < 10; i++)
		{
			Lane		lane = lane_choose(&lanes, wants);

			lane_charge(&lanes, wants, lane);
			got[lane]++;
		}
		assert_in_range(got[LANE_LOWER], 4, 5);
		assert_in_range(got[LANE_FETCH], 2, 3);
		assert_in_range(got[LANE_RAISE], 1, 2);
		assert_int_equal(got[LANE_SHIP], 1);
		assert_in_range(got[LANE_WORK], 0, 1);
	}
}

/* What a lane does not use goes to the others in the proportion of their parts. */
static void
test_flows_down(void **state)
{
	LaneState	lanes = {{0}};
	bool		wants[LANE_NONE] = {false};
	int			got[LANE_NONE] = {0};

	wants[LANE_WORK] = true;
	for (int i = 0; i < 100; i++)
	{
		assert_int_equal(lane_choose(&lanes, wants), LANE_WORK);
		lane_charge(&lanes, wants, LANE_WORK);
	}
	wants[LANE_RAISE] = true;
	for (int i = 0; i < 100; i++)
	{
		Lane		lane = lane_choose(&lanes, wants);

		lane_charge(&lanes, wants, lane);
		got[lane]++;
	}
	assert_int_equal(got[LANE_RAISE], 75);
	assert_int_equal(got[LANE_WORK], 25);
}

static void
test_token_first(void **state)
{
	LaneState	lanes = {{0}};
	bool		wants[LANE_NONE] = {true, true, true, true, true, true};

	for (int i = 0; i < 10; i++)
	{
		assert_int_equal(lane_choose(&lanes, wants), LANE_TOKEN);
		lane_charge(&lanes, wants, LANE_TOKEN);
	}
	wants[LANE_TOKEN] = false;
	assert_int_equal(lane_choose(&lanes, wants), LANE_LOWER);
	memset(wants, 0, sizeof(wants));
	assert_int_equal(lane_choose(&lanes, wants), LANE_NONE);
}

/* Asking changes nothing; debt of a lane that is given calls besides has an end. */
static void
test_choose_and_debt(void **state)
{
	LaneState	lanes = {{0}};
	LaneState	before;
	bool		wants[LANE_NONE] = {false, true, true, false, false, false};
	int			wait = 0;

	for (int i = 0; i < 1000; i++)
		lane_charge(&lanes, wants, LANE_WORK);
	before = lanes;
	(void) lane_choose(&lanes, wants);
	assert_memory_equal(&lanes, &before, sizeof(lanes));
	wants[LANE_WORK] = true;
	for (; lane_choose(&lanes, wants) != LANE_WORK; wait++)
		lane_charge(&lanes, wants, lane_choose(&lanes, wants));
	assert_in_range(wait, 1, 100);
}

/* The first call is a stop's, then three of four, the rest is for orders; afterwards all is as it was. */
static void
test_stop(void **state)
{
	static const Lane turns[] = {LANE_LOWER, LANE_LOWER, LANE_LOWER, LANE_FETCH};
	LaneState	lanes = {{0}};
	LaneState	before;
	bool		wants[LANE_NONE] = {false, true, true, true, true, true};

	for (int i = 0; i < 7; i++)
		lane_charge(&lanes, wants, lane_choose(&lanes, wants));
	before = lanes;
	for (int i = 0; i < 400; i++)
	{
		Lane		lane = lane_choose_stop(&lanes, wants);

		assert_int_equal(lane, turns[i % 4]);
		lane_charge_stop(&lanes, lane);
	}
	for (int i = 0; i < 2; i++)
		lane_charge_stop(&lanes, LANE_LOWER);
	lane_end_stop(&lanes);
	assert_memory_equal(&lanes, &before, sizeof(lanes));
	wants[LANE_FETCH] = false;
	for (int i = 0; i < 10; i++)
	{
		assert_int_equal(lane_choose_stop(&lanes, wants), LANE_LOWER);
		lane_charge_stop(&lanes, LANE_LOWER);
	}
	wants[LANE_TOKEN] = true;
	assert_int_equal(lane_choose_stop(&lanes, wants), LANE_TOKEN);
}

static void
test_table(void **state)
{
	for (int night = 0; night < 2; night++)
	{
		int			sum = 0;

		for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
			sum += lane_parts[night][lane];
		assert_int_equal(sum, 100);
		assert_int_equal(lane_parts[night][LANE_TOKEN], 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_flows_down),
		cmocka_unit_test(test_token_first),
		cmocka_unit_test(test_choose_and_debt),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_parts_beside_applications),
	};

	return cmocka_run_group_tests_name("lane", tests, NULL, NULL);
}
