# Prices and listing states at Shopee, Ruten and PChome: they come to be as the
# database wants them, under faults, over restarts and after promotions; what is
# sold out goes off the shelf, and nothing that was recalled comes back.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my %shop = (shopee => 1001, ruten => 2001, pchome => 39001);

# of each shop: items 1 to 3 without models, item 900 with two
my @place = ([ 1, 0 ], [ 2, 0 ], [ 3, 0 ], [ 900, 1 ], [ 900, 2 ]);
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n";
$catalogue .= "shop\t$_\ttoken-$_\trefresh-$_\n" foreach sort values %shop;
$catalogue .= "sku\tS$_\t20\n" foreach 1 .. @place;
foreach my $shop (sort values %shop)
{
	$catalogue .= join("\t", 'listing', $shop, "S$_", @{ $place[ $_ - 1 ] }, 20, 100) . "\n" foreach 1 .. @place;
}

my $sim = Storesync->simulator(catalogue => $catalogue, rate => 0);
my $url = $sim->url;
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);
my @sql = (
	'BEGIN',
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform IN ('shopee', 'ruten')",
	"UPDATE storesync.platform SET base_url = '$url/vdr' WHERE platform = 'pchome'",
	"SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999')",
	"SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef')",
	"SELECT storesync.add_store('shopee', '$shop{shopee}', 'one', '50/s burst 10')",
	"SELECT storesync.add_store('ruten', '$shop{ruten}', 'two', '50/s burst 10')",
	"SELECT storesync.add_store('pchome', '$shop{pchome}', 'three', '50/s burst 10')",
	"SELECT storesync.set_credential(1, 'access_token', 'token-$shop{shopee}')",
	"SELECT storesync.set_credential(1, 'refresh_token', 'refresh-$shop{shopee}')",
	"SELECT storesync.set_credential(2, 'api_key', 'token-$shop{ruten}')",
	"SELECT storesync.set_credential(2, 'secret_key', 'refresh-$shop{ruten}')",
	"SELECT storesync.set_credential(2, 'salt_key', 'demoPartnerKey0123456789abcdef')",
	"UPDATE storesync.store SET poll_interval = '300 milliseconds'");
foreach my $n (1 .. @place)
{
	my ($item, $model) = @{ $place[ $n - 1 ] };

	push @sql, "SELECT storesync.add_sku('S$n'), storesync.receive('S$n', 20, storesync.derive_key(now(), 'opening', 'S$n'))",
	  (map { "SELECT storesync.add_listing($_, 'S$n', '$item', '$model')" } 1, 2),
	  sprintf("SELECT storesync.add_listing(3, 'S$n', 'SIMA0A-A%08d', '%s')", $item, $model ? sprintf('%03d', $model) : '');
}
push @sql, 'UPDATE storesync.sku SET solo_below = 0';
$node->safe_psql('shop', join '', map { "$_;\n" } @sql, 'COMMIT');

sub sql { return $node->safe_psql('shop', $_[0]); }

my %dialect = (1 => 'shopee', 2 => 'ruten', 3 => 'pchome');

# offer STORE, ITEM [, MODEL]: what the shop says of price and shelf, as "PRICE on" or "PRICE off"
sub offer
{
	my ($store, $item, $model) = @_;
	my $name = $dialect{$store};
	my ($found) = grep { $_->{shop_id} eq $shop{$name} && $_->{item_id} eq $item && $_->{model_id} eq ($model // 0) }
	  @{ $sim->get('offers')->{listings} };
	return "$found->{$name}{price} " . ($found->{$name}{listed} ? 'on' : 'off');
}

sub comes_to
{
	my ($store, $item, $model, $wanted, $name) = @_;
	my $last = '';
	Storesync->wait_until(sub { ($last = offer($store, $item, $model)) eq $wanted }, $name);
	return is($last, $wanted, $name);
}

sub listing { return sql("SELECT listing_id FROM storesync.listing JOIN storesync.sku USING (sku_id) WHERE store_id = $_[0] AND code = 'S$_[1]'"); }
sub price { return sql("SELECT storesync.set_price($_[0], $_[1], storesync.new_key()" . ($_[2] // '') . ')'); }

sub done
{
	my ($task, $name, $state) = @_;
	return Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", $state // 'done', $name);
}

# Nothing was ever said of prices: nothing is written.
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_status WHERE NOT dirty', '15', 'the quantities are there');
is(sql("SELECT count(*) FROM storesync.call_log WHERE call NOT IN ('push_stock', 'list_orders', 'get_orders')"), '0', 'what nobody set is not written');

# One price and one state for each platform, by function, by column and by task.
foreach my $store (1 .. 3)
{
	my ($one, $two, $spec, $other) = map { listing($store, $_) } 1, 2, 4, 5;
	my $name = $dialect{$store};
	my $task = price($one, 120);

	done($task, "$name: the task of a price is done");
	is(offer($store, 1), '120 on', "$name: the shop shows it");
	sql("UPDATE storesync.listing SET price = 130 WHERE listing_id = $two");
	comes_to($store, 2, 0, '130 on', "$name: a price set by hand");
	sql("UPDATE storesync.listing SET price = 140 WHERE listing_id IN ($spec, $other)");
	comes_to($store, 900, 1, '140 on', "$name: the price of a model");
	comes_to($store, 900, 2, '140 on', "$name: and of the other");
	sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $two");
	comes_to($store, 2, 0, '130 off', "$name: off the shelf");
	done(sql("SELECT storesync.enqueue($store, 'list', '{\"listing\": $two}')"), "$name: the task to list is done");
	is(offer($store, 2), '130 on', "$name: on it again");
	sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $spec");
}
is(sql("SELECT count(*) FROM storesync.listing_status WHERE price_state = 'ok' AND price = price_shown"), '12', 'all prices are acknowledged');
is(sql("SELECT count(*) FROM storesync.compensation"), '0', 'nothing was given up');
is(offer($_, 900, 1), '140 on', "$dialect{$_}: an item stays while a model of it is to be listed") foreach 1 .. 3;

# PChome: one price for all specs; two are refused before a call is made.
my ($spec, $other) = map { listing(3, $_) } 4, 5;
my $refused = price($spec, 150);
done($refused, 'two prices of one product are given up', 'dead');
like(sql("SELECT reason FROM storesync.compensation WHERE task_id IS NULL AND call = 'push_price' AND listing_id = $spec"),
	qr/one price/, 'and say why');
is(offer(3, 900, 1), '140 on', 'the shop still shows the old one');
price($other, 150);
comes_to(3, 900, 1, '150 on', 'one price for both goes through');
Storesync->query_until($node, "SELECT settled_by FROM storesync.compensation WHERE task_id IS NULL AND listing_id = $spec",
	'overtaken by a later write', 'and settles what was given up');
sql("SELECT storesync.discard(compensation_id, 'seen') FROM storesync.compensation WHERE settled_at IS NULL");

# What is in that state already is no failure: PChome says an error, and it is done.
sql("UPDATE storesync.offer SET acked = NULL WHERE listing_id = " . listing(3, 1));
done(sql("SELECT storesync.enqueue(3, 'push_price', '{\"listing\": " . listing(3, 1) . "}')"), 'a price that is so already is done');

# A paused store waits; lower_only takes off the shelf and does nothing else.
my ($shopee1, $shopee2) = map { listing(1, $_) } 1, 2;
sql('SELECT storesync.pause(1)');
my $waits = price($shopee1, 100);
is(sql("SELECT state, detail FROM storesync.task_state($waits)"), 'queued|waits: the store is paused', 'a paused store waits');
sql("UPDATE storesync.store SET mode = 'lower_only', paused = false WHERE store_id = 1");
sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $shopee2");
comes_to(1, 2, 0, '130 off', 'lower_only: off the shelf');
is(offer(1, 1), '120 on', 'lower_only: no price');
sql("UPDATE storesync.store SET mode = 'live' WHERE store_id = 1");
comes_to(1, 1, 0, '100 on', 'live: the price');
done($waits, 'and its task is done');

# A peak window holds prices back.
my $window = sql("SELECT storesync.add_peak_window((now() AT TIME ZONE 'Asia/Taipei')::timestamp - interval '1 minute',"
	  . " (now() AT TIME ZONE 'Asia/Taipei')::timestamp + interval '1 hour', store => 1, kinds => '{price}')");
my $held = price($shopee1, 105);
sql("UPDATE storesync.listing SET listed = true WHERE listing_id = $shopee2");
comes_to(1, 2, 0, '130 on', 'a peak window of prices does not hold listing states');
is(offer(1, 1), '100 on', 'but prices');
sql("SELECT storesync.drop_peak_window($window)");
done($held, 'when it is dropped they go out');
price($shopee1, 100);
comes_to(1, 1, 0, '100 on', 'and so does the next');

# A campaign, and a restart in the middle of it.
price($shopee1, 90, ", valid_until => now() + interval '4 seconds'");
comes_to(1, 1, 0, '90 on', 'a campaign');
$node->stop('immediate');
$node->start;
comes_to(1, 1, 0, '100 on', 'it ends by itself, over a restart');
is(sql("SELECT price FROM storesync.listing WHERE listing_id = $shopee1"), '100', 'in the books as well');

# A promotion locks the price: later, and the last price that was wanted.
$sim->post('price_lock', { shop_id => "$shop{shopee}", item_id => '3', seconds => 600 });
my $shopee3 = listing(1, 3);
price($shopee3, 110);
Storesync->query_until($node, "SELECT attempts > 0 AND open AND NOT dead FROM storesync.offer WHERE listing_id = $shopee3 AND facet = 'price'",
	't', 'a promotion locks the price');
price($shopee3, 115);
$sim->post('price_lock', { shop_id => "$shop{shopee}", item_id => '3', seconds => 0 });
comes_to(1, 3, 0, '115 on', 'when it is over the price of now goes out');
ok(!grep({ $_->{shop_id} eq $shop{shopee} && $_->{kind} eq 'price' && $_->{item_id} eq '3' && $_->{value} == 110 } @{ $sim->writes }),
	'and not the one of before');

# Faults of every kind, and a dispatcher killed: in the end all is as wanted.
$sim->faults(error_5xx => 0.15, cut_before => 0.1, cut_after => 0.15, malformed => 0.1, throttle => 0.05);
foreach my $round (1 .. 3)
{
	sql("UPDATE storesync.listing SET price = 100 + $round + sku_id, listed = (sku_id + $round) % 2 = 0");
	my $pid = Storesync->dispatcher($node);
	kill 'TERM', $pid if $pid ne '';
}
$sim->faults();
my $differing = '';
Storesync->wait_until(sub {
	my %wanted = map { my @f = split /\|/, $_, -1; ("$f[0]/$f[1]/$f[2]" => "$f[3] $f[4]") } split /\n/, sql(<<'SQL');
SELECT l.store_id, regexp_replace(l.item_id, '^SIMA0A-A0*', ''), coalesce(nullif(regexp_replace(l.model_id, '^0+', ''), ''), '0'), l.price,
	CASE WHEN (SELECT bool_or(s.listed) FROM storesync.listing s WHERE s.store_id = l.store_id AND s.item_id = l.item_id) THEN 'on' ELSE 'off' END
FROM storesync.listing l WHERE NOT (l.store_id = 3 AND l.model_id <> '')
SQL
	$differing = join "\n", map { my @f = split m{/}; offer(@f) eq $wanted{$_} ? () : "$_: " . offer(@f) . ", wanted $wanted{$_}" } sort keys %wanted;
	return $differing eq '';
}, 'faults');
is($differing, '', 'after faults every shop shows the prices and states of now');
sql("SELECT storesync.discard(compensation_id, 'seen') FROM storesync.compensation WHERE settled_at IS NULL");

# Sold out: first the quantity, then off the shelf; back when there is stock again.
sql("UPDATE storesync.listing SET listed = true, at_zero = 'unlist'");
comes_to($_, 1, 0, '104 on', "$dialect{$_}: listed again") foreach 1 .. 3;
sql("SELECT storesync.adjust('S1', 0, storesync.new_key())");
comes_to($_, 1, 0, '104 off', "$dialect{$_}: sold out, and off the shelf") foreach 1 .. 3;
is($sim->stock($shop{ $dialect{$_} }, 1), 0, "$dialect{$_}: it shows 0") foreach 1 .. 3;
ok(Storesync->query_until($node, "SELECT DISTINCT listed_state, listed_shown FROM storesync.listing_status WHERE sku = 'S1'", 'ok|f',
		'all three are acknowledged'), 'as the status says');
sql("SELECT storesync.receive('S1', 7, storesync.new_key())");
comes_to($_, 1, 0, '104 on', "$dialect{$_}: stock came, and it is back") foreach 1 .. 3;
is($sim->stock($shop{ $dialect{$_} }, 1), 7, "$dialect{$_}: with its quantity") foreach 1 .. 3;

# Recalled: nothing that was asked for before brings it back.
sql('SELECT storesync.pause(2)');
my $ruten1 = listing(2, 1);
sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $ruten1");
my $list = sql("SELECT storesync.enqueue(2, 'list', '{\"listing\": $ruten1}')");
sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $ruten1");
sql('SELECT storesync.resume(2)');
done($list, 'a task to list what was recalled since ends');
like(sql("SELECT detail FROM storesync.task_state($list)"), qr/overtaken/, 'without having listed it');
comes_to(2, 1, 0, '104 off', 'which is off the shelf');

# What is wanted changes while a call with the value of before is under way that is refused for good: that says nothing
# of the new value, which is committed before the answer comes, or while it is written down.
sub asked { return scalar grep { $_->{path} =~ m{unlist_item|item/price} } map { @{ $sim->calls($_) } } $shop{shopee}, $shop{ruten}; }
my $people = $node->background_psql('shop');
foreach my $n (2, 3)
{
	my ($priced, $shelved) = (listing(2, $n), listing(1, $n));
	my $when = $n == 2 ? 'before a refusal' : 'while a refusal is written down';

	Storesync->query_until($node, 'SELECT count(*) FROM storesync.offer WHERE open AND NOT dead', '0', 'nothing is to be written');
	my $before = asked();
	my $given_up = "SELECT count(*) FROM storesync.compensation WHERE listing_id IN ($priced, $shelved)";
	my $so_far = sql($given_up);
	my $pid = Storesync->dispatcher($node);
	$sim->state($shop{shopee}, $n, 'banned');
	$sim->faults(path => 'product', item_failure => 1, slow => 1, slow_ms => 6000);
	sql("UPDATE storesync.offer SET acked = NULL WHERE listing_id = $shelved AND facet = 'listed'");
	my $old = price($priced, 150);
	my $put = sql("SELECT storesync.enqueue(1, 'list', '{\"listing\": $shelved}')");
	Storesync->wait_until(sub { asked() == $before + 2 }, 'a price and a list are under way');
	$sim->faults;
	$sim->state($shop{shopee}, $n, 'normal');
	my $set = "UPDATE storesync.listing SET listed = false WHERE listing_id = $shelved; SELECT storesync.set_price($priced, 120, storesync.new_key())";
	my $new = $n == 2 ? sql($set) : $people->query_safe("BEGIN; $set");
	if ($n == 3)
	{
		Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'an outcome is about to be written');
		$people->query_safe('COMMIT');
	}
	comes_to(2, $n, 0, '120 on', "a price set $when is shown");
	comes_to(1, $n, 0, offer(1, $n) =~ s/ .*/ off/r, "what is recalled $when goes off the shelf");
	done($_, "a price set $when: its task is done, and that of the one before") foreach $new, $old;
	done($put, 'and the one to list');
	is(sql($given_up), $so_far, 'nothing is given up');
}
$people->quit;

# The last models of an item taken off by two at once: each saw the other's on the shelf.
my @model = map { listing(1, $_) } 4, 5;
comes_to(1, 900, 1, offer(1, 900, 1) =~ s/ .*/ on/r, 'an item of two models is listed');
Storesync->query_until($node, "SELECT bool_or(open) FROM storesync.offer_state WHERE listing_id IN ($model[0], $model[1]) AND facet = 'listed'",
	'f', 'and its state acknowledged');
my $other_one = $node->background_psql('shop');
$other_one->query_safe("BEGIN; UPDATE storesync.listing SET listed = false WHERE listing_id = $model[0]");
sql("UPDATE storesync.listing SET listed = false WHERE listing_id = $model[1]");
$other_one->query_safe('COMMIT');
$other_one->quit;
comes_to(1, 900, 1, offer(1, 900, 1) =~ s/ .*/ off/r, 'both models taken off at once: the item goes');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.task_open', '0', 'no task is left open');
Storesync->sound($node);

done_testing();
