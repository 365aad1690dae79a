# A real platform: a name, a certificate, an instance that has to be confirmed.
# A wrong instance name, a certificate that has ended, is another host's or
# nobody's, a name for a private address, a name server that never answers: nothing is called that must not
# be, nothing hangs, and afterwards every shop shows what the database wants.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $names = Storesync->library('names', "$dir/names.so");
plan skip_all => 'no C compiler' unless $names;

# ---------------------------------------------------------------- certificates

sub openssl { system_or_bail('openssl', @_); return; }

# certificate NAME, HOST, FROM, UNTIL: its file, with its key, signed by our own authority
sub certificate
{
	my ($name, $host, $from, $until) = @_;
	append_to_file("$dir/$name.ext", "subjectAltName=DNS:$host\n");
	openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', "/CN=$name", '-keyout', "$dir/$name.key", '-out', "$dir/$name.csr");
	openssl('ca', '-batch', '-config', "$dir/ca.conf", '-extfile', "$dir/$name.ext", '-startdate', $from, '-enddate', $until,
		'-in', "$dir/$name.csr", '-out', "$dir/$name.crt");
	append_to_file("$dir/$name.pem", slurp_file("$dir/$name.key") . slurp_file("$dir/$name.crt"));
	return "$dir/$name.pem";
}

append_to_file("$dir/index.txt", '');
append_to_file("$dir/ca.conf", <<"END");
[ca]
default_ca = our
[our]
new_certs_dir = $dir
database = $dir/index.txt
rand_serial = yes
default_md = sha256
certificate = $dir/ca.crt
private_key = $dir/ca.key
policy = any
[any]
commonName = supplied
END
openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '10', '-subj', '/CN=authority of the tests',
	'-keyout', "$dir/ca.key", '-out', "$dir/ca.crt");
my $year = (gmtime)[5] + 1900;
my @pems = (
	certificate('good', 'shop.test', ($year - 1) . '0101000000Z', ($year + 1) . '1231000000Z'),
	certificate('expired', 'shop.test', '20200101000000Z', '20200201000000Z'),
	certificate('other', 'another.test', ($year - 1) . '0101000000Z', ($year + 1) . '1231000000Z'));

# ---------------------------------------------------------------- the shops

my ($shops, $skus, $units, $rate) = (2, 3, 500, 30);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0, tls => \@pems);
my ($good, $expired, $other) = map { "https://shop.test:$_" } $sim->tls_ports;
my $silent = $good =~ s/shop/silent/r;

my $node = Storesync->cluster('main', -start => 0,
	'storesync.databases' => '', 'storesync.clock_doubt' => '10ms', 'storesync.connect_timeout' => '1s',
	'storesync.request_timeout' => '2s', 'storesync.instance_name' => 'shop-main',
	'storesync.allow_private_addresses' => 'on', 'storesync.ca_file' => "$dir/ca.crt");
{
	local $ENV{LD_PRELOAD} = $names;
	$node->start;
}
Storesync->create($node);
Storesync->load($node, $sim, rate_limit => "$rate/s");

sub sql { return $node->safe_psql('shop', $_[0]); }
sub base_url { my ($to) = @_; return sql("UPDATE storesync.platform SET base_url = '$to'"); }

sub setting
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.$name = '$value'");
	$node->reload;
	return;
}

# what has arrived at the simulator
sub arrived { my $calls = $sim->counters->{calls}; my $sum = 0; $sum += $_ foreach values %$calls; return $sum; }

my $orders = 0;
sub meet
{
	my ($name, $code) = @_;
	my $from = sql('SELECT clock_timestamp()');
	# a fetch of before may be on its way, and the dispatcher has yet to hear of it
	Storesync->query_until($node, "SELECT count(DISTINCT store_id) FROM storesync.call_log WHERE curl_code IN ($code) AND at > '$from'",
		$shops, "$name: every shop meets it");
	my $before = arrived();
	$from = sql('SELECT clock_timestamp()');
	$sim->order(1001 + $orders % $shops, [ 1 + $orders % $skus, 0, 2 ]);
	$orders++;
	sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series(1, $skus) n");
	Storesync->query_until($node, "SELECT count(*) >= 2 FROM storesync.call_log WHERE curl_code IN ($code) AND at > '$from'",
		't', "$name: calls fail");
	is(arrived(), $before, "$name: no request leaves");
	return;
}

sub settled
{
	my ($name) = @_;
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, "$name: the order");
	return Storesync->converged($node, $sim, "$name: afterwards every shop shows what the database wants");
}

sub waits
{
	return Storesync->query_until($node,
		q(SELECT count(*) FROM storesync.stat_store WHERE waits LIKE '%instance is not confirmed%'), $shops, 'the stores wait');
}

# ---------------------------------------------------------------- the instance

sql(q(UPDATE storesync.store SET poll_interval = '300 milliseconds'));
base_url($good);
setting('databases', 'shop');
waits();
is(arrived(), 0, 'nothing is called before the instance is confirmed');
is(sql(q(SELECT reason FROM storesync.health() WHERE component = 'instance shopee')), 'sending is paused until confirm_instance()', 'as health() says');
sql("SELECT storesync.confirm_instance('shop-main')");
# the simulator begins with these quantities: only acknowledged writes tell that it was called
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_target WHERE enabled AND NOT dirty', $shops * $skus, 'all has been written once');
Storesync->converged($node, $sim, 'confirmed, it calls over TLS');
cmp_ok(sql(q(SELECT sum(n) FROM storesync.stat_latency WHERE phase = 'tls')), '>', 0, 'with handshakes');

setting('instance_name', 'shop-copy');
waits();
# a call that was built before it heard of the name leaves yet
Storesync->query_until($node, "SELECT in_flight FROM storesync.stat_dispatcher WHERE database = 'shop'", '0', 'no call is under way');
my $before = arrived();
my $cycles = sql("SELECT cycles FROM storesync.stat_dispatcher WHERE database = 'shop'");
$sim->order(1001, [ 1, 0, 1 ]);
$orders++;
sql("SELECT storesync.reserve('S1', 5, storesync.new_key())");
my $task = sql("SELECT storesync.enqueue(min(store_id), 'refresh_token', '{}') FROM storesync.store");
Storesync->query_until($node, "SELECT cycles > $cycles + 1 FROM storesync.stat_dispatcher WHERE database = 'shop'", 't', 'it has looked');
is(arrived(), $before, 'under another name nothing is called, not even for orders or tokens');
setting('instance_name', 'shop-main');
settled('the wrong instance name');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'and the task');

# ---------------------------------------------------------------- certificates

foreach my $case ([ 'an expired certificate', $expired ], [ "another host's certificate", $other ])
{
	base_url($case->[1]);
	meet($case->[0], 60);
	base_url($good);
	settled($case->[0]);
}
setting('ca_file', '');
meet('a certificate of nobody', 60);
setting('ca_file', "$dir/none");
meet('authorities that cannot be read', 77);
setting('ca_file', "$dir/ca.crt");
settled('authorities that cannot be read');

# ---------------------------------------------------------------- names

# shop.test stands for this machine, which its URL does not say; connections that are kept (42) count
setting('allow_private_addresses', 'off');
meet('a name for a private address', '7, 42');
is(sql(q(SELECT DISTINCT message FROM storesync.call_log WHERE curl_code IN (7, 42))),
	"the platform's host is at a private address (storesync.allow_private_addresses)", 'as the call log says');
cmp_ok(sql(q(SELECT count(*) FROM storesync.call_log WHERE curl_code = 42)), '>', 0, 'nor is a connection used that was made before');
setting('allow_private_addresses', 'on');
settled('a name for a private address');

sub timed
{
	my ($what, $code) = @_;
	return cmp_ok(Storesync->elapsed($code), '<', 2, "$what takes less than two seconds while a name server does not answer");
}

sub hang
{
	base_url($silent);
	sql("SELECT storesync.reserve('S1', 1, storesync.new_key())");
	return Storesync->query_until($node, "SELECT in_flight > 0 FROM storesync.stat_dispatcher WHERE database = 'shop'", 't', 'a look-up is under way');
}

base_url($silent);
meet('a name server that never answers', 28);
base_url($good);
settled('a name server that never answers');
hang();
timed('the end of the dispatcher', sub {
	my $pid = Storesync->dispatcher($node);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	Storesync->wait_until(sub { Storesync->dispatcher($node) ne $pid }, 'its end'); });
hang();
timed('ALTER DATABASE RENAME', sub { $node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO store') });
$node->safe_psql('postgres', 'ALTER DATABASE store RENAME TO shop');
hang();
base_url($good);
settled('look-ups that were left behind');

is(sql('SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|ERROR/, 'the dispatcher met no error');
Storesync->sound($node);

hang();
timed('DROP EXTENSION', sub { sql('DROP EXTENSION storesync') });
sql('CREATE EXTENSION storesync');
Storesync->load($node, $sim, rate_limit => "$rate/s");
sql("SELECT storesync.confirm_instance('shop-main')");
hang();
timed('DROP DATABASE', sub { $node->safe_psql('postgres', 'DROP DATABASE shop') });
timed('a fast shutdown', sub { $node->stop('fast') });
done_testing();
