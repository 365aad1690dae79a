# Searches beside orders that come: what is packed, when, and what is found on a standby by whom.

use strict;
use warnings;
use utf8;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

# A vacuum of the orders would be waited for, as whoever else has them open.
my $node = Storesync->cluster('primary', -streaming => 1, 'storesync.databases' => undef, 'max_prepared_transactions' => 5, 'autovacuum' => 'off');

sub sql { return $node->safe_psql('shop', $_[0]); }

# Orders of one number each, straight into the table: as many ids as it takes to fill runs.
sub orders
{
	my ($n, $prefix) = @_;
	return "INSERT INTO storesync.sales_order (create_time, update_time, fetched_at, recorded_at, store_id, status, stock_effect, order_sn, buyer) "
	  . "SELECT now(), now(), now(), now(), 1, 'ready_to_ship', true, '$prefix' || i, 'buyer' || i FROM generate_series(1, $n) i";
}

sub through { return sql('SELECT through FROM storesync.search_progress'); }

sub numbers
{
	my ($fragment, $where) = @_;
	return ($where // $node)->safe_psql('shop', "SELECT string_agg(order_sn, ' ' ORDER BY order_sn) FROM storesync.search_orders('$fragment')");
}

sql("SELECT storesync.add_store('shopee', '1', 'one'), storesync.ensure_partitions(); UPDATE storesync.store SET mode = 'off'");

# An id that was taken and not committed yet: its run waits, nobody else does, and nothing is lost.
my $late = $node->background_psql('shop');
$late->query_safe('BEGIN');
$late->query_safe(orders(1, 'LATE'));
sql(orders(5000, 'A'));
sql('CALL storesync.search_refresh()');
is(through(), '0', 'no run is made while one of its orders may still come');
is(sql('SELECT cardinality(waits_for) FROM storesync.search_status'), '1', 'whom it waits for is told');
is(numbers('A4999'), 'A4999', 'what is in no run is found');
is(numbers('LATE'), '', 'what is not committed is not');
$late->query_safe('COMMIT');
$late->quit;
sql('CALL storesync.search_refresh()');
is(through(), '4096', 'then it is made');
is(numbers('LATE'), 'LATE1', 'and the late one is in it');

# A prepared transaction has another name than the session that made it.
$late = $node->background_psql('shop');
$late->query_safe('BEGIN');
$late->query_safe(orders(1, 'PREPARED'));
sql(orders(4000, 'B'));
sql('SELECT storesync.search_step()');
$late->query_safe(q(PREPARE TRANSACTION 'search'));
$late->quit;
sql('CALL storesync.search_refresh()');
is(through(), '4096', 'a prepared transaction is waited for');
sql(q(COMMIT PREPARED 'search'));
sql('CALL storesync.search_refresh()');
is(through(), '8192', 'until it is committed');
is(numbers('PREPARED'), 'PREPARED1', 'and its order is found');

# A rolled back one leaves a gap.
sql('BEGIN; ' . orders(4096, 'GONE') . '; ROLLBACK');
sql(orders(4096, 'C'));

# One step at a time; who comes second leaves it alone.
my $first = $node->background_psql('shop');
$first->query_safe('BEGIN');
is($first->query_safe('SELECT storesync.search_step()'), 't', 'a step');
is(sql('SELECT storesync.search_step()'), 'f', 'is taken by one session at a time');
is(numbers('C4000'), 'C4000', 'a search waits for nobody');
$first->query_safe('ROLLBACK');
$first->quit;

# On a standby, by roles
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
sql(<<'SQL');
CREATE ROLE seller LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE program LOGIN; CREATE ROLE stranger LOGIN;
SELECT storesync.grant_role('clerk', 'reporter'), storesync.grant_role('seller', 'operator'), storesync.grant_role('program', 'application');
SELECT storesync.add_sku('TS-1', '純棉上衣'), storesync.receive('TS-1', 10, storesync.new_key());
SELECT storesync.ingest_order(1, jsonb_build_object('order_sn', '2611ZZ', 'status', 'ready_to_ship', 'create_time', extract(epoch FROM now())::bigint, 'buyer', '王小明',
	'lines', '[{"line_id": "1", "sku": "TS-1", "qty": 1}]'::jsonb));
SQL
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
for my $role (qw(seller clerk program))
{
	my $may = $role eq 'program' ? '' : '2611ZZ';
	my $as = "SET ROLE $role; ";
	is($standby->safe_psql('shop', "${as}SELECT order_sn, field FROM storesync.search_orders('純棉')"), '2611ZZ|product', "$role: by a product, on the standby");
	is($standby->safe_psql('shop', "${as}SELECT order_sn FROM storesync.search_orders('王小')"), $may, "$role: by the buyer");
	is($standby->safe_psql('shop', "${as}SELECT count(buyer) FROM storesync.search_orders('2611ZZ')"), $may ? '1' : '0', "$role: the buyer");
	is($standby->safe_psql('shop', "${as}SELECT code FROM storesync.search_products('棉上')"), 'TS-1', "$role: products");
	is($standby->safe_psql('shop', "${as}SELECT order_sn FROM storesync.search_orders('PREPARED')"), 'PREPARED1', "$role: from a run");
}
my ($status, $out, $err) = $standby->psql('shop', "SET ROLE stranger; SELECT storesync.search_orders('2611')");
like($err, qr/permission denied/, 'others may not');
($status, $out, $err) = $standby->psql('shop', '\set VERBOSITY verbose' . "\nSELECT storesync.search_step()");
like($err, qr/25006|read-only|recovery/, 'nothing is packed on a standby');

# The dispatcher packs by itself.
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->restart;
sql(orders(4096, 'D'));
sql("SELECT storesync.outbox_add('stock', '{1}')");
ok(Storesync->wait_until(sub { sql('SELECT behind FROM storesync.search_status') < 4096 }, 'what is behind'), 'the dispatcher packs what has come');
Storesync->query_until($standby, 'SELECT behind < 4096 FROM storesync.search_status', 't', 'and a standby has it');
is(numbers('D1234', $standby), 'D1234', 'found there');
is(numbers('GONE'), '', 'what was rolled back is nowhere');

done_testing();
