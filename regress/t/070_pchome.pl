# Two PChome vendors and a Shopee shop share their stock: calls that carry many
# products and are refused whole, orders that are found by their day alone and
# change without a word, a declined line.

use strict;
use warnings;

use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my @pchome = (39001, 39002);
my $shopee = 1003;
my $n_skus = 24;
my @skus = map { "S$_" } 1 .. $n_skus;

# item N of each shop is SKU N; the last two are models of one item
sub place
{
	my ($n) = @_;
	return $n <= $n_skus - 2 ? ($n, 0) : (900, $n - ($n_skus - 2));
}

my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";
$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach @pchome, $shopee;
$catalogue .= "sku\tS$_\t50\n" foreach 1 .. $n_skus;
foreach my $shop (@pchome, $shopee)
{
	$catalogue .= join("\t", 'listing', $shop, "S$_", place($_), 0, 100) . "\n" foreach 1 .. $n_skus;
}

# Calls leave at 20 a second; arrivals may bunch where a process stood still, by as much as Storesync->limited allows for.
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 20, burst => 3);
my $url = $sim->url;
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);

my @sql = (
	'BEGIN',
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee'",
	"UPDATE storesync.platform SET base_url = '$url/vdr' WHERE platform = 'pchome'",
	"SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999')",
	"SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef')",
	"SELECT storesync.add_store('pchome', '39001', 'one', '20/s')",
	"SELECT storesync.add_store('pchome', '39002', 'two', '20/s')",
	"SELECT storesync.add_store('shopee', '$shopee', 'three', '20/s')",
	"SELECT storesync.set_credential(3, 'access_token', 'token-$shopee')",
	"SELECT storesync.set_credential(3, 'refresh_token', 'refresh-$shopee')",
	"UPDATE storesync.store SET poll_interval = '300 milliseconds'");
foreach my $n (1 .. $n_skus)
{
	my ($item, $model) = place($n);
	my $group = sprintf 'SIMA0A-A%08d', $item;
	my $spec = $model == 0 ? '' : sprintf '%03d', $model;

	push @sql, "SELECT storesync.add_sku('S$n'), storesync.receive('S$n', 50, storesync.derive_key(now(), 'opening', 'S$n'))",
	  (map { "SELECT storesync.add_listing($_, 'S$n', '$group', '$spec')" } 1, 2),
	  "SELECT storesync.add_listing(3, 'S$n', '$item', '$model')";
}
$node->safe_psql('shop', join '', map { "$_;\n" } @sql, 'COMMIT');

# differing: listings that show something else than is wanted, one a line
sub differing
{
	my %wanted = map { my @f = split /\|/, $_, -1; ("$f[0]/$f[1]" => $f[2]) } split /\n/, $node->safe_psql('shop', <<'SQL');
SELECT s.shop_id, v.sku, v.wanted FROM storesync.listing_status v
JOIN storesync.listing l USING (listing_id) JOIN storesync.store s ON s.store_id = l.store_id
SQL
	return join "\n", grep { $_ } map {
		my $wanted = $wanted{"$_->{shop_id}/$_->{sku}"} // 'nothing';
		$wanted eq $_->{stock} ? '' : "$_->{shop_id}/$_->{sku} shows $_->{stock}, wanted $wanted"
	} @{ $sim->shown };
}

sub converged
{
	my ($what) = @_;
	my $differing = '';

	Storesync->wait_until(sub { ($differing = differing()) eq '' }, $what);
	return is($differing, '', $what);
}

sub shown
{
	my ($shop, $sku) = @_;
	return (grep { $_->{shop_id} eq $shop && $_->{sku} eq $sku } @{ $sim->shown })[0]{stock};
}

my $http = HTTP::Tiny->new;

# vendor PATH, BODY: a call of a vendor's own staff
sub vendor
{
	my ($path, $body) = @_;
	return $http->request('PUT', "$url/vdr/$path", { content => $body })->{status};
}

sub admin
{
	my ($body) = @_;
	return $http->request('POST', "$url/admin/pchome", { content => $body })->{status};
}

# puts SHOP: stock calls that it had
sub puts
{
	my ($shop) = @_;
	return scalar grep { $_->{path} =~ m{/prod/qty$|update_stock$} } @{ $sim->calls($shop) };
}

converged('every shop comes to show the stock');
cmp_ok(puts(39001), '<=', 12, 'a PChome call carries many products');

# sales on either side
is($sim->order(39001, [ 1, 0, 3 ], { order_sn => '20260101000001' })->{accepted_units}, 3, 'a buyer at PChome');
is($sim->order($shopee, [ 2, 0, 4 ])->{accepted_units}, 4, 'a buyer at Shopee');
is($sim->order(39002, [ 900, 1, 5 ], { order_sn => '20260101000002' })->{accepted_units}, 5, 'a buyer of a spec');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', '3', 'the orders are booked');
converged('the others follow');
is(shown(39002, 'S1'), 47, 'down to what is left');
is($node->safe_psql('shop', q(SELECT l.line_id, l.item_id, l.model_id, l.state FROM storesync.sales_order_line l
	JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = '20260101000002')),
	'01|SIMA0A-A00000900|001|reserved', 'a record is a line of its order');

# a batch with goods that the platform counts itself: refused whole, nobody named
is(admin('{"shop_id":39001,"item_id":5,"consigned":true}'), 200, 'item 5 is consigned');
$node->safe_psql('shop', "SELECT storesync.receive(code, 7, storesync.new_key()) FROM storesync.sku");
Storesync->query_until($node, q(SELECT string_agg(concat_ws(' ', l.store_id, l.item_id, c.class, c.reason), ',')
	FROM storesync.compensation c JOIN storesync.listing l USING (listing_id)), '1 SIMA0A-A00000005 permanent The quantity cannot be changed.', 'one is given up');
Storesync->wait_until(sub { differing() =~ /^39001\/S5 shows [0-9]+, wanted 57$/ }, 'all others are written');
is(differing(), '39001/S5 shows ' . shown(39001, 'S5') . ', wanted 57', 'the rest is not given up with it');
is(admin('{"shop_id":39001,"item_id":5,"consigned":false}'), 200, 'it is not consigned any more');
$node->safe_psql('shop', 'SELECT storesync.requeue(compensation_id) FROM storesync.compensation');
converged('and is written again');

# a quantity that cannot be lowered for a while holds up no other
is(admin('{"shop_id":39002,"item_id":6,"fixed_s":600}'), 200, 'item 6 cannot be lowered');
$node->safe_psql('shop', q(SELECT storesync.reserve(code, 9, storesync.new_key()) FROM storesync.sku
	WHERE code IN ('S6', 'S7', 'S8', 'S9')));
Storesync->wait_until(sub { shown(39002, 'S7') == 48 && shown(39002, 'S8') == 48 && shown(39002, 'S9') == 48 }, 'the others are lowered');
is(shown(39002, 'S6'), 57, 'it is not');
Storesync->query_until($node, "SELECT sku, believed, wanted FROM storesync.listing_status WHERE state = 'put off'", 'S6|57|48', 'listing_status names it');
like($node->safe_psql('shop', "SELECT reason FROM storesync.health() WHERE component LIKE 'listings of store %' AND state = 'degraded'"),
	qr/^1 show more than is wanted since .*: ./, 'health() alerts');
is(admin('{"shop_id":39002,"item_id":6,"fixed_s":0}'), 200, 'item 6 can be lowered again');
converged('later it is');
Storesync->query_until($node, "SELECT count(*) FROM storesync.health() WHERE component LIKE 'listings of%'", 0, 'and nothing is said of it any more');
is($node->safe_psql('shop', "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'"), 0, 'nor in listing_status');

# decreases and raises in one moment: each call is of one kind
$node->safe_psql('shop', q(SELECT storesync.reserve('S10', 5, storesync.new_key()), storesync.receive('S11', 5, storesync.new_key()),
	storesync.reserve('S12', 5, storesync.new_key()), storesync.receive('S13', 5, storesync.new_key())));
converged('both ways');
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL'), 0, 'nothing is given up');

# what happened to an order is seen by reading it again: nothing tells
sub details
{
	return scalar grep { $_->{path} =~ m{^/order/v1/index.php/trans/vendor/} } @{ $sim->calls($_[0]) };
}
sub line
{
	return $node->safe_psql('shop', "SELECT string_agg(concat_ws(' ', l.line_id, l.cancelled_qty, l.state), ',' ORDER BY l.line_id)
		FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = '$_[0]'");
}
$http->request('POST', "$url/admin/order", { content => '{"shop_id":39001,"order_sn":"20260101000003",
	"lines":[{"item_id":14,"qty":4},{"item_id":15,"qty":2},{"item_id":16,"qty":1}]}' });
Storesync->wait_until(sub { line('20260101000003') eq '01 0 reserved,02 0 reserved,03 0 reserved' }, 'an order of three lines');
converged('the others follow again');
$http->request('POST', "$url/admin/order_status", { content => '{"order_sn":"20260101000003","lines":[{"item_id":14,"cancelled_qty":3}]}' });
Storesync->wait_until(sub { line('20260101000003') eq '01 3 reserved,02 0 reserved,03 0 reserved' }, 'units of one line are cancelled');
converged('the units are shown everywhere');
is(shown(39002, 'S14'), 56, 'three of four');
is(vendor('order/v1/index.php/trans/vendor/39001/order/20260101000003-02/shipinfo',
	'{"ShipQty":2,"ShipId":"1","ShipVendorId":"Post"}'), 204, 'a line is shipped');
Storesync->wait_until(sub { line('20260101000003') =~ /02 0 shipped/ }, 'which is seen');

# a declined line: the product shows 0 until it is counted, or a person lets it go
is(vendor('order/v1/index.php/trans/vendor/39001/order/20260101000003-03/isnotship', '1'), 204, 'a line is declined');
Storesync->query_until($node, q(SELECT l.item_id, l.held FROM storesync.listing l WHERE l.held IS NOT NULL),
	'SIMA0A-A00000016|declined order 20260101000003', 'its listing is held');
Storesync->wait_until(sub { line('20260101000003') =~ /03 1 cancelled/ }, 'the line is cancelled');
converged('it is left at 0, the others have the unit back');
is(shown(39001, 'S16') . ' ' . shown(39002, 'S16'), '0 57', 'really');
is($node->safe_psql('shop', "SELECT outcome FROM storesync.adjust('S16', 56, storesync.new_key())"), 'applied', 'it is counted');
converged('it is shown again');
my $read = details(39001);
Storesync->wait_until(sub { details(39001) > $read + 2 }, 'the order is read again and again');
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.listing WHERE held IS NOT NULL'), 0, 'an old decline holds nothing');

is($sim->counters->{oversold_units}, 0, 'nothing was oversold');

# faults in reading and writing, while both sell and goods come in
Storesync->under_faults(
	$sim, 39001,
	sub {
		$node->safe_psql('shop', q(SELECT storesync.receive(code, 1, storesync.new_key()) FROM storesync.sku WHERE code IN ('S17', 'S18', 'S19')));
		$sim->order(39001, [ 17, 0, 2 ], [ 18, 0, 1 ]);
		$sim->order($shopee, [ 19, 0, 1 ], [ 17, 0, 1 ]);
	});
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $sim->counters->{orders}, 'every order is booked, and once');
converged('and every shop shows what is left');
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL'), 0, 'nothing is given up');

is($sim->counters->{refused_limit}, 0, 'no call was refused for the limit');

# compensate() reads 20 products by a call, and all specs of a group
sub reads { return $node->safe_psql('shop', "SELECT count(*), coalesce(sum(items), 0) FROM storesync.call_log WHERE store_id = 1 AND call IN ('get_items', 'get_models')"); }
# A write whose answer was lost is in doubt though the shop shows what is wanted, and is read back, after a pause where
# reads failed as well; one that went well after it is read, too, which a dispatcher that begins anew knows nothing of.
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", 0, 'nothing is under way or in doubt');
my $pid = Storesync->dispatcher($node);
$node->safe_psql('shop', "SELECT pg_terminate_backend($pid)");
Storesync->query_until($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher' AND pid <> $pid", 1,
	'another dispatcher');
my ($calls, $products) = split /\|/, reads();
$sim->set_stock(39001, 5, 0, $sim->stock(39001, 5, 0) + 2);
$node->safe_psql('shop', "SET client_min_messages = warning; SET statement_timeout = '80s'; CALL storesync.compensate(ARRAY[1])");
is($node->safe_psql('shop', 'SELECT listings, compared, differing, corrected FROM storesync.certificate'), "$n_skus|$n_skus|1|1", 'what somebody wrote into the shop is found');
converged('and corrected');
my ($calls_now, $products_now) = split /\|/, reads();
is($calls_now - $calls . ' ' . ($products_now - $products), "3 $n_skus", 'by three calls');

# its list of returns says what is to come back, and moves nothing
$http->request('POST', "$url/admin/order_status", { content => '{"order_sn":"20260101000003","status":"TO_RETURN"}' });
Storesync->wait_until(sub { line('20260101000003') eq '01 3 shipped,02 0 shipped,03 1 cancelled' }, 'all that is left of the order is with its buyer');
is($node->safe_psql('shop', "SELECT sum(restocked) FROM storesync.sales_order_line"), 0, 'who wants to return it');
$node->safe_psql('shop', "UPDATE storesync.platform SET returns_interval = '1 second' WHERE platform = 'pchome'");
Storesync->query_until($node, q(SELECT string_agg(concat_ws(' ', order_sn, line_id, units, cause), ',' ORDER BY line_id) FROM storesync.returns_due),
	'20260101000003 01 1 return requested,20260101000003 02 2 return requested', 'what is to come back is due');
is($node->safe_psql('shop', "SELECT sum(restocked) FROM storesync.sales_order_line"), 0, 'and has not come back');
Storesync->sound($node);

done_testing();
