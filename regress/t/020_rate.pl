# Budgets of calls between processes: many sessions at once, restarts, settings
# read again, a standby, no room, no preloading.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;
use Time::HiRes qw(time);

my $node = Storesync->cluster('main', -streaming => 1,
	'storesync.databases' => '', 'storesync.max_stores' => 6, 'storesync.max_databases' => 1);

sub add_store
{
	my ($limit, $database) = @_;
	return $node->safe_psql($database // 'shop',
		"SELECT storesync.add_store('shopee', (SELECT count(*) + 1 FROM storesync.store)::text, 'x', '$limit')");
}

# take STORE: the seconds to wait, or the error as "SQLSTATE message"
sub take
{
	my ($store, $where, $database) = @_;
	my ($status, $out, $error) = ($where // $node)->psql($database // 'shop',
		"\\set VERBOSITY verbose\nSELECT extract(epoch FROM storesync.rate_take($store))");
	return $error =~ /ERROR:  (\S+: [^\n]*)/ ? $1 : $out;
}

# A session that asks without a pause for some seconds, and says how often it was granted.
my $greedy = <<'END';
DO $$
DECLARE
	until timestamptz := clock_timestamp() + 'SECONDS';
	granted bigint := 0;
BEGIN
	WHILE clock_timestamp() < until LOOP
		FOR i IN 1..100 LOOP
			IF storesync.rate_take(STORE) = '0' THEN
				granted := granted + 1;
			END IF;
		END LOOP;
	END LOOP;
	INSERT INTO granted VALUES (granted);
END $$;
END

# greed SESSIONS, SECONDS, STORES...: the sum of what they were granted
sub greed
{
	my ($sessions, $seconds, @stores) = @_;
	my @running;

	$node->safe_psql('shop', 'CREATE TABLE IF NOT EXISTS granted (n bigint); TRUNCATE granted');
	for my $i (1 .. $sessions)
	{
		my $store = $stores[ $i % @stores ];
		my $sql = $greedy =~ s/SECONDS/$seconds s/r =~ s/STORE/$store/r;
		push @running,
		  IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('shop'), '-c', $sql ],
			'<', \undef, '>', \my $out, '2>&1');
	}
	$_->finish foreach @running;
	return $node->safe_psql('shop', 'SELECT coalesce(sum(n), 0) FROM granted');
}

# ---------------------------------------------------------------- many sessions

my ($first, $second) = (add_store('2000/s burst 50, 120000/min burst 50'), add_store('2000/s burst 50'));
my $start = time;
my $granted = greed(4, 1.5, $first);
my $elapsed = time - $start;
cmp_ok($granted, '<=', 50 + 2000 * $elapsed, 'four sessions together keep to the store\'s limit');
cmp_ok($granted, '>=', 1000, 'and use it up');

$node->safe_psql('shop', "UPDATE storesync.platform SET rate_limit = '1000/s burst 20'");
$start = time;
$granted = greed(4, 1.5, $first, $second);
$elapsed = time - $start;
cmp_ok($granted, '<=', 20 + 1000 * $elapsed, 'two stores together keep to their application\'s limit');
cmp_ok($granted, '>=', 500, 'and use it up');
$node->safe_psql('shop', 'UPDATE storesync.platform SET rate_limit = NULL');

# ---------------------------------------------------------------- restarts

my $slow = add_store('10/s burst 40');
$start = time;
$granted = 0;
foreach my $mode (qw(immediate fast kill immediate))
{
	# so long that a bucket filled anew by the restart would show
	$granted += greed(1, 0.3, $slow);
	if ($mode eq 'kill')
	{
		my $session = $node->background_psql('shop', on_error_stop => 0);
		my $pid = $session->query_safe('SELECT pg_backend_pid()');
		Storesync->crash($node, $pid) or die 'no recovery';
		$session->{run}->finish;
	}
	else
	{
		$node->restart($mode);
	}
}
$granted += greed(1, 0.3, $slow);
$elapsed = time - $start;
cmp_ok($granted, '<=', 10 * $elapsed, 'no restart brings a burst: each starts from an empty bucket');
my $daily = add_store('1/day burst 3');
cmp_ok(take($daily), '>', 86000, 'a daily limit starts empty');
$node->restart;
cmp_ok(take($daily), '>', 86000, 'and does again');

# ---------------------------------------------------------------- the guarantee, with everything at once

# Sessions that ask at random, one or several calls at once, and write down what they were granted
# and between which two moments; now and then one has been throttled, or its calls went well.
$node->safe_psql('shop', <<'END');
CREATE TABLE grants (since timestamptz, until timestamptz);
CREATE PROCEDURE ask(store int, seconds float8) LANGUAGE plpgsql AS $$
DECLARE
	stop timestamptz := clock_timestamp() + make_interval(secs => seconds);
	since timestamptz;
	wait interval;
	cost int;
BEGIN
	WHILE clock_timestamp() < stop LOOP
		cost := CASE WHEN random() < 0.8 THEN 1 ELSE 1 + floor(random() * 4) END;
		since := clock_timestamp();
		wait := storesync.rate_take(store, cost);
		IF wait = '0' THEN
			INSERT INTO grants SELECT since, clock_timestamp() FROM generate_series(1, cost);
			COMMIT;
		ELSIF random() < 0.3 THEN
			PERFORM pg_sleep(least(extract(epoch FROM wait), 0.3) * 2 * random());
		END IF;
		IF wait = '0' AND random() < 0.01 THEN
			PERFORM storesync.rate_hold(store, '20 ms');
		ELSIF wait = '0' THEN
			PERFORM storesync.rate_succeeded(store, 3);
		END IF;
	END LOOP;
END $$;
END

# broken CALLS, BURST, PERIOD: how often more than CALLS + BURST - 1 grants surely lie in one window
sub broken
{
	my ($calls, $burst, $period) = @_;
	my $more = $calls + $burst - 1;
	return $node->safe_psql('shop', "SELECT count(*) FROM (SELECT since, max(until) OVER w AS until, count(*) OVER w AS n"
		. " FROM grants WINDOW w AS (ORDER BY since ROWS BETWEEN CURRENT ROW AND $more FOLLOWING)) x"
		. " WHERE n > $more AND until - since < '$period'");
}

my $random = add_store('60/s burst 8, 1/ms burst 4, 3000/min burst 60');
foreach my $mode (qw(immediate fast immediate none))
{
	# before they begin: they ask for 2.5 s only
	my $granted = $node->safe_psql('shop', 'SELECT count(*) FROM grants');
	my @running = map {
		IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('shop'), '-c', "CALL ask($random, 2.5)" ],
			'<', \undef, '>', \my $out, '2>&1')
	} 1 .. 3;

	Storesync->wait_until(sub { $node->safe_psql('shop', 'SELECT count(*) FROM grants') >= $granted + 20 }, 'twenty grants');
	$node->restart($mode) if $mode ne 'none';
	$_->finish foreach @running;
}
cmp_ok($node->safe_psql('shop', 'SELECT count(*) FROM grants'), '>=', 100, 'random sessions were granted calls over three restarts');
is(broken(60, 8, '1 s'), 0, 'no window of a second sees more than its limit');
is(broken(1, 4, '1 ms'), 0, 'nor one of a millisecond');
is(broken(3000, 60, '1 min'), 0, 'nor one of a minute');
cmp_ok(broken(20, 1, '1 s'), '>', 0, 'a limit that was not kept would have been noticed');

# ---------------------------------------------------------------- the limit of the database

my $session = $node->background_psql('shop');
my $ask = "SELECT extract(epoch FROM storesync.rate_take($first)) > 3600";
Storesync->wait_until(sub { $session->query_safe("SELECT storesync.rate_take($first) = '0'") eq 't' }, 'a first grant');
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = '2/day'");
$node->reload;
ok(Storesync->wait_until(sub { $session->query_safe($ask) eq 't' }, 'the new setting in an old session'),
	'storesync.total_rate_limit holds an old session');
cmp_ok(take($second), '>', 3600, 'and a new one');
is($node->safe_psql('shop', q(SELECT scope, calls, per, burst FROM storesync.rate_status WHERE scope = 'database')),
	'database|2|24:00:00|1', 'it is to be seen');
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = '2/fortnight'");
my $log = -s $node->logfile;
$node->reload;
ok(Storesync->wait_until(sub { slurp_file($node->logfile, $log) =~ /total_rate_limit.*2\/fortnight/ }, 'a complaint'),
	'a malformed setting is refused in the log');
cmp_ok(take($second), '>', 3600, 'and the old one stays');
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = ''");
$node->reload;
ok(Storesync->wait_until(sub { $session->query_safe($ask) eq 'f' }, 'the end of the limit'), 'empty means none');
$session->quit;

# ---------------------------------------------------------------- room

add_store('5/s') for 1 .. 2;
my $last = add_store('5/s');
take($_) foreach 1 .. 6;
like(take($last), qr/^SS402/, 'more stores than storesync.max_stores are refused');
cmp_ok(take($daily), '>', 3600, 'the others go on');
Storesync->create($node, 'other');
$node->stop;
$node->start;
add_store('5/s', 'other') for 1 .. 6;
take($_, $node, 'other') foreach 1 .. 6;
like(take($first), qr/^SS402/, 'databases share the room');
$node->safe_psql('postgres', 'DROP DATABASE other');
unlike(take($first), qr/SS402/, 'a dropped database gives its room back');

# ---------------------------------------------------------------- a standby

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
like(take($first, $standby), qr/^25006/, 'a standby grants nothing');
like($standby->safe_psql('shop', 'SELECT count(*) FROM storesync.rate_status'), qr/^0$/, 'and has nothing to show');
$standby->promote;
like(take($daily, $standby), qr/^8\d{4}\./, 'promoted it grants, from an empty bucket');
$standby->stop;

# ---------------------------------------------------------------- not preloaded

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
like(take($first), qr/^SS401: call limits need storesync/, 'without preloading the limiter says so');
my ($status, $out, $error) = $node->psql('shop', 'SELECT * FROM storesync.rate_status');
like($error, qr/call limits need storesync/, 'and so does the view');
$node->safe_psql('shop', "UPDATE storesync.store SET rate_limit = '6/s'");
pass('limits can be changed all the same');

done_testing();
