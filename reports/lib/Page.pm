# Page: the HTML page of what page.sql answered. One file without a script and without anything from elsewhere; every name is
# escaped, and its policy lets a browser load nothing.
package Page;

use strict;
use warnings;
use utf8;

use Chart qw(bars bar_table duration esc grouped lines short_number);
use Exporter qw(import);
use List::Util qw(max sum0 uniq);
use Time::Local qw(timegm);

our @EXPORT_OK = qw(page);

my %symbol = (TWD => 'NT$', USD => 'US$', EUR => '€', GBP => '£', JPY => '¥', CNY => 'CN¥', HKD => 'HK$', KRW => '₩');
my %whole = map { $_ => 1 } qw(TWD JPY KRW VND);    # nobody writes their hundredths
my $patience = 600;    # seconds that roll-ups may be behind without a word
my %called = (shopee => 'Shopee', ruten => 'Ruten', pchome => 'PChome');

# ---------------------------------------------------------------- words and figures

sub platform { return $called{ $_[0] } // $_[0]; }

# money HUNDREDTHS, CURRENCY
sub money
{
	my ($hundredths, $currency) = @_;
	return join "\x{a0}", $symbol{$currency} // $currency, grouped($hundredths / 100, $whole{$currency} ? 0 : 2);
}

# moneys {currency => hundredths}: all of them
sub moneys { my ($of) = @_; return join(' + ', map { money($of->{$_}, $_) } sort keys %$of) || '–'; }

sub number { return defined $_[0] ? grouped($_[0]) : '–'; }
sub decimal { return defined $_[0] ? grouped($_[0], $_[1] // 1) : '–'; }

# count_of NUMBER, WORD: 1 day, 30 days
sub count_of { my ($number, $word) = @_; return grouped($number) . " $word" . ($number == 1 ? '' : 's'); }

# percent PART, WHOLE [, DIGITS]
sub percent
{
	my ($part, $of, $digits) = @_;
	return defined $part && $of ? sprintf("%.*f\x{a0}%%", $digits // 1, 100 * $part / $of) : '–';
}

# change NOW, MEAN: how much more
sub change
{
	my ($now, $mean) = @_;
	return '' unless defined $now && $mean;
	my $percent = sprintf '%.0f', 100 * ($now - $mean) / $mean;
	return $percent == 0 ? 'as the mean' : sprintf "%s%s\x{a0}%%", $percent > 0 ? '+' : '−', abs $percent;
}

# sum_of ROWS, FIELD: undef where no row has it
sub sum_of { my ($rows, $field) = @_; my @value = grep { defined } map { $_->{$field} } @$rows; return @value ? sum0(@value) : undef; }

# by_currency ROWS, FIELD: {currency => sum}
sub by_currency
{
	my ($rows, $field) = @_;
	my %sum;
	$sum{ $_->{currency} } += $_->{$field} foreach grep { defined $_->{$field} } @$rows;
	return \%sum;
}

# days SINCE, UNTIL: all of them
sub days
{
	my @day = map { my ($y, $m, $d) = split /-/; timegm(0, 0, 12, $d, $m - 1, $y) } @_;
	my @all;
	for (my $at = $day[0]; $at <= $day[1]; $at += 86400)
	{
		my @t = gmtime $at;
		push @all, sprintf '%04d-%02d-%02d', $t[5] + 1900, $t[4] + 1, $t[3];
	}
	return @all;
}

# named TEXT: a name of the seller's; in Han script it is to have Taiwan's forms
sub named { return sprintf '<bdi lang="zh-Hant-TW">%s</bdi>', esc($_[0] // ''); }
sub sku { my ($row) = @_; return sprintf '<span class="code">%s</span> %s', esc($row->{code}), named($row->{name}); }
sub shop { my ($row) = @_; return sprintf '%s <small>%s</small>', named($row->{store}), esc(platform($row->{platform})); }

# ---------------------------------------------------------------- pieces

# table TITLE, [HEAD...], [[CELL...]...], [NOTE]: a head that begins with # is of numbers, which are escaped here; other cells are HTML
sub table
{
	my ($title, $head, $rows, $note) = @_;
	my @right = map { /^#/ ? ' class="n"' : '' } @$head;
	my $html = sprintf '<div class="table"><h3>%s</h3>', esc($title);

	return "$html<p class=\"none\">no data</p></div>" unless @$rows;
	$html .= '<div class="scroll"><table><thead><tr>' . join('', map { sprintf '<th%s>%s</th>', $right[$_], esc($head->[$_] =~ s/^#//r) } 0 .. $#$head)
	  . '</tr></thead><tbody>';
	foreach my $row (@$rows)
	{
		$html .= '<tr>' . join('', map { sprintf '<td%s>%s</td>', $right[$_], $right[$_] ? esc($row->[$_]) : $row->[$_] } 0 .. $#$row) . '</tr>';
	}
	return "$html</tbody></table></div>" . ($note ? '<p class="note">' . esc($note) . '</p>' : '') . '</div>';
}

# tile LABEL, VALUE, NOTE [, CLASS]
sub tile
{
	my ($label, $value, $note, $class) = @_;
	return sprintf '<div class="tile %s"><div class="label">%s</div><div class="value">%s</div><div class="note">%s</div></div>', $class // '',
	  map { esc($_) } $label, $value, $note;
}

sub section { my ($id, $title, @html) = @_; return sprintf '<section id="%s"><h2>%s</h2>%s</section>', $id, esc($title), join '', @html; }

# first_of FOUND: "the first 10 of 27", or nothing when that is all
sub first_of
{
	my ($found) = @_;
	my $shown = @{ $found->{rows} };
	return $found->{count} > $shown ? sprintf('The first %d of %s.', $shown, grouped($found->{count})) : '';
}

# ---------------------------------------------------------------- sections

# headline DATA: the last day beside the mean of all, and what is wrong now
sub headline
{
	my ($data) = @_;
	my $store = $data->{store}{rows};
	my $days = @{ $data->{days} };
	my $period = count_of($days, 'day');
	my %last = map { $_ => sum_of($store, "last_$_") } qw(orders units cancelled visited_orders visits);
	my %all = map { $_ => sum_of($store, $_) } qw(orders units cancelled visited_orders visits);
	my ($money, $total) = (by_currency($store, 'last_amount'), by_currency($store, 'amount'));
	my ($one) = keys %$total == 1 ? keys %$total : ();
	my $mean = sub {
		my ($of) = @_;
		return '' if $days == 1;
		return defined $all{$of} ? sprintf('mean %s a day · %s', grouped($all{$of} / $days), change($last{$of} // 0, $all{$of} / $days)) : 'no data';
	};
	my ($slowest) = sort { $b->{last_p95} <=> $a->{last_p95} } grep { $_->{stage} eq 'booked' && defined $_->{last_p95} } @{ $data->{delay}{rows} };

	return section('headline', "The day $data->{about}{until}",
		'<div class="tiles">',
		tile('Sales', moneys($money), $days == 1 ? '' : $one ? sprintf('mean %s a day · %s', money($total->{$one} / $days, $one), change($money->{$one} // 0, $total->{$one} / $days)) : "$period: " . moneys($total)),
		tile('Orders', number($last{orders}), $mean->('orders')),
		tile('Units', number($last{units}), $mean->('units')),
		tile('Conversion', percent($last{visited_orders}, $last{visits}, 2), "$period: " . percent($all{visited_orders}, $all{visits}, 2)),
		tile('Cancelled', percent($last{cancelled}, ($last{cancelled} // 0) + ($last{orders} // 0)),
			"of orders · $period: " . percent($all{cancelled}, ($all{cancelled} // 0) + ($all{orders} // 0))),
		tile('Booked within', $slowest ? duration($slowest->{last_p95}) : '–', $slowest ? '95 % of orders of ' . platform($slowest->{platform}) . ', the slowest' : 'no data'),
		'</div><h3>Now</h3><div class="tiles">',
		tile('Wrong listings', number($data->{wrong}{count}), $data->{wrong}{count} ? 'for at most ' . duration(1000 * $data->{wrong}{rows}[0]{seconds}) : 'all shops show what they should', $data->{wrong}{count} ? 'look' : ''),
		tile('Lines waiting for stock', number($data->{short}{count}), $data->{short}{count} ? 'oldest ' . duration(1000 * $data->{short}{rows}[0]{seconds}) : 'none', $data->{short}{count} ? 'look' : ''),
		tile('Oversold SKUs', number($data->{oversold}{count}), 'of all stores', $data->{oversold}{count} ? 'look' : ''),
		tile('Empty within a week', number($data->{forecast}{count}), 'SKUs, forecast', $data->{forecast}{count} ? 'look' : ''),
		tile('Dead stock', number($data->{dead}{count}), 'SKUs not sold for 90 days'),
		tile('Were empty', number($data->{out}{count}), 'SKUs, in the months of the period'),
		'</div>');
}

# by_day DATA, ROWS, FIELD [, KEY]: values in the order of the days, undef where there is no row
sub by_day
{
	my ($data, $rows, $field) = @_;
	my %value;
	foreach my $row (grep { defined $_->{$field} } @$rows) { $value{ $row->{day} } += $row->{$field}; }
	return [ map { $value{$_} } @{ $data->{days} } ];
}

sub sales
{
	my ($data) = @_;
	my ($rows, $store, $hour) = map { $data->{$_}{rows} } qw(sales store hour);
	my @currency = sort { $a cmp $b } uniq(map { $_->{currency} } @$store);
	my @chart = map {
		my $currency = $_;
		my @of = grep { $_->{currency} eq $currency } @$rows;
		bars(title => 'Sales a day, ' . ($symbol{$currency} // $currency), wide => 1, labels => $data->{day_labels}, x => 'day', y => $symbol{$currency} // $currency,
			value => sub { money(100 * $_[0], $currency) },
			series => [ map { my $p = $_; { name => platform($p), color => $data->{color}{$p}, values => [ map { defined ? $_ / 100 : undef } @{ by_day($data, [ grep { $_->{platform} eq $p } @of ], 'amount') } ] } }
				grep { my $p = $_; grep { $_->{platform} eq $p } @of } @{ $data->{platforms} } ])
	} @currency ? @currency : 'TWD';
	my %at = map { ("$_->{platform}/$_->{hour}" => $_) } @$hour;
	my $hours = bars(title => "Orders an hour, $data->{about}{until}", wide => 1, whole => 1, labels => [ map { sprintf '%02d', $_ } 0 .. 23 ], x => 'hour of the store', y => 'orders',
		series => [ map { my $p = $_; { name => platform($p), color => $data->{color}{$p}, values => [ map { $at{"$p/$_"}{orders} } 0 .. 23 ] } } @{ $data->{platforms} } ],
		@$hour && @{ $data->{days} } > 1 ? (over => { name => "mean of $data->{period}", color => '#444444', dash => 1,
				values => [ map { my $h = $_; sum0(map { $at{"$_/$h"}{mean} // 0 } @{ $data->{platforms} }) } 0 .. 23 ] }) : ());

	return section('sales', 'Sales', @chart, $hours,
		table("Stores, $data->{period}", [ 'store', '#last day', '#orders', '#units', '#sales', '#cancelled', '#returned' ],
			[ map { [ shop($_), defined $_->{last_amount} ? money($_->{last_amount}, $_->{currency}) : '–', number($_->{orders}), number($_->{units}),
						defined $_->{amount} ? money($_->{amount}, $_->{currency}) : '–',
						percent($_->{cancelled}, ($_->{orders} // 0) + ($_->{cancelled} // 0)), percent($_->{returned}, $_->{units}) ] } @$store ],
			'Cancelled: of all orders placed; returned: of units sold, so far.'),
		table('SKUs sold most', [ 'SKU', '#stores', '#orders', '#units', '#sales' ],
			[ map { [ sku($_), number($_->{stores}), number($_->{orders}), number($_->{units}), money($_->{amount}, $_->{currency}) ] } @{ $data->{sku}{rows} } ]));
}

sub conversion
{
	my ($data) = @_;
	my @visited = grep { $_->{visits} } @{ $data->{store}{rows} };
	my @day = grep { $_->{last_visits} } @visited;
	my $bars = sub {
		my ($title, $prefix, @store) = @_;
		return bar_table(title => $title, heads => [ 'store', 'conversion' ], rows => [
			map { [ shop($_), $_->{"${prefix}visited_orders"} / $_->{"${prefix}visits"}, percent($_->{"${prefix}visited_orders"}, $_->{"${prefix}visits"}, 2) ] }
			  sort { $b->{"${prefix}visited_orders"} / $b->{"${prefix}visits"} <=> $a->{"${prefix}visited_orders"} / $a->{"${prefix}visits"} || $a->{store_id} <=> $b->{store_id} } @store ]);
	};

	return section('conversion', 'Conversion', $bars->("Orders over visits, $data->{period}", '', @visited),
		@{ $data->{days} } > 1 ? $bars->("Orders over visits, $data->{about}{until}", 'last_', @day) : (),
		'<p class="note">Of the days for which visits are known. Platforms count visits differently: compare a store with itself.</p>');
}

sub delay
{
	my ($data) = @_;
	my @row = @{ $data->{delay_day}{rows} };
	my %stage = (booked => 'booked', pushed => 'told to other shops');
	my $on = sub { my ($p, $stage, $field) = @_; return by_day($data, [ grep { $_->{platform} eq $p && $_->{stage} eq $stage } @row ], $field); };
	my %axes = (log => 1, labels => $data->{day_labels}, x => 'day', y => 'time (logarithmic)', tick => \&duration);
	my @chart = map {
		my $p = $_;
		lines(title => platform($p) . ': from order to booked', %axes, series => [
			{ name => 'median', color => '#2f6f9f', values => $on->($p, 'booked', 'p50_ms') },
			{ name => '95 %', color => '#d98b3a', values => $on->($p, 'booked', 'p95_ms') },
			{ name => '99 %', color => '#b0565f', values => $on->($p, 'booked', 'p99_ms') } ])
	} @{ $data->{platforms} };
	push @chart, lines(title => 'From order to other shops told, 95 %', %axes, series => [
		map { { name => platform($_), color => $data->{color}{$_}, values => $on->($_, 'pushed', 'p95_ms') } } @{ $data->{platforms} } ]);
	my $time = sub { return defined $_[0] ? duration($_[0]) : '–'; };

	return section('delay', 'How late orders come through', @chart,
		table("Delay, $data->{period}, and the last day", [ 'platform', 'until', '#orders', '#median', '#95 %', '#99 %', '#last day: median', '#95 %', '#99 %' ],
			[ map { [ esc(platform($_->{platform})), $stage{ $_->{stage} }, number($_->{orders}), map { $time->($_) } @$_{qw(p50_ms p95_ms p99_ms last_p50 last_p95 last_p99)} ] } @{ $data->{delay}{rows} } ],
			'From the platform’s time of the order. So many percent came through within that time.'));
}

sub calls
{
	my ($data) = @_;
	my @row = @{ $data->{calls}{rows} };
	my %of = map { $_ => by_day($data, \@row, $_) } qw(calls failed throttled);
	my $share = sub { my ($field) = @_; return [ map { $of{calls}[$_] ? 100 * $of{$field}[$_] / $of{calls}[$_] : undef } 0 .. $#{ $data->{days} } ]; };
	my @store;
	foreach my $row (@row)
	{
		push @store, { %$row, map { $_ => 0 } qw(calls failed throttled) } unless @store && $store[-1]{store_id} == $row->{store_id};
		$store[-1]{$_} += $row->{$_} foreach qw(calls failed throttled);
	}

	return section('calls', 'Calls to platforms',
		lines(title => 'Failed and throttled calls', labels => $data->{day_labels}, x => 'day', y => '% of calls', least => @row ? 1 : 0, tick => sub { short_number($_[0]) . ' %' }, series => [
			{ name => 'failed', color => '#b0565f', values => $share->('failed') }, { name => 'throttled', color => '#d98b3a', values => $share->('throttled') } ]),
		bars(title => 'Calls a day', whole => 1, labels => $data->{day_labels}, x => 'day', y => 'calls', series => [ map {
			my $p = $_;
			{ name => platform($p), color => $data->{color}{$p}, values => by_day($data, [ grep { $_->{platform} eq $p } @row ], 'calls') } } @{ $data->{platforms} } ]),
		table('Stores', [ 'store', '#calls', '#failed', '#throttled', '#failed, %', '#throttled, %' ],
			[ map { [ shop($_), map({ number($_) } @$_{qw(calls failed throttled)}), percent($_->{failed}, $_->{calls}, 2), percent($_->{throttled}, $_->{calls}, 2) ] } @store ],
			'As far back as the log of calls is kept.'));
}

sub wrong
{
	my ($data) = @_;
	my ($wrong, $short, $oversold) = @$data{qw(wrong short oversold)};
	my $age = sub { return duration(1000 * $_[0]{seconds}); };

	return section('wrong', 'What is wrong now',
		table('Listings that do not show what they should', [ 'store', 'SKU', '#shown', '#wanted', '#for', 'why' ],
			[ map { [ shop($_), sku($_), number($_->{shown}), number($_->{wanted}), $age->($_), esc($_->{state}) ] } @{ $wrong->{rows} } ], first_of($wrong)),
		table('Order lines that wait for stock', [ 'store', 'order', 'SKU', '#units', '#worth', '#for' ],
			[ map { [ shop($_), esc($_->{order_sn}), sku($_), number($_->{units}), defined $_->{amount} ? money($_->{amount}, $_->{currency} // $data->{currency}) : '–', $age->($_) ] } @{ $short->{rows} } ],
			first_of($short)),
		table('Oversold SKUs', [ 'SKU', '#units', '#waiting', '#sent', '#orders', '#stores' ],
			[ map { [ sku($_), map { number($_) } @$_{qw(units waiting sent orders stores)} ] } @{ $oversold->{rows} } ], first_of($oversold)));
}

sub stock
{
	my ($data) = @_;
	my ($out, $forecast, $dead, $turnover) = map { $data->{$_} } qw(out forecast dead turnover);

	return section('stock', 'Stock',
		bar_table(title => 'Empty soonest: days left (forecast)', heads => [ 'SKU', 'days · on' ], color => '#5b9a6f', rows => [
			map { [ sku($_), $_->{days_left}, join ' · ', decimal($_->{days_left}), $_->{empty_on} // '–' ] } @{ $forecast->{rows} } ]),
		bar_table(title => 'Was empty: units not sold (estimate)', heads => [ 'SKU', 'units · hours' ], color => '#b0565f', rows => [
			map { [ sku($_), $_->{lost}, join ' · ', decimal($_->{lost}), decimal($_->{hours}) . ' h' ] } @{ $out->{rows} } ]),
		'<p class="note">Of the whole store group. Forecast by simple exponential smoothing of units ordered a day; it knows no season, campaign or delivery. Units not sold: '
		  . 'the time without stock, of the months that the period touches, times the smoothed rate of sale.</p>',
		table('Turnover', [ 'SKU', '#sold', '#average stock', '#turnover', '#days of supply' ],
			[ map { [ sku($_), number($_->{sold}), map { decimal($_) } @$_{qw(average_stock turnover days_of_supply)} ] } @{ $turnover->{rows} } ],
			'SKUs sold most, in the months that the period touches.'),
		table('Not sold for 90 days', [ 'SKU', '#on hand', '#last sale', '#days' ],
			[ map { [ sku($_), number($_->{on_hand}), $_->{last_sale} // 'never', number($_->{days}) ] } @{ $dead->{rows} } ], first_of($dead)));
}

# cross DATA: units by SKU and store, the darker the more
sub cross
{
	my ($data) = @_;
	my @cell = @{ $data->{cross}{rows} };
	my %unit = map { ("$_->{place}/$_->{store_id}" => $_->{units}) } @cell;
	my %sku = map { ($_->{place} => $_) } @cell;
	my @store = @{ $data->{store}{rows} };
	my $top = max(1, map { $_->{units} } @cell);
	my $html = '<div class="table"><h3>Units sold in 30 days</h3>';

	return section('cross', 'Who sells what where', "$html<p class=\"none\">no data</p></div>") unless @cell;
	$html .= '<div class="scroll"><table class="matrix"><thead><tr><th>SKU</th>' . join('', map { '<th>' . shop($_) . '</th>' } @store) . '</tr></thead><tbody>';
	foreach my $place (sort { $a <=> $b } keys %sku)
	{
		$html .= '<tr><td>' . sku($sku{$place}) . '</td>' . join('', map {
			my $units = $unit{"$place/$_->{store_id}"};
			defined $units ? sprintf('<td class="n" style="--heat:%.2f">%s</td>', sqrt(($units > 0 ? $units : 0) / $top) * 0.6, number($units)) : '<td class="n not">·</td>'
		} @store) . '</tr>';
	}
	return section('cross', 'Who sells what where', $html . '</tbody></table></div><p class="note">0: listed, none sold. A dot: not listed there.</p></div>');
}

# ---------------------------------------------------------------- the page

# color PLATFORM...: of each; those that are known keep theirs, whichever are on the page
sub color
{
	my @known = sort keys %called;
	my @other = grep { !$called{$_} } @_;
	my @all = (@known, @other);
	return { map { ($all[$_] => $Chart::COLOR[ $_ % @Chart::COLOR ]) } 0 .. $#all };
}

# page ANSWERS, STYLE: HTML of {name => {rows, count}}, with the text of a style sheet
sub page
{
	my ($answer, $style) = @_;
	my $about = $answer->{about}{rows}[0];
	my @platform = sort { $a cmp $b } uniq(map { $_->{platform} } @{ $answer->{store}{rows} });
	my %data = (
		%$answer,
		about => $about,
		days => [ days(@$about{qw(since until)}) ],
		platforms => \@platform,
		color => color(@platform),
		currency => $answer->{store}{rows}[0]{currency} // 'TWD');
	$data{period} = count_of(scalar @{ $data{days} }, 'day');
	$data{day_labels} = [ map { substr $_, 5 } @{ $data{days} } ];
	my $of = join ', ', $about->{store} ne '' ? $about->{store} : (), $about->{platform} ne '' ? platform($about->{platform}) : (), count_of($about->{stores}, 'store');
	my $from = $about->{standby} ? 'a standby' . ($about->{behind} ? ', ' . duration(1000 * $about->{behind}) . ' behind' : '') : 'the primary';
	my $stale = !$about->{rolled_up} ? 'The roll-ups are not made yet (roll_up()): figures by day, hour and month are not complete.'
	  : ($about->{unrolled} // 0) > $patience ? 'The roll-ups are ' . duration(1000 * $about->{unrolled}) . ' behind (roll_up()): figures by day, hour and month are not complete.'
	  : '';
	my @part = ([ headline => 'The day' ], [ sales => 'Sales' ], [ conversion => 'Conversion' ], [ delay => 'Delay' ], [ calls => 'Calls' ], [ wrong => 'Wrong now' ],
		[ stock => 'Stock' ], [ cross => 'Cross-store' ]);

	return join "\n", '<!DOCTYPE html>', '<html lang="en"><head><meta charset="utf-8">',
	  q(<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">),
	  '<meta name="viewport" content="width=device-width, initial-scale=1">', '<meta name="referrer" content="no-referrer">',
	  '<title>' . esc("Stores, $about->{since} to $about->{until}") . '</title>', "<style>\n$style</style></head><body>",
	  sprintf('<header><h1>Stores</h1><p>%s · %s to %s · read from %s at %s (Asia/Taipei)</p><nav>%s</nav></header>', named($of), esc($about->{since}), esc($about->{until}),
		esc($from), esc($about->{made}), join('', map { qq(<a href="#$_->[0]">$_->[1]</a>) } @part)),
	  $stale ? '<p class="warning">' . esc($stale) . '</p>' : (), '<main>', headline(\%data), sales(\%data), conversion(\%data), delay(\%data), calls(\%data), wrong(\%data), stock(\%data), cross(\%data), '</main>',
	  '<footer>Figures as docs/report.md defines them. Days are each store’s own; orders count on the day they were placed.</footer></body></html>', '';
}

1;
