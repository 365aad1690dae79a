# Switches, last units and allotments, seen in the shops: each takes effect
# where it is looked at, in what the simulated platform shows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 3, skus => 2, units => 20), rate => 20);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '100ms');
my $store = Storesync->load($node, $sim, rate_limit => '20/s');
my ($one, $two, $three) = @$store{ 1001, 1002, 1003 };

# what the three shops show of an item
sub shown
{
	my ($item) = @_;
	return join ' ', map { $sim->stock($_, $item, 0) } 1001 .. 1003;
}

sub shows
{
	my ($item, $quantities, $what) = @_;
	return ok(Storesync->wait_until(sub { shown($item) eq $quantities }, "$what: $quantities, not " . shown($item)), $what);
}

sub sql { return $node->safe_psql('shop', $_[0]); }

sql("UPDATE storesync.store SET poll_interval = '500 ms'");
Storesync->converged($node, $sim, 'all shows everything at first');

# Stopped: 0 in every shop, and nothing raises it until it is started again.
is(sql("SELECT storesync.stop_selling(sku => 'S1', reason => 'recalled')"), 3, 'a SKU is stopped');
shows(1, '0 0 0', 'it is sold nowhere');
sql("SELECT storesync.receive('S1', 10, storesync.new_key())");
sql("SELECT storesync.receive('S2', 10, storesync.new_key())");
shows(2, '30 30 30', 'another one is, and more of it');
is(shown(1), '0 0 0', 'more of the stopped one is not shown');
is(sql("SELECT string_agg(DISTINCT state, ' ') FROM storesync.listing_status WHERE sku = 'S1'"), 'stopped', 'which is its state');
sql("SELECT storesync.start_selling(sku => 'S1')");
shows(1, '30 30 30', 'started, it is sold again');
sql("SELECT storesync.stop_selling($two)");
shows(1, '30 0 30', 'a store is stopped');
shows(2, '30 0 30', 'with all that it sells');
sql("SELECT storesync.start_selling()");
Storesync->converged($node, $sim, 'and started');

# Paused: writes wait, orders are fetched; afterwards what is true then goes out.
sql("SELECT storesync.pause($three)");
sql("SELECT storesync.receive('S2', 5, storesync.new_key())");
shows(2, '35 35 30', 'a paused store is not written');
$sim->order(1003, [ 2, 0, 4 ]);
Storesync->query_until($node, "SELECT sum(qty) FROM storesync.sales_order_line WHERE store_id = $three", 4, 'its order');
shows(2, '31 31 26', 'its orders are booked');
sql("SELECT storesync.resume($three)");
Storesync->converged($node, $sim, 'resumed, it catches up');

# Lower only: what would raise it waits.
sql("UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = $three");
sql("SELECT storesync.receive('S2', 9, storesync.new_key())");
shows(2, '40 40 31', 'lower_only raises nothing');
sql("SELECT storesync.reserve('S2', 20, storesync.new_key())");
shows(2, '20 20 20', 'and lowers');
sql("UPDATE storesync.store SET mode = 'live' WHERE store_id = $three");

# Disabled: never written, keeps what it shows.
sql("UPDATE storesync.listing SET enabled = false WHERE store_id = $one AND item_id = '2'");
sql("SELECT storesync.reserve('S2', 5, storesync.new_key())");
shows(2, '20 15 15', 'a disabled listing keeps what it shows');
sql("UPDATE storesync.listing SET enabled = true");
Storesync->converged($node, $sim, 'enabled again, it follows');

# Set aside: the others show less, and at the end all of it again, without anybody's doing.
sub set_aside
{
	sql("SELECT storesync.allot(listing_id, 12, storesync.new_key(), clock_timestamp() + interval '$_[0]')"
		  . " FROM storesync.listing WHERE store_id = $one AND item_id = '1'");
	return;
}
set_aside('1 hour');
shows(1, '30 18 18', 'units set aside for one shop are not shown by the others');
# sooner, now that it was seen
set_aside('1 s');
shows(1, '30 30 30', 'at the end they are');
is(sql('SELECT count(*) FROM storesync.allotment'), 0, 'and nothing is left of it');

# The last units in one shop; when it is paused, in the next.
sql("UPDATE storesync.store SET priority = 1 WHERE store_id = $two");
sql("SELECT storesync.reserve('S1', 28, storesync.new_key())");
shows(1, '0 2 0', 'the last units are in one shop');
sql("UPDATE storesync.store SET priority = 2 WHERE store_id = $three");
shows(1, '0 0 2', 'in the one of the highest priority');
sql("UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = $three");
shows(1, '0 2 0', 'and when that one may not sell them, in the next');
sql("UPDATE storesync.store SET mode = 'live' WHERE store_id = $three");
Storesync->converged($node, $sim, 'all agree in the end');

Storesync->sound($node);
done_testing();
