/*
 * transition.c
 *		Looks through the transition tables of an UPDATE without a statement.
 *
 * A statement that joins them has a plan that is kept from the first change,
 * mostly of one row: a nested loop, which for an import of n rows compares
 * n * n pairs. One that groups them has to make jsonb of each row, twice,
 * which takes ten times as long as the UPDATE. Here each row is seen once.
 */
#include "transition.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/qunique.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

bool
transition_is_named(const char *name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

TriggerData *
transition_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by a trigger")));
	return (TriggerData *) fcinfo->context;
}

bool *
transition_columns(TupleDesc desc, const char *const *names, bool besides)
{
	bool	   *matters = palloc(desc->natts * sizeof(bool));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		matters[i] = !attribute->attisdropped && transition_is_named(NameStr(attribute->attname), names) != besides;
	}
	return matters;
}

bool
transition_row_differs(const Transition *transition, const bool *matters)
{
	TupleTableSlot *old = transition->old;
	TupleTableSlot *new = transition->new;
	TupleDesc	desc = old->tts_tupleDescriptor;

	slot_getallattrs(old);
	slot_getallattrs(new);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (matters[i] && (old->tts_isnull[i] != new->tts_isnull[i] ||
						   (!old->tts_isnull[i] && !datum_image_eq(old->tts_values[i], new->tts_values[i],
																   attribute->attbyval, attribute->attlen))))
			return true;
	}
	return false;
}

/* open_rows sets a read pointer of its own before a transition table's first row: others' are not moved. */
static int
open_rows(Tuplestorestate *rows)
{
	int			pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);

	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);
	return pointer;
}

static bool
next_row(Tuplestorestate *rows, int pointer, TupleTableSlot *slot)
{
	tuplestore_select_read_pointer(rows, pointer);
	return tuplestore_gettupleslot(rows, true, false, slot);
}

void
transition_begin(Transition *transition, const TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);

	transition->trigger = trigger;
	transition->old_pointer = open_rows(trigger->tg_oldtable);
	transition->new_pointer = open_rows(trigger->tg_newtable);
	transition->old = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	transition->new = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
}

/* The executor adds to both tables as it updates a row, so their rows come in pairs. */
bool
transition_next(const Transition *transition)
{
	return next_row(transition->trigger->tg_oldtable, transition->old_pointer, transition->old) &&
		next_row(transition->trigger->tg_newtable, transition->new_pointer, transition->new);
}

void
transition_end(const Transition *transition)
{
	ExecDropSingleTupleTableSlot(transition->old);
	ExecDropSingleTupleTableSlot(transition->new);
}

bool
transition_differs(const TriggerData *trigger, const char *const *besides)
{
	bool	   *matters = transition_columns(RelationGetDescr(trigger->tg_relation), besides, true);
	bool		differs = false;
	Transition	transition;

	transition_begin(&transition, trigger);
	while (!differs && transition_next(&transition))
		differs = transition_row_differs(&transition, matters);
	transition_end(&transition);
	pfree(matters);
	return differs;
}

int64
transition_int(TupleTableSlot *slot, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column, &isnull);

	Assert(!isnull);
	return TupleDescAttr(slot->tts_tupleDescriptor, column - 1)->atttypid == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

static int
compare_ids(const void *a, const void *b)
{
	int64		left = *(const int64 *) a;
	int64		right = *(const int64 *) b;

	return (left > right) - (left < right);
}

int
transition_sort_ids(int64 *ids, int n)
{
	if (n == 0)
		return 0;
	qsort(ids, n, sizeof(int64), compare_ids);
	return (int) qunique(ids, n, sizeof(int64), compare_ids);
}

int64 *
transition_ids(const TriggerData *trigger, const char *const *names, bool besides, int *n)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool	   *matters = transition_columns(desc, names, besides);
	int64	   *ids = palloc(tuplestore_tuple_count(trigger->tg_newtable) * sizeof(int64));
	int			found = 0;
	Transition	transition;

	transition_begin(&transition, trigger);
	while (transition_next(&transition))
		if (transition_row_differs(&transition, matters))
			ids[found++] = transition_int(transition.new, 1);
	transition_end(&transition);
	pfree(matters);
	*n = transition_sort_ids(ids, found);
	return ids;
}
