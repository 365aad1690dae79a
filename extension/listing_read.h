/*
 * listing_read.h
 *		What listings should show and are believed to show, read from tables:
 *		what the view listing_target says of them, without its plan wherever
 *		a listing is of the usual kind.
 *
 * Between listing_read.c, which decides, and listing_facts.c,
 * listing_stock.c and listing_sales.c, which read without statements.
 */
#ifndef STORESYNC_LISTING_READ_H
#define STORESYNC_LISTING_READ_H

#include "storesync.h"

#include "listing_terms.h"
#include "rows.h"

/* In the place of a revision: never acknowledged, or in another life of the data that no promotion ended. */
#define LISTING_UNACKED		(-2)
#define LISTING_OTHER_LIFE	(-1)

/* What was known of a listing when its shop last acknowledged a quantity. */
typedef struct ListingBase
{
	int64		qty;			/* sold units */
	int64		version;
	int64		revision;
	TimestampTz at;				/* sent */
} ListingBase;

/* A listing as the dispatcher needs to know it. Texts live in the memory context of the call. */
typedef struct ListingTerms
{
	int64		listing_id;
	int			store_id;
	const char *item_id;
	const char *model_id;
	int64		version;
	int64		revision;		/* the listing's own part of the version */
	Terms		terms;
	bool		dirty;			/* enabled, and it does not show what is wanted */
	bool		due;			/* dirty, and not given up at this version */
	bool		stopped;		/* by stop_selling() */
	bool		in_doubt;		/* a write of it may or may not have been applied */
	bool		held;			/* by its platform */
	ListingBase base;
	double		per_second;		/* sold units, where it is dirty */
	bool		direct;			/* read without the view */
} ListingTerms;

/*
 * Read n listings, sorted by id, none twice. Returns how many of them exist:
 * those, in order, are in *terms. SPI connected, as the owner; under a
 * snapshot of its own, in the view's case of its statement.
 */
extern int	listing_read(const int64 *listing_ids, int n, ListingTerms **terms);

/* What a statement over the view listing_target AS t selects for listing_take_row. The view has no revision of its own. */
#define LISTING_COLUMNS \
	"t.listing_id, t.store_id, t.item_id, t.model_id, t.version, t.wanted, t.believed, t.at_most, t.dirty, " \
	"t.dirty AND NOT t.dead, t.unseen, t.to_send, t.needs_fetch_after, t.not_before, " \
	"coalesce(t.per_second, 0)::double precision, t.stopped IS NOT NULL, " \
	"t.doubt_qty IS NOT NULL OR t.sending_qty IS NOT NULL, t.held IS NOT NULL, " \
	"t.acked_qty, t.acked_version, t.acked_revision, t.sent_at, " \
	"(SELECT l.revision FROM storesync.listing l WHERE l.listing_id = t.listing_id)"
/* Take a row of SPI_tuptable. */
extern void listing_take_row(HeapTuple row, ListingTerms *terms);

/* ---------------------------------------------------------------- what reads without statements */

/* A place that holds stock of a SKU. */
typedef struct ListingPlace
{
	int64		sku_id;
	int			location_id;
	bool		sellable;
	bool		found;			/* its newest ledger row */
	int64		available;
	int64		version;
} ListingPlace;

typedef struct ListingSku
{
	int64		sku_id;
	bool		usual;			/* no bundle, nothing set aside */
	int64		safety_stock;
	int64		solo_below;
	int			first_place;	/* in a list of all places */
	int			n_places;
} ListingSku;

typedef struct ListingStore
{
	int			store_id;
	Datum		platform;		/* text */
	int64		max_quantity;
	bool		returns_on_cancel;	/* or may do so */
	bool		returns_unknown;
	int64		poll_interval;
	bool		fetched;
	TimestampTz fetched_through;
	int		   *places;			/* that it sells from; NULL: all */
	int			n_places;
} ListingStore;

/* A listing on its way to terms. */
typedef struct ListingFacts
{
	TermsFacts	facts;
	ListingTerms *terms;
	int64		sku_id;
	ListingSku *sku;
	ListingStore *store;
	int			pack;
	Datum		share;
	int64		cap;			/* TERMS_NONE for none */
	int64		shaped;			/* its revision after the last change that may move the quantity */
	int64		freed;			/* after the last end of a stop or hold */
	TimestampTz sent_at;
} ListingFacts;

/* floor(units × share / pack), 0 for units below 1 (listing_wanted.c). */
extern int64 listing_share_of(int64 units, Datum share, int32 pack);

/*
 * Each of these reads one thing for all listings at hand, under the active
 * snapshot; false: some table has to be read by statements.
 */
extern bool listing_load_rows(const int64 *listing_ids, int n, ListingFacts *listings, int *found);
/* The SKUs of listings that have been loaded, each listing's at its `sku`, and what there is of them (listing_read.c). */
extern bool listing_find_skus(ListingFacts *listings, int n, ListingPlace **places);
extern bool listing_load_skus(ListingSku *skus, int n);
extern bool listing_load_stores(ListingStore *stores, int n);
extern bool listing_load_stops(ListingFacts *listings, int n);
extern bool listing_load_places(ListingSku *skus, int n, ListingPlace **places);
extern bool listing_load_shown(ListingFacts *listings, int n);
extern bool listing_load_dead(ListingFacts *listings, int n);
/* Own orders and cancellations since the last write. */
extern bool listing_load_orders(ListingFacts *listings, int n);
/* Of those that differ: sales around the moment through which orders are fetched. */
extern bool listing_load_sales(ListingFacts *listings, int n);

/* Columns of the row found. */
extern int64 listing_int64(RowsScan *scan, int column, int64 missing);

#endif
