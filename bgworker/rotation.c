/*
 * rotation.c
 *		The dispatcher's part of sql/53_rotation.sql and 56_retire.sql.
 *
 * A partition leaves its parent by DETACH ... CONCURRENTLY, which takes no
 * lock that readers or writers of the parent wait for, and is dropped when it
 * is a table of its own. The statement commits in its middle and is refused
 * inside functions, so it is run as a client's would be. It waits for those
 * who have the parent open; not longer than LOCK_WAIT, since calls and commits
 * want to be served, and what was left half way is finished the next time.
 *
 * Months of orders and of the ledger are made ready to go first, by steps of
 * storesync.retire() small enough to lie between two calls.
 *
 * Whatever fails here is logged, and never ends the dispatcher. A lock that
 * was not got is no failure.
 */
#include "rotation.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "version.h"
#include "worker.h"

#define LOCK_WAIT			"100ms"
#define EVERY_US			USECS_PER_HOUR
#define AGAIN_US			USECS_PER_MINUTE
/* Partitions in one run: a year's backlog takes a few of them. */
#define MAX_PARTITIONS		100
/* A step of retire(): some tens of milliseconds, four times a second. */
#define RETIRE_ORDERS		500
#define RETIRE_ROWS			20000
#define RETIRE_US			(250 * INT64CONST(1000))

/* What has to be done with one partition. */
typedef struct Leaving
{
	const char *parent;			/* NULL: it is detached already */
	const char *partition;
	bool		pending;		/* its detachment was begun and not finished */
} Leaving;

typedef struct Rotation
{
	MemoryContext context;
	int			n;
	Leaving		leaving[MAX_PARTITIONS];
} Rotation;

/* retire_one runs inside a transaction: a step for orders or, when there is none to take, for the ledger. */
static void
retire_one(void *arg)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {INT4OID, INT4OID};
	Datum		values[] = {Int32GetDatum(RETIRE_ORDERS), Int32GetDatum(RETIRE_ROWS)};
	bool	   *is_more = arg;
	bool		isnull;
	SsSession	session;

	if (!ss_sql_has(SS_SQL_1_1))
		return;
	ss_enter(&session, "storesync dispatcher", true);
	ss_execute(&plan,
			   "SELECT CASE WHEN storesync.retire('sales_order_line', $1) THEN true ELSE storesync.retire('ledger', $2) END",
			   SPI_OK_SELECT, 2, types, values, NULL, 1);
	*is_more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	ss_leave(&session);
}

/* make_plan runs inside a transaction: what can go, its open tasks carried forward with the commit. */
static void
make_plan(void *arg)
{
	static SPIPlanPtr carry_plan = NULL;
	static SPIPlanPtr list_plan = NULL;
	Rotation   *plan = arg;
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	ss_execute(&carry_plan,
			   "SELECT storesync.carry_tasks(max(r.to_at)) FROM storesync.rotation() r "
			   "WHERE r.waits_for IS NULL AND r.parent = 'outbox' HAVING count(*) > 0",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, 0);
	ss_execute(&list_plan,
			   "(SELECT p.relname::text, c.relname::text, true FROM pg_inherits i "
			   "JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent "
			   "WHERE i.inhdetachpending AND p.relnamespace = 'storesync'::regnamespace "
			   "AND p.relname IN (SELECT t.parent FROM storesync.partitioned t WHERE t.retention IS NOT NULL)) "
			   "UNION ALL (SELECT NULL, d.partition::text, false FROM storesync.left_detached() d) "
			   "UNION ALL (SELECT r.parent::text, r.partition::text, false FROM storesync.rotation() r "
			   "WHERE r.waits_for IS NULL ORDER BY r.to_at)",
			   SPI_OK_SELECT, 0, NULL, NULL, NULL, MAX_PARTITIONS);
	plan->n = (int) SPI_processed;
	for (int i = 0; i < plan->n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *parent = SPI_getvalue(row, desc, 1);
		bool		isnull;

		plan->leaving[i].parent = parent ? MemoryContextStrdup(plan->context, parent) : NULL;
		plan->leaving[i].partition = MemoryContextStrdup(plan->context, SPI_getvalue(row, desc, 2));
		plan->leaving[i].pending = DatumGetBool(SPI_getbinval(row, desc, 3, &isnull));
	}
	ss_leave(&session);
}

/* drop_one runs inside a transaction. */
static void
drop_one(void *arg)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {NAMEOID};
	Datum		values[] = {DirectFunctionCall1(namein, CStringGetDatum((char *) arg))};
	SsSession	session;

	ss_enter(&session, "storesync dispatcher", true);
	ss_execute(&plan, "SELECT storesync.drop_detached($1)", SPI_OK_SELECT, 1, types, values, NULL, 1);
	ss_leave(&session);
}

/*
 * run_top_level runs a utility statement as if a client had sent it: it may
 * commit in its middle. So its trees live in the caller's memory, which no
 * commit frees.
 */
static void
run_top_level(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext transaction;
	List	   *parsed;
	List	   *planned;
	RawStmt    *statement;
	Portal		portal;

	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, "storesync: detaching a partition");
	StartTransactionCommand();
	transaction = MemoryContextSwitchTo(context);
	parsed = pg_parse_query(sql);
	statement = linitial_node(RawStmt, parsed);
	planned = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(statement, sql, NULL, 0, NULL), sql, 0, NULL);
	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, sql, CreateCommandTag(statement->stmt), planned, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	MemoryContextSwitchTo(transaction);
	(void) PortalRun(portal, FETCH_ALL, true, true, None_Receiver, None_Receiver, NULL);
	PortalDrop(portal, false);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* attempt runs something that may meet a lock. False: it did, or failed in another way, which is logged. */
static bool
attempt(void (*run) (const void *arg), const void *arg, MemoryContext context)
{
	volatile bool done = false;

	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run(arg);
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			EmitErrorReport();
		AbortOutOfAnyTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RESUME_INTERRUPTS();
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return done;
}

static void
detach(const void *arg)
{
	const Leaving *leaving = arg;

	run_top_level(psprintf("ALTER TABLE storesync.%s DETACH PARTITION storesync.%s %s",
						   quote_identifier(leaving->parent), quote_identifier(leaving->partition),
						   leaving->pending ? "FINALIZE" : "CONCURRENTLY"));
}

static void
drop(const void *arg)
{
	worker_begin("storesync: dropping a partition");
	drop_one(unconstify(char *, (const char *) arg));
	worker_commit();
}

static void
retire(const void *arg)
{
	worker_begin("storesync: old orders and balances");
	retire_one(unconstify(void *, arg));
	worker_commit();
}

static void
set_lock_timeout(const char *value)
{
	SetConfigOption("lock_timeout", value, PGC_USERSET, PGC_S_SESSION);
}

TimestampTz
rotation_run(TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "storesync rotation", ALLOCSET_DEFAULT_SIZES);
	Rotation   *plan = MemoryContextAllocZero(context, sizeof(Rotation));
	bool		is_more = false;
	bool		done;

	plan->context = context;
	set_lock_timeout(LOCK_WAIT);
	done = attempt(retire, &is_more, context);
	if (!is_more)
		done &= worker_try("storesync: looking for partitions to drop", make_plan, plan);
	for (int i = 0; i < plan->n && done; i++)
	{
		const Leaving *leaving = &plan->leaving[i];

		done = (leaving->parent == NULL || attempt(detach, leaving, context)) &&
			attempt(drop, leaving->partition, context);
	}
	set_lock_timeout("0");
	done &= plan->n < MAX_PARTITIONS;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return now + (is_more ? RETIRE_US : done ? EVERY_US : AGAIN_US);
}
