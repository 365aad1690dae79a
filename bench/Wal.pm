package Wal;

# Mode wal: bytes of WAL an order writes, by table and index, read back with pg_waldump. Full-page
# images are switched off meanwhile: how many there are depends on the last checkpoint, not on rows.
#
# Each comparison has a database of its own and runs until the ledger has twice the rows it began with.
# Leaves of an index with random keys fill in step, and so split in step: a doubling has one such wave.
use strict;
use warnings;
use Bench qw(goal make_database pgbench say_line script sql %option $dir);
use Scripts qw(order_mix);

my $database = 'wal';
my $clients = 4;
my $lines = 1.5;    # ledger rows an order

# what lies in which file: [schema, table, part]; part '' is the table itself, else its index or sequence
sub files {
	my %file;
	for (split /\n/, sql(q{
		SELECT pg_relation_filenode(c.oid), n.nspname, coalesce(p.relname, t.relname, d.relname, c.relname),
			CASE c.relkind WHEN 'i' THEN 'index ' || regexp_replace(pg_get_indexdef(c.oid), '^.* USING \w+ ', '')
				WHEN 'S' THEN 'sequence' ELSE '' END
		FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_index i ON i.indexrelid = c.oid
		LEFT JOIN pg_class t ON t.oid = i.indrelid
		LEFT JOIN pg_inherits h ON h.inhrelid = coalesce(i.indrelid, c.oid)
		LEFT JOIN pg_class p ON p.oid = h.inhparent
		LEFT JOIN pg_class d ON c.relkind = 'S' AND d.relname = replace(c.relname, '_id_seq', '') AND d.relnamespace = n.oid
		WHERE c.relkind IN ('r', 'i', 'S') AND n.nspname IN ('storesync', 'ordinary')}, $database))
	{
		my ($node, @what) = split /\|/, $_, -1;
		$file{$node} = \@what;
	}
	return \%file;
}

# bytes_of runs calls, each of which makes so many ledger rows, and adds up the bytes of their
# records: table => part => bytes a call
sub bytes_of {
	my ($rows, @args) = @_;
	my $calls = int(1.2 * $option{skus} / $rows / $clients);
	my %run = (args => \@args, sync => 'off', clients => $clients, database => $database);
	pgbench(%run, options => ['-t', int(0.2 * $calls)]);
	my $start = sql('SELECT pg_switch_wal(); SELECT pg_current_wal_insert_lsn()', $database) =~ s/.*\n//sr;
	my $count = pgbench(%run, options => ['-t', $calls])->{count};
	my $end = sql('SELECT pg_switch_wal()', $database);
	my $oid = sql("SELECT oid FROM pg_database WHERE datname = '$database'");
	my ($files, %bytes) = (files());
	open my $dump, '-|', 'pg_waldump', '-p', "$dir/data/pg_wal", '-s', $start, '-e', $end or die "no pg_waldump: $!\n";
	while (my $record = <$dump>) {
		my ($manager, $length) = $record =~ m{^rmgr: (\S+)\s+len \(rec/tot\):\s+\d+/\s*(\d+)} or die "unexpected: $record";
		my $what = ['', 'other', ''];
		$what = ['', 'commit', ''] if $manager eq 'Transaction';
		$what = $files->{$1} // $what if $record =~ m{rel \d+/$oid/(\d+)};
		$bytes{ $what->[1] }{ $what->[2] } += $length / $count;
	}
	close $dump;
	return \%bytes;
}

sub sum {
	my $total = 0;
	$total += $_ for @_;
	return $total;
}

# cell tells the parts of a table: its row first
sub cell {
	my ($parts) = @_;
	return join ', ', map { sprintf '%s %.0f', $_ eq '' ? 'row' : $_ =~ s/^index //r, $parts->{$_} } sort keys %$parts;
}

# show prints one comparison in Markdown and judges its groups
sub show {
	my ($title, $own, $other, @groups) = @_;
	say_line("\n**wal: %s, bytes of WAL each, without full-page images**\n", $title);
	say_line('| | storesync | by row and index | ordinary | by row and index | ratio |');
	say_line('| --- | ---: | --- | ---: | --- | ---: |');
	my %left = map { $_ => 1 } keys %$own, keys %$other;
	my @judged;
	for my $group (@groups, ['the rest']) {
		my ($name, @tables) = @$group;
		@tables = sort keys %left if !@tables;    # the last has what no other names
		my ($a, $b) = (0, 0);
		for my $table (grep { $left{$_} } @tables) {
			delete $left{$table};
			my ($x, $y) = (sum(values %{ $own->{$table} // {} }), sum(values %{ $other->{$table} // {} }));
			($a, $b) = ($a + $x, $b + $y);
			say_line('| %s | %.0f | %s | %.0f | %s | |', $table, $x, cell($own->{$table} // {}), $y, cell($other->{$table} // {}));
		}
		say_line('| **%s** | **%.0f** | | **%.0f** | | **%.2f** |', $name, $a, $b, $b > 0 ? $a / $b : 0);
		push @judged, ["wal, $title: $name", $a / $b] if $name =~ /,/;
	}
	say_line('');
	goal($_->[0], [$_->[1]], 'most', 0.75) for @judged;
	return;
}

# anew makes the database for a comparison
sub anew {
	sql("DROP DATABASE IF EXISTS $database", 'postgres');
	make_database($database);
	return;
}

sub run {
	sql('ALTER SYSTEM SET full_page_writes = off');
	sql('SELECT pg_reload_conf()');
	my @stock = ('key, stock, ledger, outbox', qw(idempotency stock stock_lock ledger outbox));
	anew();
	show('an order of 1 to 3 lines (1.5)',
		bytes_of($lines, order_mix('walown', 'storesync.ingest_order(1, ', $option{skus})),
		bytes_of($lines, order_mix('walpeer', 'ordinary.ingest(1, ', $option{skus})),
		\@stock, ['order, lines, history', qw(sales_order sales_order_line order_history)]);
	my $vars = "\\set n random(1, 4000000000000000000)\n\\set s random(1, $option{skus})\n";
	my $reference = "'phone order ' || :n::text";
	anew();
	show('a direct reservation',
		bytes_of(1, '-f', script('walreserve', $vars .
			"SELECT storesync.reserve('S' || :s::text, 1, storesync.new_key(), reference => $reference);\n")),
		bytes_of(1, '-f', script('walreservepeer', $vars .
			"SELECT ordinary.reserve('S' || :s::text, 1, gen_random_uuid()::text, $reference);\n")),
		\@stock, ['holder', qw(holder reservation)]);
	sql("DROP DATABASE $database", 'postgres');
	sql('ALTER SYSTEM RESET full_page_writes');
	sql('SELECT pg_reload_conf()');
	return;
}

1;
