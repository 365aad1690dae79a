package Flat;

# Mode flat: is an order as cheap with a full ledger as with an empty one? A database for each size,
# filled by pages of orders through storesync itself, and all of them measured in the same rounds.
use strict;
use warnings;
use List::Util qw(min);
use Bench qw(compare make_database pgbench say_line settle sql %option);
use Scripts qw(order_mix page_of);

my $rows_a_page = 75;
my $step = 2_000_000;    # rows between checkpoints, or the WAL would fill the disk

# fill books pages of orders until the ledger has so many rows
sub fill {
	my ($database, $rows) = @_;
	for (my $left = $rows; $left > 0; $left -= $step) {
		my $pages = int(min($left, $step) / $rows_a_page / 4 + 0.999);
		printf STDERR "\r%-100s", "flat: filling $database, $left rows to go" if -t STDERR;
		pgbench(args => [page_of('fill', 'count(*) FROM storesync.ingest_orders(1, ', $option{skus})], per => 50, sync => 'off',
			clients => 4, options => ['-t', $pages], database => $database);
		sql('CHECKPOINT', $database);
	}
	settle($database);
	return;
}

sub run {
	my @sizes = (0, 1_000_000, $option{large} ? 10_000_000 : ());
	my @variants;
	for my $rows (@sizes) {
		my $database = "flat$rows";
		make_database($database);
		fill($database, $rows);
		push @variants, {
			name => sprintf('%s ledger rows', sql('SELECT count(*) FROM storesync.ledger', $database)), database => $database,
			args => [order_mix('flat', 'storesync.ingest_order(1, ', $option{skus})],
		};
	}
	my @goals = map { ["rate with $_->{name}, of none", 'rate', $_->{name}, $variants[0]{name}, 'least', 0.9] }
		@variants[1 .. $#variants];
	compare('flat', map { {
		title => "synchronous_commit $_, 8 clients", short => $_, sync => $_, clients => 8,
		variants => [map { { %$_ } } @variants], goals => \@goals,
	} } 'on', 'off');
	my $broken = sql('SELECT count(*) FROM storesync.check_invariants()', 'flat1000000');
	say_line('- check_invariants() with 1 million ledger rows finds %d', $broken);
	sql("DROP DATABASE $_->{database}", 'postgres') for @variants;
	return;
}

1;
