# Storesync::Catalog: everything that the extension is in a database, as text to compare: one line
# an object or property, sorted. Oids are nowhere in it, and neither is what users have made.
#
#   my $text = Storesync::Catalog->of($node, 'shop');
#   my $text = Storesync::Catalog->partitions($node, 'shop');     # their shape, one of each table
#   my $text = Storesync::Catalog->rows($node, 'shop');           # what the script itself fills in
package Storesync::Catalog;

use strict;
use warnings;

# members of the extension: their classes, oids and names
my $members = <<'SQL';
WITH member AS (
	SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS name
	FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
	WHERE d.deptype = 'e' AND e.extname = 'storesync')
SQL

# Each of these answers with lines of text. Names of array types and the order of grants are
# nobody's doing, and a right of the extension's own is one that no dump contains.
my @questions = map { "$members $_" } (
	"SELECT concat('member ', name) FROM member",
	"SELECT format('comment on %s%s: %s', m.name, '.' || a.attname, d.description) FROM member m
		JOIN pg_description d ON d.classoid = m.classid AND d.objoid = m.objid
		LEFT JOIN pg_attribute a ON m.classid = 'pg_class'::regclass AND a.attrelid = m.objid AND a.attnum = d.objsubid AND d.objsubid > 0",
	"SELECT format('rights of the extension itself on %s: %s', m.name, i.initprivs) FROM member m
		JOIN pg_init_privs i ON i.classoid = m.classid AND i.objoid = m.objid",
	"SELECT format('%s: %s', m.name, n.nspacl) FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid",
	"SELECT format('%s: kind %s %s, %s, rights %s, rows %s %s, identity %s, by %s, owner %s', m.name, c.relkind, c.relpersistence,
			c.reloptions, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, pg_get_partkeydef(c.oid), c.relowner::regrole)
		FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid",
	"SELECT format('%s: column %s %s %s%s, default %s, %s, %s %s %s %s, rights %s', m.name,
			row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
			CASE WHEN a.attnotnull THEN ' not null' END, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation,
			a.attstorage, a.attidentity, a.attgenerated, a.attstattarget, a.attacl)
		FROM member m JOIN pg_attribute a ON m.classid = 'pg_class'::regclass AND a.attrelid = m.objid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum",
	"SELECT format('%s: column %s %s %s', m.name, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
			a.attname, format_type(a.atttypid, a.atttypmod))
		FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid AND t.typtype = 'c'
		JOIN pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped",
	"SELECT format('%s: %s %s', m.name, c.conname, pg_get_constraintdef(c.oid))
		FROM member m JOIN pg_constraint c ON m.classid = 'pg_class'::regclass AND c.conrelid = m.objid",
	"SELECT format('%s: %s%s', m.name, pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' invalid' END)
		FROM member m JOIN pg_index i ON m.classid = 'pg_class'::regclass AND i.indrelid = m.objid",
	"SELECT format('%s: %s, enabled %s', m.name, pg_get_triggerdef(t.oid), t.tgenabled)
		FROM member m JOIN pg_trigger t ON m.classid = 'pg_class'::regclass AND t.tgrelid = m.objid AND NOT t.tgisinternal",
	"SELECT format('%s: policy %s %s %s %s %s', m.name, p.polname, p.polcmd, p.polroles::regrole[],
			pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
		FROM member m JOIN pg_policy p ON m.classid = 'pg_class'::regclass AND p.polrelid = m.objid",
	"SELECT format('%s: %s', m.name, pg_get_ruledef(r.oid))
		FROM member m JOIN pg_rewrite r ON m.classid = 'pg_class'::regclass AND r.ev_class = m.objid",
	"SELECT format('%s: %s %s %s %s %s %s %s', m.name, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
		FROM member m JOIN pg_sequence s ON m.classid = 'pg_class'::regclass AND s.seqrelid = m.objid",
	"SELECT format('%s, rights %s, owner %s: %s', m.name, p.proacl, p.proowner::regrole, pg_get_functiondef(p.oid))
		FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid AND p.prokind <> 'a'",
	"SELECT format('%s: %s %s %s %s %s %s %s, rights %s, labels %s', m.name, t.typtype, t.typcategory, t.typlen, t.typalign, t.typstorage,
			t.typinput, t.typoutput, t.typacl,
			(SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
		FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid",
	"SELECT format('%s: %s %s %s %s %s %s %s', m.name, o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator,
			o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge)
		FROM member m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid",
	"SELECT format('%s: operator %s %s', m.name, o.amopstrategy, o.amopopr::regoperator)
		FROM member m JOIN pg_amop o ON m.classid = 'pg_opfamily'::regclass AND o.amopfamily = m.objid
		UNION ALL SELECT format('%s: function %s %s', m.name, p.amprocnum, p.amproc::regprocedure)
		FROM member m JOIN pg_amproc p ON m.classid = 'pg_opfamily'::regclass AND p.amprocfamily = m.objid",
	"SELECT format('dumped: %s %s', x.relation::regclass, x.condition)
		FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS x(relation, condition) WHERE e.extname = 'storesync'");

sub of
{
	my ($class, $node, $database) = @_;
	return sorted($node->safe_psql($database, join "\n", map { "SET search_path = pg_catalog; SELECT replace(x, E'\\n', E'\\\\n') FROM ($_) AS q(x);" } @questions));
}

# The newest partition of each table, called "partition" whatever its name: columns, constraints,
# indexes, triggers, options and rights.
sub partitions
{
	my ($class, $node, $database, $which) = @_;
	$which //= 'max';
	return sorted($node->safe_psql($database, <<"SQL"));
SET search_path = pg_catalog;
WITH newest AS (
	SELECT DISTINCT ON (i.inhparent) i.inhrelid AS oid, i.inhparent::regclass::text AS parent, c.relname AS name
	FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE c.relnamespace = 'storesync'::regnamespace AND c.relkind = 'r'
	ORDER BY i.inhparent, c.relname @{[ $which eq 'max' ? 'DESC' : 'ASC' ]})
SELECT format('%s: %s', n.parent, replace(x.what, n.name, 'partition')) FROM newest n CROSS JOIN LATERAL (
	SELECT format('options %s, rights %s, identity %s', c.reloptions, c.relacl, c.relreplident) FROM pg_class c WHERE c.oid = n.oid
	UNION ALL
	SELECT format('column %s %s%s, default %s', a.attname, format_type(a.atttypid, a.atttypmod),
			CASE WHEN a.attnotnull THEN ' not null' END, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = n.oid AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT concat('constraint ', c.conname, ' ', pg_get_constraintdef(c.oid)) FROM pg_constraint c WHERE c.conrelid = n.oid
	UNION ALL
	SELECT concat(pg_get_indexdef(i.indexrelid), CASE WHEN i.indisreplident THEN ', identity' END) FROM pg_index i WHERE i.indrelid = n.oid
	UNION ALL
	SELECT concat(pg_get_triggerdef(t.oid), ', enabled ', t.tgenabled) FROM pg_trigger t WHERE t.tgrelid = n.oid AND NOT t.tgisinternal) AS x(what);
SQL
}

# The rows of each member table that has some
sub rows
{
	my ($class, $node, $database) = @_;
	my $tables = $node->safe_psql($database, <<"SQL");
SET search_path = pg_catalog;
$members
SELECT c.oid::regclass FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid AND c.relkind IN ('r', 'p')
SQL
	return sorted($node->safe_psql($database, join "\n", map { "SELECT '$_: ' || to_jsonb(t)::text FROM $_ t;" } split /\n/, $tables));
}

sub sorted
{
	my ($text) = @_;
	return join "\n", sort split /\n/, $text;
}

# differing OLD, NEW: lines of one that are not in the other, '' when there are none
sub differing
{
	my ($class, $old, $new) = @_;
	my (%old, %new);

	$old{$_}++ foreach split /\n/, $old;
	$new{$_}++ foreach split /\n/, $new;
	return join "\n", (map { "- $_" } grep { ($old{$_} // 0) > ($new{$_} // 0) } sort keys %old),
	  (map { "+ $_" } grep { ($new{$_} // 0) > ($old{$_} // 0) } sort keys %new);
}

1;
