# Chart: figures of an HTML page, drawn as SVG without a script. Each is drawn twice, for a wide screen and for a telephone's, at
# sizes at which its text need not be scaled; the style sheet shows one of them. What there is nothing to draw of says so.
package Chart;

use strict;
use warnings;
use utf8;

use Exporter qw(import);
use List::Util qw(max min);

our @EXPORT_OK = qw(bars bar_table duration esc grouped lines short_number);

our @COLOR = ('#2f6f9f', '#d98b3a', '#5b9a6f', '#8b6fae', '#b0565f', '#7d8794', '#3fa3a3', '#a58a3c');
my $narrow = 344;    # px that a telephone has for a figure

# esc TEXT: as text or attribute of HTML; control characters are no characters of it
sub esc
{
	my ($text) = @_;
	my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;');

	$text =~ s/([&<>"'])/$entity{$1}/g;
	$text =~ s/[\x00-\x1f\x7f-\x9f]/ /g;
	return $text;
}

# grouped NUMBER [, DIGITS]: 1,234.5
sub grouped
{
	my ($number, $digits) = @_;
	my $text = sprintf '%.*f', $digits // 0, $number;

	1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
	return $text;
}

# short_number NUMBER: 950, 1.2k, 3.4M; for an axis
sub short_number
{
	my ($number) = @_;

	foreach ([ 1e9, 'G' ], [ 1e6, 'M' ], [ 1e3, 'k' ])
	{
		return sprintf('%.3g', $number / $_->[0]) . $_->[1] if abs($number) >= $_->[0];
	}
	return sprintf '%.3g', $number;
}

# duration MILLISECONDS: 350 ms, 4.2 s, 3.5 min, 2.1 h, 3.0 d
sub duration
{
	my ($ms) = @_;

	foreach ([ 86400e3, 'd' ], [ 3600e3, 'h' ], [ 60e3, 'min' ], [ 1e3, 's' ])
	{
		next if $ms < $_->[0];
		my $n = $ms / $_->[0];
		return ($n == int $n || $n >= 100 ? sprintf('%.0f', $n) : sprintf('%.1f', $n)) . " $_->[1]";
	}
	return sprintf '%.0f ms', $ms;
}

# ticks TOP, WHOLE: round values from 0 to at least TOP, four or five of them; whole ones where there are no others
sub ticks
{
	my ($top, $whole) = @_;
	my $step = 10**int(log($top / 4) / log(10) - ($top < 4 ? 1 : 0));

	foreach my $times (1, 2, 2.5, 5, 10, 20)
	{
		next if $step * $times * 5 < $top;
		$step *= $times;
		last;
	}
	$step = 1 if $whole && $step < 1;
	my $n = int($top / $step - 1e-9) + 1;
	return map { $_ * $step } 0 .. $n;
}

# time_ticks LOW, HIGH: milliseconds that people count in, from below LOW to above HIGH, not too many
sub time_ticks
{
	my ($low, $high) = @_;
	my @all = (1, 2, 5, 10, 20, 50, 100, 200, 500, (map { 1e3 * $_ } 1, 2, 5, 10, 20, 30), (map { 60e3 * $_ } 1, 2, 5, 10, 20, 30),
		(map { 3600e3 * $_ } 1, 2, 5, 12), (map { 86400e3 * $_ } 1, 2, 5, 10, 20, 50, 100, 200, 500));
	my ($first) = grep { $_ == $#all || $all[ $_ + 1 ] > $low } 0 .. $#all;
	my ($last) = grep { $all[$_] >= $high || $_ == $#all } $first + 1 .. $#all;
	my $step = 1 + int(($last - $first) / 7);
	my @tick = map { $all[ $first + $_ * $step ] // () } 0 .. int(($last - $first) / $step);

	push @tick, $all[$last] if $tick[-1] < $all[$last];
	return @tick;
}

# plot WIDTH, HEIGHT, CHART, TICKS, INNER: axes around what INNER->(x, y) draws, which it is given functions for: x of the
# middle of a label and the width of one, y of a value.
sub plot
{
	my ($width, $height, $chart, $ticks, $inner) = @_;
	my $format = $chart->{tick} // \&short_number;
	my $left = 12 + 6.8 * max(map { length $format->($_) } @$ticks);
	my @label = @{ $chart->{labels} };
	my $longest = 6.6 * max(map { length } @label);
	my ($top, $right, $bottom) = (26, max(4, $longest / 2 - ($width - $left) / @label / 2), 42);
	my ($wide, $high) = ($width - $left - $right, $height - $top - $bottom);
	my $each = $wide / @label;
	my $scale = $chart->{log} ? sub { log($_[0]) } : sub { $_[0] };
	my ($low, $range) = ($scale->($ticks->[0]), $scale->($ticks->[-1]) - $scale->($ticks->[0]));
	my $x = sub { $left + ($_[0] + 0.5) * $each };
	my $y = sub { $top + $high * (1 - ($scale->($_[0]) - $low) / $range) };
	my @svg = sprintf '<svg class="%s" viewBox="0 0 %d %d" role="img" aria-label="%s">', $width == $narrow ? 'narrow' : 'wide', $width, $height,
	  esc($chart->{title});

	push @svg, sprintf '<text class="axis" x="0" y="12">%s</text>', esc($chart->{y});
	foreach my $tick (@$ticks)
	{
		push @svg, sprintf '<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>',
		  $left, $left + $wide, ($y->($tick)) x 2, $left - 6, $y->($tick) + 4, esc($format->($tick));
	}
	push @svg, $inner->($x, $y, $each);
	my ($step) = grep { $_ * $each >= 12 + $longest } 1, 2, 3, 5, 7, 10, 14, 30, 61, 122, 365, 3661;
	# the last label is always there
	foreach my $i (grep { ($#label - $_) % $step == 0 } 0 .. $#label)
	{
		push @svg, sprintf '<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>', $x->($i), $top + $high + 17, esc($label[$i]);
	}
	push @svg, sprintf('<text class="axis" x="%.1f" y="%.1f" text-anchor="end">%s</text>', $left + $wide, $height - 6, esc($chart->{x})), '</svg>';
	return join '', @svg;
}

# figure CHART, SVG...: with title and legend; without SVG it says that there is nothing
sub figure
{
	my ($chart, @svg) = @_;
	my $legend = join '', map {
		sprintf '<span class="key"><i class="%s" style="--c:%s"></i>%s</span>', $_->{dash} ? 'dash' : 'full', $_->{color}, esc($_->{name})
	} @{ $chart->{series} };
	my $size = $chart->{wide} ? 'figure' : 'figure half';

	return sprintf '<figure class="%s empty"><figcaption>%s</figcaption><p class="none">no data</p></figure>', $size, esc($chart->{title}) unless @svg;
	return sprintf '<figure class="%s"><figcaption>%s<span class="legend">%s</span></figcaption>%s</figure>', $size, esc($chart->{title}), $legend,
	  join('', @svg);
}

sub sizes { my ($chart) = @_; return ([ $chart->{wide} ? 1104 : 536, 270 ], [ $narrow, 240 ]); }

# path SERIES, X, Y: a line through its values, broken where there is none; a point for one that stands alone
sub path
{
	my ($series, $x, $y) = @_;
	my $value = $series->{values};
	my ($path, @point) = ('');

	foreach my $i (grep { defined $value->[$_] } 0 .. $#$value)
	{
		my $follows = $i > 0 && defined $value->[ $i - 1 ];
		$path .= sprintf '%s%.1f %.1f', $follows ? 'L' : 'M', $x->($i), $y->($value->[$i]);
		push @point, sprintf '<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>', $x->($i), $y->($value->[$i]), $series->{color}
		  unless $follows || defined $value->[ $i + 1 ];
	}
	return sprintf('<path class="line%s" d="%s" stroke="%s"><title>%s</title></path>', $series->{dash} ? ' dash' : '', $path, $series->{color},
		esc($series->{name})) . join('', @point);
}

# bars title, labels, series => [{name, color, values}], [over => the same, a line], x, y (what the axes have), [tick, value =>
# formats], [whole], [wide]: bars of the series upon each other
sub bars
{
	my (%chart) = @_;
	my @series = @{ $chart{series} };
	my $count = @{ $chart{labels} };
	my @sum = map { my $i = $_; my $sum = 0; $sum += $_->{values}[$i] // 0 foreach @series; $sum } 0 .. $count - 1;
	my @over = map { @{ $_->{values} } } $chart{over} // ();
	my $top = max(0, @sum, grep { defined } @over);
	my $value = $chart{value} // \&grouped;

	return figure(\%chart) unless $top > 0;
	$chart{series} = [ @series, $chart{over} // () ];
	my $draw = sub {
		my ($x, $y, $each) = @_;
		my @svg;
		my $wide = min($each * 0.76, 48);
		foreach my $i (0 .. $count - 1)
		{
			my $below = 0;
			foreach my $series (grep { ($_->{values}[$i] // 0) > 0 } @series)
			{
				my $above = $below + $series->{values}[$i];
				push @svg, sprintf '<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s</title></rect>', $x->($i) - $wide / 2,
				  $y->($above), $wide, $y->($below) - $y->($above), $series->{color}, esc("$chart{labels}[$i], $series->{name}: " . $value->($series->{values}[$i]));
				$below = $above;
			}
		}
		push @svg, path($chart{over}, $x, $y) if $chart{over};
		return join '', @svg;
	};
	return figure(\%chart, map { plot(@$_, \%chart, [ ticks($top, $chart{whole}) ], $draw) } sizes(\%chart));
}

# lines, as bars: a line for each series, undef where there is no value; log => 1 for a logarithmic axis, of
# milliseconds from 1
sub lines
{
	my (%chart) = @_;
	my @value = grep { defined && (!$chart{log} || $_ > 0) } map { @{ $_->{values} } } @{ $chart{series} };

	return figure(\%chart) unless @value && ($chart{least} // 0) + max(@value) > 0;
	my @ticks = $chart{log} ? time_ticks(max(1, min(@value)), max(2, @value)) : ticks(max($chart{least} // 0, @value), $chart{whole});
	my %floor = $chart{log} ? (floor => $ticks[0]) : ();
	my @series = map {
		{ %$_, values => [ map { defined && $floor{floor} && $_ < $floor{floor} ? $floor{floor} : $_ } @{ $_->{values} } ] }
	} @{ $chart{series} };
	return figure(\%chart, map {
		plot(@$_, \%chart, \@ticks, sub { my ($x, $y) = @_; return join '', map { path($_, $x, $y) } @series })
	} sizes(\%chart));
}

# bar_table title, rows => [[label, number, text]...], heads => [label's, text's], [color]: numbers as bars beside each other; a label is HTML
sub bar_table
{
	my (%chart) = @_;
	my @row = @{ $chart{rows} };
	my $top = max(0, map { $_->[1] // 0 } @row);

	return figure({ title => $chart{title}, series => [] }) unless @row;
	my $rows = join '', map {
		sprintf '<tr><td>%s</td><td class="meter"><svg role="presentation" height="14">%s</svg></td><td class="n">%s</td></tr>', $_->[0],
		  $top > 0 && $_->[1] ? sprintf('<rect class="bar" width="%.1f%%" height="14" rx="2" fill="%s"/>', max(0.7, 100 * $_->[1] / $top), $chart{color} // $COLOR[0]) : '',
		  esc($_->[2])
	} @row;
	return sprintf '<figure class="figure half"><figcaption>%s</figcaption><table class="bars"><thead><tr><th>%s</th><th></th><th class="n">%s</th></tr></thead><tbody>%s</tbody></table></figure>',
	  esc($chart{title}), map({ esc($_) } @{ $chart{heads} }), $rows;
}

1;
