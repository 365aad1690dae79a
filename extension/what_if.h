/*
 * what_if.h
 *		A period's orders of one SKU, replayed in memory with given settings
 *		(docs/what-if.md). Between what_if.c, which reads and answers, and
 *		what_if_replay.c, which replays: no tables, no clock, nothing shared.
 */
#ifndef STORESYNC_WHAT_IF_H
#define STORESYNC_WHAT_IF_H

#include "storesync.h"

/* A listing in a replay: its settings, what it shows, and what came of it. Counts are units of the SKU. */
typedef struct ReplayListing
{
	int64		listing_id;
	int64		sku_id;
	int			store_id;
	int			priority;
	int			pack;
	Datum		share;			/* numeric */
	int64		buffer;
	int64		most;			/* the smaller of cap and the platform's largest quantity */
	bool		managed;		/* written by us; another's orders are taken as they were */
	bool		gives_back;		/* its platform raises what is shown when an order is cancelled */
	int64		fetch_us;		/* from an order's placing to its booking */
	int64		write_us;		/* from a change to its showing */
	int64		poll_us;
	int64		safety_stock;	/* of its SKU, as is what follows */
	int64		solo_below;
	int64		opening;		/* units available when the period begins */

	int64		shown;			/* sold units */
	int64		acked;
	TimestampTz written_at;
	int64		ordered_after;	/* own units booked that were ordered after the write */
	int64		cancelled_after;
	TimestampTz write_at;		/* of the write that is to come; DT_NOEND: none */

	int64		demanded;
	int64		sold;
	int64		oversold;
	int64		lost;
	int64		out_of_stock;
	int64		writes;
} ReplayListing;

/* A line that was ordered in the period; lines are in the order in which they were placed. */
typedef struct ReplayLine
{
	int64		sku_id;
	int64		listing_id;
	int64		order_id;
	int			pack;
	int64		qty;			/* sold units */
	int64		cancelled_qty;
	TimestampTz ordered_at;
	TimestampTz cancelled_at;	/* DT_NOEND: never */
	bool		accepted;		/* in this replay */
} ReplayLine;

/* A movement of stock by anything but these lines. */
typedef struct ReplayMove
{
	int64		sku_id;
	TimestampTz at;
	int64		units;
} ReplayMove;

/* One SKU; all of its listings, by id. */
typedef struct Replay
{
	TimestampTz since;
	TimestampTz until;
	int			n_listings;
	ReplayListing *listings;
	int			n_lines;
	ReplayLine *lines;
	int			n_moves;
	ReplayMove *moves;
} Replay;

/* Replays the period: fills in what came of each listing. Leaves garbage in the current context. */
extern void what_if_replay(Replay *replay);

#endif
