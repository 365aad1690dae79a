# While more has to be written than the limits allow, the calls that they grant
# are made: no token is left lying, no kind of work takes another's part, and
# no limit is broken. A burst of 2 lets a late waking make up for it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units, $rate) = (3, 60, 5000, 10);
my $update = '/api/v2/product/update_stock';
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units),
	rate => 0, order_delay => 100);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '100ms');
Storesync->load($node, $sim, rate_limit => "$rate/s burst 2", shown => 1);
Storesync->wait_until(sub { $sim->counters->{calls}{'/api/v2/order/get_order_list'} }, 'the first fetch');

# from which moment on the calls of all shops are looked at
sub last_call
{
	my $last = 0;
	foreach my $shop (1001 .. 1000 + $shops)
	{
		my $calls = $sim->calls($shop);
		$last = $calls->[-1]{at_us} if @$calls && $calls->[-1]{at_us} > $last;
	}
	return $last;
}

# used SHOP, FROM: of the budget between the first and the last stock call after
# FROM the part that was used by calls of any kind, and by stock calls
sub used
{
	my ($shop, $from) = @_;
	my @calls = grep { $_->{at_us} > $from } @{ $sim->calls($shop) };
	my @writes = grep { $_->{path} eq $update } @calls;
	my ($first, $last) = map { $_->{at_us} } @writes[ 0, -1 ];
	my $budget = ($last - $first) / 1e6 * $rate;
	my $within = grep { $_->{at_us} >= $first && $_->{at_us} <= $last } @calls;

	note(sprintf 'shop %d: %d calls, %d of them writes, in %.2f s',
		$shop, $within, scalar @writes, ($last - $first) / 1e6);
	return (($within - 1) / $budget, (@writes - 1) / $budget);
}

# what is going on, and how much of the calls the writes get at least
foreach my $case (
	{ name => 'orders fetched now and then', poll => '10 seconds', writes => 0.85 },
	{ name => 'more fetching asked for than there are calls', poll => '100 milliseconds', writes => 0.6 },
	{ name => 'slow answers', poll => '10 seconds', writes => 0.85, slow => 900 })
{
	$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '$case->{poll}'");
	$sim->faults($case->{slow} ? (slow => 1, slow_ms => $case->{slow}) : ());
	$sim->order(1001 + $_ % $shops, [ 1 + $_ % $skus, 0, 1 ]) foreach 1 .. 40;
	my $from = last_call();
	$node->safe_psql('shop', "SELECT storesync.reserve(code, 2, storesync.new_key()) FROM storesync.sku");
	Storesync->converged($node, $sim, "$case->{name}: all is written");
	foreach my $shop (1001 .. 1000 + $shops)
	{
		my ($all, $writes) = used($shop, $from);
		cmp_ok($all, '>=', 0.95, "shop $shop was called as often as its limit allows");
		cmp_ok($writes, '>=', $case->{writes}, 'and most calls wrote');
	}
}
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 2, 'no limit was broken');
is($node->safe_psql('shop', "SELECT count(*) FROM (SELECT count(*) OVER (PARTITION BY store_id ORDER BY sent_at
		RANGE BETWEEN CURRENT ROW AND '999999 microseconds' FOLLOWING) AS calls
	FROM (SELECT DISTINCT store_id, sent_at FROM storesync.push) c) w WHERE calls > $rate + 1"),
	'0', 'not one call too many left within a second, however late rounds were');
Storesync->sound($node);
done_testing();
