/*
 * listing_terms.c
 *		The arithmetic of listings (listing_terms.h). The view listing_target
 *		says the same in SQL for what is not computed here, and
 *		regress/sql/terms.sql compares the two.
 */
#include "listing_terms.h"

#define US_PER_MINUTE	INT64_C(60000000)

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* quantity_of is what may be shown when `withheld` units are kept back of the gross ones. */
static int64_t
quantity_of(const TermsFacts *facts, int64_t withheld)
{
	return larger(smaller(facts->gross - withheld, facts->most), 0);
}

/*
 * believe: the platform lowers its own copy with an order and raises it with
 * a cancellation. What nobody can place before or after the write leaves
 * unknown what is shown, unless the write knew it already; so does a
 * cancellation after it where nobody knows whether units are given back.
 */
static int64_t
believe(const TermsFacts *facts)
{
	if (!facts->written || !facts->written_here || facts->doubt_qty != TERMS_NONE ||
		facts->sending_qty != TERMS_NONE || (facts->unsure && facts->acked_version != facts->version) ||
		(facts->returns_unknown && facts->cancelled_after > 0))
		return TERMS_NONE;
	return larger(facts->acked_qty - facts->ordered_after + facts->cancelled_after, 0);
}

void
terms_compare(const TermsFacts *facts, Terms *terms)
{
	terms->wanted = facts->shows_nothing ? 0 : quantity_of(facts, facts->buffer);
	terms->believed = believe(facts);
	terms->at_most = TERMS_NONE;
	if (facts->doubt_qty != TERMS_NONE)
		terms->at_most = facts->doubt_qty;
	else if (terms->believed != TERMS_NONE)
		terms->at_most = terms->believed;
	else if (facts->written)
		terms->at_most = facts->acked_qty + facts->cancelled;
	terms->at_most = larger(terms->at_most, facts->sending_qty);
	terms->differs = terms->believed != terms->wanted;
}

/*
 * unseen_of is what the shop has probably sold since its orders were fetched:
 * no more than it shows, but what it showed before a write that orders have
 * not reached is forgotten.
 */
static int64_t
unseen_of(const TermsFacts *facts, const Terms *terms)
{
	int64_t		elapsed = facts->now - facts->fetched_through;
	int64_t		units;

	if (!facts->fetched || elapsed <= 0 || facts->sold_before == 0)
		return 0;
	units = (int64_t) (((__int128) facts->sold_before * elapsed + US_PER_MINUTE / 2) / US_PER_MINUTE) - facts->sold_after;
	if (terms->at_most != TERMS_NONE && facts->written && facts->written_at < facts->fetched_through)
		units = smaller(units, terms->at_most);
	return larger(units, 0);
}

static int64_t
fetch_after(const TermsFacts *facts, const Terms *terms)
{
	int64_t		oldest = facts->now - facts->fetch_age;

	if (!terms->differs || terms->wanted == 0 ||
		(terms->at_most != TERMS_NONE && terms->at_most - terms->wanted > terms->unseen))
		return 0;
	if (terms->believed != TERMS_NONE && terms->believed < terms->wanted && terms->to_send <= terms->believed)
		return (facts->fetched ? smaller(facts->fetched_through, facts->now) : facts->now) + facts->poll_interval;
	return smaller(facts->written ? larger(oldest, facts->written_at) : oldest, facts->now);
}

void
terms_write(const TermsFacts *facts, Terms *terms)
{
	terms->unseen = unseen_of(facts, terms);
	terms->to_send = terms->wanted;
	if (terms->wanted != 0 && terms->unseen != 0)
		terms->to_send = quantity_of(facts, facts->buffer + terms->unseen);
	terms->fetch_after = fetch_after(facts, terms);
	terms->not_before = 0;
	if (facts->written && facts->doubt_qty == TERMS_NONE && facts->sending_qty == TERMS_NONE &&
		facts->acked_qty == terms->wanted && facts->acked_version == facts->version)
		terms->not_before = smaller(facts->written_at, facts->now) + facts->clock_doubt;
}
