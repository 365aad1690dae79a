/*
 * shmem_internal.h
 *		What the files of the workers' shared memory know of each other:
 *		shmem.c has the slots, shmem_wake.c wakes who works for them, shmem_hold.c
 *		keeps them away, shmem_launcher.c is the launcher's part.
 */
#ifndef STORESYNC_SHMEM_INTERNAL_H
#define STORESYNC_SHMEM_INTERNAL_H

#include "shmem.h"

typedef struct SsShared
{
	pid_t		launcher_pid;	/* 0 while none runs */
	int			launcher_procno;
	int			n_launches;
	int			max_databases;	/* length of both arrays */
	SsDatabase	databases[FLEXIBLE_ARRAY_MEMBER];
	/* SsLaunch launches[max_databases] follow */
} SsShared;

/* NULL without shared_preload_libraries, as is the lock that guards it (shmem.h). */
extern SsShared *shmem_shared;
extern LWLock *shmem_lock;

/* The launcher's entries, behind the slots. */
extern SsLaunch *shmem_published(void);

/* Give a slot to a database, as new; its generation goes on rising. The lock is held exclusively. */
extern void shmem_reset_slot(SsDatabase *slot, Oid database);
/* Find or make a database's slot, at need from one that nobody uses; NULL: no room. The lock is held exclusively. */
extern SsDatabase *shmem_claim_slot(Oid database);
/* Whether a process works for a slot's database. */
extern bool shmem_has_workers(const SsDatabase *slot);
/* Whether nobody works for, or holds, a slot's database. The lock is held. */
extern bool shmem_is_idle(const SsDatabase *slot);

/* From shmem_init: wake at the ends of transactions that ask for it. */
extern void shmem_wake_init(void);
/* Set the launcher's latch. The lock is held. */
extern void shmem_wake_launcher(void);

#endif
