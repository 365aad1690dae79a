# Storesync::Model: what movements and orders do, in plain Perl, written from the
# rules of the business and not from the extension's code. One object is one
# small world: SKUs, places, a store, its orders.
#
#   my $m = Storesync::Model->new(places => [...], skus => [...], returns => 'manual', stock_from => undef);
#   my $said = $m->movement($op);	# as the call answers: outcome|on_hand|reserved|available, or an SQLSTATE
#   my @said = $m->page(@docs);		# sn|outcome|line:state:qty:booked,... for each document
#   print $m->state;				# stock, holders, orders, lines, returns due, one a line, sorted
#
# Places are tried in the order given; { code, sellable }. SKUs: { code, backorder } or { code, made => { SKU => n } },
# a bundle. The store sells from the places named in `tied`, all when there are none.
package Storesync::Model;

use strict;
use warnings;

use List::Util qw(max min sum0);

# Statuses of a line that say its goods have left
my %gone = map { $_ => 1 } qw(shipped completed returned);
# Statuses in which an order from before the cut-over moves no stock
my %finished = map { $_ => 1 } qw(shipped completed cancelled returned);

# what no stock covers is as good as without end for a SKU that allows backorder
use constant ENDLESS => 1e12;

sub new
{
	my ($class, %world) = @_;

	return bless {
		places => [ map { { %$_ } } @{ $world{places} } ],
		sku => { map { $_->{code} => { %$_, stock => {} } } @{ $world{skus} } },
		listing => {},
		tied => $world{tied} // [],
		returns => $world{returns} // 'manual',
		stock_from => $world{stock_from},
		clock => $world{clock},
		hold => undef,
		key => {},
		mark => {},
		now => 0,
		reserved => {},
		expires => {},
		shipped => {},
		restocked => {},
		order => {},
		orders => 0
	}, $class;
}

sub add_sku
{
	my ($m, $code) = @_;

	$m->{sku}{$code} = { code => $code, stock => {} };
	$m->take_up(sub { !defined $_[0]{item} && ($_[0]{code} // '') eq $code });
	return;
}

sub add_listing
{
	my ($m, $item, $sku, $pack) = @_;

	$m->{listing}{$item} = { sku => $sku, pack => $pack };
	$m->take_up(sub { ($_[0]{item} // '') eq $item });
	return;
}

# by_turn ORDERS: who is served first: those of which a waiting line is paid, then the oldest
sub by_turn
{
	my %unpaid = map {
		$_->{sn} => !grep { $_->{status} ne 'unpaid' } grep { line_state($_) =~ /^(parked|short)$/ } values %{ $_->{line} }
	} @_;

	return sort {
		$unpaid{ $a->{sn} } <=> $unpaid{ $b->{sn} } || $a->{created} <=> $b->{created} || $a->{number} <=> $b->{number}
	} @_;
}

# map_listing ITEM, SKU, PACK, NEW_ITEM: what is booked keeps its SKU and pack; what is parked is looked up anew
sub map_listing
{
	my ($m, $item, $sku, $pack, $new_item) = @_;
	my $old = delete $m->{listing}{$item};

	$m->{listing}{$new_item} = { sku => $sku, pack => $pack };
	$m->take_up(sub { ($_[0]{item} // '') eq $new_item }) if $item ne $new_item || $old->{sku} ne $sku;
	return;
}

# again ORDER: its newest document once more, as the books have it
sub again
{
	my ($m, $order) = @_;
	my @lines = map { $order->{line}{$_} } sort keys %{ $order->{line} };

	$m->document({
		%$order{qw(sn status updated fetched)},
		lines => [ map { my $line = $_; +{ %$line{qw(id item qty cancelled returned status)}, sku => $line->{code} } } @lines ]
	});
	return;
}

# take_up WHICH: orders with such lines parked are booked by their newest document as the books have it
sub take_up
{
	my ($m, $which) = @_;

	foreach my $order (by_turn(values %{ $m->{order} }))
	{
		$m->again($order) if grep { line_state($_) eq 'parked' && $which->($_) } values %{ $order->{line} };
	}
	return;
}

# ---------------------------------------------------------------- stock

sub place
{
	my ($m, $sku, $code) = @_;
	return $m->{sku}{$sku}{stock}{$code} //= { on_hand => 0, reserved => 0 };
}

sub room
{
	my ($m, $sku, $code) = @_;
	my $p = $m->place($sku, $code);
	return max(($m->{sku}{$sku}{backorder} ? ENDLESS : $p->{on_hand}) - $p->{reserved}, 0);
}

# serves: where the store sells from, in the order of trying
sub serves
{
	my ($m) = @_;
	my %tied = map { $_ => 1 } @{ $m->{tied} };

	return map { $_->{code} } grep { $_->{sellable} && (!%tied || $tied{ $_->{code} }) } @{ $m->{places} };
}

# ---------------------------------------------------------------- what a line holds
#
# Parts: { sku, place, reserved, shipped, back }, drawn first first. `made` says how many units of which
# SKUs one of the line's is: of a bundle as it was when the line was booked first.

# compose LINE: what holds nothing is made of what its SKU is made of now
sub compose
{
	my ($m, $line) = @_;

	$line->{made} //= $m->{sku}{ $line->{sku} }{made} // { $line->{sku} => 1 };
	return;
}

# fits LINE, UNITS: how many whole ones its components cover
sub fits
{
	my ($m, $line, $units) = @_;

	foreach my $sku (keys %{ $line->{made} })
	{
		$units = min($units, int(sum0(map { $m->room($sku, $_) } $m->serves) / $line->{made}{$sku}));
	}
	return $units;
}

# sources LINE, SKU, UNITS: (place, units)...: one that covers it, one of its own first, else each what it has
sub sources
{
	my ($m, $line, $sku, $units) = @_;
	my %own = map { $_->{place} => 1 } grep { $_->{sku} eq $sku } @{ $line->{parts} };
	my @covers = grep { $m->room($sku, $_) >= $units } $m->serves;
	my ($whole) = ((grep { $own{$_} } @covers), @covers);
	my @some;

	return $units > 0 ? ([ $whole, $units ]) : () if defined $whole;
	foreach my $place ($m->serves)
	{
		my $here = min($units, $m->room($sku, $place));
		push @some, [ $place, $here ] if $here > 0;
		$units -= $here;
	}
	return @some;
}

# part LINE, SKU, PLACE: its part there, made when there is none
sub part
{
	my ($line, $sku, $place) = @_;
	my ($part) = grep { $_->{sku} eq $sku && $_->{place} eq $place } @{ $line->{parts} };

	push @{ $line->{parts} }, $part = { sku => $sku, place => $place, reserved => 0, shipped => 0, back => 0 } if !defined $part;
	return $part;
}

# tidy LINE: parts that hold nothing are none; the place of a line is where all of it is, or was last
sub tidy
{
	my ($line) = @_;
	my @full = grep { $_->{reserved} + $_->{shipped} > 0 } @{ $line->{parts} };

	$line->{place} = @full > 1 ? undef : $full[0]{place} if @full;
	$line->{place} = $line->{parts}[0]{place} if !@full && @{ $line->{parts} };
	$line->{parts} = \@full;
	return;
}

# draw LINE, UNITS: reserve as many whole ones as there are; returns how many
sub draw
{
	my ($m, $line, $units) = @_;

	$units = $m->fits($line, $units);
	foreach my $sku (sort keys %{ $line->{made} })
	{
		foreach my $from ($m->sources($line, $sku, $units * $line->{made}{$sku}))
		{
			part($line, $sku, $from->[0])->{reserved} += $from->[1];
			$m->place($sku, $from->[0])->{reserved} += $from->[1];
		}
	}
	$line->{reserved} += $units;
	# where nothing is, a count will look at the usual place
	$line->{place} = (grep({ $_ eq 'main' } $m->serves), $m->serves)[0] if $units == 0 && !@{ $line->{parts} };
	tidy($line);
	return $units;
}

# undraw LINE, UNITS [, SKU, PLACE]: give whole ones back, what is at that place first, then what was drawn last
sub undraw
{
	my ($m, $line, $units, $at_sku, $at_place) = @_;

	foreach my $sku (keys %{ $line->{made} })
	{
		my @parts = grep { $_->{sku} eq $sku } reverse @{ $line->{parts} };
		my $left = $units * $line->{made}{$sku};

		@parts = ((grep { $_->{place} eq $at_place } @parts), (grep { $_->{place} ne $at_place } @parts))
		  if ($at_sku // '') eq $sku;
		foreach my $part (@parts)
		{
			my $some = min($left, $part->{reserved});
			$part->{reserved} -= $some;
			$m->place($sku, $part->{place})->{reserved} -= $some;
			$left -= $some;
		}
	}
	$line->{reserved} -= $units;
	tidy($line);
	return;
}

# come_back LINE, UNITS [, PLACE]: whole ones are back, each where it was sent from, or all at one place
sub come_back
{
	my ($m, $line, $units, $place) = @_;

	foreach my $sku (keys %{ $line->{made} })
	{
		my $left = $units * $line->{made}{$sku};

		foreach my $part (grep { $_->{sku} eq $sku } @{ $line->{parts} })
		{
			my $some = min($left, $part->{shipped} - $part->{back});
			$part->{back} += $some;
			$m->place($sku, $place // $part->{place})->{on_hand} += $some;
			$left -= $some;
		}
	}
	$line->{restocked} += $units;
	return;
}

# ---------------------------------------------------------------- time

# remember NAME: a moment that a count may name later
sub remember
{
	my ($m, $name) = @_;
	my %on_hand;

	foreach my $sku (keys %{ $m->{sku} })
	{
		my $stock = $m->{sku}{$sku}{stock};
		$on_hand{"$sku/$_"} = $stock->{$_}{on_hand} foreach keys %$stock;
	}
	$m->{mark}{$name} = {
		on_hand => \%on_hand,
		left => { map { ("$_->{order}{sn}/$_->{id}" => 1) } grep { left($_) } map { values %{ $_->{line} } } values %{ $m->{order} } }
	};
	return;
}

# pass: reservations that expire are over, all of them
sub pass
{
	my ($m) = @_;
	my @over = grep { defined $m->{expires}{$_} && $m->{reserved}{$_} } keys %{ $m->{reserved} };

	foreach my $holder (@over)
	{
		my ($sku, $code) = split m{/}, $holder;
		$m->place($sku, $code)->{reserved} -= delete $m->{reserved}{$holder};
	}
	$m->fill if @over;
	return;
}

# hold SECONDS: for so long unpaid orders keep their units from now on, undef for ever; what is over it is given back
sub hold
{
	my ($m, $seconds) = @_;

	$m->{hold} = $seconds;
	return if !defined $seconds;
	my @due = grep {
		$_->{created} + $seconds <= $m->{clock}
		  && grep { $_->{status} eq 'unpaid' && $_->{reserved} + $_->{short} > 0 } values %{ $_->{line} }
	} values %{ $m->{order} };

	$m->again($_) foreach by_turn(@due);
	return;
}

# over LINE, STATUS: an unpaid line whose hold is over wants nothing
sub over
{
	my ($m, $line, $status) = @_;
	return $status eq 'unpaid' && defined $m->{hold} && $line->{order}{created} + $m->{hold} <= $m->{clock};
}

# ---------------------------------------------------------------- movements by key

# movement OP: { do, sku, qty, place, ref, key, args [, old] [, expires] }. Equal args of one key are a
# repetition; a key is too old, or of the future, with an SQLSTATE in `old`.
sub movement
{
	my ($m, $op) = @_;
	my $known = $m->known($op);

	return $known if defined $known;
	return 'SS001' if !defined $m->{sku}{ $op->{sku} };
	return 'SS003' if !grep { $_->{code} eq $op->{place} } @{ $m->{places} };
	return 'SS204' if $m->{sku}{ $op->{sku} }{made};

	my $holder = join '/', @$op{qw(sku place ref)};
	my $p = $m->place($op->{sku}, $op->{place});
	my $qty = $op->{qty};
	my $do = $op->{do};
	my $outcome = 'applied';
	my $frees = $do ne 'reserve' && $do ne 'ship';

	return 'SS202' if ($do eq 'release' || $do eq 'ship') && $qty > ($m->{reserved}{$holder} // 0);
	return 'SS202' if $do eq 'restock' && $qty > ($m->{shipped}{$holder} // 0) - ($m->{restocked}{$holder} // 0);
	if ($do eq 'reserve' && $qty > $m->room($op->{sku}, $op->{place}))
	{
		$outcome = 'insufficient';
	}
	else
	{
		$p->{on_hand} += $qty if $do eq 'receive' || $do eq 'restock';
		$p->{on_hand} -= $qty if $do eq 'ship';
		$p->{reserved} += $qty if $do eq 'reserve';
		$p->{reserved} -= $qty if $do eq 'release' || $do eq 'ship';
		$m->{reserved}{$holder} += $do eq 'reserve' ? $qty : -$qty if $do =~ /^(reserve|release|ship)$/;
		$m->{shipped}{$holder} += $qty if $do eq 'ship';
		$m->{restocked}{$holder} += $qty if $do eq 'restock';
		$m->{expires}{$holder} = $op->{expires} ? $m->{now} : undef if $do eq 'reserve';
	}
	return $m->answer($op, $outcome, $p, $outcome eq 'applied' && $frees);
}

# transfer OP: { sku, qty, place, to, key, args }: only what is there and nobody has reserved
sub transfer
{
	my ($m, $op) = @_;
	my $known = $m->known($op);

	return $known if defined $known;
	return 'SS001' if !defined $m->{sku}{ $op->{sku} };
	return 'SS204' if $m->{sku}{ $op->{sku} }{made};
	return 'SS003' if grep { my $code = $_; !grep { $_->{code} eq $code } @{ $m->{places} } } @$op{qw(place to)};
	my ($p, $to) = map { $m->place($op->{sku}, $_) } @$op{qw(place to)};
	my $there = $op->{qty} <= $p->{on_hand} - $p->{reserved};

	if ($there)
	{
		$p->{on_hand} -= $op->{qty};
		$to->{on_hand} += $op->{qty};
	}
	return $m->answer($op, $there ? 'applied' : 'insufficient', $p, $there);
}

# give_back OP: { sn, id, qty, how, place, key, args }: goods of a line that come back, damaged or not, or never
sub give_back
{
	my ($m, $op) = @_;
	my $known = $m->known($op);
	my ($place) = grep { $_->{code} eq $op->{place} } @{ $m->{places} };
	my $order = $m->{order}{ $op->{sn} };
	my $line = $order && $order->{line}{ $op->{id} };

	return $known if defined $known;
	return 'SS003' if !defined $place;
	return 'SS006' if !defined $order;
	return 'SS008' if !defined $line;
	return 'SS202' if $op->{qty} > $line->{shipped} - $line->{restocked} - $line->{lost};
	return '22023' if $op->{how} eq 'damaged' && $place->{sellable};

	if ($op->{how} eq 'lost') { $line->{lost} += $op->{qty}; }
	else { $m->come_back($line, $op->{qty}, $op->{place}); }
	# of a bundle the answer is that of its first component
	return $m->answer($op, 'applied', $m->place((sort keys %{ $line->{made} })[0], $op->{place}), 1);
}

# by_age LINE, LINE: the older order's first, then the one that came first
sub by_age
{
	my ($x, $y) = @_;
	return $x->{order}{created} <=> $y->{order}{created} || $x->{order}{number} <=> $y->{order}{number} || $x->{id} cmp $y->{id};
}

# count OP: { sku, qty, place, key, args [, mark] }: what lay there at that moment or lies there now,
# whatever it is; what was booked since stays booked, on hand does not fall below 0 by it. Units that left
# by then without the books having them are explained by it, those that left since are sent from what is
# free; reservations that nothing is left for are taken back, of order lines first (unpaid, then newest),
# then of direct calls, those that expire latest first
sub count
{
	my ($m, $op) = @_;
	my $known = $m->known($op);
	my ($place) = grep { $_->{code} eq $op->{place} } @{ $m->{places} };
	my $sku = $m->{sku}{ $op->{sku} };

	return $known if defined $known;
	return 'SS001' if !defined $sku;
	return 'SS003' if !defined $place;
	return 'SS204' if $sku->{made};
	my $p = $m->place($op->{sku}, $op->{place});
	my $mark = defined $op->{mark} ? $m->{mark}{ $op->{mark} } : { on_hand => { "$op->{sku}/$op->{place}" => $p->{on_hand} } };
	my $on_hand = $p->{on_hand} + $op->{qty} - ($mark->{on_hand}{"$op->{sku}/$op->{place}"} // 0);

	$on_hand = max($on_hand, 0) if !$sku->{backorder};
	my $uncovered = $sku->{backorder} ? 0 : max($p->{reserved} - $on_hand, 0);
	my @all = map { values %{ $_->{line} } } values %{ $m->{order} };
	my @lines = grep { ($_->{sku} // '') eq $op->{sku} } @all;
	my $there = sub { grep { $_->{sku} eq $op->{sku} && $_->{place} eq $op->{place} && $_->{reserved} > 0 } @{ $_[0]{parts} } };
	my @holding = reverse sort { ($a->{status} eq 'unpaid') <=> ($b->{status} eq 'unpaid') || by_age($a, $b) } grep { $there->($_) } @all;

	# whole ones: what of a bundle is not missing is free again
	foreach my $line (@holding)
	{
		my ($part) = $there->($line);
		my $per = $line->{made}{ $op->{sku} };
		my $units = int((min($uncovered, $part->{reserved}) + $per - 1) / $per);
		my $before = $p->{reserved};

		next if $uncovered <= 0;
		$m->undraw($line, $units, $op->{sku}, $op->{place});
		$line->{short} += $units;
		$uncovered -= $before - $p->{reserved};
	}
	$uncovered = max($uncovered, 0);
	foreach my $holder (sort { ($m->{expires}{$b} // -1) <=> ($m->{expires}{$a} // -1) || $b cmp $a }
		map { "$op->{sku}/$op->{place}/$_" } 'r', '')
	{
		my $units = min($uncovered, $m->{reserved}{$holder} // 0);
		$m->{reserved}{$holder} -= $units if $units;
		$p->{reserved} -= $units;
		$uncovered -= $units;
	}
	$p->{on_hand} = $on_hand;
	foreach my $line (sort { by_age($a, $b) } grep { left($_) && $_->{short} > 0 && $place->{sellable} && ($_->{place} // $op->{place}) eq $op->{place} } @lines)
	{
		my $found = !$mark->{left} || $mark->{left}{"$line->{order}{sn}/$line->{id}"};
		my $units = $found ? $line->{short} : min($line->{short}, $m->room($op->{sku}, $op->{place}));

		next if $units == 0;
		$p->{on_hand} -= $units if !$found;
		$m->compose($line);
		part($line, $op->{sku}, $op->{place})->{shipped} += $units;
		$line->{shipped} += $units;
		$line->{short} -= $units;
		tidy($line);
	}
	return $m->answer($op, 'applied', $p, 1);
}

# known OP: what is said to a key that was used before, undef for a new one
sub known
{
	my ($m, $op) = @_;
	my $known = $m->{key}{ $op->{key} };

	return $op->{old} if defined $op->{old};
	return undef if !defined $known;
	return $known->{args} ne $op->{args} ? 'SS101' : $known->{said} =~ s/^applied/replayed/r;
}

# answer OP, OUTCOME, PLACE, FREES: what is said is how the place stands before short lines are filled
sub answer
{
	my ($m, $op, $outcome, $p, $frees) = @_;
	my $said = join '|', $outcome, @$p{qw(on_hand reserved)}, $p->{on_hand} - $p->{reserved};

	$m->{key}{ $op->{key} } = { args => $op->{args}, said => $said };
	$m->fill if $frees;
	return $said;
}

# ---------------------------------------------------------------- orders

# fill: what is there goes to short lines whose goods are not gone, paid
# orders first, then the oldest, then the one that came first
sub fill
{
	my ($m) = @_;
	my @short = sort { ($a->{status} eq 'unpaid') <=> ($b->{status} eq 'unpaid') || by_age($a, $b) }
	  grep { $_->{short} > 0 && !left($_) } map { values %{ $_->{line} } } values %{ $m->{order} };

	$_->{short} -= $m->draw($_, $_->{short}) foreach @short;
	return;
}

# line_state LINE: the word for where it stands
sub line_state
{
	my ($line) = @_;

	return 'kept' if $line->{kept};
	return 'parked' if !defined $line->{sku} && $line->{wants};
	return 'short' if $line->{short} > 0;
	return $line->{restocked} > 0 && $line->{restocked} + $line->{lost} == $line->{shipped} ? 'restocked' : 'shipped' if $line->{shipped} > 0;
	return 'reserved' if $line->{reserved} > 0;
	return $line->{status} eq 'unpaid' && $line->{qty} > $line->{cancelled} ? 'lapsed' : 'cancelled';
}

# stale ORDER, DOC: an older update_time, or the same and fetched earlier
sub stale
{
	my ($order, $doc) = @_;
	return defined $order->{updated}
	  && ($doc->{updated} <=> $order->{updated} || $doc->{fetched} <=> $order->{fetched}) < 0;
}

# look_up LINE, DOC_LINE: an item is what its listing says, and only without one the SKU's code counts
sub look_up
{
	my ($m, $line, $new) = @_;
	@$line{qw(item code)} = @$new{qw(item sku)};
	my $listing = defined $new->{item} ? $m->{listing}{ $new->{item} } : undef;

	$line->{sku} = defined $new->{item} ? $listing && $listing->{sku} : $new->{sku};
	$line->{sku} = undef if defined $line->{sku} && !defined $m->{sku}{ $line->{sku} };
	$line->{pack} = $listing ? $listing->{pack} : 1;
	return;
}

# ship LINE, WANTED, MORE: more units have left, to be wanted in all: its own first, then what is available
sub ship
{
	my ($m, $line, $wanted, $more) = @_;
	my $own = min($more, $line->{reserved});
	my $free = $m->fits($line, $more - $own);

	foreach my $sku (keys %{ $line->{made} })
	{
		my @free = $m->sources($line, $sku, $free * $line->{made}{$sku});
		my $left = $own * $line->{made}{$sku};

		foreach my $part (grep { $_->{sku} eq $sku } @{ $line->{parts} })
		{
			my $some = min($left, $part->{reserved});
			$part->{$_} -= $some foreach 'reserved';
			$part->{shipped} += $some;
			$m->place($sku, $part->{place})->{$_} -= $some foreach qw(on_hand reserved);
			$left -= $some;
		}
		foreach my $from (@free)
		{
			part($line, $sku, $from->[0])->{shipped} += $from->[1];
			$m->place($sku, $from->[0])->{on_hand} -= $from->[1];
		}
	}
	@$line{qw(reserved shipped)} = ($line->{reserved} - $own, $line->{shipped} + $own + $free);
	$m->undraw($line, $line->{reserved});
	$line->{short} = $wanted - $line->{shipped};
	return;
}

# reserve LINE, WANTED: to hold as many, as far as there are
sub reserve
{
	my ($m, $line, $wanted) = @_;
	my $more = $wanted - $line->{reserved};

	$m->draw($line, $more) if $more > 0;
	$m->undraw($line, -$more) if $more < 0;
	$line->{short} = $wanted - $line->{reserved};
	return;
}

# left LINE: its goods are gone by what was booked last, even if the books had none to give
sub left
{
	my ($line) = @_;
	return $line->{shipped} > 0 || $gone{ $line->{status} } || ($line->{status} eq 'cancelled' && $line->{short} > 0);
}

# back LINE, DOC, DOC_LINE: units that are back and saleable
sub back
{
	my ($m, $line, $doc, $new) = @_;
	my $carried = grep { $_->{returned} > 0 } @{ $doc->{lines} };

	return ENDLESS if $new->{status} eq 'returned' && !$carried;
	return $new->{status} eq 'returned' || $m->{returns} eq 'platform' ? $new->{returned} * $line->{pack} : 0;
}

# book LINE, DOC_LINE, BACK, HAD_LEFT: stock moves to what the line wants now
sub book
{
	my ($m, $line, $new, $back, $had_left) = @_;
	my $live = max($new->{qty} - $new->{cancelled}, 0) * $line->{pack};

	$line->{wants} = $live > 0 && $new->{status} ne 'cancelled' && !$m->over($line, $new->{status});
	if ($line->{kept} || !defined $line->{sku})
	{
		# shipped of a line that has nothing to be booked on is still wanted
		$line->{wants} = $live > 0 if $back > 0;
		return;
	}
	$m->compose($line);
	if ($gone{ $new->{status} } || $back > 0)
	{
		my $wanted = max($line->{shipped}, $live);
		my $more = max($wanted - $line->{shipped} - ($had_left ? $line->{short} : 0), 0);

		$m->ship($line, $wanted, $more);
		my $restock = max(min($back, $line->{shipped}) - $line->{lost} - $line->{restocked}, 0);
		$m->come_back($line, $restock);
	}
	elsif ($line->{shipped} > 0)
	{
		$line->{short} = 0 if $new->{status} eq 'cancelled';
	}
	else
	{
		$m->reserve($line, $new->{status} eq 'cancelled' || $m->over($line, $new->{status}) ? 0 : $live);
	}
	return;
}

# take LINE, DOC_LINE, BACK: what is kept of the document, before anything is booked.
# What was sent stays ordered.
sub take
{
	my ($line, $new, $back) = @_;
	my $qty = $line->{shipped} > 0 ? max($line->{qty}, $new->{qty}) : $new->{qty};

	$line->{cancelled} = min($new->{cancelled}, $new->{qty}) + $qty - $new->{qty};
	$line->{cancelled} = $qty if $new->{status} eq 'cancelled' && $line->{shipped} == 0 && $back == 0;
	@$line{qw(qty returned status)} = ($qty, @$new{qw(returned status)});
	return;
}

sub text_of
{
	my ($line) = @_;
	return join ':', map { $_ // '' }
	  @$line{qw(sku pack qty cancelled returned status reserved shipped restocked short)}, line_state($line);
}

# document DOC: one sound document of a page
sub document
{
	my ($m, $doc) = @_;
	my $order = $m->{order}{ $doc->{sn} };
	my $new = !defined $order->{updated};
	my $changed = $new || $order->{status} ne $doc->{status};
	my %is;

	if (stale($order, $doc))
	{
		return join '|', $doc->{sn}, 'stale', join ',', map { detail($_) } grep { defined }
		  map { $order->{line}{ $_->{id} } } @{ $doc->{lines} };
	}
	my $known = $order->{fetched};
	@$order{qw(status updated fetched)} = @$doc{qw(status updated fetched)};
	foreach my $new (@{ $doc->{lines} })
	{
		my $line = $order->{line}{ $new->{id} };
		my $before = defined $line ? text_of($line) : '';

		$line = $order->{line}{ $new->{id} } = {
			order => $order, id => $new->{id}, status => 'unpaid', pack => 1, parts => [],
			map({ $_ => 0 } qw(qty cancelled returned reserved shipped restocked lost short)),
			kept => !$order->{effect} || ($order->{before} && $finished{ $new->{status} })
		} if !defined $line;
		# over before the cut-over, and nothing of it was ever booked
		my $past = $order->{before} && line_state($line) eq 'parked'
		  && (($finished{ $line->{status} } && $known < $m->{stock_from}) || ($finished{ $new->{status} } && $doc->{updated} < $m->{stock_from}));
		$m->look_up($line, $new) if !defined $line->{sku} && (!$line->{kept} || $before eq '');
		$line->{kept} = 1 if $past;
		my $had_left = left($line);
		my $back = $m->back($line, $doc, $new);
		take($line, $new, $back);
		$m->book($line, $new, $back, $had_left);
		$changed = 1 if text_of($line) ne $before;
	}
	my @lines = map { $order->{line}{ $_->{id} } } @{ $doc->{lines} };
	$is{ line_state($_) } = 1 foreach @lines;
	my $outcome = $is{parked} ? 'parked' : $is{short} ? 'short' : $changed ? 'applied' : 'unchanged';
	my $said = join '|', $doc->{sn}, $outcome, join ',', map { detail($_) } @lines;
	$m->fill;
	return $said;
}

sub detail
{
	my ($line) = @_;
	return join ':', $line->{id}, line_state($line), $line->{qty},
	  $line->{reserved} + $line->{shipped} - $line->{restocked};
}

# page DOC...: { sn, status, created, updated, fetched, lines => [{ id, item | sku, qty, cancelled, returned, status }] }
sub page
{
	my ($m, @docs) = @_;
	my @sound = grep { !repeats($_) } @docs;
	my %first;

	$first{ $_->{sn} } //= $_ foreach @sound;
	foreach my $sn (sort keys %first)
	{
		next if defined $m->{order}{$sn};
		my $doc = $first{$sn};
		my $before = defined $m->{stock_from} && $doc->{created} < $m->{stock_from};
		my $open = grep { !$finished{ $_->{status} } } @{ $doc->{lines} };

		$m->{order}{$sn} = {
			sn => $sn, number => ++$m->{orders}, created => $doc->{created},
			before => $before, effect => !$before || $open, line => {}
		};
	}
	return map { repeats($_) ? "$_->{sn}|rejected|" : $m->document($_) } @docs;
}

sub repeats
{
	my ($doc) = @_;
	my %seen;
	return scalar grep { $seen{ $_->{id} }++ } @{ $doc->{lines} };
}

# due LINE: units whose goods should come back, and why
sub due
{
	my ($line) = @_;
	my ($status, $out) = ($line->{status}, $line->{shipped} - $line->{restocked} - $line->{lost});

	return ($out, 'not collected') if $status =~ /^(cancelled|unpaid|ready_to_ship)$/;
	return ($out, 'return requested') if $status eq 'in_cancel';
	return (min($line->{shipped}, $line->{returned} * $line->{pack}) - $line->{restocked} - $line->{lost}, 'return requested')
	  if $line->{returned} > 0;
	return ($out - max($line->{qty} - $line->{cancelled}, 0) * $line->{pack}, 'cancelled in transit')
	  if $line->{cancelled} > 0;
	return (0, '');
}

# ---------------------------------------------------------------- everything in words

sub state
{
	my ($m) = @_;
	my @text;

	foreach my $sku (keys %{ $m->{sku} })
	{
		my $stock = $m->{sku}{$sku}{stock};
		push @text, map { "stock $sku $_ $stock->{$_}{on_hand} $stock->{$_}{reserved}" }
		  grep { $stock->{$_}{on_hand} != 0 || $stock->{$_}{reserved} != 0 } keys %$stock;
	}
	push @text, map { "held $_ $m->{reserved}{$_}" } grep { $m->{reserved}{$_} } keys %{ $m->{reserved} };
	push @text, map { "sent $_ $m->{shipped}{$_} " . ($m->{restocked}{$_} // 0) } keys %{ $m->{shipped} };
	foreach my $order (values %{ $m->{order} })
	{
		push @text, "order $order->{sn} $order->{status}";
		foreach my $line (values %{ $order->{line} })
		{
			push @text, join ' ', 'line', $order->{sn}, $line->{id}, $line->{sku} // '-', line_state($line),
			  @$line{qw(status qty cancelled returned reserved shipped restocked lost short)},
			  join(',', sort map { join '/', @$_{qw(sku place reserved shipped back)} } @{ $line->{parts} }) || '-';
			next if $line->{kept} || !defined $line->{sku};
			my ($units, $cause) = due($line);
			push @text, "due $order->{sn} $line->{id} $units $cause" if $units > 0 && $line->{shipped} > $line->{restocked};
		}
	}
	return join '', map { "$_\n" } sort @text;
}

1;
