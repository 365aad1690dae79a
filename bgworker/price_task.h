/*
 * price_task.h
 *		The tasks push_price, list and unlist: done when the shop shows what is
 *		wanted.
 */
#ifndef STORESYNC_PRICE_TASK_H
#define STORESYNC_PRICE_TASK_H

#include "task_internal.h"

extern TaskBegun price_task_begin(Task *task, TimestampTz now, SsSet *again);
extern void price_task_settle(Task *task, TimestampTz now);

#endif
