/*
 * peak.h
 *		Work that peak windows hold back, and how it goes out afterwards
 *		(docs/peak.md): each listing or task at a moment that its id decides.
 */
#ifndef STORESYNC_PEAK_H
#define STORESYNC_PEAK_H

#include "storesync.h"

/* Kinds of work that a window may name. Those of prices are in the order of PriceKind. */
typedef enum PeakKind
{
	PEAK_RAISE,
	PEAK_PRICE,
	PEAK_LIST,
	PEAK_UNLIST,
	PEAK_READ_BACK,
	PEAK_FETCH_LISTINGS,
	PEAK_KINDS
} PeakKind;

typedef struct PeakHold
{
	TimestampTz until;			/* 0: not held */
	int64		spread_us;		/* over which it goes out afterwards */
} PeakHold;

typedef struct DispatchStore DispatchStore;

/* Read which windows are on and which come next; after stores_load has read the stores. SPI connected. */
extern void peak_load(void);
/* When the next peak window of any store begins, or one has let go of all: the stores have to be read again. */
extern TimestampTz peak_due(void);

/* Until when work of a kind is held at a store, for the listing or task of this id; 0 for not at all. */
extern TimestampTz peak_held_until(const DispatchStore *store, PeakKind kind, int64 id);
/* The same of a task, by its kind's name: of those that windows hold as tasks. */
extern TimestampTz peak_task_due(const DispatchStore *store, const char *kind, int64 task_id);
/* The part of work of a kind that may leave now: 0 none, 1 all. */
extern double peak_part(const DispatchStore *store, PeakKind kind, TimestampTz now);

#endif
