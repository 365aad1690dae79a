# Writers that commit, roll back, use savepoints, COPY, insert by themselves and
# prepare, some committed only after a restart; three readers at their own pace, one
# of them away for most of the time. Each sees every committed row exactly once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $seed = $ENV{STORESYNC_SEED} // 20261122;
my $writers = 4;
my $transactions = 60;

note("seed $seed");
my $node = Storesync->cluster('main', 'storesync.databases' => undef, 'max_prepared_transactions' => 200);

sub sql { return $node->safe_psql('shop', $_[0]); }

sql(<<'SQL');
SELECT storesync.ensure_partitions();
CREATE TABLE public.seen (reader text, subject bigint);
CREATE ROLE app;
SELECT storesync.grant_role('app', 'application');
-- what a reader does: read the rows between two snapshots, note them, move; all or nothing
CREATE FUNCTION public.read_some(reader text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	old pg_snapshot;
	new pg_snapshot := pg_current_snapshot();
	n bigint;
BEGIN
	SELECT c.snapshot INTO old FROM storesync.consumer c WHERE c.name = reader;
	INSERT INTO public.seen
	SELECT reader, o.subject FROM storesync.outbox o
	WHERE o.xid >= pg_snapshot_xmin(old) AND o.xid < pg_snapshot_xmax(new)
		AND NOT pg_visible_in_snapshot(o.xid, old) AND pg_visible_in_snapshot(o.xid, new);
	GET DIAGNOSTICS n = ROW_COUNT;
	IF NOT storesync.consumer_move(reader, new) THEN
		RAISE EXCEPTION 'the cursor of % did not move', reader;
	END IF;
	RETURN n;
END
$$;
SELECT storesync.consumer_register(r) FROM unnest('{eager,steady,away}'::text[]) r;
SQL

# One writer's transactions as a script for psql; subjects are its own numbers.
sub script
{
	my ($writer) = @_;
	my $next = $writer * 1_000_000;
	my @out;
	my $add = sub { return 'SELECT storesync.outbox_add(\'stock\', ARRAY[' . ++$next . ']);' };

	srand($seed + $writer);
	foreach my $t (1 .. $transactions)
	{
		my $way = int(rand(8));
		push @out, 'BEGIN' . (rand() < 0.3 ? ' ISOLATION LEVEL REPEATABLE READ' : '') . ';', $add->();
		if ($way == 0) { push @out, 'SAVEPOINT a;', $add->(), 'ROLLBACK TO a;', $add->(); }
		if ($way == 1) { push @out, 'SAVEPOINT a;', $add->(), 'SAVEPOINT b;', $add->(), 'ROLLBACK TO b;', 'RELEASE a;'; }
		if ($way == 2)
		{
			push @out, 'COPY storesync.outbox (subject, kind) FROM STDIN;', map({ ++$next . "\tstock" } 1 .. 3), '\\.';
		}
		if ($way == 3)
		{
			push @out, 'SET LOCAL ROLE app;', 'INSERT INTO storesync.outbox (subject, kind) VALUES (' . ++$next . ", 'stock');", 'RESET ROLE;';
		}
		push @out, 'SELECT pg_sleep(' . rand(0.02) . ');' if rand() < 0.5;
		if ($way == 4) { push @out, 'ROLLBACK;'; }
		elsif ($way == 5) { push @out, "PREPARE TRANSACTION 'p-$writer-$t';", rand() < 0.5 ? "COMMIT PREPARED 'p-$writer-$t';" : (); }
		else { push @out, 'COMMIT;'; }
	}
	return join("\n", @out) . "\n";
}

my $directory = PostgreSQL::Test::Utils::tempdir;
my $shell = join ' ', map {
	PostgreSQL::Test::Utils::append_to_file("$directory/$_.sql", script($_));
	"PGAPPNAME=writer psql -XAtq -v ON_ERROR_STOP=1 -d '" . $node->connstr('shop')
	  . "' -f $directory/$_.sql >/dev/null 2>$directory/$_.err </dev/null &"
} 1 .. $writers;
my $rounds = 0;

system("{ $shell }") == 0 or die 'could not start the writers';
Storesync->query_until($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'writer'", 't', 'the writers');
while (sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writer'") > 0)
{
	sql("SELECT public.read_some('eager');\n" x 20 . "SELECT public.read_some('steady');");
	$rounds++;
}
is(join('', map { slurp_file("$directory/$_.err") } 1 .. $writers), '', 'the writers met no error');
cmp_ok($rounds, '>', 0, 'the readers read in between');
cmp_ok(sql('SELECT count(*) FROM pg_prepared_xacts'), '>', 0, 'some transactions are prepared still');
sql("SELECT public.read_some('eager')");
$node->stop('immediate');
$node->start;
sql("SELECT public.read_some(r) FROM unnest('{eager,steady}'::text[]) r");
foreach my $gid (split /\n/, sql('SELECT gid FROM pg_prepared_xacts ORDER BY md5(gid)'))
{
	sql((ord($gid =~ s/.*-//r) % 3 == 0 ? 'ROLLBACK' : 'COMMIT') . " PREPARED '$gid'");
	sql("SELECT public.read_some('eager')");
}
sql("SELECT public.read_some(r) FROM unnest('{eager,steady,away}'::text[]) r");

cmp_ok(sql('SELECT count(*) FROM storesync.outbox'), '>', $writers * $transactions / 2, 'rows were committed');
is(sql(<<'SQL'), '', 'every reader saw every committed row once, and no other');
SELECT r.name, x.subject, x.written, x.seen FROM unnest('{eager,steady,away}'::text[]) r(name)
CROSS JOIN LATERAL (
	SELECT subject, count(*) FILTER (WHERE w) AS written, count(*) FILTER (WHERE NOT w) AS seen
	FROM (SELECT subject, true AS w FROM storesync.outbox
		UNION ALL SELECT subject, false FROM public.seen s WHERE s.reader = r.name) y
	GROUP BY subject) x
WHERE x.written <> 1 OR x.seen <> 1
SQL
is(sql('SELECT sum(lag_rows) FROM storesync.stat_outbox'), '0', 'and none is behind');
Storesync->sound($node);

done_testing();
