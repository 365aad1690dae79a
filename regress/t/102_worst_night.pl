# The worst night, by the runbook, as an operator: a SKU stopped in every shop while each has a full queue; a shop whose
# owner takes his consent back; the application's key wrong; a platform that refuses connections, answers with errors, and
# not at all. The others go on, nothing is lost, and nothing is done twice.

use strict;
use warnings;

use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Storesync::Runbook;
use Test::More;

my ($skus, $units, $rate) = (30, 500, 10);
my $ruten = 22500000000000;    # its items are this and the SKU's number

# Three shops at Shopee and one at Ruten sell the same.
my $catalogue = Storesync->catalogue(shops => 3, skus => $skus, units => $units) . "shop\t1004\tdemo-api-key\tdemo-secret-key\n"
  . join('', map { join("\t", 'listing', 1004, "S$_", $ruten + $_, 0, $units, 100) . "\n" } 1 .. $skus);
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $secrets = PostgreSQL::Test::Utils::tempdir_short();
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms',
	'storesync.secret_directory' => $secrets);
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1, without => 1004);

sub sql { return $node->safe_psql('shop', $_[0]); }
sub secret { my ($name, $value) = @_; unlink "$secrets/$name"; append_to_file("$secrets/$name", $value); return "file:$name"; }
sub until_is { my ($sql, $answer, $what) = @_; return ok(Storesync->query_until($node, $sql, $answer, $what), $what); }

# units shown of a SKU by the four shops
sub shown { my ($n) = @_; return join ' ', (map { $sim->stock($_, $n) } 1001 .. 1003), $sim->stock(1004, $ruten + $n); }

# shows SKU, UNITS, WHAT: a test that the four shops come to show so many
sub shows
{
	my ($n, $each, $what) = @_;
	Storesync->wait_until(sub { shown($n) eq "$each $each $each $each" }, $what);
	return is(shown($n), "$each $each $each $each", $what);
}

my ($way, $url) = ($proxy->url, $sim->url);
my $four = sql(<<"SQL");
UPDATE storesync.platform SET base_url = '$way' WHERE platform = 'shopee';
UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'ruten';
SELECT storesync.add_store('ruten', '1004', 'shop 1004', '$rate/s') AS four \\gset
SELECT storesync.set_credential(:four, 'api_key', 'demo-api-key') AS a, storesync.set_credential(:four, 'secret_key', 'demo-secret-key') AS b,
	storesync.set_credential(:four, 'salt_key', 'testPartnerKey0123456789') AS c \\gset
SELECT count(storesync.add_listing(:four, 'S' || n, ($ruten + n)::text)) AS d FROM generate_series(1, $skus) n \\gset
INSERT INTO storesync.listing_shown SELECT listing_id, $units, 0, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour'
FROM storesync.listing WHERE store_id = :four;
UPDATE storesync.store SET poll_interval = '500 ms', poll_spread = 1;
UPDATE storesync.sku SET solo_below = 0;
SELECT :four;
SQL
my ($one, $two) = @$store{ 1001, 1002 };
until_is('SELECT count(*) FROM storesync.order_cursor', 4, 'orders of all shops are fetched');

# ---------------------------------------------------------------- a SKU is stopped everywhere

my $page = Storesync::Runbook->open($node, 'shop', 'stop-a-sku');
$sim->order(1001, [ 21, 0, 2 ], { order_sn => 'BEFORE' });
until_is("SELECT count(*) FROM storesync.sales_order WHERE order_sn = 'BEFORE'", 1, 'a buyer was quicker');

# Every store has more to do than its limit allows, and no call for some seconds; meanwhile four SKUs are stopped.
sql(<<"SQL");
SELECT count(storesync.rate_hold(store_id, '5 seconds')) FROM storesync.store;
SELECT count(storesync.reserve('S' || n, 20, storesync.new_key())) FROM generate_series(11, $skus) n;
SELECT count(storesync.receive('S' || n, 20, storesync.new_key())) FROM generate_series(1, 10) n;
SELECT count(storesync.enqueue(store_id, 'read_back', jsonb_build_object('listing', listing_id))) FROM storesync.listing WHERE item_id ~ '[1-5]\$';
SQL
sql("SELECT storesync.stop_selling(sku => 'S' || n) FROM unnest('{2, 3, 22}'::int[]) n");
is($page->step('stop', sku => 'S21', reason => 'recalled'), '4', 'a SKU is stopped in four shops');
my $from = sql('SELECT clock_timestamp()');
until_is("SELECT count(DISTINCT listing_id) FROM storesync.push WHERE qty = 0 AND class = 'ok'", 16, 'and three others');
is(sql(<<"SQL"), '', 'zeros have left before all else');
SELECT z.store_id, x.other, x.orders
FROM (SELECT store_id, max(sent_at) AS last FROM storesync.push WHERE qty = 0 GROUP BY store_id) z
CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM storesync.push p WHERE p.store_id = z.store_id AND p.qty <> 0 AND p.sent_at > '$from' AND p.sent_at < z.last)
		+ count(*) FILTER (WHERE c.call !~ 'orders') AS other, count(*) FILTER (WHERE c.call ~ 'orders') AS orders
	FROM storesync.call_log c
	WHERE c.store_id = z.store_id AND c.call <> 'push_stock' AND c.at - c.total_us * interval '1 us' BETWEEN '$from' AND z.last) x
-- one may have been on its way already
WHERE x.other > 1 OR x.orders > 3
SQL
sql('SELECT storesync.rate_forget()');    # they count as throttled, and slow, otherwise
is($page->step('gone', sku => 'S21'), '4|0', 'no shop shows it');
is($page->step('still'), '', 'nor any other that is stopped');
like($page->step('ordered', sku => 'S21'), qr/^shop 1001\|BEFORE\|[^|]+\|S21\|2\|[^\n]+$/, 'who has ordered it before');

# It stays so, while the others are sold, and what comes in is not shown.
$sim->order(1001 + $_ % 3, [ 5 + $_, 0, 3 ]) foreach 1 .. 6;
$sim->order(1002, [ 21, 0, 1 ]);
sql("SELECT storesync.receive('S21', 50, storesync.new_key()), storesync.adjust('S22', 900, storesync.new_key())");
until_is('SELECT count(*) FROM storesync.sales_order', 7, 'orders of other SKUs are taken in');
Storesync->converged($node, $sim, 'and all else that waited has left');
shows(21, 0, 'nothing raises it');
is($sim->counters->{lost_units}, 1, 'nobody could buy it');

# A shop that is paused shows what it showed.
sql("SELECT storesync.pause($two)");
is($page->step('stop', sku => 'S30', reason => 'wrong price'), '4', 'another one, while a shop is paused');
until_is("SELECT string_agg(state, ' ' ORDER BY state) FROM storesync.listing_status WHERE sku = 'S30'", 'dirty stopped stopped stopped', 'three shops show 0');
is($page->step('gone', sku => 'S30'), '3|1', 'one does not');
like($page->step('still'), qr/^shop 1002\|30\|\|dirty\|\d+\|live\|t\|$/, 'and why');
sql("SELECT storesync.resume($two)");
shows(30, 0, 'resumed it does');

# What was put off for an hour, until a promotion ends, does not put its 0 off.
my $late = sql("SELECT listing_id FROM storesync.listing WHERE store_id = $one AND item_id = '29'");
sql("SELECT storesync.reserve_seen($late, 1, clock_timestamp(), clock_timestamp() + interval '1 hour')");
Storesync->converged($node, $sim, 'a promotion keeps a unit');
$sim->faults(item_failure => 1, path => 'update_stock', shop_id => '1001');
sql("SELECT storesync.reserve('S29', 1, storesync.new_key())");
until_is("SELECT state FROM storesync.listing_status WHERE listing_id = $late", 'put off', 'and has a write refused');
$sim->faults;
is($page->step('stop', sku => 'S29', reason => 'recalled'), '4', 'it is stopped');
shows(29, 0, 'at once');
sql("SELECT storesync.reserve_seen($late, 0, clock_timestamp())");

# Sold again.
is($page->step('start', sku => "S$_"), '4', "S$_ is sold again") foreach 21, 29, 30;
like($page->step('stops'), qr/^[^|]+\|[^|]+\|\|S2\|stopped\n[^\n]+\|S3\|stopped\n[^\n]+\|S22\|stopped$/, 'other stops stand');
sql("SELECT storesync.start_selling(sku => k) FROM unnest('{S2,S3,S22}'::text[]) k");
is($page->step('start', sku => 'S2'), '0', 'what is not stopped cannot be started');
is($page->step('stops'), '', 'no stop is left');
Storesync->converged($node, $sim, 'and every shop shows what is there');
$page->done;

# ---------------------------------------------------------------- a shop's owner takes his consent back

my $redirect = 'https://erp.example.com/shopee';

# at_page URL: what the owner of the first shop does in a browser; the code that he brings back
sub at_page
{
	my $answer = HTTP::Tiny->new(max_redirect => 0, no_proxy => ['127.0.0.1'])->get("$_[0]&shop_id=1001&days=30");
	return ($answer->{headers}{location} // '') =~ /[?&]code=(\w+)/ ? $1 : '';
}

# sell: a buyer in every shop, of the SKU given, and a change of stock; how many units were sold so far
sub sell
{
	my ($n) = @_;
	$sim->order($_, [ $n, 0, 2 ]) foreach 1001 .. 1003;
	$sim->order(1004, [ $ruten + $n, 0, 2 ]);
	sql("SELECT storesync.reserve('S10', 1, storesync.new_key()), storesync.receive('S11', 1, storesync.new_key())");
	return $sim->counters->{units};
}

# booked: units of orders that are booked, of all stores or those of a condition
sub booked { return sql('SELECT coalesce(sum(qty), 0) FROM storesync.sales_order_line' . (@_ ? " WHERE $_[0]" : '')); }

# caught_up: tests that nothing is lost, given up, or done twice
sub caught_up
{
	my ($sold, $what) = @_;
	until_is('SELECT coalesce(sum(qty), 0) FROM storesync.sales_order_line', $sold, "$what: all that was sold is booked");
	Storesync->converged($node, $sim, "$what: every shop shows what is there");
	is(booked(), $sim->counters->{units}, "$what: and once");
	is(sql('SELECT count(*) FROM storesync.compensation'), 0, "$what: nothing was given up");
	return;
}

my $shut = Storesync::Runbook->open($node, 'shop', 'store-unauthorised');
my %of = (store => $one, platform => 'shopee', few => 500, redirect => $redirect);
is($shut->step('which', %of), '', 'no store is unauthorised');
at_page(sql("SELECT storesync.authorization_url('shopee', '$redirect', cancel => true)"));
my $others = booked("store_id <> $one");
my $sold = sell(5);
until_is("SELECT waits FROM storesync.stat_store WHERE store_id = $one", 'waits: the platform refuses its credential', 'one is');
like($shut->step('which', %of), qr/\A$one\|shop 1001\|shopee\|waits: the platform refuses its credential\|[^|]+\|[^|\n]+\z/, 'which, and why');
like(sql('SELECT string_agg(component, chr(10)) FROM storesync.health()'), qr/^store $one$/m, 'health() says so');
until_is("SELECT sum(qty) - $others FROM storesync.sales_order_line WHERE store_id <> $one", 6, 'orders of the others are booked');
Storesync->wait_until(sub { $sim->stock(1002, 10) == sql("SELECT storesync.available('S10')") }, 'and they are written');
isnt($sim->stock(1001, 10), $sim->stock(1002, 10), 'the first one is not');
like($shut->step('last-units', %of), qr/^S15\|\d+\|\d+$/m, 'what it may sell');
my $code = at_page($shut->step('consent', %of));
my $task = $shut->step('authorise', %of, code => secret('code', $code));
Storesync->wait_until(sub { $shut->step('exchanged', task => $task) =~ /^done\|/ }, 'the code is exchanged');
like($shut->step('exchanged', task => $task), qr/^done\|/, 'authorised again');
Storesync->wait_until(sub { $shut->step('caught-up', %of) =~ /^shop 1001\|\|.*\|0\|0\|0\|0$/ }, 'it catches up');
caught_up($sold, 'authorised again');
is($shut->step('short'), '0', 'nothing was sold twice');

# ---------------------------------------------------------------- the application's key

my $right = $sim->catalogue->{app}{partner_key};
$shut->step('application', %of, file => secret('key', 'not-the-right-key'));
$sold = sell(6);
my $asked = sql("SELECT string_agg(storesync.enqueue(store_id, 'fetch_orders', '{}')::text, ',') || ',' || storesync.enqueue($one, 'refresh_token', '{}') FROM storesync.store");
until_is("SELECT count(*) FROM storesync.stat_store WHERE waits = 'waits: the platform refuses its application''s credential'", 3, 'all shops of the platform wait');
is(scalar(grep { /application's credential/ } split /\n/, $shut->step('which', %of)), 3, 'which, and why');
is(sql("SELECT count(*) FROM storesync.health() WHERE component ~ '^store' AND reason ~ 'application''s credential'"), 3, 'health() says so');
until_is("SELECT sum(qty) FROM storesync.sales_order_line WHERE store_id = $four AND item_id = '" . ($ruten + 6) . "'", 2, 'the other platform goes on');
$shut->step('application', %of, file => secret('key', $right));
caught_up($sold, 'with the right key');
until_is("SELECT string_agg(DISTINCT s.state, ' ') FROM unnest('{$asked}'::bigint[]) t, storesync.task_state(t) s", 'done', 'what was asked for meanwhile is done');
is(sql('SELECT count(*) FROM storesync.token_status WHERE refused_at IS NOT NULL OR code_refused_at IS NOT NULL'), 0, 'no token counts as refused');
is(sql("SELECT count(*) FROM storesync.audit WHERE action ~ 'refused'"), 1, 'nor was one, but that of the shop above');
$shut->done;

# ---------------------------------------------------------------- a platform is away

my $away = Storesync::Runbook->open($node, 'shop', 'platform-away');
my %there = (platform => 'shopee', few => 500);
my %kind = (
	'nobody listens' => [ sub { $proxy->stop }, sub { $proxy->again }, qr/\|0?\|7\|/ ],
	'errors' => [ sub { $sim->faults(error_5xx => 1, path => '/api/v2/') }, sub { $sim->faults }, qr/\|50[0-4]\|/ ],
	'silence' => [ sub { sql('SELECT pg_reload_conf()'); $proxy->spoil('silent') }, sub { $proxy->spoil }, qr/\|28\|/ ]);
my $next = 7;
$node->append_conf('postgresql.conf', "storesync.request_timeout = '2s'");    # for the last of them
foreach my $what ('nobody listens', 'errors', 'silence')
{
	my ($begin, $end, $sign) = @{ $kind{$what} };
	$begin->();
	$sold = sell($next);
	sql("SELECT storesync.reserve('S' || n, 5, storesync.new_key()) FROM generate_series(15, $skus) n");
	sql("SELECT storesync.receive('S' || n, 5, storesync.new_key()) FROM unnest('{1, 2, 3, 4, 11, 12, 13, 14}'::int[]) n");
	ok(Storesync->wait_until(
			sub {
				my $now = $away->step('away', %there);
				return $now =~ /^ruten\|shop 1004\|\|/m && 3 == grep { /^shopee\|.*\|waits: its platform cannot be reached\|/ } split /\n/, $now;
			},
			"$what: it is away"),
		"$what: it is away, the other is not");
	like($away->step('how', %there), $sign, "$what: how its calls fail");
	until_is("SELECT sum(qty) FROM storesync.sales_order_line WHERE store_id = $four AND item_id = '" . ($ruten + $next) . "'", 2, "$what: the other goes on");
	Storesync->wait_until(sub { $sim->stock(1004, $ruten + 30) == sql("SELECT storesync.available('S30')") }, "$what: it is written");
	like($away->step('last-units', %there), qr/^S15\|shop 1001\|\d+\|\d+$/m, "$what: what it may sell");
	my $since = sql('SELECT clock_timestamp()');
	$end->();
	Storesync->wait_until(sub { 3 == grep { /^shop \d+\|\|.*\|0\|0\|0\|0$/ } split /\n/, $away->step('back', %there) }, "$what: it is back");
	caught_up($sold, $what);
	Storesync->wait_until(sub { $away->step('left', %there) eq '0' }, "$what: nothing is left");
	is(sql(<<"SQL"), 't', "$what: what had to be lowered came first");
SELECT avg(n) FILTER (WHERE lowers) < avg(n) FILTER (WHERE raises)
FROM (SELECT l.item_id::bigint >= 15 AS lowers, l.item_id::bigint IN (1, 2, 3, 4, 11, 12, 13, 14) AS raises,
		row_number() OVER (PARTITION BY p.store_id ORDER BY p.sent_at) AS n
	FROM storesync.push p JOIN storesync.listing l USING (listing_id)
	WHERE p.store_id <> $four AND p.sent_at > '$since' AND p.class = 'ok') x
SQL
	is($away->step('short'), '0', "$what: nothing was sold twice");
	$next++;
}
$away->done;

is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', 2 * $rate, 'nobody was flooded when he was back');
Storesync->sound($node);
$node->stop;
done_testing();
