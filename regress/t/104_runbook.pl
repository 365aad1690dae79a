# The runbook: what its pages and its index promise, and those of its pages that no other test does: a new shop, credentials,
# the night's run, an application, reports on a standby, and what is done after a restore. Each as the role that it names.

use strict;
use warnings;

use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

# ---------------------------------------------------------------- what the pages promise

my @page = map { m{([^/]+)\.md$} } sort glob 'docs/runbook/*.md';
my $index = slurp_file('docs/runbook.md');
my $tests = join '', map { slurp_file($_) } glob 'regress/t/*.pl';
my %text = map { $_ => slurp_file($_) } 'docs/runbook.md', 'docs/alarms.md', map { "docs/runbook/$_.md" } @page;

# anchors FILE: its headings as links name them
sub anchors
{
	return map { lc(s/[^\w\s-]//gr) =~ s/ /-/gr } slurp_file($_[0]) =~ /^#+ +(.*?) *$/mg;
}

foreach my $page (@page)
{
	my $text = $text{"docs/runbook/$page.md"};
	my ($values) = $text =~ /^```sql values\n(.*?)^```$/ms;
	my %set = map { $_ => 1 } ($values // '') =~ /^\\set (\w+)/mg;
	my %used = map { $_ => 1 } map { /(?<![:\w]):['"]?([a-z_]+)/g } $text =~ /^```sql (?!values\n)[\w-]+\n(.*?)^```$/msg;

	like($index, qr{\]\(runbook/\Q$page\E\.md\)}, "$page: in the index");
	like($text, qr/^Role: `(operator|application|reporter)`\.$/m, "$page: names a role");
	like($tests, qr/Runbook->open\([^()]*'\Q$page\E'\)/, "$page: is done by a test");
	is(join(' ', grep { !$set{$_} } sort keys %used), '', "$page: each variable has an example");
	unlike($text, qr/^[ \t]+```/m, "$page: no block is indented, where no test would find it");
}
foreach my $file (sort keys %text)
{
	my ($folder) = $file =~ m{^(.*/)};
	foreach my $link ($text{$file} =~ /\]\(([^()]+)\)/g)
	{
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $file : "$folder$path";
		ok(-e $target && (!defined $anchor || grep { $_ eq $anchor } anchors($target)), "$file: $link leads somewhere");
	}
}
# So do the other pages' links to pages, and the one about tests names each that there is.
my %place = map { $_ => { map { $_ => 1 } '', anchors($_) } } glob 'docs/*.md docs/runbook/*.md';
foreach my $file (glob 'docs/*.md')
{
	my @astray = grep {
		my ($path, $anchor) = /^([^#]*)#?(.*)$/;
		!$place{ $path eq '' ? $file : "docs/$path" }{$anchor}
	} slurp_file($file) =~ /\]\(((?:[\w\/-]+\.md)?(?:#[^()\s]+)?)\)/g;
	is("@astray", '', "$file: its links lead somewhere");
}
my %told = map { $_ => 1 } slurp_file('docs/testing.md') =~ /\b\d{3}_\w+/g;
is(join(' ', sort keys %told), join(' ', sort map { m{([^/]+)\.pl$} } glob 'regress/t/*.pl'), 'the page about tests names each');

# ---------------------------------------------------------------- a shop, one more, and its clerks

my $secrets = PostgreSQL::Test::Utils::tempdir_short();
my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 3, skus => 4, units => 40), rate => 100);
my $node = Storesync->cluster('main', -streaming => 1, 'storesync.instance_name' => 'shop-main', 'storesync.secret_directory' => $secrets);
my $known = Storesync->load($node, $sim, rate_limit => '50/s', without => 1003);
my ($one, $two) = @$known{ 1001, 1002 };

sub sql { return $node->safe_psql('shop', $_[0]); }
sub secret { my ($name, $value) = @_; unlink "$secrets/$name"; append_to_file("$secrets/$name", $value); return "file:$name"; }
sub until_like { my ($code, $pattern, $what) = @_; return ok(Storesync->wait_until(sub { $code->() =~ $pattern }, $what), $what); }

my $new = Storesync::Runbook->open($node, 'shop', 'new-store');

# What a page names is there, and an operator may use it; who may do what is the owner's.
foreach my $file (sort keys %text)
{
	my %named = map { $_ => 1 } $text{$file} =~ /(?<![\w\/])storesync(?:_report)?\.(\w+)/g, $text{$file} =~ /`(\w+)\([^`]*\)`/g;
	my $names = join ', ', map { "'$_'" } sort keys %named;
	is(sql(<<"SQL"), '', "$file: what it names is there");
SELECT x.name FROM unnest(ARRAY[$names]::text[]) AS x (name)
WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.proname = x.name AND (x.name IN ('grant_role', 'revoke_role')
		OR has_schema_privilege('runbook_operator', p.pronamespace, 'USAGE') AND has_function_privilege('runbook_operator', p.oid, 'EXECUTE')))
	AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = x.name AND c.relnamespace IN ('storesync'::regnamespace, 'storesync_report'::regnamespace)
		AND has_table_privilege('runbook_operator', c.oid, 'SELECT'))
	AND NOT EXISTS (SELECT FROM pg_settings s WHERE s.name = 'storesync.' || x.name)
SQL
}

is($new->step('may-send', platform => 'shopee'), 't', 'the platform may be called');
my $three = $new->step('add', platform => 'shopee', shop => '1003', name => 'Gift shop', limit => '50/s');
my (undef, $again) = $new->refused('add', platform => 'shopee', shop => '1003', name => 'Gift shop', limit => '50/s');
like($again, qr/already|duplicate/, 'a shop is added once');
is($new->step('missing', store => $three), '{access_token,refresh_token}', 'what it needs');
my $back = HTTP::Tiny->new(max_redirect => 0, no_proxy => ['127.0.0.1'])
  ->get($new->step('consent', platform => 'shopee', redirect => 'https://erp.example.com/shopee') . '&shop_id=1003&days=30');
my ($code) = ($back->{headers}{location} // '') =~ /code=(\w+)/;
my $task = $new->step('exchange', store => $three, code => secret('gift.code', $code));
until_like(sub { $new->step('exchanged', task => $task) }, qr/^done\|/, 'the code is exchanged');
$new->step('clock', store => $three);
until_like(sub { $new->step('works', store => $three) }, qr/\AGift shop\|live\|\|\d\d:\d\d:\S+\z/, 'its orders are fetched, and health() is content');
$new->done;
sql("SELECT storesync.add_listing($three, 'S' || n, n::text) FROM generate_series(1, 4) n");
Storesync->converged($node, $sim);

my $keys = Storesync::Runbook->open($node, 'shop', 'credentials');
my @of = (platform => 'shopee', name => 'partner_key', store => $one, store_name => 'access_token');
my ($right) = $sim->catalogue->{app}{partner_key};
my (undef, $nothing) = $keys->refused('application', @of, file => 'file:nothing');
unlike($nothing, qr/\Q$right\E/, 'no error shows a value');
$keys->step('application', @of, file => secret('shopee.key', 'anotherKey'));
sql(q(UPDATE storesync.store SET poll_interval = '500 ms'));
until_like(sub { join '', map { /\|ok$/ ? '+' : '-' } split /\n/, $keys->step('used', @of) }, qr/\A---\z/, 'a wrong key is seen');
$keys->step('application', @of, file => secret('shopee.key', $right));
my $pair = $sim->post('authorize', { shop_id => '1001' });
sql("SELECT storesync.set_credential($one, 'refresh_token', '$pair->{refresh_token}')");
$keys->step('store', @of, file => secret('shop.token', $pair->{access_token}));
until_like(sub { join '', map { /\|\|.*\|ok$/ ? '+' : '-' } split /\n/, $keys->step('used', @of) }, qr/\A\+\+\+\z/, 'with the right ones all stores are called again');
like($keys->step('who'), qr/runbook_operator/, 'the audit names who set it');
unlike($keys->step('who'), qr/\Q$right\E|\Q$pair->{access_token}\E/, 'and not the value');
$keys->done;

# ---------------------------------------------------------------- an application

my $application = Storesync::Runbook->open($node, 'shop', 'application');
my $now = sql('SELECT now()');
my @paper = (sku => 'S1', at => $now, slip => 'DN-4711', reference => 'phone order 12', store => $two, order => 'WEB-1', line => '1', rma => 'RMA-7',
	order_time => $now);
foreach my $answer ([ receive => '52|0|52' ], [ reserve => '52|2|50' ], [ ship => '51|1|50' ], [ release => '51|0|51' ])
{
	my ($block, $balance) = @$answer;
	like($application->step($block, @paper), qr/^applied\|\Q$balance\E\|/, "$block is booked");
	like($application->step($block, @paper), qr/^replayed\|\Q$balance\E\|/, "$block again is not");
}
like($application->step('order', @paper), qr/^WEB-1\|applied\|/, 'an order is booked');
like($application->step('order', @paper), qr/^WEB-1\|unchanged\|/, 'and once');
like($application->step('return', @paper), qr/^applied\|50\|0\|50\|/, 'goods come back');
is($application->step('available', @paper), '50', 'as available() says');
until_like(sub { $application->step('budget', @paper) }, qr/\A00:00:00\z/, 'a call is granted');
my (undef, $denied) = $application->refused('forbidden', @paper);
like($denied, qr/permission denied for table sku/, 'the catalogue is not an application\'s');
$application->done;

# ---------------------------------------------------------------- the night

my $night = Storesync::Runbook->open($node, 'shop', 'night');
like($night->step('plan'), qr/^compensate\|.*\nmaintain\|/, 'what should be called');
my (undef, $no_cron) = $night->refused('schedule');
like($no_cron, qr/pg_cron/, 'without pg_cron it says so (081_job has it)');
Storesync->converged($node, $sim);
foreach my $item (2, 3)
{
	$sim->post('shown', { shop_id => '1001', item_id => "$item", model_id => '0', stock => 400 });
}
$night->step('now', store => $one);
is(join(',', map { (split /\|/)[1, 5, 6] } split /\n/, $night->step('drift')), 'proposed,40,400,proposed,40,400', 'two differences are proposed');
my ($drift, $wrong) = split /\n/, sql("SELECT drift_id FROM storesync.drift_status ORDER BY sku");
my $report = $night->step('report');
like($report, qr/confirm_drift\($drift\)/, 'the report has the call that settles it');
$night->step('confirm', drift => $drift);
$night->step('reject', wrong => $wrong);
until_like(sub { $sim->stock(1001, 2, 0) }, qr/\A40\z/, 'the shop shows what is wanted');
is($sim->stock(1001, 3, 0), 400, 'and what is meant to be');
my @dead = split /\n/, sql(<<"SQL");
INSERT INTO storesync.compensation (store_id, listing_id, call, class, reason)
SELECT store_id, listing_id, 'update_stock', 'permanent', 'refused by the test' FROM storesync.listing WHERE store_id = $two ORDER BY listing_id LIMIT 2
RETURNING compensation_id
SQL
is(scalar(my @row = $night->step('given-up') =~ /refused by the test/g), 2, 'work that was given up');
$night->step('requeue', dead => $dead[0]);
$night->step('discard', hopeless => $dead[1]);
my (undef, $settled) = $night->refused('requeue', dead => $dead[0]);
like($settled, qr/$dead[0]/, 'what is settled is not settled twice');
is($night->step('given-up'), '', 'nothing is left');
like($night->step('last'), qr/^reconciliation\|/, 'when it ran last');
$night->done;
Storesync->sound($node);

# ---------------------------------------------------------------- reports on a standby, and another life

my $reports = Storesync::Runbook->open($node, 'shop', 'reports');
sql('CALL storesync.roll_up()');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$reports->{node} = $standby;
my @days = (since => '2020-01-01', until => '2100-01-01');
like($reports->step('age'), qr/^t\|/, 'on a standby');
like($reports->step('rolled'), qr/\|t$/, 'roll-ups are complete');
like($reports->step('sales'), qr/Sales by store/, 'sales');
like($reports->step('all'), qr/Sales by store/, 'all of it');
like($reports->step('figure', @days), qr/\|1\|2\|200\.00$/m, 'one figure');
my (undef, $reader) = $reports->refused('forbidden');
like($reader, qr/permission denied/, 'nothing is written');
$reports->done;
$standby->stop;

# The server is lost, and what its backup has is started in its place.
my $restore = Storesync::Runbook->open($node, 'shop', 'restore');
$node->backup('night');
$node->stop;
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'night');
unlink $copy->data_dir . '/standby.signal';
$copy->start;
$restore->{node} = $copy;
like($restore->step('waiting'), qr/^instance shopee\|degraded\|/m, 'nothing is sent');
is($restore->step('whole'), '', 'it is whole');
like($restore->step('books'), qr/^[^|]+\|[^|]+\|[^|]+$/, 'how far the books go');
my (undef, $other) = $restore->refused('confirm', instance => 'another');
like($other, qr/not called "another"/, 'another name confirms nothing');
like($restore->step('waiting'), qr/^instance shopee\|degraded\|/m, 'it still waits');
$restore->step('confirm', instance => 'shop-main');
until_like(sub { $restore->step('waiting') }, qr/\A\z/, 'it goes on');
until_like(sub { $restore->step('authorised') }, qr/\A\z/, 'every token is tried');
until_like(sub { join '', map { /\|\|[^|]+\|00:00:0/ ? '+' : '-' } split /\n/, $restore->step('orders') }, qr/\A\+\+\+\z/, 'orders are fetched');
until_like(sub { $restore->step('listings') }, qr/\Aok\|11\nproposed\|1\z/, 'every listing is written once more, but what was left as it is');
is($restore->step('held'), '', 'nothing is held');
$restore->step('compare', store => $one);
$restore->done;
Storesync->sound($copy);
$copy->stop;
done_testing();
