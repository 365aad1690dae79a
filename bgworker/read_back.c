/*
 * read_back.c
 *		Reading what shops show.
 *
 * Requests are in memory alone: a listing in doubt is found again by comparing
 * tables, and a task asks again after a restart.
 */
#include "read_back.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "dispatcher.h"
#include "listings.h"
#include "price.h"
#include "read_call.h"
#include "record.h"
#include "retry.h"
#include "work.h"

/* Listings to be read that are remembered; beyond that a doubtful raise is written without. */
#define READ_MAX			10000
/* A listing that cannot be read is not asked for again before this time: its raise goes out without. */
#define GIVEN_UP_US			(10 * USECS_PER_MINUTE)

typedef enum ReadState
{
	READ_WAITING,
	READ_FLYING,
	READ_ENDED
} ReadState;

typedef struct ReadBack
{
	int64		listing_id;		/* hash key */
	DispatchStore *store;
	PlatformItem item;
	ReadState	state;
	bool		disturbed;		/* while flying: a write of the listing left */
	int			attempts;
	OutcomeClass class;			/* once ended */
	TimestampTz ended_at;
	char		detail[120];
} ReadBack;

static MemoryContext context = NULL;
static HTAB *reads = NULL;

void
read_back_init(void)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(ReadBack)};

	context = AllocSetContextCreate(TopMemoryContext, "storesync reads", ALLOCSET_DEFAULT_SIZES);
	control.hcxt = context;
	reads = hash_create("storesync reads", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static ReadBack *
find(int64 listing_id)
{
	return hash_get_num_entries(reads) == 0 ? NULL : hash_search(reads, &listing_id, HASH_FIND, NULL);
}

/* forget removes a request that is not under way. */
static void
forget(ReadBack *read)
{
	if (read->state == READ_WAITING)
		read->store->reads.waiting--;
	pfree(unconstify(char *, read->item.item_id));
	pfree(unconstify(char *, read->item.model_id));
	(void) hash_search(reads, &read->listing_id, HASH_REMOVE, NULL);
}

/* ask remembers a listing to be read, under the ids that it has now. False when there is no room. */
static bool
ask(DispatchStore *store, int64 listing_id, const char *item_id, const char *model_id)
{
	bool		found;
	ReadBack   *read = find(listing_id);

	if (read != NULL && read->state == READ_FLYING)
	{
		/* what is asked for now is not answered by what was sent before */
		read->disturbed = true;
		return true;
	}
	if (read != NULL)
		forget(read);
	if (hash_get_num_entries(reads) >= READ_MAX)
		return false;
	read = hash_search(reads, &listing_id, HASH_ENTER, &found);
	read->store = store;
	read->item.listing_id = listing_id;
	read->item.item_id = MemoryContextStrdup(context, item_id);
	read->item.model_id = MemoryContextStrdup(context, model_id);
	read->state = READ_WAITING;
	read->disturbed = false;
	read->attempts = 0;
	store->reads.waiting++;
	return true;
}

bool
read_back_first(DispatchStore *store, const ListingTerms *listing)
{
	const ReadBack *read = find(listing->listing_id);

	if (!read_possible(store))
		return false;
	if (read != NULL && read->state == READ_ENDED)
		return false;
	return read != NULL || ask(store, listing->listing_id, listing->item_id, listing->model_id);
}

bool
read_back_ask(DispatchStore *store, int64 listing_id)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(listing_id)};
	char	   *item_id;
	char	   *model_id;

	if (!read_possible(store))
		return false;
	ss_execute(&plan, "SELECT l.item_id, l.model_id FROM storesync.listing l WHERE l.listing_id = $1",
			   SPI_OK_SELECT, 1, types, values, NULL, 1);
	if (SPI_processed == 0)
		return false;
	item_id = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	model_id = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	(void) ask(store, listing_id, item_id, model_id);
	return true;
}

bool
read_back_ended(int64 listing_id, OutcomeClass *class, const char **detail)
{
	const ReadBack *read = find(listing_id);

	if (read == NULL)
	{
		*class = OUTCOME_LATER;
		*detail = "there is no room for it";
		return true;
	}
	*class = read->class;
	*detail = read->detail;
	return read->state == READ_ENDED;
}

void
read_back_disturb(int64 listing_id)
{
	ReadBack   *read = find(listing_id);

	if (read != NULL && read->state == READ_FLYING)
		read->disturbed = true;
}

TimestampTz
read_back_due(const DispatchStore *store)
{
	return store->reads.waiting > 0 && !store->reads.flying ? store->reads.due : DT_NOEND;
}

/* ---------------------------------------------------------------- the call */

/* may_read: a listing of which a write is under way is read afterwards. */
static bool
may_read(const ReadBack *read, const DispatchStore *store)
{
	const QueueListing *listing = queue_find(read->listing_id);

	return read->state == READ_WAITING && read->store == store &&
		(listing == NULL || listing->state != QUEUE_FLYING);
}

/* choose gathers what one call can read. Returns how many listings. */
static int
choose(const DispatchStore *store, ReadBack **chosen)
{
	HASH_SEQ_STATUS status;
	ReadBack   *read;
	int			n = 0;

	hash_seq_init(&status, reads);
	while ((read = hash_seq_search(&status)) != NULL)
		if (read_fits(store, n == 0 ? NULL : &chosen[0]->item, n, &read->item) && may_read(read, store))
			chosen[n++] = read;
	return n;
}

void
read_back_build(DispatchStore *store)
{
	ReadBack  **chosen = palloc(read_most(store) * sizeof(ReadBack *));
	PlatformItem *items;
	int			n = choose(store, chosen);

	if (n == 0)
	{
		/* all of them are being written: their outcomes wake us */
		store->reads.due = GetCurrentTimestamp() + USECS_PER_SEC;
		return;
	}
	items = palloc(n * sizeof(PlatformItem));
	for (int i = 0; i < n; i++)
	{
		items[i] = chosen[i]->item;
		chosen[i]->state = READ_FLYING;
		chosen[i]->disturbed = false;
		store->reads.waiting--;
	}
	store->reads.flying = true;
	work_hand_over(read_create(store, items, n));
}

static void
wait_again(ReadBack *read)
{
	read->state = READ_WAITING;
	read->store->reads.waiting++;
}

void
read_back_return(DispatchCall *call)
{
	call->store->reads.flying = false;
	for (int i = 0; i < call->call.n_items; i++)
		wait_again(find(call->call.items[i].listing_id));
	call_free(call);
}

/* ---------------------------------------------------------------- its outcome */

static void
end(ReadBack *read, OutcomeClass class, TimestampTz now, const char *detail)
{
	read->state = READ_ENDED;
	read->class = class;
	read->ended_at = now;
	strlcpy(read->detail, detail, sizeof(read->detail));
}

/*
 * read_back_answered: allotments follow what is locked by promotions. Where
 * that fails the log says why, and the next read of the listing tells it again.
 */
void
read_back_answered(DispatchCall *call)
{
	int			n = 0;

	if (call->answer.class == OUTCOME_OK)
	{
		int64	   *ids = palloc(call->call.n_items * sizeof(int64));
		int64	   *reserved = palloc(call->call.n_items * sizeof(int64));

		for (int i = 0; i < call->call.n_items; i++)
		{
			const ShownItem *shown = read_shown(&call->answer, &call->call.items[i]);

			if (shown == NULL || shown->quantity < 0)
				continue;
			ids[n] = call->call.items[i].listing_id;
			reserved[n++] = shown->reserved;
		}
		if (n > 0)
			(void) listings_locked(n, ids, reserved, call->sent_at);
		pfree(ids);
		pfree(reserved);
	}
	dispatch_ended(call);
}

/* settle_one takes over what a good answer says of one listing. */
static void
settle_one(const DispatchCall *call, int i, ReadBack *read, Record *record)
{
	const ShownItem *shown = read_shown(&call->answer, &call->call.items[i]);
	const char *problem = read_problem(shown);

	if (read->disturbed)
		wait_again(read);
	else if (problem != NULL)
		end(read, OUTCOME_PERMANENT, call->answered_at, problem);
	else
	{
		record_read(record, call, i, shown->quantity);
		end(read, OUTCOME_OK, call->answered_at, psprintf("the shop shows %lld", (long long) shown->quantity));
	}
}

/* failed: later again, or given up. A host that is away, and what the store waits for, cost no attempt. */
static void
failed(DispatchCall *call, ReadBack *read, bool held)
{
	OutcomeClass class = call->answer.class;

	if (!held && !call->host_away)
		read->attempts++;
	if (class == OUTCOME_PERMANENT || read->attempts >= QUEUE_MAX_ATTEMPTS)
		end(read, class, call->answered_at, call->answer.message);
	else
		wait_again(read);
}

void
read_back_settle(DispatchCall *call, Record *record)
{
	StoreReads *state = &call->store->reads;
	bool		ok = call->answer.class == OUTCOME_OK;
	bool		held;

	record_call(record, call, NULL);
	dispatch_count_answer(call);
	held = dispatch_hold_store(call);
	state->flying = false;
	state->failures = ok ? 0 : state->failures + 1;
	state->due = ok || held ? 0 : call->answered_at + retry_delay_us(state->failures);
	for (int i = 0; i < call->call.n_items; i++)
	{
		ReadBack   *read = find(call->call.items[i].listing_id);
		Datum		values[2] = {Int64GetDatum(read->listing_id), TimestampTzGetDatum(call->sent_at)};

		if (ok)
			settle_one(call, i, read, record);
		else
			failed(call, read, held);
		if (read->state != READ_ENDED)
			continue;
		set_add(record->again, values, NULL);
		/* what is told of models is not told of their item */
		price_read(call->store, read->listing_id, ok && call->call.kind == CALL_GET_ITEMS ?
				   read_shown(&call->answer, &call->call.items[i]) : NULL);
	}
	call_free(call);
}

void
read_back_sweep(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	ReadBack   *read;

	if (hash_get_num_entries(reads) == 0)
		return;
	hash_seq_init(&status, reads);
	while ((read = hash_seq_search(&status)) != NULL)
		if (read->state == READ_ENDED && (read->class == OUTCOME_OK || read->ended_at + GIVEN_UP_US < now))
			forget(read);
}
