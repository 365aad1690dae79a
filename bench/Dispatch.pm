package Dispatch;

# What bench/dispatch measures with: the sink, the floor, the peer's worker, storesync's dispatcher,
# and one bulk of changes through each of them.
use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);
use HTTP::Tiny;
use IPC::Open2 qw(open2);
use POSIX qw(sysconf);
use Time::HiRes qw(sleep time);
use Bench qw(sql settle %option $dir);

our @EXPORT_OK = qw(start_sink control arrivals prepare await_rest ask bulk_own bulk_worker bulk_floor start_worker stop_worker
	dispatcher_pid memory percentile $stores);

our $stores = 64;    # four calls at once each: 256 in all
my $here = dirname(__FILE__);
my $programs = "$here/../.build/bench";
my $hertz = sysconf(&POSIX::_SC_CLK_TCK);
my ($sink_pid, $url, $worker_pid, $worker_backend, $ask);
my $http = HTTP::Tiny->new(timeout => 60, no_proxy => ['127.0.0.1']);

END {
	local $?;
	for my $pid (grep { defined } $sink_pid, $worker_pid) {
		kill 'TERM', $pid;
		waitpid $pid, 0;
	}
}

# ---------------------------------------------------------------- processes

sub await_port {
	my ($file) = @_;
	for (1 .. 500) {
		if (open my $in, '<', $file) {
			return $1 if (<$in> // '') =~ /^(\d+)\n/;
		}
		sleep 0.01;
	}
	die "the sink did not start\n";
}

sub start_sink {
	unlink "$dir/sink.port";
	$sink_pid = fork // die "could not fork: $!\n";
	if ($sink_pid == 0) {
		exec "$programs/sink", "$dir/sink.port" or POSIX::_exit(127);
	}
	$url = 'http://127.0.0.1:' . await_port("$dir/sink.port");
	return $url;
}

# control asks the sink for something, see the head of sink.c
sub control {
	my ($what) = @_;
	my $answer = $http->get("$url/control/$what");
	die "the sink does not answer: $answer->{content}\n" if !$answer->{success};
	return $answer->{content};
}

# arrivals: [microseconds, shop, item, quantity] of each call since the last clear
sub arrivals {
	return map { [split / /] } split /\n/, control('log');
}

# CPU seconds of a process with all its threads
sub cpu {
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/stat" or return 0;
	my $line = <$file> // '';
	$line =~ s/^.*\) //;
	my @field = split ' ', $line;
	return ($field[11] + $field[12]) / $hertz;
}

# memory: kilobytes of the process that are its own, and all that it has touched
sub memory {
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/status" or die "process $pid is gone\n";
	my $text = join '', <$file>;
	return map { $text =~ /^$_:\s+(\d+)/m } qw(RssAnon VmRSS);
}

sub start_worker {
	my ($batch, $connections) = @_;
	chomp(my $modules = qx{npm root -g 2>/dev/null});
	local $ENV{NODE_PATH} = join ':', grep { $_ ne '' } $ENV{NODE_PATH} // '', $modules, '/usr/share/nodejs';
	$worker_pid = open2(my $out, my $in, 'node', "$here/dispatch_worker.js", $url, $batch, $connections);
	$worker_backend = <$out> // die "the worker did not start: it needs Node.js and its module pg\n";
	chomp $worker_backend;
	return;
}

sub stop_worker {
	kill 'TERM', $worker_pid;
	waitpid $worker_pid, 0;
	undef $worker_pid;
	return;
}

# ---------------------------------------------------------------- the database

# ask runs statements in one session that stays open, so that no start of psql is measured
sub ask {
	my ($statement) = @_;
	if (!$ask) {
		open2(my $out, my $in, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1');
		$ask = sub {
			print $in "$_[0];\n\\echo done\n";
			$in->flush;
			my $answer = '';
			while (my $line = <$out>) {
				return $answer =~ s/\n\z//r if $line eq "done\n";
				$answer .= $line;
			}
			die "failed: $_[0]\n";
		};
	}
	return $ask->($statement);
}

sub dispatcher_pid {
	return ask(q{SELECT pid FROM storesync.stat_dispatcher WHERE database = 'bench'});
}

# await_rest waits until nothing is queued, under way or waiting
sub await_rest {
	my ($limit) = @_;
	my $end = time + ($limit // 120);
	while (time < $end) {
		return if ask(q{SELECT coalesce(sum(queued + in_flight + backing_off), 1) FROM storesync.stat_dispatcher
			WHERE database = 'bench' AND state = 'running'}) == 0;
		sleep 0.05;
	}
	die 'the dispatcher does not come to rest: ' . ask('SELECT d FROM storesync.stat_dispatcher d') . "\n";
}

# prepare makes the database: `calls` SKUs, each listed once, spread over the stores
sub prepare {
	sql('CREATE DATABASE bench', 'postgres');
	sql('CREATE EXTENSION storesync');
	system('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$here/dispatch.sql") == 0 or die "dispatch.sql failed\n";
	sql("UPDATE storesync.platform SET base_url = '$url', rate_limit = NULL WHERE platform = 'shopee'");
	sql("SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), " .
		"storesync.set_app_credential('shopee', 'partner_key', 'benchPartnerKey0123456789')");
	sql("SELECT count(storesync.add_store('shopee', (1000 + i)::text, 'bench ' || i, '1000000/s burst 1000')) FROM generate_series(0, $stores - 1) i");
	sql("SELECT count(storesync.add_store('shopee', (2000 + i)::text, 'hot ' || i, '5/s')) FROM generate_series(0, 11) i");
	sql("UPDATE storesync.store SET poll_interval = '1 day'" . ($option{'without-breaker'} ? ', breaker_share = NULL' : ''));
	sql("SELECT count(storesync.set_credential(store_id, 'access_token', 'benchAccessToken0123456789')) FROM storesync.store");
	sql("SELECT count(storesync.add_sku('S' || i)) FROM generate_series(1, $option{calls}) i");
	sql("SELECT count(storesync.receive('S' || i, 900000, storesync.new_key())) FROM generate_series(1, $option{calls}) i");
	# straight into the table: the dispatcher compares all when it starts, and nobody has to be told
	sql("INSERT INTO storesync.listing (store_id, sku_id, item_id) SELECT s.store_id, k.sku_id, (100000 + i)::text FROM generate_series(1, $option{calls}) i " .
		"JOIN storesync.sku k ON k.code = 'S' || i JOIN storesync.store s ON s.shop_id = (1000 + i % $stores)::text");
	sql("SELECT storesync.add_sku('HOT'), storesync.receive('HOT', 900000, storesync.new_key())");
	sql("SELECT count(storesync.add_listing(store_id, 'HOT', '9' || shop_id)) FROM storesync.store WHERE shop_id LIKE '2%'");
	settle('bench');
	sql("ALTER SYSTEM SET storesync.databases = 'bench'");
	sql('ALTER SYSTEM SET storesync.max_in_flight = 256');
	sql('SELECT pg_reload_conf()');
	until_zero(time, 'SELECT (SELECT count(*) FROM storesync.listing) - (SELECT count(*) FROM storesync.listing_shown)');
	await_rest();
	return;
}

# ---------------------------------------------------------------- a bulk of changes

# until_zero polls a count until it is 0 and returns the seconds since `start`, or dies after a minute
sub until_zero {
	my ($start, $statement) = @_;
	while (time < $start + 60) {
		return time - $start if ask($statement) == 0;
		sleep 0.01;
	}
	die "still not done after a minute: $statement\n";
}

sub result {
	my ($calls, $seconds, $cpu) = @_;
	return { rate => $calls / $seconds, cpu => 1e6 * $cpu / $calls };
}

# bulk_own takes a unit of every SKU in one transaction and waits until every listing that lives in a
# shop not named in `bad` is acknowledged in its table. From commit to there.
sub bulk_own {
	my (@bad) = @_;
	my $others = @bad ? 'AND shop_id NOT IN (' . join(', ', map { "'$_'" } @bad) . ')' : '';
	my $calls = ask("SELECT count(*) FROM storesync.listing l JOIN storesync.store s USING (store_id) WHERE shop_id LIKE '1%' $others");
	my ($pid, $acked) = split /\|/, ask(q{SELECT pid, listings_acked FROM storesync.stat_dispatcher WHERE database = 'bench'});
	my $before = ask('SELECT clock_timestamp()');
	my $cpu = cpu($pid);
	ask("SELECT count(storesync.reserve('S' || i, 1, storesync.new_key())) FROM generate_series(1, $option{calls}) i");
	my $start = time;
	# the counter runs a moment ahead of the commit and costs nothing to look at; the table says the rest
	until_zero($start, "SELECT greatest(0, $acked + $calls - listings_acked) FROM storesync.stat_dispatcher WHERE database = 'bench'");
	my $seconds = until_zero($start, "SELECT $calls - count(*) FROM storesync.listing_shown w JOIN storesync.listing l USING (listing_id) " .
		"JOIN storesync.store s USING (store_id) WHERE shop_id LIKE '1%' $others AND w.written_at > '$before'");
	die "the dispatcher was started anew\n" if dispatcher_pid() != $pid;
	return result($calls, $seconds, cpu($pid) - $cpu);
}

# bulk_worker hands the same number of tasks to the peer. Its CPU is that of the worker and its session.
sub bulk_worker {
	my $cpu = cpu($worker_pid) + cpu($worker_backend);
	ask("SELECT worker.add(1, $option{calls})");
	my $seconds = until_zero(time, 'SELECT count(*) FROM (SELECT FROM worker.task WHERE done_at IS NULL LIMIT 1) t');
	return result($option{calls}, $seconds, cpu($worker_pid) + cpu($worker_backend) - $cpu);
}

# bulk_floor sends as many calls with nothing behind them
sub bulk_floor {
	my ($in_flight) = @_;
	my $target = "$url/api/v2/product/update_stock?partner_id=2009999&timestamp=" . int(time) .
		'&access_token=benchAccessToken0123456789&shop_id=1001&sign=' . 'a' x 64;
	my $answer = qx{$programs/dispatch_loop '$target' $option{calls} $in_flight};
	die "the floor failed\n" if $? != 0;
	return result($option{calls}, split / /, $answer);
}

# percentile of sorted values, by nearest rank
sub percentile {
	my ($part, @sorted) = @_;
	return $sorted[int($part * @sorted + 0.999999) - 1];
}

1;
