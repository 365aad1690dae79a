/*
 * rate_shared.c
 *		Slots of call budgets: making, finding, giving them limits.
 *
 * rate_shared.h has the locking.
 */
#include "storesync.h"

#include <time.h>

#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/syscache.h"

#include "pace.h"
#include "rate.h"
#include "rate_shared.h"

#define RATE_TRANCHE		"storesync_rate"
/* Besides its stores a database has its own slot and one per application. */
#define SLOTS_PER_DATABASE	9

typedef struct RateHeader
{
	LWLock	   *lock;
	int			stores;			/* slots of RATE_STORE in use */
} RateHeader;

static RateHeader *header = NULL;
static HTAB *slots = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static int
max_slots(void)
{
	return ss_max_stores + ss_max_databases * SLOTS_PER_DATABASE;
}

static void
request_memory(void)
{
	SS_PREVIOUS_REQUEST(previous_request);
	RequestAddinShmemSpace(add_size(MAXALIGN(sizeof(RateHeader)),
									hash_estimate_size(max_slots(), sizeof(RateSlot))));
	RequestNamedLWLockTranche(RATE_TRANCHE, 1);
}

static void
create_table(void)
{
	HASHCTL		info = {0};
	bool		found;

	if (previous_startup != NULL)
		previous_startup();
	info.keysize = sizeof(RateSlotKey);
	info.entrysize = sizeof(RateSlot);
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	header = ShmemInitStruct("storesync rate limits", sizeof(RateHeader), &found);
	if (!found)
	{
		header->lock = &(GetNamedLWLockTranche(RATE_TRANCHE))->lock;
		header->stores = 0;
	}
	slots = ShmemInitHash("storesync rate slots", max_slots(), max_slots(),
						  &info, HASH_ELEM | HASH_BLOBS);
	LWLockRelease(AddinShmemInitLock);
}

void
rate_init(void)
{
	SS_REQUEST_SHMEM(previous_request, request_memory);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = create_table;
}

bool
rate_shared_ready(void)
{
	return header != NULL;
}

void
rate_check_shared(void)
{
	if (header == NULL)
		ereport(ERROR,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("call limits need storesync in shared_preload_libraries"),
				 errhint("Add it and restart the server.")));
}

LWLock *
rate_lock(void)
{
	return header->lock;
}

HTAB *
rate_table(void)
{
	return slots;
}

/*
 * rate_now reads the monotonic clock: setting the time of day, forward or
 * back, grants nothing and holds nothing up. It stands still while the machine
 * sleeps, which errs on the side of fewer calls.
 */
int64
rate_now(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
}

/* ---------------------------------------------------------------- finding and adding */

static RateSlotKey
slot_key(RateScope scope, uint64 id)
{
	RateSlotKey key;

	memset(&key, 0, sizeof(key));
	key.database = MyDatabaseId;
	key.scope = scope;
	key.id = id;
	return key;
}

RateSlot *
rate_find(RateScope scope, uint64 id)
{
	RateSlotKey key = slot_key(scope, id);
	RateSlot   *slot;

	LWLockAcquire(header->lock, LW_SHARED);
	slot = hash_search(slots, &key, HASH_FIND, NULL);
	LWLockRelease(header->lock);
	return slot;
}

RateSlot *
rate_application(const RateSlot *store)
{
	RateSlotKey key = slot_key(RATE_APPLICATION, store->application);

	Assert(LWLockHeldByMe(header->lock));
	return hash_search(slots, &key, HASH_FIND, NULL);
}

static void
clear_slot(RateSlot *slot)
{
	memset((char *) slot + sizeof(RateSlotKey), 0, sizeof(RateSlot) - sizeof(RateSlotKey));
	for (int unit = 0; unit < RATE_UNITS; unit++)
		pg_atomic_init_u64(&slot->windows[unit].tat_ns, 0);
	pg_atomic_init_u64(&slot->loaded, 0);
	pg_atomic_init_u64(&slot->claimed_until_ns, 0);
	pg_atomic_init_u32(&slot->spare, 0);
	pg_atomic_init_u32(&slot->besides, 0);
	pg_atomic_init_u64(&slot->quota_until, 0);
	pg_atomic_init_u64(&slot->quota_until_ns, 0);
	pg_atomic_init_u64(&slot->held_until_ns, 0);
	pg_atomic_init_u64(&slot->throttled_at_ns, 0);
	pg_atomic_init_u64(&slot->slowed_since, 0);
	pg_atomic_init_u32(&slot->pace, PACE_FULL);
	pg_atomic_init_u64(&slot->changes, 1);
	pg_atomic_init_u64(&slot->epoch, 1);
}

/* add_slot returns NULL when there is no room. */
static RateSlot *
add_slot(const RateSlotKey *key)
{
	RateSlot   *slot;
	bool		found;

	LWLockAcquire(header->lock, LW_EXCLUSIVE);
	slot = hash_search(slots, key, HASH_FIND, NULL);
	if (slot == NULL && hash_get_num_entries(slots) < max_slots() &&
		!(key->scope == RATE_STORE && header->stores >= ss_max_stores))
	{
		slot = hash_search(slots, key, HASH_ENTER_NULL, &found);
		if (slot != NULL)
		{
			clear_slot(slot);
			header->stores += key->scope == RATE_STORE;
		}
	}
	LWLockRelease(header->lock);
	return slot;
}

/* databases_in_table lists the databases that have slots, each once, in a palloc'd list of OIDs. */
static List *
databases_in_table(void)
{
	List	   *databases = NIL;
	HASH_SEQ_STATUS scan;
	RateSlot   *slot;

	LWLockAcquire(header->lock, LW_SHARED);
	hash_seq_init(&scan, slots);
	while ((slot = hash_seq_search(&scan)) != NULL)
		databases = list_append_unique_oid(databases, slot->key.database);
	LWLockRelease(header->lock);
	return databases;
}

/*
 * drop_slots_of frees the slots of a database that exists no more: nobody is
 * connected to it, so nobody keeps a pointer.
 */
static void
drop_slots_of(Oid database)
{
	HASH_SEQ_STATUS scan;
	RateSlot   *slot;

	LWLockAcquire(header->lock, LW_EXCLUSIVE);
	hash_seq_init(&scan, slots);
	while ((slot = hash_seq_search(&scan)) != NULL)
	{
		if (slot->key.database != database)
			continue;
		header->stores -= slot->key.scope == RATE_STORE;
		(void) hash_search(slots, &slot->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(header->lock);
}

RateSlot *
rate_find_or_add(RateScope scope, uint64 id)
{
	RateSlotKey key = slot_key(scope, id);
	RateSlot   *slot = add_slot(&key);
	ListCell   *cell;

	if (slot != NULL)
		return slot;
	foreach(cell, databases_in_table())
	{
		if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(lfirst_oid(cell))))
			drop_slots_of(lfirst_oid(cell));
	}
	return add_slot(&key);
}

void
rate_no_room(void)
{
	ereport(ERROR,
			(errcode(SS_ERR_TOO_MANY_STORES),
			 errmsg("no room for another call budget in shared memory"),
			 errhint("Raise storesync.max_stores (now %d) or storesync.max_databases (now %d) and restart the server.",
					 ss_max_stores, ss_max_databases)));
}

int
rate_room_left(void)
{
	int			left;

	LWLockAcquire(header->lock, LW_SHARED);
	left = Min(ss_max_stores - header->stores, max_slots() - (int) hash_get_num_entries(slots));
	LWLockRelease(header->lock);
	return left;
}

/* ---------------------------------------------------------------- limits */

/*
 * set_window closes a window, changes its limits and opens it with an empty
 * bucket, behind the end of a hold. Never with the tat_ns it had: a swap that
 * saw the old limits must fail.
 */
static void
set_window(RateWindow *window, const RateLimitWindow *limit, int64 held_until_ns)
{
	const RateLimitWindow unused = {0};
	int64		old = (int64) pg_atomic_read_u64(&window->tat_ns);
	int64		tat = 0;
	GcraWindow	gcra = {0};

	if (limit != NULL)
	{
		rate_window_gcra(limit, &gcra);
		tat = gcra_hold(&gcra, gcra_empty(&gcra, rate_now()), held_until_ns);
	}
	pg_atomic_write_u64(&window->tat_ns, RATE_CLOSED);
	pg_memory_barrier();
	window->gcra = gcra;
	window->limit = limit != NULL ? *limit : unused;
	pg_memory_barrier();
	pg_atomic_write_u64(&window->tat_ns, (uint64) (tat == old ? tat + 1 : tat));
}

void
rate_publish(RateSlot *database, RateSlot *slot, const RateWindows *limit, uint64 loaded)
{
	const RateLimitWindow *wanted[RATE_UNITS] = {NULL};
	int64		held_until_ns = (int64) pg_atomic_read_u64(&slot->held_until_ns);
	bool		changed = false;

	Assert(LWLockHeldByMeInMode(header->lock, LW_EXCLUSIVE));
	if (loaded < pg_atomic_read_u64(&slot->loaded))
		return;
	for (int i = 0; i < limit->n; i++)
		wanted[limit->windows[i].unit] = &limit->windows[i];
	for (int unit = 0; unit < RATE_UNITS; unit++)
	{
		RateWindow *window = &slot->windows[unit];
		bool		same = wanted[unit] == NULL ? window->limit.calls == 0 :
			memcmp(wanted[unit], &window->limit, sizeof(RateLimitWindow)) == 0;

		if (same)
			continue;
		set_window(window, wanted[unit], held_until_ns);
		changed = true;
	}
	if (changed)
	{
		/* whoever changed the limit knows what the throttles were about */
		pg_atomic_write_u32(&slot->pace, PACE_FULL);
		pg_atomic_fetch_add_u64(&database->epoch, 1);
	}
	pg_atomic_write_u64(&slot->loaded, loaded);
}

void
rate_wait_open(void)
{
	LWLockAcquire(header->lock, LW_SHARED);
	LWLockRelease(header->lock);
}

void
rate_hold_window(RateWindow *window, int64 until_ns)
{
	for (;;)
	{
		uint64		seen = pg_atomic_read_u64(&window->tat_ns);
		int64		held;

		if (seen == RATE_CLOSED)
		{
			rate_wait_open();
			continue;
		}
		pg_read_barrier();
		if (window->gcra.interval_ns == 0)
			return;
		held = gcra_hold(&window->gcra, (int64) seen, until_ns);
		if (held == (int64) seen ||
			pg_atomic_compare_exchange_u64(&window->tat_ns, &seen, (uint64) held))
			return;
	}
}

void
rate_shift_window(RateWindow *window, int64 by_ns)
{
	uint64		seen = pg_atomic_read_u64(&window->tat_ns);

	/* one that is being changed starts from an empty bucket, or keeps a TAT that the next call shifts */
	while (seen != RATE_CLOSED && window->gcra.interval_ns != 0 &&
		   !pg_atomic_compare_exchange_u64(&window->tat_ns, &seen, seen + (uint64) by_ns))
		;
}
