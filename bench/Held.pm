package Held;

# Mode held: a hot SKU while another session keeps a snapshot, as a dump, a report or a replica with
# feedback does. Every version written since then stays; whoever walks past them gets slower.
#
# Beside the orders runs what a dispatcher writes for the SKU's twelve listings, five pushes a second
# each, so that its own rows grow dead versions too.
use strict;
use warnings;
use Scripts qw(direct_calls);
use Bench qw(goal hold_snapshot note_raw pgbench say_line script settle sql %option $dir);

my $listings = 12;
my $stretch = 5;    # seconds at either end
my $first;          # of the listings of storesync, whose numbers follow each other

sub prepare {
	sql("SELECT storesync.add_store('shopee', (1 + i)::text, 'bench ' || i) FROM generate_series(1, $listings - 1) i");
	sql("UPDATE storesync.store SET mode = 'off'");
	sql("SELECT storesync.add_listing(store_id, 'S1', 'H1') FROM storesync.store ORDER BY store_id");
	sql('INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at) ' .
		'SELECT listing_id, 1, 1, storesync.current_incarnation(), now(), now() FROM storesync.listing WHERE item_id = \'H1\'');
	sql("SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => 'P'), ordinary.reserve('S1', 1, 'held', 'P')");
	sql("INSERT INTO ordinary.listing SELECT -i, i, 'H1', 'S1' FROM generate_series(1, $listings) i");
	$first = sql("SELECT min(listing_id) FROM storesync.listing WHERE item_id = 'H1'");
	settle('bench');
	return;
}

# An order of one unit of S1, sold by the listing of store 1.
sub order {
	my ($call) = @_;
	my $document = '{"order_sn": "H%s","status": "ready_to_ship","create_time": :start,"update_time": :start,' .
		'"fetched_at": :start,"lines": [{"line_id":"1","item_id":"H1","sku":"S1","qty": 1,"unit_price": 199}]}';
	return "\\set n random(1, 4000000000000000000)\nSELECT ${call}format('$document', :n::text)::jsonb);\n";
}

sub subjects {
	my $listing = "\\set l random($first, $first + $listings - 1)\n";
	my $ordinary = "\\set l random(-$listings, -1)\n";
	return (
		{
			name => 'storesync',
			what => 'orders',
			calls => order('storesync.ingest_order(1, '),
			own => q(SELECT * FROM storesync.stock k WHERE k.sku_id = (SELECT sku_id FROM storesync.sku WHERE code = 'S1')),
			push => $listing . "UPDATE storesync.listing_shown SET sending_qty = 7 WHERE listing_id = :l;\n" .
				"UPDATE storesync.listing_shown SET sending_qty = NULL, acked_qty = 7, acked_version = acked_version + 1, " .
				"sent_at = clock_timestamp(), written_at = clock_timestamp() WHERE listing_id = :l;\n",
			readers => [
				['available()', "SELECT storesync.available('S1');\n"],
				['dispatcher: a listing', $listing . "SELECT * FROM storesync.listing_target WHERE listing_id = :l;\n"],
				['plain reader: stock', "SELECT on_hand, reserved FROM storesync.stock WHERE sku_id = :sku;\n"],
			],
		},
		{
			name => 'ordinary layout',
			what => 'orders',
			calls => order('ordinary.ingest(1, '),
			own => q(SELECT * FROM ordinary.stock WHERE sku = 'S1'),
			push => $ordinary . "UPDATE ordinary.listing SET acked_qty = acked_qty WHERE listing_id = :l;\n" .
				"UPDATE ordinary.listing SET acked_qty = 7, sent_at = clock_timestamp() WHERE listing_id = :l;\n",
			readers => [
				['stock less reserved', "SELECT on_hand - reserved FROM ordinary.stock WHERE sku = 'S1';\n"],
				['dispatcher: a listing', $ordinary . 'SELECT l.acked_qty, s.on_hand - s.reserved FROM ordinary.listing l ' .
					"JOIN ordinary.stock s ON s.sku = l.sku WHERE l.listing_id = :l;\n"],
			],
		},
		map { {
			name => $_->[0], what => 'reserve, release', per => 2,
			calls => direct_calls($_->[1], q('S1'), q('P')),
		} } ['storesync', 'storesync'], ['ordinary layout', 'ordinary']);
}

# readers: what each of the subject's readers reaches now
sub readers {
	my ($s, $held) = @_;
	my $sku = sql(q{SELECT sku_id FROM storesync.sku WHERE code = 'S1'});
	return map {
		my ($name, $text) = @$_;
		pgbench(args => ['-D', "sku=$sku", '-f', script('reader', $text)], sync => 'off', clients => 8, seconds => 2, held => $held)
	} @{ $s->{readers} // [] };
}

# row shows one line of the table and judges it: at least half of the rate without, and flat
sub row {
	my ($subject, $what, $none, $first, $last) = @_;
	say_line('| %-15s | %-22s | %6.0f | %6.0f | %6.0f | %7.1f | %7.1f | %7.1f |', $subject, $what,
		(map { $_->{rate} } $none, $first, $last), map { $_->{cpu} } $none, $first, $last);
	note_raw('held', $what, $_->[0], $subject, sprintf('%.1f', $_->[1]{rate}), sprintf('%.2f', $_->[1]{cpu}))
		for ['none', $none], ['first', $first], ['last', $last];
	return ["held, $what", $last->{rate} / $none->{rate}, $last->{rate} / $first->{rate}];
}

# start_pushes runs a client that writes what a dispatcher would, and returns its process
sub start_pushes {
	my ($text) = @_;
	my $file = script('pushes', $text);
	my $pid = fork // die "could not fork: $!\n";
	return $pid if $pid;
	open STDOUT, '>', "$dir/pushes.log";
	open STDERR, '>&', \*STDOUT;
	exec qw(pgbench -n -M prepared -c 1), '-R', 5 * $listings, '-T', $option{hold} + 600, '-f', $file, 'bench';
}

# measure returns what its goals are judged by, once it has shown its lines of the table
sub measure {
	my ($s) = @_;
	my @calls = ('-f', script('held', $s->{calls}));
	my $held = 0;
	my $calls = sub {
		my ($seconds) = @_;
		return pgbench(args => \@calls, per => $s->{per}, sync => 'off', clients => 8, seconds => $seconds, held => $held);
	};
	my $pushes = $s->{push} ? start_pushes($s->{push}) : undef;
	$held++ if $pushes;
	my @none = ($calls->($stretch), readers($s, $held));
	my ($ask, $release) = hold_snapshot();
	$held++;
	my @first = ($calls->($stretch), readers($s, $held));
	$calls->($option{hold} - 2 * $stretch - 1) if $option{hold} > 2 * $stretch + 1;
	my @last = ($calls->($stretch), readers($s, $held));
	if ($pushes) {
		kill 'TERM', $pushes;
		waitpid $pushes, 0;
	}
	my @names = ("$s->{what}, 8 clients", map { $_->[0] } @{ $s->{readers} // [] });
	my @judged = map { row($s->{name}, $names[$_], $none[$_], $first[$_], $last[$_]) } 0 .. $#names;
	if ($s->{own}) {
		my $plan = $ask->("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) $s->{own}");
		my ($hit) = $plan =~ /Buffers: shared hit=(\d+)/;
		my ($ms) = $plan =~ /Execution Time: ([\d.]+)/;
		say_line('| %-15s | the holder itself, once | | | | | | %.2f ms, %d buffers |', $s->{name}, $ms, $hit // 0);
	}
	$release->();
	return @judged;
}

sub run {
	prepare();
	say_line("\n**held: a hot SKU, synchronous_commit off, a snapshot held for %d s of orders; a second, then server CPU us**\n", $option{hold});
	say_line("| | | none held | first $stretch s | last $stretch s | CPU, none | first | last |");
	say_line('| --- | ---' . ' | ---:' x 6 . ' |');
	my @judged = map { my @all = measure($_); $_->{name} eq 'storesync' ? @all : () } subjects();
	say_line('');
	for (@judged) {
		goal("$_->[0]: last, of none held", [$_->[1]], 'least', 0.5);
		goal("$_->[0]: last, of first", [$_->[2]], 'least', 0.9);
	}
	return;
}

1;
