# Notifications all the way: the simulator sends them over HTTP to nginx, which
# passes them to the receiver, which makes one SQL call of each. With a poll an
# hour away orders come by them alone; duplicates, disorder and a receiver that is
# away change nothing, lost ones come back, a promotion's lock becomes an allotment.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Spec;
use HTTP::Tiny;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Storesync;
use Test::More;

my $deploy = File::Spec->rel2abs(dirname(__FILE__) . '/../../deploy/nginx');
my $tea = 22500000000001;
my $catalogue = "app\t2009999\tdemo-salt-01\n"
  . "shop\t1\taccess-1\trefresh-1\n"
  . "shop\t2\tdemo-api-key-0001\tdemo-secret-key-0001\n"
  . "sku\tTEA\t1000\nsku\tCUP\t100\n"
  . join('', map { join("\t", 'listing', @$_) . "\n" } [ 1, 'TEA', 1001, 0, 1000, 100 ], [ 1, 'CUP', 1002, 5, 100, 100 ],
	[ 2, 'TEA', $tea, 0, 1000, 100 ], [ 2, 'CUP', $tea + 1, 0, 100, 100 ]);
my $sim = Storesync->simulator(catalogue => $catalogue, rate => 20, burst => 1);
my $node = Storesync->cluster('main', 'storesync.clock_doubt' => 0);
my $url = $sim->url;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $front = "http://127.0.0.1:$port";
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my %pid;

sub sql { return $node->safe_psql('shop', $_[0]); }

# a process of the test's own
sub run_program
{
	my ($name, @command) = @_;
	$pid{$name} = fork // die "cannot fork: $!";
	return if $pid{$name} != 0;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', "$dir/$name.log";
	open STDERR, '>&', \*STDOUT;
	exec(@command) or POSIX::_exit(127);
}

sub end_program
{
	my ($name) = @_;
	my $pid = delete $pid{$name} or return;
	kill 'TERM', $pid;
	waitpid $pid, 0;
	return;
}

END
{
	my $status = $?;
	end_program($_) foreach keys %pid;
	$? = $status;
}

sub receive { return run_program('receiver', "$deploy/receiver", "$dir/socket", $node->connstr('shop') . ' user=receiver'); }

# the configuration as it is documented, with the names of this test
sub front
{
	my $conf = slurp_file("$deploy/push.conf");
	$conf =~ s/^#.*\n//mg;
	$conf =~ s{/run/storesync/receiver\.sock}{$dir/socket} or die;
	$conf =~ s{listen 127\.0\.0\.1:8080}{listen 127.0.0.1:$port} or die;
	$conf =~ s{https://erp\.example\.com}{$front} or die;
	append_to_file("$dir/nginx.conf",
		"worker_processes 1;\ndaemon off;\npid $dir/nginx.pid;\nerror_log stderr;\nevents { worker_connections 64; }\nhttp {\naccess_log off;\n"
		  . join('', map { "${_}_temp_path $dir/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "$conf}\n");
	return run_program('nginx', '/usr/sbin/nginx', '-p', $dir, '-c', "$dir/nginx.conf");
}

sub booked { my ($what, @sn) = @_; my $list = join ',', map { "'$_'" } @sn; return Storesync->query_until($node,
		"SELECT count(*) FROM storesync.sales_order WHERE order_sn IN ($list)", scalar(@sn), $what) && pass($what); }
sub calls { my ($call) = @_; return sql("SELECT count(*) FROM storesync.call_log WHERE call = '$call'"); }
sub settled { return Storesync->wait_until(sub { $sim->get('push')->{waiting} == 0 }, 'all notifications are sent'); }

sql(<<"SQL");
CREATE ROLE receiver LOGIN;
SELECT storesync.grant_role('receiver', 'application');
UPDATE storesync.platform SET base_url = '$url' WHERE platform IN ('shopee', 'ruten');
SELECT storesync.set_app_credential('shopee', 'partner_id', '2009999'), storesync.set_app_credential('shopee', 'partner_key', 'demo-salt-01'),
	storesync.set_app_credential('shopee', 'callback_url', '$front/hooks/shopee');
SELECT storesync.add_store('shopee', '1', 'one', '20/s'), storesync.add_store('ruten', 'teashop', 'two', '20/s');
SELECT storesync.set_credential(1, 'access_token', 'access-1'), storesync.set_credential(1, 'refresh_token', 'refresh-1');
SELECT storesync.set_credential(2, 'api_key', 'demo-api-key-0001'), storesync.set_credential(2, 'secret_key', 'demo-secret-key-0001'),
	storesync.set_credential(2, 'salt_key', 'demo-salt-01'), storesync.set_credential(2, 'callback_url', '$front/hooks/ruten');
UPDATE storesync.store SET poll_interval = '1 hour';
SELECT storesync.add_sku('TEA'), storesync.add_sku('CUP');
SELECT storesync.add_listing(1, 'TEA', '1001'), storesync.add_listing(1, 'CUP', '1002', '5'),
	storesync.add_listing(2, 'TEA', '$tea'), storesync.add_listing(2, 'CUP', '@{[ $tea + 1 ]}');
SELECT storesync.receive('TEA', 1000, storesync.new_key()), storesync.receive('CUP', 100, storesync.new_key());
SQL
receive();
front();
my $http = HTTP::Tiny->new(timeout => 20, no_proxy => ['127.0.0.1']);
Storesync->wait_until(sub { -S "$dir/socket" && $http->get("$front/")->{status} == 404 }, 'nginx answers');
$sim->post('push', { url => "$front/hooks/shopee", retry_scale => 0.001 });
$sim->post('push', { shop_id => '2', url => "$front/hooks/ruten" });
Storesync->query_until($node, 'SELECT count(*) FROM storesync.order_cursor', '2', 'the first fetches');

# One order at each shop.
my $one = $sim->order(1, [ 1001, 0, 4 ])->{order_sn};
my $two = $sim->order(2, [ $tea, 0, 3 ])->{order_sn};
booked('orders come by notification alone', $one, $two);
Storesync->query_until($node, "SELECT storesync.available('TEA')", 993, 'and are booked');
is(sql(q(SELECT platform, kind, code, store_id FROM storesync.notification ORDER BY 1)), "ruten|order|create_order|2\nshopee|order|3|1", 'told once each');
is($sim->get('push')->{given_up}, 0, 'nginx and receiver answer as the platforms want');

# A burst is fetched together.
my $before = calls('get_orders');
my @burst = map { $sim->order(1, [ 1001, 0, 1 ])->{order_sn} } 1 .. 40;
booked('forty orders within a moment', @burst);
my $fetches = calls('get_orders') - $before;
cmp_ok($fetches, '<=', 20, "are fetched together: $fetches calls");

# Each comes twice, in any order; some orders are cancelled meanwhile.
$sim->post('push', { duplicate => 1, shuffle_ms => 700 });
my @mixed = map { $sim->order($_ % 3 == 0 ? 2 : 1, [ $_ % 3 == 0 ? $tea : 1001, 0, 2 ])->{order_sn} } 1 .. 15;
$sim->order_status($_, 'CANCELLED') foreach @mixed[ 0 .. 4 ];
settled();
booked('duplicates and disorder', @mixed);
Storesync->query_until($node, "SELECT storesync.available('TEA')", 993 - 40 - 20, 'end in the same stock');
cmp_ok($sim->get('push')->{duplicated}, '>=', 15, 'they were sent twice');
is(sql('SELECT count(*) FROM storesync.notification GROUP BY fingerprint HAVING count(*) > 1 LIMIT 1'), '', 'and kept once');
$sim->post('push', { duplicate => 0, shuffle_ms => 0 });

# Nobody there for a while: the platform repeats.
end_program('receiver');
my $away = $sim->order(1, [ 1001, 0, 1 ])->{order_sn};
my $tries = $sim->get('push')->{tries};
Storesync->wait_until(sub { $sim->get('push')->{tries} > $tries }, 'a try in vain');
receive();
booked('a notification that met no receiver is repeated', $away);
settled();

# Lost on the way: the dispatcher asks for them when it starts.
$sim->post('push', { drop => 1 });
my @lost = map { $sim->order(1, [ 1001, 0, 1 ])->{order_sn} } 1 .. 120;
is($sim->get('push')->{lost}, 120, 'notifications that never arrive');
$sim->post('push', { drop => 0 });
sql('SELECT pg_terminate_backend(pid) FROM storesync.stat_dispatcher WHERE pid IS NOT NULL');
booked('are fetched from where the platform keeps them', @lost);
Storesync->wait_until(sub { $sim->get('push')->{lost} == 0 }, 'and confirmed');
is(sql("SELECT count(*) FROM storesync.notification WHERE order_sn IN ('" . join("','", @lost) . "')"), 120, 'each taken once');

# What a promotion locks is not for the other shop.
$sim->post('push_send', { shop_id => '1', code => 8, data => { shop_id => 1, item_id => 1002, variation_id => 5, promotion_type => 'flash_sale',
			action => 'place_order', changed_values => [ { name => 'reserved_stock', old => 0, new => 30 } ] } });
Storesync->query_until($node, q(SELECT locked FROM storesync.allotment JOIN storesync.listing USING (listing_id) WHERE item_id = '1002'), '30',
	'what a promotion has locked is set aside');
Storesync->wait_until(sub { $sim->stock(2, $tea + 1) == 70 }, 'the other shop shows what is left');
is($sim->stock(2, $tea + 1), 70, 'the other shop shows what is left');

# The shop takes its authorisation back.
$sim->post('push_send', { shop_id => '1', code => 2, data => { shop_id => 1 } });
Storesync->query_until($node, q(SELECT count(*) FROM storesync.health() WHERE component = 'authorisation of store 1' AND reason LIKE 'the shop took%'),
	'1', 'health() says that a shop took its authorisation back') and pass('health() tells');

# What else comes in.
is($http->post("$front/hooks/shopee", { content => '{"code":3}' })->{status}, 401, 'what is not signed is refused');
is($http->get("$front/hooks/shopee")->{status}, 403, 'and so is another method');
is($http->post("$front/hooks/nobody", { content => '{}' })->{status}, 404, 'another path');
is($http->post("$front/hooks/shopee", { content => 'x' x 300_000 })->{status}, 413, 'a body that is too large');
is(sql(q(SELECT count(*) > 0 FROM storesync.health() WHERE component = 'notifications of shopee')), 't', 'health() tells of those refused');

is($sim->counters->{bad_signature}, 0, 'no call was signed wrongly');
unlike(slurp_file("$dir/receiver.log"), qr/SQLSTATE|Traceback/, 'the receiver met no error');
Storesync->sound($node);
end_program($_) foreach keys %pid;
$node->stop;
done_testing();
