package ReportReplica;

# The replica that answers: a base backup of the primary, streaming, with the settings of deploy/postgresql.
use strict;
use warnings;
use Exporter qw(import);
use FindBin qw($Bin);
use File::Path qw(remove_tree);
use IO::Socket::INET;
use Bench qw(sql $dir);

our @EXPORT_OK = qw(start_replica caught_up);
my ($port, $started);
my $deploy = "$Bin/../deploy/postgresql";

END {
	my $status = $?;
	qx{pg_ctl -D '$dir/replica' -m fast -w stop} if $started;
	$? = $status;
}

sub file {
	my ($name) = @_;
	open my $file, '<', $name or die "cannot read $name: $!\n";
	local $/;
	return <$file>;
}

# What only this benchmark needs: two years are more than the default retention, and all is booked today.
sub primary_settings {
	return file("$Bin/report.conf");
}

# start_replica: the one of an earlier run, where it has not been forgotten
sub start_replica {
	my $data = "$dir/replica";
	if (!-e "$data/PG_VERSION") {
		remove_tree($data);
		system('pg_basebackup', '-D', $data, '-R', '-X', 'stream', '-c', 'fast', '--no-sync') == 0 or die "pg_basebackup failed\n";
		my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no free port\n";
		my $chosen = $listener->sockport;
		close $listener;
		open my $conf, '>>', "$data/postgresql.conf" or die "cannot write $data/postgresql.conf: $!\n";
		print {$conf} file("$deploy/replica.conf"), "port = $chosen\n";
		close $conf;
	}
	# the primary's port is another one after a restart
	open my $conf, '>>', "$data/postgresql.auto.conf" or die "cannot write $data/postgresql.auto.conf: $!\n";
	print {$conf} "primary_conninfo = 'host=$ENV{PGHOST} port=$ENV{PGPORT} user=postgres'\n";
	close $conf;
	($port) = reverse file("$data/postgresql.conf") =~ /^port = (\d+)$/mg;
	qx{pg_ctl -D '$data' -l '$dir/replica.log' -w -t 300 start};
	die "the replica did not start; its log is $dir/replica.log\n" if $?;
	$started = 1;
	caught_up();
	return $port;
}

# forget_replica: of what is written while it does not run the primary keeps nothing for it
sub forget_replica {
	remove_tree("$dir/replica");
	return;
}

# caught_up waits until the replica has replayed what the primary has written
sub caught_up {
	my $until = sql('SELECT pg_current_wal_insert_lsn()', 'postgres');
	for (my $wait = 0; sql("SELECT coalesce(bool_or(replay_lsn >= '$until'), false) FROM pg_stat_replication", 'postgres') ne 't'; $wait++) {
		die "the replica does not follow; its log is $dir/replica.log\n" if $wait > 6000;
		select undef, undef, undef, 0.05;
	}
	return;
}

1;
