package Bench;

# What every mode of bench/orders needs: a cluster of its own under .run/bench, statements, pgbench
# runs with the server CPU they cost, medians, tables of figures and goals.
use strict;
use warnings;
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use IPC::Open2 qw(open2);
use List::Util qw(min max);
use POSIX qw(sysconf strftime);

our @EXPORT_OK = qw(start_cluster make_database sql settle script pgbench reaped_cpu compare goal say_line
	spread ratios show_figures show_goals hold_snapshot
	undisturbed wait_for_sessions checkpoints_crossed note_raw %option $dir);

our %option;     # rounds, seconds, clients, skus and the switches of bench/orders
our $dir;        # where scripts, logs and raw rounds go
my $here = dirname(__FILE__);
my $hertz = sysconf(&POSIX::_SC_CLK_TCK);
my ($postmaster, $report, $raw, $started);
my @verdicts;    # [text, figure, goal, met or short]
my $crossed = 0;    # checkpoints that fell into rounds

# ---------------------------------------------------------------- the cluster

sub command {
	my @words = @_;
	system(@words) == 0 or die "failed: @words\n";
	return;
}

# start_cluster makes a fresh cluster in .run/bench and starts it; it is stopped at the end. Of the options
# `name` is another directory under .run, `settings` are lines of postgresql.conf, `preload` is a library for the
# server's process, and with `keep` a cluster that is there is started as it is: true comes back.
sub start_cluster {
	my (%a) = @_;
	my $run = $ENV{RUN} // die "run this by `make bench`, or by `deploy/cluster run`\n";
	$dir = "$run/" . ($a{name} // 'bench');
	my $kept = $a{keep} && -e "$dir/data/PG_VERSION";
	remove_tree("$dir/data") if !$kept;
	remove_tree("$dir/scripts", "$dir/socket");
	make_path("$dir/scripts", "$dir/socket");
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no free port\n";
	@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ("$dir/socket", $listener->sockport, 'postgres', 'bench');
	close $listener;
	$ENV{PGOPTIONS} = '-c client_min_messages=warning';
	qx{initdb -A trust -U postgres -E UTF8 --locale=C.UTF-8 --no-sync -D '$dir/data'} if !$kept;
	die "initdb failed\n" if $?;
	open my $conf, '>>', "$dir/data/postgresql.conf" or die "cannot write postgresql.conf: $!\n";
	open my $own, '<', "$here/postgresql.conf" or die "cannot read bench/postgresql.conf: $!\n";
	print {$conf} join('', <$own>), "port = $ENV{PGPORT}\n", "unix_socket_directories = '$dir/socket'\n",
		'shared_buffers = ', shared_buffers(), "MB\n", $a{settings} // '';
	close $conf;
	{
		local $ENV{LD_PRELOAD} = $a{preload} if $a{preload};
		qx{pg_ctl -D '$dir/data' -l '$dir/log' -w -t 60 start};
		die "the cluster did not start; its log is $dir/log\n" if $?;
	}
	$started = 1;
	open my $file, '<', "$dir/data/postmaster.pid" or die "no postmaster.pid: $!\n";
	chomp($postmaster = <$file>);
	my $stamp = strftime('%Y%m%d-%H%M%S', localtime);
	open $report, '>', "$dir/report-$stamp.txt" or die "cannot write the report: $!\n";
	open $raw, '>', "$dir/rounds-$stamp.tsv" or die "cannot write the rounds: $!\n";
	print $raw join("\t", qw(mode configuration round variant per_second cpu_us)), "\n";
	return $kept;
}

END {
	my $status = $?;
	qx{pg_ctl -D '$dir/data' -m fast -w stop} if $started;
	$? = $status;
}

# 4 GB, or a quarter of the memory where there is less.
sub shared_buffers {
	open my $file, '<', '/proc/meminfo' or return 256;
	my ($kb) = join('', <$file>) =~ /MemTotal:\s+(\d+)/;
	return int(min(4096, $kb / 4096));
}

sub sql {
	my ($statement, $database) = @_;
	open my $psql, '-|', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $database // 'bench', '-c', $statement
		or die "could not run psql: $!\n";
	local $/;
	my $answer = <$psql> // '';
	close $psql or die "failed: $statement\n";
	$answer =~ s{\n\z}{};
	return $answer;
}

# make_database makes a database with storesync, the ordinary layout and the peers, and the same stock in both.
sub make_database {
	my ($name) = @_;
	sql("CREATE DATABASE $name", 'postgres');
	sql('CREATE EXTENSION storesync', $name);
	command('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $name, '-f', "$here/$_") for qw(ordinary.sql peer.sql);
	sql("UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9' WHERE platform = 'shopee'", $name);
	sql("SELECT storesync.add_store('shopee', '1', 'bench'); UPDATE storesync.store SET mode = 'off'", $name);
	sql("SELECT count(storesync.add_sku('S' || i)) FROM generate_series(1, $option{skus}) i", $name);
	sql("SELECT count(storesync.receive('S' || i, 1000000000, storesync.new_key())) FROM generate_series(1, $option{skus}) i", $name);
	sql("INSERT INTO ordinary.stock SELECT 'S' || i, 1, 1000000000, 0, 1 FROM generate_series(1, $option{skus}) i", $name);
	sql("INSERT INTO ordinary.ledger SELECT 'S' || i, 1, 1, 'receive', 1000000000, 0, 1000000000, 0, gen_random_uuid()::text, NULL, NULL, " .
		"now() FROM generate_series(1, $option{skus}) i", $name);
	if ($option{items}) {
		sql("SELECT count(storesync.add_listing(1, 'S' || i, 'I' || i)) FROM generate_series(1, $option{skus}) i", $name);
		sql("INSERT INTO ordinary.listing SELECT i, 1, 'I' || i, 'S' || i FROM generate_series(1, $option{skus}) i", $name);
	}
	settle($name);
	return;
}

# settle puts the tables in order and the checkpoint before what is measured next.
sub settle {
	my ($name) = @_;
	sql('VACUUM ANALYZE', $name);
	sql("CHECKPOINT", $name);
	return;
}

# hold_snapshot opens a session that keeps a snapshot. Two functions come back: one asks something in
# that session, the other ends it.
sub hold_snapshot {
	my $pid = open2(my $out, my $in, 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1');
	my $ask = sub {
		my ($statement) = @_;
		print $in "$statement;\n\\echo done\n";
		$in->flush;
		my $answer = '';
		while (my $line = <$out>) {
			return $answer if $line eq "done\n";
			$answer .= $line;
		}
		die "the session that holds the snapshot has ended: $answer\n";
	};
	$ask->('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	return ($ask, sub { print $in "COMMIT;\n"; close $in; waitpid $pid, 0; return; });
}

# ---------------------------------------------------------------- one run

# script writes a pgbench script; :start becomes the present second.
sub script {
	my ($name, $text) = @_;
	my $start = time;
	$text =~ s/:start\b/$start/g;
	open my $file, '>', "$dir/scripts/$name.sql" or die "could not write $name: $!\n";
	print $file $text;
	close $file;
	return "$dir/scripts/$name.sql";
}

# CPU seconds of all sessions that ended under this postmaster.
sub reaped_cpu {
	open my $file, '<', "/proc/$postmaster/stat" or die "cannot read /proc/$postmaster/stat: $!\n";
	my $line = <$file>;
	$line =~ s/^.*\) //;
	my @field = split ' ', $line;
	return ($field[13] + $field[14]) / $hertz;
}

# children lists the processes that the postmaster has now.
sub children {
	open my $file, '<', "/proc/$postmaster/task/$postmaster/children" or die "cannot read the postmaster's children: $!\n";
	return split ' ', <$file> // '';
}

# sessions lists those of them that serve a client, but no standby, as their titles say, and those that have no
# title yet or any more: what a dead child has used counts for its parent when that has been told of it.
sub sessions {
	my @found;
	for my $pid (children()) {
		open my $file, '<', "/proc/$pid/cmdline" or next;
		push @found, $pid if (<$file> // '') !~ /^postgres: (?:walsender |(?!.*\[local\]))/;
	}
	return @found;
}

# Sessions end a moment after their client has gone: what one that lingers has used would be counted for
# whoever comes next.
sub wait_for_sessions {
	my ($most) = @_;
	for (my $wait = 0; (my @now = sessions()) > $most; $wait++) {
		die "a session does not end\n" if $wait >= 1000;
		select undef, undef, undef, 0.01;
	}
	return;
}

# live_cpu: CPU seconds that sessions not among `others` have used so far
sub live_cpu {
	my ($others) = @_;
	my $sum = 0;
	for my $pid (grep { !$others->{$_} } children()) {
		open my $file, '<', "/proc/$pid/schedstat" or next;
		$sum += (split ' ', <$file>)[0] / 1e9;
	}
	return $sum;
}

# pgbench runs scripts and returns what one thing done (an order, a statement: `per` of them in a
# transaction) cost: {rate} a second, {cpu} server microseconds, {count}, {out} as pgbench said it.
# Its first second, in which sessions start and plan, is left out of all figures. With -t there is none.
sub pgbench {
	my (%a) = @_;
	my @options = ('-n', '-M', 'prepared', '-c', $a{clients}, '-j', min(2, $a{clients}), @{ $a{options} // [] });
	my $seconds = grep({ $_ eq '-t' } @options) ? 0 : $a{seconds} // $option{seconds};
	my ($per, $first, $at_first, $out) = ($a{per} // 1, 0, 0, '');
	push @options, '-P', 1, '-T', $seconds + 1 if $seconds;
	local $ENV{PGOPTIONS} = "-c client_min_messages=warning -c synchronous_commit=$a{sync}";
	wait_for_sessions($a{held} // 0);
	my %others = map { $_ => 1 } children();
	my $cpu = reaped_cpu();
	open my $pgbench, '-|', "pgbench @options @{$a{args}} @{[$a{database} // 'bench']} 2>&1" or die "could not run pgbench: $!\n";
	while (my $line = <$pgbench>) {
		$out .= $line;
		next if $at_first or $line !~ m{^progress: ([\d.]+) s, ([\d.]+) tps};
		($first, $at_first) = ($1 * $2, live_cpu(\%others));
	}
	close $pgbench;
	die "pgbench @options @{$a{args}} failed:\n$out"
		if $? != 0 or $out =~ /aborted|[1-9]\d* failed|number of failed transactions: [1-9]/;
	wait_for_sessions($a{held} // 0);
	my ($count) = $out =~ /actually processed: (\d+)/ or die "no count in:\n$out";
	my ($tps) = $out =~ /tps = ([\d.]+)/;
	my $done = max($count - $first, 1) * $per;
	return {
		rate => $seconds ? $done / $seconds : $tps * $per, count => $done, out => $out,
		cpu => 1e6 * (reaped_cpu() - $cpu - $at_first) / $done,
	};
}

# ---------------------------------------------------------------- figures

# spread: median, least and greatest
sub spread {
	my @sorted = sort { $a <=> $b } @_;
	return (($sorted[@sorted / 2] + $sorted[$#sorted / 2]) / 2, $sorted[0], $sorted[-1]);
}

sub ratios {
	my ($own, $other) = @_;
	return map { $other->[$_] > 0 ? $own->[$_] / $other->[$_] : 0 } 0 .. min($#$own, $#$other);
}

sub say_line {
	my ($format, @values) = @_;
	my $line = @values ? sprintf($format, @values) : $format;
	print "$line\n";
	print $report "$line\n";
	return;
}

sub note_raw {
	print $raw join("\t", @_), "\n";
	return;
}

# goal judges figures of several rounds by their median: `least` or `most`.
sub goal {
	my ($text, $figures, $word, $limit) = @_;
	my ($median, $low, $high) = spread(@$figures);
	my $met = $word eq 'least' ? $median >= $limit : $median <= $limit;
	my $figure = sprintf '%.2f', $median;
	$figure .= sprintf ' [%.2f - %.2f]', $low, $high if @$figures > 1;
	push @verdicts, [$text, $figure, "at $word $limit", $met ? 'met' : 'short'];
	say_line('- %s: %s, goal at %s %g: %s', $text, $figure, $word, $limit, $met ? 'met' : 'SHORT');
	return;
}

# show_goals sums up, in Markdown as all tables here
sub show_goals {
	say_line("\n| goal | median [least - greatest] | | |\n| --- | ---: | --- | --- |");
	say_line('| %-68s | %22s | %-13s | %-5s |', @$_) for @verdicts;
	return;
}

sub show_figures {
	my ($title, @variants) = @_;
	say_line("\n**%s**\n\n| | a second | server CPU, us |\n| --- | ---: | ---: |", $title);
	say_line('| %-36s | %7.0f [%6.0f - %6.0f] | %6.1f [%6.1f - %6.1f] |', $_->{name}, spread(@{ $_->{rate} }), spread(@{ $_->{cpu} }))
		for @variants;
	say_line('');
	return;
}

# undisturbed runs code and notes whether a checkpoint fell into it
sub undisturbed {
	my ($code) = @_;
	my $checkpoints = 'SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter';
	my $before = sql($checkpoints);
	$code->();
	$crossed += sql($checkpoints) - $before;
	return;
}

sub checkpoints_crossed { return $crossed; }

# one_round runs every variant of every configuration once; round 0 warms up and counts for nothing
sub one_round {
	my ($mode, $round, @configurations) = @_;
	for my $c (@configurations) {
		my @variants = @{ $c->{variants} };
		push @variants, splice @variants, 0, $round % @variants;
		for my $v (@variants) {
			printf STDERR "\r%-100s", "$mode, round $round of $option{rounds}: $c->{title}: $v->{name}" if -t STDERR;
			my $r = pgbench(%$v, sync => $c->{sync}, clients => $c->{clients}, $round == 0 ? (options => ['-t', 100]) : ());
			next if $round == 0;
			push @{ $v->{$_} }, $r->{$_} for qw(rate cpu);
			note_raw($mode, $c->{title}, $round, $v->{name}, sprintf('%.1f', $r->{rate}), sprintf('%.2f', $r->{cpu}));
		}
	}
	return;
}

# compare runs configurations, each with its variants, interleaved round by round, then shows what
# came out and judges the goals: [text, 'rate' or 'cpu', variant, other variant, 'least' or 'most', limit].
sub compare {
	my ($mode, @configurations) = @_;
	one_round($mode, 0, @configurations);
	undisturbed(sub { one_round($mode, $_, @configurations) for 1 .. $option{rounds} });
	printf STDERR "\r%-100s\r", '' if -t STDERR;
	for my $c (@configurations) {
		show_figures("$mode: $c->{title}", @{ $c->{variants} });
		my %by = map { $_->{name} => $_ } @{ $c->{variants} };
		for (@{ $c->{goals} // [] }) {
			my ($text, $figure, $own, $other, $word, $limit) = @$_;
			goal("$mode, $c->{short}: $text", [ratios($by{$own}{$figure}, $by{$other}{$figure})], $word, $limit);
		}
	}
	return;
}

1;
