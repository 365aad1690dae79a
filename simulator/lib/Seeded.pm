# Seeded: chance from a seed, the same under every version of Perl (xorshift64;
# its words are Perl's unsigned 64-bit integers, which wrap under "<<").
package Seeded;

use strict;
use warnings;

sub new
{
	my ($class, $seed) = @_;
	my $self = bless { state => ($seed << 20) ^ 88172645463325252 }, $class;
	$self->chance foreach 1 .. 10;
	return $self;
}

# chance: from 0 to just below 1
sub chance
{
	my ($self) = @_;
	my $state = $self->{state};
	$state ^= $state << 13;
	$state ^= $state >> 7;
	$state ^= $state << 17;
	$self->{state} = $state;
	return ($state >> 11) / 2**53;
}

sub between { my ($self, $low, $high) = @_; return $low + $self->chance * ($high - $low); }

# pick: a whole number from 0 to n - 1
sub pick { my ($self, $n) = @_; return int($self->chance * $n); }

sub shuffled
{
	my ($self, @list) = @_;
	foreach my $i (reverse 1 .. $#list)
	{
		my $j = $self->pick($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

1;
