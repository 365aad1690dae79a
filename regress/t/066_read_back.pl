# A raise whose answer was lost is read back before it is written again; a decrease
# is written again at once and read afterwards; tasks read what somebody asks for.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;

# Shop 1 has an item of two models, and items without.
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n" . "shop\t1\ttoken-1\trefresh-1\n";
$catalogue .= "sku\tM$_\t50\n" . join("\t", 'listing', 1, "M$_", 900, $_, 50, 100) . "\n" foreach 1, 2;
$catalogue .= "sku\tI$_\t50\n" . join("\t", 'listing', 1, "I$_", 500 + $_, 0, 50, 100) . "\n" foreach 1 .. 3;

my $update = '/api/v2/product/update_stock';
my %read = (I => '/api/v2/product/get_item_base_info', M => '/api/v2/product/get_model_list');
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '50/s burst 5', shown => 1);
my $url = $proxy->url;
$node->safe_psql('shop', "UPDATE storesync.platform SET base_url = '$url'; UPDATE storesync.store SET poll_interval = '300ms'");
Storesync->converged($node, $sim, 'all is shown at first');

sub sql { return $node->safe_psql('shop', $_[0]); }

# the calls of the shop since the last one looked at that write or read items, in their order
my $seen = 0;
sub item_calls
{
	my @calls = map { $_->{path} } grep { $_->{path} =~ m{/product/} } @{ $sim->calls(1) };
	my @new = @calls[$seen .. $#calls];
	$seen = @calls;
	return join ' ', map { s{.*/}{}r } @new;
}
sub listing { return sql("SELECT listing_id FROM storesync.listing JOIN storesync.sku USING (sku_id) WHERE code = '$_[0]' AND item_id <> '777'"); }
sub receive { sql("SELECT storesync.receive('$_[0]', $_[1], storesync.new_key())"); }
sub shown { return sql("SELECT acked_qty, read_qty, doubt_qty, sending_qty FROM storesync.listing_shown WHERE listing_id = " . listing($_[0])); }

foreach my $kind ('I', 'M')
{
	my $sku = "${kind}1";
	my $reading = $read{$kind} =~ s{.*/}{}r;

	item_calls();
	$proxy->spoil('reset_after', path => 'update_stock', count => 1);
	receive($sku, 5);
	Storesync->query_until($node, "SELECT read_qty FROM storesync.listing_shown WHERE listing_id = " . listing($sku), '55',
		"$sku: a raise whose answer was lost is read back");
	Storesync->converged($node, $sim, 'it had been applied');
	is(item_calls(), "update_stock $reading", 'and was not written again');
	is(shown($sku), '55|55||', 'what was read is what is believed');
	is(sql('SELECT value FROM storesync.explain(' . listing($sku) . ") WHERE term = 'read back'"), '55', 'and explained');

	$proxy->spoil('reset_before', path => 'update_stock', count => 1);
	receive($sku, 5);
	Storesync->wait_until(sub { $sim->stock(1, $kind eq 'I' ? 501 : 900, $kind eq 'I' ? 0 : 1) == 60 }, "$sku: a raise that was not applied");
	like(item_calls(), qr/^$reading update_stock/, 'is read, and then written again');
	Storesync->converged($node, $sim);
}

# Nothing is read that is lowered: it cannot wait.
$proxy->spoil('reset_after', path => 'update_stock', count => 1);
item_calls();
sql("SELECT storesync.reserve('I2', 20, storesync.new_key())");
Storesync->query_until($node, 'SELECT read_qty FROM storesync.listing_shown WHERE listing_id = ' . listing('I2'), '30',
	'a decrease is read back after it was written again');
is(item_calls(), 'update_stock update_stock get_item_base_info', 'in this order');

# Sales that are not fetched yet are no difference to be written.
my $task = sql("SELECT storesync.enqueue(1, 'read_back', '{\"listing\": " . listing('I3') . "}')");
Storesync->query_until($node, "SELECT state, detail FROM storesync.task_state($task)", 'done|the shop shows 50', 'a task reads');
$sim->set_stock(1, 503, 0, 44);
$task = sql("SELECT storesync.enqueue(1, 'read_back', '{\"listing\": " . listing('I3') . "}')");
Storesync->query_until($node, "SELECT state, detail FROM storesync.task_state($task)", 'done|the shop shows 44', 'what somebody else wrote');
Storesync->converged($node, $sim, 'and it is mended');

# What the shop does not have, and what cannot be read for a while.
sql("SELECT storesync.add_listing(1, 'I3', '777')"); sql("UPDATE storesync.listing SET enabled = false WHERE item_id = '777'");
$task = sql("SELECT storesync.enqueue(1, 'read_back', jsonb_build_object('listing', listing_id)) FROM storesync.listing WHERE item_id = '777'");
Storesync->query_until($node, "SELECT state, detail FROM storesync.task_state($task)", 'dead|the shop does not have it', 'an unknown item');
sql("DELETE FROM storesync.listing WHERE item_id = '777'");
$proxy->spoil('html', path => 'get_item_base_info', count => 2);
$task = sql("SELECT storesync.enqueue(1, 'read_back', '{\"listing\": " . listing('I3') . "}')");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'a read that fails is tried again');
is($proxy->spoilt, 2, 'as often as it has to be');

# A restart asks again.
$proxy->spoil('reset_after', path => 'product', count => 100);
receive('I1', 1);
Storesync->wait_until(sub { $proxy->spoilt >= 2 }, 'a raise and a read that were lost');
sql('SELECT pg_terminate_backend(' . Storesync->dispatcher($node) . ')');
$proxy->spoil;
Storesync->converged($node, $sim, 'a dispatcher that starts anew reads or writes it');
Storesync->sound($node);

done_testing();
