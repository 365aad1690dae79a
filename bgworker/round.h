/*
 * round.h
 *		The dispatcher's rounds: when the next one has work, and doing it.
 */
#ifndef STORESYNC_ROUND_H
#define STORESYNC_ROUND_H

#include "storesync.h"

extern void round_init(void);
/* Somebody committed; or everything is to be read and compared again. */
extern void round_ask(bool committed, bool everything);
/* When the next round has work; a time gone by, or 0, is now. */
extern TimestampTz round_due(void);
/* Do what there is to do; now is the present moment. Not called inside a transaction. */
extern void round_run(TimestampTz now);

#endif
