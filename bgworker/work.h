/*
 * work.h
 *		The kinds of work that a store's calls are for, each with its lane:
 *		what a round asks of all of them, in one table.
 *
 * A new kind is a file with these functions and a row in work.c. Pushing
 * quantities is built differently, because a token that it turns out not to
 * need goes to the next listings (round.c); its calls end here like all others.
 */
#ifndef STORESYNC_WORK_H
#define STORESYNC_WORK_H

#include "record.h"

typedef struct Work
{
	unsigned	calls;			/* CALL_BITs */
	/* Which of these calls are of this kind, where another makes them too. NULL: all that no kind above claims. */
	bool		(*own) (const DispatchCall *call);
	Lane		lane;

	/* When the store's next call of this kind may be built, 0 for at once; DT_NOEND for never. NULL: not built by work_build. */
	TimestampTz (*due) (const DispatchStore *store);
	/* Fill a call in and hand it over. A token has been taken. */
	void		(*build) (DispatchStore *store);
	/* An answer has come: hand the call on by dispatch_ended(). Outside of a transaction. NULL: nothing else is to be done. */
	void		(*answered) (DispatchCall *call);
	/* Record the call and what follows from it. In the round's transaction, SPI connected. */
	void		(*settle) (DispatchCall *call, Record *record);
	/* The call could not be started: it is due again. */
	void		(*give_back) (DispatchCall *call);
} Work;

/* When the store's next call of this lane may be built. */
extern TimestampTz work_due(const DispatchStore *store, Lane lane);
/* Build the next call of this lane; kinds that share a lane take turns. Something of it is due. */
extern void work_build(DispatchStore *store, Lane lane, TimestampTz now);
/* The kind that a call belongs to: that of its CALL_BIT, or shipping where it is about orders that are shipped. */
extern const Work *work_of(const DispatchCall *call);

/*
 * Build a call's request and have it leave after the commit: true. One that
 * cannot be built: a store whose access is to blame waits, and the call is
 * given back; any other has ended as if the platform had refused it for good.
 */
extern bool work_hand_over(DispatchCall *call);

#endif
