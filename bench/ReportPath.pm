package ReportPath;

# The order path with roll-ups and without: the same orders in a database whose SQL has roll-ups, beside a session
# that folds every second, and in one of the last release without them (1.0), for which the library tells nobody
# of sales.
use strict;
use warnings;
use Bench qw(sql settle say_line goal spread ratios pgbench note_raw undisturbed %option $dir);
use ReportLoad;
use Scripts qw(order_mix);

my @database = qw(unfolded folded);
my $folder;    # the client that folds, while there is one: it would go on by itself

END {
	my $status = $?;
	kill 'TERM', $folder if $folder;
	$? = $status;
}

# cpu_of: seconds of CPU that a process has used
sub cpu_of {
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/schedstat" or die "cannot read what process $pid has used: $!\n";
	return (split ' ', <$file>)[0] / 1e9;
}

# start_folding: a session that folds once a second, the process of its server
sub start_folding {
	my $pid = open my $psql, '|-', "PGAPPNAME=folding exec psql -XAtq -v ON_ERROR_STOP=1 -o /dev/null -d folded 2>'$dir/folding.log'" or die "could not run psql: $!\n";
	$folder = $pid;
	print {$psql} "SELECT storesync.roll_up_step()\n\\watch 1\n";
	$psql->flush;
	my $server = wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'folding'");
	return ($psql, $server);
}

sub wait_for {
	my ($query) = @_;
	for (my $wait = 0; $wait < 6000; $wait++) {
		my $answer = sql($query, 'postgres');
		return $answer if $answer;
		select undef, undef, undef, 0.02;
	}
	die "nothing came of: $query\n";
}

# book: orders for some seconds; CPU: what they cost, and what folding all of them did
sub book {
	my ($folding) = @_;
	my ($psql, $server) = $folding ? start_folding() : ();
	my $before = $folding ? cpu_of($server) : 0;
	my $r;
	undisturbed(sub { $r = pgbench(database => $database[$folding], clients => $option{clients}, sync => 'on', held => $folding,
		args => [order_mix('path', 'storesync.ingest_order(1, ', $option{skus})]) });
	return $r if !$folding;
	my $ended = sql('SELECT clock_timestamp()', 'postgres');
	wait_for("SELECT pid FROM pg_stat_activity WHERE pid = $server AND state = 'idle' AND query_start > '$ended'");
	my ($all) = $r->{out} =~ /actually processed: (\d+)/;
	$r->{folding} = 1e6 * (cpu_of($server) - $before) / $all;
	$r->{cpu} += $r->{folding};
	sql("SELECT pg_terminate_backend($server)", 'postgres');
	close $psql;
	$folder = undef;
	wait_for("SELECT true WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $server)");
	return $r;
}

# round: each twice, one inside the other, so that what changes steadily meanwhile is the same for both
sub round {
	my ($round) = @_;
	my @sums = map { { seconds => 0, cpu => 0, folding => 0 } } 0, 1;
	my @turn = $round % 2 ? (1, 0, 0, 1) : (0, 1, 1, 0);
	for my $folding (@turn) {
		my $r = book($folding);
		$sums[$folding]{seconds} += 1 / $r->{rate} / 2;
		$sums[$folding]{$_} += ($r->{$_} // 0) / 2 for qw(cpu folding);
	}
	return map { { rate => 1 / $_->{seconds}, cpu => $_->{cpu}, folding => $_->{folding} } } @sums;
}

sub compare_paths {
	my %figures;
	ReportLoad::stocked('unfolded', '1.0');
	ReportLoad::stocked('folded');
	sql('CALL storesync.roll_up()', 'folded');
	for my $round (0 .. $option{rounds}) {
		my @done = round($round);
		next if $round == 0;
		for my $folding (0, 1) {
			my $r = $done[$folding];
			push @{ $figures{$_}[$folding] }, $r->{$_} for qw(rate cpu folding);
			note_raw('path', 'orders', $round, $database[$folding], sprintf('%.1f', $r->{rate}), sprintf('%.2f', $r->{cpu}));
		}
	}
	say_line("\nOrders, %d clients, synchronous_commit on\n\n| | a second | server CPU an order, us |\n| --- | ---: | ---: |", $option{clients});
	say_line('| %s | %.0f [%.0f - %.0f] | %.1f [%.1f - %.1f] |', $_ ? 'with roll-ups, folding included' : 'without',
		spread(@{ $figures{rate}[$_] }), spread(@{ $figures{cpu}[$_] })) for 0, 1;
	say_line("\nOf that folding: %.1f [%.1f - %.1f] us an order\n", spread(@{ $figures{folding}[1] }));
	goal('orders: rate with roll-ups, of without', [ratios($figures{rate}[1], $figures{rate}[0])], 'least', 0.97);
	goal('orders: CPU without roll-ups, of with', [ratios($figures{cpu}[0], $figures{cpu}[1])], 'least', 0.97);
	sql("DROP DATABASE $_", 'postgres') for @database;
	return;
}

1;
