# Reports on a standby, set up as deploy/postgresql says, while orders come on the primary: what they read is
# vacuumed away and a day of the outbox is dropped. Nobody cancels them and nobody on the primary waits; a
# standby whose replay has less patience cancels the same ones, and catches up.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Spec;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $deploy = File::Spec->rel2abs(dirname(__FILE__) . '/../../deploy/postgresql');
my $reports = File::Spec->rel2abs(dirname(__FILE__) . '/../../reports');

# ---------------------------------------------------------------- a primary and two standbys

my $node = Storesync->cluster('primary', -streaming => 1, -start => 0, 'storesync.databases' => '',
	'include' => "$deploy/primary.conf", 'max_slot_wal_keep_size' => '32MB');
$node->start;
Storesync->create($node);

sub sql { return $node->safe_psql('shop', $_[0]); }

# order SKU, STATUS: ingest_order() of a new number
my $number = 0;
my $order = sub {
	my ($sn, $status) = @_;
	return "SELECT outcome FROM storesync.ingest_order(1, jsonb_build_object('order_sn', $sn, 'status', '$status', 'create_time', now(),"
	  . " 'update_time', clock_timestamp(), 'lines', '[{\"line_id\": \"1\", \"sku\": \"HOT\", \"qty\": 1, \"unit_price\": 10}]'::jsonb))";
};

sql(<<"SQL");
SELECT storesync.ensure_partitions();
SELECT storesync.add_store('shopee', '1', 'one', '5/s');
UPDATE storesync.store SET mode = 'off';
SELECT storesync.add_sku('HOT', 'what everybody buys'), storesync.receive('HOT', 100000, storesync.new_key());
SELECT storesync.add_listing(1, 'HOT', '1'), storesync.add_location('back');
SELECT count((${\ $order->("'O' || n", 'ready_to_ship')})) FROM generate_series(1, 100) n;
SQL
Storesync->old_days($node);
sql("SELECT public.old_day('outbox', 3); INSERT INTO storesync.outbox (subject, kind, at) SELECT 1, 'stock', to_at - interval '1 hour'"
	  . " FROM storesync.partition_days('outbox') WHERE to_at < now() - interval '1 day'");
sql('CREATE ROLE reader LOGIN');
sql("SELECT storesync.grant_role('reader', 'reporter')");

my %standby;
sub follow
{
	my ($name, @conf) = @_;
	my $standby = $standby{$name} = PostgreSQL::Test::Cluster->new($name);

	sql("SELECT pg_create_physical_replication_slot('$name', true)");
	$standby->init_from_backup($node, 'copy', has_streaming => 1);
	$standby->append_conf('postgresql.conf', join "\n", "include '$deploy/replica.conf'", "cluster_name = '$name'",
		"primary_slot_name = '$name'", 'wal_receiver_status_interval = 1s', @conf, '');
	$standby->start;
	return $standby;
}
$node->backup('copy');
my $replica = follow('reports');
# who is idle there is put out by the replay, not by his time
my $hasty = follow('hasty', 'max_standby_streaming_delay = 2s', 'idle_in_transaction_session_timeout = 0');
# so that who promotes can see that it is taken, too
is($replica->safe_psql('shop', "SELECT string_agg(current_setting(name), ',') FROM unnest('{hot_standby_feedback,jit,storesync.databases}'::text[]) name"),
	'off,off,', 'a standby as deploy/postgresql says');

# caught_up STANDBY: waits until it has all that is committed
sub caught_up
{
	my ($standby) = @_;
	sql("SELECT FROM pg_logical_emit_message(true, 'test', 'a commit')");
	return $node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
}
caught_up($_) foreach values %standby;
my $gone = "SELECT count(*) FROM storesync.partition_days('outbox') WHERE to_at < now() - interval '1 day'";
is($_->safe_psql('shop', $gone), '1', 'an old day is there') foreach $node, $replica, $hasty;

# ---------------------------------------------------------------- reports that do not end before they are told

my $view_names = sub {
	my ($schema) = @_;
	return split /\n/, sql("SELECT format('%I.%I', '$schema', c.relname) FROM pg_class c WHERE c.relkind IN ('v', 'm')"
		. " AND c.relnamespace = '$schema'::regnamespace AND has_table_privilege('reader', c.oid, 'SELECT') ORDER BY 1");
};
my @held = map { "(SELECT count(*) FROM $_ v WHERE v IS NOT NULL OR v IS NULL)" } $view_names->('storesync_report');
# functions that answer for a period, or without one
push @held, map { "(SELECT count(*) FROM $_ v WHERE v IS NOT NULL OR v IS NULL)" } split /\n/, sql(<<'SQL');
SELECT format('%s(%s)', p.oid::regproc, CASE WHEN p.pronargs - p.pronargdefaults > 0 THEN 'current_date - 30, current_date' END)
FROM pg_proc p WHERE p.pronamespace = 'storesync_report'::regnamespace AND p.prokind = 'f' AND p.proretset
	AND (p.pronargs = p.pronargdefaults
		OR p.pronargs - p.pronargdefaults = 2 AND p.proargtypes[0] = 'date'::regtype AND p.proargtypes[1] = 'date'::regtype)
ORDER BY 1
SQL
# and the views of the other schema, in one statement
push @held, join ', ', map { "(SELECT count(*) FROM $_)" } $view_names->('storesync');
note scalar(@held), ' statements';

# reading STANDBY: starts all of them as a reporter, each with its snapshot, and with a lock that it waits for before it reads
sub reading
{
	my ($standby) = @_;
	my ($holder, @running) = ($standby->background_psql('shop'));

	$holder->query_safe('SELECT pg_advisory_lock(91)');
	foreach my $held (@held)
	{
		my %run = (out => '', err => '', what => $held);
		$run{process} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $standby->connstr('shop') . ' user=reader',
				'-c', "SELECT pg_advisory_lock_shared(91)::text, $held" ], '<', \undef, '>', \$run{out}, '2>', \$run{err});
		push @running, \%run;
	}
	Storesync->query_until($standby, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted", scalar @held, 'all wait');
	return ($holder, @running);
}

my ($holder, @running) = reading($replica);
my ($hasty_holder, @hasty_running) = reading($hasty);
my ($idle_in, $idle_out, $idle_err) = ("BEGIN; SELECT count(*) > 100 FROM storesync.outbox;\n", '', '');
my $idle = IPC::Run::start([ 'psql', '-XAtq', '-d', $hasty->connstr('shop') ], '<', \$idle_in, '>', \$idle_out, '2>', \$idle_err);
Storesync->wait_until(sub { $idle->pump_nb; return $idle_out eq "t\n" }, 'somebody has the outbox open, between two statements');

# ---------------------------------------------------------------- meanwhile, on the primary

my $script = PostgreSQL::Test::Utils::tempdir . '/orders.sql';
append_to_file($script, "\\set n random(1, 1000000000)\n" . join ";\n", $order->("'N' || :client_id || '-' || :n", 'ready_to_ship'),
	$order->("'N' || :client_id || '-' || :n", 'shipped'),
	"SELECT outcome FROM storesync.reserve('HOT', 1, storesync.new_key(), reference => 'r' || :client_id)",
	"SELECT outcome FROM storesync.release('HOT', 1, storesync.new_key(), reference => 'r' || :client_id)", '');
my ($bench_out, $bench_err) = ('', '');
my $bench = do {
	# nobody waits for a lock that long
	local $ENV{PGOPTIONS} = '-c lock_timeout=500ms';
	IPC::Run::start([ 'pgbench', '-n', '-c', 2, '-R', 60, '-t', 200, '-f', $script, $node->connstr('shop') ],
		'<', \undef, '>', \$bench_out, '2>', \$bench_err);
};
Storesync->query_until($node, "SELECT count(*) > 150 FROM storesync.sales_order", 't', 'orders come');
my $removed = $node->psql('shop', 'VACUUM (VERBOSE) storesync.holder', stderr => \my $said);
like($said, qr/tuples: [1-9]\d* removed/, 'rows that reports may still need are removed');
sql('VACUUM');
# the dispatcher drops days when it starts, and does it beside orders
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->reload;
Storesync->query_until($node, $gone, '0', 'a day of the outbox goes');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.left_detached()', '0', 'to the end');
$bench->finish;
like($bench_out, qr/number of failed transactions: 0 /, 'orders are booked all the while, and wait for nobody') or diag($bench_err);

# ---------------------------------------------------------------- one standby cancels, the other waits

Storesync->wait_until(sub { !grep { $_->{process}->pumpable && ($_->{process}->pump_nb, 1) } @hasty_running }, 'the hasty one cancels');
$_->{process}->finish foreach @hasty_running;
is(scalar(grep { $_->{err} =~ /ERROR:  40001: canceling statement due to conflict with recovery/ } @hasty_running), scalar @held,
	'a standby with a short delay cancels every report') or diag(map { "$_->{what}: $_->{out} $_->{err}" } @hasty_running);
caught_up($hasty);
is($hasty->safe_psql('shop', $gone), '0', 'and catches up: the day goes there, too');
$idle_in .= "SELECT 1;\n";
$idle->finish;
like($idle_err, qr/terminating connection due to conflict with recovery/, 'who had it open is put out');
cmp_ok($hasty->safe_psql('shop', "SELECT confl_snapshot FROM pg_stat_database_conflicts WHERE datname = 'shop'"), '>=', scalar @held, 'it counts them');

is($replica->safe_psql('shop', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"), scalar @held,
	'with the settings for reports all of them go on');
Storesync->query_until($node, "SELECT replay_lag > '2 seconds' FROM pg_stat_replication WHERE application_name = 'reports'", 't',
	'the replay waits for them longer than the other had patience');
like(slurp_file($replica->logfile), qr/recovery still waiting after .* recovery conflict on snapshot/, 'the log says what for');
like($node->safe_psql('shop', q(SELECT state || ' ' || reason FROM storesync.health() WHERE component = 'replica reports')), qr/^ok 00:0\d:\d\d.* behind$/,
	'the primary knows how far it is behind');
cmp_ok($replica->safe_psql('shop', 'SELECT extract(epoch FROM storesync.replay_delay())'), '>', 2, 'and so does it');
is($replica->safe_psql('shop', "SET statement_timeout = '10s'; SELECT count(*) > 0 FROM storesync.outbox"), 't', 'who comes meanwhile waits for nothing');
# common.sql is what the others begin with
foreach my $file (grep { !m{/common\.sql$} } glob "$reports/*.sql")
{
	command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $replica->connstr('shop') . ' user=reader', '-f', $file ],
		'and reads ' . basename($file));
}
$holder->quit;
$_->{process}->finish foreach @running;
is(join('', map { $_->{err} } @running), '', 'told to end, all of them have read what they wanted') or diag(map { "$_->{what}: $_->{out} $_->{err}\n" } @running);
caught_up($replica);
is($replica->safe_psql('shop', $gone), '0', 'then the day goes there, too');
is($replica->safe_psql('shop', 'SELECT sum(confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock) FROM pg_stat_database_conflicts'),
	'0', 'and nobody was cancelled');
my $books = 'SELECT (SELECT count(*) FROM storesync.sales_order), (SELECT sum(on_hand) + sum(reserved) FROM storesync.stock), (SELECT count(*) FROM storesync.check_invariants())';
is($replica->safe_psql('shop', $books), sql($books), 'its books are the primary\'s');
$hasty_holder->quit;

# ---------------------------------------------------------------- the end of a table is not given back

# Cutting it off takes a lock that on a standby waits for readers, and that who comes later waits behind.
sql(<<'SQL');
BEGIN;
INSERT INTO storesync.planned_offer (listing_id, due_at, action, price) SELECT n, now(), 'price', 1 FROM generate_series(1, 5000) n;
DELETE FROM storesync.planned_offer;
COMMIT;
SQL
Storesync->wait_until(
	sub {
		$node->psql('shop', 'VACUUM (TRUNCATE off, PROCESS_TOAST off, VERBOSE) storesync.planned_offer', stderr => \$said);
		return $said =~ / 0 remain, 0 are dead/;
	},
	'its rows are gone');
caught_up($replica);
my $open = $replica->background_psql('shop');
$open->query_safe('BEGIN; SELECT count(*) FROM storesync.planned_offer');
sql('VACUUM storesync.planned_offer');
cmp_ok(sql("SELECT pg_relation_size('storesync.planned_offer')"), '>', 0, 'vacuum leaves an empty table its room');
caught_up($replica);
is($replica->safe_psql('shop', "SET statement_timeout = '10s'; SELECT count(*) FROM storesync.planned_offer"), '0',
	'vacuum locks no table that a report reads');
$open->quit;

# ---------------------------------------------------------------- what health() says

sub health { return $_[0]->safe_psql('shop', "SELECT string_agg(state || ' ' || reason, '; ') FROM storesync.health() WHERE component = '$_[1]'"); }
like(health($replica, 'replica'), qr/^ok 00:00:\d\d.* behind$/, 'on a standby');
is(sql('SELECT count(*), count(storesync.replay_delay()) FROM storesync.health() WHERE component = \'replica\''), '0|0', 'on the primary it has no row');
$replica->safe_psql('shop', 'SELECT pg_wal_replay_pause()');
like(health($replica, 'replica'), qr/^degraded the replay is paused/, 'paused');
$replica->safe_psql('shop', 'SELECT pg_wal_replay_resume()');

$hasty->stop;
Storesync->query_until($node, "SELECT state FROM storesync.health() WHERE component = 'replica hasty'", 'degraded', 'a standby that is away');
like(health($node, 'replica hasty'), qr/^degraded not connected; \d+ \S+ of WAL are kept for it$/, 'and what it costs');
sql("SELECT pg_switch_wal(); CREATE TABLE public.t$_ ()") foreach 1 .. 5;
caught_up($replica);
sql('CHECKPOINT');
like(health($node, 'replica hasty'), qr/^degraded WAL that it needs is gone/, 'for so long and no longer');
sql("SELECT pg_drop_replication_slot('hasty')");
is(health($node, 'replica hasty'), '', 'given up');

# ---------------------------------------------------------------- what writes is refused

my %with = (
	add_store => "'shopee', '2', 'two'", add_sku => "'X'", add_location => "'x'", add_listing => "1, 'HOT', '2'", set_bundle => "'B', '{\"HOT\": 1}'",
	set_store_locations => "1, '{}'", set_price => '1, 10, storesync.new_key()', allot => '1, 1, storesync.new_key()', reserve_seen => '1, 1, now()',
	receive_return => "1, 'O1', '1', 1, storesync.new_key()", transfer => "'HOT', 1, 'main', 'back', storesync.new_key()",
	ingest_orders => "1, '[]'", ingest_order => "1, '{}'", enqueue => "1, 'fetch_orders', '{}'", rate_take => '1', pause => '1', resume => '1', stop_selling => "1, 'HOT', 'x'",
	start_selling => '', release_hold => '1', release_breaker => '1', go_live => '1', accept_matches => '1', backfill => '1, now()',
	ensure_partitions => '', drop_consumed => '', consumer_register => "'x'", take_up_parked => '', release_expired => '', rate_forget => '',
	set_app_credential => "'shopee', 'partner_id', '1'", set_credential => "1, 'access_token', '1'", cache_lock => "'x', '1 s'", session_put => "'x', '{}', '1 min'",
	cache_unlock => "'x', 1", session_get => "'x'", session_drop => "'x'", rate_hold => "1, '1 s'", rate_quota => '1', rate_succeeded => '1, 1',
	ingest_push => "'shopee', 'u', '{}', 'x'", ingest_visits => '1, current_date, 1', roll_up_step => '1', reserves_seen => "'{1}', '{1}', now()",
	settle_short => "1, 'O1', NULL, 'wait', storesync.new_key(), until => now() + interval '1 day'", requeue => '1', discard => "1, 'x'",
	confirm_drift => '1', confirm_drifts => '1', reject_drift => "1, 'x'", preview => '1', authorize_store => "1, 'x'", note_authorization => '1, now()',
	consumer_move => "'x', pg_current_snapshot()", consumer_drop => "'x'", drop_peak_window => '1', schedule_jobs => "'postgres'", unschedule_jobs => '');
$with{$_} = "'HOT', 1, storesync.new_key()" foreach qw(receive reserve release ship restock adjust);
my @taken;
foreach my $function (sort keys %with)
{
	my ($status, $out, $error) = $replica->psql('shop', "\\set VERBOSITY sqlstate\nSELECT * FROM storesync.$function($with{$function})");
	push @taken, "$function: $out $error" if $error !~ /ERROR:  25006/;
}
foreach my $procedure ('maintain()', 'compensate()', 'roll_up()')
{
	my ($status, $out, $error) = $replica->psql('shop', "\\set VERBOSITY sqlstate\nCALL storesync.$procedure");
	push @taken, "$procedure: $out $error" if $error !~ /ERROR:  25006/;
}
is(join("\n", @taken), '', 'every function that writes is refused on a standby');

Storesync->sound($node);
$node->stop;
Storesync->query_until($replica, "SELECT state FROM storesync.health() WHERE component = 'replica'", 'degraded', 'the primary is gone');
like(health($replica, 'replica'), qr/^degraded no stream from the primary, shows what was committed until 20/, 'and a standby says what it knows');
done_testing();
