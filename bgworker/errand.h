/*
 * errand.h
 *		A fetch that tasks asked for: orders of a window, or some by their
 *		numbers, or the next regular fetch. One a store at a time, done by the
 *		state machine of intake.c in turn with the regular fetches.
 */
#ifndef STORESYNC_ERRAND_H
#define STORESYNC_ERRAND_H

#include "storesync.h"

#include "platform.h"

typedef enum ErrandState
{
	ERRAND_NONE,
	ERRAND_ASKED,				/* its walk, or its next one, has not begun */
	ERRAND_RUNNING,
	ERRAND_DONE,				/* until errand_leave */
	ERRAND_FAILED
} ErrandState;

typedef enum ErrandKind
{
	ERRAND_POLL,				/* a regular fetch that begins from now on */
	ERRAND_WINDOW,
	ERRAND_ORDERS
} ErrandKind;

typedef struct Errand
{
	ErrandState state;
	ErrandKind	kind;
	uint64		ticket;			/* its number: of what its tasks wait for */
	int			n_tasks;		/* that have not been told of its end; a window has one */
	TimestampTz from;			/* of ERRAND_WINDOW: what has not been walked yet */
	TimestampTz to;
	MemoryContext context;		/* of order_sns; NULL: none was ever needed */
	char	  **order_sns;
	int			n_order_sns;
	int			orders;			/* documents met so far */
	int			given_up;		/* of them, left to people */
	int64		piece_us;		/* of ERRAND_WINDOW: length of the piece that is walked; 0 before the first */
	int			met;			/* orders of that piece */
	bool		progressed;		/* further than its task has told */
	TimestampTz told_at;		/* when it told last */
	OutcomeClass class;			/* of ERRAND_FAILED */
	char		reason[120];
	char	   *attempt;		/* of ERRAND_FAILED: the call, as record_attempt_text() tells it; in `context` */
} Errand;

typedef struct DispatchStore DispatchStore;

/* Whether the store can be asked for anything: it has no errand, or one that tasks with orders by their numbers may join. */
extern bool errand_open(const DispatchStore *store);
/*
 * What a task wants fetched, for a store that is open. The numbers are copied.
 * A window goes on where `orders` had been met. The ticket, 0: not now, the
 * errand is of another kind or as large as a call.
 */
extern uint64 errand_ask(DispatchStore *store, ErrandKind kind,
						 TimestampTz from, TimestampTz to, int n, char **order_sns, int orders);
/* A task has been told of its end, or leaves it. True: it was the last, and the store is free for another. */
extern bool errand_leave(DispatchStore *store);

/* For intake.c: a walk of its own waits. */
extern bool errand_waits(const Errand *errand);
/* The next regular walk is to begin at once; one that is under way began before somebody asked. */
extern bool errand_wants_poll(const Errand *errand);
/* A regular walk begins, ends well, or a call of any walk failed. */
extern void errand_poll_began(Errand *errand);
extern void errand_poll_ended(Errand *errand);
extern void errand_failed(Errand *errand, OutcomeClass class, const char *reason, const char *attempt);
/* Its own walk begins: where that ends, within the widest window that the platform takes. */
extern TimestampTz errand_piece(Errand *errand, int64 widest_us);
/* So many orders of it are done. */
extern void errand_met(Errand *errand, int n);
/* The errand's own walk has ended: it is done, or asks for the next one. */
extern void errand_walked(Errand *errand, TimestampTz through);

#endif
