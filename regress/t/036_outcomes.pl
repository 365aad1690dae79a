# What single outcomes lead to: a batch refused for one of its listings, a host
# that is away, a raise that waits for orders, which decrease goes first.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;
use Time::HiRes qw(time);

# Shop 1 has one item of 40 models, shop 2 some items without.
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";
$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach 1, 2;
$catalogue .= "sku\tM$_\t50\n" . join("\t", 'listing', 1, "M$_", 900, $_, 50, 100) . "\n" foreach 1 .. 40;
$catalogue .= "sku\tI$_\t50\n" . join("\t", 'listing', 2, "I$_", 500 + $_, 0, 50, 100) . "\n" foreach 1 .. 12;

my $update = '/api/v2/product/update_stock';
my $list = '/api/v2/order/get_order_list';
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main',
	'storesync.clock_doubt' => '10ms', 'storesync.request_timeout' => '2s', 'storesync.connect_timeout' => '1s');
my $store = Storesync->load($node, $sim, rate_limit => '50/s burst 5', shown => 1);
my $url = $proxy->url;
$node->safe_psql('shop', "UPDATE storesync.platform SET base_url = '$url'");
$node->safe_psql('shop', q(UPDATE storesync.store SET poll_interval = '1 hour'));
Storesync->converged($node, $sim, 'all is shown at first');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', '2', 'the first fetches');

sub sql { return $node->safe_psql('shop', $_[0]); }
sub calls { my ($shop, $path) = @_; return scalar grep { $_->{path} eq $path } @{ $sim->calls($shop) }; }
sub open_work { return sql(q(SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL)); }

# A poisoned listing.
$proxy->spoil('refuse', path => 'update_stock', model => 23);
sql("SELECT storesync.reserve('M' || n, 3, storesync.new_key()) FROM generate_series(1, 40) n");
my $others = sub { return scalar grep { $_->{stock} == 47 } @{ $sim->shown(1) }; };
Storesync->wait_until(sub { $others->() == 39 }, 'the others');
Storesync->query_until($node, q(SELECT string_agg(k.code || ' ' || c.class, ' ') FROM storesync.compensation c
	JOIN storesync.listing USING (listing_id) JOIN storesync.sku k USING (sku_id)), 'M23 permanent',
	'one poisoned listing of a batch is given up');
is($others->(), 39, 'and the other 39 are written');
cmp_ok($proxy->spoilt, '<=', 10, 'found by halving: ' . $proxy->spoilt . ' refusals');
is( sql(q(SELECT story->0->>'class', story->0->>'http_status', story->0->>'reason', story->0->>'excerpt',
		(story->0->'us'->>'first_byte')::int BETWEEN 1 AND (story->0->'us'->>'total')::int FROM storesync.compensation)),
	'permanent|200|one of the models is not to be written|'
	  . '{"error":"error_param","message":"one of the models is not to be written"}|t',
	'its story is told');
$proxy->spoil;
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation");
Storesync->converged($node, $sim, 'requeued when the platform takes it again');

# All of a batch: the item, not one of its listings.
$proxy->spoil('refuse', path => 'update_stock');
sql("SELECT storesync.reserve('M' || n, 1, storesync.new_key()) FROM generate_series(1, 40) n");
Storesync->query_until($node, q(SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL), '40',
	'a batch of which every part is refused is given up');
cmp_ok($proxy->spoilt, '<=', 20, 'without asking for each: ' . $proxy->spoilt . ' refusals');
$proxy->spoil;
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation WHERE settled_at IS NULL");
Storesync->converged($node, $sim, 'and requeued');

# A host that is away for longer than a listing's ten attempts would last.
my $log = -s $node->logfile;
$proxy->stop;
sql("SELECT storesync.reserve('I' || n, 2, storesync.new_key()) FROM generate_series(1, 12) n");
ok($node->wait_for_log(qr/"\Q$url\E" is not called: \d+ calls in a row/, $log), 'the breaker opens');
my $tries = sql("SELECT count(*) FROM storesync.call_log WHERE http_status IS NULL");
Storesync->query_until($node, "SELECT count(*) >= $tries + 2 FROM storesync.call_log WHERE http_status IS NULL", 't', 'two probes');
cmp_ok(sql("SELECT count(*) FROM storesync.call_log WHERE http_status IS NULL"), '<=', $tries + 4, 'then single calls probe');
$proxy->again;
Storesync->converged($node, $sim, 'back again, all is written');
is(open_work(), 0, 'nothing was given up');
my @lines = slurp_file($node->logfile, $log) =~ /"\Q$url\E" (is not called|answers again)/g;
is("@lines", 'is not called answers again', 'one line in the log for each change');

# One shop whose calls reach nobody, while another's reach the same host, waits alone.
sql("SELECT storesync.reserve('M1', 1, storesync.new_key())");
Storesync->converged($node, $sim, 'the other shop reaches the host');
$log = -s $node->logfile;
$proxy->spoil('reset_before', path => 'shop_id=2&');
sql("SELECT storesync.reserve('I' || n, 1, storesync.new_key()) FROM generate_series(1, 12) n");
ok( Storesync->wait_until(
		sub { sql(q(SELECT storesync.reserve('M1', 1, storesync.new_key()))); slurp_file($node->logfile, $log) =~ /store $store->{2} is not called/ },
		'its own breaker'),
	'the breaker of one shop opens');
my $units = sql("SELECT storesync.available('M2')") - 1;
sql("SELECT storesync.reserve('M2', 1, storesync.new_key())");
ok(Storesync->wait_until(sub { $sim->stock(1, 900, 2) == $units }, 'the other shop'), 'the other is written');
unlike(slurp_file($node->logfile, $log), qr/"\Q$url\E" is not called/, 'its host is called');
Storesync->query_until($node, "SELECT waits LIKE '%cannot be reached%' FROM storesync.stat_store WHERE store_id = $store->{2}", 't', 'which is seen');
$proxy->spoil;
Storesync->converged($node, $sim, 'the shop is back');
like(slurp_file($node->logfile, $log), qr/store $store->{2} answers again/, 'and says so');
is(open_work(), 0, 'nothing of it was given up');

# A raise waits until the orders of its store are fetched, one fetch for all of them.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_status WHERE dirty', '0', 'nothing waits for orders');
my @fetched = map { calls($_, $list) } 1, 2;
sql("SELECT storesync.receive('I' || n, 7, storesync.new_key()) FROM generate_series(1, 12) n");
Storesync->converged($node, $sim, 'raises go out, though orders are polled each hour');
cmp_ok(calls(2, $list) - $fetched[1], '<=', 2, 'after one fetch');
is(calls(1, $list), $fetched[0], 'of that store alone');
my ($fetch) = grep { $_->{path} eq $list } reverse @{ $sim->calls(2) };
my ($raise) = grep { $_->{path} eq $update } reverse @{ $sim->calls(2) };
cmp_ok($fetch->{at_us}, '<', $raise->{at_us}, 'before them');

# What was sold there and not seen yet is not given away again by a raise.
$sim->order(2, [ 501, 0, 5 ]);
sql("SELECT storesync.receive('I1', 1, storesync.new_key())");
Storesync->converged($node, $sim, 'an order that nobody had seen is known before the raise');
is($sim->counters->{oversold_units}, 0, 'nothing is oversold');

# What a promotion refuses waits for its end where that is known, and not for the pauses of a failure.
# Its end is told when its units are set aside: how long that takes says nothing.
my ($locked) = sql("SELECT min(listing_id) FROM storesync.listing JOIN storesync.sku USING (sku_id) WHERE code = 'I1'");
my $began = time;
sql("SELECT storesync.reserve_seen($locked, 1, clock_timestamp(), clock_timestamp() + interval '1 hour')");
Storesync->converged($node, $sim, 'its units are set aside');
my $seconds = 3 + int(3 * (time - $began));
$seconds = 30 if $seconds > 30;
$sim->faults(item_failure => 1, path => 'update_stock');
# what follows has to be refused before it: the slower this machine, the later
my $end = sql("SELECT clock_timestamp() + make_interval(secs => $seconds)");
sql("SELECT storesync.reserve_seen($locked, 1, clock_timestamp(), '$end')");
sql("SELECT storesync.reserve('I1', 1, storesync.new_key())");
Storesync->query_until($node, "SELECT state FROM storesync.listing_status WHERE listing_id = $locked", 'put off', 'it is put off');
$sim->faults;
Storesync->converged($node, $sim, 'written in the end');
is(sql("SELECT count(*) FILTER (WHERE class = 'later'), bool_and(sent_at >= '$end' OR class = 'later') FROM storesync.push"
		. " WHERE listing_id = $locked AND at > (SELECT max(recorded_at) FROM storesync.ledger)"), '1|t', 'by one try after the promotion');
sql("SELECT storesync.reserve_seen($locked, 0, clock_timestamp())");
Storesync->converged($node, $sim, 'and nothing is set aside any more');

# The decrease that may oversell most goes first: of 12 at one call a second.
sql("SELECT storesync.rate_hold(store_id, '1 second') FROM storesync.store");
sql("UPDATE storesync.store SET rate_limit = '3/s'");
my $from = $sim->calls(2)->[-1]{at_us};
sql("SELECT storesync.reserve('I' || n, 1, storesync.new_key()) FROM generate_series(1, 11) n");
sql("SELECT storesync.reserve('I12', storesync.available('I12'), storesync.new_key())");
Storesync->converged($node, $sim, 'decreases go out');
my ($place) = sql(<<'SQL');
SELECT count(*) FROM storesync.push p, (SELECT max(p.sent_at) AS sent_at FROM storesync.push p
	JOIN storesync.listing USING (listing_id) JOIN storesync.sku k USING (sku_id) WHERE k.code = 'I12') x
WHERE p.sent_at < x.sent_at AND p.sent_at > (SELECT max(recorded_at) FROM storesync.ledger)
SQL
cmp_ok($place, '<=', 1, 'the one that is sold out among the first');

Storesync->limited($sim, 50, 5);
Storesync->sound($node);
$node->stop;
done_testing();
