# The race of absolute writes and sales that nobody has fetched yet, step by
# step against two shops: a decrease must not give back what was sold unseen,
# nor must a raise; a zero waits for nothing. Orders are polled once an hour, so
# what is unseen stays so until a write needs to know.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my ($units, $rate) = (20010, 30);
my ($list, $update) = ('/api/v2/order/get_order_list', '/api/v2/product/update_stock');
my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 1, units => $units), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my ($one, $two) = @$store{qw(1001 1002)};

# what was sold so fast is expected to go on for a minute: so long a raise may wait
$Storesync::limit *= 2;

sub sql { return $node->safe_psql('shop', $_[0]); }
sub shown { return join ' ', map { $sim->stock($_, 1) } 1001, 1002; }
sub calls { my ($path) = @_; return grep { $_->{path} eq $path } @{ $sim->calls(1001) }; }

sub fetch
{
	my ($id) = @_;
	my $task = sql("SELECT storesync.enqueue($id, 'fetch_orders', '{}')");
	return Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', "a fetch of store $id");
}

# pushed SINCE: the largest quantity that the first shop was told since then. A shop shows a quantity before its answer is
# written down, with which the call is.
sub pushed
{
	my ($since) = @_;
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_target WHERE dirty', '0', 'all answers are written down');
	return sql("SELECT max(qty) FROM storesync.push p JOIN storesync.listing USING (listing_id, store_id) "
		  . "WHERE store_id = $one AND sent_at > '$since'");
}

sql(q(UPDATE storesync.store SET poll_interval = '1 hour'));
Storesync->converged($node, $sim, 'all is shown at first');

# The first shop sells fast, and that is known: something has to be expected of it.
$sim->order(1001, [ 1, 0, 20000 ]);
fetch($one);
Storesync->converged($node, $sim, 'what it sold is known');
is(shown(), '10 10', 'ten are left');
# A raise by less than it sells until its orders are fetched again: there is nothing to tell it, however often they are.
my ($told, $asked) = (scalar(() = calls($update)), scalar(() = calls($list)));
sql("UPDATE storesync.store SET poll_interval = '1 s' WHERE store_id = $one");
sql("SELECT storesync.receive('S1', 1, storesync.new_key())");
Storesync->wait_until(sub { $asked + 4 <= (() = calls($list)) }, 'its orders are fetched four times');
is(scalar(() = calls($update)), $told, 'and nothing is written meanwhile');
sql("UPDATE storesync.store SET poll_interval = '1 hour' WHERE store_id = $one");
sql("SELECT storesync.reserve('S1', 1, storesync.new_key())");
Storesync->converged($node, $sim, 'what came has gone again');
is(shown(), '10 10', 'ten are left, as before');
Storesync->query_until($node, "SELECT clock_timestamp() > fetched_through + interval '1500 milliseconds' "
	  . "FROM storesync.order_cursor WHERE store_id = $one", 't', 'a while passes');

# A decrease: four are sold there, unseen, then two elsewhere.
my $since = sql('SELECT clock_timestamp()');
my $fetches = () = calls($list);
$sim->order(1001, [ 1, 0, 4 ]);
is(shown(), '6 10', 'it shows six, and is believed to show ten');
$sim->order(1002, [ 1, 0, 2 ]);
fetch($two);
Storesync->converged($node, $sim, 'the decrease to eight that would have been a raise is none');
is(shown(), '4 4', 'four are left');
is(pushed($since), 4, 'the shop was told no more');
cmp_ok(scalar(() = calls($list)), '>', $fetches, 'after a fetch');
cmp_ok((calls($list))[-1]{at_us}, '<', (calls($update))[-1]{at_us}, 'that came before it');

# A raise: three are sold there, unseen, then five are received.
$since = sql('SELECT clock_timestamp()');
$fetches = () = calls($list);
$sim->order(1001, [ 1, 0, 3 ]);
is(shown(), '1 4', 'it shows one, and is believed to show four');
sql("SELECT storesync.receive('S1', 5, storesync.new_key())");
Storesync->converged($node, $sim, 'a raise waits for the orders');
is(shown(), '6 6', 'six are left');
is(pushed($since), 6, 'and never showed nine');
cmp_ok(scalar(() = calls($list)), '>', $fetches, 'after a fetch');
cmp_ok((calls($list))[-1]{at_us}, '<', (calls($update))[-1]{at_us}, 'that came before it');

# Nothing is left: that waits for no orders, seen or not.
my $fetched = sql("SELECT fetched_through FROM storesync.order_cursor WHERE store_id = $one");
$sim->order(1001, [ 1, 0, 1 ]);
sql("SELECT storesync.reserve('S1', 6, storesync.new_key())");
Storesync->wait_until(sub { shown() eq '0 0' }, 'zeros');
is(sql("SELECT fetched_through FROM storesync.order_cursor WHERE store_id = $one"), $fetched, 'a zero waits for no orders');
fetch($_) foreach $one, $two;
is(sql('SELECT sum(short) FROM storesync.sales_order_line'), 1, 'the unit sold beside it is short, and shown to be');
Storesync->converged($node, $sim, 'and nothing else is left to do');

is(sql('SELECT count(*) FROM storesync.compensation'), 0, 'nothing was given up');
is($sim->counters->{oversold_units}, 0, 'the shops sold nothing that was not there');
cmp_ok($sim->counters->{max_in_second}, '<=', $rate + 1, 'no limit was broken');
Storesync->sound($node);
$node->stop;
done_testing();
