/*
 * queue_place.c
 *		Where listings wait that are in no call: doubly linked lists order the
 *		lanes by age, pairing heaps order decreases by urgency and those that
 *		wait for a time. Touched by one process: no locks.
 */
#include "queue_internal.h"

#include <math.h>

static MemoryContext context = NULL;
static pairingheap *waiting = NULL;
static int	n_waiting = 0;

static int
later_first(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz left = pairingheap_const_container(QueueListing, heap, a)->wakes;
	TimestampTz right = pairingheap_const_container(QueueListing, heap, b)->wakes;

	return left < right ? 1 : left > right ? -1 : 0;
}

static int
more_urgent(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const QueueListing *left = pairingheap_const_container(QueueListing, urgent, a);
	const QueueListing *right = pairingheap_const_container(QueueListing, urgent, b);

	if (left->urgency != right->urgency)
		return left->urgency > right->urgency ? 1 : -1;
	return left->changed_at < right->changed_at ? 1 : left->changed_at > right->changed_at ? -1 : 0;
}

void
queue_init_places(MemoryContext in)
{
	MemoryContext old = MemoryContextSwitchTo(in);

	context = in;
	waiting = pairingheap_allocate(later_first, NULL);
	MemoryContextSwitchTo(old);
}

void
queue_init_lanes(QueueLanes *lanes)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	dlist_init(&lanes->decreases);
	dlist_init(&lanes->raises);
	dlist_init(&lanes->fetching);
	lanes->fetch_after = DT_NOEND;
	lanes->by_urgency = pairingheap_allocate(more_urgent, NULL);
	MemoryContextSwitchTo(old);
}

bool
queue_has_decreases(const QueueLanes *lanes)
{
	return !dlist_is_empty(unconstify(dlist_head *, &lanes->decreases));
}

bool
queue_has_raises(const QueueLanes *lanes)
{
	return !dlist_is_empty(unconstify(dlist_head *, &lanes->raises));
}

static QueueListing *
most_urgent(const QueueLanes *lanes)
{
	return pairingheap_container(QueueListing, urgent, pairingheap_first(lanes->by_urgency));
}

bool
queue_has_stops(const QueueLanes *lanes)
{
	return queue_has_decreases(lanes) && isinf(most_urgent(lanes)->urgency);
}

void
queue_leave_lane(QueueListing *listing)
{
	dlist_delete(&listing->lane);
	if (listing->decrease)
	{
		pairingheap_remove(listing->lanes->by_urgency, &listing->urgent);
		listing->lanes->n_decreases--;
	}
	else
		listing->lanes->n_raises--;
}

/* queue_unlink takes a listing out of the lane, list or heap that its state stands for. */
void
queue_unlink(QueueListing *listing)
{
	if (listing->state == QUEUE_READY)
		queue_leave_lane(listing);
	else if (listing->state == QUEUE_FETCHING)
	{
		dlist_delete(&listing->lane);
		listing->lanes->n_fetching--;
	}
	else if (listing->state == QUEUE_WAITING)
	{
		pairingheap_remove(waiting, &listing->heap);
		n_waiting--;
	}
}

/* enter_lane keeps the lane ordered by age; nearly always the listing goes last, or first. */
static void
enter_lane(QueueListing *listing)
{
	dlist_head *lane = listing->decrease ? &listing->lanes->decreases : &listing->lanes->raises;
	dlist_node *before = lane->head.prev;

	listing->state = QUEUE_READY;
	if (listing->decrease)
	{
		pairingheap_add(listing->lanes->by_urgency, &listing->urgent);
		listing->lanes->n_decreases++;
	}
	else
		listing->lanes->n_raises++;
	if (dlist_is_empty(lane) ||
		listing->changed_at < dlist_head_element(QueueListing, lane, lane)->changed_at)
	{
		dlist_push_head(lane, &listing->lane);
		return;
	}
	while (dlist_container(QueueListing, lane, before)->changed_at > listing->changed_at)
		before = before->prev;
	dlist_insert_after(before, &listing->lane);
}

/* queue_place puts an unlinked listing where it belongs now. */
void
queue_place(QueueListing *listing, TimestampTz due)
{
	listing->due = due;
	listing->wakes = Max(due, listing->held_until);
	if (listing->item->flying)
		listing->state = QUEUE_BLOCKED;
	else if (listing->wakes != 0)
	{
		listing->state = QUEUE_WAITING;
		pairingheap_add(waiting, &listing->heap);
		n_waiting++;
	}
	else if (listing->fetch_after > listing->lanes->fetched_through)
	{
		listing->state = QUEUE_FETCHING;
		dlist_push_tail(&listing->lanes->fetching, &listing->lane);
		listing->lanes->n_fetching++;
		listing->lanes->fetch_after = Min(listing->lanes->fetch_after, listing->fetch_after);
	}
	else
		enter_lane(listing);
}

/* queue_first: the listing whose item the next call is for; NULL for none. */
QueueListing *
queue_first(QueueLanes *lanes, bool decrease, TimestampTz now)
{
	dlist_head *lane = decrease ? &lanes->decreases : &lanes->raises;
	QueueListing *oldest;

	if (dlist_is_empty(lane))
		return NULL;
	oldest = dlist_head_element(QueueListing, lane, lane);
	if (!decrease)
		return oldest;
	if (++lanes->lowered % 4 == 0 && oldest->changed_at < now - QUEUE_PATIENCE_US && !queue_has_stops(lanes))
		return oldest;
	return most_urgent(lanes);
}

void
queue_fetched(QueueLanes *lanes, TimestampTz through)
{
	dlist_mutable_iter iter;

	lanes->fetched_through = Max(lanes->fetched_through, through);
	lanes->fetch_after = DT_NOEND;
	dlist_foreach_modify(iter, &lanes->fetching)
	{
		QueueListing *listing = dlist_container(QueueListing, lane, iter.cur);

		if (listing->fetch_after <= lanes->fetched_through)
		{
			queue_unlink(listing);
			queue_place(listing, 0);
		}
		else
			lanes->fetch_after = Min(lanes->fetch_after, listing->fetch_after);
	}
}

void
queue_return(QueueListing *listing)
{
	Assert(listing->state == QUEUE_LANDED);
	queue_place(listing, 0);
}

void
queue_release_due(TimestampTz now)
{
	while (queue_next_due() <= now)
	{
		QueueListing *listing = pairingheap_container(QueueListing, heap, pairingheap_first(waiting));

		queue_unlink(listing);
		listing->held_until = 0;
		queue_place(listing, 0);
	}
}

TimestampTz
queue_next_due(void)
{
	if (pairingheap_is_empty(waiting))
		return DT_NOEND;
	return pairingheap_container(QueueListing, heap, pairingheap_first(waiting))->wakes;
}

int
queue_waiting(void)
{
	return n_waiting;
}
