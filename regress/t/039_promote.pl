# The primary is lost in the middle of calls; its standby is promoted, takes over
# by itself, and brings every shop to what the database wants, though what the primary did
# last, and told the shops, never reached it: another life of the data begins. A second
# promotion, of which nothing is lost, does the same. The old primary comes back as a standby,
# or, started by mistake, calls nobody.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Redis;
use Test::More;

my ($shops, $skus, $units, $rate) = (3, 5, 100, 20);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $redis = Storesync::Redis->start or die "redis-server is not installed: run deploy/setup\n";
my $node = Storesync->cluster('primary', -streaming => 1, 'wal_log_hints' => 'on', 'wal_keep_size' => '1GB', 'storesync.instance_name' => 'main',
	'storesync.redis_url' => 'unix:' . $redis->socket);
Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
# a breaker that opens soon: what a promoted standby writes anew is no mass change
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '300 milliseconds', breaker_least = 2");
$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('old', q(CREATE EXTENSION storesync VERSION '1.0'; SELECT storesync.add_sku('A')));
Storesync->converged($node, $sim, 'all is shown at first');

sub cached { return join ' ', map { $redis->ask(0, 'HGET', "shop:stock:$_[0]", $_) } qw(incarnation available); }
my $life = 'SELECT storesync.current_incarnation()';
my $lives = "SELECT string_agg(concat_ws(' ', incarnation, reason, timeline), ', ' ORDER BY incarnation) FROM storesync.incarnation";
my $verify = 'INSERT INTO storesync.verification AS v (listing_id, incarnation, certificate_id, verified_at, qty)'
  . " SELECT listing_id, storesync.current_incarnation(), 1, now(), 1 FROM storesync.listing"
  . ' ON CONFLICT (listing_id) DO UPDATE SET incarnation = excluded.incarnation';
my $verified = 'SELECT count(verified_at) FROM storesync.listing_verified';
my $reader = "SELECT count(*) FROM storesync.health() WHERE component = 'consumer reader' AND state = 'degraded'";

$node->safe_psql('shop', "SELECT storesync.consumer_register('reader')");
$node->safe_psql('shop', $verify);
$node->backup('copy');
my ($standby, $replica) = map { PostgreSQL::Test::Cluster->new($_) } qw(standby replica);
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
# one that follows the standby, and goes on to do so
$replica->init_from_backup($node, 'copy');
$replica->enable_streaming($standby);
$replica->start;
is($standby->safe_psql('shop', 'SELECT count(*) FROM storesync.stat_dispatcher WHERE pid IS NOT NULL'), 0,
	'no dispatcher runs on a standby');
my %session = map { ($_->name => $_->background_psql('shop')) } $standby, $replica;
is($_->query_safe($life), 1, 'a session of a standby knows the life') foreach values %session;

$sim->faults(slow => 1, slow_ms => 20000, path => 'update_stock', shop_id => '1001');
$node->safe_psql('shop', "SELECT storesync.reserve('S' || n, 9, storesync.new_key()) FROM generate_series(1, $skus) n");
$sim->order(1001, [ 1, 0, 2 ]);
Storesync->query_until($node, 'SELECT (SELECT sum(in_flight) > 0 FROM storesync.stat_dispatcher), count(*) FROM storesync.sales_order',
	't|1', 'calls under way');
Storesync->wait_until(sub { $sim->stock(1003, 5) == $units - 9 }, 'the other shops are told');

# From here on nothing reaches the standby any more: shops are told what will not be in its books, and an
# order is booked that it has never heard of.
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
$standby->reload;
Storesync->query_until($standby, 'SELECT count(*) FROM pg_stat_wal_receiver', '0', 'replication is cut');
$node->safe_psql('shop', "SELECT storesync.receive('S5', 7, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(1003, 5) == $units - 9 + 7 }, 'a shop is told of it');
$sim->order(1003, [ 3, 0, 4 ]);
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 2, 'an order that the standby does not know');
Storesync->wait_until(sub { $sim->stock(1002, 3) == $units - 9 - 4 }, 'of which another shop is told');
Storesync->wait_until(sub { cached('S5') eq '1 ' . ($units - 9 + 7) }, 'and the cache has it');
my $lost = $node->safe_psql('shop', "SELECT version FROM storesync.ledger l JOIN storesync.sku USING (sku_id) WHERE code = 'S5' ORDER BY version DESC LIMIT 1");
$node->stop('immediate');
$sim->order(1002, [ 2, 0, 3 ]);
$standby->promote;
$sim->faults;

Storesync->query_until($standby, 'SELECT count(*) FROM storesync.sales_order', 3, 'orders that it had not seen');
Storesync->converged($standby, $sim, 'promoted in the middle of calls it brings every shop in line');
is($standby->safe_psql('shop', 'SELECT sum(reserved) FROM storesync.stock'), 9 * $skus + 9, 'each order is booked once');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
is($standby->safe_psql('shop', $lives), '1 new 1, 2 promotion 2', 'another life has begun');
is($session{standby}->query_safe($life), 2, 'as a session of before sees');
is($standby->safe_psql('shop', "SELECT storesync.is_copy(), storesync.recovery_id(), storesync.sending_allowed('shopee')"), 'f|0|t', 'it is no copy');
is($standby->safe_psql('shop', 'SELECT count(*) FROM storesync.breaker'), 0, 'and no mass change');
is($standby->safe_psql('shop', $verified), 0, 'nothing counts as verified');
Storesync->query_until($standby, q(SELECT incarnation FROM storesync.consumer WHERE name = 'dispatch'), 2, 'the dispatcher reads on in this life');
is($standby->safe_psql('shop', $reader), 1, 'a reader of the outbox is told');
$standby->safe_psql('shop', q(SELECT storesync.consumer_move('reader', pg_current_snapshot())));
is($standby->safe_psql('shop', $reader), 0, 'and begins anew');
Storesync->query_until($standby, 'SELECT count(*) FILTER (WHERE superseded), count(*) FROM storesync.token_status', "0|$shops", 'tokens are refreshed');

# what is given out again is told from what was lost, by the cache, too
ok(Storesync->wait_until(sub { cached('S5') eq '2 ' . ($units - 9) }, 'the cache comes right'), 'the cache has values of this life, though it was ahead');
$standby->safe_psql('shop', "SELECT storesync.receive('S5', 1, storesync.new_key())");
is($standby->safe_psql('shop', "SELECT max(version) = $lost FROM storesync.ledger l JOIN storesync.sku USING (sku_id) WHERE code = 'S5'"), 't', 'a version is given out again');
is($standby->safe_psql('shop', "SELECT incarnation FROM storesync.outbox o JOIN storesync.sku k ON k.sku_id = o.subject WHERE kind = 'stock' AND code = 'S5' ORDER BY xid DESC LIMIT 1"),
	2, 'in the other life');

# the one that follows says nothing, and knows
$standby->wait_for_catchup($replica);
is($session{replica}->query_safe($life), 2, 'a replica that stays one learns of the life');
is($replica->safe_psql('shop', 'SELECT count(*) FROM storesync.check_invariants()'), 0, 'where invariants hold');

# with the tables of 1.0 nothing is noticed; upgraded, the next promotion will be
is($standby->safe_psql('old', $life), 1, 'tables of 1.0 know of no promotion');
$standby->safe_psql('old', 'ALTER EXTENSION storesync UPDATE');
is($standby->safe_psql('old', $lives), '1 new 2', 'upgraded they know the timeline');
is($standby->safe_psql('old', $life), 1, 'in the same life');

# The old primary, rewound to follow, and started without its standby.signal. Without the checkpoint
# pg_rewind would not know yet that the other one has been promoted.
$standby->safe_psql('postgres', 'CHECKPOINT');
command_ok([ 'pg_rewind', '--no-sync', '-D', $node->data_dir, '--source-server', $standby->connstr('postgres') ], 'the old primary is rewound');
$node->append_conf('postgresql.conf', 'port = ' . $node->port . "\nunix_socket_directories = '" . $node->host . "'");
$node->start;
is($node->safe_psql('shop', q(SELECT storesync.is_copy(), storesync.sending_allowed('shopee'))), 't|f', 'started as a primary by mistake it calls nobody');
$node->stop;

# A change of primaries of which nothing is lost.
Storesync->converged($standby, $sim);
$standby->safe_psql('shop', $verify);
$standby->restart;
is($standby->safe_psql('shop', "$life; $verified"), "2\n" . $shops * $skus, 'a restart is no promotion');
Storesync->sound($standby);
$_->quit foreach values %session;
Storesync->query_until($replica, 'SELECT count(*) FROM pg_stat_wal_receiver', '1', 'the replica follows');
$standby->stop;
$replica->promote;
$sim->order(1001, [ 4, 0, 6 ]);
Storesync->query_until($replica, 'SELECT count(*) FROM storesync.sales_order', 4, 'it takes over');
Storesync->converged($replica, $sim, 'and brings every shop in line');
is($replica->safe_psql('shop', 'SELECT sum(reserved) FROM storesync.stock'), 9 * $skus + 15, 'each order is booked once');
is($replica->safe_psql('shop', $lives), '1 new 1, 2 promotion 2, 3 promotion 3', 'in a third life');
is($replica->safe_psql('shop', "$verified; SELECT storesync.is_copy(), storesync.sending_allowed('shopee'), count(*) FROM storesync.breaker"), "0\nf|t|0",
	'in which nothing is verified, and nothing held');
is($replica->safe_psql('old', "$life; $lives"), "3\n1 new 2, 3 promotion 3", 'the database that was upgraded has noticed, too');
Storesync->sound($replica);
$replica->stop;
done_testing();
