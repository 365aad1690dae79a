# A shop at Ruten beside one at Shopee: what sells in one lowers the other,
# through the keys, signatures and forms that each of them has.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($tea, $shirt, $red) = (22500000000001, 22500000000002, 252500000000011);
my $catalogue = "app\t2009999\tdemo-salt-01\n"
  . "shop\t1\taccess-1\trefresh-1\n"
  . "shop\t2\tdemo-api-key-0001\tdemo-secret-key-0001\n"
  . "sku\tTEA\t20\nsku\tRED\t9\n"
  . join('', map { join("\t", 'listing', @$_) . "\n" } [ 1, 'TEA', 1001, 0, 0, 100 ], [ 1, 'RED', 1002, 5, 0, 100 ],
	[ 2, 'TEA', $tea, 0, 0, 100 ], [ 2, 'RED', $shirt, $red, 0, 100 ]);

my $sim = Storesync->simulator(catalogue => $catalogue, rate => 20, burst => 1);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);
my $url = $sim->url;

# the dialect wants what a default does not give: the settings do
$sim->post('ruten', { sign_path_only => 1, sign_base64 => 1 });
$node->safe_psql('shop', <<"SQL");
UPDATE storesync.platform SET base_url = '$url' WHERE platform IN ('shopee', 'ruten');
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), storesync.set_app_credential('shopee', 'partner_key', 'demo-salt-01');
SELECT storesync.add_store('shopee', '1', 'one', '20/s'), storesync.add_store('ruten', 'teashop', 'two', '20/s');
SELECT storesync.set_credential(1, 'access_token', 'access-1'), storesync.set_credential(1, 'refresh_token', 'refresh-1');
SELECT storesync.set_credential(2, 'api_key', 'demo-api-key-0001'), storesync.set_credential(2, 'secret_key', 'demo-secret-key-0001'),
	storesync.set_credential(2, 'salt_key', 'demo-salt-01');
UPDATE storesync.store SET poll_interval = '300 milliseconds';
SELECT storesync.add_sku('TEA'), storesync.add_sku('RED');
SELECT storesync.add_listing(1, 'TEA', '1001'), storesync.add_listing(1, 'RED', '1002', '5'),
	storesync.add_listing(2, 'TEA', '$tea'), storesync.add_listing(2, 'RED', '$shirt', '$red');
SELECT storesync.receive('TEA', 20, storesync.new_key()), storesync.receive('RED', 9, storesync.new_key());
SQL

# a test that the store's keys come to be seen as refused
sub refused_keys
{
	my ($what) = @_;

	return ok(Storesync->query_until($node,
			q(SELECT count(*) > 0 FROM storesync.health() WHERE component = 'store 2' AND reason ~ 'credential|authoris|refused'), 't', $what),
		$what);
}

# shown WHAT, TEA at one, TEA at two, RED at one, RED at two: a test that the shops come to show that
sub shown
{
	my ($what, @wanted) = @_;
	my @got;

	Storesync->wait_until(
		sub {
			@got = ($sim->stock(1, 1001), $sim->stock(2, $tea), $sim->stock(1, 1002, 5), $sim->stock(2, $shirt, $red));
			return "@got" eq "@wanted";
		},
		$what);
	is("@got", "@wanted", $what);
	return;
}

refused_keys('signatures of another form are refused');
$node->safe_psql('shop', q(UPDATE storesync.platform SET sign_path_only = true, sign_base64 = true WHERE platform = 'ruten'));
shown('both shops come to show the stock', 20, 20, 9, 9);

$sim->order(2, [ $tea, 0, 4 ], [ $shirt, $red, 1 ]);
shown('what Ruten sells leaves Shopee', 16, 16, 8, 8);
$sim->order(1, [ 1001, 0, 5 ]);
shown('and the other way round', 11, 11, 8, 8);
is($node->safe_psql('shop', q(SELECT l.line_id, l.qty, l.reserved, l.unit_price FROM storesync.sales_order_line l JOIN storesync.sales_order o
	USING (order_id) WHERE o.store_id = 2 ORDER BY l.line_id)), "$tea/0|4|4|100\n$shirt/$red|1|1|100", 'the lines of Ruten are booked');

# what changes soon after is met again by the overlap
$sim->post('ruten', { time_field => '' });
my $sn = $sim->order(2, [ $tea, 0, 2 ])->{order_sn};
shown('an order that does not say when it was placed', 9, 9, 8, 8);
is($node->safe_psql('shop', "SELECT create_time BETWEEN clock_timestamp() - interval '10 min' AND clock_timestamp() FROM storesync.sales_order WHERE order_sn = '$sn'"),
	't', 'is given the time of its listing');
$sim->order_status($sn, 'CANCELLED');
shown('a cancelled one gives back', 11, 11, 8, 8);

# without an overlap the regular fetch meets no order twice: what changes later is found by looking again
$node->safe_psql('shop', q(UPDATE storesync.platform SET order_overlap = '0' WHERE platform = 'ruten'));
$sn = $sim->order(2, [ $tea, 0, 3 ])->{order_sn};
shown('another order at Ruten', 8, 8, 8, 8);
Storesync->query_until($node, "SELECT fetched_through > create_time + interval '2 s' FROM storesync.order_cursor c JOIN storesync.sales_order o
	USING (store_id) WHERE order_sn = '$sn'", 't', 'the regular fetch has passed it');
$sim->order_status($sn, 'CANCELLED');
shown('its cancellation is found all the same', 11, 11, 8, 8);

# keys that are refused: the store waits and says so
$node->safe_psql('shop', q(SELECT storesync.set_credential(2, 'secret_key', 'another')));
refused_keys('a wrong key is seen');
$node->safe_psql('shop', q(SELECT storesync.set_credential(2, 'secret_key', 'demo-secret-key-0001')));
$sim->order(1, [ 1001, 0, 1 ]);
shown('and mended by the right one', 10, 10, 8, 8);

# faults in reading and writing, while both shops sell and goods come in
Storesync->under_faults(
	$sim, 2,
	sub {
		$node->safe_psql('shop', q(SELECT storesync.receive(code, 1, storesync.new_key()) FROM storesync.sku));
		$sim->order(2, [ $tea, 0, 1 ], [ $shirt, $red, 1 ]);
		$sim->order(1, [ 1001, 0, 1 ]);
	});
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $sim->counters->{orders}, 'every order is booked, and once');
my ($left_tea, $left_red) = split /\|/, $node->safe_psql('shop', q(SELECT storesync.available('TEA'), storesync.available('RED')));
shown('and the shops show what is left', $left_tea, $left_tea, $left_red, $left_red);
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL'), 0, 'nothing is given up');

Storesync->sound($node);
$node->stop;
done_testing();
