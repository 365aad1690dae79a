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

# ---------------------------------------------------------------- traces

my $session = $node->background_psql('shop');
set('MARKER-swapped', 'access_token');
set('access_token', 'MARKER-literal é');
$node->psql('shop', "DO \$\$ BEGIN PERFORM storesync.set_credential(99, 'access_token', 'MARKER-inside'); END \$\$");
$node->psql('shop', "SELECT storesync.set_app_credential('MARKER-platform', 'partner_key', 'MARKER-value')");
$session->query_safe("SELECT storesync.set_credential($store, 'refresh_token', 'MARKER-refresh')");
$session->query_safe("SELECT storesync.authorize_store($store, 'MARKER-code')");
is($node->safe_psql('shop', q(SELECT count(*) FROM storesync.credential WHERE name = 'auth_code' AND value = 'MARKER-code')), '1', 'a code lies with the tokens');
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
done_testing();
