# The marketplace simulator against the platform's documents: signatures and
# requests are made here, in Perl, sharing nothing with the C on either side.
use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use File::Basename qw(dirname);
use File::Temp;
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use Storesync::Simulator;
use Test::More;
use Time::HiRes qw(sleep time);

my $tree = abs_path(dirname(__FILE__)) . '/../..';
my $program = $ENV{STORESYNC_SIMULATOR} // "$tree/simulator/simulator";
my $example = "$tree/simulator/catalogue.example.tsv";
my $partner = 2009999;
my $key = 'demoPartnerKey0123456789abcdef';
my ($shop, $other_shop) = (300123456, 300123457);
my $update_stock = '/api/v2/product/update_stock';
my $order_list = '/api/v2/order/get_order_list';
my $order_detail = '/api/v2/order/get_order_detail';
my $shop_info = '/api/v2/shop/get_shop_info';
my $refresh_path = '/api/v2/auth/access_token/get';
my %token = ($shop => 'demoAccessToken0123456789', $other_shop => 'demoAccessTokenOfTheSecond');

# A connection for each call: on a kept one the body, which HTTP::Tiny sends
# apart from the headers, waits 40 ms for a delayed acknowledgement.
my $http = HTTP::Tiny->new(timeout => 30, no_proxy => ['127.0.0.1'], keep_alive => 0);
my $sim;

# ---------------------------------------------------------------- a client

sub sign_of
{
	my ($path, $timestamp, @of_shop) = @_;
	return hmac_sha256_hex(join('', $partner, $path, $timestamp, @of_shop), $key);
}

# The address of a signed call. %query has the endpoint's own parameters, or
# others for the common ones; undef leaves one out.
sub address
{
	my ($path, %query) = @_;
	my %common = (partner_id => $partner, timestamp => int(time));

	if ($path !~ m{^/api/v2/auth/})
	{
		$common{shop_id} = $query{shop_id} // $shop;
		$common{access_token} = $token{ $common{shop_id} } // 'none';
	}
	%query = (%common, %query);
	$query{sign} = sign_of($query{path} // $path, $query{timestamp} // '',
		$path =~ m{^/api/v2/auth/} ? () : ($query{access_token} // '', $query{shop_id} // ''))
	  unless exists $query{sign};
	delete $query{path};
	return "$path?" . $http->www_form_urlencode(
		{ map { $_ => $query{$_} } grep { defined $query{$_} } keys %query });
}

# Sends and returns [HTTP status, decoded body or undef, raw body]
sub send_call
{
	my ($method, $address, $body) = @_;
	my $answer = $http->request($method, $sim->url . $address,
		defined $body
		? { content => ref $body ? encode_json($body) : $body, headers => { 'Content-Type' => 'application/json' } }
		: {});

	return [ $answer->{status}, scalar(eval { decode_json($answer->{content}) }), $answer->{content} ];
}

sub get_call { my ($path, %query) = @_; return send_call('GET', address($path, %query)); }
sub post_call { my ($path, $body, %query) = @_; return send_call('POST', address($path, %query), $body); }

# update_stock of ITEM: [MODEL, STOCK]...
sub stock_body
{
	my ($item, @entries) = @_;
	return {
		item_id => $item,
		stock_list => [ map { { model_id => $_->[0], seller_stock => [ { stock => $_->[1] } ] } } @entries ]
	};
}

sub write_stock { my ($item, @entries) = @_; return post_call($update_stock, stock_body($item, @entries)); }

sub error_is
{
	my ($answer, $error, $what) = @_;
	is($answer->[1] && $answer->[1]{error}, $error, $what) or diag($answer->[2]);
	return;
}

sub start
{
	my (%option) = @_;
	$sim->stop if defined $sim;
	$sim = Storesync::Simulator->start(catalogue => $example, rate => 0, %option);
	return;
}

sub wait_until
{
	my ($test, $what) = @_;
	my $end = time + 30;

	while (time < $end)
	{
		return pass($what) if $test->();
		sleep 0.02;
	}
	return fail($what);
}

# Status and answer of an administrator's call, refusals too
sub admin
{
	my ($method, $what, $data) = @_;
	return send_call($method, "/admin/$what", $data);
}

# A call sent on a socket of its own, whose answer is read later
sub open_call
{
	my ($method, $address, $body) = @_;
	my $content = defined $body ? encode_json($body) : '';
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $sim->port) or die "socket: $@";

	print $socket "$method $address HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n"
	  . 'Content-Length: ' . length($content) . "\r\n\r\n$content";
	return $socket;
}

sub read_all { my ($socket) = @_; local $/; return scalar(<$socket>) // ''; }

# ---------------------------------------------------------------- signatures

start();

my @vectors = (
	[ 'S1', '/api/v2/auth/token/get', '84c1b82e446f422fd3e35edc7e20ad8d6f2b974b20657728e936a3b2fed3f2e6' ],
	[ 'S2', $refresh_path, '90fc5631bf8bea7f287badcc2f8e72aaab5865ebedbe122e79ffc1f8f147afa2' ],
	[ 'S3', '/api/v2/shop/auth_partner', '9857e4c23d7473115b25155c13c155673e0c7abfd36a1dd150be2a78f7d15836' ],
	[ 'S4', $update_stock, '381bc5d0d979a12f72eb35182402e87a1c697de24776f356a4410e2f3082d916', $shop ],
	[ 'S5', $order_list, '6af475721cf3981af3e11ab21e16a1bae842cca8a1f223805bc261b661d8414c', $shop ]);
foreach my $vector (@vectors)
{
	my ($name, $path, $sign, $of) = @$vector;

	is(sign_of($path, 1760000000, defined $of ? ($token{$of}, $of) : ()), $sign, "vector $name in Perl");
	is($sim->get("sign?path=$path&timestamp=1760000000" . ($of ? "&shop=$of" : ''))->{sign},
		$sign, "vector $name in the simulator");
}
is(admin('GET', 'sign?path=/x')->[0], 400, 'a signature needs a timestamp');
is(admin('GET', "sign?path=$update_stock&timestamp=1&shop=1")->[0], 400, 'and a known shop');

error_is(get_call($shop_info), '', 'a signed call is served');
my $bad = get_call($shop_info, sign => '0' x 64);
error_is($bad, 'error_sign', 'a wrong sign is refused');
is($bad->[0], 403, 'with HTTP 403');
error_is(get_call($shop_info, sign => ''), 'error_sign', 'so is an empty one');
error_is(get_call($shop_info, path => $order_list), 'error_sign', 'and one for another path');
error_is(get_call($shop_info, sign => uc sign_of($shop_info, int(time), $token{$shop}, $shop)),
	'error_sign', 'and one in upper case');
is($sim->counters->{bad_signature}, 4, 'wrong signs are counted');
is(scalar(grep { !$_->{accepted} } @{ $sim->calls($shop) }), 4, 'and recorded as not accepted');

foreach my $case (
	[ { sign => undef }, 'error_param', 'no sign' ],
	[ { partner_id => undef }, 'error_param', 'no partner_id' ],
	[ { partner_id => 'x' }, 'error_param', 'a partner_id that is no number' ],
	[ { partner_id => 4294967296 }, 'error_param', 'a partner_id of more than 32 bits' ],
	[ { partner_id => 1 }, 'error_auth', 'another partner_id' ],
	[ { timestamp => undef }, 'error_param', 'no timestamp' ],
	[ { timestamp => '12x' }, 'error_param', 'a timestamp that is no number' ],
	[ { timestamp => int(time) - 310 }, 'error_param', 'a timestamp of 310 s ago' ],
	[ { timestamp => int(time) + 310 }, 'error_param', 'a timestamp 310 s ahead' ],
	[ { timestamp => int(time) - 280 }, '', 'a timestamp of 280 s ago' ],
	[ { timestamp => int(time) + 280 }, '', 'a timestamp 280 s ahead' ],
	[ { access_token => undef }, 'error_param', 'no access_token' ],
	[ { access_token => 'wrong' }, 'invalid_acceess_token', 'a wrong access_token' ],
	[ { shop_id => undef }, 'error_param', 'no shop_id' ],
	[ { shop_id => 5 }, 'error_auth', 'an unknown shop' ],
	[ { shop_id => $other_shop, access_token => $token{$shop} }, 'invalid_acceess_token', q(another shop's token) ])
{
	my ($query, $error, $what) = @$case;
	my $answer = get_call($shop_info, %$query);

	error_is($answer, $error, $what);
	is($answer->[0], 200, "$what: HTTP 200") if $error ne '';
}
error_is(get_call('/api/v2/no/such'), 'error_param', 'an unknown path');
error_is(get_call($update_stock), 'error_param', 'the wrong method');
error_is(post_call($update_stock, '{"item_id":'), 'error_param', 'a body that is no JSON');
error_is(post_call($update_stock, '[1]'), 'error_param', 'a body that is no object');
error_is(post_call($update_stock, "{}\0{}"), 'error_param', 'a body with a NUL');
is(post_call($update_stock, ' ' x (1024 * 1024 + 1))->[0], 413, 'a body above 1 MiB');
error_is(post_call($update_stock, '{}' . ' ' x (1024 * 1024 - 2)), 'error_param', 'a body of 1 MiB is read');
is($sim->counters->{calls}{other}, 1, 'calls of unknown paths are counted');
is(admin('GET', 'nothing')->[0], 404, 'an unknown path of the administrator');
is(admin('POST', 'order', '{')->[0], 400, 'and a body of his that is no JSON');

# ---------------------------------------------------------------- stock

is($sim->stock($shop, 100001, 200001), 10, 'a shop shows what the catalogue says');
my $answer = write_stock(100001, [ 200001, 8 ], [ 200002, 0 ]);
is_deeply(
	$answer->[1]{response},
	{
		success_list => [
			{ model_id => 200001, location_id => '', stock => 8 },
			{ model_id => 200002, location_id => '', stock => 0 }
		],
		failure_list => []
	},
	'two models of an item');
is_deeply([ sort keys %{ $answer->[1] } ], [qw(error message request_id response warning)], 'the envelope');
is($sim->stock($shop, 100001, 200001), 8, 'the write replaces what was shown');
is($sim->stock($shop, 100001, 200002), 0, 'zero is a quantity');
is($sim->stock($other_shop, 110001, 210001), 10, 'another shop shows its own');
error_is(write_stock(100002, [ 0, 7 ]), '', 'an item without models, as model 0');
error_is(post_call($update_stock, { item_id => 100002, stock_list => [ { seller_stock => [ { stock => 6 } ] } ] }),
	'', 'or without model_id');
is($sim->stock($shop, 100002), 6, 'is written');

$answer = write_stock(100001, [ 200001, 5 ], [ 200009, 5 ]);
error_is($answer, '', 'one model of two is unknown: no error');
is_deeply([ map { $_->{model_id} } @{ $answer->[1]{response}{failure_list} } ], [200009], 'but a failure');
is($sim->stock($shop, 100001, 200001), 5, 'and the other is written');
$answer = write_stock(100001, [ 200008, 5 ], [ 200009, 5 ]);
error_is($answer, 'error_busi_update_stock_failed', 'all unknown: an error');
is(scalar @{ $answer->[1]{response}{failure_list} }, 2, 'with the reasons');

foreach my $case (
	[ stock_body(100001, [ 200001, 1 ], [ 200001, 2 ]), 'error_param', 'a repeated model' ],
	[ stock_body(100001), 'error_param', 'no models' ],
	[ stock_body(100001, map { [ $_, 1 ] } 1 .. 51), 'error_param', '51 models' ],
	[ stock_body(100001, map { [ $_, 1 ] } 1 .. 50), 'error_busi_update_stock_failed', '50 models are read' ],
	[ stock_body(100001, [ 200001, -1 ]), 'error_param', 'a quantity below zero' ],
	[ stock_body(100001, [ 200001, 1.5 ]), 'error_param', 'half a unit' ],
	[ stock_body(100001, [ 200001, 1e12 ]), 'error_param', 'a quantity too large' ],
	[ stock_body(100001, [ 200001, '5' ]), 'error_param', 'a quantity as text' ],
	[ stock_body(100001, [ '200001', 5 ]), 'error_param', 'a model as text' ],
	[ stock_body('100001', [ 200001, 5 ]), 'error_param', 'an item as text' ],
	[ { item_id => 100001 }, 'error_param', 'no stock_list' ],
	[ { item_id => 100001, stock_list => [ { model_id => 200001 } ] }, 'error_param', 'no seller_stock' ],
	[
		{
			item_id => 100001,
			stock_list => [ { model_id => 200001, seller_stock => [ { stock => 1, location_id => 'TW1' } ] } ]
		},
		'error_param', 'a location'
	],
	[ stock_body(999999, [ 0, 1 ]), 'error_item_not_found', 'an unknown item' ],
	[ stock_body(110001, [ 210001, 1 ]), 'error_item_not_belong_shop', q(another shop's item) ],
	[ stock_body(100001, [ 0, 1 ]), 'error_edit_item_stock_for_item_has_model', 'an item with models, as one without' ],
	[ stock_body(100002, [ 5, 1 ]), 'error_param', 'an item without models, as one with' ])
{
	error_is(post_call($update_stock, $case->[0]), $case->[1], $case->[2]);
}
is($sim->stock($shop, 100001, 200001), 5, 'none of these wrote anything');

$sim->set_stock($shop, 100001, 200001, 77);
is($sim->stock($shop, 100001, 200001), 77, 'the administrator makes a shop drift');
is(admin('POST', 'shown', { shop_id => $shop, item_id => 1, stock => 1 })->[0], 400, 'an unknown listing is refused');
is(admin('GET', 'shown?shop=1')->[0], 400, 'as is an unknown shop');
is(scalar @{ $sim->shown }, 6, 'all listings of all shops');

# ---------------------------------------------------------------- reading items

$answer = get_call('/api/v2/product/get_item_list', offset => 0, page_size => 1, item_status => 'NORMAL');
is_deeply([ map { $_->{item_id} } @{ $answer->[1]{response}{item} } ], [100001], 'first page of items');
is_deeply(
	[ @{ $answer->[1]{response} }{qw(total_count has_next_page next_offset)} ],
	[ 2, JSON::PP::true, 1 ],
	'and there is a next');
$answer = get_call('/api/v2/product/get_item_list', offset => 1, page_size => 100, item_status => 'NORMAL');
is_deeply([ map { $_->{item_id} } @{ $answer->[1]{response}{item} } ], [100002], 'last page of items');
ok(!$answer->[1]{response}{has_next_page}, 'and there is no next');
$answer = get_call('/api/v2/product/get_item_list', offset => 0, page_size => 100, item_status => 'BANNED');
is($answer->[1]{response}{total_count}, 0, 'no banned items');
$answer = get_call('/api/v2/product/get_item_list', offset => 0, page_size => 100, item_status => 'NORMAL',
	update_time_from => int(time) + 100);
is($answer->[1]{response}{total_count}, 0, 'no items changed in the future');
error_is(get_call('/api/v2/product/get_item_list', offset => 0, page_size => 101, item_status => 'NORMAL'),
	'error_param', 'a page of 101');
error_is(get_call('/api/v2/product/get_item_list', offset => 0, page_size => 1), 'error_param', 'no item_status');

$answer = get_call('/api/v2/product/get_item_base_info', item_id_list => '100001,100002,5');
my ($mugs, $teapot) = @{ $answer->[1]{response}{item_list} };
ok($mugs->{has_model} && !exists $mugs->{stock_info_v2}, 'an item with models has its stock there');
is($teapot->{stock_info_v2}{seller_stock}[0]{stock}, 6, 'one without has its own');
is($teapot->{item_sku}, 'TEAPOT', 'and its SKU');
error_is(get_call('/api/v2/product/get_item_base_info', item_id_list => '1,x'), 'error_param',
	'an item that is no number');
error_is(get_call('/api/v2/product/get_item_base_info', item_id_list => join(',', 1 .. 51)), 'error_param', '51 items');

$answer = get_call('/api/v2/product/get_model_list', item_id => 100001);
is_deeply(
	[
		map { [ @{$_}{qw(model_id model_sku)}, $_->{stock_info_v2}{seller_stock}[0]{stock} ] }
		  @{ $answer->[1]{response}{model} }
	],
	[ [ 200001, 'MUG-WHITE', 77 ], [ 200002, 'MUG-BLUE', 0 ] ],
	'models of an item');
is_deeply(get_call('/api/v2/product/get_model_list', item_id => 100002)->[1]{response}{model}, [], 'of one without');
error_is(get_call('/api/v2/product/get_model_list', item_id => 5), 'error_item_not_found', 'of an unknown one');
error_is(get_call('/api/v2/product/get_model_list'), 'error_param', 'of none');

# ---------------------------------------------------------------- buyers, truth and oversell

start();
my $order = $sim->order($shop, [ 100001, 200001, 4 ], [ 100001, 200002, 9 ]);
is_deeply([ @{$order}{qw(accepted_units lost_units)} ], [ 4, 9 ],
	'a line above what is shown is lost, the others stand');
is($sim->stock($shop, 100001, 200001), 6, 'the shop lowers what it shows');
is($sim->stock($shop, 100001, 200002), 4, 'but not for a lost line');
is($sim->order($shop, [ 100002, 0, 9 ])->{order_sn}, undef, 'all lines lost: no order');
is($sim->order($other_shop, [ 110001, 210001, 8 ])->{accepted_units}, 8, 'another shop still shows what it showed');
my $count = $sim->counters;
is_deeply([ @{$count}{qw(orders lines units lost_lines lost_units oversold_units)} ],
	[ 2, 2, 12, 2, 18, 2 ], 'two units of ten were sold twice');
$sim->order($other_shop, [ 110001, 210001, 2 ]);
is($sim->counters->{oversold_units}, 4, 'below zero every unit counts');

$sim->order_status($order->{order_sn}, 'CANCELLED');
is($sim->stock($shop, 100001, 200001), 10, 'a cancel raises what the shop shows');
$sim->order_status($order->{order_sn}, 'CANCELLED');
is($sim->stock($shop, 100001, 200001), 10, 'once');
is(admin('POST', 'order_status', { order_sn => $order->{order_sn}, status => 'SHIPPED' })->[0], 409, 'it is final');
is($sim->counters->{cancelled_orders}, 1, 'and counted');
is($sim->order($shop, [ 100001, 200001, 1 ])->{accepted_units}, 1, 'the stock was at -4 + 4: this unit');
is($sim->counters->{oversold_units}, 5, 'is oversold');

my $shipped = $sim->order($shop, [ 100002, 0, 1 ])->{order_sn};
$sim->order_status($shipped, 'SHIPPED');
$sim->order_status($shipped, 'CANCELLED');
is($sim->stock($shop, 100002), 2, 'shipped goods do not come back by a cancel');
$sim->order($other_shop, [ 110002, 0, 3 ]);
is($sim->counters->{oversold_units}, 6, 'neither to the stock');

is(admin('POST', 'order', { shop_id => 1, lines => [] })->[0], 400, 'an order at an unknown shop');
is(admin('POST', 'order', { shop_id => $shop, lines => [] })->[0], 400, 'an order without lines');
is(admin('POST', 'order', { shop_id => $shop, lines => [ { item_id => 100002, qty => 0 } ] })->[0], 400, 'of no units');
is(admin('POST', 'order', { shop_id => $shop, lines => [ { item_id => 1, qty => 1 } ] })->[0], 400,
	'of an unknown item');
is(admin('POST', 'order', { shop_id => $shop, order_sn => 'a,b', lines => [ { item_id => 100002, qty => 1 } ] })->[0],
	400, 'with a comma in its number');
is(admin('POST', 'order', { shop_id => $shop, order_sn => $shipped, lines => [ { item_id => 100002, qty => 1 } ] })->[0],
	409, 'with a number that is taken');
is(admin('POST', 'order', { shop_id => $shop, status => 'LOST', lines => [ { item_id => 100002, qty => 1 } ] })->[0],
	400, 'with an unknown status');
is(admin('POST', 'order_status', { order_sn => 'none', status => 'SHIPPED' })->[0], 404,
	'a change of an unknown order');

start('return-on-cancel' => 0);
$order = $sim->order($shop, [ 100001, 200001, 4 ]);
$sim->order_status($order->{order_sn}, 'CANCELLED');
is($sim->stock($shop, 100001, 200001), 6, 'a platform that does not give back on cancel');
$sim->order($other_shop, [ 110001, 210001, 10 ]);
is($sim->counters->{oversold_units}, 0, 'though the stock has them again');

# ---------------------------------------------------------------- order list and detail

sub list_orders { my (%query) = @_; return get_call($order_list, time_range_field => 'update_time',
	time_from => int(time) - 1000, time_to => int(time) + 1000, page_size => 100, %query); }
sub listed { my ($answer) = @_; return [ map { $_->{order_sn} } @{ $answer->[1]{response}{order_list} } ]; }

start();
is_deeply(list_orders()->[1]{response}, { more => JSON::PP::false, next_cursor => '', order_list => [] },
	'no orders yet');
foreach my $n (1 .. 5)
{
	$sim->order($shop, [ 100001, 200001, 1 ], { order_sn => "A$n", $n == 5 ? (status => 'UNPAID') : () });
}
$sim->order($other_shop, [ 110001, 210001, 1 ], { order_sn => 'B1' });
is_deeply(listed(list_orders()), [qw(A1 A2 A3 A4 A5)], q(a shop's own orders));
ok(!exists list_orders()->[1]{response}{order_list}[0]{order_status}, 'without status');
is(list_orders(response_optional_fields => 'order_status')->[1]{response}{order_list}[4]{order_status},
	'UNPAID', 'unless asked for');
is_deeply(listed(list_orders(order_status => 'UNPAID')), ['A5'], 'of one status');

my @pages;
my $cursor = '';
do
{
	$answer = list_orders(page_size => 2, cursor => $cursor);
	push @pages, listed($answer);
	$cursor = $answer->[1]{response}{next_cursor};
} while ($answer->[1]{response}{more} && @pages < 10);
is_deeply(\@pages, [ [qw(A1 A2)], [qw(A3 A4)], ['A5'] ], 'pages by cursor');
is($cursor, '', 'the last page has none');

$sim->order_status('A1', 'SHIPPED');
is_deeply(listed(list_orders()), [qw(A2 A3 A4 A5 A1)], 'a changed order is once in the list, by its update_time');
is_deeply(listed(list_orders(time_range_field => 'create_time')), [qw(A1 A2 A3 A4 A5)], 'and by its create_time');
is_deeply(listed(list_orders(time_to => int(time) - 500)), [], 'an earlier range');
is_deeply(listed(list_orders(time_from => int(time) + 500)), [], 'a later range');

error_is(list_orders(time_from => int(time) - 16 * 86400), 'order.order_list_invalid_time', 'a range above 15 days');
error_is(list_orders(time_from => int(time), time_to => int(time) - 5), 'order.order_list_invalid_time',
	'a range turned round');
my $now = int(time);
error_is(list_orders(time_from => $now - 15 * 86400, time_to => $now), '', 'a range of 15 days');
error_is(list_orders(%$_), 'error_param', join ' ', 'list with', %$_)
  foreach { page_size => 0 }, { page_size => 101 }, { page_size => 'x' }, { time_range_field => 'pay_time' },
  { cursor => 'zz' }, { cursor => 'ffff' }, { order_status => 'LOST' }, { time_from => '' };

$answer = get_call($order_detail, order_sn_list => 'A1,A2');
is_deeply([ map { $_->{order_sn} } @{ $answer->[1]{response}{order_list} } ], [qw(A1 A2)], 'details of two');
is_deeply(
	[ sort keys %{ $answer->[1]{response}{order_list}[0] } ],
	[ sort qw(order_sn region currency cod order_status message_to_seller create_time update_time days_to_ship ship_by_date booking_sn) ],
	'the default fields');
is($answer->[1]{response}{order_list}[0]{order_status}, 'SHIPPED', 'the status');
cmp_ok(abs($answer->[1]{response}{order_list}[0]{create_time} - time), '<', 60, 'the time of the clock on the wall');

sub line_of
{
	my ($sn) = @_;
	return get_call($order_detail, order_sn_list => $sn, response_optional_fields => 'pay_time,item_list,total_amount')
	  ->[1]{response}{order_list}[0];
}
my $detail = line_of('A1');
is_deeply(
	{ map { $_ => $detail->{item_list}[0]{$_} } qw(item_id model_id model_sku order_item_id model_quantity_purchased active_qty cancelled_qty) },
	{ item_id => 100001, model_id => 200001, model_sku => 'MUG-WHITE', order_item_id => 100001,
		model_quantity_purchased => 1, active_qty => 1, cancelled_qty => 0 },
	'a line');
is($detail->{total_amount}, 199, 'the amount');
ok($detail->{pay_time} > 0, 'paid');
is(line_of('A5')->{pay_time}, undef, 'not paid yet');
$sim->order_status('A2', 'CANCELLED');
is_deeply([ @{ line_of('A2')->{item_list}[0] }{qw(active_qty cancelled_qty)} ], [ 0, 1 ], 'a cancelled line');
$sim->order_status('A3', 'IN_CANCEL');
is_deeply([ @{ line_of('A3')->{item_list}[0] }{qw(active_qty cancel_requested_qty cancelled_qty)} ],
	[ 0, 1, 0 ], 'one whose cancel is asked for');

$sim->order($other_shop, [ 110001, 210001, 3 ], [ 110002, 0, 1 ], { order_sn => 'B2' });
my $before = $sim->stock($other_shop, 110001, 210001);
sub cancel_part
{
	my ($units) = @_;
	my $line = { item_id => 110001, model_id => 210001, cancelled_qty => $units };
	return admin('POST', 'order_status', { order_sn => 'B2', lines => [$line] })->[0];
}
is(cancel_part(2), 200, 'a part of a line is cancelled');
is($sim->stock($other_shop, 110001, 210001), $before + 2, 'and shown again');
$answer = get_call($order_detail, shop_id => $other_shop, order_sn_list => 'B2',
	response_optional_fields => 'item_list');
is_deeply([ map { [ @{$_}{qw(active_qty cancelled_qty)} ] } @{ $answer->[1]{response}{order_list}[0]{item_list} } ],
	[ [ 1, 2 ], [ 1, 0 ] ], 'its detail');
is(cancel_part($_), 409, "not $_") foreach 1, 4;
$sim->order_status('B2', 'CANCELLED');
is($sim->stock($other_shop, 110001, 210001), $before + 3, 'a cancel then gives back the rest');

error_is(get_call($order_detail, order_sn_list => 'A1,NONE'), 'error_not_found', 'an unknown order');
error_is(get_call($order_detail, order_sn_list => 'B1'), 'error_not_found', q(another shop's order));
error_is(get_call($order_detail), 'error_param', 'no order');
error_is(get_call($order_detail, order_sn_list => join ',', ('A1') x 51), 'error_param', '51 orders');
is(scalar @{ get_call($order_detail, order_sn_list => join ',', ('A1') x 50)->[1]{response}{order_list} },
	50, '50 orders');

start('order-delay' => 700);
my $placed = time;
$sim->order($shop, [ 100001, 200001, 1 ], { order_sn => 'LATE' });
is($sim->stock($shop, 100001, 200001), 9, 'a sale lowers the stock at once');
my $first = listed(list_orders());
my $detail_error = get_call($order_detail, order_sn_list => 'LATE')->[1]{error};
SKIP:
{
	skip 'the machine is too busy', 2 if time - $placed > 0.6;
	is_deeply($first, [], 'but the order is listed later');
	is($detail_error, 'error_not_found', 'and has no detail before');
}
wait_until(sub { @{ listed(list_orders()) } == 1 }, 'then it is');
cmp_ok(time - $placed, '>=', 0.65, 'not too early');
my $changed = time;
$sim->order_status('LATE', 'SHIPPED');
my $status = line_of('LATE')->{order_status};
SKIP:
{
	skip 'the machine is too busy', 1 if time - $changed > 0.6;
	is($status, 'READY_TO_SHIP', 'a change is late as well');
}
wait_until(sub { line_of('LATE')->{order_status} eq 'SHIPPED' }, 'and comes');

# ---------------------------------------------------------------- tokens

my $refresh = 'demoRefreshToken0123456789';
sub refresh_token
{
	my ($with) = @_;
	return post_call($refresh_path, { partner_id => $partner, shop_id => $shop, refresh_token => $with });
}

start();
error_is(refresh_token('wrong'), 'error_auth', 'a wrong refresh token');
$answer = refresh_token($refresh);
error_is($answer, '', 'the right one');
is($answer->[1]{expire_in}, 14400, 'gives four hours');
is($answer->[1]{shop_id}, $shop, 'of the shop');
my ($new_access, $new_refresh) = @{ $answer->[1] }{qw(access_token refresh_token)};
error_is(refresh_token($refresh), 'error_auth', 'and works once');
error_is(get_call($shop_info, access_token => $new_access), '', 'the new access token opens the shop');
error_is(get_call($shop_info), '', 'the old one still does for a while');
error_is(refresh_token($new_refresh), '', 'the new refresh token works');
error_is(get_call($shop_info), 'invalid_acceess_token', 'the access token before the last one no longer');
admin('POST', 'expire_token', { shop_id => $shop });
error_is(get_call($shop_info, access_token => $new_access), 'invalid_acceess_token', 'ended by the administrator');
error_is(post_call($refresh_path, { partner_id => $partner, refresh_token => 'x' }), 'error_param',
	'a refresh for no shop');
error_is(post_call($refresh_path, { partner_id => 5, shop_id => $shop, refresh_token => 'x' }),
	'error_param', 'for another partner');
error_is(post_call($refresh_path, { partner_id => $partner, shop_id => $shop }), 'error_param', 'with no token');
error_is(post_call($refresh_path, { partner_id => $partner, shop_id => $shop, refresh_token => 'x' },
	sign => 'x'), 'error_sign', 'not signed');

start('token-grace' => 0, 'token-life' => 1);
$sim->faults(auth => 1);
error_is(refresh_token($refresh), '', 'tokens refused by a fault can be refreshed');
$sim->faults();
error_is(get_call($shop_info), 'invalid_acceess_token', 'without grace the old token ends at once');
start('token-life' => 1);
wait_until(sub { get_call($shop_info)->[1]{error} eq 'invalid_acceess_token' }, 'a token ends with its life');

# A seller consents in a browser, which comes back with a code.
my $code_path = '/api/v2/auth/token/get';
sub browser
{
	my ($path, %query) = @_;
	my %all = (partner_id => $partner, timestamp => int(time), redirect => 'https://erp.example.com/in?for=1', shop_id => $shop, %query);
	$all{sign} //= sign_of($path, $all{timestamp});
	delete @all{ grep { !defined $all{$_} } keys %all };
	my $answer = HTTP::Tiny->new(max_redirect => 0, no_proxy => ['127.0.0.1'])->get($sim->url . "$path?" . $http->www_form_urlencode(\%all));
	return $answer->{status} == 302 ? $answer->{headers}{location} : decode_json($answer->{content})->{error};
}
sub consent { return (browser('/api/v2/shop/auth_partner', @_) =~ /&code=(\w+)$/)[0]; }
sub exchange { my ($code, %body) = @_; return post_call($code_path, { partner_id => $partner, shop_id => $shop, code => $code, %body }); }

start();
like(browser('/api/v2/shop/auth_partner'), qr{^https://erp\.example\.com/in\?for=1&shop_id=$shop&code=\w+$}, 'consent leads back');
like(browser('/api/v2/shop/auth_partner', redirect => 'https://erp.example.com/', shop_id => $other_shop),
	qr{^https://erp\.example\.com/\?shop_id=$other_shop&code=\w+$}, 'of the shop that has logged in');
is(browser('/api/v2/shop/auth_partner', sign => 'x'), 'error_sign', 'not from a page that is not signed');
is(browser('/api/v2/shop/auth_partner', timestamp => int(time) - 310), 'error_param', 'or too old');
is(browser('/api/v2/shop/auth_partner', redirect => undef), 'error_param', 'or leads nowhere');
my $code = consent();
error_is(exchange($code, shop_id => $other_shop), 'error_auth', q(a code is no other shop's));
error_is(exchange('wrong'), 'error_auth', 'nor any text');
error_is(exchange($code, code => undef), 'error_param', 'nor none');
$answer = exchange($code);
is_deeply([ @{ $answer->[1] }{qw(error expire_in shop_id_list)} ], [ '', 14400, [$shop] ], 'it gives a pair');
error_is(exchange($code), 'error_auth', 'once');
error_is(get_call($shop_info), 'invalid_acceess_token', 'the pair before has ended');
error_is(refresh_token($refresh), 'error_auth', 'both of it');
error_is(get_call($shop_info, access_token => $answer->[1]{access_token}), '', 'the new one opens the shop');
$code = consent();
isnt(consent(), $code, 'a later consent');
error_is(exchange($code), 'error_auth', 'takes the place of the one before');
like(browser('/api/v2/shop/cancel_auth_partner'), qr{^https://erp\.example\.com/in\?for=1&shop_id=$shop$}, 'a seller takes it back');
error_is(get_call($shop_info, access_token => $answer->[1]{access_token}), 'invalid_acceess_token', 'then nothing opens it');
error_is(refresh_token($answer->[1]{refresh_token}), 'error_auth', 'or brings a pair');
start('code-life' => 1);
$code = consent();
my $made = time;
wait_until(sub { time - $made > 1.1 }, 'a second goes by');
error_is(exchange($code), 'error_auth', 'a code ends with its life');

# ---------------------------------------------------------------- the limit

# The most accepted calls of a shop in any second, from their times
sub most_in_a_second
{
	my ($of) = @_;
	my @times = map { $_->{at_us} } grep { $_->{accepted} } @{ $sim->calls($of) };
	my ($most, $first) = (0, 0);

	foreach my $last (0 .. $#times)
	{
		$first++ while $times[$first] <= $times[$last] - 1000000;
		$most = $last - $first + 1 if $last - $first + 1 > $most;
	}
	return $most;
}

start(rate => 5, burst => 3);
my %seen;
my $end = time + 2.5;
while (time < $end)
{
	$seen{ get_call($shop_info)->[1]{error} }++;
	sleep 0.005;
}
is_deeply([ sort keys %seen ], [ '', 'error_rate_limit' ], 'calls are served or refused for the limit');
$count = $sim->counters;
is($count->{refused_limit}, $seen{error_rate_limit}, 'the refused ones are counted');
is(most_in_a_second($shop), 7, 'five a second and a burst of three: seven in any second');
is($count->{max_in_second}, 7, 'the simulator says the same');
error_is(get_call($shop_info, shop_id => $other_shop), '', 'another shop has its own limit');
wait_until(sub { get_call($shop_info)->[1]{error} eq '' }, 'and the limit passes');
is(scalar @{ $sim->calls($shop) }, $sim->counters->{calls_total} - 1, 'every call is recorded');

# ---------------------------------------------------------------- faults

start();
$sim->faults(error_5xx => 1, count => 2);
$answer = write_stock(100001, [ 200001, 1 ]);
like($answer->[0], qr/^50[0234]$/, 'a gateway error');
is($answer->[1], undef, 'is not JSON');
is($sim->stock($shop, 100001, 200001), 10, 'and applies nothing');
like(get_call($shop_info)->[0], qr/^50/, 'a second one');
error_is(get_call($shop_info), '', 'the count is used up');
is($sim->counters->{faults}{error_5xx}, 2, 'two were injected');

foreach my $case ([ throttle => 'error_rate_limit' ], [ quota => 'error_limit' ],
	[ auth => 'invalid_acceess_token' ], [ server => 'error_server' ])
{
	$sim->faults($case->[0] => 1);
	$answer = write_stock(100001, [ 200001, 1 ]);
	error_is($answer, $case->[1], "fault $case->[0]");
	is($answer->[0], 200, 'with HTTP 200');
	$sim->faults($case->[0] => 1, http_status => 403);
	is(get_call($shop_info)->[0], 403, 'or as asked for');
}
is($sim->stock($shop, 100001, 200001), 10, 'none of them applied anything');
is($sim->counters->{refused_limit}, 0, 'an injected throttle is not the limit');

$sim->faults(cut_before => 1, count => 1);
is(read_all(open_call('POST', address($update_stock), stock_body(100001, [ 200001, 1 ]))), '',
	'cut before: not a byte');
is($sim->stock($shop, 100001, 200001), 10, 'and nothing applied');
$sim->faults(cut_after => 1, count => 1);
is(read_all(open_call('POST', address($update_stock), stock_body(100001, [ 200001, 1 ]))), '', 'cut after: not a byte');
is($sim->stock($shop, 100001, 200001), 1, 'but applied');

$sim->faults(malformed => 1);
my %raw;
foreach my $stock (2 .. 21)
{
	$answer = write_stock(100001, [ 200001, $stock ]);
	$raw{ $answer->[2] =~ /^\{/ ? 'cut short' : 'garbage' }++;
	is($answer->[1], undef, 'malformed: not JSON') if $stock == 2 || defined $answer->[1];
}
is_deeply([ sort keys %raw ], [ 'cut short', 'garbage' ], 'of both kinds');
is($sim->stock($shop, 100001, 200001), 21, 'but applied');

# so slow that no machine makes an answer that nobody holds up take as long
$sim->faults(slow => 1, slow_ms => 5000, count => 1);
my $start = time;
my $slow = open_call('POST', address($update_stock), stock_body(100001, [ 200001, 3 ]));
wait_until(sub { $sim->stock($shop, 100001, 200001) == 3 }, 'slow: applied');
error_is(get_call($shop_info), '', 'other calls are answered meanwhile');
ok(!IO::Select->new($slow)->can_read(0), 'before the slow one');
like(read_all($slow), qr/"error":""/, 'which is answered too');
cmp_ok(time - $start, '>=', 4.95, 'late');

$sim->faults(item_failure => 1);
error_is(write_stock(100001, [ 200001, 4 ], [ 200002, 4 ]), 'error_busi_update_stock_failed', 'all models fail');
$sim->faults(item_failure => 1, count => 1);
$answer = write_stock(100001, [ 200001, 4 ], [ 200002, 3 ]);
error_is($answer, '', 'one model fails');
is($answer->[1]{response}{failure_list}[0]{model_id}, 200001, 'the first');
is($sim->stock($shop, 100001, 200001), 3, 'and keeps its stock');
is($sim->stock($shop, 100001, 200002), 3, 'the other does not');

$sim->faults(server => 1, shop_id => $other_shop);
error_is(get_call($shop_info), '', 'faults of one shop');
error_is(get_call($shop_info, shop_id => $other_shop), 'error_server', 'strike that shop alone');
$sim->faults(server => 1, path => 'update_stock');
error_is(get_call($shop_info), '', 'faults of one path');
error_is(write_stock(100001, [ 200001, 4 ]), 'error_server', 'strike that path alone');
$sim->faults();
error_is(write_stock(100001, [ 200001, 4 ]), '', 'no rules, no faults');

is(admin('POST', 'faults', $_)->[0], 400, 'refused: ' . JSON::PP->new->canonical->encode($_))
  foreach { slow => 2 }, { slow => -1 }, { slow => [] }, { nonsense => 1 }, { shop_id => 5 }, { count => -1 },
  { slow_ms => 'x' }, { http_status => 99 }, { path => 'x' x 200 }, { server => 0.6, auth => 0.6 };

# The faults that 60 calls meet
sub fault_story
{
	my ($seed) = @_;
	start(seed => $seed);
	$sim->faults(server => 0.2, auth => 0.1, throttle => 0.1, item_failure => 0.3);
	return join ' ', map {
		get_call($shop_info, shop_id => $other_shop) if $_ % 3 == 0;
		my $answer = write_stock(100001, [ 200001, $_ ], [ 200002, $_ ]);
		$answer->[1]{error} . scalar @{ $answer->[1]{response}{failure_list} // [] };
	} 1 .. 60;
}
my $story = fault_story(7);
like($story, qr/error_server/, 'faults by rate');
is(fault_story(7), $story, 'the same seed, the same faults');
isnt(fault_story(8), $story, 'another seed, others');

# ---------------------------------------------------------------- the trace

start(trace => "$tree/simulator/trace.example.tsv", speed => 20);
is_deeply($sim->get('progress'), { started => JSON::PP::false, finished => JSON::PP::false, events => 8,
	done => 0, elapsed_ms => 0 },
	'the trace waits');
$start = time;
$sim->post('start');
is(admin('POST', 'start')->[0], 409, 'it starts once');
wait_until(sub { $sim->get('progress')->{finished} }, 'it is played');
cmp_ok(time - $start, '>=', 0.7, 'at twenty times the speed of the clock');
cmp_ok($sim->get('progress')->{elapsed_ms}, '>=', 700, 'which progress tells');
$count = $sim->counters;
is_deeply([ @{$count}{qw(orders lines units lost_lines lost_units oversold_units cancelled_orders)} ],
	[ 4, 5, 8, 1, 9, 2, 1 ], 'what the buyers came to');
is_deeply([ map { $_->{stock} } @{ $sim->shown } ], [ 10, 4, 1, 10, 3, 0 ], 'and what is shown then');
is_deeply([ map { $_->{truth} } @{ $sim->shown } ], [ 10, 3, -2, 10, 3, -2 ], 'beside what the seller has left');
is(line_of('EXAMPLE0003')->{order_status}, 'COMPLETED', 'orders move on');

start();
$sim->post('start');
ok($sim->get('progress')->{finished}, 'a trace of nothing is finished at once');

# ---------------------------------------------------------------- items that end, and come back

start();
sub items_of { return join ' ', map { $_->{item_id} } @{ get_call('/api/v2/product/get_item_list', offset => 0, page_size => 9, item_status => $_[0])->[1]{response}{item} }; }
sub models { return join ' ', map { $_->{model_id} } @{ get_call('/api/v2/product/get_model_list', item_id => 100001)->[1]{response}{model} }; }
is(admin('POST', 'state', { shop_id => $shop, item_id => 100001, model_id => 200001, state => 'gone' })->[0], 200, 'a model goes');
is(models(), '200002', 'it is not among the models');
write_stock(100001, [ 200001, 1 ], [ 200002, 2 ]);
is($sim->stock($shop, 100001, 200001) . ' ' . $sim->stock($shop, 100001, 200002), '10 2', 'nor written');
is($sim->order($shop, [ 100001, 200001, 1 ])->{lost_units}, 1, 'nor bought');
is(admin('POST', 'state', { shop_id => $shop, item_id => 100002, state => 'banned' })->[0], 200, 'an item is banned');
is(items_of('BANNED') . '/' . items_of('NORMAL'), '100002/100001', 'it is listed as such');
error_is(write_stock(100002, [ 0, 1 ]), 'error_busi_update_stock_failed', 'not written');
is($sim->order($shop, [ 100002, 0, 1 ])->{lost_units}, 1, 'not bought');
admin('POST', 'state', { shop_id => $shop, item_id => 100002, state => $_ }) foreach qw(gone normal gone);
is(items_of('BANNED') . '/' . items_of('NORMAL'), '/100001', 'one that is gone is not listed at all');
error_is(write_stock(100002, [ 0, 1 ]), 'error_item_not_found', 'nor found');
admin('POST', 'state', { shop_id => $shop, item_id => $_, state => 'normal' }) foreach 100001, 100002;
is(items_of('NORMAL') . '/' . models(), '100001 100002/200001 200002', 'all come back');
is(admin('POST', 'state', { shop_id => $shop, item_id => 100002, state => 'odd' })->[0], 400, 'an unknown state');
is(admin('POST', 'state', { shop_id => $shop, item_id => 100003, state => 'gone' })->[0], 400, 'an unknown item');
is(join(', ', map { join ' ', @$_{qw(kind item_id model_id value)}, $_->{applied} ? 'applied' : 'refused' } @{ $sim->get('writes')->{writes} }),
	'stock 100001 200001 1 refused, stock 100001 200002 2 applied, stock 100002 0 1 refused, stock 100002 0 1 refused',
	'the log of writes');

# ---------------------------------------------------------------- start and end

$sim->faults(slow => 1, slow_ms => 60000);
$slow = open_call('GET', address($shop_info));
wait_until(sub { $sim->counters->{faults}{slow} == 1 }, 'a slow call is in flight');
$start = time;
kill 'TERM', $sim->pid;
waitpid $sim->pid, 0;
is($?, 0, 'SIGTERM ends the simulator in order');
cmp_ok(time - $start, '<', 5, 'at once, whatever is in flight');
$sim->{pid} = 0;

my $dir = File::Temp->newdir;

# Runs the program with files of this text; returns exit status and stderr
sub run_with
{
	my ($catalogue, $trace, @more) = @_;
	my @argument = @more;

	foreach my $file ([ catalogue => $catalogue ], [ trace => $trace ])
	{
		next unless defined $file->[1];
		open my $out, '>', "$dir/$file->[0]" or die "$dir/$file->[0]: $!";
		print $out $file->[1];
		close $out or die "$dir/$file->[0]: $!";
		push @argument, "--$file->[0]", "$dir/$file->[0]";
	}
	my $said = `timeout 20 '$program' @argument 2>&1 </dev/null`;
	return [ $? >> 8, $said ];
}

my $shop_line = "app\t1\tkey\nshop\t5\taccess\trefresh\nsku\tA\t1\n";
my $listing_line = $shop_line . "listing\t5\tA\t100\t0\t1\t9\n";
foreach my $case (
	[ [ undef, undef ], 2, qr/^usage:/, 'no catalogue' ],
	[ [ $listing_line, undef, '--rate', 'x' ], 2, qr/--rate must be a number from 0 to/, 'a rate that is no number' ],
	[ [ $listing_line, undef, '--speed', '0' ], 2, qr/--speed/, 'no speed' ],
	[ [ $listing_line, undef, '--nonsense' ], 2, qr/usage:/, 'an unknown option' ],
	[ [ undef, undef, '--catalogue', "$dir/none" ], 1, qr/could not open/, 'a catalogue that is not there' ],
	[ [ '' ], 1, qr/at least one shop/, 'an empty catalogue' ],
	[ [ "app\t1\n" ], 1, qr/:1: expected: app/, 'an application without key' ],
	[ [ $shop_line . "app\t2\tkey\n" ], 1, qr/:4: a second application/, 'two applications' ],
	[ [ $shop_line . "shop\t5\ta\tb\n" ], 1, qr/repeated shop 5/, 'a repeated shop' ],
	[ [ $shop_line . "sku\tA\t2\n" ], 1, qr/repeated SKU "A"/, 'a repeated SKU' ],
	[ [ $shop_line . "sku\tB\t-2\n" ], 1, qr/:4: field 3, "-2", is not a number from 0/, 'a negative stock' ],
	[ [ $shop_line . "thing\t1\n" ], 1, qr/:4: a record is one of/, 'an unknown record' ],
	[ [ $shop_line . "listing\t6\tA\t1\t0\t1\t1\n" ], 1, qr/:4: unknown shop/, 'a listing of an unknown shop' ],
	[ [ $shop_line . "listing\t5\tB\t1\t0\t1\t1\n" ], 1, qr/:4: unknown SKU/, 'a listing of an unknown SKU' ],
	[ [ $shop_line . "listing\t5\tA\t1\t0\t1\tx\n" ], 1, qr/:4: not a price/, 'a price that is none' ],
	[ [ $shop_line . "listing\t5\tA\t1\t0\t1\t1\tcode\tname\tnormal\t1\n" ], 1, qr/:4: expected: listing/, 'a field too many' ],
	[ [ $shop_line . "listing\t5\tA\t1\t0\t1\t1\tcode\tname\todd\n" ], 1, qr/:4: a state is one of/, 'an unknown state' ],
	[ [ $shop_line . "listing\t5\tA\t1\t0\t1\t1\n" x 2 ], 1, qr/repeated listing of item 1/, 'a repeated listing' ],
	[ [ $listing_line . "listing\t5\tA\t100\t7\t1\t1\n" ], 1, qr/with and without models: item 100/,
		'an item both ways' ],
	[ [ $listing_line, "x\tbuy\tS\t5\t100:0:1\n" ], 1, qr/:1: field 1/, 'a time that is none' ],
	[ [ $listing_line, "5\tbuy\tS\t5\t100:0:1\n4\tship\tS\n" ], 1, qr/:2: earlier/, 'a trace out of order' ],
	[ [ $listing_line, "5\tbuy\tS\t6\t100:0:1\n" ], 1, qr/:1: unknown shop/, 'a buyer at no shop' ],
	[ [ $listing_line, "5\tbuy\tS\t5\t101:0:1\n" ], 1, qr/:1: the shop has no such listing/, 'of no listing' ],
	[ [ $listing_line, "5\tbuy\tS\t5\t100:0:0\n" ], 1, qr/:1: not a number, or a quantity/, 'of no units' ],
	[ [ $listing_line, "5\tbuy\tS\t5\t100:0\n" ], 1, qr/:1: a line is/, 'of no quantity' ],
	[ [ $listing_line, "5\tbuy\tS\t5\t\n" ], 1, qr/:1: an order without lines/, 'of no line' ],
	[ [ $listing_line, "5\tbuy\tS,\t5\t100:0:1\n" ], 1, qr/:1: an order_sn is/, 'with a comma in its number' ],
	[ [ $listing_line, "5\tburn\tS\n" ], 1, qr/:1: an event is one of/, 'an unknown event' ],
	[ [ $listing_line, "5\tship\n" ], 1, qr/:1: expected at least/, 'a ship of nothing' ],
	[ [ $listing_line, undef, '--port-file', "$dir/none/port" ], 1, qr/could not write/, 'a port file that cannot be' ])
{
	my ($given, $code, $said, $what) = @$case;
	my $got = run_with(@$given);

	is($got->[0], $code, "$what: exit status");
	like($got->[1], $said, "$what: message");
}

done_testing();
