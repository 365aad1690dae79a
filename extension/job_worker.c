/*
 * job_worker.c
 *		The one-shot worker that reads and writes pg_cron's tables in the
 *		database where they are, and the backend's side of asking it.
 *
 * pg_cron lives in one database of the cluster and takes jobs for all of
 * them. A backend of another database cannot reach its tables, hence a
 * worker: it runs one transaction as the bootstrap superuser, and ends.
 * So it must never run a text that a caller chose: the names, schedules and
 * commands it is given are made by job_plan(), and it calls nothing that is
 * not pg_cron's own. It lives in this library and not in the other one, so
 * that it works where storesync is not preloaded.
 */
#include "job.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

/* Somebody may have cron.job locked: longer than this nobody waits for it. */
#define LOCK_TIMEOUT		"10s"

#define HAS_CRON "SELECT count(*) FROM pg_extension WHERE extname = 'pg_cron'"

/* Whether it can give jobs to other databases, by a function that is its own. */
#define KNOWS_DATABASES \
	"SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid " \
	"WHERE e.extname = 'pg_cron' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' " \
	"  AND d.classid = 'pg_proc'::regclass " \
	"  AND d.objid = to_regprocedure('cron.schedule_in_database(text, text, text, text, text, boolean)')"

#define LOCK_JOBS "LOCK TABLE cron.job IN SHARE ROW EXCLUSIVE MODE"

/*
 * $1, $2, $3: names, schedules, commands; $4: database; $5: role. Of ours are
 * those of this database, and those of a database that is gone or has another
 * name now.
 */
#define REMOVE_JOBS \
	"SELECT count(cron.unschedule(j.jobid)) FROM cron.job j " \
	"WHERE starts_with(j.jobname::text, 'storesync ') " \
	"  AND (j.database = $4 OR NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = j.database)) " \
	"  AND NOT EXISTS (SELECT FROM unnest($1) AS w(name) " \
	"    WHERE w.name = j.jobname::text AND j.database = $4 AND j.username = $5)"

/* A job that somebody has switched off stays so. Every argument has its type: no other function of the name fits. */
#define CHANGE_JOBS \
	"SELECT count(cron.alter_job(j.jobid, w.schedule, w.command, NULL::text, NULL::text, NULL::boolean)) " \
	"FROM cron.job j JOIN unnest($1, $2, $3) AS w(name, schedule, command) ON w.name = j.jobname::text " \
	"WHERE j.database = $4 AND j.username = $5 AND (j.schedule <> w.schedule OR j.command <> w.command)"

#define ADD_JOBS \
	"SELECT count(cron.schedule_in_database(w.name, w.schedule, w.command, $4, $5, true)) " \
	"FROM unnest($1, $2, $3) AS w(name, schedule, command) " \
	"WHERE NOT EXISTS (SELECT FROM cron.job j " \
	"  WHERE j.jobname::text = w.name AND j.database = $4 AND j.username = $5)"

/*
 * $1: seconds; $2: commands; $3: database. A run that could not begin has no
 * times: it is as old as those beside it.
 */
#define PRUNE_RUNS \
	"WITH old AS (SELECT clock_timestamp() - make_interval(secs => $1) AS at) " \
	"DELETE FROM cron.job_run_details r USING old " \
	"WHERE (r.database = $3 OR NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = r.database)) " \
	"  AND r.command = ANY ($2) " \
	"  AND CASE WHEN num_nonnulls(r.start_time, r.end_time) > 0 THEN greatest(r.start_time, r.end_time) < old.at " \
	"    ELSE r.runid < (SELECT max(o.runid) FROM cron.job_run_details o WHERE o.start_time < old.at) END"

extern PGDLLEXPORT void storesync_job_main(Datum argument);

/* count_of runs a statement and returns the one number that it answers, or that it changed. */
static int64
count_of(const char *sql, int nargs, Oid *types, Datum *values)
{
	bool		is_null;
	int			code = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);

	if (code == SPI_OK_DELETE)
		return (int64) SPI_processed;
	if (code != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "unexpected result of \"%s\": %s", sql, SPI_result_code_string(code));
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

/* texts makes an array of the texts at one offset of each job. */
static Datum
texts(const JobRequest *request, size_t offset)
{
	Datum		items[JOB_MAX];

	for (int i = 0; i < request->n_jobs; i++)
		items[i] = CStringGetTextDatum((const char *) &request->jobs[i] + offset);
	return PointerGetDatum(construct_array(items, request->n_jobs, TEXTOID, -1, false, TYPALIGN_INT));
}

/* check_cron raises unless this database has a pg_cron that knows other databases. */
static void
check_cron(const JobRequest *request)
{
	if (count_of(HAS_CRON, 0, NULL, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" does not exist in database \"%s\"", "pg_cron", request->cron_database),
				 errhint("Run CREATE EXTENSION pg_cron there, or correct \"cron.database_name\".")));
	if (count_of(KNOWS_DATABASES, 0, NULL, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pg_cron in database \"%s\" cannot run jobs in other databases", request->cron_database),
				 errhint("It can from version 1.4 on: run ALTER EXTENSION pg_cron UPDATE there.")));
}

/* work does what is asked, in the worker's transaction. */
static void
work(JobRequest *request)
{
	Oid			types[] = {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID};
	Oid			prune_types[] = {INT4OID, TEXTARRAYOID, TEXTOID};
	Datum		values[] = {
		texts(request, offsetof(JobLine, name)),
		texts(request, offsetof(JobLine, schedule)),
		texts(request, offsetof(JobLine, command)),
		CStringGetTextDatum(request->database),
		CStringGetTextDatum(request->role)
	};
	Datum		prune_values[] = {Int32GetDatum(request->keep_s), values[2], values[3]};

	check_cron(request);
	if (request->work == JOB_PRUNE)
	{
		request->answer.removed = count_of(PRUNE_RUNS, lengthof(prune_types), prune_types, prune_values);
		return;
	}
	/* two who schedule at once do it one after the other */
	if (SPI_execute(LOCK_JOBS, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not lock \"%s\"", "cron.job");
	request->answer.removed = count_of(REMOVE_JOBS, lengthof(types), types, values);
	request->answer.written = count_of(CHANGE_JOBS, lengthof(types), types, values) +
		count_of(ADD_JOBS, lengthof(types), types, values);
}

/* copy_clipped copies a text that may be missing, cut at a character. */
static void
copy_clipped(char *target, const char *source)
{
	int			length = source == NULL ? 0 : (int) strlen(source);

	length = length < JOB_ERROR_BYTES ? length : pg_mbcliplen(source, length, JOB_ERROR_BYTES - 1);
	if (length > 0)
		memcpy(target, source, length);
	target[length] = '\0';
}

/* note_error puts the error that was caught into the answer; the backend reports it. */
static void
note_error(JobAnswer *answer, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	copy_clipped(answer->message, error->message);
	copy_clipped(answer->detail, error->detail);
	copy_clipped(answer->hint, error->hint);
	answer->encoding = GetDatabaseEncoding();
	answer->sqlstate = error->sqlerrcode;
}

/*
 * storesync_job_main: the worker's life. Its argument is the handle of the
 * segment with the request.
 */
void
storesync_job_main(Datum argument)
{
	MemoryContext context = CurrentMemoryContext;
	dsm_segment *segment;
	JobRequest *request;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(argument));
	if (segment == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not map dynamic shared memory segment")));
	request = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnection(request->cron_database, NULL, 0);
	pgstat_report_appname("storesync job");
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION);
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		pgstat_report_activity(STATE_RUNNING, "jobs in pg_cron");
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "could not connect to SPI");
		work(request);
		SPI_finish();
		PopActiveSnapshot();
		CommitTransactionCommand();
		request->answer.done = true;
	}
	PG_CATCH();
	{
		note_error(&request->answer, context);
		AbortOutOfAnyTransaction();
	}
	PG_END_TRY();
	pgstat_report_stat(true);
	dsm_detach(segment);
	proc_exit(0);
}

/* ---------------------------------------------------------------- the backend's side */

/* cron_is_preloaded: a setting cron.database_name alone proves nothing. */
static bool
cron_is_preloaded(void)
{
	List	   *libraries = NIL;
	ListCell   *cell;

	if (!SplitDirectoriesString(pstrdup(shared_preload_libraries_string), ',', &libraries))
		return false;
	foreach(cell, libraries)
	{
		const char *path = lfirst(cell);
		const char *base = strrchr(path, '/');

		base = base == NULL ? path : base + 1;
		if (strcmp(base, "pg_cron") == 0 || strcmp(base, "pg_cron" DLSUFFIX) == 0)
			return true;
	}
	return false;
}

/* cron_database names the database that pg_cron is in, or raises. */
static const char *
cron_database(void)
{
	const char *name = cron_is_preloaded() ? GetConfigOption("cron.database_name", true, false) : NULL;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pg_cron is not in \"shared_preload_libraries\""),
				 errhint("Everything that it would run can be run by any other scheduler.")));
	if (!OidIsValid(get_database_oid(name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE),
				 errmsg("database \"%s\" does not exist", name),
				 errhint("It is what \"cron.database_name\" names.")));
	return name;
}

/* start_worker registers the worker, which then starts by itself. */
static BackgroundWorkerHandle *
start_worker(dsm_handle segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	strlcpy(worker.bgw_name, "storesync job", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "storesync job", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "storesync", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "storesync_job_main", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(segment);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no free worker slot to reach pg_cron"),
				 errhint("Raise \"max_worker_processes\".")));
	return handle;
}

/* wait_for waits for the worker's end; who is cancelled meanwhile ends it. */
static void
wait_for(BackgroundWorkerHandle *handle)
{
	PG_TRY();
	{
		if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
			ereport(FATAL,
					(errcode(ERRCODE_ADMIN_SHUTDOWN),
					 errmsg("postmaster exited while pg_cron was being reached")));
	}
	PG_CATCH();
	{
		TerminateBackgroundWorker(handle);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* in_our_encoding returns a text of the answer as one of this database. */
static const char *
in_our_encoding(const JobAnswer *answer, const char *string)
{
	return pg_any_to_server(string, (int) strlen(string), answer->encoding);
}

/* raise_answer raises what the worker raised. */
static void
raise_answer(const JobAnswer *answer, const char *database)
{
	if (answer->sqlstate == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the worker that was to reach pg_cron in database \"%s\" ended without an answer", database),
				 errhint("The server log says why.")));
	ereport(ERROR,
			(errcode(answer->sqlstate),
			 errmsg_internal("%s", in_our_encoding(answer, answer->message)),
			 answer->detail[0] == '\0' ? 0 : errdetail_internal("%s", in_our_encoding(answer, answer->detail)),
			 answer->hint[0] == '\0' ? 0 : errhint("%s", in_our_encoding(answer, answer->hint))));
}

JobAnswer
job_ask(const JobRequest *request)
{
	const char *database = cron_database();
	dsm_segment *segment = dsm_create(sizeof(JobRequest), 0);
	JobRequest *shared = dsm_segment_address(segment);
	JobAnswer	answer;

	memcpy(shared, request, sizeof(JobRequest));
	strlcpy(shared->cron_database, database, NAMEDATALEN);
	memset(&shared->answer, 0, sizeof(JobAnswer));
	wait_for(start_worker(dsm_segment_handle(segment)));
	answer = shared->answer;
	dsm_detach(segment);
	if (!answer.done)
		raise_answer(&answer, database);
	return answer;
}
