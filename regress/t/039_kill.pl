# Killed at each step of a call: while the call is built, while the platform
# works on it (before and after it did), while its answer is recorded. And a
# backend killed beside it, and the postmaster. Each time nothing is lost, and no shop shows more
# than there is once all is quiet.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;

my ($shops, $skus, $units, $rate) = (2, 4, 200, 30);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main', 'storesync.request_timeout' => '30s');
Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my $url = $proxy->url;
$node->safe_psql('shop', "UPDATE storesync.platform SET base_url = '$url'");
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '300 milliseconds'");
Storesync->converged($node, $sim, 'all is shown at first');

# answer of a query, undef while the server is on its way back
sub ask
{
	my ($sql) = @_;
	my ($status, $out) = $node->psql('shop', $sql);
	return $status == 0 ? $out : undef;
}

sub change { my ($n) = @_; return $node->safe_psql('shop', "SELECT storesync.reserve('S1', $n, storesync.new_key())"); }

my $orders = 0;
sub killed
{
	my ($what, $pid) = @_;
	kill 'KILL', $pid;
	$proxy->spoil;
	$sim->faults;
	Storesync->wait_until(
		sub {
			my $next = ask("SELECT pid FROM storesync.stat_dispatcher WHERE database = 'shop' AND state = 'running'");
			return defined $next && $next ne '' && $next ne $pid;
		},
		'another dispatcher');
	$sim->order(1001 + $orders % $shops, [ 2, 0, 1 ]);
	$orders++;
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, 'the order');
	return Storesync->converged($node, $sim, "killed $what: every shop shows what the database wants");
}

# While it builds the call: it waits for the row in which it notes what it is about to send.
# While it records the answer: it waits for the same row, the call is over.
foreach my $step ('while the call is built', 'while the answer is recorded')
{
	my $holder = $node->background_psql('shop');
	my $pid = Storesync->wait_until(sub { Storesync->dispatcher($node) }, 'a dispatcher');
	if ($step =~ /built/)
	{
		$holder->query_safe('BEGIN');
		$holder->query_safe('SELECT count(*) FROM (SELECT FROM storesync.listing_shown FOR UPDATE) x');
		change(3);
	}
	else
	{
		$proxy->spoil('late', path => 'update_stock');
		change(3);
		Storesync->wait_until(sub { $sim->stock(1001, 1) == $units - 6 && $sim->stock(1002, 1) == $units - 6 }, 'the calls');
		$holder->query_safe('BEGIN');
		$holder->query_safe('SELECT count(*) FROM (SELECT FROM storesync.listing_shown FOR UPDATE) x');
		$proxy->spoil;
	}
	Storesync->query_until($node,
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'it waits');
	killed($step, $pid);
	eval { $holder->quit };
}

foreach my $step ([ 'silent', 'before the platform did it' ], [ 'silent_after', 'after the platform did it' ])
{
	$proxy->spoil($step->[0], path => 'update_stock');
	change(2);
	Storesync->wait_until(sub { $proxy->spoilt >= $shops }, 'calls under way');
	killed($step->[1], Storesync->dispatcher($node));
}

# A backend that has just written.
my $writer = $node->background_psql('shop');
my $backend = $writer->query_safe('SELECT pg_backend_pid()');
$writer->query_safe('BEGIN');
$writer->query_safe("SELECT storesync.reserve('S3', 5, storesync.new_key())");
my $before = Storesync->dispatcher($node);
kill 'KILL', $backend;
Storesync->wait_until(sub { my $now = ask("SELECT pid FROM storesync.stat_dispatcher WHERE state = 'running'");
		return defined $now && $now ne '' && $now ne $before; }, 'the dispatcher after the restart');
is(ask("SELECT storesync.available('S3')"), $units, 'what a killed backend had not committed is not there');
eval { $writer->quit };
Storesync->converged($node, $sim, 'a backend killed: every shop shows what the database wants');

# The postmaster, with calls under way that the platform has done.
$proxy->spoil('silent_after', path => 'update_stock');
change(2);
Storesync->wait_until(sub { $proxy->spoilt >= $shops }, 'calls under way');
ok(Storesync->kill_postmaster($node), 'the postmaster is killed, and started again');
$proxy->spoil;
$sim->order(1001, [ 2, 0, 1 ]);
$orders++;
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, 'the order');
Storesync->converged($node, $sim, 'the postmaster killed: every shop shows what the database wants');

# Throttle answers by the dozen, and a credential that ends in the middle.
my ($one) = split /\n/, ask('SELECT min(store_id) FROM storesync.store');
$sim->faults(throttle => 0.6, count => 40);
$node->safe_psql('shop', "SELECT storesync.reserve('S' || n, 7, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->converged($node, $sim, 'a storm of throttle answers passes');
cmp_ok($sim->counters->{faults}{throttle}, '>=', 10, 'and was one');
$sim->faults(auth => 1, shop_id => '1001', count => 1, path => 'update_stock');
$node->safe_psql('shop', "SELECT storesync.reserve('S' || n, 7, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.call_log WHERE class = 'auth'", 't', 'a refused credential');
$node->safe_psql('shop', "SELECT storesync.set_credential($one, 'access_token', 'accessToken1')");
Storesync->converged($node, $sim, 'a credential that ended in the middle is set anew');

is(ask('SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
Storesync->sound($node);
$node->stop;
done_testing();
