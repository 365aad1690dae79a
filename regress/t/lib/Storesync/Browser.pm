# Storesync::Browser: Chromium without a window, spoken to by its driver (W3C WebDriver), for tests that look at pages.
#
#   plan skip_all => '...' unless Storesync::Browser->installed;
#   my $browser = Storesync::Browser->start($directory);     # ended with the object
#   $browser->open("file://$page");
#   $browser->size(375, 800);
#   $browser->run('return document.title');                  # elements can be handed in, and come back
#   $browser->picture($element);                             # bytes of a PNG
package Storesync::Browser;

use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use POSIX ();
use PostgreSQL::Test::Cluster;
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->allow_nonref;

# program NAME: its file, undef where there is none
sub program
{
	my ($name) = @_;
	my ($file) = grep { -x } map { "$_/$name" } split /:/, $ENV{PATH};
	return $file;
}

# installed: whether there is what start() needs
sub installed { return !grep { !defined program($_) } qw(chromedriver chromium); }

# start DIRECTORY: what it writes goes there
sub start
{
	my ($class, $directory) = @_;
	my ($driver, $chromium) = map { program($_) } qw(chromedriver chromium);
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0)
	{
		# files of the browser beside the test's, and a group of its own, to be ended with what it starts
		setpgrp;
		@ENV{qw(HOME TMPDIR)} = ($directory) x 2;
		delete @ENV{ grep { /_proxy$/i } keys %ENV };
		open STDOUT, '>', "$directory/driver.log" and open STDERR, '>&', \*STDOUT;
		exec $driver, "--port=$port", '--allowed-ips=127.0.0.1' or POSIX::_exit(1);
	}
	my $self = bless { pid => $pid, owner => $$, base => "http://127.0.0.1:$port", http => HTTP::Tiny->new(timeout => 60, no_proxy => ['127.0.0.1'], proxy => undef) }, $class;
	my $end = time + 60;
	until (eval { $self->ask(GET => '/status')->{ready} })
	{
		die "the driver did not start\n" if time > $end;
		sleep 0.05;
	}
	# a page of our own, in a container where the browser may not be able to make another
	my @arg = qw(--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --force-device-scale-factor=1);
	my $session = $self->ask(POST => '/session', { capabilities => { alwaysMatch => {
		'goog:chromeOptions' => { binary => $chromium, args => [ @arg, "--user-data-dir=$directory/browser" ] } } } });
	$self->{base} .= "/session/$session->{sessionId}";
	return $self;
}

# ask METHOD, PATH [, BODY]: the value that the driver answers; dies of an error
sub ask
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, $self->{base} . $path,
		$body ? { headers => { 'Content-Type' => 'application/json' }, content => $json->encode($body) } : {});

	die "$method $path: $answer->{status} $answer->{content}\n" unless $answer->{success};
	return $json->decode($answer->{content})->{value};
}

sub open { my ($self, $url) = @_; return $self->ask(POST => '/url', { url => $url }); }
sub title { my ($self) = @_; return $self->ask(GET => '/title'); }
sub text { my ($self) = @_; return $self->run('return document.body.innerText'); }

# size WIDTH, HEIGHT: of the screen, in pixels of the page; as small as a telephone's
sub size
{
	my ($self, $width, $height) = @_;
	return $self->ask(POST => '/goog/cdp/execute', { cmd => 'Emulation.setDeviceMetricsOverride',
		params => { width => $width, height => $height, deviceScaleFactor => 1, mobile => JSON::PP::false } });
}

# run SCRIPT, ARGUMENT...: what a function with that body returns
sub run
{
	my ($self, $script, @argument) = @_;
	return $self->ask(POST => '/execute/sync', { script => $script, args => \@argument });
}

# picture ELEMENT: as PNG
sub picture
{
	my ($self, $element) = @_;
	my ($id) = values %$element;
	return decode_base64($self->ask(GET => "/element/$id/screenshot"));
}

sub DESTROY
{
	my ($self) = @_;
	return unless $self->{owner} == $$;
	local ($?, $@, $!);
	eval { $self->ask(DELETE => '') } if $self->{base} =~ m{/session/};
	kill 'KILL', -$self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

1;
