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

typedef struct Task Task;

/* What became of the wish to take a task up. */
typedef enum TaskBegun
{
	TASK_BEGUN,
	TASK_NOT_NOW,				/* its store may not do it; asked again in every round */
	TASK_CLOSED					/* it is closed or forgotten: not to be touched */
} TaskBegun;

/* How tasks of one kind are done: a row of the table in task_do.c. */
typedef struct TaskKind
{
	const char *name;
	TaskSort	sort;
	/* Take it up; listings to be compared because of it are added to `again`. */
	TaskBegun	(*begin) (Task *task, TimestampTz now, SsSet *again);
	/* Look, in each round, whether what was taken up has ended. NULL: its listing is looked at (task_settle_pushes). */
	void		(*settle) (Task *task, TimestampTz now);
} TaskKind;

struct Task
{
	int64		id;				/* hash key */
	DispatchStore *store;
	char		kind[KIND_BYTES];
	const TaskKind *how;
	int64		listing_id;		/* 0: of no listing */
	TaskPhase	phase;
	TimestampTz due;
	int			attempts;
	bool		told;			/* an event says that it has been taken up */
	bool		look;			/* at its listing, in this round */
	uint64		ticket;			/* of what it waits for, as its kind numbers it */
	void	   *doing;			/* likewise, as its kind remembers it */
	dlist_node	node;			/* of ready or running */
	pairingheap_node heap;
};

/* How tasks of this kind are done; for one that nobody knows, how it is given up. Never NULL. */
extern const TaskKind *task_kind(const char *name);
/* The names of all kinds, text[], and their sorts, bigint[], in the same order. */
extern Datum task_kind_names(void);
extern Datum task_kind_sorts(void);

/* The ends of a task: it is forgotten, its event is written with the round. */
extern void task_close_done(Task *task, const char *detail);
extern void task_close_dead(Task *task, OutcomeClass class, const char *reason);
/* A try failed: later again, longer each time, or given up. `attempt`: record_attempt_text(), NULL for none. */
extern void task_fail(Task *task, TimestampTz now, OutcomeClass class, const char *reason, const char *attempt);
/* It has been taken up: an event says so, once for each time, before its first call leaves. */
extern void task_tell(Task *task);

/* The elements of a text[] that a query returned, in the current context. */
extern char **task_texts(Datum array, int *n);

/* Look at the listings of pushes under way: of all, or of those in `again`. */
extern void task_settle_pushes(dlist_head *running, const SsSet *again, bool all);
/* It has come further, as the JSON object `progress` says to who takes it up again; `detail` says so to people. */
extern void task_progress(Task *task, const char *progress, const char *detail);
/* Whether another task of its store and sort is due and waits. */
extern bool task_others_wait(const Task *task);
/* It is taken up again behind the others that wait. */
extern void task_step_back(Task *task);

/* task_fetch.c: orders that a task asked for */
extern TaskBegun task_begin_fetch(Task *task, TimestampTz now, SsSet *again);
extern void task_settle_fetch(Task *task, TimestampTz now);

/* It is not open any more: nothing is to be done or written. */
extern void task_forget(Task *task);

/* ship_task.c: ship_order and cancel_order. */
extern TaskBegun ship_task_begin(Task *task, TimestampTz now, SsSet *again);
extern void ship_task_settle(Task *task, TimestampTz now);

#endif
