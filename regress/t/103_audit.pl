# A wrong import undone by docs/runbook/undo-an-import.md: prices that have reached the shop come back, quantities that the
# breaker holds never leave, and what somebody has mended since stays. Who did it, by docs/runbook/audit.md.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Storesync::Runbook;
use Test::More;

my $sim = Storesync->simulator(catalogue => Storesync->catalogue(shops => 2, skus => 4, units => 60), rate => 0);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => '10ms');
my $store = Storesync->load($node, $sim, rate_limit => '100/s burst 20', shown => 1);
my $one = $store->{1001};

sub sql { return $node->safe_psql('shop', $_[0]); }
sub listing { return sql("SELECT listing_id FROM storesync.listing WHERE store_id = $one AND item_id = '$_[0]'"); }

# asked: what the first shop asks for its four items
sub asked
{
	my %price = map { $_->{item_id} => $_->{shopee}{price} } grep { $_->{shop_id} eq '1001' } @{ $sim->get('offers')->{listings} };
	return join ' ', map { $price{$_} + 0 } 1 .. 4;
}

# comes WANTED: a test that the shop comes to ask these prices
sub comes
{
	my ($wanted, $what) = @_;
	Storesync->wait_until(sub { asked() eq $wanted }, $what);
	return is(asked(), $wanted, $what);
}

# as OPERATOR, SQL: by a login of his own
sub as
{
	my ($login, $sql) = @_;
	my $out = '';
	is($node->psql('shop', $sql, stdout => \$out, extra_params => [ '-U', $login ]), 0, "$login: done");
	return $out;
}

# what was never acknowledged would not count
sql("UPDATE storesync.listing SET price = 100, buffer = 1");
comes('100 100 100 100', 'the right prices');
Storesync->converged($node, $sim, 'all is shown at first');
Storesync->query_until($node, 'SELECT count(*) FROM storesync.listing_status WHERE acked_qty = 59', 8, 'and acknowledged');
sql('UPDATE storesync.store SET breaker_least = 2, breaker_share = 0.2');
sql("CREATE ROLE $_ LOGIN; SELECT storesync.grant_role('$_', 'operator')") foreach qw(anna ben);

# Anna's import: two listings held by nothing would sell at 1, and all of the store's show less.
my $since = sql('SELECT clock_timestamp()');
my $import = as('anna', "BEGIN; SELECT pg_current_xact_id(); UPDATE storesync.listing SET price = 1, buffer = 50 WHERE store_id = $one; COMMIT");
comes('1 1 1 1', 'the wrong prices are in the shop');
Storesync->query_until($node, "SELECT count(*) FROM storesync.breaker WHERE store_id = $one", 1, 'the breaker holds the quantities');
my ($first, $second) = (listing(1), listing(2));
as('ben', "UPDATE storesync.listing SET price = 90 WHERE listing_id = $second");

my $page = Storesync::Runbook->open($node, 'shop', 'undo-an-import');
my %value = (since => $since, transaction => $import, store => $one);
like($page->step('find', %value), qr/^$import\|[^|]+\|anna\|[^|]*\|4\|update listing$/m, 'the import is found');
is($page->step('look', %value), join("\n", 'back|listing|buffer|4|50|1', 'back|listing|price|3|1|100', 'changed|listing|price|1|1|100'), 'what would be set back');
like($page->step('stays', %value), qr/^listing $second\|price\|1\|90\|100\|changed\|by ben at [^\n]+$/, 'what stays, and because of whom');
is(asked() =~ s/90/1/r, '1 1 1 1', 'nothing has changed by looking');
is($page->step('undo', %value), "back|7\nchanged|1", 'undone');
like($page->step('breaker', %value), qr/^$one\|/, 'the breaker is open');
like($page->step('release', %value), qr/^\d+$/, 'and let go');
comes('100 90 100 100', 'the prices are back, but for the one that was mended');
Storesync->wait_until(sub { $page->step('follow', %value) eq '' }, 'the shop follows');
is($page->step('follow', %value), '', 'nothing waits any more');
is(join(' ', map { $sim->stock(1001, $_) } 1 .. 4), '59 59 59 59', 'and shows all it has');
my ($refused, $error) = $page->refused('undo', %value);
like($error, qr/nothing is left to undo of transaction $import/, 'once more is refused');

# The undo undone, and that as well.
like($page->step('undone', %value), qr/^(\d+)\|[^|]+\|runbook_operator\|transaction $import\|7$/, 'the undo is in the audit');
my ($undo) = $page->step('undone', %value) =~ /^(\d+)/;
is($page->step('redo', %value, again => $undo), 'back|7', 'undone');
is(sql("SELECT string_agg(concat_ws('/', trim_scale(price), buffer), ' ' ORDER BY listing_id) FROM storesync.listing WHERE store_id = $one"), '1/50 90/50 1/50 1/50', 'as imported');
is($page->step('undo', %value), "back|7\nchanged|1", 'and set back again');
$page->done;

# Who was it?
my $audit = Storesync::Runbook->open($node, 'shop', 'audit');
%value = (%value, item => 2, model => '', listing => $second, login => 'anna');
like($audit->step('listing', %value), qr/^$second\|S2\|90\|t\|t$/, 'the listing');
like($audit->step('price', %value), qr/^[^|]+\|anna\|[^|]*\|update\|100\|1\|$import\n[^|]+\|ben\|[^|]*\|update\|1\|90\|\d+$/, 'who changed its price');
like($audit->step('all', %value), qr/\|ben\|update\|\{"price": 1\}\|\{"price": 90\}/, 'all about it');
is($audit->step('together', %value), 'update|listing|4', 'what came with it');
like($audit->step('else', %value), qr/^[\d-]+\|update\|listing\|4\|1$/, 'what else she changed');
as('ben', "SELECT storesync.pause($one)");
like($audit->step('switches', %value), qr/\|ben\|update\|\{"paused": false\}\|\{"paused": true\}$/, 'who paused the store');
$audit->done;

Storesync->sound($node);
$node->stop;
done_testing();
