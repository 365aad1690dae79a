/*
 * what_if_replay.c
 *		Replays a period's orders of one SKU (what_if.h; the model is in
 *		docs/what-if.md).
 *
 * Two stocks: what is there, which falls when an order is placed, and what is
 * known, which falls when it is booked. Each shop sells from what it shows.
 * What that should be is said by the arithmetic of the product itself
 * (listing_terms.c, listing_share_of); only who shows the last units is said
 * here once more, as in the view listing_target.
 */
#include "storesync.h"

#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "listing_read.h"
#include "what_if.h"

/* In the order in which they take place when they do so at the same moment. */
typedef enum EventKind
{
	EVENT_MOVE,					/* stock came or went */
	EVENT_CANCEL,				/* an order is cancelled in its shop */
	EVENT_CANCEL_SEEN,			/* and that is booked */
	EVENT_BOOK,					/* an order is booked */
	EVENT_WRITE,				/* a shop is written */
	EVENT_DEMAND				/* a buyer orders */
} EventKind;

typedef struct Event
{
	pairingheap_node node;
	TimestampTz at;
	EventKind	kind;
	int			index;			/* of its line, move or listing */
} Event;

typedef struct Run
{
	Replay	   *replay;
	pairingheap *events;
	TimestampTz now;
	int64		there;			/* below 0: oversold, and owed */
	int64		known;
	int			next_line;		/* the first that nobody has ordered yet */
} Run;

/* The heap's first is the greatest: what comes first compares as greater. */
static int
compare_events(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const Event *x = (const Event *) a;
	const Event *y = (const Event *) b;

	if (x->at != y->at)
		return x->at < y->at ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? 1 : -1;
	return x->index < y->index ? 1 : -1;
}

/* expect has something happen; what lies beyond the period never does. */
static void
expect(Run *run, TimestampTz at, EventKind kind, int index)
{
	Event	   *event;

	if (at >= run->replay->until)
		return;
	event = palloc(sizeof(Event));
	event->at = at;
	event->kind = kind;
	event->index = index;
	pairingheap_add(run->events, &event->node);
}

static ReplayListing *
listing_of(Replay *replay, const ReplayLine *line)
{
	for (int i = 0; i < replay->n_listings; i++)
		if (replay->listings[i].listing_id == line->listing_id)
			return &replay->listings[i];
	elog(ERROR, "line of listing " INT64_FORMAT " without its listing", line->listing_id);
	return NULL;
}

/* ---------------------------------------------------------------- what is wanted */

/* sole_of finds the listing that alone shows the last units; NULL: each shows its own part. */
static const ReplayListing *
sole_of(const Run *run)
{
	const Replay *replay = run->replay;
	int64		left = Max(run->known, 0) - replay->listings[0].safety_stock;
	int64		solo_below = replay->listings[0].solo_below;
	const ReplayListing *sole = NULL;

	if (solo_below <= 0 || left <= 0)
		return NULL;
	for (int i = 0; i < replay->n_listings; i++)
	{
		const ReplayListing *listing = &replay->listings[i];

		if (!listing->managed || left < listing->pack || listing->most == 0)
			continue;
		if (left >= solo_below && listing_share_of(left, listing->share, listing->pack) > listing->buffer)
			return NULL;
		if (sole == NULL || listing->priority > sole->priority)
			sole = listing;
	}
	return sole;
}

/* sold_before is what a shop sold in the minute before its orders are fetched through. */
static int64
sold_before(const Run *run, const ReplayListing *listing, TimestampTz fetched_through)
{
	int64		units = 0;

	for (int i = run->next_line - 1; i >= 0; i--)
	{
		const ReplayLine *line = &run->replay->lines[i];

		if (line->ordered_at <= fetched_through - USECS_PER_MINUTE)
			break;
		if (line->accepted && line->ordered_at <= fetched_through && line->listing_id == listing->listing_id)
			units += line->qty;
	}
	return units;
}

/* judge asks the product's arithmetic what is wanted of a listing, and what a write now would say. */
static void
judge(const Run *run, const ReplayListing *listing, const ReplayListing *sole, Terms *terms)
{
	int64		left = Max(run->known, 0) - listing->safety_stock;
	TermsFacts	facts = {
		.now = run->now, .clock_doubt = 0, .fetch_age = Max((int64) ss_max_fetch_age * 1000, listing->fetch_us), .enabled = true,
		.shows_nothing = sole != NULL && sole != listing, .buffer = sole == NULL ? listing->buffer : 0, .most = listing->most,
		.written = true, .written_here = true, .acked_qty = listing->acked, .written_at = listing->written_at,
		.doubt_qty = TERMS_NONE, .sending_qty = TERMS_NONE,
		.ordered_after = listing->ordered_after, .cancelled = listing->cancelled_after, .cancelled_after = listing->cancelled_after,
		.fetched = true, .fetched_through = run->now - listing->fetch_us, .poll_interval = Min(listing->poll_us, USECS_PER_MINUTE)
	};

	facts.gross = sole == NULL ? listing_share_of(left, listing->share, listing->pack) : Max(left, 0) / listing->pack;
	terms_compare(&facts, terms);
	if (!terms->differs)
		return;
	facts.sold_before = sold_before(run, listing, facts.fetched_through);
	terms_write(&facts, terms);
}

/*
 * consider plans a listing's next write when it does not show what is wanted:
 * after its delay, and where it has to wait for orders after these.
 */
static void
consider(Run *run, int index, const ReplayListing *sole)
{
	ReplayListing *listing = &run->replay->listings[index];
	TimestampTz at = run->now;
	Terms		terms;

	if (!listing->managed)
		return;
	judge(run, listing, sole, &terms);
	if (!terms.differs)
	{
		listing->write_at = DT_NOEND;
		return;
	}
	if (terms.fetch_after != 0)
		at = Max(run->now, terms.fetch_after) + listing->fetch_us;
	at += listing->write_us;
	if (at >= listing->write_at)
		return;
	listing->write_at = at;
	expect(run, at, EVENT_WRITE, index);
}

static void
consider_all(Run *run)
{
	const ReplayListing *sole = sole_of(run);

	for (int i = 0; i < run->replay->n_listings; i++)
		consider(run, i, sole);
}

/* ---------------------------------------------------------------- what happens */

/* demand: a buyer gets all that he wants, or nothing; a shop that is not ours to write sells what it sold. */
static void
demand(Run *run, int index)
{
	ReplayLine *line = &run->replay->lines[index];
	ReplayListing *listing = listing_of(run->replay, line);
	int64		units = line->qty * line->pack;

	run->next_line = index + 1;
	listing->demanded += units;
	line->accepted = !listing->managed || listing->shown >= line->qty;
	if (!line->accepted)
	{
		*(run->there >= units ? &listing->lost : &listing->out_of_stock) += units;
		return;
	}
	listing->shown = Max(listing->shown - line->qty, 0);
	listing->sold += units;
	listing->oversold += Max(units - Max(run->there, 0), 0);
	run->there -= units;
	expect(run, run->now + listing->fetch_us, EVENT_BOOK, index);
	if (line->cancelled_qty > 0)
		expect(run, Max(line->cancelled_at, run->now), EVENT_CANCEL, index);
}

static void
book(Run *run, const ReplayLine *line)
{
	ReplayListing *listing = listing_of(run->replay, line);

	run->known -= line->qty * line->pack;
	if (line->ordered_at > listing->written_at)
		listing->ordered_after += line->qty;
	consider_all(run);
}

static void
cancel(Run *run, int index, bool seen)
{
	const ReplayLine *line = &run->replay->lines[index];
	ReplayListing *listing = listing_of(run->replay, line);
	int64		units = line->cancelled_qty * line->pack;

	if (!seen)
	{
		run->there += units;
		listing->shown += listing->gives_back ? line->cancelled_qty : 0;
		expect(run, run->now + listing->fetch_us, EVENT_CANCEL_SEEN, index);
		return;
	}
	run->known += units;
	if (listing->gives_back && Max(line->cancelled_at, line->ordered_at) > listing->written_at)
		listing->cancelled_after += line->cancelled_qty;
	consider_all(run);
}

/* write_listing says to the shop what is to be said by now; one that has to wait on is planned anew. */
static void
write_listing(Run *run, int index)
{
	ReplayListing *listing = &run->replay->listings[index];
	const ReplayListing *sole = sole_of(run);
	Terms		terms;

	if (listing->write_at != run->now)
		return;					/* overtaken by an earlier one */
	listing->write_at = DT_NOEND;
	judge(run, listing, sole, &terms);
	if (!terms.differs)
		return;
	if (terms.fetch_after <= run->now - listing->fetch_us)
	{
		listing->shown = listing->acked = terms.to_send;
		listing->written_at = run->now;
		listing->ordered_after = listing->cancelled_after = 0;
		listing->writes++;
	}
	consider(run, index, sole);
	/* where nothing takes any time there is at least the whole second of orders' times */
	if (listing->write_at <= run->now)
	{
		listing->write_at = run->now + USECS_PER_SEC;
		expect(run, listing->write_at, EVENT_WRITE, index);
	}
}

static void
happen(Run *run, const Event *event)
{
	Replay	   *replay = run->replay;

	run->now = event->at;
	switch (event->kind)
	{
		case EVENT_MOVE:
			run->there += replay->moves[event->index].units;
			run->known += replay->moves[event->index].units;
			consider_all(run);
			break;
		case EVENT_CANCEL:
			cancel(run, event->index, false);
			break;
		case EVENT_CANCEL_SEEN:
			cancel(run, event->index, true);
			break;
		case EVENT_BOOK:
			book(run, &replay->lines[event->index]);
			break;
		case EVENT_WRITE:
			write_listing(run, event->index);
			break;
		case EVENT_DEMAND:
			demand(run, event->index);
			break;
	}
}

/* begin: each listing of ours shows what is wanted. */
static void
begin(Run *run)
{
	Replay	   *replay = run->replay;
	const ReplayListing *sole = sole_of(run);

	for (int i = 0; i < replay->n_listings; i++)
	{
		ReplayListing *listing = &replay->listings[i];
		Terms		terms;

		listing->written_at = replay->since - USECS_PER_HOUR;
		listing->write_at = DT_NOEND;
		judge(run, listing, sole, &terms);
		listing->shown = listing->acked = terms.wanted;
	}
	for (int i = 0; i < replay->n_moves; i++)
		expect(run, replay->moves[i].at, EVENT_MOVE, i);
	for (int i = 0; i < replay->n_lines; i++)
		expect(run, replay->lines[i].ordered_at, EVENT_DEMAND, i);
}

void
what_if_replay(Replay *replay)
{
	Run			run = {.replay = replay, .now = replay->since, .events = pairingheap_allocate(compare_events, NULL)};

	run.there = run.known = replay->listings[0].opening;
	begin(&run);
	while (!pairingheap_is_empty(run.events))
	{
		CHECK_FOR_INTERRUPTS();
		happen(&run, (Event *) pairingheap_remove_first(run.events));
	}
}
