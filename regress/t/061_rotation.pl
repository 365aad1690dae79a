# Days of the outbox that everybody is past go while the shop works: nobody waits
# for it, whoever has the outbox open delays it and nothing else, and what was left
# half way is finished. Open tasks go on with their ids.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $node = Storesync->cluster('main', 'storesync.databases' => undef, 'max_prepared_transactions' => 5);

sub sql { return $node->safe_psql('shop', $_[0]); }

Storesync->old_days($node);
sql(<<'SQL');
SELECT storesync.ensure_partitions();
SELECT public.old_day(p, a) FROM unnest('{outbox,task_event}'::text[]) p, generate_series(2, 4) a;
SELECT public.old_day(p, 40) FROM unnest('{task_event,call_log,push,notification}'::text[]) p;
SELECT storesync.add_store('shopee', '1', 'one');
UPDATE storesync.store SET mode = 'off';
INSERT INTO storesync.outbox (subject, kind, at) SELECT 1, 'stock', to_at - interval '1 hour' FROM storesync.partition_days('outbox')
WHERE to_at < now() - interval '1 day';
SQL

# a task of a store that is off, put into the past
my $task = sql("SELECT storesync.enqueue(1, 'fetch_orders', '{}', not_before => now() + interval '40 days')");
my $tried = sql("SELECT storesync.enqueue(1, 'fetch_orders', '{}')");
sql("UPDATE storesync.outbox SET at = at - interval '3 days' WHERE kind = 'task'");
sql("INSERT INTO storesync.task_event VALUES ($tried, now() - interval '3 days', 'waiting', 'later', 4, now() + interval '1 day', 'busy')");
my $before = sql("SELECT * FROM storesync.task_state($task); SELECT * FROM storesync.task_state($tried)");
# not the day before: that is none of them, should midnight be in the middle of this
my $left = "SELECT count(*) FROM storesync.partition_days('outbox') WHERE to_at < now() - interval '1 day'";
my $events = "SELECT count(*) FROM storesync.partition_days('task_event') WHERE to_at < now() - interval '1 day'";
is(sql($left) . sql($events), '34', 'old days');

# Somebody reads the outbox, and another consumer is behind.
sql("INSERT INTO storesync.consumer VALUES ('slow', storesync.current_incarnation(), '3:3:')");
$node->append_conf('postgresql.conf', "storesync.databases = 'shop'");
$node->restart;
ok(Storesync->wait_until(sub { Storesync->dispatcher($node) ne '' }, 'the dispatcher'), 'the dispatcher runs');
Storesync->query_until($node, "SELECT count(*) FROM storesync.consumer WHERE name = 'dispatch'", '1', 'its cursor is stored');
is(sql("SELECT string_agg(DISTINCT waits_for, ',') FROM storesync.rotation() WHERE parent = 'outbox'"), 'consumer slow',
	'a consumer that is behind is waited for, and shown');
like(sql("SELECT reason FROM storesync.health() WHERE component = 'consumer slow'"), qr/rows behind/, 'health() too');
is(sql($left), '3', 'its days stay');

my $reader = $node->background_psql('shop');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->query_safe('SELECT count(*) FROM storesync.outbox');
sql("SELECT storesync.consumer_drop('slow')");
my $first = Storesync->dispatcher($node);
sql("SELECT pg_terminate_backend($first)");
ok(Storesync->wait_until(
	sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') eq '1' }, 'a detachment'), 'a day is on its way out');
my $took = Storesync->elapsed(sub {
	sql("SELECT storesync.outbox_add('stock', '{5}')");
	is(sql("SELECT count(*) > 0 FROM storesync.outbox"), 't', 'writers and readers go on');
});
cmp_ok($took, '<', 2, 'and wait for nothing');
is($reader->query_safe('SELECT count(*) FROM storesync.outbox WHERE kind = \'stock\' AND subject = 1'), '3', 'the reader still sees all');
$reader->query_safe('COMMIT');
$reader->quit;

# killed in between: the next one finishes
my $second = Storesync->dispatcher($node);
sql("SELECT pg_terminate_backend($second)") if $second ne '';
Storesync->query_until($node, $left, '0', 'all of them gone');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.left_detached()', '0', 'nothing is left');
Storesync->query_until($node, $events, '3', 'events older than the logs go, later ones stay');
Storesync->query_until($node, "SELECT count(*) FROM unnest('{call_log,push,notification}'::text[]) p, storesync.partition_days(p) d"
	. q( WHERE d.to_at < now() - interval '1 day'), '0', 'logs go by their age');
is(sql("SELECT * FROM storesync.task_state($task); SELECT * FROM storesync.task_state($tried)"), $before, 'open tasks stand as before');
is(sql("SELECT count(*) FROM storesync.task_open WHERE task_id IN ($task, $tried)"), '2', 'each once');
unlike(slurp_file($node->logfile), qr/ERROR:.*(lock timeout|DETACH)/, 'nothing of it in the log');
Storesync->sound($node);

done_testing();
