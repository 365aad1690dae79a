# A peak window holds raises back and lets them out spread afterwards; decreases
# and orders never wait.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $skus = 30;
my $update = '/api/v2/product/update_stock';
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => 2, skus => $skus, units => 50), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);
my ($one, $two) = @$store{ 1001, 1002 };

sub sql { return $node->safe_psql('shop', $_[0]); }

# window SECONDS, SPREAD: of raises, for the first store, from now on, by its clock
sub window
{
	my ($seconds, $spread) = @_;
	return sql(<<"SQL");
SELECT storesync.add_peak_window(clock_timestamp() AT TIME ZONE s.timezone,
	clock_timestamp() AT TIME ZONE s.timezone + '$seconds seconds', store => s.store_id, kinds => '{raise}', spread => '$spread')
FROM storesync.store s WHERE s.store_id = $one
SQL
}

sql("UPDATE storesync.store SET poll_interval = '500 milliseconds'");
sql("UPDATE storesync.store SET timezone = 'Pacific/Auckland' WHERE store_id = $one");
Storesync->converged($node, $sim, 'all is shown at first');

my $window = window(12, '4 seconds');
sql("SELECT storesync.receive('S' || n, 10, storesync.new_key()) FROM generate_series(1, $skus) n");
Storesync->wait_until(sub { !grep { $_->{stock} != 60 } @{ $sim->shown(1002) } }, 'the other store');
sql("SELECT storesync.reserve('S1', 40, storesync.new_key())");
$sim->order(1001, [ 2, 0, 1 ]);
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 1, 'the order');
ok(Storesync->wait_until(sub { $sim->stock(1001, 1) == 20 }, 'the decrease'), 'a decrease does not wait');
Storesync->converged($node, $sim, 'afterwards they go out');
my ($first, $last, $ends) = split /\|/, sql(<<"SQL");
SELECT extract(epoch FROM min(p.sent_at)), extract(epoch FROM max(p.sent_at)), extract(epoch FROM min(x.ends))
FROM storesync.push p, (SELECT w.ends AT TIME ZONE s.timezone AS ends FROM storesync.peak_window w JOIN storesync.store s USING (store_id)) x
WHERE p.store_id = $one AND p.qty > 50
SQL
cmp_ok($first, '>=', $ends, 'none of them before the end');
cmp_ok($last - $first, '>=', 1.5, 'spread, not all at once');

# Dropped: at once.
sql("SELECT storesync.drop_peak_window($window)");
$window = window(3000, '1 hour');
sql("SELECT storesync.receive('S3', 10, storesync.new_key())");
Storesync->wait_until(sub { $sim->stock(1002, 3) == 70 }, 'the other store');
isnt($sim->stock(1001, 3), 70, 'held again');
sql("SELECT storesync.drop_peak_window($window)");
Storesync->converged($node, $sim, 'a window that is dropped lets go at once');

# Tasks wait by the window's default kinds; a push and an order fetch do not. A window that is dropped lets go at once.
my $state = "SELECT concat_ws(' ', state, regexp_replace(detail, ' at .*', '')) FROM storesync.task_state(%s)";
$window = sql(<<"SQL");
SELECT storesync.add_peak_window((clock_timestamp() - interval '1 minute') AT TIME ZONE s.timezone,
	(clock_timestamp() + interval '1 hour') AT TIME ZONE s.timezone, store => s.store_id)
FROM storesync.store s WHERE s.store_id = $one
SQL
my ($reads, $read, $fetch) = map { sql("SELECT storesync.enqueue($_->[0], '$_->[1]', " . ($_->[2] // "'{}'") . ')') }
  [ $two, 'read_back', "(SELECT jsonb_build_object('listing', min(listing_id)) FROM storesync.listing WHERE store_id = $two)" ],
  [ $one, 'read_back', "(SELECT jsonb_build_object('listing', min(listing_id)) FROM storesync.listing WHERE store_id = $one)" ],
  [ $one, 'fetch_orders' ];
Storesync->query_until($node, sprintf($state, $fetch), 'done', 'orders are fetched');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($reads)", 'done', 'another store is read');
sql("SELECT storesync.receive('S4', 10, storesync.new_key())");
ok(Storesync->wait_until(sub { $sim->stock(1001, 4) == 70 }, 'the raise'), 'a raise goes out');
is(sql(sprintf $state, $read), 'queued waits: a peak window ends', 'a read waits, and says why');
sql("SELECT storesync.drop_peak_window($window)");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($read)", 'done', 'dropped, it is read');
# One that ends by itself: afterwards, within its spread.
sql(<<"SQL");
SELECT storesync.add_peak_window((clock_timestamp() - interval '1 minute') AT TIME ZONE s.timezone,
	(clock_timestamp() + interval '3 seconds') AT TIME ZONE s.timezone, store => s.store_id, kinds => '{read_back}', spread => '2 seconds')
FROM storesync.store s WHERE s.store_id = $one;
SELECT count(storesync.enqueue(store_id, 'read_back', jsonb_build_object('listing', listing_id)))
FROM storesync.listing WHERE store_id = $one AND item_id::int <= 12;
SQL
Storesync->query_until($node, "SELECT count(*) FROM storesync.task_open WHERE store_id = $one", 0, 'all are read');
is(sql("SELECT count(*), min(e.at) >= min(w.ends) FROM storesync.task_event e, (SELECT max(w.ends AT TIME ZONE s.timezone) AS ends"
		. " FROM storesync.peak_window w JOIN storesync.store s USING (store_id) WHERE w.kinds = '{read_back}') w"
		. " WHERE e.state = 'sent' AND e.task_id > $fetch"), '12|t', 'none of them before the end');
cmp_ok(sql("SELECT extract(epoch FROM max(e.at) - min(e.at)) FROM storesync.task_event e WHERE e.state = 'sent' AND e.task_id > $fetch"),
	'>=', 0.5, 'and not all at once');

# Orders more often: for as long as the window lasts, and then as before by itself.
my $every = "SELECT polled_every FROM storesync.stat_store WHERE store_id = $one";
sql("UPDATE storesync.store SET poll_interval = '1 hour', poll_spread = 1 WHERE store_id = $one");
Storesync->query_until($node, $every, '01:00:00', 'hardly ever fetched');
my $sn = $sim->order(1001, [ 5, 0, 1 ])->{order_sn};
sql(<<"SQL");
SELECT storesync.add_peak_window(clock_timestamp() AT TIME ZONE s.timezone, clock_timestamp() AT TIME ZONE s.timezone + '6 seconds',
	store => s.store_id, kinds => '{}', poll_interval => '300 milliseconds')
FROM storesync.store s WHERE s.store_id = $one
SQL
Storesync->query_until($node, $every, '00:00:00.3', 'the window begins');
ok(Storesync->query_until($node, "SELECT count(*) FROM storesync.sales_order WHERE order_sn = '$sn'", 1, 'the order'), 'a window fetches orders more often');
ok(Storesync->query_until($node, $every, '01:00:00', 'the old rhythm'), 'at its end the old rhythm is back');
is(sql('SELECT count(*) FROM storesync.peak'), '0', 'nothing is left of it');
cmp_ok(sql("SELECT count(*) FROM storesync.call_log c, (SELECT max(w.ends AT TIME ZONE s.timezone) AS ends FROM storesync.peak_window w"
		. " JOIN storesync.store s USING (store_id) WHERE w.kinds = '{}') w WHERE c.store_id = $one AND c.call = 'list_orders'"
		. " AND c.at BETWEEN w.ends - interval '6 seconds' AND w.ends"), '>=', 4, 'again and again meanwhile');

Storesync->sound($node);
$node->stop;
done_testing();
