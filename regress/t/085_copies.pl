# Copies of a database that is at work: one beside it in the same cluster, a base
# backup that is started as a primary, a dump in a cluster whose transaction ids
# are lower, a logical replica that takes over, an upgraded cluster. All have the
# shops' credentials, none calls a shop until it is confirmed, and then every
# change reaches whoever reads the outbox.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($shops, $skus, $units) = (2, 10, 1000);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my %settings = ('storesync.instance_name' => 'main', 'storesync.databases' => '', 'wal_level' => 'logical', 'autovacuum' => 'off');
my $node = Storesync->cluster('source', -start => 0, -streaming => 1, %settings);
# its transaction ids are far above those of a new cluster
command_ok([ 'pg_resetwal', '-e', 3, '-D', $node->data_dir ], 'an epoch that a new cluster does not reach');
$node->start;
Storesync->create($node);
my $other = Storesync->cluster('other', -database => 0, -streaming => 1, %settings, 'storesync.instance_name' => 'other');

# set WHERE, SETTING => VALUE...
sub set
{
	my ($where, %setting) = @_;
	$where->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$setting{$_}'") foreach sort keys %setting;
	$where->reload;
	return;
}

sub ask
{
	my ($where, $database, $sql) = @_;
	return $where->safe_psql($database, $sql);
}

sub ask_until
{
	my ($where, $database, $sql, $answer, $what) = @_;
	my $got = '';
	my $done = Storesync->wait_until(sub { ($got = ask($where, $database, $sql)) eq $answer }, $what);
	diag("last answer: $got") unless $done;
	return $done;
}

# arrived: calls of the shops so far
sub arrived
{
	my $n = 0;
	$n += $_ foreach values %{ $sim->counters->{calls} };
	return $n;
}

# held WHERE, DATABASE, WHAT: its dispatcher is at work, has looked at every shop, and waits
sub held
{
	my ($where, $database, $what) = @_;
	ask_until($where, $database, "SELECT count(*) FROM storesync.stat_store WHERE waits LIKE '%instance is not confirmed%'",
		$shops, "$what: its shops wait");
	return;
}

# orders FIRST, LAST [, STATUS]: text that books an order of each number, one transaction each
sub orders
{
	my ($first, $last, $status) = @_;
	$status //= 'ready_to_ship';
	return join '', map {
		my $item = 1 + $_ % $skus;
		"SELECT storesync.ingest_order((SELECT min(store_id) FROM storesync.store), jsonb_build_object('order_sn', 'SN$_', 'status', '$status',"
		  . " 'create_time', extract(epoch FROM clock_timestamp())::bigint, 'lines', '[{\"line_id\": \"1\", \"sku\": \"S$item\", \"qty\": 1}]'::jsonb));\n"
	} $first .. $last;
}

# secrets WHERE, DATABASE: the credentials of all shops, which no dump brings
sub secrets
{
	my ($where, $database) = @_;
	my $c = $sim->catalogue;

	ask($where, $database, join ';',
		(map { "SELECT storesync.set_app_credential('shopee', '$_', '$c->{app}{$_}')" } qw(partner_id partner_key)),
		map {
			my ($shop, @token) = @$_;
			map { "SELECT storesync.set_credential(store_id, '$_', '" . shift(@token) . "') FROM storesync.store WHERE shop_id = '$shop'" }
			  qw(access_token refresh_token)
		} @{ $c->{shops} });
	return;
}

# tables of a dump, and the sum of all rows of each
my $dumped = q{SELECT string_agg(format('SELECT %L, count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM %s t', c.oid::regclass, c.oid::regclass), ' UNION ALL ')
FROM pg_extension e, unnest(e.extconfig) t JOIN pg_class c ON c.oid = t WHERE e.extname = 'storesync' AND c.relkind <> 'S'};

sub content
{
	my ($where, $database, $but) = @_;
	return join "\n", sort grep { !defined $but || !/^storesync\.(?:$but)\|/ } split /\n/, ask($where, $database, ask($where, $database, $dumped));
}

# consume WHERE, DATABASE, NAME: what a reader of the outbox finds since the last time, as docs/outbox.md says
sub consume
{
	my ($where, $database, $name) = @_;
	return ask($where, $database, <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_current_snapshot() AS now \\gset
SELECT o.kind || ' ' || o.subject || coalesce(' ' || o.version, '') FROM storesync.outbox o, storesync.consumer c
WHERE c.name = '$name' AND o.incarnation = c.incarnation
	AND o.xid >= pg_snapshot_xmin(c.snapshot) AND NOT pg_visible_in_snapshot(o.xid, c.snapshot)
ORDER BY o.kind, o.subject, o.version;
SELECT FROM storesync.consumer_move('$name', :'now');
COMMIT;
SQL
}

Storesync->load($node, $sim, rate_limit => '50/s burst 10', shown => 1);
ask($node, 'shop', "UPDATE storesync.store SET poll_interval = '300 milliseconds'; SELECT storesync.consumer_register('cache'); SELECT storesync.confirm_instance('main')");
set($node, 'storesync.databases' => 'shop');
ask($node, 'shop', orders(1, 20));
my $booked = 20;
my $books = 'SELECT count(*) FROM storesync.sales_order';
my $called = 'SELECT count(*) FROM storesync.call_log l, storesync.incarnation n WHERE n.incarnation = 2 AND l.at > n.started_at';
Storesync->converged($node, $sim, 'the source is at work');

# ---------------------------------------------------------------- in the same cluster

$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE shop');
set($node, 'storesync.databases' => 'shop, copy');
held($node, 'copy', 'a database copied within the cluster');
my $task = ask($node, 'copy', "SELECT storesync.enqueue(min(store_id), 'refresh_token', '{}') FROM storesync.store");
$sim->order(1002, [ 2, 0, 1 ]);
ask_until($node, 'shop', $books, ++$booked, 'the first one goes on');
Storesync->converged($node, $sim, 'and its shops follow it');
like(ask($node, 'copy', "SELECT detail FROM storesync.task_state($task)"), qr/^waits: this instance is not confirmed/, 'not even a token is refreshed for the copy');
is(ask($node, 'copy', $called), '0', 'it has called nobody');
is(ask($node, 'copy', $books), $booked - 1, 'and has no order of its own');
set($node, 'storesync.databases' => 'shop');
$node->safe_psql('postgres', 'DROP DATABASE copy');

# ---------------------------------------------------------------- a base backup as a primary

$node->backup('base');
my $twin = PostgreSQL::Test::Cluster->new('twin');
$twin->init_from_backup($node, 'base');
$twin->start;
held($twin, 'shop', 'a base backup that was started');
$sim->order(1001, [ 3, 0, 1 ]);
ask_until($node, 'shop', $books, ++$booked, 'the first one goes on');
Storesync->converged($node, $sim, 'and its shops follow it alone');
is(ask($twin, 'shop', $called), '0', 'the other one has called nobody');
is(ask($twin, 'shop', $books), $booked - 1, 'and has no order of its own');
$twin->stop;

# ---------------------------------------------------------------- a dump, where transaction ids are lower

set($node, 'storesync.databases' => '');
ask_until($node, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher'", '0', 'the source sells no more');
$task = ask($node, 'shop', "SELECT storesync.enqueue(store_id, 'push_stock', jsonb_build_object('listing', listing_id)) FROM storesync.listing LIMIT 1");
my $content = content($node, 'shop');
my $all = $node->backup_dir . '/all.sql';
command_ok([ 'pg_dumpall', '--no-sync', '-d', $node->connstr('postgres'), '-f', $all ], 'pg_dumpall');
my ($status, $out, $errors) = $other->psql('postgres', slurp_file($all), on_error_stop => 0);
is(join('', grep { /ERROR/ && !/role "[^"]*" already exists/ } split /^/, $errors), '', 'restored without an error but that about the superuser');
# the settings came along with nobody: ALTER SYSTEM is in no dump
is(content($other, 'shop'), $content, 'all rows are there');

my $lost = "SELECT count(*) FROM storesync.health() WHERE component = 'consumer cache' AND reason LIKE 'its cursor is of another life%'";
secrets($other, 'shop');
set($other, 'storesync.databases' => 'shop');
held($other, 'shop', 'a dump in another cluster');
my $quiet = arrived();
is(ask($other, 'shop', $lost), '1', 'the reader of the outbox has to begin anew');
ask($other, 'shop', orders(101, 120));
is(ask($other, 'shop', "SELECT count(*) FROM storesync.outbox o, storesync.consumer c WHERE c.name = 'cache' AND o.incarnation = 2 AND NOT pg_visible_in_snapshot(o.xid, c.snapshot)"),
	'0', 'to its old cursor the new rows would be old ones');
# it reads all that there is, and then what changes
ask($other, 'shop', "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_current_snapshot() AS now \\gset\nSELECT storesync.consumer_move('cache', :'now'); COMMIT");
is(ask($other, 'shop', $lost), '0', 'it has');
ask($other, 'shop', "SELECT storesync.consumer_register('olap')");
ask($other, 'shop', orders(121, 200));
$sim->order(1001 + $_ % 2, [ 1 + $_ % $skus, 0, 1 ]) foreach 1 .. 20;
my $stock = join "\n", sort split /\n/,
  ask($other, 'shop', "SELECT 'stock ' || s.sku_id || ' ' || v FROM storesync.stock s, generate_series(s.version - 7, s.version) v");
is(join("\n", sort split /\n/, consume($other, 'shop', $_)), $stock, "$_: each change of 80 orders, once") foreach qw(cache olap);
is(consume($other, 'shop', 'cache'), '', 'and no more');
is(arrived(), $quiet, 'no shop has been called');
ask($other, 'shop', "SELECT storesync.confirm_instance('other')");
$booked += 100 + 20;
ask_until($other, 'shop', $books, $booked, 'allowed to, it fetches the orders');
Storesync->converged($other, $sim, 'and tells the shops of all of them');
is(ask($other, 'shop', 'SELECT sum(reserved) FROM storesync.stock'), $booked, 'each booked once');
ask_until($other, 'shop', "SELECT state FROM storesync.task_state($task)", 'done', 'the task that came along');
is(ask($other, 'shop', "SELECT count(*) FROM storesync.task_event WHERE task_id = $task AND storesync.task_is_closed(state)"), '1', 'is done once');
# one of a SKU for each page of orders
my $newest = ask($other, 'shop', "SELECT 'stock ' || sku_id || ' ' || version FROM storesync.stock");
foreach my $consumer (qw(cache olap))
{
	my %seen = map { $_ => 1 } split /\n/, consume($other, 'shop', $consumer);
	is(join(', ', grep { !$seen{$_} } split /\n/, $newest), '', "$consumer: the changes of those orders");
}

# ---------------------------------------------------------------- a logical replica that takes over

$node->safe_psql('postgres', 'CREATE DATABASE replica');
my $schema = $node->backup_dir . '/schema.sql';
command_ok([ 'pg_dump', '--no-sync', '-s', '-d', $other->connstr('shop'), '-f', $schema ], 'the schema, with its partitions');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('replica'), '-f', $schema ], 'is made in the other cluster');
ask($other, 'shop', ask($other, 'shop', q{SELECT 'CREATE PUBLICATION move FOR TABLE ' || string_agg(t::regclass::text, ', ')
	FROM pg_extension e, unnest(e.extconfig) t JOIN pg_class c ON c.oid = t WHERE e.extname = 'storesync' AND c.relkind <> 'S'}));
ask($other, 'shop', orders(301, 310));
is(ask($other, 'shop', orders(301, 301, 'cancelled') =~ s/SELECT (.*);/SELECT (s).outcome FROM $1 s;/r), 'applied', 'a database that is published goes on booking');
my $from = $other->connstr('shop') =~ s/'/''/gr;
ask($node, 'replica', "CREATE SUBSCRIPTION move CONNECTION '$from' PUBLICATION move");
ask_until($node, 'replica', "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')", '0', 'the first copy of all tables');
set($node, 'storesync.databases' => 'replica');
held($node, 'replica', 'a logical replica');
ask($other, 'shop', orders(311, 320) . orders(302, 302, 'cancelled'));
# a partition that is made meanwhile
ask($other, 'shop', "SELECT storesync.ensure_partitions('20 days'); INSERT INTO storesync.outbox (at, subject, kind) VALUES (now() + interval '19 days', 1, 'stock')");
ask($node, 'replica', "SELECT storesync.ensure_partitions('20 days')");
ask($node, 'replica', 'ALTER SUBSCRIPTION move REFRESH PUBLICATION');
ask_until($node, 'replica', "SELECT count(*) FROM storesync.outbox WHERE at > now() + interval '18 days'", '1', 'rows of a new partition');
# one by one, and whoever drops a subscription would meet those that are still copied
ask_until($node, 'replica', "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')", '0', 'the first copy of all new partitions');
$sim->order(1001, [ 3, 0, 2 ]);
$booked += 20 + 1;
ask_until($other, 'shop', $books, $booked, 'the published database goes on selling');
Storesync->converged($other, $sim, 'and so do its shops');
set($other, 'storesync.databases' => '');
ask_until($other, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher'", '0', 'until the replica is to take over');
# what the dispatcher there would do by itself, and none at the source does any more: sales to fold, a reservation that is over
ask($other, 'shop', orders(331, 335));
ask($other, 'shop', "SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => 'over', expires => '1 microsecond')");
$booked += 5;
$other->wait_for_catchup('move');
set($node, 'storesync.databases' => '');
ask_until($node, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher'", '0', 'its own dispatcher');
set($node, 'storesync.databases' => 'replica');
held($node, 'replica', 'the replica, started again');
$other->wait_for_catchup('move');
my $own = 'consumer|incarnation';
is(content($node, 'replica', $own), content($other, 'shop', $own), 'then all rows are there, as the source has them');
is(ask($node, 'replica', "SELECT count(*) FROM storesync.reservation WHERE reference = 'over'"), '1', 'and nothing was done there that the source did not do');
ask($node, 'replica', 'DROP SUBSCRIPTION move');
ask($node, 'replica', ask($other, 'shop', q{SELECT string_agg(format('SELECT setval(''%I.%I'', %s);', schemaname, sequencename, last_value), ' ')
	FROM pg_sequences WHERE schemaname = 'storesync' AND last_value IS NOT NULL}));
$quiet = arrived();
secrets($node, 'replica');
ask($node, 'replica', orders(321, 325));
held($node, 'replica', 'the replica alone');
is(arrived(), $quiet, 'no shop has been called');
ask($node, 'replica', "SELECT storesync.confirm_instance('main')");
$sim->order(1002, [ 4, 0, 2 ]);
$booked += 5 + 1;
ask_until($node, 'replica', $books, $booked, 'the replica sells');
ask_until($node, 'replica', "SELECT count(*) FROM storesync.reservation WHERE reference = 'over'", '0', 'now it releases what is over');
like(ask($node, 'replica', "SELECT storesync.add_sku('NEW')"), qr/^\d+$/, 'its numbers go on');
ok(Storesync->wait_until(sub { Storesync->differing($node, $sim, 'replica') eq '' }, 'its shops'), 'its shops show what it wants');
is(ask($node, 'replica', 'SELECT sum(reserved) FROM storesync.stock'), $booked - 2 + 1 + 1, 'each order booked once: two were cancelled, two are of two units');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
Storesync->sound($node, 'replica');
Storesync->sound($other);

# ---------------------------------------------------------------- an upgraded cluster

$content = content($other, 'shop');
$other->stop;
$node->stop;
my $new = Storesync->cluster('upgraded', -start => 0, %settings, 'storesync.instance_name' => 'other');
my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $bin = $new->config_data('--bindir');
# it leaves a script where it was called
command_ok([ 'sh', '-c', "cd $directory && exec \"\$@\"", 'sh', 'pg_upgrade', '--no-sync', '-b', $bin, '-B', $bin, '-d', $other->data_dir, '-D', $new->data_dir,
	'-s', $directory, '-p', $other->port, '-P', $new->port ], 'pg_upgrade');
$new->start;
is(content($new, 'shop'), $content, 'all rows are there');
$quiet = arrived();
set($new, 'storesync.databases' => 'shop');
held($new, 'shop', 'an upgraded cluster');
is(arrived(), $quiet, 'it calls nobody');
is(ask($new, 'shop', 'SELECT storesync.current_incarnation(), (SELECT count(*) FROM storesync.credential)'), '3|4', 'in another life, with its credentials');
Storesync->sound($new);

$new->stop;
done_testing();
