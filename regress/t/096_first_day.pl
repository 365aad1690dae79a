# A shop of 3,000 listings goes live by docs/runbook/first-day.md, while it sells all the time: not one wrong write, by the
# simulator's log of them, and nothing of its history taken off the shelf. With all that is wrong in real shops: codes that are
# there twice, are missing, unknown or written otherwise; items banned, gone, or not to be written; variants made anew; orders
# of before, some to be sent, some long gone; a dispatcher killed while it reads, and a server before the last step.

use strict;
use warnings;
use utf8;

use Encode qw(decode encode);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

# ---------------------------------------------------------------- the shop

my ($plain, $variants, $odd, $twice) = (2600, 60, 30, 20);
my $partner_key = 'testPartnerKey0123456789';
my @records = ("app\t2009999\t$partner_key", "shop\t1\ttoken-1\trefresh-1", "shop\t2\ttoken-2\trefresh-2");
my (%opening, %left, %sku_of, @selling);

# sku CODE: made known to both sides; so many lie on the shelf before the first order
sub sku
{
	my ($code) = @_;
	$opening{$code} = 30 + keys(%opening) % 70;
	push @records, join "\t", 'sku', $code, $opening{$code};
	return $code;
}

# offer SKU, ITEM, MODEL [, CODE [, STATE]]: shop 1 has it, with a code of its own
sub offer
{
	my ($sku, $item, $model, $code, $state) = @_;
	push @records, join "\t", 'listing', 1, $sku, $item, $model, 20 + $item * 37 % 61, 100, $code // '', "商品 $item", $state // '';
	$sku_of{"$item/$model"} = $sku;
	return;
}

my @plain = map { sku(sprintf 'P%04d', $_) } 1 .. $plain;
offer($plain[$_], 100_000 + $_, 0) foreach 0 .. $#plain;
foreach my $item (1 .. $variants)
{
	offer(sku("V$item-$_"), 200_000 + $item, $_) foreach 1 .. 4;
}
# 30 of each: behind a slash, in full-width characters, in small letters
foreach my $n (1 .. $odd)
{
	offer(sku("4$n"), 300_000 + $n, 0, " /4$n");
	offer(sku("FW-$n"), 310_000 + $n, 0, "FW-$n" =~ tr/\x{21}-\x{7e}/\x{ff01}-\x{ff5e}/r);
	offer(sku("LOW-$n"), 320_000 + $n, 0, "low-$n");
}
foreach my $n (1 .. $twice)
{
	my $sku = sku("TWICE-$n");
	offer($sku, 400_000 + $n, 0);
	offer($sku, 410_000 + $n, 0);
}
offer(sku("END-$_"), 500_000 + $_, 0, undef, 'banned') foreach 1 .. 10;
offer(sku("KIT-$_"), 510_000 + $_, 0, undef, 'kit') foreach 1 .. 10;
offer(sku("NONE-$_"), 520_000 + $_, 0, "OLD-NUMBER-$_") foreach 1 .. 10;
# made anew: of item 200001 model 1 becomes 91, as soon as the shop says so
offer("V1-1", 200_001, 91, undef, 'gone');
push @records, map { join "\t", 'listing', 2, $plain[$_], 900_000 + $_, 0, 20, 100 } 0 .. 19;
my $found = $plain + 4 * $variants + 3 * $odd + 2 * $twice + 30;

my $sim = Storesync->simulator(catalogue => encode('UTF-8', join("\n", @records, '')), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms', 'storesync.max_in_flight' => 32);
my $url = $sim->url;
sub sql { return $node->safe_psql('shop', $_[0]); }
sub answers { return Storesync->query_until($node, @_); }

# Only what an operator does is done by the page: the platform's address and the other shop were there before.
my $codes = join ', ', map { "'$_'" } sort keys %opening;
sql(<<"SQL");
BEGIN;
UPDATE storesync.platform SET base_url = '$url', look_again = '{}' WHERE platform = 'shopee';
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), storesync.set_app_credential('shopee', 'partner_key', '$partner_key');
SELECT count(storesync.add_sku(c)) FROM unnest(ARRAY[$codes]) c;
SELECT storesync.add_store('shopee', '2', 'the other shop', '100/s burst 20') AS other \\gset
SELECT storesync.set_credential(:other, 'access_token', 'token-2'), storesync.set_credential(:other, 'refresh_token', 'refresh-2');
SELECT count(storesync.add_listing(:other, format('P%s', lpad((n + 1)::text, 4, '0')), (900000 + n)::text)) FROM generate_series(0, 19) n;
COMMIT;
SQL
my @shared = @plain[ 0 .. 19 ];
sql("SELECT storesync.adjust('$_', $opening{$_}, storesync.new_key())") foreach @shared;

# ---------------------------------------------------------------- what happens in the shops meanwhile

my ($sold, %touched) = (0);

# sell ITEM, MODEL, QTY [, MORE]: a buyer in shop 1
sub sell
{
	my ($item, $model, $qty, %more) = @_;
	my $answer = $sim->order(1, [ $item, $model, $qty ], \%more);

	$sold += $answer->{accepted_units};
	$touched{ $sku_of{"$item/$model"} } = 1;
	return $answer->{order_sn};
}

# arrive WHEN: orders that come in during a step, in both shops; one of the items 100000 to 100099 each
my $turn = 0;
sub arrive
{
	foreach (1 .. 2)
	{
		sell(100_000 + $turn++ % 100, 0, 1);
	}
	$sim->order(2, [ 900_000 + $turn % 20, 0, 1 ]);
	return;
}

# sent SN, SKU, QTY: the parcel leaves the shelf
sub sent
{
	my ($sn, $sku, $qty) = @_;
	$sim->order_status($sn, 'SHIPPED');
	$left{$sku} += $qty;
	return;
}

# until_done CODE, WHAT: polls it while the shops go on selling, for up to 40 orders
sub until_done
{
	my ($code, $what) = @_;
	my $polls = 0;
	return ok(Storesync->wait_until(sub { arrive() if $polls++ < 40 && $polls % 4 == 1; return $code->(); }, $what), $what);
}

sub written { return scalar grep { $_->{shop_id} eq '1' } @{ $sim->writes }; }

# History: sent, completed, cancelled; and open ones, paid and not. Of plain items, of which 100000 to 100019 are sold by shop 2, too.
foreach my $n (0 .. 79)
{
	my $item = 100_000 + $n;
	my $sku = $plain[$n];
	my $sn = sell($item, 0, 2, order_sn => "PAST$n", ago_s => 86400 + 3600 * $n);
	sent($sn, $sku, 2);
	$sim->order_status($sn, 'COMPLETED') if $n % 2;
	$sim->order_status(sell($item, 0, 1, order_sn => "OFF$n", ago_s => 7200), 'CANCELLED') if $n % 8 == 0;
	sell($item, 0, 3, order_sn => "OPEN$n", ago_s => 3600 + $n, status => $n % 5 ? 'READY_TO_SHIP' : 'UNPAID') if $n % 2 == 0;
}
sell(520_001, 0, 1, order_sn => 'ALIEN', ago_s => 3600);

# ---------------------------------------------------------------- by the page

my $new = Storesync::Runbook->open($node, 'shop', 'new-store');
my $page = Storesync::Runbook->open($node, 'shop', 'first-day');
my $store = $new->step('add', platform => 'shopee', shop => '1', name => 'the shop', limit => '4/s');
my %this = (store => $store);
$page->step('shadow', %this);
sql("SELECT storesync.set_credential($store, 'access_token', 'token-1'), storesync.set_credential($store, 'refresh_token', 'refresh-1')");
sql("UPDATE storesync.store SET poll_interval = '1 second', poll_spread = 1");
until_done(sub { $page->step('shadow', %this) eq 'shadow|t' }, 'in shadow its orders come in');

# The catalogue, slowly at first: the dispatcher is killed while it reads.
my $task = $page->step('read', %this);
until_done(sub { sql("SELECT count(*) > 0 FROM storesync.listing_walk WHERE cursor <> ''") eq 't' }, 'a page is read');
like($page->step('reading', task => $task), qr/^sent\|\d+ listings found so far$/, 'how far it is');
ok(Storesync->crash($node, Storesync->dispatcher($node)), 'killed, the server is back');
sql("UPDATE storesync.store SET rate_limit = '400/s burst 40' WHERE store_id = $store");
until_done(sub { $page->step('reading', task => $task) eq "done|$found listings found" }, "all $found listings are found");

# Which SKU it is.
my $matched = $plain + 4 * $variants + 3 * $odd;
arrive();
is($page->step('verdicts', %this), join("\n", 'ambiguous|' . 2 * $twice, 'ended|10', "matched|$matched", 'not writable|10', 'unknown sku|10'), 'verdicts');
my @guessed = split /\n/, $page->step('guessed', %this);
is(scalar @guessed, 3 * $odd, 'codes that are written otherwise are shown to people');
like(decode('UTF-8', $guessed[0]), qr{^300001\|\|商品 300001\| /41\|41$}, '/41 is 41');
is(scalar(split /\n/, $page->step('open', %this)), 2 * $twice + 10, 'those that nobody can tell');
my $file = PostgreSQL::Test::Utils::tempdir() . '/found.csv';
append_to_file($file, join "\r\n", 'item_id,sku', (map { 400_000 + $_ . ",TWICE-$_" } 1 .. $twice), '777,TWICE-1', '');
my (@answer) = split /\n/, $page->step('correct-file', %this, file => $file);
like("@answer", qr/^error\|1\|\S.* new\|$twice\|? \d+$/, 'a file of corrections is judged, row by row');
like($page->step('verdicts', %this), qr/^ambiguous\|${\(2 * $twice)}\n/, 'and nothing is written yet');
$page->step('correct-confirm', load => $answer[-1]);
$page->step('correct', %this, item => 520_002, model => '', sku => 'NONE-2', pack => 1);
$matched += $twice + 1;
like($page->step('verdicts', %this), qr/^ambiguous\|$twice\n.*matched\|$matched\n.*unknown sku\|9$/s, 'corrected');

# Accepted, over which the history is history.
arrive();
my ($made) = split /\n/, $page->step('accept', %this);
is($made, $matched, 'they become listings');
answers("SELECT count(*) FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE l.state = 'parked' AND o.order_sn <> 'ALIEN'",
	0, 'what waited for them is booked');
is(sql("SELECT string_agg(DISTINCT l.state::text, ' ') FROM storesync.sales_order_line l JOIN storesync.sales_order USING (order_id) WHERE order_sn LIKE 'PAST%'"), 'kept',
	'what had left before moves nothing');
is(sql("SELECT count(*) FROM storesync.sales_order_line l JOIN storesync.sales_order USING (order_id) WHERE order_sn LIKE 'OPEN%' AND l.reserved + l.short = 3"), 40,
	'what is open holds its units');

# The shelf is counted: what has not left lies there.
sub uncounted { return map { (split /\|/)[0] } split /\n/, $page->step('to-count', %this); }
sub count_shelf
{
	my @sku = @_;
	my @units = map { $opening{$_} - ($left{$_} // 0) } @sku;
	my @given = (codes => '{' . join(',', @sku) . '}', units => '{' . join(',', @units) . '}');
	my $answer;

	# orders that are booked at that moment may be in the way: again, as the page says
	Storesync->wait_until(
		sub {
			$answer = eval { $page->step('count', %this, @given) };
			die $@ if !defined $answer && $@ !~ /deadlock|could not serialize|concurrent/;
			return defined $answer;
		},
		'the count is booked');
	return $answer;
}
my @to_count = uncounted();
is(scalar @to_count, $made, 'everything is to be counted, what the other shop sells as well');
my (undef, $refused) = $page->refused('live', %this);
like($refused, qr/store $store is not ready to go live: (\d+) listings/, 'it does not go live before that');
my ($lacks) = decode('UTF-8', $page->step('missing', %this)) =~ /^SKU … was never counted\|(\d+)\|SELECT storesync\.adjust\(/m;
is($lacks, $made - @shared, 'and says what was never counted');
arrive();
is(count_shelf(@to_count), $made, 'counted');
is(join(' ', uncounted()), '', 'nothing is left to be counted');
# Parcels leave that were open when it was counted.
sent("OPEN$_", $plain[$_], 3) foreach grep { $_ % 2 == 0 } 0 .. 39;

# The shop is changed before it is live: a variant made anew, an item banned, another one deleted. It is read again.
$sim->state(1, 200_001, 'gone', 1);
$sim->state(1, 200_001, 'normal', 91);
$sim->state(1, 100_500, 'banned');
$sim->state(1, 100_501, 'gone');
$task = $page->step('read', %this);
until_done(sub { $page->step('reading', task => $task) =~ /^done/ }, 'it is read again');
like($page->step('verdicts', %this), qr/^ambiguous\|$twice\nended\|11\ngone\|2\nmatched\|/, 'one has ended, and two are gone');
like($page->step('accept', %this), qr/^1\n/, 'the variant made anew becomes a listing');
is($page->step('missing', %this), join("\n", map { /^(\d+)\|(.*)/ ? "$2 in the shop|1|UPDATE storesync.listing SET enabled = false WHERE listing_id = $1;" =~ s/gone in/gone from/r : () }
	sort { $a =~ s/\d+//r cmp $b =~ s/\d+//r }
	split /\n/, sql("SELECT listing_id, CASE item_id WHEN '100500' THEN 'ended' ELSE 'gone' END FROM storesync.listing WHERE item_id IN ('100500', '100501')")),
	'what has ended or is gone holds it up, with the call that settles it');
(undef, $refused) = $page->refused('live', %this);
like($refused, qr/not ready to go live: 2 listings.*item 100500\): ended in the shop.*item 100501\): gone from the shop/s, 'as it says');
$page->step('disable', %this);
is($page->step('missing', %this), '', 'nothing is missing');
my $live = $made + 1 - 3;

# What would be written; a server that crashes changes nothing of it.
my @preview = split /\n/, $page->step('preview', %this);
is(join(' ', map { /^(\w+)\|\d+\|\d+$/ ? $1 : () } @preview), 'lowered raised', 'the preview, summed up');
is(scalar(grep { /^[^|]+\|\d+\|\d*\|\d*\|\d+\|-?\d*$/ } @preview), 20, 'and the largest changes');
like($page->step('explain', listing => sql("SELECT listing_id FROM storesync.listing WHERE item_id = '200001' AND model_id = '91'")), qr/^wanted\|/m, 'one of them, term by term');
is(written(), 0, 'not one write so far');
ok(Storesync->kill_postmaster($node), 'the server crashes');
my %wanted = map { my ($item, $model, $units) = split /\|/; ("$item/" . ($model || 0) => $units) }
  split /\n/, sql("SELECT item_id, model_id, wanted FROM storesync.preview($store)");
my %shown_before = map { ("$_->{item_id}/$_->{model_id}" => $_->{stock}) } @{ $sim->shown(1) };
is(written(), 0, 'nor by the crash');

# Live: first what is lowered, then all.
arrive();
ok($page->step('lower', %this) > 0, 'first what is lowered');
until_done(sub { sql("SELECT count(*) FROM storesync.preview($store, lower_only => true) WHERE change < 0") eq '0' }, 'that is written');
my @raised = grep { $_->{value} > $shown_before{"$_->{item_id}/$_->{model_id}"} } grep { $_->{shop_id} eq '1' } @{ $sim->writes };
is(scalar @raised, 0, 'and nothing raised');
ok($page->step('live', %this) > 0, 'then all of it');
arrive();
my $states;
until_done(sub { ($states = $page->step('after', %this)) =~ /^disabled\|3\nok\|$live\n$/ || $states =~ /^disabled\|3\nok\|$live$/ }, 'each listing shows what it should')
  or diag($states);
$page->step('stop', %this);
sql("SELECT storesync.resume($store)");
arrive();

# ---------------------------------------------------------------- what the shops say

# Every SKU that is sold has what its shelf had, less what was sold; on hand is what lies there.
sub differences
{
	my %truth = map { ($_->{sku} => $_->{truth}) } @{ $sim->shown };
	my %book = map { my ($code, @of) = split /\|/; ($code => \@of) } split /\n/, sql(<<"SQL2");
SELECT k.code, t.on_hand, t.on_hand - t.reserved FROM storesync.stock t JOIN storesync.sku k USING (sku_id)
WHERE k.sku_id IN (SELECT l.sku_id FROM storesync.listing l WHERE l.enabled)
SQL2
	return grep { $book{$_}[0] != $opening{$_} - ($left{$_} // 0) || $book{$_}[1] != $truth{$_} } sort keys %book;
}
until_done(sub { !differences() }, 'what is on hand lies there, and what is available was never sold')
  or diag(join ' ', differences());
my $counters = $sim->counters;
is($counters->{oversold_units}, 0, 'nothing was oversold');

my %accepted = map { tr/|/\//r =~ s{/$}{/0}r => 1 }
  split /\n/, sql("SELECT concat(item_id, '|', model_id) FROM storesync.listing WHERE store_id = $store AND enabled");
my (%write, @stray, @other);
foreach my $one (grep { $_->{shop_id} eq '1' } @{ $sim->writes })
{
	my $name = "$one->{item_id}/$one->{model_id}";
	push @stray, "$name $one->{kind} $one->{value}" if !$accepted{$name} || !$one->{applied} || $one->{kind} ne 'stock';
	push @{ $write{$name} }, $one->{value};
}
is("@stray", '', 'nothing was written but the stock of what was accepted, and nothing refused');
foreach my $name (grep { !$touched{ $sku_of{$_} } } sort keys %accepted)
{
	# more than once where its answer did not come in time
	my $is = join ' ', do { my %seen; grep { !$seen{$_}++ } @{ $write{$name} // [] } };
	my $ought = $wanted{$name} // '';
	push @other, "$name: $is instead of $ought" if $is ne $ought;
}
is("@other", '', 'whatever nobody bought was written with the number of the preview alone, or not at all');
is(join(' ', map { defined $write{$_} ? 'written' : 'not' } qw(200001/1 200001/91)), 'not written', 'of a variant made anew the new one');
is(sql("SELECT count(*) FROM storesync.breaker_status"), '0', 'no breaker has opened');

# An item that had ended comes back.
$sim->state(1, 100_500, 'normal');
$task = $page->step('read', %this);
until_done(sub { $page->step('reading', task => $task) =~ /^done/ }, 'it is read once more');
my ($back) = $page->step('back', %this) =~ /^(\d+)\|100500\|\|P0501$/m;
ok($back, 'what had ended is back');
sql("UPDATE storesync.listing SET enabled = true WHERE listing_id = $back");
until_done(sub { $sim->stock(1, 100_500) == $opening{P0501} }, 'and shows what there is');
$page->done;
Storesync->sound($node);
done_testing();
