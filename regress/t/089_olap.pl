# ClickHouse has what the tables say: what was there before, what changes, and after whatever befalls it, the
# worker or the server; callers of the database notice nothing of that. Copies keep away from it, and a
# recovery to an earlier moment takes back there what was lost here.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::ClickHouse;
use Test::More;
use Time::HiRes qw(time);

my $house = Storesync::ClickHouse->start(database => 'shop', password => 'hush-4711');
plan skip_all => 'no clickhouse-server (package clickhouse-server)' unless $house;

my $secrets = PostgreSQL::Test::Utils::tempdir;
append_to_file("$secrets/clickhouse", "storesync hush-4711\n");
my $node = Storesync->cluster('main', 'storesync.secret_directory' => $secrets, 'storesync.clickhouse_password_file' => 'clickhouse', max_prepared_transactions => 5);

sub sql { return $node->safe_psql('shop', $_[0]); }

# The tables, what tells their rows from each other, and the columns that stay here.
my @tables = (
	[ 'sales_order', 'order_id' ], [ 'sales_order_line', 'order_id, line_id' ],
	[ 'ledger', 'sku_id, location_id, number' ], [ 'call_log', 'utc_day, row' ]);
my %view = (call_log => 'call');

# differences: tables of which ClickHouse has something else than the views say
sub differences
{
	my @wrong;

	foreach my $table (@tables)
	{
		my ($name, $key) = @$table;
		my $columns = join ', ', grep { !/^(deleted|version)$/ } split /\n/,
		  $house->ask("SELECT name FROM system.columns WHERE database = 'shop' AND table = '$name'");
		my $view = 'storesync.olap_' . ($view{$name} // $name);
		my %count;
		my %plain = (t => "\t", '\\' => '\\');
		$count{$_}++ foreach map { s/\\(.)/$plain{$1}/gr } split /\n/,
		  $house->ask("SELECT $columns FROM $name FINAL WHERE deleted = 0 ORDER BY $key");
		$count{$_}-- foreach split /\n/, sql("\\pset fieldsep '\t'\nSELECT $columns FROM $view ORDER BY $key");
		push @wrong, map { "$name: $_ (" . ($count{$_} > 0 ? 'there' : 'here') . ')' } grep { $count{$_} } sort keys %count;
	}
	return @wrong;
}

sub same
{
	my ($what) = @_;
	my @last;
	my $same = Storesync->wait_until(sub { @last = eval { differences() }; return !$@ && !@last; }, $what);

	lap($what);
	ok($same, $what) or diag(join "\n", scalar(@last) . ' differences', @last[ 0 .. ($#last < 5 ? $#last : 5) ], $@ // '',
		sql('SELECT * FROM storesync.stat_olap'));
	return;
}

# follow URL: the worker is there, or none is
sub follow
{
	my ($url) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.clickhouse_url = '$url'");
	$node->reload;
	return Storesync->query_until($node, 'SELECT pid IS NOT NULL FROM storesync.stat_olap', $url eq '' ? 'f' : 't', 'the worker comes or goes');
}

sub state_until { return Storesync->query_until($node, 'SELECT state FROM storesync.stat_olap', $_[0], "state $_[0]"); }

# book FROM, TO [, STATUS, LATER]: orders of these numbers, over two months, in pages; documents are LATER seconds newer
sub book
{
	my ($from, $to, $status, $later) = @_;
	$status //= 'ready_to_ship';
	$later //= 0;
	return sql(<<"SQL");
SELECT count(*) FROM generate_series($from, $to, 200) AS page (first)
CROSS JOIN LATERAL storesync.ingest_orders(1 + (page.first / 200 % 2)::int, (
	SELECT jsonb_agg(jsonb_build_object('order_sn', concat('N', n), 'status', CASE n % 11 WHEN 0 THEN 'cancelled' WHEN 1 THEN 'unpaid' ELSE '$status' END,
		'create_time', extract(epoch FROM date_trunc('hour', now()))::bigint - n * 977 % 5000000,
		'update_time', extract(epoch FROM date_trunc('hour', now()))::bigint + $later,
		'currency', 'TWD', 'lines', jsonb_build_array(
			jsonb_build_object('line_id', '1', 'item_id', (1 + n % 40)::text, 'qty', 1 + n % 3, 'unit_price', 100 + n % 700 + 0.5),
			jsonb_build_object('line_id', E'\\t\\\\2', 'item_id', (1 + n % 7)::text, 'qty', 2, 'cancelled_qty', n % 2, 'unit_price', 19.99))))
	FROM generate_series(page.first, least(page.first + 199, $to)) AS n)) r
SQL
}

my $t0 = time; sub lap { note(sprintf "%s at %.1f s", $_[0], time - $t0); return; }
my $orders = 3000;

# steady WHAT: orders are booked as always while ClickHouse is in trouble
sub steady
{
	my ($what) = @_;
	my @ms = sort { $a <=> $b } map {
		$orders++;
		my $began = time;
		is(book($orders, $orders), '1', "$what: an order is booked") if $_ == 1;
		book($orders, $orders) if $_ > 1;
		1000 * (time - $began)
	} 1 .. 20;

	# a call is given 15 s, and nobody waits for it; most of this is psql's start
	cmp_ok($ms[-2], '<', 3000, "$what: nobody waits for it");
	note(sprintf '%s: median %d ms, longest %d ms', $what, @ms[ 10, -1 ]);
	return;
}

sql(<<'SQL');
UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9';
SELECT storesync.add_store('shopee', '1001', '蝦皮一店', '5/s'), storesync.add_store('ruten', '1002', 'two', '5/s');
UPDATE storesync.store SET mode = 'shadow', poll_interval = '1 hour', timezone = CASE store_id WHEN 2 THEN 'America/New_York' ELSE timezone END;
SELECT storesync.add_sku('S' || n, 'name ' || n), storesync.receive('S' || n, 100000, storesync.new_key()) FROM generate_series(1, 41) n;
SELECT storesync.add_listing(s, 'S' || n, n::text) FROM generate_series(1, 41) n, generate_series(1, 2) s;
SELECT storesync.ingest_visits(s, current_date - d, 1000 * s + d) FROM generate_series(1, 2) s, generate_series(0, 20) d;
SELECT storesync.ensure_partitions();
INSERT INTO storesync.call_log SELECT now() - n * interval '1 ms', 1 + n % 2, 'list_orders', 'ok', 1, 200, 0, n FROM generate_series(1, 5000) n;
SQL
book(1, $orders);
lap("booking");
book(1, 1500, 'shipped', 60);

# ---------------------------------------------------------------- what was there before, and what changes
is(sql(q{SELECT pid IS NULL FROM storesync.stat_olap}), 't', 'no worker without the setting');
follow($house->url);
state_until('following');
same('what was there before is there');
lap("more");
sql(q{INSERT INTO storesync.call_log SELECT clock_timestamp(), 1, 'push_stock', 'throttled', 1, 429, 0, n FROM generate_series(1, 100) n});
book(1, 800, 'completed', 120);
same('what has changed is there');
is(sql(q{SELECT state FROM storesync.health() WHERE component = 'olap'}), 'ok', 'health() says that all is well');
ok(Storesync->query_until($node, q{SELECT count(*) FROM storesync.stat_outbox WHERE consumer = 'olap' AND lag_rows = 0}, '1', 'no lag'),
	'and the consumer is not behind');

# Rows that move where others lay before are others: here 300 that were rolled back leave room.
sql(q{BEGIN; INSERT INTO storesync.order_history SELECT h.order_id, clock_timestamp(), h.update_time, h.fetched_at, h.status, h.outcome, h.lines
	FROM storesync.order_history h ORDER BY h.recorded_at DESC LIMIT 300; ROLLBACK});
book(801, 1100, 'completed', 120);
same('what has changed behind a transaction that was rolled back is there');
sql('VACUUM FULL ' . sql('SELECT h.tableoid::regclass FROM storesync.order_history h ORDER BY h.recorded_at DESC LIMIT 1'));
book(1101, 1400, 'completed', 120);
same('and behind VACUUM FULL');

# ---------------------------------------------------------------- questions
# The same here, in plain SQL: what an order counts for is the roll-ups' rule, the stock is summed from row to row.
my ($now_ms) = sql('SELECT (extract(epoch FROM now()) * 1000)::bigint');
my $from_ms = $now_ms - 40 * 86400000;
my %value = (FROM_MS => $from_ms, UNTIL_MS => $now_ms);
($value{FROM}, $value{UNTIL}, $value{DAY}) = split /\|/, sql('SELECT current_date - 30, current_date + 1, current_date - 2');
my %here = (
	sales_day => 'SELECT x.store_id, x.day, sum(x.orders), sum(x.units), sum(x.amount) FROM sale x'
	  . " WHERE x.day BETWEEN '$value{FROM}' AND '$value{UNTIL}' GROUP BY 1, 2 HAVING sum(x.orders) > 0 ORDER BY 1, 2",
	sales_hour => 'SELECT x.store_id, x.hour, sum(x.orders), sum(x.units), sum(x.amount) FROM sale x'
	  . " WHERE x.day = '$value{DAY}' GROUP BY 1, 2 HAVING sum(x.orders) > 0 ORDER BY 1, 2",
	delay => q{SELECT d.platform, count(*), (array_agg(d.ms ORDER BY d.ms))[floor(0.5 * count(*)) + 1],
	(array_agg(d.ms ORDER BY d.ms))[floor(0.95 * count(*)) + 1], (array_agg(d.ms ORDER BY d.ms))[floor(0.99 * count(*)) + 1]
FROM (SELECT s.platform, greatest(floor(extract(epoch FROM o.recorded_at) * 1000) - floor(extract(epoch FROM o.create_time) * 1000), 0)::bigint AS ms
	FROM storesync.sales_order o JOIN storesync.store s USING (store_id)
	WHERE o.stock_effect AND extract(epoch FROM o.create_time) * 1000 >= :from AND extract(epoch FROM o.create_time) * 1000 < :until) d
GROUP BY 1 ORDER BY 1},
	turnover => q{SELECT t.sku_id, t.sold, (SELECT sum(g.on_hand * (g.next_ms - g.ms)) FROM (
		SELECT l.on_hand, greatest(x.ms, :from) AS ms,
			greatest(coalesce(lead(x.ms) OVER (PARTITION BY l.location_id ORDER BY l.version), :until), :from) AS next_ms
		FROM storesync.ledger l CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM l.recorded_at) * 1000)::bigint) x(ms)
		WHERE l.sku_id = t.sku_id AND x.ms < :until) g)
FROM (SELECT l.sku_id, sum(l.sold) AS sold FROM storesync.line_sale l JOIN storesync.sales_order o USING (order_id)
	WHERE l.sku_id IS NOT NULL AND extract(epoch FROM o.create_time) * 1000 >= :from AND extract(epoch FROM o.create_time) * 1000 < :until
	GROUP BY 1 HAVING sum(l.sold) > 0 ORDER BY 2 DESC, 1 LIMIT 100) t ORDER BY 2 DESC, 1},
	conversion => 'SELECT v.store_id, coalesce(sum(d.orders), 0), sum(v.visits) FROM storesync.visit_day v'
	  . ' LEFT JOIN (SELECT x.store_id, x.day, sum(x.orders) AS orders FROM sale x GROUP BY 1, 2) d USING (store_id, day)'
	  . " WHERE v.day BETWEEN '$value{FROM}' AND '$value{UNTIL}' GROUP BY 1 ORDER BY 1");
my $sale = q{WITH sale AS (SELECT o.*, (o.create_time AT TIME ZONE s.timezone)::date AS day,
	extract(epoch FROM date_trunc('hour', o.create_time, s.timezone))::bigint AS hour
	FROM storesync.order_sale o JOIN storesync.store s USING (store_id)) };
my %question = slurp_file('deploy/clickhouse/questions.sql') =~ /^-- (\w+): .*?\n((?:SELECT).*?);$/gms;

is(join(' ', sort keys %question), join(' ', sort keys %here), 'five questions');
foreach my $name (sort keys %question)
{
	my $there = $house->ask($question{$name} =~ s/\@(\w+)\@/$value{$1}/gr);
	my $plain = sql("\\set from $from_ms\n\\set until $now_ms\n\\pset fieldsep '\t'\n" . ($here{$name} =~ /\bsale x\b/ ? $sale : '') . $here{$name});
	cmp_ok(length $plain, '>', 10, "$name: there is an answer");
	is($there, $plain, "$name: ClickHouse has the same");
}

# a period as CSV
my $folder = PostgreSQL::Test::Utils::tempdir;
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('shop'), '-v', "since=$value{FROM}", '-v', "until=$value{UNTIL}", '-v', "folder=$folder", '-f', 'deploy/export.sql' ],
	'a period is exported');
my @exported = split /\n/, slurp_file("$folder/sales_order_line.csv");
like($exported[0], qr/^order_id,line_id,.*amount/, 'with a heading');
is(scalar @exported - 1, sql("SELECT count(*) FROM storesync.olap_sales_order_line WHERE day BETWEEN '$value{FROM}' AND '$value{UNTIL}'"), 'and all its rows');

# ---------------------------------------------------------------- what becomes visible late
sql(q{BEGIN;
SELECT storesync.ingest_order(1, jsonb_build_object('order_sn', 'LATE', 'status', 'ready_to_ship', 'create_time', now(),
	'lines', '[{"line_id": "1", "item_id": "41", "qty": 1, "unit_price": 5}]'::jsonb));
PREPARE TRANSACTION 'late'});
book(3001, 3010);
$orders = 3020;
same('what others do meanwhile is there');
sql(q{COMMIT PREPARED 'late'});
book(3011, 3020);
same('a transaction that commits late is not missed');

# ---------------------------------------------------------------- trouble
$house->command("DROP TABLE $_->[0]") foreach @tables;
$house->stop('TERM');
steady('gone');
state_until('away');
is(sql("SELECT state FROM storesync.health() WHERE component = 'olap'"), 'degraded', 'health() says so');
$house->again;
$house->create;
same('back again, without what it had, it has everything');

$house->signal('STOP');
book(1, 400, 'completed', 180);
steady('stands still');
$house->signal('CONT');
same('it goes on');

# in the midst of what it is given
book(401, 1200, 'completed', 180);
$house->stop;
$house->again;
same('killed in mid-batch, it has everything');

my $worker = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'storesync OLAP worker');
book(1201, 1800, 'completed', 180);
my $former = sql($worker);
kill 'KILL', $former;
# sessions are refused while the server begins anew, some in mid-sentence
Storesync->wait_until(sub { (eval { ($node->psql('shop', "$worker AND pid <> $former"))[1] } // '') =~ /^\d+$/ }, 'another worker');
same('the worker killed, another goes on');

book(1801, 2400, 'completed', 180);
ok(Storesync->kill_postmaster($node), 'the postmaster is killed');
book(3100, 3200);
$orders = 3200;
same('and so does one after a crash of the server');

# ---------------------------------------------------------------- who was away for long, and who lost all
follow('');
book(2401, 3000, 'completed', 180);
sql(q{UPDATE storesync.olap_state SET through = through - interval '3 hours'; UPDATE storesync.consumer SET moved_at = moved_at - interval '7 hours' WHERE name = 'olap'});
is(sql(q{SELECT waited FROM storesync.stat_outbox WHERE consumer = 'olap'}), 'f', 'nobody waits for who is away for hours');
follow($house->url);
same('what lies between is filled in');
state_until('following');
$house->command("DROP TABLE $_->[0]") foreach @tables;
$house->create;
sql('SELECT storesync.olap_fill()');
same('everything is written again when it is asked for');
state_until('following');

# ---------------------------------------------------------------- recovery to an earlier moment
# ClickHouse has a future that the database never had: the versions of what it was told since are above `sent`
follow('');
my ($life, $sent) = split /\|/, sql('SELECT life, sent + 1000 FROM storesync.olap_state');
$house->command("INSERT INTO sales_order (order_id, store_id, order_sn, status, version) VALUES (900001, 1, 'LOST', 'shipped', $sent)");
$house->command("INSERT INTO sales_order_line (order_id, line_id, qty, sold, version) VALUES (900001, '1', 7, 7, $sent), (5, 'LOST', 1, 1, $sent)");
$house->command("INSERT INTO sales_order (order_id, store_id, order_sn, status, version) VALUES (7, 1, 'changed then', 'returned', $sent)");
$house->command("INSERT INTO ledger (sku_id, location_id, number, on_hand_delta, recorded_ms, version) VALUES"
  . " (1, 1, 900000, -5, toUInt64(now() - 3600) * 1000, $sent), (2, 1, 3, -5, toUInt64(now()) * 1000, $sent)");
$house->command("INSERT INTO call_log (utc_day, row, at_ms, version) VALUES (today(), 99999999, toUInt64(now()) * 1000, $sent)");
is(scalar(my @lost = differences()) > 5, 1, 'ClickHouse is ahead');
sql('UPDATE storesync.olap_state SET incarnation = incarnation - 1');
follow($house->url);
same('what was lost here is taken back there');
state_until('following');
is(sql('SELECT life, cut IS NULL FROM storesync.olap_state'), ($life + 1) . '|t', 'in another life, and all is settled');

# ---------------------------------------------------------------- copies, and databases that go
$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO shop_then');
$node->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE shop_then');
Storesync->query_until($node, 'SELECT state FROM storesync.stat_olap', 'unconfirmed', 'a copy waits');
my $before = $house->ask('SELECT max(version) FROM sales_order');
book(3201, 3210);
is($house->ask('SELECT max(version) FROM sales_order'), $before, 'and writes nothing');
$node->safe_psql('postgres', 'DROP DATABASE shop');
pass('its worker lets the database go');

unlike(slurp_file($node->logfile), qr/hush-4711/, 'the password is not in the log');
lap('end');
$house->stop;
done_testing();
