/*
 * dispatcher.h
 *		What the parts of the dispatcher share: its calls and its counters.
 */
#ifndef STORESYNC_DISPATCHER_H
#define STORESYNC_DISPATCHER_H

#include "call.h"
#include "shmem.h"

typedef struct Dispatch
{
	SsDatabase *slot;
	HttpEngine *engine;
	int			room;			/* calls the engine takes */
	int			in_flight;		/* calls built or under way */
	dlist_head	ready;			/* built, to be started when their commit is durable, in its order */
	int			n_ready;
	dlist_head	ended;			/* answered, to be recorded by the next round */
	int			n_ended;
	TimestampTz ended_since;	/* when the first of these came */
} Dispatch;

extern Dispatch dispatch;

/* Add to a counter of this database's slot. */
extern void dispatch_count(SsCounter counter, int64 n);
/* Count an answer by its class. */
extern void dispatch_count_answer(const DispatchCall *call);
/* The call waits to be started when the round's commit is durable. */
extern void dispatch_ready(DispatchCall *call);
/* The round has committed. */
extern void dispatch_committed(void);
/* The call has ended without having been made: its outcome is recorded by the next round. */
extern void dispatch_ended(DispatchCall *call);

/*
 * What the answer means for its store and the store's budget. True for a
 * throttle, quota or auth answer: the store waits, and the work is still there.
 */
extern bool dispatch_hold_store(const DispatchCall *call);

#endif
