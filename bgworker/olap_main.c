/*
 * olap_main.c
 *		The OLAP worker of one database: orders, lines, ledger and calls go to
 *		ClickHouse in batches.
 *
 * It follows and nothing waits for it: it takes no lock that anybody else
 * wants, and holds no transaction while ClickHouse answers. What ClickHouse
 * did not take is read again: places move behind what was taken, in memory,
 * and in storesync.olap_state every ten seconds. So a row may be written
 * twice, and the higher version wins there.
 *
 * Changes go first; between them what was there before is written page by
 * page (olap_fill.c), and what an earlier life of the data left is settled
 * (olap_settle.c).
 *
 * An ERROR ends the process; the next one goes on from olap_state.
 */
#include "olap_work.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "credential.h"
#include "outbox.h"
#include "shmem.h"
#include "version.h"
#include "worker.h"

#define MS				INT64CONST(1000)
/* Between two looks at what has changed: at least, and so many times what looking takes. */
#define LOOK_LEAST_US	USECS_PER_SEC
#define LOOK_SHARE		50
/* Calls are logged without waking anybody. */
#define LOOK_IDLE_US	(5 * USECS_PER_SEC)
/* Between two pages of a filling, at least, and as long as the page took. */
#define PAGE_US			(20 * MS)
#define STORE_US		(10 * USECS_PER_SEC)
#define STORE_IDLE_US	USECS_PER_MINUTE
#define NAMES_US		USECS_PER_HOUR
/* Whether we may speak to ClickHouse at all is asked again so often. */
#define ALLOWED_US		USECS_PER_MINUTE
/* The first look goes back at least this far: longer than a wait, and the start of another worker. */
#define START_BACK_US	(5 * USECS_PER_MINUTE)
#define PAUSE_FIRST_US	(250 * MS)
#define PAUSE_LAST_US	(30 * USECS_PER_SEC)

extern PGDLLEXPORT void storesync_olap_main(Datum argument);

MemoryContext olap_round = NULL;

static SsDatabase *slot;
static OlapState state = OLAP_NONE;
static bool allowed = false;
static TimestampTz allowed_due = 0;
static bool ready = false;		/* olap_place is read, and ClickHouse knows this life */

static bool look_wanted = true;
static bool looked = false;		/* everything up to a look of this process is there */
static TimestampTz look_due = 0;
static TimestampTz idle_due = 0;
static TimestampTz page_due = 0;
static TimestampTz names_due = 0;
static TimestampTz store_due = 0;
static bool moved = false;		/* since it was stored */

static TimestampTz pause_until = 0;
static TimestampTz pause_us = 0;

static void
show(OlapState now)
{
	if (now == state)
		return;
	state = now;
	pg_atomic_write_u32(&slot->olap.state, now);
	pg_atomic_write_u64(&slot->olap.since, (uint64) GetCurrentTimestamp());
	if (now == OLAP_AWAY)
		ereport(LOG,
				(errmsg("ClickHouse is not available"),
				 errdetail("ClickHouse: %s.", olap_complaint())));
	else if (now == OLAP_FOLLOWING)
		ereport(LOG, (errmsg("ClickHouse follows")));
}

void
olap_count(int counter, int64 n)
{
	pg_atomic_fetch_add_u64(&slot->olap.counters[counter], n);
}

void
olap_enter(SsSession *session, const char *activity)
{
	worker_begin(activity);
	ss_enter(session, "storesync OLAP worker", false);
	ss_plan_by_index();
	MemoryContextSwitchTo(olap_round);
}

void
olap_leave(SsSession *session, const OlapBatch *batch)
{
	ss_leave(session);
	worker_commit();
	MemoryContextSwitchTo(olap_round);
	/* our own commit is behind all that we have seen */
	if (batch != NULL && batch->version != 0)
		XLogFlush(XactLastCommitEnd);
}

/* ---------------------------------------------------------------- whether to speak at all */

/* has_sql tells whether the SQL objects know of ClickHouse; costs nothing while they do not change. */
static bool
has_sql(void)
{
	static bool looked_at = false;
	static bool has = false;

	if (looked_at && !ss_sql_maybe_changed())
		return has;
	looked_at = true;
	worker_begin("storesync: looking at the release");
	has = ss_sql_has(SS_SQL_1_1);
	worker_commit();
	MemoryContextSwitchTo(olap_round);
	return has;
}

/* may_write asks whether this database may write to ClickHouse: copies may not. */
static bool
may_write(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_null;

	ss_execute(&plan, "SELECT coalesce(storesync.olap_allowed(), false)", SPI_OK_SELECT, 0, NULL, NULL, NULL, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

/* look_around learns where ClickHouse is and whether we may write there; a life of the data that ended is noticed. */
static void
look_around(TimestampTz now)
{
	SsSession	session;
	char	   *secret = NULL;

	olap_enter(&session, "storesync: ClickHouse settings");
	allowed = ss_clickhouse_url[0] != '\0' && may_write();
	if (allowed)
	{
		if (ss_clickhouse_password_file[0] != '\0')
			secret = credential_given(cstring_to_text(psprintf("file:%s", ss_clickhouse_password_file)));
		olap_send_to(ss_clickhouse_url, get_database_name(MyDatabaseId), secret);
		ready = ready && olap_place.incarnation == incarnation_current();
	}
	olap_leave(&session, NULL);
	allowed_due = now + ALLOWED_US;
}

/* ---------------------------------------------------------------- places */

static void
store(TimestampTz now)
{
	SsSession	session;

	olap_enter(&session, "storesync: place of ClickHouse");
	olap_state_store(olap_feed_snapshot());
	olap_leave(&session, NULL);
	moved = false;
	store_due = now + STORE_US;
}

/* prepare reads the place and, where a life of the data begins, agrees with ClickHouse on its number. */
static bool
prepare(TimestampTz now)
{
	SsSession	session;
	bool		known;
	int			incarnation;

	olap_enter(&session, "storesync: place of ClickHouse");
	known = olap_state_load();
	incarnation = incarnation_current();
	if (!known)
	{
		memset(&olap_place, 0, sizeof(olap_place));
		olap_place.cut = -1;
		olap_place.through = olap_horizon();
		olap_place.again_from = DT_NOBEGIN;
	}
	/* a clock that was set back may have gone by for that long before a worker starts again for it: rows bear these times */
	olap_place.through = Min(olap_place.through, now - START_BACK_US);
	olap_leave(&session, NULL);
	if (!known || olap_place.incarnation != incarnation)
	{
		olap_place.incarnation = incarnation;
		if (!olap_settle_begin())
			return false;
		store(now);
	}
	else if (!olap_settle_check())
		return false;
	ready = true;
	looked = false;
	names_due = 0;
	return true;
}

/* ---------------------------------------------------------------- work */

/* send_names writes stores, places and SKUs, so that answers can name them. */
static bool
send_names(TimestampTz now)
{
	OlapBatch	batch;
	SsSession	session;

	olap_enter(&session, "storesync: names for ClickHouse");
	olap_batch_start(&batch);
	olap_read_names(&batch);
	olap_leave(&session, &batch);
	if (!olap_send(&batch))
		return false;
	names_due = now + NAMES_US;
	return true;
}

/* follow writes what has changed. */
static bool
follow(TimestampTz now)
{
	OlapBatch	batch;
	SsSession	session;
	bool		more;
	int64		scan_us;

	look_wanted = false;
	olap_enter(&session, "storesync: what has changed, for ClickHouse");
	olap_batch_start(&batch);
	olap_state_asked();
	more = olap_feed_read(&batch, &scan_us);
	olap_leave(&session, &batch);
	look_due = GetCurrentTimestamp();
	if (!more)
		look_due += Max(LOOK_LEAST_US, LOOK_SHARE * scan_us);
	if (!olap_send(&batch))
	{
		look_wanted = true;
		return false;
	}
	olap_feed_seen();
	moved |= batch.version != 0 || store_due < now - STORE_IDLE_US;
	look_wanted |= more;
	if (!more)
	{
		looked = true;
		idle_due = Max(look_due, GetCurrentTimestamp() + LOOK_IDLE_US);
		pg_atomic_write_u64(&slot->olap.heartbeat, (uint64) now);
	}
	return true;
}

/* fill writes a page of what was there before. */
static bool
fill(TimestampTz now)
{
	OlapBatch	batch;
	SsSession	session;

	olap_enter(&session, "storesync: what was there before, for ClickHouse");
	olap_batch_start(&batch);
	olap_fill_read(&batch);
	olap_leave(&session, &batch);
	if (!olap_send(&batch))
		return false;
	olap_fill_seen();
	moved = true;
	if (olap_place.fill == FILL_NONE)
		store(now);
	page_due = GetCurrentTimestamp() + Max(PAGE_US, GetCurrentTimestamp() - now);
	return true;
}

/* settle goes on with what earlier lives left. */
static bool
settle(TimestampTz now)
{
	bool		done;

	if (!olap_settle_step(&done))
		return false;
	if (done)
		store(now);
	page_due = GetCurrentTimestamp() + Max(PAGE_US, GetCurrentTimestamp() - now);
	return true;
}

/* is_behind tells whether something of the time before is missing. */
static bool
is_behind(void)
{
	return olap_place.fill != FILL_NONE || olap_place.again_from != DT_NOEND || olap_place.cut >= 0;
}

/* catch_up does a step of what is missing of the time before. */
static bool
catch_up(TimestampTz now)
{
	if (olap_place.fill != FILL_NONE)
		return fill(now);
	if (olap_place.again_from == DT_NOEND)
		return settle(now);
	if (!olap_feed_may_fill())
	{
		page_due = now + LOOK_LEAST_US;
		look_wanted = true;
		return true;
	}
	olap_fill_begin(olap_place.again_from);
	olap_place.again_from = DT_NOEND;
	moved = true;
	return true;
}

/* work does what is due, and says when something is due again. False: ClickHouse failed. */
static bool
work(TimestampTz now, TimestampTz *due)
{
	if (!ready && !prepare(now))
		return false;
	if (names_due <= now && !send_names(now))
		return false;
	if (((look_wanted && look_due <= now) || idle_due <= now) && !follow(now))
		return false;
	if (looked && is_behind() && page_due <= now && !catch_up(now))
		return false;
	if (moved && store_due <= now)
		store(now);
	show(!looked || is_behind() ? OLAP_FILLING : OLAP_FOLLOWING);
	*due = Min(Min(names_due, idle_due), moved ? store_due : DT_NOEND);
	if (look_wanted)
		*due = Min(*due, look_due);
	if (looked && is_behind())
		*due = Min(*due, page_due);
	return true;
}

/* round_of_work goes as far as it may, and returns when the next one is due. */
static TimestampTz
round_of_work(TimestampTz now)
{
	TimestampTz due;

	if (!has_sql())
	{
		show(OLAP_OLD_SQL);
		return now + USECS_PER_MINUTE;
	}
	if (allowed_due <= now)
		look_around(now);
	if (!allowed)
	{
		show(OLAP_UNCONFIRMED);
		return allowed_due;
	}
	if (pause_until > now)
		return Min(pause_until, allowed_due);
	/* after a failure it answers something first: it may be another one, and there may be nothing to write */
	if ((pause_us > 0 && ready && !olap_settle_check()) || !work(now, &due))
	{
		show(OLAP_AWAY);
		pause_us = pause_us == 0 ? PAUSE_FIRST_US : Min(2 * pause_us, PAUSE_LAST_US);
		due = pause_until = GetCurrentTimestamp() + pause_us;
	}
	else
		pause_us = 0;
	return Min(due, allowed_due);
}

/* ---------------------------------------------------------------- the process */

static void
set_up(const char *database)
{
	slot = shmem_attach_follower(SS_FOLLOWER_OLAP, database);
	pg_atomic_write_u32(&slot->olap.state, OLAP_NONE);
	pg_atomic_write_u64(&slot->olap.since, (uint64) GetCurrentTimestamp());
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("application_name", "storesync olap", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("jit", "off", PGC_USERSET, PGC_S_SESSION);
	olap_round = AllocSetContextCreate(TopMemoryContext, "storesync OLAP round", ALLOCSET_DEFAULT_SIZES);
	olap_send_init();
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
storesync_olap_main(Datum argument)
{
	const char *database = worker_connect();
	uint32		wait_event = SsWaitEvent("StoresyncOlap");
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
		worker_check_clock("OLAP worker");
		if (worker_interrupts())
			allowed_due = pause_until = 0;
		if (shmem_take_follower_wake(slot, SS_FOLLOWER_OLAP))
		{
			look_wanted = true;
			if (!allowed)
				allowed_due = 0;
		}
		MemoryContextSwitchTo(olap_round);
		due = round_of_work(GetCurrentTimestamp());
		MemoryContextReset(olap_round);
	}
}
