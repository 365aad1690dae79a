# A copy of the data directory that is started as a primary waits for its operator, though it has the
# system identifier, the database and the name of the cluster that it was copied from.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Storesync;

my $node = Storesync->cluster('main', -streaming => 1, 'storesync.databases' => '', 'storesync.instance_name' => 'main');
$node->safe_psql('shop', q(SELECT storesync.add_store('shopee', '1', 'One'), storesync.confirm_instance('main')));
$node->safe_psql('shop', q(UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1' WHERE platform = 'ruten'));

sub guard
{
	my ($where) = @_;
	return $where->safe_psql('shop', q(SELECT storesync.is_copy(), storesync.sending_allowed('shopee'), storesync.sending_allowed('ruten')));
}

is(guard($node), 'f|t|t', 'the cluster sends');
is($node->safe_psql('shop', 'SELECT storesync.recovery_id()'), 0, 'and never came out of a backup');

# a database that is not upgraded yet
$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('old', q(CREATE EXTENSION storesync VERSION '1.0'; UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1';
	SELECT storesync.add_store('ruten', '1', 'One')));
$node->backup('base');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'base');
unlink $copy->data_dir . '/standby.signal';
$copy->start;
is(guard($copy), 't|f|f', 'a pg_basebackup that is started as a primary does not, not even to this machine');
is($copy->safe_psql('shop', 'SELECT storesync.current_incarnation()'), 2, 'it begins another life');
is($copy->safe_psql('shop', 'SELECT reason, recovery = storesync.recovery_id() FROM storesync.incarnation ORDER BY incarnation'),
	"new|f\nrecovery|t", 'and remembers why');
my $id = $copy->safe_psql('shop', 'SELECT storesync.recovery_id()');
$copy->restart;
is($copy->safe_psql('shop', 'SELECT storesync.recovery_id()'), $id, 'a restart is no recovery');
is(guard($copy), 't|f|f', 'and confirms nothing');
$copy->safe_psql('shop', q(SELECT storesync.confirm_instance('main')));
is(guard($copy), 't|t|t', 'the operator does');
$copy->restart;
is(guard($copy), 't|t|t', 'for good');
is($copy->safe_psql('shop', 'SELECT storesync.current_incarnation()'), 2, 'in the same life');

# its own copies wait again; a standby of it does not
$copy->append_conf('postgresql.conf', "max_wal_senders = 5\nwal_level = replica");
$copy->restart;
$copy->backup('again');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($copy, 'again', has_streaming => 1);
$standby->start;
$copy->wait_for_catchup($standby);
is(guard($standby), 't|t|t', 'a standby of a cluster that came out of a backup knows its confirmation');
$copy->stop;
$standby->promote;
is($standby->safe_psql('shop', 'SELECT storesync.current_incarnation(), storesync.instance_confirmed()'), '3|t', 'and goes on when it is promoted, in another life');
my $third = PostgreSQL::Test::Cluster->new('third');
$third->init_from_backup($copy, 'again');
unlink $third->data_dir . '/standby.signal';
$third->start;
is(guard($third), 't|f|f', 'a copy of it waits');
isnt($third->safe_psql('shop', 'SELECT storesync.recovery_id()'), $id, 'with a number of its own');

# a file that is no good is as good as another recovery
$third->safe_psql('shop', q(SELECT storesync.confirm_instance('main')));
is(guard($third), 't|t|t', 'confirmed');
$third->stop;
open my $file, '>', $third->data_dir . '/storesync.recovery' or die $!;
print $file "what is this\n";
close $file;
$third->start;
is(guard($third), 't|f|f', 'a file that cannot be read confirms nothing');
is($third->safe_psql('shop', 'SELECT storesync.current_incarnation()'), 4, 'in yet another life');
$third->stop;
$standby->stop;

# ---------------------------------------------------------------- to a point, with a look before

my $back = PostgreSQL::Test::Cluster->new('back');
$back->init_from_backup($node, 'base');
unlink $back->data_dir . '/standby.signal';
$back->append_conf('postgresql.conf', "restore_command = 'false'\nrecovery_target = 'immediate'\nrecovery_target_action = 'pause'\nrecovery_target_timeline = 'current'");
$back->append_conf('recovery.signal', '');
# there were two recoveries before, to the same point
$back->append_conf("pg_wal/0000000$_.history", "1\t0/1\tbefore") foreach 2, 3;
$back->start;
$back->poll_query_until('shop', q(SELECT pg_get_wal_replay_pause_state() = 'paused'));
is($back->safe_psql('shop', 'SELECT storesync.current_incarnation(), max(incarnation) FROM storesync.incarnation'), '2|1',
	'while recovery pauses another life is seen, not begun');
is(guard($back), 't|f|f', 'nothing may be sent');
is($back->safe_psql('shop', 'SELECT * FROM storesync.check_invariants()'), '', 'invariants can be looked at');
is($back->safe_psql('shop', 'SELECT count(*) FROM storesync.listing_status'), 0, 'and listings');
$back->safe_psql('shop', 'SELECT pg_wal_replay_resume()');
$back->poll_query_until('shop', 'SELECT NOT pg_is_in_recovery()');
is($back->safe_psql('shop', 'SELECT storesync.current_incarnation()'), 4, 'then it begins, numbered after those of earlier recoveries, which its tables do not know');
is(guard($back), 't|f|f', 'and waits');

# ---------------------------------------------------------------- from before an upgrade

my $waits = q(SELECT coalesce(waits, '') LIKE '%not confirmed%' FROM storesync.stat_store);
is($back->safe_psql('old', q(SELECT storesync.sending_allowed('ruten'))), 't', 'tables of 1.0 know of no recovery');
$back->append_conf('postgresql.conf', q(storesync.databases = 'old'));
$back->reload;
ok($back->poll_query_until('old', $waits), 'the dispatcher waits all the same');
like(slurp_file($back->logfile), qr/DETAIL:  The data came out of a backup: run ALTER EXTENSION storesync UPDATE/, 'and says what for');
$back->safe_psql('old', 'ALTER EXTENSION storesync UPDATE');
is($back->safe_psql('old', q(SELECT storesync.sending_allowed('ruten'), storesync.current_incarnation())), 'f|4', 'upgraded it begins another life');
ok($back->poll_query_until('old', $waits), 'and waits for its operator');
$back->safe_psql('old', q(SELECT storesync.confirm_instance('main')));
ok($back->poll_query_until('old', $waits, 'f'), 'who lets it go on');
$back->stop;
$node->stop;
done_testing();
