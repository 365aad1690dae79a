/*
 * task_internal.h
 *		A task in memory, for task.c, which keeps it, and task_do.c, which does
 *		it.
 */
#ifndef STORESYNC_TASK_INTERNAL_H
#define STORESYNC_TASK_INTERNAL_H

#include "storesync.h"

#include "lib/ilist.h"
#include "lib/pairingheap.h"

#include "set.h"
#include "stores.h"

/* Longest name of a kind, with its end. */
#define KIND_BYTES		24

typedef enum TaskPhase
{
	TASK_WAITING,				/* in the heap, until `due` */
	TASK_READY,					/* due; its store may not do it now */
	TASK_RUNNING				/* taken up */
} TaskPhase;

typedef struct Task
{
	int64		id;				/* hash key */
	DispatchStore *store;
	TaskSort	sort;
	char		kind[KIND_BYTES];
	int64		listing_id;		/* 0: of no listing */
	TaskPhase	phase;
	TimestampTz due;
	int			attempts;
	bool		told;			/* an event says that it has been taken up */
	bool		look;			/* at its listing, in this round */
	bool		reads;			/* its listing is being read */
	uint64		refresh;		/* the number of the refresh that it waits for, 0 for none */
	dlist_node	node;			/* of ready or running */
	pairingheap_node heap;
} Task;

/* The ends of a task: it is forgotten, its event is written with the round. */
extern void task_close_done(Task *task, const char *detail);
extern void task_close_dead(Task *task, OutcomeClass class, const char *reason);
/* A try failed: later again, longer each time, or given up. `attempt`: record_attempt_text(), NULL for none. */
extern void task_fail(Task *task, TimestampTz now, OutcomeClass class, const char *reason, const char *attempt);
/* It has been taken up: an event says so, once for each time, before its first call leaves. */
extern void task_tell(Task *task);

/* Look at the listings of tasks under way: of all, or of those in `again`. */
extern void task_settle_pushes(dlist_head *running, const SsSet *again, bool all);
/* Hand what the payload says to the store's fetching. False: the task is not open any more. */
extern bool task_ask_fetch(Task *task);
extern void task_settle_fetch(Task *task, TimestampTz now);
extern void task_settle_refresh(Task *task, TimestampTz now);
extern void task_settle_read(Task *task, TimestampTz now);

#endif
