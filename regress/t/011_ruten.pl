# The simulator's Ruten dialect: requests are signed here, in Perl, sharing
# nothing with the C on either side (docs/ruten.md, docs/simulator.md).
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256_base64 hmac_sha256_hex);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use Storesync::Simulator;
use Test::More;
use Time::HiRes ();

my ($first, $second) = (22500000000001, 22500000000002);
my ($red, $blue) = (252500000000011, 252500000000012);
my $salt = 'demo-salt-01';
my %key = (7 => 'demo-api-key-0001', 8 => 'demo-api-key-0002');
my %secret = (7 => 'demo-secret-key-0001', 8 => 'demo-secret-key-0002');
my $catalogue = join '', map { join("\t", @$_) . "\n" } [ 'app', 2009999, $salt ],
  map({ [ 'shop', $_, $key{$_}, $secret{$_} ] } 7, 8),
  [ 'sku', 'TEA', 10 ], [ 'sku', 'RED', 5 ], [ 'sku', 'BLUE', 0 ],
  [ 'listing', 7, 'TEA', $first, 0, 10, 199 ], [ 'listing', 7, 'RED', $second, $red, 5, 250 ],
  [ 'listing', 7, 'BLUE', $second, $blue, 0, 250 ], [ 'listing', 8, 'TEA', 22500000000009, 0, 10, 199 ];
my $sim = Storesync::Simulator->start(catalogue => $catalogue, rate => 0);
my $http = HTTP::Tiny->new(timeout => 30, no_proxy => ['127.0.0.1'], keep_alive => 0);

# The form of the signature, as the dialect's settings
my %form = (path_only => 0, base64 => 0);

# Sends a call of shop 7 and returns [HTTP status, decoded body or undef, raw body].
# %option: shop, at (time), body (text), authorization
sub call
{
	my ($method, $path, %option) = @_;
	my $shop = $option{shop} // 7;
	my $at = $option{at} // time;
	my $body = $option{body} // '';
	my $url = $form{path_only} ? $path : $sim->url . $path;
	my $message = "$salt$url$body$at";
	my $sign = $form{base64} ? hmac_sha256_base64($message, $secret{$shop}) . '=' : hmac_sha256_hex($message, $secret{$shop});
	my $answer = $http->request($method, $sim->url . $path, {
		($body ne '' ? (content => $body) : ()),
		headers => {
			'X-RT-Key' => $option{key} // $key{$shop},
			'X-RT-Timestamp' => $at,
			'X-RT-Authorization' => $option{authorization} // $sign,
			'Content-Type' => 'application/json',
		} });

	return [ $answer->{status}, scalar(eval { decode_json($answer->{content}) }), $answer->{content} ];
}

sub get_call { my ($path, %option) = @_; return call('GET', "/api/v1/$path", %option); }
sub put_call { my ($path, $body, %option) = @_; return call('PUT', "/api/v1/product/item/$path", %option, body => $body); }

sub data_is
{
	my ($answer, $data, $what) = @_;
	is_deeply($answer->[1], { status => 'success', data => $data, error_code => undef, error_msg => undef }, $what)
	  or diag($answer->[2]);
	return;
}

sub refused
{
	my ($answer, $status, $what) = @_;
	is("$answer->[0] " . ($answer->[1] ? $answer->[1]{status} : 'page'), "$status", $what) or diag($answer->[2]);
	return;
}

# ---------------------------------------------------------------- signature

my $list = 'product/list?status=all&offset=1&limit=30';
my @all = ({ item_id => "$first", status => 'on' }, { item_id => "$second", status => 'on' });

data_is(get_call($list), { items => \@all, total => 2 }, 'the whole URL, in hex');
refused(get_call($list, authorization => 'x'), '403 fail', 'a wrong signature');
refused(get_call($list, key => 'nobody'), '401 fail', 'an unknown key');
refused(get_call($list, at => time - 301), '403 fail', 'an old timestamp');
# of ten seconds that the call may take
refused(get_call($list, at => time + 310), '403 fail', 'one from the future');
refused(get_call($list, at => time - 290), '200 success', 'one of a clock that errs a little');
foreach my $wanted ([ 1, 0 ], [ 0, 1 ], [ 1, 1 ])
{
	$sim->post('ruten', { sign_path_only => $wanted->[0], sign_base64 => $wanted->[1] });
	refused(get_call($list), '403 fail', "path @$wanted: the form before");
	%form = (path_only => $wanted->[0], base64 => $wanted->[1]);
	refused(get_call($list), '200 success', "path @$wanted: this form");
	refused(put_call('stock', qq({"item_id": "$first", "qty": 10})), '200 success', 'with a body as it stands');
}
$sim->post('ruten', { html_403 => 1 });
refused(get_call($list, authorization => 'x'), '403 page', 'a page instead of JSON');
%form = (path_only => 0, base64 => 0);
$sim->post('ruten', { sign_path_only => 0, sign_base64 => 0, html_403 => 0 });
cmp_ok($sim->get('counters')->{bad_signature}, '>=', 5, 'wrong ones are counted');

my $bare = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->port) or die "connect: $!";
print $bare "GET /api/v1/$list HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
like(join('', <$bare>), qr/^HTTP\/1.1 403 .*<html>/s, 'without User-Agent a page');

# ---------------------------------------------------------------- items

data_is(get_call("product/item/$second"), {
	item_id => "$second", name => "item $second", status => 'on', has_spec => JSON::PP::true,
	spec_info => [
		{ spec_id => "$red", spec_name => 'spec 1', item_name => '', status => 'on', price => 250, qty => 5, custom_no => 'RED' },
		{ spec_id => "$blue", spec_name => 'spec 2', item_name => '', status => 'on', price => 250, qty => 0, custom_no => 'BLUE' } ]
	}, 'an item with its specs');
refused(get_call('product/item/5'), '404 fail', 'an item that nobody has');
refused(get_call('product/item/22500000000009'), '404 fail', 'nor one of another shop');
refused(get_call('product/item/x'), '404 fail', 'nor is this a path');
refused(get_call('product/item/stock'), '405 fail', 'and a stock is not read there');

data_is(put_call('stock', qq({"item_id":"$first","qty":7})), undef, 'the quantity of an item');
is($sim->stock(7, $first), 7, 'is shown');
data_is(put_call('stock', qq({"item_id":"$second","spec_info":[{"spec_id":"$red","qty":0},{"spec_id":"$blue","qty":3}]})),
	undef, 'the quantities of specs');
is($sim->stock(7, $second, $red) . ' ' . $sim->stock(7, $second, $blue), '0 3', 'are shown');
refused(put_call('stock', $_->[0]), $_->[1], "refused: $_->[0]")
  foreach [ '{}', '400 fail' ], [ '[]', '400 fail' ], [ 'x', '400 fail' ], [ qq({"item_id":$first,"qty":7}), '400 fail' ],
  [ qq({"item_id":"$first"}), '400 fail' ], [ qq({"item_id":"$first","qty":-1}), '400 fail' ], [ '{"item_id":"5","qty":1}', '404 fail' ],
  [ qq({"item_id":"$second","qty":1}), '400 fail' ], [ qq({"item_id":"$first","spec_info":[]}), '400 fail' ],
  [ qq({"item_id":"$second","spec_info":[{"spec_id":"$red","qty":9},{"spec_id":"1","qty":9}]}), '400 fail' ];
is($sim->stock(7, $second, $red), 0, 'specs fail together');

data_is(put_call('price', qq({"item_id":"$first","price":180})), undef, 'a price');
is(get_call("product/item/$first")->[1]{data}{price}, 180, 'is shown');
data_is(put_call('offline', qq({"item_id":"$first"})), undef, 'off the shelf');
data_is(get_call('product/list?status=off&offset=1&limit=30'), { items => [ { item_id => "$first", status => 'off' } ], total => 1 },
	'it is listed so');
data_is(put_call('online', qq({"item_id":"$first"})), undef, 'and on again');
put_call('stock', qq({"item_id":"$first","qty":0}));
data_is(get_call('product/list?status=out&offset=1&limit=30'), { items => [ { item_id => "$first", status => 'out' } ], total => 1 },
	'without units it is sold out');
data_is(get_call('product/list?status=all&offset=2&limit=1'), { items => [ { item_id => "$second", status => 'on' } ], total => 2 },
	'the offset counts from 1');
refused(get_call("product/list?status=$_->[0]&offset=$_->[1]&limit=$_->[2]"), '400 fail', "refused: @$_")
  foreach [ 'x', 1, 1 ], [ 'all', 0, 1 ], [ 'all', 1, 0 ], [ 'all', 1, 10000 ];

# ---------------------------------------------------------------- orders

my $now = time;

# 14 digits of Taiwan's time of day
sub date
{
	my ($at) = @_;
	my @t = gmtime($at + 8 * 3600);
	return sprintf('%04d%02d%02d%02d%02d%02d', $t[5] + 1900, $t[4] + 1, @t[ 3, 2, 1, 0 ]);
}

sub orders
{
	my (%query) = (order_status => 'All', start_date => date($now - 3600), end_date => date($now + 3600), page => 1, page_size => 100, @_);
	return get_call('order/list?' . join '&', map { "$_=$query{$_}" } qw(order_status start_date end_date page page_size));
}

sub details { my ($ids, %option) = @_; return call('POST', '/api/v1/order/detail', body => qq({"order_id_list":"$ids"}), %option); }

put_call('stock', qq({"item_id":"$first","qty":9}));
$sim->post('order', { shop_id => 7, order_sn => "2510090000000$_", lines => [ { item_id => $first, qty => 1 } ] }) foreach 1 .. 3;
my @ids = map { { order_id => "2510090000000$_", order_status => 'ReadyToShip' } } 1 .. 3;
data_is(orders(), { order_list => \@ids }, 'orders by when they were placed');
data_is(orders(page => 2, page_size => 2), { order_list => [ $ids[2] ] }, 'page by page');
data_is(orders(page => 3, page_size => 2), { order_list => [] }, 'to the end');
data_is(orders(end_date => date($now - 60)), { order_list => [] }, 'and in the window alone');
$sim->post('order_status', { order_sn => '25100900000002', status => 'CANCELLED' });
data_is(orders(order_status => 'Cancelled'), { order_list => [ { order_id => '25100900000002', order_status => 'Cancelled' } ] },
	'of one status');
refused(orders(@$_), '400 fail', "refused: @$_")
  foreach [ order_status => 'Gone' ], [ start_date => '20251301000000' ], [ start_date => 'x' ], [ end_date => date($now - 7200) ],
  [ start_date => date($now - 40 * 86400) ], [ page => 0 ], [ page_size => 101 ];

my $detail = details('25100900000001,25100900000002,nobody');
is(scalar @{ $detail->[1]{data} }, 2, 'the details of two orders, nothing of a third');
my $order = $detail->[1]{data}[0];
like(delete $order->{order_detail}{order_info}{create_time}, qr/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/, 'with the time of day');
is_deeply($order, {
	order_id => '25100900000001',
	order_detail => {
		order_info => { order_id => '25100900000001', order_status => 'ReadyToShip', buyer_id => 'buyer' },
		checkout_info => { total_amount => 180 },
		item_list => [ { item_id => "$first", spec_id => '', custom_no => 'TEA', item_name => 'TEA', quantity_purchased => 1,
			original_price => 180, discount_price => 180 } ] } }, 'and what was bought');
is($detail->[1]{data}[1]{order_detail}{order_info}{order_status}, 'Cancelled', 'as it is now');
$sim->post('ruten', { time_field => '' });
is_deeply([ sort keys %{ details('25100900000001')->[1]{data}[0]{order_detail}{order_info} } ], [qw(buyer_id order_id order_status)],
	'a shop that does not say when');
data_is(details('25100900000001', shop => 8), [], 'another shop sees nothing of it');
refused(details(''), '400 fail', 'no number');
refused(details(join ',', 1 .. 31), '400 fail', 'more than 30');

# ---------------------------------------------------------------- faults

foreach my $case ([ throttle => '429 fail' ], [ auth => '401 fail' ], [ server => '500 fail' ], [ error_5xx => '50. page' ],
	[ malformed => '200 page' ], [ item_failure => '400 fail' ])
{
	$sim->faults($case->[0] => 1, shop_id => 7);
	my $answer = put_call('stock', qq({"item_id":"$first","qty":4}));
	like("$answer->[0] " . ($answer->[1] ? $answer->[1]{status} : 'page'), qr/^$case->[1]$/, "fault: $case->[0]");
	refused(get_call('product/list?status=all&offset=1&limit=9', shop => 8), '200 success', 'of one shop alone');
}
$sim->faults();
is($sim->stock(7, $first), 4, 'a spoilt answer was a write');
$sim->stop;

$sim = Storesync::Simulator->start(catalogue => $catalogue, rate => 2, burst => 1);
# of one second, which a machine that stands still between two calls lets go by: then four more, after another one
my ($calls, $said, $took) = (0);
for my $try (1 .. 5)
{
	my $until = Time::HiRes::time() + ($calls > 0 ? 1.1 : 0);
	Time::HiRes::sleep(0.05) while Time::HiRes::time() < $until;
	my $began = Time::HiRes::time();
	$said = join ' ', map { get_call($list)->[0] } 1 .. 4;
	$calls += 4;
	$took = Time::HiRes::time() - $began;
	last if $took < 1;
}
is($said, '200 200 429 429', 'calls beyond the limit are refused') or diag("in $took s");
cmp_ok($sim->get('counters')->{ruten_calls}, '==', $calls, 'and counted');

done_testing();
