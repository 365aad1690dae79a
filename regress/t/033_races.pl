# Buyers, receipts, cancellations and faults all at once, orders shown late:
# whatever our writes overtook or wiped out, in the end every shop shows what
# the database wants, and every accepted order is booked once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = $ENV{STORESYNC_TEST_SEED} // 20261122;
my $seconds = 8;
my @shops = (1 .. 4);
my @codes = map { "S$_" } 1 .. 5;
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";

$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach @shops;
$catalogue .= "sku\t$_\t30\n" foreach @codes;
foreach my $shop (@shops)
{
	$catalogue .= join("\t", 'listing', $shop, $codes[$_], $shop * 100 + ($_ > 2), $_ + 1, 0, 50) . "\n"
	  foreach 0 .. $#codes;
}

diag("seed $seed");
srand $seed;
my $sim = Storesync->simulator(
	catalogue => $catalogue, rate => 0, seed => $seed, order_delay => 700);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '200ms', 'storesync.request_timeout' => '2s');
my $store = Storesync->load($node, $sim, rate_limit => '20/s burst 3');
$node->safe_psql('shop', q(UPDATE storesync.store SET poll_interval = '200 milliseconds'));
$node->safe_psql('shop', q(UPDATE storesync.platform SET order_overlap = '5 seconds'));
# some listings show a part only: there an order and a receipt may cancel out
$node->safe_psql('shop', q(UPDATE storesync.listing SET cap = 7 WHERE listing_id % 5 = 0));
$node->safe_psql('shop', q(UPDATE storesync.listing SET share = 0.5 WHERE listing_id % 5 = 1));
Storesync->converged($node, $sim);
$sim->faults(error_5xx => 0.03, cut_before => 0.03, cut_after => 0.03, malformed => 0.03, slow => 0.03, slow_ms => 500);

my %taken;	# units accepted and not cancelled, by code
my @open;
my $end = time + $seconds;
while (time < $end)
{
	my $shop = $shops[ rand @shops ];
	my $i = int rand @codes;
	my $qty = 1 + int rand 3;

	if (rand() < 0.7)
	{
		my $order = $sim->order($shop, [ $shop * 100 + ($i > 2), $i + 1, $qty ]);
		next if !$order->{accepted_units};
		push @open, [ $order->{order_sn}, $codes[$i], $order->{accepted_units} ];
		$taken{ $codes[$i] } += $order->{accepted_units};
	}
	elsif (@open && rand() < 0.4)
	{
		my $order = splice @open, rand @open, 1;
		$sim->order_status($order->[0], 'CANCELLED');
		$taken{ $order->[1] } -= $order->[2];
	}
	elsif (@open && rand() < 0.3)
	{
		my $order = splice @open, rand @open, 1;
		$sim->order_status($order->[0], 'SHIPPED');
	}
	else
	{
		$node->safe_psql('shop', "SELECT storesync.receive('$codes[$i]', $qty, storesync.new_key())");
	}
	sleep rand 0.1;
}
$sim->faults;

Storesync->query_until($node, <<'SQL', join(',', map { "$_=" . ($taken{$_} // 0) } @codes), 'every order is booked');
SELECT string_agg(code || '=' || units, ',' ORDER BY code)
FROM (SELECT k.code, sum(l.qty - l.cancelled_qty) AS units
	FROM storesync.sales_order_line l JOIN storesync.sku k USING (sku_id) GROUP BY k.code) x
SQL
Storesync->converged($node, $sim);
Storesync->query_until($node, q(SELECT count(*) FROM storesync.listing_status WHERE dirty), '0', 'no listing is dirty');
is(Storesync->differing($node, $sim), '', 'and believed is what is shown');
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
Storesync->limited($sim, 20, 3);
Storesync->sound($node);
my $calls = $sim->counters->{calls};
note(join ', ', map { "$_ $calls->{$_}" } sort keys %$calls);

done_testing();
