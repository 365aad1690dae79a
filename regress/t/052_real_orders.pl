# A retailer's nine months (UCI Online Retail, 320,705 lines) booked through
# ingest_orders, then every SKU's balance against a sum taken straight from the
# file by awk. STORESYNC_DATA names the folder of the file; without it, or
# where it is not there, nothing is tested.
#
# What is real: invoices, their lines, quantities, prices and times (shifted by
# one constant, so that the last is now), cancellations, adjustments. What is
# invented, from a fixed seed: the store that an invoice belongs to, whether an
# order was seen before it was shipped and when it was, opening stock (ample:
# all that a SKU ever sells), which documents are sent twice or too late, the
# size of pages.
#
#   digits, quantity > 0			an order; a gift when its price is 0 and it has a customer
#   C...							a cancellation: taken from earlier sales of this SKU to this
#									customer, newest first; cancelled where the order has not left,
#									else goods back. What no sale explains was sold before the
#									file begins: received.
#   digits, price 0, no customer	an adjustment of stock, signed: found goods are received, lost
#									ones leave by reserve and ship
#   A...							bad debt: money, no goods
#
# Charges (POST, M, AMAZONFEE ...) are booked like goods: they count the same.

use strict;
use warnings;

use IPC::Run;
use List::Util qw(min);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;
use Time::Local qw(timegm);

my $folder = $ENV{STORESYNC_DATA} // '../shared/data';
my ($file) = glob "$folder/online_retail_*.csv.xz";
plan skip_all => "no real orders: $folder has no online_retail_*.csv.xz (STORESYNC_DATA names another folder)"
  if !defined $file || !-r $file;
plan skip_all => 'no xz to unpack the real orders with' if system('xz --version >/dev/null 2>&1') != 0;

my $stores = 4;
srand 20101201;

# ---------------------------------------------------------------- the file

# fields LINE: of a line of CSV, quotes taken off
sub fields
{
	my ($line) = @_;
	my @fields;

	return split /,/, $line, -1 if index($line, '"') < 0;
	push @fields, defined $1 ? $1 =~ s/""/"/gr : $2
	  while $line =~ /\G(?:"((?:[^"]|"")*)"|([^,]*))(?:,|\z)/gc && pos $line < length $line;
	push @fields, '' if @fields < 8;
	return @fields;
}

my (%day, @rows);
open my $in, '-|', 'xz', '-dc', $file or die "xz: $!";
<$in>;
while (<$in>)
{
	chomp;
	my ($invoice, $sku, undef, $qty, $date, $price, $customer) = fields($_);
	my ($day, $hour, $minute) = $date =~ /^(\S{10}) (\d\d):(\d\d):00$/ or die "not a time: $date";

	$day{$day} //= timegm(0, 0, 0, substr($day, 8, 2), substr($day, 5, 2) - 1, substr($day, 0, 4));
	push @rows, [ $invoice, $sku, $qty, $day{$day} + 3600 * $hour + 60 * $minute, $price, $customer ];
}
close $in or die "xz failed";
is(scalar @rows, 320_705, 'all lines are read');
my $shift = $^T - $rows[-1][3];

# ---------------------------------------------------------------- the replay

# What goes to the database, in the order of time: SQL by writer, documents by store
my (@sql, @page, @size, %order, %sold, %opening, %sum, @held_up);
my @leaving = map { [] } 0 .. 48;	# orders by the hours that they take to leave, each in the order of time

sub write_page
{
	my ($store) = @_;
	my $docs = delete $page[$store] or return;

	push @{ $sql[ $store % 2 ] }, "SELECT outcome, count(*) FROM storesync.ingest_orders($store, \$\$["
	  . join(',', @$docs) . "]\$\$) GROUP BY 1;\n";
	$sum{pages}++;
	$size[$store] = 50 + int rand 151;
	return;
}

sub send_document
{
	my ($store, $text) = @_;

	push @{ $page[$store] }, $text;
	$sum{documents}++;
	write_page($store) if @{ $page[$store] } >= $size[$store];
	return;
}

# report ORDER, MOMENT, STATUS: its document as it stands; some twice, some too late
sub report
{
	my ($order, $at, $status) = @_;
	my $n = 0;
	my $lines = join ',', map {
		sprintf '{"line_id":%d,"sku":"%s","qty":%d,"unit_price":%s%s%s}', ++$n, @$_{qw(sku qty price)},
		  $_->{cancelled} ? qq(,"cancelled_qty":$_->{cancelled}) : '',
		  $_->{returned} ? qq(,"status":"returned","returned_qty":$_->{returned}) : ''
	} @{ $order->{lines} };
	my $text = sprintf '{"order_sn":"%s","status":"%s","create_time":%d,"update_time":%d,"fetched_at":%d,"lines":[%s]}',
	  $order->{sn}, $status, $order->{at}, $at, $at, $lines;

	$sum{"told $status"}++;
	my $dice = rand;
	send_document($order->{store}, $text) if $dice >= 0.03;
	return if $dice >= 0.06;
	push @held_up, [ $order->{store}, $text ];
	send_document(@{ shift @held_up }) if @held_up > 20;
	return;
}

sub move
{
	my ($do, $sku, $units, $reference) = @_;
	my $n = ++$sum{movements};
	my $call = sub {
		return "SELECT outcome, 1 FROM storesync.$_[0](\$\$$sku\$\$, $units,"
		  . " storesync.derive_key(to_timestamp($^T), '$_[0]', '$n'), reference => '$reference');\n"
	};
	push @{ $sql[ $n % 2 ] }, $do eq 'lose' ? ($call->('reserve'), $call->('ship')) : $call->($do);
	return;
}

# leave MOMENT: orders go that have left by then
sub leave
{
	my ($until) = @_;

	foreach my $queue (@leaving)
	{
		while (@$queue && $queue->[0]{ships} <= $until)
		{
			my $order = shift @$queue;
			next if $order->{dead};
			$order->{gone} = 1;
			report($order, $order->{ships}, 'shipped');
		}
	}
	return;
}

sub sale
{
	my ($invoice, $at, @lines) = @_;
	my $order = $order{$invoice};

	if (!defined $order)
	{
		my $hours = 1 + int rand 48;
		$order = $order{$invoice} =
		  { sn => $invoice, at => $at, store => 1 + int rand $stores, lines => [], ships => $at + 3600 * $hours };
		push @{ $leaving[$hours] }, $order;
	}
	foreach (@lines)
	{
		my ($sku, $qty, $price, $customer) = @$_;
		my $line = { sku => $sku, qty => $qty, price => $price, cancelled => 0, returned => 0 };

		push @{ $order->{lines} }, $line;
		push @{ $sold{$customer}{$sku} }, [ $order, $line ] if $customer ne '';
		$opening{$sku} += $qty;
		$sum{sales}++;
	}
	# most are seen only when they have left; what would leave after the end stays open
	report($order, $at, 'ready_to_ship') if rand() < 0.3 || $order->{ships} > $^T;
	return;
}

sub cancellation
{
	my ($invoice, $at, @lines) = @_;
	my %changed;

	foreach (@lines)
	{
		my ($sku, $left, undef, $customer) = ($_->[0], -$_->[1], @$_[ 2, 3 ]);

		$opening{$sku} //= 0;
		$sum{cancellations}++;
		foreach my $sale ($customer eq '' ? () : reverse @{ $sold{$customer}{$sku} // [] })
		{
			my ($order, $line) = @$sale;
			my $units = min($left, $line->{qty} - $line->{cancelled} - $line->{returned});

			next if $units <= 0;
			$line->{ $order->{gone} ? 'returned' : 'cancelled' } += $units;
			$changed{ $order->{sn} } = $order;
			$left -= $units;
			last if $left == 0;
		}
		next if $left == 0;
		$sum{unexplained}++;
		move('receive', $sku, $left, $invoice);
	}
	foreach my $order (map { $changed{$_} } sort keys %changed)
	{
		$order->{dead} = !$order->{gone} && !grep { $_->{cancelled} < $_->{qty} } @{ $order->{lines} };
		report($order, $at, $order->{gone} ? 'completed' : $order->{dead} ? 'cancelled' : 'ready_to_ship');
	}
	return;
}

sub adjustment
{
	my ($invoice, undef, @lines) = @_;

	foreach (@lines)
	{
		my ($sku, $qty) = @$_;

		$sum{adjustments}++;
		$opening{$sku} += $qty < 0 ? -$qty : 0;
		move($qty > 0 ? 'receive' : 'lose', $sku, abs $qty, $invoice);
	}
	return;
}

# Lines of one invoice and moment belong together
my ($kind, @group);
my %book = (sale => \&sale, cancellation => \&cancellation, adjustment => \&adjustment, debt => sub { $sum{debt} += @_ - 2 });
@size = (0, map { 50 + int rand 151 } 1 .. $stores);
foreach (@rows, undef)
{
	my ($invoice, $sku, $qty, $at, $price, $customer) = defined $_ ? @$_ : ('');
	my $is = $invoice =~ /^A/ ? 'debt' : $invoice =~ /^C/ ? 'cancellation' : ($price // 1) == 0 && $customer eq '' ? 'adjustment' : 'sale';

	if (@group && ($invoice ne $group[0] || $at + $shift != $group[1] || $is ne $kind))
	{
		leave($group[1]);
		$book{$kind}->(@group);
		@group = ();
	}
	last if !defined $_;
	@group = ($invoice, $at + $shift) if !@group;
	$kind = $is;
	push @group, [ $sku, $qty, $price, $customer ];
}
leave($^T);
send_document(@$_) foreach @held_up;
write_page($_) foreach 1 .. $stores;
is($sum{sales} + $sum{cancellations} + $sum{adjustments} + $sum{debt}, scalar @rows, 'every line is a sale, cancellation, adjustment or debt');
note(join ', ', map { "$sum{$_} $_" } sort keys %sum);

# ---------------------------------------------------------------- booked

my $node = Storesync->cluster('real', 'storesync.databases' => undef, 'fsync' => 'off', 'synchronous_commit' => 'off',
	'shared_buffers' => '256MB', 'max_wal_size' => '4GB');
my @skus = map { s/([\\\t])/\\$1/gr } sort keys %opening;
$node->safe_psql('shop', "CREATE TABLE opening (code text, units bigint);\nCOPY opening FROM stdin;\n"
	. join('', map { "$_\t$opening{$_}\n" } @skus) . "\\.\n"
	. "SELECT count(storesync.add_store('shopee', n::text, 'Store ' || n)) FROM generate_series(1, $stores) n;\n"
	. "SELECT count(storesync.add_sku(code)) FROM opening;\n"
	. "SELECT count(storesync.receive(code, units, storesync.new_key())) FROM opening WHERE units > 0;\n"
	. "ANALYZE");

my (%outcome, @writers);
my $started = time;
foreach my $w (0, 1)
{
	my $path = $node->basedir . "/writer$w.sql";
	open my $out, '>', $path or die "$path: $!";
	print $out @{ $sql[$w] };
	close $out or die "$path: $!";
	$writers[$w] = { out => '', err => '' };
	$writers[$w]{run} = IPC::Run::start [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('shop'), '-f', $path ],
	  '>', \$writers[$w]{out}, '2>', \$writers[$w]{err};
}
@sql = ();
foreach my $w (@writers)
{
	ok($w->{run}->finish, 'a writer comes to its end') or diag($w->{err});
	foreach (split /\n/, $w->{out})
	{
		my ($word, $n) = split /\|/;
		$outcome{$word} += $n;
	}
}
note(sprintf '%d s: %s', time - $started, join ', ', map { "$outcome{$_} $_" } sort keys %outcome);
is(join(' ', sort grep { !/^(applied|unchanged|stale)$/ } keys %outcome), '', 'nothing is rejected, parked, short or refused');

# ---------------------------------------------------------------- compared

# A description may contain commas, so columns behind it are counted from the right.
my %expected = map { split /\t/ } split /\n/, `xz -dc '$file' | awk -F, '
	NR == 1 || \$1 ~ /^A/ { next }
	{
		qty = \$(NF - 4); price = \$(NF - 2); customer = \$(NF - 1)
		moved[\$2] += \$1 !~ /^C/ && price == 0 && customer == "" ? qty : -qty
	}
	END { for (sku in moved) printf "%s\\t%d\\n", sku, moved[sku] }'`;
my %got = map { split /\|/ } split /\n/, $node->safe_psql('shop', <<'SQL');
SELECT k.code, sum(s.on_hand - s.reserved) - coalesce(min(o.units), 0)
FROM storesync.sku k LEFT JOIN storesync.stock s USING (sku_id) LEFT JOIN opening o ON o.code = k.code
GROUP BY k.code
SQL
my @differing = grep { ($got{$_} // '') ne ($expected{$_} // '') } sort keys %{ { %got, %expected } };
is(join("\n", map { "$_: booked " . ($got{$_} // 'none') . ", the file says " . ($expected{$_} // 'none') } @differing[ 0 .. min(9, $#differing) ]),
	'', scalar(keys %expected) . ' balances are what the file says');
is($node->safe_psql('shop', 'SELECT sum(qty - cancelled_qty)::text, sum(short) FROM storesync.sales_order_line WHERE reserved + shipped <> qty - cancelled_qty OR short <> 0'),
	'|', 'every line is covered');
Storesync->sound($node);
$node->stop;
done_testing();
