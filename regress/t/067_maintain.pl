# maintain() while somebody has every table open and a transaction stays open across it: orders go on,
# none waits 200 ms for a lock, nothing that is needed goes, and all of it goes when they have left.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

# no dispatcher: what is shown here must work without one
my $node = Storesync->cluster('main', 'storesync.databases' => undef);

sub sql { return $node->safe_psql('shop', $_[0]); }

Storesync->old_days($node);
sql(<<'SQL');
SELECT storesync.ensure_partitions();
SELECT storesync.add_store('shopee', '1', 'one');
SELECT storesync.add_sku('A');
SELECT storesync.add_listing(1, 'A', '100');
SELECT storesync.receive('A', 100000, storesync.new_key());
SELECT public.old_day(p, a) FROM unnest('{call_log,push,notification,task_event}'::text[]) p, generate_series(40, 42) a;
SELECT public.old_day('outbox', a) FROM generate_series(2, 4) a;
SQL
my $old = "SELECT string_agg(x.parent || ' ' || x.n, ', ' ORDER BY x.parent) FROM (SELECT p.parent, count(*) AS n"
  . " FROM storesync.partitioned p CROSS JOIN LATERAL storesync.partition_days(p.parent) d"
  . " WHERE d.to_at < now() - interval '1 day' GROUP BY p.parent) x";
my $all = 'call_log 3, notification 3, outbox 3, push 3, task_event 3';
is(sql($old), $all, 'old days');

# a transaction that is older than the rows of two of those days
my $long = $node->background_psql('shop');
$long->query_safe('BEGIN; SELECT pg_current_xact_id()');
sql("INSERT INTO storesync.outbox (subject, kind, at) SELECT 1, 'stock', to_at - interval '1 hour' FROM storesync.partition_days('outbox')"
	  . " WHERE to_at < now() - interval '1 day' ORDER BY to_at DESC LIMIT 2");

# and a report that has all tables open
my $report = $node->background_psql('shop');
my $tables = sql("SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c"
	  . " WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p')");
$report->query_safe("BEGIN; LOCK TABLE $tables IN ACCESS SHARE MODE");

# Orders come all the while; each gives up rather than wait for any lock as long as that.
my $number = 0;
my $orders = $node->background_psql('shop', on_error_stop => 0);
$orders->query_safe("SET lock_timeout = '200ms'");

sub order
{
	$number++;
	return $orders->query("SELECT outcome FROM storesync.ingest_order(1, jsonb_build_object('order_sn', 'O$number',"
		  . " 'status', 'ready_to_ship', 'create_time', now(), 'update_time', now(),"
		  . " 'lines', '[{\"line_id\": \"1\", \"item_id\": \"100\", \"qty\": 1}]'::jsonb))");
}

# maintained WHAT: CALL maintain() in a session of its own, orders meanwhile
sub maintained
{
	my ($what) = @_;
	my $night = $node->background_psql('shop');
	my $before = $number;
	my %outcome;
	# psql says that it has begun before the server hears of it
	my $busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'night' AND NOT (state = 'idle' AND query LIKE 'CALL %')";

	$night->query_safe("SET application_name = 'night'");
	$night->query_until(qr/begun/, "\\echo begun\nCALL storesync.maintain();\n");
	Storesync->wait_until(sub { $outcome{ order() }++; return sql($busy) eq '0' }, "the end of maintain(), $what");
	is(join(',', sort keys %outcome), 'applied', "orders are booked, $what");
	cmp_ok($number - $before, '>', 0, 'while it runs');
	$night->quit;
	return;
}

maintained('with every table open');
is(sql($old), $all, 'nothing went under the eyes of a reader');
is(sql("SELECT string_agg(part, ',' ORDER BY part) FROM storesync.maintenance WHERE code = '55P03'"),
	'call_log,notification,outbox,push,task_event', 'which is written down');
is(sql("SELECT count(*) FROM storesync.health() WHERE component LIKE 'maintenance%'"), '0', 'and is no trouble yet');
sql("UPDATE storesync.maintenance SET failing_since = failing_since - interval '2 days' WHERE part = 'push'");
like(sql("SELECT component, reason FROM storesync.health() WHERE component LIKE 'maintenance%'"),
	qr/^maintenance of push\|55P03: canceling statement due to lock timeout, since /, 'after a day it is');
$report->query_safe('COMMIT');
$report->quit;

maintained('with a transaction open');
is(sql($old), 'outbox 2', 'what that transaction may still need stays');
is(sql("SELECT string_agg(DISTINCT waits_for, ',') FROM storesync.rotation()"), 'a transaction that is still open', 'and says why');
is(sql("SELECT count(*) FROM storesync.health() WHERE component LIKE 'maintenance%'"), '0', 'no trouble is left');
$long->query_safe('COMMIT');
$long->quit;

maintained('alone');
is(sql($old), '', 'all of them gone');
is(sql('SELECT count(*) FROM storesync.left_detached()'), '0', 'nothing is left');
is(sql('SELECT count(*) FROM storesync.sales_order'), $number, 'each order is there');
$orders->quit;
Storesync->sound($node);

done_testing();
