/*
 * lane.c
 *		Sharing out calls by parts (smooth weighted round robin); lane.h has
 *		the rules and what they guarantee.
 */
#include "lane.h"

const int	lane_parts[2][LANE_NONE] = {
	{
		[LANE_TOKEN] = 0,
		[LANE_FETCH] = 25,
		[LANE_LOWER] = 45,
		[LANE_RAISE] = 15,
		[LANE_SHIP] = 10,
		[LANE_WORK] = 5,
	},
	{
		[LANE_TOKEN] = 0,
		[LANE_FETCH] = 20,
		[LANE_LOWER] = 35,
		[LANE_RAISE] = 10,
		[LANE_SHIP] = 5,
		[LANE_WORK] = 30,
	}
};

/*
 * A lane that is given calls without asking (applications that take them
 * besides) runs into debt no deeper than this; what goes beyond is not
 * charged, so that the lane is not shut out for long afterwards.
 */
#define DEEPEST_DEBT	(-100)

Lane
lane_choose(const LaneState *state, const bool wants[LANE_NONE])
{
	const int  *parts = lane_parts[state->night];
	Lane		chosen = LANE_NONE;
	int32_t		best = INT32_MIN;

	if (wants[LANE_TOKEN])
		return LANE_TOKEN;
	for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
	{
		int32_t		balance = state->balance[lane] + parts[lane];

		if (wants[lane] && balance > best)
		{
			best = balance;
			chosen = lane;
		}
	}
	return chosen;
}

void
lane_charge(LaneState *state, const bool wants[LANE_NONE], Lane lane)
{
	const int  *parts = lane_parts[state->night];
	int32_t		sum = 0;

	if (lane == LANE_TOKEN || lane == LANE_NONE)
		return;
	for (Lane other = LANE_FETCH; other < LANE_NONE; other++)
		sum += wants[other] || other == lane ? parts[other] : 0;
	if (state->balance[lane] + parts[lane] - sum < DEEPEST_DEBT)
		return;
	for (Lane other = LANE_FETCH; other < LANE_NONE; other++)
		state->balance[other] += wants[other] || other == lane ? parts[other] : 0;
	state->balance[lane] -= sum;
}

Lane
lane_choose_stop(const LaneState *state, const bool wants[LANE_NONE])
{
	if (wants[LANE_TOKEN])
		return LANE_TOKEN;
	return wants[LANE_FETCH] && state->stops >= LANE_STOPS_IN_A_ROW ? LANE_FETCH : LANE_LOWER;
}

void
lane_charge_stop(LaneState *state, Lane lane)
{
	if (lane == LANE_FETCH)
		state->stops = 0;
	else if (lane == LANE_LOWER && state->stops < LANE_STOPS_IN_A_ROW)
		state->stops++;
}

void
lane_end_stop(LaneState *state)
{
	state->stops = 0;
}
