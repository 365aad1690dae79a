# The launcher: one dispatcher per database named in storesync.databases, no
# more and no fewer, whatever happens to it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('main', 'storesync.databases' => 'shop, "Two", gone');

sub set_databases
{
	my ($to, $list) = @_;
	$to->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = '$list'");
	$to->reload;
	return;
}

sub wait_running
{
	my ($database, $not) = @_;
	$not //= '';
	return Storesync->wait_until(
		sub {
			# attached: one that has found no extension there, and is about to end, is seen in pg_stat_activity as well
			my $pid = $node->safe_psql('shop',
				"SELECT pid FROM storesync.stat_dispatcher WHERE database = '$database' AND state = 'running'");
			return $pid =~ /^\d+$/ && $pid ne $not && $pid;
		},
		"a dispatcher of $database");
}

sub wait_stopped
{
	my ($database) = @_;
	return Storesync->wait_until(sub { Storesync->dispatcher($node, $database) eq '' },
		"no dispatcher of $database");
}

sub state_of
{
	my ($database) = @_;
	return $node->safe_psql('shop',
		"SELECT state FROM storesync.stat_dispatcher WHERE database = '$database'");
}

sub wait_state
{
	my ($database, $state) = @_;
	return Storesync->query_until($node,
		"SELECT state FROM storesync.stat_dispatcher WHERE database = '$database'",
		$state, "state \"$state\" of $database");
}

# ---------------------------------------------------------------- names and starts

my $shop = wait_running('shop');
ok($shop, 'a dispatcher was started');
like($node->safe_psql('shop', 'SELECT storesync.launcher_pid()'), qr/^\d+$/, 'the launcher is known');
is(state_of('shop'), 'running', 'and said to run');
ok(wait_state('gone', 'backing off'), 'a database that does not exist does not hold up the others');

Storesync->create($node, 'Two');
ok(wait_running('Two'), 'a database made later is found, by its exact name');
is(Storesync->dispatcher($node), $shop, 'the first dispatcher took no notice');

set_databases($node, 'shop');
ok(wait_stopped('Two'), 'a database taken from the list loses its dispatcher');
ok(wait_state('Two', 'off'), 'and is said to be off');
is(Storesync->dispatcher($node), $shop, 'the other goes on');

set_databases($node, 'shop,,');
ok( Storesync->wait_until(
		sub { slurp_file($node->logfile) =~ /invalid list syntax in parameter "storesync.databases"/ },
		'a complaint about the list'),
	'a list that cannot be read is complained about');
is(Storesync->dispatcher($node), $shop, 'and changes nothing');

set_databases($node, 'shop, "Two"');
my $two = wait_running('Two');
ok($two, 'a database put back on the list gets its dispatcher back');

# ---------------------------------------------------------------- ends

sub failures
{
	return $node->safe_psql('shop', "SELECT failures FROM storesync.stat_dispatcher WHERE database = 'shop'");
}

my $failures = failures();
$node->safe_psql('postgres', "SELECT pg_terminate_backend($shop)");
my $second = wait_running('shop', $shop);
ok($second, 'a dispatcher ended by SIGTERM is started again');
is(Storesync->dispatcher($node, 'Two'), $two, 'and nobody else noticed');
is(failures(), $failures + 1, 'its end was counted');
$failures = failures();

# An ERROR: a table that every dispatcher reads at its start is away.
$node->safe_psql('shop', 'ALTER TABLE storesync.store RENAME TO away');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($second)");
ok(wait_state('shop', 'backing off'), 'a dispatcher that fails is started after a pause');
# Its pauses go on from those before the extension was there: on a slow machine two of them are 32 s and 60 s.
ok(Storesync->wait_until(sub { failures() >= $failures + 3 }, 'further attempts', 2 * $Storesync::limit), 'again and again');
like(slurp_file($node->logfile), qr/ERROR: .*"storesync.store" does not exist/, 'saying why');
like(slurp_file($node->logfile), qr/dispatcher of database "shop" ended, starting it again in 2 s/,
	'with pauses that grow');
$node->safe_psql('shop', 'ALTER TABLE storesync.away RENAME TO store');
$node->reload;
my $third = wait_running('shop', $second);
ok($third, 'and runs when the cause is mended');
ok(wait_state('shop', 'running'), 'and is said to run');
is(Storesync->dispatcher($node, 'Two'), $two, 'the other took no notice of the errors');

# The launcher's own end: its dispatchers stay, and are not doubled.
my $launcher = $node->safe_psql('shop', 'SELECT storesync.launcher_pid()');
kill 'TERM', $launcher;
ok( Storesync->wait_until(
		sub {
			my $pid = $node->safe_psql('shop', 'SELECT storesync.launcher_pid()');
			return $pid ne '' && $pid ne $launcher;
		},
		'another launcher'),
	'the launcher is started again');
ok(wait_state('Two', 'running'), 'it finds the running dispatchers');
is(Storesync->dispatcher($node, 'Two'), $two, 'and leaves them alone');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($two)");
ok(wait_running('Two', $two), 'it notices the end of one that it did not start');
# by now it has looked at all of them, and the pause before this one was longer than a second one's life
unlike(slurp_file($node->logfile), qr/already has a dispatcher/, 'and starts no second one');

# ---------------------------------------------------------------- statements that need an empty database

sub timed
{
	my ($what, $sql) = @_;
	my ($status, $error);
	my $took = Storesync->elapsed(sub { ($status, undef, $error) = $node->psql('postgres', $sql); });
	is($status, 0, "$what succeeds under a running dispatcher") or diag $error;
	cmp_ok($took, '<', 2, 'within two seconds');
	return;
}

wait_state('Two', 'running');
timed('CREATE DATABASE ... TEMPLATE', 'CREATE DATABASE copy TEMPLATE "Two"');
ok(wait_running('Two'), 'the dispatcher comes back');
timed('ALTER DATABASE ... RENAME', 'ALTER DATABASE "Two" RENAME TO three');
set_databases($node, 'shop, three');
ok(wait_running('three'), 'under the new name too');
timed('DROP DATABASE', 'DROP DATABASE three');
is($node->safe_psql('shop', "SELECT count(*) FROM storesync.dispatcher_stats() WHERE pid IS NOT NULL"),
	'1', 'no dispatcher is left behind');

my $role = "CREATE ROLE stranger LOGIN CREATEDB";
$node->safe_psql('postgres', $role);
my ($status) = $node->psql('postgres', 'DROP DATABASE shop', extra_params => [ '-U', 'stranger' ]);
isnt($status, 0, 'a stranger cannot drop the database');
is(Storesync->dispatcher($node), $third, 'nor stop its dispatcher by trying');

set_databases($node, 'shop');

# ---------------------------------------------------------------- a full worker table

# room for the launcher and one more
$node->append_conf('postgresql.conf', "max_worker_processes = 2\nmax_logical_replication_workers = 0");
$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = 'shop, copy'");
$node->restart;
ok(wait_state('copy', 'no worker slot'), 'a full worker table is shown');
ok(wait_running('shop'), 'what found a place runs');
is(() = slurp_file($node->logfile) =~ /no free worker slot for the dispatcher of database "copy"/g,
	1, 'and is complained about once');
set_databases($node, 'copy');
ok(wait_running('copy'), 'a place that becomes free is taken');
is(() = slurp_file($node->logfile) =~ /no free worker slot/g, 1, 'and nothing was said again meanwhile');

# more names than shared memory has slots
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nstoresync.max_databases = 1");
$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = 'shop, copy'");
$node->restart;
ok(wait_running('shop'), 'the first of two names has the only slot');
like(slurp_file($node->logfile), qr/no room for a dispatcher of database "copy"/, 'and the second is named in the log');

$node->stop('fast');

# ---------------------------------------------------------------- standby

my $primary = Storesync->cluster('primary', -streaming => 1);
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;
$primary->safe_psql('shop', 'CREATE TABLE replayed ()');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('shop', 'SELECT storesync.launcher_pid()'), '', 'a standby starts no launcher');
is(Storesync->dispatcher($standby), '', 'and no dispatcher');
unlike(slurp_file($standby->logfile), qr/storesync (launcher|dispatcher)/, 'nor tries to');
$primary->stop('immediate');
$standby->promote;
ok(Storesync->wait_until(sub { Storesync->dispatcher($standby) ne '' }, 'a dispatcher after promotion'),
	'after promotion it takes over by itself');
$standby->stop('fast');

# ---------------------------------------------------------------- not preloaded

my $plain = Storesync->cluster('plain', 'shared_preload_libraries' => undef);
is($plain->safe_psql('shop', 'SELECT count(*), storesync.launcher_pid() FROM storesync.stat_dispatcher'),
	'0|', 'without preloading there is no launcher, and the view is empty');
is( $plain->safe_psql('shop', "SELECT storesync.add_sku('S1'); SELECT (storesync.receive('S1', 5, storesync.new_key())).on_hand"),
	"1\n5", 'and the rest works, with nobody to wake');
$plain->stop('fast');

done_testing();
