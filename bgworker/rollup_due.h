/*
 * rollup_due.h
 *		Changes of sales, taken into the roll-ups by and by.
 */
#ifndef STORESYNC_ROLLUP_DUE_H
#define STORESYNC_ROLLUP_DUE_H

#include "storesync.h"

/* Something was committed that may have changed sales. */
extern void rollup_ask(TimestampTz now);
/* When there is something to do. */
extern TimestampTz rollup_due(void);
/* Do a bounded part of it in a transaction of its own. */
extern void rollup_run(TimestampTz now);

#endif
