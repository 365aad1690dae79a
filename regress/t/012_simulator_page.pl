# The examples of docs/simulator.md, typed into a shell from above to below: each
# does what the page says it answers.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp;
use Storesync::Simulator;
use Test::More;

my $tree = abs_path(dirname(__FILE__)) . '/../..';
my $program = $ENV{STORESYNC_SIMULATOR} // "$tree/simulator/simulator";
my $page = do { local (@ARGV, $/) = ("$tree/docs/simulator.md"); <> };

# The page's examples in order: [what is typed, [pieces of what it answers]]
my @example;
while ($page =~ /^```sh\n(.*?)^```\n((?:\n*(?:^    [^\n]*\n)+)?)/msg)
{
	my ($typed, $answer) = ($1, $2);
	push @example, [ $typed, [ split /\n/, $answer ] ];
}
my ($start) = grep { $_->[0] =~ m{^simulator/simulator } } @example;
my @typed = grep { $_->[0] !~ m{^(?:make|simulator/)} } @example;
cmp_ok(scalar(@typed), '>=', 8, 'the page has examples');
like(join('', map { $_->[0] } @example), qr/^make simulator PORT=18080$/m, 'one that starts it');

# Started as the page says, on a port of its own and without the limit that a quick typist meets.
my %option = $start->[0] =~ /--(\S+) (\S+)/g;
is($option{port}, 18080, 'the page has a port');
my $sim = Storesync::Simulator->start(
	map({ ($_ => $option{$_} =~ m{/} ? "$tree/$option{$_}" : $option{$_}) } grep { $_ ne 'port' } keys %option),
	rate => 0);

# plain TEXT: without what differs from run to run, and without blanks
sub plain
{
	my ($text) = @_;
	$text =~ s/sim[0-9a-f]{16}|…//g;
	return $text =~ s/\s+//gr;
}

my $dir = File::Temp->newdir('storesync-page-XXXXXX', TMPDIR => 1);
open my $script, '>', "$dir/script" or die "$dir/script: $!";
foreach my $i (0 .. $#typed)
{
	print $script $typed[$i][0] =~ s/127\.0\.0\.1:18080/'127.0.0.1:' . $sim->port/ger, "\necho '@@@ $i'\n";
}
close $script or die "$dir/script: $!";
my $said = qx(no_proxy=127.0.0.1 sh '$dir/script' 2>&1);
is($?, 0, 'the shell ends well');

foreach my $i (0 .. $#typed)
{
	my ($first) = $typed[$i][0] =~ /^(?:#.*\n|\s*\n)*(.*)/;
	my ($got) = $said =~ s/\A(.*?)\@\@\@ $i\n//s ? $1 : die "no end of example $i in: $said";

	unlike($got, qr/not found|syntax error|unknown_path/, "it is understood: $first");
	next unless @{ $typed[$i][1] };
	my $plain = plain($got);
	my $wanted = plain(join "\n", @{ $typed[$i][1] });
	ok(index($plain, $wanted) >= 0, 'and answers so') or diag("example:\n$typed[$i][0]\nanswered:\n$got");
}
is($sim->counters->{bad_signature}, 0, 'every signature is right');
done_testing();
