# What reports read, on a streaming standby and by a role that may read: every view and function of
# storesync_report says there what it says on the primary once the standby has caught up.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

# No worker: what is shown changes by what this test does alone.
my $node = Storesync->cluster('primary', -streaming => 1, 'storesync.databases' => undef);

sub sql { return $node->safe_psql('shop', $_[0]); }

# A history: shops in two time zones, orders of 40 days with late, changed, cancelled, short and parked ones,
# a bundle, stock that never moves, calls, writes, visits, roll-ups of months that are over.
sql(<<'SQL');
SELECT storesync.ensure_partitions();
SELECT storesync.add_store((ARRAY['shopee', 'ruten', 'pchome'])[n], n::text, '商店 ' || n) FROM generate_series(1, 3) n;
UPDATE storesync.store SET mode = 'live';
UPDATE storesync.store SET timezone = 'Europe/Berlin' WHERE platform = 'pchome';
SELECT storesync.add_sku('S' || n, '商品 ' || n) FROM generate_series(1, 41) n;
UPDATE storesync.sku SET created_at = now() - interval '200 days';
SELECT storesync.set_bundle('S40', '{"S1": 1, "S2": 2}');
SELECT storesync.add_listing(s.store_id, 'S' || n, n::text) FROM storesync.store s, generate_series(1, 40) n WHERE n % 5 <> s.store_id;
SELECT storesync.receive('S' || n, 20 + n, storesync.derive_key(now(), 'in', n::text)) FROM generate_series(1, 41) n WHERE n <> 40;
DO $$
BEGIN
	FOR n IN 1 .. 300 LOOP
		PERFORM storesync.ingest_order(1 + n % 3, jsonb_build_object('order_sn', 'O' || n, 'create_time', at, 'update_time', at + interval '1 hour' * (n % 4),
			'status', (ARRAY['ready_to_ship', 'shipped', 'completed', 'cancelled', 'unpaid'])[1 + n % 5], 'currency', CASE n % 3 WHEN 2 THEN 'EUR' ELSE 'TWD' END, 'lines', jsonb_build_array(
			jsonb_build_object('line_id', '1', 'item_id', (1 + n * 7 % 41)::text, 'qty', 1 + n % 3, 'unit_price', n % 17 + 0.5),
			jsonb_build_object('line_id', '2', 'sku', 'S' || (1 + n % 11), 'qty', 1, 'cancelled_qty', CASE WHEN n % 6 = 0 THEN 1 ELSE 0 END))))
		FROM (SELECT now() - interval '1 day' * (n % 40) - interval '37 minutes' * n AS at) x;
	END LOOP;
	FOR n IN 1 .. 100 LOOP
		PERFORM storesync.ingest_order(1 + n % 3, jsonb_build_object('order_sn', 'O' || n, 'create_time', at, 'update_time', at + interval '5 hours',
			'status', (ARRAY['shipped', 'cancelled', 'completed'])[1 + n % 3], 'lines', jsonb_build_array(
			jsonb_build_object('line_id', '1', 'item_id', (1 + n * 7 % 41)::text, 'qty', 2))))
		FROM (SELECT now() - interval '1 day' * (n % 40) - interval '37 minutes' * n AS at) x;
	END LOOP;
END
$$;
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
SELECT listing_id, listing_id % 30, 1, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour' FROM storesync.listing WHERE listing_id % 3 > 0;
INSERT INTO storesync.call_log (at, store_id, call, class, items, total_us)
SELECT now(), 1 + n % 3, 'push_stock', (enum_range(NULL::storesync.outcome_class))[1 + n % 8], 1, n FROM generate_series(1, 500) n;
INSERT INTO storesync.push (at, listing_id, store_id, qty, version, changed_at, sent_at, class)
SELECT now(), n, 1 + n % 3, 1, 1, now() - n * interval '17 ms', now(), 'ok' FROM generate_series(1, 300) n;
INSERT INTO storesync.sales_day SELECT s, d, n % 90, n % 70, n * 1000, n % 5, n % 7, n % 3
FROM generate_series(1, 3) s, generate_series(0, 59) n, LATERAL (SELECT date '2024-02-01' + n AS d) d;
INSERT INTO storesync.sales_hour SELECT s, timestamptz '2024-02-01 00:00+08' + n * interval '1 hour', n % 9, n % 13, n * 100 FROM generate_series(1, 3) s, generate_series(0, 99) n;
SELECT storesync.ingest_visits(s, date '2024-02-01' + n, n * 37) FROM generate_series(1, 3) s, generate_series(0, 65, 3) n;
INSERT INTO storesync.sku_block
SELECT k.sku_id / 32, m, storesync.sku_sums(k.sku_id, k.sku_id * 3, 0, 0, k.sku_id * 1000000, k.sku_id % 3 * 100000, k.sku_id % 4 * 20, k.sku_id * 3, k.sku_id % 3, k.sku_id % 3,
	(m + interval '1 month')::timestamp AT TIME ZONE 'Asia/Taipei')
FROM storesync.sku k, unnest(ARRAY['2024-01-01', '2024-02-01', '2024-03-01']::date[]) m GROUP BY 1, 2;
INSERT INTO storesync.delay_day SELECT p, date '2024-02-01' + d, s, storesync.delay_histogram(x * d * 37)
FROM unnest(ARRAY['shopee', 'ruten', 'pchome']) p, generate_series(1, 30) d, unnest(ARRAY['booked', 'pushed']) s, generate_series(1, 50) x GROUP BY p, d, s;
CREATE ROLE clerk LOGIN;
SELECT storesync.grant_role('clerk', 'reporter');
SQL

$node->backup('copy');
my $replica = PostgreSQL::Test::Cluster->new('replica');
$replica->init_from_backup($node, 'copy', has_streaming => 1);
$replica->append_conf('postgresql.conf', 'hot_standby_feedback = off');
$replica->start;

# What there is to ask, with arguments where a function wants them.
my %argument = (
	'forecast' => ['0.3', '0.9'],
	'sales_sku' => ['current_date - 20, current_date - 10'],
	'turnover' => ["'2024-02-01', '2024-03-31'", "'2024-02-01', '2024-03-31', 1"],
	'sku_totals' => ["'2024-02-01', '2024-03-01', NULL"],
	map { $_ => ["'2024-02-01', '2024-03-31'"] } qw(delay sell_through));
my @asked = split /\n/, sql(q(SELECT relname FROM pg_class WHERE relnamespace = 'storesync_report'::regnamespace AND relkind = 'v' ORDER BY 1));
foreach my $function (split /\n/, sql(q(SELECT proname FROM pg_proc WHERE pronamespace = 'storesync_report'::regnamespace ORDER BY 1)))
{
	ok($argument{$function}, "$function(): this test knows what to call it with");
	push @asked, map { "$function($_)" } @{ $argument{$function} // [] };
}
cmp_ok(scalar @asked, '>=', 20, 'there is something to ask');

# answers NODE, COLUMN...: what each says to the reporter, one JSON line a row without these columns
sub answers
{
	my ($where, @without) = @_;
	my $without = join ',', @without;
	my ($status, $out, $err) = $where->psql('shop', join('', map {
		"SELECT '== $_';\n" =~ s/'(?===|;)/\$\$/gr . "SELECT (to_jsonb(x) - '{$without}'::text[])::text FROM storesync_report.$_ x ORDER BY 1;\n" } @asked),
		extra_params => [ '-U', 'clerk', '-v', 'ON_ERROR_STOP=1' ]);

	is("$status $err", '0 ', 'all is answered to the reporter on the ' . $where->name);
	my %answer;
	my $of;
	foreach my $line (split /\n/, $out)
	{
		if ($line =~ /^== (.*)$/) { $of = $1; $answer{$of} = ''; next; }
		$answer{$of} .= "$line\n";
	}
	return \%answer;
}

sub caught_up { return $node->wait_for_catchup($replica, 'replay', $node->lsn('insert')); }

# days: which day it is where shops are, and where we are
sub days { return sql(q(SELECT concat_ws(' ', current_date, (now() AT TIME ZONE 'Asia/Taipei')::date, (now() AT TIME ZONE 'Europe/Berlin')::date))); }

# all WHAT, COLUMN...: what the standby says is what the primary says, but for columns in which time goes on while we ask
sub all
{
	my ($what, @without) = @_;
	my ($there, $here, $days);

	caught_up();
	# both are asked on the same day, which some answers go by
	do
	{
		$days = days();
		$there = answers($replica, 'age', @without);
		$here = answers($node, 'age', @without);
	} while (days() ne $days);
	foreach my $asked (@asked)
	{
		is($there->{$asked}, $here->{$asked}, "$what: $asked");
	}
	return $here;
}

my $first = all('standby');
# sell_through without dates is about these months
is(join(' ', grep { $first->{$_} eq '' } @asked), 'sell_through', 'all others have something to say');
is($replica->safe_psql('shop', 'SELECT pg_is_in_recovery()'), 't', 'on a standby');

# What happens on the primary is seen there.
sql(<<'SQL');
SELECT storesync.ingest_order(1, jsonb_build_object('order_sn', 'LATE', 'create_time', now() - interval '35 days', 'status', 'ready_to_ship',
	'lines', '[{"line_id": "1", "sku": "S39", "qty": 1000, "unit_price": 3}]'::jsonb));
UPDATE storesync.sales_day SET orders = orders + 1 WHERE day = '2024-02-10';
SQL
my $second = all('after a late order');
foreach my $moved (qw(sales_day sales_platform_day conversion_day cancellation_day sales_sku_day short_order oversold))
{
	isnt($second->{$moved}, $first->{$moved}, "$moved has it");
}

# And so are roll-ups that are made of orders, in place of those that were written by hand.
sql("DELETE FROM storesync.$_") foreach qw(sales_day sales_hour sku_block delay_day visit_day);
sql('CALL storesync.roll_up()');
my $third = all('rolled up', qw(seconds days_of_supply));
isnt($third->{$_}, '', "$_ is made of orders") foreach qw(sales_day sales_hour sales_platform_day cancellation_day conversion_day delay_day turnover_month);

# The reporter reads, and changes nothing.
foreach my $refused ('UPDATE storesync.sales_day SET orders = 0', 'SELECT storesync.ingest_visits(1, current_date, 1)',
	'SELECT * FROM storesync.credential', 'DELETE FROM storesync_report.sales_day')
{
	my ($status, $out, $err) = $node->psql('shop', $refused, extra_params => [ '-U', 'clerk' ]);
	like($err, qr/permission denied|cannot delete from view/, "refused to the reporter: $refused");
}
Storesync->sound($node);

done_testing();
