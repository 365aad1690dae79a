# Report: what came of the demo, by platform and in all.
#
#   my $before = Report::counters($sim);            at the start of the replay
#   my $report = Report->new(sim => $sim, platforms => [...], platform_of => {shop id => platform},
#       since => timestamp, before => $before, differing => {platform => n});
#   $report->print;
#   $report->failures                               what ought not to be, as sentences
#
# What buyers and shops did is the simulator's word, what was booked and sent
# and how long it took the database's, as its replica has it.
package Report;

use strict;
use warnings;

use Demo;
use List::Util qw(max sum0);

sub counters { return $_[0]->counters; }

sub new
{
	my ($class, %given) = @_;
	my $self = bless {%given}, $class;
	$self->{all} = $self->{sim}->counters;
	$self->_count_shops;
	$self->_ask;
	return $self;
}

# count_shops: the simulator's counters of each shop, less those of before, by platform
sub _count_shops
{
	my ($self) = @_;
	my %before = map { ($_->{shop_id} => $_) } @{ $self->{before}{shops} };

	foreach my $shop (@{ $self->{all}{shops} })
	{
		my $sum = $self->{shops}{ $self->{platform_of}{ $shop->{shop_id} } } //= {};
		foreach my $name (grep { $_ ne 'shop_id' } keys %$shop)
		{
			$sum->{$name} += $shop->{$name} - $before{ $shop->{shop_id} }{$name};
		}
	}
	return;
}

# by_platform SQL: rows of (platform or NULL for all of them, value...) as {platform => [value...]}
sub _by_platform
{
	my ($text) = @_;
	return { map { my ($platform, @value) = @$_; ($platform eq '' ? 'all' : $platform, \@value) } @{ read_sql($text) } };
}

sub _ask
{
	my ($self) = @_;
	my $since = $self->{since};
	my $quantiles = sub {
		my ($which) = @_;
		return _by_platform(<<"SQL");
SELECT s.platform, q[1], q[2], q[3] FROM (
	SELECT s.platform, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM p.at - p.changed_at)) AS q
	FROM (SELECT *, lag(qty) OVER (PARTITION BY listing_id ORDER BY at) AS before FROM storesync.push WHERE class = 'ok') p
	JOIN storesync.store s USING (store_id)
	WHERE p.changed_at >= '$since' AND $which
	GROUP BY ROLLUP (s.platform)) s
SQL
	};

	$self->{decreases} = $quantiles->('p.qty < p.before');
	$self->{changes} = $quantiles->('true');
	$self->{sent} = _by_platform(<<"SQL");
SELECT s.platform, count(*) FILTER (WHERE p.class = 'ok'), count(*) FILTER (WHERE p.class = 'permanent'),
	count(*) FILTER (WHERE p.class NOT IN ('ok', 'permanent'))
FROM storesync.push p JOIN storesync.store s USING (store_id) WHERE p.at >= '$since' GROUP BY ROLLUP (s.platform)
SQL
	$self->{calls} = _by_platform(<<"SQL");
SELECT s.platform, count(*) FILTER (WHERE c.call = 'push_stock') FROM storesync.call_log c JOIN storesync.store s USING (store_id)
WHERE c.at >= '$since' GROUP BY ROLLUP (s.platform)
SQL
	$self->{booked} = _by_platform(<<'SQL');
SELECT s.platform, count(*) FROM storesync.sales_order o JOIN storesync.store s USING (store_id) GROUP BY ROLLUP (s.platform)
SQL
	($self->{short}, $self->{open}, $self->{broken}) = @{ read_sql(<<'SQL')->[0] };
SELECT (SELECT coalesce(sum(short), 0) FROM storesync.sales_order_line),
	(SELECT count(*) FROM storesync.compensation WHERE settled_at IS NULL),
	(SELECT count(*) FROM storesync.check_invariants())
SQL
	return;
}

# shop NAME, PLATFORM: a counter of the simulator
sub _shop
{
	my ($self, $name, $platform) = @_;
	return $platform ne 'all' ? $self->{shops}{$platform}{$name} : sum0 map { $_->{$name} } values %{ $self->{shops} };
}

# asked WHAT, PLATFORM, N: the Nth value of what the database was asked
sub _asked
{
	my ($self, $what, $platform, $n) = @_;
	my $values = $self->{$what}{$platform} // [];
	return $values->[ $n // 0 ] // 0;
}

# row TITLE, CODE: a line with what CODE returns for each platform and for all
sub _row
{
	my ($self, $title, $code) = @_;
	printf "  %-30s%s\n", $title, join '', map { sprintf '%21s', $code->($_) } @{ $self->{platforms} }, 'all';
	return;
}

sub _differing
{
	my ($self, $platform) = @_;
	return $platform ne 'all' ? $self->{differing}{$platform} : sum0 values %{ $self->{differing} };
}

sub print
{
	my ($self) = @_;
	my $calls = sub { return $self->_shop('calls', $_[0]); };
	my $count = sub {
		my ($name) = @_;
		return sub { return grouped($self->_shop($name, $_[0])); };
	};
	my $asked = sub {
		my ($what, $n) = @_;
		return sub { return grouped($self->_asked($what, $_[0], $n)); };
	};
	my $ages = sub {
		my ($what) = @_;
		return sub { return seconds(@{ $self->{$what}{ $_[0] } // [] }); };
	};

	$self->_row('', sub { return $_[0]; });
	$self->_row('orders accepted by the shops', $count->('orders'));
	$self->_row('orders booked here', $asked->('booked'));
	$self->_row('orders cancelled', $count->('cancelled_orders'));
	$self->_row('calls', sub { return grouped($calls->($_[0])); });
	$self->_row('  of these, quantities', $asked->('calls'));
	$self->_row('  an order', sub { return sprintf '%.2f', $calls->($_[0]) / max(1, $self->_shop('orders', $_[0])); });
	$self->_row('  refused for limit', $count->('refused_limit'));
	$self->_row('quantities acknowledged', $asked->('sent', 0));
	$self->_row('  refused for good', $asked->('sent', 1));
	$self->_row('  failed and sent again', $asked->('sent', 2));
	$self->_row('age of decreases, s', $ages->('decreases'));
	$self->_row('age of all changes, s', $ages->('changes'));
	$self->_row('units sold', $count->('units'));
	$self->_row('  oversold', $count->('oversold_units'));
	$self->_row('  lost, not enough shown', $count->('lost_units'));
	$self->_row('listings that differ', sub { return $self->_differing($_[0]); });
	$self->_print_rest;
	return;
}

sub _print_rest
{
	my ($self) = @_;
	my $line = sub { printf "  %-37s %s\n", @_; return; };

	print "\n";
	$line->('documents of orders fetched', sprintf '%s, of which %s said nothing new', map { grouped($_) } @$self{qw(documents duplicates)});
	$line->('faults met', grouped(sum0 values %{ $self->{faults} }));
	$line->('most calls in any second and shop', "$self->{all}{max_in_second} of $self->{rate}");
	$line->('short in the database now, units', $self->{short});
	$line->('SKUs counted otherwise than in truth', $self->{untrue});
	$line->('open compensation', $self->{open});
	$line->('broken invariants', $self->{broken});
	$line->('replica behind, at most', seconds($self->{behind}) . ' s');
	$line->('time', sprintf '%.0f s', elapsed());
	return;
}

sub failures
{
	my ($self) = @_;
	my ($booked, $accepted, $differing) = ($self->_asked('booked', 'all'), $self->_shop('orders', 'all'), $self->_differing('all'));
	my @failures;

	push @failures, "$differing listings differ" if $differing != 0;
	push @failures, "$self->{broken} invariants are broken" if $self->{broken} != 0;
	push @failures, "$booked orders booked, $accepted accepted" if $booked != $accepted;
	push @failures, "$self->{untrue} SKUs are counted otherwise than in truth" if $self->{untrue} != 0;
	return @failures;
}

1;
