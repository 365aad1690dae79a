/*
 * queue.h
 *		Listings that wait for a call, in the memory of one dispatcher: per
 *		store two lanes, decreases by how much may be oversold, and raises,
 *		oldest change first.
 *
 * The queue is a cache of "which listings are dirty": whatever it forgets is
 * found again by comparing tables. So it has a bound and may refuse; the
 * dispatcher then compares again once there is room.
 *
 * A listing is in exactly one state. Legal ways: ready, waiting, fetching and
 * blocked to one another as target.c says; ready to flying by queue_take;
 * flying to landed by queue_land; landed to any other, or forgotten, by the
 * comparison that follows each outcome.
 */
#ifndef STORESYNC_QUEUE_H
#define STORESYNC_QUEUE_H

#include "storesync.h"

#include "lib/ilist.h"
#include "lib/pairingheap.h"

#include "http.h"
#include "platform.h"

/* Listings that one dispatcher remembers. */
#define QUEUE_MAX			200000
/* A decrease that has waited for so long gets one call in four, whatever is more urgent. */
#define QUEUE_PATIENCE_US	(10 * USECS_PER_SEC)
/* A listing that has failed this often goes to the table compensation. */
#define QUEUE_MAX_ATTEMPTS	10

typedef enum QueueState
{
	QUEUE_READY,				/* in a lane */
	QUEUE_WAITING,				/* in the heap, until `due` */
	QUEUE_FETCHING,				/* until its store's orders are fetched */
	QUEUE_BLOCKED,				/* its item has a call under way */
	QUEUE_FLYING,				/* in that call */
	QUEUE_LANDED				/* call answered, not yet compared again */
} QueueState;

/* What one try came to, kept for the story of a listing that goes to compensation. */
typedef struct QueueAttempt
{
	struct QueueAttempt *next;
	TimestampTz at;
	OutcomeClass class;
	int			http_status;
	int			curl_code;
	HttpTimes	times;
	const char *reason;
	const char *excerpt;
} QueueAttempt;

/*
 * One item of one store: what a stock call writes, so at most one call at a
 * time. Where a platform's calls take any items together it is a group of
 * them, named by what is no item's id.
 */
typedef struct QueueItem
{
	int			store_id;		/* these two are the hash key */
	char	   *item_id;
	bool		flying;
	bool		many;			/* a group: what is wrong with one listing says nothing of the others */
	uint16		max_batch;		/* listings in its next call while a refused batch is taken apart, 0: no bound */
	uint16		refused_alone;	/* single listings refused in a row meanwhile */
	dlist_head	listings;		/* QueueListing.sibling */
} QueueItem;

/* Of one store; lives in its DispatchStore. */
typedef struct QueueLanes
{
	dlist_head	decreases;		/* QueueListing.lane, oldest change first */
	pairingheap *by_urgency;	/* of the decreases, QueueListing.urgent */
	dlist_head	raises;			/* QueueListing.lane, oldest change first */
	dlist_head	fetching;		/* QueueListing.lane */
	int			n_decreases;	/* in these lists */
	int			n_raises;
	int			n_fetching;
	uint32		lowered;		/* how often a decrease was taken */
	TimestampTz fetched_through;	/* all orders up to here are committed */
	TimestampTz fetch_after;	/* the oldest of those in `fetching`, DT_NOEND for none */
} QueueLanes;

/* A dirty listing, as the comparison of tables has it. */
typedef struct QueueWant
{
	QueueLanes *lanes;			/* of its store */
	int			store_id;
	const char *item_id;
	bool		many;			/* item_id is a group's name */
	int64		listing_id;
	bool		decrease;
	TimestampTz fetch_after;	/* not before its store's orders are fetched through this; 0: at once */
	double		urgency;		/* of a decrease: the larger the sooner; infinite: before all else */
	TimestampTz changed_at;
	TimestampTz due;			/* 0: at once */
	TimestampTz held_until;		/* by a peak window, 0 for none */
} QueueWant;

typedef struct QueueListing
{
	int64		listing_id;		/* hash key */
	QueueLanes *lanes;
	QueueItem  *item;
	QueueState	state;
	bool		decrease;
	TimestampTz fetch_after;	/* the latest of its puts, while it is no decrease */
	double		urgency;
	TimestampTz changed_at;		/* of the oldest change it carries */
	TimestampTz changed_again_at;	/* of the oldest change since its call was built, 0 for none */
	TimestampTz due;			/* after a failure */
	TimestampTz held_until;		/* by a peak window */
	TimestampTz wakes;			/* while waiting: the later of the two */
	uint32		seen;			/* of the last sweep that found it dirty */
	int			attempts;
	QueueAttempt *story;		/* oldest first, `attempts` of them */
	dlist_node	lane;
	dlist_node	sibling;
	pairingheap_node heap;		/* while waiting */
	pairingheap_node urgent;	/* while ready, of a decrease */
} QueueListing;

extern void queue_init(void);
extern void queue_init_lanes(QueueLanes *lanes);
extern bool queue_has_decreases(const QueueLanes *lanes);
extern bool queue_has_raises(const QueueLanes *lanes);
/* There are decreases of infinite urgency: zeros of a stop. */
extern bool queue_has_stops(const QueueLanes *lanes);

/*
 * The listing is dirty: remember it, or what is new of it. False when the
 * queue is full and the listing was not in it.
 */
extern bool queue_put(const QueueWant *want);
extern QueueListing *queue_find(int64 listing_id);
/* The listing is not dirty: forget it, unless it is in a call. */
extern void queue_drop(int64 listing_id);

/*
 * The most urgent decrease, in every fourth call the oldest one when it has
 * waited for QUEUE_PATIENCE_US and none is infinitely urgent; or the oldest raise. With it all ready
 * listings of the same item, at most max, as flying. Returns how many.
 */
extern int	queue_take(QueueLanes *lanes, bool decrease, TimestampTz now, QueueListing **taken, int max);
/* The call that carries them has ended or was never made: they are landed, their item is free again. */
extern void queue_land(QueueListing **taken, int n);
/* No call carries listings of the item now; done by queue_land, too. */
extern void queue_release(QueueItem *item);
/* Of a taken listing: it need not be sent after all. The others' call goes on without it. */
extern void queue_withdraw(QueueListing *listing);
/* Of a landed listing, ready again: nothing was sent. */
extern void queue_return(QueueListing *listing);
/* Of a taken listing: it is landed without having been sent. The others' call goes on without it. */
extern void queue_set_back(QueueListing *listing);
/* Of a taken listing: its store's orders have to be fetched again first. The others' call goes on without it. */
extern void queue_defer(QueueListing *listing);
/* The orders of the store are committed up to there: who waited for that waits no longer. */
extern void queue_fetched(QueueLanes *lanes, TimestampTz through);

/*
 * The call with these listings of one item was refused as a whole: their next
 * call carries half of them. False when there is nothing to take apart: it
 * was one listing, or so many were refused alone in a row that it is not some
 * of them but the item.
 */
extern bool queue_split(QueueListing **refused, int n);
/* A call for the item went well: the next may carry twice as many. */
extern void queue_joined(QueueItem *item, int n);
/* A listing of the item was refused alone. */
extern void queue_refused(QueueItem *item);

/* After a failed try; the story keeps a copy. */
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
