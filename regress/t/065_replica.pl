# Days of the outbox go while a replica reads them: who reads there goes on with what
# it sees, who comes later waits for nothing, and with hot_standby_feedback a day
# stays for as long as a snapshot of the replica may miss its rows.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('primary', -streaming => 1, 'storesync.databases' => undef);

sub sql { return $node->safe_psql('shop', $_[0]); }

sql(<<'SQL');
SELECT storesync.ensure_partitions();
SELECT storesync.add_store('shopee', '1', 'one');
UPDATE storesync.store SET mode = 'off';
SQL
Storesync->old_days($node);

# day AGO: a partition of that day, with a row; its name
sub day
{
	my ($ago) = @_;
	my $made = sql("SELECT public.old_day('outbox', $ago)");

	sql("INSERT INTO storesync.outbox (subject, kind, at) SELECT $ago, 'stock', from_at + interval '12 hours'"
		  . " FROM storesync.partition_days('outbox') WHERE partition = '$made'");
	return $made;
}
day(2);

$node->backup('copy');
my $replica = PostgreSQL::Test::Cluster->new('replica');
$replica->init_from_backup($node, 'copy', has_streaming => 1);
$replica->append_conf('postgresql.conf', <<'CONF');
max_standby_streaming_delay = -1
hot_standby_feedback = on
wal_receiver_status_interval = 1s
CONF
$replica->start;
sub caught_up { return $node->wait_for_catchup($replica, 'replay', $node->lsn('insert')); }
caught_up();

my $old = "SELECT count(*) FROM storesync.outbox WHERE kind = 'stock'";

# A snapshot of the replica from before a row: with feedback the day of that row stays.
my $early = $replica->background_psql('shop');
$early->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($early->query_safe('SELECT count(*) FROM storesync.sku'), '0', 'a snapshot on the replica');
Storesync->query_until($node, 'SELECT count(*) FROM pg_stat_replication WHERE backend_xmin IS NOT NULL', '1', 'is told to the primary');
my $third = day(3);
my $waits = "SELECT waits_for FROM storesync.rotation() WHERE partition = '$third'";
Storesync->query_until($node, $waits, 'a transaction that is still open', 'a day whose rows it does not see yet stays');
is($early->query_safe($old), '1', 'it sees what it saw');
$early->query_safe('COMMIT');
$early->quit;
Storesync->query_until($node, $waits, '', 'when it ends the day can go');

# Somebody reads all days on the replica, for long; meanwhile they go.
my $reader = $replica->background_psql('shop');
caught_up();
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($reader->query_safe($old), '2', 'a reader on the replica sees both days');
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->restart;
my $gone = "SELECT count(*) FROM storesync.partition_days('outbox') WHERE to_at < now() - interval '1 day'";
Storesync->query_until($node, $gone, '0', 'the days go on the primary');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.left_detached()', '0', 'to the end');

# The replica has come as far as the first lock that the reader's stands against, and no further.
Storesync->query_until($replica, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'",
	't', 'the replay waits for the reader');
my $took = Storesync->elapsed(sub {
	is($replica->safe_psql('shop', 'SET statement_timeout = 5000; SELECT count(*) > 0 FROM storesync.outbox'), 't', 'others read the outbox there');
	is($replica->safe_psql('shop', 'SET statement_timeout = 5000; SELECT count(*) FROM storesync.stat_outbox'), '1', 'and what is behind');
});
cmp_ok($took, '<', 3, 'and wait for nothing');
is($reader->query_safe($old), '2', 'the reader still sees both');
$took = Storesync->elapsed(sub { sql("SELECT storesync.outbox_add('stock', '{7}')"); });
cmp_ok($took, '<', 3, 'nor does a writer on the primary wait');
$reader->query_safe('COMMIT');
$reader->quit;
Storesync->query_until($replica, $gone, '0', 'when it ends they go there too');
caught_up();
is($replica->safe_psql('shop', 'SELECT count(*) FROM storesync.outbox WHERE subject = 7'), '1', 'and the replica is as far as the primary');
unlike(slurp_file($replica->logfile), qr/conflict with recovery/, 'nobody was cancelled');
Storesync->sound($node);

done_testing();
