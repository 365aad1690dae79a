-- Jobs: what is to run by itself, when, and how pg_cron comes to know (docs/job.md).
--
-- pg_cron knows GMT alone, the stores' nights follow their clocks. So the job of the nights is due at every
-- GMT time at which a night begins within a year, and every hour after it while the night lasts, and asks
-- whose night it is: a run that was broken off, or could not begin, has not lost its night. What runs once a
-- day has the GMT time of its next run, and one of these jobs schedules all of them anew.

CREATE FUNCTION storesync.job_list() RETURNS TABLE(job text, routine text, daily_at time)
	LANGUAGE sql IMMUTABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('compensate', 'compensate_night', NULL::time),
		('schedule', 'schedule_jobs', '01:00'),
		('maintain', 'maintain', '03:30'),
		('prune', 'prune_job_runs', '03:45')
$$;
COMMENT ON FUNCTION storesync.job_list() IS
'What schedule_jobs() schedules: the job''s name, the function or procedure of storesync that it calls without arguments, and the time of day of the stores'' clock (of the time zone that most of them have); daily_at NULL: as the night of each store begins, and every hour while it lasts. Example: SELECT * FROM storesync.job_list();';

-- ---------------------------------------------------------------- nights

CREATE FUNCTION storesync.night_due(at timestamptz DEFAULT clock_timestamp()) RETURNS int[]
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_agg(s.store_id ORDER BY s.store_id), '{}')
	FROM storesync.store s CROSS JOIN LATERAL storesync.night_of(s.store_id, $1) n
	WHERE s.mode <> 'off' AND n.starts_at <= $1
		AND NOT EXISTS (SELECT FROM storesync.certificate_store m WHERE m.store_id = s.store_id AND m.ended_at >= n.starts_at)
		-- a run for all takes up the nights that begin while it lasts
		AND NOT EXISTS (SELECT FROM storesync.certificate c
			WHERE c.ended_at IS NULL AND c.scope IS NULL AND storesync.is_calling(c.pid, c.called_at))
$$;
COMMENT ON FUNCTION storesync.night_due(timestamptz) IS
'Stores whose night is on, and with which no run of compensate() has ended in this night; {} for none, and while a run for all stores is under way. Example: SELECT storesync.night_due();';

CREATE PROCEDURE storesync.compensate_night()
	LANGUAGE plpgsql
AS $$
DECLARE
	due pg_catalog.int4[] := storesync.night_due();
	done pg_catalog.int4[];
BEGIN
	-- a night may begin just as a run ends; what is still due after its own run is left to the next time
	WHILE due OPERATOR(pg_catalog.<>) '{}' AND due IS DISTINCT FROM done LOOP
		CALL storesync.compensate(NULL);
		COMMIT;
		done := due;
		due := storesync.night_due();
	END LOOP;
END
$$;
COMMENT ON PROCEDURE storesync.compensate_night() IS
'Calls compensate() when it is the night of a store that was not compensated in it yet, and does nothing otherwise, above all by day. schedule_jobs() has it called at each time at which a night may begin, and every hour while it lasts; whoever has another scheduler calls it every half hour. Errors: those of compensate(); 2D000 inside a transaction block. Example: CALL storesync.compensate_night();';

-- ---------------------------------------------------------------- the plan

CREATE FUNCTION storesync.gmt_minutes(at time, timezone text, since timestamptz) RETURNS int[]
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_agg(DISTINCT (extract(hour FROM x.gmt) * 60 + extract(minute FROM x.gmt))::int)
	FROM generate_series(0, 366) d
	CROSS JOIN LATERAL (
		SELECT ((($3 AT TIME ZONE $2)::date + d) + $1) AT TIME ZONE $2 AT TIME ZONE 'UTC' + '59.999999 s'::interval AS gmt) x
$$;
COMMENT ON FUNCTION storesync.gmt_minutes(time, text, timestamptz) IS
'Minutes of the GMT day at which the clock of a time zone shows a time of day, on any day of the year that begins at a moment: two where summer time is kept. A time within a minute counts as the next minute: nothing may be due too early.';

CREATE FUNCTION storesync.cron_line(minutes int[]) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat((SELECT string_agg(x.m::text, ',' ORDER BY x.m) FROM (SELECT DISTINCT m % 60 AS m FROM unnest($1) m) x), ' ',
		(SELECT string_agg(x.h::text, ',' ORDER BY x.h) FROM (SELECT DISTINCT m / 60 AS h FROM unnest($1) m) x), ' * * *')
$$;
COMMENT ON FUNCTION storesync.cron_line(int[]) IS
'A schedule of cron that is due daily at each of these minutes of the day. Where minutes differ it is due at more than these, since cron combines each minute with each hour.';

CREATE FUNCTION storesync.job_prefix() RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat('storesync ', CASE WHEN octet_length(x.name) <= 40 THEN x.name
		ELSE concat(left(x.name, 6), '~', left(md5(x.name), 12)) END, ': ')
	FROM (SELECT current_database()::text AS name) x
$$;
COMMENT ON FUNCTION storesync.job_prefix() IS
'What the names of this database''s jobs begin with: a name has 63 bytes, so that a long one of the database is cut.';

CREATE FUNCTION storesync.job_plan(since timestamptz DEFAULT clock_timestamp())
	RETURNS TABLE(job text, name text, schedule text, local_time text, command text, routine oid)
	LANGUAGE sql STABLE ROWS 10 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	WITH night AS MATERIALIZED (
		SELECT s.night[1] AS begins, s.timezone, count(*) AS stores, max(ceil(mod(extract(epoch FROM s.night[2] - s.night[1]) + 86399, 86400) / 3600))::int AS hours
		FROM storesync.store s WHERE s.mode <> 'off' GROUP BY 1, 2),
	usual AS (
		SELECT coalesce((SELECT n.timezone FROM night n
			GROUP BY n.timezone ORDER BY sum(n.stores) DESC, n.timezone LIMIT 1), 'UTC') AS timezone),
	due AS (
		SELECT j.job, j.routine,
			(SELECT array_agg((m + 60 * h) % 1440) FROM night n CROSS JOIN LATERAL unnest(storesync.gmt_minutes(n.begins, n.timezone, $1)) m
				CROSS JOIN LATERAL generate_series(0, n.hours - 1) h) AS gmt,
			(SELECT string_agg(x.shown, ', ' ORDER BY x.shown)
				FROM (SELECT concat(to_char(n.begins, 'HH24:MI'), ' ', n.timezone) AS shown FROM night n) x) AS local_time
		FROM storesync.job_list() j
		WHERE j.daily_at IS NULL AND EXISTS (SELECT FROM night)
		UNION ALL
		SELECT j.job, j.routine, ARRAY[(extract(hour FROM x.gmt) * 60 + extract(minute FROM x.gmt))::int],
			concat(to_char(j.daily_at, 'HH24:MI'), ' ', u.timezone)
		FROM storesync.job_list() j
		CROSS JOIN usual u
		CROSS JOIN LATERAL (SELECT min(y.at) AT TIME ZONE 'UTC' AS gmt
			FROM generate_series(-1, 2) d
			CROSS JOIN LATERAL (SELECT ((($1 AT TIME ZONE u.timezone)::date + d) + j.daily_at) AT TIME ZONE u.timezone AS at) y
			WHERE y.at > $1) x
		WHERE j.daily_at IS NOT NULL)
	SELECT d.job, concat(storesync.job_prefix(), d.job), storesync.cron_line(d.gmt), d.local_time,
		format(CASE p.prokind WHEN 'p' THEN 'CALL storesync.%I()' ELSE 'SELECT storesync.%I()' END, p.proname), p.oid
	FROM due d
	JOIN pg_proc p ON p.pronamespace = 'storesync'::regnamespace AND p.proname = d.routine
	ORDER BY d.job
$$;
COMMENT ON FUNCTION storesync.job_plan(timestamptz) IS
'The jobs of this database as they are to be scheduled at a moment: the name that pg_cron knows each by, its schedule in GMT, the time by the stores'' clocks, the command and the routine that it calls. Without a store that is on no night begins, and the job of the nights is not there. Example: SELECT job, schedule, local_time, command FROM storesync.job_plan();';

-- ---------------------------------------------------------------- pg_cron

CREATE FUNCTION storesync.schedule_jobs(role name DEFAULT NULL)
	RETURNS TABLE(name text, schedule text, local_time text, command text, database name, run_as name)
	AS 'MODULE_PATHNAME', 'schedule_jobs' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.schedule_jobs(name) IS
'Has pg_cron run the jobs of job_plan() in this database, as role (NULL: as whoever calls), which must be allowed to log in and to run them: an operator. Works from any database of the cluster: a worker reaches cron.database_name. What is scheduled already as it should be stays as it is; what differs, is not wanted any more, is another role''s or a database''s that is gone is changed or goes. Returns the jobs: name, schedule in GMT, time by the stores'' clocks, command, database, role. What was done stands even if the transaction that called it is rolled back. Errors: 55000 when pg_cron is not preloaded or not created in cron.database_name, 0A000 when it is older than 1.4, 3D000 when that database does not exist, 42704 no such role, 42501 when the caller is no member of it or it may not run a job, 28000 when it may not log in, 53400 when no worker slot is free, 55P03 when somebody has cron.job locked, 08006 when the worker ended early, 25006 on a standby. Example: SELECT * FROM storesync.schedule_jobs(''shop_night'');';

CREATE FUNCTION storesync.unschedule_jobs() RETURNS int
	AS 'MODULE_PATHNAME', 'unschedule_jobs' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.unschedule_jobs() IS
'Takes the jobs of this database from pg_cron, whoever scheduled them, and those of databases that were dropped or renamed; returns how many. To be called before DROP EXTENSION or DROP DATABASE. It stands even if the transaction that called it is rolled back. Errors: as schedule_jobs(). Example: SELECT storesync.unschedule_jobs();';

CREATE FUNCTION storesync.prune_job_runs() RETURNS bigint
	AS 'MODULE_PATHNAME', 'prune_job_runs' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION storesync.prune_job_runs() IS
'Deletes what pg_cron noted of runs of this database''s jobs (cron.job_run_details) longer than storesync.log_retention ago; returns how many rows. Other jobs'' runs stay. Errors: as schedule_jobs(). Example: SELECT storesync.prune_job_runs();';
