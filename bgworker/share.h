/*
 * share.h
 *		How many calls of each platform's application went well, by day: what
 *		platforms judge an application by.
 */
#ifndef STORESYNC_SHARE_H
#define STORESYNC_SHARE_H

#include "storesync.h"

/* A call was answered, or was not. */
extern void share_count(const char *platform, TimestampTz at, bool ok);
/* When what was counted has to be stored; DT_NOEND while there is nothing. */
extern TimestampTz share_due(void);
/* Add it to the table call_day. SPI connected, as the owner. */
extern void share_store(void);

#endif
