# The simulator's PChome dialect: both directories, what refuses a call whole, and
# orders of one record a line (docs/pchome.md, docs/simulator.md).
use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;
use POSIX qw(strftime);
use Storesync::Simulator;
use Test::More;
use Time::HiRes qw(time);

my $vendor = 39001;
my $tea = 'SIMA0A-A00000001';		# without specs
my $shirt = 'SIMA0A-A00000002';		# specs 001 and 002
my $catalogue = join '', map { join("\t", @$_) . "\n" } [ 'app', 2009999, 'demoPartnerKey0123456789abcdef' ],
  [ 'shop', $vendor, 'token', 'refresh' ], map({ [ 'sku', $_, 10 ] } qw(TEA RED BLUE)),
  [ 'listing', $vendor, 'TEA', 1, 0, 10, 100 ], [ 'listing', $vendor, 'RED', 2, 1, 10, 200 ],
  [ 'listing', $vendor, 'BLUE', 2, 2, 10, 200 ];
my $sim = Storesync::Simulator->start(catalogue => $catalogue, rate => 0);
my $http = HTTP::Tiny->new(timeout => 30, no_proxy => ['127.0.0.1'], keep_alive => 0);
# midnight may come before what is asked for by the day
my ($day, $next) = map { strftime '%Y/%m/%d', gmtime(time + (8 + 24 * $_) * 3600) } 0, 1;

# call METHOD, PATH, BODY: "STATUS", or "STATUS CODE" of a refusal; the decoded answer behind it
sub call
{
	my ($method, $path, $body, $directory) = @_;
	my $answer = $http->request($method, $sim->url . '/' . ($directory // 'vdr') . "/$path",
		defined $body ? { content => ref $body ? encode_json($body) : $body } : {});
	my $data = eval { decode_json($answer->{content}) };
	my $code = ref $data eq 'HASH' ? $data->{Code} : undef;

	return ($answer->{status} . (defined $code ? " $code" : ''), $data, $answer->{content});
}

sub qty
{
	my ($ids, @entries) = @_;
	return (call('PUT', "prod/v3.3/index.php/vendor/$vendor/prod/qty?prodid=$ids",
		[ map { { Id => $_->[0], Qty => $_->[1] } } @entries ]))[0];
}
sub order { my ($path, $body) = @_; return call(defined $body ? 'PUT' : 'GET', "order/v1/index.php/trans/$path", $body); }
sub record { my ($id) = @_; return (order("vendor/$vendor/order?id=$id"))[1][0]; }
sub shown { return join ' ', map { $sim->stock($vendor, @$_) } [ 1, 0 ], [ 2, 1 ], [ 2, 2 ]; }

# ---------------------------------------------------------------- stock: applied whole or refused whole

is(qty("$tea-000", [ "$tea-000", 7 ]), '204', 'a quantity');
is((call('PUT', "prod/v3.3/index.php/vendor/$vendor/prod/qty?prodid=$tea-000", [ { Id => "$tea-000", Qty => 8 } ], 'vdr_fake'))[0],
	'204', 'in the test directory as well');
is(qty("$tea-000,$shirt-001", [ "$tea-000", 1200 ], [ "$shirt-001", 0 ]), '204', 'several, up to 1200 and down to 0');
is(shown(), '1200 0 10', 'are shown');
my @good = ("$tea-000", 5);
foreach my $case (
	[ '400-01-010', "$shirt-002", 1201 ], [ '400-01-010', "$shirt-002", -1 ], [ '400-00-001', "$shirt-002", 'x' ],
	[ '400-00-008', "$shirt-003", 1 ], [ '400-01-036', "$shirt-000", 1 ], [ '400-00-007', 'x', 1 ])
{
	my ($code, $id, $quantity) = @$case;
	is(qty("$tea-000,$id", \@good, [ $id, $quantity ]), "400 $code", "$quantity of $id refuses the whole call");
}
is(qty("$tea-000,$shirt-001", \@good), '400 400-00-011', 'query and body of different length');
is(qty("$tea-000,$shirt-001", \@good, [ "$shirt-002", 1 ]), '400 400-00-012', 'or of different products');
is(qty('', \@good), '400 400-00-001', 'or no query at all');
$sim->post('pchome', { shop_id => "$vendor", item_id => 2, model_id => 2, consigned => JSON::PP::true });
is(qty("$tea-000,$shirt-002", \@good, [ "$shirt-002", 1 ]), '400 400-01-035', 'consigned goods');
$sim->post('pchome', { shop_id => "$vendor", item_id => 1, fixed_s => 600 });
is(qty("$tea-000", \@good), '400 400-01-098', 'what cannot be lowered now');
is(shown(), '1200 0 10', 'nothing of all these was applied');
is(qty("$tea-000", [ "$tea-000", 1200 ]), '204', 'it may stay as it is');
$sim->post('pchome', { shop_id => "$vendor", item_id => 1, fixed_s => 0 });
is(qty("$tea-000", \@good), '204', 'until it may');

# ---------------------------------------------------------------- who may call, and what a gateway says

is((call('GET', 'prod/v3.3/index.php/vendor/39002/prod?groupid=x'))[0], '400 400-00-004', 'another vendor');
$sim->post('pchome', { shop_id => "$vendor", shut => JSON::PP::true });
is(qty("$tea-000", \@good), '403', 'an address that is not let in');
$sim->post('pchome', { shop_id => "$vendor", shut => JSON::PP::false });
my $fault = sub { $sim->faults(@_); my $status = qty("$tea-000", [ "$tea-000", 3 ]); $sim->faults; return $status; };
is($fault->(throttle => 1), '429', 'too many calls');
is($fault->(server => 1), '400 400-00-016', 'a failure inside');
like($fault->(error_5xx => 1), qr/^50[0234]$/, 'a gateway');
is($fault->(item_failure => 1), '400 400-01-098', 'a product that cannot be lowered');
is($fault->(cut_before => 1), '599', 'no answer, and nothing applied');
is($sim->stock($vendor, 1), 5, 'none of it');
is($fault->(cut_after => 1), '599', 'no answer');
is($sim->stock($vendor, 1), 3, 'and applied all the same');
my $began = time;
is($fault->(slow => 1, slow_ms => 300), '204', 'a sluggish answer');
cmp_ok(time - $began, '>=', 0.29, 'is one');

# ---------------------------------------------------------------- orders: a record a line

$sim->post('pchome', { shop_id => "$vendor", item_id => 2, model_id => 2, consigned => JSON::PP::false });
qty("$tea-000,$shirt-001,$shirt-002", map { [ $_, 10 ] } "$tea-000", "$shirt-001", "$shirt-002");
$sim->order($vendor, [ 1, 0, 2 ], [ 2, 1, 1 ], [ 2, 2, 3 ], { order_sn => 'P1' });
my (undef, $list) = order("core/vendor/$vendor/order?transdate=$day-$next&offset=1&limit=2");
is_deeply($list, { TotalRows => 3, Rows => [ { Id => 'P1-01' }, { Id => 'P1-02' } ] }, 'a page of records');
(undef, $list) = order("core/vendor/$vendor/order?transdate=$day-$next&offset=3&limit=2");
is_deeply($list->{Rows}, [ { Id => 'P1-03' } ], 'the offset counts from 1');
is((order("core/vendor/$vendor/order?transdate=$day"))[0], '400 400-00-001', 'a day is no window');
my $record = record('P1-01');
is(join(' ', @$record{qw(OrderQty CancelQty ShipCheckStatus isNotShip)}, $record->{Prod}{Id}), "2 0  0 $tea-000", 'a record');
like($record->{TransDate}, qr{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d$}, 'with a time of day in Taipei');
is(scalar @{ (order("vendor/$vendor/order?id=P1-01,P1-09,NONE-01"))[1] }, 1, 'what is not there is left out');

my $ship = sub { my ($id, %with) = @_; return (order("vendor/$vendor/order/$id/shipinfo", { ShipQty => 2, ShipId => '9055', ShipVendorId => 'BlackCat', %with }))[0]; };
is($ship->('P1-01', ShipQty => 1), '400 400-001', 'shipped in part');
is($ship->('P1-01', ShipVendorId => 'Pigeon'), '400 400-002', 'by nobody');
is($ship->('P1-01', ShipId => ''), '400 400-003', 'without a number');
is($ship->('P1-01'), '204', 'as it should be');
is(join(' ', record('P1-01')->{ShipCheckStatus}, record('P1-01')->{ShipInfo}{ShipQty}, record('P1-02')->{ShipCheckStatus}), 'Checking 2 ', 'of that line alone');

$sim->post('order_status', { order_sn => 'P1', lines => [ { item_id => 2, model_id => 2, cancelled_qty => 1 } ] });
is(record('P1-03')->{CancelQty}, 1, 'a buyer cancels a unit of another');
is((order("vendor/$vendor/order/P1-02/isnotship", '1'))[0], '204', 'a line is declined');
is(join(' ', @{ record('P1-02') }{qw(CancelQty isNotShip)}), '1 1', 'and cancelled');
is($sim->stock($vendor, 2, 1), 0, 'and its product shows nothing any more');
is(record('P1-03')->{isNotShip}, 0, 'the other line goes on');
is((order("vendor/$vendor/order/P1-03/isnotship", '2'))[0], '400 400-001', 'declined with another word');

$sim->order_status('P1', 'TO_RETURN');
(undef, $list) = call('GET', "refund/v1/index.php/trans/core/vendor/$vendor/refund?approveddate=$day-$next&prodqcstatus=NA&offset=1&limit=20");
is($list->{TotalRows}, 3, 'what is to come back is listed');
is($sim->stock($vendor, 1), 8, 'and is not back for that');
done_testing();
