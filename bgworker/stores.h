/*
 * stores.h
 *		The stores of one database as its dispatcher knows them: where they
 *		are, what may be sent, what is under way and what they wait for.
 */
#ifndef STORESYNC_STORES_H
#define STORESYNC_STORES_H

#include "storesync.h"

#include "lib/ilist.h"

#include "host.h"
#include "lane.h"
#include "errand.h"
#include "peak.h"
#include "platform.h"
#include "price.h"
#include "queue.h"
#include "rate.h"
#include "read_back.h"
#include "reread.h"
#include "returns.h"
#include "second_look.h"
#include "ship.h"
#include "store_listings.h"
#include "store_stat.h"
#include "token.h"
#include "verify.h"

/*
 * Calls under way to one store at once: so many as long as others leave half
 * of the room free, so that a slow platform still gets its calls, else a few,
 * so that a slow store does not keep the others from theirs.
 */
#define STORE_MAX_IN_FLIGHT 16
#define STORE_FEW_IN_FLIGHT 4
/* Orders remembered as ones to be fetched alone. */
#define STORE_GIVEN_UP		32
/* A store without room for its budget asks again after this time. */
#define STORE_ROOM_WAIT_US	(60 * USECS_PER_SEC)
/* A refused credential is tried again after this time, or when it was set anew. */
#define STORE_AUTH_WAIT_US	(60 * USECS_PER_SEC)

typedef enum StoreWrites
{
	WRITES_NONE,				/* off, shadow, paused, or sending is not allowed */
	WRITES_LOWER,				/* decreases alone */
	WRITES_ALL
} StoreWrites;

/* What orders are walked for (intake_walk.c). */
typedef enum IntakeWalk
{
	WALK_REGULAR,				/* what is new: the only one that moves the cursor */
	WALK_ERRAND,				/* what a task asked for */
	WALK_REREAD,				/* a page read again by its orders' age */
	WALK_LOOK,					/* a page of an hour looked at again */
	WALKS
} IntakeWalk;

/* Where the fetching of a store's orders stands (intake.c). */
typedef struct StoreIntake
{
	enum
	{
		INTAKE_IDLE,
		INTAKE_LIST,			/* the next call asks for a page of order numbers */
		INTAKE_DETAIL			/* the next call asks for documents of the page */
	}			phase;
	IntakeWalk	walk;			/* this one, or the last one */
	IntakeWalk	side;			/* the last one that was not regular */
	bool		flying;
	TimestampTz due;			/* of the next call */
	int64		poll_us;		/* from the last regular fetch to the next; 0: none has ended yet */
	int64		news;			/* documents of this regular fetch that changed something */
	TimestampTz polled_at;		/* when this fetch began */
	TimestampTz fetched_through;	/* 0: never fetched */
	TimestampTz window_from;
	TimestampTz window_to;
	MemoryContext context;		/* of the page */
	char	   *cursor;			/* of the page */
	char	   *next_cursor;	/* NULL: the page is the last of its window */
	char	  **order_sns;
	int			n_order_sns;
	int			n_done;			/* of these, ingested or given up */
	int			alone_until;	/* order numbers before this index are fetched one by one */
	int			failures;		/* in a row */
	uint64		given_up[STORE_GIVEN_UP];	/* hashes of the last orders that could not be booked, a ring */
	int			n_given_up;		/* how many there ever were */
	bool		rejecting;		/* the last page had documents that were refused */
	Errand		errand;
	Reread		reread;
	Look		look;
	TimestampTz regular_due;	/* in a walk that is not regular: when the next regular one is due */
} StoreIntake;

/* The store's mass-change breaker (breaker.c). */
typedef struct StoreBreaker
{
	double		share;			/* of its listings that open it; 0: nothing does */
	int			least;			/* but not fewer */
	int64		window_us;
	bool		open;
	bool		was_open;		/* before it was read last */
	int			n_notes;
	dlist_head	notes;			/* oldest first */
	int64		listings;		/* of the store, at counted_at */
	TimestampTz counted_at;
} StoreBreaker;

/*
 * Tasks are kept in memory by these sorts, so that none crowds another out
 * (task.c): what is about listings may be held for hours, by a peak window or
 * the store's mode, while orders are shipped, tokens are needed by all, and a
 * night does not wait.
 */
typedef enum TaskSort
{
	TASK_LISTING,
	TASK_FETCH,
	TASK_ORDER,
	TASK_TOKEN,
	TASK_VERIFY,
	TASK_SORTS
} TaskSort;

typedef struct TaskShelf
{
	int			n;				/* tasks in memory */
	bool		more;			/* there are others in the table */
	bool		reload;			/* and one of them is due earlier than these */
	TimestampTz latest;			/* when the last of these is due */
} TaskShelf;

struct DispatchStore
{
	int			store_id;
	bool		present;		/* found by the last load */
	const Platform *platform;	/* NULL: no such platform in this build */
	MemoryContext context;		/* of the texts below */
	PlatformAccess access;
	StoreWrites writes;
	bool		fetches;
	int64		poll_us;		/* poll_interval */
	int			poll_spread;	/* how many times as often, or as seldom, it may be */
	int64		overlap_us;
	TimestampTz stock_from;
	StoreTrouble trouble;		/* each change is a line in the log */
	TimestampTz trouble_since;
	StoreStat  *stat;			/* in shared memory */
	TimestampTz waits_until;	/* no call before; with trouble */
	RateGrant	grant;			/* the last one */
	TimestampTz token_due;		/* the limiter grants nothing before */
	int			in_flight;
	bool		claims;			/* its last request for a token was refused */
	LaneState	turns;			/* whose work gets the next token */
	int			last_work;		/* the kind of work that was built last (work.c) */
	DispatchHost *host;			/* of its base URL */
	HostBreaker own;			/* of its own calls */
	bool		probing;		/* the call that is being built is a probe */
	QueueLanes	lanes;
	StoreIntake intake;
	StoreToken	token;
	StoreReads	reads;
	StoreShips	ships;
	StoreListings listings;
	StoreVerify verify;
	StoreReturns returns;
	StorePrices prices;
	StoreBreaker breaker;
	PeakHold	peaks[PEAK_KINDS];	/* what windows hold back */
	int64		peak_poll_us;	/* orders are fetched so often at least, 0: as ever */
	TimestampTz peak_due;		/* when the next of them begins or has let go, DT_NOEND for never */
	TaskShelf	tasks[TASK_SORTS];
	TimestampTz tasks_read_at;
};

/* (Re)read all stores of the database. SPI connected, as the owner. */
extern void stores_load(void);

/*
 * Whether the database is its own: no copy, or a confirmed one. A copy may be
 * a subscriber that follows its source, so it does nothing of its own accord:
 * what it wrote would meet the same rows coming from there. As of stores_load().
 */
extern bool stores_in_charge(void);

extern int	stores_count(void);
extern DispatchStore *stores_nth(int n);	/* in the order of their ids */
extern DispatchStore *stores_find(int store_id);

/* The store makes no call before `until`; one log line when the trouble is a new one. */
extern void store_trouble(DispatchStore *store, StoreTrouble trouble, TimestampTz until, const char *detail);
/* A call went well. */
extern void store_well(DispatchStore *store);
/* Tell shared memory how the store stands. */
extern void store_show(const DispatchStore *store);

#endif
