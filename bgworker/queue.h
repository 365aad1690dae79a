/*
 * queue.h
 *		Listings that wait for a call, in the memory of one dispatcher: per
 *		store two lanes (decreases, raises), each oldest change first.
 *
 * The queue is a cache of "which listings are dirty": whatever it forgets is
 * found again by comparing tables. So it has a bound and may refuse; the
 * dispatcher then compares again once there is room.
 *
 * A listing is in exactly one state. Legal ways: ready, waiting and blocked
 * to one another as target.c says; ready to flying by queue_take; flying to
 * landed by queue_land; landed to any other, or forgotten, by the comparison
 * that follows each outcome.
 */
#ifndef STORESYNC_QUEUE_H
#define STORESYNC_QUEUE_H

#include "storesync.h"

#include "lib/ilist.h"
#include "lib/pairingheap.h"

#include "platform.h"

/* Listings that one dispatcher remembers. */
#define QUEUE_MAX			200000
/* A listing that has failed this often goes to the table compensation. */
#define QUEUE_MAX_ATTEMPTS	10

typedef enum QueueState
{
	QUEUE_READY,				/* in a lane */
	QUEUE_WAITING,				/* in the heap, until `due` */
	QUEUE_BLOCKED,				/* its item has a call under way */
	QUEUE_FLYING,				/* in that call */
	QUEUE_LANDED				/* call answered, not yet compared again */
} QueueState;

/* What one try came to, kept for the story of a listing that goes to compensation. */
typedef struct QueueAttempt
{
	TimestampTz at;
	OutcomeClass class;
	int			http_status;
	int			curl_code;
	char		reason[120];
} QueueAttempt;

/* One item of one store: what a stock call writes, so at most one call at a time. */
typedef struct QueueItem
{
	int			store_id;		/* these two are the hash key */
	char	   *item_id;
	bool		flying;
	dlist_head	listings;		/* QueueListing.sibling */
} QueueItem;

/* Of one store; lives in its DispatchStore. */
typedef struct QueueLanes
{
	dlist_head	decreases;		/* QueueListing.lane */
	dlist_head	raises;
} QueueLanes;

typedef struct QueueListing
{
	int64		listing_id;		/* hash key */
	QueueLanes *lanes;
	QueueItem  *item;
	QueueState	state;
	bool		decrease;
	TimestampTz changed_at;		/* of the oldest change it carries */
	TimestampTz changed_again_at;	/* of the oldest change since its call was built, 0 for none */
	TimestampTz due;			/* while waiting */
	uint32		seen;			/* of the last sweep that found it dirty */
	int			attempts;
	QueueAttempt *story;		/* NULL, or QUEUE_MAX_ATTEMPTS of which `attempts` are filled */
	dlist_node	lane;
	dlist_node	sibling;
	pairingheap_node heap;
} QueueListing;

extern void queue_init(void);
extern void queue_init_lanes(QueueLanes *lanes);
extern bool queue_lanes_empty(const QueueLanes *lanes);

/*
 * The listing is dirty: remember it, or what is new of it. `due` 0 is at
 * once. False when the queue is full and the listing was not in it.
 */
extern bool queue_put(QueueLanes *lanes, int store_id, const char *item_id, int64 listing_id,
					  bool decrease, TimestampTz changed_at, TimestampTz due);
extern QueueListing *queue_find(int64 listing_id);
/* The listing is not dirty: forget it, unless it is in a call. */
extern void queue_drop(int64 listing_id);

/*
 * The oldest decrease (raise, when `raise`), and with it all ready listings of
 * the same item, at most max, as flying. Returns how many; the lane must not
 * be empty.
 */
extern int	queue_take(QueueLanes *lanes, bool raise, QueueListing **taken, int max);
/* The call that carries them has ended or was never made: they are landed, their item is free again. */
extern void queue_land(QueueListing **taken, int n);
/* Of a taken listing: it need not be sent after all. The others' call goes on without it. */
extern void queue_withdraw(QueueListing *listing);
/* Of a landed listing, ready again: nothing was sent. */
extern void queue_return(QueueListing *listing);
/* After a failed try; the story remembers it. */
extern void queue_failed(QueueListing *listing, const QueueAttempt *attempt);
/* After a good one; what changed since the call was built keeps its age. */
extern void queue_succeeded(QueueListing *listing, TimestampTz now);

/* Listings whose time has come become ready. */
extern void queue_release_due(TimestampTz now);
/* When the next one's time comes; DT_NOEND for never. */
extern TimestampTz queue_next_due(void);

/* A sweep forgets all listings of the lanes (NULL: of all) that were not put since queue_sweep_begin. */
extern void queue_sweep_begin(void);
extern void queue_sweep_end(const QueueLanes *lanes);

extern int	queue_count(void);
extern int	queue_waiting(void);
extern int	queue_flying(void);

#endif
