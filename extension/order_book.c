/*
 * order_book.c
 *		Books one document in memory: what it wants less what is booked, line
 *		by line, on the balances of the locked places.
 *
 * Effects become ledger rows of their own: releasing, reserving, shipping,
 * restocking (order_draw.c). A line that ships units it has not reserved takes
 * them from what is available in the same ship row: on hand falls by all of
 * them, reserved by its own, so available never passes below zero in between.
 */
#include "storesync.h"

#include "utils/builtins.h"
#include "utils/numeric.h"

#include "order_part.h"
#include "set.h"

/* What booking one line needs to know. */
typedef struct Booking
{
	OrderPage  *page;
	Order	   *order;
	const OrderDoc *doc;
	TimestampTz known_at;		/* when what the books have of the order was asked for */
	bool		is_first;		/* document of an order that this call has made */
} Booking;

/* book_reserved brings the line's reservation to `wanted`, as far as the stock covers it. */
static void
book_reserved(LineDraw *draw, int64 wanted)
{
	OrderLine  *line = draw->line;
	int64		more = wanted - line->reserved;

	if (more > 0)
		(void) order_part_reserve(draw, more);
	else if (more < 0)
		order_part_release(draw, -more);
	line->missing = wanted - line->reserved;
}

/* book_shipped sends away what has left by the document: own units first, then what is available. */
static void
book_shipped(LineDraw *draw, const LineWant *want, bool had_left)
{
	OrderLine  *line = draw->line;
	int64		back;

	(void) order_part_ship(draw, Max(want->shipped - line->shipped - (had_left ? line->missing : 0), 0));
	if (line->reserved > 0)
		order_part_release(draw, line->reserved);
	line->missing = want->shipped - line->shipped;
	back = Min(want->restocked, line->shipped - line->lost) - line->restocked;
	if (back > 0)
		order_part_restock(draw, back);
}

/* unmapped_reason says why a line is parked. */
static text *
unmapped_reason(const OrderLine *line)
{
	if (line->item_id != NULL)
		return cstring_to_text(psprintf("no listing of item \"%s\", model \"%s\"",
										text_to_cstring(line->item_id), text_to_cstring(line->model_id)));
	if (line->sku_code != NULL)
		return cstring_to_text(psprintf("no SKU \"%s\"", text_to_cstring(line->sku_code)));
	return cstring_to_text("line names neither item nor SKU");
}

/* adopt takes over what the line is: its names and, when there is one, its mapping. */
static void
adopt(OrderLine *line, const DocLine *doc_line)
{
	line->item_id = doc_line->item_id;
	line->model_id = doc_line->model_id;
	line->sku_code = doc_line->sku;
	line->listing_id = doc_line->listing_id;
	line->sku_id = doc_line->sku_id;
	line->pack = doc_line->resolved ? doc_line->pack : 1;
	line->reason = NULL;
	if (doc_line->listed_sku != NULL)
		line->reason = cstring_to_text(psprintf("mapping warning: document says SKU \"%s\", listing has \"%s\"",
												text_to_cstring(doc_line->sku),
												text_to_cstring(doc_line->listed_sku)));
}

/*
 * take_content copies what the document says of a line. Once units have left,
 * a smaller qty is noted as a larger cancelled_qty: what was ordered and sent
 * stays on record, and what is live is the same.
 */
static void
take_content(Booking *b, OrderLine *line, const DocLine *doc_line, bool ships)
{
	int64		qty = line->shipped > 0 ? Max(line->qty, doc_line->qty) : doc_line->qty;
	int64		cancelled = Min(doc_line->cancelled_qty, doc_line->qty) + qty - doc_line->qty;

	/* cancelled before it left: the platform has all of it back */
	if (doc_line->status == ORDER_CANCELLED && !ships)
		cancelled = qty;
	if (cancelled == 0)
		line->cancelled_at = DT_NOBEGIN;
	else if (cancelled > line->cancelled_qty)
		line->cancelled_at = b->doc->update_time;
	line->cancelled_qty = cancelled;
	line->qty = qty;
	line->returned_qty = doc_line->returned_qty;
	line->status = doc_line->status;
	if (doc_line->unit_price != NULL)
		line->unit_price = doc_line->unit_price;
}

/* book_stock moves the stock of a mapped line to what it wants. */
static void
book_stock(Booking *b, OrderLine *line, const LineWant *want, bool had_left)
{
	PageSku    *sku = order_page_sku(b->page, line->sku_id);
	LineDraw	draw = {
		.journal = &b->page->journal, .hold = &b->page->hold, .store = &b->page->store, .line = line,
		.order_id = b->order->order_id, .create_time = b->order->create_time, .order_sn = b->order->order_sn,
		.event_at = b->doc->update_time, .reason = order_status_name(line->status)
	};

	if (sku != NULL)
		order_part_compose(line, sku->components, sku->ncomponents);
	else
		elog(ERROR, "SKU of line \"%s\" is not locked", text_to_cstring(line->line_id));
	if (want->ships)
		book_shipped(&draw, want, had_left);
	else
		book_reserved(&draw, want->reserved);
	if (order_still_short(line))
		order_note_short(b->page, line, false);
}

static bool
same_text(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return ss_text_compare(a, b) == 0;
}

static bool
same_price(Numeric a, Numeric b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a), NumericGetDatum(b)));
}

/* same_line says that nothing needs to be written. */
static bool
same_line(const OrderLine *a, const OrderLine *b)
{
	return a->listing_id == b->listing_id && a->sku_id == b->sku_id && a->location_id == b->location_id &&
		a->nparts == b->nparts && a->pack == b->pack && a->qty == b->qty && a->cancelled_qty == b->cancelled_qty &&
		a->returned_qty == b->returned_qty && a->reserved == b->reserved && a->shipped == b->shipped &&
		a->restocked == b->restocked && a->missing == b->missing && a->effects == b->effects &&
		a->cancelled_at == b->cancelled_at && a->status == b->status && a->state == b->state &&
		same_text(a->item_id, b->item_id) && same_text(a->model_id, b->model_id) &&
		same_text(a->sku_code, b->sku_code) && same_text(a->reason, b->reason) &&
		same_price(a->unit_price, b->unit_price);
}

/* first_sight makes the line of a document that the order does not have yet. */
static OrderLine *
first_sight(const Booking *b, const DocLine *doc_line)
{
	OrderLine  *line = palloc0(sizeof(OrderLine));
	bool		before = b->order->create_time < b->page->store.stock_from;

	line->is_new = true;
	line->line_id = doc_line->line_id;
	line->cancelled_at = DT_NOBEGIN;
	line->state = LINE_CANCELLED;
	line->status = ORDER_UNPAID;
	if (!b->order->stock_effect || (before && order_finished(doc_line->status)))
		line->state = LINE_KEPT;
	return line;
}

/*
 * is_past says that a line which waited for a listing belongs to what was
 * over before the cut-over: the books knew so by then, or this document says
 * so of a moment before it. Its goods were not on the shelf when that was
 * counted, whoever sells the SKU besides.
 */
static bool
is_past(const Booking *b, const OrderLine *line, const DocLine *doc_line)
{
	TimestampTz from = b->page->store.stock_from;

	if (line->state != LINE_PARKED || b->order->create_time >= from)
		return false;
	return (order_finished(line->status) && b->known_at < from) ||
		(order_finished(doc_line->status) && b->doc->update_time < from);
}

/* book_line books one line of a document; true when the line changed. */
static bool
book_line(Booking *b, OrderLine *line, const DocLine *doc_line)
{
	OrderLine	old = *line;
	LineWant	want;
	bool		had_left = order_has_left(line);
	bool		past = is_past(b, line, doc_line);
	bool		settled;

	if (line->is_new || (line->sku_id == 0 && line->state != LINE_KEPT))
	{
		adopt(line, doc_line);
		b->order->found_anew |= !b->is_first && line->sku_id != old.sku_id;
	}
	if (past)
		line->state = LINE_KEPT;
	order_want(b->page, b->doc, doc_line, line, &want);
	settled = order_settled(line, &want);
	take_content(b, line, doc_line, want.ships);
	if (line->state == LINE_KEPT)
		line->reason = NULL;
	else if (line->sku_id != 0)
	{
		if (!settled)
			book_stock(b, line, &want, had_left);
		line->state = order_line_state(line);
	}
	else
	{
		bool		wants = want.reserved > 0 || want.shipped > 0;

		line->state = wants ? LINE_PARKED : order_line_state(line);
		line->reason = wants ? unmapped_reason(line) : NULL;
	}
	if (line->is_new && !line->changed)
		return true;
	return !same_line(&old, line);
}

static int
compare_lines(const void *a, const void *b)
{
	return ss_text_compare((*(OrderLine *const *) a)->line_id, (*(OrderLine *const *) b)->line_id);
}

/* add_lines merges new lines into an order's sorted array. */
static void
add_lines(Order *order, OrderLine **added, int n)
{
	if (n == 0)
		return;
	if (order->nlines + n > order->capacity)
	{
		order->capacity = order->nlines + n;
		order->lines = order->lines == NULL ? palloc(sizeof(OrderLine *) * order->capacity) :
			repalloc(order->lines, sizeof(OrderLine *) * order->capacity);
	}
	memcpy(order->lines + order->nlines, added, sizeof(OrderLine *) * n);
	order->nlines += n;
	qsort(order->lines, order->nlines, sizeof(OrderLine *), compare_lines);
}

/* other_content: the document says something else of the order itself. */
static bool
other_content(const Order *order, const OrderDoc *doc)
{
	return order->status != doc->status ||
		(doc->buyer != NULL && !same_text(order->buyer, doc->buyer)) ||
		(doc->currency != NULL && !same_text(order->currency, doc->currency));
}

bool
order_head_news(const Order *order, const OrderDoc *doc)
{
	return !order_is_stale(order, doc) &&
		(other_content(order, doc) || order->update_time != doc->update_time || order->fetched_at != doc->fetched_at);
}

/* book_head takes over what the document says of the order itself; true when that changed anything but its times. */
static bool
book_head(Order *order, const OrderDoc *doc)
{
	bool		content = other_content(order, doc);

	if (!order_head_news(order, doc))
		return false;
	order->changed = true;
	order->status = doc->status;
	order->update_time = doc->update_time;
	order->fetched_at = doc->fetched_at;
	if (doc->buyer != NULL)
	{
		order->found_anew |= !same_text(order->buyer, doc->buyer);
		order->buyer = doc->buyer;
	}
	if (doc->currency != NULL)
		order->currency = doc->currency;
	return content;
}

bool
order_lines_news(OrderPage *page, int d)
{
	OrderDoc   *doc = &page->docs[d];
	Order	   *order = &page->orders[page->order_of[d]];
	Booking		b = {page, order, doc, order->fetched_at, false};

	for (int i = 0; i < doc->nlines && !order_is_stale(b.order, doc); i++)
	{
		const OrderLine *line = order_line_find(b.order, doc->lines[i].line_id);
		OrderLine	copy;
		LineWant	want;

		if (line == NULL)
			return true;
		order_want(page, doc, &doc->lines[i], line, &want);
		copy = *line;
		if (!order_settled(line, &want) || book_line(&b, &copy, &doc->lines[i]))
			return true;
	}
	return false;
}

/* outcome_of finds the worst word for a document whose lines have been booked. */
static const char *
outcome_of(const Order *order, const OrderDoc *doc, bool changed)
{
	const char *outcome = changed ? "applied" : "unchanged";

	for (int i = 0; i < doc->nlines; i++)
	{
		OrderLine  *line = order_line_find(order, doc->lines[i].line_id);

		if (line->state == LINE_PARKED)
			return "parked";
		if (line->state == LINE_SHORT)
			outcome = "short";
	}
	return outcome;
}

/* note_history queues the row that tells what a document changed. */
static void
note_history(OrderPage *page, const Order *order, const char *outcome, OrderLine **lines, int n)
{
	SsSet	   *set = page->history;

	set_add_row(set);
	set_put(set, 0, Int64GetDatum(order->order_id));
	set_put(set, 1, TimestampTzGetDatum(page->now));
	set_put(set, 2, TimestampTzGetDatum(order->update_time));
	set_put(set, 3, TimestampTzGetDatum(order->fetched_at));
	set_put(set, 4, CStringGetTextDatum(order_status_name(order->status)));
	set_put(set, 5, CStringGetTextDatum(outcome));
	set_put_pointer(set, 6, n > 0 ? order_history_lines(lines, n, order_status_name(order->status)) : NULL);
}

/* book_lines books all lines of a document; returns how many changed, into `changed`. */
static int
book_lines(Booking *b, OrderLine **changed)
{
	OrderLine **added = palloc(sizeof(OrderLine *) * b->doc->nlines);
	int			nadded = 0;
	int			nchanged = 0;

	for (int i = 0; i < b->doc->nlines; i++)
	{
		const DocLine *doc_line = &b->doc->lines[i];
		OrderLine  *line = order_line_find(b->order, doc_line->line_id);

		if (line == NULL)
			line = added[nadded++] = first_sight(b, doc_line);
		if (book_line(b, line, doc_line))
		{
			PageSku    *sku = order_page_sku(b->page, line->sku_id);

			line->changed = true;
			b->order->parked |= line->state == LINE_PARKED;
			changed[nchanged++] = line;
			if (sku != NULL)
				sku->touched = true;
		}
	}
	add_lines(b->order, added, nadded);
	pfree(added);
	return nchanged;
}

void
order_book(OrderPage *page, int d)
{
	OrderDoc   *doc = &page->docs[d];
	Booking		b = {page, NULL, doc, 0, false};
	OrderLine **changed;
	const char *outcome;
	bool		head;
	int			n;

	if (doc->reject != NULL)
	{
		order_answer_reject(page, d, doc->reject);
		return;
	}
	b.order = &page->orders[page->order_of[d]];
	if (order_is_stale(b.order, doc))
	{
		order_answer_lines(page, d, "stale");
		return;
	}
	changed = palloc(sizeof(OrderLine *) * doc->nlines);
	b.is_first = b.order->is_new;
	b.known_at = b.order->fetched_at;
	head = b.is_first || book_head(b.order, doc);
	b.order->is_new = false;
	n = book_lines(&b, changed);
	outcome = outcome_of(b.order, doc, head || n > 0);
	if (head || n > 0)
		note_history(page, b.order, outcome, changed, n);
	order_answer_lines(page, d, outcome);
	pfree(changed);
}
