# Somebody sets the time of day, forward and back: no call is granted for it, none waits for it, and
# what the dispatcher and the workers of the cache and of ClickHouse wait for does not wait for the clock to catch up.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::ClickHouse;
use Storesync::Redis;
use Test::More;

# A library that moves the time of day of whoever is started with it by the seconds in a file.
my $dir = PostgreSQL::Test::Utils::tempdir;
my $clock = Storesync->library('clock', "$dir/clock.so", "-DCLOCK_FILE=\"$dir/ahead\"");
plan skip_all => 'no C compiler' unless $clock;

# set_clock SECONDS: ahead of the true time
sub set_clock
{
	my ($ahead) = @_;
	append_to_file("$dir/new", $ahead);
	rename "$dir/new", "$dir/ahead" or die "could not set the clock: $!";
	return;
}

my $sim = Storesync->simulator(rate => 0, catalogue => Storesync->catalogue(shops => 2, skus => 4, units => 50));
my $redis = Storesync::Redis->start;
diag('no redis-server: the cache is left out') unless $redis;
my $house = Storesync::ClickHouse->start(database => 'shop', password => 'hush-4711');
diag('no clickhouse-server: it is left out') unless $house;
append_to_file("$dir/clickhouse", "storesync hush-4711\n");
my $node = Storesync->cluster('main', -start => 0, 'storesync.clock_doubt' => '10ms',
	$redis ? ('storesync.redis_url' => 'unix:' . $redis->socket) : (),
	$house ? ('storesync.clickhouse_url' => $house->url, 'storesync.secret_directory' => $dir, 'storesync.clickhouse_password_file' => 'clickhouse') : ());
{
	local $ENV{LD_PRELOAD} = $clock;
	$node->start;
}
Storesync->create($node);
my $store = Storesync->load($node, $sim, rate_limit => '30/s', shown => 1);
my ($first, $second) = @$store{qw(1001 1002)};

sub cached { return join ' ', map { $redis->ask(0, 'HGET', "shop:stock:$_", 'available') } split /\n/, sql('SELECT code FROM storesync.sku ORDER BY code'); }
sub sql { return $node->safe_psql('shop', $_[0]); }

sql("UPDATE storesync.store SET poll_interval = '2 s'");
Storesync->wait_until(sub { sql('SELECT count(*) FROM storesync.order_cursor') == 2 }, 'the first fetches');
foreach my $ahead (-7200, 0, 7200, 3600)
{
	set_clock($ahead);
	sql("SELECT count(storesync.receive(code, 1, storesync.new_key())) FROM storesync.sku");
	Storesync->converged($node, $sim, "calls go on with the clock at $ahead s");
	ok(!$redis || Storesync->wait_until(sub { cached() eq sql("SELECT string_agg(storesync.available(code)::text, ' ' ORDER BY code) FROM storesync.sku") }, 'the cache'),
		'and so does the cache');
	ok(!$house || Storesync->wait_until(sub { (eval { $house->ask('SELECT count() FROM ledger FINAL WHERE deleted = 0') } // '') eq sql('SELECT count(*) FROM storesync.ledger') }, 'ClickHouse'),
		'and so does ClickHouse');
	# stock by month was taken up to a moment that may lie ahead now
	sql('CALL storesync.roll_up()');
}
my @said = slurp_file($node->logfile) =~ /the time of day was set by (-?\d+) s, the dispatcher/g;
is(scalar @said, 4, 'each time the dispatcher starts again');
cmp_ok(abs($said[0] + 7200), '<=', 1, 'and says by how much the clock was set');
ok(Storesync->query_until($node, "SELECT fetched_at > clock_timestamp() - interval '1 minute' AND fetched_through <= clock_timestamp()"
		. " FROM storesync.order_cursor WHERE store_id = $first", 't', 'a fetch'), 'orders are fetched by the new time');

Storesync->limited($sim, 30);
Storesync->sound($node);

# ---------------------------------------------------------------- limits and quotas

$node->append_conf('postgresql.conf', "storesync.databases = ''");
$node->reload;
Storesync->wait_until(sub { Storesync->dispatcher($node) eq '' }, 'the end of the dispatcher');
set_clock(0);
sub wait_of { return sql("SELECT extract(epoch FROM storesync.rate_take($_[0]))"); }

sql("UPDATE storesync.store SET rate_limit = '1/h' WHERE store_id = $first");
cmp_ok(wait_of($first), '>', 3500, 'a limit of 1/h starts empty');
set_clock(7200);
cmp_ok(wait_of($first), '>', 3400, 'a clock set forward grants nothing');
set_clock(-7200);
cmp_ok(wait_of($first), '<=', 3600, 'a clock set back keeps nothing back');

set_clock(0);
sql("UPDATE storesync.platform SET quota_scope = 'store', quota_reset = (clock_timestamp() + interval '3 hours')::timetz");
sql("SELECT storesync.rate_quota($second)");
cmp_ok(wait_of($second), '>', 10700, 'a used-up quota waits for the reset');
set_clock(-7200);
cmp_ok(wait_of($second), '<=', 10801, 'no longer when the clock is set back');
set_clock(7200);
my $wait = wait_of($second);
ok($wait > 3500 && $wait <= 3601, 'until the reset by the clock when it is set forward');
set_clock(4 * 3600);
ok(Storesync->wait_until(sub { wait_of($second) == 0 }, 'a grant'), 'and not beyond it');

done_testing();
