/*
 * read_back.h
 *		Reading what shops show, where it is not known or somebody asks.
 *		docs/read-back.md has the rules.
 *
 * A read is no write: it has the lane of listing work, and one is under way
 * a store. What it finds counts as if the platform had acknowledged it at
 * that moment, unless a write of the same listing began meanwhile: then it
 * says nothing and is repeated.
 */
#ifndef STORESYNC_READ_BACK_H
#define STORESYNC_READ_BACK_H

#include "storesync.h"

#include "listing_read.h"
#include "platform.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;

/* Lives in its DispatchStore. Zeroed: nothing to read. */
typedef struct StoreReads
{
	int			waiting;		/* listings to be read */
	bool		flying;			/* a read is under way */
	int			failures;		/* in a row */
	TimestampTz due;			/* of the next one after a failure */
} StoreReads;

extern void read_back_init(void);

/*
 * The listing is in doubt and may have to be raised: whether that waits for a
 * read, which is asked for. False where the platform has none, or none came.
 */
extern bool read_back_first(DispatchStore *store, const ListingTerms *listing);
/* Somebody wants a listing read: with the commit of this round at the earliest. False: it does not exist. */
extern bool read_back_ask(DispatchStore *store, int64 listing_id);
/* A read that was asked for has ended, in this round: its class, and what it said or why it did not. */
extern bool read_back_ended(int64 listing_id, OutcomeClass *class, const char **detail);
/* A write of the listing leaves: a read under way says nothing. */
extern void read_back_disturb(int64 listing_id);

/* When the store's next read may be built; DT_NOEND for never or while one is under way. */
extern TimestampTz read_back_due(const DispatchStore *store);
extern void read_back_build(DispatchStore *store);
/* An answer has come: what it says is locked of the listings is noted, in a transaction of its own. */
extern void read_back_answered(DispatchCall *call);
/* Record the call; the listings that it was about are compared again. */
extern void read_back_settle(DispatchCall *call, Record *record);
/* The call could not be started. */
extern void read_back_return(DispatchCall *call);
/* At the end of a round: who asked has looked. */
extern void read_back_sweep(TimestampTz now);

#endif
