/*
 * partition.h
 *		Partitions made ahead of the rows that need them (docs/partitions.md).
 */
#ifndef STORESYNC_PARTITION_H
#define STORESYNC_PARTITION_H

#include "storesync.h"

/*
 * Make sure that the partition of storesync.<parent> that holds `at` exists,
 * and that of the outbox for the hour to come. Cheap when they do (the
 * relcache's bounds). Otherwise each is made as a plain table with its
 * indexes and then attached, under one lock of this database, so that no
 * writer of a parent waits.
 *
 * Call it before opening the parent and before locking any row, with SPI
 * connected, as the owner (ss_enter). Raises SS_ERR_TIME_AHEAD beyond a day
 * ahead of the clock, 55006 when a statement of this session has the parent
 * open while a partition has to be made.
 */
extern void partition_ensure(const char *parent, TimestampTz at);

/*
 * Make all that rows from now through `until` will need, for every parent,
 * unless another session is making some at this moment: then nothing is done,
 * false is returned, and the caller comes again later. SPI connected, as the
 * owner.
 */
extern bool partition_ensure_ahead(TimestampTz until);

#endif
