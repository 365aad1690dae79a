/*
 * lane.c
 *		Sharing out calls by parts (smooth weighted round robin); lane.h has
 *		the rules and what they guarantee.
 */
#include "lane.h"

const int	lane_parts[LANE_NONE] = {
	[LANE_TOKEN] = 0,
	[LANE_FETCH] = 25,
	[LANE_LOWER] = 45,
	[LANE_RAISE] = 15,
	[LANE_SHIP] = 10,
	[LANE_WORK] = 5,
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
	Lane		chosen = LANE_NONE;
	int32_t		best = INT32_MIN;

	if (wants[LANE_TOKEN])
		return LANE_TOKEN;
	for (Lane lane = LANE_FETCH; lane < LANE_NONE; lane++)
	{
		int32_t		balance = state->balance[lane] + lane_parts[lane];

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
	int32_t		sum = 0;

	if (lane == LANE_TOKEN || lane == LANE_NONE)
		return;
	for (Lane other = LANE_FETCH; other < LANE_NONE; other++)
		sum += wants[other] || other == lane ? lane_parts[other] : 0;
	if (state->balance[lane] + lane_parts[lane] - sum < DEEPEST_DEBT)
		return;
	for (Lane other = LANE_FETCH; other < LANE_NONE; other++)
		state->balance[other] += wants[other] || other == lane ? lane_parts[other] : 0;
	state->balance[lane] -= sum;
}
