/*
 * cache_main.c
 *		The cache worker of one database: what is in the tables goes to Redis.
 *
 * It follows and nothing waits for it: it takes no lock that anybody else
 * wants, and holds no transaction while Redis answers. It is woken at commit
 * as the dispatcher is, reads what has changed, and writes it. What Redis did
 * not take is read again: the cursor moves behind what was taken.
 *
 * Whether Redis still has what was written is told by a mark there, a token
 * of the filling, and by the run id of the server: with another one, or none,
 * everything is written again.
 *
 * An ERROR ends the process; the next one fills the cache anew.
 */
#include "cache_work.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "postmaster/bgworker.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "outbox.h"
#include "shmem.h"
#include "version.h"
#include "worker.h"

#define MS				INT64CONST(1000)
/* Between two looks at the outbox: changes of that time share one. */
#define ROUND_US		(20 * MS)
/* Between two looks at the mark, and at the history of orders when nobody woke us. */
#define CHECK_US		(5 * USECS_PER_SEC)
/* Orders are looked for again after so many times what a look takes. */
#define ORDERS_SHARE	200
#define ORDERS_LEAST_US USECS_PER_SEC
/* Between two pages of a filling, at least, and as long as the page took. */
#define PAGE_US			(20 * MS)
#define FILL_AGAIN_US	USECS_PER_DAY
/* After everything may have changed, and when there was no memory left. */
#define FILL_PAUSE_US	(10 * USECS_PER_SEC)
#define FULL_PAUSE_US	(10 * USECS_PER_SEC)
/* Whether we may speak to Redis at all is asked again so often. */
#define ALLOWED_US		USECS_PER_MINUTE
/* After it was refused, which is no failure of the connection; twice as long each time. */
#define PAUSE_FIRST_US	(REDIS_PAUSE_FIRST_MS * MS)
#define PAUSE_LAST_US	(REDIS_PAUSE_LAST_MS * MS)
#define TOKEN_BYTES		64

extern PGDLLEXPORT void storesync_cache_main(Datum argument);

/* What one transaction has read. */
typedef struct Round
{
	CacheBatch	batch;
	bool		everything;		/* may have changed */
	bool		too_much;
	bool		more_orders;
} Round;

MemoryContext cache_round = NULL;

static SsDatabase *slot;
static CacheState state = CACHE_NONE;
static int	incarnation = 0;
static bool allowed = false;
static TimestampTz allowed_due = 0;
static char *mark_key = NULL;	/* these two outlive rounds */
static char *purge_pattern = NULL;

static long greeted = 0;		/* the connection that has our scripts */
static char token[TOKEN_BYTES]; /* of the filling, "" before the first */
static char run_id[TOKEN_BYTES];	/* of the server that it went to */

static bool look_wanted = true;
static TimestampTz look_due = 0;
static TimestampTz orders_due = 0;
static TimestampTz check_due = 0;
static TimestampTz page_due = 0;
static TimestampTz fill_due = 0;	/* everything again */
static bool full = false;
static TimestampTz pause_until = 0;
static TimestampTz pause_us = 0;	/* of the last failure, 0 after a success */

static void
show(CacheState now)
{
	if (now == state)
		return;
	state = now;
	pg_atomic_write_u32(&slot->cache.state, now);
	pg_atomic_write_u64(&slot->cache.since, (uint64) GetCurrentTimestamp());
	if (now == CACHE_AWAY)
		ereport(LOG,
				(errcode(SS_ERR_CACHE_AWAY),
				 errmsg("the cache is not available"),
				 redis_complaint(cache_redis)[0] == '\0' ? 0 : errdetail("Redis: %s.", redis_complaint(cache_redis))));
	else if (now == CACHE_FULL)
		ereport(LOG, (errmsg("Redis has no memory left: what cannot be written there is deleted")));
	else if (now == CACHE_FOLLOWING)
		ereport(LOG, (errmsg("the cache follows")));
}

/* enter and leave: a transaction in which SQL runs as the owner. */
static void
enter(SsSession *session, const char *activity)
{
	worker_begin(activity);
	ss_enter(session, "storesync cache worker", false);
	MemoryContextSwitchTo(cache_round);
}

static void
leave(SsSession *session)
{
	ss_leave(session);
	worker_commit();
	MemoryContextSwitchTo(cache_round);
}

/* ---------------------------------------------------------------- whether to speak at all */

/* has_sql tells whether the SQL objects know of a cache; costs nothing while they do not change. */
static bool
has_sql(void)
{
	static bool looked = false;
	static bool has = false;

	if (looked && !ss_sql_maybe_changed())
		return has;
	looked = true;
	worker_begin("storesync: looking at the release");
	has = ss_sql_has(SS_SQL_1_1);
	worker_commit();
	MemoryContextSwitchTo(cache_round);
	return has;
}

/* look_around learns where Redis is, whether we may speak to it, and the names of our keys. */
static void
look_around(TimestampTz now)
{
	SsSession	session;
	RedisAddress address;
	char	   *secret;
	char	   *database;

	enter(&session, "storesync: cache settings");
	allowed = cache_where(&address, &secret) && cache_is_allowed();
	if (allowed)
	{
		redis_point(cache_redis, &address, secret);
		incarnation = incarnation_current();
		database = cache_key("", "");
		if (mark_key == NULL)
		{
			StringInfoData pattern;

			initStringInfo(&pattern);
			for (char *c = database; *c != '\0'; c++)
			{
				if (strchr("*?[]\\", *c) != NULL)
					appendStringInfoChar(&pattern, '\\');
				appendStringInfoChar(&pattern, *c);
			}
			appendStringInfoChar(&pattern, '*');
			purge_pattern = MemoryContextStrdup(TopMemoryContext, pattern.data);
			mark_key = MemoryContextStrdup(TopMemoryContext, psprintf("%s%s", database, CACHE_KEY_STATE));
		}
	}
	leave(&session);
	allowed_due = now + ALLOWED_US;
}

/* ---------------------------------------------------------------- filling */

/* begin_filling starts to write everything; Redis gets a new mark first. */
static bool
begin_filling(bool orders, bool purge)
{
	SsSession	session;
	CacheOutcome outcome;

	snprintf(token, sizeof(token), INT64_FORMAT "-%d", (int64) GetCurrentTimestamp(), MyProcPid);
	outcome = cache_write_mark(mark_key, token, incarnation);
	if (outcome == CACHE_FAILED)
	{
		token[0] = '\0';
		return false;
	}
	full = outcome == CACHE_NO_MEMORY;
	if (full)
		token[0] = '\0';
	strlcpy(run_id, redis_run_id(cache_redis), sizeof(run_id));
	enter(&session, "storesync: starting to fill the cache");
	cache_feed_start();
	leave(&session);
	cache_fill_start(orders, purge);
	fill_due = GetCurrentTimestamp() + FILL_AGAIN_US;
	page_due = 0;
	show(full ? CACHE_FULL : CACHE_FILLING);
	return true;
}

/* check_mark compares what Redis knows of our filling, and fills it when it knows of none. */
static bool
check_mark(TimestampTz now)
{
	char		found[TOKEN_BYTES];
	int			of;

	check_due = now + CHECK_US;
	if (greeted != redis_connections(cache_redis) && !cache_greet())
		return false;
	greeted = redis_connections(cache_redis);
	if (!cache_read_mark(mark_key, found, sizeof(found), &of))
		return false;
	if (token[0] != '\0' && strcmp(found, token) == 0 && strcmp(run_id, redis_run_id(cache_redis)) == 0)
		return true;
	if (full && fill_due > now)
		return true;
	return begin_filling(true, of != incarnation);
}

/* settle takes note of how a write went; false when the connection is gone. */
static bool
settle(CacheOutcome outcome, TimestampTz now)
{
	if (outcome == CACHE_FAILED)
		return false;
	if (outcome == CACHE_NO_MEMORY)
	{
		/* what is there stays right by the feed; the rest is tried again in a while */
		full = true;
		token[0] = '\0';
		cache_fill_stop();
		fill_due = now + FULL_PAUSE_US;
		show(CACHE_FULL);
	}
	return true;
}

/* fill writes a page. */
static bool
fill(TimestampTz now)
{
	CacheBatch	batch;
	SsSession	session;
	bool		done = true;

	if (cache_fill_has_purge())
	{
		if (!cache_purge(purge_pattern, incarnation, &done))
			return false;
	}
	else
	{
		enter(&session, "storesync: filling the cache");
		cache_batch_start(&batch);
		cache_fill_read(&batch);
		leave(&session);
		if (!settle(cache_write(&batch), now))
			return false;
	}
	if (cache_filling() && done && cache_fill_seen())
	{
		full = false;
		cache_count(CACHE_FILLED, 1);
	}
	page_due = GetCurrentTimestamp() + Max(PAGE_US, GetCurrentTimestamp() - now);
	return true;
}

/* ---------------------------------------------------------------- following */

/* follow writes what the outbox says has changed. */
static bool
follow(TimestampTz now)
{
	Round		round = {0};
	CacheIds	skus;
	CacheIds	listings;
	SsSession	session;

	enter(&session, "storesync: following the outbox");
	cache_batch_start(&round.batch);
	round.too_much = !cache_feed_read(&skus, &listings, &round.everything);
	if (!round.too_much)
	{
		cache_read(&round.batch, CACHE_STOCK, &skus);
		cache_read(&round.batch, CACHE_LISTING, &listings);
	}
	leave(&session);
	if (!settle(cache_write(&round.batch), now))
		return false;
	cache_feed_seen();
	if (round.too_much)
		cache_fill_start(false, false);
	else if (round.everything)
	{
		/* a confirmation, a place that sells or does not: rare, and not one filling each */
		allowed_due = 0;
		fill_due = Min(fill_due, now + FILL_PAUSE_US);
	}
	look_wanted = false;
	look_due = GetCurrentTimestamp() + ROUND_US;
	return true;
}

/* follow_orders writes the orders that have changed. */
static bool
follow_orders(TimestampTz now)
{
	Round		round = {0};
	CacheIds	orders;
	SsSession	session;

	enter(&session, "storesync: following orders");
	cache_batch_start(&round.batch);
	orders = cache_orders_read(&round.more_orders);
	cache_read(&round.batch, CACHE_ORDER, &orders);
	leave(&session);
	orders_due = GetCurrentTimestamp();
	if (!round.more_orders)
		orders_due += Max(ORDERS_LEAST_US, ORDERS_SHARE * (orders_due - now));
	if (!settle(cache_write(&round.batch), now))
		return false;
	cache_orders_seen();
	return true;
}

/* store_cursor keeps our place in the outbox; when nobody waited for us any longer everything is written. */
static void
store_cursor(void)
{
	SsSession	session;
	bool		waited;

	enter(&session, "storesync: cursor of the cache");
	waited = cache_feed_store();
	leave(&session);
	if (!waited)
		token[0] = '\0', check_due = 0;
}

/* work does what is due, and says when something is due again; 0 when Redis failed. */
static TimestampTz
work(TimestampTz now)
{
	TimestampTz due;

	if (greeted != redis_connections(cache_redis) || check_due <= now)
	{
		if (!check_mark(now))
			return 0;
	}
	if (fill_due <= now && !begin_filling(true, false))
		return 0;
	/* nothing was ever written: there is no place in the outbox to go on from */
	if (token[0] == '\0' && !full)
		return check_due;
	if (look_wanted && look_due <= now && !follow(now))
		return 0;
	if (orders_due <= now && !follow_orders(now))
		return 0;
	if (cache_filling() && page_due <= now && !fill(now))
		return 0;
	if (cache_feed_store_due() <= now)
		store_cursor();
	if (!full)
		show(cache_filling() ? CACHE_FILLING : CACHE_FOLLOWING);
	if (!full && !look_wanted && !cache_filling())
		pg_atomic_write_u64(&slot->cache.heartbeat, (uint64) now);
	due = Min(Min(check_due, fill_due), Min(orders_due, cache_feed_store_due()));
	if (look_wanted)
		due = Min(due, look_due);
	return cache_filling() ? Min(due, page_due) : due;
}

/* rest says when to try again: after the connection's own pause, or ours, since one that is refused has none. */
static TimestampTz
rest(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (redis_pause_ms(cache_redis) > 0)
		return now + redis_pause_ms(cache_redis) * MS;
	pause_us = pause_us == 0 ? PAUSE_FIRST_US : Min(2 * pause_us, PAUSE_LAST_US);
	return pause_until = now + pause_us;
}

/* round_of_work goes as far as it may, and returns when the next one is due. */
static TimestampTz
round_of_work(TimestampTz now)
{
	TimestampTz due;

	if (!has_sql())
	{
		show(CACHE_OLD_SQL);
		return now + USECS_PER_MINUTE;
	}
	if (allowed_due <= now)
		look_around(now);
	if (!allowed)
	{
		redis_close(cache_redis);
		show(CACHE_UNCONFIRMED);
		return allowed_due;
	}
	if (pause_until > now)
		return Min(pause_until, allowed_due);
	if (!redis_begin(cache_redis, CACHE_TIMEOUT_MS) || (due = work(now)) == 0)
	{
		show(CACHE_AWAY);
		/* the row in storesync.consumer is left alone: it is waited for as long as its patience lasts */
		return rest();
	}
	pause_us = 0;
	return Min(due, allowed_due);
}

/* ---------------------------------------------------------------- the process */

static bool
acquire_descriptor(void)
{
	return AcquireExternalFD();
}

static void
release_descriptor(void)
{
	ReleaseExternalFD();
}

static void
set_up(const char *database)
{
	slot = shmem_attach_follower(SS_FOLLOWER_CACHE, database);
	pg_atomic_write_u32(&slot->cache.state, CACHE_NONE);
	pg_atomic_write_u64(&slot->cache.since, (uint64) GetCurrentTimestamp());
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("application_name", "storesync cache", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
	cache_redis = redis_create((RedisDescriptors) {acquire_descriptor, release_descriptor});
	if (cache_redis == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	cache_round = AllocSetContextCreate(TopMemoryContext, "storesync cache round", ALLOCSET_DEFAULT_SIZES);
}

/* is_installed: without the extension there is nothing to do here, and the launcher asks again later. */
static bool
is_installed(void)
{
	bool		is;

	worker_begin("storesync: starting");
	is = ss_sql_version() != 0;
	worker_commit();
	return is;
}

void
storesync_cache_main(Datum argument)
{
	const char *database = worker_connect();
	uint32		wait_event = SsWaitEvent("StoresyncCache");
	TimestampTz due = 0;

	if (!is_installed())
		proc_exit(0);
	set_up(database);
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		long		ms = due <= now ? 0 : (long) Min((due - now + 999) / 1000, 60000);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, wait_event);
		ResetLatch(MyLatch);
		worker_check_clock("cache worker");
		if (worker_interrupts())
			allowed_due = pause_until = 0;
		if (shmem_take_follower_wake(slot, SS_FOLLOWER_CACHE))
		{
			look_wanted = true;
			if (!allowed)
				allowed_due = 0;
		}
		MemoryContextSwitchTo(cache_round);
		due = round_of_work(GetCurrentTimestamp());
		MemoryContextReset(cache_round);
	}
}
