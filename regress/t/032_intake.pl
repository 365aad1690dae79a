# Orders come in by polling, are booked once however often they are met, and
# the other shops follow; the shop that sold needs no call.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";
$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach 1 .. 3;
$catalogue .= "sku\tTEA\t20\nsku\tCUP\t1000\n";
$catalogue .= join("\t", 'listing', $_, 'TEA', "${_}001", 0, 0, 100) . "\n"
  . join("\t", 'listing', $_, 'CUP', "${_}002", 5, 0, 100) . "\n"
  foreach 1 .. 3;

my $update = '/api/v2/product/update_stock';
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 20, burst => 1);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);
my $store = Storesync->load($node, $sim, rate_limit => '20/s');
$node->safe_psql('shop', q(UPDATE storesync.store SET poll_interval = '300 milliseconds'));
Storesync->converged($node, $sim);

my $dispatcher = Storesync->dispatcher($node);

# updates SHOP: how many stock calls it had so far
sub updates
{
	my ($shop) = @_;
	return scalar grep { $_->{path} eq $update } @{ $sim->calls($shop) };
}

sub reserved
{
	return $node->safe_psql('shop',
		q(SELECT sum(reserved) FROM storesync.stock JOIN storesync.sku USING (sku_id) WHERE code = 'TEA'));
}

# an own order, placed when nobody doubts that it came after our last write
sub settled
{
	return Storesync->query_until($node,
		q(SELECT count(*) FROM storesync.listing l LEFT JOIN storesync.listing_shown w USING (listing_id)
			WHERE w.written_at IS NULL OR w.written_at > clock_timestamp() - interval '2.1 s' OR w.sending_qty IS NOT NULL),
		'0', 'the last writes are recorded, and no longer in doubt');
}
settled();
my @before = map { updates($_) } 1 .. 3;
is($sim->order(1, [ 1001, 0, 4 ])->{accepted_units}, 4, 'a buyer takes four');
Storesync->query_until($node, q(SELECT count(*) FROM storesync.sales_order), '1', 'the order is booked');
Storesync->converged($node, $sim, 'the other shops follow');
is($sim->stock(2, 2001), 16, 'down to what is left');
is(updates(1), $before[0], 'the shop that sold is not written');
is(updates(2) + updates(3) - $before[1] - $before[2], 2, 'the others are, once each');
is(reserved(), 4, 'four are reserved');

# the overlap meets the order again and again
Storesync->query_until($node, "SELECT orders_duplicate >= 3 FROM storesync.stat_dispatcher", 't',
	'the order is met again');
is(reserved(), 4, 'and is still booked once');

# a cancellation gives back, at the platform too
settled();
@before = map { updates($_) } 1 .. 3;
my $order_sn = $node->safe_psql('shop', 'SELECT order_sn FROM storesync.sales_order');
$sim->order_status($order_sn, 'CANCELLED');
Storesync->query_until($node, q(SELECT sum(reserved) FROM storesync.sales_order_line), '0', 'the order is cancelled');
Storesync->converged($node, $sim, 'all shops have the units back');
is(updates(1), $before[0], 'the shop that gave them back itself is not written');

# 5, 6, 5: the last value goes out, whatever was on its way
$node->safe_psql('shop', "SELECT storesync.reserve('TEA', 15, storesync.new_key())");
$node->safe_psql('shop', "SELECT storesync.receive('TEA', 1, storesync.new_key())");
$node->safe_psql('shop', "SELECT storesync.reserve('TEA', 1, storesync.new_key())");
Storesync->converged($node, $sim, '5, 6, 5 comes out as 5');
is($sim->stock(3, 3001), 5, 'really');

# the last units
$sim->order(3, [ 3001, 0, 5 ]);
Storesync->query_until($node, q(SELECT sum(reserved) FROM storesync.sales_order_line), '5', 'sold out');
Storesync->converged($node, $sim, 'nothing is left anywhere');

# what cannot be mapped is parked and stops nothing
$sim->order(1, [ 1002, 5, 1 ]);
$node->safe_psql('shop', q(UPDATE storesync.listing SET item_id = '777', enabled = false WHERE item_id = '2002'));
$sim->order(2, [ 2002, 5, 1 ]);
Storesync->query_until($node,
	q(SELECT string_agg(state::text, ' ' ORDER BY store_id) FROM storesync.sales_order_line WHERE item_id IN ('1002', '2002')),
	'reserved parked', 'an unknown item is parked, the rest goes on');
$node->safe_psql('shop', q(UPDATE storesync.listing SET item_id = '2002', enabled = true WHERE item_id = '777'));
Storesync->converged($node, $sim, 'mapped again it is written again');

# an order that cannot be booked for an error of ours: it alone waits for people
$node->safe_psql('shop', <<'SQL');
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN IF NEW.order_sn = 'POISON' THEN RAISE 'poisoned'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON storesync.sales_order FOR EACH ROW EXECUTE FUNCTION public.refuse();
SQL
$sim->order(3, [ 3002, 5, 1 ], { order_sn => $_ }) foreach qw(BEFORE POISON AFTER);
Storesync->query_until($node, q(SELECT string_agg(order_sn, ' ' ORDER BY order_sn) FROM storesync.sales_order
	WHERE order_sn IN ('BEFORE', 'POISON', 'AFTER')), 'AFTER BEFORE', 'its neighbours are booked');
Storesync->query_until($node, q(SELECT count(*), min(call), min(class::text), min(reason), min(story->0->>'order_sn')
	FROM storesync.compensation), '1|fetch_orders|permanent|poisoned|POISON', 'it is given up, once');
# it is met by some more fetches, and makes neither rows nor lines
my $met = $node->safe_psql('shop', q(SELECT count(*) FROM storesync.call_log WHERE code = 'P0001'));
Storesync->query_until($node, "SELECT count(*) > $met + 2 FROM storesync.call_log WHERE code = 'P0001'", 't', 'it is met again');
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.compensation)), 1, 'it is given up only once');
$node->safe_psql('shop', 'DROP TRIGGER refuse ON storesync.sales_order');
Storesync->query_until($node, q(SELECT count(*) FROM storesync.sales_order WHERE order_sn = 'POISON'), '1',
	'mended it is booked by the next fetch');
$node->safe_psql('shop', 'SELECT storesync.discard(compensation_id, $$mended$$) FROM storesync.compensation');

# one that others were in the way of is booked at once: no other call, and the same process goes on
$node->safe_psql('shop', <<'SQL');
CREATE SEQUENCE public.attempts;
CREATE FUNCTION public.stand_in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.order_sn = 'CROWDED' AND nextval('public.attempts') <= 2 THEN
		RAISE 'crowded' USING ERRCODE = 'serialization_failure';
	END IF;
	RETURN NEW; END $$;
CREATE TRIGGER stand BEFORE INSERT ON storesync.sales_order FOR EACH ROW EXECUTE FUNCTION public.stand_in_the_way();
SQL
$sim->order(3, [ 3002, 5, 1 ], { order_sn => 'CROWDED' });
Storesync->query_until($node, q(SELECT count(*) FROM storesync.sales_order WHERE order_sn = 'CROWDED'), '1',
	'an order that met two serialization failures is booked');
$node->safe_psql('shop', 'DROP TRIGGER stand ON storesync.sales_order');
is($node->safe_psql('shop', 'SELECT last_value FROM public.attempts'), 3, 'at the third run of its transaction');
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.call_log WHERE code = '40001')), 0, 'by the same call');

# somebody folds in a transaction that stays open: calls go on below
my $folder = $node->background_psql('shop');
$folder->query_safe('BEGIN; SELECT FROM storesync.roll_up_cursor FOR UPDATE');

# switches: a paused store is fetched but not written
my $paused = $store->{2};
$node->safe_psql('shop', "SELECT storesync.pause($paused)");
$sim->order(2, [ 2002, 5, 10 ]);
Storesync->query_until($node, q(SELECT max(qty) FROM storesync.sales_order_line), '10', 'its orders are booked');
my $written = updates(2);
$node->safe_psql('shop', "SELECT storesync.reserve('CUP', 100, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(3, 3002, 5) < 900 }, 'the others follow');
is(updates(2), $written, 'it is not written');
$node->safe_psql('shop', "SELECT storesync.resume($paused)");
Storesync->converged($node, $sim, 'resumed it follows');

$node->safe_psql('shop', "UPDATE storesync.store SET mode = 'lower_only' WHERE store_id = $paused");
$node->safe_psql('shop', "SELECT storesync.receive('CUP', 50, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(3, 3002, 5) == 934 }, 'the others are raised');
is($sim->stock(2, 2002, 5), 884, 'a store that may only be lowered is not');
$node->safe_psql('shop', "SELECT storesync.reserve('CUP', 150, storesync.new_key())");
Storesync->converged($node, $sim, 'it is lowered');

my $counters = $sim->counters;
is($counters->{refused_limit}, 0, 'no call was refused for the limit');
cmp_ok($counters->{max_in_second}, '<=', 20, 'in no second a shop had more calls than granted');
is($counters->{bad_signature}, 0, 'all calls were signed well');
is($node->safe_psql('shop', 'SELECT count(*) FROM storesync.compensation'), 1, 'nothing else was given up');
ok(Storesync->wait_until(sub { slurp_file($node->logfile) =~ /canceling statement due to lock timeout/ }, 'a fold gives up'),
	'the dispatcher does not wait for whoever folds');
$node->safe_psql('shop', "SELECT storesync.reserve('CUP', 1, storesync.new_key())");
Storesync->converged($node, $sim, 'nor do calls');
$folder->query_safe('COMMIT');
$folder->quit;
# the roll-ups follow by themselves, some seconds later
Storesync->query_until($node, <<'SQL', 't', 'the roll-ups say what the orders say');
SELECT sum(d.units) = (SELECT sum(o.units) FROM storesync.order_sale o) AND sum(d.units) > 0
	AND (SELECT ended_at IS NOT NULL FROM storesync.roll_up_stock) AND (SELECT ended_at IS NOT NULL FROM storesync.roll_up_pushed)
FROM storesync.sales_day d
SQL
Storesync->sound($node);
is(Storesync->dispatcher($node), $dispatcher, 'the dispatcher never ended');
cmp_ok(scalar(() = slurp_file($node->logfile) =~ /ERROR:  poisoned/g), '<=', 2, 'the log is not flooded');

done_testing();
