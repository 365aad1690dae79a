# The guard that keeps copies from calling real platforms: every way in which a
# database comes to be a copy, and the ways in which it does not.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Storesync;

my $node = Storesync->cluster('main', -streaming => 1, 'storesync.databases' => '');

sub allowed
{
	my ($where, $database) = @_;
	return $where->safe_psql($database // 'shop',
		q(SELECT storesync.sending_allowed('shopee'), storesync.is_copy()));
}

# error of a statement, as "SQLSTATE message"
sub failure
{
	my ($where, $sql) = @_;
	my ($status, $out, $error) = $where->psql('shop', "\\set VERBOSITY verbose\n$sql");
	return $error =~ /ERROR:  (\S+: [^\n]*)/ ? $1 : "none: $out";
}

# ---------------------------------------------------------------- one database

$node->safe_psql('shop', q(SELECT storesync.add_store('shopee', '1', 'One')));
is(allowed($node), 'f|f', 'the real platform is not called before somebody says so');
$node->safe_psql('shop', q(UPDATE storesync.platform SET base_url = 'http://127.0.0.1:1'));
is(allowed($node), 't|f', 'a platform on this machine is');
$node->safe_psql('shop', q(UPDATE storesync.platform SET base_url = 'https://partner.shopeemobile.com'));

is(failure($node, q(SELECT storesync.confirm_instance('main'))), '55000: storesync.instance_name is not set', 'no name is set');
like(failure($node, q(SET storesync.instance_name = 'main')), qr/^55P02/, 'no session can set it');
$node->append_conf('postgresql.conf', "storesync.instance_name = 'main'");
$node->reload;
$node->poll_query_until('shop', q(SELECT (storesync.database_identity()).instance_name = 'main'));
is(failure($node, q(SELECT storesync.confirm_instance('Main'))), '22023: this instance is not called "Main"', 'another name');
$node->safe_psql('shop', q(SELECT storesync.confirm_instance('main')));
is(allowed($node), 't|f', 'confirmed: the real platform may be called');
is($node->safe_psql('shop', q(SELECT action, subject FROM storesync.audit WHERE action LIKE 'confirm%')), 'confirm instance|instance main', 'which the audit tells');
$node->restart;
is(allowed($node), 't|f', 'a restart changes nothing');

# ---------------------------------------------------------------- copies

$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop');
is(allowed($node, 'copy'), 'f|t', 'CREATE DATABASE ... TEMPLATE makes a copy');
is($node->safe_psql('copy', 'SELECT storesync.current_incarnation()'), '2', 'with an incarnation of its own');
$node->safe_psql('copy', q(UPDATE storesync.platform SET base_url = 'http://localhost:1'));
is(allowed($node, 'copy'), 'f|t', 'which does not even call this machine: a proxy may listen there');
$node->safe_psql('copy', q(SELECT storesync.confirm_instance('main')));
is(allowed($node, 'copy'), 't|t', 'until it is confirmed');
is(allowed($node), 't|f', 'and the first one goes on');

$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
is(allowed($node, 'renamed'), 't|t', 'a new name makes no copy');

# ---------------------------------------------------------------- a standby

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(allowed($standby), 't|f', 'a standby knows the confirmation');
like(failure($standby, q(SELECT storesync.confirm_instance('main'))), qr/^25006/, 'but writes none');
is($standby->safe_psql('shop', 'SELECT storesync.current_incarnation()'), '1', 'and shares the incarnation');
like(failure($standby, q(SELECT storesync.add_sku('X'))), qr/^25006/, 'catalogue: read-only');
like(failure($standby, q(SELECT storesync.ensure_partitions())), qr/^25006/, 'partitions: read-only');
like($standby->safe_psql('shop', q(SELECT reason FROM storesync.health() WHERE component = 'dispatcher')), qr/^standby/, 'health() works there');
$node->stop;
$standby->promote;
is(allowed($standby), 't|f', 'promoted, it goes on by itself');
$standby->safe_psql('shop', q(SELECT storesync.add_sku('X')));

# the same data under another name is another instance
$standby->append_conf('postgresql.conf', "storesync.instance_name = 'other'");
$standby->restart;
is(allowed($standby), 'f|f', 'the same data directory under another name waits');
$standby->safe_psql('shop', q(SELECT storesync.confirm_instance('other')));
is(allowed($standby), 't|f', 'for its own confirmation');

$standby->stop;
done_testing();
