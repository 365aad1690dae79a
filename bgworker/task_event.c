/*
 * task_event.c
 *		Events of tasks, and rows of compensation for those that are given up.
 *
 * The story of a task that is given up is its own events: each try that
 * failed left one.
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
	static const Oid event[] = {INT8OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID};
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

void
task_event_add(int64 task_id, const char *state, const char *class, int attempts,
			   TimestampTz next_at, const char *detail)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	values[0] = Int64GetDatum(task_id);
	values[1] = CStringGetTextDatum(state);
	values[2] = text_or_null(class, &nulls[2]);
	values[3] = Int32GetDatum(attempts);
	values[4] = TimestampTzGetDatum(next_at);
	nulls[4] = next_at == 0;
	values[5] = text_or_null(detail, &nulls[5]);
	set_add(events, values, nulls);
}

void
task_event_dead(int64 task_id, int store_id, const char *kind, OutcomeClass class,
				int attempts, const char *reason)
{
	Datum		values[5];
	bool		nulls[5] = {false};

	task_event_add(task_id, "dead", outcome_name(class), attempts, 0, reason);
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
				"INSERT INTO storesync.task_event (task_id, state, class, attempts, next_at, detail) "
				"SELECT x.task_id, x.state, x.class::storesync.outcome_class, x.attempts, x.next_at, x.detail "
				"FROM unnest($1, $2, $3, $4, $5, $6) AS x (task_id, state, class, attempts, next_at, detail)",
				SPI_OK_INSERT, events);
	if (dead->rows == 0)
		return;
	set_execute(&dead_plan,
				"INSERT INTO storesync.compensation (task_id, store_id, call, class, reason, payload, story) "
				"SELECT x.task_id, x.store_id, x.kind, x.class::storesync.outcome_class, x.reason, "
				"(SELECT o.payload -> 'payload' FROM storesync.outbox o "
				"WHERE o.kind = 'task' AND o.subject = x.task_id LIMIT 1), "
				"coalesce((SELECT jsonb_agg(jsonb_build_object('at', e.at, 'class', e.class, 'reason', e.detail) ORDER BY e.at) "
				"FROM storesync.task_event e WHERE e.task_id = x.task_id AND e.class IS NOT NULL), '[]') "
				"FROM unnest($1, $2, $3, $4, $5) AS x (task_id, store_id, kind, class, reason)",
				SPI_OK_INSERT, dead);
}
