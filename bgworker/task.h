/*
 * task.h
 *		Tasks that somebody asked for by enqueue(), as the dispatcher knows
 *		them: from when they are due until they are closed.
 *
 * Called by a round, in this order, with SPI connected, as the owner.
 */
#ifndef STORESYNC_BGWORKER_TASK_H
#define STORESYNC_BGWORKER_TASK_H

#include "set.h"

extern void task_init(void);
/* At a start: those of another life of the data are written anew. */
extern void task_renew(void);
/* (Re)read open tasks: of one store, or of all with store_id 0. */
extern void task_load(int store_id);
/* These tasks, rows of (id, when), have been committed. */
extern void task_take(SsSet *ids);
/* Take up what is due; listings to be compared because of it are added to `again`. */
extern void task_begin(TimestampTz now, SsSet *again);
/* Look at what has been taken up, listings in `again` have just been compared; write what came of it. */
extern void task_settle(TimestampTz now, const SsSet *again);
/* When there is something to do next; DT_NOEND for never. */
extern TimestampTz task_due(void);

#endif
