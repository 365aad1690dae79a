/*
 * transition.h
 *		What an UPDATE statement changed, as its statement triggers see it.
 */
#ifndef STORESYNC_TRANSITION_H
#define STORESYNC_TRANSITION_H

#include "storesync.h"

#include "commands/trigger.h"
#include "executor/tuptable.h"

/* The rows that one UPDATE changed, of a table without partitions: before and after, side by side. */
typedef struct Transition
{
	const TriggerData *trigger;
	int			old_pointer;	/* where it stands in the transition tables */
	int			new_pointer;
	TupleTableSlot *old;		/* the pair at hand */
	TupleTableSlot *new;
} Transition;

/* The trigger that called; an error when none did. */
extern TriggerData *transition_trigger(FunctionCallInfo fcinfo);

/* Go through the pairs of a trigger with both transition tables, in the order of their change. */
extern void transition_begin(Transition *transition, const TriggerData *trigger);
extern bool transition_next(const Transition *transition);
extern void transition_end(const Transition *transition);

/* Of each column, whether it is named (besides: whether it is not); names end with NULL. */
extern bool *transition_columns(TupleDesc desc, const char *const *names, bool besides);

/* Whether one of these columns differs in the pair at hand, bytewise. */
extern bool transition_row_differs(const Transition *transition, const bool *matters);

/* An int or bigint that is not null. */
extern int64 transition_int(TupleTableSlot *slot, int column);

/* Sorts and drops what is there twice; returns how many are left. */
extern int	transition_sort_ids(int64 *ids, int n);

/*
 * Whether the statement changed a column other than those named (ended by
 * NULL) of any row. Allocates in the current context, as do the others.
 */
extern bool transition_differs(const TriggerData *trigger, const char *const *besides);

/*
 * The keys of the rows in which a column that is named (besides: one that is
 * not) changed, ascending. The key is the table's first column, int or bigint.
 */
extern int64 *transition_ids(const TriggerData *trigger, const char *const *names, bool besides, int *n);

/* Whether a name is among those (ended by NULL). */
extern bool transition_is_named(const char *name, const char *const *names);

#endif
