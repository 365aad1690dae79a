/*
 * job.c
 *		schedule_jobs() and its kin: what storesync wants to have run by itself
 *		is given to pg_cron, in whatever database that is.
 *
 * Which jobs there are, and when, is told by job_plan() (sql/83_job.sql);
 * how pg_cron is reached stands in job_worker.c. Commands come from nowhere
 * else: no caller names one.
 */
#include "job.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(schedule_jobs);
PG_FUNCTION_INFO_V1(unschedule_jobs);
PG_FUNCTION_INFO_V1(prune_job_runs);

/* The columns of the answer, and a last one: whether the role may run it. */
#define PLAN_ALLOWED	7
#define PLAN \
	"SELECT p.name, p.schedule, p.local_time, p.command, current_database(), $1, " \
	"  has_schema_privilege($1, 'storesync', 'USAGE') AND has_function_privilege($1, p.routine, 'EXECUTE') " \
	"FROM storesync.job_plan() p ORDER BY p.name"

#define AUDIT \
	"INSERT INTO storesync.audit (action, subject, after) " \
	"SELECT $1, concat('database ', current_database()), CASE WHEN $2 <> '' THEN jsonb_build_object('role', $2, 'jobs', " \
	"  (SELECT jsonb_object_agg(p.name, p.schedule) FROM storesync.job_plan() p)) END"

/* check_role raises unless jobs can be given to a role by who calls. */
static void
check_role(Oid role)
{
	const char *name = GetUserNameFromId(role, false);
	HeapTuple	tuple;
	bool		may_log_in;

	if (!is_member_of_role(GetUserId(), role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be member of role \"%s\"", name)));
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	may_log_in = HeapTupleIsValid(tuple) && ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!may_log_in)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" is not permitted to log in", name),
				 errhint("Jobs run in sessions of their own: name a role that may log in.")));
}

/* copy_field copies a column into a field of the request. */
static void
copy_field(char *field, Size size, HeapTuple row, TupleDesc desc, int column)
{
	char	   *value = SPI_getvalue(row, desc, column);

	if (value == NULL || strlcpy(field, value, size) >= size)
		elog(ERROR, "column %d of a job is missing or too long", column);
}

/* read_plan puts the jobs of this database into a request; the rows are SPI's. */
static void
read_plan(JobRequest *request, const char *role)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {NAMEOID};
	NameData	name = {0};
	Datum		values[] = {NameGetDatum(&name)};

	namestrcpy(&name, role);
	ss_execute(&plan, PLAN, SPI_OK_SELECT, 1, types, values, NULL, 0);
	if (SPI_processed > JOB_MAX)
		elog(ERROR, "too many jobs");
	request->n_jobs = (int) SPI_processed;
	strlcpy(request->database, get_database_name(MyDatabaseId), NAMEDATALEN);
	strlcpy(request->role, role, NAMEDATALEN);
	for (int i = 0; i < request->n_jobs; i++)
	{
		JobLine    *job = &request->jobs[i];
		HeapTuple	row = SPI_tuptable->vals[i];

		copy_field(job->name, sizeof(job->name), row, SPI_tuptable->tupdesc, 1);
		copy_field(job->schedule, sizeof(job->schedule), row, SPI_tuptable->tupdesc, 2);
		copy_field(job->command, sizeof(job->command), row, SPI_tuptable->tupdesc, 4);
	}
}

/* check_rights raises when a job of the plan that SPI holds would be refused night by night. */
static void
check_rights(const JobRequest *request)
{
	for (int i = 0; i < request->n_jobs; i++)
	{
		bool		is_null;

		if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, PLAN_ALLOWED, &is_null)))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" may not run \"%s\"", request->role, request->jobs[i].command),
					 errhint("An operator may: grant_role().")));
	}
}

/* answer_plan adds the jobs that SPI holds to the answer. */
static void
answer_plan(ReturnSetInfo *result)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Datum		values[PLAN_ALLOWED];
		bool		nulls[PLAN_ALLOWED];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* note_change writes the audit row; role: "" when jobs were taken away. */
static void
note_change(const char *action, const char *role)
{
	static SPIPlanPtr plan = NULL;
	const Oid	types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(action), CStringGetTextDatum(role)};

	ss_execute(&plan, AUDIT, SPI_OK_INSERT, 2, types, values, NULL, 0);
}

/*
 * schedule_jobs(role name) returns setof record: this database's jobs in
 * pg_cron become those of job_plan(), run as `role`, NULL for the caller.
 * Calling it again changes what differs and nothing else.
 */
Datum
schedule_jobs(PG_FUNCTION_ARGS)
{
	Oid			role = PG_ARGISNULL(0) ? GetUserId() : get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
	JobRequest *request = palloc0(sizeof(JobRequest));
	SsSession	session;
	JobAnswer	answer;

	InitMaterializedSRF(fcinfo, 0);
	check_role(role);
	ss_enter(&session, "storesync.schedule_jobs()", true);
	read_plan(request, GetUserNameFromId(role, false));
	check_rights(request);
	answer_plan((ReturnSetInfo *) fcinfo->resultinfo);
	request->work = JOB_SCHEDULE;
	answer = job_ask(request);
	if (answer.written + answer.removed > 0)
		note_change("schedule jobs", request->role);
	ss_leave(&session);
	return (Datum) 0;
}

/* unschedule_jobs() returns int: takes this database's jobs from pg_cron, and tells how many there were. */
Datum
unschedule_jobs(PG_FUNCTION_ARGS)
{
	JobRequest *request = palloc0(sizeof(JobRequest));
	SsSession	session;
	JobAnswer	answer;

	ss_enter(&session, "storesync.unschedule_jobs()", true);
	strlcpy(request->database, get_database_name(MyDatabaseId), NAMEDATALEN);
	request->work = JOB_SCHEDULE;
	answer = job_ask(request);
	if (answer.removed > 0)
		note_change("unschedule jobs", "");
	ss_leave(&session);
	PG_RETURN_INT32((int32) answer.removed);
}

/*
 * prune_job_runs() returns bigint: what pg_cron noted of runs of our jobs
 * goes when it is older than storesync.log_retention. Tells how many rows.
 */
Datum
prune_job_runs(PG_FUNCTION_ARGS)
{
	JobRequest *request = palloc0(sizeof(JobRequest));
	SsSession	session;
	JobAnswer	answer;

	ss_enter(&session, "storesync.prune_job_runs()", true);
	read_plan(request, GetUserNameFromId(session.user, false));
	request->work = JOB_PRUNE;
	request->keep_s = ss_log_retention;
	answer = job_ask(request);
	ss_leave(&session);
	PG_RETURN_INT64(answer.removed);
}
