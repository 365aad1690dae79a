/*
 * rate.c
 *		Call budgets in shared memory.
 */
#include "storesync.h"

#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "rate.h"

#define RATE_TRANCHE		"storesync_rate"

static shmem_request_hook_type previous_request = NULL;

static void
request_memory(void)
{
	SS_PREVIOUS_REQUEST(previous_request);
	RequestNamedLWLockTranche(RATE_TRANCHE, 1);
}

void
rate_init(void)
{
	SS_REQUEST_SHMEM(previous_request, request_memory);
}
