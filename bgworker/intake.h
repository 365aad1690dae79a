/*
 * intake.h
 *		Orders in: each store's list by update time, documents of what it
 *		names, booked page by page.
 */
#ifndef STORESYNC_INTAKE_H
#define STORESYNC_INTAKE_H

#include "record.h"

/* When the store's next fetching call is due; DT_NOEND while one is under way or none is to be made. */
extern TimestampTz intake_due(const DispatchStore *store);
/* The platform is back: what failed is tried again at once. */
extern void intake_hasten(DispatchStore *store);
/* Build the next call and hand it over. */
extern void intake_build(DispatchStore *store);
/*
 * A call was answered: its documents are booked, in a transaction of its own,
 * which holds the locks of stock and nothing else. Not called inside one. A
 * failure becomes the call's outcome.
 */
extern void intake_answered(DispatchCall *call);
/* Whether the window is complete once the next n orders of the page are done. */
extern bool intake_batch_ends_window(const StoreIntake *intake, int n);
/* Whether the order could not be booked lately. */
extern bool intake_was_given_up(const StoreIntake *intake, const char *order_sn);
/* Record the call and go on to the next step. */
extern void intake_settle(DispatchCall *call, Record *record);
/* The call could not be started: it is due again. */
extern void intake_return(DispatchCall *call);

#endif
