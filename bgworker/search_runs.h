/*
 * search_runs.h
 *		When the dispatcher packs what searches find orders by.
 */
#ifndef STORESYNC_SEARCH_RUNS_H
#define STORESYNC_SEARCH_RUNS_H

#include "storesync.h"

/* Something has changed: orders may have come. */
extern void search_ask(TimestampTz now);

/* When search_run_step() is due, DT_NOEND: not before somebody asks. */
extern TimestampTz search_due(void);

/* A step of storesync.search_step(), in a transaction of its own. */
extern void search_run_step(TimestampTz now);

#endif
