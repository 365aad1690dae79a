/*
 * ship_internal.h
 *		What one task wants shipped or cancelled, and how far that is: between
 *		ship_task.c, which begins and ends it, ship_call.c, which makes its
 *		calls, and ship.c, which decides what comes next.
 */
#ifndef STORESYNC_SHIP_INTERNAL_H
#define STORESYNC_SHIP_INTERNAL_H

#include "ship.h"

#include "ship_read.h"
#include "stores.h"

/* Tasks of a store that are taken up at once. */
#define SHIP_ROOM		100
/* What was read so long ago is read again before anything is written. */
#define SHIP_STALE_US	(2 * USECS_PER_MINUTE)

typedef enum ShipPhase
{
	SHIP_READ,					/* how the order stands, before anything is done */
	SHIP_ASK,					/* how it may be shipped, where the platform wants to be asked */
	SHIP_WRITE,					/* ship or cancel: the order, or its next line */
	SHIP_CHECK,					/* how the order stands afterwards: the books follow from that */
	SHIP_ENDED
} ShipPhase;

/* What one writing call is about: an order, or one line where the platform takes lines. */
typedef struct ShipPart
{
	char	   *line_id;
	char	   *item_id;
	char	   *model_id;
	int64		qty;			/* units that are not cancelled */
} ShipPart;

typedef struct ShipJob
{
	dlist_node	node;			/* of its store's jobs */
	MemoryContext context;		/* of the job and its texts */
	DispatchStore *store;
	bool		cancels;		/* else it ships */
	char	   *order_sn;
	uint64		order;			/* a hash of it, never 0 */
	char	   *package;		/* NULL for none, as those below */
	char	   *carrier;
	char	   *tracking;
	char	   *reason;
	char	  **lines;			/* that the task names */
	int			n_lines;		/* 0: all of the order */
	char	  **records;		/* what the order is read by */
	int			n_records;

	ShipPhase	phase;
	bool		flying;			/* a call of it is under way */
	bool		alone;			/* it is read by a call of its own: one with others was refused */
	TimestampTz due;
	TimestampTz read_at;		/* when the order was read last */
	int			failures;		/* reads that failed, in a row */
	char	   *method;			/* SHIP_ASK's answer */
	ShipPart   *parts;			/* as the last read found it: what is to be done */
	int			n_parts;
	int			n_done;			/* of these; where the platform takes orders, all at once */
	bool		refused;		/* for good: whether it was needless is seen by SHIP_CHECK */

	/* SHIP_ENDED: OUTCOME_OK is done; and what a refusal said */
	OutcomeClass class;
	char	   *detail;			/* NULL for none */
	char	   *attempt;		/* record_attempt_text() of the call that failed, NULL for none */
} ShipJob;

/* The job has ended; the detail is copied. */
extern void ship_end(ShipJob *job, OutcomeClass class, const char *detail);
/* The order was read, at that moment; NULL: it is not among the documents. */
extern void ship_judge(ShipJob *job, const ShipOrder *order, TimestampTz now);
/* The order's goal was not found out: it cannot be read. */
extern void ship_judge_unread(ShipJob *job, const char *reason);

#endif
