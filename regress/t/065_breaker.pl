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
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms', 'storesync.instance_name' => 'desk', 'storesync.request_timeout' => '5min');
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
# while the call that lowered it has not been recorded it is being sent
ok(Storesync->query_until($node, "SELECT state FROM storesync.listing_status JOIN storesync.listing USING (listing_id)"
		. " WHERE listing_status.store_id = $one AND listing.item_id = '60'",
	'held by breaker', 'still held'), 'it stays held');

# While it is open whatever is no sale is held; a stop goes out; what is undone is held no more.
adjust(3, 61);
shows(1002, 61, 3, 'the other store takes it');
held(61);
is($sim->stock(1001, 61), 10, 'a later count is held, too');
sql("SELECT storesync.receive('S62', 5, storesync.new_key())");
shows(1001, 62, 15, 'goods received are shown');
sql("SELECT storesync.stop_selling($one, 'S2', 'recalled')");
shows(1001, 2, 0, 'a stop is not held');
adjust(10, 3);
held(60);

# What is held survives the dispatcher.
my $pid = Storesync->dispatcher($node);
sql("SELECT pg_terminate_backend($pid)");
Storesync->query_until($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher' AND pid <> $pid", 1,
	'another dispatcher');
$sim->order(1002, [ 71, 0, 1 ]);
shows(1001, 71, 9, 'sales go on after a restart');
$sim->order(1002, [ 60, 0, 1 ]);
shows(1001, 60, 7, 'also of what is held');
is(sql("SELECT held FROM storesync.breaker_status WHERE store_id = $one"), 60, 'still held');
is($sim->stock(1001, 1), 10, 'and not shown');

# Released by one call.
is(sql("SELECT storesync.release_breaker($one)"), 60, 'release_breaker() tells how many');
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
# A stop of what is held, and its end, let nothing slip through.
sql("SELECT storesync.stop_selling($one, 'S50')");
sql("SELECT storesync.start_selling($one, 'S50')");
$sim->order(1002, [ 71, 0, 1 ]);
shows(1001, 71, $sim->stock(1002, 71), 'a sale after the end of a stop');
is($sim->stock(1001, 50), 0, 'what was held before the stop is held after it');
held(1);
sql("SELECT storesync.release_breaker($one)");
Storesync->converged($node, $sim, 'and released');

# Nor is the end of a stop: what was shown before comes back.
is(sql("SELECT storesync.stop_selling($one, reason => 'the worst night')"), $skus, 'a whole store is stopped');
ok(Storesync->wait_until(sub { counts(1001) eq "0:$skus" }, 'the zeros'), 'and shows nothing');
is(sql("SELECT storesync.start_selling($one)"), $skus, 'the stop ends');
Storesync->converged($node, $sim, 'all is shown again');
is(sql('SELECT count(*) FROM storesync.breaker'), 0, 'no breaker is open');

# A policy is changed by mistake while calls are under way. What their answers acknowledge is without it, whether it is
# compared before they come or after.
my @flying = 80 .. 91;
my $flying = "'{" . join(',', @flying) . "}'";
sub buffer { return sql("UPDATE storesync.listing SET buffer = $_[0] WHERE store_id = $one AND item_id = ANY ($flying)"); }

# sell LEFT: one of each is sold, and the calls that say what is left get no answer until the shop goes on
sub sell
{
	my ($left) = @_;
	Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'", 0, 'nothing is under way');
	kill 'STOP', $sim->pid;
	sql('BEGIN; ' . join('; ', map { "SELECT storesync.reserve('S$_', 1, storesync.new_key())" } @flying) . '; COMMIT');
	return Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_shown JOIN storesync.listing USING (listing_id)'
		  . " WHERE store_id = $one AND sending_qty = $left", scalar @flying, 'calls under way');
}

# mistaken LEFT, WHAT: all are held, and show what was to be shown before; then the mistake is corrected
sub mistaken
{
	my ($left, $what) = @_;
	held(scalar @flying);
	is(join(' ', map { $sim->stock(1001, $_) } @flying), join(' ', ($left) x @flying), $what);
	is(sql('SELECT DISTINCT l.revision - w.acked_revision FROM storesync.listing_shown w JOIN storesync.listing l USING (listing_id)'
		  . " WHERE l.store_id = $one AND l.item_id = ANY ($flying)"), 1, 'what the calls did not know is not acknowledged');
	buffer(0);
	held(0);
	is(sql("SELECT storesync.release_breaker($one)"), 0, 'corrected it is held no more');
	return;
}

sql("UPDATE storesync.store SET breaker_least = 12, breaker_share = 0.1 WHERE store_id = $one");
# one of them is read by the view
sql("SELECT storesync.allot(listing_id, 1, storesync.new_key()) FROM storesync.listing WHERE store_id = $one AND item_id = '80'");
sell(9);
buffer(3);
Storesync->query_until($node, "SELECT count(*) FROM storesync.breaker WHERE store_id = $one", 1, 'the breaker opens in mid-call');
kill 'CONT', $sim->pid;
mistaken(9, 'what was in a call when it opened is held when that has ended');

sell(8);
$pid = Storesync->dispatcher($node);
my $locker = $node->background_psql('shop');
$locker->query_safe('BEGIN; LOCK TABLE storesync.listing_shown IN EXCLUSIVE MODE');
kill 'CONT', $sim->pid;
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'answers are about to be recorded');
buffer(3);
$locker->query_safe('COMMIT');
$locker->quit;
mistaken(8, 'a change that came just before the answers counts');
sql("UPDATE storesync.store SET breaker_least = 50, breaker_share = 0.2 WHERE store_id = $one");
Storesync->converged($node, $sim, 'and all is shown');

# Many sales are no mass change, and with NULL nothing is.
sql('BEGIN; ' . join('; ', map { "SELECT storesync.reserve('S$_', 1, storesync.new_key())" } 30 .. 100) . '; COMMIT');
Storesync->converged($node, $sim, 'sales in seventy listings pass');
sql("UPDATE storesync.store SET breaker_share = NULL");
adjust(7, 11 .. 90);
Storesync->converged($node, $sim, 'without a share nothing is held');
is(sql('SELECT count(*) FROM storesync.breaker'), 0, 'no breaker is open');

Storesync->sound($node);

# A copy of the data that its operator lets go on: nobody knows what the shops show by now, so all that it would
# write is held, but for what is sold.
sub databases
{
	my ($names) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = '$names'");
	$node->reload;
	return;
}
databases('');
Storesync->wait_until(sub { Storesync->dispatcher($node) eq '' }, 'no dispatcher');
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO original');
$node->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE original');
sql('UPDATE storesync.store SET breaker_share = 0.2');
my $before = counts(1001);
databases('shop');
sql("SELECT storesync.confirm_instance('desk')");
held(100);
is(sql('SELECT reason FROM storesync.incarnation ORDER BY incarnation DESC LIMIT 1'), 'copy', 'the copy knows that it is one');
is(counts(1001), $before, 'the shop shows what it did');
my $units = $sim->stock(1001, 5);
$sim->order(1002, [ 5, 0, 1 ]);
shows(1001, 5, $units - 1, 'a sale elsewhere goes through all the same');
sql('SELECT storesync.release_breaker(store_id) FROM storesync.store');
Storesync->converged($node, $sim, 'released, all is written');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_target WHERE dirty', 0, 'and acknowledged');
Storesync->sound($node);
$node->stop;
done_testing();
