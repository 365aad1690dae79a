/*
 * push.c
 *		Stock calls and their outcomes.
 *
 * A quantity is read in the transaction that builds its call and nowhere
 * earlier, so the last value always goes out. Afterwards each listing is
 * compared again, whatever the outcome, unless it is known to be clean: all
 * that was wanted is acknowledged, and no change has named it since the call
 * was built; one that has not been read yet will. What may have been applied is never taken for not applied: what a
 * call is about to say is committed before it leaves, so that after a crash
 * its listings count as unknown and are written again.
 */
#include "push.h"

#include "catalog/pg_type.h"

#include "breaker.h"
#include "dispatcher.h"
#include "drift.h"
#include "retry.h"
#include "target.h"
#include "work.h"

/* Orders fetched so lately need not be fetched again: a fetch reaches whole seconds, and takes a while. */
#define FETCH_GRACE_US		(2 * USECS_PER_SEC)
/* What a promotion locks is tried this often at least, lest it ended early. */
#define PROMOTION_LOOK_US	USECS_PER_HOUR
/* A batch that failed as a whole so often is taken apart. */
#define TAKE_APART_AFTER	3

typedef enum Verdict
{
	SEND,
	NOT_NEEDED,
	NOT_YET,					/* it is queued for something else than what would be sent now */
	FETCH_FIRST					/* it may raise what is shown, and the orders known are too old */
} Verdict;

void
push_pick(DispatchStore *store, bool decrease, TimestampTz now, PushPick *pick)
{
	pick->store = store;
	pick->grant = store->grant;
	pick->n = queue_take(&store->lanes, decrease, now, pick->taken,
						 Min(PUSH_MAX_ITEMS, store->platform->max_push_items));
}

/* says_nothing: a raise that what is unseen leaves nothing of waits for the next orders without a call. */
static bool
says_nothing(const Terms *terms)
{
	return terms->believed != TERMS_NONE && terms->believed < terms->wanted && terms->to_send <= terms->believed;
}

/* judge_target tells whether the listing has to be written now, by what was read in this transaction. */
static Verdict
judge_target(const DispatchStore *store, const ListingTerms *target, bool decrease, TimestampTz now)
{
	if (target == NULL || !target->due)
		return NOT_NEEDED;
	if (store->writes != WRITES_ALL && !target_lowers(target->terms.to_send, target->terms.at_most))
		return NOT_NEEDED;
	/* a call carries decreases or raises, and what was one may have become the other */
	if (says_nothing(&target->terms) ||
		(store->platform->batch_one_way && decrease != target_lowers(target->terms.to_send, target->terms.at_most)))
		return NOT_YET;
	return Min(target->terms.fetch_after, now - FETCH_GRACE_US) > store->lanes.fetched_through ? FETCH_FIRST : SEND;
}

/* sift_pick lets go of the listings that are not to be written now. */
static void
sift_pick(PushPick *pick, const ListingTerms *targets, int found, TimestampTz now)
{
	QueueItem  *item = pick->taken[0]->item;
	int			n = 0;

	for (int i = 0; i < pick->n; i++)
	{
		QueueListing *listing = pick->taken[i];
		const ListingTerms *target = target_find(targets, found, listing->listing_id);

		switch (judge_target(pick->store, target, listing->decrease, now))
		{
			case SEND:
				pick->taken[n++] = listing;
				break;
			case NOT_NEEDED:
				queue_withdraw(listing);
				break;
			case NOT_YET:
				queue_set_back(listing);
				target_settle(target, listing->changed_at);
				break;
			case FETCH_FIRST:
				queue_defer(listing);
				break;
		}
	}
	pick->n = n;
	if (n == 0)
		queue_release(item);
}

static void
fill_call(DispatchCall *call, const PushPick *pick, const ListingTerms *targets, int found)
{
	PlatformItem *items = MemoryContextAllocZero(call->context, pick->n * sizeof(PlatformItem));

	call->listings = MemoryContextAlloc(call->context, pick->n * sizeof(QueueListing *));
	call->versions = MemoryContextAlloc(call->context, pick->n * sizeof(int64));
	call->revisions = MemoryContextAlloc(call->context, pick->n * sizeof(int64));
	call->at_most = MemoryContextAlloc(call->context, pick->n * sizeof(int64));
	call->in_full = MemoryContextAlloc(call->context, pick->n * sizeof(bool));
	for (int i = 0; i < pick->n; i++)
	{
		QueueListing *listing = pick->taken[i];
		const ListingTerms *target = target_find(targets, found, listing->listing_id);

		read_back_disturb(listing->listing_id);
		items[i].listing_id = listing->listing_id;
		items[i].item_id = arena_strdup(call->arena, target->item_id);
		items[i].model_id = arena_strdup(call->arena, target->model_id);
		items[i].quantity = target->terms.to_send;
		call->listings[i] = listing;
		call->versions[i] = target->version;
		call->revisions[i] = target->revision;
		call->at_most[i] = target->terms.at_most;
		call->in_full[i] = target->terms.to_send == target->terms.wanted;
	}
	call->call.items = items;
	call->call.n_items = pick->n;
}

void
push_return(DispatchCall *call)
{
	queue_land(call->listings, call->call.n_items);
	for (int i = 0; i < call->call.n_items; i++)
		queue_return(call->listings[i]);
	call_free(call);
}

/* note_sending gathers what a call is about to tell the platform. */
static void
note_sending(const DispatchCall *call, SsSet *sending)
{
	for (int i = 0; i < call->call.n_items; i++)
	{
		Datum		values[2];

		values[0] = Int64GetDatum(call->call.items[i].listing_id);
		values[1] = Int64GetDatum(call->call.items[i].quantity);
		set_add(sending, values, NULL);
	}
}

static void
build_one(const PushPick *pick, const ListingTerms *targets, int found, SsSet *sending)
{
	DispatchCall *call = call_create(pick->store, CALL_PUSH_STOCK);

	call->grant = pick->grant;
	fill_call(call, pick, targets, found);
	if (work_hand_over(call))
		note_sending(call, sending);
}

int
push_build(PushPick *picks, int n, TimestampTz now)
{
	static const Oid pair[] = {INT8OID, INT8OID};
	int			total = 0;
	int			unused = 0;
	int			found;
	int64	   *ids;
	ListingTerms *targets;
	SsSet	   *sending;

	for (int i = 0; i < n; i++)
		total += picks[i].n;
	if (total == 0)
		return 0;
	ids = palloc(total * sizeof(int64));
	total = 0;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < picks[i].n; j++)
			ids[total++] = picks[i].taken[j]->listing_id;
	targets = target_read(ids, total, &found);
	sending = set_create_in(CurrentMemoryContext, lengthof(pair), pair);
	for (int i = 0; i < n; i++)
	{
		sift_pick(&picks[i], targets, found, now);
		if (picks[i].n > 0)
			build_one(&picks[i], targets, found, sending);
		else
			picks[unused++].store = picks[i].store;
	}
	record_sending(sending);
	return unused;
}

/* promotion_end: when the promotion is over that locks units of a listing, DT_NOBEGIN where nobody knows. */
static TimestampTz
promotion_end(int64 listing_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(listing_id)};
	TimestampTz end = DT_NOBEGIN;
	bool		isnull;

	ss_execute(&plan,
			   "SELECT r.until FROM storesync.listing_reserved r WHERE r.listing_id = $1 AND r.reserved > 0 AND r.until IS NOT NULL",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed > 0)
		end = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return end;
}

/* waits_for_promotion puts a write off that a promotion with a known end refuses. It costs no attempt. */
static bool
waits_for_promotion(DispatchCall *call, int i, Record *record, const char *reason)
{
	QueueListing *listing = call->listings[i];
	TimestampTz end = promotion_end(listing->listing_id);

	if (end <= call->answered_at)
		return false;
	listing->due = Min(end, call->answered_at + PROMOTION_LOOK_US);
	record_put_off(record, call, i, reason);
	return true;
}

/*
 * after_failure: a try that failed waits longer each time, except that the
 * first one in doubt is sent again at once; what is refused for good, or has
 * failed too often, is given up at this version. What the platform has named a
 * time for is tried at least so often and never given up; what a promotion
 * locks waits for its end where that is known. A host that is away
 * costs no attempt, nor does a refusal that only says that the batch has to be
 * taken apart.
 */
static void
after_failure(DispatchCall *call, int i, Record *record, OutcomeClass class, const char *reason, bool split)
{
	QueueListing *listing = call->listings[i];
	QueueAttempt attempt;

	if (call->host_away)
	{
		listing->due = call->answered_at + retry_delay_us(1);
		return;
	}
	if (split && (class == OUTCOME_PERMANENT || (class == OUTCOME_LATER && listing->item->many)))
		return;
	if (class == OUTCOME_LATER && call->answer.retry_after <= 0 && waits_for_promotion(call, i, record, reason))
		return;
	attempt = call_attempt(call, class, reason);
	queue_failed(listing, &attempt);
	if (class == OUTCOME_LATER && call->answer.retry_after > 0)
	{
		listing->due = call->answered_at +
			Min(retry_delay_us(listing->attempts), call->answer.retry_after * USECS_PER_SEC);
		record_put_off(record, call, i, reason);
	}
	else if (class == OUTCOME_PERMANENT || listing->attempts >= QUEUE_MAX_ATTEMPTS)
		record_dead_listing(record, call, i, class, reason);
	else if (class != OUTCOME_IN_DOUBT)
		listing->due = call->answered_at + retry_delay_us(listing->attempts);
	else if (listing->attempts > 1)
		listing->due = call->answered_at + retry_delay_us(listing->attempts - 1);
}

/* was_in_doubt: a write that was lost on its way may still arrive after the one that went well. */
static bool
was_in_doubt(const QueueListing *listing)
{
	for (const QueueAttempt *attempt = listing->story; attempt != NULL; attempt = attempt->next)
		if (attempt->class == OUTCOME_IN_DOUBT)
			return true;
	return false;
}

/* settle_listing records the outcome for one listing. True when the listing needs no look any more. */
static bool
settle_listing(DispatchCall *call, int i, Record *record, bool split)
{
	QueueListing *listing = call->listings[i];
	bool		unchanged = listing->changed_again_at == 0;
	const char *reason;
	OutcomeClass class = call_outcome(call, i, &reason);

	record_push(record, call, i, class, reason);
	switch (class)
	{
		case OUTCOME_OK:
			store_stat_time(call->store->stat, PHASE_CONVERGED, call->answered_at - listing->changed_at);
			if (was_in_doubt(listing))
				(void) read_back_ask(call->store, listing->listing_id);
			queue_succeeded(listing, call->answered_at);
			dispatch_count(SS_LISTINGS_ACKED, 1);
			store_stat_count(call->store->stat, STORE_ACKED, 1);
			return unchanged && call->in_full[i];
		case OUTCOME_THROTTLED:
		case OUTCOME_QUOTA:
		case OUTCOME_AUTH:
			return false;
		default:
			after_failure(call, i, record, class, reason, split);
			return false;
	}
}

/*
 * take_apart: a batch that is refused as a whole, or keeps failing as a
 * whole, may fail for one of its listings. Halves of it tell which; the
 * others must not be given up with it.
 */
static bool
take_apart(const DispatchCall *call)
{
	int			n = call->call.n_items;
	QueueItem  *item = call->listings[0]->item;

	switch (call->answer.class)
	{
		case OUTCOME_OK:
			queue_joined(item, n);
			return false;
		case OUTCOME_PERMANENT:
			if (n == 1)
				queue_refused(item);
			return queue_split(call->listings, n);
		case OUTCOME_LATER:
			/* one of many items cannot be written now: the others need not wait for it */
			if (item->many && !call->host_away)
				return queue_split(call->listings, n);
			/* FALLTHROUGH */
		case OUTCOME_IN_DOUBT:
			return !call->host_away && call->listings[0]->attempts >= TAKE_APART_AFTER &&
				queue_split(call->listings, n);
		default:
			return false;
	}
}

void
push_settle(DispatchCall *call, Record *record)
{
	bool		split = take_apart(call);

	queue_land(call->listings, call->call.n_items);
	record_call(record, call, NULL);
	dispatch_count_answer(call);
	(void) dispatch_hold_store(call);
	for (int i = 0; i < call->call.n_items; i++)
	{
		Datum		values[2];
		int64		listing_id = call->listings[i]->listing_id;
		bool		done = settle_listing(call, i, record, split) && !breaker_holds(listing_id) && !drift_holds(listing_id);

		values[0] = Int64GetDatum(listing_id);
		values[1] = TimestampTzGetDatum(call->listings[i]->changed_at);
		set_add(done ? record->clean : record->again, values, NULL);
		if (!done)
			continue;
		breaker_undone(listing_id);
		queue_drop(listing_id);
	}
	call_free(call);
}
