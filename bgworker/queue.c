/*
 * queue.c
 *		Per-store queues of dirty listings; queue.h says what they promise.
 *
 * Two hash tables find listings and items; queue_place.c orders those that
 * are in no call. Everything is in
 * one memory context and touched by one process: no locks. Nothing here
 * knows tables, calls or limits.
 */
#include "queue_internal.h"

#include <math.h>

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Listings refused alone, none taken in between: the rest of a refused batch is given up with them. */
#define REFUSED_ALONE_MAX	8
/* Of a batch that grows again. */
#define MAX_BATCH			1000

static MemoryContext context = NULL;
static HTAB *listings = NULL;
static HTAB *items = NULL;
static int	n_flying = 0;
static uint32 sweep = 0;

static uint32
item_hash(const void *key, Size size)
{
	const QueueItem *item = key;

	return hash_combine(hash_uint32((uint32) item->store_id),
						hash_bytes((const unsigned char *) item->item_id, (int) strlen(item->item_id)));
}

static int
item_match(const void *left, const void *right, Size size)
{
	const QueueItem *a = left;
	const QueueItem *b = right;

	return a->store_id == b->store_id ? strcmp(a->item_id, b->item_id) : 1;
}

void
queue_init(void)
{
	HASHCTL		control = {0};

	context = AllocSetContextCreate(TopMemoryContext, "storesync queue", ALLOCSET_DEFAULT_SIZES);
	control.hcxt = context;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(QueueListing);
	listings = hash_create("storesync listings", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	control.keysize = offsetof(QueueItem, flying);
	control.entrysize = sizeof(QueueItem);
	control.hash = item_hash;
	control.match = item_match;
	items = hash_create("storesync items", 1024, &control,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	queue_init_places(context);
}

static QueueItem *
find_item(const QueueWant *want)
{
	QueueItem	key = {.store_id = want->store_id, .item_id = unconstify(char *, want->item_id)};
	QueueItem  *item;
	bool		found;

	item = hash_search(items, &key, HASH_ENTER, &found);
	if (!found)
	{
		item->item_id = MemoryContextStrdup(context, want->item_id);
		item->flying = false;
		item->many = want->many;
		item->max_batch = 0;
		item->refused_alone = 0;
		dlist_init(&item->listings);
	}
	return item;
}

static void
leave_item(QueueListing *listing)
{
	QueueItem  *item = listing->item;
	char	   *item_id = item->item_id;

	dlist_delete(&listing->sibling);
	listing->item = NULL;
	if (!dlist_is_empty(&item->listings) || item->flying)
		return;
	hash_search(items, item, HASH_REMOVE, NULL);
	pfree(item_id);
}

static QueueListing *
enter_listing(const QueueWant *want)
{
	QueueListing *listing = hash_search(listings, &want->listing_id, HASH_ENTER, NULL);

	memset((char *) listing + sizeof(int64), 0, sizeof(QueueListing) - sizeof(int64));
	listing->lanes = want->lanes;
	listing->item = find_item(want);
	dlist_push_tail(&listing->item->listings, &listing->sibling);
	listing->state = QUEUE_LANDED;
	listing->changed_at = want->changed_at;
	return listing;
}

/* move_listing follows a listing whose item or store was changed under it. */
static void
move_listing(QueueListing *listing, const QueueWant *want)
{
	if (listing->item->store_id == want->store_id && strcmp(listing->item->item_id, want->item_id) == 0)
		return;
	leave_item(listing);
	listing->lanes = want->lanes;
	listing->item = find_item(want);
	dlist_push_tail(&listing->item->listings, &listing->sibling);
}

bool
queue_put(const QueueWant *want)
{
	QueueListing *listing = queue_find(want->listing_id);

	if (listing == NULL)
	{
		if (hash_get_num_entries(listings) >= QUEUE_MAX)
			return false;
		listing = enter_listing(want);
	}
	listing->seen = sweep;
	if (listing->state == QUEUE_FLYING)
	{
		if (listing->changed_again_at == 0 || want->changed_at < listing->changed_again_at)
			listing->changed_again_at = want->changed_at;
		return true;
	}
	queue_unlink(listing);
	move_listing(listing, want);
	listing->decrease = want->decrease;
	listing->fetch_after = want->fetch_after == 0 ? 0 : Max(listing->fetch_after, want->fetch_after);
	/* a zero that a stop wants does not wait for what failed before it */
	if (isinf(want->urgency) && !isinf(listing->urgency))
		listing->due = 0;
	listing->urgency = want->urgency;
	listing->held_until = want->held_until;
	listing->changed_at = Min(listing->changed_at, want->changed_at);
	queue_place(listing, Max(want->due, listing->due));
	return true;
}

QueueListing *
queue_find(int64 listing_id)
{
	return hash_search(listings, &listing_id, HASH_FIND, NULL);
}

static void
forget_story(QueueListing *listing)
{
	QueueAttempt *next;

	for (QueueAttempt *attempt = listing->story; attempt != NULL; attempt = next)
	{
		next = attempt->next;
		pfree(attempt);
	}
	listing->story = NULL;
	listing->attempts = 0;
}

static void
forget(QueueListing *listing)
{
	queue_unlink(listing);
	leave_item(listing);
	forget_story(listing);
	hash_search(listings, &listing->listing_id, HASH_REMOVE, NULL);
}

void
queue_drop(int64 listing_id)
{
	QueueListing *listing = queue_find(listing_id);

	if (listing != NULL && listing->state != QUEUE_FLYING)
		forget(listing);
}

int
queue_take(QueueLanes *lanes, bool decrease, TimestampTz now, QueueListing **taken, int max)
{
	QueueListing *first = queue_first(lanes, decrease, now);
	dlist_iter	iter;
	int			n = 0;

	if (first == NULL)
		return 0;
	if (first->item->max_batch > 0)
		max = Min(max, first->item->max_batch);
	first->item->flying = true;
	taken[n++] = first;
	dlist_foreach(iter, &first->item->listings)
	{
		QueueListing *other = dlist_container(QueueListing, sibling, iter.cur);

		if (other == first || other->state != QUEUE_READY)
			continue;
		if (n < max)
			taken[n++] = other;
		else
		{
			queue_leave_lane(other);
			other->state = QUEUE_BLOCKED;
		}
	}
	for (int i = 0; i < n; i++)
	{
		queue_leave_lane(taken[i]);
		taken[i]->state = QUEUE_FLYING;
		n_flying++;
		taken[i]->changed_again_at = 0;
	}
	return n;
}

void
queue_release(QueueItem *item)
{
	char	   *item_id = item->item_id;
	dlist_iter	iter;

	item->flying = false;
	dlist_foreach(iter, &item->listings)
	{
		QueueListing *other = dlist_container(QueueListing, sibling, iter.cur);

		if (other->state == QUEUE_BLOCKED)
			queue_place(other, other->due);
	}
	if (dlist_is_empty(&item->listings))
	{
		hash_search(items, item, HASH_REMOVE, NULL);
		pfree(item_id);
	}
}

void
queue_land(QueueListing **taken, int n)
{
	QueueItem  *item = taken[0]->item;

	for (int i = 0; i < n; i++)
	{
		Assert(taken[i]->state == QUEUE_FLYING && taken[i]->item == item);
		taken[i]->state = QUEUE_LANDED;
		taken[i]->due = 0;
		n_flying--;
	}
	queue_release(item);
}

void
queue_withdraw(QueueListing *listing)
{
	Assert(listing->state == QUEUE_FLYING && listing->item->flying);
	listing->state = QUEUE_LANDED;
	n_flying--;
	forget(listing);
}

void
queue_set_back(QueueListing *listing)
{
	Assert(listing->state == QUEUE_FLYING && listing->item->flying);
	listing->state = QUEUE_LANDED;
	n_flying--;
}

void
queue_defer(QueueListing *listing)
{
	Assert(listing->state == QUEUE_FLYING && listing->item->flying);
	n_flying--;
	listing->fetch_after = listing->lanes->fetched_through + 1;
	listing->state = QUEUE_BLOCKED;
}

bool
queue_split(QueueListing **refused, int n)
{
	QueueItem  *item = refused[0]->item;

	if (n <= 1 || (item->refused_alone >= REFUSED_ALONE_MAX && !item->many))
		return false;
	item->max_batch = (uint16) ((n + 1) / 2);
	return true;
}

void
queue_joined(QueueItem *item, int n)
{
	item->refused_alone = 0;
	if (item->max_batch > 0)
		item->max_batch = (uint16) Max(item->max_batch, Min(2 * n, MAX_BATCH));
}

void
queue_refused(QueueItem *item)
{
	if (item->max_batch > 0 && !item->many && ++item->refused_alone >= REFUSED_ALONE_MAX)
		item->max_batch = 0;
}

void
queue_failed(QueueListing *listing, const QueueAttempt *attempt)
{
	size_t		reason = strlen(attempt->reason) + 1;
	size_t		excerpt = strlen(attempt->excerpt) + 1;
	QueueAttempt **last = &listing->story;
	QueueAttempt *copy;
	char	   *texts;

	if (listing->attempts >= QUEUE_MAX_ATTEMPTS)
		return;
	while (*last != NULL)
		last = &(*last)->next;
	copy = MemoryContextAlloc(context, sizeof(QueueAttempt) + reason + excerpt);
	texts = (char *) (copy + 1);
	*copy = *attempt;
	copy->next = NULL;
	copy->reason = memcpy(texts, attempt->reason, reason);
	copy->excerpt = memcpy(texts + reason, attempt->excerpt, excerpt);
	*last = copy;
	listing->attempts++;
}

void
queue_succeeded(QueueListing *listing, TimestampTz now)
{
	forget_story(listing);
	listing->changed_at = listing->changed_again_at != 0 ? listing->changed_again_at : now;
}

void
queue_sweep_begin(void)
{
	sweep++;
}

void
queue_sweep_end(const QueueLanes *lanes)
{
	HASH_SEQ_STATUS scan;
	QueueListing *listing;

	hash_seq_init(&scan, listings);
	while ((listing = hash_seq_search(&scan)) != NULL)
	{
		if (listing->seen != sweep && listing->state != QUEUE_FLYING &&
			(lanes == NULL || listing->lanes == lanes))
			forget(listing);
	}
}

int
queue_count(void)
{
	return (int) hash_get_num_entries(listings);
}

int
queue_flying(void)
{
	return n_flying;
}
