/*
 * due.h
 *		What becomes due with time or with the catalogue, and no platform says
 *		so: reservations and holds that are over, parked lines that are known.
 */
#ifndef STORESYNC_DUE_H
#define STORESYNC_DUE_H

#include "storesync.h"

/* Read when the next reservation or hold is over. SPI connected, as the owner, inside a round. */
extern void due_look(void);
/* Orders or listings have changed: parked lines may have become known. */
extern void due_ask(void);
/* When there is something to do; DT_NOEND for never. */
extern TimestampTz due_at(void);
/* Do a bounded part of it in a transaction of its own. */
extern void due_run(TimestampTz now);

#endif
