/*
 * stock.h
 *		Stock of SKUs at locations: locked, read and moved here and nowhere
 *		else. stock_lock and ledger are touched by stock.c alone.
 *
 * Locking: whoever moves stock holds the stock_lock row of the place (a SKU
 * at a location) to the end of its transaction. One call locks all its
 * places in one go, in the order (sku_id, location_id), before it moves the
 * first. Orders are locked before places, never after; so is a key that
 * another request might be using for other places.
 */
#ifndef STORESYNC_STOCK_H
#define STORESYNC_STOCK_H

#include "storesync.h"

#include "key.h"

/* In the order of the SQL type movement_kind. */
typedef enum MovementKind
{
	MOVE_RECEIVE,
	MOVE_RESERVE,
	MOVE_RELEASE,
	MOVE_SHIP,
	MOVE_RESTOCK,
	MOVE_ADJUST,
	MOVE_TRANSFER
} MovementKind;

/* A SKU at a location, locked, with its balance: that of the newest ledger row and of moves not yet written. */
typedef struct StockPlace
{
	int64		sku_id;
	int32		location_id;
	int32		priority;		/* of the location: lower sells first */
	bool		sellable;
	bool		preferred;		/* 'main': takes what no place covers */
	bool		allow_backorder;
	bool		bundle;			/* the SKU is one by now, and may not be moved */
	bool		moved;			/* has ledger rows of this call */
	bool		freed;			/* more became available in this call: short lines may be filled */
	int64		on_hand;
	int64		reserved;
	int64		version;		/* 0: no ledger row yet */
	TimestampTz recorded_at;	/* of the newest ledger row */
} StockPlace;

/* One ledger row to be. */
typedef struct StockMove
{
	MovementKind kind;
	int64		sku_id;
	int32		location_id;
	int64		version;
	int64		on_hand_delta;
	int64		reserved_delta;
	int64		on_hand;
	int64		reserved;
	TimestampTz recorded_at;
	TimestampTz event_at;
	int64		order_id;		/* 0: none */
	IdempotencyKey key;
	text	   *reference;		/* NULL: none */
	text	   *reason;			/* NULL: none */
} StockMove;

typedef struct StockJournal
{
	TimestampTz now;			/* record time, raised to the place's last one */
	int			n;
	int			capacity;
	StockMove  *moves;
	bool		freed;			/* some place has freed set */
} StockJournal;

/* Make the ledger's partitions that a call starting now may need. Before any lock. */
extern void stock_prepare(void);

/*
 * Make those of a SKU's places that are missing, its selling place among
 * them, in the order of locks. A call that locks several places makes them
 * first: an insert may wait for another session's insert of the same place,
 * and whoever waits so may hold no place but inserts.
 */
extern void stock_make_places(int64 sku_id, int n, const int32 *location_ids);

/*
 * Lock one place, made when missing, and read its balance. Raises 40001 as
 * the isolation level demands, SS_ERR_BUNDLE when the SKU has become a bundle.
 */
extern void stock_lock_place(int64 sku_id, int32 location_id, StockPlace *place);

/* What a bundle is made of; qty 0: was once. */
typedef struct StockComponent
{
	int64		bundle_id;
	int64		sku_id;
	int64		qty;
} StockComponent;

/* Places that a call has locked, and what it asked for that is, or was, a bundle. */
typedef struct StockHold
{
	int			nplaces;
	StockPlace *places;			/* sorted by (sku_id, location_id) */
	int			ncomponents;
	StockComponent *components; /* sorted by (bundle_id, sku_id) */
} StockHold;

/*
 * Lock every place of n distinct SKUs (each gets at least its selling place)
 * and read the balances. Of a bundle, and of what was one, these are the
 * places of all that it is or was made of, which is all that its lines can
 * hold. Where a SKU feeds bundles that have short lines, their components are
 * locked as well: units that come free may complete one. Raises 40001 when a
 * SKU has become a bundle meanwhile.
 */
extern void stock_lock_skus(int n, const int64 *sku_ids, StockHold *hold);

/*
 * Lock a SKU's places, one or two, made when missing, to move stock there:
 * these alone, or all that stock_lock_skus would where units may come
 * free for a bundle's short lines.
 */
extern void stock_lock_places(int64 sku_id, int n, const int32 *location_ids, bool frees, StockHold *hold);

/* The first place of a SKU, *n says how many follow each other; NULL and 0: none is locked. */
extern StockPlace *stock_places_of(const StockHold *hold, int64 sku_id, int *n);
/* The place of a SKU at a location; NULL: not locked. */
extern StockPlace *stock_place_of(const StockHold *hold, int64 sku_id, int32 location_id);

/*
 * stock_bundle.c, for stock_place.c: which SKUs to lock for the n asked for,
 * sorted, without repeats; and the components, into the hold.
 */
extern int64 *stock_expand(int n, const int64 *sku_ids, int *expanded, StockHold *hold);
/* Whether the SKU is in a bundle that has short lines. */
extern bool stock_feeds_short(int64 sku_id);

struct RowsScan;

/*
 * stock_load.c, for stock_place.c: read what the n places, locked and sorted
 * by SKU, stand at; `usual` is a place whose location is known already, or
 * NULL. Raises 40001 as the isolation level demands.
 */
extern void stock_load(int n, StockPlace *places, const StockPlace *usual);
/* The scan is at the SKU's row, which will be looked for here soon. */
extern void stock_note_sku(const struct RowsScan *scan, int64 sku_id);
/* Take over what a row of location says: the look-up's columns begin with sellable, priority, code. */
extern void stock_take_location(struct RowsScan *scan, StockPlace *place);

/* Units that may still be reserved at the place. */
extern int64 stock_room(const StockPlace *place);

/*
 * Move stock of a locked place: its balance changes at once, the ledger row
 * waits in the journal. The caller fills order_id, key, reference, reason and
 * event_at of what is returned (valid until the next move).
 */
extern StockMove *stock_move(StockJournal *journal, StockPlace *place, MovementKind kind,
							 int64 on_hand_delta, int64 reserved_delta);
extern void stock_journal_start(StockJournal *journal);
/* Write the journal's rows and empty it. */
extern void stock_write(StockJournal *journal);

/* OID of type storesync.idempotency_key, for parameters. */
extern Oid	stock_key_type(void);

#endif
