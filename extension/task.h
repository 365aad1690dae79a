/*
 * task.h
 *		What a task asks for, checked: its kind and its payload.
 */
#ifndef STORESYNC_TASK_H
#define STORESYNC_TASK_H

#include "storesync.h"

#include "utils/jsonb.h"

/*
 * Check a task's kind and payload. Returns the listing that the payload names,
 * 0 for kinds that name none. Raises SS_ERR_BAD_TASK for an unknown kind, a
 * payload that is no object, a field that is unknown, missing or malformed,
 * and fields that exclude each other.
 */
extern int64 task_check(const char *kind, Jsonb *payload);

#endif
