/*
 * rotation.h
 *		Days of the outbox, and of the events of tasks, that nobody needs any
 *		more: dropped without anybody waiting for it.
 */
#ifndef STORESYNC_ROTATION_H
#define STORESYNC_ROTATION_H

#include "storesync.h"

/*
 * Carry open tasks forward and drop what can go. Not called inside a
 * transaction; waits for no lock longer than 100 ms. Returns when to come
 * again: soon when somebody was in the way.
 */
extern TimestampTz rotation_run(TimestampTz now);

#endif
