/*
 * second_look.h
 *		Hours whose orders have been fetched are listed again when they are
 *		older, and compared with what is booked: which hour is next, and what
 *		was found.
 *
 * For platforms that list orders by their last change; where they do not,
 * reread.c reads all of them again anyway.
 */
#ifndef STORESYNC_SECOND_LOOK_H
#define STORESYNC_SECOND_LOOK_H

#include "storesync.h"

#include "rhythm.h"

/* Numbers of missing orders that are told of an hour. */
#define LOOK_NAMES	20
#define LOOK_NAME_BYTES	72

typedef struct Look
{
	TimestampTz since;			/* hours before were never fetched by us; 0: not known yet */
	bool		loaded;			/* how far earlier looks came has been read */
	RhythmLooks looks;
	TimestampTz not_before;
	int			failures;

	/* the hour that is being looked at */
	bool		walking;
	int64		age;
	TimestampTz hour;
	char	   *cursor;			/* of its next page; in TopMemoryContext */
	int			listed;
	int			missing;		/* of these, not booked, or not as they were in that hour */
	char		names[LOOK_NAMES * LOOK_NAME_BYTES];	/* the first of them, joined by spaces */
} Look;

typedef struct DispatchStore DispatchStore;
typedef struct Record Record;

/* The ages at which hours are looked at, of the store's platform, as int8[] of microseconds, ascending. */
extern void look_set_ages(DispatchStore *store, ArrayType *ages);
/* Hours are fetched by us from `from` on; the first call counts. */
extern void look_start(DispatchStore *store, TimestampTz from);
/* Read how far earlier looks came, for stores that are new. SPI connected. */
extern void look_load(void);

/* When the next page is due; DT_NOEND for never. */
extern TimestampTz look_due(const DispatchStore *store);
extern void look_begin(DispatchStore *store, TimestampTz now, TimestampTz *from, TimestampTz *to, const char **cursor);
/* Which orders of a page have to be fetched: those that are not booked as they were in that hour. SPI connected. */
extern void look_compare(DispatchStore *store, int n, const char *const *order_sns, bool *missing);
/* The page is booked; `next_cursor` NULL: it was the hour's last. */
extern void look_ended(DispatchStore *store, TimestampTz now, const char *next_cursor, Record *record);
extern void look_failed(DispatchStore *store, TimestampTz now);

#endif
