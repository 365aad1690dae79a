# The cache in Redis: it has what the tables say, an older write never wins, it is filled again by itself
# after whatever befalls Redis, and callers of the database notice nothing of that. Locks and sessions.

use strict;
use warnings;

use Digest::SHA qw(sha1_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Redis;
use Test::More;
use Time::HiRes qw(time);

my $redis = Storesync::Redis->start(password => 'hush-9184');
plan skip_all => 'no redis-server (package redis-server)' unless $redis;

my $secrets = PostgreSQL::Test::Utils::tempdir;
append_to_file("$secrets/redis", "hush-9184\n");
my $node = Storesync->cluster('main', 'storesync.redis_url' => 'unix:' . $redis->socket . '?db=3',
	'storesync.secret_directory' => $secrets, 'storesync.redis_password_file' => 'redis');

sub sql { return $node->safe_psql('shop', $_[0]); }

# field KEY, FIELD: of the database's key in Redis
sub field { return $redis->ask(3, 'HGET', "shop:$_[0]", $_[1]); }

sub field_until
{
	my ($key, $field, $value, $what) = @_;
	my $got = '';
	ok(Storesync->wait_until(sub { $got = field($key, $field); return $got eq $value; }, $what), $what) or diag("it is: $got");
	return;
}

# differences: keys of which Redis has something else than the tables say, and those it has besides
sub differences
{
	my @wrong;
	my %want;
	my %have = map { split /\|/, $_, 2 } grep { /^shop:(?:stock|listing|order):/ } split /\n/, $redis->ask(3, 'EVAL', <<'LUA', 0);
local found = {}
for _, key in ipairs(redis.call('KEYS', 'shop:*')) do
	if redis.call('TYPE', key)['ok'] == 'hash' then
		local f = redis.call('HMGET', key, 'available', 'price', 'doc')
		found[#found + 1] = key .. '|' .. (f[1] or f[2] or f[3] or '')
	end
end
return found
LUA

	foreach my $row (split /\n/, sql(<<'SQL'))
SELECT key, fields[1], fields[2] FROM storesync.cache_stock(ARRAY(SELECT sku_id FROM storesync.sku))
UNION ALL SELECT key, fields[1], fields[2] FROM storesync.cache_listing(ARRAY(SELECT listing_id FROM storesync.listing)) WHERE fields IS NOT NULL
UNION ALL SELECT key, fields[1], fields[2] FROM storesync.cache_order(ARRAY(SELECT order_id FROM storesync.sales_order))
SQL
	{
		my ($key, $name, $value) = split /\|/, $row, 3;
		$want{"shop:$key"} = 1;
		push @wrong, $key unless ($have{"shop:$key"} // '') eq $value;
	}
	push @wrong, map { "$_, which is nowhere else" } grep { !$want{$_} } keys %have;
	return join ', ', sort @wrong;
}

sub same
{
	my ($what) = @_;
	my $last = '';
	ok(Storesync->wait_until(sub { $last = differences(); return $last eq ''; }, $what), $what) or diag("different: $last");
	return;
}

sub state_until { return Storesync->query_until($node, 'SELECT state FROM storesync.stat_cache', $_[0], "state $_[0]"); }

my $orders = 0;

# orders N: books so many, one by one; returns the 99th percentile of their times in ms, and the outcomes
sub orders
{
	my ($n) = @_;
	my @sql = map {
		$orders++;
		my $sku = 1 + $orders % 4;
		qq(SELECT clock_timestamp() AS began \\gset
SELECT outcome || ' ' || (extract(epoch FROM clock_timestamp() - :'began') * 1000)::int FROM storesync.ingest_order(1,
	jsonb_build_object('order_sn', 'O$orders', 'status', 'ready_to_ship', 'create_time', extract(epoch FROM now())::bigint,
	'buyer', 'Ms. Secret', 'lines', '[{"line_id":"1","item_id":"$sku","qty":1,"unit_price":100}]'::jsonb));)
	} 1 .. $n;
	my @out = split /\n/, sql(join "\n", @sql);
	my @ms = sort { $a <=> $b } map { /(\d+)$/ } @out;
	my %outcome = map { /^(\w+)/ => 1 } @out;

	return ($ms[ int(0.99 * $#ms) ], join ',', sort keys %outcome);
}

# steady WHAT: orders are booked as always while Redis is in trouble
sub steady
{
	my ($what) = @_;
	my ($p99, $outcomes) = orders(60);
	is($outcomes, 'applied', "$what: orders are booked");
	# Redis is given a second, and nobody waits for it: far from that, on a busy machine too
	cmp_ok($p99, '<', 500, "$what: nobody waits for it");
	note("$what: p99 $p99 ms");
	return;
}

sql(<<'SQL');
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9' WHERE platform = 'shopee';
SELECT storesync.add_store('shopee', '1001', 'one', '5/s');
UPDATE storesync.store SET mode = 'shadow', poll_interval = '1 hour';
SELECT storesync.add_sku('S' || n), storesync.receive('S' || n, 100000, storesync.new_key()) FROM generate_series(1, 5) n;
SELECT storesync.add_listing(1, 'S' || n, n::text) FROM generate_series(1, 5) n;
UPDATE storesync.listing SET price = 199.50 WHERE listing_id <= 3;
SELECT storesync.add_sku('SET');
SELECT storesync.set_bundle('SET', '{"S1": 2, "S2": 1}');
SQL

# ---------------------------------------------------------------- following
state_until('following');
same('the cache has stock, prices and bundles');
my ($calm) = orders(60);
note("without trouble: p99 $calm ms");
same('and orders');
unlike($redis->ask(3, 'HGET', 'shop:order:1:O1', 'doc'), qr/Secret/, 'which do not name the buyer');
cmp_ok($redis->ask(3, 'TTL', 'shop:order:1:O1'), '>', 89 * 86400, 'and are kept for 90 days');
sql(q{SELECT storesync.ingest_order(1, jsonb_build_object('order_sn', 'O1', 'status', 'shipped', 'create_time', extract(epoch FROM now())::bigint,
	'update_time', extract(epoch FROM now())::bigint + 1, 'lines', '[{"line_id":"1","item_id":"2","qty":1,"unit_price":100}]'::jsonb))});
ok(Storesync->wait_until(sub { field('order:1:O1', 'doc') =~ /"shipped"/ }, 'a new status'), 'a status that changes reaches the cache');
sql('UPDATE storesync.listing SET price = NULL WHERE listing_id = 3; DELETE FROM storesync.listing WHERE listing_id = 5');
same('a price that is taken away is deleted');
is(sql("SELECT count(*) FROM storesync.health() WHERE component = 'cache' AND state = 'ok'"), '1', 'health() says that all is well');

# an older write loses, a later life of the data wins whatever its version
my $stamp = field('stock:S1', 'stamp');
my $script = join ' ', split /\n/, $redis->documented('lua');
my @key = ('EVALSHA', sha1_hex($script), 1, 'shop:stock:S1');
is($redis->ask(3, @key, 1, 1, $stamp + 1000, 60, 'available', 7), '0', 'an older version is refused');
is($redis->ask(3, @key, 1, field('stock:S1', 'version'), $stamp - 1, 60, 'available', 7), '0', 'so is an older reading of the same');
is($redis->ask(3, @key, 2, 1, 1, 60, 'available', 7), '1', 'a later life is not, whatever its version');
is(field('stock:S1', 'available'), '7', 'which is there now');
$redis->ask(3, 'DEL', 'shop:stock:S1');

# ---------------------------------------------------------------- trouble
$redis->ask(3, 'FLUSHALL');
steady('emptied');
same('what was emptied is filled again');

$redis->stop;
state_until('away');
steady('gone');
is(sql("SELECT state FROM storesync.health() WHERE component = 'cache'"), 'degraded', 'health() says so');
like(($node->psql('shop', q{SELECT storesync.cache_lock('a', '1 s')}))[2], qr/the cache is not available/, 'and so do functions');
$redis->again;
same('started again empty, it is filled');

$redis->signal('STOP');
steady('slow');
state_until('away');
my $began = time;
my ($status, $out, $err) = $node->psql('shop', q{\set VERBOSITY sqlstate
SELECT storesync.session_get('x')});
like($err, qr/SS601/, 'a function that Redis does not answer says so');
cmp_ok(time - $began, '<', 10, 'and does not wait for it');
$redis->signal('CONT');
same('back again, it has everything');

$redis->ask(3, 'CONFIG', 'SET', 'maxmemory', 1);
steady('full');
state_until('full');
ok(Storesync->wait_until(sub { (field('stock:S1', 'available') || '') eq '' }, 'old values gone'), 'what could not be written was deleted');
$redis->ask(3, 'CONFIG', 'SET', 'maxmemory', 0);
same('with memory again it is filled');
state_until('following');

# what Redis refuses is tried again after pauses that grow: 0.25 s, 0.5 s, 1 s; it was asked some hundred times a second
my $said_from = -s $node->logfile;
sub refusals { my $what = shift; return scalar(() = slurp_file($node->logfile, $said_from) =~ /Redis refused what the cache worker asked: $what/g); }
my $refusing = time;
$redis->ask(3, 'CONFIG', 'SET', 'min-replicas-to-write', 1);
steady('refusing');
ok(Storesync->wait_until(sub { refusals('NOREPLICAS') >= 4 }, 'tried again'), 'what was refused is tried again');
cmp_ok(time - $refusing, '>=', 1.7, 'after pauses');
cmp_ok(refusals('NOREPLICAS'), '<', 20, 'and the log has a line each time');
$redis->ask(3, 'CONFIG', 'SET', 'min-replicas-to-write', 0);
same('what was refused is there when it is taken again');
$redis->ask(3, 'ACL', 'SETUSER', 'default', '-script');
$redis->ask(3, 'CLIENT', 'KILL', 'TYPE', 'normal');
ok(Storesync->wait_until(sub { refusals('NOPERM') > 0 }, 'a refused greeting'), 'the log says why a new connection is of no use');
$redis->ask(3, 'ACL', 'SETUSER', 'default', '+script');
same('allowed again, it has everything');
state_until('following');

my $worker = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'storesync cache worker');
my $former = sql($worker);
sql("SELECT pg_terminate_backend($former)");
steady('without its worker');
Storesync->query_until($node, "SELECT count(*) FROM ($worker) w WHERE pid <> $former", 1, 'another worker');
same('another worker has filled it');

# ---------------------------------------------------------------- recovery to an earlier moment
# Redis has a future that the database never had
$redis->ask(3, @key, 0, 1, 1, 600, 'available', 7);
$redis->ask(3, 'HSET', 'shop:order:1:LOST', 'incarnation', 0, 'doc', '{}');
$redis->ask(3, 'HSET', 'shop:cache', 'incarnation', 0, 'token', 'another life');
same('keys of an earlier life of the data are replaced, or deleted');

# ---------------------------------------------------------------- who is away for too long
$redis->stop;
state_until('away');
sql("UPDATE storesync.consumer SET moved_at = now() - interval '7 hours' WHERE name = 'cache'");
orders(5);
is(sql("SELECT waited FROM storesync.stat_outbox WHERE consumer = 'cache'"), 'f', 'nobody waits for a cache that is away for hours');
is(sql(q{SELECT count(*) FROM storesync.rotation(now() + interval '2 days') WHERE waits_for LIKE '%cache%'}), '0', 'partitions of the outbox neither');
$redis->again;
same('it is filled when it is back');

# ---------------------------------------------------------------- locks and sessions
my $token = sql(q{SELECT storesync.cache_lock('count', '1 hour')});
cmp_ok($token, '>', 0, 'a lock is taken');
is(sql(q{SELECT storesync.cache_lock('count', '1 hour') IS NULL}), 't', 'once');
is(sql("SELECT storesync.cache_unlock('count', $token + 1)"), 'f', 'another token does not end it');
is(sql("SELECT storesync.cache_unlock('count', $token)"), 't', 'its own does');
$redis->ask(3, 'FLUSHALL');
cmp_ok(sql(q{SELECT storesync.cache_lock('count', '20 ms')}), '>', $token, 'tokens rise, also when Redis has lost everything');
is(Storesync->wait_until(sub { sql(q{SELECT storesync.cache_lock('count', '1 hour') IS NOT NULL}) eq 't' }, 'expiry'), 1, 'a lock expires');
sql(q{SELECT storesync.session_put('c2', '{"user": 7, "名": "王"}', '1 hour')});
is(sql(q{SELECT storesync.session_get('c2')}), '{"名": "王", "user": 7}', 'a session comes back');
$redis->ask(3, 'PEXPIRE', 'shop:session:c2', 100000);
sql(q{SELECT storesync.session_get('c2')});
cmp_ok($redis->ask(3, 'PTTL', 'shop:session:c2'), '>', 1000000, 'and lives on from when it was asked for');
is(sql(q{SELECT storesync.session_drop('c2'), storesync.session_drop('c2'), storesync.session_get('c2') IS NULL}), 't|f|t', 'until it is dropped');

# ---------------------------------------------------------------- an application server
my $python = $redis->documented('python');
append_to_file("$secrets/read.py", $python);
same('emptied once more, it is filled');
my ($read, $said) = run_command([ 'python3', "$secrets/read.py", $redis->socket, 3, 'hush-9184', 'S2' ]);
is($read, sql(q{SELECT storesync.available('S2')}), 'the code in docs/cache.md reads the stock');

# ---------------------------------------------------------------- copies, and databases that go
sql(q{SELECT storesync.session_put('orig', '1', '1 hour')});
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO shop_then');
$node->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE shop_then');
Storesync->query_until($node, 'SELECT state FROM storesync.stat_cache', 'unconfirmed', 'a copy waits');
my $entries = field('stock:S1', 'stamp');
is(sql('SELECT storesync.cache_allowed()'), 'f', 'a copy does not speak to the cache of the original');
($status, $out, $err) = $node->psql('shop', q{SELECT storesync.session_get('orig')});
like($err, qr/before it is confirmed/, 'nor do its sessions');
is(field('stock:S1', 'stamp'), $entries, 'nothing was written');
$node->safe_psql('postgres', 'DROP DATABASE shop');
pass('its cache worker lets the database go');

unlike(slurp_file($node->logfile), qr/hush-9184/, 'the password is not in the log');
$redis->stop;
done_testing();
