/*
 * test_gcra.c
 *		Tries to break the guarantee of call limits: in any window of a
 *		limit's length at most N + B - 1 calls are granted, whatever the
 *		arrivals, costs, restarts, holds and clock do.
 *
 * Random histories from fixed seeds; GCRA_SEED=n runs that one alone. A seed
 * that fails belongs into `named_seeds`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gcra.h"
#include "pace.h"

#define HISTORIES		1000	/* of ARRIVALS each, a scenario: 3.6 million arrivals */
#define ARRIVALS		400
#define MS				INT64_C(1000000)
#define SECOND			(1000 * MS)
#define MINUTE			(60 * SECOND)
#define HOUR			(60 * MINUTE)
#define DAY				(24 * HOUR)

static const uint64_t named_seeds[] = {1};

/* A grant: when it was, on the true clock and on the one that was read. */
typedef struct Grant
{
	int64_t		at;
	int64_t		reading;
	int64_t		cost;
} Grant;

typedef struct Scenario
{
	const char *name;
	bool		restarts;		/* the TAT is forgotten now and then */
	bool		holds;
	int			jumps;			/* of the clock: -1 back, 1 forward, 2 both, 0 none */
	bool		paces;			/* throttles slow the window, successes bring it back */
} Scenario;

typedef struct History
{
	uint64_t	seed;
	uint64_t	state;			/* of the random numbers */
	int64_t		calls;
	int64_t		period;
	int64_t		burst;
	GcraWindow	window;
	Grant		grants[ARRIVALS];
	int			n;
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

/* between low and high, both included */
static int64_t
between(History *history, int64_t low, int64_t high)
{
	return low + (int64_t) (next_random(history) % (uint64_t) (high - low + 1));
}

static bool
one_in(History *history, int64_t n)
{
	return between(history, 1, n) == 1;
}

static void
choose_window(History *history)
{
	static const int64_t periods[] = {MS, SECOND, MINUTE, HOUR, DAY};

	history->period = periods[between(history, 0, 4)];
	history->calls = between(history, 1, one_in(history, 2) ? 7 : 1000);
	history->burst = one_in(history, 2) ? 1 : between(history, 1, one_in(history, 2) ? 12 : 400);
	assert_true(gcra_window(&history->window, history->calls, history->period, history->burst));
}

/* Gaps from bursts at one instant to idle periods, around the rate of the window. */
static int64_t
choose_gap(History *history)
{
	switch (between(history, 0, 9))
	{
		case 0:
		case 1:
		case 2:
			return 0;
		case 3:
			return between(history, 0, 2 * history->period);
		case 4:
			return between(history, 0, history->window.capacity_ns);
		default:
			return between(history, 0, 2 * history->window.interval_ns);
	}
}

static int64_t
choose_jump(History *history, int jumps)
{
	int64_t		size;

	if (jumps == 0 || !one_in(history, 20))
		return 0;
	size = between(history, 0, one_in(history, 3) ? DAY : 3 * history->period);
	if (jumps == 2)
		return one_in(history, 2) ? size : -size;
	return jumps * size;
}

/* The cost of all grants that `pick` places in [from, from + period). */
static int64_t
granted_within(const History *history, int64_t from, int64_t (*pick) (const Grant *))
{
	int64_t		sum = 0;

	for (int i = 0; i < history->n; i++)
	{
		int64_t		when = pick(&history->grants[i]);

		if (when >= from && when < from + history->period)
			sum += history->grants[i].cost;
	}
	return sum;
}

static int64_t
by_truth(const Grant *grant)
{
	return grant->at;
}

static int64_t
by_reading(const Grant *grant)
{
	return grant->reading;
}

/* A fullest window can be moved right until it begins with a grant: those are all there are to look at. */
static void
check_guarantee(const History *history, const char *scenario, int64_t (*pick) (const Grant *))
{
	for (int i = 0; i < history->n; i++)
	{
		int64_t		sum = granted_within(history, pick(&history->grants[i]), pick);

		if (sum > history->calls + history->burst - 1)
			fail_msg("%s, seed %llu: %lld calls in one window of %lld per %lld ns burst %lld",
					 scenario, (unsigned long long) history->seed, (long long) sum,
					 (long long) history->calls, (long long) history->period,
					 (long long) history->burst);
	}
}

/*
 * change_pace throttles now and then and else counts successes. What a call
 * counts for may be of a pace that has changed since: some callers read it
 * late.
 */
static uint32_t
change_pace(History *history, uint32_t pace)
{
	if (one_in(history, 30))
		return pace_throttled(pace);
	return one_in(history, 10) ? PACE_FULL : pace_succeeded(pace, (uint32_t) between(history, 1, 20));
}

static void
run_history(uint64_t seed, const Scenario *scenario)
{
	static History history;
	int64_t		at;
	int64_t		offset = 0;
	int64_t		held_until = INT64_MIN;
	int64_t		tat;
	uint32_t	pace = PACE_FULL;

	memset(&history, 0, sizeof(history));
	history.seed = history.state = seed;
	choose_window(&history);
	at = between(&history, 0, DAY);
	tat = gcra_empty(&history.window, at);
	for (int i = 0; i < ARRIVALS; i++)
	{
		int64_t		cost = one_in(&history, 3) ? between(&history, 1, history.burst) : 1;
		int64_t		now;
		int64_t		next;
		int64_t		wait;

		at += choose_gap(&history);
		offset += choose_jump(&history, scenario->jumps);
		now = at + offset;
		if (scenario->restarts && one_in(&history, 15))
			tat = gcra_empty(&history.window, now);
		if (scenario->holds && one_in(&history, 25))
		{
			held_until = now + between(&history, 0, 2 * history.period);
			tat = gcra_hold(&history.window, tat, held_until);
		}
		wait = gcra_take_paced(&history.window, tat, now, cost,
							   pace_interval(history.window.interval_ns, pace), &next);
		if (scenario->paces)
			pace = change_pace(&history, pace);
		assert_true(wait >= 0);
		if (wait > 0)
			continue;
		if (scenario->holds && !scenario->restarts)
			assert_true(now >= held_until);
		tat = next;
		history.grants[history.n++] = (Grant) {at, now, cost};
	}
	check_guarantee(&history, scenario->name, by_reading);
	if (scenario->jumps <= 0)
		check_guarantee(&history, scenario->name, by_truth);
}

static void
run_scenario(void **state)
{
	const Scenario *scenario = *state;
	const char *only = getenv("GCRA_SEED");

	if (only != NULL)
	{
		run_history(strtoull(only, NULL, 10), scenario);
		return;
	}
	for (size_t i = 0; i < sizeof(named_seeds) / sizeof(named_seeds[0]); i++)
		run_history(named_seeds[i], scenario);
	for (uint64_t seed = 1000; seed < 1000 + HISTORIES; seed++)
		run_history(seed, scenario);
}

/*
 * Calls are granted in rounds and leave at each round's end, which may be held
 * up for longer than the window: what leaves keeps to the limit.
 */
static void
run_late(uint64_t seed)
{
	static History history;
	int64_t		at;
	int64_t		tat;

	memset(&history, 0, sizeof(history));
	history.seed = history.state = seed;
	choose_window(&history);
	at = between(&history, 0, DAY);
	tat = gcra_empty(&history.window, at);
	while (history.n < ARRIVALS - 20)
	{
		int64_t		granted[20];
		int64_t		lead[20];
		int			n = 0;

		for (int asked = (int) between(&history, 1, 20); asked > 0; asked--)
		{
			int64_t		next;

			at += between(&history, 0, history.window.interval_ns / 20);
			if (gcra_take(&history.window, tat, at, 1, &next) > 0)
				continue;
			lead[n] = next - at - history.window.interval_ns;
			granted[n++] = at;
			tat = next;
		}
		at += between(&history, 0, one_in(&history, 4) ? 2 * history.period : history.window.interval_ns);
		for (int i = 0; i < n; i++)
		{
			tat += gcra_late(granted[i], lead[i], at);
			history.grants[history.n++] = (Grant) {at, at, 1};
			at += between(&history, 0, history.window.interval_ns / 50);
		}
		at += choose_gap(&history);
	}
	check_guarantee(&history, "calls that leave late", by_truth);
}

static void
test_late(void **state)
{
	for (uint64_t seed = 1; seed <= HISTORIES; seed++)
		run_late(seed);
}

/* Who waits as long as he is told gets his call, and not a nanosecond earlier. */
static void
test_wait_is_exact(void **state)
{
	History		history = {.state = 7};

	for (int i = 0; i < HISTORIES; i++)
	{
		int64_t		now = between(&history, 0, DAY);
		int64_t		cost;
		int64_t		tat;
		int64_t		next = -1;
		int64_t		wait;

		choose_window(&history);
		cost = between(&history, 1, history.burst);
		tat = now + between(&history, 0, history.window.capacity_ns);
		wait = gcra_take(&history.window, tat, now, cost, &next);
		if (wait == 0)
			continue;
		assert_int_equal(next, -1);
		assert_true(gcra_take(&history.window, tat, now + wait - 1, cost, &next) > 0);
		assert_int_equal(gcra_take(&history.window, tat, now + wait, cost, &next), 0);
		assert_true(next <= now + wait + history.window.capacity_ns);
	}
}

/* A caller that never stops asking gets the full rate, less the rounding of the interval. */
static void
test_rate_is_used_up(void **state)
{
	History		history = {.state = 11};

	for (int i = 0; i < 200; i++)
	{
		int64_t		now = 0;
		int64_t		granted = 0;
		int64_t		tat;
		int64_t		lost;

		choose_window(&history);
		tat = gcra_empty(&history.window, now);
		while (now <= 3 * history.period && granted <= 3 * history.calls)
		{
			int64_t		wait = gcra_take(&history.window, tat, now, 1, &tat);

			granted += wait == 0;
			now += wait;
		}
		lost = 3 * history.calls - granted;
		assert_true(lost >= 0 && lost <= 3 * history.calls * history.calls / history.period + 1);
	}
}

/* The full burst is there after a pause, and not one call more. */
static void
test_burst(void **state)
{
	GcraWindow	window;
	int64_t		tat = 0;

	assert_true(gcra_window(&window, 5, SECOND, 10));
	for (int i = 0; i < 10; i++)
		assert_int_equal(gcra_take(&window, tat, MINUTE, 1, &tat), 0);
	assert_int_equal(gcra_take(&window, tat, MINUTE, 1, &tat), SECOND / 5);
	assert_int_equal(gcra_take(&window, tat, MINUTE, 2, &tat), 2 * SECOND / 5);
	assert_true(gcra_allows(&window, 10));
	assert_false(gcra_allows(&window, 11));
	assert_int_equal(gcra_take(&window, 0, MINUTE, 10, &tat), 0);
	assert_int_equal(tat, MINUTE + 2 * SECOND);
}

static void
test_empty_and_hold(void **state)
{
	GcraWindow	window;
	int64_t		tat;

	assert_true(gcra_window(&window, 5, SECOND, 10));
	tat = gcra_empty(&window, MINUTE);
	assert_int_equal(gcra_take(&window, tat, MINUTE, 1, &tat), SECOND / 5);
	tat = gcra_hold(&window, 0, HOUR);
	assert_int_equal(gcra_take(&window, tat, MINUTE, 1, &tat), HOUR - MINUTE);
	assert_int_equal(gcra_take(&window, tat, HOUR, 1, &tat), 0);
	assert_int_equal(gcra_take(&window, tat, HOUR, 1, &tat), SECOND / 5);
	assert_int_equal(gcra_hold(&window, tat, MINUTE), tat);
}

/* At a pace of p a store gets p of its limit, less the rounding; a burst shrinks with it. */
static void
test_pace(void **state)
{
	static const uint32_t paces[] = {PACE_FULL, 500, 333, PACE_FLOOR};
	GcraWindow	window;

	assert_true(gcra_window(&window, 100, SECOND, 20));
	for (int i = 0; i < 4; i++)
	{
		int64_t		step = pace_interval(window.interval_ns, paces[i]);
		int64_t		tat = 0;
		int64_t		now = MINUTE;
		int64_t		burst = 0;
		int64_t		granted = 0;

		assert_true(step >= window.interval_ns);
		while (gcra_take_paced(&window, tat, now, 1, step, &tat) == 0)
			burst++;
		while (now < 2 * MINUTE)
		{
			int64_t		wait = gcra_take_paced(&window, tat, now, 1, step, &tat);

			granted += wait == 0;
			now += wait;
		}
		assert_in_range(granted, 6 * paces[i] - 2, 6 * paces[i] + 1);
		assert_in_range(burst, 20 * paces[i] / PACE_FULL, 20 * paces[i] / PACE_FULL + 1);
	}
}

static void
test_pace_steps(void **state)
{
	uint32_t	pace = PACE_FULL;

	pace = pace_throttled(pace);
	assert_int_equal(pace, 500);
	for (int i = 0; i < 10; i++)
		pace = pace_throttled(pace);
	assert_int_equal(pace, PACE_FLOOR);
	for (int i = 0; i < (PACE_FULL - PACE_FLOOR) / PACE_STEP; i++)
	{
		assert_in_range(pace, PACE_FLOOR, PACE_FULL - PACE_STEP);
		pace = pace_succeeded(pace, 1);
	}
	assert_int_equal(pace, PACE_FULL);
	assert_int_equal(pace_succeeded(PACE_FULL, 1), PACE_FULL);
	assert_int_equal(pace_succeeded(PACE_FLOOR, UINT32_MAX), PACE_FULL);
	assert_int_equal(pace_succeeded(995, 1), PACE_FULL);
	/* the largest interval of all, at the floor: nothing overflows */
	assert_true(pace_interval(GCRA_MAX_CAPACITY_NS, PACE_FLOOR) == 10 * GCRA_MAX_CAPACITY_NS);
	assert_int_equal(pace_interval(7, 300), 24);
}

static void
test_bounds(void **state)
{
	GcraWindow	window;

	assert_false(gcra_window(&window, 0, SECOND, 1));
	assert_false(gcra_window(&window, -1, SECOND, 1));
	assert_false(gcra_window(&window, 1, SECOND, 0));
	assert_false(gcra_window(&window, 1, 0, 1));
	assert_true(gcra_window(&window, 1000, MS, 1));
	assert_false(gcra_window(&window, 1001, MS, 1));
	assert_false(gcra_window(&window, INT64_MAX, DAY, 1));
	assert_false(gcra_window(&window, 1, DAY, INT64_MAX));
	assert_true(gcra_window(&window, 1, DAY, GCRA_MAX_CAPACITY_NS / DAY));
	assert_false(gcra_window(&window, 1, DAY, GCRA_MAX_CAPACITY_NS / DAY + 1));
	/* 350 a minute does not divide: rounded up, never down */
	assert_true(gcra_window(&window, 350, MINUTE, 1));
	assert_int_equal(window.interval_ns, 171428572);
}

int
main(void)
{
	static Scenario plain = {"plain", false, false, 0, false};
	static Scenario restarts = {"restarts", true, false, 0, false};
	static Scenario holds = {"holds", false, true, 0, false};
	static Scenario restarts_and_holds = {"restarts and holds", true, true, 0, false};
	static Scenario back = {"clock jumps back", false, true, -1, false};
	static Scenario forward = {"clock jumps forward", false, true, 1, false};
	static Scenario both = {"clock jumps both ways", false, true, 2, false};
	static Scenario paces = {"throttles and growth", false, true, 0, true};
	static Scenario all = {"restarts, holds, throttles and growth", true, true, 0, true};
	const struct CMUnitTest tests[] = {
		{"guarantee", run_scenario, NULL, NULL, &plain},
		{"guarantee over restarts", run_scenario, NULL, NULL, &restarts},
		{"guarantee with holds", run_scenario, NULL, NULL, &holds},
		{"guarantee with restarts and holds", run_scenario, NULL, NULL, &restarts_and_holds},
		{"guarantee when the clock jumps back", run_scenario, NULL, NULL, &back},
		{"guarantee when the clock jumps forward", run_scenario, NULL, NULL, &forward},
		{"guarantee when the clock jumps both ways", run_scenario, NULL, NULL, &both},
		{"guarantee while the pace shrinks and grows", run_scenario, NULL, NULL, &paces},
		{"guarantee with restarts, holds and changes of the pace", run_scenario, NULL, NULL, &all},
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_wait_is_exact),
		cmocka_unit_test(test_rate_is_used_up),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_empty_and_hold),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_pace_steps),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests_name("gcra", tests, NULL, NULL);
}
