/*
 * queue_internal.h
 *		What queue.c (listings, items, calls) and queue_place.c (where those
 *		in no call wait) share. Nobody else includes it.
 */
#ifndef STORESYNC_QUEUE_INTERNAL_H
#define STORESYNC_QUEUE_INTERNAL_H

#include "queue.h"

extern void queue_init_places(MemoryContext in);

/* Take a listing out of the lane, list or heap that its state stands for; its state is then to be set anew. */
extern void queue_unlink(QueueListing *listing);
/* The same of one that is in a lane. */
extern void queue_leave_lane(QueueListing *listing);
/* Put an unlinked listing where it belongs now; `due` 0 is at once. */
extern void queue_place(QueueListing *listing, TimestampTz due);
/* The listing whose item the next call is for; NULL for none. */
extern QueueListing *queue_first(QueueLanes *lanes, bool decrease, TimestampTz now);

#endif
