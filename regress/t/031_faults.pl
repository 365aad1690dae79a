# Whatever the platform does to our calls, every shop comes to show what the
# database wants, and what is refused for good is left to people.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my @shops = (300001, 300002, 300003);
my @codes = map { "SKU$_" } 1 .. 6;
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";

$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach @shops;
$catalogue .= "sku\t$_\t50\n" foreach @codes;
foreach my $shop (@shops)
{
	# two items, three models each
	$catalogue .= join("\t", 'listing', $shop, $codes[$_], $shop % 10 * 1000 + int($_ / 3),
		10 + $_, 0, 100) . "\n"
	  foreach 0 .. $#codes;
}

my $update = '/api/v2/product/update_stock';
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0, seed => 7);
my $node = Storesync->cluster('main',
	'storesync.clock_doubt' => '10ms', 'storesync.request_timeout' => '2s');
Storesync->load($node, $sim, rate_limit => '100/s burst 5');
$node->safe_psql('shop', q(UPDATE storesync.store SET poll_interval = '1 hour'));
Storesync->converged($node, $sim, 'all is shown before the first fault');

sub change
{
	my ($round) = @_;
	$node->safe_psql('shop', "SELECT storesync.receive('$_', $round + 1, storesync.new_key())")
	  foreach @codes;
	return;
}

# each fault hits some calls and then ends, or goes on at a rate
my $round = 0;
foreach my $fault (
	{ error_5xx => 1, count => 6 },
	{ cut_before => 1, count => 6 },
	{ cut_after => 0.3 },
	{ malformed => 1, count => 6 },
	{ throttle => 1, count => 3 },
	{ item_failure => 0.3, count => 10 },
	{ slow => 1, slow_ms => 3000, count => 2 },
	{ error_5xx => 0.05, cut_before => 0.05, cut_after => 0.05, malformed => 0.05, item_failure => 0.05 })
{
	my $name = join ' ', map { "$_=$fault->{$_}" } sort keys %$fault;

	$sim->post('faults', { %$fault, path => $update });
	change(++$round);
	Storesync->converged($node, $sim, "quantities meet in spite of $name");
	$sim->post('faults', {});
	ok( Storesync->query_until(
			$node, q(SELECT count(*) FROM storesync.listing_status WHERE state <> 'ok'),
			'0', "$name settles"),
		"nothing is left open after $name");
}

is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.push p JOIN storesync.push q USING (listing_id)
	WHERE p.class = 'ok' AND q.class = 'ok' AND p.at < q.at AND p.version > q.version)),
	0, 'acknowledged versions never fall');
is($node->safe_psql('shop', q(SELECT string_agg(DISTINCT class::text, ' ' ORDER BY class::text) FROM storesync.push)),
	'in_doubt later ok throttled', 'all of these were met');
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.compensation)), 0, 'nothing was given up');

# refused for good: to compensation, quiet until somebody decides or something changes
$node->safe_psql('shop', q(UPDATE storesync.listing SET item_id = '999' WHERE listing_id = 1));
Storesync->query_until($node, q(SELECT call, class, listing_id, settled_at IS NULL FROM storesync.compensation),
	'push_stock|permanent|1|t', 'a listing that the platform does not know is given up');
is($node->safe_psql('shop', q(SELECT state FROM storesync.listing_status WHERE listing_id = 1)), 'dead', 'and shown as dead');
$node->safe_psql('shop', q(SELECT storesync.requeue(compensation_id) FROM storesync.compensation));
Storesync->query_until($node, q(SELECT count(*), count(settled_at) FROM storesync.compensation),
	'2|1', 'requeued it is tried again, and given up again');
$node->safe_psql('shop', q(SELECT storesync.discard(compensation_id, 'gone') FROM storesync.compensation WHERE settled_at IS NULL));
$node->safe_psql('shop', q(UPDATE storesync.listing SET item_id = '1000' WHERE listing_id = 1));
Storesync->converged($node, $sim, 'mended it is written again');
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL)), 0,
	'nothing is left to people');
Storesync->limited($sim, 100, 5);
Storesync->sound($node);
unlike(slurp_file($node->logfile), qr/terminated by signal|ERROR/, 'the dispatcher met no error');
unlike(slurp_file($node->logfile), qr/token-3|demoPartnerKey|sign=/, 'no secret is in the log');

done_testing();
