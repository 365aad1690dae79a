/*
 * reread.h
 *		Orders read again by their age, for platforms that do not say which
 *		orders have changed: which day is read next, and which orders a regular
 *		fetch need not read because it has.
 *
 * In the memory of the dispatcher; what is forgotten is read once more.
 */
#ifndef STORESYNC_REREAD_H
#define STORESYNC_REREAD_H

#include "storesync.h"

#include "utils/hsearch.h"

/* Today is 0. What has not changed by then changes without us. */
#define REREAD_DAYS	31

typedef struct Reread
{
	bool		started;
	TimestampTz walked[REREAD_DAYS];	/* by a day's age: when its last walk began */
	bool		walking;		/* a day has pages left */
	TimestampTz day;			/* its first moment */
	char		cursor[64];		/* of its next page */
	TimestampTz not_before;		/* after a failure */
	int			failures;
	HTAB	   *met;			/* hashes of orders that were booked; NULL for none */
} Reread;

typedef struct DispatchStore DispatchStore;

/* When the next page is due; DT_NOEND where the platform lists orders by their last change. */
extern TimestampTz reread_due(const DispatchStore *store);
/* Begin that page: the window of its day, and its cursor. */
extern void reread_begin(DispatchStore *store, TimestampTz now, TimestampTz *from, TimestampTz *to, const char **cursor);
/* It is booked; `next_cursor` NULL: it was the last of its day. */
extern void reread_ended(DispatchStore *store, const char *next_cursor);
extern void reread_failed(DispatchStore *store, TimestampTz now);

/* The order has been booked; and whether it was, as far as is remembered. */
extern void reread_meet(DispatchStore *store, uint64 order);
extern bool reread_met(const DispatchStore *store, uint64 order);

#endif
