/*
 * retry.h
 *		How long to wait before trying again.
 */
#ifndef STORESYNC_RETRY_H
#define STORESYNC_RETRY_H

#include "storesync.h"

/* Seed of the jitter, once a process. */
extern void retry_seed(uint64 seed);
/* Microseconds after the n-th failure (from 1): 1 s, doubled each time up to 5 min, give or take a quarter. */
extern int64 retry_delay_us(int failures);

#endif
