# Demo: what the demo says on the terminal, and how it speaks to its cluster.
#
# The working directory is the top of the tree. Whatever fails ends the program.
package Demo;

use strict;
use warnings;

use Exporter 'import';
use File::Temp;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(say_step quit run_as_cluster sql read_sql await_replica copy_in grouped seconds show shown elapsed);

my $started = time;

sub elapsed { return time - $started; }
sub say_step { printf "%6.1f s  %s\n", elapsed(), join '', @_; return; }
sub quit { print STDERR 'demo: ', @_, "\n"; exit 1; }

# run_as_cluster SCRIPT, INPUT: a shell script in .run, as the cluster's user
sub run_as_cluster
{
	my ($script, $input) = @_;
	open my $to, '|-', 'deploy/cluster', 'run', 'sh', '-c', $script or quit("deploy/cluster: $!");
	print $to $input // '';
	close $to or quit("this did not work in .run: $script");
	return;
}

# psql COMMAND, TEXT, DATABASE: the text goes by a file, because psql may answer
# before it has read all, and nobody would be listening
sub _psql
{
	my ($command, $text, $database) = @_;
	local $ENV{PGDATABASE} = $database // 'shop';
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	my $file = File::Temp->new;
	print $file $text;
	close $file;
	open my $from, '-|', "deploy/cluster $command -XAtq -F '\t' -v ON_ERROR_STOP=1 <'$file'" or quit("psql: $!");
	my @rows = map { chomp; [ split /\t/, $_, -1 ] } <$from>;
	close $from or quit('SQL failed: ', substr($text, 0, 200));
	return \@rows;
}

# sql TEXT [, DATABASE]: run by psql at the primary; returns rows as arrays
sub sql { return _psql('psql', @_); }

# read_sql TEXT: likewise, at the replica
sub read_sql { return _psql('replica psql', @_); }

# await_replica LIMIT: until the replica has all that is committed by now; seconds that took
sub await_replica
{
	my ($limit) = @_;
	my $start = time;
	# the message is a commit that waits for the disk, and for all before it
	my ($lsn) = @{ sql("SELECT 1 FROM pg_logical_emit_message(true, 'demo', 'report'); SELECT pg_current_wal_flush_lsn()")->[-1] };

	until (read_sql("SELECT pg_last_wal_replay_lsn() >= '$lsn'")->[0][0] eq 't')
	{
		quit("the replica has not come to $lsn in $limit s; its log is .run/replica.log") if time - $start > $limit;
		sleep 0.05;
	}
	return time - $start;
}

# copy_in TABLE, COLUMNS, ROWS: SQL that makes a temporary table of the rows
sub copy_in
{
	my ($table, $columns, $rows) = @_;
	return "CREATE TEMP TABLE $table ($columns);\nCOPY $table FROM STDIN;\n"
	  . join('', map { join("\t", @$_) . "\n" } @$rows)
	  . "\\.\n";
}

# a number with its thousands apart
sub grouped { my ($n) = @_; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n; }

# times in seconds, joined by slashes
sub seconds
{
	return join ' / ', map { defined $_ && $_ ne '' ? sprintf('%.2f', $_) : '-' } @_;
}

# show TEXT: the progress line; on a terminal in place, else every fifth second
my ($is_terminal, $last_shown) = (-t STDOUT, 0);

sub show
{
	my ($text) = @_;
	if ($is_terminal) { printf "\r%6.1f s  %-118s", elapsed(), $text; return; }
	return if time - $last_shown < 5;
	$last_shown = time;
	say_step($text);
	return;
}

# shown: the progress line is over
sub shown
{
	print "\r", ' ' x 128, "\r" if $is_terminal;
	$last_shown = 0;
	return;
}

1;
