# Who may do what, and what others prepare beforehand.
#
# 1. An intruder may create objects in a schema that comes before pg_catalog for
#    everybody: functions, operators and types of every name and signature that
#    PostgreSQL has, tables of our names. The extension is upgraded and installed
#    there, every routine called, the dispatcher drains it: nothing of the intruder's runs.
# 2. Every routine is called as each kind of role: those that it has are not
#    stopped by a right that is missing inside, the others are not entered.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Calls;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 3, units => 50));
my $node = Storesync->cluster('main', 'storesync.databases' => '', -database => 0);
sub sql { return $node->safe_psql('shop', $_[0]); }

# ---------------------------------------------------------------- hostile objects

$node->safe_psql('postgres', 'CREATE ROLE intruder LOGIN; CREATE DATABASE clean; CREATE DATABASE shop');
$node->safe_psql('clean', 'CREATE EXTENSION storesync');
my $names = $node->safe_psql('clean', <<'SQL');
SELECT string_agg(DISTINCT quote_literal(relname), ', ') FROM pg_class
WHERE relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace) AND relkind IN ('r', 'p', 'v')
SQL

sql('CREATE SCHEMA evil AUTHORIZATION intruder');
my $made = $node->safe_psql('shop', <<"SQL", extra_params => [ '-U', 'intruder' ]);
CREATE FUNCTION evil.ran(what text) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN RAISE LOG 'HOSTILE % ran', what; END \$\$;
CREATE TABLE evil.made (kind text, name text);
DO \$do\$
DECLARE
	o record;
	body text;
BEGIN
	-- functions of every name and signature that a user can write
	FOR o IN SELECT p.oid, p.proname, p.proretset, p.prorettype, pg_get_function_identity_arguments(p.oid) AS arguments
		FROM pg_proc p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proallargtypes IS NULL
	LOOP
		body := format(' BEGIN PERFORM evil.ran(%L); RETURN%s; END ', o.oid::regprocedure,
			CASE WHEN o.proretset OR o.prorettype = 'void'::regtype THEN '' ELSE ' NULL' END);
		BEGIN
			EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS %L', o.proname, o.arguments,
				CASE WHEN o.proretset THEN 'SETOF ' END, o.prorettype::regtype, body);
			INSERT INTO evil.made VALUES ('function', o.proname);
		EXCEPTION WHEN OTHERS THEN NULL; -- arguments of kinds that only C takes
		END;
	END LOOP;
	FOR o IN SELECT p.oid, p.oprname, p.oprleft, p.oprright, f.proname
		FROM pg_operator p JOIN pg_proc f ON f.oid = p.oprcode
	LOOP
		BEGIN
			EXECUTE format('CREATE OPERATOR evil.%s (%sRIGHTARG = %s, FUNCTION = evil.%I)', o.oprname,
				CASE WHEN o.oprleft <> 0 THEN format('LEFTARG = %s, ', o.oprleft::regtype) END, o.oprright::regtype, o.proname);
			INSERT INTO evil.made VALUES ('operator', o.oprname);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	FOREACH body IN ARRAY ARRAY[$names] LOOP
		EXECUTE format('CREATE TABLE evil.%I (evil text)', body);
		INSERT INTO evil.made VALUES ('table', body);
	END LOOP;
	CREATE AGGREGATE evil.count(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '77');
	FOREACH body IN ARRAY ARRAY['text', 'name', 'jsonb', 'json', 'bytea', 'oid', 'regclass', 'regtype', 'regprocedure', 'regnamespace',
		'timestamptz', 'date', 'xid8', 'pg_snapshot', 'int4', 'int8', 'numeric', 'bool', 'uuid'] LOOP
		EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%1\$I CHECK (evil.ran(%L) IS NOT NULL)', body, 'type ' || body);
		INSERT INTO evil.made VALUES ('type', body);
	END LOOP;
END
\$do\$;
SELECT pg_catalog.string_agg(x.kind OPERATOR(pg_catalog.||) ' ' OPERATOR(pg_catalog.||) x.n, ', ' ORDER BY x.kind)
FROM (SELECT kind, pg_catalog.count(*) OPERATOR(pg_catalog.>) 10 AS many, pg_catalog.count(*) AS n FROM evil.made GROUP BY kind) x;
SQL
note("made beforehand: $made");
like($made, qr/^function [12]\d{3}, operator [5-9]\d\d, table \d\d+, type \d\d$/, 'the intruder is prepared');
$node->safe_psql('shop', "ALTER DATABASE shop SET search_path = evil, pg_catalog");
like(sql("SELECT length('x'::pg_catalog.text) IS NULL"), qr/t/, 'his objects come first');
like(slurp_file($node->logfile), qr/HOSTILE length\(text\) ran/, 'and the log tells');
my $start = -s $node->logfile;

sub nothing_ran
{
	my ($what) = @_;
	my %ran = map { $_ => 1 } slurp_file($node->logfile, $start) =~ /HOSTILE (.*) ran/g;
	return is(join(', ', sort keys %ran), '', "$what: nothing of the intruder's ran");
}

sql(q(CREATE EXTENSION storesync VERSION '1.0'));
sql('ALTER EXTENSION storesync UPDATE');
nothing_ran('an upgrade');
sql('DROP EXTENSION storesync');
sql('CREATE EXTENSION storesync');
nothing_ran('CREATE EXTENSION');

# what was made is what is made where nobody was before
my $members = <<'SQL';
SET search_path = pg_catalog;
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'storesync'
WHERE d.deptype = 'e' ORDER BY 1;
SELECT p.oid::regprocedure, p.prosrc, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid), pg_get_function_sqlbody(p.oid)
FROM pg_proc p WHERE p.pronamespace::regnamespace::text LIKE 'storesync%' ORDER BY p.oid::regprocedure::text;
SELECT c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace::regnamespace::text LIKE 'storesync%' AND a.attnum > 0 ORDER BY c.oid::regclass::text, a.attnum;
SELECT c.oid::regclass, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relnamespace::regnamespace::text LIKE 'storesync%' AND c.relkind = 'v' ORDER BY c.oid::regclass::text;
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'storesync'::regnamespace ORDER BY conrelid::regclass::text, conname;
SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid::regclass::text LIKE 'storesync.%' ORDER BY indexrelid::regclass::text;
SELECT tgrelid::regclass, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'storesync.%' ORDER BY tgrelid::regclass::text, tgname;
SQL
my %clean = map { $_ => 1 } split /\n/, $node->safe_psql('clean', $members);
my %here = map { $_ => 1 } split /\n/, sql($members);
is(join("\n", grep { !$here{$_} } sort keys %clean), '', 'what is made is all that is made where nobody was before');
is(join("\n", grep { !$clean{$_} } sort keys %here), '', 'and no more');

{
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog';
	Storesync->load($node, $sim);
}

# the dispatcher works in this database
$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = 'shop'");
$node->reload;
$sim->order(1001, [ 1, 0, 2 ]);
sql("SELECT storesync.reserve('S2', 3, storesync.new_key())");
{
	local $ENV{PGOPTIONS} = '-c search_path=pg_catalog';
	Storesync->query_until($node, 'SELECT count(*) FROM storesync.sales_order', 1, 'the order arrives');
	Storesync->converged($node, $sim, 'every shop shows what the database wants');
	$node->safe_psql('postgres', "ALTER SYSTEM SET storesync.databases = ''");
	$node->reload;
	Storesync->wait_until(sub { Storesync->dispatcher($node) eq '' }, 'the end of the dispatcher');
}
nothing_ran('the dispatcher');

# a superuser calls everything, with tables of our names in his temporary schema
sql(q(SELECT storesync.add_location('back')));
my @calls = Storesync::Calls->all($node, 'clean');
cmp_ok(scalar @calls, '>', 150, 'all routines are called');
my $said = Storesync::Calls->run($node, 'shop', \@calls,
	(map { "CREATE TEMP TABLE $_ (evil pg_catalog.text)" } $names =~ /'(\w+)'/g), 'SET search_path = pg_temp, evil, pg_catalog');
is(join(', ', grep { !$said->{$_} } map { $_->{signature} } @calls), '', 'each of them said something');
my @well = grep { $_->[0] eq '00000' } values %$said;
cmp_ok(scalar @well, '>', 0.7 * @calls, 'and most went well');
nothing_ran('every routine called');

# and writes what an operator may write, and reads everything
sql("UPDATE storesync.$_->[0] SET $_->[1] = $_->[1]")
  foreach map { [ /(\w+)\|.*\((\w+)/ ] } grep { /UPDATE/ } split /\n/, $node->safe_psql('clean', 'SELECT name, privilege FROM storesync.role_tables()');
sql('UPDATE storesync.listing SET buffer = 1, price = 5');
sql('INSERT INTO storesync.outbox (subject, kind) VALUES (1, \'stock\')');
sql(join ';', map { "SELECT pg_catalog.count(*) FROM $_" } split /\n/, $node->safe_psql('clean', <<'SQL'));
SELECT oid::regclass FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'storesync%' AND relkind IN ('r', 'p', 'v')
SQL
nothing_ran('every table and view');

$node->safe_psql('postgres', 'ALTER DATABASE shop RESET search_path');

# ---------------------------------------------------------------- roles

sql("CREATE ROLE the_$_ LOGIN; SELECT storesync.grant_role('the_$_', '$_')") foreach qw(operator application reporter);
sql('CREATE ROLE the_nobody LOGIN');
foreach my $kind (qw(operator application reporter nobody))
{
	my %may = map { split /\|/ } split /\n/,
	  sql("SELECT p.oid::regprocedure, has_schema_privilege('the_$kind', pronamespace, 'USAGE')"
		  . " AND has_function_privilege('the_$kind', oid, 'EXECUTE') FROM pg_proc p WHERE pronamespace::regnamespace::text LIKE 'storesync%'");
	# nobody cannot even make the keys that he would need
	my $told = Storesync::Calls->run($node, 'shop', \@calls, "SET ROLE the_$kind");
	is(join("\n", map { "$_: $told->{$_}[1]" } grep { $may{$_} eq 't' && $told->{$_}[0] eq '42501' } sort keys %$told), '',
		"what $kind may call needs no right that he has not");
	is(join("\n", map { "$_: @{$told->{$_}}" } grep { $may{$_} eq 'f' && $told->{$_}[0] ne '42501' } sort keys %$told), '',
		"what $kind may not call he does not enter");
}
Storesync->sound($node);
$node->stop;
done_testing();
