/*
 * price.h
 *		Writing prices and listing states: which are due, the calls, and their
 *		outcomes. docs/price.md has the rules.
 *
 * The table offer holds all that is to be remembered, so that nothing here
 * need survive a restart: what has to be written, when, and the tries so far.
 * One call of this kind is under way a store.
 */
#ifndef STORESYNC_BGWORKER_PRICE_H
#define STORESYNC_BGWORKER_PRICE_H

#include "storesync.h"

#include "platform.h"
#include "set.h"

typedef struct DispatchStore DispatchStore;
typedef struct DispatchCall DispatchCall;
typedef struct Record Record;
typedef struct Feed Feed;

/* What a write would be, as offer_state.kind names it. */
typedef enum PriceKind
{
	PRICE_PRICE,
	PRICE_LIST,
	PRICE_UNLIST,
	PRICE_KINDS
} PriceKind;

/* Lives in its DispatchStore. */
typedef struct StorePrices
{
	TimestampTz due;			/* of the next write, DT_NOEND for none */
	bool		flying;			/* a call is under way */
	int			reading;		/* reads asked for and not ended, at least */
} StorePrices;

/* ---- price_look.c: what is due */

/* The stores have been read: look at all of them. SPI connected, as the owner; so are all below. */
extern void price_load(void);
/*
 * Changes have been read and outcomes recorded in this round: look at the
 * stores that they concern, and whether listings have come to zero or left it.
 */
extern void price_heed(const Feed *feed, const Record *record, bool starting, bool everything);
/* When the store's next write is due, as far as the table says. */
extern void price_look(DispatchStore *store);
/* The part of the listings whose writes of each kind may leave now: 0 none, 1 all. */
extern void price_parts(const DispatchStore *store, TimestampTz now, double parts[PRICE_KINDS]);
/* What a read of a listing said of its item, NULL: nothing. */
extern void price_read(DispatchStore *store, int64 listing_id, const ShownItem *shown);

/* ---- price.c: a kind of work (work.h) */

extern TimestampTz price_due(const DispatchStore *store);
extern void price_build(DispatchStore *store);
extern void price_return(DispatchCall *call);

/* ---- price_settle.c */

extern void price_settle(DispatchCall *call, Record *record);
/* The row of a listing has changed in this transaction: tasks that wait for it look. */
extern void price_news_add(int64 listing_id);
extern bool price_news(int64 listing_id);

/*
 * Rows of offer_state that may be written now; $1 the store, $2 to $4 the parts
 * of price, list and unlist, in the order of PriceKind.
 */
#define PRICE_OPEN \
	"v.store_id = $1 AND v.open AND NOT v.dead AND v.enabled AND v.below_floor IS NOT TRUE " \
	"AND (hashint8(v.listing_id) & 1023) < 1024 * CASE v.kind WHEN 'price' THEN $2 WHEN 'list' THEN $3 ELSE $4 END"

#endif
