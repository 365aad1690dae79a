# Orders are shipped and cancelled at a Shopee shop and at a PChome vendor, and
# whatever goes wrong on the way, each of them once: the simulator counts. Killed
# at each step, reset and silent after it was done, refused, throttled; shipped
# by somebody else meanwhile, cancelled by the buyer, paused.

use strict;
use warnings;

use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Proxy;
use Test::More;

my ($shopee, $vendor, $units) = (1001, 39001, 500);
my $catalogue = "app\t2009999\tdemoPartnerKey0123456789abcdef\n"
  . join('', map { "shop\t$_\ttoken-$_\trefresh-$_\n" } $shopee, $vendor)
  . join('', map { "sku\tS$_\t$units\n" } 1 .. 3);
foreach my $shop ($shopee, $vendor)
{
	$catalogue .= "listing\t$shop\tS$_\t$_\t0\t$units\t100\n" foreach 1 .. 3;
}
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 40);
my $proxy = Storesync::Proxy->start($sim->port);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0, 'storesync.request_timeout' => '30s');
my $url = $proxy->url;
$node->safe_psql('shop', join '', map { "$_;\n" } 'BEGIN',
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee'",
	"UPDATE storesync.platform SET base_url = '$url/vdr' WHERE platform = 'pchome'",
	"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'ruten'",
	"SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999')",
	"SELECT storesync.set_app_credential('shopee', 'partner_key', 'demoPartnerKey0123456789abcdef')",
	"SELECT storesync.add_store('shopee', '$shopee', 'one', '40/s'), storesync.add_store('pchome', '$vendor', 'two', '40/s'), storesync.add_store('ruten', 'nobody', 'three')",
	"SELECT storesync.set_credential(1, 'access_token', 'token-$shopee'), storesync.set_credential(1, 'refresh_token', 'refresh-$shopee')",
	"UPDATE storesync.store SET poll_interval = '300 milliseconds'",
	(map { "SELECT storesync.add_sku('S$_'), storesync.receive('S$_', $units, storesync.derive_key(now(), 'opening', 'S$_')),"
		  . " storesync.add_listing(1, 'S$_', '$_'), storesync.add_listing(2, 'S$_', 'SIMA0A-A0000000$_')" } 1 .. 3),
	'COMMIT');

sub sql { my ($sql) = @_; return $node->safe_psql('shop', $sql); }

# answer of a query, '' while the server is on its way back
sub answer { my ($status, $out) = $node->psql('shop', $_[0]); return $status == 0 ? $out : ''; }

my $n = 0;
# buy STORE, LINES...: a buyer; the order's number, once it is booked
sub buy
{
	my ($store, @lines) = @_;
	my $sn = sprintf $store == 1 ? 'A%05d' : '202601010%05d', ++$n;
	# where a line was just declined nothing is shown for a moment
	Storesync->wait_until(sub { $sim->order($store == 1 ? $shopee : $vendor, (map { [ $_, 0, 2 ] } @lines ? @lines : 1), { order_sn => $sn })
			  ->{accepted_units} }, 'something is for sale');
	Storesync->wait_until(sub { answer("SELECT count(*) FROM storesync.sales_order WHERE order_sn = '$sn'") eq '1' }, 'the order is booked');
	return $sn;
}

# ask STORE, KIND, ORDER, MORE: a task
my $carrier = ',"carrier":"Post","tracking":"T1"';
sub ask
{
	my ($store, $kind, $sn, $more) = @_;
	$more //= '';
	return sql("SELECT storesync.enqueue($store, '$kind', '{\"order_sn\":\"$sn\"$more}')");
}
sub ship { my ($store, $sn) = @_; return ask($store, 'ship_order', $sn, $carrier); }

sub ends
{
	my ($task, $state, $what, $detail) = @_;
	my $got = '';
	Storesync->wait_until(sub { ($got = answer("SELECT concat_ws('|', state, detail) FROM storesync.task_state($task)")) =~ /^(done|dead)/ }, $what);
	return defined $detail ? is($got, "$state|$detail", $what) : like($got, qr/^$state/, $what);
}

# made ORDER: each line's shipments and cancellations, as the simulator counted them
sub made
{
	my ($sn) = @_;
	return join ',', map { "$_->{ships}/$_->{cancels}" } grep { $_->{order_sn} eq $sn } @{ $sim->get('shipments')->{lines} };
}
sub status { my ($sn) = @_; return (grep { $_->{order_sn} eq $sn } @{ $sim->get('shipments')->{lines} })[0]{status}; }
sub booked
{
	my ($sn) = @_;
	return answer("SELECT string_agg(l.state::text, ',' ORDER BY l.line_id) FROM storesync.sales_order_line l JOIN storesync.sales_order o USING (order_id) WHERE o.order_sn = '$sn'");
}

# ---- as it should be

my $sn = buy(1);
ends(ship(1, $sn), 'done', 'an order is shipped');
is(status($sn) . ' ' . made($sn), 'PROCESSED 1/0', 'at Shopee it is arranged, once');
is(booked($sn), 'reserved', 'which moves no stock');
is(sql("SELECT array_to_string(array_agg(call ORDER BY at), ' ') FROM storesync.call_log WHERE store_id = 1 AND call ~ 'ship'"), 'ship_info ship',
	'it was asked how');
$sim->order_status($sn, 'SHIPPED');
Storesync->wait_until(sub { booked($sn) eq 'shipped' }, 'its parcel being collected does');
ends(ship(1, $sn), 'done', 'asked for again', 'it was shipped already');
is(made($sn), '1/0', 'nothing is done');

$sn = buy(2, 1, 2);
ends(ship(2, $sn), 'done', 'an order of two lines is shipped');
is(made($sn), '1/0,1/0', 'at PChome line by line');
is(booked($sn), 'shipped,shipped', 'and booked when the task is done');

$sn = buy(1, 1, 2);
ends(ask(1, 'cancel_order', $sn, ',"lines":["2/0"]'), 'done', 'a line is cancelled');
is(status($sn) . ' ' . made($sn) . ' ' . booked($sn), 'READY_TO_SHIP 0/0,0/1 reserved,cancelled', 'at Shopee, once, and booked');
ends(ask(1, 'cancel_order', $sn, ',"reason":"CUSTOMER_REQUEST"'), 'done', 'the rest is cancelled');
is(status($sn) . ' ' . made($sn) . ' ' . booked($sn), 'CANCELLED 0/1,0/1 cancelled,cancelled', 'and what is left of the order');
ends(ask(1, 'cancel_order', $sn), 'done', 'cancelled again', 'it was cancelled already');
ends(ship(1, $sn), 'dead', 'a cancelled order is not shipped', 'the order is cancelled');
is(made($sn), '0/1,0/1', 'nothing is done');

$sn = buy(2, 1, 3);
ends(ask(2, 'cancel_order', $sn, ',"lines":["02"]'), 'done', 'a line is declined');
is(made($sn) . ' ' . booked($sn), '0/0,0/1 reserved,cancelled', 'at PChome, once, and booked');
is(sql('SELECT item_id, held FROM storesync.listing WHERE held IS NOT NULL'), "SIMA0A-A00000003|declined order $sn", 'its listing is held');
ends(ask(2, 'ship_order', $sn, ',"package":"01"' . $carrier), 'done', 'the other is shipped');
is(made($sn), '1/0,0/1', 'once');
ends(ask(2, 'cancel_order', $sn, ',"lines":["01"]'), 'dead', 'what is shipped is not cancelled', 'the order has been shipped');
ends(ask(2, 'cancel_order', $sn, ',"lines":["07"]'), 'dead', 'there is no such line');
sql('SELECT storesync.release_hold(listing_id) FROM storesync.listing WHERE held IS NOT NULL');

# ---- what cannot be

ends(ask(3, 'ship_order', 'R1'), 'dead', 'Ruten has no call that is known', 'this platform has no call for it that is known: do it there');
ends(ask(1, 'ship_order', 'NOSUCH'), 'dead', 'an order that is not there');
ends(ask(2, 'ship_order', buy(2), ',"carrier":"Nobody","tracking":"1"'), 'dead', 'a carrier that the platform does not know');

my $early = ask(2, 'ship_order', '20269999000001', $carrier);
Storesync->query_until($node, "SELECT state, last_class, detail FROM storesync.task_state($early)",
	'waiting|later|the order is not known yet, and the task names none of its lines', 'an order that is not known yet');
$sim->order($vendor, [ 2, 0, 1 ], { order_sn => '20269999000001' });
ends($early, 'done', 'is shipped when it is');

$sn = buy(1);
$sim->faults(item_failure => 1, path => 'ship_order', count => 1);
my $refused = ship(1, $sn);
ends($refused, 'dead', 'an order that the platform refuses', 'The order cannot be changed.');
is(sql("SELECT class, reason, story -> 0 ->> 'http_status' FROM storesync.compensation WHERE task_id = $refused"), 'permanent|The order cannot be changed.|200',
	'is left to people with its story');
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation WHERE task_id = $refused");
ends(sql("SELECT detail FROM storesync.task_state($refused)") =~ s/requeued as task //r, 'done', 'asked for again it is shipped');
is(made($sn), '1/0', 'once');

# ---- switches

$sn = buy(1);
sql('SELECT storesync.pause(1)');
my $paused = ship(1, $sn);
ends(ship(2, my $other = buy(2)), 'done', 'another store ships');
is(sql("SELECT state, detail FROM storesync.task_state($paused)"), 'queued|waits: the store is paused', 'a paused store does not');
$sim->order_status($sn, 'CANCELLED');
sql('SELECT storesync.resume(1)');
ends($paused, 'dead', 'and what was cancelled meanwhile is not shipped', 'the order is cancelled');
is(made($sn), '0/0', 'never');
is(sql("SELECT count(*) FROM storesync.compensation WHERE task_id = $paused AND call = 'ship_order'"), '1', 'people hear of it');

# ---- many at once: read together

my @many = map { $sim->order($shopee, [ 1, 0, 1 ], { order_sn => "M$_" }); "M$_" } 1 .. 8;
Storesync->wait_until(sub { answer("SELECT count(*) FROM storesync.sales_order WHERE order_sn ~ '^M'") eq '8' }, 'eight orders are booked');
sql(q(SELECT storesync.enqueue(1, 'ship_order', jsonb_build_object('order_sn', 'M' || n)) FROM generate_series(1, 8) n));
my $unknown = sql(q(SELECT storesync.enqueue(1, 'ship_order', jsonb_build_object('order_sn', 'M1')), storesync.enqueue(1, 'ship_order', '{"order_sn":"NONE"}'))) =~ s/.*\|//r;
Storesync->wait_until(sub { answer("SELECT count(*) FROM storesync.task_open WHERE kind = 'ship_order'") eq '0' }, 'all are shipped');
is(join(' ', map { made($_) } @many), join(' ', ('1/0') x 8), 'once, though one was asked for twice');
ends($unknown, 'dead', 'one that is not there costs no other');

# ---- faults, of both platforms' shipping and cancelling

my @kinds = (
	[ 1, 'ship_order', 'ship_order', $carrier, '1/0' ],
	[ 1, 'cancel_order', 'cancel_order', '', '0/1' ],
	[ 2, 'ship_order', 'shipinfo', $carrier, '1/0' ],
	[ 2, 'cancel_order', 'isnotship', '', '0/1' ]);

my $writes = '(ship_order|cancel_order|shipinfo|isnotship)';

# all of them at once; faults strike until each call has met one
sub strike
{
	my ($what, $begin) = @_;
	my @orders = map { buy($_->[0]) } @kinds;
	$begin->();
	my @tasks = map { ask($kinds[$_][0], $kinds[$_][1], $orders[$_], $kinds[$_][3]) } 0 .. 3;
	return (\@orders, \@tasks, $what);
}

sub all_once
{
	my ($orders, $tasks, $what) = @_;
	ends($tasks->[$_], 'done', "$what: $kinds[$_][1] at store $kinds[$_][0]") foreach 0 .. 3;
	is(join(' ', map { made($_) } @$orders), join(' ', map { $_->[4] } @kinds), "$what: each once");
	is(join(' ', map { booked($_) } @$orders), 'reserved cancelled shipped cancelled', "$what: and booked");
	sql('SELECT storesync.release_hold(listing_id) FROM storesync.listing WHERE held IS NOT NULL');
	return;
}

# spoil KIND: each of the four calls, by the simulator or by the proxy
{
	my @struck = strike('cut and spoilt', sub { $sim->faults(cut_after => 0.5, malformed => 0.5, path => 'order', count => 12); });
	Storesync->wait_until(sub { $sim->counters->{faults}{cut_after} + $sim->counters->{faults}{malformed} >= 4 }, 'faults strike');
	$sim->faults;
	all_once(@struck);
}

{
	my @struck = strike('reset after it was done', sub { $proxy->spoil('reset_after', pattern => $writes, count => 4); });
	all_once(@struck);
	is($proxy->spoilt, 4, 'each call was reset after it was done');
	$proxy->spoil;
}

{
	my @struck = strike('throttled, 5xx and errors', sub { $sim->faults(throttle => 0.3, error_5xx => 0.2, server => 0.3, count => 30); });
	Storesync->wait_until(sub { answer("SELECT count(*) FROM storesync.task_event WHERE task_id = ANY ('{" . join(',', @{ $struck[1] }) . "}')") > 4 }, 'they are taken up');
	$sim->faults;
	all_once(@struck);
}

# ---- killed at each step

sub killed
{
	my $pid = Storesync->dispatcher($node);
	kill 'KILL', $pid;
	$proxy->spoil;
	$sim->faults;
	Storesync->wait_until(
		sub {
			my $next = answer("SELECT pid FROM storesync.stat_dispatcher WHERE database = 'shop' AND state = 'running'");
			return $next ne '' && $next ne $pid;
		},
		'another dispatcher');
	return;
}

# the proxy keeps all that concerns shipping waiting, before or after the platform did it
foreach my $step ([ 'silent', 'before the platform did it' ], [ 'silent_after', 'after the platform did it' ])
{
	my @struck = strike("killed $step->[1]", sub { $proxy->spoil($step->[0], pattern => $writes); });
	Storesync->wait_until(sub { $proxy->spoilt >= 4 }, 'calls under way');
	is(sql("SELECT count(*) FROM storesync.task_event WHERE state = 'sent' AND task_id = ANY ('{" . join(',', @{ $struck[1] }) . "}')"), '4',
		'that they were begun is in the table');
	killed();
	all_once(@struck);
}

# while what the calls came to is recorded
{
	my $holder = $node->background_psql('shop');
	my @struck = strike('killed before it was recorded', sub { $sim->faults(slow => 1, slow_ms => 1500, path => 'order'); });
	Storesync->wait_until(sub { join(' ', map { made($_) } @{ $struck[0] }) eq join(' ', map { $_->[4] } @kinds) }, 'the platforms do it');
	$holder->query_safe('BEGIN');
	$holder->query_safe('LOCK TABLE storesync.call_log IN SHARE MODE');
	my $pid = Storesync->dispatcher($node);
	Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE pid = $pid AND wait_event_type = 'Lock'", 't', 'it waits');
	killed();
	eval { $holder->quit };
	all_once(@struck);
}

# ---- in doubt to the end, and asked for again: it is read first

{
	$sn = buy(1);
	$proxy->spoil('reset_after', path => 'ship_order');
	my $doubt = ship(1, $sn);
	Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.task_event WHERE task_id = $doubt AND state = 'waiting' AND class = 'in_doubt'", 't', 'in doubt');
	$proxy->spoil;
	ends($doubt, 'done', 'what was in doubt is read first', 'it was shipped already');
	is(made($sn), '1/0', 'and not repeated');
}

is(sql("SELECT count(*) FROM (SELECT task_id FROM storesync.task_event WHERE state IN ('done', 'dead') GROUP BY 1 HAVING count(*) > 1) x"), '0',
	'every task is closed once');
cmp_ok((sort { $b <=> $a } map { ($_->{ships}, $_->{cancels}) } @{ $sim->get('shipments')->{lines} })[0], '<=', 1, 'nothing was ever shipped or cancelled twice');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
Storesync->sound($node);

done_testing();
