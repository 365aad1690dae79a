/*
 * lost.h
 *		Notifications that a platform could not deliver: asked for, taken as if
 *		they had come, and confirmed. docs/push.md has the rules.
 *
 * The calls are the application's. One of its stores, the first that makes
 * calls, carries them and gives its budget for them.
 */
#ifndef STORESYNC_LOST_H
#define STORESYNC_LOST_H

#include "record.h"

/* For the table of work.c. */
extern TimestampTz lost_due(const DispatchStore *store);
extern void lost_build(DispatchStore *store);
extern void lost_answered(DispatchCall *call);
extern void lost_settle(DispatchCall *call, Record *record);
extern void lost_return(DispatchCall *call);

#endif
