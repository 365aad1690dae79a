# A shop is brought in: its catalogue is read, over a kill of the dispatcher too; matched, corrected
# and accepted without a write; counted; previewed; and goes live with exactly the numbers of the
# preview, without one wrong write and without deducting history. Then promotions lock units.

use strict;
use warnings;
use utf8;

use Encode qw(encode);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

# Shop 1: 240 plain items, an item of six models, and what goes
# wrong in real shops. Shop 2 shares SKUs with it; shops 3 and 39001 speak as Ruten and PChome do.
my $plain = 240;
my @records = ("app\t2009999\tdemoPartnerKey0123456789abcdef", "shop\t1\ttoken-1\trefresh-1", map { "shop\t$_\ttoken-$_\trefresh-$_" } 2, 3, 39001);
sub listing_of
{
	my ($shop, $sku, $item, $model, $shown, $code, $name, $state) = @_;
	push @records, join "\t", 'listing', $shop, $sku, $item, $model, $shown, 100, $code // '', $name // '', $state // '';
	return;
}
push @records, "sku\t$_\t1000" foreach map({ "C$_" } 1 .. $plain), map({ "M$_" } 1 .. 6), '44', 'DUP', 'OLD', 'KIT', 'HIDDEN', 'TWIN';
listing_of(1, "C$_", 1000 + $_, 0, 500, "C$_", $_ % 2 ? "高山烏龍茶 $_ 號" : "Cup $_") foreach 1 .. $plain;
listing_of(1, "M$_", 3000, $_, 500, "M$_", '「T恤」長袖') foreach 1 .. 6;
listing_of(1, '44', 3100, 0, 500, ' /44', 'a code with a slash');
listing_of(1, 'DUP', 3200 + $_, 0, 500, 'DUP', 'one of two') foreach 1, 2;
listing_of(1, 'OLD', 3300, 0, 500, 'OLD', 'banned', 'banned');
listing_of(1, 'HIDDEN', 3301, 0, 500, 'hidden', 'taken down by the seller', 'unlisted');
listing_of(1, 'KIT', 3302, 0, 500, 'KIT', 'a kit', 'kit');
listing_of(1, 'TWIN', 3303, 0, 500, 'NO-SUCH', 'nobody knows its code');
listing_of(2, "C$_", 5000 + $_, 0, 500, "C$_") foreach 1 .. 3;
foreach my $other ([ 3, 22500000000000, 252500000000010 ], [ 39001, 0, 0 ])
{
	my ($shop, $item, $model) = @$other;

	listing_of($shop, "C$_", $item + $_, 0, 500) foreach 1, 2;
	listing_of($shop, "M$_", $item + 900, $model + $_, 500) foreach 1, 2;
}
my $found = $plain + 6 + 7;

my $sim = Storesync->simulator(catalogue => encode('UTF-8', join("\n", @records, '')), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $url = $sim->url;
sub sql { return $node->safe_psql('shop', $_[0]); }
sub counts { return sql("SELECT verdict, count(*) FROM storesync.match_listings(1) GROUP BY verdict ORDER BY verdict"); }
sub task { return sql("SELECT storesync.enqueue($_[0], '$_[1]', '$_[2]')"); }
sub path_calls { my ($shop, $path) = @_; return scalar grep { $_->{path} =~ /$path/ } @{ $sim->calls($shop) }; }

# The shop sold before we came: one order that left the shelf, one that is still to be sent.
$sim->order(1, [ 1001, 0, 7 ], { order_sn => 'PAST', status => 'READY_TO_SHIP' });
$sim->order_status('PAST', 'SHIPPED');
$sim->order(1, [ 1002, 0, 3 ], { order_sn => 'OPEN', status => 'READY_TO_SHIP' });

sql(<<"SQL");
BEGIN;
UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee';
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef');
SELECT storesync.add_store('shopee', n::text, 'shop ' || n, '40/s burst 5') FROM generate_series(1, 2) n;
SELECT storesync.set_credential(n, 'access_token', 'token-' || n), storesync.set_credential(n, 'refresh_token', 'refresh-' || n) FROM generate_series(1, 2) n;
UPDATE storesync.store SET mode = 'shadow', poll_interval = '1 hour', rate_limit = '1/s';
COMMIT;
SELECT count(storesync.add_sku(c)) FROM (SELECT 'C' || n FROM generate_series(1, $plain) n UNION ALL SELECT 'M' || n FROM generate_series(1, 6) n
	UNION ALL SELECT unnest(ARRAY['44', 'DUP', 'OLD', 'KIT', 'HIDDEN', 'TWIN'])) x(c);
SQL

# Reading the catalogue, slowly, with the dispatcher killed on the way.
my $task = task(1, 'fetch_listings', '{}');
Storesync->wait_until(sub { sql("SELECT count(*) > 0 FROM storesync.listing_walk WHERE cursor <> ''") eq 't' }, 'the second page is read');
is(sql('SELECT count(*) FROM storesync.listing_found'), '0', 'nothing of a reading is seen before it is complete');
my $lists = path_calls(1, 'get_item_list');
Storesync->crash($node, Storesync->dispatcher($node));
sql("UPDATE storesync.store SET rate_limit = '40/s burst 5', poll_interval = '300 ms'");
Storesync->query_until($node, "SELECT state, detail FROM storesync.task_state($task)", "done|$found listings found",
	'the whole catalogue is read, over a crash');
cmp_ok(path_calls(1, 'get_item_list'), '<=', 6, 'and was gone on with where it was left');
cmp_ok($lists, '>=', 2, 'behind the first page');
is(sql("SELECT count(*), count(DISTINCT (item_id, model_id)), count(*) FILTER (WHERE NOT listed), count(*) FILTER (WHERE ended), count(*) FILTER (WHERE NOT writable) FROM storesync.listing_found"),
	"$found|$found|2|1|1", 'each listing once, with its state');
is(sql("SELECT name, seller_code, quantity, price FROM storesync.listing_found WHERE item_id = '1003'"),
	encode('UTF-8', '高山烏龍茶 3 號|C3|500|100'), 'names in Chinese come out right');
is(sql("SELECT name, seller_code FROM storesync.listing_found WHERE item_id = '3000' AND model_id = '4'"),
	encode('UTF-8', '「T恤」長袖|M4'), 'models have the name of their item');

# Matching changes nothing.
is(counts(), join("\n", 'ambiguous|2', 'ended|1', 'matched|' . ($plain + 8), 'not writable|1', 'unknown sku|1'), 'verdicts');
is(sql("SELECT sku, detail FROM storesync.match_listings(1) WHERE item_id = '3100'"), '44|the codes differ in punctuation, spaces or capitals', '/44 is 44');
is(sql('SELECT count(*) FROM storesync.listing'), '0', 'nothing is changed by matching');
# An operator says what it is; one that is wrong is said to be.
sql("UPDATE storesync.listing_found SET sku = 'TWIN' WHERE item_id = '3303'; UPDATE storesync.listing_found SET sku = 'DUP', pack = 2 WHERE item_id = '3202'");
is(sql("SELECT item_id, verdict, sku, pack, detail FROM storesync.match_listings(1) WHERE item_id IN ('3201', '3202', '3303') ORDER BY 1"),
	join("\n", '3201|ambiguous||1|2 listings of the shop would be SKU DUP: say of each which it is', '3202|matched|DUP|2|the SKU was given', '3303|matched|TWIN|1|the SKU was given'), 'a correction settles it');
my $made = $plain + 6 + 2 + 2;
is(sql('SELECT storesync.accept_matches(1)'), $made, 'what is matched becomes a listing');
is(sql('SELECT storesync.accept_matches(1)'), '0', 'once');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'add' AND subject LIKE 'listing %'"), $made, 'with an audit row each');
is(sql("SELECT pack, price, listed FROM storesync.listing WHERE item_id = '3202'"), '2|100|t', 'as found');

# The next reading keeps what the operator said.
$task = task(1, 'fetch_listings', '{}');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'read again');
is(sql("SELECT sku, pack FROM storesync.listing_found WHERE item_id IN ('3201', '3202') ORDER BY item_id"), "|1\nDUP|2", 'corrections are kept');
is(sql("SELECT count(*) FROM storesync.listing_found"), $found, 'and one reading is seen');

# Not before everything is counted.
my ($status, $out, $err) = $node->psql('shop', '\set VERBOSITY verbose' . "\nSELECT storesync.go_live(1)");
like($err, qr/SS206: store 1 is not ready to go live: $made listings/, 'a store whose SKUs were never counted does not go live');
is(sql("SELECT count(*), count(DISTINCT reason) FROM storesync.go_live_missing(1)"), $made . '|' . $made, 'and what is missing is named');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', '2', 'the orders of before are fetched');
# The count of the shelf: what is to be sent still lies there.
sql("SELECT count(storesync.adjust(code, 100 + sku_id % 50, storesync.new_key())) FROM storesync.sku");
is(sql('SELECT count(*) FROM storesync.go_live_missing(1)'), '0', 'now nothing is missing');
is(sql("SELECT order_sn, line_id IS NOT NULL, l.reserved, l.shipped, l.short FROM storesync.sales_order_line l JOIN storesync.sales_order USING (order_id) ORDER BY 1"),
	"OPEN|t|3|0|0\nPAST|t|0|0|0", 'an open order holds its units, one that has left takes none');
is(sql("SELECT order_sn FROM storesync.sales_order_line JOIN storesync.sales_order USING (order_id) WHERE state = 'kept'"), 'PAST', 'it is kept');
is(path_calls(1, 'update_stock'), 0, 'nothing was written in shadow');

# The preview, and what is written.
my $preview = sql("SELECT string_agg(concat(item_id, '/', model_id, ' ', wanted), E'\\n' ORDER BY item_id, model_id) FROM storesync.preview(1)");
is(sql('SELECT mode FROM storesync.store WHERE store_id = 1'), 'shadow', 'a preview changes nothing');
is(scalar(split /\n/, $preview), $made, 'all of them are to be written');
is(sql('SELECT storesync.go_live(1)'), $made, 'the store goes live');
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE store_id = 1 AND state <> 'ok'", '0', 'and all is shown');
is(sql(<<'SQL'), $preview, 'exactly the numbers of the preview were written');
SELECT string_agg(concat(l.item_id, '/', l.model_id, ' ', p.qty), E'\n' ORDER BY l.item_id, l.model_id)
FROM storesync.push p JOIN storesync.listing l USING (listing_id) WHERE p.store_id = 1 AND p.class = 'ok'
SQL
is(sql("SELECT count(*) FROM storesync.breaker_status"), '0', 'which passed the mass-change breaker');
is(sql("SELECT state FROM storesync.health() WHERE component = 'store 1'"), '', 'the store is live');
is($sim->stock(1, $_), 500, "item $_ was not touched") foreach 3201, 3300, 3302;
is(sql('SELECT stock_from > now() - interval \'10 min\' FROM storesync.store WHERE store_id = 1'), 't', 'orders of before are old from now on');
is(sql("SELECT available FROM storesync.listing_target WHERE item_id = '1001'"), sql("SELECT 100 + sku_id % 50 FROM storesync.sku WHERE code = 'C1'"),
	'history was not deducted');

# A promotion locks units: the other shop must not sell them.
sql("SELECT storesync.enqueue(2, 'fetch_listings', '{}')");
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_found WHERE store_id = 2', '3', 'the second shop is read');
sql('SELECT storesync.accept_matches(2), storesync.go_live(2)');
sql('SELECT storesync.go_live(2)') if sql('SELECT mode FROM storesync.store WHERE store_id = 2') ne 'live';
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", '0', 'and is live');
my $here = sql("SELECT listing_id FROM storesync.listing WHERE item_id = '1003'");
my $stock = $sim->stock(2, 5003);
$sim->post('promotion', { shop_id => '1', item_id => '1003', model_id => '0', reserved => 40 });
sql("SELECT storesync.enqueue(1, 'read_back', '{\"listing\": $here}')");
Storesync->wait_until(sub { $sim->stock(2, 5003) == $stock - 40 }, 'what a promotion locks is not shown elsewhere');
is(sql('SELECT item_id, reserved, remaining, state FROM storesync.listing_locked'), '1003|40|40|covered', 'an allotment made itself');
# Orders use it up, the next reading of the catalogue corrects it, and it ends with the promotion.
$sim->order(1, [ 1003, 0, 5 ], { status => 'READY_TO_SHIP' });
Storesync->query_until($node, 'SELECT remaining FROM storesync.listing_locked', '35', 'its own orders use it');
is($sim->stock(1, 1003), $stock - 5, 'the promotion sells');
# A quantity below what is locked is refused, and waits.
sql("SELECT storesync.adjust('C3', 20, storesync.new_key())");
Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.push WHERE listing_id = $here AND class = 'later'", 't', 'less than what is locked is refused');
is(sql("SELECT state FROM storesync.listing_locked"), 'not covered', 'people are told');
like(sql("SELECT reason FROM storesync.health() WHERE component = 'allotments of C3'"), qr/units are set aside/, 'by health(), too');
$sim->post('promotion', { shop_id => '1', item_id => '1003', model_id => '0', reserved => 0 });
$task = task(1, 'fetch_listings', '{}');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'the catalogue is read again');
is(sql('SELECT count(*) FROM storesync.listing_locked'), '0', 'the allotment ended itself');
Storesync->wait_until(sub { $sim->stock(1, 1003) == 15 && $sim->stock(2, 5003) == 15 }, 'and both show what is left');

# Ruten and PChome tell the same in other words.
sql(<<"SQL");
BEGIN;
UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'ruten';
UPDATE storesync.platform SET base_url = '$url/vdr' WHERE platform = 'pchome';
SELECT storesync.add_store('ruten', 'teashop', 'ruten', '40/s burst 5') AS ruten, storesync.add_store('pchome', '39001', 'pchome', '40/s burst 5') \\gset
SELECT storesync.set_credential(:ruten, 'api_key', 'token-3'), storesync.set_credential(:ruten, 'secret_key', 'refresh-3'),
	storesync.set_credential(:ruten, 'salt_key', 'demoPartnerKey0123456789abcdef');
UPDATE storesync.store SET mode = 'shadow' WHERE store_id > 2;
COMMIT;
SQL
sql("SELECT storesync.enqueue(store_id, 'fetch_listings', '{}') FROM storesync.store WHERE store_id > 2");
Storesync->query_until($node, 'SELECT platform, count(*), count(quantity) FROM storesync.listing_found JOIN storesync.store USING (store_id) WHERE store_id > 2 GROUP BY 1 ORDER BY 1',
	"pchome|4|4\nruten|4|4", 'both catalogues are read');
is(sql(<<'SQL'), join("\n", 'pchome|C1, C2, M1, M2', 'ruten|C1, C2, M1, M2'), 'and matched by their codes');
SELECT s.platform, string_agg(m.sku, ', ' ORDER BY m.sku) FROM storesync.store s, storesync.match_listings(s.store_id) m
WHERE s.store_id > 2 AND m.verdict = 'matched' GROUP BY 1 ORDER BY 1
SQL
is(sql('SELECT storesync.accept_matches(store_id) FROM storesync.store WHERE store_id > 2'), "4\n4", 'they are accepted');
Storesync->sound($node);
done_testing();
