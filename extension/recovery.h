/*
 * recovery.h
 *		Whether this cluster's data came out of a backup.
 */
#ifndef STORESYNC_RECOVERY_H
#define STORESYNC_RECOVERY_H

#include "storesync.h"

/*
 * Look, once a process: with at_start, which is in the postmaster before
 * recovery begins, for the marks of a backup. Raises FATAL there when the
 * finding cannot be written down, ERROR elsewhere when it cannot be read.
 */
extern void recovery_init(bool at_start);

/* Number of the last recovery from a backup, 0 for none: random, so that no two recoveries share one. */
extern int64 recovery_id(void);

#endif
