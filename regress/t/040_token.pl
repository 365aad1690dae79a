# Access tokens are refreshed before they end and when they are refused, by one
# call and with nothing lost: killed between the answer and its commit, between
# the commit and the next call, while the platform works on it; answers lost; a
# refresh token that the platform refuses. A store that needs people waits alone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $rate) = (2, 4, 500, 20);
my $refresh_path = '/api/v2/auth/access_token/get';
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0, token_grace => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms', 'storesync.request_timeout' => '10s');
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my ($one, $two) = @$store{qw(1001 1002)};

sub sql { return $node->safe_psql('shop', $_[0]); }
sub change { return sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series(1, $skus) n"); }
sub refreshes { my ($shop) = @_; return scalar grep { $_->{path} eq $refresh_path } @{ $sim->calls($shop) }; }
sub refreshed { return sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token' AND subject = 'store $one'"); }

# answer of a query, undef while the server is on its way back
sub ask { my ($sql) = @_; my ($status, $out) = $node->psql('shop', $sql); return $status == 0 ? $out : undef; }

# authorize: the seller goes through the platform's page again, an operator sets what it gave
sub authorize
{
	my $pair = $sim->post('authorize', { shop_id => '1001' });
	sql("SELECT storesync.set_credential($one, '$_', '$pair->{$_}')") foreach qw(access_token refresh_token);
	return;
}

sub killed
{
	my ($pid) = @_;
	kill 'KILL', $pid;
	$sim->faults;
	return Storesync->wait_until(
		sub {
			my $next = ask("SELECT pid FROM storesync.stat_dispatcher WHERE database = 'shop' AND state = 'running'");
			return defined $next && $next ne '' && $next ne $pid;
		},
		'another dispatcher');
}

sql(q(UPDATE storesync.store SET poll_interval = '1 hour'));
Storesync->converged($node, $sim, 'all is shown at first');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', '2', 'the first fetches');

# A token that ends in the middle of a batch: one refresh, then what was refused is sent again.
change();
$sim->post('expire_token', { shop_id => '1001' });
change();
Storesync->converged($node, $sim, 'a token that ended in the middle of a batch is refreshed');
is(refreshes(1001), 1, 'by one call');
is(refreshes(1002), 0, 'of that store alone');
is(refreshed(), 1, 'which the audit tells');
is(sql("SELECT refreshed_at > clock_timestamp() - interval '1 minute',
		access_expires - refreshed_at BETWEEN interval '3:59' AND interval '4:01', refused_at, asked_at,
		refresh_due BETWEEN access_expires - interval '31 minutes' AND access_expires - interval '29 minutes',
		refresh_left > interval '29 days' FROM storesync.token_status WHERE store_id = $one"),
	't|t|||t|t', 'and token_status');
is(sql(q(SELECT count(*) FROM storesync.health() WHERE component LIKE 'authorisation%')), 0, 'nothing for people to do');

# Asked for.
my $task = sql("SELECT storesync.enqueue($two, 'refresh_token', '{}')");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'a task that asks for it');
is(refreshes(1002), 1, 'is one call');

# In time: nobody meets the end of a token.
my $auth = sql("SELECT count(*) FROM storesync.call_log WHERE class = 'auth'");
sql("UPDATE storesync.token SET access_expires = clock_timestamp() + interval '1 minute' WHERE store_id = $one");
sql("UPDATE storesync.credential SET set_at = clock_timestamp() - interval '4 hours' WHERE store_id = $one");
sql("SELECT pg_terminate_backend(pid) FROM storesync.stat_dispatcher WHERE pid IS NOT NULL");
Storesync->wait_until(sub { refreshed() == 2 }, 'a refresh before the end');
change();
Storesync->converged($node, $sim, 'refreshed in time');
is(sql("SELECT count(*) FROM storesync.call_log WHERE class = 'auth'"), $auth, 'no call was refused');

# What paused stores and those in shadow need too, and one that is off does not.
sql("UPDATE storesync.store SET mode = 'off' WHERE store_id = $two");
$task = sql("SELECT storesync.enqueue($two, 'refresh_token', '{}')");
sql("UPDATE storesync.store SET mode = 'shadow' WHERE store_id = $one");
my $other = sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($other)", 'done', 'refreshed in shadow');
is(sql("SELECT state FROM storesync.task_state($task)"), 'queued', 'and not for a store that is off');
sql("UPDATE storesync.store SET mode = 'live'");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'until it is on again');

change();
Storesync->converged($node, $sim, 'and writes');

# No answer, and nothing done: asked again.
my $before = refreshed();
$sim->faults(cut_before => 1, count => 2, path => 'access_token/get');
$sim->post('expire_token', { shop_id => '1001' });
change();
Storesync->converged($node, $sim, 'a refresh that never reached the platform is made again');
is(refreshed(), $before + 1, 'and one went well');

# The answer cannot be stored for a while: it is kept, and nothing uses it before it is.
$before = refreshed();
my $asked = refreshes(1001);
my $log = -s $node->logfile;
sql(q(CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no space left'; END$$;
	CREATE TRIGGER "full" BEFORE UPDATE ON storesync.credential FOR EACH STATEMENT EXECUTE FUNCTION public.full()));
$sim->post('expire_token', { shop_id => '1001' });
change();
ok($node->wait_for_log(qr/no space left.*no space left/s, $log), 'an answer that cannot be stored is tried again');
is(refreshed(), $before, 'nothing is stored');
sql('DROP FUNCTION public.full() CASCADE');
Storesync->converged($node, $sim, 'then it is stored and used');
is(refreshed(), $before + 1, 'once');
is(refreshes(1001), $asked + 1, 'by one call');

# Killed after the commit of the new pair, before any call uses it.
sub hold
{
	my ($what) = @_;
	my $holder = $node->background_psql('shop');
	$holder->query_safe('BEGIN');
	$holder->query_safe($what);
	return $holder;
}
my $pid = Storesync->dispatcher($node);
my $holder = hold('LOCK TABLE storesync.call_log IN EXCLUSIVE MODE');
$before = refreshed();
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->wait_until(sub { refreshed() == $before + 1 }, 'the pair is committed');
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'the dispatcher waits');
my $fresh = ask("SELECT value FROM storesync.credential WHERE store_id = $one AND name = 'access_token'");
killed($pid);
eval { $holder->quit };
change();
Storesync->converged($node, $sim, 'killed after the commit: the new pair is used');

# Killed between the answer and its commit: the pair is gone with the process.
# With a platform that lets the old access token live on, nothing but the
# refresh fails; here it ends at once, and the store waits for people.
$pid = Storesync->dispatcher($node);
$holder = hold("SELECT count(*) FROM (SELECT FROM storesync.credential WHERE store_id = $one FOR UPDATE) x");
$asked = refreshes(1001);
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'the answer waits to be stored');
is(refreshes(1001), $asked + 1, 'the platform has given a new pair');
$log = -s $node->logfile;
killed($pid);
eval { $holder->quit };
ok($node->wait_for_log(qr/store $one: the platform refuses its refresh token\n.*a lost answer may have spent the refresh token/, $log),
	'the log says that the token may be spent');
is(sql("SELECT count(*) FROM storesync.health() WHERE component = 'authorisation of store $one' AND reason LIKE 'the platform refuses its refresh token%'"),
	1, 'and so does health()');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused' AND subject = 'store $one'"), 1, 'and the audit');
change();
Storesync->wait_until(sub { $sim->stock(1002, 1) == sql("SELECT storesync.available('S1')") }, 'the other store goes on');
Storesync->query_until($node, "SELECT waits LIKE '%credential%' FROM storesync.stat_store WHERE store_id = $one", 't', 'this one waits');
isnt($sim->stock(1001, 1), $sim->stock(1002, 1), 'alone');
authorize();
Storesync->converged($node, $sim, 'authorised again it goes on');
is(sql("SELECT count(*) FROM storesync.health() WHERE component LIKE 'authorisation%'"), 0, 'and nothing is left to do');

# Killed while the platform works on it: it has given a pair that never came.
$sim->faults(slow => 1, slow_ms => 8000, path => 'access_token/get');
$asked = refreshes(1001);
$before = sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused'");
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->wait_until(sub { refreshes(1001) > $asked }, 'the refresh is under way');
isnt(sql("SELECT asked_at FROM storesync.token_status WHERE store_id = $one"), '', 'it was noted before it left');
killed(Storesync->dispatcher($node));
Storesync->query_until($node, "SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused'", $before + 1, 'found out at the start');
authorize();
change();
Storesync->converged($node, $sim, 'killed in the middle of it');

# People were quicker: the pair of the refresh under way does not replace theirs.
$sim->faults(slow => 1, slow_ms => 1500, path => 'access_token/get');
$asked = refreshes(1001);
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->wait_until(sub { refreshes(1001) > $asked }, 'a refresh is under way');
authorize();
my $theirs = sql("SELECT value FROM storesync.credential WHERE store_id = $one AND name = 'refresh_token'");
Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.call_log WHERE call = 'refresh_token' AND total_us > 1400000", 't', 'its answer');
is(sql("SELECT value FROM storesync.credential WHERE store_id = $one AND name = 'refresh_token'"), $theirs, 'what people set stays');
$sim->faults;
change();
Storesync->converged($node, $sim, 'and is used');

is(sql(q(SELECT string_agg(DISTINCT call || ' ' || class, ',') FROM storesync.compensation)), 'refresh_token auth',
	'nothing was given up but what asked for a refresh that was refused');
is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
unlike(slurp_file($node->logfile), qr/simaccess|simrefresh|refreshToken\d|accessToken\d/, 'no token is in the log');
is(sql(q(SELECT count(*) FROM storesync.audit WHERE after::text ~ 'simaccess|simrefresh|Token\d')), 0, 'nor in the audit');
unlike($node->safe_psql('postgres', 'SELECT query FROM pg_stat_activity'), qr/simaccess|simrefresh/, 'nor in pg_stat_activity');
Storesync->sound($node);
$node->stop;
done_testing();
