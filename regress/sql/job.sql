-- Jobs: the arithmetic of nights and schedules, and what is said without pg_cron (with it: t/081_job.pl).
\set VERBOSITY terse
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- The GMT times of 02:00: one where there is no summer time, two where there is; half hours, half an hour of
-- summer time, the other half of the world.
SELECT timezone, storesync.cron_line(storesync.gmt_minutes('02:00', timezone, '2026-01-15')) AS winter,
	storesync.cron_line(storesync.gmt_minutes('02:00', timezone, '2026-07-15')) AS summer
FROM unnest('{Asia/Taipei,Europe/Berlin,Europe/London,Asia/Kolkata,America/St_Johns,Australia/Lord_Howe,Pacific/Kiritimati,UTC}'::text[]) AS timezone;
-- not before a night begins
SELECT storesync.cron_line(storesync.gmt_minutes(at, 'Asia/Taipei', '2026-01-15')) AS taipei
FROM unnest('{02:00,02:00:00.000001,02:00:59,07:59:30,24:00}'::time[]) AS at;
SELECT storesync.cron_line('{1080}'), storesync.cron_line('{0,60,1230,0}'), storesync.cron_line('{}'), storesync.cron_line(NULL);

-- Without a store there is no night; daily work goes by GMT.
SELECT job, schedule, local_time, command FROM storesync.job_plan('2026-05-01');
-- One store, then more: what most of them have is the clock of daily work. Those that are off do not count.
SELECT storesync.add_store('shopee', '1', 'Taipei 1') AS first, storesync.add_store('shopee', '2', 'Taipei 2') AS second,
	storesync.add_store('shopee', '3', 'Berlin') AS third, storesync.add_store('shopee', '4', 'Kolkata') AS fourth \gset
UPDATE storesync.store SET timezone = 'Europe/Berlin' WHERE store_id = :third;
UPDATE storesync.store SET timezone = 'Asia/Kolkata', mode = 'off' WHERE store_id = :fourth;
SELECT job, schedule, local_time, command FROM storesync.job_plan('2026-05-01');
UPDATE storesync.store SET mode = 'live' WHERE store_id = :fourth;
SELECT job, schedule, local_time FROM storesync.job_plan('2026-05-01') WHERE job = 'compensate';
-- another night
UPDATE storesync.store SET night = '{23:45,05:00}' WHERE store_id = :third;
SELECT job, schedule, local_time FROM storesync.job_plan('2026-05-01') WHERE job = 'compensate';
UPDATE storesync.store SET night = DEFAULT, timezone = 'Europe/Berlin';
-- Daily work has the GMT time of its next run: here around both changes of the clock.
SELECT at, string_agg(concat(job, ' ', schedule), ', ' ORDER BY job) AS plan
FROM unnest('{2026-03-28 12:00,2026-03-29 00:00,2026-03-29 01:00,2026-03-29 01:35,2026-10-24 12:00,2026-10-25 12:00}'::timestamptz[]) AS at
CROSS JOIN LATERAL storesync.job_plan(at) GROUP BY at ORDER BY at;

-- Of the times at which the job of the nights is called, it finds each store's night at its beginning, and nothing to
-- do by day: around each change of the clocks, and between.
UPDATE storesync.store s SET timezone = x.timezone, name = x.timezone
FROM (VALUES (:first, 'Asia/Taipei'), (:second, 'Europe/London'), (:third, 'Europe/Berlin'), (:fourth, 'Asia/Kolkata')) AS x(store_id, timezone)
WHERE s.store_id = x.store_id;
SELECT schedule, local_time FROM storesync.job_plan('2026-01-01') WHERE job = 'compensate';
CREATE VIEW day AS
SELECT d::date + n AS day FROM unnest('{2026-01-14,2026-03-28,2026-07-14,2026-10-24}'::date[]) AS d, generate_series(0, 2) n;
CREATE TABLE firing AS
SELECT x.at, storesync.night_due(x.at) AS due
FROM storesync.job_plan('2026-01-01') p
CROSS JOIN LATERAL regexp_match(p.schedule, '^([\d,]+) ([\d,]+) \* \* \*$') AS line
CROSS JOIN day
CROSS JOIN unnest(string_to_array(line[1], ',')::int[]) AS minute
CROSS JOIN unnest(string_to_array(line[2], ',')::int[]) AS hour
CROSS JOIN LATERAL (SELECT (day + make_interval(hours => hour, mins => minute)) AT TIME ZONE 'UTC' AS at) x
WHERE p.job = 'compensate';
-- the first firing that finds each night, by the day on which it begins
SELECT f.starts_at::date AS day, string_agg(concat(to_char(f.at, 'HH24:MI '), s.name, CASE WHEN f.at <> f.starts_at THEN ' late' END), ', '
	ORDER BY f.at, s.name) AS begins
FROM (SELECT DISTINCT ON (u.store_id, n.starts_at) u.store_id, n.starts_at, f.at
	FROM firing f CROSS JOIN unnest(f.due) AS u(store_id) CROSS JOIN LATERAL storesync.night_of(u.store_id, f.at) n
	WHERE n.starts_at::date IN (SELECT day FROM day)
	ORDER BY u.store_id, n.starts_at, f.at) f
JOIN storesync.store s USING (store_id)
GROUP BY 1 ORDER BY 1;
SELECT count(*) AS by_day FROM firing f CROSS JOIN unnest(f.due) AS store_id
JOIN storesync.store USING (store_id) WHERE (f.at AT TIME ZONE timezone)::time NOT BETWEEN '02:00' AND '05:59:59';
DROP TABLE firing;
DROP VIEW day;

-- A store with which a run has ended in this night is not due again, left out or not; one whose night has begun since is.
SELECT storesync.night_due('2026-05-01 00:30'), storesync.night_due('2026-05-01 01:00'), storesync.night_due('2026-05-01 12:00');
INSERT INTO storesync.certificate (started_at, ended_at, phase) VALUES ('2026-04-30 23:00', '2026-05-01 00:20', 'done')
RETURNING certificate_id AS run \gset
INSERT INTO storesync.certificate_store (certificate_id, store_id, state, ended_at) VALUES
	(:run, :second, 'left out', '2026-05-01 00:20'), (:run, :third, 'read', '2026-05-01 00:20');
SELECT storesync.night_due('2026-05-01 00:30'), storesync.night_due('2026-05-01 01:00'), storesync.night_due('2026-05-02 00:30');
-- While a run for all stores is under way it takes them up itself; one for some stores does not, nor one that was broken off.
INSERT INTO storesync.certificate (started_at, pid, called_at, scope)
SELECT clock_timestamp(), a.pid, a.backend_start, NULL
FROM pg_stat_activity a WHERE a.backend_type = 'walwriter';
SELECT storesync.night_due('2026-05-02 00:30');
UPDATE storesync.certificate SET scope = '{1}' WHERE ended_at IS NULL;
SELECT storesync.night_due('2026-05-02 00:30');
UPDATE storesync.certificate SET scope = NULL, pid = 2147483647 WHERE ended_at IS NULL;
SELECT storesync.night_due('2026-05-02 00:30');
DELETE FROM storesync.certificate WHERE ended_at IS NULL;
UPDATE storesync.store SET mode = 'off';
-- with nothing due there is nothing to do, by day
CALL storesync.compensate_night();
UPDATE storesync.store SET mode = 'shadow';

-- Names of databases are longer than there is room for in the name of a job.
SELECT current_database() AS here, storesync.job_prefix() \gset
\echo :job_prefix
SELECT repeat('商店', 10) AS long \gset
\set quoted '"' :long '"'
CREATE DATABASE :quoted;
\c :quoted
SET client_min_messages = warning;
CREATE EXTENSION storesync;
SELECT storesync.job_prefix(), octet_length(concat(storesync.job_prefix(), 'compensate')) < 63 AS fits;
\c :here
DROP DATABASE :quoted;

-- Without pg_cron all of them say so, and whoever may not is told that first.
SELECT storesync.schedule_jobs();
SELECT storesync.unschedule_jobs();
SELECT storesync.prune_job_runs();
-- a setting is no library
SET cron.database_name = 'postgres';
SELECT storesync.schedule_jobs();
RESET cron.database_name;
BEGIN READ ONLY;
SELECT storesync.schedule_jobs();
ROLLBACK;
CREATE ROLE regress_night LOGIN;
CREATE ROLE regress_group;
CREATE ROLE regress_operator LOGIN;
SELECT storesync.grant_role('regress_operator', 'operator');
SELECT storesync.schedule_jobs('regress_nobody');
SELECT storesync.schedule_jobs('regress_group');
SELECT storesync.schedule_jobs('regress_night');
SELECT storesync.schedule_jobs('regress_operator');
SET ROLE regress_operator;
SELECT storesync.schedule_jobs('regress_night');
SELECT storesync.schedule_jobs(current_user);
SELECT storesync.unschedule_jobs();
SELECT job, schedule FROM storesync.job_plan('2026-05-01') ORDER BY job;
SET ROLE regress_night;
SELECT storesync.schedule_jobs();
RESET ROLE;
SELECT count(*) FROM storesync.audit WHERE action ~ 'jobs';

-- as found
DROP OWNED BY regress_operator;
DROP ROLE regress_night, regress_group, regress_operator;
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS storesync CASCADE;
CREATE EXTENSION storesync;
RESET client_min_messages;
