package Rates;

# Modes uniform, hot, page, replay and direct: how many a second, and what one costs.
use strict;
use warnings;
use Bench qw(compare goal pgbench say_line script settle sql spread %option);
use Scripts qw(order_mix page_of client_mix direct_calls);

my ($own, $peer, $client) = ('storesync', 'PL/pgSQL function', 'client-side transaction');
my ($select, $update, $insert, $empty) =
	('floor: SELECT by key', 'floor: conditional UPDATE', 'floor: single-row INSERT', 'floor: empty C function');

sub floors {
	my ($range) = @_;
	my $sku = "\\set s random(1, $range)\n";
	return (
		{ name => $update, args => ['-f', script("update$range", $sku . 'UPDATE ordinary.stock SET reserved = reserved + 1 ' .
			"WHERE sku = 'S' || :s::text AND location_id = 1 AND on_hand > reserved;\n")] },
		{ name => $insert, args => ['-f', script('insert', "INSERT INTO ordinary.outbox (payload) VALUES ('{}');\n")] },
		{ name => $select, args => ['-f', script("select$range",
			$sku . "SELECT on_hand FROM ordinary.stock WHERE sku = 'S' || :s::text AND location_id = 1;\n")] },
		{ name => $empty, args => ['-f', script('empty', "SELECT pg_catalog.pg_backend_pid();\n")] },
	);
}

# booking: the three ways of booking an order on SKUs of 1..range
sub booking {
	my ($range) = @_;
	return (
		{ name => $own, args => [order_mix("own$range", 'storesync.ingest_order(1, ', $range)] },
		{ name => $peer, args => [order_mix("peer$range", 'ordinary.ingest(1, ', $range)] },
		{ name => $client, args => [client_mix("client$range", $range)] },
	);
}

sub configuration {
	my ($sync, $clients, $variants, $goals) = @_;
	return {
		title => "synchronous_commit $sync, $clients clients", short => "$sync, $clients clients", sync => $sync, clients => $clients,
		variants => $variants, goals => $goals,
	};
}

sub uniform {
	my @all;
	for my $clients (@{ $option{clients} }) {
		my @goals = (['CPU, of PL/pgSQL', 'cpu', $own, $peer, 'most', 0.75],
			['rate, of PL/pgSQL', 'rate', $own, $peer, 'least', $clients >= 32 ? 1.4 : 1.2]);
		push @goals, ['rate, of the client-side transaction', 'rate', $own, $client, 'least', 3] if $clients >= 32;
		my @floors = floors($option{skus});
		splice @floors, 1 if $clients >= 32;
		push @all, configuration('on', $clients, [booking($option{skus}), @floors], \@goals);
		push @all, configuration('off', $clients, [(booking($option{skus}))[0, 1]],
			[['rate, of PL/pgSQL', 'rate', $own, $peer, 'least', 1.4]]);
	}
	compare('uniform', @all);
	return;
}

sub hot {
	my @all;
	for my $clients (@{ $option{clients} }) {
		for my $sync (qw(on off)) {
			my @variants = $sync eq 'on' ? (booking(1), (floors(1))[0]) : (booking(1))[0, 1];
			push @all, configuration($sync, $clients, \@variants, [['rate, of PL/pgSQL', 'rate', $own, $peer, 'least', 1]]);
		}
	}
	compare('hot', @all);
	return;
}

sub page {
	my @all;
	for my $range ($option{skus}, 1) {
		my ($single, $set, $pages) = ('PL/pgSQL, one order a commit', 'one SQL statement a page', 'storesync, page of 50');
		push @all, {
			title => ($range == 1 ? 'one hot SKU' : 'uniform') . ', synchronous_commit on, 8 clients',
			short => $range == 1 ? 'hot' : 'uniform', sync => 'on', clients => 8,
			variants => [
				{ name => $pages, per => 50, args => [page_of("pages$range", 'count(*) FROM storesync.ingest_orders(1, ', $range)] },
				{ name => $set, per => 50, args => [page_of("set$range", 'ordinary.ingest_page(1, ', $range)] },
				{ name => $single, args => [order_mix("peer$range", 'ordinary.ingest(1, ', $range)] },
			],
			goals => [['rate, of PL/pgSQL one order a commit', 'rate', $pages, $single, 'least', 6],
				['rate, of the set-based statement', 'rate', $pages, $set, 'least', 1]],
		};
	}
	compare('page', @all);
	return;
}

# replay: a key that is known, and a document that is; how much WAL that writes
sub replay {
	my $key = sql('SELECT storesync.new_key()');
	sql("SELECT storesync.receive('S1', 1, '$key')");
	my $known = q({"order_sn": "K%s","status": "ready_to_ship","create_time": :start,"update_time": :start,) .
		q("fetched_at": :start,"lines": [{"line_id":"1","sku":"S1","qty": 1}]});
	my $call = "storesync.ingest_order(1, format('$known', i)::jsonb)";
	my $document = script('known', "\\set i random(1, 1000)\nSELECT $call;\n" =~ s/, i\)/, :i::text)/r);
	sql("SELECT count($call) FROM generate_series(1, 1000) i" =~ s/:start/time/ger);
	sql("SELECT ordinary.reserve('S1', 1, 'K', 'R')");
	my $name = 'storesync, replay of a key';
	my %variant = (    # name => arguments of pgbench
		$name => ['-f', script('replay', "SELECT storesync.receive('S1', 1, '$key'::storesync.idempotency_key);\n")],
		'storesync, known order, nothing new' => ['-f', $document],
		'PL/pgSQL, replay of a key' => ['-f', script('replaypeer', "SELECT ordinary.reserve('S1', 1, 'K', 'R');\n")],
		$select => ['-f', script('keyselect', "SELECT response FROM ordinary.idempotency WHERE idempotency_key = 'K';\n")],
	);
	pgbench(args => $variant{$_}, sync => 'on', clients => 1, options => ['-t', 1]) for sort keys %variant;
	settle('bench');
	say_line('');
	for my $call (sort keys %variant) {
		my $before = sql('SELECT pg_current_wal_insert_lsn()');
		my $r = pgbench(args => $variant{$call}, sync => 'on', clients => 8, options => ['-t', 2000]);
		my $bytes = sql("SELECT pg_current_wal_insert_lsn() - '$before'");
		say_line('- %s: %d bytes of WAL in %d calls', $call, $bytes, $r->{count});
		goal('replay: WAL bytes a call', [$bytes / $r->{count}], 'most', 0.01) if $call eq $name;
	}
	my @variants = map { { name => $_, args => $variant{$_} } } sort keys %variant;
	compare('replay', configuration('on', 8, \@variants, [['rate, of the SELECT', 'rate', $name, $select, 'least', 0.8]]));
	return;
}

# direct: reservations and releases by calls, each with a key of its own
sub direct {
	my %kind = (
		'references of their own' => ["'S' || :s::text", "'R' || :n::text"],
		'one reference' => [q('S1'), q('P')],
		'a reference a client, used up each time' => [q('S2'), q('P' || :client_id::text)],
	);
	# One unit stays, so that the one reference is never used up.
	sql("SELECT storesync.reserve('S1', 1, storesync.new_key(), reference => 'P'), ordinary.reserve('S1', 1, 'first', 'P')");
	my @all;
	for my $kind (sort keys %kind) {
		for my $sync (qw(on off)) {
			my @variants = map { {
				name => $_->[0], per => 2, args => ['-f', script("direct$_->[1]" . @all, direct_calls($_->[1], @{ $kind{$kind} }))]
			} } [$own, 'storesync'], [$peer, 'ordinary'];
			push @all, {
				title => "$kind, synchronous_commit $sync, 8 clients", short => "$kind, $sync", sync => $sync, clients => 8,
				variants => \@variants, goals => [['rate, of PL/pgSQL', 'rate', $own, $peer, 'least', 1]],
			};
		}
	}
	compare('direct', @all);
	return;
}

1;
