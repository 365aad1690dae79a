# A shop comes to work by SQL alone, from the seller's consent on. Access tokens
# are refreshed before they end and when they are refused, by one call and with
# nothing lost: killed between the answer and its commit, between
# the commit and the next call, while the platform works on it; answers lost; a
# refresh token that the platform refuses. A store that needs people waits alone.

use strict;
use warnings;

use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $rate) = (3, 4, 500, 20);
my $refresh_path = '/api/v2/auth/access_token/get';
my $code_path = '/api/v2/auth/token/get';
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms', 'storesync.request_timeout' => '10s');
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1, without => 1003);
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

# hold WHAT: a session that holds it, once all calls are over. A shop shows a quantity before its answer is recorded: a
# dispatcher that has one to record would meet the lock before it does what the lock is meant for.
sub hold
{
	my ($what) = @_;
	Storesync->query_until($node, <<'SQL', 't', 'all calls are over');
SELECT in_flight = 0 AND NOT EXISTS (SELECT FROM storesync.listing_status WHERE dirty)
	AND NOT EXISTS (SELECT FROM storesync.token WHERE look_due <= clock_timestamp())
FROM storesync.stat_dispatcher
SQL
	my $holder = $node->background_psql('shop');
	$holder->query_safe('BEGIN');
	$holder->query_safe($what);
	return $holder;
}

# consent SHOP [, CANCEL]: what the shop's owner does in a browser, for 30 days; the code comes back with him
sub consent
{
	my ($shop, $cancel) = @_;
	my $url = sql("SELECT storesync.authorization_url('shopee', 'https://erp.example.com/shopee?for=1', " . ($cancel ? 'true)' : 'false)'));
	my $answer = HTTP::Tiny->new(max_redirect => 0, no_proxy => ['127.0.0.1'])->get("$url&shop_id=$shop&days=30");
	is($answer->{status}, 302, 'the signed address is good');
	my ($code) = ($answer->{headers}{location} // '') =~ m{^https://erp\.example\.com/shopee\?for=1&shop_id=$shop(?:&code=(\w+))?$};
	return $code;
}

# exchange STORE, CODE: hands the code over; the task
sub exchange { my ($store, $code) = @_; return sql("SELECT storesync.authorize_store($store, '$code')"); }
sub exchanges { return scalar grep { $_->{path} eq $code_path } @{ $sim->calls(1003) }; }
sub state_of { my ($task) = @_; return sql("SELECT state, last_class, detail FROM storesync.task_state($task)"); }
sub ended { my ($task, $state, $what) = @_; return Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", $state, $what); }
sub told { return sql(q(SELECT reason FROM storesync.health() WHERE component LIKE 'authorisation%')); }

sql(q(UPDATE storesync.store SET poll_interval = '1 hour'));

# From nothing to a store that sells, by SQL alone.
my $three = sql("SELECT storesync.add_store('shopee', '1003', 'shop 1003', '$rate/s')");
like(sql("SELECT reason FROM storesync.health() WHERE component = 'store $three'"), qr/no credential access_token, refresh_token/, 'health() says what lacks');
my $code = consent(1003);
isnt($code // '', '', 'the seller comes back with a code');
my $first = exchange($three, $code);
ended($first, 'done', 'it is exchanged');
sql("SELECT storesync.add_listing($three, 'S' || n, n::text) FROM generate_series(1, $skus) n");
Storesync->converged($node, $sim, 'all is shown at first');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', '3', 'the first fetches');
is(sql("SELECT authorized_at > now() - interval '1 minute', refresh_left > interval '29 days',
		access_expires > now() + interval '3:50', code_given_at, code_refused_at FROM storesync.token_status WHERE store_id = $three"),
	't|t|t||', 'and token_status');
Storesync->query_until($node, "SELECT authorization_left BETWEEN interval '29 days' AND interval '30 days' FROM storesync.token_status WHERE store_id = $three",
	't', 'which has from the platform until when the owner consented');
is(sql("SELECT count(*) FROM storesync.call_log WHERE call = 'shop_info'"), 1, 'who was asked once');
is(sql("SELECT string_agg(action, ',' ORDER BY audit_id) FROM storesync.audit WHERE subject = 'store $three' AND action ~ 'credential|auth'"),
	'set credential,authorize store', 'the audit tells it');
is(sql("SELECT count(*) FROM storesync.credential WHERE name = 'auth_code'"), 0, 'the code is gone');

# It works once. What the store has goes on.
my $task = exchange($three, $code);
ended($task, 'dead', 'a code that was used is refused');
is(state_of($task), 'dead|auth|Invalid code', 'with the platform\'s reason');
like(told(), qr/^the code of an authorisation was refused at .* \(Invalid code\): get another/, 'health() asks for another');
change();
Storesync->converged($node, $sim, 'the tokens of before go on');
is(sql('SELECT string_agg(state, $$,$$) FROM (SELECT (storesync.task_state(t.task_id)).state FROM storesync.task_open t) x'), '', 'no task is left open');

# Handed over between two statements of a dispatcher that reads everything anew: it knows the task, and not yet the code.
my $between = hold('LOCK TABLE storesync.task_event');
$task = $between->query_safe("SELECT storesync.authorize_store($three, '" . consent(1003) . "')");
$node->reload;
my $reader = Storesync->dispatcher($node);
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $reader AND wait_event_type = 'Lock'", 't', 'stores are read, and tasks are not');
$between->query_safe('COMMIT');
$between->quit;
ended($task, 'done', 'a code that comes in between is exchanged');

# A code that nobody may exchange yet waits, and is too old afterwards.
sql("UPDATE storesync.store SET mode = 'off' WHERE store_id = $three");
$task = exchange($three, consent(1003));
is(state_of($task), 'queued||waits: the store is off', 'a store that is off asks for nothing');
my $asked = exchanges();
sql("UPDATE storesync.credential SET set_at = set_at - interval '11 minutes' WHERE name = 'auth_code'");
sql("UPDATE storesync.store SET mode = 'live' WHERE store_id = $three");
ended($task, 'dead', 'a code that is too old');
is(state_of($task), 'dead|auth|it was handed over more than 10 minutes ago', 'is given up');
is(exchanges(), $asked, 'without a call');

# The answer never comes: once nothing was done, once the code is spent.
$sim->faults(cut_before => 1, count => 1, path => $code_path);
$task = exchange($three, consent(1003));
ended($task, 'done', 'a code that never reached the platform is exchanged again');
is(told(), '', 'and all is well');
$sim->faults(slow => 1, slow_ms => 8000, path => $code_path);
$asked = exchanges();
$task = exchange($three, consent(1003));
Storesync->wait_until(sub { exchanges() > $asked }, 'an exchange is under way');
killed(Storesync->dispatcher($node));
ended($task, 'dead', 'killed in the middle of it');
is(state_of($task), 'dead|auth|an exchange whose answer was lost may have spent it: Invalid code', 'the next one finds out');
change();
Storesync->query_until($node, "SELECT waits LIKE '%credential%' FROM storesync.stat_store WHERE store_id = $three", 't',
	'its tokens ended with the pair that nobody got');
ended(exchange($three, consent(1003)), 'done', 'another code');
Storesync->converged($node, $sim, 'mends it');

# Killed after the commit of the pair, before the task is closed.
my $log_lock = hold('LOCK TABLE storesync.call_log IN EXCLUSIVE MODE');
my $pairs = sql("SELECT count(*) FROM storesync.audit WHERE action = 'authorize store'");
$task = exchange($three, consent(1003));
Storesync->wait_until(sub { sql("SELECT count(*) FROM storesync.audit WHERE action = 'authorize store'") > $pairs }, 'the pair is committed');
killed(Storesync->dispatcher($node));
eval { $log_lock->quit };
ended($task, 'done', 'killed after the commit: the task says what became of it');

# Handed over while another one is under way: what becomes of that one is nothing to this one's task.
$sim->faults(slow => 1, slow_ms => 4000, path => $code_path);
$asked = exchanges();
$task = exchange($three, 'wrongCode');
Storesync->wait_until(sub { exchanges() > $asked }, 'a wrong code is under way');
my $better = exchange($three, consent(1003));
$sim->faults;
ended($task, 'dead', 'the wrong one is refused');
ended($better, 'done', 'and the one that came meanwhile exchanged');

# The seller takes it back, and consents again. Until when he had consented is asked with the tokens that he gave: were that
# call the first to be refused, a refresh so soon would be thought to be in vain, and the refresh token not be tried.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.token WHERE look_due <= clock_timestamp()', '0', 'the new tokens have been used');
consent(1003, 1);
change();
Storesync->query_until($node, "SELECT waits LIKE '%credential%' FROM storesync.stat_store WHERE store_id = $three", 't', 'the store waits');
like(told(), qr/the platform refuses its refresh token/, 'health() says why');
ended(exchange($three, consent(1003)), 'done', 'authorised again');
Storesync->converged($node, $sim, 'it goes on');
is(told(), '', 'nothing is left to do');

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
$task = sql("SELECT storesync.enqueue($two, 'refresh_token', '{}')");
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
$asked = refreshes(1001);
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
# The platform lets the old access token live on for a while, so that nothing
# but the refresh fails; when that has ended the store waits for people.
$pid = Storesync->dispatcher($node);
$holder = hold('LOCK TABLE storesync.audit IN EXCLUSIVE MODE');
$asked = refreshes(1001);
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'the answer waits to be stored');
is(refreshes(1001), $asked + 1, 'the platform has given a new pair');
$log = -s $node->logfile;
killed($pid);
eval { $holder->quit };
ok($node->wait_for_log(qr/store $one: the platform refuses its refresh token\n.*a lost answer may have spent the refresh token/, $log),
	'the log says that the token may be spent');
# it says so before it commits
ok( Storesync->query_until($node, "SELECT count(*) FROM storesync.health() WHERE component = 'authorisation of store $one'"
		  . " AND reason LIKE 'the platform refuses its refresh token%'", 1, 'health()'),
	'and so does health()');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused' AND subject = 'store $one'"), 1, 'and the audit');
change();
Storesync->converged($node, $sim, 'the access token of before does for the while that it has left');
$sim->post('expire_token', { shop_id => '1001' });
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

# They set another one while a refusal of the one before is written down: it is not said of theirs. The refresh that came to
# nothing is made again a second later: not between what follows.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.task_open', '0', 'what people were quicker than is made again');
my $refusals = sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused'");
my $people = $node->background_psql('shop');
my $pair = $sim->post('authorize', { shop_id => '1001' });
$sim->faults(slow => 1, slow_ms => 8000, path => 'access_token/get');
$asked = refreshes(1001);
$pid = Storesync->dispatcher($node);
sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->wait_until(sub { refreshes(1001) > $asked }, 'a refresh is under way that will be refused');
$people->query_safe("BEGIN; SELECT storesync.set_credential($one, 'access_token', '$pair->{access_token}'), "
	  . "storesync.set_credential($one, 'refresh_token', '$pair->{refresh_token}')");
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'what is known of it is about to be written');
$sim->faults;
$people->query_safe('COMMIT');
$people->quit;
change();
Storesync->converged($node, $sim, 'the new ones are used');
is(sql("SELECT count(*) FROM storesync.audit WHERE action = 'refresh token refused'"), $refusals, 'nothing is said against them');
Storesync->query_until($node, "SELECT refused_at, asked_at, reason FROM storesync.token_status WHERE store_id = $one", '||', 'nor left open');

# They set another one, which is to be refreshed at once, between two statements of a dispatcher that reads the stores.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.task_open', '0', 'no task is left open');
$people = hold('LOCK TABLE storesync.token');
$pair = $sim->post('authorize', { shop_id => '1001' });
$before = refreshed();
$people->query_safe("SELECT storesync.set_credential($one, 'refresh_token', '$pair->{refresh_token}');"
	  . " UPDATE storesync.credential SET set_at = set_at - interval '4 hours' WHERE store_id = $one AND name = 'access_token'");
sql("UPDATE storesync.store SET poll_interval = '2 hours' WHERE store_id = $two");
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'stores are read, and tokens are not');
$people->query_safe('COMMIT');
$people->quit;
Storesync->wait_until(sub { refreshed() == $before + 1 }, 'the one that came in between is refreshed');
change();
Storesync->converged($node, $sim, 'and all goes on');

is(sql(q(SELECT string_agg(DISTINCT call || ' ' || class, ',') FROM storesync.compensation)), 'exchange_code auth,refresh_token auth',
	'nothing was given up but what asked for tokens that were refused');
is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
unlike(slurp_file($node->logfile), qr/simaccess|simrefresh|simcode|refreshToken\d|accessToken\d/, 'no token is in the log');
is(sql(q(SELECT count(*) FROM storesync.audit WHERE after::text ~ 'simaccess|simrefresh|simcode|Token\d')), 0, 'nor in the audit');
unlike($node->safe_psql('postgres', 'SELECT query FROM pg_stat_activity'), qr/simaccess|simrefresh|simcode/, 'nor in pg_stat_activity');
is(sql(q(SELECT count(*) FROM storesync.outbox WHERE payload::text ~ 'simcode')), 0, 'nor in the outbox');
Storesync->sound($node);
$node->stop;
done_testing();
