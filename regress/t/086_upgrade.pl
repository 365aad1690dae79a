# A database of release 1.0 that was upgraded is one that was made anew: the same catalogs, and what
# is in it goes on.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Catalog;
use Test::More;

my $node = Storesync->cluster('main', -database => 0, 'storesync.databases' => '');

# same FRESH, UPGRADED, WHAT: a test that two texts of Storesync::Catalog have the same lines
sub same
{
	my ($fresh, $upgraded, $what) = @_;
	cmp_ok(length $fresh, '>', 0, "$what: there is something to compare");
	return is(Storesync::Catalog->differing($fresh, $upgraded), '', $what);
}

# A library takes the functions of earlier releases: what they hand to a symbol is what it takes today.
my $symbols = "SELECT format('%s(%s) %s, strict %s', p.prosrc, p.proargtypes::regtype[], p.prorettype::regtype, p.proisstrict)"
  . " FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE l.lanname = 'c' AND p.pronamespace = 'storesync'::regnamespace";

# ---------------------------------------------------------------- empty

$node->safe_psql('postgres', "CREATE DATABASE $_") foreach qw(fresh upgraded shop);
$node->safe_psql('fresh', 'CREATE EXTENSION storesync');
$node->safe_psql($_, q(CREATE EXTENSION storesync VERSION '1.0')) foreach qw(upgraded shop);
my $old_symbols = $node->safe_psql('upgraded', $symbols);
$node->safe_psql('upgraded', 'ALTER EXTENSION storesync UPDATE');
my $version = "SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'storesync'), extversion <> '1.0'"
  . " FROM pg_extension WHERE extname = 'storesync'";
is($node->safe_psql('upgraded', $version), 't|t', 'the new release');
my $fresh = Storesync::Catalog->of($node, 'fresh');
same($fresh, Storesync::Catalog->of($node, 'upgraded'), 'catalogs of an empty database');
same(Storesync::Catalog->rows($node, 'fresh'), Storesync::Catalog->rows($node, 'upgraded'), 'rows that come with the extension');
same(map({ $node->safe_psql($_, 'SELECT storesync.ensure_partitions()'); Storesync::Catalog->partitions($node, $_) } qw(fresh upgraded)),
	'new partitions');

my %taken = map { my ($symbol) = /^(\w+)/; ($_ => 1, $symbol => 1) } split /\n/, $node->safe_psql('fresh', $symbols);
is(join("\n", grep { my ($symbol) = /^(\w+)/; $taken{$symbol} && !$taken{$_} } split /\n/, $old_symbols),
	'', 'no C function takes or returns anything else than it did');

# ---------------------------------------------------------------- at work with the release before

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 3, units => 50), rate => 20);
my $store = Storesync->load($node, $sim, rate_limit => '20/s');
my ($one, $two) = @$store{qw(1001 1002)};

sub sql { return $node->safe_psql('shop', $_[0]); }

# lines of the log that match
sub logged { my ($what) = @_; return scalar grep { /$what/ } split /\n/, slurp_file($node->logfile); }

# What may stand open when the upgrade comes: a role with its rights, a bundle, a stop, a reservation, a
# paused store with a task, a parked line, partitions ahead, one of last month.
sql(<<"SQL");
CREATE ROLE clerk;
SELECT storesync.grant_role('clerk', 'operator');
UPDATE storesync.store SET poll_interval = '100 ms';
SELECT storesync.add_sku('SET');
SELECT storesync.set_bundle('SET', '{"S1": 1, "S2": 2}');
SELECT storesync.stop_selling(sku => 'S3', reason => 'counted');
SELECT storesync.reserve('S1', 2, storesync.new_key(), reference => 'basket');
SELECT storesync.pause($two);
SELECT storesync.enqueue($two, 'push_stock', jsonb_build_object('listing', max(listing_id))) FROM storesync.listing WHERE store_id = $two;
SELECT storesync.ingest_order($two, jsonb_build_object('order_sn', 'parked', 'status', 'ready_to_ship', 'create_time', now(), 'update_time', now(),
	'lines', '[{"line_id": "1", "item_id": "999", "qty": 1}]'::jsonb));
SELECT storesync.reserve('S2', 1, storesync.derive_key(now() - interval '20 days', 'old'), reference => 'basket');
SELECT storesync.ensure_partitions();
SQL
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->reload;
my $available = "SELECT storesync.available('S1'), storesync.available('S2'), storesync.available('S3')";
my $open = "SELECT count(*) FROM storesync.task_open WHERE kind = 'push_stock'";
$sim->order(1001, [ 1, 0, 3 ]);
Storesync->query_until($node, $available, '45|49|50', 'an order comes in');
ok(Storesync->wait_until(sub { $sim->stock(1001, 1, 0) == 45 && $sim->stock(1001, 3, 0) == 0 }, 'quantities'), 'orders in and quantities out, the old SQL');
my $difference = qr/LOG:  the SQL objects of storesync in database "shop" are of release 1\.0, the library is of release/;
is(logged($difference), 1, 'it is said once');
is(sql($open), '1', 'a task stays open');

# ---------------------------------------------------------------- upgraded under callers

my $dispatcher = Storesync->dispatcher($node);
my $script = PostgreSQL::Test::Utils::tempdir() . '/callers.sql';
append_to_file($script, <<"SQL");
\\set n random(1, 1000000000000)
SELECT storesync.receive('S1', 2, storesync.new_key());
SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => concat('r', :n::text));
SELECT outcome FROM storesync.ingest_order($one, jsonb_build_object('order_sn', concat('c', :n::text, '-', :client_id::text), 'status', 'ready_to_ship',
	'create_time', now() - interval '2 hours', 'update_time', now(), 'lines', '[{"line_id": "1", "item_id": "1", "qty": 1}]'::jsonb));
SQL
my $said = '';
my $callers = IPC::Run::start([ 'pgbench', '-n', '-c', '2', '-t', 1000000, '-M', 'prepared', '-f', $script, $node->connstr('shop') ],
	'>', \$said, '2>&1');
my $orders = 'SELECT count(*) FROM storesync.sales_order';
my $enough = sql($orders) + 30;
Storesync->query_until($node, "SELECT count(*) > $enough FROM storesync.sales_order", 't', 'callers are at work');
# somebody who has a table open keeps it from beginning, and callers from nothing
my $report = $node->background_psql('shop');
$report->query_safe('BEGIN; SELECT count(*) FROM storesync.platform');
my ($status, $out, $err) = $node->psql('shop', 'ALTER EXTENSION storesync UPDATE');
like($err, qr/ERROR:  could not lock the tables of extension "storesync"/, 'no upgrade under a reader');
$report->query_safe('COMMIT');
$report->quit;
cmp_ok(sql($orders), '>', $enough + 30, 'orders went on');
sql('ALTER EXTENSION storesync UPDATE');
$enough = sql($orders) + 30;
ok(Storesync->query_until($node, "SELECT count(*) > $enough FROM storesync.sales_order", 't', 'orders'), 'orders are booked before and after');
# the sessions that it breaks off are none of what is looked for
$callers->pump_nb;
my $met = join "\n", grep { /error|abort|warning/i } split /\n/, $said;
$callers->kill_kill;
is($met, '', 'no caller met an error');
Storesync->query_until($node, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'", '0', 'they have left');
ok(Storesync->wait_until(sub { my $now = Storesync->dispatcher($node); $now ne '' && $now ne $dispatcher }, 'another dispatcher'),
	'the dispatcher has started again');
is(logged($difference), 1, 'and has nothing to say of releases');
is(sql("SELECT count(*) FROM storesync.health() WHERE component = 'version'"), '0', 'nor has health()');

# Work goes on where it stood.
sql("SELECT storesync.resume($two), storesync.start_selling(sku => 'S3')");
ok(Storesync->query_until($node, $open, '0',
		'the task'), 'the open task is done');
$sim->order(1002, [ 2, 0, 4 ]);
ok(Storesync->query_until($node, "SELECT storesync.available('S2')", '45', 'the order'),
	'orders come in');
sql("SELECT storesync.release('S1', 2, storesync.new_key(), reference => 'basket')");
Storesync->converged($node, $sim);
Storesync->sound($node);

# Catalogs with data in them, a role with its rights, old partitions
sql("SELECT storesync.grant_role('clerk', 'operator')");
$node->safe_psql('fresh', "SELECT storesync.grant_role('clerk', 'operator')");
same(map({ Storesync::Catalog->of($node, $_) } qw(fresh shop)), 'catalogs of a database with data');
same(map({ Storesync::Catalog->partitions($node, $_) } qw(fresh shop)), 'partitions that were there');

# ---------------------------------------------------------------- the server as pg_upgrade starts it

$node->stop;
my $lines = logged(qr/./);
my @control = ('pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile);
command_ok([ @control, '-o', '-b', 'start' ], 'a start in binary upgrade mode');
is(sql("SELECT count(*) FILTER (WHERE backend_type LIKE 'storesync%'), storesync.launcher_pid() FROM pg_stat_activity"),
	'0|', 'no worker runs, though the library is preloaded');
command_ok([ @control, '-m', 'fast', 'stop' ], 'and it stops');
is(join("\n", grep { /storesync|ERROR|PANIC/ } (split /\n/, slurp_file($node->logfile))[ $lines .. logged(qr/./) - 1 ]), '', 'nothing is said of storesync');

# ---------------------------------------------------------------- out of a backup, with the old SQL

# The number of a recovery is there (recovery.c): 1.0 cannot tell, and with the upgrade another life begins.
append_to_file($node->data_dir . '/storesync.recovery', "7\n");
$node->append_conf('postgresql.conf', "storesync.databases = ''");
command_ok([ @control, 'start' ], 'a start after a recovery');
$node->safe_psql('postgres', 'CREATE DATABASE recovered');
$node->safe_psql('recovered', q(CREATE EXTENSION storesync VERSION '1.0'; SELECT storesync.add_sku('A')));
my $session = $node->background_psql('recovered');
my $life = 'SELECT storesync.current_incarnation()';
$session->query_safe($life);
is($session->query_safe($life), '1', 'the first life, and this session has seen it');
$node->safe_psql('recovered', 'ALTER EXTENSION storesync UPDATE');
is($node->safe_psql('recovered', $life), '2', 'the second');
is($session->query_safe("$life FROM storesync.receive('A', 1, storesync.new_key())"), '2', 'also of a session that knew the first');
is($node->safe_psql('recovered', 'SELECT string_agg(DISTINCT incarnation::text, \',\') FROM storesync.outbox WHERE kind = \'stock\''),
	'2', 'whose rows are seen');
$session->quit;
command_ok([ @control, '-m', 'fast', 'stop' ], 'and it stops once more');

done_testing();
