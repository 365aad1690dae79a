/*
 * order_want.c
 *		The rules: which document counts, and what a line wants of the stock
 *		(docs/order.md has them as a table). Pure: nothing is read or moved.
 */
#include "storesync.h"

#include "order.h"

/*
 * order_is_stale says that a document is older than the one booked last. Of
 * two with one update time the one fetched later is newer; one equal in both
 * is looked at, and applied where it differs.
 */
bool
order_is_stale(const Order *order, const OrderDoc *doc)
{
	if (order->is_new)
		return false;
	if (doc->update_time != order->update_time)
		return doc->update_time < order->update_time;
	return doc->fetched_at < order->fetched_at;
}

/* order_finished: an order first seen so before the cut-over has left today's shelf long ago. */
bool
order_finished(OrderStatus status)
{
	return status == ORDER_SHIPPED || status == ORDER_COMPLETED ||
		status == ORDER_CANCELLED || status == ORDER_RETURNED;
}

/* order_units turns sold units into units of the SKU; what is beyond SS_MAX_QTY will be short anyway. */
int64
order_units(int64 qty, int32 pack)
{
	return qty > SS_MAX_QTY / pack ? SS_MAX_QTY : qty * pack;
}

/* back_units: units of the line that are back and saleable as the document says. */
static int64
back_units(const OrderPage *page, const OrderDoc *doc, const DocLine *doc_line, int32 pack)
{
	if (doc_line->status == ORDER_RETURNED)
		return doc->any_returned ? order_units(doc_line->returned_qty, pack) : SS_MAX_QTY;
	return page->store.trusts_returns ? order_units(doc_line->returned_qty, pack) : 0;
}

/* hold_over says that an unpaid order has been held for as long as its store allows. */
static bool
hold_over(const OrderPage *page, const OrderDoc *doc)
{
	const Order *order = &page->orders[page->order_of[doc - page->docs]];

	return page->store.unpaid_hold >= 0 && order->create_time + page->store.unpaid_hold <= page->now;
}

/*
 * order_want says what the stock owes a mapped line by a document. Shipped
 * and restocked are high-water marks: once goods have left, no status and no
 * smaller quantity takes anything back. Units closed as lost are among those
 * that a document says are back.
 */
void
order_want(const OrderPage *page, const OrderDoc *doc, const DocLine *doc_line,
		   const OrderLine *line, LineWant *want)
{
	int64		live = order_units(Max(doc_line->qty - doc_line->cancelled_qty, 0), line->pack);
	int64		back = back_units(page, doc, doc_line, line->pack);
	bool		gone = doc_line->status == ORDER_SHIPPED || doc_line->status == ORDER_COMPLETED ||
		doc_line->status == ORDER_RETURNED || back > 0;

	memset(want, 0, sizeof(LineWant));
	want->ships = gone || line->shipped > 0;
	if (gone)
		want->shipped = Max(line->shipped, live);
	else if (line->shipped > 0)
		want->shipped = line->shipped + (doc_line->status == ORDER_CANCELLED ? 0 : line->missing);
	else if (doc_line->status != ORDER_CANCELLED && !(doc_line->status == ORDER_UNPAID && hold_over(page, doc)))
		want->reserved = live;
	want->restocked = Max(line->restocked, Min(back, want->shipped) - line->lost);
}

/*
 * order_has_left says that the line was booked as goods gone, even if the
 * books had none to give: nothing else leaves a cancelled line short.
 */
bool
order_has_left(const OrderLine *line)
{
	return line->shipped > 0 || line->status == ORDER_SHIPPED ||
		line->status == ORDER_COMPLETED || line->status == ORDER_RETURNED ||
		(line->status == ORDER_CANCELLED && line->missing > 0);
}

/* order_settled says that booking the wants would change nothing. */
bool
order_settled(const OrderLine *line, const LineWant *want)
{
	if (!want->ships)
		return line->reserved == want->reserved && line->missing == 0;
	if (!order_has_left(line) && want->shipped > 0)
		return false;
	return line->reserved == 0 && line->shipped + line->missing == want->shipped &&
		line->restocked >= Min(want->restocked, line->shipped - line->lost);
}

/*
 * order_still_short says that stock which comes in goes to this line. What
 * was shipped without the books having it stays short: the goods are gone,
 * and only a count can tell where they came from.
 */
bool
order_still_short(const OrderLine *line)
{
	return line->missing > 0 && line->shipped == 0 &&
		(line->status == ORDER_UNPAID || line->status == ORDER_READY_TO_SHIP || line->status == ORDER_IN_CANCEL);
}

/* order_line_state names where a mapped line stands. */
LineState
order_line_state(const OrderLine *line)
{
	if (line->missing > 0)
		return LINE_SHORT;
	if (line->shipped > 0)
		return line->restocked > 0 && line->restocked + line->lost == line->shipped ? LINE_RESTOCKED : LINE_SHIPPED;
	if (line->reserved > 0)
		return LINE_RESERVED;
	return line->status == ORDER_UNPAID && line->qty > line->cancelled_qty ? LINE_LAPSED : LINE_CANCELLED;
}
