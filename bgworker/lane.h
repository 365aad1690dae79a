/*
 * lane.h
 *		Who gets a store's next call: kinds of work as lanes, each with a
 *		guaranteed part of the calls.
 *
 * Free of PostgreSQL headers, no clock, no knowledge of limits: it shares out
 * calls, however many there are, so the parts hold as well at five a minute
 * as at five a second. A call is never kept back for a lane that has no work.
 *
 * Each lane has a balance in hundredths of a call. A call adds to the balance
 * of every lane that wants it that lane's part, and takes the sum of these
 * from the lane that gets it: the one with the largest balance after adding.
 * So of any n calls in a row that a lane wants it gets its part of n, but for
 * less than two calls (three while applications take calls besides), whoever
 * comes and goes: regress/unit/test_lane.c.
 *
 * A stop (stop_selling()) sets the parts aside: while zeros of it wait, the
 * first call is theirs and so are three of four, and the fourth is for orders,
 * which other shops' stock hangs on, however long that lasts. Nothing else
 * gets a call but a token, without which there are none. Nobody's balance
 * moves meanwhile, so that afterwards all goes on as if it had not been.
 */
#ifndef STORESYNC_LANE_H
#define STORESYNC_LANE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Lane
{
	LANE_TOKEN,					/* refreshing a token: goes before everything, counts for nothing */
	LANE_FETCH,					/* orders in */
	LANE_LOWER,					/* decreases, and zeros of stop_selling */
	LANE_RAISE,
	LANE_SHIP,					/* shipping and cancelling at the platform */
	LANE_WORK,					/* price, listing work, read-back; calls of applications while the store waits */
	LANE_NONE					/* how many there are; of lane_choose: no lane wants anything */
} Lane;

/* Percent of the calls, by day and while a shop is read at night; the parts of the lanes behind LANE_TOKEN add up to 100. */
extern const int lane_parts[2][LANE_NONE];

/* While zeros of a stop wait so many calls in a row are theirs before a fetch of orders gets one. */
#define LANE_STOPS_IN_A_ROW 3

/* Zeroed at first. */
typedef struct LaneState
{
	int32_t		balance[LANE_NONE];	/* hundredths of a call */
	int			stops;			/* calls in a row that zeros of a stop have had */
	bool		night;			/* the second table of parts holds */
} LaneState;

/*
 * The lane that the next call belongs to, of those that want one. Changes
 * nothing: ask again when the call could not be made after all.
 */
extern Lane lane_choose(const LaneState *state, const bool wants[LANE_NONE]);

/* A call went to `lane` while `wants` wanted it; `lane` may be another than was chosen. */
extern void lane_charge(LaneState *state, const bool wants[LANE_NONE], Lane lane);

/* The same two while zeros of a stop are among what LANE_LOWER wants. */
extern Lane lane_choose_stop(const LaneState *state, const bool wants[LANE_NONE]);
extern void lane_charge_stop(LaneState *state, Lane lane);
/* No zeros wait: the next stop begins anew. */
extern void lane_end_stop(LaneState *state);

#endif
