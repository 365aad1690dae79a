# Orders that no regular fetch would meet: listed late, from before the store was known, or while nobody
# looked. They are found by a second look at each hour, by a backfill that goes on after a restart, and by
# walking a long absence in windows that the platform takes. Requests to return goods are shown, and move nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 3, skus => 2, units => 5000), rate => 0);
my $node = Storesync->cluster('main', 'storesync.databases' => '');
my $store = Storesync->load($node, $sim, rate_limit => '200/s burst 20', shown => 1);
my ($late, $away, $old) = @{$store}{ 1001, 1002, 1003 };

sub sql { return $node->safe_psql('shop', $_[0]); }
sub answers { return Storesync->query_until($node, @_); }

# booked STORE: the numbers of its orders
sub booked { return "SELECT coalesce(string_agg(order_sn, ' ' ORDER BY order_sn), '') FROM storesync.sales_order WHERE store_id = $_[0]"; }

sub place
{
	my ($shop, $sn, $ago) = @_;
	return $sim->order($shop, [ 1, 0, 1 ], { order_sn => $sn, ago_s => int $ago });
}

# A store that was fetched until five hours ago; another until forty days ago.
sql("UPDATE storesync.platform SET look_again = '{}'; UPDATE storesync.store SET poll_interval = '300 ms'");
sql("INSERT INTO storesync.order_cursor (store_id, fetched_through) VALUES ($late, now() - interval '5 hours'), "
	. "($away, now() - interval '40 days')");
# both orders of the store are of one moment, and so of one hour
my $moment = time - 3 * 3600;
place(1001, 'INTIME', time - $moment);
place(1002, "AWAY$_", $_ * 86400) foreach 1, 14, 16, 29, 31, 39, 41;
# and one that was never fetched, whose cut-over is known: what is open from before that is to be sent
sql("UPDATE storesync.store SET stock_from = now() - interval '1 hour' WHERE store_id = $old");
place(1003, 'OPEN14', 14 * 86400);
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->reload;

answers(booked($away), 'AWAY1 AWAY14 AWAY16 AWAY29 AWAY31 AWAY39', 'forty days are caught up with, and no more');
my ($shortest) = sql("SELECT count(*) FROM storesync.call_log WHERE store_id = $away AND call = 'list_orders' AND class <> 'ok'");
is($shortest, 0, 'in windows that the platform takes');
answers("SELECT fetched_through > now() - interval '1 minute' FROM storesync.order_cursor WHERE store_id = $away", 't',
	'and the store is fetched through to now');

# Behind the cursor: nobody meets it but the second look.
answers(booked($late), 'INTIME', 'the other store has what was listed in time');
place(1001, 'LATE', time - $moment);
my $polled = sql("SELECT fetched_at FROM storesync.order_cursor WHERE store_id = $late");
answers("SELECT fetched_at > '$polled'::timestamptz + interval '1 s' FROM storesync.order_cursor WHERE store_id = $late", 't', 'it is fetched on');
is(sql(booked($late)), 'INTIME', 'an order that is listed late is not met by regular fetches');
sql("UPDATE storesync.platform SET look_again = '{1 hour}' WHERE platform = 'shopee'");
answers(booked($late), 'INTIME LATE', 'the second look at its hour finds it');
answers("SELECT listed, missing, order_sns::text, age, hour = date_bin('1 hour', now() - interval '3 hours', '2000-01-01+00') "
	. "OR now() - hour < interval '5 hours' FROM storesync.order_gap", '2|1|{LATE}|01:00:00|t', 'and leaves a trace of it');
like(slurp_file($node->logfile), qr/LOG:  storesync store $late: of 2 orders of the hour from .*, 1 had not been fetched/, 'as the log does');
answers("SELECT looked_through > now() - interval '2 hours 2 minutes' FROM storesync.order_look WHERE store_id = $late", 't',
	'all hours of that age are looked at');
is(sql("SELECT count(*) FROM storesync.order_gap WHERE store_id = $late"), 1, 'in the others nothing was missing');
is(sql("SELECT min(looked_through) > now() - interval '16 days' FROM storesync.order_look WHERE store_id = $away"), 't',
	'a long absence is not looked at hour by hour');

# It goes on where it was: hours that nobody had looked at are, and one that has been is not listed again.
my ($hour_end, $looked) = split /\|/, sql(<<"SQL");
WITH hour AS (SELECT date_bin('1 hour', to_timestamp($moment), '2000-01-01+00') + interval '1 hour' AS over)
SELECT hour.over, k.looked_through FROM storesync.order_look k, hour WHERE k.store_id = $late
SQL
place(1001, 'LATER', time - $moment);
sql("UPDATE storesync.order_look SET looked_through = '$hour_end' WHERE store_id = $late");
$node->restart;
$polled = sql("SELECT clock_timestamp()");
answers("SELECT min(fetched_at) > '$polled'::timestamptz FROM storesync.order_cursor", 't', 'after a restart all stores are fetched');
answers("SELECT looked_through >= '$looked' FROM storesync.order_look WHERE store_id = $late", 't', 'the looks go on where they were');
is(sql(booked($late)), 'INTIME LATE', 'and no hour is looked at again');

# Quiet stores are fetched less often, and one that sells more often.
answers("SELECT polled_every FROM storesync.stat_store WHERE store_id = $away", '00:00:01.2', 'a quiet store is fetched at four times its interval');
place(1002, 'SOLD', 0);
answers("SELECT polled_every < '1 s' FROM storesync.stat_store WHERE store_id = $away", 't', 'an order makes it sooner');

# The past of a store, asked for by one call.
# slow enough not to be done before the next steps are
sql("UPDATE storesync.store SET rate_limit = '2/s' WHERE store_id = $old");
place(1003, "OLD$_", $_ * 86400) foreach 20 .. 79;
answers(booked($old), 'OPEN14', 'a first fetch begins 15 days ago, whenever the cut-over was; what was before is not known');
my $task = sql("SELECT storesync.backfill($old, now() - interval '90 days')");
answers("SELECT count(*) > 0 FROM storesync.task_event WHERE task_id = $task AND progress IS NOT NULL", 't', 'a backfill tells how far it is');
like(sql("SELECT state, detail FROM storesync.task_state($task)"), qr/^sent\|through .*, \d+ orders met$/, 'to people, too');
# the dispatcher's commits do not wait for the disk: what was told has to be there after the crash
sql('CHECKPOINT');
$node->stop('immediate');
$node->start;
my $through = sql("SELECT max((progress ->> 'through')::bigint) FROM storesync.task_event WHERE task_id = $task");
# what is new is not held up by the past, and a task that comes later need not wait for it
place(1003, 'NEW', 0);
place(1003, 'ASKED', 80 * 86400);
my $asked = sql("SELECT storesync.enqueue($old, 'fetch_orders', '{\"order_sn\": [\"ASKED\"]}')");
answers("SELECT state FROM storesync.task_state($asked)", 'done', 'a fetch of some orders is done meanwhile');
isnt(sql("SELECT state FROM storesync.task_state($task)"), 'done', 'before the backfill is');
sql("UPDATE storesync.store SET rate_limit = '8/s' WHERE store_id = $old");
answers("SELECT count(*) FROM storesync.sales_order WHERE store_id = $old AND order_sn = 'NEW'", 1, 'what is new is fetched');
answers("SELECT state FROM storesync.task_state($task)", 'done', 'the backfill goes on after a restart');
is(sql("SELECT count(*) FROM storesync.sales_order WHERE store_id = $old AND order_sn LIKE 'OLD%'"), 60, 'all orders are there');
is(sql("SELECT count(*) FROM storesync.task_event WHERE task_id = $task AND (progress ->> 'through')::bigint < $through "
	. "AND at > (SELECT min(at) FROM storesync.task_event WHERE (progress ->> 'through')::bigint = $through)"), 0, 'it did not begin anew');
like(sql("SELECT detail FROM storesync.task_state($task)"), qr/^6[0-9] orders met, 0 given up$/, 'it met each order about once');

# A request to return goods, of an order that is completed: its lists say nothing of it, the list of returns does.
sql("UPDATE storesync.platform SET returns_interval = '1 second' WHERE platform = 'shopee'");
sql("UPDATE storesync.store SET rate_limit = '200/s burst 20'");
$sim->order_status('NEW', $_) foreach qw(SHIPPED COMPLETED);
answers("SELECT status FROM storesync.sales_order WHERE order_sn = 'NEW'", 'completed', 'an order is sent and completed');
is(sql("SELECT count(*) FROM storesync.returns_due"), 0, 'nothing is due back');
my $moved = "SELECT sum(on_hand), sum(reserved) FROM storesync.stock";
my $stock = sql($moved);
$sim->order_status('NEW', 'TO_RETURN');
my $due = "SELECT store_id, order_sn, line_id, units, cause FROM storesync.returns_due";
answers($due, "$old|NEW|1/0|1|return requested", 'its buyer wants to return it: it is due back');
is(sql($moved), $stock, 'no stock moves for it');
is(sql("SELECT order_sn, line_id, qty, state, is_open FROM storesync.return_status"), 'NEW|1/0|1|REQUESTED|t', 'as the platform says');
$sim->order_status('NEW', 'COMPLETED');
answers("SELECT state, is_open FROM storesync.return_status", 'CANCELLED|f', 'the buyer keeps it');
is(sql($due), '', 'it is not due any more');
$sim->order_status('NEW', 'TO_RETURN');
answers($due, "$old|NEW|1/0|1|return requested", 'and is again');
sql("SELECT storesync.receive_return($old, 'NEW', '1/0', 1, storesync.new_key())");
is(sql($due), '', 'until somebody has it in his hands');
is(sql("SELECT sum(on_hand), sum(reserved) FROM storesync.stock") eq $stock, '', 'which moves stock');
answers("SELECT min(returns_through) > now() - interval '1 minute' FROM storesync.order_cursor", 't', 'all stores are asked');
is(sql("SELECT count(*) FROM storesync.return_notice"), 3, 'what is listed again leaves no row');

Storesync->sound($node);
done_testing();
