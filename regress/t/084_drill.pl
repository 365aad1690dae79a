# The drill (make drill): a backup under load with pgBackRest and deploy/pgbackrest's files, loss of the data
# directory, recovery to a point in time, and the proof that nothing is lost, sent too early or done twice.
# docs/backup.md is the same for people.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Spec;
use HTTP::Tiny;
use IPC::Run;
use List::Util qw(sum);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Redis;
use Test::More;
use Time::HiRes qw(sleep time);

my $deploy = File::Spec->rel2abs(dirname(__FILE__) . '/../../deploy/pgbackrest');
my ($shops, $skus, $units, $rate) = (3, 6, 5000, 20);
my @shops = map { 1000 + $_ } 1 .. $shops;
my $began = time;
my $dir = PostgreSQL::Test::Utils::tempdir('drill');
my $buyers = 0;

die "pgbackrest is not installed: run deploy/setup\n" if !grep { -x "$_/pgbackrest" } File::Spec->path;

sub step { note(sprintf '%5.1f s  %s', time - $began, join '', @_); return; }

# ---------------------------------------------------------------- pgBackRest, and a cluster as deploy/pgbackrest has it

sub backrest { return ('pgbackrest', "--config-path=$dir", '--stanza=main', @_); }

# archived OPTION...: pgbackrest with these; its status, and what it said
sub archived
{
	my $said = '';
	IPC::Run::run([ backrest(@_) ], '<', \undef, '>&', \$said);
	return ($? >> 8, $said);
}

sub done
{
	my ($what, @option) = @_;
	my ($status, $said) = archived(@option);
	return is($status, 0, $what) || diag($said);
}

sub write_file
{
	my ($name, $text) = @_;
	open my $out, '>', "$dir/$name" or die "$dir/$name: $!";
	print $out $text;
	close $out or die "$dir/$name: $!";
	return;
}

# installed FILE, WHAT => INSTEAD...: one of deploy/pgbackrest's, with what is a matter of places changed
sub installed
{
	my ($name, @change) = @_;
	my $text = slurp_file("$deploy/$name");
	while (my ($what, $instead) = splice @change, 0, 2)
	{
		$text =~ s/$what/$instead/ or die "$name has no $what";
	}
	write_file($name, $text);
	return;
}

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => $shops, skus => $skus, units => $units), rate => 0);
my $node = Storesync->cluster('main', -start => 0, 'storesync.clock_doubt' => '10ms');
my $data = $node->data_dir;
my $redis = Storesync::Redis->start or die "redis-server is not installed: run deploy/setup\n";

make_path(map { "$dir/$_" } qw(repository spool log lock conf.d));
installed('archive.conf', qr/pgbackrest --stanza/ => "pgbackrest --config-path=$dir --stanza");
installed('pgbackrest.conf', qr{^repo1-path=.*}m => "repo1-path=$dir/repository", qr{^spool-path=.*}m => "spool-path=$dir/spool",
	qr{^log-path=.*}m => "log-path=$dir/log\nlock-path=$dir/lock",
	qr{^pg1-path=.*}m => "pg1-path=$data\npg1-port=" . $node->port . "\npg1-socket-path=" . $node->host);
write_file('conf.d/key.conf', "[global]\nrepo1-cipher-pass=kept outside the repository as well\n");
write_file('storesync.conf', "storesync.instance_name = 'shop-main'\n");
$node->append_conf('postgresql.conf', "include '$dir/archive.conf'\ninclude '$dir/storesync.conf'");
$node->append_conf('postgresql.conf', "storesync.redis_url = 'unix:" . $redis->socket . "'");

sub sql { return $node->safe_psql('shop', $_[0]); }
sub health { my ($component) = @_; return sql("SELECT coalesce(reason, state) FROM storesync.health() WHERE component = '$component'"); }

# age: what deploy/pgbackrest/age says, and its status
sub age
{
	my ($said, $wrong) = ('', '');
	local @ENV{qw(PGHOST PGPORT)} = ($node->host, $node->port);
	IPC::Run::run([ "$deploy/age", @_, '--', "--config-path=$dir" ], '<', \undef, '>', \$said, '2>', \$wrong);
	return ($? >> 8, $said, $wrong);
}

# ---------------------------------------------------------------- buyers, and a warehouse, in a process of their own

# bought ORDER: how many units are in it
sub bought { my ($sn) = @_; return 1 + ($sn =~ /(\d+)$/)[0] % 2; }

sub load_on
{
	my ($name) = @_;
	$buyers = fork // die "cannot fork: $!";
	return if $buyers != 0;
	my $on = 1;
	local $SIG{TERM} = local $SIG{INT} = sub { $on = 0; };
	for (my $n = 1; $on; $n++)
	{
		my ($shop, $item) = ($shops[ $n % $shops ], 1 + $n % $skus);
		eval { $sim->order($shop, [ $item, 0, bought("$name-$n") ], { order_sn => "$name-$n" }) };
		$node->psql('shop', "SELECT storesync.receive('S$item', 2, storesync.new_key())") if $n % 5 == 0;
		sleep 0.03;
	}
	POSIX::_exit(0);
}

sub load_off
{
	return if $buyers == 0;
	kill 'TERM', $buyers;
	waitpid $buyers, 0;
	$buyers = 0;
	return;
}

END
{
	my $status = $?;
	load_off();
	archived('--force', 'stop') if -e "$dir/pgbackrest.conf";
	$? = $status;
}

# orders that the platform has, and those that are booked
sub placed { my %sn = map { $_->{order_sn} => 1 } @{ $sim->get('shipments')->{lines} }; return scalar keys %sn; }
sub booked { return sql('SELECT count(*) FROM storesync.sales_order'); }
sub all_booked { my ($what) = @_; return Storesync->wait_until(sub { booked() == placed() }, $what); }
# what may be sold of each SKU: in the cache a field of its entry
sub cached { my ($field) = @_; return join ' ', map { $redis->ask(0, 'HGET', "shop:stock:S$_", $field) } 1 .. $skus; }
sub available { return sql("SELECT string_agg(storesync.available('S' || n)::text, ' ' ORDER BY n) FROM generate_series(1, $skus) n"); }
sub calls { my $n = 0; $n += @{ $sim->calls($_) } foreach @shops; return $n; }

# archive_now: what is committed lies in the archive
sub archive_now
{
	my $segment = sql('SELECT pg_walfile_name(pg_current_wal_lsn())');
	sql('SELECT pg_switch_wal()');
	return Storesync->wait_until(sub { sql('SELECT last_archived_wal FROM pg_stat_archiver') ge $segment }, "$segment is archived");
}

# ---------------------------------------------------------------- before

$node->start;
Storesync->create($node);
my $store = Storesync->load($node, $sim, rate_limit => "$rate/s", shown => 1);
my ($one, $two, $three) = @$store{@shops};
sql(q(UPDATE storesync.store SET poll_interval = '300 milliseconds'; SELECT storesync.confirm_instance('shop-main')));
Storesync->converged($node, $sim, 'all is shown at first');
sql("CALL storesync.compensate(ARRAY[$one, $two, $three])");
my $verified = q(SELECT count(*), count(verified_at) FROM storesync.listing_verified);
is(sql($verified), join('|', ($shops * $skus) x 2), 'and was read back');
done('the stanza is made', 'stanza-create');
done('a segment is archived and found again', 'check');
my ($status, $said, $wrong) = age();
is("$status $wrong", "1 age: there is no full backup\nage: there is no backup\n", 'age says that there is no backup');
step('cluster, simulator and repository are there');

# ---------------------------------------------------------------- backups under load

load_on('before');
my $out = '';
my $backup = IPC::Run::start([ backrest('--type=full', 'backup') ], '<', \undef, '>&', \$out);
Storesync->query_until($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'pgBackRest [backup]%'), 't', 'a backup is under way');
$backup->signal('TERM');
$backup->finish;
isnt($backup->full_result(0), 0, 'a backup is interrupted');
like((age())[2], qr/there is no full backup/, 'and does not count as one');
step('a backup was interrupted');
done('the next one is complete', '--type=full', 'backup');
step('full backup under load, ', booked(), ' orders so far');
done('a differential one on top', '--type=diff', 'backup');
($status, $said, $wrong) = age();
is("$status $wrong", '0 ', 'age is content');
like($said, qr/^pgbackrest_backup_age_seconds\{stanza="main",type="full"\} \d+\npgbackrest_backup_age_seconds\{stanza="main",type="any"\} \d+$/m,
	'and has figures');
step('differential backup under load, ', booked(), ' orders so far');

# the repository is away
done('archiving is stopped', 'stop');
sql('SELECT pg_switch_wal()');
Storesync->wait_until(sub { (age())[1] =~ /^postgresql_wal_waiting [1-9].*^postgresql_wal_failing_seconds \d+$/ms
			&& sql('SELECT failed_count > 0 FROM pg_stat_archiver') eq 't' }, 'WAL waits');
done('and goes on', 'start');
archive_now();
Storesync->wait_until(sub { (age())[1] =~ /^postgresql_wal_failing_seconds 0$/m }, 'what had waited is archived');
step('the archive was away and caught up');

# ---------------------------------------------------------------- the point, and what happens after it

load_off();
all_booked('all orders are booked');
my $shipped = 'before-5';	# of the third shop
sql("SELECT storesync.pause($three)");
my $task = sql(qq(SELECT storesync.enqueue($three, 'ship_order', '{"order_sn": "$shipped"}')));
sql(q(SELECT storesync.receive('S1', 7, storesync.derive_key(now(), 'before'), 'main', 'before the point')));
my $before = booked();
my $point = sql('SELECT clock_timestamp()');
step("the point: $point, $before orders");

load_on('after');
sql(q(SELECT storesync.receive('S1', 11, storesync.derive_key(now(), 'after'), 'main', 'after the point')));
$sim->order_status('before-1', 'SHIPPED');
$sim->order_status('before-2', 'CANCELLED');
sql("SELECT storesync.resume($three)");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'a task of before the point is done after it');
my $refresh = sql("SELECT storesync.enqueue($one, 'refresh_token', '{}')");
Storesync->query_until($node, "SELECT state FROM storesync.task_state($refresh)", 'done', 'a refresh token is used up after it');
Storesync->query_until($node, "SELECT count(*) > $before + 20 FROM storesync.sales_order", 't', 'orders come in after it');
archive_now();
load_off();
sub shippings { return join ' ', map { $_->{ships} } grep { $_->{order_sn} eq $shipped } @{ $sim->get('shipments')->{lines} }; }
is(shippings(), 1, 'the order of the task was shipped');
step('after the point: ', booked() - $before, ' orders, an order shipped, one collected, one cancelled, a token refreshed');

# nothing is under way any more when the cache is read for comparison
all_booked('all orders of after the point are booked');
Storesync->query_until($node, q(SELECT string_agg(state::text, ',' ORDER BY order_sn) FROM storesync.sales_order JOIN storesync.sales_order_line USING (order_id)
	WHERE order_sn IN ('before-1', 'before-2')), 'shipped,cancelled', 'and what became of those of before it');
Storesync->wait_until(sub { cached('available') eq available() }, 'the cache follows');
my $ahead = cached('available');

# ---------------------------------------------------------------- loss, and recovery

$node->stop('immediate');
remove_tree($data);
ok(!-e $data, 'the data directory is gone');
$sim->order($shops[ $_ % $shops ], [ 1 + $_ % $skus, 0, bought("meanwhile-$_") ], { order_sn => "meanwhile-$_" }) foreach 1 .. 9;
$sim->post('expire_token', { shop_id => $shops[0] });
my $asked = calls();
step('the data directory is lost; shops go on selling');

make_path($data, { mode => 0700 });
done('it is restored', '--type=time', "--target=$point", '--target-action=promote', 'restore');
ok(-e "$data/recovery.signal", 'recovery is ahead');
step('restored');
$node->start;
Storesync->wait_until(sub { ($node->psql('shop', 'SELECT pg_is_in_recovery()'))[1] eq 'f' }, 'recovery has ended');
step('recovered');

is(sql(q(SELECT string_agg(reference, ',') FROM storesync.ledger WHERE reference LIKE '%the point')), 'before the point',
	'what was booked before the point is there, what came after it is not');
is(booked(), $before, 'and all orders of before the point');
is(sql('SELECT * FROM storesync.check_invariants()'), '', 'no invariant is broken');

# ---------------------------------------------------------------- it waits

Storesync->query_until($node, q(SELECT count(*) FROM storesync.stat_store WHERE waits LIKE '%not confirmed%'), $shops, 'the dispatcher waits for the operator');
is(sql(q(SELECT storesync.is_copy(), storesync.sending_allowed('shopee'), storesync.instance_confirmed())), 't|f|f', 'the instance has to be confirmed');
like(health('instance shopee'), qr/^sending is paused: this data came from another database or out of a backup/, 'health() says so');
is(sql('SELECT incarnation, reason, recovery = storesync.recovery_id() FROM storesync.incarnation ORDER BY incarnation DESC LIMIT 1'), '2|recovery|t',
	'another life of the data has begun');
is(sql(q(SELECT count(*), count(believed), count(*) FILTER (WHERE dirty), min(acked_revision), max(acked_revision) FROM storesync.listing_target)),
	join('|', $shops * $skus, 0, $shops * $skus, -1, -1), 'nothing is believed of any listing');
is(sql($verified), $shops * $skus . '|0', 'every listing counts as unverified');
is(sql('SELECT count(*) FILTER (WHERE superseded) FROM storesync.token_status'), $shops, 'every authorisation may be superseded');
like(health("authorisation of store $one"), qr/^may be superseded/, 'health() says so');
my $wanted = sql("SELECT storesync.enqueue($two, 'refresh_token', '{}')");
my $rounds = sql('SELECT cycles FROM storesync.stat_dispatcher');
sql(q(SELECT storesync.reserve('S' || n, 3, storesync.new_key()) FROM generate_series(1, 6) n));
Storesync->query_until($node, "SELECT cycles > $rounds FROM storesync.stat_dispatcher", 't', 'the dispatcher has looked');
is(sql("SELECT state, detail FROM storesync.task_state($wanted)"), 'queued|waits: this instance is not confirmed for its platform', 'a refresh waits, too');
is(calls(), $asked, 'nobody was called');
is(cached('available'), $ahead, 'and nothing was written to the cache, which is ahead');
step('it waits for its operator: not one call');

# ---------------------------------------------------------------- it goes on

sql(q(SELECT storesync.confirm_instance('shop-main')));
Storesync->query_until($node, "SELECT refused_at IS NOT NULL FROM storesync.token_status WHERE store_id = $one", 't', 'the spent refresh token is found out at once');
like(health("authorisation of store $one"), qr/^the platform refuses its refresh token since .*: authorise the shop again .*may be superseded/, 'health() says what to do');
Storesync->query_until($node, "SELECT string_agg(superseded::text, ',' ORDER BY store_id) FROM storesync.token_status", 'true,false,false', 'those of the others were refreshed');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($wanted)", 'done', 'the one that was asked for as well');
Storesync->query_until($node, q(SELECT string_agg(store_id::text, ',') FROM storesync.stat_store WHERE waits LIKE '%credential%'), $one, 'the store without waits, alone');
step('confirmed; one store needs its owner');
my $code = sql(q(SELECT storesync.authorization_url('shopee', 'https://erp.example.com/shopee')));
my $answer = HTTP::Tiny->new(max_redirect => 0, no_proxy => ['127.0.0.1'])->get("$code&shop_id=$shops[0]&days=30");
($code) = ($answer->{headers}{location} // '') =~ /code=(\w+)/;
sql("SELECT storesync.authorize_store($one, '$code')");
Storesync->query_until($node, q(SELECT count(*) FROM storesync.health() WHERE component LIKE 'authorisation%'), 0, 'authorised again');
step('the owner has authorised his shop again');

sql("SELECT storesync.resume($three)");
all_booked('orders after the point are pulled again');
Storesync->query_until($node, q(SELECT string_agg(state::text, ',' ORDER BY order_sn) FROM storesync.sales_order JOIN storesync.sales_order_line USING (order_id)
	WHERE order_sn IN ('before-1', 'before-2')), 'shipped,cancelled', 'and what became of those of before it');
Storesync->query_until($node, "SELECT state FROM storesync.task_state($task)", 'done', 'the task of before the point is done once more');
is(shippings(), 1, 'and finds that it had been done');
Storesync->converged($node, $sim, 'every shop comes to what is wanted');
is(sql(<<'SQL'), '', 'of no order line more or less is deducted than the platform sold');
SELECT o.order_sn, l.status, l.qty, l.reserved, l.shipped, g.reserved, g.shipped
FROM storesync.sales_order o JOIN storesync.sales_order_line l USING (order_id)
CROSS JOIN LATERAL (SELECT coalesce(sum(x.reserved_delta), 0) AS reserved, coalesce(-sum(x.on_hand_delta), 0) AS shipped
	FROM storesync.ledger x WHERE x.order_id = o.order_id) g
WHERE (l.reserved, l.shipped) IS DISTINCT FROM (g.reserved, g.shipped)
	OR l.reserved + l.shipped <> CASE l.status WHEN 'cancelled' THEN 0 ELSE l.qty END
SQL
is(sql('SELECT sum(qty) FROM storesync.sales_order_line'), sum(map { bought($_->{order_sn}) } @{ $sim->get('shipments')->{lines} }),
	'the books have what the platform sold');
is($sim->counters->{oversold_units}, 0, 'nothing was oversold');
Storesync->limited($sim, $rate);
Storesync->wait_until(sub { cached('available') eq available() }, 'the cache comes right by itself');
is(cached('incarnation'), join(' ', (2) x $skus), 'with values of the new life');
sql("CALL storesync.compensate(ARRAY[$one, $two, $three])");
is(sql($verified), join('|', ($shops * $skus) x 2), 'shops are read back again');
is(sql('SELECT compared, differing, left_open FROM storesync.certificate ORDER BY certificate_id DESC LIMIT 1'), join('|', $shops * $skus, 0, 0),
	'and none differs from the books');
is(sql(q(SELECT string_agg(component || ': ' || reason, '; ') FROM storesync.health() WHERE state <> 'ok')), '', 'health() has nothing to say');
Storesync->sound($node);
step('orders are pulled again, each booked once, every shop converged');

done('the next backup is of the new timeline', '--type=diff', 'backup');
step('backed up again');

# ---------------------------------------------------------------- a point that cannot be

$node->stop;
remove_tree($data);
make_path($data, { mode => 0700 });
($status, $said) = archived('--type=time', '--target=2020-01-01 00:00:00+00', '--target-action=promote', 'restore');
isnt($status, 0, 'a point before the first backup is refused');
like($said, qr/unable to find backup set with stop time less than '2020-01-01/, 'and pgBackRest says why') && note($said);
ok(!-e "$data/PG_VERSION", 'before anything is restored');
step('a point before the first backup is refused');
done_testing();
note('proved: restored to the point; nothing was sent before the operator said so; what came after the point was pulled again, nothing was done twice')
  if Test::More->builder->is_passing;
