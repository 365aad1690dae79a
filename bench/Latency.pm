package Latency;

# Mode latency: how long an order of three lines takes when 320 a second are offered by 8 clients.
# Times run from the moment that an order was due (pgbench -R), so waiting for a client counts.
use strict;
use warnings;
use Bench qw(goal note_raw pgbench say_line script spread %option $dir);
use Scripts qw(order_of);

my $rate = 320;

# percentile of sorted values, by nearest rank
sub percentile {
	my ($sorted, $part) = @_;
	return $sorted->[int($part * @$sorted + 0.999999) - 1];
}

# latencies reads milliseconds out of pgbench's logs, but for those of the first second
sub latencies {
	my ($prefix) = @_;
	my (@rows, @ms);
	for my $file (glob "$prefix.*") {
		open my $log, '<', $file or die "cannot read $file: $!\n";
		push @rows, map { [(split ' ')[2, 4, 5]] } <$log>;
		unlink $file;
	}
	my $start;
	for (@rows) {
		my $at = $_->[1] + $_->[2] / 1e6;
		$start = $at if !defined $start or $at < $start;
	}
	@ms = map { $_->[0] / 1000 } grep { $_->[1] + $_->[2] / 1e6 > $start + 1 } @rows;
	return [sort { $a <=> $b } @ms];
}

sub run {
	my @variants = (
		{ name => 'storesync', script => script('late', order_of('storesync.ingest_order(1, ', 3, $option{skus})) },
		{ name => 'PL/pgSQL function', script => script('latepeer', order_of('ordinary.ingest(1, ', 3, $option{skus})) },
	);
	my $seconds = 2 * $option{seconds};
	for my $round (1 .. $option{rounds}) {
		for my $v ($round % 2 ? @variants : reverse @variants) {
			my $r = pgbench(args => ['-f', $v->{script}], sync => 'on', clients => 8, seconds => $seconds,
				options => ['-R', $rate, '-l', '--log-prefix', "$dir/latency"]);
			my $ms = latencies("$dir/latency");
			push @{ $v->{$_} }, percentile($ms, $_ / 100) for 50, 95, 99;
			note_raw('latency', "p99 ms at $rate/s", $round, $v->{name}, sprintf('%.2f', $v->{99}[-1]), sprintf('%.2f', $r->{cpu}));
		}
	}
	say_line("\n**latency: %d orders of 3 lines a second offered by 8 clients, synchronous_commit on, ms**\n", $rate);
	say_line("| | p50 | p95 | p99 |\n| --- | ---: | ---: | ---: |");
	say_line('| %-20s' . ' | %5.2f [%5.2f - %5.2f]' x 3 . ' |', $_->{name}, map { spread(@$_) } @{$_}{50, 95, 99}) for @variants;
	say_line('');
	goal('latency, p99 ms', $variants[0]{99}, 'most', 12);
	return;
}

1;
