/*
 * listing_sales.c
 *		Own orders of listings, found by index without statements: those
 *		since the last write, and those around the moment through which
 *		orders are fetched.
 *
 * A line lies in the partition of the moment at which it was booked. So lines
 * booked since a moment are looked for in its partition and the later ones.
 */
#include "storesync.h"

#include "listing_read.h"
#include "partitioning/partdesc.h"
#include "utils/rel.h"

/* Columns of all look-ups here. */
#define LINE_COLUMNS "recorded_at, ordered_at, qty, cancelled_at, cancelled_qty, shipped"
enum
{
	LINE_RECORDED_AT, LINE_ORDERED_AT, LINE_QTY, LINE_CANCELLED_AT, LINE_CANCELLED_QTY, LINE_SHIPPED
};

static RowsLookup ordered_lines = {
	.name = {"sales_order_line"}, .nkeys = 2, .keys = {"listing_id", "ordered_at"}, .columns = LINE_COLUMNS,
	.many = true, .predicate = "(listing_id IS NOT NULL)", .active = true
};
static RowsLookup cancelled_lines = {
	.name = {"sales_order_line"}, .nkeys = 2, .keys = {"listing_id", "cancelled_at"}, .columns = LINE_COLUMNS,
	.many = true, .predicate = "(cancelled_qty > 0)", .active = true
};

/* Lines of one listing: later than a moment by the second key, and booked later than another one. */
typedef struct Window
{
	ListingFacts *listing;
	TimestampTz after;
	TimestampTz booked_after;
	Oid			oldest;			/* partition that holds booked_after; InvalidOid: look into all */
	bool		done;
} Window;

typedef void (*TakeLine) (RowsScan *scan, ListingFacts *listing);

/* walk_window takes the window's lines in the partition at hand. */
static void
walk_window(RowsScan *scan, const Window *window, int column, TakeLine take)
{
	Datum		keys[] = {Int64GetDatum(window->listing->terms->listing_id), TimestampTzGetDatum(window->after)};

	for (bool more = rows_find_from(scan, 2, keys); more; more = rows_next(scan))
		if (listing_int64(scan, column, 0) > window->after &&
			listing_int64(scan, LINE_RECORDED_AT, 0) > window->booked_after)
			take(scan, window->listing);
}

/* walk hands the lines of n windows to `take`, partition by partition, the newest first. */
static bool
walk(RowsLookup *lookup, Window *windows, int n, int column, TakeLine take)
{
	RowsScan	scan;
	int			open = n;

	if (!rows_open(&scan, lookup, false))
		return false;
	for (int i = 0; i < n; i++)
		windows[i].oldest = windows[i].booked_after == DT_NOBEGIN ? InvalidOid :
			rows_partition(scan.parent, TimestampTzGetDatum(windows[i].booked_after));
	while (open > 0 && rows_enter_older(&scan))
		for (int i = 0; i < n; i++)
		{
			if (windows[i].done)
				continue;
			walk_window(&scan, &windows[i], column, take);
			windows[i].done = RelationGetRelid(scan.heap) == windows[i].oldest;
			open -= windows[i].done;
		}
	rows_close(&scan);
	return true;
}

/* take_order tells an order placed after the write from one that may have come before it. */
static void
take_order(RowsScan *scan, ListingFacts *listing)
{
	TermsFacts *facts = &listing->facts;

	if (listing_int64(scan, LINE_ORDERED_AT, 0) > facts->written_at + facts->clock_doubt)
		facts->ordered_after += listing_int64(scan, LINE_QTY, 0);
	else
		facts->unsure = true;
}

static void
take_cancellation(RowsScan *scan, ListingFacts *listing)
{
	TermsFacts *facts = &listing->facts;
	int64		qty = listing_int64(scan, LINE_CANCELLED_QTY, 0);

	if (listing_int64(scan, LINE_SHIPPED, 0) != 0)
		return;
	facts->cancelled += qty;
	if (listing_int64(scan, LINE_CANCELLED_AT, 0) > facts->written_at + facts->clock_doubt)
		facts->cancelled_after += qty;
	else
		facts->unsure = true;
}

static void
take_sale(RowsScan *scan, ListingFacts *listing)
{
	TermsFacts *facts = &listing->facts;
	int64		qty = listing_int64(scan, LINE_QTY, 0);

	if (listing_int64(scan, LINE_ORDERED_AT, 0) > facts->fetched_through)
		facts->sold_after += qty;
	else
		facts->sold_before += qty;
}

bool
listing_load_orders(ListingFacts *listings, int n)
{
	Window	   *windows = palloc0(Max(n, 1) * sizeof(Window));
	int			written = 0;
	int			given_back = 0;

	for (int i = 0; i < n; i++)
	{
		if (!listings[i].facts.written)
			continue;
		windows[written].listing = &listings[i];
		windows[written].after = listings[i].sent_at - listings[i].facts.clock_doubt;
		windows[written++].booked_after = listings[i].sent_at;
	}
	if (!walk(&ordered_lines, windows, written, LINE_ORDERED_AT, take_order))
		return false;
	for (int i = 0; i < written; i++)
	{
		if (!windows[i].listing->store->returns_on_cancel)
			continue;
		windows[i].listing->facts.returns_unknown = windows[i].listing->store->returns_unknown;
		windows[given_back] = windows[i];
		windows[given_back].booked_after = DT_NOBEGIN;
		windows[given_back++].done = false;
	}
	return walk(&cancelled_lines, windows, given_back, LINE_CANCELLED_AT, take_cancellation);
}

bool
listing_load_sales(ListingFacts *listings, int n)
{
	Window	   *windows = palloc0(Max(n, 1) * sizeof(Window));
	int			differing = 0;

	for (int i = 0; i < n; i++)
	{
		TermsFacts *facts = &listings[i].facts;

		if (!facts->fetched || !listings[i].terms->terms.differs)
			continue;
		windows[differing].listing = &listings[i];
		windows[differing].after = facts->fetched_through - USECS_PER_MINUTE;
		windows[differing++].booked_after = facts->fetched_through - USECS_PER_DAY;
	}
	return walk(&ordered_lines, windows, differing, LINE_ORDERED_AT, take_sale);
}
