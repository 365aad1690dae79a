/*
 * transition.h
 *		What an UPDATE statement changed, as its statement triggers see it.
 */
#ifndef STORESYNC_TRANSITION_H
#define STORESYNC_TRANSITION_H

#include "storesync.h"

#include "commands/trigger.h"

/*
 * Whether the statement, an UPDATE with transition tables for old and new rows
 * of a table without partitions, changed a column other than those named
 * (ended by NULL) of any row, bytewise. Allocates in the current context.
 */
extern bool transition_differs(const TriggerData *trigger, const char *const *besides);

/* Whether a name is among those (ended by NULL). */
extern bool transition_is_named(const char *name, const char *const *names);

#endif
