/*
 * partition.h
 *		Partitions made ahead of the rows that need them (docs/partitions.md).
 */
#ifndef STORESYNC_PARTITION_H
#define STORESYNC_PARTITION_H

#include "storesync.h"

/*
 * Make sure that the partition of storesync.<parent> that holds `at` exists.
 * Cheap when it does (a bounds cache in this backend). Otherwise a plain
 * CREATE TABLE with its indexes, then ATTACH, under an advisory lock, so that
 * no writer of the parent waits. Call it before opening the parent, with SPI
 * connected, as the owner (ss_enter).
 */
extern void partition_ensure(const char *parent, TimestampTz at);

#endif
