/*
 * shmem_wake.c
 *		Waking dispatchers and their followers at commit.
 *
 * A committer wakes its database's dispatcher at most once a burst: the first
 * one turns the slot's `wake` from 0 to 1 and sets the latch, later ones find
 * it set and do nothing, the dispatcher turns it back before it looks at the
 * tables; each follower likewise, by a `wake` of its own. What runs inside a
 * commit must never raise: these functions take one LWLock and allocate nothing.
 *
 * Locking protocol: shmem.h.
 */
#include "storesync.h"

#include "access/xact.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "shmem_internal.h"

/* This transaction wrote something that the dispatcher must see. */
static bool wake_wanted = false;

void
shmem_wake_launcher(void)
{
	if (shmem_shared->launcher_pid != 0)
		SetLatch(&GetPGProcByNumber(shmem_shared->launcher_procno)->procLatch);
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
	LWLockAcquire(shmem_lock, LW_SHARED);
	if (first && slot->pid != 0)
		SetLatch(&GetPGProcByNumber(slot->procno)->procLatch);
	else if (first)
		shmem_wake_launcher();
	for (int i = 0; i < SS_FOLLOWERS; i++)
	{
		if (first_for[i] && slot->followers[i].pid != 0)
			SetLatch(&GetPGProcByNumber(slot->followers[i].procno)->procLatch);
	}
	LWLockRelease(shmem_lock);
}

void
wake_at_commit(void)
{
	if (shmem_shared != NULL)
		wake_wanted = true;
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
shmem_wake_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}
