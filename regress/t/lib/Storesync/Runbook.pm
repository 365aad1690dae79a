# Storesync::Runbook: a page of docs/runbook, done as the role that it names.
#
#   my $page = Storesync::Runbook->open($node, 'shop', 'first-day');
#   my $rows = $page->step('catalogue', store => 3);    # what its block ```sql catalogue prints
#   my ($out, $error) = $page->refused('live', store => 3);
#   $page->done;                                         # tests that every block was run
#
# Nothing of a page is repeated in its test: blocks are run as they stand there, values given as psql variables
# (:store, :'sku') in the place of the page's own, which it sets with \set lines in its first block ("values").
package Storesync::Runbook;

use strict;
use warnings;

use PostgreSQL::Test::Utils qw(slurp_file);
use Test::More;

# open NODE, DATABASE, PAGE: the page, and a login of the kind that its line "Role: `kind`." names
sub open
{
	my ($class, $node, $database, $name) = @_;
	my $text = slurp_file("docs/runbook/$name.md");
	my ($kind) = $text =~ /^Role: `(operator|application|reporter)`\.$/m;
	my (@order, %block);

	die "docs/runbook/$name.md does not say its role" unless $kind;
	while ($text =~ /^```sql(?: +([\w-]+))?\n(.*?)^```$/msg)
	{
		die "docs/runbook/$name.md has a block without a name" unless defined $1;
		die "docs/runbook/$name.md has two blocks $1" if exists $block{$1};
		push @order, $1;
		$block{$1} = $2;
	}
	my $role = "runbook_$kind";
	$node->safe_psql($database, <<"SQL");
DO \$\$ BEGIN CREATE ROLE $role LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$;
SELECT storesync.grant_role('$role', '$kind');
SQL
	return bless {
		node => $node, database => $database, name => $name, role => $role,
		order => [ grep { $_ ne 'values' } @order ], block => \%block, run => {}
	}, $class;
}

# step BLOCK, VARIABLE => VALUE...: runs the block, and returns what it prints, unaligned; the test ends if it fails
sub step
{
	my ($self, $block, %value) = @_;
	my ($status, $out, $error) = $self->_psql($block, %value);

	die "docs/runbook/$self->{name}.md, $block: $error" if $status != 0;
	return $out;
}

# refused BLOCK, VARIABLE => VALUE...: a test that the block ends in an error; returns what it printed, and the error
sub refused
{
	my ($self, $block, %value) = @_;
	my ($status, $out, $error) = $self->_psql($block, %value);

	isnt($status, 0, "$self->{name}, $block: refused");
	return ($out, $error);
}

# done: a test that no block of the page was left out
sub done
{
	my ($self) = @_;
	return is(join(' ', grep { !$self->{run}{$_} } @{ $self->{order} }), '',
		"each step of docs/runbook/$self->{name}.md was done, as $self->{role}");
}

sub _psql
{
	my ($self, $block, %value) = @_;
	my ($out, $error) = ('', '');
	my $sql = $self->{block}{$block} // die "docs/runbook/$self->{name}.md has no block $block";

	$self->{run}{$block} = 1;
	my $status = $self->{node}->psql($self->{database}, $sql, stdout => \$out, stderr => \$error,
		extra_params => [ '-U', $self->{role}, map { ('-v', "$_=$value{$_}") } sort keys %value ]);
	return ($status, $out, $error);
}

1;
