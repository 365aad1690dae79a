package ReportEngine;

# The engines that bench/report asks: the replica, twice, ClickHouse and DuckDB with the replica's rows. Each is a
# hash with `name`, `statements` and `ask`, which takes a statement and gives the milliseconds until all rows were
# there, and the rows. ClickHouse is asked over HTTP, the replica by psql, DuckDB in its own process.
use strict;
use warnings;
use FindBin qw($Bin);
use File::Path qw(make_path remove_tree);
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Open2 qw(open2);
use JSON::PP;
use Time::HiRes qw(time);
use Bench qw(sql say_line $dir);

my (%process, $url, $replica_port);    # pids by name

END {
	my $status = $?;
	stop_all();
	$? = $status;
}

sub stop_all {
	for my $name (keys %process) {
		kill 'TERM', $process{$name};
		waitpid delete $process{$name}, 0;
	}
	return;
}

# statements reads report_ENGINE.sql: what follows each "-- question N: title" or "-- table NAME", up to the next
sub statements {
	my ($engine) = @_;
	open my $file, '<', "$Bin/report_$engine.sql" or die "cannot read the questions: $!\n";
	my (%text, %title, $name);
	while (my $line = <$file>) {
		if ($line =~ /^-- (question (\d)|table (\w+))(?:: (.*))?$/) {
			$name = $2 // $3;
			$title{$name} = $4;
		} elsif ($name) {
			$text{$name} .= $line =~ s/;$//r;
		}
	}
	return (statements => \%text, titles => \%title);
}

# ---------------------------------------------------------------- the replica

# postgres: a session of psql on the replica
sub postgres {
	my ($name, $key) = @_;
	local @ENV{qw(PGHOST PGPORT)} = ($ENV{PGHOST}, $replica_port);
	my $pid = open2(my $out, my $in, 'psql', '-XAtq', '-F', "\t", '-v', 'ON_ERROR_STOP=1');
	$process{"psql $key"} = $pid;
	print $in "SET timezone = 'UTC';\n\\timing on\n";
	my $ask = sub {
		my ($statement) = @_;
		print $in "$statement;\n";
		$in->flush;
		my @rows;
		while (my $line = <$out>) {
			chomp $line;
			return ($1, \@rows) if $line =~ /^Time: ([\d.]+) ms/;
			push @rows, [split /\t/, $line, -1];
		}
		die "the session of $name has ended; asked was: $statement\n";
	};
	return { name => $name, ask => $ask, statements($key) };
}

# ---------------------------------------------------------------- the others' rows

# What is given to the other engines. Days are worked out here, once, and amounts are hundredths.
my %rows = (
	line => q{SELECT l.order_id, l.store_id, l.sku_id, (extract(epoch FROM l.ordered_at) * 1000000)::bigint,
		(l.ordered_at AT TIME ZONE s.timezone)::date, (l.ordered_at AT TIME ZONE 'Asia/Taipei')::date, l.status, l.qty, l.cancelled_qty,
		l.pack, round(l.unit_price * 100)::bigint FROM storesync.sales_order_line l JOIN storesync.store s USING (store_id)
		ORDER BY l.recorded_at},
	orders => q{SELECT o.order_id, o.store_id, s.platform, (extract(epoch FROM o.create_time) * 1000000)::bigint,
		(extract(epoch FROM o.recorded_at) * 1000000)::bigint, (o.create_time AT TIME ZONE 'Asia/Taipei')::date, o.stock_effect::int
		FROM storesync.sales_order o JOIN storesync.store s USING (store_id) ORDER BY o.recorded_at},
	ledger => q{SELECT g.sku_id, (extract(epoch FROM g.recorded_at) * 1000000)::bigint, g.on_hand_delta
		FROM storesync.ledger g JOIN storesync.location c USING (location_id) WHERE c.sellable AND g.on_hand_delta <> 0 ORDER BY g.recorded_at},
	visit => q{SELECT v.store_id, v.day, v.visits FROM storesync.visit_day v},
);

sub export {
	my ($table) = @_;
	local $ENV{PGPORT} = $replica_port;
	my $query = $rows{$table} =~ s/\s+/ /gr;
	system('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-c', "\\copy ($query) TO '$dir/csv/$table.csv' (FORMAT csv)") == 0
		or die "the rows of $table were not exported\n";
	return;
}

# ---------------------------------------------------------------- ClickHouse

sub free_port {
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no free port\n";
	return $listener->sockport;
}

sub start_clickhouse {
	my $home = "$dir/clickhouse";
	make_path($home);
	my $port = free_port();
	open my $config, '>', "$home/config.xml" or die "cannot write $home/config.xml: $!\n";
	print {$config} <<"XML";
<yandex>
	<logger><level>warning</level><log>$home/log</log><errorlog>$home/errors</errorlog></logger>
	<listen_host>127.0.0.1</listen_host><http_port>$port</http_port>
	<path>$home/data/</path><tmp_path>$home/tmp/</tmp_path>
	<mark_cache_size>1073741824</mark_cache_size><uncompressed_cache_size>1073741824</uncompressed_cache_size>
	<users_config>config.xml</users_config><default_profile>default</default_profile><default_database>default</default_database>
	<timezone>UTC</timezone>
	<profiles><default><max_memory_usage>10000000000</max_memory_usage></default></profiles>
	<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users>
	<quotas><default></default></quotas>
</yandex>
XML
	close $config;
	my $pid = fork // die "could not fork: $!\n";
	if ($pid == 0) {
		open STDOUT, '>', "$home/out" or exit 1;
		open STDERR, '>&', \*STDOUT or exit 1;
		exec 'clickhouse-server', "--config-file=$home/config.xml" or exit 1;
	}
	$process{clickhouse} = $pid;
	$url = "http://127.0.0.1:$port/";
	for (my $wait = 0; !HTTP::Tiny->new->get($url)->{success}; $wait++) {
		die "ClickHouse did not start; what it said is in $home\n" if $wait > 600;
		select undef, undef, undef, 0.1;
	}
	return;
}

sub clickhouse {
	my $http = HTTP::Tiny->new(timeout => 600);
	my $ask = sub {
		my ($statement) = @_;
		# a question goes in one packet: a body would be a second one, which TCP holds back for 40 ms
		my $escaped = $statement =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger;
		my $began = time;
		my $said = $statement =~ /^\s*SELECT/ ? $http->get("$url?query=$escaped") : $http->post($url, { content => $statement });
		my $ms = 1000 * (time - $began);
		die "ClickHouse: $said->{content}\n" if !$said->{success};
		return ($ms, [ map { [split /\t/, $_, -1] } split /\n/, $said->{content} ]);
	};
	return { name => 'ClickHouse', ask => $ask, statements('clickhouse') };
}

sub fill_clickhouse {
	my ($engine, $table, $statement) = @_;
	$engine->{ask}->($statement);
	system('curl', '-sS', '--fail-with-body', '-T', "$dir/csv/$table.csv", "${url}?query=INSERT+INTO+$table+FORMAT+CSV") == 0
		or die "ClickHouse did not take the rows of $table\n";
	$engine->{ask}->("OPTIMIZE TABLE $table FINAL");
	return;
}

# ---------------------------------------------------------------- DuckDB

# prepare ends a run before it begins where an engine is missing
sub prepare {
	for my $program (qw(clickhouse-server curl node npm)) {
		grep { -x "$_/$program" } split /:/, $ENV{PATH} or die "there is no $program on this machine: docs/speed-report.md says what this needs\n";
	}
	install_duckdb();
	return;
}

sub install_duckdb {
	make_path("$dir/node");
	return if -e "$dir/node/node_modules/\@duckdb/node-api";
	system("cd '$dir/node' && npm install --no-fund --no-audit --silent \@duckdb/node-api\@1.5.6-r.1 >npm.log 2>&1") == 0
		or die "npm did not install \@duckdb/node-api; what it said is in $dir/node/npm.log\n";
	return;
}

sub duckdb {
	local $ENV{NODE_PATH} = "$dir/node/node_modules";
	my $pid = open2(my $out, my $in, 'node', "$Bin/report_duckdb.js", "$dir/duckdb.file");
	$process{duckdb} = $pid;
	my $json = JSON::PP->new->allow_nonref;
	my $ask = sub {
		my ($statement) = @_;
		print $in $json->encode($statement), "\n";
		$in->flush;
		my $line = <$out> // die "DuckDB has ended; asked was: $statement\n";
		my $said = $json->decode($line);
		return ($said->{ms}, $said->{rows});
	};
	return { name => 'DuckDB', ask => $ask, statements('duckdb') };
}

sub fill_duckdb {
	my ($engine, $table, $statement) = @_;
	$engine->{ask}->($statement);
	$engine->{ask}->("COPY $table FROM '$dir/csv/$table.csv' (FORMAT csv, HEADER false)");
	return;
}

# ---------------------------------------------------------------- all of them

# forget the rows that the two have been given: others are in the database now
sub forget {
	remove_tree("$dir/clickhouse");
	unlink glob("$dir/duckdb.file*"), "$dir/filled";
	return;
}

# fill gives them the replica's rows; that they have all of them is noted, for a later run with --keep
sub fill {
	my ($clickhouse, $duckdb) = @_;
	make_path("$dir/csv");
	export($_) for sort keys %rows;
	for my $pair ([$clickhouse, \&fill_clickhouse], [$duckdb, \&fill_duckdb]) {
		my ($engine, $fill) = @$pair;
		my $began = time;
		$fill->($engine, $_, $engine->{statements}{$_}) for sort keys %rows;
		say_line('%s has taken the rows in %.0f s', $engine->{name}, time - $began);
	}
	$duckdb->{ask}->('CHECKPOINT');
	remove_tree("$dir/csv");
	open my $note, '>', "$dir/filled" or die "cannot write $dir/filled: $!\n";
	close $note;
	return;
}

sub start_all {
	($replica_port) = @_;
	my $filled = -e "$dir/filled";
	forget() if !$filled;
	start_clickhouse();
	my ($clickhouse, $duckdb) = (clickhouse(), duckdb());
	fill($clickhouse, $duckdb) if !$filled;
	return (postgres('plain SQL', 'plain'), postgres('roll-ups', 'rollup'), $clickhouse, $duckdb);
}

1;
