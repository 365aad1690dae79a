/*
 * dispatcher_answer.c
 *		What any answer counts for, and what it means for its store: whether
 *		that waits, and for how long.
 */
#include "dispatcher.h"

#include "rate.h"
#include "share.h"
#include "token.h"

/* Without a Retry-After, a throttled store is left alone for this time. */
#define THROTTLE_US		USECS_PER_SEC

/* count_times adds the durations of a call's phases to its store's; those that were not gone through are 0. */
static void
count_times(const DispatchCall *call)
{
	StoreStat  *stat = call->store->stat;
	const HttpTimes *times = &call->times;
	int64		ready_us = Max(times->tls_us, times->connect_us);

	if (times->connect_us > 0)
	{
		store_stat_time(stat, PHASE_LOOKUP, times->lookup_us);
		store_stat_time(stat, PHASE_CONNECT, times->connect_us - times->lookup_us);
	}
	if (times->tls_us > 0)
		store_stat_time(stat, PHASE_TLS, times->tls_us - times->connect_us);
	if (times->first_byte_us > 0)
		store_stat_time(stat, PHASE_ANSWER, times->first_byte_us - ready_us);
	if (times->total_us > 0)
		store_stat_time(stat, PHASE_CALL, times->total_us);
}

void
dispatch_count_answer(const DispatchCall *call)
{
	bool		ok = call->answer.class == OUTCOME_OK || call->answer.class == OUTCOME_PARTIAL;

	count_times(call);
	store_stat_count(call->store->stat, ok ? STORE_CALLS_OK :
					 call->answer.class == OUTCOME_THROTTLED ? STORE_CALLS_THROTTLED : STORE_CALLS_FAILED, 1);
	share_count(call->store->platform->name, call->answered_at, ok);
	switch (call->answer.class)
	{
		case OUTCOME_OK:
		case OUTCOME_PARTIAL:
			dispatch_count(SS_CALLS_OK, 1);
			break;
		case OUTCOME_THROTTLED:
			dispatch_count(SS_CALLS_THROTTLED, 1);
			break;
		default:
			dispatch_count(SS_CALLS_FAILED, 1);
			break;
	}
}

bool
dispatch_hold_store(const DispatchCall *call)
{
	DispatchStore *store = call->store;
	int64		hold = THROTTLE_US;

	if (call->answer.retry_after > 0)
		hold = Min(call->answer.retry_after, SECS_PER_DAY) * USECS_PER_SEC;
	switch (call->answer.class)
	{
		case OUTCOME_THROTTLED:
			rate_throttled(store->store_id, hold);
			store->token_due = call->answered_at + hold;
			return true;
		case OUTCOME_QUOTA:
			store_trouble(store, TROUBLE_QUOTA, rate_quota_used_up(store->store_id), call->answer.message);
			return true;
		case OUTCOME_AUTH:
			if (!call->answer.application && token_refused(call))
				return true;
			store_trouble(store, call->answer.application ? TROUBLE_APPLICATION : TROUBLE_AUTH,
						  call->answered_at + STORE_AUTH_WAIT_US, call->answer.message);
			return true;
		case OUTCOME_OK:
		case OUTCOME_PARTIAL:
			rate_succeeded(store->store_id, 1);
			store_well(store);
			token_worked(call);
			return false;
		default:
			return false;
	}
}
