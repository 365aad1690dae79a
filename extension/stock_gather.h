/*
 * stock_gather.h
 *		The movements of a stretch of time, gathered from the ledger in portions.
 */
#ifndef STORESYNC_STOCK_GATHER_H
#define STORESYNC_STOCK_GATHER_H

#include "storesync.h"

/* A row of the ledger, as far as it matters here. */
typedef struct StockMovement
{
	int64		sku_id;
	int64		second;			/* of its recorded_at, by PostgreSQL's epoch */
	int64		on_hand_delta;
	int64		reserved_delta;
	bool		sells;			/* at a sellable location */
	char		kind;			/* MovementKind, MOVE_ADJUST for all that has no column of its own */
} StockMovement;

typedef struct StockStretch
{
	int64		since;			/* seconds: [since, until) */
	int64		until;
	bool		whole;			/* not to be cut short, whatever it takes */
	int			most;			/* about as many movements else, 1 at least */
} StockStretch;

/* What is gathered of a stretch so far; kept by stock_gather.c from call to call. */
typedef struct StockGathered
{
	bool		complete;
	int64		until;			/* where it was cut short, else as asked */
	int64		older;			/* rows older than since in since's partition */
	int			n;
	StockMovement *moves;		/* when complete by SKU, then by second */
} StockGathered;

/*
 * Gather more of a stretch, until all is there or *budget (rows looked at) is
 * used up. SPI connected, as the owner. Another stretch than in the call
 * before, other locations that sell or another set of partitions begin anew.
 */
extern const StockGathered *stock_gather(const StockStretch *stretch, int64 *budget);
/* Of the rows gathered, and those older: how many lie in until's partition. */
extern int64 stock_gathered_behind(void);
/* Let go of what was gathered. */
extern void stock_gather_drop(void);

#endif
