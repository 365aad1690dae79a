/*
 * peak.h
 *		Tasks that peak windows hold back (docs/peak.md). Raises are held where
 *		they are queued (target.c), prices and listing states where they are
 *		looked for.
 */
#ifndef STORESYNC_PEAK_H
#define STORESYNC_PEAK_H

#include "storesync.h"

/* Kinds of tasks that a window may name. */
#define PEAK_TASKS	2

typedef struct PeakHold
{
	TimestampTz until;			/* 0: not held */
	int64		spread_us;		/* over which it goes out afterwards */
} PeakHold;

typedef struct DispatchStore DispatchStore;

/* Read which windows are on; after stores_load has read the stores. SPI connected. */
extern void peak_load(void);

/* When a task of a kind may be taken up at a store: a moment that its id decides, 0 for at once. */
extern TimestampTz peak_task_due(const DispatchStore *store, const char *kind, int64 task_id);

#endif
