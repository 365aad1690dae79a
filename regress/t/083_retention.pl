# Months of orders and of the ledger that are older than storesync.order_retention go, by maintain() and by
# the dispatcher, while orders come. Beside it a twin that keeps everything: what both answer afterwards, and
# how stock and orders stand, is the same. The years pass by a clock that is set.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX qw(mktime);
use Storesync;
use Test::More;
use Time::HiRes qw(time);

my $dir = PostgreSQL::Test::Utils::tempdir;
my $clock = Storesync->library('clock', "$dir/clock.so", "-DCLOCK_FILE=\"$dir/ahead\"");
plan skip_all => 'no C compiler' unless $clock;

# set_clock MOMENT: seconds since 1970
sub set_clock
{
	my ($moment) = @_;
	append_to_file("$dir/new", int($moment - time));
	rename "$dir/new", "$dir/ahead" or die "could not set the clock: $!";
	return;
}

# month N: when it begins, in UTC, counted from the one in which the test began
my ($m, $y) = (gmtime)[ 4, 5 ];

sub month
{
	my ($n) = @_;
	local $ENV{TZ} = 'UTC';
	POSIX::tzset();
	return mktime(0, 0, 0, 1, $m + $n, $y);
}

my $node = Storesync->cluster('main', -start => 0, -streaming => 1, 'storesync.databases' => undef);
{
	local $ENV{LD_PRELOAD} = $clock;
	$node->start;
}
my $seed = $ENV{STORESYNC_TEST_SEED} // int rand 1_000_000;
note "STORESYNC_TEST_SEED=$seed";
srand $seed;

sub sql { return $node->safe_psql('shop', $_[0]); }

# both WHAT, SQL...: in the shop and in its twin; a test that the answers are equal
my $turn = 0;
sub both
{
	my ($what, @sql) = @_;
	my $text = join ";\n", "SET client_min_messages = error", @sql;
	my @answers = map { my ($rc, $out) = $node->psql($_, $text, on_error_stop => 0); $out } qw(shop twin);

	is($answers[0], $answers[1], $what);
	return $answers[0];
}

# ---------------------------------------------------------------- random movements

my @skus = map { "S$_" } 1 .. 8;
my $sn = 0;
my %order;

sub pick { return $_[ int rand @_ ]; }

# document SN, STATUS: as text for ingest_order
sub document
{
	my ($number, $status) = @_;
	my $order = $order{$number} //= {
		created => undef,
		lines => join(',', map { sprintf '{"line_id": "%d", "sku": "%s", "qty": %d}', $_, pick(@skus, 'SET'), 1 + int rand 4 } 1 .. 1 + int rand 3)
	};
	my $created = $order->{created} //= "extract(epoch FROM clock_timestamp())::bigint - 5";
	return "SELECT outcome FROM storesync.ingest_order(1, jsonb_build_object('order_sn', '$number', 'status', '$status',"
	  . " 'create_time', $created, 'update_time', extract(epoch FROM clock_timestamp())::bigint, 'lines', '[$order->{lines}]'::jsonb))";
}

# movements N, REFERENCES, ORDERS: random ones, as statements
sub movements
{
	my ($n, $references, $known) = @_;
	my @sql;

	foreach (1 .. $n)
	{
		my ($sku, $place, $qty, $dice) = (pick(@skus), pick('main', 'back'), 1 + int rand 5, rand);
		my $key = "storesync.derive_key(clock_timestamp(), 'm', '" . ++$turn . "')";
		my $says = 'SELECT outcome, on_hand, reserved FROM storesync';

		if ($dice < 0.5)
		{
			my $call = pick(qw(receive receive reserve reserve release ship ship restock));
			push @sql, "$says.$call('$sku', $qty, $key, '$place', '" . pick(@$references) . "')";
		}
		elsif ($dice < 0.56) { push @sql, "$says.adjust('$sku', " . int(rand 30) . ", $key, '$place')"; }
		elsif ($dice < 0.62) { push @sql, "$says.transfer('$sku', $qty, 'main', 'back', $key)"; }
		else
		{
			my $number = !@$known || rand() < 0.5 ? 'O' . ++$sn : pick(@$known);
			push @$known, $number;
			push @sql, document($number, pick(qw(unpaid ready_to_ship ready_to_ship shipped shipped completed cancelled in_cancel)));
		}
	}
	return @sql;
}

my $state = <<'SQL';
SELECT 'stock', k.code, p.code, t.on_hand, t.reserved FROM storesync.stock t JOIN storesync.sku k USING (sku_id)
	JOIN storesync.location p USING (location_id) ORDER BY 2, 3
SQL
my $holders = <<'SQL';
SELECT k.code, p.code, r.reference, r.qty FROM storesync.reservation r JOIN storesync.sku k USING (sku_id)
	JOIN storesync.location p USING (location_id) ORDER BY 1, 2, 3
SQL
my $lines = <<'SQL';
SELECT o.order_sn, l.line_id, l.state, l.reserved, l.shipped, l.restocked, l.short FROM storesync.sales_order o
JOIN storesync.sales_order_line l USING (order_id, recorded_at) ORDER BY 1, 2
SQL
my $old = "SELECT string_agg(x.parent || ' ' || x.n, ', ' ORDER BY x.parent) FROM (SELECT p.parent, count(*) AS n FROM"
  . " unnest('{ledger,sales_order_line,order_history}'::text[]) p (parent) CROSS JOIN LATERAL storesync.partition_days(p.parent) d"
  . " WHERE d.to_at < now() - interval '731 days' GROUP BY p.parent) x";

# ---------------------------------------------------------------- long ago

# Three months of which the last ended 25 months ago: older than the retention on every day, the first of a month as well.
set_clock(month(-27) - 2 * 3600);
Storesync->create($node, $_) foreach qw(shop twin);
both('a world', "SELECT storesync.add_store('shopee', '1', 'one')", "SELECT storesync.add_location('back')",
	(map { "SELECT storesync.add_sku('$_')" } @skus, 'IDLE', 'SHORT', 'SET'),
	"SELECT storesync.set_bundle('SET', '{\"S1\": 1, \"S2\": 2}')", "UPDATE storesync.store SET mode = 'off'",
	(map { "SELECT outcome FROM storesync.receive('$_', 60, storesync.derive_key(clock_timestamp(), 'a', '$_'))" } @skus, 'IDLE'),
	"SELECT outcome FROM storesync.reserve('IDLE', 4, storesync.derive_key(clock_timestamp(), 'b'), reference => 'kept')",
	"SELECT outcome FROM storesync.reserve('S1', 3, storesync.derive_key(clock_timestamp(), 'c'), reference => 'gone')",
	"SELECT outcome FROM storesync.ship('S1', 3, storesync.derive_key(clock_timestamp(), 'd'), reference => 'gone')",
	document('before', 'ready_to_ship'));

# The month turns; nobody has made partitions ahead, and no worker runs.
my $of_today = "SELECT count(*) FROM unnest('{ledger,sales_order_line,order_history}'::text[]) p, storesync.partition_days(p) d"
  . " WHERE now() >= d.from_at AND now() < d.to_at";
set_clock(month(-27) + 5);
is(sql($of_today), '0', 'a month whose partitions nobody has made');
both('is written to all the same', document('after', 'ready_to_ship'),
	"SELECT outcome FROM storesync.receive('S1', 1, storesync.derive_key(clock_timestamp(), 'e'))");
is(sql($of_today), '3', 'and they are there');

my %opened = (short => 'SHORT', reserved => 'S3', due => 'S4');
$order{$_}{lines} = "{\"line_id\": \"1\", \"sku\": \"$opened{$_}\", \"qty\": 2}" foreach keys %opened;
both('orders that stay open', (map { document($_, 'ready_to_ship') } sort keys %opened),
	"SELECT outcome FROM storesync.receive('S4', 2, storesync.derive_key(clock_timestamp(), 'f'))",
	document('due', 'shipped'));
set_clock(month(-27) + 60);
both('one of them was not collected', document('due', 'cancelled'));
my @known;
both('movements', movements(150, [qw(r s t)], \@known));
set_clock(month(-26) + 10 * 86400);
both('movements of the next month', movements(100, [qw(r s t)], \@known));
set_clock(month(-23) + 10 * 86400);
my @recent;
both('movements that are not as old', movements(60, [qw(s t u)], \@recent));
my $counted = sql('SELECT clock_timestamp()');
my $gone = sql('SELECT count(*) FROM storesync.sales_order');
set_clock(time);

# ---------------------------------------------------------------- maintain(), in the way of everybody

sql('SELECT storesync.ensure_partitions()');
my $balances = sql($state);
my $versions = sql('SELECT sum(version) FROM storesync.stock');
is(sql($old), 'ledger 3, order_history 3, sales_order_line 3', 'old months');
my $report = $node->background_psql('shop');
my $tables = sql("SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c"
	  . " WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'p')");
$report->query_safe("BEGIN; LOCK TABLE $tables IN ACCESS SHARE MODE");
my $long = $node->background_psql('shop');
$long->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $seen = $long->query_safe('SELECT count(*), sum(on_hand) FROM storesync.stock');

# Orders come all the while; each gives up rather than wait for any lock as long as 200 ms.
my $number = 0;
my $orders = $node->background_psql('shop', on_error_stop => 0);
$orders->query_safe("SET lock_timeout = '200ms'");
sub order { return $orders->query("SELECT outcome FROM storesync.ingest_order(1, jsonb_build_object('order_sn', 'N" . ++$number
	. "', 'status', 'ready_to_ship', 'create_time', now(), 'update_time', now(), 'lines', '[{\"line_id\": \"1\", \"sku\": \"NEW\", \"qty\": 1}]'::jsonb))"); }
sql("SELECT storesync.add_sku('NEW'); SELECT storesync.receive('NEW', 100000, storesync.new_key())");

# maintained WHAT: CALL maintain() in a session of its own, orders meanwhile
sub maintained
{
	my ($what) = @_;
	my $night = $node->background_psql('shop');
	my %outcome;
	# psql says that it has begun before the server hears of it
	my $busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'night' AND NOT (state = 'idle' AND query LIKE 'CALL %')";

	$night->query_safe("SET application_name = 'night'");
	$night->query_until(qr/begun/, "\\echo begun\nCALL storesync.maintain();\n");
	Storesync->wait_until(sub { $outcome{ order() }++; return sql($busy) eq '0' }, "the end of maintain(), $what");
	is(join(',', sort keys %outcome), 'applied', "orders are booked, $what");
	$night->quit;
	return Storesync->sound($node, 'shop', "no invariant is broken, $what");
}

maintained('with every table open');
is(sql($old), 'ledger 3, order_history 3, sales_order_line 3', 'nothing went under the eyes of a reader');
cmp_ok(sql("SELECT count(*) FROM storesync.sales_order WHERE order_sn !~ '^N'"), '<', $gone, 'but settled orders did');
is(sql("SELECT string_agg(DISTINCT waits_for, ',') FROM storesync.rotation() WHERE parent = 'ledger'"), 'answers of its time',
	'and the ledger waits for the answers that rest on it');
$report->query_safe('COMMIT');
$report->quit;
maintained('with an old snapshot');
is($long->query_safe('SELECT count(*), sum(on_hand) FROM storesync.stock'), $seen, 'who has one sees what he saw');
is(sql("SELECT string_agg(DISTINCT waits_for, ',') FROM storesync.rotation() WHERE parent IN ('ledger', 'sales_order_line')"),
	'a transaction that is still open', 'for he is waited for');
$long->query_safe('COMMIT');
$long->quit;
maintained('alone');
$orders->quit;
is(sql($old), '', 'all of them gone');
is(sql($state . "\n") =~ s/^stock\|NEW.*\n?//mr, $balances, 'each balance is as it was');
my $carried = sql("SELECT count(*) FROM storesync.ledger WHERE kind = 'opening'");
cmp_ok($carried, '>', 0, 'where nothing had moved since it was carried');
is(sql("SELECT sum(version) - $carried FROM storesync.stock t JOIN storesync.sku k USING (sku_id) WHERE k.code <> 'NEW'"), $versions,
	'and versions went on by one for it, and else not at all');
is(sql("SELECT count(*) FROM storesync.health() WHERE component LIKE 'maintenance%'"), '0', 'no trouble is told');
cmp_ok(sql("SELECT count(*) FROM storesync.sales_order WHERE order_sn !~ '^N'"), '<', $gone, 'settled orders are gone');
is(sql("SELECT string_agg(order_sn, ',' ORDER BY order_sn) FROM storesync.sales_order WHERE order_sn IN ('short', 'reserved', 'due')"),
	'due,reserved,short', 'open ones are there');
is(sql("SELECT count(*) FROM storesync.returns_due WHERE order_sn = 'due'"), '1', 'and what is due back');
is($node->safe_psql('twin', $lines) eq sql($lines), '', 'the twin has the settled ones, too');
both('reservations stand', $holders);

# ---------------------------------------------------------------- what is old is refused, what is open goes on

my $then = sql("SELECT extract(epoch FROM now())::bigint - 740 * 86400");
is(sql("SELECT outcome, detail ->> 'reason' FROM storesync.ingest_order(1, jsonb_build_object('order_sn', 'before', 'status', 'ready_to_ship',"
	. " 'create_time', $then, 'lines', '[{\"line_id\": \"1\", \"sku\": \"S1\", \"qty\": 1}]'::jsonb))"),
	'rejected|order is older than storesync.order_retention', 'an order that went is rejected when it comes again');
my ($rc, $out, $error) = $node->psql('shop', "SELECT storesync.balance_at('S1', now() - interval '900 days')");
like($error, qr/balance of SKU "S1" at that moment is not known/, 'a balance from before the ledger is not known');
($rc, $out, $error) = $node->psql('shop', "SELECT storesync.adjust('S1', 5, storesync.new_key(), counted_at => now() - interval '900 days')");
like($error, qr/balance at the moment of the count is not known/, 'nor can be counted by');
($rc, $out, $error) = $node->psql('shop', "SELECT storesync.restock('S1', 1, storesync.new_key(), reference => 'gone')");
like($error, qr/Reference "gone" at location "main" has 0 units/, 'what was sent then does not come back');
both('balances since are known', "SELECT storesync.balance_at('IDLE', now() - interval '100 days'), storesync.balance_at('S2', '$counted')",
	"SELECT outcome, on_hand FROM storesync.adjust('S2', 40, storesync.derive_key(now(), 'x'), counted_at => '$counted')");
both('stock that comes goes to a line that has been short for years',
	"SELECT on_hand, reserved FROM storesync.receive('SHORT', 5, storesync.derive_key(now(), 'y'))", 'SELECT storesync.available(\'SHORT\')');
both('a count takes back what an open order has reserved for years', (map { "SELECT on_hand, reserved FROM storesync.adjust('S3', 0,"
	. " storesync.derive_key(now(), 'z', '$_'), '$_')" } qw(main back)),
	"SELECT l.reserved, l.short FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = 'reserved'");
both('an old reservation is given back', "SELECT outcome, reserved FROM storesync.release('IDLE', 4, storesync.derive_key(now(), 'k'), reference => 'kept')");
both('a return settles what was due', "SELECT outcome, on_hand FROM storesync.receive_return(1, 'due', '1', 2, storesync.derive_key(now(), 'l'))");
both('movements since then', movements(80, [qw(s u v)], \@recent), $state =~ s/ORDER/WHERE k.code <> 'NEW' ORDER/r, $holders);
Storesync->sound($node, $_, "no invariant is broken, $_") foreach qw(shop twin);

# ---------------------------------------------------------------- a dump, and a report on the replica

my $dump = "$dir/shop.dump";
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('shop') ], 'a dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('restored'), $dump ], 'is restored');
is($node->safe_psql('restored', $state), sql($state), 'with its balances');
Storesync->sound($node, 'restored', 'no invariant is broken in it');

# The next month: a report on the replica reads the ledger while it goes on the primary, by the dispatcher.
$node->backup('copy');
my $replica = PostgreSQL::Test::Cluster->new('replica');
$replica->init_from_backup($node, 'copy', has_streaming => 1);
$replica->append_conf('postgresql.conf', "max_standby_streaming_delay = -1\nhot_standby_feedback = off");
$replica->start;
$node->wait_for_catchup($replica, 'replay', $node->lsn('insert'));
my $reader = $replica->background_psql('shop');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $sum = $reader->query_safe('SELECT count(*), sum(on_hand_delta) FROM storesync.ledger');

$balances = sql($state);
set_clock(month(2) + 20 * 86400);
is(sql($old), 'ledger 1, order_history 1, sales_order_line 1', 'time passes');
# the replica's clock is the true one: there it would be of no age that counts
my $by_then = sql('SELECT now()');
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
sql('SELECT storesync.ensure_partitions()');
{
	local $ENV{LD_PRELOAD} = $clock;
	# pg_ctl does not know the clock
	set_clock(time);
	$node->restart;
	set_clock(month(2) + 20 * 86400);
}
$orders = $node->background_psql('shop', on_error_stop => 0);
$orders->query_safe("SET lock_timeout = '200ms'");
my %outcome;
Storesync->wait_until(sub { $outcome{ order() }++; return sql($old) eq '' }, 'the dispatcher drops them');
is(join(',', sort keys %outcome), 'applied', 'orders are booked meanwhile');
# what is detached is dropped a moment later
ok(Storesync->query_until($node, 'SELECT count(*) FROM storesync.left_detached()', '0', 'the drop'), 'nothing is left');
is($reader->query_safe('SELECT count(*), sum(on_hand_delta) FROM storesync.ledger'), $sum, 'the report sees what it saw');
$reader->query_safe('COMMIT');
$reader->quit;
$node->wait_for_catchup($replica, 'replay', $node->lsn('insert'));
is($replica->safe_psql('shop', $old =~ s/now\(\)/timestamptz '$by_then'/r), '', 'when it ends they go there, too');
is(sql($state) =~ s/^stock\|NEW.*\n?//mr, $balances =~ s/^stock\|NEW.*\n?//mr, 'each balance is as it was');
Storesync->sound($node);

done_testing();
