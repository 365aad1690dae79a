/*
 * task_event.c
 *		Events of tasks, and rows of compensation for those that are given up.
 *
 * The story of a task that is given up is its own events: each try that
 * failed left one, and another where it was carried forward. That of a listing
 * which was given up under it stands before.
 */
#include "task_event.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "partition.h"
#include "set.h"

static SsSet *events = NULL;
static SsSet *dead = NULL;

void
task_event_init(MemoryContext context)
{
	static const Oid event[] = {INT8OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID};
	static const Oid given_up[] = {INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID};

	events = set_create_in(context, lengthof(event), event);
	dead = set_create_in(context, lengthof(given_up), given_up);
}

static Datum
text_or_null(const char *value, bool *isnull)
{
	*isnull = value == NULL || *value == '\0';
	return *isnull ? (Datum) 0 : CStringGetTextDatum(value);
}

static void
add_event(int64 task_id, const char *state, const char *class, int attempts,
		  TimestampTz next_at, const char *detail, const char *attempt, const char *progress)
{
	Datum		values[8];
	bool		nulls[8] = {false};

	values[0] = Int64GetDatum(task_id);
	values[1] = CStringGetTextDatum(state);
	values[2] = text_or_null(class, &nulls[2]);
	values[3] = Int32GetDatum(attempts);
	values[4] = TimestampTzGetDatum(next_at);
	nulls[4] = next_at == 0;
	values[5] = text_or_null(detail, &nulls[5]);
	values[6] = text_or_null(attempt, &nulls[6]);
	values[7] = text_or_null(progress, &nulls[7]);
	set_add(events, values, nulls);
}

void
task_event_add(int64 task_id, const char *state, const char *class, int attempts,
			   TimestampTz next_at, const char *detail, const char *attempt)
{
	add_event(task_id, state, class, attempts, next_at, detail, attempt, NULL);
}

void
task_event_progress(int64 task_id, int attempts, const char *progress, const char *detail)
{
	add_event(task_id, "sent", NULL, attempts, 0, detail, NULL, progress);
}

void
task_event_dead(int64 task_id, int store_id, const char *kind, OutcomeClass class,
				int attempts, const char *reason, const char *attempt)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	task_event_add(task_id, "dead", outcome_name(class), attempts, 0, reason, attempt);
	values[0] = Int64GetDatum(task_id);
	values[1] = Int32GetDatum(store_id);
	values[2] = CStringGetTextDatum(kind);
	values[3] = CStringGetTextDatum(outcome_name(class));
	values[4] = text_or_null(reason, &nulls[4]);
	set_add(dead, values, nulls);
}

void
task_event_write(void)
{
	static SPIPlanPtr event_plan = NULL;
	static SPIPlanPtr dead_plan = NULL;

	if (events->rows == 0)
		return;
	partition_ensure("task_event", GetCurrentTimestamp());
	set_execute(&event_plan,
				"INSERT INTO storesync.task_event (task_id, state, class, attempts, next_at, detail, try, progress) "
				"SELECT x.task_id, x.state, x.class::storesync.outcome_class, x.attempts, x.next_at, x.detail, "
				"x.try::jsonb, x.progress::jsonb "
				"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) "
				"AS x (task_id, state, class, attempts, next_at, detail, try, progress)",
				SPI_OK_INSERT, events);
	if (dead->rows == 0)
		return;
	set_execute(&dead_plan,
				"INSERT INTO storesync.compensation (task_id, store_id, call, class, reason, payload, story) "
				"SELECT x.task_id, x.store_id, x.kind, x.class::storesync.outcome_class, x.reason, "
				"(SELECT o.payload -> 'payload' FROM storesync.outbox o "
				"WHERE o.kind = 'task' AND o.subject = x.task_id LIMIT 1), "
				"coalesce((SELECT c.story FROM storesync.compensation c WHERE x.reason = '" TASK_LISTING_DEAD "' "
				"AND c.listing_id = (SELECT (o.payload -> 'payload' ->> 'listing')::numeric::bigint FROM storesync.outbox o "
				"WHERE o.kind = 'task' AND o.subject = x.task_id LIMIT 1) ORDER BY c.compensation_id DESC LIMIT 1), '[]') || "
				"coalesce((SELECT jsonb_agg(coalesce(e.try, '{}') || "
				"jsonb_build_object('at', e.at, 'class', e.class, 'reason', e.detail) ORDER BY e.at) "
				"FROM (SELECT DISTINCT ON (y.attempts, y.state) y.* FROM storesync.task_event y "
				"WHERE y.task_id = x.task_id AND y.class IS NOT NULL ORDER BY y.attempts, y.state, y.at) e), '[]') "
				"FROM unnest($1, $2, $3, $4, $5) AS x (task_id, store_id, kind, class, reason)",
				SPI_OK_INSERT, dead);
}
