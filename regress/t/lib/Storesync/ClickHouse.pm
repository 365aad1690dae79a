# Storesync::ClickHouse: a private ClickHouse on a free loopback port, configured by deploy/clickhouse, for tests.
#
#   my $house = Storesync::ClickHouse->start(database => 'shop', password => 'x');   # undef where there is none
#   $house->url;                       # user storesync writes, user reader asks; one password for both
#   $house->ask('SELECT 1');           # in the database, by the reader; dies with what ClickHouse says
#   $house->command('DROP TABLE x');   # by the writer
#   $house->create;                    # the tables that are not there
#   $house->stop; $house->again;       # killed, or stop('TERM'); started with what it had
#   $house->signal('STOP'); $house->signal('CONT');
package Storesync::ClickHouse;

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

my @running;

sub start
{
	my ($class, %option) = @_;
	my ($binary) = grep { -x } map { "$_/clickhouse-server" } split /:/, $ENV{PATH} . ':/usr/sbin:/usr/bin';
	return undef unless defined $binary;
	my $self = bless {
		binary => $binary, directory => PostgreSQL::Test::Utils::tempdir(), port => PostgreSQL::Test::Cluster::get_free_port(),
		%option }, $class;
	my %value = (RUN => $self->{directory}, PORT => $self->{port}, WRITER => sha256_hex($self->{password}), READER => sha256_hex($self->{password}));

	foreach my $file (qw(config.xml users.xml))
	{
		append_to_file("$self->{directory}/$file", slurp_file("deploy/clickhouse/$file") =~ s/\@([A-Z]+)\@/$value{$1}/gr);
	}
	push @running, $self;
	$self->again;
	$self->create;
	return $self;
}

sub create
{
	my ($self) = @_;
	local $ENV{CLICKHOUSE_PASSWORD} = $self->{password};
	system('deploy/clickhouse/create', $self->url, $self->{database}) == 0 or die "deploy/clickhouse/create failed\n";
	return;
}

sub url { return "http://127.0.0.1:$_[0]{port}"; }

# again: started, and answering
sub again
{
	my ($self) = @_;
	my $pid = fork // die "could not fork: $!\n";

	if ($pid == 0)
	{
		open STDOUT, '>>', "$self->{directory}/out" or exit 1;
		open STDERR, '>&', \*STDOUT or exit 1;
		chdir $self->{directory} or exit 1;
		exec $self->{binary}, "--config-file=$self->{directory}/config.xml" or exit 1;
	}
	$self->{pid} = $pid;
	my $end = time + 60;
	until ((HTTP::Tiny->new(timeout => 5)->get($self->url . '/')->{content} // '') =~ /^Ok/)
	{
		die "ClickHouse did not start\n" . slurp_file("$self->{directory}/out") if time > $end;
		sleep 0.05;
	}
	return $self;
}

sub signal { return kill $_[1], $_[0]{pid}; }

# stop [SIGNAL]: as a crash would
sub stop
{
	my ($self, $signal) = @_;
	my $pid = delete $self->{pid} or return;
	kill $signal // 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

sub post
{
	my ($self, $user, $statement) = @_;
	my $got = HTTP::Tiny->new(timeout => 60)->post($self->url . "/?database=$self->{database}",
		{ headers => { 'X-ClickHouse-User' => $user, 'X-ClickHouse-Key' => $self->{password} }, content => $statement });
	die "ClickHouse: $got->{content}\n" unless $got->{success};
	return $got->{content} =~ s/\n\z//r;
}

sub ask { return $_[0]->post('reader', $_[1]); }
sub command { return $_[0]->post('storesync', $_[1]); }

END
{
	my $status = $?;
	$_->stop foreach @running;
	$? = $status;
}

1;
