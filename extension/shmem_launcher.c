/*
 * shmem_launcher.c
 *		The launcher's part of the shared memory: whom it looks after, what it
 *		publishes of them, and what it is asked to flush.
 *
 * Locking protocol: shmem.h.
 */
#include "storesync.h"

#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "shmem_internal.h"

static void
release_launcher(int code, Datum arg)
{
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	if (shmem_shared->launcher_pid == MyProcPid)
		shmem_shared->launcher_pid = 0;
	LWLockRelease(shmem_lock);
}

void
shmem_attach_launcher(void)
{
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	shmem_shared->launcher_pid = MyProcPid;
	shmem_shared->launcher_procno = SsMyProcNumber();
	LWLockRelease(shmem_lock);
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
	LWLockAcquire(shmem_lock, LW_SHARED);
	for (int i = 0; i < shmem_shared->max_databases; i++)
	{
		SsDatabase *slot = &shmem_shared->databases[i];

		if (!OidIsValid(slot->database) || strcmp(slot->name, name) != 0)
			continue;
		*held |= slot->holder != 0;
		*waiting |= pg_atomic_read_u32(&slot->wake) != 0;
		if (slot->pid != 0)
			*pid = slot->pid;
	}
	LWLockRelease(shmem_lock);
	return *pid != 0;
}

/* shmem_find_follower does the same for followers of a kind. */
bool
shmem_find_follower(SsFollowerKind kind, const char *name, pid_t *pid, bool *held)
{
	*pid = 0;
	*held = false;
	LWLockAcquire(shmem_lock, LW_SHARED);
	for (int i = 0; i < shmem_shared->max_databases; i++)
	{
		SsDatabase *slot = &shmem_shared->databases[i];

		if (!OidIsValid(slot->database) || strcmp(slot->name, name) != 0)
			continue;
		*held |= slot->holder != 0;
		if (slot->followers[kind].pid != 0)
			*pid = slot->followers[kind].pid;
	}
	LWLockRelease(shmem_lock);
	return *pid != 0;
}

void
shmem_publish(const SsLaunch *launches, int n)
{
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	shmem_shared->n_launches = Min(n, shmem_shared->max_databases);
	memcpy(shmem_published(), launches, shmem_shared->n_launches * sizeof(SsLaunch));
	LWLockRelease(shmem_lock);
}

/* ---------------------------------------------------------------- flushing */

bool
shmem_ask_flush(SsDatabase *slot, XLogRecPtr through)
{
	bool		asked;

	pg_atomic_write_u64(&slot->flush, through);
	LWLockAcquire(shmem_lock, LW_SHARED);
	asked = shmem_shared->launcher_pid != 0;
	shmem_wake_launcher();
	LWLockRelease(shmem_lock);
	return asked;
}

XLogRecPtr
shmem_flush_asked(void)
{
	XLogRecPtr	through = InvalidXLogRecPtr;

	for (int i = 0; i < shmem_shared->max_databases; i++)
		through = Max(through, pg_atomic_read_u64(&shmem_shared->databases[i].flush));
	return through;
}

void
shmem_flushed(XLogRecPtr through)
{
	LWLockAcquire(shmem_lock, LW_SHARED);
	for (int i = 0; i < shmem_shared->max_databases; i++)
	{
		SsDatabase *slot = &shmem_shared->databases[i];
		uint64		asked = pg_atomic_read_u64(&slot->flush);

		if (asked == 0)
			continue;
		/* one who has asked for more meanwhile is asked for, and woken, again */
		if (asked <= through)
			(void) pg_atomic_compare_exchange_u64(&slot->flush, &asked, 0);
		if (slot->pid != 0)
			SetLatch(&GetPGProcByNumber(slot->procno)->procLatch);
	}
	LWLockRelease(shmem_lock);
}
