# A campaign from the day before until the day after, by docs/runbook/campaign.md: units set aside by hand and by a
# promotion's push, prices that begin and end by themselves, work held back, orders fetched more often, the rush in
# three shops at once, and all as before when it is over.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_hex);
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 3, skus => 3, units => 60), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);
my $one = $store->{1001};

sub sql { return $node->safe_psql('shop', $_[0]); }
sub listing { return sql("SELECT listing_id FROM storesync.listing WHERE store_id = $_[0] AND item_id = '$_[1]'"); }

# shows ITEM, UNITS...: a test that the three shops come to show so many
sub shows
{
	my ($item, @units) = @_;
	my $now = '';
	Storesync->wait_until(sub { ($now = join ' ', map { $sim->stock($_, $item) } 1001 .. 1003) eq "@units" }, "item $item shows @units");
	return is($now, "@units", "item $item in the three shops");
}

# price ITEM: what the first shop asks for it
sub price
{
	my ($found) = grep { $_->{shop_id} eq '1001' && $_->{item_id} eq $_[0] } @{ $sim->get('offers')->{listings} };
	return $found->{shopee}{price};
}

# Shopee's push of units that a promotion has locked, signed as it would be
sub locked_push
{
	my ($item, $units) = @_;
	my $url = 'https://erp.example.com/hooks/shopee';
	my $body = JSON::PP->new->canonical->encode({ code => 8, shop_id => 1001, timestamp => time,
		data => { shop_id => 1001, item_id => $item, variation_id => 0, action => 'place_order',
			changed_values => [ { name => 'reserved_stock', old => 0, new => $units } ] } });
	my $sign = hmac_sha256_hex("$url|$body", 'testPartnerKey0123456789');
	return sql("SELECT storesync.ingest_push('shopee', '$url', '{\"Authorization\": \"$sign\"}', convert_to('$body', 'UTF8'))");
}

sub moment { return sql("SELECT to_char((clock_timestamp() AT TIME ZONE 'Asia/Taipei') + '$_[0] seconds'::interval, 'YYYY-MM-DD HH24:MI:SS.MS')"); }

# as it is on other days
sql("UPDATE storesync.store SET poll_interval = '4 seconds', poll_spread = 1");
sql("UPDATE storesync.listing SET price = 100 WHERE store_id = $one");
Storesync->query_until($node, "SELECT count(*) FROM storesync.listing_status WHERE store_id = $one AND price_state = 'ok'", 3, 'prices are there');
Storesync->converged($node, $sim, 'all is shown at first');

my ($first, $second) = (listing($one, 1), listing($one, 2));
my $page = Storesync::Runbook->open($node, 'shop', 'campaign');
# long enough for a busy machine
my ($rise, $begins, $ends) = map { moment($_) } 0, 8, 30;
my %value = (store => $one, platform => 'shopee', listing => $first, listings => "{$first,$second}", units => 20, price => 75,
	rise => $rise, begins => $begins, ends => $ends, poll => '300 milliseconds', spread => '3 seconds');
my $over = "clock_timestamp() AT TIME ZONE 'Asia/Taipei' >= '$ends'";

# The day before.
is($page->step('prices', %value), '2', 'prices are planned');
$page->step('polls', %value);
$page->step('window', %value);
is($page->step('allot', %value), 'applied|40', 'units are set aside by hand');
$sim->post('promotion', { shop_id => 1001, item_id => 2, model_id => 0, reserved => 15 });
is(locked_push(2, 15), '200', 'a promotion tells what it locks');
is($page->step('locked', %value), 'S2|15|15|covered', 'and that makes its allotment');
like($page->step('planned', %value), qr/fetch_orders.*00:00:00\.3.*$first\|price\|/s, 'what is to come');
is(price(1), 100, 'the price is still the old one');
shows(1, 60, 40, 40);
shows(2, 60, 45, 45);

# In the hour: bursts of orders in all shops.
Storesync->wait_until(sub { price(1) == 75 && price(2) == 75 }, 'the campaign prices');
is(price(1) . ' ' . price(2) . ' ' . price(3), '75 75 100', 'the prices of the campaign, and of nothing else');
is(sql("SELECT clock_timestamp() AT TIME ZONE 'Asia/Taipei' >= '$begins'"), 't', 'not before its hour');
my $reads = sql("SELECT string_agg(storesync.enqueue(store_id, 'read_back', jsonb_build_object('listing', listing_id))::text, ',') FROM storesync.listing");
foreach my $round (1 .. 3)
{
	$sim->order($_, [ 3, 0, 4 ]) foreach 1001 .. 1003;
}
$sim->order(1002, [ 1, 0, 5 ]) foreach 1 .. 5;
$sim->order(1003, [ 1, 0, 5 ]) foreach 1 .. 2;
shows(1, 25, 5, 5);
$sim->order(1001, [ 1, 0, 4 ]) foreach 1 .. 5;
Storesync->query_until($node, "SELECT storesync.available('S1')", 5, 'the campaign sells what was set aside for it');
shows(1, 5, 5, 5);
my $rush = $page->step('rush', %value);
is(scalar(grep { /\|00:00:00\.3\|/ } split /\n/, $rush), 3, 'orders are fetched more often');
like($rush, qr/^$first\|20\|\|0$/m, 'nothing is left of what was set aside');
is(sql("SELECT count(*) FROM storesync.task_event WHERE task_id IN ($reads)"), '0', 'what can wait is held back');
is(sql("SELECT $over"), 'f', 'all of that before the end');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
is($sim->counters->{lost_units}, 0, 'and nobody came in vain');

# The day after. The platform has let go when the reads that were held ask it, the first of them as soon as it is over.
$sim->post('promotion', { shop_id => 1001, item_id => 2, model_id => 0, reserved => 0 });
Storesync->query_until($node, "SELECT $over", 't', 'the end');
Storesync->wait_until(sub { price(1) == 100 && price(2) == 100 }, 'the old prices');
is(price(1) . ' ' . price(2), '100 100', 'the old prices are back');
Storesync->query_until($node, "SELECT count(*) FROM storesync.task_open WHERE kind = 'read_back'", 0, 'what was held goes out');
is(sql("SELECT bool_and(e.at AT TIME ZONE 'Asia/Taipei' >= '$ends') AND max(e.at) - min(e.at) > '0.5 seconds' FROM storesync.task_event e WHERE e.task_id IN ($reads)"),
	't', 'after the end, and not all at once');
shows(2, 60, 60, 60);
Storesync->query_until($node, "SELECT count(*) FROM storesync.stat_store WHERE polled_every = '4 seconds'", 3, 'the rhythm of other days');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.peak', 0, 'no window is left');
is($page->step('after', %value), join("\n", "$first|100|100|ok", "$second|100|100|ok", map { "shop $_|00:00:04" } 1001 .. 1003), 'all is as before');

# The simulator's own log.
my @asked = map { $_->{at_us} / 1e6 } grep { $_->{path} =~ /get_order_list/ } @{ $sim->calls(1001) };
my @gaps = map { $asked[$_] - $asked[ $_ - 1 ] } 1 .. $#asked;
cmp_ok(scalar(grep { $_ < 1.5 } @gaps), '>=', 10, 'the shop was asked for orders again and again');

# What other settings would have made of it, as a reporter. The replay as it was set sells what was sold, within 5 %.
my $what_if = Storesync::Runbook->open($node, 'shop', 'what-if');
my %past = (since => sql("SELECT '$rise'::timestamp AT TIME ZONE 'Asia/Taipei'"), until => sql('SELECT now()'), buffer => 20, solo => 5, delay => '10 seconds', sku => 'S1');
my ($sum) = grep { /^as set\|\|/ } split /\n/, $what_if->step('baseline', %past);
my (undef, undef, $demanded, $sold, $oversold) = split /\|/, $sum;
is($demanded, sql('SELECT sum(qty) FROM storesync.sales_order_line'), 'all orders are replayed');
cmp_ok($sold, '>=', 0.95 * $demanded, 'and sold as they were');
cmp_ok($oversold, '<=', 0.05 * $demanded, 'without oversells');
like($what_if->step('settings', %past), qr/^as set\|\|$demanded\|.*^what if\|\|$demanded\|/ms, 'beside it with other settings');
is(scalar(split /\n/, $what_if->step('late', %past)), 3, 'and with orders that come late');
is(scalar(split /\n/, $what_if->step('one-sku', %past)), 6, 'and one SKU by listing');
$what_if->done;

# Another one, ended early.
($begins, $ends) = map { moment($_) } -60, 3600;
%value = (%value, begins => $begins, ends => $ends, rise => $begins, units => 2);
is($page->step($_, %value) =~ /\d/, 1, "another $_") foreach qw(window polls allot);
is($page->step('prices', %value, begins => moment(1800)), '2', 'and its prices, which have not begun');
is($page->step('early', %value), "2\n2\napplied", 'ended early');
is(sql('SELECT count(*) FROM storesync.planned_offer'), '0', 'no price is to come');
is(sql('SELECT count(*) FROM storesync.peak'), '0', 'its windows are gone');
shows(1, 5, 5, 5);
$page->done;

Storesync->converged($node, $sim);
Storesync->sound($node);
$node->stop;
done_testing();
