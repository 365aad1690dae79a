/*
 * feed.h
 *		Reading the outbox: what has committed since the last look.
 */
#ifndef STORESYNC_FEED_H
#define STORESYNC_FEED_H

#include "set.h"

/* Subjects that one look hands on singly; beyond it everything is compared. */
#define FEED_MAX 10000

typedef struct Feed
{
	SsSet	   *skus;			/* (id, when) of stock rows */
	SsSet	   *listings;		/* (id, when) of listing rows */
	SsSet	   *stores;			/* (id, when) of store rows */
	SsSet	   *tasks;			/* (id, when) of task rows */
	bool		orders;			/* orders that have come to be parked, or more that can be taken up */
	bool		everything;		/* a platform row, or too many to name */
} Feed;

/* Look from here on: all that committed before is found by comparing tables. SPI connected, as the owner. */
extern void feed_start(void);
/* What committed since the last look. What it holds lives in `context`. SPI connected, as the owner. */
extern void feed_read(Feed *feed, MemoryContext context);
/* The cursor has moved past rows since it was last stored, and this is when it has to be; DT_NOEND if not. */
extern TimestampTz feed_store_due(void);
/* Store the cursor in the table consumer. SPI connected, as the owner. */
extern void feed_store(void);

#endif
