/*
 * stat.c
 *		The counters and gauges of shared memory as rows, for the views of
 *		sql/75_stat.sql. Reads only; without preloading there is nothing to
 *		read and no rows come.
 */
#include "storesync.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "shmem.h"

/* Columns of dispatcher_stats() before the counters. */
#define FIXED_COLUMNS	6
#define ALL_COLUMNS		(FIXED_COLUMNS + (int) SS_COUNTERS + (int) SS_GAUGES)

/* One row of the answer: a slot, a launcher's entry, or both of one name. */
typedef struct StatRow
{
	const char *name;
	const SsDatabase *slot;		/* an empty one where there never was a dispatcher */
	const SsLaunch *launch;		/* an empty one for a name not in storesync.databases */
} StatRow;

typedef struct StatRows
{
	int			n;
	StatRow    *rows;
} StatRows;

PG_FUNCTION_INFO_V1(dispatcher_stats);
PG_FUNCTION_INFO_V1(launcher_pid);

static const char *
launch_state(const StatRow *row)
{
	switch (row->launch->state)
	{
		case SS_LAUNCH_STARTING:
			return "starting";
		case SS_LAUNCH_RUNNING:
			return "running";
		case SS_LAUNCH_STOPPING:
			return "stopping";
		case SS_LAUNCH_BACKING_OFF:
			return "backing off";
		case SS_LAUNCH_NO_WORKER:
			return "no worker slot";
		case SS_LAUNCH_HELD:
			return "held";
		case SS_LAUNCH_NONE:
			break;
	}
	return row->slot->pid != 0 ? "stopping" : "off";
}

/* collect copies shared memory and joins slots to launcher's entries by name, in the current memory context. */
static StatRows *
collect(void)
{
	StatRows   *answer = palloc0(sizeof(StatRows));
	SsDatabase *no_slot = palloc0(sizeof(SsDatabase));
	SsLaunch   *no_launch = palloc0(sizeof(SsLaunch));
	SsDatabase *slots = palloc0(ss_max_databases * sizeof(SsDatabase));
	SsLaunch   *launches = palloc0(ss_max_databases * sizeof(SsLaunch));
	int			n_slots;
	int			n_launches;

	(void) shmem_read(slots, &n_slots, launches, &n_launches);
	answer->rows = palloc0((n_slots + n_launches) * sizeof(StatRow));
	no_launch->due = DT_NOEND;
	for (int i = 0; i < n_launches; i++)
		answer->rows[answer->n++] = (StatRow) {launches[i].name, no_slot, &launches[i]};
	for (int i = 0; i < n_slots; i++)
	{
		StatRow    *row = NULL;

		if (slots[i].name[0] == '\0')
			continue;
		for (int j = 0; row == NULL && j < answer->n; j++)
		{
			if (strcmp(answer->rows[j].name, slots[i].name) == 0)
				row = &answer->rows[j];
		}
		if (row == NULL)
		{
			row = &answer->rows[answer->n++];
			*row = (StatRow) {slots[i].name, no_slot, no_launch};
		}
		/* of two slots of one name the one with a process counts: a database was dropped and made again */
		if (row->slot->pid == 0)
			row->slot = &slots[i];
	}
	return answer;
}

/* read_counter reads a copied atomic, which pg_atomic_read_u64 takes only as writable. */
static uint64
read_counter(const pg_atomic_uint64 *counter)
{
	return pg_atomic_read_u64((pg_atomic_uint64 *) counter);
}

static HeapTuple
form_row(const StatRow *row, TupleDesc descriptor)
{
	Datum		values[ALL_COLUMNS] = {0};
	bool		nulls[ALL_COLUMNS] = {false};
	uint64		heartbeat = read_counter(&row->slot->heartbeat);

	values[0] = CStringGetTextDatum(row->name);
	values[1] = Int32GetDatum((int32) row->slot->pid);
	nulls[1] = row->slot->pid == 0;
	values[2] = CStringGetTextDatum(launch_state(row));
	values[3] = TimestampTzGetDatum((TimestampTz) heartbeat);
	nulls[3] = heartbeat == 0;
	values[4] = Int64GetDatum((int64) row->launch->failures);
	values[5] = TimestampTzGetDatum(row->launch->due);
	nulls[5] = row->launch->due == DT_NOEND;
	for (int i = 0; i < SS_COUNTERS; i++)
		values[FIXED_COLUMNS + i] = Int64GetDatum((int64) read_counter(&row->slot->counters[i]));
	for (int i = 0; i < SS_GAUGES; i++)
		values[FIXED_COLUMNS + SS_COUNTERS + i] = Int64GetDatum((int64) read_counter(&row->slot->gauges[i]));
	return heap_form_tuple(descriptor, values, nulls);
}

/*
 * dispatcher_stats returns a row per database that is to have a dispatcher
 * or had one since the server's start; the columns' order is that of the
 * enums in shmem.h.
 */
Datum
dispatcher_stats(PG_FUNCTION_ARGS)
{
	FuncCallContext *call;
	StatRows   *answer;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc	descriptor;

		call = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(call->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE ||
			descriptor->natts != ALL_COLUMNS)
			elog(ERROR, "dispatcher_stats has an unexpected result type");
		call->tuple_desc = BlessTupleDesc(descriptor);
		answer = collect();
		call->user_fctx = answer;
		call->max_calls = answer->n;
		MemoryContextSwitchTo(old);
	}
	call = SRF_PERCALL_SETUP();
	answer = call->user_fctx;
	if (call->call_cntr < call->max_calls)
	{
		HeapTuple	tuple = form_row(&answer->rows[call->call_cntr], call->tuple_desc);

		SRF_RETURN_NEXT(call, HeapTupleGetDatum(tuple));
	}
	SRF_RETURN_DONE(call);
}

/* launcher_pid returns the launcher's process id, NULL while none runs. */
Datum
launcher_pid(PG_FUNCTION_ARGS)
{
	SsDatabase *slots = palloc0(ss_max_databases * sizeof(SsDatabase));
	SsLaunch   *launches = palloc0(ss_max_databases * sizeof(SsLaunch));
	int			ignored;
	pid_t		pid = shmem_read(slots, &ignored, launches, &ignored);

	if (pid == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32((int32) pid);
}
