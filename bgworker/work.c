/*
 * work.c
 *		The table of the kinds of work (work.h).
 */
#include "work.h"

#include "dispatcher.h"
#include "intake.h"
#include "listings.h"
#include "lost.h"
#include "price.h"
#include "push.h"
#include "read_back.h"
#include "returns.h"
#include "ship.h"
#include "token.h"
#include "verify.h"

static const Work works[] = {
	{
		.calls = CALL_BIT(CALL_PUSH_STOCK), .lane = LANE_NONE,
		.settle = push_settle, .give_back = push_return
	},
	{
		.calls = CALL_BIT(CALL_REFRESH_TOKEN) | CALL_BIT(CALL_GET_TOKEN), .lane = LANE_TOKEN,
		.due = token_due, .build = token_build, .answered = token_answered,
		.settle = token_settle, .give_back = token_return
	},
	{
		.calls = CALL_BIT(CALL_LIST_ORDERS) | CALL_BIT(CALL_GET_ORDERS), .lane = LANE_FETCH,
		.due = intake_due, .build = intake_build, .answered = intake_answered,
		.settle = intake_settle, .give_back = intake_return
	},
	{
		.calls = CALL_BIT(CALL_SHOP_INFO), .lane = LANE_WORK,
		.due = token_look_due, .build = token_look_build,
		.settle = token_look_settle, .give_back = token_look_return
	},
	{
		.calls = CALL_BIT(CALL_LIST_ITEMS) | CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_GET_MODELS), .own = listings_own,
		.lane = LANE_WORK, .due = listings_due, .build = listings_build, .answered = listings_answered,
		.settle = listings_settle, .give_back = listings_return
	},
	{
		.calls = CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_GET_MODELS), .own = verify_own,
		.lane = LANE_WORK, .due = verify_due, .build = verify_build, .answered = read_back_answered,
		.settle = verify_settle, .give_back = verify_return
	},
	{
		.calls = CALL_BIT(CALL_GET_ITEMS) | CALL_BIT(CALL_GET_MODELS), .lane = LANE_WORK,
		.due = read_back_due, .build = read_back_build, .answered = read_back_answered,
		.settle = read_back_settle, .give_back = read_back_return
	},
	{
		.calls = CALL_BIT(CALL_SHIP_INFO) | CALL_BIT(CALL_SHIP) | CALL_BIT(CALL_CANCEL_LINES), .lane = LANE_SHIP,
		.due = ship_due, .build = ship_build, .answered = ship_answered,
		.settle = ship_settle, .give_back = ship_return
	},
	{
		.calls = CALL_BIT(CALL_LIST_RETURNS), .lane = LANE_WORK,
		.due = returns_due, .build = returns_build,
		.settle = returns_settle, .give_back = returns_give_back
	},
	{
		.calls = CALL_BIT(CALL_LOST_PUSHES) | CALL_BIT(CALL_CONFIRM_PUSHES), .lane = LANE_WORK,
		.due = lost_due, .build = lost_build, .answered = lost_answered,
		.settle = lost_settle, .give_back = lost_return
	},
	{
		.calls = CALL_BIT(CALL_PUSH_PRICE) | CALL_BIT(CALL_SET_LISTED), .lane = LANE_WORK,
		.due = price_due, .build = price_build,
		.settle = price_settle, .give_back = price_return
	}
};

TimestampTz
work_due(const DispatchStore *store, Lane lane)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < (int) lengthof(works); i++)
		if (works[i].lane == lane)
			due = Min(due, works[i].due(store));
	return due;
}

void
work_build(DispatchStore *store, Lane lane, TimestampTz now)
{
	int			n = lengthof(works);

	for (int i = 1; i <= n; i++)
	{
		int			turn = (store->last_work + i) % n;

		if (works[turn].lane != lane || works[turn].due(store) > now)
			continue;
		store->last_work = turn;
		works[turn].build(store);
		return;
	}
	elog(ERROR, "nothing to build");
}

const Work *
work_of(const DispatchCall *call)
{
	CallKind	kind = call->n_ships > 0 ? CALL_SHIP : call->call.kind;

	for (int i = 0; i < (int) lengthof(works); i++)
		if ((works[i].calls & CALL_BIT(kind)) != 0 && (works[i].own == NULL || works[i].own(call)))
			return &works[i];
	elog(ERROR, "a call of no kind of work");
}

bool
work_hand_over(DispatchCall *call)
{
	TimestampTz now;
	const char *error;
	const char *access_error;

	if (call_build(call, &error))
	{
		dispatch_ready(call);
		return true;
	}
	now = GetCurrentTimestamp();
	if (!call_access_builds(call->store, &access_error))
	{
		store_trouble(call->store, TROUBLE_ACCESS, now + STORE_AUTH_WAIT_US, access_error);
		work_of(call)->give_back(call);
		return false;
	}
	call->sent_at = now;
	call->answered_at = now;
	call->answer.class = OUTCOME_PERMANENT;
	call->answer.code = "";
	call->answer.message = error;
	dispatch_ended(call);
	return false;
}
