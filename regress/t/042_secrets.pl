# Secrets: read from files below one directory, and afterwards to be found in
# no log, statement, table but their own, outbox or dump.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Storesync;

my $directory = PostgreSQL::Test::Utils::tempdir();
my $node = Storesync->cluster('secrets',
	'storesync.databases' => '',
	'storesync.secret_directory' => $directory,
	'log_min_error_statement' => 'error',
	'log_parameter_max_length_on_error' => '0',
	'log_min_messages' => 'debug1');
my $store = $node->safe_psql('shop', q(SELECT storesync.add_store('shopee', '1', 'One')));

# set NAME => VALUE: the SQLSTATE and message of an error, or the stored value
sub set
{
	my ($name, $value) = @_;
	my ($status, $out, $error) = $node->psql('shop',
		"\\set VERBOSITY verbose\nSELECT storesync.set_credential($store, '$name', '$value')");
	return $1 if $error =~ /ERROR:  (\S+: [^\n]*)/;
	return $node->safe_psql('shop', "SELECT value FROM storesync.credential WHERE name = '$name'");
}

# ---------------------------------------------------------------- files

my %file = (
	plain => "MARKER-plain\n",
	dos => "MARKER-dos\r\n",
	bare => 'MARKER-bare',
	two => "MARKER\nMARKER\n",
	empty => '',
	newline => "\n",
	zero => "MARKER\0MARKER",
	latin => "MARKER\xe9",
	most => 'M' x 8192,
	long => 'M' x 8193,
	longer => 'M' x 100_000);
append_to_file("$directory/$_", $file{$_}) foreach keys %file;
mkdir "$directory/folder";
append_to_file("$directory/folder/inside", 'MARKER');
append_to_file("$directory/.hidden", 'MARKER');
system('mkfifo', "$directory/pipe") == 0 or die "mkfifo: $?";
symlink "$directory/plain", "$directory/link";

is(set('access_token', 'file:plain'), 'MARKER-plain', 'a file, without the newline at its end');
is(set('access_token', 'file:dos'), 'MARKER-dos', 'or the end of a line from elsewhere');
is(set('access_token', 'file:bare'), 'MARKER-bare', 'or none');
is(set('access_token', 'file:link'), 'MARKER-plain', 'a link that the administrator made');
is(set('access_token', 'file:most'), 'M' x 8192, '8 KiB');
my $not_ascii = 'SS403: credential holds a character that is not printable ASCII';
my $length = 'SS403: credential is empty or longer than 8192 bytes';
my $file = 'SS403: could not read credential from file';
is(set('refresh_token', "file:$_->[0]"), $_->[1], "file:$_->[0] is refused")
  foreach ([ two => $not_ascii ], [ latin => $not_ascii ],
	[ empty => $length ], [ newline => $length ], [ long => $length ], [ longer => $length ],
	[ zero => "$file: it holds a zero byte" ],
	[ folder => "$file: it is not a regular file" ], [ pipe => "$file: it is not a regular file" ],
	[ none => "$file: No such file or directory" ],
	map { [ $_ => "$file: its name is no plain file name" ] }
	  ('', '.', '..', '../plain', 'folder/inside', "$directory/plain", '.hidden', 'n' x 201));
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.credential WHERE name = 'refresh_token')), '0', 'nothing of it was stored');

# gone NODE [, SESSIONS]: what was asked by name is not to be met in sessions that are about to end; so many stay
sub gone
{
	my ($of, $sessions) = @_;
	return Storesync->query_until($of,
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
		$sessions // 0, 'the sessions of before are gone');
}

# ---------------------------------------------------------------- traces

my $session = $node->background_psql('shop');
set('MARKER-swapped', 'access_token');
set('access_token', 'MARKER-literal é');
$node->psql('shop', "DO \$\$ BEGIN PERFORM storesync.set_credential(99, 'access_token', 'MARKER-inside'); END \$\$");
$node->psql('shop', "SELECT storesync.set_app_credential('MARKER-platform', 'partner_key', 'MARKER-value')");
$session->query_safe("SELECT storesync.set_credential($store, 'refresh_token', 'MARKER-refresh')");
$session->query_safe("SELECT storesync.authorize_store($store, 'MARKER-code')");
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.credential WHERE name = 'auth_code' AND value = 'MARKER-code')), '1', 'a code lies with the tokens');
gone($node, 1);
is($node->safe_psql('shop', q(SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%MARKER-%' AND pid <> pg_backend_pid())), '0', 'no statement shows one');
$session->quit;

is($node->safe_psql('shop', <<'SQL'), '', 'no table but their own holds one');
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname NOT IN ('credential', 'app_credential')
	AND query_to_xml(format('SELECT t::text FROM %s t', c.oid::regclass), false, false, '')::text LIKE '%MARKER%'
SQL
$node->command_ok([ 'pg_dump', '-f', "$directory/dump.sql", 'shop' ], 'pg_dump');
unlike(slurp_file("$directory/dump.sql"), qr/MARKER|MMMM/, 'no dump holds one');

# What the log has of our statements is what we typed as DO block; see docs/secrets.md
my @lines = grep { /MARKER/ && !/DO \$\$ BEGIN/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @lines), '', 'no log holds one');

$node->stop;

# ---------------------------------------------------------------- secrets at work
#
# In signed calls, in failing ones, in refreshes. Everything is logged that PostgreSQL can log, but the
# values of bind parameters, as docs/secrets.md says.

my $catalogue = Storesync->catalogue(shops => 2, skus => 2, units => 50);
$catalogue =~ s/testPartnerKey/MARKERpartnerKey/;
$catalogue =~ s/(access|refresh)Token/MARKER$1/g;
my $sim = Storesync->simulator(catalogue => $catalogue);
my $work = Storesync->cluster('work', 'storesync.databases' => '', 'storesync.secret_directory' => $directory,
	'shared_preload_libraries' => 'storesync, pg_stat_statements', 'pg_stat_statements.track' => 'all', 'track_activity_query_size' => '16kB',
	'log_min_messages' => 'debug5', 'log_statement' => 'all', 'log_min_duration_statement' => '0', 'log_error_verbosity' => 'verbose',
	'log_parameter_max_length' => '0', 'log_parameter_max_length_on_error' => '0', 'storesync.request_timeout' => '1s');
sub ask { return $work->safe_psql('shop', $_[0]); }

# each marker comes by a file or, as a driver sends it, as a bind parameter
append_to_file("$directory/key", "MARKERpartnerKey0123456789\n");
append_to_file("$directory/access$_", "MARKERaccess$_\n") foreach 1, 2;
append_to_file("$directory/bind.sql", "SELECT storesync.set_credential(:store, 'refresh_token', :token);\n");
append_to_file("$directory/fail.sql", "SELECT storesync.set_credential(99, 'refresh_token', :token);\n");
ask(<<"SQL");
CREATE EXTENSION pg_stat_statements;
UPDATE storesync.platform SET base_url = '@{[ $sim->url ]}' WHERE platform = 'shopee';
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999');
SELECT storesync.set_app_credential('shopee', 'partner_key', 'file:key');
SELECT storesync.add_sku('S1'), storesync.add_sku('S2');
SELECT storesync.receive(code, 50, storesync.new_key()) FROM storesync.sku;
SELECT storesync.add_store('shopee', '100' || n, 'shop', '50/s') FROM generate_series(1, 2) n;
SELECT storesync.set_credential(store_id, 'access_token', 'file:access' || right(shop_id, 1)) FROM storesync.store;
SELECT storesync.add_listing(store_id, 'S' || n, n::text) FROM storesync.store, generate_series(1, 2) n;
UPDATE storesync.store SET poll_interval = '200 milliseconds';
SQL
$work->command_ok([ 'pgbench', '-n', '-t', '1', '-M', $_->[0], '-D', "store=$_->[1]", '-D', "token=MARKERrefresh$_->[2]", '-f', "$directory/bind.sql", 'shop' ],
	"a bind parameter ($_->[0])")
  foreach map { my ($store, $shop) = split /\|/; [ $shop == 1001 ? 'extended' : 'prepared', $store, $shop - 1000 ] }
  split /\n/, ask('SELECT store_id, shop_id FROM storesync.store');
$work->command_fails([ 'pgbench', '-n', '-t', '1', '-M', 'extended', '-D', 'token=MARKERunknown', '-f', "$directory/fail.sql", 'shop' ],
	'and one of a statement that fails');
is(ask(q(SELECT count(*) FROM storesync.credential WHERE value LIKE 'MARKER%')), '4', 'the tokens are there');

$work->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = 'shop'");
$work->reload;
Storesync->converged($work, $sim, 'they are good for calls');
my $tasks = ask(q(SELECT string_agg(storesync.enqueue(store_id, 'refresh_token', '{}')::text, ',') FROM storesync.store));
Storesync->query_until($work, "SELECT count(*) FROM unnest('{$tasks}'::bigint[]) t, storesync.task_state(t) s WHERE s.state = 'done'", '2', 'refreshes');
is(ask(q(SELECT count(*) FROM storesync.credential WHERE value LIKE 'MARKER%')), '0', 'every token is a new one');
my $secret = join '|', 'MARKER', map { quotemeta } split /\n/, ask('SELECT value FROM storesync.credential');
my $n = 0;
Storesync->under_faults($sim, 1001,
	sub { ask(sprintf q(SELECT storesync.%s('S1', 1, storesync.new_key(), reference => 'r')), $n++ % 2 ? 'release' : 'reserve') });
# refused credentials: a wrong key, then a refresh token that is spent
ask(q(SELECT storesync.set_app_credential('shopee', 'partner_key', 'file:bare')));
Storesync->query_until($work, q(SELECT count(*) > 1 FROM storesync.call_log WHERE code LIKE '%sign%'), 't', 'refused calls');
ask(q(SELECT storesync.set_app_credential('shopee', 'partner_key', 'file:key')));
Storesync->converged($work, $sim, 'and again they are good for calls');

# ---------------------------------------------------------------- nor then to be found

# what each kind of role may read
sub readable
{
	my ($role) = @_;
	my @found = split /\n/, ask(<<"SQL");
SET ROLE $role;
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND (n.nspname LIKE 'storesync%' OR c.relname IN ('pg_stat_activity', 'pg_stat_statements'))
	AND has_table_privilege(c.oid, 'SELECT')
	AND query_to_xml(format('SELECT t::text FROM %s t', c.oid::regclass), false, false, '')::text ~ '$secret'
SQL
	# the question itself is among the statements, with the markers in it
	return join ', ', grep { !/^pg_stat_(activity|statements)$/ } @found;
}
ask("CREATE ROLE the_$_; SELECT storesync.grant_role('the_$_', '$_')") foreach qw(operator application reporter);
ask('CREATE ROLE the_nobody');
is(readable("the_$_"), '', "nothing that $_ may read holds one") foreach qw(operator application reporter nobody);
is(readable('postgres'), 'storesync.credential, storesync.app_credential', 'they are found where they are');
is(ask("SELECT count(*) FROM storesync.health() h WHERE h::text ~ '$secret'"), '0', 'health() names none');
gone($work);
is(ask(q(SELECT count(*) FROM pg_stat_activity WHERE query ~ 'MARKER' AND pid <> pg_backend_pid())), '0', 'pg_stat_activity has none');
is(ask(q(SELECT count(*) FROM pg_stat_statements WHERE query ~ 'MARKER' AND query !~ 'relispartition')), '0', 'pg_stat_statements has none');
cmp_ok(ask(q(SELECT count(*) FROM pg_stat_statements WHERE query ~ 'set_credential')), '>', 0, '(though it has the calls)');
$work->command_ok([ 'pg_dump', '-f', "$directory/work.sql", 'shop' ], 'pg_dump');
unlike(slurp_file("$directory/work.sql"), qr/$secret/, 'no dump holds one');

# our own questions name them; what the server and the dispatcher say does not
my $log = slurp_file($work->logfile);
cmp_ok(length $log, '>', 1_000_000, 'much was logged');
$log =~ s/^\d{4}-[^\n]*042_secrets\.pl (?:LOG|DEBUG|STATEMENT)[^\n]*\n(?:\t[^\n]*\n)*//mg;
is(join("\n", grep { /$secret/ } split /\n/, $log), '', 'no log holds one');
$work->stop;
done_testing();
