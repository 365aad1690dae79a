# Storesync::Redis: a private Redis on a unix socket, for tests.
#
#   my $redis = Storesync::Redis->start(password => 'x');   # undef where there is none
#   $redis->ask(3, 'GET', 'key');      # in database 3; '' for nil, one line an element
#   $redis->stop; $redis->again;       # empty again: it keeps nothing on disk
#   $redis->signal('STOP'); $redis->signal('CONT');
#   $redis->documented('lua');         # a piece of code of docs/cache.md, by its language
package Storesync::Redis;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

my @running;

sub start
{
	my ($class, %option) = @_;
	my ($binary) = grep { -x } map { "$_/redis-server" } split /:/, $ENV{PATH} . ':/usr/bin:/usr/local/bin';
	return undef unless defined $binary;
	# a path that fits into a socket's
	my $self = bless { binary => $binary, directory => PostgreSQL::Test::Utils::tempdir_short(), %option }, $class;
	push @running, $self;
	return $self->again;
}

sub socket { return $_[0]{directory} . '/redis'; }

# again: started, and answering
sub again
{
	my ($self) = @_;
	my @password = defined $self->{password} ? ('--requirepass', $self->{password}) : ();
	my $pid = fork // die "could not fork: $!\n";

	if ($pid == 0)
	{
		open STDOUT, '>>', "$self->{directory}/log" or exit 1;
		open STDERR, '>&', \*STDOUT or exit 1;
		exec $self->{binary}, '--port', 0, '--unixsocket', $self->socket, '--save', '', '--appendonly', 'no',
		  '--maxmemory-policy', 'noeviction', '--dir', $self->{directory}, @password
		  or exit 1;
	}
	$self->{pid} = $pid;
	my $end = time + 60;
	until ($self->ask(0, 'PING') eq 'PONG')
	{
		die "Redis did not start\n" . slurp_file("$self->{directory}/log") if time > $end;
		sleep 0.05;
	}
	return $self;
}

sub signal { return kill $_[1], $_[0]{pid}; }

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	# nothing is to be saved
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

sub ask
{
	my ($self, $database, @words) = @_;
	local $ENV{REDISCLI_AUTH} = $self->{password} // '';
	open my $out, '-|', 'sh', '-c', 'exec redis-cli -s "$0" -n "$@" 2>/dev/null', $self->socket, $database, @words
	  or die "could not run redis-cli: $!\n";
	local $/ = undef;
	my $answer = <$out> // '';
	close $out;
	$answer =~ s{\n\z}{};
	return $answer;
}

# documented LANGUAGE: the first piece of code in that language of docs/cache.md
sub documented
{
	my ($self, $language) = @_;
	return slurp_file('docs/cache.md') =~ /^```$language\n(.*?)^```$/ms ? $1 : die "docs/cache.md has no $language\n";
}

END
{
	my $status = $?;
	$_->stop foreach @running;
	$? = $status;
}

1;
