/*
 * session.c
 *		How a C function runs SQL: as the owner of schema storesync, with a
 *		pinned search_path and plans kept for the life of the backend; and the
 *		checks of arguments that several functions share.
 */
#include "storesync.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"

/*
 * schema_owner returns the owner of schema storesync; the syscache makes it
 * cheap, and right after ALTER SCHEMA … OWNER.
 */
static Oid
schema_owner(void)
{
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("storesync"));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"storesync\" does not exist")));
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Whether the session's plans are to reach tables by index, and the settings
 * that bring this about are still to be made: by the first statement, since
 * most calls run none. What an error leaves here means nothing: the next
 * ss_enter starts anew.
 */
static bool by_index = false;

/*
 * Whether search_path is pinned, as far as the session at hand has to care:
 * ss_enter_direct alone leaves that to do. Whoever changes this for a while
 * puts back what it was, so that a session goes on as it was when one inside
 * it was ended by an error that was caught.
 */
static bool pinned = true;

static void
pin_path(void)
{
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	pinned = true;
}

void
ss_pin(SsPin *pin)
{
	pin->guc_level = 0;
	if (pinned)
		return;
	pin->by_index = by_index;
	pin->guc_level = NewGUCNestLevel();
	pin_path();
}

void
ss_unpin(const SsPin *pin)
{
	pinned = pin->guc_level == 0;
	if (pinned)
		return;
	AtEOXact_GUC(true, pin->guc_level);
	by_index = pin->by_index;
}

void
ss_enter_direct(SsSession *session, const char *function, bool writes)
{
	if (writes)
	{
		PreventCommandIfReadOnly(function);
		PreventCommandDuringRecovery(function);
		PreventCommandIfParallelMode(function);
	}
	GetUserIdAndSecContext(&session->user, &session->security);
	SetUserIdAndSecContext(schema_owner(),
						   session->security | SECURITY_LOCAL_USERID_CHANGE);
	session->guc_level = 0;
	session->by_index = by_index;
	session->pinned = pinned;
	by_index = false;
	pinned = false;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
ss_enter(SsSession *session, const char *function, bool writes)
{
	ss_enter_direct(session, function, writes);
	session->guc_level = NewGUCNestLevel();
	pin_path();
}

void
ss_leave(SsSession *session)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not disconnect from SPI");
	if (session->guc_level != 0)
		AtEOXact_GUC(true, session->guc_level);
	by_index = session->by_index;
	pinned = session->pinned;
	SetUserIdAndSecContext(session->user, session->security);
}

void
ss_plan_by_index(void)
{
	by_index = true;
}

/* avoid_scans makes the settings that ss_plan_by_index asked for; ss_leave or ss_unpin undoes them. */
static void
avoid_scans(void)
{
	/* jit: a table without a fitting index is read at a cost that would call for it */
	static const char *const avoided[] = {"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"};

	for (int i = 0; i < (int) lengthof(avoided); i++)
		(void) set_config_option(avoided[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	by_index = false;
}

void
ss_keep_plan(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types)
{
	SPIPlanPtr	fresh;

	if (*plan != NULL)
		return;
	fresh = SPI_prepare_cursor(sql, nargs, (Oid *) types, CURSOR_OPT_GENERIC_PLAN);
	if (fresh == NULL || SPI_keepplan(fresh) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	*plan = fresh;
}

/* run prepares a statement once, and executes it; `read_only`: under the caller's snapshot. */
static int
run(SPIPlanPtr *plan, const char *sql, bool read_only, int expect,
	int nargs, const Oid *types, Datum *values, const char *nulls, uint64 limit)
{
	SsPin		pin;
	int			code;

	ss_pin(&pin);
	if (by_index)
		avoid_scans();
	ss_keep_plan(plan, sql, nargs, types);
	code = SPI_execute_plan(*plan, values, nulls, read_only, (long) limit);
	if (code != expect)
		elog(ERROR, "unexpected result of \"%s\": %s", sql, SPI_result_code_string(code));
	ss_unpin(&pin);
	return code;
}

int
ss_execute(SPIPlanPtr *plan, const char *sql, int expect,
		   int nargs, const Oid *types, Datum *values, const char *nulls,
		   uint64 limit)
{
	return run(plan, sql, false, expect, nargs, types, values, nulls, limit);
}

void
ss_look(SPIPlanPtr *plan, const char *sql, int nargs, const Oid *types, Datum *values, const char *nulls, uint64 limit)
{
	(void) run(plan, sql, true, SPI_OK_SELECT, nargs, types, values, nulls, limit);
}

void
ss_check_quantity(int64 qty)
{
	if (qty < 1 || qty > SS_MAX_QTY)
		ereport(ERROR,
				(errcode(SS_ERR_BAD_QUANTITY),
				 errmsg("quantity %lld is out of range", (long long) qty),
				 errdetail("Quantities lie between 1 and %lld.", (long long) SS_MAX_QTY)));
}

void
ss_check_text(const char *what, const text *value)
{
	Size		length = VARSIZE_ANY_EXHDR(value);

	if (length == 0 || length > SS_MAX_TEXT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is empty or too long", what),
				 errdetail("It has %zu bytes; 1 to %d are allowed.", length, SS_MAX_TEXT)));
}

void
ss_check_not_ahead(const char *what, TimestampTz at)
{
	if (at > GetCurrentTimestamp() + USECS_PER_DAY)
		ereport(ERROR,
				(errcode(SS_ERR_TIME_AHEAD),
				 errmsg("%s is more than a day ahead of the clock", what)));
}
