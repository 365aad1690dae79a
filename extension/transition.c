/*
 * transition.c
 *		Looks through the transition tables of an UPDATE without a statement.
 *
 * A stop of everything raises the revision of every listing and changes
 * nothing else: the triggers on UPDATE ask here first, since for a statement
 * to find that out each row has to be made jsonb, twice, which takes ten
 * times as long as the UPDATE.
 */
#include "transition.h"

#include "executor/executor.h"
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

/* looked_at tells for each column whether a change of it matters. */
static bool *
looked_at(TupleDesc desc, const char *const *besides)
{
	bool	   *matters = palloc(desc->natts * sizeof(bool));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		matters[i] = !attribute->attisdropped && !transition_is_named(NameStr(attribute->attname), besides);
	}
	return matters;
}

static bool
rows_differ(TupleTableSlot *old, TupleTableSlot *new, const bool *matters)
{
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

/* The executor adds to both tables as it updates a row, so their rows come in pairs. */
bool
transition_differs(const TriggerData *trigger, const char *const *besides)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool	   *matters = looked_at(desc, besides);
	int			old_pointer = open_rows(trigger->tg_oldtable);
	int			new_pointer = open_rows(trigger->tg_newtable);
	TupleTableSlot *old = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	TupleTableSlot *new = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	bool		differs = false;

	while (!differs && next_row(trigger->tg_oldtable, old_pointer, old) &&
		   next_row(trigger->tg_newtable, new_pointer, new))
		differs = rows_differ(old, new, matters);
	ExecDropSingleTupleTableSlot(old);
	ExecDropSingleTupleTableSlot(new);
	pfree(matters);
	return differs;
}
