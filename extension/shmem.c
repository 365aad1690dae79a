/*
 * shmem.c
 *		Slots of dispatchers in shared memory, and waking them at commit.
 *
 * A committer wakes its database's dispatcher at most once a burst: the first
 * one turns the slot's `wake` from 0 to 1 and sets the latch, later ones find
 * it set and do nothing, the dispatcher turns it back before it looks at the
 * tables. What runs inside a commit must never raise: these functions take
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

/* Of this process: the slot it dispatches for and the generation it took, the database it holds. */
static SsDatabase *my_slot = NULL;
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
		if (shared->databases[i].pid == 0 && shared->databases[i].holder == 0)
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

SsDatabase *
shmem_attach_dispatcher(const char *name)
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
		other = slot->pid;
		holder = slot->holder;
		if (other == 0 && holder == 0)
		{
			slot->pid = MyProcPid;
			slot->procno = SsMyProcNumber();
			my_generation = ++slot->generation;
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
				 errmsg("database \"%s\" already has a dispatcher", name),
				 errdetail("Its process is %d.", (int) other)));
	if (holder != 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("database \"%s\" is being changed by process %d", name, (int) holder)));
	my_slot = slot;
	home_slot = slot;
	on_shmem_exit(release_slot, 0);
	return slot;
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

	if (slot == NULL || !pg_atomic_compare_exchange_u32(&slot->wake, &asleep, 1))
		return;
	LWLockAcquire(lock, LW_SHARED);
	if (slot->pid != 0)
		SetLatch(&GetPGProcByNumber(slot->procno)->procLatch);
	else
		wake_launcher();
	LWLockRelease(lock);
}

void
wake_at_commit(void)
{
	if (shared != NULL)
		wake_wanted = true;
}

/* take_hold marks the slot as this process's and tells the dispatcher that must end, 0 for none. */
static bool
take_hold(Oid database, const char *name, pid_t *dispatcher)
{
	SsDatabase *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = claim_slot(database);
	if (slot != NULL && slot->holder == 0)
	{
		my_hold_is_fresh = slot->name[0] == '\0';
		slot->holder = MyProcPid;
		strlcpy(slot->name, name, NAMEDATALEN);
		*dispatcher = slot->pid;
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
	if (my_hold->pid == 0 && (gone || my_hold_is_fresh))
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
	pid_t		dispatcher = 0;

	if (shared == NULL)
		return true;
	if (!registered)
	{
		before_shmem_exit(drop_hold_at_exit, 0);
		registered = true;
	}
	if (my_hold != NULL || !take_hold(database, name, &dispatcher))
		return false;
	if (dispatcher != 0)
		kill(dispatcher, SIGTERM);
	if (wait_event == 0)
		wait_event = SsWaitEvent("StoresyncDispatcherEnd");
	while (my_hold->pid != 0)
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
