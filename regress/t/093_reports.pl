# The reports, read on a standby by a role that may only read: as text, as CSV, and as the page, which is opened in
# Chromium and looked at: what it says, that names are names whatever is in them, and that its charts are drawn.

use strict;
use warnings;
use utf8;

use Cwd qw(abs_path);
use Encode qw(decode_utf8 encode_utf8);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Browser;
use Storesync::Picture;
use Test::More;

my $reports = abs_path(dirname(__FILE__)) . '/../../reports';
# No worker: what is shown is what is said here.
my $node = Storesync->cluster('primary', -streaming => 1, 'storesync.databases' => undef);

# Two months of six shops up to yesterday in Taipei, as it was when the test began; with names in Chinese and one that wants
# to be a script. Roll-ups of so many orders are put in as they are: what they say of the few orders that are there is not
# what this test is about.
$node->safe_psql('shop', encode_utf8(<<'SQL'));
SELECT storesync.ensure_partitions();
CREATE TABLE public.call_log_before (LIKE storesync.call_log INCLUDING ALL);
CREATE TABLE public.push_before (LIKE storesync.push INCLUDING ALL);
DO $$
DECLARE
	today text := (now() AT TIME ZONE 'UTC')::date || ' 00:00:00+00';
BEGIN
	EXECUTE format('ALTER TABLE storesync.call_log ATTACH PARTITION public.call_log_before FOR VALUES FROM (%L) TO (%L)', today::timestamptz - interval '40 days', today);
	EXECUTE format('ALTER TABLE storesync.push ATTACH PARTITION public.push_before FOR VALUES FROM (%L) TO (%L)', today::timestamptz - interval '40 days', today);
END
$$;
CREATE TABLE public.day AS SELECT (now() AT TIME ZONE 'Asia/Taipei')::date - 1 AS last;
SELECT storesync.add_store(v.platform, v.shop, v.name) FROM (VALUES
	('shopee', '1001', '蝦皮旗艦店'), ('shopee', '1002', '蝦皮生活館'), ('shopee', '1003', '<script>document.title=''pwned''</script>'),
	('ruten', '2001', '露天拍賣館'), ('ruten', '2002', '露天 "特賣" & 更多'), ('pchome', '3001', 'PChome 24h 購物')) v (platform, shop, name);
UPDATE storesync.store SET mode = 'live';
SELECT storesync.add_sku('S' || lpad(n::text, 2, '0'), name) FROM (
	SELECT n, (ARRAY['高山烏龍茶 150g', '手工鳳梨酥禮盒', '不鏽鋼保溫瓶 500ml', '無線藍牙耳機', '純棉圓領T恤 (黑 / L)', '日式陶瓷杯', '檜木精油', '<b>bold</b> & "quoted"', '環保購物袋', '兒童雨衣'])[n] AS name
	FROM generate_series(1, 10) n) x;
SELECT storesync.add_sku('S' || n, '商品 ' || n) FROM generate_series(11, 30) n;
UPDATE storesync.sku SET created_at = now() - interval '200 days';
SELECT storesync.add_listing(s.store_id, 'S' || lpad(n::text, 2, '0'), n::text) FROM storesync.store s, generate_series(1, 30) n WHERE (n + s.store_id) % 4 > 0;
SELECT storesync.receive('S' || lpad(n::text, 2, '0'), 40 + n * n % 37 * 12, storesync.derive_key(now(), 'in', n::text)) FROM generate_series(1, 30) n;
DO $$
BEGIN
	FOR n IN 1 .. 400 LOOP
		PERFORM storesync.ingest_order(1 + n % 6, jsonb_build_object('order_sn', 'O' || lpad(n::text, 5, '0'), 'create_time', at, 'update_time', at,
			'status', (ARRAY['ready_to_ship', 'shipped', 'completed', 'completed', 'cancelled'])[1 + n * n % 5], 'currency', 'TWD', 'lines', jsonb_build_array(
			jsonb_build_object('line_id', '1', 'sku', 'S' || lpad((1 + (n * n / 7) % 20)::text, 2, '0'), 'qty', 1 + n % 3, 'unit_price', 90 + n % 17 * 35))))
		FROM (SELECT now() - interval '1 hour' * n AS at) x;
	END LOOP;
	PERFORM storesync.ingest_order(1, jsonb_build_object('order_sn', 'SHORT1', 'create_time', now() - interval '2 hours', 'update_time', now(),
		'status', 'ready_to_ship', 'currency', 'TWD', 'lines', '[{"line_id":"1","sku":"S02","qty":900,"unit_price":480}]'::jsonb));
END
$$;
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
SELECT listing_id, 5, 1, storesync.current_incarnation(), now() - interval '1 hour', now() - interval '1 hour' FROM storesync.listing WHERE listing_id % 23 = 0;
INSERT INTO storesync.listing_shown (listing_id, acked_qty, acked_version, acked_incarnation, sent_at, written_at)
SELECT t.listing_id, t.wanted, t.version, storesync.current_incarnation(), now(), now() FROM storesync.listing_target t WHERE t.listing_id % 23 > 0;
INSERT INTO storesync.sales_day
SELECT s.store_id, d.last - n, x.orders, x.orders * 3 / 2, x.orders * (41230 + s.store_id * 977), x.orders / 19, x.orders / 17, x.orders / 29
FROM day d, storesync.store s, generate_series(0, 59) n,
	LATERAL (SELECT ((900 / s.store_id) * (1 + 0.25 * sin(n * 0.9) + CASE WHEN n = 11 THEN 1.6 WHEN n % 7 IN (1, 2) THEN 0.3 ELSE 0 END))::bigint AS orders) x;
INSERT INTO storesync.sales_hour
SELECT s.store_id, ((d.last - n)::timestamp + h * interval '1 hour') AT TIME ZONE 'Asia/Taipei', x.orders, x.orders * 3 / 2, x.orders * 41230
FROM day d, storesync.store s, generate_series(0, 29) n, generate_series(0, 23) h,
	LATERAL (SELECT ((900 / s.store_id) / 24.0 * (1.05 - cos(h / 24.0 * 6.283 - 0.6) + CASE WHEN h BETWEEN 20 AND 22 THEN 0.9 ELSE 0 END) * (1 + 0.2 * sin(n + h)))::bigint AS orders) x;
SELECT count(storesync.ingest_visits(s.store_id, d.last - n, 900 / s.store_id * (25 + 4 * s.store_id) + n * 31))
FROM day d, storesync.store s, generate_series(0, 29) n WHERE s.store_id <> 6;
INSERT INTO storesync.delay_day
SELECT p.platform, d.last - n, p.stage, storesync.delay_histogram((p.base * exp(1.1 * sqrt(-2 * ln((i - 0.5) / 200)) * cos(6.283 * i * 0.618)) * (1 + 0.3 * sin(n)))::bigint)
FROM day d, (VALUES ('shopee', 'booked', 1900), ('shopee', 'pushed', 3400), ('ruten', 'booked', 5200), ('ruten', 'pushed', 7900), ('pchome', 'booked', 11000), ('pchome', 'pushed', 13500)) p (platform, stage, base),
	generate_series(0, 29) n, generate_series(1, 200) i GROUP BY p.platform, d.last, n, p.stage;
INSERT INTO storesync.call_log (at, store_id, call, class, items, total_us)
SELECT (d.last - n)::timestamp AT TIME ZONE 'Asia/Taipei' + i * interval '6 minutes', s.store_id, 'push_stock',
	CASE WHEN (i * 7 + n + s.store_id) % 61 = 0 THEN 'throttled' WHEN (i * 3 + n * n) % 97 = 0 THEN 'later' ELSE 'ok' END::storesync.outcome_class, 1, 120000
FROM day d, storesync.store s, generate_series(0, 29) n, generate_series(0, 200) i;
INSERT INTO storesync.push (at, listing_id, store_id, qty, version, changed_at, sent_at, class)
SELECT x.at, i, s.store_id, 1, 1, x.at - i * interval '17 ms', x.at, 'ok'
FROM day d, storesync.store s, generate_series(1, 50) i, LATERAL (SELECT d.last::timestamp AT TIME ZONE 'Asia/Taipei' + i * interval '10 minutes' AS at) x;
INSERT INTO storesync.sku_block
SELECT k.sku_id / 32, m.month, storesync.sku_sums(k.sku_id, (40 - k.sku_id) * 9, 0, 0, k.sku_id * 100000000, CASE WHEN k.sku_id % 4 = 0 THEN k.sku_id * 9000 ELSE 0 END, 300, (40 - k.sku_id) * 9, k.sku_id % 3, k.sku_id % 3,
	(m.month + interval '1 month')::timestamp AT TIME ZONE 'Asia/Taipei')
FROM storesync.sku k, day d, generate_series(0, 3) n, LATERAL (SELECT (date_trunc('month', d.last) - n * interval '1 month')::date AS month) m GROUP BY 1, 2;
CREATE ROLE clerk LOGIN;
SELECT storesync.grant_role('clerk', 'reporter');
SQL

$node->backup('copy');
my $replica = PostgreSQL::Test::Cluster->new('replica');
$replica->init_from_backup($node, 'copy', has_streaming => 1);
$replica->append_conf('postgresql.conf', 'hot_standby_feedback = off');
$replica->start;
$node->wait_for_catchup($replica, 'replay', $node->lsn('insert'));
my ($since, $until) = split /\|/, $replica->safe_psql('shop', 'SELECT last - 29, last FROM public.day');

# report FILE, VARIABLE => VALUE...: exit status, output and errors of it on the standby, in Chinese
sub report
{
	my ($file, %variable) = @_;
	my @command = ('psql', '-X', '-h', $replica->host, '-p', $replica->port, '-U', 'clerk', '-d', 'shop',
		(map { ('-v', encode_utf8("$_=$variable{$_}")) } sort keys %variable), '-f', "$reports/$file");
	my ($out, $err) = ('', '');

	# whatever the terminal's encoding is said to be
	local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
	IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	return ($? >> 8, decode_utf8($out), decode_utf8($err));
}

# ---------------------------------------------------------------- text

my %period = (since => $since, until => $until);
my @file = grep { !/^(?:common|page|night)\.sql$/ } map { /([^\/]+)$/ } sort glob "$reports/*.sql";
is("@file", 'all.sql calls.sql conversion.sql cross_store.sql delay.sql listings.sql sales.sql stock.sql today.sql turnover.sql', 'the reports');
foreach my $file (@file, 'night.sql')
{
	my ($status, $out, $err) = report($file, $file eq 'night.sql' ? () : %period);
	is("$status $err", '0 ', "$file: on the standby, by a reporter");
	like($out, qr/蝦皮旗艦店|商品 11|高山烏龍茶|shopee/, "$file says something") unless $file eq 'night.sql';
	next if $file eq 'night.sql';
	($status, $out, $err) = report($file, %period, format => 'csv');
	is("$status $err", '0 ', "$file: as CSV");
	unlike($out, qr/^\s*-+\+|\(\d+ rows?\)/m, "$file: of which every line is one");
}

my $text = (report('sales.sql', %period, part => 'stores'))[1];
is($text =~ s/\d{4}-\d\d-\d\d/DAY/gr =~ s/ +$//gmr, <<'TEXT', 'sales by store: as text');
                                                     Sales by store, DAY to DAY
 platform |                  store                  | orders | units  |    amount     | currency | cancelled | cancelled % | returned | returned %
----------+-----------------------------------------+--------+--------+---------------+----------+-----------+-------------+----------+------------
 pchome   | PChome 24h 購物                         |  5,176 |  7,755 |  2,437,481.92 | TWD      |       254 |         4.7 |      161 |        2.1
 ruten    | 露天拍賣館                              |  7,766 | 11,641 |  3,505,417.08 | TWD      |       392 |         4.8 |      247 |        2.1
 ruten    | 露天 "特賣" & 更多                      |  6,214 |  9,314 |  2,865,586.10 | TWD      |       314 |         4.8 |      201 |        2.2
 shopee   | 蝦皮旗艦店                              | 31,063 | 46,587 | 13,110,760.41 | TWD      |     1,621 |         5.0 |    1,059 |        2.3
 shopee   | 蝦皮生活館                              | 15,534 | 23,294 |  6,708,202.56 | TWD      |       802 |         4.9 |      519 |        2.2
 shopee   | <script>document.title='pwned'</script> | 10,357 | 15,528 |  4,573,754.77 | TWD      |       527 |         4.8 |      341 |        2.2
(6 rows)

TEXT
is((report('conversion.sql', %period, part => 'stores', platform => 'ruten', format => 'csv'))[1], <<'TEXT', 'conversion of a platform: as CSV');
platform,store,orders,days_with_visits,visits,conversion %
ruten,露天拍賣館,7766,30,290235,2.68
ruten,"露天 ""特賣"" & 更多",6214,30,256485,2.42
TEXT
$text = (report('cross_store.sql', store => '蝦皮生活館', top => 3))[1];
is($text =~ s/ +$//gmr, <<'TEXT', 'cross-store matrix of one store');
Units sold in 30 days, by SKU and store
         sku         | 蝦皮生活館 (2)
---------------------+----------------
 S01 高山烏龍茶 150g |             16
 S12 商品 12         |             16
 S04 無線藍牙耳機    |             14
(3 rows)

TEXT
$text = (report('sales.sql', since => $until, until => $until, part => 'days', platform => 'pchome', format => 'csv'))[1];
is(scalar(my @line = split /\n/, $text), 2, 'a day alone: a header and a row');

# What is no value says so, and ends with status 3.
my @wrong = (
	[ 'sales.sql', [ store => 'nowhere' ], qr/no store has the id, name or shop_id "nowhere"/ ],
	[ 'sales.sql', [ store => "x'; DROP TABLE" ], qr/no store has the id, name or shop_id "x'; DROP TABLE"/ ],
	[ 'delay.sql', [ platform => 'ebay' ], qr/no store is on platform "ebay"/ ],
	[ 'calls.sql', [ since => 'then' ], qr/invalid input syntax for type date: "then"/ ],
	[ 'stock.sql', [ since => '2026-02-02', until => '2026-02-01' ], qr/since \(2026-02-02\) is after until \(2026-02-01\)/ ],
	[ 'stock.sql', [ part => 'stores' ], qr/unknown part: "stores"\n.*HINT:  Parts are all, out, forecast, dead/ ],
	[ 'turnover.sql', [ format => 'html' ], qr/unknown format: "html"/ ],
	[ 'all.sql', [ top => 0 ], qr/top is 0, and must be from 1 to 1000/ ]);
foreach my $wrong (@wrong)
{
	my ($status, $out, $err) = report($wrong->[0], @{ $wrong->[1] });
	is($status, 3, "@{ $wrong->[1] }: refused");
	like($err, $wrong->[2], 'and said why');
	is($out, '', 'and nothing else');
}

# ---------------------------------------------------------------- page

my $dir = PostgreSQL::Test::Utils::tempdir();

# page NAME, VARIABLE => VALUE...: the page's file, made on the standby
sub page
{
	my ($name, %variable) = @_;
	my $file = "$dir/$name.html";

	local %ENV = (%ENV, PGHOST => $replica->host, PGPORT => $replica->port, PGUSER => 'clerk', PGDATABASE => 'shop',
		map { (uc $_ => encode_utf8($variable{$_})) } keys %variable);
	is(system($^X, "$reports/page", $file), 0, "page $name is made");
	return $file;
}

my $file = page('all', %period);
my $html = decode_utf8(slurp_file($file));
unlike($html, qr/<script|<b>bold|\bon\w+=|javascript:/i, 'no name is more than a name');
unlike($html, qr/\b(?:src|href|action)\s*=\s*"(?!#)|\burl\s*\(|\@import|https?:/i, 'nothing comes from elsewhere');
unlike($html, qr/\bNaN\b|\binf\b|HASH\(0x/i, 'every figure is one');
my $empty = page('empty', since => '2001-01-01', until => '2001-01-30');
my $bare = slurp_file($empty);
cmp_ok(scalar(my @none = $bare =~ /no data/g), '>=', 8, 'a period without anything: that there is no data');
my $one = decode_utf8(slurp_file(page('one', store => '露天拍賣館', since => $until, until => $until)));
like($one, qr/露天拍賣館, 1 store</, 'a page of one store and day');
unlike($one, qr{\b1 (?:store|day)s|mean of|蝦皮生活館|PChome 24h}, 'speaks of no other');
{
	local %ENV = (%ENV, PGHOST => $replica->host, PGPORT => $replica->port, PGUSER => 'clerk', PGDATABASE => 'shop', STORE => 'nowhere');
	is(system("'$^X' '$reports/page' '$dir/nothing.html' 2>/dev/null") >> 8, 3, 'a wrong variable: psql said so');
	ok(!-e "$dir/nothing.html", 'and no page is made');
}

SKIP:
{
	skip 'chromium and chromium-driver are not installed (deploy/setup does that): no page is looked at', 1 unless Storesync::Browser->installed;
	my $browser = Storesync::Browser->start($dir);

	$browser->size(1200, 900);
	$browser->open("file://$file");
	my $said = $browser->text;
	my $title = "Stores, $since to $until";
	is($browser->title, $title, 'the page is opened, and no name has run');
	foreach my $name ('蝦皮旗艦店', '露天 "特賣" & 更多', 'PChome 24h 購物', q(<script>document.title='pwned'</script>), '高山烏龍茶 150g', '<b>bold</b> & "quoted"')
	{
		like($said, qr/\Q$name\E/, "it says $name");
	}
	like($said, qr/The roll-ups are not made yet/, 'and that nobody has rolled up here');
	# the figures of the day, summed up from the tables themselves
	my ($orders, $units, $amount) = split /\|/, $node->safe_psql('shop',
		"SELECT to_char(sum(orders), 'FM9,999,999'), to_char(sum(units), 'FM9,999,999'), to_char(sum(amount) / 100, 'FM999,999,999') FROM storesync.sales_day WHERE day = '$until'");
	like($said, qr/Sales\nNT\$\x{a0}$amount\n/, "sales: $amount");
	like($said, qr/Orders\n$orders\n/, "orders: $orders");
	like($said, qr/Units\n$units\n/, "units: $units");
	like($said, qr/Conversion\n[\d.]+\x{a0}%\n/, 'conversion');
	like($said, qr/Lines waiting for stock\n[1-9]/, 'lines that wait');

	# whether a chart has its marks in the picture of it: enough of every colour that they have
	my $drawn = sub {
		my ($svg) = @_;
		my $picture = Storesync::Picture->new($browser->picture($svg));
		my @color = @{ $browser->run('return [...new Set([...arguments[0].querySelectorAll(".bar, .line")].map(e => e.getAttribute("fill") || e.getAttribute("stroke")))]', $svg) };
		return @color && !grep { $picture->count($_) < 40 } @color;
	};
	foreach my $width (1200, 375)
	{
		$browser->size($width, 900);
		cmp_ok($browser->run('return document.documentElement.scrollWidth'), '<=', $width, "at $width px it is as wide as the screen");
		my @svg = @{ $browser->run('return [...document.querySelectorAll("figure > svg")].filter(e => e.getClientRects().length)') };
		is(scalar @svg, 8, 'with its charts');
		my $least = $browser->run('return Math.min(...arguments[0].map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width))', \@svg);
		cmp_ok($least, '>', 0.85, 'whose text is as large as other text');
		# all of them where they are small, one where they are large
		my @looked = $width == 375 ? @svg : $svg[0];
		my @blank = grep { !$drawn->($_) } @looked;
		is(scalar @blank, 0, 'which are drawn: ' . scalar @looked);
	}
	my $bars = $browser->run('return [...document.querySelectorAll(".meter .bar")].filter(e => e.getBoundingClientRect().width < 1 || e.getBoundingClientRect().height < 5).length');
	is($bars, 0, 'and every bar of a table');

	# This would see a chart that is not: one without its marks, and one in which they are all there and cannot be seen.
	my ($first) = @{ $browser->run('return [...document.querySelectorAll("svg.narrow")]') };
	$browser->run('arguments[0].querySelectorAll(".bar").forEach(e => e.setAttribute("y", "-500"))', $first);
	ok(!$drawn->($first), 'a chart whose bars are elsewhere counts as blank');
	$browser->run('arguments[0].querySelectorAll(".bar, .line").forEach(e => e.remove())', $first);
	ok(!$drawn->($first), 'and one without any');

	$browser->open("file://$empty");
	is($browser->run('return document.querySelectorAll("figure > svg").length'), 0, 'without data there are no empty axes');
	like($browser->text, qr/no data/, 'but words');
}

done_testing();
