# Storesync: what the TAP tests share. A cluster with storesync preloaded, the
# marketplace simulator beside it, and the questions that every test ends with.
#
#   my $node = Storesync->cluster('main', 'storesync.max_in_flight' => 4);
#   my $sim = Storesync->simulator(catalogue => $text, rate => 20);
#             (or catalogue => Storesync->catalogue(shops => 3, skus => 10, units => 50))
#   my $store = Storesync->load($node, $sim);     # shop_id => store_id
#   $node->safe_psql('shop', ...);
#   Storesync->wait_until(sub { ... }, 'what is awaited');
#   Storesync->converged($node, $sim);            # waits, then tests
#   Storesync->limited($sim, 5);                  # calls of one shop in any second
#   Storesync->sound($node);
#
# Nothing here sleeps for a fixed time: everything polls, up to a limit.
package Storesync;

use strict;
use warnings;

use Errno ();
use File::Basename qw(dirname);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync::Simulator;
use Test::More;
use Time::HiRes qw(sleep time);

# Longest wait for anything, in seconds; a busy machine may raise it.
our $limit = $ENV{STORESYNC_TEST_LIMIT} // 90;

# A test that is told to end says what it was doing, and then ends as one that died: servers are stopped.
# What it forked just ends.
my $test = $$;
$SIG{TERM} = sub {
	if ($$ != $test)
	{
		$SIG{TERM} = 'DEFAULT';
		return kill 'TERM', $$;
	}
	require Carp;
	diag(Carp::longmess('told to end'));
	diag(scalar `ps -u \$(id -u) -o pid,ppid,stat,wchan:24,etimes,args --forest 2>&1`);
	my ($name) = $0 =~ m{([^/]+)\.pl$};
	diag(scalar `tail -n 15 $PostgreSQL::Test::Utils::log_path/${name}_*.log`);
	die "told to end\n";
};

# A psql that finds no server ends without reading what it is to run. IPC::Run, which may come to write that only then,
# dies of the pipe that nobody reads ("ack Broken pipe"), once in some hundred times; all others psql just fails,
# which is what whoever asks a server on its way back is prepared for.
my $broken_pipe = do { local $! = Errno::EPIPE; "$!" };
my $write = \&IPC::Run::_write;
{
	no warnings 'redefine';
	*IPC::Run::_write = sub {
		my $written = eval { $write->(@_) };
		return $written if defined $written;
		return length $_[1] if $@ =~ /^\Q$broken_pipe\E/;
		die $@;
	};
}

# cluster NAME, SETTING => VALUE...: a started cluster with database "shop" and
# the extension in it. Settings given here win over the ones below; one with
# value undef is left out. "-streaming => 1" prepares it for standbys,
# "-database => 0" leaves the database to the caller, "-start => 0" both.
sub cluster
{
	my ($class, $name, %conf) = @_;
	my %option = map { $_ => delete $conf{$_} } grep { /^-/ } keys %conf;
	my $node = PostgreSQL::Test::Cluster->new($name);

	%conf = (
		'shared_preload_libraries' => 'storesync',
		'storesync.databases' => 'shop',
		'max_worker_processes' => 20,
		'max_connections' => 50,
		'shared_buffers' => '64MB',
		'restart_after_crash' => 'on',
		'log_statement' => 'none',
		%conf);
	# whatever the locale of who runs this
	$node->init(allows_streaming => $option{-streaming}, extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', "$_ = '$conf{$_}'")
	  foreach grep { defined $conf{$_} } sort keys %conf;
	return $node if defined $option{-start} && !$option{-start};
	$node->start;
	$class->create($node) unless defined $option{-database} && !$option{-database};
	return $node;
}

# create NODE [, DATABASE]: the database, with the extension
sub create
{
	my ($class, $node, $database) = @_;
	$database //= 'shop';
	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"));
	$node->safe_psql($database, 'CREATE EXTENSION storesync');
	return;
}

# simulator catalogue => TEXT, [trace => TEXT, OPTION => VALUE...]: started.
sub simulator
{
	my ($class, %option) = @_;
	return Storesync::Simulator->start(%option);
}

# catalogue [shops => N, skus => N, units => N]: text of a catalogue in which every
# shop sells every SKU: shop 1001 and so on, SKU S1 and so on, item 1 and so on,
# without models, each showing all units.
sub catalogue
{
	my ($class, %option) = @_;
	my ($shops, $skus, $units) = map { $option{$_} // 1 } qw(shops skus units);
	my @line = ("app\t2009999\ttestPartnerKey0123456789");

	push @line, map { "shop\t" . (1000 + $_) . "\taccessToken$_\trefreshToken$_" } 1 .. $shops;
	push @line, map { "sku\tS$_\t$units" } 1 .. $skus;
	foreach my $shop (1 .. $shops)
	{
		push @line, map { "listing\t" . (1000 + $shop) . "\tS$_\t$_\t0\t$units\t100" } 1 .. $skus;
	}
	return join("\n", @line) . "\n";
}

# load NODE, SIMULATOR [, database => NAME, rate_limit => '5/s', shown => 1, without => SHOP]:
# what the simulator's catalogue names, made known to the database: platform,
# credentials, stores, SKUs with their opening stock, listings. Returns a hash
# of store_id by shop_id. With "shown" the listings count as showing already
# what the catalogue says, so that a full first push is spared. "without": this
# shop is left out, with its listings.
sub load
{
	my ($class, $node, $sim, %option) = @_;
	my $database = $option{database} // 'shop';
	my $limit = $option{rate_limit} // '5/s';
	my $without = $option{without} // '';
	my $c = $sim->catalogue;
	my $url = $sim->url;
	my @sql = (
		"BEGIN",
		"UPDATE storesync.platform SET base_url = '$url' WHERE platform = 'shopee'");

	push @sql, map { "SELECT storesync.set_app_credential('shopee', '$_', '$c->{app}{$_}')" }
	  qw(partner_id partner_key);
	foreach my $shop (grep { $_->[0] ne $without } @{ $c->{shops} })
	{
		my ($id, $access, $refresh) = @$shop;
		push @sql, "SELECT storesync.add_store('shopee', '$id', 'shop $id', '$limit') AS store \\gset";
		push @sql, "SELECT storesync.set_credential(:store, 'access_token', '$access')",
		  "SELECT storesync.set_credential(:store, 'refresh_token', '$refresh')";
	}
	foreach my $sku (@{ $c->{skus} })
	{
		my ($code, $units) = map { s/'/''/gr } @$sku;
		push @sql, "SELECT storesync.add_sku('$code')";
		push @sql, "SELECT storesync.receive('$code', $units, storesync.derive_key(now(), 'opening', '$code'))"
		  if $units > 0;
	}
	foreach my $listing (grep { $_->[0] ne $without } @{ $c->{listings} })
	{
		my ($shop, $code, $item, $model, $shown) = map { s/'/''/gr } @$listing;
		push @sql, "SELECT storesync.add_listing(store_id, '$code', '$item', '$model') AS listing"
		  . " FROM storesync.store WHERE platform = 'shopee' AND shop_id = '$shop' \\gset";
		push @sql, "INSERT INTO storesync.listing_shown VALUES (:listing, $shown, 0,"
		  . " storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour')"
		  if $option{shown};
	}
	push @sql, "COMMIT";
	# a line that ends in \gset is a statement of its own, the others want a semicolon
	$node->safe_psql($database, join('', map { /\\gset$/ ? "$_\n" : "$_;\n" } @sql));
	my %store = map { split /\|/ } split /\n/,
	  $node->safe_psql($database, "SELECT shop_id, store_id FROM storesync.store");
	return \%store;
}

# wait_until CODE, WHAT [, SECONDS]: polls until CODE returns true, and returns
# that; after the limit the test fails, and false is returned.
sub wait_until
{
	my ($class, $code, $what, $seconds) = @_;
	my $end = time + ($seconds // $limit);

	while (1)
	{
		my $value = $code->();
		return $value if $value;
		last if time > $end;
		sleep 0.05;
	}
	fail("waited in vain for: $what");
	return 0;
}

# stalled WHAT: seconds so far in which somebody on this machine waited for a processor ("cpu") or the disk ("io"),
# as the kernel counts them; 0 where it does not
sub stalled
{
	my ($what) = @_;
	my ($us) = (eval { slurp_file("/proc/pressure/$what") } // '') =~ /^some .*total=(\d+)/;
	return ($us // 0) / 1e6;
}

# elapsed CODE: how many seconds it takes, but for those in which the machine kept somebody waiting: what is promised
# to be done within a time is promised of a machine that has a processor to spare.
sub elapsed
{
	my ($class, $code) = @_;
	my ($began, @before) = (time, map { stalled($_) } qw(cpu io));

	$code->();
	my ($took, @after) = (time - $began, map { stalled($_) } qw(cpu io));
	my ($least) = sort { $a <=> $b } map { $took - ($after[$_] - $before[$_]) } 0, 1;
	note(sprintf '%.2f s, of which %.2f s are counted', $took, $least);
	return $least > 0 ? $least : 0;
}

# query_until NODE, SQL, ANSWER, WHAT: polls until the query answers so.
sub query_until
{
	my ($class, $node, $sql, $answer, $what) = @_;
	my $got = '';
	my $done = $class->wait_until(
		sub {
			my ($status, $out) = $node->psql('shop', $sql);
			$got = $out // '';
			return $status == 0 && $got eq $answer;
		},
		$what);
	diag("last answer: $got") unless $done;
	return $done;
}

# under_faults SIMULATOR, SHOP, CODE: a call of the shop is throttled, and then its calls, reads as well as
# writes, meet every other kind of fault; CODE is run again and again until each has struck, and they end.
# A test that it came to that.
sub under_faults
{
	my ($class, $sim, $shop, $code) = @_;
	my @kinds = qw(error_5xx cut_before cut_after malformed slow);
	my $until = sub {
		my ($rules, @struck) = @_;
		my $before = $sim->counters->{faults};

		$sim->faults(%$rules, shop_id => $shop);
		return $class->wait_until(
			sub {
				$code->();
				my $now = $sim->counters->{faults};
				return !grep { $now->{$_} <= $before->{$_} } @struck;
			},
			"@struck");
	};
	my $met = $until->({ throttle => 1, count => 1 }, 'throttle')
	  && $until->({ (map { $_ => 0.14 } @kinds), slow_ms => 800 }, @kinds);

	$sim->faults;
	return ok($met, "calls of shop $shop met a throttle, 5xx, a cut before and after, a page and slowness");
}

# library NAME, FILE [, FLAG...]: a library made of lib/NAME.c, to be preloaded into a
# server (LD_PRELOAD while it starts); its file, or undef without a C compiler
sub library
{
	my ($class, $name, $file, @flag) = @_;
	my $source = dirname(__FILE__) . "/$name.c";
	return system('cc', '-shared', '-fPIC', '-O1', @flag, '-o', $file, $source, '-ldl') == 0 ? $file : undef;
}

# dispatcher NODE [, DATABASE]: process id of the dispatcher, '' when none runs
sub dispatcher
{
	my ($class, $node, $database) = @_;
	$database //= 'shop';
	return $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'storesync dispatcher'"
		  . " AND datname = '$database'");
}

# crash NODE, PID: that process of the server's is killed by SIGKILL, and the server has begun anew; true when that went
# well. On a busy machine what was killed has to wait for a processor to die: sessions that come before it has are
# served, and break off in the middle.
sub crash
{
	my ($class, $node, $pid) = @_;

	kill 'KILL', $pid or die "process $pid is not there to be killed\n";
	# gone is what the postmaster has seen the end of
	return $class->wait_until(sub { !kill 0, $pid }, "the end of process $pid")
	  && $class->query_until($node, 'SELECT true', 't', 'the server');
}

# kill_postmaster NODE: killed by SIGKILL, and started again; true when that went well
sub kill_postmaster
{
	my ($class, $node) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	# held still it makes no new children; those that it has must let go of the shared memory
	kill 'STOP', $postmaster;
	my @pids = grep { defined } map { /^(\d+) \(.*\) \S+ $postmaster / ? $1 : undef }
	  map { eval { slurp_file($_) } // '' } glob '/proc/[0-9]*/stat';
	$node->kill9;
	$class->wait_until(sub { !grep { kill 0, $_ } $postmaster, @pids }, 'its processes are gone') or return 0;
	$node->start;
	return 1;
}

# differing NODE, SIMULATOR: listings that show something else than is wanted,
# as text, one a line
sub differing
{
	my ($class, $node, $sim, $database) = @_;
	my %wanted = map { my @f = split /\|/, $_, -1; ("$f[0]/$f[1]/$f[2]" => $f[3]) } split /\n/,
	  $node->safe_psql($database // 'shop', <<'SQL');
SELECT s.shop_id, l.item_id, CASE l.model_id WHEN '' THEN '0' ELSE l.model_id END, v.wanted
FROM storesync.listing_status v
JOIN storesync.listing l USING (listing_id)
JOIN storesync.store s ON s.store_id = l.store_id
SQL
	my @differing;

	foreach my $shown (@{ $sim->shown })
	{
		my $name = join '/', @$shown{qw(shop_id item_id model_id)};
		my $wanted = delete $wanted{$name} // 'nothing';
		push @differing, "$name shows $shown->{stock}, wanted $wanted"
		  if $wanted ne $shown->{stock};
	}
	push @differing, map { "$_ is not in the shop" } sort keys %wanted;
	return join "\n", @differing;
}

# converged NODE, SIMULATOR [, WHAT]: a test that every shop comes to show what
# the database wants
sub converged
{
	my ($class, $node, $sim, $what) = @_;
	my $end = time + $limit;
	my $differing;

	do
	{
		$differing = $class->differing($node, $sim);
		sleep 0.1 if $differing ne '';
	} while ($differing ne '' && time < $end);
	return is($differing, '', $what // 'every shop shows what the database wants');
}

# limited SIMULATOR, RATE [, BURST]: a test that no shop has had more calls in any second than a limit of RATE/s lets
# leave. The simulator counts arrivals, so a tenth of a second in which it stood still is allowed for.
sub limited
{
	my ($class, $sim, $rate, $burst) = @_;
	my $most = $rate + ($burst // 1) - 1 + int($rate / 10 + 0.9);
	return cmp_ok($sim->counters->{max_in_second}, '<=', $most, 'no limit was broken');
}

# old_days NODE: makes the function public.old_day(PARENT, DAYS AGO), which makes a partition of some days
# ago as it would have been made then, if there is none, and returns its name. Days are counted from that of this
# call, though midnight may come before the function's.
sub old_days
{
	my ($class, $node) = @_;
	my $today = $node->safe_psql('shop', "SELECT (now() AT TIME ZONE 'UTC')::date");
	return $node->safe_psql('shop', <<'SQL' =~ s/TODAY/'$today'/r);
CREATE FUNCTION public.old_day(parent text, ago int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	at date := date TODAY - ago;
	made text := parent || to_char(at, '_YYYY_MM_DD');
	index text;
BEGIN
	IF to_regclass('storesync.' || made) IS NOT NULL THEN
		RETURN made;
	END IF;
	EXECUTE format('CREATE TABLE storesync.%I (LIKE storesync.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', made, parent);
	FOREACH index IN ARRAY (SELECT p.indexes FROM storesync.partitioned p WHERE p.parent = old_day.parent) LOOP
		EXECUTE format('CREATE INDEX ON storesync.%I %s', made, index);
	END LOOP;
	EXECUTE format('ALTER TABLE storesync.%I ATTACH PARTITION storesync.%I FOR VALUES FROM (%L) TO (%L)',
		parent, made, at || ' 00:00:00+00', at + 1 || ' 00:00:00+00');
	RETURN made;
END
$$;
SQL
}

# sound NODE [, DATABASE]: a test that no invariant is broken, and that no process of the server crashed
sub sound
{
	my ($class, $node, $database, $what) = @_;
	my @crashes = grep { /PANIC:|TRAP:|was terminated by signal (?!9:|15:)/ } split /\n/, slurp_file($node->logfile);
	return is(join("\n", @crashes, $node->safe_psql($database // 'shop', 'SELECT * FROM storesync.check_invariants()')),
		'', $what // 'no invariant is broken');
}

1;
