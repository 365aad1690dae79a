/*
 * shmem.c
 *		Slots of dispatchers and their followers in shared memory, and waking them
 *		at commit.
 *
 * A committer wakes its database's dispatcher at most once a burst: the first
 * one turns the slot's `wake` from 0 to 1 and sets the latch, later ones find
 * it set and do nothing, the dispatcher turns it back before it looks at the
 * tables; each follower likewise, by a `wake` of its own. What runs inside a commit must never raise: these functions take
 * one LWLock and allocate nothing.
 *
 * Locking protocol: shmem.h.
 */
#include "storesync.h"

#include <signal.h>

#include "access/xact.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#include "shmem.h"

#define TRANCHE_NAME	"storesync"

/* How often a statement that waits for a dispatcher's end looks again. */
#define HOLD_LOOK_MS	10

typedef struct SsShared
{
	pid_t		launcher_pid;	/* 0 while none runs */
	int			launcher_procno;
	int			n_launches;
	int			max_databases;	/* length of both arrays */
	SsDatabase	databases[FLEXIBLE_ARRAY_MEMBER];
	/* SsLaunch launches[max_databases] follow */
} SsShared;

static SsShared *shared = NULL;
static LWLock *lock = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* Of this process: the slot it works for and the generation it took, the database it holds. */
static SsDatabase *my_slot = NULL;
static SsFollower *my_place = NULL; /* in the slot, of a follower */
static uint32 my_generation = 0;
static SsDatabase *my_hold = NULL;
static bool my_hold_is_fresh = false;	/* the slot was made for the hold */

/* This backend's database's slot, looked up once; the slot's database tells whether it still is. */
static SsDatabase *home_slot = NULL;

/* This transaction wrote something that the dispatcher must see. */
static bool wake_wanted = false;

static SsLaunch *
published(void)
{
	return (SsLaunch *) &shared->databases[shared->max_databases];
}

static Size
shared_size(void)
{
	return add_size(offsetof(SsShared, databases),
					mul_size(ss_max_databases, sizeof(SsDatabase) + sizeof(SsLaunch)));
}

static void
request_memory(void)
{
	SS_PREVIOUS_REQUEST(previous_request);
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(TRANCHE_NAME, 1);
}

/* reset_slot gives a slot to a database, as new; its generation goes on rising. */
static void
reset_slot(SsDatabase *slot, Oid database)
{
	slot->database = database;
	slot->name[0] = '\0';
	slot->pid = 0;
	slot->holder = 0;
	slot->procno = 0;
	pg_atomic_write_u32(&slot->wake, 0);
	pg_atomic_write_u32(&slot->prepared, 0);
	pg_atomic_write_u64(&slot->heartbeat, 0);
	pg_atomic_write_u64(&slot->flush, 0);
	for (int i = 0; i < SS_COUNTERS; i++)
		pg_atomic_write_u64(&slot->counters[i], 0);
	for (int i = 0; i < SS_GAUGES; i++)
		pg_atomic_write_u64(&slot->gauges[i], 0);
	for (int i = 0; i < SS_FOLLOWERS; i++)
	{
		slot->followers[i].pid = 0;
		slot->followers[i].procno = 0;
		pg_atomic_write_u32(&slot->followers[i].wake, 0);
	}
	pg_atomic_write_u32(&slot->cache.state, CACHE_NONE);
	pg_atomic_write_u64(&slot->cache.since, 0);
	pg_atomic_write_u64(&slot->cache.heartbeat, 0);
	for (int i = 0; i < CACHE_COUNTERS; i++)
		pg_atomic_write_u64(&slot->cache.counters[i], 0);
	pg_atomic_write_u32(&slot->olap.state, OLAP_NONE);
	pg_atomic_write_u64(&slot->olap.since, 0);
	pg_atomic_write_u64(&slot->olap.heartbeat, 0);
	for (int i = 0; i < OLAP_COUNTERS; i++)
		pg_atomic_write_u64(&slot->olap.counters[i], 0);
}

static void
init_slot(SsDatabase *slot)
{
	memset(slot, 0, sizeof(*slot));
	pg_atomic_init_u32(&slot->wake, 0);
	pg_atomic_init_u32(&slot->prepared, 0);
	pg_atomic_init_u64(&slot->heartbeat, 0);
	pg_atomic_init_u64(&slot->flush, 0);
	for (int i = 0; i < SS_COUNTERS; i++)
		pg_atomic_init_u64(&slot->counters[i], 0);
	for (int i = 0; i < SS_GAUGES; i++)
		pg_atomic_init_u64(&slot->gauges[i], 0);
	for (int i = 0; i < SS_FOLLOWERS; i++)
		pg_atomic_init_u32(&slot->followers[i].wake, 0);
	pg_atomic_init_u32(&slot->cache.state, CACHE_NONE);
	pg_atomic_init_u64(&slot->cache.since, 0);
	pg_atomic_init_u64(&slot->cache.heartbeat, 0);
	for (int i = 0; i < CACHE_COUNTERS; i++)
		pg_atomic_init_u64(&slot->cache.counters[i], 0);
	pg_atomic_init_u32(&slot->olap.state, OLAP_NONE);
	pg_atomic_init_u64(&slot->olap.since, 0);
	pg_atomic_init_u64(&slot->olap.heartbeat, 0);
	for (int i = 0; i < OLAP_COUNTERS; i++)
		pg_atomic_init_u64(&slot->olap.counters[i], 0);
}

/* startup makes or finds the memory; called again after a crash, when all of it is new. */
static void
startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("storesync workers", shared_size(), &found);
	lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	if (!found)
	{
		shared->launcher_pid = 0;
		shared->launcher_procno = 0;
		shared->n_launches = 0;
		shared->max_databases = ss_max_databases;
		for (int i = 0; i < shared->max_databases; i++)
			init_slot(&shared->databases[i]);
		memset(published(), 0, mul_size(shared->max_databases, sizeof(SsLaunch)));
	}
	LWLockRelease(AddinShmemInitLock);
}

/* at_transaction_end wakes, marks or forgets; a subtransaction's abort leaves a wake too many at worst. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	SsDatabase *slot;

	if (!wake_wanted)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			wake_wanted = false;
			shmem_wake(MyDatabaseId);
			break;
		case XACT_EVENT_PREPARE:
			wake_wanted = false;
			slot = shmem_database(MyDatabaseId, false);
			if (slot != NULL)
				pg_atomic_write_u32(&slot->prepared, 1);
			shmem_wake(MyDatabaseId);
			break;
		case XACT_EVENT_ABORT:
			wake_wanted = false;
			break;
		default:
			break;
	}
}

void
shmem_init(void)
{
	SS_REQUEST_SHMEM(previous_request, request_memory);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
	RegisterXactCallback(at_transaction_end, NULL);
}

bool
shmem_ready(void)
{
	return shared != NULL;
}

/* find_slot looks a database up. The lock is held. */
static SsDatabase *
find_slot(Oid database)
{
	for (int i = 0; i < shared->max_databases; i++)
	{
		if (shared->databases[i].database == database)
			return &shared->databases[i];
	}
	return NULL;
}

/* has_workers tells whether a process works for a slot's database. */
static bool
has_workers(const SsDatabase *slot)
{
	bool		has = slot->pid != 0;

	for (int i = 0; i < SS_FOLLOWERS; i++)
		has |= slot->followers[i].pid != 0;
	return has;
}

/* is_idle tells whether nobody works for, or holds, a slot's database. The lock is held. */
static bool
is_idle(const SsDatabase *slot)
{
	return slot->holder == 0 && !has_workers(slot);
}

/* claim_slot finds or makes a database's slot, at need from one that nobody uses. The lock is held exclusively. */
static SsDatabase *
claim_slot(Oid database)
{
	SsDatabase *slot = find_slot(database);

	if (slot != NULL)
		return slot;
	slot = find_slot(InvalidOid);
	for (int i = 0; slot == NULL && i < shared->max_databases; i++)
	{
		if (is_idle(&shared->databases[i]))
			slot = &shared->databases[i];
	}
	if (slot != NULL)
		reset_slot(slot, database);
	return slot;
}

SsDatabase *
shmem_database(Oid database, bool create)
{
	SsDatabase *slot;

	if (shared == NULL || !OidIsValid(database))
		return NULL;
	if (home_slot != NULL && home_slot->database == database)
		return home_slot;
	LWLockAcquire(lock, create ? LW_EXCLUSIVE : LW_SHARED);
	slot = create ? claim_slot(database) : find_slot(database);
	LWLockRelease(lock);
	if (database == MyDatabaseId)
		home_slot = slot;
	return slot;
}

/* wake_launcher sets the launcher's latch. The lock is held. */
static void
wake_launcher(void)
{
	if (shared->launcher_pid != 0)
		SetLatch(&GetPGProcByNumber(shared->launcher_procno)->procLatch);
}

/* release_slot gives the slot up at process exit, while it is still this process's own. */
static void
release_slot(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (my_slot->generation == my_generation)
	{
		my_slot->pid = 0;
		for (int i = 0; i < SS_GAUGES; i++)
			pg_atomic_write_u64(&my_slot->gauges[i], 0);
	}
	wake_launcher();
	LWLockRelease(lock);
}

/* release_follower does the same for a follower. */
static void
release_follower(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (my_place->generation == my_generation)
	{
		my_place->pid = 0;
		if (my_place == &my_slot->followers[SS_FOLLOWER_CACHE])
			pg_atomic_write_u32(&my_slot->cache.state, CACHE_NONE);
		else
			pg_atomic_write_u32(&my_slot->olap.state, OLAP_NONE);
	}
	wake_launcher();
	LWLockRelease(lock);
}

/* attach takes the slot of this database for the only process of its kind, a follower or the dispatcher, or raises FATAL. */
static SsDatabase *
attach(const char *name, const char *what, bool follows, SsFollowerKind kind)
{
	SsDatabase *slot;
	pid_t		other = 0;
	pid_t		holder = 0;

	if (shared == NULL)
		ereport(FATAL,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("storesync is not in \"shared_preload_libraries\"")));
	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = claim_slot(MyDatabaseId);
	if (slot != NULL)
	{
		my_place = follows ? &slot->followers[kind] : NULL;
		other = follows ? my_place->pid : slot->pid;
		holder = slot->holder;
		if (other == 0 && holder == 0)
		{
			*(follows ? &my_place->pid : &slot->pid) = MyProcPid;
			*(follows ? &my_place->procno : &slot->procno) = SsMyProcNumber();
			my_generation = ++*(follows ? &my_place->generation : &slot->generation);
			strlcpy(slot->name, name, NAMEDATALEN);
		}
	}
	LWLockRelease(lock);
	if (slot == NULL)
		ereport(FATAL,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("no room in shared memory for database \"%s\"", name),
				 errhint("Raise \"storesync.max_databases\".")));
	if (other != 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database \"%s\" already has a %s", name, what),
				 errdetail("Its process is %d.", (int) other)));
	if (holder != 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database \"%s\" is being changed by process %d", name, (int) holder)));
	my_slot = slot;
	home_slot = slot;
	on_shmem_exit(follows ? release_follower : release_slot, 0);
	return slot;
}

SsDatabase *
shmem_attach_dispatcher(const char *name)
{
	return attach(name, "dispatcher", false, SS_FOLLOWERS);
}

SsDatabase *
shmem_attach_follower(SsFollowerKind kind, const char *name)
{
	static const char *const nouns[] = {[SS_FOLLOWER_CACHE] = "cache worker", [SS_FOLLOWER_OLAP] = "OLAP worker"};

	return attach(name, nouns[kind], true, kind);
}

bool
shmem_take_follower_wake(SsDatabase *slot, SsFollowerKind kind)
{
	return pg_atomic_exchange_u32(&slot->followers[kind].wake, 0) != 0;
}

bool
shmem_take_wake(SsDatabase *slot)
{
	return pg_atomic_exchange_u32(&slot->wake, 0) != 0;
}

void
shmem_wake(Oid database)
{
	SsDatabase *slot = shmem_database(database, false);
	uint32		asleep = 0;
	bool		first;
	bool		first_for[SS_FOLLOWERS];
	bool		any;

	if (slot == NULL)
		return;
	first = pg_atomic_compare_exchange_u32(&slot->wake, &asleep, 1);
	any = first;
	for (int i = 0; i < SS_FOLLOWERS; i++)
	{
		uint32		asleep_too = 0;

		first_for[i] = slot->followers[i].pid != 0 &&
			pg_atomic_compare_exchange_u32(&slot->followers[i].wake, &asleep_too, 1);
		any |= first_for[i];
	}
	if (!any)
		return;
	LWLockAcquire(lock, LW_SHARED);
	if (first && slot->pid != 0)
		SetLatch(&GetPGProcByNumber(slot->procno)->procLatch);
	else if (first)
		wake_launcher();
	for (int i = 0; i < SS_FOLLOWERS; i++)
	{
		if (first_for[i] && slot->followers[i].pid != 0)
			SetLatch(&GetPGProcByNumber(slot->followers[i].procno)->procLatch);
	}
	LWLockRelease(lock);
}

void
wake_at_commit(void)
{
	if (shared != NULL)
		wake_wanted = true;
}

/* take_hold marks the slot as this process's and tells the processes that must end, 0 for none: first the dispatcher, then followers. */
static bool
take_hold(Oid database, const char *name, pid_t *pids)
{
	SsDatabase *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = claim_slot(database);
	if (slot != NULL && slot->holder == 0)
	{
		my_hold_is_fresh = slot->name[0] == '\0';
		slot->holder = MyProcPid;
		strlcpy(slot->name, name, NAMEDATALEN);
		pids[0] = slot->pid;
		for (int i = 0; i < SS_FOLLOWERS; i++)
			pids[i + 1] = slot->followers[i].pid;
		my_hold = slot;
	}
	LWLockRelease(lock);
	return my_hold != NULL;
}

/* drop_hold ends this process's hold, if it has one, and lets the launcher know; the slot goes with a database that is gone. */
static void
drop_hold(bool gone)
{
	if (my_hold == NULL)
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	my_hold->holder = 0;
	if (is_idle(my_hold) && (gone || my_hold_is_fresh))
		reset_slot(my_hold, InvalidOid);
	my_hold = NULL;
	wake_launcher();
	LWLockRelease(lock);
}

static void
drop_hold_at_exit(int code, Datum arg)
{
	drop_hold(false);
}

bool
shmem_hold(Oid database, const char *name, int timeout_ms)
{
	static bool registered = false;
	static uint32 wait_event = 0;
	TimestampTz limit = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	pid_t		pids[1 + SS_FOLLOWERS] = {0};

	if (shared == NULL)
		return true;
	if (!registered)
	{
		before_shmem_exit(drop_hold_at_exit, 0);
		registered = true;
	}
	if (my_hold != NULL || !take_hold(database, name, pids))
		return false;
	for (int i = 0; i < (int) lengthof(pids); i++)
	{
		if (pids[i] != 0)
			kill(pids[i], SIGTERM);
	}
	if (wait_event == 0)
		wait_event = SsWaitEvent("StoresyncDispatcherEnd");
	while (has_workers(my_hold))
	{
		if (GetCurrentTimestamp() > limit)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 HOLD_LOOK_MS, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

void
shmem_release_hold(Oid database, bool gone)
{
	if (my_hold != NULL && my_hold->database == database)
		drop_hold(gone);
}

static void
release_launcher(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (shared->launcher_pid == MyProcPid)
		shared->launcher_pid = 0;
	LWLockRelease(lock);
}

void
shmem_attach_launcher(void)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->launcher_pid = MyProcPid;
	shared->launcher_procno = SsMyProcNumber();
	LWLockRelease(lock);
	on_shmem_exit(release_launcher, 0);
}

/*
 * shmem_find_dispatcher tells what is known of the database of that name:
 * true with the pid of a running dispatcher, whether a statement holds it,
 * whether a commit waits for a dispatcher.
 */
bool
shmem_find_dispatcher(const char *name, pid_t *pid, bool *held, bool *waiting)
{
	*pid = 0;
	*held = false;
	*waiting = false;
	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < shared->max_databases; i++)
	{
		SsDatabase *slot = &shared->databases[i];

		if (!OidIsValid(slot->database) || strcmp(slot->name, name) != 0)
			continue;
		*held |= slot->holder != 0;
		*waiting |= pg_atomic_read_u32(&slot->wake) != 0;
		if (slot->pid != 0)
			*pid = slot->pid;
	}
	LWLockRelease(lock);
	return *pid != 0;
}

/* shmem_find_follower does the same for followers of a kind. */
bool
shmem_find_follower(SsFollowerKind kind, const char *name, pid_t *pid, bool *held)
{
	*pid = 0;
	*held = false;
	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < shared->max_databases; i++)
	{
		SsDatabase *slot = &shared->databases[i];

		if (!OidIsValid(slot->database) || strcmp(slot->name, name) != 0)
			continue;
		*held |= slot->holder != 0;
		if (slot->followers[kind].pid != 0)
			*pid = slot->followers[kind].pid;
	}
	LWLockRelease(lock);
	return *pid != 0;
}

void
shmem_publish(const SsLaunch *launches, int n)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->n_launches = Min(n, shared->max_databases);
	memcpy(published(), launches, shared->n_launches * sizeof(SsLaunch));
	LWLockRelease(lock);
}

/* ---------------------------------------------------------------- flushing */

bool
shmem_ask_flush(SsDatabase *slot, XLogRecPtr through)
{
	bool		asked;

	pg_atomic_write_u64(&slot->flush, through);
	LWLockAcquire(lock, LW_SHARED);
	asked = shared->launcher_pid != 0;
	wake_launcher();
	LWLockRelease(lock);
	return asked;
}

XLogRecPtr
shmem_flush_asked(void)
{
	XLogRecPtr	through = InvalidXLogRecPtr;

	for (int i = 0; i < shared->max_databases; i++)
		through = Max(through, pg_atomic_read_u64(&shared->databases[i].flush));
	return through;
}

void
shmem_flushed(XLogRecPtr through)
{
	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < shared->max_databases; i++)
	{
		SsDatabase *slot = &shared->databases[i];
		uint64		asked = pg_atomic_read_u64(&slot->flush);

		if (asked == 0)
			continue;
		/* one who has asked for more meanwhile is asked for, and woken, again */
		if (asked <= through)
			(void) pg_atomic_compare_exchange_u64(&slot->flush, &asked, 0);
		if (slot->pid != 0)
			SetLatch(&GetPGProcByNumber(slot->procno)->procLatch);
	}
	LWLockRelease(lock);
}

pid_t
shmem_read(SsDatabase *databases, int *n_databases, SsLaunch *launches, int *n_launches)
{
	pid_t		launcher;

	*n_databases = 0;
	*n_launches = 0;
	if (shared == NULL)
		return 0;
	LWLockAcquire(lock, LW_SHARED);
	for (int i = 0; i < shared->max_databases; i++)
	{
		if (OidIsValid(shared->databases[i].database))
			databases[(*n_databases)++] = shared->databases[i];
	}
	*n_launches = shared->n_launches;
	memcpy(launches, published(), shared->n_launches * sizeof(SsLaunch));
	launcher = shared->launcher_pid;
	LWLockRelease(lock);
	return launcher;
}
