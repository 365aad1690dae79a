# Storesync::Simulator: one running marketplace simulator and its admin side.
#
#   my $sim = Storesync::Simulator->start(catalogue => $text, trace => $text,
#       rate => 20, burst => 5, order_delay => 100, seed => 1, speed => 1);
#   $sim->url                       base URL, for storesync.platform
#   $sim->get('counters'), $sim->post('faults', { slow => 1, slow_ms => 5000 })
#   $sim->shown                     [{shop_id, sku, item_id, model_id, stock}, ...]
#   $sim->stock(shop, item, model)  what one listing shows
#   $sim->order(shop, [item, model, qty]...)
#   $sim->state(shop, item, 'gone', model), $sim->writes
#   $sim->stop                      done by itself when the object goes
#   $sim->leave                     or never: it keeps running (start it detached => 1)
#
# Core Perl alone, so that the demo uses it too.
package Storesync::Simulator;

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp;
use HTTP::Tiny;
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(sleep time);

# The program: of the environment, or of the tree that this file is in.
my $program = $ENV{STORESYNC_SIMULATOR}
  // abs_path(dirname(__FILE__)) . '/../../../../simulator/simulator';

# options that are files, given as text or as the name of a file
my %is_file = (catalogue => 1, trace => 1);

sub start
{
	my ($class, %option) = @_;
	my $dir = File::Temp->newdir('storesync-simulator-XXXXXX', TMPDIR => 1);
	my $log = delete $option{log} // "$dir/log";
	my $detached = delete $option{detached};
	my $self = bless { dir => $dir, log => $log, pid => 0, owner => $$ }, $class;
	my @argument;

	foreach my $name (sort keys %option)
	{
		my $value = $option{$name};
		if (ref $value)
		{
			push @argument, map { ("--$name", $_) } @$value;
			next;
		}
		if ($is_file{$name} && $value =~ /\n/)
		{
			$self->{$name} = "$dir/$name";
			open my $out, '>', $self->{$name} or die "$self->{$name}: $!";
			print $out $value;
			close $out or die "$self->{$name}: $!";
			$value = $self->{$name};
		}
		$self->{$name} = $value if $is_file{$name};
		push @argument, '--' . ($name =~ tr/_/-/r), $value;
	}
	$self->{pid} = fork // die "cannot fork: $!";
	if ($self->{pid} == 0)
	{
		POSIX::setsid() if $detached;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', $log;
		open STDERR, '>&', \*STDOUT;
		exec($program, @argument, "--port-file", "$dir/port") or POSIX::_exit(127);
	}
	# on a kept connection the body, sent apart from the headers, waits 40 ms for a delayed acknowledgement
	$self->{http} = HTTP::Tiny->new(timeout => 20, no_proxy => ['127.0.0.1'], keep_alive => 0);
	$self->_await_port;
	return $self;
}

sub _await_port
{
	my ($self) = @_;
	my $end = time + 20;

	while (time < $end)
	{
		if (open my $in, '<', "$self->{dir}/port")
		{
			my $line = <$in> // '';
			if ($line =~ /^(\d+)\n/)
			{
				$self->{port} = $1;
				chomp(@{ $self->{tls_ports} } = <$in>);
				return if eval { $self->get('health') };
			}
		}
		die "the simulator ended at once: " . $self->_log if waitpid($self->{pid}, WNOHANG) != 0;
		sleep 0.02;
	}
	die "the simulator does not answer: " . $self->_log;
}

sub _log
{
	my ($self) = @_;
	open my $in, '<', $self->{log} or return "no log: $!\n";
	local $/;
	return <$in> // '';
}

# ports over TLS, one for each certificate of "tls => [FILE...]"
sub tls_ports { return @{ $_[0]->{tls_ports} }; }
sub port { return $_[0]->{port}; }
sub pid { return $_[0]->{pid}; }
sub url { return "http://127.0.0.1:$_[0]->{port}"; }

# get WHAT: GET /admin/WHAT, decoded
sub get
{
	my ($self, $what) = @_;
	return $self->_answer($what, $self->{http}->get($self->url . "/admin/$what"));
}

# post WHAT, DATA: POST /admin/WHAT
sub post
{
	my ($self, $what, $data) = @_;
	return $self->_answer(
		$what,
		$self->{http}->post(
			$self->url . "/admin/$what",
			{
				content => encode_json($data // {}),
				headers => { 'Content-Type' => 'application/json' }
			}));
}

sub _answer
{
	my ($self, $what, $answer) = @_;
	die "/admin/$what: $answer->{status} $answer->{reason} $answer->{content}\n"
	  unless $answer->{success};
	return decode_json($answer->{content});
}

sub shown
{
	my ($self, $shop) = @_;
	return $self->get('shown' . (defined $shop ? "?shop=$shop" : ''))->{listings};
}

sub stock
{
	my ($self, $shop, $item, $model) = @_;
	$model //= 0;
	my ($found) = grep { $_->{item_id} eq $item && $_->{model_id} eq $model } @{ $self->shown($shop) };
	return defined $found ? $found->{stock} : undef;
}

sub set_stock
{
	my ($self, $shop, $item, $model, $stock) = @_;
	return $self->post('shown',
		{ shop_id => "$shop", item_id => "$item", model_id => "$model", stock => $stock + 0 });
}

# order SHOP, [ITEM, MODEL, QTY]... [, {order_sn => ..., status => ...}]
sub order
{
	my ($self, $shop, @lines) = @_;
	my $more = @lines && ref $lines[-1] eq 'HASH' ? pop @lines : {};
	return $self->post('order',
		{
			shop_id => "$shop",
			lines => [ map { { item_id => "$_->[0]", model_id => "$_->[1]", qty => $_->[2] + 0 } } @lines ],
			%$more
		});
}

sub order_status
{
	my ($self, $order_sn, $status) = @_;
	return $self->post('order_status', { order_sn => $order_sn, status => $status });
}

# state SHOP, ITEM, STATE [, MODEL]: what becomes of an item, or of one of its models
sub state
{
	my ($self, $shop, $item, $state, $model) = @_;
	return $self->post('state',
		{ shop_id => "$shop", item_id => "$item", state => $state, defined $model ? (model_id => "$model") : () });
}

# writes: what the seller's calls wrote, oldest first
sub writes { return $_[0]->get('writes')->{writes}; }

sub faults { my ($self, %fault) = @_; return $self->post('faults', \%fault); }
sub counters { return $_[0]->get('counters'); }
sub calls { my ($self, $shop) = @_; return $self->get("calls?shop=$shop")->{calls}; }

# catalogue: its records as {app => {partner_id, partner_key}, shops, skus, listings}
sub catalogue
{
	my ($self) = @_;
	my %list = (shop => [], sku => [], listing => []);
	my %app;

	open my $in, '<', $self->{catalogue} or die "$self->{catalogue}: $!";
	while (my $line = <$in>)
	{
		chomp $line;
		next if $line =~ /^(#|$)/;
		my ($kind, @field) = split /\t/, $line;
		if ($kind eq 'app') { @app{qw(partner_id partner_key)} = @field; }
		elsif ($list{$kind}) { push @{ $list{$kind} }, \@field; }
		else { die "unknown record \"$kind\" in $self->{catalogue}"; }
	}
	return { app => \%app, shops => $list{shop}, skus => $list{sku}, listings => $list{listing} };
}

sub stop
{
	my ($self) = @_;
	return unless $self->{pid} && $self->{owner} == $$;
	kill 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	$self->{pid} = 0;
	return;
}

sub leave { $_[0]->{pid} = 0; return; }

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@, $!);
	$self->stop;
	return;
}

1;
