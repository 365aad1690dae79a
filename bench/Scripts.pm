package Scripts;

# pgbench scripts: the same orders for storesync and for its peers. SKUs are taken in rising order,
# each line from a part of its own, so that no order repeats one and no two clients deadlock.
use strict;
use warnings;
use Exporter qw(import);
use Bench qw(script %option);

our @EXPORT_OK = qw(order_mix order_of page_of client_mix direct_calls);

my %weight = (1 => 6, 2 => 3, 3 => 1);    # of 1, 2 and 3 lines: 1.5 on average
my @page_lines = ((1) x 30, (2) x 15, (3) x 5);

# sku_lines: the \set lines that choose `lines` SKUs of 1..range into s1, s2, …
sub sku_lines {
	my ($lines, $range, $prefix) = @_;
	$prefix //= 's';
	return join '', map {
		sprintf "\\set %s%d random(%d, %d)\n", $prefix, $_, int(($_ - 1) * $range / $lines) + 1, int($_ * $range / $lines)
	} 1 .. $lines;
}

# What a line names: its SKU, or with --items the item of the store that sells it, as platforms do
sub named { return $option{items} ? '"item_id":"I%s"' : '"sku":"S%s"'; }

# document: a format() template of one order document, %s for its number and each of its SKUs
sub document {
	my ($lines, $suffix) = @_;
	my $items = join ',', map { qq({"line_id":"$_",@{[named()]},"qty": 1,"unit_price": 199}) } 1 .. $lines;
	return qq({"order_sn": "O%s$suffix","status": "ready_to_ship","create_time": :start,"update_time": :start,) .
		qq("fetched_at": :start,"lines": [$items]});
}

my $number = "\\set n random(1, 4000000000000000000)\n";

# order_of: one order a call, handed to `call` (up to its document)
sub order_of {
	my ($call, $lines, $range) = @_;
	my $values = join ', ', ':n::text', map { ":s${_}::text" } 1 .. $lines;
	return $number . sku_lines($lines, $range) . "SELECT ${call}format('" . document($lines, '') . "', $values)::jsonb);\n";
}

# order_mix: the arguments of pgbench for orders of 1, 2 and 3 lines; on a single SKU all have one
sub order_mix {
	my ($name, $call, $range) = @_;
	return ('-f', script($name, order_of($call, 1, 1))) if $range == 1;
	return map { ('-f', script("$name$_", order_of($call, $_, $range)) . "\@$weight{$_}") } 1 .. 3;
}

# page_of: 50 orders in one call; a format() each, because no function takes over 100 arguments
sub page_of {
	my ($name, $call, $range) = @_;
	my @lines = $range == 1 ? (1) x 50 : @page_lines;
	my ($set, @documents) = ($number);
	for my $i (0 .. $#lines) {
		my $values = join ', ', ':n::text', map { ":s${i}_${_}::text" } 1 .. $lines[$i];
		$set .= sku_lines($lines[$i], $range, "s${i}_");
		push @documents, "format('" . document($lines[$i], "-$i") . "', $values)";
	}
	my $text = $set . "SELECT $call('[' || concat_ws(',', " . join(', ', @documents) . ") || ']')::jsonb);\n";
	return ('-f', script($name, $text));
}

# client_order: the same as a transaction of an application, statement by statement: it reads, decides, writes
sub client_order {
	my ($lines, $range) = @_;
	my $times = join ', ', ('to_timestamp(:start)') x 3;
	my $text = $number . sku_lines($lines, $range) . "BEGIN;\n" .
		"INSERT INTO ordinary.sales_order (store_id, order_sn, status, create_time, update_time, fetched_at) " .
		"VALUES (1, 'O' || :n::text, 'ready_to_ship', $times) ON CONFLICT DO NOTHING;\n";
	for (1 .. $lines) {
		my $sku = "'S' || :s${_}::text";
		$text .= "SELECT sku FROM ordinary.listing WHERE store_id = 1 AND item_id = 'I' || :s${_}::text;\n" if $option{items};
		$text .= "SELECT on_hand, reserved + 1 AS reserved, version + 1 AS version FROM ordinary.stock " .
			"WHERE sku = $sku AND location_id = 1 FOR UPDATE \\gset\n" .
			"UPDATE ordinary.stock SET reserved = :reserved, version = :version WHERE sku = $sku AND location_id = 1;\n" .
			"INSERT INTO ordinary.ledger (sku, location_id, version, kind, on_hand_delta, reserved_delta, on_hand, reserved, " .
			"idempotency_key, reason, event_at) VALUES ($sku, 1, :version, 'reserve', 0, 1, :on_hand, :reserved, " .
			"'O' || :n::text || '/$_/1', 'ready_to_ship', to_timestamp(:start));\n" .
			"INSERT INTO ordinary.outbox (payload) VALUES (jsonb_build_object('kind', 'stock', 'sku', $sku, 'version', :version::bigint));\n" .
			"INSERT INTO ordinary.sales_order_line (store_id, order_sn, line_id, sku, location_id, ordered_at, qty, reserved, " .
			"status, state, item_id, unit_price) VALUES (1, 'O' || :n::text, '$_', $sku, 1, to_timestamp(:start), 1, 1, " .
			"'ready_to_ship', 'reserved', @{[$option{items} ? qq('I' || :s${_}::text) : 'NULL']}, 199);\n";
	}
	my $items = join ',', map { qq({"line_id":"$_",@{[named()]},"qty": 1,"unit_price": 199}) } 1 .. $lines;
	my $values = join ', ', map { ":s${_}::text" } 1 .. $lines;
	return $text . "INSERT INTO ordinary.order_history (store_id, order_sn, update_time, fetched_at, status, outcome, lines) " .
		"VALUES (1, 'O' || :n::text, to_timestamp(:start), to_timestamp(:start), 'ready_to_ship', 'applied', " .
		"format('[$items]', $values)::jsonb);\nCOMMIT;\n";
}

# direct_calls: a reservation and its release, for a SKU and a reference given as SQL; two calls
sub direct_calls {
	my ($whose, $sku, $reference) = @_;
	my $key = $whose eq 'storesync' ? 'storesync.new_key()' : 'gen_random_uuid()::text';
	return $number . "\\set s random(1, $option{skus})\n" .
		join '', map { "SELECT $whose.$_($sku, 1, $key, reference => $reference);\n" } qw(reserve release);
}

sub client_mix {
	my ($name, $range) = @_;
	return ('-f', script($name, client_order(1, 1))) if $range == 1;
	return map { ('-f', script("$name$_", client_order($_, $range)) . "\@$weight{$_}") } 1 .. 3;
}

1;
