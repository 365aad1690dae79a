# compensate(): shops are read and compared with what is believed of them. Small
# differences are written, large ones proposed, what orders explain is none, and
# what moves meanwhile is read again; a run that is broken off goes on where it was.

use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

# Shop 1 sells 60 items of their own and one of three models, shop 2 a few, shop 3 more than a portion; an item is
# in shops 1 and 2.
my %shop = (1 => 'I', 2 => 'O', 3 => 'P');
my %items = (1 => 60, 2 => 5, 3 => 260);
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n" . join('', map { "shop\t$_\ttoken-$_\trefresh-$_\n" } 1 .. 3);
sub row { return join("\t", @_) . "\n"; }
foreach my $shop (1 .. 3)
{
	$catalogue .= row('sku', "$shop{$shop}$_", 100) . row('listing', $shop, "$shop{$shop}$_", 1000 * $shop + $_, 0, 100, 100)
	  foreach 1 .. $items{$shop};
}
$catalogue .= row('sku', "M$_", 100) . row('listing', 1, "M$_", 900, $_, 100, 100) foreach 1 .. 3;
$catalogue .= row('sku', 'B', 100) . row('listing', 1, 'B', 800, 0, 100, 100) . row('listing', 2, 'B', 800, 0, 100, 100);

my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '50/s burst 5', shown => 1);

sub sql { return $node->safe_psql('shop', $_[0]); }
sub writes { return $sim->counters->{calls}{'/api/v2/product/update_stock'} // 0; }
sub reads { return scalar grep { $_->{path} =~ /get_item_base_info/ } @{ $sim->calls($_[0]) }; }
# what a listing's row of a view says
sub listing
{
	my ($columns, $view, $sku, $shop) = @_;
	return sql("SELECT $columns FROM storesync.$view v JOIN storesync.listing l USING (listing_id)"
		  . " JOIN storesync.sku k ON k.sku_id = l.sku_id WHERE k.code = '$sku' AND l.store_id = " . $store->{ $shop // 1 });
}
# one run to its end, of stores by the numbers of their shops; its notices
sub compensate
{
	my @shops = @_;
	my $scope = @shops ? 'ARRAY[' . join(',', map { $store->{$_} } @shops) . ']' : 'NULL';
	my ($status, $out, $err) = $node->psql('shop', "CALL storesync.compensate($scope)");
	is($status, 0, 'a run ends well') or diag($err);
	return $err;
}
# a run in the background, of one shop or of all, once its first listings are compared, by it or by the one that it takes up
sub begin
{
	my ($shop) = @_;
	my $scope = $shop ? "ARRAY[$store->{$shop}]" : 'NULL';
	my $run = IPC::Run::start(
		[ 'psql', '-X', '-d', $node->connstr('shop'), '-c', "SET application_name = 'night'", '-c', "CALL storesync.compensate($scope)" ],
		'<', \undef, '>', \my $out, '2>', \my $err);
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.certificate_store n JOIN storesync.certificate c USING (certificate_id)'
		  . " JOIN pg_stat_activity a ON a.pid = c.pid AND a.application_name = 'night' WHERE c.ended_at IS NULL AND n.compared > 0",
		'1', 'the first listings are compared');
	return $run;
}
sub certificate { return sql("SELECT $_[0] FROM storesync.certificate ORDER BY certificate_id DESC LIMIT 1"); }
sub of_store { return sql("SELECT $_[1] FROM storesync.certificate_store WHERE store_id = $store->{ $_[0] } ORDER BY certificate_id DESC LIMIT 1"); }
# listings that reading calls of a shop were about, since the last time
my %read;
sub read_listings
{
	my ($shop) = @_;
	my $all = sql("SELECT coalesce(sum(items), 0) FROM storesync.call_log WHERE call IN ('get_items', 'get_models') AND store_id = $store->{$shop}");
	my $new = $all - ($read{$shop} // 0);
	$read{$shop} = $all;
	return $new;
}

# nobody's night, whenever this is run
sql(q{UPDATE storesync.store SET poll_interval = '500ms', poll_spread = 1,
	night = ARRAY[((now() + interval '10 hours') AT TIME ZONE timezone)::time, ((now() + interval '12 hours') AT TIME ZONE timezone)::time]});
Storesync->converged($node, $sim, 'all is shown at first');
is(sql('SELECT count(*) FROM storesync.listing_verified WHERE verified_at IS NULL'), '330', 'nothing is verified at first');

# ---------------------------------------------------------------- nothing, something, twice

my $said = compensate();
like($said, qr/store $store->{1} \(shop 1\): 64 listings, about 3 calls/, 'what is to be read is said first');
is(certificate('listings, compared, differing, corrected, left_open, coverage, unverified, phase'),
	'330|330|0|0|0|1.0000|0|done', 'all listings are compared, none differs');
is(sql("SELECT count(*) FROM storesync.call_log WHERE call IN ('get_items', 'get_models') AND store_id = $store->{1}"), '3',
	'two calls for 61 items, one for the models');
is(sql('SELECT count(*) FROM storesync.listing_verified WHERE verified_at IS NULL'), '0', 'and all are verified');

my $before = writes();
$sim->set_stock(1, 1001, 0, 97);
$sim->set_stock(1, 900, 2, 108);
$sim->set_stock(1, 1002, 0, 10);
$sim->set_stock(1, 1003, 0, 150);
$sim->set_stock(2, 2001, 0, 105);
compensate(1, 2);
is(certificate('listings, compared, differing, corrected, left_open'), '70|70|5|3|2', 'five differ, three are corrected');
is(of_store(1, 'state, differing, proposed, corrected, left_open'), 'read|4|2|2|2', 'as the store has it');
is(join(' ', map { $sim->stock(@$_) } [ 1, 1001, 0 ], [ 1, 900, 2 ], [ 2, 2001, 0 ], [ 1, 1002, 0 ], [ 1, 1003, 0 ]),
	'100 100 100 10 150', 'small ones are written, large ones are not');
is(sql('SELECT sku, expected, shown, excess, state FROM storesync.drift_status ORDER BY 1'), "I2|100|10|-90|proposed\nI3|100|150|50|proposed",
	'but proposed');
is(listing('state', 'listing_status', 'I2'), 'proposed', 'as their state says');
like(sql("SELECT reason FROM storesync.health() WHERE component = 'drift of store $store->{1}'"), qr/^2 listings/, 'and health()');
is(writes() - $before, 3, 'three writes');
compensate(1, 2);
is(certificate('compared, differing, corrected, left_open'), '70|0|0|0', 'a second run finds nothing');
is(writes() - $before, 3, 'and writes nothing');

# ---------------------------------------------------------------- what is proposed

# A sale elsewhere wants fewer than expected and more than the shop shows: no reason to raise it. Of the other shop,
# which shows too many, it wants fewer than either.
sql("SELECT storesync.reserve('$_', 3, storesync.new_key())") foreach 'I2', 'I3';
Storesync->wait_until(sub { $sim->stock(1, 1003, 0) == 97 }, 'a sale goes out where too many are shown');
Storesync->query_until($node, "SELECT sku, state FROM storesync.drift_status", 'I2|proposed', 'and ends the matter');
is(listing('wanted, believed', 'listing_status', 'I2'), '97|10', 'where too few are shown nothing is raised');
is($sim->stock(1, 1002, 0), '10', 'in the shop neither');
sql('SELECT storesync.reject_drift(drift_id, \'not now\') FROM storesync.drift_status WHERE sku = \'I2\'');
compensate(1);
is(sql('SELECT sku, state FROM storesync.drift_status'), 'I2|rejected', 'rejected, it is left');
is($sim->stock(1, 1002, 0), '10', 'as it is');
sql('SELECT storesync.confirm_drift(drift_id) FROM storesync.drift_status');
Storesync->converged($node, $sim, 'confirmed, it is written');

# ---------------------------------------------------------------- orders, and what moves

# Orders are not fetched for an hour, but for a reading that differs.
sql("UPDATE storesync.store SET poll_interval = '1 hour' WHERE store_id = $store->{1}");
$before = writes();
my $orders = sql('SELECT count(*) FROM storesync.sales_order');
$sim->order(1, [ 1010, 0, 2 ]);
$sim->order(1, [ 1011, 0, 40 ]);
compensate(1);
is(certificate('compared, differing'), '64|0', 'what orders explain is no difference');
is(sql('SELECT count(*) FROM storesync.sales_order') - $orders, 2, 'they were fetched for it');
is(writes() - $before, 0, 'nothing was written');
sql("UPDATE storesync.store SET poll_interval = '500ms' WHERE store_id = $store->{1}");

# A write is under way while the shop is read: what it said then means nothing.
read_listings(2);
my $reads = reads(2);
$sim->faults(slow => 1, slow_ms => 5000, shop_id => 2);
my $run = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('shop'), '-c', "CALL storesync.compensate(ARRAY[$store->{2}])" ],
	'<', \undef, '>', \my $out, '2>', \my $err);
Storesync->wait_until(sub { reads(2) > $reads }, 'a read is under way');
sql("SELECT storesync.reserve('O3', 30, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(2, 2003, 0) == 70 }, 'a write leaves');
$sim->faults;
$run->finish;
is(certificate('compared, differing'), '6|0', 'what was written meanwhile is no difference');
is(read_listings(2), 7, 'it was read again');

# So many changes for another cause than a sale would open the breaker; these have been judged.
$sim->set_stock(3, 3000 + $_, 0, 100 + ($_ % 2 ? 1 : -1)) foreach 1 .. 70;
compensate(3);
is(certificate('differing, corrected'), '70|70', 'many small differences');
is(sql('SELECT count(*) FROM storesync.breaker'), '0', 'are no mass change');

# ---------------------------------------------------------------- one at a time, broken off, taken up

# What is done to a run has as long as three calls of the first portion take, later as long as two: many starts of psql.
$sim->faults(slow => 1, slow_ms => 2000, shop_id => 3);
read_listings(3);
$run = begin(3);
my ($status, $stdout, $stderr) = $node->psql('shop', '\set VERBOSITY verbose' . "\nCALL storesync.compensate()");
like($stderr, qr/ERROR:  55006: compensate\(\) is under way.*Process \d+ has run it since/s, 'a second call says who runs it');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'night'");
$run->finish;
Storesync->query_until($node, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'night'", '0', 'its session is gone');
$sim->faults;
Storesync->query_until($node, "SELECT count(*) FROM storesync.task_open WHERE kind = 'verify'", '0', 'the dispatcher stops when nobody waits');
is(of_store(3, 'state, compared'), 'reading|200', 'after the portion that it had');

# Killed: the session with it. Then the dispatcher alone ends.
$sim->faults(slow => 1, slow_ms => 2000, shop_id => 3);
$run = begin(3);
my $pid = Storesync->dispatcher($node);
Storesync->crash($node, $pid);
$run->finish;
Storesync->wait_until(sub { (Storesync->dispatcher($node) || $pid) != $pid }, 'another dispatcher');
$sim->faults;
like(compensate(3), qr/certificate \d+ was broken off in phase "read" and is taken up/, 'a run that was broken off is taken up');
is(certificate('compared, differing, coverage'), '260|0|1.0000', 'and goes to its end');
is(read_listings(3), 260, 'no listing was read twice');

$sim->faults(slow => 1, slow_ms => 400, shop_id => 3);
$run = begin(3);
sql('SELECT pg_terminate_backend(' . Storesync->dispatcher($node) . ')');
$sim->faults;
$run->finish;
is(certificate('phase, compared'), 'done|260', 'a dispatcher that ends takes no run along');
is(read_listings(3), 260, 'nor has listings read twice');

# ---------------------------------------------------------------- nights, and stores that are left out

sql("SELECT storesync.pause($store->{2})");
sql("UPDATE storesync.store SET night = ARRAY[((now() - interval '1 hour') AT TIME ZONE timezone)::time, ((now() + interval '1 hour') AT TIME ZONE timezone)::time]"
	  . " WHERE store_id = $store->{3}");
$sim->faults(slow => 1, slow_ms => 2000, shop_id => 3);
$run = begin();
# an hour passes
sql("UPDATE storesync.certificate_store SET read_until = clock_timestamp() WHERE state = 'reading'");
$sim->faults;
$run->finish;
is(of_store(3, 'state, reason, compared'), 'read|its night is over|200', 'a store is read until its night ends');
is(of_store(1, "state, reason ~ '^its night begins at', compared"), 'left out|t|0', 'those whose night it is not are not read');
is(of_store(2, 'state, reason'), 'left out|it is paused', 'a paused one is named');
is(certificate('listings, compared, coverage'), '260|200|0.7692', 'the certificate says how far it came');
# one that was broken off last night before anything was asked for
sql("WITH c AS (INSERT INTO storesync.certificate (started_at) VALUES (now() - interval '1 day') RETURNING certificate_id)"
	  . " INSERT INTO storesync.certificate_store (certificate_id, store_id, state, read_until) SELECT certificate_id, $store->{3}, 'planned', now() - interval '20 hours' FROM c");
compensate();
is(of_store(3, 'reason, compared'), '|260', 'one that was broken off last night has all of this one');
sql("SELECT storesync.resume($store->{2})");

# ---------------------------------------------------------------- what was given up

sql("SELECT storesync.ingest_order($store->{1}, '{\"order_sn\":\"GONE\",\"status\":\"cancelled\",\"create_time\":" . time . ",\"lines\":[{\"line_id\":\"1\",\"item_id\":\"1001\",\"qty\":1}]}')");
sql("SELECT storesync.pause($store->{1})");
sql("SELECT storesync.receive('$_', 5, storesync.new_key())") foreach 'I20', 'I21';
sql("INSERT INTO storesync.compensation (store_id, listing_id, call, class, version) SELECT store_id, listing_id, 'push_stock', 'permanent', version"
	  . " FROM storesync.listing_status WHERE sku IN ('I20', 'I21') ORDER BY sku");
sql("SELECT storesync.adjust('I21', 100, storesync.new_key())");
sql("SELECT storesync.resume($store->{1})");
is(sql("SELECT sku, state FROM storesync.listing_status WHERE sku IN ('I20', 'I21') ORDER BY sku"), "I20|dead\nI21|ok", 'a raise that is given up');
sql("INSERT INTO storesync.compensation (store_id, call, class, payload) VALUES ($store->{1}, 'ship_order', 'later', '{\"order_sn\": \"GONE\"}')");
compensate(1);
is(certificate('replayed, overtaken, resting'), '1|2|0', 'what is still wanted is tried again, no other');
is(sql("SELECT call, regexp_replace(settled_by, '\\d+', 'N') FROM storesync.compensation ORDER BY compensation_id"),
	"push_stock|requeued: certificate N\npush_stock|overtaken: its shop shows what is wanted\nship_order|overtaken: the order is cancelled", 'and says why');
Storesync->converged($node, $sim);
is($sim->stock(1, 1020, 0), '105', 'it is in the shop');

# ---------------------------------------------------------------- the report

$sim->set_stock(1, 1030, 0, 5);
sql("INSERT INTO storesync.compensation (store_id, call, class, reason, payload) VALUES ($store->{1}, 'ship_order', 'permanent', 'no such parcel', '{\"order_sn\": \"LOST\"}')");
compensate(1);
my $report = "$ENV{TESTDIR}/reports/night.sql";
my ($text) = run_command([ 'psql', '-X', '-d', $node->connstr('shop'), '-f', $report ]);
like($text, qr/The run.*Stores.*shop 1.*Differences that are open.*I30.*confirm_drift\(\d+\).*Work that was given up/s, 'a report for people');
my ($csv, $errors) = run_command([ 'psql', '-X', '-d', $node->connstr('shop'), '-v', 'format=csv', '-v', 'part=drift', '-f', $report ]);
like($csv, qr/\Adrift,state,store,sku,[^\n]*,"?what to do"?\n\d+,proposed,shop 1,I30,1030,"?"?,100,5,-95,[^\n]*confirm_drift[^\n]*\n+\z/, 'and as CSV');
is($errors, '', 'without a word besides');
sql('SELECT storesync.confirm_drifts(' . $store->{1} . ')');
Storesync->converged($node, $sim);

is(sql("SELECT state FROM storesync.health() WHERE component = 'reconciliation'"), 'ok', 'health() has seen it');
Storesync->sound($node);

done_testing();
