# A dump restored into a new database has the same content, down to the first
# and the newest partition; it has no secrets, begins a new incarnation, and
# calls nobody until it is confirmed.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

use Storesync;

my $node = Storesync->cluster('dump',
	'storesync.databases' => '',
	'storesync.instance_name' => 'main');

# ---------------------------------------------------------------- content

# handed in again after the restore, to be recognised
my $key = $node->safe_psql('shop', 'SELECT storesync.new_key()');
my $documents = $node->safe_psql('shop', <<'SQL');
SELECT jsonb_agg(jsonb_build_object('order_sn', 'SN' || n, 'status', CASE n % 4 WHEN 0 THEN 'cancelled' WHEN 1 THEN 'shipped' ELSE 'ready_to_ship' END,
	'create_time', extract(epoch FROM now())::bigint - 60, 'update_time', extract(epoch FROM now())::bigint - 30,
	'fetched_at', extract(epoch FROM now())::bigint, 'buyer', 'b' || n, 'currency', 'TWD',
	'lines', jsonb_build_array(jsonb_build_object('line_id', 'a', 'item_id', (1000 + n)::text,
		'model_id', CASE n % 2 WHEN 0 THEN '7' END, 'qty', n, 'unit_price', 19.5))))
FROM generate_series(1, 30) n
SQL

$node->safe_psql('shop', <<"SQL");
CREATE ROLE clerk;
SELECT storesync.grant_role('clerk', 'operator');
UPDATE storesync.platform SET (base_url, rate_limit, max_quantity, returns_on_cancel, order_overlap)
	= ('http://127.0.0.1:1', '350/min', 500, false, '9 minutes') WHERE platform = 'shopee';
SELECT storesync.set_app_credential('shopee', 'partner_key', 'SECRET-key');
SELECT storesync.add_store('shopee', '22000' || n, 'Shop ' || n, '5/s burst 2') FROM generate_series(1, 3) n;
SELECT storesync.set_credential(store_id, 'access_token', 'SECRET-token') FROM storesync.store;
SELECT storesync.add_sku('SKU-' || n, '茶 "' || n || E'"\\\\', n % 3, n = 7) FROM generate_series(1, 20) n;
SELECT storesync.add_location('back', NULL, false);
SELECT storesync.add_listing(s.store_id, k.code, (1000 + k.sku_id)::text, CASE k.sku_id % 2 WHEN 0 THEN '7' END, 1 + (k.sku_id % 2)::int)
FROM storesync.store s, storesync.sku k ORDER BY 1;
UPDATE storesync.listing SET buffer = 1, share = 0.5 WHERE listing_id % 5 = 0;
SELECT storesync.pause(min(store_id)) FROM storesync.store;
SELECT storesync.consumer_register('cache');
SELECT storesync.receive(code, 100, storesync.derive_key(now(), 'opening', code)) FROM storesync.sku;
SELECT storesync.reserve('SKU-1', 3, storesync.derive_key(now() - interval '30 days', 'old key'), reference => 'basket');
SELECT storesync.ship('SKU-1', 1, '$key', reference => 'basket');
SELECT storesync.reserve('SKU-2', 1000, storesync.derive_key(now(), 'too much'));
SELECT storesync.add_sku('SET');
SELECT storesync.set_bundle('SET', '{"SKU-3": 1, "SKU-4": 2}'), storesync.set_bundle('SET', '{"SKU-3": 1, "SKU-5": 2}');
SELECT storesync.add_listing((SELECT max(store_id) FROM storesync.store), 'SET', '1001', '9');
SELECT storesync.set_store_locations((SELECT min(store_id) FROM storesync.store), ARRAY['main', 'back']);
SELECT * FROM storesync.ingest_order((SELECT max(store_id) FROM storesync.store), jsonb_build_object('order_sn', 'set', 'status', 'shipped',
	'create_time', extract(epoch FROM now())::bigint - 60, 'lines', '[{"line_id": "1", "item_id": "1001", "model_id": "9", "qty": 2}]'::jsonb));
SELECT * FROM storesync.ingest_orders((SELECT max(store_id) FROM storesync.store), '$documents');
SELECT * FROM storesync.ingest_order((SELECT max(store_id) FROM storesync.store), jsonb_build_object('order_sn', 'late', 'status', 'ready_to_ship',
	'create_time', extract(epoch FROM now())::bigint - 60, 'lines', '[{"line_id": "1", "sku": "SKU-6", "qty": 500}]'::jsonb));
SELECT storesync.settle_short(max(store_id), 'late', NULL, 'wait', storesync.new_key(), until => now() + interval '1 day', note => '船') FROM storesync.store;
UPDATE storesync.listing SET price = 100 WHERE store_id = (SELECT max(store_id) FROM storesync.store);
SELECT storesync.set_price(max(listing_id), 90, storesync.new_key(), valid_until => now() + interval '1 day') FROM storesync.listing;
SELECT storesync.reserve_seen(min(listing_id), 2, now(), now() + interval '1 day') FROM storesync.listing;
INSERT INTO storesync.outbox (subject, kind, payload) VALUES (1, 'order', '{"é": "雪"}');
-- the newest partition of each, with the rows that time will bring there
SELECT storesync.ensure_partitions('12 days');
-- what the dispatcher writes
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) SELECT 6 + store_id, store_id, now(), true FROM storesync.store;
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, reserved, listed, ended, writable, seen_at)
SELECT 6 + store_id, store_id, '1', '', 'SKU-1', '茶', 0, true, false, true, now() FROM storesync.store;
INSERT INTO storesync.return_notice (store_id, return_id, order_sn, line_id, state, is_open)
SELECT store_id, 'R1', 'SN1', 'a', 'REQUESTED', true FROM storesync.store;
INSERT INTO storesync.order_look (store_id, age, looked_through, listed) SELECT store_id, '1 hour', now(), 3 FROM storesync.store;
INSERT INTO storesync.order_gap (store_id, age, hour, listed, missing, order_sns)
SELECT store_id, '1 hour', date_trunc('hour', now()), 3, 1, '{SN31}' FROM storesync.store;
INSERT INTO storesync.notification (at, fingerprint, store_id, platform, shop_id, kind, code, order_sn)
SELECT now(), 1, store_id, platform, shop_id, 'order', '3', 'SN1' FROM storesync.store;
INSERT INTO storesync.outbox (at, subject, version, kind) VALUES (now() + interval '12 days', 1, 3, 'stock');
INSERT INTO storesync.task_event (task_id, at, state) VALUES (1, now() + interval '12 days', 'sent');
INSERT INTO storesync.ledger (sku_id, version, on_hand_delta, reserved_delta, on_hand, reserved, event_at, recorded_at, location_id, kind, key)
SELECT sku_id, version + 1, 5, 0, on_hand + 5, reserved, now(), now() + interval '12 days', location_id, 'adjust', storesync.new_key()
FROM storesync.stock WHERE sku_id = 2;
SQL

# every table with rows of its own: parents' are their partitions'
my $tables = $node->safe_psql('shop', <<'SQL');
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r'
	AND c.relname NOT IN ('credential', 'app_credential', 'instance')
ORDER BY 1
SQL
my $sequences = $node->safe_psql('shop',
	q(SELECT relname FROM pg_class WHERE relnamespace = 'storesync'::regnamespace AND relkind = 'S' ORDER BY 1));
my $newest = $node->safe_psql('shop',
	q(SELECT string_agg(max, ' ' ORDER BY max) FROM (SELECT max(inhrelid::regclass::text) FROM pg_inherits i JOIN pg_class c ON c.oid = inhparent
		WHERE c.relname IN ('outbox', 'ledger', 'task_event') GROUP BY inhparent) x));
my $first = $node->safe_psql('shop',
	q(SELECT string_agg(min, ' ' ORDER BY min) FROM (SELECT min(inhrelid::regclass::text) FROM pg_inherits i JOIN pg_class c ON c.oid = inhparent
		WHERE c.relname IN ('outbox', 'ledger', 'idempotency') GROUP BY inhparent) x));

# content DATABASE: name, rows and checksum of each table; state of each sequence; rights
sub content
{
	my ($database) = @_;
	return $node->safe_psql($database, join "\n",
		(map { "SELECT '$_', count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM storesync.$_ t;" } split /\n/, $tables),
		(map { "SELECT '$_', last_value, is_called FROM storesync.$_;" } split /\n/, $sequences),
		"SELECT p.oid::regprocedure, p.proacl FROM pg_proc p WHERE p.pronamespace = 'storesync'::regnamespace ORDER BY p.oid::regprocedure::text;",
		"SELECT c.relname, c.relacl FROM pg_class c WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind <> 'i' ORDER BY 1;",
		"SELECT indexdef FROM pg_indexes WHERE schemaname = 'storesync' ORDER BY 1;",
		"SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;");
}
my $content = content('shop');
my $owner = $node->safe_psql('shop', 'SELECT current_user');

foreach my $partition (split / /, "$first $newest")
{
	cmp_ok($node->safe_psql('shop', "SELECT count(*) FROM $partition"), '>', 0, "$partition has rows");
}
foreach my $table (qw(offer planned_offer allotment listing_walk listing_seen return_notice order_look order_gap notification))
{
	cmp_ok($node->safe_psql('shop', "SELECT count(*) FROM storesync.$table"), '>', 0, "$table has rows");
}
is($node->safe_psql('shop', 'SELECT * FROM storesync.check_invariants()'), '', 'no invariant is broken before');

# ---------------------------------------------------------------- restores

# check DATABASE, HOW: what must hold of a restored database
sub check
{
	my ($database, $how) = @_;
	my $ask = sub { $node->safe_psql($database, shift) };

	is(content($database), $content, "$how: same rows, sequences, rights, indexes and triggers");
	is($ask->('SELECT * FROM storesync.check_invariants()'), '', "$how: no invariant is broken");
	is($ask->('SELECT (SELECT count(*) FROM storesync.credential) + (SELECT count(*) FROM storesync.app_credential) + (SELECT count(*) FROM storesync.instance)'),
		'0', "$how: no secrets, no confirmation");
	is($ask->(q(SELECT base_url, rate_limit, max_quantity, returns_on_cancel, order_overlap FROM storesync.platform WHERE platform = 'shopee')),
		'http://127.0.0.1:1|350/min|500|f|00:09:00', "$how: the operator's platform, not the script's");

	# paused until confirmed, though the platform is on a loopback address
	is($ask->(q(SELECT storesync.sending_allowed('shopee'))), 'f', "$how: sending is paused");
	like($ask->(q(SELECT state || ' ' || reason FROM storesync.health() WHERE component = 'instance shopee')),
		qr/^degraded sending is paused: this data came from another database/, "$how: health() says so");
	is($ask->('SELECT storesync.current_incarnation()'), '2', "$how: the next incarnation starts");
	is($ask->(q(SELECT storesync.sending_allowed('shopee'))), 'f', "$how: and is paused as well");
	$ask->(q(SELECT storesync.confirm_instance('main')));
	is($ask->(q(SELECT storesync.sending_allowed('shopee'), (SELECT state FROM storesync.health() WHERE component = 'instance shopee'))),
		't|ok', "$how: confirmed, it may send");

	# it goes on where the other stood
	is($ask->(q(SELECT outcome, on_hand, version FROM storesync.receive('SKU-2', 1, storesync.new_key()))),
		'applied|106|4', "$how: stock goes on in the newest partition");
	is($ask->(q(SELECT outcome FROM storesync.reserve('SKU-1', 3, storesync.derive_key(now() - interval '30 days', 'other'), reference => 'basket'))),
		'applied', "$how: keys of old weeks have their partition");
	is($ask->("SELECT outcome FROM storesync.ship('SKU-1', 1, '$key', reference => 'basket')"), 'replayed', "$how: a key that was used is known");
	is($ask->("SELECT count(*) FROM storesync.ingest_orders((SELECT max(store_id) FROM storesync.store), '$documents') WHERE outcome = 'applied'"),
		'0', "$how: no order is booked twice");
	is($ask->(q(SELECT count(*) FROM storesync.outbox WHERE incarnation = 2)), '3', "$how: outbox rows of the new incarnation");
	is($ask->(q(SELECT outcome FROM storesync.restock('SKU-1', 1, storesync.new_key(), reference => 'basket'))), 'applied', "$how: what was shipped may come back");
	is($ask->(q(SELECT held, shipped, restocked FROM storesync.holder WHERE reference = 'basket')), '5|1|1', "$how: holders go on with what they had");
	$ask->(q(SELECT storesync.ensure_partitions('20 days')));
	is($ask->('SELECT * FROM storesync.check_invariants()'), '', "$how: no invariant is broken afterwards");
	return;
}

my $directory = PostgreSQL::Test::Utils::tempdir();

$node->command_ok([ 'pg_dump', '--no-sync', '-f', "$directory/plain.sql", 'shop' ], 'pg_dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/plain.sql", 'plain' ], 'psql restores it without an error');
check('plain', 'plain');

$node->command_ok([ 'pg_dump', '--no-sync', '-Fd', '-j', '2', '-f', "$directory/folder", 'shop' ], 'pg_dump, directory format, two at a time');
$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->command_ok([ 'pg_restore', '-e', '-j', '2', '-d', 'custom', "$directory/folder" ], 'pg_restore restores it without an error');
check('custom', 'parallel');

# restored DATABASE, HOW, COMMAND...: a new database made by these commands is the same, and is a copy
sub restored
{
	my ($database, $how, @command) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok($_, "$how: " . join ' ', grep { !m{/} } @$_) foreach @command;
	# rights name the owner
	is(content($database) =~ s/\badmin\b/$owner/gr, $content, "$how: same rows, sequences, rights, indexes and triggers");
	is($node->safe_psql($database, q(SELECT count(*), storesync.sending_allowed('shopee'), storesync.current_incarnation() FROM storesync.check_invariants())),
		'0|f|2', "$how: sound, and a copy");
	is($node->safe_psql($database, q(SELECT outcome FROM storesync.receive('SKU-2', 1, storesync.new_key()))), 'applied', "$how: and goes on");
	return;
}

my @psql = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1');
$node->command_ok([ 'pg_dump', '--no-sync', '-s', '-f', "$directory/schema.sql", 'shop' ], 'pg_dump, the schema alone');
$node->command_ok([ 'pg_dump', '--no-sync', '-a', '-f', "$directory/data.sql", 'shop' ], 'pg_dump, the data alone');
restored('halves', 'schema, then data', map { [ @psql, '-f', "$directory/$_.sql", 'halves' ] } qw(schema data));
restored('sections', 'section by section', map { [ 'pg_restore', '-e', '-d', 'sections', "--section=$_", "$directory/folder" ] } qw(pre-data data post-data));
$node->safe_psql('postgres', 'CREATE ROLE admin SUPERUSER');
restored('single', 'in one transaction, as another superuser', [ 'pg_restore', '-1', '--no-owner', '--role=admin', '-d', 'single', "$directory/folder" ]);
is($node->safe_psql('single', q(SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind <> 'i' AND pg_get_userbyid(c.relowner) <> 'admin')),
	'0', 'to whom everything belongs');

# only a superuser: storesync is no trusted extension
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE hers OWNER owner');
$node->command_fails_like([ 'pg_restore', '-e', '--no-owner', '--role=owner', '-d', 'hers', "$directory/folder" ],
	qr/permission denied to create extension "storesync"/, 'the owner of a database restores nothing');

unlike(slurp_file("$directory/$_.sql"), qr/SECRET/, "no secret in $_.sql") foreach qw(plain schema data);

# a second generation: what was restored can be dumped again
$node->command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$directory/again.dump", 'custom' ], 'pg_dump of the restored database');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'pg_restore', '-e', '-d', 'again', "$directory/again.dump" ], 'pg_restore of that');
is($node->safe_psql('again', q(SELECT storesync.sending_allowed('shopee'), storesync.current_incarnation())), 'f|3', 'paused again, third incarnation');
is($node->safe_psql('again', 'SELECT * FROM storesync.check_invariants()'), '', 'no invariant is broken in the third generation');

# ---------------------------------------------------------------- of the release before

# partitions as its library made them had no replica identity
$node->safe_psql('postgres', 'CREATE DATABASE old');
$node->safe_psql('old', <<"SQL");
CREATE EXTENSION storesync VERSION '1.0';
SELECT storesync.add_store('shopee', '1', 'One'), storesync.add_sku('SKU');
SELECT storesync.add_listing(store_id, 'SKU', '1') FROM storesync.store;
SELECT storesync.receive('SKU', 5, '$key');
SELECT storesync.ingest_order(store_id, jsonb_build_object('order_sn', 'a', 'status', 'ready_to_ship', 'create_time', now() - interval '1 minute',
	'lines', '[{"line_id": "1", "item_id": "1", "qty": 1}]'::jsonb)) FROM storesync.store;
SELECT format('ALTER TABLE %s REPLICA IDENTITY DEFAULT', inhrelid::regclass) FROM pg_inherits WHERE inhparent = 'storesync.sales_order_line'::regclass \\gexec
SQL
my $identity = q(SELECT count(*) FROM pg_inherits JOIN pg_index ON indrelid = inhrelid WHERE indisunique AND NOT indisreplident AND indrelid::regclass::text LIKE 'storesync.%');
cmp_ok($node->safe_psql('old', $identity), '>', 0, 'a database of release 1.0');
$node->command_ok([ 'pg_dump', '--no-sync', '-Fc', '-f', "$directory/old.dump", 'old' ], 'pg_dump of it');
$node->safe_psql('postgres', 'CREATE DATABASE newer');
$node->safe_psql('newer', q(CREATE EXTENSION storesync VERSION '1.0'));
$node->command_ok([ 'pg_restore', '-e', '-d', 'newer', "$directory/old.dump" ], 'restored into the same release');
$node->safe_psql('newer', 'ALTER EXTENSION storesync UPDATE');
is($node->safe_psql('newer', $identity), '0', 'upgraded, its partitions have one');
is($node->safe_psql('newer', q(SELECT outcome, available FROM storesync.receive('SKU', 5, $1) ) =~ s/\$1/'$key'/r), 'replayed|5', 'a key is known');
is($node->safe_psql('newer', q(SELECT outcome, available FROM storesync.receive('SKU', 3, storesync.new_key()))), 'applied|7', 'stock goes on');
is($node->safe_psql('newer', q(SELECT storesync.current_incarnation(), count(*) FROM storesync.check_invariants())), '2|0', 'sound, and a copy');

$node->stop;
done_testing();
