# Storesync::Proxy: stands between the dispatcher and the simulator and spoils
# what passes, at the level of bytes and sockets.
#
#   my $proxy = Storesync::Proxy->start($sim->port);
#   $proxy->url                                     base URL, for storesync.platform
#   $proxy->spoil('truncate', path => 'update_stock', count => 3)
#                                                   or pattern => 'this|that', of the path
#   $proxy->spoil                                   all passes as it is
#   $proxy->spoilt                                  how many requests were, since the last spoil()
#   $proxy->stop                                    nobody listens any more; also when the object goes
#   $proxy->again                                   listens again, at the same port
#
# Kinds. Applied by the simulator, then the answer is spoilt: truncate, drip (a
# byte at a time), large (4 MB of blanks before it), html, nul, latin1, endless,
# reset_after, silent_after, late (as it is, after the next spoil()). Never reached the simulator: reset_before, silent,
# and refuse, which answers a refusal of the whole call where the body names
# model => N.
package Storesync::Proxy;

use strict;
use warnings;

use Fcntl qw(:flock);
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep);

my $large = 4 * 1024 * 1024 - 16 * 1024;

sub start
{
	my ($class, $to) = @_;
	my $self = bless { to => $to, dir => File::Temp->newdir('storesync-proxy-XXXXXX', TMPDIR => 1), owner => $$ },
	  $class;
	$self->spoil;
	# one that nobody else is given while we do not listen
	$self->_listen(PostgreSQL::Test::Cluster::get_free_port());
	return $self;
}

sub _listen
{
	my ($self, $port) = @_;
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 100, ReuseAddr => 1)
	  or die "cannot listen: $@";
	$self->{port} = $listener->sockport;
	$self->{pid} = fork // die "cannot fork: $!";
	return if $self->{pid};

	POSIX::setsid();
	local $SIG{CHLD} = 'IGNORE';
	local $SIG{PIPE} = 'IGNORE';
	while (1)
	{
		my $client = $listener->accept or next;
		my $pid = fork;
		if (!$pid)
		{
			close $listener;
			eval { $self->_serve($client) };
			POSIX::_exit(0);
		}
		close $client;
	}
}

sub url { return "http://127.0.0.1:$_[0]->{port}"; }
sub again { my ($self) = @_; return $self->_listen($self->{port}); }

# The rule lies in a file, which every child reads for each request.
sub _rule
{
	my ($self, $change) = @_;
	open my $file, '+>>', "$self->{dir}/rule" or die "$self->{dir}/rule: $!";
	flock $file, LOCK_EX;
	seek $file, 0, 0;
	local $/;
	my $text = <$file>;
	my $rule = $text ? decode_json($text) : {};
	if (my $new = $change->($rule))
	{
		truncate $file, 0;
		print $file encode_json($new);
	}
	close $file;
	return $rule;
}

sub spoil
{
	my ($self, $kind, %option) = @_;
	$self->_rule(sub { return { kind => $kind, %option, spoilt => 0 }; });
	return;
}

sub spoilt { return $_[0]->_rule(sub { return })->{spoilt}; }

# strikes HEAD, BODY: the rule, if this request is one to be spoilt
sub _strikes
{
	my ($self, $head, $body) = @_;
	my $struck = 0;
	my $rule = $self->_rule(
		sub {
			my ($rule) = @_;
			return if !defined $rule->{kind};
			return if defined $rule->{path} && $head !~ /^\S+ \S*\Q$rule->{path}\E/;
			return if defined $rule->{pattern} && $head !~ /^\S+ \S*$rule->{pattern}/;
			return if defined $rule->{model} && $body !~ /"model_id":\s*$rule->{model}\b/;
			return if defined $rule->{count} && $rule->{spoilt} >= $rule->{count};
			$struck = 1;
			$rule->{spoilt}++;
			return $rule;
		});
	return $struck ? $rule : undef;
}

# message SOCKET: head and body of the next request or answer; empty at the end
sub _message
{
	my ($socket) = @_;
	my $text = '';

	while ($text !~ /\r\n\r\n/)
	{
		sysread $socket, $text, 65536, length $text or return;
	}
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my ($length) = $head =~ /^content-length:\s*(\d+)/mi;
	while (length $body < ($length // 0))
	{
		sysread $socket, $body, 65536, length $body or last;
	}
	return ($head, $body);
}

sub _forward
{
	my ($self, $head, $body) = @_;
	my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to}) or return;
	print $server "$head\r\n\r\n$body";
	return _message($server);
}

sub _reset
{
	my ($client) = @_;
	setsockopt $client, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0;
	close $client;
	return;
}

sub _serve
{
	my ($self, $client) = @_;

	$client->autoflush(1);
	setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
	while (my ($head, $body) = _message($client))
	{
		my $rule = $self->_strikes($head, $body);
		my $kind = $rule ? $rule->{kind} : '';

		return _reset($client) if $kind eq 'reset_before';
		return _wait_for_end($client) if $kind eq 'silent';
		if ($kind eq 'refuse')
		{
			_answer($client, '{"error":"error_param","message":"one of the models is not to be written"}');
			next;
		}
		my ($status, $answer) = $self->_forward($head, $body);
		return if !defined $status;
		$self->_wait_for_next_rule if $kind eq 'late';
		return if !_spoilt_answer($client, $kind, $status, $answer);
	}
	return;
}

# wait_for_end: nothing is said until the other side gives up
sub _wait_for_end
{
	my ($client) = @_;
	sysread $client, my $rest, 1;
	return;
}

sub _wait_for_next_rule
{
	my ($self) = @_;
	sleep 0.01 while ($self->_rule(sub { return })->{kind} // '') eq 'late';
	return;
}

sub _answer
{
	my ($client, $body) = @_;
	print $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
	  . length($body) . "\r\n\r\n$body";
	return 1;
}

# spoilt_answer: true when the connection may be used again
sub _spoilt_answer
{
	my ($client, $kind, $status, $answer) = @_;

	return !_reset($client) && 0 if $kind eq 'reset_after';
	return _wait_for_end($client) && 0 if $kind eq 'silent_after';
	return _answer($client, '<html><body>Sorry</body></html>') if $kind eq 'html';
	return _answer($client, ' ' x $large . $answer) if $kind eq 'large';
	return _answer($client, $answer =~ s/"error":"/"error":"\0/r) if $kind eq 'nul';
	return _answer($client, $answer =~ s/"error":"/"error":"\xe9\xff/r) if $kind eq 'latin1';
	if ($kind eq 'truncate')
	{
		print $client "$status\r\n\r\n" . substr $answer, 0, length($answer) / 2;
		return 0;
	}
	if ($kind eq 'endless')
	{
		print $client "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
		while (print $client "2000\r\n" . 'x' x 8192 . "\r\n") { sleep 0.001; }
		return 0;
	}
	if ($kind eq 'drip')
	{
		foreach my $byte (split //, "$status\r\n\r\n$answer")
		{
			print $client $byte;
			sleep 0.0005;
		}
		return 1;
	}
	print $client "$status\r\n\r\n$answer";
	return 1;
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid} && $self->{owner} == $$;
	kill 'KILL', -$self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);
	$self->stop;
	return;
}

1;
