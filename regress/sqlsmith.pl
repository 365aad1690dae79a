# Random statements over the extension's functions, tables and views, made by
# sqlsmith: whatever they say, the server goes on, and no error is one that
# cannot happen. `make sqlsmith`, COUNT=20000 SEED=1.
#
# sqlsmith looks functions up in "pg_proc": the role that it works as finds a view of
# that name first, with our functions and those of PostgreSQL's that make arguments
# for them. It rolls each statement back. The role is no superuser, but may call,
# read and write all that is ours.

use strict;
use warnings;

use IPC::Run qw(run timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $count = $ENV{COUNT} || 20000;
my $seed = $ENV{SEED} || 1;
plan skip_all => 'no sqlsmith' if system('command -v sqlsmith >/dev/null') != 0;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 3, skus => 5, units => 100));
my $node = Storesync->cluster('main', 'log_error_verbosity' => 'verbose', 'log_min_error_statement' => 'error',
	'storesync.instance_name' => 'smith', 'fsync' => 'off');
Storesync->load($node, $sim, rate_limit => '50/s');
$sim->order(1001, [ 1, 0, 2 ], [ 2, 0, 1 ]);
$node->safe_psql('shop', <<'SQL');
UPDATE storesync.store SET poll_interval = '200 milliseconds';
SELECT storesync.reserve('S' || n, n, storesync.new_key(), reference => 'r' || n) FROM generate_series(1, 5) n;
SELECT storesync.ship('S' || n, 1, storesync.new_key(), reference => 'r' || n) FROM generate_series(1, 5) n;
SELECT storesync.allot(listing_id, 3, storesync.new_key()) FROM storesync.listing WHERE listing_id % 3 = 0;
SELECT storesync.set_price(listing_id, 100, storesync.new_key()) FROM storesync.listing WHERE listing_id % 4 = 0;
SELECT storesync.enqueue(store_id, 'fetch_listings', '{}') FROM storesync.store;
SELECT storesync.add_location('back');
SELECT storesync.set_bundle('S5', '{"S1": 1, "S2": 2}') WHERE false;
SQL
Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 1, 'an order is there');
Storesync->converged($node, $sim, 'shops and database agree beforehand');

$node->safe_psql('shop', <<'SQL');
CREATE ROLE smith LOGIN;
CREATE SCHEMA smith AUTHORIZATION smith;
GRANT USAGE ON SCHEMA storesync, storesync_report TO smith;
GRANT ALL ON ALL TABLES IN SCHEMA storesync, storesync_report TO smith;
GRANT ALL ON ALL SEQUENCES IN SCHEMA storesync TO smith;
GRANT ALL ON ALL ROUTINES IN SCHEMA storesync, storesync_report TO smith;
DO $$
DECLARE t regtype;
BEGIN
	FOR t IN SELECT oid FROM pg_type WHERE typnamespace = 'storesync'::regnamespace AND typelem = 0 AND typrelid = 0 LOOP
		EXECUTE format('GRANT USAGE ON TYPE %s TO smith', t);
	END LOOP;
END
$$;
-- a set is called where a value is wanted, too
CREATE VIEW smith.pg_proc AS
SELECT p.oid, p.proname, p.pronamespace, p.proowner, p.prolang, p.procost, p.prorows, p.provariadic, p.prosupport, p.prokind,
	p.prosecdef, p.proleakproof, p.proisstrict, false AS proretset, p.provolatile, p.proparallel, p.pronargs, p.pronargdefaults,
	p.prorettype, p.proargtypes, p.proallargtypes, p.proargmodes, p.proargnames
FROM pg_catalog.pg_proc p
WHERE p.prokind <> 'p' AND (p.pronamespace = 'storesync'::regnamespace
	OR p.prokind IN ('a', 'w') AND p.pronamespace = 'pg_catalog'::regnamespace AND NOT EXISTS (
		SELECT FROM unnest(p.proargtypes || p.prorettype) a (type) JOIN pg_type t ON t.oid = a.type WHERE t.typtype = 'p')
	OR p.oid = ANY (ARRAY['lower(text)', 'length(text)', 'abs(bigint)', 'now()', 'clock_timestamp()', 'random()', 'md5(text)',
		'to_jsonb(anyelement)', 'int4(bigint)', 'jsonb_array_length(jsonb)', 'date_trunc(text, timestamptz)']::regprocedure[]));
GRANT SELECT ON smith.pg_proc TO smith;
-- half of all statements would have an operator of ranges, of which there are no values here, and end there
SET allow_system_table_mods = on;
DELETE FROM pg_catalog.pg_operator o USING pg_type t
WHERE t.oid IN (o.oprleft, o.oprright) AND t.typname IN ('anyrange', 'anymultirange');
ALTER ROLE smith SET statement_timeout = '300ms';
ALTER ROLE smith SET lock_timeout = '100ms';
ALTER ROLE smith SET search_path = smith, pg_catalog, storesync;
SQL
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my $dispatcher = Storesync->dispatcher($node);
my $from = -s $node->logfile;

note("seed $seed, $count statements");
my ($out, $error) = ('', '');
my $target = 'host=' . $node->host . ' port=' . $node->port . ' dbname=shop user=smith';
my $ended = run([ 'sqlsmith', "--target=$target", "--seed=$seed", "--max-queries=$count", '--exclude-catalog', '--verbose' ],
	'>', \$out, '2>', \$error, timeout(3600));
ok($ended, 'sqlsmith went through') or diag(substr($error, -2000));
my ($queries) = $error =~ /.*queries: (\d+)/s;
note($error =~ /(queries: \d+[^\n]*)\n(?!.*queries: )(.*)/s ? substr("$1\n$2", 0, 1500) : '');
cmp_ok($queries // 0, '>=', int($count / 1000) * 1000, 'statements were run');

# ---------------------------------------------------------------- what it left

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server never ended');
my $log = slurp_file($node->logfile, $from);
unlike($log, qr/terminated by signal|PANIC|server process .* exited|all server processes terminated/, 'no process crashed');
is(Storesync->dispatcher($node), $dispatcher, 'nor did the dispatcher end');

# errors that cannot happen, by where they were raised; what PostgreSQL raises itself of that sort is its own affair
my %impossible;
while ($log =~ /ERROR:  (XX\w{3}): ([^\n]*)\n((?:[^\n]*\n){1,12}?)[^\n]*LOCATION:  (\w+), (\S+?):\d+/g)
{
	my ($state, $message, $location) = ($1, $2, "$4 in $5");
	$impossible{"$state $message ($location)"}++;
}
is(join("\n", map { "$impossible{$_} times $_" } sort keys %impossible), '', 'no error is one that cannot happen');
my %states;
$states{$1}++ while $log =~ /ERROR:  (\w{5}): /g;
note('errors: ' . join(', ', map { "$_ $states{$_}" } sort { $states{$b} <=> $states{$a} } keys %states));
cmp_ok(scalar(grep { /^SS/ } keys %states), '>', 0, 'checks of our own were met');

Storesync->converged($node, $sim, 'shops and database agree afterwards');
Storesync->sound($node);
$node->stop;
done_testing();
