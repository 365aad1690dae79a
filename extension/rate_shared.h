/*
 * rate_shared.h
 *		The table of call budgets in shared memory: one slot per store, per
 *		application at a platform and per database.
 *
 * Locking: rate_lock() guards the table, and every field of a slot that is
 * not atomic; it is held to find, add or change a slot, never to take from
 * one. A slot stays where it is while its database exists, so that backends
 * connected to it may keep pointers.
 *
 * A window's limits are read without the lock, after its tat_ns and before the
 * compare-and-swap on it: whoever changes them first closes the window and
 * afterwards opens it with another tat_ns, so that a call that saw the old
 * limits fails its swap.
 */
#ifndef STORESYNC_RATE_SHARED_H
#define STORESYNC_RATE_SHARED_H

#include "storesync.h"

#include "port/atomics.h"
#include "storage/lwlock.h"

#include "rate_limit.h"

/* tat_ns of a window whose limits are being changed. */
#define RATE_CLOSED			PG_INT64_MAX

typedef enum RateScope
{
	RATE_STORE,					/* id: store_id */
	RATE_APPLICATION,			/* id: hash of the platform's name */
	RATE_DATABASE				/* id: 0; storesync.total_rate_limit */
} RateScope;

typedef struct RateSlotKey
{
	Oid			database;
	uint32		scope;			/* RateScope */
	uint64		id;
} RateSlotKey;

typedef struct RateWindow
{
	pg_atomic_uint64 tat_ns;	/* gcra.h, on the clock of rate_now() */
	GcraWindow	gcra;			/* interval 0: not in use */
	RateLimitWindow limit;		/* what gcra was made of; calls 0: not in use */
} RateWindow;

typedef struct RateSlot
{
	RateSlotKey key;			/* hash key, must be first */
	RateWindow	windows[RATE_UNITS];	/* by unit */
	pg_atomic_uint64 loaded;	/* the database's `changes` when the limits were read; 0: never */
	pg_atomic_uint64 held_until_ns; /* RATE_STORE: end of the last throttle */
	uint64		application;	/* RATE_STORE: id of its application's slot */
	char		platform[NAMEDATALEN];	/* RATE_STORE, RATE_APPLICATION: for display */

	/* RATE_DATABASE alone */
	pg_atomic_uint64 changes;	/* how often limits in tables changed, from 1 */
	pg_atomic_uint64 epoch;		/* how often any window in this database changed */
	TimestampTz settings_time;	/* PgReloadTime of whoever published the total last */
} RateSlot;

extern void rate_shared_init(void); /* from rate_init */

/* Raises SS_ERR_NOT_PRELOADED without shared memory. */
extern void rate_check_shared(void);
extern bool rate_shared_ready(void);
extern LWLock *rate_lock(void);

/* Nanoseconds of a clock that only ever goes forward, the same in all processes. */
extern int64 rate_now(void);

/* Slot of this database, NULL when there is none. Takes the lock. */
extern RateSlot *rate_find(RateScope scope, uint64 id);

/*
 * The same, added when there is none, without limits. In a transaction, since
 * room may have to be made. Raises SS_ERR_TOO_MANY_STORES.
 */
extern RateSlot *rate_find_or_add(RateScope scope, uint64 id);

/*
 * Give a slot the limits that were read when the database's `changes` was
 * `loaded`; older ones than it has are ignored. A window that stays as it was
 * keeps its TAT, any other starts from an empty bucket. Caller holds the lock
 * exclusively.
 */
extern void rate_publish(RateSlot *database, RateSlot *slot, const RateWindows *limit, uint64 loaded);

/* Raise a window's TAT so that nothing is granted before until_ns. Caller does not hold the lock. */
extern void rate_hold_window(RateWindow *window, int64 until_ns);

/* Wait for whoever changes a window that was found closed. */
extern void rate_wait_open(void);

/* Slot of the application that a store calls with. Caller holds the lock. */
extern RateSlot *rate_application(const RateSlot *store);

/* All slots, for hash_seq_search under the lock. */
extern HTAB *rate_table(void);

#endif
