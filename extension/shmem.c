/*
 * shmem.c
 *		Slots of dispatchers and their followers in shared memory: made, given to
 *		databases, taken by processes.
 *
 * Locking protocol: shmem.h.
 */
#include "storesync.h"

#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "shmem_internal.h"

#define TRANCHE_NAME	"storesync"

SsShared   *shmem_shared = NULL;
LWLock	   *shmem_lock = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* Of this process: the slot it works for and the generation it took. */
static SsDatabase *my_slot = NULL;
static SsFollower *my_place = NULL; /* in the slot, of a follower */
static uint32 my_generation = 0;

/* This backend's database's slot, looked up once; the slot's database tells whether it still is. */
static SsDatabase *home_slot = NULL;

SsLaunch *
shmem_published(void)
{
	return (SsLaunch *) &shmem_shared->databases[shmem_shared->max_databases];
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

void
shmem_reset_slot(SsDatabase *slot, Oid database)
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
	shmem_shared = ShmemInitStruct("storesync workers", shared_size(), &found);
	shmem_lock = &GetNamedLWLockTranche(TRANCHE_NAME)->lock;
	if (!found)
	{
		shmem_shared->launcher_pid = 0;
		shmem_shared->launcher_procno = 0;
		shmem_shared->n_launches = 0;
		shmem_shared->max_databases = ss_max_databases;
		for (int i = 0; i < shmem_shared->max_databases; i++)
			init_slot(&shmem_shared->databases[i]);
		memset(shmem_published(), 0, mul_size(shmem_shared->max_databases, sizeof(SsLaunch)));
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_init(void)
{
	SS_REQUEST_SHMEM(previous_request, request_memory);
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
	shmem_wake_init();
}

bool
shmem_ready(void)
{
	return shmem_shared != NULL;
}

/* find_slot looks a database up. The lock is held. */
static SsDatabase *
find_slot(Oid database)
{
	for (int i = 0; i < shmem_shared->max_databases; i++)
	{
		if (shmem_shared->databases[i].database == database)
			return &shmem_shared->databases[i];
	}
	return NULL;
}

bool
shmem_has_workers(const SsDatabase *slot)
{
	bool		has = slot->pid != 0;

	for (int i = 0; i < SS_FOLLOWERS; i++)
		has |= slot->followers[i].pid != 0;
	return has;
}

bool
shmem_is_idle(const SsDatabase *slot)
{
	return slot->holder == 0 && !shmem_has_workers(slot);
}

SsDatabase *
shmem_claim_slot(Oid database)
{
	SsDatabase *slot = find_slot(database);

	if (slot != NULL)
		return slot;
	slot = find_slot(InvalidOid);
	for (int i = 0; slot == NULL && i < shmem_shared->max_databases; i++)
	{
		if (shmem_is_idle(&shmem_shared->databases[i]))
			slot = &shmem_shared->databases[i];
	}
	if (slot != NULL)
		shmem_reset_slot(slot, database);
	return slot;
}

SsDatabase *
shmem_database(Oid database, bool create)
{
	SsDatabase *slot;

	if (shmem_shared == NULL || !OidIsValid(database))
		return NULL;
	if (home_slot != NULL && home_slot->database == database)
		return home_slot;
	LWLockAcquire(shmem_lock, create ? LW_EXCLUSIVE : LW_SHARED);
	slot = create ? shmem_claim_slot(database) : find_slot(database);
	LWLockRelease(shmem_lock);
	if (database == MyDatabaseId)
		home_slot = slot;
	return slot;
}

/* release_slot gives the slot up at process exit, while it is still this process's own. */
static void
release_slot(int code, Datum arg)
{
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	if (my_slot->generation == my_generation)
	{
		my_slot->pid = 0;
		for (int i = 0; i < SS_GAUGES; i++)
			pg_atomic_write_u64(&my_slot->gauges[i], 0);
	}
	shmem_wake_launcher();
	LWLockRelease(shmem_lock);
}

/* release_follower does the same for a follower. */
static void
release_follower(int code, Datum arg)
{
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	if (my_place->generation == my_generation)
	{
		my_place->pid = 0;
		if (my_place == &my_slot->followers[SS_FOLLOWER_CACHE])
			pg_atomic_write_u32(&my_slot->cache.state, CACHE_NONE);
		else
			pg_atomic_write_u32(&my_slot->olap.state, OLAP_NONE);
	}
	shmem_wake_launcher();
	LWLockRelease(shmem_lock);
}

/* attach takes the slot of this database for the only process of its kind, a follower or the dispatcher, or raises FATAL. */
static SsDatabase *
attach(const char *name, const char *what, bool follows, SsFollowerKind kind)
{
	SsDatabase *slot;
	pid_t		other = 0;
	pid_t		holder = 0;

	if (shmem_shared == NULL)
		ereport(FATAL,
				(errcode(SS_ERR_NOT_PRELOADED),
				 errmsg("storesync is not in \"shared_preload_libraries\"")));
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	slot = shmem_claim_slot(MyDatabaseId);
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
	LWLockRelease(shmem_lock);
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

pid_t
shmem_read(SsDatabase *databases, int *n_databases, SsLaunch *launches, int *n_launches)
{
	pid_t		launcher;

	*n_databases = 0;
	*n_launches = 0;
	if (shmem_shared == NULL)
		return 0;
	LWLockAcquire(shmem_lock, LW_SHARED);
	for (int i = 0; i < shmem_shared->max_databases; i++)
	{
		if (OidIsValid(shmem_shared->databases[i].database))
			databases[(*n_databases)++] = shmem_shared->databases[i];
	}
	*n_launches = shmem_shared->n_launches;
	memcpy(launches, shmem_published(), shmem_shared->n_launches * sizeof(SsLaunch));
	launcher = shmem_shared->launcher_pid;
	LWLockRelease(shmem_lock);
	return launcher;
}
