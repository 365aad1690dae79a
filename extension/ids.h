/*
 * ids.h
 *		A growing list of ids: gathered with repeats, then sorted in the order
 *		in which rows of SKUs are locked.
 */
#ifndef STORESYNC_IDS_H
#define STORESYNC_IDS_H

#include "storesync.h"

/* `capacity` is at least 1, and `ids` palloc'd with that much room. */
typedef struct IdList
{
	int			n;
	int			capacity;
	int64	   *ids;
} IdList;

extern void ids_add(IdList *list, int64 id);
/* Sort, each id once. */
extern void ids_sort(IdList *list);

#endif
