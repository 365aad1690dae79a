# Alarms. What deploy/prometheus has is checked by the programs it is written for, each alert is made to fire and to keep
# silent (promtool), and the whole way is gone once: PostgreSQL, exporter, Prometheus, Alertmanager, a receiver. What
# differs from the shipped files is said here: addresses, and how long things wait.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use POSIX ();
use Storesync;
use Test::More;

my $top = File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $deploy = "$top/deploy/prometheus";
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $http = HTTP::Tiny->new(timeout => 20);
my $test = $$;
my %pid;
my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } qw(exporter node prometheus alertmanager receiver);

sub program { my ($name, @command) = @_; return started($name, sub { exec @command }); }

# a process of the test's own, its output in NAME.log
sub started
{
	my ($name, $code) = @_;
	$pid{$name} = fork // die "could not fork: $!\n";
	return if $pid{$name} != 0;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$dir/$name.log";
	open STDERR, '>&', \*STDOUT;
	$code->();
	POSIX::_exit(127);
}

sub ended
{
	my ($name) = @_;
	my $pid = delete $pid{$name} // return;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return $?;
}

END
{
	if ($$ == $test)
	{
		my $status = $?;
		ended($_) foreach sort keys %pid;
		$? = $status;
	}
}

sub url { my ($name, $path) = @_; return "http://127.0.0.1:$port{$name}$path"; }
sub got { my $answer = $http->get(url(@_)); return $answer->{success} ? $answer->{content} : undef; }

# every time a file says PATTERN it is REPLACED; one that does not say it has changed, and this test with it
sub replaced
{
	my ($text, @pairs) = @_;
	while (my ($pattern, $replaced) = splice @pairs, 0, 2)
	{
		$text =~ s/$pattern/$replaced/g or die "nothing there is $pattern\n";
	}
	return $text;
}

sub file { my ($name, $text) = @_; append_to_file("$dir/$name", $text); return "$dir/$name"; }

# ---------------------------------------------------------------- the files by themselves

# beside what comes: it takes some seconds
started('rules', sub { chdir $deploy; exec 'promtool', 'test', 'rules', 'alert_test.yml', 'alert_slow_test.yml' });

foreach my $check ([ 'promtool', 'check', 'config', "$deploy/prometheus.yml" ], [ 'amtool', 'check-config', "$deploy/alertmanager.yml" ])
{
	my ($out, $err) = run_command($check);
	unlike("$out$err", qr/FAILED|error/i, "@$check[0 .. 2]");
}
foreach ([ 'critical', 'night' ], [ 'warning', 'day' ])
{
	my ($out) = run_command([ 'amtool', 'config', 'routes', 'test', "--config.file=$deploy/alertmanager.yml", "severity=$_->[0]" ]);
	is($out, $_->[1], "$_->[0] goes to $_->[1]");
}

# What each rule has, by its lines.
my $alerts = slurp_file("$deploy/alert.yml");
my $page = slurp_file("$top/docs/alarms.md");
my $tests = slurp_file("$deploy/alert_test.yml") . slurp_file("$deploy/alert_slow_test.yml");
my @alert = $alerts =~ /^ +- alert: (\w+)$/mg;
cmp_ok(scalar @alert, '>=', 20, 'there are rules');
foreach my $rule (split /^ +- alert: /m, $alerts)
{
	my ($name) = $rule =~ /\A(\w+)\n/ or next;
	my $anchor = lc $name;
	my @missing = grep { $rule !~ $_ } qr/^ +for: \d+[smh]$/m, qr/^ +labels: \{severity: (critical|warning)\}$/m, qr/^ +summary: "/m,
	  qr/^ +description: "/m, qr/^ +runbook: docs\/alarms\.md#$anchor$/m;
	is("@missing", '', "$name is waited for, has its severity, and says what, why and where it is told what to do");
	like($page, qr/^### $name\n(?:(?!^#).*\n)*?^\*\*What to do:\*\* \S/m, "$name: what to do");
	like($tests, qr/- name: $name fires/, "$name is made to fire");
	like($tests, qr/- name: $name keeps silent/, "$name is made to keep silent");
}
is(join(' ', sort $page =~ /^### (\w+)$/mg), join(' ', sort @alert), 'the page tells of these alerts and of no others');

# ---------------------------------------------------------------- the chain

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 2, units => 50), rate => 0);
my $node = Storesync->cluster('main', -streaming => 1);
my $store = Storesync->load($node, $sim, rate_limit => '50/s burst 5');
my ($one, $two) = @$store{ 1001, 1002 };
sub sql { return $node->safe_psql('shop', $_[0]); }

$node->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-d', $node->connstr('shop'), '-f', "$deploy/role.sql" ], 'the role of the exporter');
foreach my $try ('UPDATE storesync.store SET paused = true', 'SELECT storesync.pause(1)', 'TABLE storesync.credential', 'TABLE storesync.instance')
{
	my ($status) = $node->psql('shop', $try, extra_params => [ '-U', 'storesync_exporter' ], on_error_stop => 1);
	isnt($status, 0, "it may not: $try");
}
sql(q(SELECT pg_create_physical_replication_slot('reports', true)));

$ENV{DATA_SOURCE_NAME} = $node->connstr('shop') . ' user=storesync_exporter sslmode=disable';
program('exporter', 'prometheus-postgres-exporter', "--extend.query-path=$deploy/exporter.yml", '--disable-default-metrics',
	'--disable-settings-metrics', '--no-collector.bgwriter', "--web.listen-address=127.0.0.1:$port{exporter}");
# in a container everything may be an overlay
program('node', 'prometheus-node-exporter', '--collector.disable-defaults', '--collector.filesystem',
	'--collector.filesystem.fs-types-exclude=^(proc|sysfs|devtmpfs|devpts|cgroup2?|mqueue)$', "--web.listen-address=127.0.0.1:$port{node}");

my %address = ('localhost:9187' => 'exporter', 'localhost:9100' => 'node', 'localhost:9090' => 'prometheus', 'localhost:9093' => 'alertmanager');
file('prometheus.yml', replaced(slurp_file("$deploy/prometheus.yml"), 'interval: 15s', 'interval: 1s', 'timeout: 10s', 'timeout: 1s',
		map { $_ => "127.0.0.1:$port{ $address{$_} }" } keys %address));
file('record.yml', slurp_file("$deploy/record.yml"));
file('alert.yml', replaced($alerts, '\bfor: \d+[smh]', 'for: 1s'));
file('alertmanager.yml', replaced(slurp_file("$deploy/alertmanager.yml"), 'group_wait: 30s', 'group_wait: 1s',
		'group_interval: 5m', 'group_interval: 1s', 'localhost:9095', "127.0.0.1:$port{receiver}"));

# The receiver writes a line "PATH DOCUMENT" for each notification.
started('receiver', sub {
		my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port{receiver}, Listen => 10, ReuseAddr => 1) or die;
		open my $notes, '>>', "$dir/notes" or die;
		while (my $client = $socket->accept)
		{
			my ($path, $length) = ((split / /, <$client> // '')[1], 0);
			while ((<$client> // '') =~ /^([\w-]+): *(.*?)\r\n/) { $length = $2 if lc $1 eq 'content-length'; }
			read($client, my $body, $length);
			print $client "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
			close $client;
			next unless defined $path;
			# whole lines alone are to be read
			syswrite $notes, "$path " . $body =~ s/\s+\z//r . "\n";
		}
	});
program('alertmanager', 'prometheus-alertmanager', "--config.file=$dir/alertmanager.yml", "--storage.path=$dir/am",
	"--web.listen-address=127.0.0.1:$port{alertmanager}", '--cluster.listen-address=');
program('prometheus', 'prometheus', "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/tsdb",
	"--web.listen-address=127.0.0.1:$port{prometheus}", "--web.console.templates=$deploy/consoles", '--web.console.libraries=/nonexistent');

sub escaped { return $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger; }

# series QUERY: what Prometheus answers now, or undef
sub series
{
	my $answer = got('prometheus', '/api/v1/query?query=' . escaped($_[0])) // return undef;
	return decode_json($answer)->{data}{result};
}

# value QUERY: of its first series. A scrape that took too long leaves none, until the next one.
sub value
{
	my ($query) = @_;
	my $found;
	Storesync->wait_until(sub { $found = (series($query) // [])->[0]; return defined $found }, "a value of $query");
	return $found->{value}[1];
}

# notified STATUS, ALERT, STORE: the paths at which the receiver heard so
sub notified
{
	my ($status, $name, $of) = @_;
	my %path;
	# a line without its end is still being written
	foreach my $line (-e "$dir/notes" ? slurp_file("$dir/notes") =~ /^(.*)\n/mg : ())
	{
		my ($path, $note) = split / /, $line, 2;
		$path{$path} = 1 foreach grep { $_->{status} eq $status && $_->{labels}{alertname} eq $name
			  && ($_->{labels}{store_id} // '') eq $of && $_->{annotations}{runbook} eq "docs/alarms.md#\L$name" } @{ decode_json($note)->{alerts} };
	}
	return join ' ', sort keys %path;
}

sub hears
{
	my ($status, $name, $of, $path) = @_;
	return is(Storesync->wait_until(sub { notified($status, $name, $of) }, "$name is $status"), $path, "$name of store $of is $status: told at $path");
}

# Stores work, and nothing of theirs fires.
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_target WHERE enabled AND NOT dirty", '4', 'all has been written once');
ok(Storesync->wait_until(sub { @{ series('up == 1') // [] } == 4 }, 'all targets are up'), 'Prometheus scrapes all of them');
ok( Storesync->wait_until(sub { @{ series('storesync_store_fetch_age_seconds < 60') // [] } == 2 }, 'the stores are there'),
	'both stores are seen, and their orders fetched');
is(value('pg_exporter_last_scrape_error'), '0', 'every query of the exporter runs as its role');
is_deeply([ map { $_->{metric}{alertname} } @{ series('ALERTS{store_id!="", alertstate="firing"}') } ], [], 'no alert about a store fires');

# Three causes.
$sim->faults(auth => 1, shop_id => '1001');
sql("UPDATE storesync.token SET authorization_ends = now() + interval '5 days' WHERE store_id = $two");
sql(<<"SQL");
SELECT storesync.ingest_order($two, jsonb_build_object('order_sn', 'A1', 'status', 'ready_to_ship', 'create_time', now(), 'update_time', now(),
	'lines', jsonb_build_array(jsonb_build_object('line_id', '1', 'sku', 'S1', 'qty', 60))));
SELECT storesync.reserve('S2', 5, storesync.new_key());
SQL
hears('firing', 'ShortOrders', $two, '/day');
hears('firing', 'TokenEnds', $two, '/day');
hears('firing', 'StoreUnauthorised', $one, '/night');
is(value(qq(storesync_short_units{store_id="$two"})), '10', 'ten units are short');

# The console shows it.
my $console = '';
Storesync->wait_until(sub { ($console = got('prometheus', '/consoles/storesync.html') // '') =~ /<td>StoreUnauthorised.*<td>shop 1002</s }, 'the console');
like($console, qr/<tr class="critical"><td>StoreUnauthorised/, 'the console shows what fires');
like($console, qr{<td>shop 1002</td><td class="text">shopee</td>}, 'and the stores');
unlike($console, qr/error|NaN|%!/i, 'all of it can be worked out');

# Each panel of the dashboard asks for something that is there.
my $dashboard = decode_json(slurp_file("$deploy/dashboard.json"));
my @query = map { my $panel = $_; map { [ $panel->{title}, $_->{expr} ] } @{ $panel->{targets} } } @{ $dashboard->{panels} };
cmp_ok(scalar @query, '>=', 30, 'the dashboard asks');
my @empty = @query;
Storesync->wait_until(sub { @empty = grep { !@{ series($_->[1]) // [] } } @empty; return !@empty; }, 'every panel has a series');
foreach my $query (@query)
{
	ok(!(grep { $_ == $query } @empty), "panel \"$query->[0]\": $query->[1]");
}

# What is over is told, too.
sql("SELECT storesync.receive('S1', 10, storesync.new_key())");
hears('resolved', 'ShortOrders', $two, '/day');

# What the page says is to be done can be done by the role that it names: its statements run, what it calls may be called.
sql(q(CREATE ROLE clerk LOGIN; SELECT storesync.grant_role('clerk', 'operator')));
foreach my $section (grep { /\A\w+\n/ } split /^### /m, $page)
{
	my ($name) = $section =~ /\A(\w+)/;
	my $role = $section =~ /Role: (superuser|postgres)/ ? 'postgres' : 'clerk';
	my @code = map { s/…/1/gr =~ s/\s+/ /gr } $section =~ /`([^`]+)`/g;
	foreach my $statement (grep { /^SELECT / } @code)
	{
		my ($status, undef, $err) = $node->psql('shop', $statement, extra_params => [ '-U', $role ], on_error_stop => 1);
		is("$status $err", '0 ', "$name: $statement");
	}
	my %called = map { $_ => 1 } map { /^(?:CALL storesync\.)?(\w+)\(/ } @code;
	foreach my $function (sort keys %called)
	{
		is(sql("SELECT bool_or(has_function_privilege('$role', oid, 'execute')) FROM pg_proc
			WHERE proname = '$function' AND pronamespace IN ('storesync'::regnamespace, 'pg_catalog'::regnamespace)"), 't', "$name: $role may call $function()");
	}
}

# A database that is away is heard of.
Storesync->sound($node);
$node->stop;
ok( Storesync->wait_until(sub { notified('firing', 'DatabaseAway', '') }, 'DatabaseAway'), 'a database that is away is heard of');

my $failed = do { waitpid delete $pid{rules}, 0; $? };
is($failed, 0, 'every alert fires when it should, and keeps silent when it should') or diag(slurp_file("$dir/rules.log"));
done_testing();
