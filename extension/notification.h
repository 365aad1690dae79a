/*
 * notification.h
 *		What platforms have told us without being asked: kept, and looked into.
 *		docs/push.md has the rules.
 */
#ifndef STORESYNC_NOTIFICATION_H
#define STORESYNC_NOTIFICATION_H

#include "storesync.h"

#include "platform.h"

typedef enum NotificationResult
{
	NOTIFICATION_TAKEN,
	NOTIFICATION_KNOWN,			/* the same one was taken before: nothing was done */
	NOTIFICATION_NO_SHOP		/* of a shop that is none of our stores */
} NotificationResult;

/*
 * Take a genuine notification: keep it, once, and ask for what it is a hint
 * at. store_id: whose keys it was signed with, 0 where the hint names the
 * shop. SPI connected, as the owner (ss_enter); no statement may be reading
 * the table. Raises what enqueue() raises for a store that is being removed.
 */
extern NotificationResult notification_take(const Platform *platform, int store_id, const PushHint *hint);

/*
 * Take the notifications that a platform says were lost: `documents` is what
 * CALL_LOST_PUSHES answered. Those that say nothing readable, or are of other
 * shops, are left out. Returns how many were new. As notification_take.
 */
extern int	notification_take_lost(const Platform *platform, const char *documents);

/*
 * Count a notification that was refused, by its reason, a constant text. A
 * flood writes a row a second and backend, into as many rows as there are
 * reasons. SPI connected, as the owner.
 */
extern void notification_refused(const Platform *platform, const char *reason);

#endif
