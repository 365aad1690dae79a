# A task for in 40 days, one that waits after a failure and one of a paused store: each
# outlives the days that it was written into, again and again, restarts and crashes,
# and is done once when its time has come.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('main');
my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 3, units => 50), rate => 0);
Storesync->load($node, $sim, rate_limit => '50/s burst 10', shown => 1);

sub sql { return $node->safe_psql('shop', $_[0]); }

sql("UPDATE storesync.store SET poll_interval = '1 hour'");
Storesync->converged($node, $sim);

Storesync->old_days($node);

my ($one, $two) = map { sql("SELECT store_id FROM storesync.store WHERE shop_id = '$_'") } 1001, 1002;

sub push_of
{
	my ($store, $rest) = @_;
	return sql("SELECT storesync.enqueue($store, 'push_stock', jsonb_build_object('listing', listing_id)" . ($rest // '') . ')'
		  . " FROM storesync.listing WHERE store_id = $store AND item_id = '1'");
}

sub until_state
{
	my ($task, $wanted, $name) = @_;
	my $last = '';
	my $ok = Storesync->wait_until(sub { ($last = sql("SELECT state FROM storesync.task_state($task)")) eq $wanted }, "$name: $wanted");
	return is($ok ? $wanted : $last, $wanted, $name);
}

sub dispatching
{
	my ($databases) = @_;
	$node->append_conf('postgresql.conf', "storesync.databases = '$databases'");
	$node->restart;
	return;
}

my $later = push_of($two, ", NULL, now() + interval '40 days'");
sql("SELECT storesync.pause($one); SELECT storesync.receive('S1', 7, storesync.new_key())");
my $paused = push_of($one);
$sim->faults(error_5xx => 1);
my $failed = sql("SELECT storesync.enqueue($two, 'fetch_orders', '{\"order_sn\": [\"NOSUCHORDER1\"]}')");
Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.task_event WHERE task_id = $failed AND state = 'waiting'", 't', 'a try that fails');
$node->append_conf('postgresql.conf', "storesync.databases = ''");
$node->restart;
sql("INSERT INTO storesync.task_event (task_id, state, class, attempts, next_at, detail)"
	  . " VALUES ($failed, 'waiting', 'later', 4, clock_timestamp() + interval '1 day', 'busy')");

my $tasks = "$later, $paused, $failed";
my $states = "SELECT t, s.state, s.attempts, s.last_class, s.next_at FROM unnest(ARRAY[$tasks]) t, storesync.task_state(t) s ORDER BY 1";
my $before = sql($states);
is(sql("SELECT string_agg(s.state, ',') FROM unnest(ARRAY[$tasks]) t, storesync.task_state(t) s"), 'queued,queued,waiting', 'three that wait');

# Two rotations: behind the one a restart, behind the other a crash of everything and of the dispatcher alone.
foreach my $end ('fast', 'immediate')
{
	dispatching('');
	sql("SELECT public.old_day(p, a) FROM unnest('{outbox,task_event}'::text[]) p, generate_series(2, 4) a");
	sql("UPDATE storesync.outbox SET at = at - interval '3 days' WHERE kind = 'task' AND at > now() - interval '1 day'");
	sql("UPDATE storesync.task_event SET at = at - interval '3 days' WHERE task_id IN ($tasks) AND at > now() - interval '1 day'");
	# the dispatcher looks for days that can go once an hour: the roll-ups, which read the outbox too, are past these by then
	sql('CALL storesync.roll_up()');
	is(sql("SELECT count(*) FROM storesync.outbox WHERE kind = 'task' AND subject IN ($tasks) AND at > now() - interval '1 day'"), '0',
		"$end: all of it lies days back");
	dispatching('shop');
	Storesync->query_until($node, "SELECT count(*) FROM storesync.partition_days('outbox') WHERE to_at < now() - interval '1 day'", '0', "$end: the days go");
	is(sql($states), $before, "$end: the tasks stand as before");
	$node->stop($end);
	$node->start;
	Storesync->wait_until(sub { Storesync->dispatcher($node) ne '' }, 'the dispatcher');
	if ($end eq 'immediate')
	{
		Storesync->crash($node, Storesync->dispatcher($node)) or die 'no server';
	}
	is(sql($states), $before, "$end: and after it");
	is(sql("SELECT string_agg(task_id::text, ', ' ORDER BY task_id) FROM (SELECT DISTINCT task_id FROM storesync.task_open WHERE task_id IN ($tasks)) x"),
		join(', ', sort { $a <=> $b } $later, $paused, $failed), "$end: all of them open");
}

# Their time comes.
dispatching('');
$sim->faults();
sql("UPDATE storesync.outbox SET payload = jsonb_set(payload, '{not_before}', to_jsonb(now())) WHERE kind = 'task' AND subject = $later");
sql("INSERT INTO storesync.task_event (task_id, state, class, attempts, next_at, detail) VALUES ($failed, 'waiting', 'later', 4, clock_timestamp(), 'busy')");
sql("SELECT storesync.resume($one)");
dispatching('shop');
until_state($later, 'done', 'the one for later');
until_state($paused, 'done', 'that of the paused store');
until_state($failed, 'done', 'the one that failed');
is($sim->stock(1001, 1), 57, 'the shop shows it');
is(sql("SELECT string_agg(n::text, ',') FROM (SELECT count(*) AS n FROM storesync.task_event"
	  . " WHERE task_id IN ($tasks) AND storesync.task_is_closed(state) GROUP BY task_id) x"), '1,1,1', 'each closed once');
is(sql("SELECT count(*) FROM storesync.task_event WHERE task_id IN ($later, $paused) AND state = 'sent' GROUP BY task_id HAVING count(*) > 1"),
	'', 'and taken up once');
is(sql("SELECT count(*) FROM storesync.task_open"), '0', 'none is left');
Storesync->converged($node, $sim);
Storesync->sound($node);

done_testing();
