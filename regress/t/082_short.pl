# One unit, sold by three shops: the work list shows the two lines that it does not
# cover, ranked and with a proposal each. One is served from another place and then
# shipped, one is cancelled at its platform and booked so. A cancellation that the
# platform refuses brings the line back with its words.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($first, $second, $vendor) = (1001, 1002, 39001);
my $sim = Storesync->simulator(
	catalogue => "app\t2009999\tdemoPartnerKey0123456789abcdef\n"
	  . join('', map { "shop\t$_\ttoken-$_\trefresh-$_\n" } $first, $second, $vendor)
	  . "sku\tS1\t1\n"
	  . join('', map { "listing\t$_\tS1\t1\t0\t1\t100\n" } $first, $second, $vendor),
	rate => 40);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);
my $url = $sim->url;

sub sql { my ($sql) = @_; return $node->safe_psql('shop', $sql); }

# every shop shows the unit, and each finds its buyer before anybody hears of the others
my %order = map { $_ => $_ == $vendor ? '2026010100001' : "A$_" } $first, $second, $vendor;
is(join(' ', map { $sim->order($_, [ 1, 0, 1 ], { order_sn => $order{$_} })->{accepted_units} } $first, $second, $vendor),
	'1 1 1', 'three shops sell one unit');

sql(join '', map { "$_;\n" } 'BEGIN',
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee'",
	"UPDATE storesync.platform SET base_url = '$url/vdr', ship_within = '1 hour' WHERE platform = 'pchome'",
	"SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999')",
	"SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef')",
	"SELECT storesync.add_sku('S1'), storesync.add_location('north'), storesync.add_location('south')",
	"SELECT storesync.receive('S1', 1, storesync.derive_key(now(), 'opening'))",
	'COMMIT');

# add STORE, PLATFORM, SHOP: a store that sells from main alone, and its order, booked as awaited
sub add
{
	my ($store, $platform, $shop, $state) = @_;
	sql(join '', map { "$_;\n" } 'BEGIN',
		"SELECT storesync.add_store('$platform', '$shop', 'shop $shop', '40/s'), storesync.set_store_locations($store, ARRAY['main'])",
		$platform eq 'shopee'
		? "SELECT storesync.set_credential($store, 'access_token', 'token-$shop'), storesync.set_credential($store, 'refresh_token', 'refresh-$shop')"
		: 'SELECT 1',
		"SELECT storesync.add_listing($store, 'S1', '" . ($platform eq 'shopee' ? '1' : 'SIMA0A-A00000001') . "')",
		"UPDATE storesync.store SET poll_interval = '300 milliseconds' WHERE store_id = $store",
		'COMMIT');
	return Storesync->query_until($node, booked($order{$shop}), $state, "the order of shop $shop is booked: $state");
}
sub booked
{
	my ($sn) = @_;
	return "SELECT l.state FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = '$sn'";
}

add(1, 'shopee', $first, 'reserved');
add(2, 'shopee', $second, 'short');
add(3, 'pchome', $vendor, 'short');

# ---- the work list

my $work = "SELECT rank, state, store_id, order_sn, units, proposal, location FROM storesync.short_work()";
is(sql($work), "1|open|2|A$second|1|wait|\n2|open|3|$order{$vendor}|1|cancel|", 'two lines are short, what Shopee would punish first');
sql("SELECT storesync.receive('S1', 1, storesync.new_key(), 'north')");
is(sql($work), "1|open|2|A$second|1|move|north\n2|open|3|$order{$vendor}|1|cancel|",
	'another place has one: it is proposed to the first of them, and once');
is(sql("SELECT alternatives -> 'move' FROM storesync.short_work() WHERE store_id = 3"),
	'[{"units": 1, "carries": {"S1": 1}, "location": "north", "sellable": true}]', 'the other might have it as well');

# one day for all keys, whenever midnight is
my $day = sql("SELECT date_trunc('day', now())");

# settle STORE, ORDER, PROPOSAL, KEY
sub settle
{
	my ($store, $sn, $proposal, $key) = @_;
	return sql("SELECT outcome, units, short FROM storesync.settle_short($store, '$sn', NULLIF('"
		  . ($proposal eq 'move' ? '1/0' : '') . "', ''), '$proposal', storesync.derive_key('$day', '$key'))");
}

# ---- from another place, and shipped

is(settle(2, $order{$second}, 'move', 'm'), 'moved|1|0', 'the first is served from there');
is(settle(2, $order{$second}, 'move', 'm'), 'moved|1|0', 'asked again nothing more is');
is(sql("SELECT c.code, s.on_hand, s.reserved FROM storesync.stock s JOIN storesync.location c USING (location_id) WHERE s.version > 0 ORDER BY 1"),
	"main|2|2\nnorth|0|0", 'the unit has been carried over, and reserved');
is(sql($work), "1|open|3|$order{$vendor}|1|cancel|\n2|moved|2|A$second|0||north", 'the list says so');

sub ends
{
	my ($task, $state, $what) = @_;
	return Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", $state, $what)
	  && pass($what);
}
ends(sql("SELECT storesync.enqueue(2, 'ship_order', '{\"order_sn\":\"$order{$second}\"}')"), 'done', 'it can be shipped');

sub lines { my ($sn) = @_; return grep { $_->{order_sn} eq $sn } @{ $sim->get('shipments')->{lines} }; }
sub made { my ($sn) = @_; return join ' ', map { "$_->{status} $_->{ships}/$_->{cancels}" } lines($sn); }
is(made($order{$second}), 'PROCESSED 1/0', 'and is, once');
$sim->order_status($order{$second}, 'SHIPPED');
Storesync->query_until($node, "SELECT count(*) FROM storesync.short_work() WHERE store_id = 2", '0', 'gone with its parcel it leaves the list');

# ---- cancelled at its platform

is(settle(3, $order{$vendor}, 'cancel', 'c'), 'cancelling|1|1', 'the other is to be cancelled');
is(settle(3, $order{$vendor}, 'cancel', 'c'), 'cancelling|1|1', 'asked again it is the same task');
is(sql("SELECT count(DISTINCT subject) FROM storesync.outbox WHERE kind = 'task' AND payload ->> 'kind' = 'cancel_order'"), '1', 'one alone');
Storesync->query_until($node, booked($order{$vendor}), 'cancelled', 'its platform has cancelled it, and it is booked');
like(made($order{$vendor}), qr{ 0/1$}, 'once');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.short_work()', '0', 'nothing is left');
is(settle(3, $order{$vendor}, 'cancel', 'd'), 'not_short|0|0', 'nor to settle');

# ---- refused

sql('SELECT storesync.stop_selling()');
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE store_id = 1 AND wanted <> 0", '0', 'nothing is wanted');
Storesync->wait_until(sub { $sim->stock($first, 1) == 0 }, 'nothing is shown');
$sim->set_stock($first, 1, 0, 1);
is($sim->order($first, [ 1, 0, 1 ], { order_sn => 'B1' })->{accepted_units}, 1, 'a shop sells what is not there');
Storesync->query_until($node, booked('B1'), 'short', 'it is short');
$sim->faults(item_failure => 1, path => 'cancel_order', count => 1);
is(settle(1, 'B1', 'cancel', 'e'), 'cancelling|1|1', 'it is to be cancelled');
Storesync->query_until($node, 'SELECT state, proposal IS NOT NULL, note FROM storesync.short_work()',
	'open|t|the platform refused to cancel: The order cannot be changed.', 'the line is back with the words of its platform');
is(made('B1'), 'READY_TO_SHIP 0/0', 'nothing was done');
is(sql("SELECT count(*) FROM storesync.compensation WHERE call = 'cancel_order' AND settled_at IS NULL"), '1', 'and people hear of it');
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation WHERE call = 'cancel_order' AND settled_at IS NULL");
Storesync->query_until($node, booked('B1'), 'cancelled', 'asked for again it is cancelled, and booked');
is(made('B1'), 'CANCELLED 0/1', 'once');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.short_work()', '0', 'nothing is left');

is(sql("SELECT string_agg(after ->> 'proposal', ' ' ORDER BY audit_id) FROM storesync.audit WHERE action = 'settle short'"), 'move cancel cancel',
	'what was decided is in the audit');
Storesync->sound($node);

done_testing();
