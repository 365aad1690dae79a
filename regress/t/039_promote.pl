# The primary is lost in the middle of calls; its standby is promoted, takes over
# by itself, and brings every shop to what the database wants.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $rate) = (3, 5, 100, 20);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $node = Storesync->cluster('primary', -streaming => 1);
Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '300 milliseconds'");
Storesync->converged($node, $sim, 'all is shown at first');

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
is($standby->safe_psql('shop', 'SELECT count(*) FROM storesync.stat_dispatcher WHERE pid IS NOT NULL'), 0,
	'no dispatcher runs on a standby');

$sim->faults(slow => 1, slow_ms => 20000, path => 'update_stock');
$node->safe_psql('shop', "SELECT storesync.reserve('S' || n, 9, storesync.new_key()) FROM generate_series(1, $skus) n");
$sim->order(1001, [ 1, 0, 2 ]);
Storesync->query_until($node, 'SELECT (SELECT sum(in_flight) > 0 FROM storesync.stat_dispatcher), count(*) FROM storesync.sales_order',
	't|1', 'calls under way');
$node->wait_for_catchup($standby);
$node->stop('immediate');
$sim->order(1002, [ 2, 0, 3 ]);
$standby->promote;
$sim->faults;
Storesync->query_until($standby, 'SELECT count(*) FROM storesync.sales_order', 2, 'the order that nobody had seen');
Storesync->converged($standby, $sim, 'promoted in the middle of calls it brings every shop in line');
is($standby->safe_psql('shop', 'SELECT sum(reserved) FROM storesync.stock'), 9 * $skus + 5, 'each order is booked once');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
Storesync->sound($standby);
$standby->stop;
done_testing();
