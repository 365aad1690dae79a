# Storesync::Calls: a call of every routine of the extension, made from the
# catalogues, so that a new one is called by the tests that call them all.
#
#   my @calls = Storesync::Calls->all($node, 'shop');   # { name, signature, kind, sql }
#   my $said = Storesync::Calls->run($node, 'shop', \@calls, 'SET ROLE bob');
#       # signature => [ SQLSTATE, message ], '00000' when it went well
#
# Arguments are plausible ones by name and type: store 1, SKU S1, listing 1. Each
# call is rolled back, but procedures, which may commit.
package Storesync::Calls;

use strict;
use warnings;

my $order = '{"order_sn": "O1", "status": "unpaid", "create_time": "2026-01-02T03:04:05Z", "update_time": "2026-01-02T03:04:05Z",'
  . ' "lines": [{"line_id": "1", "item_id": "1", "model_id": "", "sku": "S1", "qty": 1, "unit_price": 1}]}';

my %named = (
	sku => 'S1', code => 'S1', platform => 'shopee', location => 'main', from_location => 'main', to_location => 'main',
	order_sn => 'O1', line_id => '1', item_id => '1', doc => $order, docs => "[$order]", parent => 'call_log',
	kind => 'fetch_orders', rate_limit => '5/s', components => '{"S2": 1}', disposition => 'saleable',
	'add_sku.code' => 'S9', 'outbox_add.kind' => 'stock', 'grant_role.kind' => 'reporter', 'transfer.to_location' => 'back',
	'set_credential.name' => 'access_token', 'set_app_credential.name' => 'partner_key',
	'task_settled.how' => 'discarded', 'settle_compensation.how' => 'discarded');
my %typed = (
	'text' => 'x', 'name' => 'call_log', 'jsonb' => '{}', 'boolean' => 'false', 'interval' => '1 day', 'bytea' => 'x',
	'integer' => '1', 'bigint' => '1', 'smallint' => '1', 'numeric' => '1', 'oid' => '1',
	'text[]' => '{main}', 'bigint[]' => '{1}', 'integer[]' => '{1}',
	'timestamp without time zone' => '2026-01-02 03:04:05', 'timestamp with time zone' => '2026-01-02 03:04:05+00',
	'date' => '2026-01-02', 'double precision' => '0.5', 'storesync.histogram' => '120:3 128:1',
	'pg_snapshot' => '10:10:', 'xid8' => '10', 'storesync.rate_limit' => '5/s', 'storesync.idempotency_key' => undef);

# argument FUNCTION, NAME, TYPE: an expression that no search_path changes
sub argument
{
	my ($function, $name, $type) = @_;
	return 'storesync.new_key()' if $type eq 'storesync.idempotency_key';
	my $value = $named{"$function.$name"} // ($type =~ /^(text$|jsonb|storesync)/ ? $named{$name} : undef) // $typed{$type};
	$type = "pg_catalog.$type" if $type =~ /^(text|name|jsonb|bytea|oid|date|pg_snapshot|xid8)/;
	return defined $value ? "'$value'::$type" : "NULL::$type";
}

sub all
{
	my ($class, $node, $database) = @_;
	my @all;

	# input arguments, in order, as name TAB type
	foreach my $row (split /\n/, $node->safe_psql($database, <<'SQL'))
SET search_path = pg_catalog;
SELECT p.pronamespace::regnamespace || '.' || quote_ident(p.proname), p.prokind, p.oid::regprocedure,
	p.provariadic <> 0,
	coalesce((SELECT string_agg(coalesce(p.proargnames[a.n], '') || chr(9) || format_type(a.type, NULL), chr(31) ORDER BY a.n)
		FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY a (type, n)
		WHERE coalesce(p.proargmodes[a.n], 'i') IN ('i', 'b', 'v')), '')
FROM pg_proc p
WHERE p.pronamespace IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname LIKE 'storesync%')
	AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype, 'cstring'::regtype)
	AND NOT p.proargtypes::oid[] && ARRAY['internal'::regtype, 'cstring'::regtype]::oid[]
ORDER BY 3
SQL
	{
		my ($name, $kind, $signature, $variadic, $arguments) = split /\|/, $row, 5;
		my @arguments = map { argument($name =~ s/.*\.//r, split /\t/, $_, 2) } split /\x1f/, $arguments;
		$arguments[-1] = "VARIADIC $arguments[-1]" if $variadic eq 't';
		my $call = "$name(" . join(', ', @arguments) . ')';

		push @all, { name => $name, kind => $kind, signature => $signature,
			sql => $kind eq 'p' ? "CALL $call;" : $kind eq 'a' ? "BEGIN;\nSELECT $call;\n" : "BEGIN;\nSELECT * FROM $call;\n" };
	}
	return @all;
}

sub run
{
	my ($class, $node, $database, $calls, @first) = @_;
	my $script = join("\n", "\\o /dev/null", (map { "$_;" } @first), '');

	foreach my $call (@$calls)
	{
		$script .= "$call->{sql}\n\\set state :SQLSTATE\n\\set message ''\n\\if :ERROR\n\\set message :LAST_ERROR_MESSAGE\n\\endif\n"
		  . ($call->{kind} eq 'p' ? '' : "ROLLBACK;\n")
		  . "\\echo '$call->{signature}' :state :message\n";
	}
	my ($status, $out) = $node->psql($database, $script, on_error_stop => 0);
	return { map { /^(\S+\(.*?\)) (\S{5}) ?(.*)/ ? ($1 => [ $2, $3 ]) : () } split /\n/, $out };
}

1;
