/*
 * shmem_hold.c
 *		A statement that changes a database as a whole keeps its dispatcher and
 *		followers away: those that run end, others do not start meanwhile.
 *
 * Locking protocol: shmem.h.
 */
#include "storesync.h"

#include <signal.h>

#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "shmem_internal.h"

/* How often a statement that waits for a dispatcher's end looks again. */
#define HOLD_LOOK_MS	10

/* The database that this process holds. */
static SsDatabase *my_hold = NULL;
static bool my_hold_is_fresh = false;	/* the slot was made for the hold */

/* take_hold marks the slot as this process's and tells the processes that must end, 0 for none: first the dispatcher, then followers. */
static bool
take_hold(Oid database, const char *name, pid_t *pids)
{
	SsDatabase *slot;

	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	slot = shmem_claim_slot(database);
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
	LWLockRelease(shmem_lock);
	return my_hold != NULL;
}

/* drop_hold ends this process's hold, if it has one, and lets the launcher know; the slot goes with a database that is gone. */
static void
drop_hold(bool gone)
{
	if (my_hold == NULL)
		return;
	LWLockAcquire(shmem_lock, LW_EXCLUSIVE);
	my_hold->holder = 0;
	if (shmem_is_idle(my_hold) && (gone || my_hold_is_fresh))
		shmem_reset_slot(my_hold, InvalidOid);
	my_hold = NULL;
	shmem_wake_launcher();
	LWLockRelease(shmem_lock);
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

	if (shmem_shared == NULL)
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
	while (shmem_has_workers(my_hold))
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
