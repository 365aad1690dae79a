/*
 * cache_fill.c
 *		Writing everything, page by page: at the start, when Redis has lost
 *		what it had, when everything may have changed, and once a day, since
 *		what Redis evicted comes back in no other way.
 *
 * It holds no more than a place in a table. What changes meanwhile comes by
 * the feed as always; which of the two writes last does not matter, because
 * both write what the tables say when they read.
 *
 * Orders are walked from the newest back, until a page has none that was
 * booked within the days that are kept. When Redis has keys of an earlier life
 * of the data, those that this life did not write again are deleted at the end.
 */
#include "cache_work.h"

#include "catalog/pg_type.h"

#include "set.h"

#define ORDER_KEEP	"90 days"

typedef enum FillPhase
{
	FILL_NONE,
	FILL_STOCK,
	FILL_LISTINGS,
	FILL_ORDERS,
	FILL_PURGE
} FillPhase;

static FillPhase phase = FILL_NONE;
static int64 place = 0;			/* the last id of the phase that Redis has */
static int64 next_place = 0;
static bool last_page = false;
static bool with_orders = false;
static bool with_purge = false;

static void
enter(FillPhase next)
{
	if (next == FILL_ORDERS && !with_orders)
		next = FILL_PURGE;
	if (next == FILL_PURGE && !with_purge)
		next = FILL_NONE;
	phase = next;
	place = next == FILL_ORDERS ? PG_INT64_MAX : 0;
	next_place = place;
	last_page = false;
}

void
cache_fill_start(bool orders, bool purge)
{
	/* one that is under way and is to do more keeps that */
	with_orders = orders || (phase != FILL_NONE && with_orders);
	with_purge = purge || (phase != FILL_NONE && with_purge);
	enter(FILL_STOCK);
}

void
cache_fill_stop(void)
{
	phase = FILL_NONE;
}

bool
cache_filling(void)
{
	return phase != FILL_NONE;
}

bool
cache_fill_has_purge(void)
{
	return phase == FILL_PURGE;
}

/* page runs a statement for the ids behind the place. */
static CacheIds
page(SPIPlanPtr *plan, const char *statement)
{
	const Oid	types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(place), Int32GetDatum(CACHE_PAGE)};
	CacheIds	found;

	ss_execute(plan, statement, SPI_OK_SELECT, 2, types, values, NULL, 0);
	found = cache_ids();
	last_page = found.n < CACHE_PAGE;
	if (found.n > 0)
		next_place = found.ids[found.n - 1];
	return found;
}

/* orders_page finds the orders of the next page that are young enough, the last page being one without any. */
static CacheIds
orders_page(void)
{
	static SPIPlanPtr plan = NULL;
	static SPIPlanPtr young_plan = NULL;
	CacheIds	all = page(&plan,
						   "SELECT o.order_id FROM storesync.sales_order o WHERE o.order_id < $1 ORDER BY o.order_id DESC LIMIT $2");
	CacheIds	young;

	ss_execute_ids(&young_plan,
				   "SELECT o.order_id FROM storesync.sales_order o "
				   "WHERE o.order_id = ANY ($1) AND o.recorded_at > clock_timestamp() - '" ORDER_KEEP "'::interval",
				   SPI_OK_SELECT, all.n, all.ids);
	young = cache_ids();
	last_page |= young.n == 0;
	return young;
}

void
cache_fill_read(CacheBatch *batch)
{
	static SPIPlanPtr stock_plan = NULL;
	static SPIPlanPtr listing_plan = NULL;
	CacheIds	ids;

	switch (phase)
	{
		case FILL_STOCK:
			ids = page(&stock_plan, "SELECT k.sku_id FROM storesync.sku k WHERE k.sku_id > $1 ORDER BY 1 LIMIT $2");
			cache_read(batch, CACHE_STOCK, &ids);
			break;
		case FILL_LISTINGS:
			ids = page(&listing_plan, "SELECT l.listing_id FROM storesync.listing l WHERE l.listing_id > $1 AND l.price IS NOT NULL ORDER BY 1 LIMIT $2");
			cache_read(batch, CACHE_LISTING, &ids);
			break;
		case FILL_ORDERS:
			ids = orders_page();
			cache_read(batch, CACHE_ORDER, &ids);
			break;
		case FILL_PURGE:
		case FILL_NONE:
			break;
	}
}

bool
cache_fill_seen(void)
{
	place = next_place;
	if (last_page || phase == FILL_PURGE)
		enter(phase + 1 > FILL_PURGE ? FILL_NONE : phase + 1);
	return phase == FILL_NONE;
}
