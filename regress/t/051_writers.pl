# Sixteen writers while backends are killed, the postmaster is killed and the
# server is stopped at once: what a client was told is booked exactly once,
# what it was not told at most once, and sending everything again, twice at
# the same time, brings the rest and moves nothing else.
#
# A writer is psql working off a list of calls, a transaction each, and its
# output is what it was told. When the connection breaks, the call under way
# stays in doubt and the writer goes on with the next one.

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;
use Time::HiRes qw(sleep time);

my $writers = 16;
my $calls = 400;
my $seed = $ENV{SEED} // 20261122;
my @skus = map { "S$_" } 1 .. 6;
my $opening = 1_000_000;

diag("seed $seed");
srand $seed;
my $node = Storesync->cluster('main', 'storesync.databases' => undef);
my $base = int(time) - 3600;
$node->safe_psql('shop', "SELECT storesync.add_store('shopee', '1', 'One');\n"
	. join '', map { "SELECT storesync.add_sku('$_'); SELECT storesync.receive('$_', $opening, storesync.new_key());\n" } @skus);

# ---------------------------------------------------------------- calls

# order_text NAME, STATUS: a document; what an order says follows from its name
sub order_text
{
	my ($name, $status) = @_;
	my $sum = unpack '%32C*', $name;
	my $lines = join ',', map { qq({"line_id":"$_","sku":"S) . (1 + ($sum + $_ * 2) % @skus) . qq(","qty":) . (1 + ($sum + $_) % 3) . '}' } 1, 2;
	my $at = $base + ($status eq 'shipped' ? 60 : 0);

	return qq({"order_sn":"$name","status":"$status","create_time":$base,"update_time":$at,"fetched_at":$at,"lines":[$lines]});
}

# a_call WRITER, N: { kind, sql, key or orders, status }
sub a_call
{
	my ($w, $n) = @_;
	my $dice = rand;
	my $qty = 1 + int rand 3;
	my $sku = $skus[ rand @skus ];
	my $key = "storesync.derive_key(to_timestamp($base), 'writer', '$w', '$n')";

	if ($dice < 0.5)
	{
		my $do = $dice < 0.3 ? 'receive' : 'reserve';
		return { kind => $do, sku => $sku, qty => $qty, reference => "$w/$n",
			sql => "SELECT $n, outcome, on_hand, reserved, available, version FROM storesync.$do('$sku', $qty, $key, reference => '$w/$n')" };
	}
	# own orders, one of which everybody sends; those of the last page but one are shipped now
	my @own = map { "$w-$n-$_" } 1, 2;
	my @docs = ((map { [ $_, 'ready_to_ship' ] } @own, 'all-' . $n % 60), $n > 2 ? [ 'all-' . ($n - 2) % 60, 'shipped' ] : ());
	push @docs, [ $own[0], 'shipped' ] if $dice > 0.8;
	@docs = reverse @docs if $dice > 0.9;
	return { kind => 'page', docs => \@docs,
		sql => "SELECT $n, string_agg(outcome, ' ') FROM storesync.ingest_orders(1, \$\$["
		  . join(',', map { order_text(@$_) } @docs) . ']$$)' };
}

my @list = map { my $w = $_; [ map { a_call($w, $_) } 0 .. $calls - 1 ] } 0 .. $writers - 1;

# told FILE: what a writer was told, by number of the call
sub told
{
	my ($file) = @_;
	my %told;

	return \%told if !-e $file;
	foreach (split /\n/, slurp_file($file))
	{
		my ($n, $answer) = /^(\d+)\|(.+)$/ or next;
		$told{$n} = $answer;
	}
	return \%told;
}

# psql_to FILE, SQL: runs it, output and errors added to files; exit status
sub psql_to
{
	my ($file, $sql) = @_;

	open my $script, '>', "$file.sql" or die "$file.sql: $!";
	print $script $sql;
	close $script;
	return system(q(psql -XAtq -v ON_ERROR_STOP=1 -d ') . $node->connstr('shop') . "' -f $file.sql >>$file 2>>$file.errors") >> 8;
}

# write_all WRITER, FILE: in a process of its own, all its calls, each sent once
sub write_all
{
	my ($w, $file) = @_;
	my $next = 0;
	my $end = time + $Storesync::limit;

	while ($next < $calls && time < $end)
	{
		if (psql_to($file, join '', map { "$list[$w][$_]{sql};\n" } $next .. $calls - 1) == 0)
		{
			$next = $calls;
			next;
		}
		my ($last) = sort { $b <=> $a } keys %{ told($file) }, -1;
		# the one after the last that was answered was on its way, or nothing was
		$next = $last + 2 if $last + 2 > $next;
		sleep 0.05 while time < $end && psql_to("$file.probe", 'SELECT 1') != 0;
	}
	return;
}

# start_writers SUFFIX...: a process for each writer and suffix
sub start_writers
{
	my @pids;

	foreach my $suffix (@_)
	{
		foreach my $w (0 .. $writers - 1)
		{
			my $pid = fork // die "fork: $!";
			if ($pid == 0)
			{
				write_all($w, $node->basedir . "/$suffix$w");
				POSIX::_exit(0);
			}
			push @pids, $pid;
		}
	}
	return @pids;
}

# errors SUFFIX: errors that calls ended with, other than for a lost connection
sub errors
{
	my ($suffix) = @_;
	my @errors = map { grep { /ERROR:/ } split /\n/, slurp_file($node->basedir . "/$suffix$_.errors") } 0 .. $writers - 1;

	return join "\n", @errors[ 0 .. ($#errors < 9 ? $#errors : 9) ];
}

# ---------------------------------------------------------------- chaos

sub answered
{
	my $n = 0;
	$n += keys %{ told($node->basedir . "/first$_") } foreach 0 .. $writers - 1;
	return $n;
}

# what is done to the server, each when another share of the calls has been answered
my $kill_backend = sub {
	my ($status, $pid) = $node->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'client backend' ORDER BY state = 'active' DESC LIMIT 1");
	return if $status != 0 || ($pid // '') eq '';
	kill 'KILL', $pid;
	Storesync->wait_until(sub { !kill(0, $pid) }, 'the backend is gone');
	return 1;
};
my $stop_at_once = sub { $node->stop('immediate'); $node->start; return 1 };
my $kill_postmaster = sub { return Storesync->kill_postmaster($node) };
my @harm = ($kill_backend, $stop_at_once, $kill_backend, $kill_postmaster, $kill_backend, $kill_backend);
my @pids = start_writers('first');
my $done = 0;
my $each = $writers * $calls / (@harm + 3);

foreach my $i (0 .. $#harm)
{
	Storesync->wait_until(sub { answered() > $each * ($i + 1) }, 'calls are answered') or last;
	Storesync->wait_until($harm[$i], 'harm is done') and $done++;
}
waitpid $_, 0 foreach @pids;
is($done, scalar @harm, 'the server was killed or stopped ' . @harm . ' times under the writers');
Storesync->query_until($node, 'SELECT 1', '1', 'the server is there');
is(errors('first'), '', 'no call ended with an error but for its connection');

# ---------------------------------------------------------------- what is booked

# booked: calls by "writer/number" and units of each order as the ledger has them
sub booked
{
	my %rows = map { split /\|/ } split /\n/, $node->safe_psql('shop',
		"SELECT reference, count(*) FROM storesync.ledger WHERE order_id IS NULL AND reference IS NOT NULL GROUP BY 1");
	my %orders = map { my @f = split /\|/; ($f[0] => \@f) } split /\n/, $node->safe_psql('shop', <<'SQL');
SELECT o.order_sn, o.status, count(DISTINCT l.line_id), bool_and(l.qty = l.reserved + l.shipped),
	bool_and((SELECT count(*) FILTER (WHERE g.kind = 'reserve') <= 1 AND count(*) FILTER (WHERE g.kind = 'ship') <= 1
		AND count(*) FILTER (WHERE g.kind NOT IN ('reserve', 'ship')) = 0
		FROM storesync.ledger g WHERE g.order_id = l.order_id AND g.reference = l.line_id))
FROM storesync.sales_order o JOIN storesync.sales_order_line l USING (order_id)
GROUP BY o.order_sn, o.status
SQL
	return (\%rows, \%orders);
}

# judge ANSWERS of each writer: findings in words
sub judge
{
	my ($told) = @_;
	my ($rows, $orders) = booked();
	my @wrong = map { "order $_ is not booked once" } grep { $orders->{$_}[2] != 2 || $orders->{$_}[3] ne 't' || $orders->{$_}[4] ne 't' } sort keys %$orders;

	foreach my $w (0 .. $writers - 1)
	{
		foreach my $n (0 .. $calls - 1)
		{
			my $call = $list[$w][$n];
			my $answer = $told->[$w]{$n};

			if ($call->{kind} ne 'page')
			{
				my $times = $rows->{ $call->{reference} } // 0;
				push @wrong, "$call->{kind} $w/$n was answered with $answer and is booked $times times" if defined $answer && $times != 1;
				push @wrong, "$call->{kind} $w/$n is booked $times times" if $times > 1;
				next;
			}
			next if !defined $answer;
			foreach my $doc (@{ $call->{docs} })
			{
				my ($name, $status) = @$doc;
				my $has = $orders->{$name} ? $orders->{$name}[1] : 'nothing';
				push @wrong, "order $name was acknowledged as $status and is $has"
				  if $has eq 'nothing' || ($status eq 'shipped' && $has ne 'shipped');
			}
		}
	}
	return join "\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ];
}

my @first = map { told($node->basedir . "/first$_") } 0 .. $writers - 1;
my $answered = answered();
note("$answered of " . $writers * $calls . ' calls were answered');
cmp_ok($answered, '<', $writers * $calls, 'some calls were in doubt');
is(judge(\@first), '', 'what was answered is booked once, the rest at most once');
Storesync->sound($node);

# ---------------------------------------------------------------- everything again

@pids = start_writers('again', 'twice');
waitpid $_, 0 foreach @pids;
my @misfit;
foreach my $w (0 .. $writers - 1)
{
	my @answers = map { told($node->basedir . "/$_$w") } 'again', 'twice';

	foreach my $n (0 .. $calls - 1)
	{
		my @said = map { $_->{$n} // 'nothing' } @answers;
		my $was = $first[$w]{$n};

		if ($list[$w][$n]{kind} eq 'page')
		{
			my $fits = defined $was ? qr/^(unchanged|stale|applied)( (unchanged|stale|applied))*$/ : qr/^\w+( \w+)*$/;
			push @misfit, map { "page $w/$n: $_" } grep { $_ !~ $fits || /rejected|short|parked|nothing/ } @said;
			next;
		}
		# a replay answers what the first call did: the same numbers in all of them
		my %numbers = map { s/^\w+\|//r => 1 } @said, $was // ();
		my $applied = grep { /^applied/ } @said, $was // ();
		push @misfit, "$list[$w][$n]{kind} $w/$n: " . join ' and ', $was // 'in doubt', @said
		  if keys %numbers != 1 || $applied > 1 || grep { !/^(applied|replayed)\|/ } @said;
	}
}
is(join("\n", @misfit[ 0 .. ($#misfit < 9 ? $#misfit : 9) ]), '', 'replays answer what the first calls did');
is(errors('again') . errors('twice'), '', 'no call of these ended with an error');
is(judge([ map { { map { $_ => 'sent again' } 0 .. $calls - 1 } } 1 .. $writers ]), '', 'everything is booked once');

# what is on the shelves follows from the lists
my (%on_hand, %reserved, %status);
$on_hand{$_} = $opening foreach @skus;
foreach my $call (map { @$_ } @list)
{
	$on_hand{ $call->{sku} } += $call->{qty} if $call->{kind} eq 'receive';
	$reserved{ $call->{sku} } += $call->{qty} if $call->{kind} eq 'reserve';
	foreach (@{ $call->{docs} // [] }) { $status{ $_->[0] } = $_->[1] if ($status{ $_->[0] } // '') ne 'shipped'; }
}
foreach my $name (keys %status)
{
	my $text = order_text($name, $status{$name});
	while ($text =~ /"sku":"(\w+)","qty":(\d+)/g)
	{
		if ($status{$name} eq 'shipped') { $on_hand{$1} -= $2; }
		else { $reserved{$1} += $2; }
	}
}
is($node->safe_psql('shop', 'SELECT k.code, s.on_hand, s.reserved FROM storesync.stock s JOIN storesync.sku k USING (sku_id) ORDER BY 1'),
	join("\n", map { "$_|$on_hand{$_}|" . ($reserved{$_} // 0) } sort @skus), 'the stock is what all lists come to');
Storesync->sound($node);
$node->stop;
done_testing();
