# Nothing to do means nothing done: no statement, no transaction; and yet the
# next commit is acted upon at once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster(
	'main',
	'autovacuum' => 'off',
	'deadlock_timeout' => '10ms',    # its alarm wakes a process that has long got its lock
	'max_prepared_transactions' => 5);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => 2, skus => 3, units => 50),
	rate => 0);
Storesync->load($node, $sim, rate_limit => '20/s burst 5', shown => 1);
# orders are asked for by the clock: here the clock stands still
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '1 hour'");
# a second database to look from, so that looking leaves no trace in the first
$node->safe_psql('postgres', 'CREATE EXTENSION storesync');

sub observe
{
	return $node->safe_psql('postgres', <<'SQL');
SELECT statements, cycles, calls_ok, calls_failed, xact_commit + xact_rollback
FROM storesync.stat_dispatcher s JOIN pg_stat_database d ON d.datname = s.database
WHERE s.database = 'shop'
SQL
}

# The cursor of the outbox is stored some 10 seconds after it moved: that is
# the last thing done.
Storesync->converged($node, $sim);
my $before;
ok( Storesync->wait_until(
		sub {
			$before = observe();
			$node->safe_psql('postgres', 'SELECT pg_sleep(11)');
			return observe() eq $before;
		},
		'quiet',
		# where partitions were being made as the dispatcher began, it comes back to them a minute later, and to what reads them after that
		2 * $Storesync::limit),
	'eleven seconds without one statement');

# A rollback wakes nobody.
$node->psql('shop', "BEGIN; SELECT storesync.reserve('S1', 1, storesync.new_key()); ROLLBACK");
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
my ($statements) = $before =~ /^(\d+)/;
like(observe(), qr/^$statements\|/, 'a rollback wakes nobody');

sub shown
{
	return join ',', map { $sim->stock($_, 1) } 1001, 1002;
}

my $took = Storesync->elapsed(sub {
	$node->safe_psql('shop', "SELECT storesync.reserve('S1', 10, storesync.new_key())");
	ok(Storesync->wait_until(sub { shown() eq '40,40' }, 'the new quantity'), 'a commit is acted upon');
});
cmp_ok($took, '<', 2, 'at once');

# A rolled back subtransaction takes no wake-up away.
$node->safe_psql('shop', <<'SQL');
BEGIN;
SELECT storesync.reserve('S1', 10, storesync.new_key());
SAVEPOINT s;
SELECT storesync.reserve('S1', 1, storesync.new_key());
ROLLBACK TO s;
COMMIT;
SQL
ok(Storesync->wait_until(sub { shown() eq '30,30' }, 'the new quantity'),
	'a rolled back subtransaction takes no wake-up away');

# A wake-up that comes while a round waits for a lock is not lost: the wait for
# the lock takes the latch. 'bare' has no listing, so that no answer of a
# platform wakes the dispatcher afterwards.
$node->safe_psql('shop', <<'SQL');
SELECT storesync.add_sku('bare');
BEGIN;
LOCK TABLE storesync.listing IN ACCESS EXCLUSIVE MODE;
PREPARE TRANSACTION 'lock';
SELECT storesync.receive('bare', 1, storesync.new_key());
SQL
Storesync->query_until($node, <<'SQL', '1', 'a dispatcher that waits for a lock');
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND a.backend_type = 'storesync dispatcher'
SQL
$node->safe_psql('shop', "SELECT storesync.receive('S2', 5, storesync.new_key())");
$took = Storesync->elapsed(sub {
	$node->safe_psql('shop', "COMMIT PREPARED 'lock'");
	ok(Storesync->wait_until(sub { $sim->stock(1001, 2) == 55 }, 'the new quantity'),
		'a commit during a wait for a lock is acted upon');
});
cmp_ok($took, '<', 3, 'as soon as the lock is free');

# A prepared transaction is seen when somebody else commits it.
$node->safe_psql('shop', <<'SQL');
BEGIN;
SELECT storesync.reserve('S1', 10, storesync.new_key());
PREPARE TRANSACTION 'two';
SQL
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
is(shown(), '30,30', 'a prepared transaction has no effect yet');
$node->safe_psql('shop', "COMMIT PREPARED 'two'");
ok(Storesync->wait_until(sub { shown() eq '20,20' }, 'the new quantity', 10),
	'COMMIT PREPARED has it');

$node->safe_psql('shop', <<'SQL');
BEGIN;
SELECT storesync.reserve('S1', 10, storesync.new_key());
PREPARE TRANSACTION 'three';
SQL
$node->restart;
ok(Storesync->wait_until(sub { Storesync->dispatcher($node) ne '' }, 'a dispatcher'), 'a restart between');
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
$node->safe_psql('shop', "COMMIT PREPARED 'three'");
ok(Storesync->wait_until(sub { shown() eq '10,10' }, 'the new quantity', 10),
	'COMMIT PREPARED has it after a restart too');

Storesync->sound($node);
$node->stop;

done_testing();
