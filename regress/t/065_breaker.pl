# The mass-change breaker: a count that empties most of a store's listings is held
# until people release it, while sales go through; another store goes its own way.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $skus = 100;
my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => $skus, units => 10), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '200/s burst 50');
my ($one, $two) = @$store{ 1001, 1002 };

sub sql { return $node->safe_psql('shop', $_[0]); }

# adjust UNITS, SKUS...: one transaction counts these SKUs
sub adjust
{
	my ($units, @skus) = @_;
	sql("SELECT count(*) FROM (SELECT storesync.adjust('S' || n, $units, storesync.new_key()) FROM unnest(ARRAY["
		  . join(',', @skus) . ']) n OFFSET 0) x');
	return;
}

sub shows
{
	my ($shop, $item, $units, $what) = @_;
	return ok(Storesync->wait_until(sub { $sim->stock($shop, $item) == $units }, $what), $what);
}

sub held { return Storesync->query_until($node, "SELECT held FROM storesync.breaker_status WHERE store_id = $one", $_[0], "$_[0] held"); }

# counts SHOP: how many of its listings show how much
sub counts
{
	my ($shop) = @_;
	my %n;
	$n{ $_->{stock} }++ foreach @{ $sim->shown($shop) };
	return join ' ', map { "$_:$n{$_}" } sort { $a <=> $b } keys %n;
}

sql("UPDATE storesync.store SET poll_interval = '500 milliseconds'");
sql("UPDATE storesync.store SET breaker_share = 0.9 WHERE store_id = $two");
# the simulator begins with what is wanted: wait for the writes themselves
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_shown WHERE acked_version > 0', 2 * $skus, 'the first fill');
Storesync->converged($node, $sim, 'a first fill is no mass change');
is(sql('SELECT count(*) FROM storesync.breaker'), 0, 'no breaker is open');

# A count import that empties 59 listings and lowers one.
sql("BEGIN; SELECT storesync.adjust('S' || n, 0, storesync.new_key()) FROM generate_series(1, 59) n;"
	  . "SELECT storesync.adjust('S60', 5, storesync.new_key()); COMMIT");
held(60);
ok(Storesync->wait_until(sub { counts(1002) eq '0:59 5:1 10:40' }, 'the other store'), 'a store with a larger share lets it pass');
is(counts(1001), '10:100', 'held in the store whose share it is above');
is(sql("SELECT state, count(*) FROM storesync.listing_status WHERE store_id = $one GROUP BY 1 ORDER BY 1"),
	"held by breaker|60\nok|40", 'listing_status tells which');
like(sql("SELECT reason FROM storesync.health() WHERE component = 'breaker of store $one' AND state = 'degraded'"),
	qr/^60 changes are held since .* 60 of 100 listings/, 'health() alerts');
is(sql("SELECT breaker_held FROM storesync.stat_store WHERE store_id = $one"), 60, 'stat_store counts');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'open breaker' AND subject = 'store $one'"), 1, 'audited');

# Sales are never held: of what nobody counted, and of what is held.
$sim->order(1002, [ 70, 0, 1 ]);
shows(1001, 70, 9, 'a sale elsewhere lowers a listing that is not held');
$sim->order(1002, [ 60, 0, 2 ]);
shows(1001, 60, 8, 'and one that is held by what was sold, no more');
is(sql("SELECT state FROM storesync.listing_status JOIN storesync.listing USING (listing_id)"
		. " WHERE listing_status.store_id = $one AND listing.item_id = '60'"),
	'held by breaker', 'it stays held');

# While it is open whatever is no sale is held; a stop goes out; what is undone is held no more.
adjust(3, 61);
shows(1002, 61, 3, 'the other store takes it');
held(61);
is($sim->stock(1001, 61), 10, 'a later count is held, too');
sql("SELECT storesync.receive('S62', 5, storesync.new_key())");
shows(1001, 62, 15, 'goods received are shown');
sql("SELECT storesync.stop_selling($one, 'S2', 'recalled')");
shows(1001, 2, 0, 'a stop is not held');
held(60);
adjust(10, 3);
held(59);

# What is held survives the dispatcher.
my $pid = Storesync->dispatcher($node);
sql("SELECT pg_terminate_backend($pid)");
Storesync->query_until($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher' AND pid <> $pid", 1,
	'another dispatcher');
$sim->order(1002, [ 71, 0, 1 ]);
shows(1001, 71, 9, 'sales go on after a restart');
$sim->order(1002, [ 60, 0, 1 ]);
shows(1001, 60, 7, 'also of what is held');
is(sql("SELECT held FROM storesync.breaker_status WHERE store_id = $one"), 59, 'still held');
is($sim->stock(1001, 1), 10, 'and not shown');

# Released by one call.
is(sql("SELECT storesync.release_breaker($one)"), 59, 'release_breaker() tells how many');
sql("SELECT storesync.start_selling($one, 'S2')");
Storesync->converged($node, $sim, 'all goes out after the release');
is(sql("SELECT storesync.release_breaker($one)"), 0, 'there is nothing more to release');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.breaker_listing', 0, 'nothing is remembered');
my $log = slurp_file($node->logfile);
is(() = $log =~ /store $one: changes are held, 60 of 100 listings/g, 1, 'one line in the log when it opened');
is(() = $log =~ /store $one: the changes that were held are released/g, 1, 'and one when it was released');
unlike($log, qr/store $two: changes are held/, 'none for the other store');

# The threshold: 50 of these 100. Up to 49, sent long ago or not, nothing is held.
adjust(21, 1 .. 30);
Storesync->converged($node, $sim, 'thirty changes pass');
adjust(22, 1 .. 49);
Storesync->converged($node, $sim, 'forty-nine pass');
adjust(23, 50);
held(1);
is($sim->stock(1001, 50), 0, 'the fiftieth within the window is held');
sql("SELECT storesync.release_breaker($one)");
Storesync->converged($node, $sim, 'and released');

# Many sales are no mass change, and with NULL nothing is.
sql('BEGIN; ' . join('; ', map { "SELECT storesync.reserve('S$_', 1, storesync.new_key())" } 30 .. 100) . '; COMMIT');
Storesync->converged($node, $sim, 'sales in seventy listings pass');
sql("UPDATE storesync.store SET breaker_share = NULL");
adjust(7, 11 .. 90);
Storesync->converged($node, $sim, 'without a share nothing is held');
is(sql('SELECT count(*) FROM storesync.breaker'), 0, 'no breaker is open');

Storesync->sound($node);
$node->stop;
done_testing();
