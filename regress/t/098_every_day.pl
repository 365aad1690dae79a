# Every day: a group of shops is brought into each state that people have to settle. For each kind of the work list
# its row is there, the call that it has is run as it stands there, by an operator, and the row goes and does not come
# again; a kind without such a case fails the test. Then the page and the summary, by a reporter on a standby too.

use strict;
use warnings;
use utf8;

use Encode qw(decode_utf8 encode_utf8);
use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

# SKU n is item n of each shop; shop 1003 sells what the books do not know, 39001 is a vendor of PChome.
my %sells = (1001 => [ 1 .. 12 ], 1002 => [ 1 .. 12 ], 1003 => [2], 39001 => [ 10, 11 ]);
my %store = (1001 => 1, 1002 => 2, 1003 => 3, 39001 => 4);
my @shops = sort { $store{$a} <=> $store{$b} } keys %store;
my $sim = Storesync->simulator(
	catalogue => "app\t2009999\tdemoPartnerKey0123456789abcdef\n"
	  . join('', map { "shop\t$_\ttoken-$_\trefresh-$_\n" } @shops)
	  . join('', map { "sku\tS$_\t50\n" } 1 .. 12)
	  . join('', map { my $shop = $_; map { "listing\t$shop\tS$_\t$_\t0\t50\t100\n" } @{ $sells{$shop} } } @shops),
	rate => 0);
my $node = Storesync->cluster('main', -streaming => 1, 'storesync.clock_doubt' => '10ms');
my $url = $sim->url;
my $http = HTTP::Tiny->new(no_proxy => ['127.0.0.1']);

sub sql { return $node->safe_psql('shop', encode_utf8($_[0])); }

sql(join '', map { "$_;\n" } 'BEGIN',
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee'",
	"UPDATE storesync.platform SET base_url = '$url/vdr' WHERE platform = 'pchome'",
	"SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999')",
	"SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef')",
	(map { "SELECT storesync.add_store('" . ($_ > 9999 ? 'pchome' : 'shopee') . "', '$_', '商店 $_', '60/s burst 20')" } @shops),
	(map { my $shop = $_; map { "SELECT storesync.set_credential($store{$shop}, '${_}_token', '" . ($_ eq 'access' ? 'token' : $_) . "-$shop')" } 'access', 'refresh' } 1001, 1002),
	"UPDATE storesync.store SET poll_interval = '300 milliseconds', poll_spread = 1",
	(map { "SELECT storesync.add_sku('S$_'), storesync.receive('S$_', 50, storesync.derive_key(now(), 'opening', 'S$_'))" } 1 .. 12),
	(map { my $shop = $_; map { "SELECT storesync.add_listing($store{$shop}, 'S$_', '" . ($shop > 9999 ? sprintf('SIMA0A-A%08d', $_) : $_) . "')" } @{ $sells{$shop} } } 1001, 1002, 39001),
	'INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)'
	  . " SELECT listing_id, 50, 0, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour' FROM storesync.listing",
	'COMMIT');
my $page = Storesync::Runbook->open($node, 'shop', 'every-day');
sub listing { return sql("SELECT listing_id FROM storesync.listing WHERE store_id = $store{$_[0]} AND sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'S$_[1]')"); }

my %settled;
sub rows { my ($kind) = @_; return "SELECT count(*) FROM storesync.work_list WHERE kind = '$kind'"; }

# settle KIND, CODE: waits for the one row of the kind; its call is run by an operator, or, where it is a person's,
# what it says is done by CODE; then the row is waited out
sub settle
{
	my ($kind, $by_hand) = @_;
	my ($out, $error) = ('', '');

	Storesync->query_until($node, rows($kind), '1', "$kind: it is on the list") or return;
	my $call = sql("SELECT call FROM storesync.work_list WHERE kind = '$kind'");
	if ($by_hand)
	{
		like($call, qr/^-- [^\n]+$/, "$kind: a person has to do it");
		$by_hand->($call);
	}
	else
	{
		my $status = $node->psql('shop', $call, stdout => \$out, stderr => \$error, extra_params => [ '-U', 'runbook_operator' ]);
		is($status, 0, "$kind: $call") or diag($error);
	}
	$settled{$kind} = Storesync->query_until($node, rows($kind), '0', "$kind: it is settled");
	return;
}

# books what the test is about, by what a person would do
sub operator
{
	my ($sql) = @_;
	return is($node->psql('shop', $sql, extra_params => [ '-U', 'runbook_operator' ]), 0, $sql);
}

# ---------------------------------------------------------------- stores

settle('credential', sub {
	like($_[0], qr/set_credential\(3, 'access_token'.*set_credential\(3, 'refresh_token'/, 'it names what lacks');
	operator("SELECT storesync.set_credential(3, 'access_token', 'token-1003'), storesync.set_credential(3, 'refresh_token', 'refresh-1003')");
});
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', '4', 'orders are fetched from all');
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", '0', 'every shop shows what it should');
is(sql('SELECT kind, subject FROM storesync.work_list'), '', 'nothing waits for people at first');

sql("UPDATE storesync.credential SET set_at = now() - interval '26 days' WHERE store_id = 2 AND name = 'refresh_token'");
settle('token');
sql('SELECT storesync.pause(2)');
settle('store');

# ---------------------------------------------------------------- orders

$sim->order(1003, [ 2, 0, 1 ]);
settle('parked');
is(sql("SELECT k.code FROM storesync.listing l JOIN storesync.sku k USING (sku_id) WHERE l.store_id = 3"), 'S2', 'by the code that the order names');

$sim->set_stock(1001, 1, 0, 80);
$sim->order(1001, [ 1, 0, 60 ]);
settle('short');

$sim->order(1001, [ 3, 0, 2 ], { order_sn => 'BACK1' });
my $status = "SELECT l.state FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'BACK1'";
Storesync->query_until($node, $status, 'reserved', 'an order is booked');
$sim->order_status('BACK1', 'SHIPPED');
Storesync->query_until($node, $status, 'shipped', 'and sent');
$sim->order_status('BACK1', 'CANCELLED');
settle('return');
is(sql("SELECT storesync.available('S3')"), '50', 'the goods are on the shelf again');

# ---------------------------------------------------------------- listings

is($http->post("$url/admin/order", { content => '{"shop_id":39001,"order_sn":"20260101000001","lines":[{"item_id":10,"qty":1}]}' })->{status}, 200, 'an order at PChome');
Storesync->query_until($node, "SELECT count(*) FROM storesync.sales_order WHERE order_sn = '20260101000001'", '1', 'is booked');
is($http->put("$url/vdr/order/v1/index.php/trans/vendor/39001/order/20260101000001-01/isnotship", { content => '1' })->{status}, 204, 'its line is declined');
settle('held');

sub fixed { return $http->post("$url/admin/pchome", { content => "{\"shop_id\":39001,\"item_id\":11,\"fixed_s\":$_[0]}" })->{status}; }
is(fixed(600), 200, 'an item cannot be lowered');
sql("SELECT storesync.reserve('S11', 9, storesync.new_key())");
settle('put off', sub { is(fixed(0), 200, 'its promotion is ended'); });

sql("SELECT storesync.stop_selling(sku => 'S12', reason => 'a test')");
settle('stopped');

sql('UPDATE storesync.store SET breaker_least = 3 WHERE store_id = 2');
sql("UPDATE storesync.listing SET cap = 30 WHERE store_id = 2");
settle('breaker');
sql('UPDATE storesync.store SET breaker_least = 50 WHERE store_id = 2');

sub consigned { return $http->post("$url/admin/pchome", { content => "{\"shop_id\":39001,\"item_id\":10,\"consigned\":$_[0]}" })->{status}; }
is(consigned('true'), 200, 'an item that the platform counts itself');
sql("SELECT storesync.reserve('S10', 3, storesync.new_key())");
Storesync->query_until($node, rows('dead'), '1', 'a write is refused for good');
is(consigned('false'), 200, 'the cause is mended');
settle('dead');

# the answer is lost, and so are those of the readings that ask what came of it; nobody else's of that shop
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", '0', 'nothing else is under way');
$sim->faults(cut_after => 1, path => '/product/', shop_id => 1001);
sql("SELECT storesync.receive('S6', 10, storesync.new_key())");
Storesync->query_until($node, rows('in doubt'), '1', 'a raise has no answer');
my $ask = sql("SELECT call FROM storesync.work_list WHERE kind = 'in doubt'");
operator($ask);
$sim->faults;
$settled{'in doubt'} = Storesync->query_until($node, rows('in doubt'), '0', 'in doubt: it is settled');

my $priced = listing(1001, 9);
sql("UPDATE storesync.listing SET price = 100, price_floor = 120 WHERE listing_id = $priced");
settle('price');

# ---------------------------------------------------------------- set aside

my $kept = listing(1001, 4);
sql("SELECT storesync.allot($kept, 20, storesync.new_key(), now() + interval '1 day')");
sql("SELECT storesync.adjust('S4', 5, storesync.new_key())");
settle('allotment');
is(sql("SELECT units, until IS NOT NULL FROM storesync.allotment WHERE listing_id = $kept"), '5|t', 'what is there is set aside, as long as it was');

$sim->post('promotion', { shop_id => '1001', item_id => '5', model_id => '0', reserved => 8 });
sql("SELECT storesync.enqueue(1, 'read_back', '{\"listing\": " . listing(1001, 5) . "}')");
Storesync->query_until($node, 'SELECT reserved, state FROM storesync.listing_locked', '8|covered', 'a promotion locks units');
is(sql(rows('locked')), '0', 'which waits for nobody while they are there');
sql("SELECT storesync.adjust('S5', 2, storesync.new_key())");
settle('locked', sub { operator("SELECT storesync.adjust('S5', 50, storesync.new_key())"); });

# ---------------------------------------------------------------- what the shops show

sql("UPDATE storesync.listing SET created_at = now() - interval '2 days' WHERE store_id = 2");
settle('unverified');

Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", '0', 'every shop shows what it should');
$sim->set_stock(1001, 8, 0, 150);
sql(<<'SQL');
BEGIN;
SELECT storesync.add_listing(1, 'S12', '777') AS gone \gset
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
SELECT t.listing_id, t.wanted, t.version, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour'
FROM storesync.listing_target t WHERE t.listing_id = :gone;
COMMIT;
SQL
is($node->psql('shop', 'CALL storesync.compensate(ARRAY[1])'), 0, 'the first shop is compared');
settle('drift');
settle('unread');

# ---------------------------------------------------------------- all kinds, for good

is(join(', ', grep { !$settled{$_} } split /\n/, sql('SELECT kind FROM storesync.work_kind ORDER BY place')), '', 'every kind was settled');
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state NOT IN ('ok', 'disabled')", '0', 'every shop shows what it should');
is(sql('SELECT kind, subject, what FROM storesync.work_list'), '', 'nothing of it has come again');

# ---------------------------------------------------------------- the summary, and the page

# report ON, VARIABLE => VALUE...: what reports/today.sql prints for a reporter
sub report
{
	my ($on, %value) = @_;
	my ($out, $error) = ('', '');
	my $status = $on->psql('shop', '\i reports/today.sql', stdout => \$out, stderr => \$error,
		extra_params => [ '-U', 'clerk', map { ('-v', "$_=$value{$_}") } sort keys %value ]);
	is($status, 0, 'the summary is printed') or diag($error);
	return decode_utf8($out);
}
sql("CREATE ROLE clerk LOGIN; SELECT storesync.grant_role('clerk', 'reporter')");
like(report($node, part => 'work'), qr/^Nothing waits for people$/m, 'nothing to do is one line');
like(report($node, part => 'stores'), qr/商店 1001/, 'stores have their names');

$sim->order(1003, [ 2, 0, 1 ]);
$http->post("$url/admin/order", { content => '{"shop_id":1002,"lines":[{"item_id":12,"qty":1}]}' });
sql("SELECT storesync.stop_selling(3, reason => '臺風 \"x\"')");
my $said = report($node);
like($said, qr/^stopped: 1, .*\n  store 3: 臺風 "x" .*\n    SELECT storesync\.start_selling\(store => 3\);$/m, 'a row has its call below it');
cmp_ok(scalar(split /\n/, $said), '<=', 45, 'a screen');
is(join("\n", grep { length > 100 && !/^    / } split /\n/, report($node, part => 'work')), '', 'of a hundred columns, but for calls');
like(report($node, part => 'work', format => 'csv'), qr/^kind,store_id,subject,since,what,call\nstopped,3,store 3,/m, 'as CSV');
is(report($node, part => 'work', store => 1) =~ /Nothing waits/ ? 1 : 0, 1, 'another store has nothing');

my $backup = $node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(report($standby), qr/on a standby.*^stopped: 1, /ms, 'a standby says the same');
is($standby->safe_psql('shop', "SELECT count(*) FROM storesync.work(10)", extra_params => [ '-U', 'clerk' ]), '1', 'a reporter asks it there');
$standby->stop;

is($page->step('health') =~ /down/ ? 1 : 0, 0, 'nothing is down');
like($page->step('kinds'), qr/^stopped\|1\|/m, 'the kinds');
like($page->step('look', kind => 'stopped'), qr/start_selling\(store => 3\)/, 'its rows');
like($page->step('store', store => 3), qr/^stopped\|store 3/, 'of one store');
$page->step('settle', kind => 'stopped');
is($page->step('again', kind => 'stopped'), '0', 'settled');
like($page->step('changes'), qr/^stop selling\|/m, 'who changed what');
$page->done;
Storesync->sound($node);

done_testing();
