# The dispatcher's calls and their budget: parts of lanes and of applications, turns of stores,
# throttles and quotas, limits changed under way, stores without room.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $items = 60;
my @shops = (1001 .. 1003);
my $sim = Storesync->simulator(rate => 0,
	catalogue => Storesync->catalogue(shops => scalar @shops, skus => $items, units => 50));
my $node = Storesync->cluster('main', 'storesync.max_stores' => 3, 'storesync.clock_doubt' => '10ms',
	'storesync.request_timeout' => '2s');
my $store = Storesync->load($node, $sim, rate_limit => '20/s', shown => 1);
my ($first, $second, $third) = map { $store->{$_} } @shops;

sub sql { return $node->safe_psql('shop', $_[0]); }

sub all_change
{
	sql("SELECT count(storesync.receive(code, 1, storesync.new_key())) FROM storesync.sku");
	return;
}

# calls STORE [, SINCE]: how many a store has made
sub calls
{
	my ($of, $since) = @_;
	return sql("SELECT count(*) FROM storesync.call_log WHERE store_id = $of AND at > '" . ($since // '-infinity') . "'");
}

# A session that asks without a pause until the dispatcher has made some calls, and says what both got
# from the first write on: before, raises wait for a fetch, and what nobody waits for is there for all.
my $greedy = <<'END';
DO $$
DECLARE
	began timestamptz := clock_timestamp();
	made int := 0;
	granted int := 0;
BEGIN
	WHILE made < CALLS AND clock_timestamp() < began + interval '60 s' LOOP
		IF made = 0 THEN
			granted := 0;
		END IF;
		FOR i IN 1..200 LOOP
			IF storesync.rate_take(STORE) = '0' THEN
				granted := granted + 1;
			END IF;
		END LOOP;
		SELECT count(*) INTO made FROM storesync.call_log WHERE store_id = STORE AND at > began AND call = 'push_stock';
	END LOOP;
	RAISE WARNING 'dispatcher %, application %', made, granted;
END $$;
END

# ---------------------------------------------------------------- applications beside the dispatcher

sql(q(UPDATE storesync.store SET poll_interval = '1 hour'));
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', 3, 'the first fetches');
sql("UPDATE storesync.store SET paused = true WHERE store_id <> $first");
# What a dispatcher that the machine leaves no processor to does not take is free for all, and says nothing: once in
# three times it has to have been left alone.
my ($made, $granted);
for my $try (1 .. 3)
{
	all_change();
	my ($status, $out, $said) = $node->psql('shop', $greedy =~ s/STORE/$first/gr =~ s/CALLS/40/r);
	($made, $granted) = $said =~ /dispatcher (\d+), application (\d+)/;
	note("dispatcher $made, application $granted");
	last if $made < 40 || $granted <= 8;
}
cmp_ok($made, '>=', 40, 'an application that asks all the time does not keep the dispatcher from its calls');
# a call in 40, and what was free before the dispatcher began to wait
cmp_ok($granted, '<=', 8, 'it gets its part and no more');
Storesync->wait_until(sub { calls($first) >= $items }, 'the end of the backlog');
ok(Storesync->wait_until(sub { sql("SELECT storesync.rate_take($first) = '0'") eq 't' }, 'a call for the application'),
	'with nobody waiting the application is granted calls');

# ---------------------------------------------------------------- stores take turns

sql(q(UPDATE storesync.store SET paused = false));
Storesync->converged($node, $sim);
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = '15/s'");
$node->reload;
my $since = sql('SELECT clock_timestamp()');
all_change();
Storesync->wait_until(sub { calls($first, $since) >= 20 }, 'twenty calls of the first store');
my @counts = split /\|/, sql("SELECT min(n), max(n) FROM (SELECT count(c.at) AS n FROM storesync.store s"
	. " LEFT JOIN storesync.call_log c ON c.store_id = s.store_id AND c.at > '$since' GROUP BY s.store_id) x");
cmp_ok($counts[1] - $counts[0], '<=', 3, "stores that share a limit take turns: $counts[0] to $counts[1] calls");

# a limit that is lifted while everybody waits for it
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = '4/h'");
$node->reload;
ok(Storesync->wait_until(sub { sql("SELECT extract(epoch FROM storesync.rate_take($first)) > 60") eq 't' }, 'the hourly limit'),
	'a total limit of 4/h holds everybody');
$node->append_conf('postgresql.conf', "storesync.total_rate_limit = ''");
$node->reload;
Storesync->converged($node, $sim, 'lifted, all go on at once: no wake-up is lost');

sql("UPDATE storesync.store SET rate_limit = '1/h' WHERE store_id = $second");
$since = sql('SELECT clock_timestamp()');
all_change();
Storesync->wait_until(sub { calls($third, $since) >= 40 }, 'the others');
sql("UPDATE storesync.store SET rate_limit = '100/s' WHERE store_id = $second");
Storesync->converged($node, $sim, 'a store whose limit is raised goes on at once');

# ---------------------------------------------------------------- throttles

sql("UPDATE storesync.store SET rate_limit = '40/s'");
$sim->faults(throttle => 1, count => 3);
all_change();
# one look for all: some dozens of good answers later nothing of it is to be seen any more
my ($slowed, $slower, $state);
Storesync->wait_until(
	sub {
		($slowed, $slower, $state) = split /\|/, sql("SELECT count(*), count(*) FILTER (WHERE pace < 50),"
			. " (SELECT string_agg(DISTINCT state, ' ') FROM storesync.health() WHERE reason LIKE '%of its limit since a throttle%')"
			. " FROM storesync.rate_status WHERE pace < 100 AND slowed_since IS NOT NULL");
		return $slowed > 0;
	},
	'a slowed store');
is($slower, 0, 'one burst of throttles halves the pace once');
is($state, 'degraded', 'health() says so');
Storesync->converged($node, $sim, 'slowed stores go on');
all_change();
Storesync->converged($node, $sim);
is(sql("SELECT count(*) FROM storesync.rate_status WHERE pace < 100"), 0, 'good answers bring the pace back');

# ---------------------------------------------------------------- quota

sql("UPDATE storesync.platform SET quota_scope = 'application', quota_reset = (now() + interval '2 hours')::timetz");
$sim->faults(quota => 1, count => 1);
all_change();
ok( Storesync->query_until($node, "SELECT count(*) FROM storesync.health() WHERE component LIKE 'store %'"
		. " AND reason LIKE '%used up until%'", 3, 'the answer to one call'),
	'an application\'s used-up quota stops all its stores, and health() says until when');
cmp_ok(sql("SELECT extract(epoch FROM storesync.rate_take($third))"), '>', 7100, 'applications wait for the reset as well');
sql("SELECT storesync.rate_forget($first)");
Storesync->converged($node, $sim, 'granted more, they go on at once');

# ---------------------------------------------------------------- no room

my $pid = Storesync->dispatcher($node);
sql("SELECT storesync.add_store('shopee', '1009', 'one too many')");
sql("SELECT storesync.set_credential(store_id, n, 'x') FROM storesync.store, unnest(ARRAY['access_token', 'refresh_token']) n"
	. " WHERE shop_id = '1009'");
Storesync->query_until($node, "SELECT reason LIKE '%no room for its call budget%' FROM storesync.health()"
	. " WHERE component = (SELECT 'store ' || store_id FROM storesync.store WHERE shop_id = '1009')",
	't', 'a store without room says so in health()');
Storesync->wait_until(sub { slurp_file($node->logfile) =~ /store \d+ waits: shared memory has no room/ }, 'the log line');
all_change();
Storesync->converged($node, $sim, 'the others go on');
is(Storesync->dispatcher($node), $pid, 'and the dispatcher has not ended');
unlike(slurp_file($node->logfile), qr/terminated by signal|ERROR:/, 'it met no error');
Storesync->sound($node);

done_testing();
