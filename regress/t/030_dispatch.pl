# The dispatcher delivers: what the database wants is what every shop shows,
# with no call too many and no limit broken.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $catalogue = <<'END';
app	2009999	demoPartnerKey0123456789abcdef
shop	300001	token-1	refresh-1
shop	300002	token-2	refresh-2
shop	300003	token-3	refresh-3
sku	TEA	20
sku	CUP	5
listing	300001	TEA	1001	11	0	100
listing	300001	CUP	1001	12	0	100
listing	300002	TEA	2001	0	0	100
listing	300002	CUP	2002	0	0	100
listing	300003	TEA	3001	31	0	100
END
$catalogue =~ s/\h+/\t/g;

my $sim = Storesync->simulator(catalogue => $catalogue, rate => 20);
# wal_writer_delay: what is durable is so because somebody asked for it, and no writer in the background is quicker.
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '100ms', wal_writer_delay => '10s');
my $store = Storesync->load($node, $sim, rate_limit => '20/s');

Storesync->converged($node, $sim, 'new listings are shown everywhere');
is($sim->stock('300001', 1001, 11), 20, 'all that is available is shown');

# a change of stock
my $before = $sim->get('counters')->{calls}{'/api/v2/product/update_stock'};
$node->safe_psql('shop', "SELECT storesync.receive('TEA', 5, storesync.new_key())");
Storesync->converged($node, $sim, 'a receipt is shown everywhere');
is($sim->stock('300003', 3001, 31), 25, 'the receipt is shown');
is($sim->get('counters')->{calls}{'/api/v2/product/update_stock'} - $before,
	3, 'by one call a listing');

# A trigger on what the dispatcher changes without statements is honoured: before each call, and after it.
# A shop shows a quantity before its answer is recorded: that of the receipt above is not for the trigger.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_shown WHERE sending_qty IS NOT NULL', '0', 'all answers');
$node->safe_psql('shop', <<'SQL');
CREATE TABLE public.noticed (sending boolean);
CREATE FUNCTION public.notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO public.noticed VALUES (NEW.sending_qty IS NOT NULL); RETURN NEW; END $$;
CREATE TRIGGER notice AFTER UPDATE ON storesync.listing_shown FOR EACH ROW EXECUTE FUNCTION public.notice();
SELECT storesync.receive('TEA', 5, storesync.new_key());
SQL
Storesync->converged($node, $sim, 'a receipt is shown everywhere with a trigger on listing_shown');
ok( Storesync->query_until($node, 'SELECT count(*) FILTER (WHERE sending), count(*) FILTER (WHERE NOT sending) FROM public.noticed',
		'3|3', 'both changes of each listing'),
	'the trigger saw both changes of each listing');
$node->safe_psql('shop', 'DROP TRIGGER notice ON storesync.listing_shown');
$node->safe_psql('shop', "SELECT storesync.receive('TEA', 1, storesync.new_key())");
Storesync->converged($node, $sim, 'and none sees the next');
is($node->safe_psql('shop', 'SELECT count(*) FROM public.noticed'), '6', 'which it did not');

# A platform speaks UTF-8; a database may hold another encoding.
{
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	my $cafe = Storesync->simulator(
		catalogue => Storesync->catalogue(shops => 1, skus => 1, units => 50) =~ s/\bS1\b/caf\xc3\xa9/gr);
	$node->safe_psql('postgres', "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql('latin', 'CREATE EXTENSION storesync');
	Storesync->load($node, $cafe, database => 'latin', rate_limit => '20/s');
	$node->safe_psql('latin', "UPDATE storesync.store SET poll_interval = '100 ms'");
	$node->append_conf('postgresql.conf', "storesync.databases = 'shop, latin'");
	$node->reload;
	$cafe->order(1001, [ 1, 0, 2 ]);
	ok( Storesync->wait_until(
			sub { $node->safe_psql('latin', 'SELECT sku_code FROM storesync.sales_order_line') eq "caf\xc3\xa9" },
			'the order'),
		'an order is booked in the encoding of the database');
}

# A call leaves when its round is durable. The launcher flushes for that; one that stands still, or has just ended,
# holds calls up for a moment each, however many rounds ask it for more meanwhile.
{
	my ($skus, $rate) = (80, 40);
	my $many = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => $skus, units => 100), rate => 0);
	$node->safe_psql('postgres', 'CREATE DATABASE many');
	$node->safe_psql('many', 'CREATE EXTENSION storesync');
	Storesync->load($node, $many, database => 'many', rate_limit => "$rate/s", shown => 1);
	my $update = '/api/v2/product/update_stock';
	my $written = sub { return $many->counters->{calls}{$update} // 0; };
	my $take = sub {
		my ($from, $through) = @_;
		return $node->safe_psql('many',
			"SELECT storesync.reserve('S' || n, 1, storesync.new_key()) FROM generate_series($from, $through) n");
	};
	$node->append_conf('postgresql.conf', "storesync.databases = 'shop, many'");
	$node->reload;
	ok(Storesync->wait_until(sub { Storesync->dispatcher($node, 'many') =~ /\d/ }, 'a dispatcher of many'), 'a third database');

	# a call that is on its way all the time: the dispatcher has somebody to wait for
	$many->faults(path => 'update_stock', slow => 1, slow_ms => 60000, count => 1);
	$take->(1, 1);
	ok(Storesync->wait_until(sub { $written->() >= 2 }, 'the first calls'), 'a call is on its way, and stays so');
	my $launcher = $node->safe_psql('shop', 'SELECT storesync.launcher_pid()');
	my $most = 0;
	kill 'STOP', $launcher;
	$take->(2, $skus);
	my $done = Storesync->wait_until(
		sub {
			my $ready = $node->safe_psql('shop', "SELECT in_flight FROM storesync.stat_dispatcher WHERE database = 'many'");
			$most = $ready if $ready > $most;
			return !grep { $_->{stock} != 99 } @{ $many->shown };
		},
		'calls that leave without the launcher');
	ok($done, 'calls leave while the launcher stands still');
	cmp_ok($most, '<', 20, 'and soon: they do not gather behind it') or diag("in flight at most $most");
	kill 'CONT', $launcher;
	kill 'TERM', $launcher;
	$take->(1, $skus);
	ok( Storesync->wait_until(sub { !grep { $_->{stock} != 98 } @{ $many->shown } },
			'calls that leave without a launcher'),
		'and when there is none, and under the next');
}

Storesync->sound($node);
done_testing();
