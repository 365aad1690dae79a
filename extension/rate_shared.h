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
	char		platform[NAMEDATALEN];	/* RATE_STORE, RATE_APPLICATION: for display */

	/* the dispatcher waits for this budget (rate_lane.c) */
	pg_atomic_uint64 claimed_until_ns;	/* applications stand back until then; 0: it does not wait */
	pg_atomic_uint32 spare;		/* int32: calls of the dispatcher that applications' next one counts against */
	pg_atomic_uint32 besides;	/* RATE_STORE: what applications got while it waited, since it last asked */

	/* the day's calls are used up (rate_adapt.c); RATE_STORE, RATE_APPLICATION */
	pg_atomic_uint64 quota_until;	/* TimestampTz of the reset, 0 for none */
	pg_atomic_uint64 quota_until_ns;	/* the same moment on the clock of rate_now() */

	/* RATE_STORE alone */
	uint64		application;	/* id of its application's slot */
	pg_atomic_uint64 held_until_ns; /* end of the last throttle */
	pg_atomic_uint64 throttled_at_ns;
	pg_atomic_uint64 slowed_since;	/* TimestampTz of the throttle that ended the full pace */
	pg_atomic_uint32 pace;		/* pace.h, of its shortest window */

	/* RATE_APPLICATION alone */
	int32		quota_reset;	/* seconds after midnight UTC */
	bool		quota_of_store; /* each store has a quota of its own */

	/* RATE_DATABASE alone */
	pg_atomic_uint64 changes;	/* how often limits in tables changed, from 1 */
	pg_atomic_uint64 epoch;		/* how often any window in this database changed */
	TimestampTz settings_time;	/* PgReloadTime of whoever published the total last */
} RateSlot;

/* Raises SS_ERR_NOT_PRELOADED without shared memory. */
extern void rate_check_shared(void);
extern bool rate_shared_ready(void);
extern LWLock *rate_lock(void);

/* Slot of this database, NULL when there is none. Takes the lock. */
extern RateSlot *rate_find(RateScope scope, uint64 id);

/*
 * The same, added when there is none, without limits; NULL when there is no
 * room. In a transaction, since room may have to be made.
 */
extern RateSlot *rate_find_or_add(RateScope scope, uint64 id);

/* Raises SS_ERR_TOO_MANY_STORES. */
extern void rate_no_room(void);
/* For how many more stores there is room. */
extern int	rate_room_left(void);

/*
 * Give a slot the limits that were read when the database's `changes` was
 * `loaded`; older ones than it has are ignored. A window that stays as it was
 * keeps its TAT, any other starts from an empty bucket. Caller holds the lock
 * exclusively.
 */
extern void rate_publish(RateSlot *database, RateSlot *slot, const RateWindows *limit, uint64 loaded);

/* Raise a window's TAT so that nothing is granted before until_ns. Caller does not hold the lock. */
extern void rate_hold_window(RateWindow *window, int64 until_ns);
/* Raise a window's TAT by as much as a call left late. */
extern void rate_shift_window(RateWindow *window, int64 by_ns);

/* Wait for whoever changes a window that was found closed. */
extern void rate_wait_open(void);

/* Slot of the application that a store calls with. Caller holds the lock. */
extern RateSlot *rate_application(const RateSlot *store);

/* All slots, for hash_seq_search under the lock. */
extern HTAB *rate_table(void);

#endif
