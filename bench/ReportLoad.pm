package ReportLoad;

# Two years through ingest_orders(), month by month. Beside each month its pages once more in a database without any
# order: what differs is the history. Beside each quarter bench/orders' pages in such a database.
use strict;
use warnings;
use FindBin qw($Bin);
use Bench qw(sql settle say_line goal spread pgbench reaped_cpu note_raw undisturbed wait_for_sessions %option $dir);
use Scripts qw(page_of);

my $program = "$Bin/../.build/bench/report_load";
my $months = 24;

# platform and time zone of the stores 1 to 12, and the share of the orders that bench/report_orders.c gives them
my @stores = ((['shopee', 'Asia/Taipei']) x 5, (['ruten', 'Asia/Taipei']) x 4, (['pchome', 'Asia/Taipei']) x 2, ['pchome', 'America/New_York']);

sub load_average {
	open my $file, '<', '/proc/loadavg' or return 'unknown';
	return (split ' ', <$file>)[0];
}

sub run {
	my (@words) = @_;
	open my $out, '-|', $program, @words or die "could not run $program: $!\n";
	local $/;
	my $said = <$out> // '';
	close $out or die "failed: $program @words\n";
	return $said;
}

# catalogue makes a database with the stores and SKUs, by the SQL of a release, or the newest
sub catalogue {
	my ($name, $release) = @_;
	sql("DROP DATABASE IF EXISTS $name", 'postgres');
	sql("CREATE DATABASE $name", 'postgres');
	sql('CREATE EXTENSION storesync' . ($release ? " VERSION '$release'" : ''), $name);
	sql("UPDATE storesync.platform SET base_url = 'http://127.0.0.1:9'", $name);
	for my $i (0 .. $#stores) {
		my ($platform, $zone) = @{ $stores[$i] };
		sql("SELECT storesync.add_store('$platform', '$i', 'store ' || @{[$i + 1]})", $name);
		sql("UPDATE storesync.store SET mode = 'off', timezone = '$zone' WHERE store_id = @{[$i + 1]}", $name);
	}
	sql("SELECT count(storesync.add_sku('S' || i, 'product ' || i)) FROM generate_series(1, $option{skus}) i", $name);
	return;
}

# stocked makes one with stock for all orders that may come
sub stocked {
	my ($name, $release) = @_;
	catalogue($name, $release);
	sql("SELECT count(storesync.receive('S' || i, 1000000000, storesync.new_key())) FROM generate_series(1, $option{skus}) i", $name);
	settle($name);
	return;
}

# prepare: `bench` for the two years, and `blank`, of which `empty` is a copy whenever it is needed. Roll-ups have begun
# in both: what is booked tells them.
sub prepare {
	my ($library) = @_;
	my $clock = "CREATE FUNCTION public.report_clock(timestamptz) RETURNS boolean LANGUAGE c STRICT VOLATILE AS '$library'";
	catalogue('bench', $option{release});
	stocked('blank', $option{release});
	for my $name (qw(bench blank)) {
		sql($clock, $name);
		roll_up($name, 0) if !$option{release};
	}
	touch_buffers();
	settle('bench');
	return;
}

# touch_buffers: the memory of shared_buffers is the server's once it has been written. Whoever takes a buffer first
# would pay for that, and `empty` takes those that the one before it has left.
sub touch_buffers {
	sql('CREATE UNLOGGED TABLE filler (page text); ALTER TABLE filler ALTER page SET STORAGE plain');
	sql("INSERT INTO filler SELECT repeat('x', 8000) FROM generate_series(1, (SELECT setting::int FROM pg_settings WHERE name = 'shared_buffers'))");
	sql('DROP TABLE filler');
	return;
}

sub make_empty {
	sql('DROP DATABASE IF EXISTS empty', 'postgres');
	sql('CREATE DATABASE empty TEMPLATE blank', 'postgres');
	return;
}

# page_rate: bench/orders' page of 50 orders, in a database without orders
sub page_rate {
	make_empty();
	sql('CHECKPOINT', 'postgres');
	my $r;
	undisturbed(sub { $r = pgbench(database => 'empty', clients => $option{clients}, sync => 'on', per => 50,
		args => [page_of('pages', 'count(*) FROM storesync.ingest_orders(1, ', $option{skus})]) });
	return $r;
}

# book_month: what a month's pages cost in a database
sub book_month {
	my ($name, $month) = @_;
	local $ENV{PGDATABASE} = $name;
	sql('CHECKPOINT', 'postgres');
	my $said;
	my $cpu = timed(sub { undisturbed(sub { $said = run('orders', $month, @option{qw(scale seed clients)}) }) });
	my %sum;
	@sum{qw(orders lines documents seconds)} = split ' ', $said;
	return { %sum, cpu => $cpu };
}

# month: goods in, then its pages; the same in the empty database, before it or after it in turn
sub month {
	my ($month) = @_;
	run('receive', $month, @option{qw(scale seed clients)});
	my %done;
	for my $name ($option{alone} ? 'bench' : $month % 2 ? qw(empty bench) : qw(bench empty)) {
		make_empty() if $name eq 'empty';
		$done{$name} = book_month($name, $month);
	}
	return grep { defined } @done{qw(bench empty)};
}

# visits are the seller's own figures, or the platform's
sub visits {
	open my $psql, '|-', 'psql', '-XAtq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-c', 'CREATE TEMP TABLE visits (store int, day date, visits bigint)',
		'-c', '\copy visits FROM pstdin', '-c', 'SELECT count(storesync.ingest_visits(store, day, visits)) FROM visits' or die "could not run psql: $!\n";
	print {$psql} map { run('visits', $_, $option{scale}, $option{seed}) } 0 .. $months - 1;
	close $psql or die "visits were not taken\n";
	return;
}

# timed CODE: seconds of CPU of the sessions that it makes and ends
sub timed {
	my ($code) = @_;
	wait_for_sessions(0);
	my $cpu = reaped_cpu();
	$code->();
	wait_for_sessions(0);
	return reaped_cpu() - $cpu;
}

# statements in one session, as the clock is the session's
sub in_session {
	my ($name, @statements) = @_;
	system('psql', '-XAtq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $name, map { ('-c', $_) } @statements) == 0 or die "failed: @statements\n";
	return;
}

# clock_after: sets a session's clock to the end of those months: a later one would put what the next months book behind the pass
sub clock_after {
	my ($number) = @_;
	return "SELECT public.report_clock(timestamptz '2024-03-01 00:00+08' + interval '$number months')";
}

# roll_up: what roll_up() does, but that the stock is that of the end of those months. Of sales the clock says nothing.
sub roll_up {
	my ($name, $number) = @_;
	my $all = 'DO $$ BEGIN WHILE storesync.%s() LOOP COMMIT; END LOOP; END $$';
	in_session($name, sprintf($all, 'roll_up_step'), $number ? (clock_after($number), sprintf($all, 'roll_up_stock_step')) : ());
	return;
}

# maintain drops what is not needed any more after a quarter: days of the outbox that are folded, keys past their horizon
sub maintain {
	my ($number) = @_;
	in_session('bench', clock_after(3 * ($number + 1)), 'CALL storesync.maintain()');
	return;
}

# book_quarter: the sums of its months, in the two databases
sub book_quarter {
	my ($number) = @_;
	my @sums = map { { map { $_ => 0 } qw(orders lines documents seconds cpu) } } 0, 1;
	for my $month (map { 3 * $number + $_ } 0 .. 2) {
		printf STDERR "\r%-60s", "month @{[$month + 1]} of $months" if -t STDERR;
		my @figures = month($month);
		for my $i (0 .. $#figures) {
			$sums[$i]{$_} += $figures[$i]{$_} for keys %{ $sums[$i] };
		}
	}
	for (grep { $_->{documents} } @sums) {
		$_->{rate} = $_->{documents} / $_->{seconds};
		$_->{us} = 1e6 * $_->{cpu} / $_->{documents};
	}
	return @sums;
}

# cell of a table: a dash for what was not measured
sub cell {
	my ($format, $value) = @_;
	return defined $value ? sprintf($format, $value) : '-';
}

# quarter of a year: what its months cost together, there and in the empty database, and what folding them did
sub quarter {
	my ($number) = @_;
	my ($sum, $same) = book_quarter($number);
	my $folding = $option{release} ? 0 : timed(sub { roll_up('bench', 3 * ($number + 1)) });
	maintain($number);
	my $pages = $option{alone} ? {} : page_rate();
	my @others = map { cell('%.0f', $_->[0]), cell('%.1f', $_->[1]) } [@$same{qw(rate us)}], [@$pages{qw(rate cpu)}];
	say_line('| %d | %d | %d | %.0f | %.1f | %.1f | %s | %s | %s | %s | %s |', $number + 1, @$sum{qw(documents lines rate us)},
		1e6 * $folding / $sum->{documents}, @others, load_average());
	my @raw = (['two years', @$sum{qw(rate us)}], ['the same, empty', @$same{qw(rate us)}], ['bench/orders', @$pages{qw(rate cpu)}]);
	note_raw('load', 'pages', $number + 1, $_->[0], cell('%.1f', $_->[1]), cell('%.2f', $_->[2])) for @raw;
	return { rate => $sum->{rate}, cpu => $sum->{us}, folding => $folding / $sum->{cpu}, same => $same, pages => $pages };
}

sub count_skus {
	chomp($option{skus} = run('skus', $option{scale}));
	return;
}

sub load {
	my ($library) = @_;
	prepare($library);
	say_line("\nLoading, in quarters of a year, %d clients, synchronous_commit on; the same pages in an empty database; bench/orders' pages in one\n", $option{clients});
	say_line('| quarter | documents | lines | a second | server CPU, us | folding them, us | empty: a second | server CPU, us ' .
		'| bench/orders: a second | server CPU, us | load average |');
	say_line('| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
	my @quarters;
	for my $number (0 .. 7) {
		settle('bench');
		push @quarters, quarter($number);
	}
	printf STDERR "\r%-60s\r", '' if -t STDERR;
	sql("DROP DATABASE IF EXISTS $_", 'postgres') for qw(empty blank);
	judge(@quarters);
	return;
}

sub judge {
	my (@quarters) = @_;
	my ($first) = spread(map { $_->{cpu} } @quarters[0, 1]);
	say_line('');
	goal('load: CPU a document in the last half year, of the first', [map { $_->{cpu} / $first } @quarters[6, 7]], 'most', 1.1);
	goal('load: CPU of folding the roll-ups, of booking', [map { $_->{folding} } @quarters], 'most', 0.03) if !$option{release};
	return if $option{alone};
	goal('load: rate, of the same pages in an empty database', [map { $_->{rate} / $_->{same}{rate} } @quarters], 'least', 1);
	goal('load: CPU a document, of the same pages in an empty database', [map { $_->{cpu} / $_->{same}{us} } @quarters], 'most', 1);
	goal("load: rate, of bench/orders' pages in an empty database", [map { $_->{rate} / $_->{pages}{rate} } @quarters], 'least', 1);
	goal("load: CPU a document, of bench/orders' pages in an empty database", [map { $_->{cpu} / $_->{pages}{cpu} } @quarters], 'most', 1);
	return;
}

# fold brings the roll-ups up to date, and says what that took; visits come in before it
sub fold {
	sql('ALTER EXTENSION storesync UPDATE') if $option{release};
	visits() if !sql('SELECT count(*) FROM storesync.visit_day');
	settle('bench');
	my $began = time;
	my $cpu = timed(sub { roll_up('bench', $months) });
	say_line("\n%s: %.1f s of CPU, %d s", $option{release} ? 'The roll-ups, made from the orders' : 'The rest of the roll-ups', $cpu, time - $began);
	settle('bench');
	return;
}

1;
