# A wrong mapping corrected by docs/runbook/wrong-mapping.md: the orders that came in by it are booked on the right
# SKU, and the shops follow. Killed in the middle, the same call finishes.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 3, units => 60), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);

sub sql { return $node->safe_psql('shop', $_[0]); }
sub listing { return sql("SELECT listing_id FROM storesync.listing WHERE store_id = $_[0] AND item_id = '$_[1]'"); }

# shows ITEM, UNITS...: a test that the two shops come to show so many
sub shows
{
	my ($item, @units) = @_;
	my $now = '';
	Storesync->wait_until(sub { ($now = join ' ', map { $sim->stock($_, $item) } 1001, 1002) eq "@units" }, "item $item shows @units");
	return is($now, "@units", "item $item in the two shops");
}

my $page = Storesync::Runbook->open($node, 'shop', 'wrong-mapping');
my %value = (store => $store->{1001}, item => 1, model => '', listing => listing($store->{1001}, 1), sku => 'S2', pack => 1, since => '-infinity');

# Item 1 of the first shop is S2, and mapped to S1.
$sim->order(1001, [ 1, 0, 3 ]);
$sim->order(1002, [ 2, 0, 1 ]);
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 2, 'the orders');
shows(1, 57, 57);
shows(2, 59, 59);
is($page->step('find', %value), "$value{listing}|S1|1|t", 'the listing');
like($page->step('since-when', %value), qr/^[^\n]*\|1\|1$/, 'mapped when it was added');
is($page->step('preview', %value), "S1|1|-3|0|0|0|0|57\nS2|1|3|0|0|0|0|59", 'what is going to happen');
is($page->step('remap', %value), '1|{}', 'it happens');
is($page->step('left', %value), '', 'nothing is left');
is($page->step('short', %value), '', 'nothing is short');
is($page->step('to-count', %value), '', 'nothing is to be counted');
is($page->step('find', %value), "$value{listing}|S2|1|t", 'the listing is the other');
shows(1, 56, 60);
shows(2, 56, 56);
my $shown = '';
Storesync->wait_until(sub { 3 == (() = ($shown = $page->step('shown', %value)) =~ /\|ok\|/g) }, 'the answers are noted');
is($shown, join("\n", 'shop 1001|1|ok|56|56', 'shop 1001|2|ok|56|56', 'shop 1002|2|ok|56|56'), 'all listings of it');
$sim->order(1001, [ 1, 0, 2 ]);
Storesync->query_until($node, "SELECT storesync.available('S1'), storesync.available('S2')", '60|54', 'what comes in now');
is($page->step('remap', %value), '0|{}', 'once more changes nothing');

# 1,200 lines of another, half of them sent; the last orders are locked by somebody, and then it is killed.
my %many = (%value, store => $store->{1002}, item => 3, listing => listing($store->{1002}, 3), sku => 'S1');
sql("SELECT storesync.receive('S1', 2000, storesync.new_key()), storesync.receive('S3', 2000, storesync.new_key())");
is(sql(<<"SQL"), '1200', '1,200 orders');
SELECT count(*) FROM storesync.ingest_orders($many{store}, (SELECT jsonb_agg(jsonb_build_object('order_sn', 'M' || i,
	'status', CASE WHEN i % 2 = 0 THEN 'shipped' ELSE 'ready_to_ship' END, 'create_time', extract(epoch FROM now())::bigint - 90000 + i,
	'lines', '[{"line_id": "1", "item_id": "3", "qty": 1}]'::jsonb)) FROM generate_series(1, 1200) i)) r
WHERE r.outcome = 'applied'
SQL
my $holder = $node->background_psql('shop');
$holder->query_safe('BEGIN');
$holder->query_safe("SELECT count(*) FROM (SELECT FROM storesync.sales_order WHERE order_sn = 'M1199' FOR UPDATE) x");
my $call = "CALL storesync.remap_listing($many{listing}, 'S1', 1, '-infinity')";
my $run = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('shop'), '-c', $call ], '<', \undef, '>', \my $out, '2>', \my $error);
my $waits = "FROM pg_stat_activity WHERE query = '" . ($call =~ s/'/''/gr) . "' AND wait_event_type = 'Lock'";
my $left = "SELECT count(*) FROM storesync.sales_order_line l JOIN storesync.sku k USING (sku_id) WHERE l.listing_id = $many{listing} AND k.code = 'S3'";
Storesync->query_until($node, "SELECT (SELECT count(*) $waits), ($left)", '1|200', 'it waits for an order');
is($page->step('left', %many), join("\n", ('S1|200', 'S3|200') x 2), 'what is left meanwhile');
Storesync->crash($node, sql("SELECT pid $waits")) or die 'no server';
eval { $run->finish };
eval { $holder->quit };
is(sql($left), '200', 'killed: two steps are there, the third is not');
Storesync->sound($node, 'shop', 'and all is sound');
is($page->step('remap-since', %many), '200|{}', 'the same call finishes');
is(sql($left), '0', 'no line is left on the wrong SKU');
is(sql("SELECT storesync.available('S1'), storesync.available('S3')"), '860|2060', 'all units are where they belong');
Storesync->converged($node, $sim, 'every shop shows what the database wants');
$page->done;
Storesync->sound($node);
$node->stop;

done_testing();
