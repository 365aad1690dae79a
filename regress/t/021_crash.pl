# The dispatcher killed in the middle of calls: PostgreSQL restarts every
# session and empties shared memory; afterwards nothing is lost and nothing is
# done twice.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units) = (4, 12, 100);
my $node = Storesync->cluster('main');
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units),
	rate => 0);
Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '200 milliseconds'");
Storesync->converged($node, $sim, 'at first every shop shows what the database wants');

# one number of query answers, undef while the server is on its way back
sub ask
{
	my ($sql) = @_;
	my ($status, $out) = $node->psql('shop', $sql);
	return $status == 0 ? $out : undef;
}

# 100, 98 under way and already applied, back to 100, killed: nothing in the
# tables but the mark of a write under way tells that the shop shows 98.
$sim->faults(slow => 1, slow_ms => 30_000, path => 'update_stock');
$node->safe_psql('shop', "SELECT storesync.reserve('S1', 2, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(1001, 1) == 98 }, 'the decrease at the shop');
my $victim = Storesync->dispatcher($node);
$node->safe_psql('shop', "SELECT storesync.release('S1', 2, storesync.new_key())");
kill 'KILL', $victim;
$sim->faults;
ok( Storesync->wait_until(sub { $sim->stock(1001, 1) == 100 }, 'the raise at the shop'),
	'a write that was under way when the dispatcher died is not taken for what the shop shows');
Storesync->wait_until(sub { defined ask('SELECT 1') }, 'the server');

my $round = 0;
foreach my $signal (qw(KILL KILL QUIT))
{
	$round++;
	$sim->faults(slow => 0.5, slow_ms => 1500, cut_after => 0.1, cut_before => 0.1);
	foreach my $n (1 .. 24)
	{
		$sim->order(1000 + 1 + $n % $shops, [ 1 + $n % $skus, 0, 1 + $n % 3 ]);
	}
	my $pid = Storesync->wait_until(
		sub {
			my $busy = ask("SELECT pid FROM storesync.stat_dispatcher"
				  . " WHERE database = 'shop' AND pid IS NOT NULL AND in_flight > 0");
			return $busy;
		},
		'calls under way');
	# while calls are under way there are rounds, too
	ok( Storesync->query_until($node, "SELECT backend_xmin IS NULL AND backend_xid IS NULL AND in_flight > 0"
			  . " FROM pg_stat_activity JOIN storesync.stat_dispatcher USING (pid) WHERE pid = $pid", 't', 'calls without a transaction'),
		"round $round: no transaction and no snapshot is held over a call");
	kill $signal, $pid;
	ok( Storesync->wait_until(
			sub {
				my $next = ask("SELECT pid FROM storesync.stat_dispatcher"
					  . " WHERE database = 'shop' AND state = 'running' AND pid IS NOT NULL");
				return defined $next && $next ne '' && $next ne $pid;
			},
			'another dispatcher'),
		"round $round: the dispatcher is back after SIG$signal");
}

$sim->faults;
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $round * 24, 'all orders');
Storesync->converged($node, $sim, 'after the kills every shop shows what the database wants');

my $counters = $sim->counters;
is($node->safe_psql('shop', 'SELECT count(*), sum(reserved), sum(short) FROM storesync.sales_order_line'),
	"$counters->{lines}|$counters->{units}|0", 'every line is booked, with all its units');
is($node->safe_psql('shop', "SELECT count(*) FROM storesync.ledger WHERE kind = 'reserve' AND order_id IS NOT NULL"),
	$counters->{lines}, 'and booked once');
is( $node->safe_psql('shop', 'SELECT sum(on_hand - reserved) FROM storesync.stock'),
	$skus * $units - $counters->{units},
	'what is left is what was not sold');
is($counters->{bad_signature}, 0, 'no call was signed wrongly');
Storesync->limited($sim, 100, 20);
Storesync->sound($node);
$node->stop;

done_testing();
