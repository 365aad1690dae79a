# The postmaster stopped at once, under load, and started again: nothing is
# lost and nothing is done twice. Callers repeat what they got no answer to,
# with the same keys.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $moves) = (3, 10, 1000, 600);
my $node = Storesync->cluster('main');
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units),
	rate => 0);
Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '200 milliseconds'");

# Every move has a key of its own, derived from its number: a second run is a replay.
my $script = $node->basedir . '/moves.sql';
my $hour = $node->safe_psql('postgres', "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:00:00')");
append_to_file($script,
	join '', map { "SELECT storesync.receive('S" . (1 + $_ % $skus) . "', 2,"
		  . " storesync.derive_key('$hour+00', 'test', '$_'));\n" } 1 .. $moves);

sub start_moves
{
	return IPC::Run::start(
		[ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $script, '-d', $node->connstr('shop') ],
		'>', '/dev/null', '2>', '/dev/null');
}

my $orders = 0;
foreach my $round (1 .. 3)
{
	$sim->faults(slow => 0.3, slow_ms => 1000, cut_after => 0.1);
	my $load = start_moves();
	foreach my $n (1 .. 15)
	{
		$sim->order(1000 + 1 + $n % $shops, [ 1 + $n % $skus, 0, 1 ], [ 1 + ($n + 1) % $skus, 0, 2 ]);
		$orders++;
	}
	my $booked = $node->safe_psql('shop', "SELECT count(*) FROM storesync.idempotency");
	Storesync->wait_until(
		sub {
			my $now = $node->safe_psql('shop',
				"SELECT count(*) >= least($booked + 100, $moves) AND"
				  . " (SELECT sum(in_flight) > 0 FROM storesync.stat_dispatcher) FROM storesync.idempotency");
			return $now eq 't';
		},
		'moves and calls under way');
	$node->stop('immediate');
	$load->finish;
	$node->start;
	pass("round $round: stopped at once and started again");
}

my $load = start_moves();
ok($load->finish, 'all moves repeated with their keys');
$sim->faults;
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, 'all orders');
Storesync->converged($node, $sim);

my $counters = $sim->counters;
is($node->safe_psql('shop', 'SELECT sum(on_hand) FROM storesync.stock'),
	$skus * $units + 2 * $moves, 'every move took effect once');
is($node->safe_psql('shop', 'SELECT count(*), sum(reserved) FROM storesync.sales_order_line'),
	"$counters->{lines}|$counters->{units}", 'every order line is booked once');
Storesync->limited($sim, 100, 20);
Storesync->sound($node);
$node->stop;

done_testing();
