# Tasks and the dispatcher: each is done once and closed once, waits where its store
# waits, comes back after a restart, and ends in compensation when it cannot be done.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('main', 'max_prepared_transactions' => 5);
my $sim = Storesync->simulator(
	catalogue => Storesync->catalogue(shops => 2, skus => 5, units => 50),
	rate => 0);
# the first fetch of orders takes a while
my $list = '/api/v2/order/get_order_list';
$sim->faults(slow => 1, slow_ms => 2000, path => $list);
Storesync->load($node, $sim, rate_limit => '50/s burst 10', shown => 1);

sub sql { return $node->safe_psql('shop', $_[0]); }
sub store { return sql("SELECT store_id FROM storesync.store WHERE shop_id = '$_[0]'"); }

my ($one, $two) = (store(1001), store(1002));

sub ask
{
	my ($store, $kind, $payload, $rest) = @_;
	return sql("SELECT storesync.enqueue($store, '$kind', '$payload'" . ($rest // '') . ')');
}

sub state { return sql("SELECT state FROM storesync.task_state($_[0])"); }

sub until_state
{
	my ($task, $wanted, $name) = @_;
	my $last = '';
	my $ok = Storesync->wait_until(sub { ($last = state($task)) eq $wanted }, "$name: $wanted");
	return is($ok ? $wanted : $last, $wanted, $name);
}

# A fetch that is asked for while another is under way is made after it, and not at the next poll.
sub lists { return scalar grep { $_->{path} eq $list } @{ $sim->calls(1001) }; }
sql("UPDATE storesync.store SET poll_interval = '1 hour'");
Storesync->wait_until(sub { lists() > 0 }, 'the first fetch is under way');
my $meanwhile = ask($one, 'fetch_orders', '{}');
Storesync->query_until($node, "SELECT state IN ('sent', 'done') FROM storesync.task_state($meanwhile)", 't', 'it is heard of');
$sim->faults;
until_state($meanwhile, 'done', 'a fetch that is asked for while another is under way');
cmp_ok(lists(), '>=', 2, 'is made when that one is over');
Storesync->converged($node, $sim);

my ($listing) = sql("SELECT listing_id FROM storesync.listing WHERE store_id = $one AND item_id = '1'");

# Push: at once done where nothing differs, when it is acknowledged where something does.
until_state(ask($one, 'push_stock', qq({"listing": $listing.0})), 'done', 'a listing that shows what is wanted, however its number is written');
sql("SELECT storesync.pause($one)");
sql("SELECT storesync.receive('S1', 7, storesync.new_key())");
my $push = ask($one, 'push_stock', qq({"listing": $listing}));
my $later = ask($one, 'push_stock', qq({"listing": $listing}), ", NULL, now() + interval '40 days'");
my $fetch = ask($one, 'fetch_orders', '{}');
until_state($fetch, 'done', 'orders of a paused store are fetched');
is(sql("SELECT state, detail FROM storesync.task_state($push)"), 'queued|waits: the store is paused', 'its writes wait, and say why');
sql("SELECT storesync.resume($one)");
until_state($push, 'done', 'and are done when it is resumed');
is($sim->stock(1001, 1), 57, 'by then the shop shows it');
is(sql("SELECT string_agg(state, ',' ORDER BY at) FROM storesync.task_event WHERE task_id = $push"), 'sent,done',
	'taken up once, closed once');

# More writes than are kept in memory wait: what gets tokens or fetches orders is not behind them.
sql("SELECT storesync.pause($one)");
sql("SELECT count(storesync.enqueue($one, 'push_stock', '{\"listing\": $listing}')) FROM generate_series(1, 1001)");
my $held = sql("SELECT max(task_id) FROM storesync.task_open WHERE store_id = $one AND next_at IS NULL");
until_state(ask($one, 'refresh_token', '{}'), 'done', 'a token is not behind a thousand writes that wait');
until_state(ask($one, 'fetch_orders', '{}'), 'done', 'nor is a fetch');
until_state(ask($one, 'verify', '{}'), 'done', 'nor what compensate() asks for, for which nobody waits here');
is(state($held), 'queued', 'which still wait');
sql("SELECT storesync.resume($one)");
ok(Storesync->query_until($node, "SELECT count(*) FROM storesync.task_open WHERE store_id = $one AND next_at IS NULL", 0,
		'the writes'), 'until the store is resumed');

# Not before, across a crash of everything.
my $soon = ask($two, 'fetch_orders', '{}', ", NULL, now() + interval '3 seconds'");
is(state($soon), 'queued', 'not before its time');
$node->safe_psql('shop', <<'SQL');
BEGIN;
SELECT storesync.enqueue((SELECT max(store_id) FROM storesync.store), 'fetch_orders', '{}');
PREPARE TRANSACTION 'task';
SQL
$node->stop('immediate');
$node->start;
sql("COMMIT PREPARED 'task'");
my $prepared = sql("SELECT max(subject) FROM storesync.outbox WHERE kind = 'task'");
until_state($prepared, 'done', 'asked for by a transaction that was prepared, committed after a restart');
until_state($soon, 'done', 'done when its time has come');
# told twice where the crash came after it was taken up
cmp_ok(sql("SELECT bool_and(e.at >= s.next_at) FROM storesync.task_event e, (SELECT (payload ->> 'not_before')::timestamptz AS next_at"
	  . " FROM storesync.outbox WHERE kind = 'task' AND subject = $soon) s WHERE e.task_id = $soon AND e.state = 'sent'"),
	'eq', 't', 'and not earlier');
is(state($later), 'queued', 'what is for later is still there');

# Orders: a window, some by number; one that does not exist.
my $sn = $sim->order(1001, [ 3, 0, 2 ])->{order_sn};
# pieces of a window end and begin with a whole second: an order of the second in which one ends would be met in the next, too
my $placed = time;
Storesync->wait_until(sub { return time > $placed; }, 'the second of the order is over');
my $window = sql("SELECT storesync.enqueue($one, 'fetch_orders', jsonb_build_object('from', extract(epoch FROM now())::bigint - 7200,"
	  . " 'to', extract(epoch FROM now())::bigint + 60))");
my $some = ask($one, 'fetch_orders', '{"order_sn": ["NOSUCHORDER1", "NOSUCHORDER2"]}');
my $cursor = sql("SELECT fetched_through FROM storesync.order_cursor WHERE store_id = $one");
until_state($window, 'done', 'a window of orders');
is(sql("SELECT count(*) FROM storesync.sales_order WHERE order_sn = '$sn'"), '1', 'an order that the next regular fetch would have met in an hour');
like(sql("SELECT detail FROM storesync.task_state($window)"), qr/^1 orders met, 0 given up$/, 'and says how many');
until_state($some, 'done', 'orders by number');
is(sql("SELECT fetched_through FROM storesync.order_cursor WHERE store_id = $one"), $cursor, 'the cursor of the regular fetch is where it was');

# What cannot be done is given up, with its story, and settled by people.
my $ship = ask($one, 'ship_order', '{"order_sn": "A1", "tracking": "T"}');
until_state($ship, 'dead', 'an order that the platform does not have');
is(sql("SELECT call, class, payload->>'order_sn', jsonb_array_length(story), settled_at IS NULL FROM storesync.compensation WHERE task_id = $ship"),
	'ship_order|permanent|A1|1|t', 'is in compensation with its story');
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation WHERE task_id = $ship");
my ($again) = sql("SELECT detail FROM storesync.task_state($ship)") =~ /^requeued as task (\d+)$/;
until_state($again, 'dead', 'requeued as another task');
is(state($ship), 'discarded', 'the first one is settled');
sql("SELECT storesync.discard(compensation_id, 'sent by hand') FROM storesync.compensation WHERE task_id = $again");
is(sql("SELECT state, detail FROM storesync.task_state($again)"), 'discarded|discarded: sent by hand', 'discarded');
my ($status) = $node->psql('shop', "SELECT storesync.discard(compensation_id, 'twice') FROM storesync.compensation WHERE task_id = $again");
isnt($status, 0, 'once');
sql("UPDATE storesync.listing SET enabled = false WHERE item_id = '2'");
until_state(sql("SELECT storesync.enqueue(store_id, 'push_stock', jsonb_build_object('listing', listing_id))"
	  . " FROM storesync.listing WHERE item_id = '2' AND store_id = $one"), 'dead', 'a listing that is never written');

# a listing that the platform does not know: what it said stands in the task's story too
sql("UPDATE storesync.listing SET item_id = '999' WHERE item_id = '3' AND store_id = $two");
my $unknown = sql("SELECT storesync.enqueue(store_id, 'push_stock', jsonb_build_object('listing', listing_id * 1.0))"
	  . " FROM storesync.listing WHERE item_id = '999'");
until_state($unknown, 'dead', 'a listing that the platform does not know');
is(sql("SELECT class, story -> 0 ->> 'class', (story -> 0 ->> 'http_status')::int > 0, story -> 0 ? 'excerpt', story -> -1 ->> 'reason' = reason"
	  . " FROM storesync.compensation WHERE task_id = $unknown"), 'permanent|permanent|t|t|t', 'has the story of its listing, and its own');
sql("SELECT storesync.discard(compensation_id, 'gone') FROM storesync.compensation WHERE settled_at IS NULL");
sql("UPDATE storesync.listing SET item_id = '3' WHERE item_id = '999'");

# A store whose credential the platform refuses: its tasks say so, and go on when it is mended.
my %right = map { split /\|/ } split /\n/, sql("SELECT name, value FROM storesync.credential WHERE store_id = $two");
sql(join ';', map { "SELECT storesync.set_credential($two, '$_', 'wrong')" } sort keys %right);
my $refused = ask($two, 'fetch_orders', '{}');
Storesync->query_until($node, "SELECT state <> 'done' AND detail ~ 'waits: the platform refuses its credential' FROM storesync.task_state($refused)",
	't', 'a task of a store whose credential is refused says so');
sql(join ';', map { "SELECT storesync.set_credential($two, '$_', '$right{$_}')" } sort keys %right);
until_state($refused, 'done', 'and is done when it is mended');

# A thousand tasks of a store that waits do not crowd its fetches out.
sql("SELECT storesync.pause($one)");
sql("SELECT count(storesync.enqueue($one, 'push_stock', '{\"listing\": $listing}')) FROM generate_series(1, 2500)");
until_state(ask($one, 'fetch_orders', '{}'), 'done', 'a fetch behind 2,500 writes that wait');
sql("SELECT storesync.resume($one)");
Storesync->query_until($node, "SELECT count(*) FROM storesync.task_open WHERE kind = 'push_stock' AND task_id <> $later", '0', 'all of them done');

# The platform is away: the try fails, waits, is done later; killed in between it is not forgotten.
# (all else is answered: where nothing is, the platform counts as away, and tries as none)
$sim->faults(error_5xx => 1, path => 'get_order_detail');
my $retried = ask($two, 'fetch_orders', qq({"order_sn": ["$sn"]}));
Storesync->query_until($node, "SELECT state IN ('waiting', 'sent') AND attempts > 0 FROM storesync.task_state($retried)", 't', 'a try that fails');
Storesync->query_until($node, "SELECT count(*) > 0 FROM storesync.task_event WHERE task_id = $retried AND state = 'waiting' AND class IS NOT NULL AND next_at > at", 't', 'waits');
# and at the tenth try is given up, with each call that failed; no try of its own may come between the ninth and the kill
my $given_up = ask($two, 'fetch_orders', qq({"order_sn": ["$sn"]}));
Storesync->query_until($node, "SELECT state = 'waiting' AND next_at > clock_timestamp() + '2 seconds' FROM storesync.task_state($given_up)", 't',
	'another that fails, and waits for some seconds');
sql("INSERT INTO storesync.task_event (task_id, state, class, attempts, next_at, detail) VALUES ($given_up, 'waiting', 'later', 9, clock_timestamp(), 'by hand')");
Storesync->crash($node, Storesync->dispatcher($node)) or die 'no server';
until_state($given_up, 'dead', 'the tenth try is the last');
is(sql("SELECT jsonb_array_length(s) >= 3, bool_and(t ? 'class' AND t ? 'reason' AND t ? 'at'),"
	  . " bool_and((t ->> 'http_status')::int >= 500 AND (t -> 'us' ->> 'total')::int > 0 AND t ? 'excerpt' AND t ? 'curl_code')"
	  . " FILTER (WHERE t ->> 'reason' <> 'by hand')"
	  . " FROM storesync.compensation c, LATERAL (SELECT c.story) x (s), jsonb_array_elements(x.s) t WHERE c.task_id = $given_up GROUP BY s"),
	't|t|t', 'with its story');
$sim->faults();
sql("SELECT storesync.requeue(compensation_id) FROM storesync.compensation WHERE task_id = $given_up");
until_state(sql("SELECT detail FROM storesync.task_state($given_up)") =~ s/requeued as task //r, 'done', 'asked for again it is done');
until_state($retried, 'done', 'and is done when the platform is back');
is(sql("SELECT count(*) FROM storesync.task_event WHERE task_id = $retried AND storesync.task_is_closed(state)"), '1', 'closed once');
is(sql("SELECT count(*) FROM (SELECT task_id FROM storesync.task_event WHERE state IN ('done', 'dead') GROUP BY 1 HAVING count(*) > 1) x"),
	'0', 'as is every task');
is(sql("SELECT count(*), min(task_id) FROM storesync.task_open"), "1|$later", 'but the one for later all are closed');
Storesync->sound($node);

done_testing();
