/*
 * order_look.c
 *		Looks at the orders of a page that exist, before any of them is locked:
 *		which of them may be left alone, because no document says anything that
 *		is not booked.
 *
 * Such an order is answered from what was read, under one snapshot for it
 * and its lines, and the call has no part in it any more: no row lock, no
 * transaction id, no WAL. It is as if the call had been made at the moment
 * of the snapshot. Whoever changes the order after that commits later. Orders
 * with lines that wait for stock or for a listing are never left alone: they
 * are tried again, under their lock.
 */
#include "storesync.h"

#include "order_read.h"

/* read_heads reads the orders that exist; so far all of those count as settled. */
static void
read_heads(OrderPage *page, RowsScan *scan)
{
	LoadedRow	row = {.scan = scan};

	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];
		Datum		keys[] = {Int32GetDatum(page->store.store_id), PointerGetDatum(order->order_sn)};

		order->settled = !order->is_new && rows_find(scan, 2, keys);
		if (order->settled)
			order_read_head(&row, order);
	}
}

/*
 * drop_news takes out the orders of which a document says something new, of
 * the order itself or (with lines) of any line. True: some are left.
 */
static bool
drop_news(OrderPage *page, bool lines)
{
	bool		any = false;

	for (int d = 0; d < page->ndocs; d++)
	{
		Order	   *order;

		if (page->order_of[d] < 0 || !page->orders[page->order_of[d]].settled)
			continue;
		order = &page->orders[page->order_of[d]];
		order->settled = lines ? !order_lines_news(page, d) : !order_head_news(order, &page->docs[d]);
	}
	for (int i = 0; i < page->norders && !any; i++)
		any = page->orders[i].settled;
	return any;
}

/* waits says that a line is tried again whatever the documents say. */
static bool
waits(const OrderLine *line)
{
	return order_still_short(line) || (line->sku_id == 0 && line->state != LINE_KEPT);
}

/* read_settled reads the lines of the orders that may be left alone, and drops those with lines that wait. */
static void
read_settled(OrderPage *page, RowsScan *scan)
{
	for (int i = 0; i < page->norders; i++)
	{
		Order	   *order = &page->orders[i];

		if (!order->settled)
			continue;
		order_read_lines(scan, order);
		for (int j = 0; j < order->nlines; j++)
			order->settled &= !waits(order->lines[j]);
	}
}

/* forget_lines: an order that is going to be locked is read again then. */
static void
forget_lines(OrderPage *page)
{
	for (int i = 0; i < page->norders; i++)
	{
		if (page->orders[i].settled)
			continue;
		page->orders[i].nlines = page->orders[i].capacity = 0;
		page->orders[i].lines = NULL;
	}
}

void
order_look(OrderPage *page)
{
	static RowsLookup lookup = {
		.name = {"sales_order"}, .nkeys = 2, .keys = {"store_id", "order_sn"}, .columns = ORDER_READ_COLUMNS
	};
	RowsScan	orders;
	RowsScan	lines;

	if (!rows_open(&orders, &lookup, false))
		return;
	read_heads(page, &orders);
	if (drop_news(page, false))
	{
		if (order_open_lines(&lines, true))
		{
			read_settled(page, &lines);
			rows_close(&lines);
			(void) drop_news(page, true);
		}
		else
			for (int i = 0; i < page->norders; i++)
				page->orders[i].settled = false;
		forget_lines(page);
	}
	rows_close(&orders);
}
