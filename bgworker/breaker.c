/*
 * breaker.c
 *		The mass-change breaker of each store; breaker.h has the rules,
 *		sql/71_breaker.sql tells the causes of changes. Touched by one process:
 *		no locks.
 */
#include "breaker_internal.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "listing_moves.h"

/* The number of a store's listings is counted again after this time. */
#define COUNT_AGAIN_US	(10 * USECS_PER_SEC)
/* A listing that was to be written within the window, and not for sales as far as is known. */
typedef struct Note
{
	int64		listing_id;		/* hash key */
	DispatchStore *store;
	dlist_node	node;			/* in the store's notes, by age */
	TimestampTz at;
	bool		counts;			/* the cause is known, and it is no sale */
	ListingBase base;
	int64		believed;
	int64		wanted;
} Note;

/* A held listing that was compared in this round. */
typedef struct Looked
{
	dlist_node	node;
	QueueWant	want;
} Looked;

static MemoryContext context = NULL;	/* of a round */
static HTAB *notes = NULL;
static dlist_head looked = DLIST_STATIC_INIT(looked);
static SsSet *undone = NULL;	/* listings whose marks go */

static void
begin_round(void)
{
	static const Oid ids[] = {INT8OID};

	MemoryContextReset(context);
	dlist_init(&looked);
	undone = set_create_in(context, lengthof(ids), ids);
}

void
breaker_init(void)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(Note), .hcxt = TopMemoryContext};

	context = AllocSetContextCreate(TopMemoryContext, "storesync breaker", ALLOCSET_DEFAULT_SIZES);
	notes = hash_create("storesync changes", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	breaker_init_marks();
	begin_round();
}

static void
forget(Note *note)
{
	dlist_delete(&note->node);
	note->store->breaker.n_notes--;
	(void) hash_search(notes, &note->listing_id, HASH_REMOVE, NULL);
}

static void
forget_notes(DispatchStore *store)
{
	while (!dlist_is_empty(&store->breaker.notes))
		forget(dlist_head_element(Note, node, &store->breaker.notes));
}

void
breaker_load(void)
{
	for (int i = 0; i < stores_count(); i++)
		stores_nth(i)->breaker.was_open = stores_nth(i)->breaker.open;
	breaker_load_open();
	breaker_load_marks();
	for (int i = 0; i < stores_count(); i++)
	{
		DispatchStore *store = stores_nth(i);

		if (!store->breaker.was_open || store->breaker.open)
			continue;
		forget_notes(store);
		ereport(LOG,
				(errmsg("storesync store %d: the changes that were held are released", store->store_id)));
	}
}

/* ---------------------------------------------------------------- notes */

/*
 * find_base reads what was last acknowledged, or passed since. False when the
 * listing has never been acknowledged: its first write changes nothing that
 * anybody relies on.
 */
static bool
find_base(const ListingTerms *listing, ListingBase *base)
{
	const BreakerMark *mark = breaker_mark(listing->listing_id);
	bool		acked = listing->base.revision != LISTING_UNACKED;

	if (mark != NULL && mark->passed && (!acked || listing->base.at < mark->base.at))
	{
		*base = mark->base;
		return true;
	}
	*base = listing->base;
	return acked;
}

/* note_change remembers that the listing is to be written; one that is noted already keeps what it was compared with. */
static void
note_change(DispatchStore *store, int64 listing_id, const ListingBase *base, int64 believed, int64 wanted)
{
	bool		found;
	Note	   *note = hash_search(notes, &listing_id, HASH_FIND, &found);

	if (found && note->store != store)
	{
		forget(note);
		found = false;
	}
	if (found)
		dlist_delete(&note->node);
	else
	{
		note = hash_search(notes, &listing_id, HASH_ENTER, NULL);
		note->store = store;
		note->base = *base;
		note->counts = base->revision == LISTING_OTHER_LIFE;
		store->breaker.n_notes++;
	}
	note->believed = believed;
	note->wanted = wanted;
	note->at = GetCurrentTimestamp();
	dlist_push_tail(&store->breaker.notes, &note->node);
}

/* look_at keeps what a held listing was to be queued with. */
static void
look_at(const QueueWant *want)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Looked	   *look = palloc(sizeof(Looked));

	look->want = *want;
	look->want.item_id = pstrdup(want->item_id);
	dlist_push_tail(&looked, &look->node);
	MemoryContextSwitchTo(old);
}

bool
breaker_takes(DispatchStore *store, const ListingTerms *listing, const QueueWant *want)
{
	const BreakerMark *mark = breaker_mark(listing->listing_id);
	const Terms *terms = &listing->terms;
	ListingBase base;

	if (listing->stopped || listing->held)
		return false;
	if (mark != NULL && !mark->passed && store->breaker.open)
	{
		look_at(want);
		return true;
	}
	if ((store->breaker.share > 0 || store->breaker.open) && find_base(listing, &base))
		note_change(store, listing->listing_id, &base,
					terms->believed == TERMS_NONE ? base.qty : terms->believed, terms->wanted);
	return false;
}

void
breaker_undone(int64 listing_id)
{
	Datum		value = Int64GetDatum(listing_id);

	if (breaker_mark(listing_id) != NULL)
		set_add(undone, &value, NULL);
}

/* find_causes looks for the causes of a store's notes that have none yet, and forgets those that sales explain. */
static void
find_causes(DispatchStore *store)
{
	ListingMoves *moves = MemoryContextAllocZero(context, store->breaker.n_notes * sizeof(ListingMoves));
	dlist_mutable_iter iter;
	int			n = 0;

	dlist_foreach_modify(iter, &store->breaker.notes)
	{
		const Note *note = dlist_container(Note, node, iter.cur);

		if (note->counts)
			continue;
		moves[n].listing_id = note->listing_id;
		moves[n++].base = note->base;
	}
	listing_moves_read(moves, n);
	for (int i = 0; i < n; i++)
	{
		Note	   *note = hash_search(notes, &moves[i].listing_id, HASH_FIND, NULL);

		note->counts = listing_moves_count(&moves[i], note->wanted, note->believed);
		if (!note->counts)
			forget(note);
	}
}

/* ---------------------------------------------------------------- opening and holding */

/* notes_that_open gives the number of changes at which the store's breaker opens. */
static int64
notes_that_open(DispatchStore *store, TimestampTz now)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(store->store_id)};
	StoreBreaker *breaker = &store->breaker;
	bool		isnull;

	if (breaker->counted_at + COUNT_AGAIN_US <= now || breaker->counted_at > now)
	{
		ss_execute(&plan, "SELECT count(*) FROM storesync.listing WHERE store_id = $1", SPI_OK_SELECT, 1, types,
				   values, NULL, 0);
		breaker->listings = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		breaker->counted_at = now;
	}
	return Max((int64) breaker->least, (int64) ceil(breaker->share * (double) breaker->listings));
}

/* hold_changes takes what counts out of the queue; what is in a call comes back here when that has ended. */
static void
hold_changes(DispatchStore *store)
{
	static const Oid ids[] = {INT8OID};
	SsSet	   *held = set_create_in(context, lengthof(ids), ids);

	while (!dlist_is_empty(&store->breaker.notes))
	{
		Note	   *note = dlist_head_element(Note, node, &store->breaker.notes);
		QueueListing *queued = queue_find(note->listing_id);
		Datum		value = Int64GetDatum(note->listing_id);

		if (queued != NULL && queued->state != QUEUE_FLYING)
		{
			queue_drop(note->listing_id);
			set_add(held, &value, NULL);
		}
		forget(note);
	}
	if (held->rows > 0)
		breaker_write_held(store, held);
}

/* judge_store opens the store's breaker, or holds what is new where it is open. */
static void
judge_store(DispatchStore *store, TimestampTz now)
{
	StoreBreaker *breaker = &store->breaker;

	while (!dlist_is_empty(&breaker->notes))
	{
		Note	   *oldest = dlist_head_element(Note, node, &breaker->notes);

		if (oldest->at + breaker->window_us > now)
			break;
		forget(oldest);
	}
	if (breaker->n_notes == 0)
		return;
	if (!breaker->open)
	{
		if (breaker->n_notes < breaker->least || breaker->n_notes < notes_that_open(store, now))
			return;
		find_causes(store);
		if (breaker->n_notes < notes_that_open(store, now))
			return;
		breaker_lock();
		breaker->open = true;
		breaker_write_open(store);
	}
	else
	{
		find_causes(store);
		if (breaker->n_notes == 0)
			return;
		breaker_lock();
		if (!breaker_still_open(store))
			return;
	}
	hold_changes(store);
}

/* send_bounded queues held listings of which sales take something, and takes the others out. */
static void
send_bounded(void)
{
	dlist_iter	iter;
	int			n = 0;
	int64	   *ids;
	ListingTerms *targets;

	dlist_foreach(iter, &looked)
		n++;
	if (n == 0)
		return;
	ids = MemoryContextAlloc(context, n * sizeof(int64));
	n = 0;
	dlist_foreach(iter, &looked)
		ids[n++] = dlist_container(Looked, node, iter.cur)->want.listing_id;
	targets = target_read(ids, n, &n);
	dlist_foreach(iter, &looked)
	{
		QueueWant  *want = &dlist_container(Looked, node, iter.cur)->want;
		const ListingTerms *target = target_find(targets, n, want->listing_id);

		if (target == NULL || !target->due)
		{
			queue_drop(want->listing_id);
			continue;
		}
		want->decrease = target_lowers(target->terms.to_send, target->terms.at_most);
		/* a group that goes one way (target.c) is the other one now */
		if (want->many && want->decrease && strcmp(want->item_id, "+") == 0)
			want->item_id = "-";
		want->fetch_after = target->terms.fetch_after;
		want->held_until = 0;
		if (!queue_put(want))
			target_overflow = true;
	}
}

void
breaker_run(TimestampTz now)
{
	for (int i = 0; i < stores_count(); i++)
		if (!dlist_is_empty(&stores_nth(i)->breaker.notes))
			judge_store(stores_nth(i), now);
	breaker_write_undone(undone);
	send_bounded();
	begin_round();
}

