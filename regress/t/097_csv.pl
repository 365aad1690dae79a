# CSV files as an operator has them, by docs/runbook/csv.md and psql: every kind in, out and in again; encodings; files that
# are none; 100,000 rows; two at one file, and somebody who changes what it is about between look and confirmation.

use strict;
use warnings;

use Encode;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

my $node = Storesync->cluster('main');
my $page = Storesync::Runbook->open($node, 'shop', 'csv');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $files = 0;

sub sql { return $node->safe_psql('shop', $_[0]); }

# file TEXT [, ENCODING]: the name of a file that holds it
sub file
{
	my ($text, $encoding) = @_;
	my $name = sprintf '%s/%d.csv', $dir, ++$files;

	open my $out, '>:raw', $name or die $!;
	print $out encode($encoding // 'UTF-8', $text);
	close $out or die $!;
	return $name;
}

# load KIND, FILE [, VARIABLE => VALUE...]: the number of the load
sub load
{
	my ($kind, $file, %value) = @_;
	return $page->step('load', store => '', encoding => '', reference => '', kind => $kind, file => $file, %value);
}
sub step { my ($block, $load) = @_; return join ' ', split /\n/, $page->step($block, load => $load); }

# out KIND: the file that deploy/csv/out.sql makes, and what it holds
sub out
{
	my ($kind, %value) = @_;
	my ($text, $error);
	my $status = $node->psql('shop', '', stdout => \$text, stderr => \$error,
		extra_params => [ '-q', '-U', 'runbook_operator', map({ ('-v', "$_=$value{$_}") } sort keys %value), '-v', "kind=$kind", '-f', 'deploy/csv/out.sql' ]);

	is($status, 0, "$kind goes out") or diag($error);
	return $text;
}

sub lines { my $text = shift; return scalar(() = $text =~ /\n/g); }

# What a shop has: two listings known, and one found that nobody knows yet.
sql(<<'SQL');
SELECT storesync.add_store('shopee', '1', 'one'), storesync.add_location('north');
INSERT INTO storesync.listing_walk (run, store_id, ended_at, current) SELECT 1, store_id, now(), true FROM storesync.store;
INSERT INTO storesync.listing_seen (run, store_id, item_id, model_id, seller_code, name, quantity, price, reserved, listed, ended, writable, seen_at)
SELECT 1, store_id, '90', '5', 'X', '=found', 5, 100, 0, true, false, true, now() FROM storesync.store;
SQL

# Every kind in by the page, with UTF-8 and Big5, Windows' line ends and quotes.
my $tea = "\x{70CF}\x{9F8D}\x{8336}";
my $big5 = "\x{8A31}\x{529F}\x{84CB}";    # their second bytes are a backslash in Big5
my $load = load('sku', file("\x{FEFF}sku,name,safety_stock\r\n007,\"$tea \"\"100 g\"\"\r\n100\",2\r\n\"A,B\",=1+1,\r\nC,,1E+05\r\n"));
is(step('answers', $load), 'error|1 new|2', 'a file of SKUs');
is($page->step('errors', load => $load), '5|C|safety_stock "1E+05" was rounded by a spreadsheet', 'what is wrong with a row');
is(scalar(split /\n/, $page->step('changes', load => $load)), 2, 'what would be written');
is(sql('SELECT count(*) FROM storesync.sku'), '0', 'nothing is written so far');
like(($page->refused('whole', load => $load))[1], qr/Line 5: safety_stock/, 'not with a row that is wrong, if told so');
is(step('confirm', $load), 'error|1 new|2', 'confirmed');
like(($page->refused('confirm', load => $load))[1], qr/was confirmed already/, 'once');
like($page->step('transaction', load => $load), qr/^\d+\|.*\|runbook_operator$/, 'and how it would be undone');
is(step('confirm', load('sku', file("sku,name\nBIG5,$big5\n", 'big5'))), 'new|1', 'Big5 is found out');
is(step('confirm', load('sku', file("sku,name\nBIG5,$big5\n", 'big5'), encoding => 'BIG5')), 'same|1', 'or said');
is(step('confirm', load('sku', file("name,sku\n$big5,BIG5\n"))), 'same|1', 'and is the same in UTF-8');
is(step('confirm', load('listing', file("item_id,model_id,sku,pack,share,cap\n80,0,007,2,0.5,9\n81,1,\"A,B\",,,\n"), store => 1)), 'new|2', 'listings');
is(step('confirm', load('price', file("store,item_id,model_id,price\n1,80,,120.50\n1,81,1,99\n"))), 'new|2', 'prices');
is(step('confirm', load('receipt', file("sku,qty,location,reference\n007,10,,D-1\n007,4,north,D-1\n\"A,B\",5,,D-2\n"))), 'new|3', 'receipts');
$load = load('count', file("sku,counted,location\n007,8,\n\"A,B\",5,\n"), reference => 'C-1');
is($page->step('differences', load => $load), "2|007|10|8\n3|A,B|5|5", 'a count beside the books');
is(step('confirm', $load), 'new|2', 'counts');
is(step('confirm', load('found', file("item_id,model_id,sku\n90,5,BIG5\n"), store => 1)), 'new|1', 'what was found');
is(sql("SELECT string_agg(concat(k.code, ' ', p.code, ' ', t.on_hand), ', ' ORDER BY 1, k.code, p.code) FROM storesync.stock t JOIN storesync.sku k USING (sku_id) JOIN storesync.location p USING (location_id)"),
	'007 main 8, 007 north 4, A,B main 5', 'the stock');

# What goes out comes in again as the same, in UTF-8 with its mark and in Big5, and is written the same when it goes out once more.
my %rows = (sku => 3, listing => 2, price => 2, receipt => 3, count => 2, found => 1);
my $audited = sql('SELECT count(*) FROM storesync.audit');
foreach my $kind (sort keys %rows)
{
	my $text = out($kind, bom => 1);

	like($text, qr/^\xEF\xBB\xBF/, "$kind with its mark") or diag($text);
	is(step('confirm', load($kind, file(decode('UTF-8', $text)))), "same|$rows{$kind}", "$kind comes in as the same");
}
is(sql('SELECT count(*) FROM storesync.audit'), $audited, 'and nothing was written');
{
	local $ENV{PGCLIENTENCODING} = 'BIG5';
	my $text = out('sku');

	is(step('confirm', load('sku', file(decode('big5', $text), 'big5'))), 'same|3', 'and so in Big5');
}

# The script that loads says what it found, and how to go on.
{
	my $text;
	my $status = $node->psql('shop', '', stdout => \$text, extra_params => [ '-U', 'runbook_operator', '-v', 'kind=price', '-v', 'store=1',
		'-v', 'file=' . file("item_id,price\n80,121\n82,5\n"), '-f', 'deploy/csv/in.sql' ]);

	is($status, 0, 'deploy/csv/in.sql');
	like($text, qr/^3\|82\|store 1 has no such listing\nchanged\|1\nerror\|1\nTo write it: SELECT .*csv_confirm\(\d+\);$/m, 'tells what it would do');
}

# Files that are none leave nothing behind.
foreach my $bad ([ 'sku', "sku,name\nA,\"b\n", qr/a quote on line 2 is never closed/ ], [ 'sku', "sku;name\nA;b\n", qr/"sku;name" is not known/ ],
	[ 'sku', "sku\nA\0B\n", qr/Byte 5, counted from 0, is 0x00/ ], [ 'skus', "sku\nA\n", qr/Kinds are sku, found, listing/ ])
{
	like(($page->refused('load', store => '', encoding => '', reference => '', kind => $bad->[0], file => file($bad->[1])))[1], $bad->[2], 'said why');
}
like(($page->refused('load', store => '', encoding => 'UTF8', reference => '', kind => 'sku', file => file("sku,name\nBIG5,$big5\n", 'big5')))[1],
	qr/not valid UTF-8.*Byte 14/s, 'the byte that is none');
is(sql('SELECT count(*) FROM pg_largeobject_metadata'), '0', 'no large object is left');

# Two at one file: the second waits, and is told that it was done.
sub waits { return $node->poll_query_until('shop', "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%csv_confirm%' AND pid <> pg_backend_pid()"); }
$load = load('sku', file("sku,safety_stock\n007,3\n"));
my ($first, $second) = map { $node->background_psql('shop', on_error_stop => 0, extra_params => [ '-U', 'runbook_operator' ]) } 1, 2;
$first->query("BEGIN; SELECT * FROM storesync.csv_confirm($load)");
$second->query_until(qr/sent/, "\\echo sent\nSELECT * FROM storesync.csv_confirm($load);\n");
ok(waits(), 'the second waits');
$first->query('COMMIT');
$second->query('SELECT 1');
like($second->{stderr}, qr/was confirmed already/, 'and finds it done');
$second->{stderr} = '';

# Somebody changes a row while it is being confirmed: that row is left out.
$load = load('sku', file("sku,safety_stock\n007,4\nBIG5,4\n"));
$first->query("BEGIN; UPDATE storesync.sku SET safety_stock = 9 WHERE code = '007'");
$second->query_until(qr/sent/, "\\echo sent\nSELECT * FROM storesync.csv_confirm($load);\n");
ok(waits(), 'a change under way is waited for');
$first->query('COMMIT');
$second->query('SELECT 1');
is(sql("SELECT string_agg(verdict || ' ' || subject, ', ' ORDER BY line) FROM storesync.csv_answer WHERE load_id = $load"), 'error 007, changed BIG5', 'and not written over');
is(sql("SELECT string_agg(safety_stock::text, ' ' ORDER BY code) FROM storesync.sku WHERE code IN ('007', 'BIG5')"), '9 4', 'the others are written');

# Somebody adds the same SKU: nothing is written, and the next look says why.
$load = load('sku', file("sku,safety_stock\nNEW,4\nNEWER,4\n"));
$first->query("BEGIN; SELECT storesync.add_sku('NEW')");
$second->query_until(qr/sent/, "\\set VERBOSITY verbose\n\\echo sent\nSELECT * FROM storesync.csv_confirm($load);\n");
ok(waits(), 'an addition under way is waited for');
$first->query('COMMIT');
$second->query('SELECT 1');
like($second->{stderr}, qr/40001/, 'run it again');
is(sql("SELECT count(*) FROM storesync.sku WHERE code = 'NEWER'"), '0', 'nothing was written');
is(step('again', $load), 'changed|1 new|1', 'judged anew');
is(step('confirm', $load), 'changed|1 new|1', 'and confirmed');

# Two files of one delivery at once: it is booked once.
my ($one, $two) = map { load('receipt', file("sku,qty\n007,10\n"), reference => 'D-9') } 1, 2;
$first->query("BEGIN; SELECT * FROM storesync.csv_confirm($one)");
$second->query_until(qr/sent/, "\\echo sent\nSELECT * FROM storesync.csv_confirm($two);\n");
ok(waits(), 'the second file waits');
$first->query('COMMIT');
$second->query('SELECT 1');
is(sql("SELECT verdict FROM storesync.csv_answer WHERE load_id = $two"), 'same', 'it is the same delivery');
is(sql("SELECT storesync.available('007', 'main')"), '18', 'booked once');
$_->quit foreach $first, $second;

# 100,000 rows. The limit is for a machine that is busy with other work: a quiet one needs a few seconds.
my $many = file(join '', "sku,name,safety_stock\n", map { "M$_,$tea $_," . $_ % 7 . "\n" } 1 .. 100000);
my $took = Storesync->elapsed(sub {
	$load = load('sku', $many);
	is(step('confirm', $load), 'new|100000', '100,000 SKUs');
});
cmp_ok($took, '<', 240, 'in seconds');
is(step('answers', load('sku', $many)), 'same|100000', 'once more: all the same');
$load = load('receipt', file(join '', "sku,qty\n", map { "M$_,3\n" } 1 .. 10000), reference => 'D-10');
is(step('confirm', $load), 'new|10000', 'and receipts');
is(sql("SELECT count(*), sum(on_hand) FROM storesync.stock WHERE sku_id IN (SELECT sku_id FROM storesync.sku WHERE code LIKE 'M%')"), '10000|30000', 'all booked');
$load = load('sku', file("sku\nX\n"));
$page->step('discard', load => $load);
like($page->step('imports'), qr/^$load\|sku\|discarded\|runbook_operator\|runbook_operator\|/, 'who did it');

is(sql('SELECT * FROM storesync.check_invariants()'), '', 'invariants');
$page->done;
$node->stop;
done_testing();
