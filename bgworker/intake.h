/*
 * intake.h
 *		Orders in: each store's list of orders, documents of what it names,
 *		booked page by page. intake.c makes the calls, intake_walk.c knows what
 *		is walked next and how far, intake_book.c books what came.
 */
#ifndef STORESYNC_INTAKE_H
#define STORESYNC_INTAKE_H

#include "record.h"

/* ---- for the rounds (work.c) */

/* When the store's next fetching call is due; DT_NOEND while one is under way or none is to be made. */
extern TimestampTz intake_due(const DispatchStore *store);
/* The platform is back: what failed is tried again at once. */
extern void intake_hasten(DispatchStore *store);
/* From one regular fetch to the next, as it is now; microseconds. */
extern int64 intake_interval(const DispatchStore *store);
/* Build the next call and hand it over. */
extern void intake_build(DispatchStore *store);
/*
 * A call was answered, of a fetch or of whoever else reads orders: its documents are booked, in a transaction of its own,
 * which holds the locks of stock and nothing else. Not called inside one. A
 * failure becomes the call's outcome.
 */
extern void intake_answered(DispatchCall *call);
/* Record the call and go on to the next step. */
extern void intake_settle(DispatchCall *call, Record *record);
/* The call could not be started: it is due again. */
extern void intake_return(DispatchCall *call);

/* ---- walks: a window of time, its pages, and of each page the orders in batches */

/* Begin the walk whose turn it is. */
extern void intake_begin(DispatchStore *store, TimestampTz now);
/* n more orders of the page are done, none with 0: go on to the next page, window or walk where it was the last. */
extern void intake_advance(DispatchStore *store, int n, Record *record);
/* Leave a walk that is not regular: the next regular one is due when it was before. */
extern void intake_leave(DispatchStore *store);
/* Whether the cursor moves to the window's end once the next n orders of the page are done. */
extern bool intake_ends_window(const StoreIntake *intake, int n);

/* Whether the order could not be booked lately. */
extern bool intake_was_given_up(const StoreIntake *intake, const char *order_sn);

#endif
