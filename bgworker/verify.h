/*
 * verify.h
 *		Reading shops for compensate(): docs/compensate.md has the rules.
 *
 * The table verify_item says which listings of a store are still to be read,
 * sql/68_verify.sql what a reading means. Here portions of them are read, one
 * call at a time a store, in the lane of listing work, for as long as the
 * session that called compensate() waits for it.
 */
#ifndef STORESYNC_VERIFY_H
#define STORESYNC_VERIFY_H

#include "storesync.h"

#include "platform.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;
typedef struct SsSet SsSet;
struct Reading;

/* Lives in its DispatchStore. Zeroed: nothing is read. */
typedef struct StoreVerify
{
	enum
	{
		VERIFY_NONE,
		VERIFY_READS,
		VERIFY_ENDED			/* until the task has looked */
	}			phase;
	int64		task_id;
	TimestampTz until;			/* the end of its night; DT_NOEND: it is read at another time */
	TimestampTz look_due;		/* of the next portion */
	int64		place;			/* of the last listing of a portion */
	struct Reading *readings;	/* NULL: none was ever needed */
	int			n;
	int			n_waiting;		/* of these, still to be read */
	int			n_doubtful;		/* of these, read and waiting for orders */
	TimestampTz wants_through;	/* through when; 0: none waits */
	bool		flying;			/* a call is under way */
	bool		alone;			/* a batch was refused: one by one */
	int			failures;		/* in a row */
	TimestampTz due;			/* of the next call after a failure */
	char		detail[120];	/* of VERIFY_ENDED */
} StoreVerify;

/* A task asks for a store to be read: false when it is not its turn yet. SPI connected. */
extern bool verify_ask(DispatchStore *store, int64 task_id);

/*
 * In each round, after calls are settled and orders noted: judge what was
 * read, fetch the next portion. Listings to be compared are added to `again`.
 * SPI connected.
 */
extern void verify_round(TimestampTz now, SsSet *again);
/* When a round is needed for it though no call has ended. */
extern TimestampTz verify_round_due(void);

/* For work.c. */
extern bool verify_own(const DispatchCall *call);
extern TimestampTz verify_due(const DispatchStore *store);
extern void verify_build(DispatchStore *store);
extern void verify_settle(DispatchCall *call, Record *record);
extern void verify_return(DispatchCall *call);

#endif
