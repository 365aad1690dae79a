/*
 * rate_sql.c
 *		Call budgets as SQL sees them: taking, holding, looking, and hearing of
 *		changed limits.
 */
#include "storesync.h"

#include "commands/trigger.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "rate.h"
#include "rate_budget.h"
#include "rate_take.h"

PG_FUNCTION_INFO_V1(rate_take);
PG_FUNCTION_INFO_V1(rate_hold);
PG_FUNCTION_INFO_V1(rate_succeed);
PG_FUNCTION_INFO_V1(rate_quota);
PG_FUNCTION_INFO_V1(rate_forget);
PG_FUNCTION_INFO_V1(rate_room);
PG_FUNCTION_INFO_V1(rate_reload);
PG_FUNCTION_INFO_V1(rate_limits_changed);
PG_FUNCTION_INFO_V1(rate_windows);

#define STATUS_COLUMNS		12

static Interval *
make_interval_us(int64 us)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = us;
	return interval;
}

static void
refuse_null(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || (PG_NARGS() > 1 && PG_ARGISNULL(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("arguments of a call budget must not be null")));
}

/*
 * rate_take(store int, cost int) RETURNS interval
 */
Datum
rate_take(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	PG_RETURN_INTERVAL_P(make_interval_us(rate_take_store(PG_GETARG_INT32(0), PG_GETARG_INT32(1))));
}

/*
 * rate_hold(store int, wait interval)
 */
Datum
rate_hold(PG_FUNCTION_ARGS)
{
	Interval   *wait;

	refuse_null(fcinfo);
	wait = PG_GETARG_INTERVAL_P(1);
	if (wait->month != 0 || wait->day < 0 || wait->day > 1 ||
		wait->time < 0 || wait->day * USECS_PER_DAY > RATE_MAX_HOLD_US - wait->time)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a store is held for 0 to 24 hours")));
	(void) rate_budget(PG_GETARG_INT32(0), "rate_hold()");
	rate_throttled(PG_GETARG_INT32(0), wait->day * USECS_PER_DAY + wait->time);
	PG_RETURN_VOID();
}

/*
 * rate_succeeded(store int, calls int)
 */
Datum
rate_succeed(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	if (PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("calls must be at least 1")));
	(void) rate_budget(PG_GETARG_INT32(0), "rate_succeeded()");
	rate_succeeded(PG_GETARG_INT32(0), PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}

/*
 * rate_quota(store int) RETURNS timestamptz
 */
Datum
rate_quota(PG_FUNCTION_ARGS)
{
	refuse_null(fcinfo);
	(void) rate_budget(PG_GETARG_INT32(0), "rate_quota()");
	PG_RETURN_TIMESTAMPTZ(rate_quota_used_up(PG_GETARG_INT32(0)));
}

/*
 * rate_forget(store int)
 */
Datum
rate_forget(PG_FUNCTION_ARGS)
{
	if (rate_shared_ready())
		rate_forget_answers(PG_ARGISNULL(0) ? NULL : rate_budget(PG_GETARG_INT32(0), "rate_forget()")->slot);
	PG_RETURN_VOID();
}

/*
 * rate_room() RETURNS int: NULL without shared memory
 */
Datum
rate_room(PG_FUNCTION_ARGS)
{
	if (!rate_shared_ready())
		PG_RETURN_NULL();
	PG_RETURN_INT32(rate_room_left());
}

/*
 * rate_reload()
 */
Datum
rate_reload(PG_FUNCTION_ARGS)
{
	rate_reload_at_end();
	PG_RETURN_VOID();
}

/*
 * rate_limits_changed() RETURNS trigger
 */
Datum
rate_limits_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager", "rate_limits_changed")));
	rate_reload_at_end();
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------- looking */

/* quota_of gives the end of the quota that stops a store, 0 for none. The lock is held. */
static TimestampTz
quota_of(RateSlot *slot, int64 now_ns)
{
	RateSlot   *application = slot->key.scope == RATE_STORE ? rate_application(slot) : slot;
	int64		left = rate_quota_left(slot, now_ns);

	if (application != NULL && application != slot)
		left = Max(left, rate_quota_left(application, now_ns));
	return left > 0 ? GetCurrentTimestamp() + left / 1000 : 0;
}

/* put_window adds the row of one window in use. The lock is held. */
static void
put_window(ReturnSetInfo *result, RateSlot *slot, RateWindow *window,
		   int64 now_ns, TimestampTz now)
{
	static const char *const scopes[] = {"store", "application", "database"};
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS] = {false};
	int64		held_us = ((int64) pg_atomic_read_u64(&slot->held_until_ns) - now_ns) / 1000;
	int64		tat_ns = (int64) pg_atomic_read_u64(&window->tat_ns);
	int64		free_ns = tat_ns + window->gcra.interval_ns - window->gcra.capacity_ns;
	uint32		pace = rate_pace(slot, now_ns);
	TimestampTz quota = quota_of(slot, now_ns);

	/* slowed is the first window of a store */
	for (const RateWindow *before = slot->windows; before < window; before++)
		if (before->limit.calls > 0)
			pace = PACE_FULL;
	values[0] = CStringGetTextDatum(scopes[slot->key.scope]);
	values[1] = Int32GetDatum((int32) slot->key.id);
	nulls[1] = slot->key.scope != RATE_STORE;
	values[2] = CStringGetTextDatum(slot->platform);
	nulls[2] = slot->key.scope == RATE_DATABASE;
	values[3] = Int32GetDatum(window->limit.calls);
	values[4] = IntervalPGetDatum(make_interval_us(rate_window_period(&window->limit)));
	values[5] = Int32GetDatum(window->limit.burst);
	values[6] = TimestampTzGetDatum(now + (free_ns - now_ns) / 1000);
	values[7] = TimestampTzGetDatum(now + held_us);
	nulls[7] = held_us <= 0;
	values[8] = Int32GetDatum((int32) pace * 100 / PACE_FULL);
	values[9] = Float8GetDatum((double) window->limit.calls * pace / PACE_FULL);
	values[10] = TimestampTzGetDatum((TimestampTz) pg_atomic_read_u64(&slot->slowed_since));
	nulls[10] = pace == PACE_FULL;
	values[11] = TimestampTzGetDatum(quota);
	nulls[11] = quota == 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * rate_windows(missing_ok boolean) RETURNS SETOF record: every window of this
 * database's loaded slots. Clocks are read once, so that rows agree with one
 * another.
 */
Datum
rate_windows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();
	int64		now_ns;
	HASH_SEQ_STATUS scan;
	RateSlot   *slot;

	if (!PG_GETARG_BOOL(0))
		rate_check_shared();
	InitMaterializedSRF(fcinfo, 0);
	if (!rate_shared_ready())
		return (Datum) 0;
	now_ns = rate_now();
	LWLockAcquire(rate_lock(), LW_SHARED);
	hash_seq_init(&scan, rate_table());
	while ((slot = hash_seq_search(&scan)) != NULL)
	{
		if (slot->key.database != MyDatabaseId)
			continue;
		for (int unit = 0; unit < RATE_UNITS; unit++)
		{
			if (slot->windows[unit].limit.calls > 0)
				put_window(result, slot, &slot->windows[unit], now_ns, now);
		}
	}
	LWLockRelease(rate_lock());
	return (Datum) 0;
}
