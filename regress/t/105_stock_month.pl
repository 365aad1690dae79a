# Stock by month is taken from the ledger in portions: killed between them in each phase, beside bookings, and with
# the clock set back. What comes out is what the ledger says, and what making all of it anew says.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $clock = Storesync->library('clock', "$dir/clock.so", "-DCLOCK_FILE=\"$dir/ahead\"");
plan skip_all => 'no C compiler' unless $clock;

# set_clock SECONDS: ahead of the true time
sub set_clock
{
	my ($ahead) = @_;
	append_to_file("$dir/new", $ahead);
	rename "$dir/new", "$dir/ahead" or die "could not set the clock: $!";
	return;
}

my $node = Storesync->cluster('main', -start => 0, 'storesync.databases' => undef);
{
	local $ENV{LD_PRELOAD} = $clock;
	$node->start;
}
# Three months at least: what is done to the first that is whole is not what is done to later ones.
set_clock(-75 * 86400);
Storesync->create($node);

sub sql { return $node->safe_psql('shop', $_[0]); }

# No process makes a pass here but the sessions below.
sql(<<'SQL');
SELECT storesync.ensure_partitions();
INSERT INTO storesync.location (code, sellable) VALUES ('main', true), ('side', true), ('back', false) ON CONFLICT DO NOTHING;
SELECT count(storesync.add_sku('S' || n, NULL, 0, n % 3 = 0)) FROM generate_series(1, 300) n;
CREATE PROCEDURE public.book(moves int) LANGUAGE plpgsql AS $$
DECLARE
	sku text;
	place text;
	q bigint;
BEGIN
	FOR n IN 1..moves LOOP
		sku := 'S' || 1 + floor(random() * 290);
		place := (ARRAY['main', 'main', 'side', 'back'])[1 + floor(random() * 4)];
		q := 1 + floor(random() * 4);
		CASE floor(random() * 6)
			WHEN 0 THEN PERFORM storesync.receive(sku, q, storesync.new_key(), place);
			WHEN 1 THEN PERFORM storesync.adjust(sku, q - 1, storesync.new_key(), place);
			WHEN 2 THEN PERFORM storesync.transfer(sku, q, 'main', 'side', storesync.new_key());
			WHEN 3 THEN
				IF (storesync.reserve(sku, q, storesync.new_key(), place, 'R')).outcome = 'applied' THEN
					PERFORM storesync.ship(sku, q, storesync.new_key(), place, 'R');
				END IF;
			ELSE PERFORM storesync.reserve(sku, q, storesync.new_key(), place);
		END CASE;
		COMMIT;
	END LOOP;
END
$$;
-- what a row says, told so that the moment up to which it is known does not matter
CREATE VIEW public.said AS
SELECT m.sku_id, m.month, m.received, m.shipped, m.returned, m.on_hand, m.available,
	m.stock_seconds - m.on_hand * extract(epoch FROM m.through)::bigint AS stock_seconds,
	m.empty_seconds - (m.available <= 0)::int * extract(epoch FROM m.through)::bigint AS empty_seconds
FROM storesync.sku_month m WHERE m.through IS NOT NULL;
-- seconds with nothing available, of all months together
CREATE VIEW public.empty_differs AS
WITH moment AS (
	SELECT g.sku_id, date_trunc('second', g.recorded_at) AS at, sum(c.sellable::int * (g.on_hand_delta - g.reserved_delta)) AS change
	FROM storesync.ledger g JOIN storesync.location c USING (location_id), storesync.roll_up_stock r
	WHERE g.recorded_at < r.through GROUP BY 1, 2),
stretch AS (
	SELECT m.sku_id, m.at, sum(m.change) OVER w AS available, lead(m.at, 1, r.through) OVER w AS ends
	FROM moment m, storesync.roll_up_stock r WINDOW w AS (PARTITION BY m.sku_id ORDER BY m.at)),
should AS (
	SELECT s.sku_id, coalesce(sum(extract(epoch FROM s.ends - s.at)) FILTER (WHERE s.available <= 0), 0) AS seconds FROM stretch s GROUP BY 1),
have AS (
	SELECT m.sku_id, sum(m.empty_seconds + (m.available <= 0)::int * extract(epoch FROM
		least(r.through, (m.month + interval '1 month')::timestamp AT TIME ZONE 'Asia/Taipei') - m.through)) AS seconds
	FROM storesync.sku_month m, storesync.roll_up_stock r WHERE m.through IS NOT NULL GROUP BY 1)
SELECT sku_id, s.seconds AS should_be, h.seconds FROM should s FULL JOIN have h USING (sku_id) WHERE s.seconds IS DISTINCT FROM h.seconds;
SQL

sub wrong
{
	return sql('SELECT * FROM storesync.invariant_rollup_stock() LIMIT 5');
}

# right WHAT: a pass that has all there is says what the ledger says, and the same as one from the beginning
sub right
{
	my ($what) = @_;
	Storesync->wait_until(
		sub {
			sql('CALL storesync.roll_up()');
			return sql('SELECT r.through > (SELECT max(g.recorded_at) FROM storesync.ledger g WHERE g.recorded_at <= clock_timestamp()) FROM storesync.roll_up_stock r') eq 't';
		},
		'a pass that has taken all');
	is(wrong() . sql('SELECT * FROM public.empty_differs LIMIT 5'), '', "$what: as the ledger says");
	sql('DROP TABLE IF EXISTS public.before; CREATE TABLE public.before AS SELECT * FROM public.said; DELETE FROM storesync.roll_up_stock;'
		  . ' UPDATE storesync.sku_block b SET sums = (SELECT coalesce(storesync.sku_sums(m.sku_id, m.sold, m.amount, m.returned, m.stock_seconds,'
		  . ' m.empty_seconds + 1, m.received, m.shipped, m.on_hand, m.available, m.through), $$$$) FROM storesync.sku_sums_rows(b.block, b.sums) m);'
		  . ' CALL storesync.roll_up()');
	is( sql('(TABLE public.before EXCEPT TABLE public.said) UNION ALL (TABLE public.said EXCEPT TABLE public.before) LIMIT 5'),
		'', "$what: and as made anew");
	return;
}

sub booked
{
	my ($moves) = @_;
	return sql("CALL public.book($moves)");
}

# ---------------------------------------------------------------- killed between portions

foreach my $ahead (-75, -40, 0)
{
	set_clock($ahead * 86400);
	sql('SELECT storesync.ensure_partitions()');
	booked(1000);
}
# the last second is not taken
Storesync->wait_until(sub { sql('SELECT storesync.recorded_through() > max(recorded_at) FROM storesync.ledger') eq 't' }, 'another second');

my %killed;
my $session;
my $steps = 0;
while ($steps < 2000)
{
	$session //= $node->background_psql('shop');
	my $more = $session->query_safe('SELECT storesync.roll_up_stock_step(40)');
	$steps++;
	last if $more eq 'f';
	my ($doing, $last, $part) = split /\|/, sql('SELECT doing, last_sku, upto IS NOT NULL FROM storesync.roll_up_stock');
	my $phase = $last > 0 ? $doing . ($part eq 't' ? ' a part' : '') : $part;
	next if $last == 0 || $killed{$phase}++;
	is(wrong(), '', "what is there holds, killed while it does this: $phase");
	Storesync->crash($node, $session->query_safe('SELECT pg_backend_pid()'));
	eval { $session->quit };
	undef $session;
	is(wrong(), '', "$phase: and after a crash");
}
$session->quit if $session;
is(join(', ', sort keys %killed), 'reset, take a part, turn', 'it was killed in each phase');
right('after crashes');

# ---------------------------------------------------------------- beside bookings

my @busy = map { $node->background_psql('shop') } 1 .. 2;
$_->query_until(qr/begun/, "\\echo begun\nCALL public.book(800);\n") foreach @busy;
my $stepping = $node->background_psql('shop');
my $broken = '';
Storesync->wait_until(
	sub {
		$stepping->query_safe('SELECT storesync.roll_up_stock_step(25)') foreach 1 .. 10;
		$broken ||= wrong();
		return $broken ne '' || sql(q(SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL public.book%' AND state = 'active')) == 0;
	},
	'the end of the bookings');
is($broken, '', 'it holds while others book');
$_->quit foreach @busy, $stepping;
right('beside bookings');

# ---------------------------------------------------------------- a clock that is set back

# by an hour; and by so much that months which have rows lie ahead of it, and months that are over before it
foreach my $back (3600, 36 * 86400)
{
	set_clock(-$back);
	booked(300);
	is(wrong(), '', 'nothing is said of months that lie ahead of the clock');
	right("the clock set back by $back seconds");
	is(sql("SELECT count(*) FROM public.said WHERE month > clock_timestamp() AT TIME ZONE 'Asia/Taipei'"), 0, 'nor afterwards');
	set_clock(0);
	booked(100);
	right('and forward again');
}

Storesync->sound($node);
done_testing();
