/*
 * dispatcher.c
 *		The worker process of one database.
 */
#include "worker.h"

#include "postmaster/bgworker.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "shmem.h"

extern PGDLLEXPORT void storesync_dispatcher_main(Datum argument);

/* storesync_dispatcher_main takes the database's slot and waits to be told to end. */
void
storesync_dispatcher_main(Datum argument)
{
	SsDatabase *slot = shmem_attach_dispatcher(worker_connect());

	for (;;)
	{
		pg_atomic_write_u64(&slot->heartbeat, (uint64) GetCurrentTimestamp());
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		worker_interrupts();
		(void) shmem_take_wake(slot);
	}
}
