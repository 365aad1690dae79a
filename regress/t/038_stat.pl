# What can be seen from outside: why a store waits, how long calls take, how many
# of them go well; and a store whose credential fails stops alone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => 2, skus => 2, units => 50), rate => 0);
my $node = Storesync->cluster('main');
my $store = Storesync->load($node, $sim, rate_limit => '50/s burst 5');
my ($one, $two) = @$store{ 1001, 1002 };

sub sql { return $node->safe_psql('shop', $_[0]); }
sub health { return "SELECT reason FROM storesync.health() WHERE component = 'store $_[0]'"; }

Storesync->converged($node, $sim, 'all is shown at first');
# the simulator begins with these quantities: only an acknowledged write tells that the dispatcher is at work
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_target WHERE enabled AND NOT dirty", '4',
	'all has been written once');

# A credential that fails.
$sim->faults(auth => 1, shop_id => '1001');
sql("SELECT storesync.reserve('S1', 5, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(1002, 1) == 45 }, 'the other store follows');
ok( Storesync->wait_until(sub { sql(health($one)) =~ /^waits: the platform refuses its credential since / },
		'health() says so'),
	'a store whose credential fails says so');
is(sql(health($two)), '', 'the other one has nothing to say');
ok( Storesync->query_until($node,
		"SELECT waits, waits_until > waits_since, lower FROM storesync.stat_store WHERE store_id = $one",
		'waits: the platform refuses its credential|t|1', 'stat_store'),
	'so does stat_store, with what waits');
is($sim->stock(1001, 1), 50, 'it is not written');
my @lines = slurp_file($node->logfile) =~ /storesync store $one (waits: the platform refuses its credential)/g;
is(scalar @lines, 1, 'one line in the log');
$sim->faults;
sql("SELECT storesync.set_credential($one, 'access_token', 'accessToken1')");
Storesync->converged($node, $sim, 'mended it goes on');
ok(Storesync->wait_until(sub { sql(health($one)) eq '' }, 'its health'), 'and has nothing to say');

# Durations and shares.
is(sql("SELECT string_agg(phase, ' ' ORDER BY phase) FROM storesync.stat_latency WHERE store_id = $two"),
	'answer call connect converged lookup', 'durations of all phases that there are');
is(sql("SELECT bool_and(p50_ms <= p95_ms AND p95_ms <= p99_ms AND n > 0) FROM storesync.stat_latency"), 't',
	'in order');
# a row a day: midnight in Taipei may have come meanwhile
Storesync->query_until($node, q(SELECT string_agg(DISTINCT platform, ','), sum(calls) >= 6, sum(ok) < sum(calls),
	sum(ok) / sum(calls) BETWEEN 0.1 AND 0.99 AND bool_and(share = round(ok::numeric / calls, 4)) FROM storesync.stat_application),
	'shopee|t|t|t', 'the share of calls that went well');
# counted at once, logged when the round of its answer commits
ok( Storesync->query_until($node, 'SELECT sum(calls_ok + calls_failed + calls_throttled) = (SELECT count(*) FROM storesync.call_log)'
		  . ' FROM storesync.stat_store', 't', 'as many calls as are logged'),
	'every call is counted');
is(sql("SELECT application_name, query FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher'")
	  =~ /^storesync dispatcher\|(storesync: [a-z ]+)?$/ ? 'constant' : 'not', 'constant', 'its activity is told in constant words');
Storesync->sound($node);
$node->stop;
done_testing();
