# A platform is away for eight hours by the clock, with changes, sales and a token
# that ends behind it. When it is back every shop comes to show what the
# database wants by one write each: a backlog is compared, not replayed.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $clock = Storesync->library('clock', "$dir/clock.so", "-DCLOCK_FILE=\"$dir/ahead\"");
plan skip_all => 'no C compiler' unless $clock;

sub set_clock
{
	my ($ahead) = @_;
	append_to_file("$dir/new", $ahead);
	rename "$dir/new", "$dir/ahead" or die "could not set the clock: $!";
	return;
}

my ($shops, $skus, $units, $rate) = (3, 20, 300, 20);
my $update = '/api/v2/product/update_stock';
my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main', -start => 0, 'storesync.clock_doubt' => '10ms', 'storesync.connect_timeout' => '1s');
{
	local $ENV{LD_PRELOAD} = $clock;
	$node->start;
}
set_clock(-8 * 3600);
Storesync->create($node);
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my $url = $proxy->url;

sub sql { return $node->safe_psql('shop', $_[0]); }

sql("UPDATE storesync.platform SET base_url = '$url'");
sql(q(UPDATE storesync.store SET poll_interval = '1 second'));
sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->converged($node, $sim, 'all is shown at first');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', $shops, 'the first fetches');

$proxy->stop;
my $orders = 0;
foreach my $hours (-6, -3, 0)
{
	my $log = -s $node->logfile;
	sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()), storesync.receive('S' || n, 2, storesync.new_key()) "
		  . "FROM generate_series(1, $skus) n, generate_series(1, 5)");
	foreach (1 .. 40)
	{
		$sim->order(1001 + $orders % $shops, [ 1 + $orders % $skus, 0, 1 ]);
		$orders++;
	}
	ok($node->wait_for_log(qr/"\Q$url\E" is not called/, $log), 'the platform is away at ' . ($hours || 'no') . ' hours to go');
	set_clock($hours * 3600);
}
$sim->post('expire_token', { shop_id => '1001' });
my %before = map { $_ => scalar grep { $_->{path} eq $update } @{ $sim->calls($_) } } 1001 .. 1000 + $shops;
$proxy->again;
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', $orders, 'all orders come');
Storesync->converged($node, $sim, 'back again, every shop shows what the database wants');
foreach my $shop (sort keys %before)
{
	my $writes = grep { $_->{path} eq $update } @{ $sim->calls($shop) };
	cmp_ok($writes - $before{$shop}, '<=', 3 * $skus, "shop $shop: " . ($writes - $before{$shop}) . " writes for 600 movements and $orders orders");
}
is(sql('SELECT sum(reserved) FROM storesync.sales_order_line'), $orders, 'each order is booked once');
is(sql(q(SELECT count(DISTINCT subject) FROM storesync.audit WHERE action = 'refresh token')), $shops, 'tokens that had ended meanwhile are refreshed');

# Away once more, and the platform moves while a probe is under way; then it moves back. The probe's end is the old place's.
my $log = -s $node->logfile;
my $in_flight = 'SELECT in_flight FROM storesync.stat_dispatcher WHERE state = $$running$$';
$proxy->spoil('reset_before');
ok($node->wait_for_log(qr/"\Q$url\E" is not called/, $log), 'away again');
$proxy->spoil('silent');
Storesync->wait_until(sub { $proxy->spoilt > 0 }, 'a probe that nobody answers');
sql("UPDATE storesync.platform SET base_url = '" . $sim->url . "'");
sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->converged($node, $sim, 'at another address all goes on');
$proxy->stop;
$proxy->spoil;
Storesync->query_until($node, $in_flight, '0', 'the probe has ended');
$proxy->again;
sql("UPDATE storesync.platform SET base_url = '$url'");
sql("SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->converged($node, $sim, 'and back at the old one, too');

is(sql('SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
Storesync->limited($sim, $rate);
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC|ERROR/, 'the dispatcher met no error');
Storesync->sound($node);
$node->stop;
done_testing();
