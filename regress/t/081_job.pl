# schedule_jobs() with a real pg_cron, in another database than its own: what it schedules, again, after
# changes, from several databases; that jobs run by themselves as a role without much right, and follow the
# clocks of the stores when summer time begins; and what is left when anything goes wrong: nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);

my $dir = PostgreSQL::Test::Utils::tempdir;
my $clock = Storesync->library('clock', "$dir/clock.so", "-DCLOCK_FILE=\"$dir/ahead\"");
plan skip_all => 'no C compiler' unless $clock;

# moment TEXT: seconds since 1970 of a moment in GMT
sub moment
{
	my ($year, $month, $day, $hour, $minute) = split /\D/, $_[0];
	return timegm(0, $minute, $hour, $day, $month - 1, $year);
}

# in_spring DAYS, TIME: the moment so many days after summer time begins in Berlin, on the last Sunday of March of the next year
my $year = 1901 + (gmtime)[5];

sub in_spring
{
	my ($days, $time) = @_;
	my $end = timegm(0, 0, 0, 31, 2, $year);
	my ($day, $month) = (gmtime($end + 86400 * ($days - (gmtime $end)[6])))[ 3, 4 ];
	return sprintf '%d-%02d-%02d %s', $year, $month + 1, $day, $time;
}

# set_clock MOMENT: the server's time of day, seconds since 1970
sub set_clock
{
	my ($moment) = @_;
	my $ahead = int($moment - time);
	append_to_file("$dir/new", $ahead);
	rename "$dir/new", "$dir/ahead" or die "could not set the clock: $!";
	return;
}

my $node = Storesync->cluster(
	'main',
	-start => 0,
	'storesync.databases' => undef,
	'shared_preload_libraries' => 'storesync,pg_cron',
	'cron.database_name' => 'clockwork',
	'cron.use_background_workers' => 'on');
plan skip_all => 'pg_cron is not installed' unless -e $node->config_data('--pkglibdir') . '/pg_cron.so';
{
	local $ENV{LD_PRELOAD} = $clock;
	$node->start;
}
Storesync->create($node);

sub sql { return $node->safe_psql('shop', $_[0]); }
sub cron { return $node->safe_psql('clockwork', $_[0]); }

# fails DATABASE, SQL: SQLSTATE and message of an error
sub fails
{
	my ($database, $sql, %option) = @_;
	my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY verbose\n$sql", on_error_stop => 1, %option);
	return $status != 0 && $err =~ /(?:ERROR|FATAL):\s+(\w{5}: [^\n]*)/ ? $1 : "no error: $out";
}

# jobs: what pg_cron has, a job a line
sub jobs
{
	return cron("SELECT concat_ws('|', jobname, schedule, command, database, username, active) FROM cron.job ORDER BY database, jobname");
}

# ---------------------------------------------------------------- before pg_cron is there

my $schedule = 'SELECT * FROM storesync.schedule_jobs()';
is(fails('shop', $schedule), '3D000: database "clockwork" does not exist', 'cron.database_name names no database');
$node->safe_psql('postgres', 'CREATE DATABASE clockwork');
is(fails('shop', $schedule), '55000: extension "pg_cron" does not exist in database "clockwork"', 'pg_cron was not created');
cron('CREATE SCHEMA cron; CREATE FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) RETURNS bigint'
	  . " LANGUAGE plpgsql AS 'BEGIN CREATE TABLE public.taken(); RETURN 1; END'");
is(fails('shop', $schedule), '55000: extension "pg_cron" does not exist in database "clockwork"', 'a function of that name is not pg_cron');
is(cron("SELECT to_regclass('public.taken') IS NULL"), 't', 'and is not called');
cron('DROP SCHEMA cron CASCADE; CREATE EXTENSION pg_cron');
is(sql("SELECT count(*) FROM storesync.audit WHERE action ~ 'jobs'"), '0', 'nothing was done');

# ---------------------------------------------------------------- scheduled

sql(<<'SQL');
CREATE ROLE night LOGIN;
CREATE ROLE other LOGIN;
SELECT storesync.grant_role('night', 'operator');
SELECT storesync.add_store('shopee', '1', 'Taipei'), storesync.add_store('shopee', '2', 'Berlin');
UPDATE storesync.store SET timezone = 'Europe/Berlin' WHERE name = 'Berlin';
SQL
# it is winter
set_clock(moment(in_spring(-2, '12:00')));
my $winter = join "\n",
  'storesync shop: compensate|0 0,1,2,3,4,18,19,20,21 * * *|CALL storesync.compensate_night()|shop|night|t',
  'storesync shop: maintain|30 19 * * *|CALL storesync.maintain()|shop|night|t',
  'storesync shop: prune|45 19 * * *|SELECT storesync.prune_job_runs()|shop|night|t',
  'storesync shop: schedule|0 17 * * *|SELECT storesync.schedule_jobs()|shop|night|t';
is($node->safe_psql('shop', 'SELECT name, schedule, local_time, command, database, run_as FROM storesync.schedule_jobs()',
		extra_params => [ '-U', 'night' ]),
	join("\n",
		'storesync shop: compensate|0 0,1,2,3,4,18,19,20,21 * * *|02:00 Asia/Taipei, 02:00 Europe/Berlin|CALL storesync.compensate_night()|shop|night',
		'storesync shop: maintain|30 19 * * *|03:30 Asia/Taipei|CALL storesync.maintain()|shop|night',
		'storesync shop: prune|45 19 * * *|03:45 Asia/Taipei|SELECT storesync.prune_job_runs()|shop|night',
		'storesync shop: schedule|0 17 * * *|01:00 Asia/Taipei|SELECT storesync.schedule_jobs()|shop|night'),
	'an operator schedules the jobs');
is(jobs(), $winter, 'which is what pg_cron has');
my $rows = 'SELECT string_agg(concat(jobid, xmin), $$,$$ ORDER BY jobid) FROM cron.job';
my $before = cron($rows);
sql("SELECT storesync.schedule_jobs('night')");
is(cron($rows), $before, 'again: nothing is touched');
is(sql("SELECT login, after->>'role', after->'jobs'->>'storesync shop: maintain' FROM storesync.audit WHERE action = 'schedule jobs'"),
	'night|night|30 19 * * *', 'one audit row');

# what changed, and nothing else; a job that was switched off stays off
cron("SELECT cron.alter_job(jobid, active => false) FROM cron.job WHERE jobname ~ 'prune'");
cron("SELECT cron.schedule_in_database('storesync shop: gone', '* * * * *', 'SELECT 1', 'shop', 'postgres')");
cron("SELECT cron.schedule_in_database('of somebody else', '0 0 1 1 *', 'SELECT 1', 'shop', 'postgres')");
sql("UPDATE storesync.store SET night = '{03:30,06:00}' WHERE name = 'Taipei'; UPDATE storesync.store SET mode = 'off' WHERE name = 'Berlin'");
my $ids = 'SELECT string_agg(jobid::text, $$,$$ ORDER BY jobid) FROM cron.job WHERE username = $$night$$';
$before = cron($ids);
sql("SELECT storesync.schedule_jobs('night')");
is(jobs(), "of somebody else|0 0 1 1 *|SELECT 1|shop|postgres|t\n"
	  . ($winter =~ s/0 0,1,2,3,4,18,19,20,21/30 19,20,21/r =~ s/(prune.*)t$/$1f/mr), 'another night is another schedule');
is(cron($ids), $before, 'of the same jobs');

# as another role, from another database, from pg_cron's own
like(fails('shop', $schedule, extra_params => [ '-U', 'other' ]), qr/^42501: permission denied for/, 'not everybody may');
sql("UPDATE storesync.store SET mode = 'live', timezone = 'Europe/Berlin', night = DEFAULT");
sql($schedule);
my $mine = 'SELECT string_agg(DISTINCT username, $$,$$) FROM cron.job WHERE jobname ~ $$^storesync shop: $$';
is(cron($mine), 'postgres', 'another role takes them over');
sql("SELECT storesync.schedule_jobs('night')");
is(cron($mine), 'night', 'and gives them back');
cron("CREATE EXTENSION storesync; $schedule");
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop');
my $each = 'SELECT database, count(*) FROM cron.job WHERE jobname ~ $$^storesync $$ GROUP BY 1 ORDER BY 1';
is(cron($each), "clockwork|3\nshop|4", 'each database has its own, a copy has none');
$node->safe_psql('copy', $schedule);
is(cron($each), "clockwork|3\ncopy|4\nshop|4", 'until it asks');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO copied');
$node->safe_psql('copied', $schedule);
is(cron($each), "clockwork|3\ncopied|4\nshop|4", 'those of the old name go');
$node->safe_psql('postgres', 'DROP DATABASE copied');
is(cron('SELECT storesync.unschedule_jobs()'), '7', 'and those of a database that was dropped');
is(cron($each), 'shop|4', 'others stay');

# ---------------------------------------------------------------- jobs run, and follow the clocks

# what the nights call, as far as it matters here
sql(<<'SQL');
CREATE TABLE called (at timestamptz, stores int[]);
GRANT INSERT ON called TO night;
CREATE OR REPLACE PROCEDURE storesync.compensate(stores int[] DEFAULT NULL) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO public.called VALUES (clock_timestamp(), stores);
	WITH run AS (
		INSERT INTO storesync.certificate (started_at, ended_at, phase) VALUES (clock_timestamp(), clock_timestamp(), 'done')
		RETURNING certificate_id)
	INSERT INTO storesync.certificate_store (certificate_id, store_id, state, ended_at)
	SELECT r.certificate_id, n.store_id, 'read', clock_timestamp() FROM run r CROSS JOIN storesync.store n;
END
$$;
SQL
# at MOMENT, JOB: the clock comes to that moment, and the job runs; its outcome
sub at
{
	my ($moment, $job) = @_;
	my $ended = "SELECT concat_ws('|', r.status, r.username) FROM cron.job_run_details r"
	  . " WHERE r.command = '$job' AND r.start_time >= '$moment+00' AND r.status IN ('succeeded', 'failed')";
	set_clock(moment($moment) - 1);
	return Storesync->wait_until(sub { cron($ended) }, "$job at $moment") // '';
}

my ($winter_night, $summer_night) = map { in_spring(@$_) =~ s/^\d+-//r } [ -1, '01:00' ], [ 1, '00:00' ];
my $nights = 'CALL storesync.compensate_night()';
my $calls = "SELECT to_char(at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), coalesce(stores::text, 'all') FROM called ORDER BY at";
is(at(in_spring(-1, '01:00'), $nights), 'succeeded|night', 'the job of the nights runs, as that role');
is(sql($calls), "$winter_night|all", 'and compensates in winter at 01:00');
is(at(in_spring(1, '00:00'), $nights), 'succeeded|night', 'it runs at midnight');
is(sql($calls), "$winter_night|all\n$summer_night|all", 'and compensates in summer at 00:00');
# what is scheduled at that time schedules the rest anew
ok(Storesync->wait_until(sub { cron('SELECT schedule FROM cron.job WHERE jobname ~ $$maintain$$') eq '30 1 * * *' }, 'the next schedule'),
	'daily work has followed by itself');
is(at(in_spring(1, '01:00'), $nights), 'succeeded|night', 'it runs at 01:00, too');
is(sql($calls), "$winter_night|all\n$summer_night|all", 'when the night is done already');
is(at(in_spring(1, '01:30'), 'CALL storesync.maintain()'), 'succeeded|night', 'maintain(), which commits in between, runs');

# ---------------------------------------------------------------- notes of runs

cron(<<'SQL');
TRUNCATE cron.job_run_details;
INSERT INTO cron.job_run_details (runid, jobid, database, username, command, status, start_time, end_time) VALUES
	(1, 1, 'shop', 'night', 'CALL storesync.maintain()', 'failed', NULL, NULL),
	(2, 1, 'shop', 'night', 'CALL storesync.maintain()', 'succeeded', now() - interval '31 days', now() - interval '31 days'),
	(3, 1, 'shop', 'night', 'CALL storesync.maintain()', 'failed', NULL, NULL),
	(4, 1, 'shop', 'night', 'CALL storesync.maintain()', 'succeeded', now() - interval '29 days', now() - interval '29 days'),
	(5, 9, 'shop', 'night', 'SELECT 1', 'succeeded', now() - interval '31 days', now() - interval '31 days'),
	(6, 9, 'other', 'night', 'CALL storesync.maintain()', 'succeeded', now() - interval '31 days', now() - interval '31 days'),
	(7, 9, 'clockwork', 'night', 'CALL storesync.maintain()', 'succeeded', now() - interval '31 days', now() - interval '31 days');
SQL
is($node->safe_psql('shop', 'SELECT storesync.prune_job_runs()', extra_params => [ '-U', 'night' ]), '4', 'old notes go');
is(cron('SELECT string_agg(runid::text, $$,$$ ORDER BY runid) FROM cron.job_run_details'), '4,5,7', 'of our jobs alone, or of no database');

# ---------------------------------------------------------------- nothing half done

my $holder = $node->background_psql('clockwork');
$holder->query_safe('BEGIN; LOCK TABLE cron.job IN ACCESS EXCLUSIVE MODE');
is(fails('shop', "SET statement_timeout = '300ms'; SELECT storesync.unschedule_jobs()"),
	'57014: canceling statement due to statement timeout', 'somebody has the jobs locked: it can be cancelled');
ok(Storesync->wait_until(sub { $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync job'") eq '0' },
		'the end of the worker'), 'its worker ends, too');
$holder->query_safe('COMMIT');
$holder->quit;
is(cron($each), 'shop|4', 'and nothing was done');

$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
like(fails('shop', $schedule), qr/^53400: no free worker slot to reach pg_cron/, 'no worker slot');
$node->append_conf('postgresql.conf', "max_worker_processes = 20\nshared_preload_libraries = 'pg_cron'");
$node->restart;
is(sql('SELECT storesync.unschedule_jobs()'), '4', 'without storesync preloaded it works, too');
is(cron($each), '', 'no job is left');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'unschedule jobs'"), '1', 'an audit row');
is(sql('SELECT storesync.unschedule_jobs()'), '0', 'there is nothing to take away twice');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'storesync'");
$node->restart;
is(fails('shop', $schedule), '55000: pg_cron is not in "shared_preload_libraries"', 'pg_cron is not preloaded');

Storesync->sound($node);
done_testing();
