# Two hundred stores at once, while somebody holds a snapshot for as long as it takes.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $rate) = (200, 3, 5000, 5);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $node = Storesync->cluster('main');
Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);

my $holder = $node->background_psql('shop');
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$holder->query_safe('SELECT count(*) FROM storesync.stock');

Storesync->converged($node, $sim, 'all is shown at first');
$sim->faults(slow => 0.1, slow_ms => 1500, cut_after => 0.02, cut_before => 0.02, error_5xx => 0.02);
foreach my $round (1 .. 3)
{
	$sim->order(1001 + ($_ * 7) % $shops, [ 1 + $_ % $skus, 0, 1 ]) foreach 1 .. 30;
	$node->safe_psql('shop', "SELECT storesync.reserve('S' || n, 5, storesync.new_key()) FROM generate_series(1, $skus) n");
}
ok(Storesync->wait_until(sub { my $met = $sim->counters->{faults}; !grep { !$met->{$_} } qw(slow cut_after cut_before error_5xx) }, 'all faults'),
	'each fault is met');
$sim->faults;
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 90, 'all orders');
Storesync->converged($node, $sim, "all $shops shops show what the database wants");
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
is($node->safe_psql('shop', "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND backend_type = 'client backend'"
	  . " AND state = 'idle in transaction'"), 1, 'under a snapshot held all the time');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
$holder->quit;
Storesync->sound($node);
$node->stop;
done_testing();
