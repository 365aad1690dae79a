/*
 * listing_terms.h
 *		What a listing should show, what it is believed to show, and what a
 *		write has to say: the arithmetic, from facts that were read elsewhere.
 *
 * Free of PostgreSQL headers, no state, no clock. Quantities are sold units
 * unless they say otherwise, times microseconds of one clock. docs/listing.md
 * has the rules.
 */
#ifndef STORESYNC_LISTING_TERMS_H
#define STORESYNC_LISTING_TERMS_H

#include <stdbool.h>
#include <stdint.h>

/* A quantity that nobody knows, or that there is not. */
#define TERMS_NONE		(-1)

typedef struct TermsFacts
{
	int64_t		now;
	int64_t		clock_doubt;	/* how far the platform's times may be off */
	int64_t		fetch_age;		/* orders fetched longer ago are too old to raise by */

	bool		enabled;
	bool		shows_nothing;	/* held, or its sale is stopped */
	int64_t		gross;			/* floor(units left × share / pack), at least 0 */
	int64_t		buffer;
	int64_t		most;			/* the smaller of cap and the platform's largest quantity */
	int64_t		version;

	/* what was written last */
	bool		written;		/* else nothing of this section is known */
	bool		written_here;	/* in this incarnation of the data */
	int64_t		acked_qty;
	int64_t		acked_version;
	int64_t		written_at;
	int64_t		doubt_qty;		/* TERMS_NONE: no write in doubt */
	int64_t		sending_qty;	/* TERMS_NONE: no write under way */

	/* its own orders since */
	int64_t		ordered_after;
	int64_t		cancelled;		/* all that may have been given back since */
	int64_t		cancelled_after;
	bool		returns_unknown;	/* whether the platform gives back what was cancelled */
	bool		unsure;			/* there are some of which nobody knows whether they came before the write */

	/* its store's fetches */
	bool		fetched;
	int64_t		fetched_through;
	int64_t		poll_interval;	/* at most a minute */
	int64_t		sold_before;	/* units ordered in the minute before fetched_through */
	int64_t		sold_after;		/* units ordered since that are booked */
} TermsFacts;

typedef struct Terms
{
	int64_t		wanted;
	int64_t		believed;		/* TERMS_NONE: unknown */
	int64_t		at_most;		/* TERMS_NONE: never written */
	bool		differs;		/* believed is not wanted */
	int64_t		unseen;
	int64_t		to_send;
	int64_t		fetch_after;	/* orders are to be fetched through this first; 0: at once */
	int64_t		not_before;		/* of a write that says the same again; 0: at once */
} Terms;

/* The first half: wanted, believed, at_most, differs. Sales by fetched_through need not be known yet. */
extern void terms_compare(const TermsFacts *facts, Terms *terms);
/* The second half, after terms_compare. sold_before and sold_after are to be 0 where nothing differs. */
extern void terms_write(const TermsFacts *facts, Terms *terms);

#endif
