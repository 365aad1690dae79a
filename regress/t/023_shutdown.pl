# Slow calls hold nobody up: with 20 of them under way the server stops, the
# dispatcher ends and the database can be dropped within two seconds.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $shops = 20;
my $node = Storesync->cluster('main', 'storesync.max_in_flight' => 40);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => 1, units => 50),
	rate => 0);
Storesync->load($node, $sim, rate_limit => '20/s burst 5', shown => 1);

# fill: 20 calls under way, none of which will be answered for half a minute
sub fill
{
	my ($move) = @_;
	$sim->faults(slow => 1, slow_ms => 30000, path => 'update_stock');
	$node->safe_psql('shop', "SELECT storesync.reserve('S1', 1, storesync.new_key())");
	return Storesync->query_until($node,
		"SELECT in_flight >= $shops FROM storesync.stat_dispatcher WHERE database = 'shop'",
		't', "$shops calls under way");
}

sub timed
{
	my ($what, $code) = @_;
	return cmp_ok(Storesync->elapsed($code), '<', 2, $what);
}

# drop_database: how long it takes; dirty buffers of others are not its business
sub drop_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', 'CHECKPOINT');
	return Storesync->elapsed(sub { $node->safe_psql('postgres', "DROP DATABASE $name"); });
}

Storesync->converged($node, $sim, 'at first every shop shows what the database wants');
ok(fill(), 'calls are under way');
timed('a fast shutdown takes less than two seconds', sub { $node->stop('fast') });
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal/, 'and is clean');

$node->start;
ok(fill(), 'calls are under way again');
my $pid = Storesync->dispatcher($node);
timed(
	'so does the end of the dispatcher',
	sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		Storesync->wait_until(sub { Storesync->dispatcher($node) ne $pid }, 'its end');
	});

$sim->faults;
Storesync->converged($node, $sim, 'what was under way is sent again');
Storesync->sound($node);

ok(fill(), 'calls are under way once more');
timed('so does a rename of the database',
	sub { $node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO store'); });
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');
$sim->faults;
Storesync->converged($node, $sim, 'renamed back it goes on');
Storesync->sound($node);

ok(fill(), 'calls are under way again and again');
timed('so does DROP EXTENSION', sub { $node->safe_psql('shop', 'DROP EXTENSION storesync') });
$sim->faults;
$node->safe_psql('shop', 'CREATE EXTENSION storesync');
Storesync->load($node, $sim, rate_limit => '20/s burst 5');
Storesync->converged($node, $sim, 'made again it goes on');

Storesync->limited($sim, 20, 5);
Storesync->sound($node);
$node->safe_psql('postgres', 'CREATE DATABASE twin');
$node->safe_psql('twin', 'CREATE EXTENSION storesync');
my $disk = drop_database('twin');
ok(fill(), 'calls are under way for the last time');
cmp_ok(drop_database('shop'), '<', 2 + $disk, 'and so does DROP DATABASE, but for what the disk takes');
$node->stop;

done_testing();
