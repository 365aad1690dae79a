package ReportAsk;

# The five questions to four engines in turn: that the answers are the same, and how long each takes.
use strict;
use warnings;
use FindBin qw($Bin);
use List::Util qw(max);
use Bench qw(sql say_line goal spread ratios note_raw %option $dir);
use ReportEngine;

# What each answer holds: words and whole numbers must be the same, "~x" may differ by x (of the larger, above 1).
my %columns = (
	1 => [ ('=') x 5 ],
	2 => [ '=', '=', ('~0.01') x 3 ],
	3 => [ '=', '=', '~0.0001', '~0.0001' ],
	4 => [ ('=') x 5 ],
	5 => [ '=', '=', '=', '~0.000001' ],
);

# Tables that hold what happened, and those that the roll-ups are
my @detail = qw(sales_order sales_order_line);
my @besides = qw(order_history ledger);
my @rollups = qw(sales_day sales_hour sku_block delay_day visit_day);

sub bytes {
	my (@tables) = @_;
	my $list = join ', ', map { "'$_'" } @tables;
	return sql("SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace " .
		"CROSS JOIN LATERAL pg_partition_tree(c.oid) t WHERE n.nspname = 'storesync' AND c.relkind = 'p' AND c.relname IN ($list)") +
		sql("SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace " .
		"WHERE n.nspname = 'storesync' AND c.relkind = 'r' AND c.relname IN ($list)");
}

# sizes: the roll-ups' beside that of orders and lines
sub sizes {
	say_line("\n| | MB |\n| --- | ---: |");
	say_line('| %s | %.1f |', $_, bytes($_) / 2**20) for @detail, @besides, @rollups;
	goal('size of the roll-ups, of orders and lines', [ bytes(@rollups) / bytes(@detail) ], 'most', 0.08);
	return;
}

# same: do two values agree within what the column allows?
sub same {
	my ($rule, $one, $other) = @_;
	return $one eq $other || ($one =~ /^-?\d/ && $other =~ /^-?\d+(\.0+)?$/ && $one == $other) if $rule eq '=';
	my ($limit) = $rule =~ /^~(.*)/;
	return 0 if grep { !/^-?\d/ } $one, $other;
	return abs($one - $other) <= $limit * max(1, abs $one, abs $other);
}

# differences counts the values of two answers that do not agree, and shows the first
sub differences {
	my ($question, $name, $rows, $expected) = @_;
	my $rules = $columns{$question};
	my @wrong;
	push @wrong, "@{[scalar @$rows]} rows, not @{[scalar @$expected]}" if @$rows != @$expected || @$rows == 0;
	for my $i (0 .. (@wrong ? -1 : $#$rows)) {
		for my $c (0 .. $#$rules) {
			push @wrong, "row @{[$i + 1]}, column @{[$c + 1]}: $rows->[$i][$c], not $expected->[$i][$c]"
				if !same($rules->[$c], $rows->[$i][$c], $expected->[$i][$c]);
		}
	}
	say_line('- question %d, %s: %d differences from plain SQL, the first: %s', $question, $name, scalar @wrong, $wrong[0]) if @wrong;
	return scalar @wrong;
}

# one_round asks every engine every question, beginning with another engine each time
sub one_round {
	my ($round, $engines, $times) = @_;
	my @turn = @$engines;
	push @turn, splice @turn, 0, $round % @turn;
	for my $question (sort keys %columns) {
		for my $engine (@turn) {
			my ($ms) = $engine->{ask}->($engine->{statements}{$question});
			next if $round == 0;
			push @{ $times->{$question}{ $engine->{name} } }, $ms;
			note_raw('ask', "question $question", $round, $engine->{name}, sprintf('%.1f', 1000 / $ms), sprintf('%.0f', 1000 * $ms));
		}
	}
	return;
}

sub check_answers {
	my ($engines) = @_;
	my $wrong = 0;
	for my $question (sort keys %columns) {
		my ($first, @others) = map { [ $_->{name}, ($_->{ask}->($_->{statements}{$question}))[1] ] } @$engines;
		$wrong += differences($question, $_->[0], $_->[1], $first->[1]) for @others;
	}
	return $wrong;
}

sub show_times {
	my ($engines, $times) = @_;
	my @names = map { $_->{name} } @$engines;
	say_line("\nMedian [least - greatest] of %d rounds, ms\n", $option{rounds});
	say_line('| | %s |', join ' | ', @names);
	say_line('| --- | %s |', join ' | ', ('---:') x @names);
	for my $question (sort keys %$times) {
		say_line('| %s | %s |', "$question $engines->[0]{titles}{$question}",
			join ' | ', map { sprintf '%.1f [%.1f - %.1f]', spread(@{ $times->{$question}{$_} }) } @names);
	}
	say_line('');
	return;
}

# judge: each question no slower than DuckDB, half of them in half its time, at most 1.5 times ClickHouse
sub judge {
	my ($times) = @_;
	my @halves;
	for my $question (sort keys %$times) {
		my $own = $times->{$question}{'roll-ups'};
		my @duck = ratios($own, $times->{$question}{DuckDB});
		goal("question $question: time, of DuckDB", \@duck, 'most', 1);
		goal("question $question: time, of ClickHouse", [ratios($own, $times->{$question}{ClickHouse})], 'most', 1.5);
		push @halves, (spread(@duck))[0] <= 0.5;
	}
	goal('questions in half of DuckDB\'s time', [scalar grep { $_ } @halves], 'least', @halves / 2);
	return;
}

# ask returns how many values differ
sub ask {
	my ($replica) = @_;
	my @engines = ReportEngine::start_all($replica);
	my $wrong = check_answers(\@engines);
	say_line("\n%s", $wrong ? "$wrong VALUES DIFFER" : 'All engines give the same answers.');
	my %times;
	one_round($_, \@engines, \%times) for 0 .. $option{rounds};
	show_times(\@engines, \%times);
	judge(\%times);
	ReportEngine::stop_all();
	return $wrong;
}

1;
