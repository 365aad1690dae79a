# What can go wrong on the wire, at the level of bytes and sockets: answers cut,
# dripped, swollen, endless or of another kind, connections reset before and
# after the work was done, a platform that is stopped, that refuses, whose name
# nobody knows. Each ends with the same quantities everywhere.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;

my ($shops, $skus, $units, $rate) = (2, 3, 500, 30);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units),
	rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main',
	'storesync.clock_doubt' => '10ms', 'storesync.request_timeout' => '1500ms', 'storesync.connect_timeout' => '1s',
	'storesync.instance_name' => 'wire');
Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my $url = $proxy->url;

sub sql { return $node->safe_psql('shop', $_[0]); }

# base_url URL: where the platform is from now on
sub base_url { my ($to) = @_; return sql("UPDATE storesync.platform SET base_url = '$to'"); }

sql(q(UPDATE storesync.store SET poll_interval = '300 milliseconds'));
base_url($url);
Storesync->converged($node, $sim, 'all is shown at first');

# meet NAME, SEEN: an order and decreases, until SEEN says that the fault has struck
my $orders = 0;
sub meet
{
	my ($name, $seen, $sold) = @_;
	if ($sold // 1)
	{
		$sim->order(1001 + $orders % $shops, [ 1 + $orders % $skus, 0, 2 ]);
		$orders++;
	}
	sql("SELECT storesync.reserve('S' || n, 3, storesync.new_key()) FROM generate_series(1, $skus) n");
	return Storesync->wait_until($seen, "$name is met");
}

# failed CODE: a question whether calls have failed with this code of curl's from now on
sub failed
{
	my ($code) = @_;
	my $from = sql('SELECT clock_timestamp()');
	return sub {
		return sql("SELECT count(*) >= 2 FROM storesync.call_log WHERE curl_code = $code AND at > '$from'") eq 't';
	};
}

sub settled
{
	my ($name) = @_;
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, "$name: the order");
	Storesync->converged($node, $sim, "$name: every shop shows what the database wants");
	return;
}

# (an error where there was none, with bytes that are no text, refuses an order for good: writes alone)
foreach my $kind (
	qw(truncate drip large html nul latin1 endless reset_before reset_after silent silent_after))
{
	$proxy->spoil($kind, count => 8, $kind =~ /silent|endless|nul|latin1/ ? (path => 'update_stock') : ());
	meet($kind, sub { $proxy->spoilt >= 4 });
	$proxy->spoil;
	settled($kind);
}

# The platform is stopped, keeps its sockets, and goes on.
my $timed_out = failed(28);
kill 'STOP', $sim->pid;
meet('SIGSTOP', $timed_out, 0);
kill 'CONT', $sim->pid;
settled('SIGSTOP');

# Nobody listens.
my $refused = failed(7);
$proxy->stop;
meet('connection refused', $refused);
$proxy->again;
settled('connection refused');

# A name that nobody can look up: its first part is longer than a name's part may be.
my $unknown = failed(6);
sql("SELECT storesync.confirm_instance('wire')");
base_url('https://' . 'a' x 64 . '.invalid');
meet('an unknown name', $unknown);
base_url($url);
settled('an unknown name');

is(sql(q(SELECT call, class, reason, story FROM storesync.compensation)), '', 'nothing was given up');
is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|ERROR/, 'the dispatcher met no error');
unlike(slurp_file($node->logfile), qr/accessToken|testPartnerKey|sign=/, 'no secret is in the log');
Storesync->sound($node);
$node->stop;
done_testing();
