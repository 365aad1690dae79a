# What nobody calls for: the dispatcher gives back what is over when it is over,
# and takes up parked lines, also those that were parked while their listing was
# being added; in between it runs nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('main');
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => 1, skus => 3, units => 50),
	rate => 0);
Storesync->load($node, $sim, rate_limit => '20/s burst 5', shown => 1);
$node->safe_psql('shop', "UPDATE storesync.store SET poll_interval = '1 hour'");
Storesync->converged($node, $sim);

sub sql { return $node->safe_psql('shop', $_[0]); }

sub until_is
{
	my ($query, $wanted, $name) = @_;
	return ok(Storesync->wait_until(sub { sql($query) eq $wanted }, $name), $name);
}

sub document
{
	my ($sn, $status, $line) = @_;
	return sql(<<"SQL");
SELECT r.outcome FROM storesync.ingest_order((SELECT min(store_id) FROM storesync.store), jsonb_build_object(
	'order_sn', '$sn', 'status', '$status', 'create_time', extract(epoch FROM now()),
	'lines', '[$line]'::jsonb)) r
SQL
}

# A reservation, in a while and on a listing that shows it.
my $available = sql("SELECT storesync.available('S1')");
is(sql("SELECT available FROM storesync.reserve('S1', 10, storesync.new_key(), expires => '2 seconds')"), $available - 10, 'reserved');
until_is("SELECT storesync.available('S1')", $available, 'given back when it is over');
ok(Storesync->wait_until(sub { $sim->stock(1001, 1) == $available }, 'shown'), 'and shown again');

# An earlier one than the one that was waited for.
sql("SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => 'late', expires => '1 hour')");
sql("SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => 'soon', expires => '300 ms')");
until_is("SELECT string_agg(reference, ',') FROM storesync.reservation", 'late', 'the one that is over, before the other');

# An unpaid order.
sql("UPDATE storesync.store SET unpaid_hold = '2 seconds'");
is(document('U', 'unpaid', '{"line_id":"1","sku":"S2","qty":5}'), 'applied', 'an unpaid order');
until_is("SELECT state, reserved FROM storesync.sales_order_line", 'lapsed|0', 'gives its units back');

# Parked while its listing is being added: neither transaction sees the other.
my $adding = $node->background_psql('shop');
$adding->query_safe('BEGIN');
$adding->query_safe("SELECT storesync.add_listing((SELECT min(store_id) FROM storesync.store), 'S3', '777')");
is(document('P', 'ready_to_ship', '{"line_id":"1","item_id":"777","qty":1}'), 'parked', 'a listing that is not committed');
$adding->query_safe('COMMIT');
$adding->quit;
until_is("SELECT state FROM storesync.sales_order_line WHERE item_id = '777'", 'reserved', 'is taken up when it is');

# More than the transaction that adds the listing takes up.
sql(<<'SQL');
SELECT count(*) FROM storesync.ingest_orders((SELECT min(store_id) FROM storesync.store), (SELECT jsonb_agg(jsonb_build_object(
	'order_sn', 'M' || n, 'status', 'ready_to_ship', 'create_time', extract(epoch FROM now()),
	'lines', '[{"line_id":"1","item_id":"888","qty":1}]'::jsonb)) FROM generate_series(1, 2500) n))
SQL
sql("SELECT storesync.add_listing((SELECT min(store_id) FROM storesync.store), 'S3', '888')");
until_is("SELECT count(*) FROM storesync.sales_order_line WHERE state = 'parked'", '0', 'all are taken up');
is(sql('SELECT * FROM storesync.check_invariants()'), '', 'invariants');

$node->stop;
done_testing();
