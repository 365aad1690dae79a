# Storesync::Picture: pixels of a PNG as a browser makes it (8 bits, RGB or RGBA, not interlaced).
#
#   Storesync::Picture->new($bytes)->count('#2f6f9f')        # pixels of about that colour
package Storesync::Picture;

use strict;
use warnings;

use Compress::Zlib qw(uncompress);

sub new
{
	my ($class, $png) = @_;
	my ($at, $data, %picture) = (8, '');

	die "no PNG\n" unless substr($png, 0, 8) eq "\x89PNG\r\n\x1a\n";
	while ($at < length $png)
	{
		my ($length, $type) = unpack 'N a4', substr $png, $at, 8;
		my $chunk = substr $png, $at + 8, $length;
		@picture{qw(width height bits kind)} = unpack 'N N C C', $chunk if $type eq 'IHDR';
		$data .= $chunk if $type eq 'IDAT';
		$at += 12 + $length;
	}
	my $each = { 2 => 3, 6 => 4 }->{ $picture{kind} } or die "PNG of kind $picture{kind}\n";
	die "PNG of $picture{bits} bits\n" unless $picture{bits} == 8;
	return bless { count => pixels(uncompress($data), $each, @picture{qw(width height)}) }, $class;
}

# pixels DATA, BYTES A PIXEL, WIDTH, HEIGHT: how many there are of each colour; undoes the filter of each row
sub pixels
{
	my ($data, $each, $width, $height) = @_;
	my $row = $width * $each;
	my @above = (0) x $row;
	my %count;

	foreach my $y (0 .. $height - 1)
	{
		my ($filter, @byte) = unpack 'C*', substr $data, $y * ($row + 1), $row + 1;
		foreach my $x ($filter ? (0 .. $row - 1) : ())
		{
			my ($left, $up, $corner) = ($x >= $each ? $byte[ $x - $each ] : 0, $above[$x], $x >= $each ? $above[ $x - $each ] : 0);
			my $guess = $filter == 1 ? $left : $filter == 2 ? $up : $filter == 3 ? ($left + $up) >> 1 : nearest($left, $up, $corner);
			$byte[$x] = ($byte[$x] + $guess) & 255;
		}
		for (my $x = 0; $x < $row; $x += $each) { $count{ $byte[$x] << 16 | $byte[ $x + 1 ] << 8 | $byte[ $x + 2 ] }++; }
		@above = @byte;
	}
	return \%count;
}

# nearest LEFT, ABOVE, CORNER: the one closest to LEFT + ABOVE - CORNER
sub nearest
{
	my ($left, $up, $corner) = @_;
	my ($l, $u, $c) = (abs($up - $corner), abs($left - $corner), abs($left + $up - 2 * $corner));
	return $l <= $u && $l <= $c ? $left : $u <= $c ? $up : $corner;
}

# count '#rrggbb': pixels of that colour, or nearly: the edge of a line is mixed with what it lies on
sub count
{
	my ($self, $color) = @_;
	my @wanted = map { hex } $color =~ /([0-9a-f]{2})/gi;
	my $count = 0;

	foreach my $is (keys %{ $self->{count} })
	{
		my @is = ($is >> 16, $is >> 8 & 255, $is & 255);
		$count += $self->{count}{$is} unless grep { abs($is[$_] - $wanted[$_]) > 40 } 0 .. 2;
	}
	return $count;
}

1;
